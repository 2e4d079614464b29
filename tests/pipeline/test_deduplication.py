"""Deduplication in many tasks: the same as one look at all rows, whatever the sizes, and nothing is done twice."""

import random
import tempfile
from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm import fs
from infinity_mm.dedup.params import DedupParams
from infinity_mm.fs import Location
from infinity_mm.pipeline.deduplication import Sizes
from infinity_mm.store import Store
from tests.dedup.rows import WORDS, Line, Pic, table_of
from tests.stored import Here, Stored

#: Never stops.
FREE = {"max_drop": 1.0, "max_cluster": 1_000_000}


def made_of(dice: random.Random, count: int) -> list[Line]:
    """Return rows of all kinds that are often linked to each other, some by chains."""
    lines = []
    for n in range(count):
        words = list(WORDS[: dice.choice((0, 2, 30, 60))])
        for place in dice.sample(range(len(words)), min(len(words), dice.choice((0, 0, 1, 3, 8)))):
            words[place] = dice.choice("uvw")
        pictures = []
        for _ in range(dice.choice((0, 0, 1, 1, 2, 3))):
            phash = (1 << dice.choice((0, 4, 8, 12, 16, 20, 24))) - 1
            std = dice.choice((0.0, 50.0, 50.0, 50.0))
            pictures.append(Pic(f"{dice.randrange(2)}-{phash}-{std}", phash, std, thumb=dice.choice((100, 102))))
        category = dice.choice(("general", "general", "caption", "doc_chart_screen"))
        prompt = dice.choice(("Q", "R", "", " ".join(WORDS[100:130]), " ".join(WORDS[101:131])))
        lines.append(Line(f"{n:03d}", prompt, " ".join(words), pictures, category))
    return lines


def split(dice: random.Random, lines: list[Line], sources: int, most: int) -> dict[tuple[str, int], pa.Table]:
    """Deal the rows to parts of sources of their own priorities; some rows are dead, some parts empty."""
    places = [(f"s{dice.randrange(sources)}", dice.randrange(most)) for _ in lines]
    priorities = {f"s{n}": dice.randrange(3) for n in range(sources)}
    tables = {}
    for source, number in sorted({*places, ("s0", most)}):
        own = [
            replace(line, priority=priorities[source])
            for line, place in zip(lines, places, strict=True)
            if place == (source, number)
        ]
        table = table_of(*own)
        table = table.set_column(
            table.schema.get_field_index("source"), "source", pa.array([source] * len(own), pa.string())
        )
        tables[source, number] = table.append_column("alive", pa.array([dice.random() < 0.9 for _ in own], pa.bool_()))
    return tables


@pytest.fixture(scope="module", autouse=True)
def _no_power_cut() -> Iterator[None]:
    """Leave it to the system when files reach the disk: thousands of small ones are written here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fs, "_flush", lambda path: None)
        yield


@settings(max_examples=25)
@given(
    st.randoms(use_true_random=False),
    st.sampled_from(["pair", "text", "image"]),
    st.sampled_from([0, 4, 8]),
    st.integers(1, 4),
    st.integers(1, 6),
    st.sampled_from([200, 500, 1 << 22]),
    st.sampled_from([1, 2_000, 64 << 20]),
)
def test_many_tasks_give_the_bytes_of_one(dice, mode, radius, sources, most, entries, unit_bytes):
    params = DedupParams(mode=mode, radius=radius, **FREE)
    tables = split(dice, made_of(dice, 40), sources, most)
    with tempfile.TemporaryDirectory() as folder:
        stored = Stored.of(Store(Location.of(folder)), tables, leaks=dice.random() < 0.5)
        sizes = Sizes(batch_rows=dice.choice((1, 2, 100)), entries=entries, unit_bytes=unit_bytes)
        paths = stored.run(params, sizes, Here())
        assert stored.bytes_of(paths) == stored.expected(params)
