"""What two runs made of the same rows: every row is compared once, in one range of ids or in many."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm import diff as differing
from infinity_mm.cli.diff import diff as command
from infinity_mm.diff import CHANGED, diff
from infinity_mm.diff import settings as settings_of
from infinity_mm.errors import UsageError
from infinity_mm.fs import Location
from infinity_mm.ledger import LEDGER
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.recipe import load_recipe
from infinity_mm.store import Store
from tests.inline import InlineEngine
from tests.sources.own.making import lines

NAMES = [f"{number:032x}" for number in (0, 1, 1 << 112, 5 << 124, 7 << 124, 15 << 124, (16 << 124) - 1)]
ENDS = [("kept", None, None), ("dropped", "dedup", "exact_pair"), ("dropped", "text", "too_short"), None]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of four rows, two of them equal, one short; and the same with other thresholds and a row more."""
    folder = tmp_path_factory.mktemp("runs")
    texts = ["Why is it so?", "Why is it so?", "Hm?", "How many of them are there?"]
    rows = [{"question": text, "answer": "Because." if number < 2 else "No."} for number, text in enumerate(texts)]
    lines(folder / "data/a.jsonl", *rows)

    def go(name, **keys):
        tree = {
            "name": name,
            "sources": [{"name": "mine", "root": "data", "family": "text_only"}],
            "filters": [{"use": "text", "with": {"min_chars": 8, "max_drop": 1.0}}],
            "dedup": {"mode": "pair", "max_drop": 1.0},
            "export": [{"name": "pq", "format": "parquet"}],
        }
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(tree | keys))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("infinity_mm.pipeline.run.Engine", InlineEngine)
            run(load_recipe(folder / f"{name}.yaml"), Location.of(folder / name), RunOptions(quiet=True))
        return folder / name

    first = go("first")
    lines(folder / "data/b.jsonl", {"question": "Is this one new?", "answer": "It is."})
    return first, go(
        "second", dedup={"mode": "off"}, filters=[{"use": "text", "with": {"min_chars": 2, "max_drop": 1.0}}]
    )


def test_rows_that_ended_differently_are_counted_shown_and_written(finished, tmp_path):
    first, second = finished
    out = Location.of(tmp_path / "changed.parquet")
    found = diff(Store(Location.of(first)), Store(Location.of(second)), out=out)
    kinds = {(str(change.a), str(change.b)): change.rows for change in found.changes}
    assert kinds == {
        ("no such row", "kept"): 1,
        ("dropped dedup.exact_text", "kept"): 1,
        ("dropped text.too_short", "kept"): 1,
    }
    assert (found.rows_a, found.rows_b, found.same) == (4, 5, 2)
    (short,) = next(change.examples for change in found.changes if change.a.stage == "text")
    assert short.source_ref == "a.jsonl#line=3"
    assert (short.detail_a, short.detail_b) == ("chars=6 < min_chars=8", None)
    (double,) = next(change.examples for change in found.changes if change.a.stage == "dedup")
    assert double.winner_a is not None
    assert (double.winner_b, double.detail_a) == (None, "jaccard=1.000")
    told = {one.key: (one.a, one.b) for one in found.recipe}
    assert told["filters.text.with.min_chars"] == (8, 2)
    assert told["dedup.mode"] == ("pair", "off")
    assert "seed" not in told
    assert [one.key for one in found.made_with] == ["inputs.mine.b.jsonl"]
    table = pq.read_table(out.path)
    assert table.schema == CHANGED
    assert sorted(table.column("reason_a").to_pylist(), key=str) == [None, "exact_text", "too_short"]


def test_a_run_does_not_differ_from_itself_and_sides_can_be_swapped(finished):
    first, second = (Store(Location.of(work)) for work in finished)
    alone = diff(first, first)
    assert (alone.same, alone.changes, alone.recipe, alone.made_with) == (4, (), (), ())
    there, back = diff(first, second), diff(second, first)
    assert sorted((str(c.a), str(c.b), c.rows) for c in there.changes) == sorted(
        (str(c.b), str(c.a), c.rows) for c in back.changes
    )


