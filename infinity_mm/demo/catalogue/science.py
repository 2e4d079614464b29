"""Photographs from science, and surfaces; parts cut anywhere still show what the whole shows."""

from infinity_mm.demo.catalogue.entry import Photo, Region

_MOON = Photo(
    "moon",
    "skimage",
    "data/moon.png",
    False,
    "the surface of the moon",
    (
        "grey surface of the moon with one sharp round crater and smaller pits",
        "a cratered plain seen from orbit, dark patches running down the middle",
        "black and white picture of lunar ground, craters of different sizes",
        "view from above on a dusty, airless landscape",
        "a lone large crater in the upper left, lit from the right",
    ),
    (
        ("Which body in space is shown?", "the moon", "The surface of the moon is shown."),
        ("What are the round hollows called?", "craters", "They are craters."),
        ("Is there any water in the picture?", "no", "No, the ground is dry dust and rock."),
        ("Are there trees?", "no", "No, nothing grows there."),
    ),
    (
        Region(
            "crater",
            (12, 6, 36, 30),
            ("a bowl shaped crater, one wall bright and the other in shadow",),
            (("How many large craters are in view?", "1", "One large crater is in view."),),
        ),
        Region(
            "hill",
            (54, 12, 78, 40),
            ("a bright slope beside a dark hollow on grey dust",),
            (("What colour is the ground?", "grey", "The ground is grey."),),
        ),
    ),
    12,
)

_HUBBLE = Photo(
    "hubble",
    "skimage",
    "data/hubble_deep_field.jpg",
    True,
    "distant galaxies in deep space",
    (
        "hundreds of galaxies of many colours on a black sky",
        "a deep field picture taken by a space telescope, spirals and smudges of light",
        "far away galaxies, some red and some blue, scattered over darkness",
        "a crowded patch of the night sky in which nearly every dot is a galaxy",
        "orange, white and blue specks of light in deep space",
    ),
    (
        ("What are the coloured specks?", "galaxies", "They are distant galaxies."),
        ("What colour is the background?", "black", "The background is black."),
        ("With what kind of instrument was this taken?", "a telescope", "It was taken with a space telescope."),
        ("Does the picture show the Earth?", "no", "No, it shows distant galaxies."),
    ),
    (
        Region(
            "spiral",
            (6, 36, 22, 54),
            ("a pale spiral galaxy among fainter dots",),
            (("What shape has the largest galaxy?", "spiral", "The largest galaxy is a spiral."),),
        ),
        Region(
            "right",
            (64, 44, 100, 72),
            ("yellow elliptical galaxies and a star with spikes",),
            (("Is this sky full of light or mostly dark?", "mostly dark", "It is mostly dark."),),
        ),
    ),
    16,
)

_IHC = Photo(
    "tissue",
    "skimage",
    "data/ihc.png",
    True,
    "stained tissue under a microscope",
    (
        "tissue section under the microscope, glands stained brown and nuclei blue",
        "histology slide with rings of brown cells in a pale matrix",
        "microscope picture of a biopsy, brown membranes around many cells",
        "stained glands of colon tissue with white gaps between them",
        "medical slide, brown and blue dyes on a light ground",
    ),
    (
        ("With which instrument was this picture taken?", "a microscope", "It was taken with a microscope."),
        ("Which colour has the strongest stain?", "brown", "The strongest stain is brown."),
        ("What colour are the cell nuclei?", "blue", "The nuclei are blue."),
        ("Is this a landscape?", "no", "No, it is a tissue section."),
    ),
    (
        Region(
            "round",
            (48, 58, 78, 100),
            ("one round gland with a net of brown lines",),
            (("What shape is the brown structure?", "round", "It is roughly round."),),
        ),
        Region(
            "upper",
            (54, 0, 92, 60),
            ("an elongated gland with a white gap through its middle",),
            (("What colour is the gap?", "white", "The gap in the middle is white."),),
        ),
    ),
    14,
)

_RETINA = Photo(
    "retina",
    "skimage",
    "data/retina.jpg",
    True,
    "the back of an eye",
    (
        "photograph of the back of an eye, red vessels branching from a bright disc",
        "orange red retina with the optic disc at the left and a dark spot in the middle",
        "medical image of a retina, blood vessels like rivers",
        "round fundus picture on black, taken by an eye doctor",
        "inside of an eye with the yellow head of the optic nerve",
    ),
    (
        ("Which organ is shown?", "an eye", "The back of an eye, the retina, is shown."),
        ("What are the branching red lines?", "blood vessels", "They are blood vessels."),
        ("On which side is the bright disc?", "left", "The bright disc is on the left."),
        ("What colour dominates?", "red", "Orange red dominates."),
    ),
    (
        Region(
            "disc",
            (6, 36, 30, 60),
            ("the bright optic disc from which the vessels spread",),
            (("What starts at the bright disc?", "vessels", "Blood vessels start at the disc."),),
        ),
        Region(
            "macula",
            (36, 36, 64, 64),
            ("the dark spot in the centre of a retina with fine vessels around it",),
            (("Is the centre darker or brighter than its surroundings?", "darker", "The centre is darker."),),
        ),
        Region(
            "upper_vessels",
            (16, 4, 70, 34),
            ("two large vessels curve over the upper part of a retina",),
            (("Do the vessels branch?", "yes", "Yes, the vessels branch."),),
        ),
    ),
    14,
)

_BRICK = Photo(
    "brick",
    "skimage",
    "data/brick.png",
    False,
    "brickwork",
    (
        "dark bricks with pale mortar joints, seen in perspective",
        "a paved surface of long bricks, black and white",
        "brick pattern with light lines running away from the viewer",
    ),
    (
        ("What is the surface built of?", "bricks", "It is built of bricks."),
        ("Are the joints lighter or darker than the bricks?", "lighter", "The joints are lighter."),
    ),
    (),
    12,
)

_GRASS = Photo(
    "grass",
    "skimage",
    "data/grass.png",
    False,
    "a meadow from above",
    (
        "blades of grass and small leaves from above, black and white",
        "a lawn with clover, every blade sharp",
        "tangled grass filling the whole frame",
    ),
    (
        ("Which plant covers the ground?", "grass", "Grass covers the ground."),
        ("Is there an animal in it?", "no", "No, there are only plants."),
    ),
    (),
    12,
)

_GRAVEL = Photo(
    "gravel",
    "skimage",
    "data/gravel.png",
    False,
    "grey gravel",
    (
        "a bed of crushed stones, all about the same size",
        "grey gravel from above without any plant",
        "sharp edged pebbles lying close together",
    ),
    (
        ("What is the ground covered with?", "gravel", "It is covered with gravel."),
        ("Are the stones smooth or sharp edged?", "sharp edged", "The stones are sharp edged."),
    ),
    (),
    12,
)

_PAGE = Photo(
    "page",
    "skimage",
    "data/page.png",
    False,
    "a printed page in uneven light",
    (
        "a printed page on image segmentation, one side in shadow",
        "photograph of a book page with the heading Region-based segmentation",
        "unevenly lit text page with a line of program code at the bottom",
    ),
    (
        ("What is the heading of the page?", "Region-based segmentation", "The heading is Region-based segmentation."),
        ("Which objects does the text mention?", "coins", "The text mentions coins and their background."),
        ("Is the page evenly lit?", "no", "No, its left side lies in shadow."),
    ),
    (),
)

SCIENCE = (_MOON, _HUBBLE, _IHC, _RETINA, _BRICK, _GRASS, _GRAVEL, _PAGE)
