"""Photographs of things, plants and places."""

from infinity_mm.demo.catalogue.entry import Photo, Region

_COFFEE = Photo(
    "coffee",
    "skimage",
    "data/coffee.png",
    True,
    "a cup of coffee on a wooden table",
    (
        "a red cup of espresso on a red saucer with a small spoon, standing on a wooden table",
        "coffee with light brown foam in a thick cup, seen from above at an angle",
        "a half full espresso cup, its inside white, its outside dark red",
        "warm picture of a coffee break: cup, saucer, metal spoon, worn table top",
        "one cup of coffee near the edge of a brown table",
    ),
    (
        ("What drink is in the cup?", "coffee", "There is coffee in the cup, an espresso."),
        ("What colour is the saucer?", "red", "The saucer is red."),
        ("What is the table made of?", "wood", "The table is made of wood."),
        ("What lies on the saucer next to the cup?", "a spoon", "A small metal spoon lies next to the cup."),
        ("Is the cup full to the brim?", "no", "No, the coffee reaches about half the height of the cup."),
        ("How many cups are there?", "1", "There is one cup."),
    ),
    (
        Region(
            "cup",
            (28, 3, 70, 55),
            (
                "looking into a white lined cup with brown crema on the coffee",
                "the rim of a thick cup and the espresso inside it",
            ),
            (("What colour is the inside of the cup?", "white", "The inside of the cup is white."),),
        ),
        Region(
            "spoon",
            (50, 50, 72, 85),
            ("a shiny teaspoon on a red saucer, lamps mirrored in its bowl",),
            (("What is the spoon made of?", "metal", "The spoon is made of polished metal."),),
        ),
        Region(
            "wood",
            (72, 20, 100, 100),
            ("orange brown wood grain of a worn table top beside the rim of a saucer",),
            (("What material fills the right side?", "wood", "Worn wood fills the right side."),),
        ),
        Region(
            "handle",
            (10, 50, 52, 98),
            ("the handle of a red cup above the lower half of its saucer",),
            (("Which part of the cup points down?", "the handle", "The handle of the cup points down."),),
        ),
    ),
)

_ROCKET = Photo(
    "rocket",
    "skimage",
    "data/rocket.jpg",
    True,
    "a launch pad at dusk",
    (
        "a white rocket stands on its launch pad at dusk, lamps shining at its foot",
        "slim rocket between lattice towers under a dark blue evening sky",
        "a launch site after sunset with star shaped lights around the pad",
        "the rocket is ready for its flight, four steel masts rise around it",
        "evening view of a space port, a single launcher in the middle",
    ),
    (
        ("What stands in the middle of the picture?", "a rocket", "A rocket stands in the middle."),
        ("What colour is the rocket?", "white", "The rocket is white."),
        ("Is it noon or dusk?", "dusk", "It is dusk; the sky is dark blue and the lamps are on."),
        ("Has the rocket taken off?", "no", "No, it is still standing on the pad."),
        ("What are the tall structures around the pad?", "towers", "They are lattice towers."),
    ),
    (
        Region(
            "pad",
            (36, 25, 64, 100),
            ("a rocket on the pad with a yellow light on each side", "the launcher and its short service structure"),
            (("What is the tall white object?", "a rocket", "The tall white object is a rocket."),),
        ),
        Region(
            "left_tower",
            (0, 0, 36, 100),
            ("two lattice towers against a dark blue sky, bright lamps below",),
            (("Are the lamps switched on?", "yes", "Yes, the lamps shine brightly."),),
        ),
        Region(
            "right_tower",
            (64, 0, 100, 100),
            ("a high steel mast at the right and a thinner one beside it, lights at the ground",),
            (("Is the sky light or dark?", "dark", "The sky is dark blue."),),
        ),
        Region(
            "lights",
            (10, 76, 74, 100),
            ("a row of flood lights with long rays on the ground of a launch site",),
            (("What gives light here?", "lamps", "Flood lamps give light."),),
        ),
    ),
)

