"""Step 3: a question of the given type, and its answer in the given form, in one call.

The paper asks for the question first and for the answer in a second call with one of three prompts
(word or phrase, brief explanation, detailed explanation); file names of its release hint at a fourth
form, multiple choice. One structured reply holds both here, which halves the calls. For multiple
choice the model writes the right option and three wrong ones, and a keyed hash decides which letter
the right one gets: models left alone put it first.
"""

from __future__ import annotations

from typing import Any

from infinity_mm.keyed import keyed_u64
from infinity_mm.synth.alter import folded
from infinity_mm.synth.chat import Reply, Request
from infinity_mm.synth.examples import choose, shown
from infinity_mm.synth.params import SynthParams, call_seed
from infinity_mm.synth.rows import LETTERS, Drop, Failed, Format, Generated, Typed, tag_line
from infinity_mm.synth.structured import CALL_REASONS, array, read_json, record, text, token_budget

STAGE = "synth.generate"
PROMPT = ("generate", 1)
REASONS = ("example_copied", *CALL_REASONS)


def schema(form: Format, params: SynthParams) -> dict[str, Any]:
    """Return the JSON Schema of the reply: question and answer, for multiple choice also three distractors."""
    limits = params.limits
    question = text(limits.question_chars, params.charset)
    match form:
        case "word_or_phrase":
            return record({"question": question, "answer": text(limits.phrase_chars, params.charset)})
        case "brief":
            return record({"question": question, "answer": text(limits.brief_chars, params.charset)})
        case "detailed":
            return record({"question": question, "answer": text(limits.detailed_chars, params.charset)})
        case "multiple_choice":
            option = text(limits.option_chars, params.charset)
            wrong = len(LETTERS) - 1
            return record({"question": question, "answer": option, "distractors": array(option, wrong, wrong)})


def request(row: Typed, params: SynthParams, seed: int) -> Request:
    """Return the call that writes the question and its answer."""
    prompt = params.prompt("generate", PROMPT)
    form = schema(row.format, params)
    slots = {
        "tags": tag_line(row.attempt.tagged.tags),
        "leaf": row.leaf.name,
        "level1": row.leaf.level1,
        "level2": row.leaf.level2,
        "asks": row.leaf.asks,
        "form": prompt.text(f"form.{row.format}"),
    }
    return Request(
        key=f"{row.attempt.key}/generate",
        system=prompt.text("system"),
        prompt=prompt.fill("user", slots) + shown(choose(row, params, seed)),
        images=(row.attempt.parent.data,),
        json_schema=form,
        sampling=params.draws.generate.sampling(token_budget(form)),
        seed=call_seed(seed, "generate", row.attempt.key),
    )


def read(row: Typed, reply: Reply, params: SynthParams, seed: int) -> Generated | Drop | Failed:
    """Return the question and answer with runs of white space made one blank; what they say is judged in step 4."""
    value = read_json(reply, schema(row.format, params))
    if isinstance(value, Failed):
        return value
    question, answer = (" ".join(value[name].split()) for name in ("question", "answer"))
    examples = choose(row, params, seed)
    for example in examples:
        if folded(example.row.question) == folded(question):
            return Drop("example_copied", f"seed {example.id}: {question}")
    if row.format != "multiple_choice":
        return Generated(row, question, answer, examples=tuple(one.id for one in examples))
    options = [" ".join(wrong.split()) for wrong in value["distractors"]]
    options.insert(keyed_u64(seed, "synth.letter", row.attempt.key) % len(LETTERS), answer)
    return Generated(row, question, answer, tuple(options), examples=tuple(one.id for one in examples))
