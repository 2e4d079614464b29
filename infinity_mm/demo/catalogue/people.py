"""Photographs of people and animals."""

from infinity_mm.demo.catalogue.entry import Photo, Region

_ASTRONAUT = Photo(
    "astronaut",
    "skimage",
    "data/astronaut.png",
    True,
    "an official portrait of an astronaut",
    (
        "an astronaut in an orange pressure suit smiles in front of a flag and a model of a space shuttle",
        "official portrait of a woman who wears an orange space suit and rests her arm beside a black helmet",
        "a smiling woman with short hair, dressed for a space flight, with a striped flag to her left",
        "studio photograph of a shuttle crew member with mission patch, name tag and helmet",
        "a person in bright orange flight gear poses against a grey backdrop with a small white shuttle",
    ),
    (
        ("What colour is the suit?", "orange", "The suit is bright orange."),
        ("Is the person smiling?", "yes", "Yes, she is smiling at the camera."),
        ("What does the model on the right show?", "a space shuttle", "It is a model of a space shuttle."),
        ("Is she wearing her helmet?", "no", "No, the helmet is in front of her; her head is uncovered."),
        ("What hangs at the left edge of the picture?", "a flag", "A flag with stars and stripes hangs there."),
        (
            "What is the likely profession of this person?",
            "astronaut",
            "Her suit and helmet are those of an astronaut.",
        ),
    ),
    (
        Region(
            "face",
            (27, 0, 63, 40),
            (
                "head and shoulders of a smiling woman with short hair above the dark ring of a space suit",
                "close view of an astronaut's face, her teeth showing in a broad smile",
            ),
            (
                ("Is the hair long or short?", "short", "The hair is short; it ends above the collar."),
                ("Does the woman look into the camera?", "yes", "Yes, she looks straight into the camera."),
            ),
        ),
        Region(
            "shuttle",
            (64, 0, 100, 58),
            (
                "a model of a white space shuttle with its brown external tank and two boosters",
                "the shuttle model stands on a dark base in front of a pale wall",
            ),
            (
                ("What colour is the external tank?", "brown", "The large external tank is brown."),
                ("What vehicle is this a model of?", "space shuttle", "It is a model of the space shuttle stack."),
            ),
        ),
        Region(
            "helmet",
            (53, 64, 100, 100),
            (
                "a helmet with a white shell and a black visor in which a studio lamp is reflected",
                "round black visor of a space helmet, held in front of an orange sleeve",
            ),
            (
                ("What colour is the visor?", "black", "The visor of the helmet is black."),
                ("What is reflected in the visor?", "a lamp", "A bright rectangular studio lamp is reflected in it."),
            ),
        ),
        Region(
            "patch",
            (20, 62, 52, 88),
            (
                "a round mission patch in blue and violet, sewn to an orange suit",
                "embroidered badge with names around its rim on the chest of a flight suit",
            ),
            (("What shape is the patch?", "round", "The patch is round."),),
        ),
        Region(
            "flag",
            (0, 0, 27, 52),
            ("part of a flag with white stars on blue and red stripes beside an orange shoulder",),
            (("What colour are the stars?", "white", "The stars are white on a blue field."),),
        ),
    ),
)

_CAT = Photo(
    "chelsea",
    "skimage",
    "data/chelsea.png",
    True,
    "the face of a tabby cat",
    (
        "close portrait of a ginger tabby cat with yellow green eyes looking to the right",
        "the striped face of a house cat fills the frame, whiskers spread to both sides",
        "a brown and orange cat with a pink nose rests on a pale blanket",
        "tabby cat gazing past the camera, one ear cut off by the upper edge",
        "portrait of a pet: large round pupils, white whiskers, soft blurred background",
    ),
    (
        ("What animal is this?", "cat", "It is a domestic cat."),
        ("What colour are the eyes?", "green", "The cat's eyes are yellow green."),
        ("What colour is the nose?", "pink", "The nose is pink."),
        ("Is the background sharp or blurred?", "blurred", "The background is blurred."),
        ("How many eyes of the cat can be seen?", "2", "Both eyes can be seen, that is two."),
        ("Is there a person in the picture?", "no", "No, there is only a cat."),
    ),
    (
        Region(
            "eyes",
            (24, 20, 82, 60),
            (
                "two green eyes of a cat with narrow black rims, striped fur between them",
                "the upper half of a cat's face, both pupils wide",
            ),
            (("How many eyes are in the picture?", "2", "There are two eyes, left and right of the nose bridge."),),
        ),
        Region(
            "nose",
            (44, 58, 88, 98),
            (
                "the pink nose and the muzzle of a cat, with long white whiskers",
                "mouth, nose and whiskers of a tabby in soft light",
            ),
            (("What are the long white hairs called?", "whiskers", "They are whiskers."),),
        ),
        Region(
            "left_eye",
            (26, 22, 52, 56),
            ("a single round eye of a tabby cat, a window mirrored in its dark pupil",),
            (("Is this eye open or closed?", "open", "The eye is wide open."),),
        ),
    ),
)

