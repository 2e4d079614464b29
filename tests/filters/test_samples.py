"""False positives: the default text, language and image filters over real published rows and pictures."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from infinity_mm.filters import image, language, text
from infinity_mm.images import ImageFacts, ImageLimits, measure_image
from tests.filters.rows import ingested, picture, table, verdicts
from tests.filters.sample_rows import SAMPLES, sample_rows

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="no ../shared/samples")


@cache
def rows() -> dict[str, list[dict[str, Any]]]:
    return sample_rows()


def dropped(module: Any) -> list[tuple[str, str, str]]:
    """Return (folder, reason, last turn) of every row that the filter drops by default."""
    return [
        (folder, verdict.reason, row["messages"][-1]["content"])
        for folder, records in rows().items()
        for row, verdict in zip(records, verdicts(module, table(*records)), strict=True)
        if verdict
    ]


def test_the_samples_are_there() -> None:
    assert len(rows()) >= 25
    assert sum(map(len, rows().values())) > 4_000


def test_the_text_filter_drops_no_real_row() -> None:
    assert dropped(text) == []


def test_the_language_filter_drops_one_headline_which_is_french() -> None:
    [(folder, reason, caption)] = dropped(language)
    assert (folder, reason) == ("laion", "language_not_allowed")
    assert caption.startswith("NBA Draft 2019 : un enfant de Guinée")


def test_real_pictures_decode_and_only_the_thin_figure_is_dropped() -> None:
    paths = sorted(p for p in SAMPLES.rglob("*") if p.suffix.lower() in (".png", ".jpg", ".jpeg"))
    facts = [measure_image(path.read_bytes(), ImageLimits()) for path in paths]
    assert all(isinstance(fact, ImageFacts) for fact in facts)
    given = ingested(*([picture(**{name: getattr(f, name) for name in picture()})] for f in facts))
    found = [
        (p.parent.parent.name, v.reason, v.detail) for p, v in zip(paths, verdicts(image, given), strict=True) if v
    ]
    assert found == [("geoqa_plus", "side_too_small", "image=0 side=19 < min_side=28")]
