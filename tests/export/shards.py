"""A small run folder to export from, and exports of it."""

import io
from collections.abc import Sequence

import pyarrow as pa
from PIL import Image

from infinity_mm.export import parquet
from infinity_mm.export import webdataset as wds
from infinity_mm.export.gather import gather
from infinity_mm.export.plan import KEPT, OVERLAYS, ShardLimits, plan_shards
from infinity_mm.export.sidecar import ShardStats, finish
from infinity_mm.export.validate import validate
from infinity_mm.fs import Location
from infinity_mm.images import ImageLimits, measure_image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")


def encoded(kind: str, shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40 + shade % 7, 30), (shade % 256, 90, 40)).save(buffer, kind)
    return buffer.getvalue()


def record(number: int, pictures: list[bytes], parent: str | None = None) -> dict[str, object]:
    facts = [measure_image(data, ImageLimits()) for data in pictures]
    images = [{"sha256": f.sha256, "width": f.width, "height": f.height, "format": f.format, "uri": "x"} for f in facts]
    if parent:
        images = [{**image, "uri": f"record:{parent}#0"} for image in images]
    return {
        "id": f"{number:032x}", "source": f"s{number % 2}", "source_id": str(number), "source_ref": f"f#item={number}",
        "category": "general", "license": "mit", "language": "und", "images": images,
        "image_bytes": [None] * len(pictures) if parent else pictures,
        "messages": [
            {"role": "user", "content": "<image>\n" * len(pictures) + f"Frage {number}: wieß?"},
            {"role": "assistant", "content": "好" * (number + 1)},
        ],
        "parent": parent, "extra": '{"a":1}',
    }  # fmt: skip


def planned(work, samples_per_shard=7, overlay=None):
    rows = work[1]
    parts = ["records/a/part-0.parquet"] * 9 + ["records/a/part-1.parquet"] * 13 + ["records/synthetic/p.parquet"]
    places = [*range(9), *range(13), 0]
    kept = [
        {"id": row["id"], "source": row["source"], "part": part, "row": place, "bytes": 10, "parent": row["parent"]}
        | (overlay or {})
        for row, part, place in zip(rows, parts, places, strict=True)
    ]
    table = pa.Table.from_pylist(kept, schema=pa.schema([*KEPT, *OVERLAYS]))
    donors = table.select(["id", "part", "row", "bytes"])
    return plan_shards(table, seed=1, limits=ShardLimits(samples_per_shard=samples_per_shard), donors=donors)


def write(work, kind, folder):
    plan = planned(work)
    stats = []
    for index in range(len(plan)):
        rows = gather(work[0].work, plan.shard(index))
        if kind == "webdataset":
            stats.append(wds.write_shard(rows, folder, index, "fp"))
        else:
            stats.append(parquet.write_shard(rows, folder, index, len(plan), "fp"))
    return close(folder, kind, stats)


def close(folder, kind, stats: Sequence[ShardStats]):
    return finish(folder, kind, stats, recipe_fingerprint="recipe", seed=1, limits=ShardLimits(samples_per_shard=7))


def bytes_of(row, rows):
    """Return the pictures that a row shows."""
    return rows[3]["image_bytes"] if row["parent"] else row["image_bytes"]


def faults(folder):
    """Return all that `validate` finds wrong, as one text."""
    return " | ".join(map(str, validate(Location.of(folder)).errors))
