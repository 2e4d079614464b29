"""What a synthesis would still cost, from a pilot whose words are kept.

Pictures that the cache has never seen and pictures that it knows are piloted and scaled apart: of a known picture only
what a changed prompt or model touches is asked again. The pilot's words go to the cache, so that the run finds them;
its rows are not written. Scaling is by proportion: take the result as an order of magnitude.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from infinity_mm.errors import RecipeError
from infinity_mm.frozen import Frozen
from infinity_mm.fs import Location
from infinity_mm.pipeline.failing import lost_places
from infinity_mm.pipeline.generated import SynthTask, to_json
from infinity_mm.pipeline.offering import known_offers
from infinity_mm.pipeline.parts import SYNTHETIC, Part
from infinity_mm.pipeline.passes import Context, unfinished
from infinity_mm.pipeline.placing import Placing, place
from infinity_mm.pipeline.run import RunOptions, curate, open_run
from infinity_mm.pipeline.synthesis import (
    PilotWorker,
    Subset,
    cache_of,
    generation_tasks,
    worker_spec,
)
from infinity_mm.pipeline.tagging import TAGGER, TagTask, TagWorker, identities, spec_of, with_tags
from infinity_mm.pipeline.workers import WorkerSpec
from infinity_mm.pipeline.writing import read_offers
from infinity_mm.recipe import Recipe
from infinity_mm.synth.cache.files import GenerationFiles
from infinity_mm.synth.cache.key import PLACE, place_of
from infinity_mm.synth.models.describing import describe
from infinity_mm.synth.outcomes import add_yields, dry_step, flows, unsuited
from infinity_mm.synth.params import STEP_NAMES, SynthParams, models_of
from infinity_mm.synth.tagging.identity import asked

Place = tuple[str, int]
#: Pictures of a pilot.
PILOT = 16


class StepCost(Frozen):
    """One step of what is left to do."""

    calls: int
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class _Group:
    """Pictures that cost alike."""

    places: Sequence[Place]
    #: What their attempts are offered, as for `SynthTask`, where that is settled.
    offers: str | None = None
    #: True where taggers with models of their own have seen them.
    tagged: bool = False


class Estimate(Frozen):
    """What is left to do, and what it would cost."""

    #: Pictures that would be asked about; those of them without finished rows that the cache has never seen; with
    #: finished rows, where what failed is asked again; and those that were piloted.
    pictures: int
    new: int
    again: int = 0
    piloted: int
    steps: dict[str, StepCost]
    #: What a picture takes of each model's context, and the model's weights.
    models: tuple[str, ...] = ()
    #: The step that no attempt of the pilot came out of, and why; what follows it is not in the estimate.
    dry: str | None = None
    #: That many attempts of the pilot were offered no type that suits their picture, and what helps.
    unsuited: str | None = None
    #: Hours that the engines work, their starts left out; None where the pilot made no call.
    engine_hours: float | None
    #: The hours of each engine times the GPUs that it holds; None where none is held here.
    gpu_hours: float | None

    def lines(self) -> Iterator[str]:
        """Yield the estimate for people."""
        if not self.pictures:
            yield "nothing to do: every picture of the recipe has its rows"
            return
        yield (
            f"left: {self.pictures:,} pictures, {self.new:,} of them new to the cache"
            + (f", {self.again:,} with attempts that failed" if self.again else "")
            + f"; from a pilot of {self.piloted:,}, whose words are kept:"
        )
        for step, cost in self.steps.items():
            tokens = f"{cost.prompt_tokens:>13,} tokens in  {cost.completion_tokens:>12,} out"
            yield f"  {step:<9} {cost.calls:>10,} calls  {tokens if not step.startswith(TAGGER) else ''}".rstrip()
        if self.dry is not None:
            yield f"  warning: in the pilot {self.dry}; the steps behind it are not in this estimate"
        if self.unsuited is not None:
            yield f"  warning: in the pilot {self.unsuited}"
        yield from (f"  model {line}" for line in self.models)
        if self.engine_hours is None:
            yield "  no call in the pilot: what is left comes from the cache"
        elif self.gpu_hours is None:
            yield f"  {self.engine_hours:,.3g} engine-hours with no GPU held here (for GPU-hours run it on one)"
        else:
            yield f"  {self.gpu_hours:,.3g} GPU-hours"


def estimate(recipe: Recipe, work: Location, options: RunOptions, subset: Subset) -> Estimate:
    """Curate what is not curated yet, generate for a few pictures, and scale up; raises as `run` does."""
    with open_run(recipe, work, options) as (context, prepared):
        params = prepared.recipe.synth
        if params is None:
            raise RecipeError(f"recipe {recipe.name} has no synth section: there is nothing to estimate")
        fates = curate(context).fates
        spec = worker_spec(context, params, subset)
        placing = place(context.engine, *models_of(spec.params))
        named = identities(params.taggers)
        drawn = [with_tags(task, named) for task in generation_tasks(context, fates, params, subset)]
        tasks = known_offers(context, drawn, params, spec)
        new, known = _by_cache(context, params, unfinished(context.store, tasks))
        again = _failed_before(context, params, tasks) if subset.failed_again else _Group(())
        total: Counter[str] = Counter()  # of floats
        groups = [group for group in (new, known, again) if group.places]
        pilots = [replace(group, places=_spread(group.places, PILOT)) for group in groups]
        spent, found = _pilot(context, params, named, spec, placing, pilots)
        for group, pilot, counts in zip(groups, pilots, spent, strict=True):
            total.update({name: value * len(group.places) / len(pilot.places) for name, value in counts.items()})
    steps = list(dict.fromkeys((*STEP_NAMES, *(name.partition(".")[0] for name in total if "." in name))))
    hours = total["seconds"] / 3_600 if any(total[f"{step}.calls"] for step in steps) else None
    return Estimate(
        pictures=sum(len(group.places) for group in groups),
        new=len(new.places),
        again=len(again.places),
        piloted=sum(len(pilot.places) for pilot in pilots),
        steps={
            step: StepCost.model_validate({f: round(total[f"{step}.{f}"]) for f in StepCost.model_fields})
            for step in steps
        },
        models=tuple(f"{model.name}: {describe(model)}" for model in models_of(params)),
        dry=dry_step(flows(found["steps"])),
        unsuited=unsuited(flows(found["steps"]), params),
        engine_hours=hours,
        gpu_hours=total["gpu_seconds"] / 3_600 if hours is not None and total["gpu_seconds"] else None,
    )


def _pilot(
    context: Context,
    params: SynthParams,
    named: Mapping[str, str],
    spec: WorkerSpec,
    placing: Placing,
    pilots: Sequence[_Group],
) -> tuple[list[dict[str, float]], dict[str, Any]]:
    """Return of each pilot seconds, calls and tokens by step, and the `yields` of all.

    A picture is one call of each tagger that has not seen it.
    """
    tasks = [
        SynthTask(context.store.work.uri, Part(SYNTHETIC, number, "pilot"), "", tuple(one.places), offers=one.offers)
        for number, one in enumerate(pilots)
    ]
    total: dict[str, Any] = {"steps": {}, "types": {}, "comparisons": {}}
    if not tasks:
        return [], total
    tasks = [with_tags(task, named) for task in tasks]
    tagged = [Counter[str]() for _ in tasks]
    for number, use in enumerate(asked(params.taggers)):
        todo = [TagTask(task.work, task.places, task.seen[number]) for task in tasks]
        need = place(context.engine, use.model.spec).resources
        for index, seconds in context.engine.map_actors("pilot-tag", TagWorker, spec_of(use), todo, need):
            if not pilots[index].tagged:
                spent = {"seconds": seconds, "gpu_seconds": seconds * need.gpus}
                tagged[index].update(spent | {f"{TAGGER}{use.name}.calls": len(todo[index].places)})
    done = context.engine.map_actors("pilot", PilotWorker, spec, tasks, placing.resources)
    for index, (counts, found) in done:
        tagged[index].update(counts)
        total = add_yields(total, found)
    return [dict(counts) for counts in tagged], total


def _failed_before(context: Context, params: SynthParams, tasks: Sequence[SynthTask]) -> _Group:
    """Return the pictures that `begin_again` would ask about: those with failures, and without a cache all beside them.

    `tasks` are all partitions, with what is known of their offers.
    """
    missing = {task.attempts for task in unfinished(context.store, tasks)}
    places: list[Place] = []
    offers: dict[str, Any] = {}
    for task in tasks:
        lost = () if task.attempts in missing else lost_places(context.store, task)
        if lost:
            places += lost if cache_of(context.store, params) is not None else task.places
            offers |= read_offers(task.offers) or {}
    return _Group(places, to_json(offers) if offers else None, tagged=True)


def _by_cache(context: Context, params: SynthParams, tasks: Sequence[SynthTask]) -> tuple[_Group, _Group]:
    """Return the pictures of which the cache knows nothing, and those of which it knows something."""
    places = [place for task in tasks for place in task.places]
    folder = cache_of(context.store, params)
    if folder is None:
        return _Group(places), _Group(())
    digests: dict[Place, str] = {}
    for path in sorted({path for path, _ in places}):
        column = context.store.read(path, ["images"]).column("images").to_pylist()
        digests |= {(path, row): place_of([column[row][0]["sha256"]]) for of, row in places if of == path}
    keys = GenerationFiles(folder).find(set(digests.values())).column("key").to_pylist()
    seen = {key[:PLACE] for key in keys}
    new = [place for place in places if digests[place] not in seen]
    return _Group(new), _Group([place for place in places if digests[place] in seen])


def _spread(items: Sequence[Place], count: int) -> list[Place]:
    """Return at most `count` items, evenly spaced."""
    step = max(1.0, len(items) / count)
    return [items[int(k * step)] for k in range(min(count, len(items)))]
