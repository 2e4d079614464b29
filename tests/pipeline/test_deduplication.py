"""Deduplication in many tasks: the same as one look at all rows, whatever the sizes, and nothing is done twice."""

import random
import tempfile
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm import fs
from infinity_mm.dedup.kernels import forest
from infinity_mm.dedup.kernels.forest import unite_pairs
from infinity_mm.dedup.params import DedupParams
from infinity_mm.engine import Engine
from infinity_mm.errors import StageError
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
            flat = dice.choice((0.1, 0.1, 0.9))
            name = f"{dice.randrange(2)}-{phash}-{std}-{flat}"
            pictures.append(Pic(name, phash, std, flat, thumb=dice.choice((100, 102))))
        category = dice.choice(("general", "general", "caption", "doc_chart_screen", "image_only"))
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


def stored_in(tmp_path, tables: dict[tuple[str, int], pa.Table], leaks: bool = False) -> Stored:
    return Stored.of(Store(Location.of(tmp_path)), tables, leaks)


def one_source(*lines: Line, source: str = "s1", alive: bool = True) -> pa.Table:
    table = table_of(*lines)
    place = table.schema.get_field_index("source")
    table = table.set_column(place, "source", pa.array([source] * len(lines), pa.string()))
    return table.append_column("alive", pa.array([alive] * len(lines), pa.bool_()))


@pytest.mark.parametrize("mode", ["pair", "text", "image"])
@pytest.mark.parametrize("radius", [0, 8])
def test_nothing_to_compare(tmp_path, mode, radius):
    params = DedupParams(mode=mode, radius=radius)
    assert stored_in(tmp_path / "none", {}).run(params, Sizes(), Here()) == {}
    lines = [Line("a", "One?", "x", [Pic("p")]), Line("b", "Two?", "y")]
    for name, table in {
        "empty": one_source(),
        "dead": one_source(*lines, alive=False),
        "apart": one_source(*lines),
    }.items():
        stored = stored_in(tmp_path / name, {("s1", 0): table, ("s2", 3): one_source(source="s2")})
        paths = stored.run(params, Sizes(), Here())
        assert stored.bytes_of(paths) == stored.expected(params)
        assert all(
            stored.store.read(path).column("reason").null_count == stored.store.rows(path) for path in paths.values()
        )


def test_a_caption_meets_by_its_prompt_and_without_it(tmp_path):
    # b agrees with a in all but the prompt, c with a in all but the category: one component, and two reasons for it.
    pictures = [Pic("p", 0)]
    lines = {"a": ("caption", "P"), "b": ("caption", "Q"), "c": ("general", "P")}
    tables = {
        ("s1", number): one_source(Line(name, prompt, "an old house", pictures, category))
        for number, (name, (category, prompt)) in enumerate(lines.items())
    }
    stored = stored_in(tmp_path, tables)
    params = DedupParams(**FREE)
    assert stored.bytes_of(stored.run(params, Sizes(batch_rows=1, unit_bytes=1), Here())) == stored.expected(params)


def test_an_id_that_occurs_twice_is_found_wherever_it_lies(tmp_path):
    tables = {("s1", 0): one_source(Line("a", "One?", "x")), ("s2", 0): one_source(Line("a", "Two?", "y"), source="s2")}
    with pytest.raises(StageError, match="an id occurs twice"):
        stored_in(tmp_path, tables).run(DedupParams(), Sizes(), Here())


def test_rails_are_asked_in_every_run_and_say_what_one_look_would(tmp_path):
    lines = [Line(f"{n:02d}", "Q", "the same", [Pic("p")]) for n in range(12)]
    tables = {("s1", number): one_source(*lines[4 * number : 4 * number + 4]) for number in range(3)}
    stored = stored_in(tmp_path, tables)
    stored.run(DedupParams(**FREE), Sizes(batch_rows=1), Here())
    for rail in ({"max_cluster": 5, "max_drop": 1.0}, {"max_drop": 0.5}):
        params = DedupParams(**rail)
        with pytest.raises(StageError) as expected:
            stored.expected(params)
        engine = Here()
        with pytest.raises(StageError) as found:
            stored.run(params, Sizes(batch_rows=1), engine)
        assert str(found.value) == str(expected.value)
        assert not engine.made


