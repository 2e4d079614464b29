"""When pictures are the same: on made rows for every rule, and on real photographs for the default limits."""

import io
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from infinity_mm.dedup.params import DedupParams
from infinity_mm.dedup.pictures import pictures_of, same_pictures
from infinity_mm.errors import StageError
from infinity_mm.images import ImageFacts, ImageLimits, measure_image

from .rows import Line, Pic, table_of

CHART = "doc_chart_screen"
PHOTO = Pic("p")
PHOTOGRAPHS = ("astronaut", "camera", "cell", "chelsea", "coffee", "coins", "grass", "gravel", "ihc", "moon")


def compared(one: list[Pic], other: list[Pic], categories: tuple[str, str] = ("general", "general")) -> int | None:
    """Return the Hamming distance of two rows, None where they are not the same."""
    lines = (Line("a", pictures=one, category=categories[0]), Line("b", pictures=other, category=categories[1]))
    table = table_of(*lines)
    pictures = pictures_of(table, DedupParams())
    if pictures.of.size[0] != pictures.of.size[1]:
        assert pictures.frame[0] != pictures.frame[1]  # or they would be proposed
        return None
    same, hamming = same_pictures(pictures, np.array([0]), np.array([1]), DedupParams())
    if same[0] and pictures.all_pixels[0] != pictures.all_pixels[1]:
        assert pictures.frame[0] == pictures.frame[1]  # else the pair would never be proposed
    return int(hamming[0]) if same[0] else None


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([PHOTO], [PHOTO], 0),
        ([PHOTO], [Pic("q", PHOTO.phash ^ 0b111, thumb=103)], 3),
        ([PHOTO], [Pic("q", PHOTO.phash ^ 0x1FF)], None),  # 9 bits
        ([PHOTO], [Pic("q", thumb=105)], None),  # mean difference 5
        ([PHOTO], [Pic("q", thumb=bytes([100] * 255 + [141]))], None),  # one cell differs by 41
        ([PHOTO], [Pic("q", size=(106, 80))], None),  # aspect ratios 6 % apart
        ([PHOTO], [Pic("q", size=(51, 40))], 0),  # half the size, rounded
        ([Pic("p", std=1.0)], [Pic("q", std=1.0)], None),  # blank: their hashes say nothing
        ([Pic("p", std=1.0)], [Pic("p", std=1.0)], 0),
        ([PHOTO], [Pic("q", flat=0.5)], None),  # a chart, whatever its category
        ([Pic("p", flat=0.9)], [Pic("p", flat=0.9)], 0),
        ([PHOTO, Pic("a")], [PHOTO], None),
        ([PHOTO, Pic("a")], [Pic("a"), PHOTO], 0),  # alike at both places
        ([PHOTO, Pic("a", 0)], [Pic("a", 0), PHOTO], None),  # the order matters
        ([Pic("b", std=0.0), PHOTO], [Pic("b", std=0.0), Pic("q", PHOTO.phash ^ 1)], 1),
        ([Pic("b", std=0.0), PHOTO], [Pic("c", std=0.0), PHOTO], None),
    ],
)
def test_rules(one, other, expected):
    assert compared(one, other) == expected
    assert compared(other, one) == expected


@pytest.mark.parametrize("categories", [(CHART, "general"), ("general", CHART), (CHART, CHART)])
def test_charts_and_pages_are_the_same_by_equal_pixels_only(categories):
    assert compared([PHOTO], [Pic("q")], categories) is None
    assert compared([PHOTO], [PHOTO], categories) == 0


def test_a_thumbnail_of_another_size_is_an_error_of_the_store():
    with pytest.raises(StageError, match=r"a thumbnail is 256 bytes.*ingest the source again"):
        pictures_of(table_of(Line("a", pictures=[Pic("p", thumb=b"short")])), DedupParams())


def test_columns_may_come_in_slices_and_chunks():
    rows = [Line(str(n), pictures=[Pic(f"{n}-{k}", n * 8 + k, thumb=n + k) for k in range(n % 3)]) for n in range(9)]
    whole = table_of(*rows)
    pieces = pa.concat_tables([table_of(*rows[:4]).slice(0, 1), whole.slice(1, 4), whole.slice(5)])
    one, other = (pictures_of(table, DedupParams()) for table in (whole, pieces))
    assert (one.thumb == other.thumb).all()
    assert (one.phash == other.phash).all()
    assert (one.all_pixels == other.all_pixels).all()
    assert (one.of.first == other.of.first).all()


def scenes() -> list[Image.Image]:
    """Return photographs and overlapping crops of them."""
    folder = Path(pytest.importorskip("skimage").__file__).parent / "data"
    found: list[Image.Image] = []
    rng = np.random.default_rng(0)
    for name in PHOTOGRAPHS:
        with Image.open(folder / f"{name}.png") as image:
            whole = image.convert("RGB")
        whole.thumbnail((480, 480))
        found.append(whole)
        for _ in range(3):
            width, height = (int(side * rng.uniform(0.35, 0.6)) for side in whole.size)
            left, top = rng.integers(0, whole.width - width), rng.integers(0, whole.height - height)
            found.append(whole.crop((left, top, left + width, top + height)))
    return found


def facts(image: Image.Image, **options: object) -> ImageFacts:
    data = io.BytesIO()
    image.save(data, **({"format": "PNG", "compress_level": 1} | options))
    measured = measure_image(data.getvalue(), ImageLimits())
    assert isinstance(measured, ImageFacts)
    return measured


def same(pictures: list[ImageFacts], pairs: list[tuple[int, int]]) -> np.ndarray:
    lines = [
        Line(str(n), pictures=[Pic(f.pixel_sha256, f.phash, f.luma_std, f.flat, f.thumb, (f.width, f.height))])
        for n, f in enumerate(pictures)
    ]
    left, right = np.array(pairs, np.int64).T
    return same_pictures(pictures_of(table_of(*lines), DedupParams()), left, right, DedupParams())[0]


def test_photographs_encoded_again_and_resized_are_the_same_and_others_are_not():
    originals = scenes()
    copies, pairs = [facts(image) for image in originals], []
    for number, image in enumerate(originals):
        for quality, scale in ((30, 1.0), (95, 1.0), (75, 0.4), (50, 0.7)):
            size = (round(image.width * scale), round(image.height * scale))
            small = image.resize(size, Image.Resampling.BILINEAR)
            pairs.append((number, len(copies)))
            copies.append(facts(small, format="JPEG", quality=quality))
    assert same(copies, pairs).mean() >= 0.98  # two crops of a plain wall are taken for drawings once compressed
    assert same(copies, list(combinations(range(len(originals)), 2))).sum() == 0