_CHINA = Photo(
    "china",
    "sklearn",
    "datasets/images/china.jpg",
    True,
    "a Chinese palace tower above a lake",
    (
        "an ornate tower with several curved roofs rises above trees, a wide lake behind it",
        "chinese temple building in red, green and orange on a hill over the water",
        "a many storeyed pagoda on a hazy day, with a far island in the lake",
        "traditional architecture: tiled eaves, carved beams and galleries around an eight sided tower",
        "view from a hill across tree tops to a tower and a pale lake",
    ),
    (
        ("What kind of building is this?", "a pagoda", "It is a pagoda-like tower with several roofs."),
        ("What lies behind the building?", "a lake", "A lake lies behind it."),
        ("What colour are the roof tiles?", "orange", "The roof tiles are mostly orange with green edges."),
        ("What grows in front of the tower?", "trees", "Trees grow in front of the tower."),
        ("Is it day or night?", "day", "It is day; the sky is bright."),
        ("In which country is such architecture traditional?", "China", "This architecture is traditional in China."),
    ),
    (
        Region(
            "top",
            (12, 3, 54, 42),
            ("the top two roofs of a chinese tower with a golden finial", "curved eaves and a knob on top of a tower"),
            (("What is at the very top?", "a finial", "A golden finial is at the very top."),),
        ),
        Region(
            "galleries",
            (8, 40, 58, 82),
            ("red pillars and galleries between the lower roofs of a tower",),
            (("What colour are the pillars?", "red", "The pillars are red."),),
        ),
        Region(
            "lake",
            (54, 30, 100, 72),
            ("a calm pale lake with a low island, trees at the right",),
            (("Is the water calm or stormy?", "calm", "The water is calm."),),
        ),
        Region(
            "trees",
            (42, 62, 100, 100),
            ("dense round tree tops on a slope, a few roof tiles at the left",),
            (("What fills most of this view?", "trees", "Tree tops fill most of the view."),),
        ),
    ),
)

_FLOWER = Photo(
    "flower",
    "sklearn",
    "datasets/images/flower.jpg",
    True,
    "an orange dahlia in a garden",
    (
        "an orange dahlia in full bloom in front of dark green leaves",
        "round flower with many curled petals, salmon coloured at the rim and deeper in the centre",
        "one large blossom in focus and the top of a second one at the lower edge",
        "garden flower photographed from the front, the leaves behind it out of focus",
        "concentric petals of a dahlia, dark blurred garden around it",
    ),
    (
        ("What colour is the flower?", "orange", "The flower is orange."),
        ("Is the flower open or still a bud?", "open", "The flower is fully open."),
        ("What colour is the background?", "green", "The background is dark green."),
        ("How many flowers are in focus?", "1", "One flower is in focus."),
        ("Is there an insect on the petals?", "no", "No insect can be seen on the petals."),
    ),
    (
        Region(
            "blossom",
            (26, 18, 72, 86),
            ("a dahlia seen from the front, petals arranged in rings", "full round blossom in apricot tones"),
            (("What part of a plant is this?", "a flower", "It is a flower."),),
        ),
        Region(
            "heart",
            (36, 32, 62, 70),
            ("the rolled inner petals of a dahlia, deep orange",),
            (("Are the inner petals darker or lighter than the rim?", "darker", "The inner petals are darker."),),
        ),
        Region(
            "second",
            (38, 84, 78, 100),
            ("the upper half of a pale dahlia rises from the lower edge",),
            (("Is the whole blossom visible?", "no", "No, only its upper part is visible."),),
        ),
        Region(
            "petals",
            (50, 20, 72, 60),
            ("overlapping salmon petals at the side of a blossom, dark leaves beyond",),
            (("On which side are the petals?", "left", "The petals are on the left side of this picture."),),
        ),
    ),
)

