"""Small tables as `find_duplicates` takes them, written down row by row."""

from dataclasses import dataclass, field

import pyarrow as pa

from infinity_mm.dedup import signature
from infinity_mm.dedup.params import DedupParams, SignatureParams
from infinity_mm.dedup.resolve import find_duplicates
from infinity_mm.schema import INGEST_ATTRIBUTES, MESSAGE

#: Different words, for texts of known similarity.
WORDS = [f"word{n}" for n in range(400)]


@dataclass(frozen=True)
class Pic:
    pixels: str
    phash: int = 0x0F0F_F0F0_1234_5678
    std: float = 50.0
    flat: float = 0.1
    thumb: int | bytes = 100
    size: tuple[int, int] = (100, 80)

    @property
    def thumbnail(self) -> bytes:
        return self.thumb if isinstance(self.thumb, bytes) else bytes([self.thumb] * 256)


@dataclass(frozen=True)
class Line:
    id: str
    question: str = "What?"
    answer: str = "x"
    pictures: list[Pic] = field(default_factory=list)
    category: str = "general"
    priority: int = 1


def table_of(*lines: Line, signed: SignatureParams | None = None) -> pa.Table:
    """Return the lines with their ingest attributes, signatures, source (``s<priority>``) and priority."""
    measured = [
        {
            "id": line.id,
            "category": line.category,
            "notes": [],
            "width": [p.size[0] for p in line.pictures],
            "height": [p.size[1] for p in line.pictures],
            "mode": ["RGB"] * len(line.pictures),
            "frames": [1] * len(line.pictures),
            "file_bytes": [9] * len(line.pictures),
            "pixel_sha256": [p.pixels for p in line.pictures],
            "phash": [p.phash for p in line.pictures],
            "luma_std": [p.std for p in line.pictures],
            "flat": [p.flat for p in line.pictures],
            "thumb": [p.thumbnail for p in line.pictures],
        }
        for line in lines
    ]
    texts = conversations(*((line.id, turns_of(line)) for line in lines))
    signatures = signature.measure(texts, signed or SignatureParams())
    table = pa.Table.from_pylist(measured, schema=INGEST_ATTRIBUTES)
    for name in signatures.column_names[1:]:
        table = table.append_column(signatures.schema.field(name), signatures.column(name))
    table = table.append_column("source", pa.array([f"s{line.priority}" for line in lines], pa.string()))
    return table.append_column("priority", pa.array([line.priority for line in lines], pa.int32()))


def turns_of(line: Line) -> list[dict[str, str]]:
    """Return question and answer; a picture alone has neither."""
    if line.category == "image_only":
        return []
    return [{"role": "user", "content": line.question}, {"role": "assistant", "content": line.answer}]


def conversations(*lines: tuple[str, list[dict[str, str]]]) -> pa.Table:
    """Return records of (id, messages), with the columns that `signature.measure` reads."""
    schema = pa.schema([("id", pa.string()), ("messages", pa.list_(MESSAGE))])
    return pa.Table.from_pylist([{"id": identity, "messages": turns} for identity, turns in lines], schema=schema)


def removed(table: pa.Table, **params: object) -> dict[str, tuple[str, str]]:
    """Return id -> (reason, winner) of the rows that are removed."""
    found = find_duplicates(table, DedupParams(**params)).to_pylist()
    return {row["id"]: (row["reason"], row["winner"]) for row in found}
