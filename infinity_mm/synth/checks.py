"""Further looks at a written question: does it belong to the picture, does it need the picture, is its answer stable.

Each is a call or two of the writing model under the recipe's `checks`; all of them are off by default. The question is
put as a user would put it, with the hint that the finished row ends with, and without the tags or the type. Answers are
compared as text or option, then as numbers, then, where the recipe says so, by meaning (`infinity_mm.synth.semantic`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from infinity_mm.synth import semantic
from infinity_mm.synth.agreement import compare
from infinity_mm.synth.assemble import FORMAT_HINTS
from infinity_mm.synth.chat import Reply, Request, Sampling
from infinity_mm.synth.params import CallName, CheckName, CheckParams, Limits, SynthParams, call_seed
from infinity_mm.synth.prompts import Prompt, load_prompt
from infinity_mm.synth.rows import LETTERS, Checks, Comparison, Drop, Failed, Format, Generated
from infinity_mm.synth.semantic import COMPARES, YES_NO
from infinity_mm.synth.step4_filter import with_options
from infinity_mm.synth.structured import CALL_REASONS, read_choice, token_budget

RELEVANCE = ("relevance", 1)
REASONS = ("not_relevant", "answerable_without_image", "answers_disagree")
#: Formats whose answers can be compared word by word.
OBJECTIVE: tuple[Format, ...] = ("word_or_phrase", "multiple_choice")
#: Tokens beyond the longest phrase: an end mark, a line end.
_SPARE_TOKENS = 16


def compared(params: CheckParams) -> Collection[Format]:
    """Return the formats whose answers are asked again and compared."""
    if params.semantic is None:
        return OBJECTIVE
    return (*OBJECTIVE, "brief", "detailed") if params.semantic.detailed else (*OBJECTIVE, "brief")


def prompts(params: CheckParams) -> list[Prompt]:
    """Return the prompt files that the checks of a recipe use."""
    used = [RELEVANCE] if params.relevance != "off" else []
    if params.semantic is not None and params.semantic.by == "model":
        used.append(semantic.SAME)
    return [load_prompt(*name) for name in used]


def requests(row: Generated, params: SynthParams, seed: int) -> dict[CheckName, Request]:
    """Return the calls that check a row; none where the recipe asks for none, or the format cannot be compared."""
    wanted = params.checks
    made: dict[CheckName, Request] = {}
    if wanted.relevance != "off":
        made["relevance"] = _relevance(row, params, seed)
    if row.typed.format not in compared(wanted):
        return made
    if wanted.blind != "off":
        made["blind"] = _asked(row, row.options, "blind", params, seed)
        if row.options:
            made["blind_again"] = _asked(row, row.options[::-1], "blind_again", params, seed)
    if wanted.agreement != "off":
        made["answer"] = _asked(row, row.options, "answer", params, seed)
        made["answer_again"] = _asked(row, row.options, "answer_again", params, seed)
    return made


def comparisons(
    row: Generated, replies: Mapping[CallName, Reply], params: CheckParams, seed: int
) -> dict[CheckName, Request]:
    """Return the calls that compare what text and numbers leave open; none where the recipe asks for none."""
    if params.semantic is None:
        return {}
    answers = {name: _answer(row, name, replies[name]) for name in COMPARES if name in replies}
    return {
        COMPARES[name]: semantic.request(row, answer, COMPARES[name], params.semantic, seed)
        for name, answer in answers.items()
        if answer is not None and _plainly(row, answer, params).same is None
    }


def read(row: Generated, replies: Mapping[CallName, Reply], params: CheckParams) -> Checks:
    """Return what the replies show, those of `comparisons` included."""
    relevant = None
    if "relevance" in replies:
        said = read_choice(replies["relevance"], YES_NO)
        relevant = None if isinstance(said, Failed) else said == "yes"
    unseen = _compared(row, ("blind", "blind_again"), replies, params)
    seen = _compared(row, ("answer", "answer_again"), replies, params)
    return Checks(
        relevant=relevant,
        blind_correct=_all_right([found for _, found in unseen]),
        agreement=_share_right([found for _, found in seen]),
        blind_answers=tuple(answer for answer, _ in unseen if answer is not None),
        answers=tuple(answer for answer, _ in seen if answer is not None),
        blind_comparisons=tuple(found for answer, found in unseen if answer is not None),
        comparisons=tuple(found for answer, found in seen if answer is not None),
    )


def verdict(row: Generated, params: CheckParams) -> Drop | Failed | None:
    """Return why the row does not pass its checks, or None; applies to stored results as to new ones."""
    found = row.checks or Checks()
    looked_at = row.typed.format in compared(params)
    if params.relevance == "drop":
        if found.relevant is None:
            return _unknown("relevance")
        if not found.relevant:
            return Drop("not_relevant", "the model says that the picture cannot answer the question")
    if params.blind == "drop" and looked_at:
        if found.blind_correct is None:
            return _unknown("blind")
        if found.blind_correct:
            return Drop("answerable_without_image", f"answered without the picture: {' | '.join(found.blind_answers)}")
    if params.agreement == "drop" and looked_at:
        if found.agreement is None:
            return _unknown("agreement")
        if found.agreement < params.min_agreement:
            detail = f"agreement={found.agreement:g} < min_agreement={params.min_agreement:g}"
            return Drop("answers_disagree", f"{detail}: {' | '.join(found.answers)}")
    return None


def _unknown(check: str) -> Failed:
    return Failed(CALL_REASONS[0], f"the {check} check has no result")


def _relevance(row: Generated, params: SynthParams, seed: int) -> Request:
    prompt = load_prompt(*RELEVANCE)
    return Request(
        key=f"{row.typed.attempt.key}/relevance",
        system=prompt.text("system"),
        prompt=prompt.fill("user", {"question": with_options(row.question, row.options)}),
        prompt_file=prompt.file,
        images=(row.typed.attempt.parent.data,),
        choices=YES_NO,
        sampling=Sampling(max_tokens=token_budget(YES_NO)),
        seed=call_seed(seed, "relevance", row.typed.attempt.key),
    )


def _asked(row: Generated, options: tuple[str, ...], name: CheckName, params: SynthParams, seed: int) -> Request:
    """Return the bare question: greedy and without the picture, or drawn and with it."""
    blind = name in ("blind", "blind_again")
    budget = token_budget(LETTERS) if options else _longest(row.typed.format, params.limits) + _SPARE_TOKENS
    sampling = Sampling(max_tokens=budget) if blind else params.checks.answer.sampling(budget)
    return Request(
        key=f"{row.typed.attempt.key}/{name}",
        prompt=f"{with_options(row.question, options)}\n{FORMAT_HINTS[row.typed.format]}",
        images=() if blind else (row.typed.attempt.parent.data,),
        choices=LETTERS if options else None,
        sampling=sampling,
        seed=call_seed(seed, name, row.typed.attempt.key),
    )


def _longest(form: Format, limits: Limits) -> int:
    """Return the characters of the longest answer that the format allows."""
    return {"brief": limits.brief_chars, "detailed": limits.detailed_chars}.get(form, limits.phrase_chars)


def _answer(row: Generated, name: CheckName, reply: Reply) -> str | None:
    """Return an answer in words, None where the call failed."""
    if row.options:
        letter = read_choice(reply, LETTERS)
        shown = row.options[::-1] if name == "blind_again" else row.options
        return None if isinstance(letter, Failed) else shown[LETTERS.index(letter)]
    if reply.text is None:
        return None
    said = reply.text.strip()
    return " ".join(said.split()) if row.typed.format in ("brief", "detailed") else said.partition("\n")[0].strip()


def _plainly(row: Generated, answer: str, params: CheckParams) -> Comparison:
    """Compare an answer with the written one as option, text or numbers; `same` is None where they leave it open."""
    return Comparison(answer == row.answer, "exact") if row.options else compare(answer, row.answer, params.tolerance)


def _compared(
    row: Generated, names: Sequence[CheckName], replies: Mapping[CallName, Reply], params: CheckParams
) -> list[tuple[str | None, Comparison]]:
    """Return each answer that was asked for, None where that call failed, and how it compares."""
    found: list[tuple[str | None, Comparison]] = []
    for name in names:
        if name not in replies:
            continue
        answer = _answer(row, name, replies[name])
        result = Comparison(None) if answer is None else _plainly(row, answer, params)
        if answer is not None and result.same is None:
            result = _by_meaning(replies.get(COMPARES[name]), params)
        found.append((answer, result))
    return found


def _by_meaning(reply: Reply | None, params: CheckParams) -> Comparison:
    """Return what the third comparison says; where there is none, what is not the same text is another answer."""
    if params.semantic is None:
        return Comparison(False, "exact")
    return Comparison(None) if reply is None else semantic.read(reply, params.semantic)


def _all_right(found: Sequence[Comparison]) -> bool | None:
    """Tell whether every answer is right; one wrong answer suffices to deny it, a failed call leaves it open."""
    if any(one.same is False for one in found):
        return False
    return True if found and all(one.same for one in found) else None


def _share_right(found: Sequence[Comparison]) -> float | None:
    known = [one.same for one in found if one.same is not None]
    return sum(known) / len(known) if known else None
