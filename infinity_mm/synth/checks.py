"""Further looks at a written question: does it belong to the picture, does it need the picture, is its answer stable.

Each is a call or two of the writing model under the recipe's `checks`; all of them are off by default. The question is
put as a user would put it, with the hint that the finished row ends with, and without the tags or the type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from infinity_mm.synth.agreement import same_answer
from infinity_mm.synth.assemble import FORMAT_HINTS
from infinity_mm.synth.chat import Reply, Request, Sampling
from infinity_mm.synth.params import CheckName, CheckParams, SynthParams, call_seed
from infinity_mm.synth.prompts import load_prompt
from infinity_mm.synth.rows import LETTERS, Checks, Drop, Failed, Format, Generated
from infinity_mm.synth.step4_filter import with_options
from infinity_mm.synth.structured import CALL_REASONS, read_choice, token_budget

RELEVANCE = ("relevance", 1)
YES_NO = ("yes", "no")
REASONS = ("not_relevant", "answerable_without_image", "answers_disagree")
#: Formats whose answers can be compared word by word.
COMPARED: tuple[Format, ...] = ("word_or_phrase", "multiple_choice")
#: Tokens beyond the longest phrase: an end mark, a line end.
_SPARE_TOKENS = 16


def requests(row: Generated, params: SynthParams, seed: int) -> dict[CheckName, Request]:
    """Return the calls that check a row; none where the recipe asks for none, or the format cannot be compared."""
    wanted = params.checks
    made: dict[CheckName, Request] = {}
    if wanted.relevance != "off":
        made["relevance"] = _relevance(row, params, seed)
    if row.typed.format not in COMPARED:
        return made
    if wanted.blind != "off":
        made["blind"] = _asked(row, row.options, "blind", params, seed)
        if row.options:
            made["blind_again"] = _asked(row, row.options[::-1], "blind_again", params, seed)
    if wanted.agreement != "off":
        made["answer"] = _asked(row, row.options, "answer", params, seed)
        made["answer_again"] = _asked(row, row.options, "answer_again", params, seed)
    return made


def read(row: Generated, replies: Mapping[CheckName, Reply], params: CheckParams) -> Checks:
    """Return what the replies show."""
    relevant = None
    if "relevance" in replies:
        said = read_choice(replies["relevance"], YES_NO)
        relevant = None if isinstance(said, Failed) else said == "yes"
    blind = {"blind": row.options, "blind_again": row.options[::-1]}
    unseen = [_answer(replies[name], options) for name, options in blind.items() if name in replies]  # type: ignore[index]
    seen = [_answer(replies[name], row.options) for name in ("answer", "answer_again") if name in replies]
    return Checks(
        relevant=relevant,
        blind_correct=_all_right(row, unseen, params),
        agreement=_share_right(row, seen, params),
        blind_answers=tuple(answer for answer in unseen if answer is not None),
        answers=tuple(answer for answer in seen if answer is not None),
    )


def verdict(row: Generated, params: CheckParams) -> Drop | Failed | None:
    """Return why the row does not pass its checks, or None; applies to stored results as to new ones."""
    found = row.checks or Checks()
    compared = row.typed.format in COMPARED
    if params.relevance == "drop":
        if found.relevant is None:
            return _unknown("relevance")
        if not found.relevant:
            return Drop("not_relevant", "the model says that the picture cannot answer the question")
    if params.blind == "drop" and compared:
        if found.blind_correct is None:
            return _unknown("blind")
        if found.blind_correct:
            return Drop("answerable_without_image", f"answered without the picture: {' | '.join(found.blind_answers)}")
    if params.agreement == "drop" and compared:
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
    budget = token_budget(LETTERS) if options else params.limits.phrase_chars + _SPARE_TOKENS
    sampling = Sampling(max_tokens=budget) if blind else params.checks.answer.sampling(budget)
    return Request(
        key=f"{row.typed.attempt.key}/{name}",
        prompt=f"{with_options(row.question, options)}\n{FORMAT_HINTS[row.typed.format]}",
        images=() if blind else (row.typed.attempt.parent.data,),
        choices=LETTERS if options else None,
        sampling=sampling,
        seed=call_seed(seed, name, row.typed.attempt.key),
    )


def _answer(reply: Reply, options: tuple[str, ...]) -> str | None:
    """Return the answer in words, None where the call failed."""
    if not options:
        return None if reply.text is None else reply.text.strip().partition("\n")[0].strip()
    letter = read_choice(reply, LETTERS)
    return None if isinstance(letter, Failed) else options[LETTERS.index(letter)]


def _all_right(row: Generated, answers: Sequence[str | None], params: CheckParams) -> bool | None:
    """Tell whether every answer is right; one wrong answer suffices to deny it, a failed call leaves it open."""
    if any(answer is not None and not _right(row, answer, params) for answer in answers):
        return False
    return True if answers and None not in answers else None


def _share_right(row: Generated, answers: Sequence[str | None], params: CheckParams) -> float | None:
    known = [answer for answer in answers if answer is not None]
    if not known:
        return None
    return sum(_right(row, answer, params) for answer in known) / len(known)


def _right(row: Generated, answer: str, params: CheckParams) -> bool:
    return answer == row.answer if row.options else same_answer(answer, row.answer, params.tolerance)