@settings(max_examples=8)
@given(st.randoms(use_true_random=False), st.sampled_from(["pair", "text", "image"]), st.booleans())
def test_a_part_more_or_less_is_as_from_scratch_and_makes_only_its_keys(dice, mode, leaks):
    params = DedupParams(mode=mode, **FREE)
    sizes = Sizes(batch_rows=1, entries=500, unit_bytes=2_000)
    tables = split(dice, made_of(dice, 40), 3, 4)
    some = dict(dice.sample(sorted(tables.items(), key=lambda item: item[0]), len(tables) - 1))
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Location.of(folder))
        before = Stored.of(store, some, leaks)
        before.run(params, sizes, Here())
        grown, engine = Stored.of(store, tables, leaks), Here()
        kept = {path: store.at(path).modified_ns() for path in files_of(store, "state/dedup-keys")}
        assert grown.bytes_of(grown.run(params, sizes, engine)) == grown.expected(params)
        assert engine.count("dedup-keys") == 1
        assert {path: store.at(path).modified_ns() for path in kept} == kept
        shrunk, engine = Stored.of(store, some, leaks), Here()
        assert shrunk.bytes_of(shrunk.run(params, sizes, engine)) == shrunk.expected(params)
        assert engine.count("dedup-keys") == 0
        again = Here()
        shrunk.run(params, sizes, again)
        assert not again.made


def files_of(store: Store, folder: str) -> list[str]:
    return [f"{folder}/{name}" for name in store.at(folder).files(recursive=True)]


def test_what_no_new_row_touches_is_neither_decided_again_nor_written_again(tmp_path):
    near = " ".join(WORDS[:60])
    lines = {
        n: [Line(f"{n}{m}", f"Q{n}", near.replace("word9 ", f"w{n} "), priority=n) for m in range(3)] for n in range(6)
    }
    tables = {(f"s{n}", 0): one_source(*own, source=f"s{n}") for n, own in lines.items()}
    params, sizes = DedupParams(**FREE), Sizes(batch_rows=1)
    first = Stored.of(Store(Location.of(tmp_path)), {key: table for key, table in tables.items() if key[0] != "s3"})
    old = first.run(params, sizes, Here())
    engine = Here()
    grown = Stored.of(first.store, tables)
    new = grown.run(params, sizes, engine)
    assert grown.bytes_of(new) == grown.expected(params)
    assert (engine.count("dedup-settle"), engine.count("dedup-gather"), engine.count("dedup")) == (1, 1, 1)
    assert {part: path for part, path in new.items() if part in old} == old


def test_a_change_of_priorities_or_limits_makes_no_keys(tmp_path):
    lines = [Line("a", "Q", "the same"), Line("b", "Q", "the same")]
    tables = {
        ("s1", 0): one_source(replace(lines[0], priority=1)),
        ("s2", 0): one_source(replace(lines[1], priority=2), source="s2"),
    }
    stored = stored_in(tmp_path, tables)
    params = DedupParams(**FREE)
    stored.run(params, Sizes(), Here())
    turned = Stored(
        stored.store,
        {
            part: table.set_column(
                table.schema.get_field_index("priority"),
                "priority",
                pa.array([3 - part.source.count("2") * 2], pa.int32()),
            )
            for part, table in stored.tables.items()
        },
    )
    engine = Here()
    assert turned.bytes_of(turned.run(params, Sizes(), engine)) == turned.expected(params)
    assert {name for name, _ in engine.made} == {"dedup-gather", "dedup-settle", "dedup"}


def test_switched_off_it_leaves_nothing(tmp_path):
    stored = stored_in(tmp_path, {("s1", 0): one_source(Line("a"), Line("b"))})
    stored.run(DedupParams(**FREE), Sizes(), Here())
    assert not stored.store.at("state/dedup-gather").exists()
    assert stored.run(DedupParams(mode="off"), Sizes(), Here()) == {}
    assert not [name for name in stored.store.at("state").folders() if name.startswith("dedup")]


def compiled_here(pairs: int) -> tuple[int, int]:
    """Return how often code of `unite_pairs` was loaded from the disk, and how often compiled, in this process."""
    unite_pairs(np.arange(pairs), np.arange(pairs), np.arange(pairs))
    stats = forest._unite_pairs.stats
    return sum(stats.cache_hits.values()), sum(stats.cache_misses.values())


def test_a_worker_loads_compiled_code(shared_ray):
    compiled_here(1)  # for there to be some
    with Engine() as engine:
        assert [found for _, found in engine.map("compiled", compiled_here, [1])] == [(1, 0)]
