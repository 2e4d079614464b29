"""Parquet shards that `datasets.load_dataset` opens with decoded pictures, original bytes inside.

The schema's metadata names the features, so ``images`` comes back as a list of pictures without a loading
script: https://huggingface.co/docs/datasets (Features, Image). ``image_info`` says of each picture what the
record says: SHA-256 of the file, size in pixels, format, origin. Row groups are closed at 64 MiB of pictures.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from infinity_mm.export.sidecar import Digesting, ShardStats, Tally, picture_names
from infinity_mm.fs import Location
from infinity_mm.schema import IMAGE, MESSAGE
from infinity_mm.store import leaves

VERSION = 2
#: Bytes of pictures and texts, and rows, after which a row group is closed; `binary` holds at most 2 GiB per group.
GROUP_BYTES = 64 << 20
GROUP_ROWS = 1_000

_TEXTS = ("id", "source", "source_id", "source_ref", "category", "license", "language", "parent", "extra")
_PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def _value_feature(kind: str) -> dict[str, str]:
    return {"dtype": kind, "_type": "Value"}


def _text_feature() -> dict[str, str]:
    return _value_feature("string")


_FEATURES: dict[str, Any] = {
    "id": _text_feature(),
    "images": {"feature": {"_type": "Image"}, "_type": "List"},
    "image_info": {"feature": {field.name: _value_feature(str(field.type)) for field in IMAGE}, "_type": "List"},
    "messages": {"feature": {"role": _text_feature(), "content": _text_feature()}, "_type": "List"},
    **{name: _text_feature() for name in _TEXTS[1:]},
}

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("images", pa.list_(_PICTURE)),
        pa.field("image_info", pa.list_(IMAGE)),
        pa.field("messages", pa.list_(MESSAGE)),
        *(pa.field(name, pa.string()) for name in _TEXTS[1:]),
    ],
    metadata={"huggingface": json.dumps({"info": {"features": _FEATURES}})},
)

#: Columns that gain from zstd and dictionaries: all but the pictures, which are compressed already.
_SMALL = [leaf for leaf in leaves(SCHEMA) if leaf != "images.list.element.bytes"]


def shard_name(index: int, of: int) -> str:
    """Return the path of a shard inside the export, as the hub lays data sets out."""
    return f"data/train-{index:05d}-of-{of:05d}.parquet"


def write_shard(rows: Iterable[dict[str, Any]], folder: Location, index: int, of: int, fingerprint: str) -> ShardStats:
    """Write one Parquet file and its sidecar, group by group as rows come; the same rows give the same bytes."""
    name = shard_name(index, of)
    groups = 0
    tally = Tally()
    with (folder / name).write_whole() as stream:
        sink = Digesting(stream)
        with pq.ParquetWriter(
            pa.PythonFile(cast(IO[bytes], sink), "w"),
            SCHEMA,
            compression={leaf: "zstd" if leaf in _SMALL else "none" for leaf in leaves(SCHEMA)},
            use_dictionary=_SMALL,
            write_statistics=_SMALL,
        ) as writer:
            for group in _groups(rows, tally):
                writer.write_table(group)
                groups += 1
                del group  # while the next one is gathered
    stats = tally.stats(name, fingerprint, groups, sink)
    stats.write(folder / sidecar_name(index, of))
    return stats


def sidecar_name(index: int, of: int) -> str:
    """Return the path of a shard's sidecar: beside ``data/``, where loaders look for nothing."""
    return f"index/train-{index:05d}-of-{of:05d}.json"


def _groups(rows: Iterable[dict[str, Any]], tally: Tally) -> Iterator[pa.Table]:
    """Yield row groups; the rows of one are let go as soon as its table is made."""
    lines: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        lines.append(_line(row))
        tally.add(row)
        size += sum(len(data) for data in row["image_bytes"]) + sum(len(turn["content"]) for turn in row["messages"])
        if size >= GROUP_BYTES or len(lines) >= GROUP_ROWS:
            table = pa.Table.from_pylist(lines, schema=SCHEMA)
            lines, size = [], 0
            yield table
            del table
    if lines:
        yield pa.Table.from_pylist(lines, schema=SCHEMA)


def _line(row: dict[str, Any]) -> dict[str, Any]:
    names = [f"{row['id']}.{suffix}" for suffix in picture_names(row)]
    images = [{"bytes": data, "path": name} for data, name in zip(row["image_bytes"], names, strict=True)]
    texts = {name: row[name] for name in _TEXTS}
    return {**texts, "images": images, "image_info": row["images"], "messages": row["messages"]}


def card(name: str, samples: int, sources: dict[str, int], licenses: Sequence[str]) -> str:
    """Return a data set card, `README.md`: front matter that the hub reads, and the rows per source."""
    size = next(label for limit, label in _SIZES if samples < limit)
    table = "\n".join(f"| {source} | {count:,} |" for source, count in sorted(sources.items()))
    listed = "\n".join(f"- {text}" for text in sorted(licenses))
    return (
        f"---\npretty_name: {name}\nlicense: other\nsize_categories:\n- {size}\n"
        "task_categories:\n- image-text-to-text\n"
        "configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/train-*.parquet\n---\n\n"
        f"# {name}\n\n{samples:,} rows, written by infinity-mm. Each row carries the licence of its source.\n\n"
        f"| source | rows |\n|---|---|\n{table}\n\nLicences:\n\n{listed}\n"
    )


_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
          (10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"), (1 << 60, "100M<n<1B"))  # fmt: skip
