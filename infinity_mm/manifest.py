"""The manifest of a run: what was asked, with which versions, and what came out."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from infinity_mm.decontam.leakage import LeakageReport
from infinity_mm.frozen import Frozen
from infinity_mm.ledger import SourceBooks
from infinity_mm.stages import StageReport
from infinity_mm.synth.comparison_quality import ComparisonReport
from infinity_mm.synth.judge_quality import JudgeReport
from infinity_mm.synth.tagging.scores import TaggerInfo


class ExportReport(Frozen):
    """One export of a run, or of an earlier one in the same folder."""

    name: str
    format: str
    shards: int
    samples: int
    bytes: int
    #: False for one that `export --name` did not write and that is of an earlier recipe.
    current: bool = True


class StepCalls(Frozen):
    """What one step of the synthesis asked, over all partitions as they were made."""

    #: Calls to the model, retries included, and the questions that they were made for.
    calls: int
    answers: int
    #: Questions whose answer was there before: in the generation cache, or asked by another attempt.
    cached: int
    #: Of the calls that were made; and of the answers that were there, the words alone.
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


class StepYields(Frozen):
    """One instruction type in one step."""

    came: int
    went_on: int


class TypeYields(Frozen):
    """One instruction type through the steps."""

    kept: int
    dropped: int
    quarantined: int
    #: step -> attempts of this type that came in and went on.
    steps: dict[str, StepYields]
    #: ``step.reason`` -> attempts.
    reasons: dict[str, int]
    #: Of all calls made for attempts of this type, but for the tags, which a picture's attempts share.
    prompt_tokens: int
    completion_tokens: int


class LossGroup(Frozen):
    """Losses of the kept answers of one source and format under the reference model, nats per token."""

    #: Of the pictures.
    source: str
    format: str
    rows: int
    #: Rows whose loss could be computed.
    known: int
    p05: float | None
    median: float | None
    p95: float | None


class TaggerReport(Frozen):
    """One tagger with a model of its own, over the pictures that were drawn."""

    tagger: TaggerInfo
    #: Weights, vocabulary, captions and thresholds in one line.
    identity: str
    pictures: int
    #: Pictures with a tag, and tags on all of them.
    tagged: int
    tags: int
    #: Why the others have none: ``no_tags``, or why the tagger could not look.
    reasons: dict[str, int]


class SynthesisReport(Frozen):
    """What the synthesis did, and with which engine."""

    engine: str
    engine_version: str
    model: str
    revision: str
    #: True where generator and judge are the same model: then scores flatter.
    self_judged: bool
    #: True for the embedded checkpoint with random weights, whose words are noise.
    random_weights: bool
    #: step -> {"in": n, "out": n, "<reason>": n}.
    yields: dict[str, dict[str, int]]
    #: Taggers beside the writing model.
    taggers: tuple[TaggerReport, ...] = ()
    #: instruction type -> what became of the attempts that got it.
    types: dict[str, TypeYields] = Field(default_factory=dict)
    #: "blind" and "agreement" -> how answers compared with the written ones: ``exact_same``, ``exact_other``,
    #: ``numeric_same``, ..., ``semantic_other``, and ``unknown`` where the call failed -> answers.
    comparisons: dict[str, dict[str, int]] = Field(default_factory=dict)
    #: How well the judge tells right from wrong; None where the recipe measures nothing.
    judge: JudgeReport | None = None
    #: The same of the model that compares answers; None where none does.
    comparer: ComparisonReport | None = None
    #: Empty where the recipe computes no losses.
    losses: tuple[LossGroup, ...] = ()
    #: Step -> calls that were made, answers that were in the cache.
    calls: dict[str, StepCalls] = Field(default_factory=dict)
    #: Step -> [name and version, SHA-256] of its prompt file.
    prompts: dict[str, tuple[str, str]] = Field(default_factory=dict)
    #: "writer" and "judge" -> model, revision and picture size, see `infinity_mm.synth.cache.key`; "tagger NAME" -> its
    #: identity.
    models: dict[str, str] = Field(default_factory=dict)
    #: The instruction types that `synth --only` was limited to; None where all were made.
    only: tuple[str, ...] | None = None
    prompt_tokens: int
    completion_tokens: int
    #: Seconds that the engines spent on the partitions when they were made, their starts left out; words from the cache
    #: cost none.
    engine_seconds: float
    #: The writer's times the GPUs that it holds, and the judge's times those that the judge holds.
    gpu_seconds: float = 0.0
    #: GPUs that the larger of the engines holds, one working at a time; 0 on a CPU or behind an endpoint.
    gpus: float


class HostFailures(Frozen):
    """One host that failed often."""

    #: "" for URLs that name none.
    host: str
    #: URLs that failed.
    urls: int
    #: Reason -> URLs.
    failed: dict[str, int]


class DownloadReport(Frozen):
    """How the pictures that are given by URL ended, over all runs of the folder; URLs are counted once."""

    #: Pictures of rows that are given by URL.
    references: int
    #: Distinct URLs among them; `urls` = `downloaded` + all failed + `not_downloaded`.
    urls: int
    #: `references` - `urls`: fetches that were not needed.
    repeats_saved: int
    downloaded: int
    #: Of the downloaded content.
    bytes: int
    #: Reason -> URLs.
    failed: dict[str, int]
    #: Never asked for.
    not_downloaded: int
    #: The ten hosts with most failures.
    worst_hosts: tuple[HostFailures, ...]


class Manifest(Frozen):
    """`manifest.json` of a run folder.

    Of a folder that sources were ingested into one by one, it holds the books and inputs of all of them, and the
    stages, versions and times of the last.
    """

    #: The command that wrote it.
    command: Literal["run", "ingest", "synth"] = "run"
    name: str
    #: Recipe with every default filled in.
    recipe: dict[str, Any]
    #: Fingerprint of the resolved recipe.
    recipe_fingerprint: str
    seed: int
    #: Package -> version, of everything that can change a result.
    versions: dict[str, str]
    #: Source -> annotation file -> digest.
    inputs: dict[str, dict[str, str]]
    #: Sources of the recipe that were left out whole -> why; none of their rows was read.
    refused: dict[str, str] = Field(default_factory=dict)
    #: Roots on the hub: ``OWNER/NAME@REVISION`` as asked for -> the commit that was read.
    revisions: dict[str, str] = Field(default_factory=dict)
    books: dict[str, SourceBooks]
    stages: tuple[StageReport, ...]
    exports: tuple[ExportReport, ...]
    synthesis: SynthesisReport | None
    #: None where the recipe has no `decontaminate`.
    leakage: LeakageReport | None = None
    #: None where no source gives pictures by URL.
    download: DownloadReport | None = None
    #: Wall time of this run, seconds; peak resident memory of the driver, bytes.
    seconds: float
    driver_peak_bytes: int
