"""Options of sources in whole runs: questions grouped by picture, every row in the books, the same for any workers."""

import json

import pyarrow.parquet as pq
import pytest

from infinity_mm.fs import Location
from infinity_mm.pipeline.ingest import make_tasks
from infinity_mm.pipeline.ingest_only import ingest_only
from infinity_mm.pipeline.run import RunOptions
from infinity_mm.recipe import SourceUse
from tests.pipeline.conftest import picture
from tests.running import digest_of, infinity_mm

pytestmark = pytest.mark.usefixtures("shared_ray")


def write_vqa(root, questions):
    """Write a VQA set of (question id, image id, answers or None); picture 2n is picture 2n+1, 9 is missing, question 50 is nobody's."""
    root.mkdir()
    asked = [{"question_id": key, "image_id": image, "question": f"q{key % 100}"} for key, image, _ in questions]
    given = [(key, answers) for key, _, answers in questions if answers is not None] + [(50, ["a"])]
    annotations = [{"question_id": key, "answers": [{"answer": one} for one in answers]} for key, answers in given]
    tree = {"data_subtype": "train2014", "questions": asked}
    (root / "v2_OpenEnded_mscoco_train2014_questions.json").write_text(json.dumps(tree))
    (root / "v2_mscoco_train2014_annotations.json").write_text(json.dumps({"annotations": annotations}))
    content = {image // 2: picture(image) for _, image, _ in questions}
    for image in {image for _, image, _ in questions} - {9}:
        (root / f"COCO_train2014_{image:012d}.jpg").write_bytes(content[image // 2])
    return str(root)


QUESTIONS = [
    (1, 3, ["a"]), (2, 4, ["b"]), (3, 3, ["c"]), (4, 9, ["d"]), (5, 3, None), (6, 9, ["e"]), (7, 4, []), (8, 5, ["f"]),
]  # fmt: skip


def ingest(root, work, workers=1, limit=None, **options):
    use = SourceUse(name="vqav2", root=root, options=options, max_quarantined=1.0, limit=limit)
    return ingest_only(use, Location.of(work), RunOptions(workers=workers, quiet=True))


def rows(work, folder):
    return [row for path in sorted((work / folder).rglob("*.parquet")) for row in pq.read_table(path).to_pylist()]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The same set ingested question by question, and picture by picture."""
    folder = tmp_path_factory.mktemp("options")
    root = write_vqa(folder / "root", QUESTIONS)
    books = {}
    for name, options in (("apart", {}), ("together", {"group_by_image": True})):
        books[name] = ingest(root, folder / name, **options).books["vqav2"]
    return folder, books


def test_every_question_is_in_the_books_once_and_says_where_it_went(done):
    folder, books = done
    assert (books["apart"].rows, books["apart"].kept) == (9, 4)
    together = books["together"]
    assert (together.rows, together.kept, together.dropped) == (9, 3, {"ingest.joined_conversation": 1})
    assert together.quarantined == {
        "ingest.missing_field": 1,
        "ingest.missing_image": 2,
        "ingest.unjoined_annotation": 2,
    }
    ledger = rows(folder / "together", "ledger")
    joined = next(row for row in ledger if row["reason"] == "joined_conversation")
    records = {row["source_id"]: row for row in rows(folder / "together", "records")}
    assert sorted(records) == ["1", "2", "8"]
    assert joined["winner"] == records["1"]["id"]
    assert joined["detail"] == "turn=2 of the conversation about the same picture"
    assert joined["source_ref"].endswith("questions.json#item=2")
    texts = [message["content"] for message in records["1"]["messages"]]
    assert texts == ["<image>\nq1\nAnswer the question using a single word or phrase.", "a", "q3", "c"]
    assert [one["id"] for one in json.loads(records["1"]["extra"])["questions"]] == ["1", "3"]


def test_a_row_has_the_same_id_grouped_or_not(done):
    folder, _ = done
    apart, together = (
        {(row["id"], row["source_ref"]) for row in rows(folder / w, "ledger")} for w in ("apart", "together")
    )
    assert apart == together
    assert len(apart) == 9
    lost = {w: {row["id"] for row in rows(folder / w, "quarantine")} for w in ("apart", "together")}
    assert lost["apart"] == lost["together"]


def test_explain_leads_from_a_joined_question_to_its_conversation(done):
    folder, _ = done
    joined = next(row for row in rows(folder / "together", "ledger") if row["winner"])
    told = infinity_mm("explain", folder / "together", joined["id"])
    assert told.returncode == 0, told.stderr
    assert f"part of     {joined['winner']}" in told.stdout
    assert infinity_mm("validate", folder / "together").returncode == 0


def tasks_of(folder, limit=None, **options):
    use = SourceUse(name="vqav2", root=str(folder / "root"), options=options, limit=limit)
    source, root = use.load(), Location.of(folder / "root")
    plan = source.reader.plan(root, source.card.files, Location.of(folder / "prepared"), 2)
    return make_tasks(Location.of(folder), use, source, plan)


def test_options_name_the_parts_and_the_defaults_given_by_hand_change_nothing(done):
    names = [[task.part for task in tasks_of(done[0], **options)] for options in ({}, {"joiner": "newline"})]
    assert names[0] == names[1]
    assert not set(names[0]) & {task.part for task in tasks_of(done[0], joiner="space")}


@pytest.mark.parametrize(("limit", "taken"), [(1, 1), (2, 4), (4, 4), (5, 6), (9, 9), (99, 9)])
def test_a_limit_counts_questions_and_cuts_no_conversation(done, limit, taken):
    tasks = tasks_of(done[0], limit=limit, group_by_image=True)
    assert sum(task.rows for task in tasks) == taken
    assert sum(task.rows for task in tasks_of(done[0], limit=limit)) == min(limit, 9)


@pytest.mark.slow
def test_grouped_runs_do_not_depend_on_workers_and_survive_deduplication(write_recipe, demo_input, tmp_path):
    root = write_vqa(
        tmp_path / "root",
        [(100 * image + n, image, [f"a{image // 2}{n}"]) for n in range(5) for image in range(10, 40)],
    )
    use = {"name": "vqav2", "root": root, "options": {"group_by_image": True}, "max_quarantined": 1.0}
    found, books = [], []
    for workers in (1, 3):
        recipe = write_recipe(sources=[use], filters=[], partition_rows=4)
        work = tmp_path / f"w{workers}"
        result = infinity_mm("run", recipe, "--work", work, "--workers", workers, "--json")
        assert result.returncode == 0, result.stderr
        found.append(digest_of(work))
        books.append(json.loads(result.stdout)["books"]["vqav2"])
    assert found[0] == found[1]
    assert len([name for name in found[0] if name.startswith("records/")]) == 8
    assert books[0]["rows"] == 151
    assert books[0]["kept"] == 15
    assert books[0]["dropped"] == {"dedup.exact_pair": 15, "ingest.joined_conversation": 120}
    lost = {row["id"] for row in rows(tmp_path / "w1", "ledger") if row["reason"] == "exact_pair"}
    joined = [row["winner"] for row in rows(tmp_path / "w1", "ledger") if row["reason"] == "joined_conversation"]
    assert len([winner for winner in joined if winner in lost]) == 60, "a question stays with its conversation"
