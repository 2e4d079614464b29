"""Scenes from real photographs: the whole picture, its named regions, and parts cut anywhere."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path

from PIL import Image

from infinity_mm.demo.catalogue import PHOTOS, Photo
from infinity_mm.demo.catalogue.entry import Known
from infinity_mm.demo.draft import Ask, Picture, Scene, dice, distance, encode, hash_of
from infinity_mm.demo.guard import ALIKE_BITS
from infinity_mm.errors import UsageError

_DISTRIBUTIONS = {"skimage": "scikit-image", "sklearn": "scikit-learn", "matplotlib": "matplotlib"}

#: Flatter parts than this (standard deviation of the luma) are not cut: they show nothing.
_MIN_STD = 10.0

_PLACES = (("upper", "middle", "lower"), ("left", "central", "right"))


def package_folder(package: str) -> Path:
    """Return the folder of an installed package without importing it.

    Raises `UsageError` where the package is absent, naming the extra that brings it.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        name = _DISTRIBUTIONS.get(package, package)
        raise UsageError(f"the demo takes photographs and fonts from {name}, which is not installed: "
                         f"pip install 'infinity-mm[demo]'")  # fmt: skip
    return Path(spec.origin).parent


def load(photo: Photo) -> Image.Image:
    """Return the photograph, mode L or RGB. Raises `UsageError` where the package no longer ships it."""
    path = package_folder(photo.package) / photo.file
    if not path.is_file():
        name = _DISTRIBUTIONS[photo.package]
        raise UsageError(f"{name} no longer ships {photo.file}; expected {path}. Install the locked version.")
    with Image.open(path) as image:
        return image.convert("RGB" if photo.colour else "L")


def photo_scenes(seed: int) -> list[Scene]:
    """Return a scene per photograph, named region and detail.

    Every picture differs from every other by more than `ALIKE_BITS` bits of pHash: none is a copy of
    another to a deduplication that looks for copies.
    """
    scenes: list[Scene] = []
    taken: list[int] = []
    for photo in PHOTOS:
        image = load(photo)
        rng = dice(seed, "photo", photo.name)
        for scene in (_whole(photo, image, rng), *_regions(photo, image, rng), *_details(photo, image, rng, taken)):
            value = scene.picture.phash
            if value is not None and all(distance(value, other) > ALIKE_BITS for other in taken):
                scenes.append(scene)
                taken.append(value)
    return scenes


def _sized(image: Image.Image, rng: random.Random, longest: tuple[int, int]) -> Image.Image:
    """Resize so that the longer side is within `longest` pixels and the shorter at least 120."""
    side = rng.randint(*longest)
    scale = max(side / max(image.size), 120 / min(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS)


def _asks(known: tuple[Known, ...], colour: bool, rng: random.Random) -> tuple[Ask, ...]:
    """Return the catalogue's questions and one about colour, in several phrasings."""
    phrase = rng.choice(
        (
            "Is this photograph in colour or in black and white?",
            "Was this picture taken in colour or in shades of grey?",
            "Colour or black and white: which one is this picture?",
        )
    )
    answer = Ask(phrase, "colour", "The photograph is in colour.")
    if not colour:
        answer = Ask(phrase, "black and white", "The photograph is in black and white, in shades of grey only.")
    return (*(Ask(*entry) for entry in known), answer)


def _whole(photo: Photo, image: Image.Image, rng: random.Random) -> Scene:
    sized = _sized(image, rng, (420, 640))
    picture = encode(sized, photo.name, quality=rng.randint(82, 92))
    return Scene("photo", picture, photo.captions, _asks(photo.asks, photo.colour, rng), photo.name)


def _regions(photo: Photo, image: Image.Image, rng: random.Random) -> list[Scene]:
    scenes = []
    for region in photo.regions:
        left, top, right, bottom = region.box
        w, h = image.size
        part = image.crop((w * left // 100, h * top // 100, w * right // 100, h * bottom // 100))
        picture = encode(_sized(part, rng, (240, 480)), f"{photo.name}_{region.name}", quality=rng.randint(80, 92))
        captions = (*region.captions, f"part of a photograph of {photo.subject}")
        scenes.append(Scene("photo", picture, captions, _asks(region.asks, photo.colour, rng), photo.name))
    return scenes


def _details(photo: Photo, image: Image.Image, rng: random.Random, taken: list[int]) -> list[Scene]:
    """Cut `photo.details` squares that resemble neither each other nor anything in `taken`."""
    scenes: list[Scene] = []
    mine = list(taken)
    for attempt in range(photo.details * 12):
        if len(scenes) == photo.details:
            break
        side = int(min(image.size) * rng.uniform(0.22, 0.4))
        left, top = rng.randint(0, image.width - side), rng.randint(0, image.height - side)
        part = image.crop((left, top, left + side, top + side))
        sized = _sized(part, rng, (220, 380))
        value = hash_of(sized)
        if _std(part) < _MIN_STD or any(distance(value, other) <= ALIKE_BITS + 2 for other in mine):
            continue
        mine.append(value)
        rows, columns = _PLACES
        centre = ((top + side / 2) / image.height, (left + side / 2) / image.width)
        place = f"{rows[int(centre[0] * 3)]} {columns[int(centre[1] * 3)]}"
        picture = encode(sized, f"{photo.name}_detail{attempt}", quality=rng.randint(80, 90))
        scenes.append(_detail_scene(photo, picture, place, rng))
    return scenes


def _detail_scene(photo: Photo, picture: Picture, place: str, rng: random.Random) -> Scene:
    captions = (
        f"a close detail of {photo.subject}, cut from the {place} part of a photograph",
        f"{photo.subject}, the {place} area at higher magnification",
        f"nothing but {photo.subject}, seen in a small square section",
    )
    known = (
        (
            rng.choice(
                ("What does this detail show?", "What is this a detail of?", "What can be seen in this cut-out?")
            ),
            photo.subject,
            f"It shows {photo.subject}, a section of a larger photograph.",
        ),
        *photo.asks[:1],
    )
    return Scene("photo", picture, captions, _asks(known, photo.colour, rng), photo.name)


def _std(image: Image.Image) -> float:
    """Standard deviation of the luma, 0 to 127.5."""
    counts = image.convert("L").histogram()
    total = sum(counts)
    mean = sum(value * n for value, n in enumerate(counts)) / total
    variance = sum(n * (value - mean) ** 2 for value, n in enumerate(counts)) / total
    return float(variance**0.5)
