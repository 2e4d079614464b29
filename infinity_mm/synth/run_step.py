"""The four steps over one partition of pictures: pure but for the calls to the model.

How a picture travels::

    Parent --tag--> Tagged --x per_image--> Attempt --classify--> Typed --generate--> Generated
                                                                                         |
                          record <--assemble-- kept <--verdict-- Judged <--judge-- rules passed

Every step asks for the whole partition at once, so that the engine can batch. An attempt that ends
early leaves the others alone; each gives exactly one `Outcome`. What becomes of a picture depends on
(seed, params, picture, model) and not on the pictures beside it, as far as the engine's replies do not; shares of
types (`offer`) are the exception, they are held over all pictures of a run, or else of those given at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Generic, TypeVar

from infinity_mm.errors import RecipeError, StageError
from infinity_mm.fingerprint import Json
from infinity_mm.synth import checks, rules, step1_tag, step2_classify, step3_generate, step4_filter
from infinity_mm.synth.assemble import assemble, attempt_id
from infinity_mm.synth.calls import Call, call
from infinity_mm.synth.chat import Chat, ModelSpec, Reply, Request
from infinity_mm.synth.merge import merge_turns
from infinity_mm.synth.models.resolving import rules_at_hand
from infinity_mm.synth.offers import with_offers
from infinity_mm.synth.outcomes import NOT_ASKED, Outcome, StepCall
from infinity_mm.synth.params import CallName, CheckName, StepName, SynthParams
from infinity_mm.synth.provenance import PROMPTS, provenance, used_prompts
from infinity_mm.synth.rows import Attempt, Drop, Failed, Generated, Judged, Parent, Tag, Tagged, Typed
from infinity_mm.synth.structured import token_budget
from infinity_mm.synth.tagging.identity import asked as model_taggers
from infinity_mm.synth.tagging.identity import description, writer_tags
from infinity_mm.synth.tagging.scores import Tagging, merge
from infinity_mm.synth.taxonomy import Taxonomy

__all__ = ["VERSION", "call", "check", "identity", "synthesise"]

#: Raised whenever the same replies would give other outcomes.
VERSION = 5

#: Fields of `SynthParams` that choose pictures, or measure what was made; nothing of a row depends on them.
_NOT_OF_ROWS = {"images", "partition_images", "categories", "sources", "judge_probe", "loss", "max_quarantined"}
#: Fields that an identity names otherwise, or not at all.
_ELSEWHERE = {"prompts", "cache"}
#: Fields of `ModelSpec` that say how to reach a model, not which one it is.
_MEANS = {
    "api_key_env", "concurrency", "requests_per_minute", "timeout_s", "stall_timeout_s", "gpus", "cpus", "replicas",
    "trust_remote_code",
}  # fmt: skip

#: Attempt -> names of the types that it is offered, best first.
Offers = Mapping[str, Sequence[str]]

#: By the parent's id, what each tagger with a model of its own says.
Given = Mapping[str, Sequence[Tagging]]

R = TypeVar("R")
S = TypeVar("S")


@dataclass(frozen=True)
class _Step(Generic[R, S]):
    """The two pure functions of a step, and where its failures are booked."""

    name: StepName
    stage: str
    request: Callable[[R, SynthParams, int], Request]
    read: Callable[[R, Reply, SynthParams, int], S | Drop | Failed]


@dataclass(frozen=True)
class _Live(Generic[R]):
    """An attempt that has not ended, with the calls made for it so far."""

    parent: Parent
    n: int
    row: R
    calls: Mapping[CallName, Call]


_TAG: _Step[Parent, Tagged] = _Step("tag", step1_tag.STAGE, step1_tag.request, step1_tag.read)
_CLASSIFY: _Step[Attempt, Typed] = _Step("classify", step2_classify.STAGE, step2_classify.request, step2_classify.read)
_GENERATE: _Step[Typed, Generated] = _Step(
    "generate", step3_generate.STAGE, step3_generate.request, step3_generate.read
)
_JUDGE: _Step[Generated, Judged] = _Step("judge", step4_filter.STAGE, step4_filter.request, step4_filter.read)


def check(params: SynthParams) -> None:
    """Raise `RecipeError` where the longest allowed reply of a step cannot fit the model's context beside a picture."""
    writer, judge = params.model, params.judge or params.model
    forms = [form for form, weight in params.formats.as_dict().items() if weight > 0]
    needs: list[tuple[str, int, ModelSpec]] = [
        *((f"a {form} pair", token_budget(step3_generate.schema(form, params)), writer) for form in forms),
        ("a judge's reply", token_budget(step4_filter.schema(params)), judge),
    ]
    if writer_tags(params.taggers) is not None:
        needs.insert(0, ("a list of tags", token_budget(step1_tag.schema(params)), writer))
    for name, tokens, model in needs:
        pictures = rules_at_hand(model).pictures
        picture = 0 if pictures is None else pictures.most(model.max_image_side)
        if tokens + picture >= model.max_model_len:
            seen = f" and the picture up to {picture}" if picture else ""
            raise RecipeError(
                f"synth.limits: {name} may need {tokens} tokens{seen}, and max_model_len of {model.name} is "
                f"{model.max_model_len} for prompt and reply; lower the limits, or raise max_model_len if the model can"
            )


