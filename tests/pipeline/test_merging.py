"""Conversations about one picture as one: nothing that is asked is lost, and the books say where it went."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from infinity_mm.errors import RecipeError, StageError
from infinity_mm.explain import explain
from infinity_mm.export.validate import validate
from infinity_mm.fs import Location
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.recipe import load_recipe
from infinity_mm.store import Store
from tests.decontam.sets import encoded, noise, scenes
from tests.pipeline.test_kill import kill_during
from tests.running import digest_of, infinity_mm

pytestmark = pytest.mark.usefixtures("shared_ray")
QUIET = RunOptions(quiet=True)
PLACES = ("pier", "street", "temple", "garden")


def talk(*texts: str) -> list[dict[str, str]]:
    roles = ("user", "assistant") * len(texts)
    return [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sources over the same four photographs, and pictures of their own; returns their folder."""
    folder = tmp_path_factory.mktemp("sources")
    photos = scenes(4)
    for name in ("first", "second"):
        (folder / name / "images").mkdir(parents=True)
    rows: dict[str, list[dict[str, object]]] = {"first": [], "second": []}

    def add(source: str, name: str, data: bytes, messages: list[dict[str, str]]) -> None:
        (folder / source / "images" / f"{name}.img").write_bytes(data)
        number = len(rows[source])
        rows[source].append({"id": f"{source}-{number}", "images": [f"{name}.img"], "messages": messages})

    for photo, place in zip(photos, PLACES, strict=True):
        large = photo.resize((260, 260))
        for number in range(3):
            asked = talk(f"<image>\nWhat is number {number} at the {place}?", f"It is {number} of the {place}.")
            add("first", place, encoded(photo, "JPEG", quality=90), asked)
        add(
            "second",
            place,
            encoded(large),
            talk(f"<image>\nWhere is this {place}?", "At the cafÃ©.", "Are you sure?", "Yes."),
        )
        add(
            "second",
            place,
            encoded(large),
            talk(f"<image>\nwhat is number 1 at the {place}", f"it is 1 of the {place}!"),
        )
        add("second", place, encoded(large), talk(f"Look at <image> and name the {place}.", "I cannot."))
    for number in range(5):
        for source in rows:
            add(source, f"own-{number}-{source}", noise(number + 50 * len(source)), talk("<image>\nWhat?", "Noise."))
    for source, lines in rows.items():
        (folder / source / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def recipe(sources: Path, folder: Path, **keys: object) -> Path:
    own = {"family": "chat_messages", "image_root": ["images"], "category": "general"}
    uses = [
        {"name": "first", "root": str(sources / "first"), "priority": 1, "license": "CC-BY-4.0", **own},
        {"name": "second", "root": str(sources / "second"), "priority": 2, "license": "MIT", **own},
    ]
    tree = {
        "name": "merged",
        "partition_rows": 5,
        "sources": uses,
        "filters": [{"use": "structure"}, {"use": "text"}, {"use": "language"}],
        "dedup": {"mode": "image", "merge": True},
        "export": [{"name": "pq", "format": "parquet"}, {"name": "wds", "format": "webdataset"}],
    }
    path = folder / "merged.yaml"
    path.write_text(yaml.safe_dump({**tree, **keys}))
    return path


def go(path: Path, work: Path, *overrides: str, options: RunOptions = QUIET):
    return run(load_recipe(path, overrides), Location.of(work), options)


def read(folder: Path) -> list[dict[str, object]]:
    return [row for path in sorted(folder.rglob("*.parquet")) for row in pq.read_table(path).to_pylist()]


@pytest.fixture(scope="module")
def done(sources: Path, ray_node: str, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("done")
    return folder / "work", go(recipe(sources, folder), folder / "work", options=RunOptions(ray_node, quiet=True))


def test_what_removed_rows_ask_is_in_the_kept_conversation_and_in_the_books(done):
    work, manifest = done
    assert manifest.books["first"].dropped == {"dedup.merged_into_winner": 8}
    assert manifest.books["second"].dropped == {"dedup.merged_into_winner": 8, "dedup.same_image": 4}
    assert {name: book.kept for name, book in manifest.books.items()} == {"first": 9, "second": 5}
    exported = {row["id"]: row for row in read(work / "exports/pq")}
    ledger = {row["id"]: row for row in read(work / "ledger")}
    records = {row["id"]: row for row in read(work / "records")}
    assert exported.keys() == {row["id"] for row in ledger.values() if row["outcome"] == "kept"}
    for row in ledger.values():
        said = exported[row["winner"] or row["id"]]["messages"]
        assert sum(turn["content"].count("<image>") for turn in said) == 1
        if row["reason"] != "same_image":
            texts = " ".join(turn["content"] for turn in said).casefold().replace("?", "")
            asked = records[row["id"]]["messages"][0]["content"].removeprefix("<image>\n").casefold().replace("?", "")
            assert asked in texts
        else:
            assert row["detail"].endswith("; not merged: a picture's mark stands inside the text")
    sizes = Counter(len(row["messages"]) for row in exported.values())
    assert sizes == {2: 10, 10: 4}
    merged = [row for row in exported.values() if len(row["messages"]) == 10]
    assert {row["license"] for row in merged} == {"CC-BY-4.0 AND MIT"}
    assert {row["source"] for row in merged} == {"first"}
    assert [turn["content"] for turn in merged[0]["messages"][6:]][1:] == ["At the café.", "Are you sure?", "Yes."]
    assert not validate(Location.of(work)).errors


def test_explain_and_report_tell_both_sides(done):
    work, _ = done
    ledger = read(work / "ledger")
    loser = next(row for row in ledger if row["reason"] == "merged_into_winner" and row["source"] == "second"
                 and "turns" in row["detail"])  # fmt: skip
    life = explain(Store(Location.of(work)), loser["id"])
    assert (life.ledger["stage"], life.ledger["detail"].split("; ")[1]) == (
        "dedup",
        "turns 7 to 10 of its conversation",
    )
    assert life.winner["id"] == loser["winner"]
    kept = explain(Store(Location.of(work)), loser["winner"])
    assert {"id": loser["id"], "turn": 7} in kept.merged
    assert len(kept.merged) == 4
    assert len(kept.messages) == 10
    told = infinity_mm("explain", work, loser["winner"])
    assert "holds" in told.stdout
    assert loser["id"] in told.stdout
    assert "Are you sure?" in told.stdout
    assert f"merged into {loser['winner']}" in infinity_mm("explain", work, loser["id"]).stdout.replace("  ", " ")
    report = (work / "report/index.html").read_text()
    assert "merged_into_winner" in report
    assert "Are you sure?" in report


def contents(work: Path) -> dict[str, object]:
    """Return all that must not depend on how rows are split into parts."""
    return {
        "export": sorted(read(work / "exports/pq"), key=lambda row: row["id"]),
        "ledger": sorted(read(work / "ledger"), key=lambda row: row["id"]),
    }


@pytest.mark.parametrize("rows", [pytest.param(1, marks=pytest.mark.slow), 1_000])
def test_any_split_into_parts_gives_the_same(sources, done, tmp_path, rows):
    go(recipe(sources, tmp_path), tmp_path / "work", f"partition_rows={rows}")
    assert contents(tmp_path / "work") == contents(done[0])


@pytest.mark.slow
def test_many_ranges_give_the_same(sources, done, tmp_path, monkeypatch):
    from infinity_mm.pipeline import merging

    monkeypatch.setattr(merging, "RANGE_ROWS", 3)
    go(recipe(sources, tmp_path), tmp_path / "work")
    assert len(list((tmp_path / "work/state/merge/verdicts").iterdir())) > 5
    assert contents(tmp_path / "work") == contents(done[0])


def test_lost_parts_are_made_again_with_the_same_bytes(sources, done, tmp_path):
    work = Path(shutil.copytree(done[0], tmp_path / "work"))
    lost = [
        *sorted((work / "attributes/merge/first").iterdir())[:2],
        *sorted((work / "state/merge/facts/second").iterdir())[1:3],
        *sorted((work / "state/merge/additions").iterdir()),
        *sorted((work / "ledger").glob("part-*"))[:3],
    ]
    for path in lost:
        path.unlink()
    manifest = go(recipe(sources, tmp_path), work)
    made = {stage.name: stage.made for stage in manifest.stages}
    assert (made["merge-facts"], made["merge-decide"], made["merge"], made["dedup"]) == (2, 1, 2, 0)
    folders = ("records", "ledger", "exports", "attributes", "state/merge")
    assert digest_of(work, folders) == digest_of(done[0], folders)


def test_a_bound_leaves_rows_removed_and_a_rail_stops_where_that_are_many(sources, done, tmp_path):
    work = Path(shutil.copytree(done[0], tmp_path / "work"))
    path = recipe(sources, tmp_path)
    manifest = go(path, work, "dedup.max_merged_turns=4")
    assert manifest.books["first"].dropped == {"dedup.merged_into_winner": 4, "dedup.same_image": 4}
    assert {stage.name: stage.made for stage in manifest.stages}["dedup"] == 0
    details = [row["detail"] for row in read(work / "ledger") if row["reason"] == "same_image"]
    assert sum("6 turns would be more than dedup.max_merged_turns=4" in detail for detail in details) >= 4
    assert max(len(row["messages"]) for row in read(work / "exports/pq")) == 4
    expected = (
        r"source 'second' would lose 4 of 17 rows that cannot be merged.*max_drop=0\.2.*\n(  \w{32}  same_image.*\n){4}"
    )
    with pytest.raises(StageError, match=expected):
        go(path, work, "dedup.max_drop=0.2")


@pytest.mark.slow
def test_without_merging_nothing_of_it_is_left(sources, done, tmp_path):
    work = Path(shutil.copytree(done[0], tmp_path / "work"))
    manifest = go(recipe(sources, tmp_path, dedup={"mode": "image"}), work)
    assert manifest.books["first"].dropped == {"dedup.same_image": 8}
    assert max(len(row["messages"]) for row in read(work / "exports/pq")) == 2
    assert not list((work / "attributes").glob("merge/*/part-*"))
    assert not list((work / "state").glob("merge/*/part-*"))


def test_only_image_mode_merges(sources, tmp_path):
    path = recipe(sources, tmp_path, dedup={"merge": True})
    with pytest.raises(RecipeError, match="only mode=image looks for; got mode=pair"):
        load_recipe(path)
    told = infinity_mm("run", path, "--work", tmp_path / "work")
    assert told.returncode == 2
    assert "set mode: image" in told.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_while_it_merges_the_same_command_gives_the_same_bytes(sources, done, tmp_path):
    work, path = tmp_path / "work", recipe(sources, tmp_path)
    for trigger in ("state/merge/facts", "state/merge/additions", "attributes/merge"):
        kill_during(path, work, ("driver", trigger))
    assert infinity_mm("run", path, "--work", work).returncode == 0
    folders = ("records", "ledger", "exports", "attributes", "state/merge")
    assert digest_of(work, folders) == digest_of(done[0], folders)
