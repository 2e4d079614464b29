"""Large annotation files in published layouts, written in little memory, for `benchmarks.ingest`.

``python -m benchmarks.large_files TITLE FOLDER SCALE`` writes one of them.
"""

from __future__ import annotations

import io
import random
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.photographs import photographs

WORDS = ("amber", "bridge", "canvas", "delta", "ember", "forest", "granite", "harbour", "island", "jasmine", "kettle")
#: Drawn once: drawing a text for each of a million rows takes longer than ingesting it.
PROSE = " ".join(random.Random(1).choices(WORDS, k=20_000))


def llava_row(number: int, image: str | None, length: int) -> dict[str, object]:
    """Return a row of LLaVA's form with about `length` characters of text."""
    start = number * 997 % (len(PROSE) - length)
    answer = PROSE[start : start + length]
    question = "What is shown?" if image is None else "<image>\nWhat is shown?"
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
    return {"id": f"{number:09d}", **({} if image is None else {"image": image}), "conversations": turns}


def _rows(size: int, image: str | None, length: int) -> Iterator[bytes]:
    """Yield rows as JSON until `size` bytes are reached."""
    number = written = 0
    while written < size:
        row = orjson.dumps(llava_row(number, image, length))
        yield row
        number, written = number + 1, written + len(row) + 2


def _array(path: Path, rows: Iterator[bytes]) -> None:
    with path.open("wb") as stream:
        for number, row in enumerate(rows):
            stream.write(b",\n" if number else b"[")
            stream.write(row)
        stream.write(b"]")


def array_of_texts(folder: Path, scale: float) -> None:
    """1.5 GB, a JSON array, text only, rows of 1.5 KB as in LLaVA's mix."""
    _array(folder / "llava_v1_5_mix665k.json", _rows(int(1.5e9 * scale), None, 1_400))


def array_of_pictures(folder: Path, scale: float) -> None:
    """1.5 GB, a JSON array, rows of 8 KB that all name one small picture."""
    buffer = io.BytesIO()
    Image.radial_gradient("L").resize((64, 64)).convert("RGB").save(buffer, "JPEG")
    (folder / "one.jpg").write_bytes(buffer.getvalue())
    _array(folder / "llava_v1_5_mix665k.json", _rows(int(1.5e9 * scale), "one.jpg", 8_000))


def lines(folder: Path, scale: float) -> None:
    """250,000 rows of JSON Lines, 1.5 KB each."""
    with (folder / "train.jsonl").open("wb") as stream:
        for number in range(int(250_000 * scale)):
            stream.write(orjson.dumps(llava_row(number, None, 1_400)) + b"\n")


def _pictures(size: int) -> list[bytes]:
    """Return pictures, repeated until their bytes make `size`."""
    found = photographs(16, 5, quality=99)
    return found * max(1, size // sum(map(len, found)))


def parquet(folder: Path, scale: float) -> None:
    """2 GB of embedded pictures in one column chunk of one row group."""
    pictures = _pictures(16 * 300_000)[:16]
    repeats = max(1, int(2e9 * scale) // sum(map(len, pictures)))
    kind = pa.struct([("bytes", pa.large_binary()), ("path", pa.string())])
    cells = pa.array([{"bytes": data, "path": f"{n}.jpg"} for n, data in enumerate(pictures)], kind)
    talks = [llava_row(number, "x.jpg", 600)["conversations"] for number in range(repeats * len(pictures))]
    # Every chunk is the same memory; a row group of 2 GB is written without holding it.
    table = pa.table(
        {
            "id": pa.array([f"{number:09d}" for number in range(repeats * len(pictures))]),
            "image": pa.chunked_array([cells] * repeats),
            "conversations": pa.array(talks),
        }
    )
    (folder / "part").mkdir()
    pq.write_table(
        table,
        folder / "part/train-00000-of-00001.parquet",
        row_group_size=len(table),
        use_dictionary=False,
        compression="none",
    )


def tar(folder: Path, scale: float) -> None:
    """2 GB of a WebDataset: a picture and its conversation per sample."""
    place = folder / "stage1/llava"
    place.mkdir(parents=True)
    with tarfile.open(place / "00000.tar", "w") as archive:
        for number, picture in enumerate(_pictures(int(2e9 * scale))):
            label = orjson.dumps(llava_row(number, "x.jpg", 600))
            for suffix, content in (("json", label), ("jpg", picture)):
                member = tarfile.TarInfo(f"{number:07d}.{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


@dataclass(frozen=True)
class Large:
    """A large file: what it is, which source reads it, how it is made."""

    title: str
    source: str
    make: Callable[[Path, float], None]


ALL = (
    Large("json-array-text", "llava_mix665k", array_of_texts),
    Large("json-array-pictures", "llava_mix665k", array_of_pictures),
    Large("json-lines", "infinity_instruct", lines),
    Large("parquet-row-group", "llava_onevision", parquet),
    Large("webdataset-tar", "infinity_mm", tar),
)


if __name__ == "__main__":
    title, target, share = sys.argv[1:]
    next(large for large in ALL if large.title == title).make(Path(target), float(share))