_HOPPER = Photo(
    "hopper",
    "matplotlib",
    "mpl-data/sample_data/grace_hopper.jpg",
    True,
    "a portrait of a navy officer",
    (
        "an elderly naval officer in dark uniform and white topped cap poses before a flag",
        "portrait of a woman in navy dress uniform with glasses, ribbons and a name tag",
        "a serious looking officer wearing a black tie, the sky blue behind her",
        "formal picture of a senior navy woman, rows of service ribbons on her chest",
        "half length portrait, glasses and peaked cap, stars of a flag to the left",
    ),
    (
        ("Does the person wear glasses?", "yes", "Yes, she wears glasses with large lenses."),
        ("What is on her head?", "a cap", "She wears a navy cap with a white top."),
        ("What colour is the uniform?", "black", "The uniform jacket is black."),
        ("What colour is the background on the right?", "blue", "The background on the right is blue."),
        ("Where are the ribbons?", "on the chest", "The ribbons are on her chest, on the right of the picture."),
        ("Is this person in military or civilian dress?", "military", "She wears a military uniform."),
    ),
    (
        Region(
            "cap",
            (28, 2, 76, 27),
            (
                "a navy cap with golden embroidery and a silver eagle on black cloth",
                "front of an officer's cap, white top above the badge",
            ),
            (("Which bird is on the badge?", "eagle", "The badge shows an eagle."),),
        ),
        Region(
            "face",
            (27, 22, 77, 60),
            (
                "the face of an old woman with round lenses, lips closed",
                "wrinkled face behind large glasses, looking straight ahead",
            ),
            (("Is the mouth open?", "no", "No, her mouth is closed."),),
        ),
        Region(
            "ribbons",
            (58, 74, 94, 94),
            ("colourful service ribbons in rows on a black jacket",),
            (("Are the ribbons above or below the shoulder?", "below", "They are on the chest, below the shoulder."),),
        ),
        Region(
            "stars",
            (0, 0, 30, 52),
            ("white stars on the dark blue field of a flag with a golden cord beside it",),
            (("What shape is printed on the blue cloth?", "stars", "White stars are printed on the blue cloth."),),
        ),
        Region(
            "tie",
            (30, 54, 72, 100),
            ("a black neck tie on a white shirt under a dark jacket, a golden button at the bottom",),
            (("What colour is the button?", "gold", "The button at the bottom is golden."),),
        ),
    ),
)

_CAMERA = Photo(
    "camera",
    "skimage",
    "data/camera.png",
    False,
    "a man filming on a lawn",
    (
        "a man in a dark coat bends to look through a camera on a tripod, buildings in the distance",
        "black and white picture of a cameraman at work on a wide lawn",
        "someone films outdoors, one eye at the viewfinder, the tripod standing on short grass",
        "a photographer with dark hair and gloves, a tower on the horizon behind his camera",
        "grey scale photograph: man, tripod, field, and a skyline under a plain sky",
    ),
    (
        ("What is the man looking through?", "a camera", "He looks through the viewfinder of a camera."),
        ("What carries the camera?", "a tripod", "The camera is mounted on a tripod."),
        ("Is this picture in colour?", "no", "No, it is a black and white picture."),
        ("What covers the ground?", "grass", "The ground is covered with short grass."),
        ("Is the man indoors or outdoors?", "outdoors", "He is outdoors on a lawn."),
        ("What is he wearing?", "a dark coat", "He is wearing a dark coat."),
    ),
    (
        Region(
            "head",
            (28, 10, 68, 48),
            (
                "profile of a man with dark hair close to a small camera",
                "a face in profile, the eye near the viewfinder, gloved hand on the camera",
            ),
            (("Which way does the man face?", "to the right", "He faces to the right."),),
        ),
        Region(
            "tripod",
            (42, 56, 84, 100),
            ("the spread legs of a tripod on a lawn", "three metal legs with a crank above, standing on grass"),
            (("What object stands on the grass?", "a tripod", "A tripod stands on the grass."),),
        ),
        Region(
            "skyline",
            (66, 18, 100, 50),
            ("a tall pale tower and low buildings behind an empty lawn",),
            (("What is the tallest thing here?", "a tower", "The tallest thing is a tower block."),),
        ),
        Region(
            "coat",
            (0, 20, 40, 75),
            ("the back and arm of a dark coat against a bright lawn", "black coat with buttons at the cuff"),
            (("Is the coat light or dark?", "dark", "The coat is very dark."),),
        ),
    ),
)

PEOPLE = (_ASTRONAUT, _CAT, _HOPPER, _CAMERA)