def identity(params: SynthParams) -> Json:
    """Return what names a partition of outcomes, besides its pictures, the seed and the engine that answers.

    Holds versions, prompts, taxonomy and every parameter that can change an outcome; pictures to draw
    and the means of reaching a model are left out.
    """
    dump = params.model_dump(mode="json", exclude=_NOT_OF_ROWS | _ELSEWHERE)
    for role in ("model", "judge"):
        if dump[role] is not None:
            dump[role] = {key: value for key, value in dump[role].items() if key not in _MEANS}
    dump["offer"]["mapping"] = None if params.offer.mapping is None else params.offer.mapping.parse().sha256
    dump["seeds"] = None if params.seeds is None else params.seeds.sha256
    others = [description(use) for use in model_taggers(params.taggers)]
    dump["taggers"] = [writer_tags(params.taggers), *others]
    if not others:
        dump.pop("taggers")  # as it was before there were others than the writing model
    return {
        "version": VERSION,
        "prompts": {step: [prompt.file, prompt.sha256] for step, prompt in used_prompts(params).items()},
        "checks": [[prompt.file, prompt.sha256] for prompt in checks.prompts(params.checks)],
        "taxonomy": Taxonomy.load().sha256,
        "params": dump,
    }


def synthesise(
    chat: Chat,
    judge: Chat,
    parents: Sequence[Parent],
    params: SynthParams,
    seed: int,
    only: Collection[str] | None = None,
    comparer: Chat | None = None,
    offers: Offers | None = None,
    given: Given | None = None,
) -> list[Outcome]:
    """Run the four steps for a partition of pictures.

    Returns `params.per_image` outcomes per parent, in the order of `parents`. `judge` may be `chat`
    itself; the rows then say that they were judged by their writer. Attempts whose type is none of the leaves in `only`
    end once it is known. `comparer` compares answers by their meaning; None leaves that to the writer. `offers` says
    which types each attempt is offered (`infinity_mm.synth.offers`); None settles that among these pictures. `given` is
    what the taggers with models of their own say; None where the recipe has none of them. Raises `ModelError` only
    where an engine is gone, `StageError` for a parent given twice.
    """
    order = {parent.id: place for place, parent in enumerate(parents)}
    passed, ended = write(chat, parents, params, seed, only, comparer, offers, given)
    judged, lost = _advance(_JUDGE, judge, passed, params, seed)
    ended += lost
    ended += [_settle(one, params) for one in judged]
    ended.sort(key=lambda one: (order[one.parent], one.n))
    return merge_turns(ended) if params.merge_turns else ended


def write(
    chat: Chat,
    parents: Sequence[Parent],
    params: SynthParams,
    seed: int,
    only: Collection[str] | None = None,
    comparer: Chat | None = None,
    offers: Offers | None = None,
    given: Given | None = None,
) -> tuple[list[_Live[Generated]], list[Outcome]]:
    """Run the steps before the judge; returns the attempts that it shall see, and the outcomes of the others."""
    tagged, untagged = _tag(chat, parents, params, seed, given)
    ended = [_again(one, n) for one in untagged for n in range(params.per_image)]
    attempts = [_Live(one.parent, n, Attempt(one.row, n), one.calls) for one in tagged for n in range(params.per_image)]
    offered, lost = _offer(attempts, params, seed, offers)
    ended += lost
    typed, lost = _advance(_CLASSIFY, chat, offered, params, seed)
    ended += lost
    if only is not None:
        ended += [
            _end(one, step2_classify.STAGE, Drop(NOT_ASKED, "")) for one in typed if one.row.leaf.name not in only
        ]
        typed = [one for one in typed if one.row.leaf.name in only]
    written, lost = _advance(_GENERATE, chat, typed, params, seed)
    ended += lost
    passed, lost = _apply_rules(written, params)
    ended += lost
    passed, lost = _apply_checks(chat, comparer or chat, passed, params, seed)
    return passed, ended + lost


