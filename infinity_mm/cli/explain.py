"""`infinity-mm explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from infinity_mm.cli.options import console, json_option, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from infinity_mm.explain import Life


@click.command()
@click.argument("work")
@click.argument("identity", metavar="ID")
@json_option
def explain(work: str, identity: str, as_json: bool) -> None:
    """Tell the life of one row: from the raw record to its shard.

    ID is an id of the ledger (WORK/ledger/part-*.parquet), or its first digits (six or more). Shows
    the record, what every stage measured, the verdict with the value that decided, the winner a
    duplicate lost to, and for kept rows the shards that hold it.
    """
    from infinity_mm.explain import explain as look_up
    from infinity_mm.fs import Location
    from infinity_mm.store import Store

    life = look_up(Store(Location.of(work)), identity)
    if as_json:
        print_json(life.model_dump(mode="json"))
    else:
        _show(console(), life)


def _show(out: Console, life: Life) -> None:
    from infinity_mm.dedup.merge import MERGED
    from infinity_mm.ledger import JOINED_ELSEWHERE

    row = life.ledger
    verdict = (
        f"{row['outcome']}" if row["outcome"] == "kept" else f"{row['outcome']} by {row['stage']}: {row['reason']}"
    )
    lines = [f"{row['id']}  {verdict}", f"  came from   {row['source']}: {row['source_ref']}"]
    if row["detail"]:
        lines.append(f"  decided by  {row['detail']}")
    if life.winner:
        verb = {JOINED_ELSEWHERE: "part of", MERGED: "merged into"}.get(row["reason"], "lost to")
        lines.append(f"  {verb:<11} {life.winner['id']}  ({life.winner['source']}: {life.winner['source_ref']})")
    if life.raw:
        lines += ["  raw row", f"    {life.raw[:600]}"]
    if life.record:
        lines += _record_lines(life.record)
    for one in life.merged:
        told = f"from turn {one['turn']}" if one["turn"] else "all said already"
        lines.append(f"  holds       {one['id']}  {told}")
    if life.messages:
        lines.append("  exported as")
        lines += [f"    {m['role']:<9} {_clip(m['content'], 300)}" for m in life.messages]
    for stage, values in life.attributes.items():
        shown = ", ".join(f"{key}={_clip(value)}" for key, value in values.items() if value not in (None, []))
        lines.append(f"  {stage:<11} {shown or 'nothing to say'}")
    for call in life.calls:
        whence = "from the cache" if call["cached"] else f"asked, {call['attempts']} tries"
        tokens = f"{call['prompt_tokens']:,} tokens in, {call['completion_tokens']:,} out"
        lines.append(f"  {call['step']:<11} {whence}; {tokens}; generation {call['generation']}")
    lines += [f"  generated   {child}" for child in life.children]
    lines += [f"  exported    {place.export}: {place.shard}, sample {place.position}" for place in life.places]
    for line in lines:
        out.print(line, markup=False, soft_wrap=True)


def _record_lines(record: dict[str, object]) -> list[str]:
    images, messages = record["images"], record["messages"]
    lines = [f"  record      {record['category']}, licence {record['license']}, language {record['language']}"]
    if record["parent"]:
        lines.append(f"  parent      {record['parent']}")
    if isinstance(images, list):
        lines += [
            f"  image       {i['width']}x{i['height']} {i['format']}  {i['uri']}  {i['sha256'][:16]}" for i in images
        ]
    if isinstance(messages, list):
        lines += [f"  {m['role']:<11} {_clip(m['content'], 300)}" for m in messages]
    if record["extra"] != "{}":
        lines.append(f"  extra       {_clip(record['extra'], 1200)}")
    return lines


def _clip(value: object, size: int = 120) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value).replace("\n", "\\n")
    return text if len(text) <= size else text[: size - 3] + "..."