_MOTORCYCLE = Photo(
    "motorcycle",
    "skimage",
    "data/motorcycle_left.png",
    True,
    "a motorcycle in a garage",
    (
        "a red motorcycle with a black seat is parked in a garage full of shelves and boxes",
        "side view of a motorbike on its stand, concrete floor, cardboard boxes behind",
        "red bike with chrome engine inside a cluttered store room",
        "a motorcycle facing right, a wooden bench and a white door in the background",
        "two wheeled vehicle with round headlight, storage racks to the right",
    ),
    (
        ("What vehicle is shown?", "a motorcycle", "A motorcycle is shown."),
        ("What colour is the fuel tank?", "red", "The fuel tank is red."),
        ("Where is the vehicle parked?", "in a garage", "It is parked in a garage."),
        ("Is anybody riding it?", "no", "No, nobody is riding it."),
        ("How many wheels does it have?", "2", "It has two wheels."),
        ("What stands on the shelves?", "boxes", "Boxes and bottles stand on the shelves."),
    ),
    (
        Region(
            "front",
            (66, 44, 94, 92),
            ("front wheel of a motorcycle with a red mudguard and a chrome fork",),
            (("What colour is the mudguard?", "red", "The mudguard over the wheel is red."),),
        ),
        Region(
            "rear",
            (12, 36, 46, 82),
            (
                "rear wheel and seat of a motorbike, exhaust pipe below",
                "black seat, red tail lamp and a wheel with a broad tyre",
            ),
            (("Which wheel is this, front or rear?", "rear", "It is the rear wheel, below the seat."),),
        ),
        Region(
            "engine",
            (38, 42, 68, 78),
            ("the silver engine block of a motorcycle under its red frame",),
            (("What colour is the engine?", "silver", "The engine is silver."),),
        ),
        Region(
            "shelves",
            (46, 0, 100, 46),
            ("metal racks with cardboard boxes, the handlebar and headlight of a bike in front",),
            (("What are most of the boxes made of?", "cardboard", "Most of the boxes are made of cardboard."),),
        ),
        Region(
            "bench",
            (0, 0, 42, 60),
            ("a wooden bench and planks along the wall of a garage",),
            (("What piece of furniture stands there?", "a bench", "A wooden bench stands there."),),
        ),
    ),
)

_COINS = Photo(
    "coins",
    "skimage",
    "data/coins.png",
    False,
    "old coins on a dark cloth",
    (
        "twenty four old coins laid out in four rows on a dark ground",
        "black and white picture of ancient coins, most of them showing a head in profile",
        "a collection of worn coins of different size, arranged like a table",
        "museum style photograph of round metal coins from above",
        "rows of coins, the largest at the right end of the first and third row",
    ),
    (
        ("How many coins are there?", "24", "There are 24 coins, four rows of six."),
        ("In how many rows are the coins arranged?", "4", "They are arranged in four rows."),
        ("Is the background dark or light?", "dark", "The background is dark."),
        ("What objects are these?", "coins", "These are coins."),
        ("Do all coins have the same size?", "no", "No, some coins are clearly larger than others."),
    ),
    (
        Region(
            "row1",
            (0, 2, 100, 27),
            ("six coins side by side, the one at the right end is the largest",),
            (("How many coins are in this row?", "6", "There are six coins in this row."),),
        ),
        Region(
            "row2",
            (0, 29, 100, 51),
            ("a row of six irregular coins on black cloth",),
            (("How many coins can you count?", "6", "I count six coins."),),
        ),
        Region(
            "row4",
            (0, 75, 100, 99),
            ("the bottom row of a coin collection with six pieces",),
            (("How many pieces lie in the row?", "6", "Six pieces lie in the row."),),
        ),
        Region(
            "left_column",
            (0, 2, 32, 50),
            ("four coins, two above two", "the upper left corner of a coin collection"),
            (("How many coins are in the picture?", "4", "There are four coins in the picture."),),
        ),
        Region(
            "large",
            (80, 50, 100, 74),
            ("one large coin with a head in profile",),
            (("What is on the coin?", "a head", "A head in profile is on the coin."),),
        ),
    ),
)

THINGS = (_COFFEE, _ROCKET, _CHINA, _FLOWER, _MOTORCYCLE, _COINS)
