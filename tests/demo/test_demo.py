"""The quickstart's input: repeatable, complete, and true where its traps claim something about pictures."""

import hashlib
import io
import json
import tarfile

import imagehash
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from infinity_mm.demo.build import build, count_traps
from infinity_mm.demo.check import check
from infinity_mm.demo.photos import photo_scenes
from infinity_mm.errors import UsageError
from infinity_mm.ledger import LEDGER


def digests(folder):
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.is_file()
    }


@pytest.mark.slow
def test_the_same_seed_gives_the_same_files_and_another_does_not(demo_input, tmp_path):
    build(tmp_path / "again")
    assert digests(tmp_path / "again") == digests(demo_input)
    build(tmp_path / "other", seed=18)
    assert digests(tmp_path / "other") != digests(demo_input)


def test_size_and_a_second_call_does_nothing(demo_input):
    before = (demo_input / "traps.json").stat().st_mtime_ns
    counts = build(demo_input)
    assert (demo_input / "traps.json").stat().st_mtime_ns == before
    assert len(counts) == 10
    assert sum(counts.values()) == 1975
    assert sum(count_traps(demo_input).values()) == 125
    assert sum(p.stat().st_size for p in demo_input.rglob("*") if p.is_file()) < 60e6


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="holds files that the demo did not make"):
        build(tmp_path / "mine")
    assert (tmp_path / "mine/thesis.txt").exists()


def test_photographs_differ_from_each_other():
    hashes = [scene.picture.phash for scene in photo_scenes(17)]
    apart = np.bitwise_count(np.array(hashes, np.uint64)[:, None] ^ np.array(hashes, np.uint64)[None, :])
    assert len(hashes) >= 150
    assert apart[np.triu_indices(len(hashes), 1)].min() > 8


def picture_at(demo, source, reference):
    file, _, place = reference.partition("#")
    if source == "infinity_mm":
        wanted = place.removeprefix("member=").replace(".json", ".jpg")
        with tarfile.open(demo / source / file) as tar:  # the last tar is cut, so no look-up by name
            return next(tar.extractfile(member).read() for member in tar if member.name == wanted)
    row = json.loads((demo / source / file).read_text())[int(place.removeprefix("item="))]
    folder = "images" if source == "llava_cc3m_595k" else "."
    return (demo / source / folder / row["image"]).read_bytes()


def test_copies_are_what_they_claim(demo_input):
    groups = json.loads((demo_input / "traps.json").read_text())["groups"]
    seen = set()
    for group in groups:
        if not group["trap"].endswith("_copy"):
            continue
        seen.add(group["trap"])
        one, other = (picture_at(demo_input, source, place) for source, place in group["members"])
        assert (one == other) == (group["trap"] == "exact_copy")
        images = [Image.open(io.BytesIO(data)) for data in (one, other)]
        assert imagehash.phash(images[0]) - imagehash.phash(images[1]) <= 8
        assert (images[0].size != images[1].size) == (group["trap"] == "resized_copy")
    assert seen == {"exact_copy", "reencoded_copy", "resized_copy"}


def test_blank_is_blank(demo_input):
    for single in json.loads((demo_input / "traps.json").read_text())["singles"]:
        if single["trap"] == "blank_picture":
            data = picture_at(demo_input, single["source"], single["source_ref"])
            assert np.asarray(Image.open(io.BytesIO(data))).std() == 0


def made_up_work(tmp_path, rows):
    full = [{"id": f"{n:032x}", "detail": "", "winner": None, **row} for n, row in enumerate(rows)]
    (tmp_path / "work/ledger").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(full, schema=LEDGER), tmp_path / "work/ledger/part-0.parquet")
    return tmp_path / "work"


def test_the_check_finds_what_is_right_and_what_is_not(tmp_path):
    expect = {"outcome": "dropped", "stage": "image", "reasons": ["near_uniform"], "note": None}
    single = {"trap": "blank", "source": "s", "source_ref": "f#item=0", "expect": expect}
    group = {
        "trap": "copy",
        "members": [["s", "f#item=1"], ["s", "f#item=2"]],
        "kept": 1,
        "expect": {**expect, "stage": "dedup", "reasons": ["exact_pair"]},
    }
    (tmp_path / "traps.json").write_text(json.dumps({"singles": [single], "groups": [group]}))
    gone = {"source": "s", "outcome": "dropped"}
    right = [
        {**gone, "source_ref": "f#item=0", "stage": "image", "reason": "near_uniform"},
        {"source": "s", "source_ref": "f#item=1", "outcome": "kept", "stage": None, "reason": None},
        {**gone, "source_ref": "f#item=2", "stage": "dedup", "reason": "exact_pair", "winner": f"{1:032x}"},
    ]
    outcome = check(tmp_path, made_up_work(tmp_path / "a", right))
    assert (outcome.mismatches, outcome.found.total()) == ([], 3)
    wrong = [right[0] | {"reason": "side_too_small"}, right[1], right[2] | {"winner": "f" * 32}]
    outcome = check(tmp_path, made_up_work(tmp_path / "b", wrong))
    assert [finding.trap for finding in outcome.mismatches] == ["blank", "copy"]
    fewer = [right[1], right[2] | {"winner": f"{0:032x}"}]
    assert [f.trap for f in check(tmp_path, made_up_work(tmp_path / "c", fewer)).mismatches] == ["blank"]
    with pytest.raises(UsageError, match="has no ledger"):
        check(tmp_path, tmp_path)