def test_the_command_tells_people_and_scripts(finished, tmp_path):
    first, second = map(str, finished)
    shown = CliRunner().invoke(command, [first, second, "--out", str(tmp_path / "c.parquet")])
    assert shown.exit_code == 0, shown.output
    for words in (
        "2 rows ended alike, 3 did not; 4 rows in A, 5 in B",
        "dedup.mode: pair -> off",
        "mine: dropped text.too_short -> kept",
        "a.jsonl#line=3  A: chars=6 < min_chars=8",
        "made with:",
        f"changed rows: {tmp_path}/c.parquet",
    ):
        assert words in shown.output
    tree = json.loads(CliRunner().invoke(command, [first, second, "--json", "--examples", "0"]).output)
    assert (tree["same"], [change["examples"] for change in tree["changes"]]) == (2, [[], [], []])
    alike = CliRunner().invoke(command, [first, first])
    assert "4 rows ended alike, 0 did not" in alike.output
    assert "recipe: the same" in alike.output


def test_what_is_no_finished_run_is_told(finished, tmp_path):
    with pytest.raises(UsageError, match=r"has no manifest\.json: it is no finished run"):
        diff(Store(Location.of(finished[0])), Store(Location.of(tmp_path)))


@settings(max_examples=60, deadline=None)
@given(
    rows=st.dictionaries(st.sampled_from(NAMES), st.tuples(st.sampled_from(ENDS), st.sampled_from(ENDS))),
    at_once=st.integers(1, 8),
    examples=st.integers(0, 3),
)
def test_ranges_of_ids_give_what_one_look_gives(rows, at_once, examples, tmp_path_factory, finished):
    folder = tmp_path_factory.mktemp("ledgers")
    stores = []
    for side in (0, 1):
        store = Store(Location.of(folder / str(side)))
        here = [(name, ends[side]) for name, ends in rows.items() if ends[side] is not None]
        for number in (0, 1):
            part = [
                {
                    "id": name,
                    "source": "s",
                    "source_ref": name,
                    **dict(zip(("outcome", "stage", "reason"), end, strict=True)),
                }
                for name, end in here[number::2]
            ]
            store.write(f"ledger/part-s-0000{number}-0.parquet", pa.Table.from_pylist(part, schema=LEDGER))
        store.at("manifest.json").write_bytes((finished[0] / "manifest.json").read_bytes())
        stores.append(store)
    whole = diff(*stores, examples=examples)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(differing, "RANGE_ROWS", at_once)
        assert diff(*stores, examples=examples) == whole
    expected = {name: ends for name, ends in rows.items() if ends[0] != ends[1]}
    assert sum(change.rows for change in whole.changes) == len(expected)
    assert whole.same == sum(1 for one, other in rows.values() if one == other and one is not None)
    for change in whole.changes:
        assert len(change.examples) == min(examples, change.rows)
        assert [one.id for one in change.examples] == sorted(one.id for one in change.examples)
        for one in change.examples:
            a, b = expected[one.id]
            assert (change.a.outcome, change.b.outcome) == (a and a[0], b and b[0])


def test_settings_are_named_by_their_places():
    first = {"sources": [{"name": "x", "limit": 3}], "dedup": {"mode": "pair"}, "seed": 1, "tags": ["a"]}
    second = {
        "sources": [{"name": "x", "limit": 4}, {"name": "y", "limit": None}],
        "dedup": {},
        "seed": 1,
        "tags": ["b"],
    }
    assert [(one.key, one.a, one.b) for one in settings_of(first, second)] == [
        ("dedup.mode", "pair", None),
        ("sources.x.limit", 3, 4),
        ("sources.y.name", None, "y"),
        ("tags", ["a"], ["b"]),
    ]
