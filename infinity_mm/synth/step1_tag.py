"""Step 1: what is in the picture. One call a picture, shared by all its attempts.

The paper tags with RAM++ (Huang et al. 2023) and keeps what scores 1.4 or more; here the
vision-language model itself lists tags with a confidence from 1 to 5 under a JSON Schema. Other taggers, with models of
their own, are in `infinity_mm.synth.tagging`.
"""

from __future__ import annotations

from typing import Any

from infinity_mm.synth.chat import Reply, Request
from infinity_mm.synth.params import SynthParams, call_seed
from infinity_mm.synth.rows import Drop, Failed, Parent, Tag, Tagged
from infinity_mm.synth.structured import CALL_REASONS, array, integer, read_json, record, text, token_budget

STAGE = "synth.tag"
PROMPT = ("tag", 1)
REASONS = ("no_tags", *CALL_REASONS)


def schema(params: SynthParams) -> dict[str, Any]:
    """Return the JSON Schema of the reply: ``{"tags": [{"tag": str, "confidence": 1..5}, ...]}``."""
    tag = record({"tag": text(params.limits.tag_chars, "tag"), "confidence": integer(1, 5)})
    return record({"tags": array(tag, 0, params.limits.tags)})


def request(row: Parent, params: SynthParams, seed: int) -> Request:
    """Return the call that tags the row's picture."""
    prompt = params.prompt("tag", PROMPT)
    form = schema(params)
    return Request(
        key=f"{row.id}/tag",
        system=prompt.text("system"),
        prompt=prompt.fill("user", {"max_tags": str(params.limits.tags)}),
        images=(row.data,),
        json_schema=form,
        sampling=params.draws.tag.sampling(token_budget(form)),
        seed=call_seed(seed, "tag", row.id),
    )


def read(row: Parent, reply: Reply, params: SynthParams, seed: int) -> Tagged | Drop | Failed:
    """Return the distinct tags that are confident enough, most confident first, then alphabetical.

    Of a tag named twice the higher confidence counts. A picture without tags is dropped.
    """
    del seed
    value = read_json(reply, schema(params))
    if isinstance(value, Failed):
        return value
    best: dict[str, int] = {}
    for entry in value["tags"]:
        name = " ".join(entry["tag"].lower().split())
        best[name] = max(best.get(name, 0), entry["confidence"])
    tags = tuple(Tag(name, best[name]) for name in sorted(best, key=lambda name: (-best[name], name)))
    kept = tuple(tag for tag in tags if tag.confidence >= params.min_tag_confidence)
    if not kept:
        return Drop("no_tags", f"{len(tags)} tags, none with confidence >= {params.min_tag_confidence}")
    return Tagged(row, kept)
