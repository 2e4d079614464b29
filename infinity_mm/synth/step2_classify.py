"""Step 2: which instruction type suits the picture, and in which form the answer shall come.

All leaves at once would be a prompt of several thousand tokens, and a model given the whole list
answers with a handful of favourites. So each attempt offers a few candidates, drawn by a keyed hash
with the level-1 groups taken in turn; over many pictures every leaf is offered, and the model picks
the one that suits, or none. The form is drawn by a keyed hash under the recipe's weights.
"""

from __future__ import annotations

from collections.abc import Mapping

from infinity_mm.keyed import keyed_u64, keyed_unit
from infinity_mm.synth.chat import Reply, Request
from infinity_mm.synth.params import SynthParams, call_seed
from infinity_mm.synth.rows import Attempt, Drop, Failed, Format, Typed, tag_line
from infinity_mm.synth.structured import CALL_REASONS, read_choice, token_budget
from infinity_mm.synth.taxonomy import Leaf, Taxonomy

STAGE = "synth.classify"
PROMPT = ("classify", 1)
#: Reason of an attempt of whose candidates the model takes none.
UNSUITABLE = "no_suitable_type"
REASONS = ("no_type_left", UNSUITABLE, *CALL_REASONS)
#: The choice that refuses every candidate; the prompt file names it too.
NONE = "None of these"
#: Forms that can hold a description or a transcript.
_OPEN_FORMATS: tuple[Format, ...] = ("brief", "detailed")


def candidates(row: Attempt, params: SynthParams, seed: int) -> tuple[Leaf, ...]:
    """Return the types offered to an attempt: those that it carries, or else at most `params.candidates`.

    The latter are a function of (seed, attempt) alone.
    Inside each level-1 group the leaves stand in an order drawn for this attempt; the k-th leaf of
    every group comes before the (k+1)-th of any, so that all groups are offered as evenly as they last.
    """
    if row.offered is not None:
        found = (Taxonomy.load().canonical(name) for name in row.offered)
        return tuple(leaf for leaf in found if leaf is not None)
    groups: dict[str, list[tuple[int, Leaf]]] = {}
    for leaf in Taxonomy.load().select(params.types):
        draw = keyed_u64(seed, "synth.candidate", f"{row.key}/{leaf.name}")
        groups.setdefault(leaf.level1, []).append((draw, leaf))
    ranked = [
        (rank, draw, leaf)
        for group in groups.values()
        for rank, (draw, leaf) in enumerate(sorted(group, key=lambda pair: pair[0]))
    ]
    ranked.sort(key=lambda entry: entry[:2])
    return tuple(leaf for _, _, leaf in ranked[: params.candidates])


def answer_format(row: Attempt, leaf: Leaf, weights: Mapping[Format, float], seed: int) -> Format:
    """Return the form of the answer, drawn in proportion to the weights by (seed, attempt) alone.

    Open-ended types take only forms made of sentences, unless the weights allow none of those.
    """
    allowed = {name: weight for name, weight in weights.items() if weight > 0}
    if leaf.open_ended:
        allowed = {name: weight for name, weight in allowed.items() if name in _OPEN_FORMATS} or allowed
    point = keyed_unit(seed, "synth.format", row.key) * sum(allowed.values())
    for name, weight in allowed.items():
        point -= weight
        if point < 0:
            return name
    return next(reversed(allowed))  # the sum of the weights was rounded up


def request(row: Attempt, params: SynthParams, seed: int) -> Request:
    """Return the call that chooses a type for the attempt."""
    prompt = params.prompt("classify", PROMPT)
    offered = candidates(row, params, seed)
    choices = (*(leaf.name for leaf in offered), NONE)
    lines = "\n".join(f"- {leaf.name}: {leaf.asks}" for leaf in offered)
    return Request(
        key=f"{row.key}/classify",
        system=prompt.text("system"),
        prompt=prompt.fill("user", {"tags": tag_line(row.tagged.tags), "candidates": lines}),
        images=(row.parent.data,),
        choices=choices,
        sampling=params.draws.classify.sampling(token_budget(choices)),
        seed=call_seed(seed, "classify", row.key),
    )


def read(row: Attempt, reply: Reply, params: SynthParams, seed: int) -> Typed | Drop | Failed:
    """Return the attempt with its type and form; dropped where the model finds no candidate suitable."""
    offered = {leaf.name: leaf for leaf in candidates(row, params, seed)}
    answer = read_choice(reply, (*offered, NONE))
    if isinstance(answer, Failed):
        return answer
    if answer == NONE:
        return Drop(UNSUITABLE, f"none of {len(offered)} offered: {', '.join(offered)}")
    leaf = offered[answer]
    return Typed(row, leaf, answer_format(row, leaf, params.formats.as_dict(), seed))
