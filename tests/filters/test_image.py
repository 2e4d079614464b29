"""Pictures: the first fault of the first picture at fault, from ingest attributes alone."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw

from infinity_mm.filters import image
from infinity_mm.images import ImageFacts, ImageLimits, measure_image
from tests.filters.rows import ingested, picture, reasons, verdicts


def test_rows_without_pictures_pass() -> None:
    assert reasons(image, ingested([], [picture()], [])) == [None, None, None]
    assert reasons(image, ingested()) == []


def test_one_picture_at_fault_drops_its_row_and_no_other() -> None:
    given = ingested([picture(), picture(height=19)], [], [picture()], [picture(frames=3)])
    found = verdicts(image, given)
    assert [v and (v.reason, v.detail) for v in found] == [
        ("side_too_small", "image=1 side=19 < min_side=28"),
        None,
        None,
        ("animated", "image=0 frames=3 > max_frames=1"),
    ]


def test_the_first_picture_decides_and_then_the_order_of_reasons() -> None:
    given = ingested([picture(luma_std=0.0, mode="LAB"), picture(height=2)])
    [verdict] = verdicts(image, given)
    assert verdict is not None
    assert (verdict.reason, verdict.detail) == ("mode_not_allowed", "image=0 mode=LAB")


def test_a_part_of_a_larger_table_is_judged_alike() -> None:
    whole = ingested([picture(height=2)], [picture(), picture(frames=9)], [], [picture(width=1)], [picture()])
    assert verdicts(image, whole.slice(1, 3)) == verdicts(image, whole)[1:4]


def test_thresholds_change_without_new_measurements() -> None:
    given = ingested([picture(frames=2)], [picture(width=27)])
    assert reasons(image, given, image.Params(max_frames=2, min_side=20)) == [None, None]


def luma_std(made: Image.Image) -> float:
    buffer = io.BytesIO()
    made.save(buffer, "PNG")
    facts = measure_image(buffer.getvalue(), ImageLimits())
    assert isinstance(facts, ImageFacts)
    return facts.luma_std


def test_the_default_contrast_separates_blanks_from_thin_drawings() -> None:
    limit = image.Params().min_luma_std
    blank = Image.new("RGB", (600, 400), (250, 250, 250))
    noisy = Image.fromarray(np.random.default_rng(0).integers(249, 252, (400, 600), dtype=np.uint8))
    assert luma_std(blank) < limit
    assert luma_std(noisy) < limit
    drawing = blank.copy()
    ImageDraw.Draw(drawing).line((100, 100, 500, 300), fill="black")
    dark = Image.fromarray(np.random.default_rng(0).integers(0, 9, (400, 600), dtype=np.uint8))
    assert luma_std(drawing) > 3 * limit
    assert luma_std(dark) > limit
