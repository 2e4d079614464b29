"""Where a synthetic row comes from: enough to say who wrote each word, and to ask for it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from infinity_mm.frozen import Frozen
from infinity_mm.synth import step1_tag, step2_classify, step3_generate, step4_filter
from infinity_mm.synth.calls import Call
from infinity_mm.synth.chat import EngineInfo, Sampling
from infinity_mm.synth.params import STEP_NAMES, CallName, StepName, SynthParams
from infinity_mm.synth.prompts import Prompt
from infinity_mm.synth.rows import Checks, Format, Judged
from infinity_mm.synth.semantic import COMPARES
from infinity_mm.synth.tagging.identity import writer_tags
from infinity_mm.synth.tagging.scores import TaggerInfo
from infinity_mm.synth.taxonomy import Taxonomy

#: (name, version) of the prompt file of each step.
PROMPTS: Mapping[StepName, tuple[str, int]] = {
    "tag": step1_tag.PROMPT,
    "classify": step2_classify.PROMPT,
    "generate": step3_generate.PROMPT,
    "judge": step4_filter.PROMPT,
}


class CallProvenance(Frozen):
    """One call: who answered what, and how the tokens were drawn."""

    engine: EngineInfo
    #: Name of the generation in a cache, 48 hex digits; None where none was given. Whether the words came from the
    #: cache is no property of the row: `infinity-mm explain` tells it of a run folder.
    generation: str | None = None
    prompt: str
    prompt_version: int
    #: Of the prompt file, 64 hex digits.
    prompt_sha256: str
    sampling: Sampling
    #: Of the try that gave the answer.
    seed: int
    #: Tries until then.
    attempts: int
    #: Of all tries; for the tags the call is shared by all attempts on the picture.
    prompt_tokens: int
    completion_tokens: int


class InstructionType(Frozen):
    """Where the question stands in the taxonomy."""

    level1: str
    level2: str
    leaf: str
    taxonomy_version: int
    #: Of the taxonomy file, 64 hex digits.
    taxonomy_sha256: str


class TagProvenance(Frozen):
    """One tag of the picture."""

    tag: str
    confidence: int
    #: Tagger -> score from 0 to 1, of all that saw it; left out where the writing model is the only tagger.
    scores: dict[str, float] = Field(default_factory=dict)

    @model_serializer(mode="wrap")
    def _short(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without(whole(self), "scores")


class ComparisonProvenance(Frozen):
    """How an independent answer compares with the written one, see `infinity_mm.synth.rows.Comparison`."""

    same: bool | None
    by: str | None
    similarity: float | None


class CheckProvenance(Frozen):
    """What the checks found, see `infinity_mm.synth.rows.Checks`; None where it was not looked at."""

    relevant: bool | None
    blind_correct: bool | None
    agreement: float | None
    blind_answers: tuple[str, ...]
    answers: tuple[str, ...]
    blind_comparisons: tuple[ComparisonProvenance, ...]
    comparisons: tuple[ComparisonProvenance, ...]
    #: Who compared answers by their meaning; None where that was not needed, or not asked for.
    compared_by: EngineInfo | None = None


class Provenance(Frozen):
    """The JSON in the `extra` column of every synthetic row."""

    parent: str
    parent_source: str
    image_sha256: str
    #: The attempt's number on this picture.
    n: int
    instruction_type: InstructionType
    tags: tuple[TagProvenance, ...]
    #: Taggers with a model of their own; left out where there are none.
    taggers: tuple[TaggerInfo, ...] = ()
    answer_format: Format
    #: The question without options or hint.
    question: str
    #: In plain words, also where the row answers with a letter.
    answer: str
    #: In the order shown; empty but for multiple choice.
    options: tuple[str, ...]
    #: The judge's score, 1 to 10.
    score: int
    score_reason: str
    #: Ids of the seed rows that the writer was shown, see `infinity_mm.synth.seeds.Seed`.
    examples: tuple[str, ...] = ()
    #: None where the recipe asks for no checks.
    checks: CheckProvenance | None = None
    #: True where the judge is the model that wrote the row.
    self_judged: bool
    license_note: str
    #: Without "tag" where the writing model does not tag.
    calls: dict[StepName, CallProvenance]
    #: Of the turns after the first, where questions about one picture were merged.
    further_turns: tuple[Provenance, ...] = ()

    @model_serializer(mode="wrap")
    def _short(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without(whole(self), "taggers")


def _without(dump: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a dump without a key that says nothing: rows of recipes that do not use it stay as they are."""
    return dump if dump[key] else {name: value for name, value in dump.items() if name != key}


def used_prompts(params: SynthParams) -> dict[StepName, Prompt]:
    """Return the prompt of every step that asks a model in words: the package's, or the user's own."""
    steps = [step for step in STEP_NAMES if step != "tag" or writer_tags(params.taggers) is not None]
    return {step: params.prompt(step, PROMPTS[step]) for step in steps}


def provenance(row: Judged, calls: Mapping[CallName, Call], prompts: Mapping[StepName, Prompt]) -> Provenance:
    """Return the provenance of a judged row from the four calls that made it, with the prompts they used."""
    generated = row.generated
    typed = generated.typed
    parent = typed.attempt.parent
    writer, judge = calls["generate"].engine, calls["judge"].engine
    taxonomy = Taxonomy.load()
    level1, level2, leaf = taxonomy.path(typed.leaf)
    return Provenance(
        parent=parent.id,
        parent_source=parent.source,
        image_sha256=parent.image.sha256,
        n=typed.attempt.n,
        instruction_type=InstructionType(
            level1=level1,
            level2=level2,
            leaf=leaf,
            taxonomy_version=taxonomy.version,
            taxonomy_sha256=taxonomy.sha256,
        ),
        tags=tuple(
            TagProvenance(tag=tag.name, confidence=tag.confidence, scores=dict(tag.scores))
            for tag in typed.attempt.tagged.tags
        ),
        taggers=typed.attempt.tagged.taggers,
        answer_format=typed.format,
        question=generated.question,
        answer=generated.answer,
        options=generated.options,
        score=row.score,
        score_reason=row.reason,
        examples=generated.examples,
        checks=_checks(generated.checks, calls) if generated.checks else None,
        self_judged=(writer.model, writer.revision) == (judge.model, judge.revision),
        license_note=(
            f"The licence column is the picture's, from its parent row. The words were written by {writer.model}; "
            "terms of that model may apply to them."
        ),
        calls={step: _one(prompts[step], calls[step]) for step in STEP_NAMES if step in calls},
    )


def _checks(found: Checks, calls: Mapping[CallName, Call]) -> CheckProvenance:
    comparers = [calls[name].engine for name in COMPARES.values() if name in calls]
    return CheckProvenance(**asdict(found), compared_by=comparers[0] if comparers else None)


def _one(prompt: Prompt, made: Call) -> CallProvenance:
    return CallProvenance(
        engine=made.engine,
        generation=made.generation,
        prompt=prompt.name,
        prompt_version=prompt.version,
        prompt_sha256=prompt.sha256,
        sampling=made.request.sampling,
        seed=made.request.seed,
        attempts=made.attempts,
        prompt_tokens=made.prompt_tokens,
        completion_tokens=made.completion_tokens,
    )