def tag(
    chat: Chat, parents: Sequence[Parent], params: SynthParams, seed: int, given: Given | None = None
) -> dict[str, tuple[Tag, ...]]:
    """Run the first step alone; returns id -> tags of the pictures that have any, in the order of `parents`."""
    return {one.parent.id: one.row.tags for one in _tag(chat, parents, params, seed, given)[0]}


def _tag(
    chat: Chat, parents: Sequence[Parent], params: SynthParams, seed: int, given: Given | None
) -> tuple[list[_Live[Tagged]], list[Outcome]]:
    """Run the first step: the writing model where it tags, and what the other taggers have said of the pictures."""
    distinct = len({parent.id for parent in parents})
    if distinct != len(parents):
        raise StageError(f"synthesise: {len(parents)} parents with {distinct} distinct ids; give each parent once")
    if (given is None) != (not model_taggers(params.taggers)):
        raise StageError("synthesise: `given` and the recipe's taggers do not agree; this is a bug, please report it")
    live = [_Live(parent, 0, parent, {}) for parent in parents]
    if given is None:
        return _advance(_TAG, chat, live, params, seed)
    writer = writer_tags(params.taggers)
    said: list[tuple[_Live[Parent], Tagged | Drop | Failed]] = [(one, Drop("no_tags", "")) for one in live]
    if writer is not None:
        said = _take(_TAG, chat, live, params, seed)
    results: list[tuple[_Live[Parent], Tagged | Drop | Failed]] = []
    for one, own in said:
        tags = own if isinstance(own, Tagged) else None
        whole = own if isinstance(own, Failed) else merge(one.parent, given[one.parent.id], tags, writer or "")
        results.append((one, whole))
    return _sorted_out(_TAG.stage, results)


def _advance(
    step: _Step[R, S], chat: Chat, live: Sequence[_Live[R]], params: SynthParams, seed: int
) -> tuple[list[_Live[S]], list[Outcome]]:
    """Run one step over all live attempts; return those that go on and the outcomes of those that ended."""
    results: list[tuple[_Live[R], S | Drop | Failed]] = _take(step, chat, live, params, seed)
    return _sorted_out(step.stage, results)


def _take(
    step: _Step[R, S], chat: Chat, live: Sequence[_Live[R]], params: SynthParams, seed: int
) -> list[tuple[_Live[R], S | Drop | Failed]]:
    """Make the calls of one step; return each attempt, with its call, and what the reply says."""
    file = params.prompt(step.name, PROMPTS[step.name]).file
    asked = [step.request(one.row, params, seed).model_copy(update={"prompt_file": file}) for one in live]
    made = call(chat, asked, params.max_retries)
    return [
        (replace(one, calls={**one.calls, step.name: answer}), step.read(one.row, answer.reply, params, seed))
        for one, answer in zip(live, made, strict=True)
    ]


def _sorted_out(
    stage: str, results: Sequence[tuple[_Live[R], S | Drop | Failed]]
) -> tuple[list[_Live[S]], list[Outcome]]:
    """Return the attempts that go on, and the outcomes of those that end at this stage."""
    on: list[_Live[S]] = []
    ended: list[Outcome] = []
    for one, result in results:
        if isinstance(result, Drop | Failed):
            ended.append(_end(one, stage, result))
        else:
            on.append(_Live(one.parent, one.n, result, one.calls))
    return on, ended


def _offer(
    live: Sequence[_Live[Attempt]], params: SynthParams, seed: int, offers: Offers | None
) -> tuple[list[_Live[Attempt]], list[Outcome]]:
    """Settle which types each attempt is offered; those that are left without any end here."""
    if offers is None:
        rows = with_offers([one.row for one in live], params, seed)
    else:
        rows = [replace(one.row, offered=tuple(offers.get(one.row.key, ()))) for one in live]
    after = [replace(one, row=row) for one, row in zip(live, rows, strict=True)]
    none = Drop("no_type_left", "every type's share is used up by other attempts")
    ended = [_end(one, step2_classify.STAGE, none) for one in after if one.row.offered == ()]
    return [one for one in after if one.row.offered != ()], ended


