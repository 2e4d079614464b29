"""What a partition of the synthesis writes, and the report that is read back from it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from infinity_mm.errors import ModelError
from infinity_mm.manifest import StepCalls, SynthesisReport
from infinity_mm.pipeline.parents import Places
from infinity_mm.pipeline.parts import Part
from infinity_mm.pipeline.workers import EngineSeconds
from infinity_mm.schema import INGEST_ATTRIBUTES, RECORDS, validate_records
from infinity_mm.store import Store, part_name
from infinity_mm.synth.assemble import source_ref
from infinity_mm.synth.chat import EngineInfo
from infinity_mm.synth.outcomes import Outcome, add_yields, flows, yields
from infinity_mm.synth.params import STEP_NAMES, SynthParams

#: One row per attempted generation.
ATTEMPTS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source_ref", pa.string(), nullable=False),
        pa.field("outcome", pa.string()),  # null for a finished record
        pa.field("stage", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("winner", pa.string()),  # the record that holds the question as one of its turns
        pa.field("parent", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),  # of the picture
        pa.field("instruction_type", pa.string()),
        pa.field("answer_format", pa.string()),
        # Scores of the judge (1 to 10) and of the checks; null where there is none.
        pa.field("score", pa.int32()),
        pa.field("relevant", pa.bool_()),
        pa.field("blind_correct", pa.bool_()),
        pa.field("agreement", pa.float64()),
        # Of each answer, without the picture and with it: which comparison decided (exact, numeric, semantic, or null
        # where none did), and the cosine to the written answer where embeddings were compared. Null where none was.
        pa.field("blind_by", pa.list_(pa.string())),
        pa.field("blind_similarity", pa.list_(pa.float64())),
        pa.field("agreement_by", pa.list_(pa.string())),
        pa.field("agreement_similarity", pa.list_(pa.float64())),
        # What was written, also for a dropped row, as JSON; null where nothing was.
        pa.field("generation", pa.string()),
        # Counts per step and type of the whole part, as JSON, and the engine's description; on the first row only.
        pa.field("yields", pa.string()),
        pa.field("engine", pa.string()),
    ]
)

#: One row per call of the attempts: which were made for this partition, and which answers were there before. No output
#: that must repeat: a partition made again has other rows here.
CALLS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("step", pa.string(), nullable=False),
        pa.field("generation", pa.string()),
        pa.field("cached", pa.bool_(), nullable=False),
        pa.field("attempts", pa.int32(), nullable=False),
        pa.field("prompt_tokens", pa.int64(), nullable=False),
        pa.field("completion_tokens", pa.int64(), nullable=False),
    ]
)
#: Where they lie.
CALLS_FOLDER = "state/synth/calls"


@dataclass(frozen=True)
class SynthTask:
    """The four steps for a few pictures."""

    work: str
    part: Part
    attempts: str
    #: (records part, row inside it) of each parent.
    places: Places
    #: Where the writer's calls are, if it went first; see `infinity_mm.pipeline.writing`.
    written: str | None = None
    #: Where the calls for its tags are, and what its attempts are offered, as JSON, where that is settled over the
    #: whole run; see `infinity_mm.pipeline.offering`.
    tagged: str | None = None
    offers: str | None = None
    #: Where the tags of each tagger with a model of its own are; see `infinity_mm.pipeline.tagging`.
    seen: tuple[str, ...] = ()
    #: The partition's name since it was begun again; None where it never was.
    again: str | None = None

    @property
    def outputs(self) -> tuple[str, ...]:
        """Finished records, their measurements, and what became of every attempt."""
        return (self.part.ingest, self.part.records, self.attempts)

    @property
    def calls(self) -> str:
        """Who was asked, and what came from the cache."""
        return f"{CALLS_FOLDER}/{part_name(self.part.number, self.part.fingerprint)}"

    @property
    def timing(self) -> str:
        """Seconds of the engines: a figure for people and forecasts, so no output that must repeat."""
        return f"state/synth/engine_seconds/{self.part.fingerprint}.json"


def write_part(store: Store, task: SynthTask, found: Sequence[Outcome], seconds: EngineSeconds) -> None:
    """Write the files of a finished partition, its outputs last."""
    records = [one.record for one in found if one.record is not None]
    faults = [fault for fault in validate_records(records) if fault is not None]
    if faults:
        raise ModelError(
            f"a finished synthetic record fails its own schema: {faults[0]}; this is a bug, please report it"
        )
    measured = [
        {"id": row["id"], "category": row["category"], "notes": []}
        | {name: [] for name in INGEST_ATTRIBUTES.names if name not in ("id", "category", "notes")}
        for row in records
    ]
    store.at(task.timing).write_bytes(orjson.dumps(asdict(seconds)))
    store.write(task.calls, pa.Table.from_pylist(_calls(found), schema=CALLS))
    store.write(task.part.ingest, pa.Table.from_pylist(measured, schema=INGEST_ATTRIBUTES))
    with store.writer(task.part.records, RECORDS) as writer:
        for row in records:
            writer.add(row, 2_000)
    lines = [_attempt(one) for one in found]
    if lines:
        lines[0] |= {"yields": to_json(yields(found)), "engine": _engine(found)}
    store.write(task.attempts, pa.Table.from_pylist(lines, schema=ATTEMPTS))


def to_json(value: Any) -> str:
    """Return what a column holds as JSON, its keys sorted."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _attempt(one: Outcome) -> dict[str, Any]:
    kept = one.outcome == "kept"
    written = one.generation or {}
    checks = written.get("checks") or {}
    return {
        "id": one.id,
        "source_ref": source_ref(one.parent, one.n),
        "outcome": None if kept else one.outcome,
        "stage": None if kept else one.stage,
        "reason": None if kept else one.reason,
        "detail": None if kept else one.detail,
        "winner": one.winner,
        "parent": one.parent,
        "source": one.source,
        "instruction_type": one.leaf,
        "answer_format": one.format,
        "score": written.get("score"),
        "relevant": checks.get("relevant"),
        "blind_correct": checks.get("blind_correct"),
        "agreement": checks.get("agreement"),
        **_comparisons("blind", checks.get("blind_comparisons")),
        **_comparisons("agreement", checks.get("comparisons")),
        "generation": None if one.generation is None else to_json(one.generation),
    }


