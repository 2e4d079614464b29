"""Which pictures questions are made for: a sample of the distinct pictures, drawn by their pixels.

A picture's draw is a hash of (seed, pixels), so the choice depends neither on the order of the rows
nor on how many rows show the picture, and pictures that join or leave do not reshuffle the others.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from infinity_mm.keyed import keyed_unit
from infinity_mm.synth.params import SynthParams

#: What `select_images` reads of the surviving rows, one row per record.
COLUMNS = ("id", "source", "category", "pixel_sha256")


def select_images(rows: pa.Table, params: SynthParams, seed: int) -> pa.Table:
    """Return the rows whose pictures are drawn, in the order of the draw; at most `params.images`.

    `rows` has at least `COLUMNS`, with `pixel_sha256` a list of one digest per image. Only rows with
    exactly one image take part, synthetic rows never, others as `categories` and `sources` allow. Of
    several rows with the same pixels the one with the smallest id stands for the picture.

    The result has the columns of `rows`, and drawing from drawn parts is drawing from the whole:
    ``select(a + b) == select(select(a) + select(b))``, so parts can be reduced one by one.
    """
    allowed = pc.and_(
        pc.equal(pc.list_value_length(rows["pixel_sha256"]), 1), pc.not_equal(rows["category"], "synthetic")
    )
    for column, names in (("category", params.categories), ("source", params.sources)):
        if names is not None:
            allowed = pc.and_(allowed, pc.is_in(rows[column], value_set=pa.array(names, pa.string())))
    single = rows.filter(allowed)
    first: dict[str, tuple[str, int]] = {}
    digests = pc.list_flatten(single["pixel_sha256"]).to_pylist()
    for place, (digest, row_id) in enumerate(zip(digests, single["id"].to_pylist(), strict=True)):
        if digest not in first or row_id < first[digest][0]:
            first[digest] = (row_id, place)
    drawn = sorted(first, key=lambda digest: (keyed_unit(seed, "synth", digest), digest))[: params.images]
    return single.take(pa.array([first[digest][1] for digest in drawn], pa.int64()))
