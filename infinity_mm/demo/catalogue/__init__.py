"""What the photographs shipped inside scikit-image, scikit-learn and matplotlib show.

Written by looking at them; boxes are percentages of width and height: left, top, right, bottom.
"""

from infinity_mm.demo.catalogue.entry import Photo, Region
from infinity_mm.demo.catalogue.people import PEOPLE
from infinity_mm.demo.catalogue.science import SCIENCE
from infinity_mm.demo.catalogue.things import THINGS

PHOTOS: tuple[Photo, ...] = (*PEOPLE, *THINGS, *SCIENCE)

__all__ = ["PHOTOS", "Photo", "Region"]
