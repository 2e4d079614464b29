"""Who stays: verified links only, a declared keep order, no chains.

Rows are taken in keep order. A row stays unless it has a verified link to a row that stays, and then
the first such row in keep order is its winner. So every removed row passed the check against its own
winner, no winner is removed itself, and the result does not depend on the order of the input.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from infinity_mm.dedup.hamming import near_pairs
from infinity_mm.dedup.lsh import candidate_pairs, choose_bands
from infinity_mm.dedup.params import DedupParams
from infinity_mm.dedup.rows import (
    Agreement,
    Row,
    rows_in_keep_order,
    same_answer,
    same_pictures,
    same_prompt,
    same_text,
)
from infinity_mm.errors import StageError

Kind = Literal["pair", "text", "image"]

REASONS = ("exact_pair", "near_pair", "exact_text", "near_text", "same_image")

#: One row per removed row, sorted by id.
DUPLICATES = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("winner", pa.string(), nullable=False),
        # Jaccard similarity to the winner, 0 to 1; null where text was not compared.
        pa.field("similarity", pa.float32()),
        # Largest Hamming distance to the winner's pictures, bits; null without pictures.
        pa.field("hamming", pa.int32()),
    ]
)


@dataclass(frozen=True)
class Link:
    """A verified link of a row to the one that stays for it."""

    winner: int
    agreement: Agreement


def find_duplicates(table: pa.Table, params: DedupParams) -> pa.Table:
    """Return `DUPLICATES` for a table of live rows.

    `table` holds the columns of `INGEST_ATTRIBUTES` and of `dedup.signature.ATTRIBUTES`, `source` and
    `priority` (int, lower wins), in any order.
    """
    rows = rows_in_keep_order(table)
    kinds = [_kind(row, params) for row in rows]
    removed: list[dict[str, object]] = []
    for kind in ("pair", "text", "image"):
        members = [index for index, each in enumerate(kinds) if each == kind]
        for loser, link in _settle([rows[index] for index in members], kind, params).items():
            removed.append(_describe(rows[members[loser]], rows[members[link.winner]], kind, link.agreement))
    removed.sort(key=lambda row: str(row["id"]))
    return pa.Table.from_pylist(removed, schema=DUPLICATES)


def _kind(row: Row, params: DedupParams) -> Kind | None:
    """Return by which rule a row is compared; None for those that the mode leaves alone."""
    if params.mode == "text" or (params.mode == "pair" and not row.pictures):
        return "text"
    if params.mode == "off" or not row.pictures:
        return None
    return "pair" if params.mode == "pair" else "image"


def _settle(rows: list[Row], kind: Kind, params: DedupParams) -> dict[int, Link]:
    """Return loser -> link, both as positions in `rows` (which are in keep order)."""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        groups[_identity(row, kind, params)].append(index)
    # Rows that are equal in all that is compared stand or fall together: only the first is looked at.
    first = sorted(members[0] for members in groups.values())
    position = {index: place for place, index in enumerate(first)}
    links = _greedy(len(first), _links([rows[index] for index in first], kind, params))
    settled: dict[int, Link] = {}
    for members in groups.values():
        lead = links.get(position[members[0]])
        if lead is not None:
            settled[members[0]] = Link(first[lead.winner], lead.agreement)
        for copy in members[1:]:
            settled[copy] = settled.get(members[0], Link(members[0], _equal(kind)))
    return settled


def _identity(row: Row, kind: Kind, params: DedupParams) -> Hashable:
    if kind == "text":
        return row.text_key
    exact_only = row.category in params.pixel_exact_categories
    if kind == "image":
        return (row.pixels, exact_only)
    return (row.pixels, row.prompt_key, row.answer_key, row.category == "caption", exact_only)


def _equal(kind: Kind) -> Agreement:
    return Agreement(None if kind == "image" else 1.0, None if kind == "text" else 0)


def _greedy(count: int, links: dict[int, list[tuple[int, Agreement]]]) -> dict[int, Link]:
    """Return loser -> link; `links` maps each row to its verified links to earlier rows."""
    lost: dict[int, Link] = {}
    for index in range(count):
        standing = [(other, how) for other, how in links.get(index, ()) if other not in lost]
        if standing:
            winner, how = min(standing, key=lambda item: item[0])
            lost[index] = Link(winner, how)
    return lost


def _links(rows: list[Row], kind: Kind, params: DedupParams) -> dict[int, list[tuple[int, Agreement]]]:
    links: dict[int, list[tuple[int, Agreement]]] = defaultdict(list)
    proposals = _text_proposals(rows, params) if kind == "text" else _picture_proposals(rows, kind, params)
    for earlier, later in proposals:
        how = _agree(rows[earlier], rows[later], kind, params)
        if how is not None:
            links[later].append((earlier, how))
    return links


def _agree(a: Row, b: Row, kind: Kind, params: DedupParams) -> Agreement | None:
    if kind == "text":
        return same_text(a, b, params)
    pictures = same_pictures(a, b, params)
    if kind == "image" or pictures is None:
        return pictures
    answers = same_answer(a, b, params) if same_prompt(a, b) else None
    return None if answers is None else Agreement(answers.similarity, pictures.hamming)


def _text_proposals(rows: list[Row], params: DedupParams) -> Iterator[tuple[int, int]]:
    long = [index for index, row in enumerate(rows) if len(row.minhash)]
    if len(long) < 2:
        return
    signatures = np.stack([rows[index].minhash for index in long])
    bands = choose_bands(params.signature.num_perm, params.threshold, params.recall)
    for left, right in candidate_pairs(signatures, *bands).tolist():
        yield long[left], long[right]


def _picture_proposals(rows: list[Row], kind: Kind, params: DedupParams) -> Iterator[tuple[int, int]]:
    """Propose pairs whose first pictures' hashes are near and, in pair mode, whose prompts can agree."""
    by_hash: dict[int, dict[Hashable, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, row in enumerate(rows):
        prompt: Hashable = None
        if kind == "pair":
            prompt = "caption" if row.category == "caption" else row.prompt_key
        by_hash[row.pictures[0].phash][prompt].append(index)
    values = np.array(sorted(by_hash), np.uint64)
    for groups in by_hash.values():
        for members in groups.values():
            yield from ((a, b) for place, a in enumerate(members) for b in members[place + 1 :])
    for left, right in near_pairs(values, params.radius).tolist():
        ours, theirs = by_hash[int(values[left])], by_hash[int(values[right])]
        for prompt in ours.keys() & theirs.keys():
            yield from ((min(a, b), max(a, b)) for a in ours[prompt] for b in theirs[prompt])


def _describe(loser: Row, winner: Row, kind: Kind, how: Agreement) -> dict[str, object]:
    parts = []
    if how.similarity is not None:
        parts.append(f"jaccard={how.similarity:.3f}")
    if how.hamming is not None:
        parts.append(f"hamming={how.hamming}")
    if kind == "image":
        reason = "same_image"
    elif kind == "text":
        reason = "exact_text" if loser.text_key == winner.text_key else "near_text"
    else:
        equal = loser.pixels == winner.pixels and loser.text_key == winner.text_key
        reason = "exact_pair" if equal else "near_pair"
    return {
        "id": loser.id,
        "reason": reason,
        "detail": "; ".join(parts),
        "winner": winner.id,
        "similarity": how.similarity,
        "hamming": how.hamming,
    }


def check_rails(table: pa.Table, removed: pa.Table, params: DedupParams) -> None:
    """Stop before removing what looks like a mistake.

    Raises `StageError` naming the winner of a cluster above `max_cluster`, or the source that would lose
    more than `max_drop` of its rows, with five of the rows.
    """
    reasons = {row["id"]: row for row in removed.to_pylist()}
    clusters = Counter(removed.column("winner").to_pylist())
    for winner, size in clusters.most_common(1):
        if size > params.max_cluster:
            members = [row for row in reasons.values() if row["winner"] == winner]
            raise StageError(
                f"dedup: {size} rows would be removed for {winner}, more than dedup.max_cluster="
                f"{params.max_cluster}. Five of them:\n{_show(members)}\n"
                "Look whether they are one template, then raise that key or dedup.threshold"
            )
    sources = dict(zip(table.column("id").to_pylist(), table.column("source").to_pylist(), strict=True))
    totals, losses = Counter(sources.values()), Counter(sources[identity] for identity in reasons)
    for source, lost in sorted(losses.items()):
        if lost > params.max_drop * totals[source]:
            members = [row for identity, row in reasons.items() if sources[identity] == source]
            raise StageError(
                f"dedup: source {source!r} would lose {lost} of {totals[source]} rows, more than dedup.max_drop="
                f"{params.max_drop}. Five of them:\n{_show(members)}\nMend the thresholds or raise that key"
            )


def _show(rows: list[dict[str, object]]) -> str:
    return "\n".join(f"  {r['id']}  {r['reason']}  {r['detail']}  lost to {r['winner']}" for r in rows[:5])