def _apply_rules(live: Sequence[_Live[Generated]], params: SynthParams) -> tuple[list[_Live[Generated]], list[Outcome]]:
    """Apply the rules before the judge; attempts on one picture in the order of n."""
    passed: list[_Live[Generated]] = []
    ended: list[Outcome] = []
    earlier: dict[str, list[Generated]] = {}
    prompt = params.prompt("generate", step3_generate.PROMPT)
    for one in live:
        siblings = earlier.setdefault(one.parent.id, [])
        broken = rules.judge_by_rule(one.row, siblings, params.rules, prompt)
        if broken is None:
            siblings.append(one.row)
            passed.append(one)
        else:
            ended.append(_end(one, step4_filter.STAGE, broken))
    return passed, ended


def _apply_checks(
    chat: Chat, comparer: Chat, live: Sequence[_Live[Generated]], params: SynthParams, seed: int
) -> tuple[list[_Live[Generated]], list[Outcome]]:
    """Make the recipe's checks of what was written: all questions in one batch, then all comparisons in another."""
    if not params.checks.any:
        return list(live), []
    asked = _ask(chat, live, [checks.requests(one.row, params, seed) for one in live], params)
    open_pairs = [checks.comparisons(one.row, _replies(one), params.checks, seed) for one in asked]
    passed: list[_Live[Generated]] = []
    ended: list[Outcome] = []
    for one in _ask(comparer, asked, open_pairs, params):
        after = replace(one, row=replace(one.row, checks=checks.read(one.row, _replies(one), params.checks)))
        broken = checks.verdict(after.row, params.checks)
        if broken is None:
            passed.append(after)
        else:
            ended.append(_end(after, step4_filter.STAGE, broken))
    return passed, ended


def _ask(
    chat: Chat, live: Sequence[_Live[R]], asked: Sequence[Mapping[CheckName, Request]], params: SynthParams
) -> list[_Live[R]]:
    """Return the attempts with the answers to the further calls that each asks for, all made in one batch."""
    made = iter(call(chat, [request for each in asked for request in each.values()], params.max_retries))
    return [
        replace(one, calls={**one.calls, **{name: next(made) for name in each}})
        for one, each in zip(live, asked, strict=True)
    ]


def _replies(one: _Live[R]) -> dict[CallName, Reply]:
    return {name: made.reply for name, made in one.calls.items()}


def _settle(one: _Live[Judged], params: SynthParams) -> Outcome:
    """Keep or drop a judged attempt by its score."""
    broken = step4_filter.verdict(one.row, params.min_score)
    if broken is not None:
        return _end(one, step4_filter.STAGE, broken)
    origin = provenance(one.row, one.calls, used_prompts(params))
    kept = _outcome(one)
    return replace(kept, record=assemble(one.row, origin, params.format_hint))


def _end(one: _Live[R], stage: str, why: Drop | Failed) -> Outcome:
    """Return the outcome of an attempt that does not go on: dropped by its data, quarantined by a failed call."""
    return replace(
        _outcome(one),
        outcome="dropped" if isinstance(why, Drop) else "quarantined",
        stage=stage,
        reason=why.reason,
        detail=why.detail,
    )


def _outcome(one: _Live[R]) -> Outcome:
    """Return an attempt as kept, without its record, with all that is known of it."""
    row = one.row
    judged = row if isinstance(row, Judged) else None
    generated = judged.generated if judged else row if isinstance(row, Generated) else None
    typed = generated.typed if generated else row if isinstance(row, Typed) else None
    return Outcome(
        id=attempt_id(one.parent.id, one.n, typed),
        parent=one.parent.id,
        source=one.parent.source,
        n=one.n,
        outcome="kept",
        stage=None,
        reason=None,
        detail="",
        leaf=typed.leaf.name if typed else None,
        format=typed.format if typed else None,
        record=None,
        generation=_generation(generated, judged) if generated else None,
        calls=tuple(
            StepCall(
                step,
                made.attempts,
                made.prompt_tokens,
                made.completion_tokens,
                made.generation,
                made.cached,
                made.engine,
            )
            for step, made in one.calls.items()
            if step != "tag" or one.n == 0
        ),
    )


def _generation(generated: Generated, judged: Judged | None) -> dict[str, Json]:
    return {
        "question": generated.question,
        "answer": generated.answer,
        "options": list(generated.options),
        "score": judged.score if judged else None,
        "score_reason": judged.reason if judged else None,
        "checks": asdict(generated.checks) if generated.checks else None,
    }


def _again(one: Outcome, n: int) -> Outcome:
    """Return the outcome of the n-th attempt on a picture whose tagging ended all of them."""
    return replace(one, n=n, id=attempt_id(one.parent, n, None), calls=one.calls if n == 0 else ())