def _comparisons(check: str, found: Sequence[dict[str, Any]] | None) -> dict[str, Any]:
    """Return the columns that say how the answers of a check were compared."""
    if not found:
        return {}
    return {f"{check}_by": [one["by"] for one in found], f"{check}_similarity": [one["similarity"] for one in found]}


def _calls(found: Sequence[Outcome]) -> list[dict[str, Any]]:
    return [
        {
            "id": one.id,
            "step": made.step,
            "generation": made.generation,
            "cached": made.cached,
            "attempts": made.attempts,
            "prompt_tokens": made.prompt_tokens,
            "completion_tokens": made.completion_tokens,
        }
        for one in found
        for made in one.calls
    ]


def _engine(found: Sequence[Outcome]) -> str | None:
    """Return who wrote the part's first words, as JSON."""
    writers = (made.engine for one in found for made in one.calls if made.step != "judge")
    return next((info.model_dump_json() for info in writers if info is not None), None)


def read_report(
    store: Store, tasks: Sequence[SynthTask], params: SynthParams, settings: dict[str, Any]
) -> SynthesisReport:
    """Return the report of finished partitions; `settings` are the fields that say what was asked for.

    The models of `params` are placed.
    """
    total: dict[str, Any] = {"steps": {}, "types": {}, "comparisons": {}}
    info: EngineInfo | None = None
    for task in tasks:
        for row in store.read(task.attempts, ["yields", "engine"]).slice(0, 1).to_pylist():
            total = add_yields(total, orjson.loads(row["yields"]))
            info = EngineInfo.model_validate_json(row["engine"]) if row["engine"] else info
    steps, seconds = total["steps"], engine_seconds(store, tasks)
    answered = {} if info is None else info.model_dump(include={"engine", "model", "revision"})
    answered |= {} if info is None else {"engine_version": info.version}
    return SynthesisReport.model_validate(
        settings
        | answered
        | {
            "yields": flows(steps),
            "types": total["types"],
            "comparisons": total["comparisons"],
            "calls": count_calls(store, tasks),
            "prompt_tokens": sum(counts["prompt_tokens"] for counts in steps.values()),
            "completion_tokens": sum(counts["completion_tokens"] for counts in steps.values()),
            "engine_seconds": round(seconds.total, 3),
            "gpu_seconds": round(seconds.on_gpus(params), 3),
        }
    )


def count_calls(store: Store, tasks: Sequence[SynthTask]) -> dict[str, StepCalls]:
    """Return step -> what was asked and what came from the cache, when the partitions were made."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter, {step: Counter() for step in STEP_NAMES})
    for path in (task.calls for task in tasks):
        if not store.at(path).exists():
            continue
        grouped = store.read(path).group_by(["step", "cached"])
        fields = ("attempts", "prompt_tokens", "completion_tokens")
        for row in grouped.aggregate([(name, "sum") for name in fields] + [([], "count_all")]).to_pylist():
            if row["cached"]:
                counts.setdefault(row["step"], Counter())["cached"] += row["count_all"]
                counts[row["step"]]["cached_tokens"] += row["completion_tokens_sum"]
            else:
                made = {"answers": row["count_all"], "calls": row["attempts_sum"]}
                counts.setdefault(row["step"], Counter()).update(
                    made | {name: row[f"{name}_sum"] for name in fields[1:]}
                )
    return {
        step: StepCalls.model_validate({f: count[f] for f in StepCalls.model_fields}) for step, count in counts.items()
    }


def engine_seconds(store: Store, tasks: Sequence[SynthTask]) -> EngineSeconds:
    """Return how long the engines worked on partitions when they were made."""
    timed = [store.at(task.timing) for task in tasks]
    found = (EngineSeconds(**orjson.loads(file.read_bytes())) for file in timed if file.exists())
    return sum(found, EngineSeconds())


def calls_of(store: Store, identity: str) -> list[dict[str, Any]]:
    """Return the rows of `CALLS` of one attempt, as the run folder has them."""
    for name in store.at(CALLS_FOLDER).files():
        table = store.read(f"{CALLS_FOLDER}/{name}")
        found: list[dict[str, Any]] = table.filter(pc.equal(table.column("id"), identity)).to_pylist()
        if found:
            return found
    return []
