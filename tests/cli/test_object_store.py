"""Deduplication and decontamination with input and results on an object store."""

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infinity_mm.cli.main import main
from infinity_mm.fs import Location
from tests.decontam.sets import encoded, scenes


def called(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return int(caught.value.code)


def table(place: Location) -> list[dict[str, Any]]:
    return pq.read_table(io.BytesIO(place.read_bytes())).to_pylist()


@pytest.mark.parametrize("name", ["in put", "in put/part-0.parquet", "in put/part-?.parquet", "in*/*"])
def test_texts(bucket, tmp_path, capsys, name):
    text = " ".join(f"w{n}" for n in range(40))
    out = io.BytesIO()
    pq.write_table(pa.table({"id": ["a", "b", "c"], "body": [text, "else", text + " more"]}), out)
    Location.of(bucket.format("/texts/in put/part-0.parquet")).write_bytes(out.getvalue())
    columns = ("--text-column", "body", "--id-column", "id")
    where = ("--input", bucket.format(f"/texts/{name}"), "--out", bucket.format("/texts out"))
    assert called("dedup", "text", *columns, *where, "--memory", "256MiB") == 2
    assert "give a folder by --spill" in capsys.readouterr().err
    assert called("dedup", "text", *columns, *where, "--memory", "256MiB", "--spill", tmp_path / "spill") == 0
    removed = Location.of(bucket.format("/texts out/removed.parquet"))
    assert table(removed) == [{"id": "c", "winner": "a", "similarity": 36 / 37}]
    assert f"{removed} names each" in capsys.readouterr().out


def test_pictures_and_leaks(bucket, capsys):
    photos = scenes(4)
    train, questions = Location.of(bucket.format("/train")), Location.of(bucket.format("/set"))
    for number in range(8):
        (train / f"a b/{number}%.jpg").write_bytes(encoded(photos[number % 4], "JPEG", quality=70 + number))
    for name in ("/train", "/train/a b/*.jpg"):
        out = bucket.format("/pictures out")
        assert called("dedup", "images", "--input", bucket.format(name), "--out", out, "--workers", 1) == 0
        assert len(table(Location.of(out) / "removed.parquet")) == 4

    for number, photo in enumerate(photos):
        (questions / f"pictures/{number}.png").write_bytes(encoded(photo))
    rows = [{"uid": n, "ask": f"How many blue umbrellas stand at street {n}?", "shows": f"{n}.png"} for n in range(4)]
    (questions / "rows.jsonl").write_bytes("".join(json.dumps(row) + "\n" for row in rows).encode())
    index, leaks = bucket.format("/index"), bucket.format("/leaks")
    source = ("--input", (questions / "rows.jsonl").uri, "--image-root", "pictures")
    columns = ("--question-column", "ask", "--image-column", "shows")
    assert called("decontaminate", "build", "--name", "mine", *source, *columns, "--out", index, "--workers", 1) == 0
    check = ("--index", index, "--input", train.uri, "--out", leaks, "--workers", 1)
    assert called("decontaminate", "check", *check) == 0
    found = {row["id"]: row["item"] for row in table(Location.of(leaks) / "leaks.parquet")}
    assert found == {f"a b/{number}%.jpg": str(number % 4) for number in range(8)}
    assert str(Location.of(leaks) / "leaks.parquet") in capsys.readouterr().out
