"""Whether two answers mean the same, where neither text nor numbers can tell: a call for each pair.

Either the writing model is asked, yes or no, under a prompt of its own and greedily; or two sentence embeddings are
compared by their cosine (Reimers and Gurevych 2019, arXiv:1908.10084). The latter goes through the same seam: the
request holds the two texts, the reply is the cosine, so that it is counted, cached and written down like any call.
"""

from __future__ import annotations

import json
from math import isfinite

from infinity_mm.synth.chat import Reply, Request, Sampling
from infinity_mm.synth.params import CheckName, SemanticParams, call_seed
from infinity_mm.synth.prompts import load_prompt
from infinity_mm.synth.rows import Comparison, Generated
from infinity_mm.synth.structured import read_choice, token_budget

SAME = ("same", 1)
YES_NO = ("yes", "no")
#: The call that compares the answer of another.
COMPARES: dict[CheckName, CheckName] = {
    "blind": "same_blind",
    "answer": "same_answer",
    "answer_again": "same_answer_again",
}


def request(row: Generated, answer: str, name: CheckName, params: SemanticParams, seed: int) -> Request:
    """Return the call `name` that compares an answer with the row's own; it has no picture."""
    key = f"{row.typed.attempt.key}/{name}"
    if params.by == "embedding":
        return Request(key=key, prompt=pair_text(row.answer, answer), sampling=Sampling(max_tokens=1))
    prompt = load_prompt(*SAME)
    return Request(
        key=key,
        system=prompt.text("system"),
        prompt=prompt.fill("user", {"question": row.question, "first": row.answer, "second": answer}),
        prompt_file=prompt.file,
        choices=YES_NO,
        sampling=Sampling(max_tokens=token_budget(YES_NO)),
        seed=call_seed(seed, name, row.typed.attempt.key),
    )


def read(reply: Reply, params: SemanticParams) -> Comparison:
    """Return what the reply says; nothing is known where the call failed or the reply cannot be read."""
    if params.by == "model":
        said = read_choice(reply, YES_NO)
        return Comparison(said == "yes", "semantic") if isinstance(said, str) else Comparison(None)
    similarity = read_similarity(reply.text)
    if similarity is None:
        return Comparison(None)
    return Comparison(similarity >= params.threshold, "semantic", similarity)


def pair_text(one: str, other: str) -> str:
    """Return two texts as the prompt of a request to an embedding model."""
    return json.dumps([one, other], ensure_ascii=False)


def read_pair(prompt: str) -> tuple[str, str]:
    """Return the texts of `pair_text`; raises ValueError for anything else."""
    match json.loads(prompt):
        case [str(one), str(other)]:
            return one, other
    raise ValueError(f"expected two texts as a JSON array, got {prompt[:80]!r}")


def read_similarity(text: str | None) -> float | None:
    """Return the number of an embedding model's reply, None where there is none."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if isfinite(value) else None
