"""What has changed in prompts and models since a run folder's synthetic rows were made."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError

from infinity_mm.errors import UsageError
from infinity_mm.frozen import Frozen
from infinity_mm.fs import Location
from infinity_mm.manifest import Manifest
from infinity_mm.pipeline.synthesis import known_parents
from infinity_mm.pipeline.tagging import TAGGER, identities, role_names
from infinity_mm.store import Store
from infinity_mm.synth.cache.key import model_identity
from infinity_mm.synth.params import STEP_NAMES, SynthParams
from infinity_mm.synth.provenance import used_prompts

#: What stands for a tagger, or the prompt of one, that there was not or that there is no longer.
_NONE = "none"


class Changes(Frozen):
    """What `infinity-mm synth --changed` is about to do."""

    #: Step -> (prompt then, prompt now), as ``name.vN (first digits of its SHA-256)``.
    prompts: dict[str, tuple[str, str]]
    #: "writer", "judge" and "tagger NAME" -> (model then, model now).
    models: dict[str, tuple[str, str]]
    #: Steps whose prompt or model is another one; those after them are asked again where their input changes.
    steps: tuple[str, ...]
    #: Pictures that attempts were made for.
    pictures: int
    #: Attempts on each.
    per_image: int

    @property
    def nothing(self) -> bool:
        """True where prompts and models are as they were."""
        return not self.steps

    def lines(self) -> Iterator[str]:
        """Yield the changes for people."""
        if self.nothing:
            yield "nothing to do: no prompt and no model has changed since these rows were made"
            return
        for step, (then, now) in self.prompts.items():
            yield f"changed: prompt of {step}: {then} -> {now}"
        for role, (then, now) in self.models.items():
            yield f"changed: {role}: {then} -> {now}"
        kept = [step for step in STEP_NAMES if step not in self.steps]
        yield (
            f"asked again: {', '.join(self.steps)}, for {self.pictures:,} pictures with {self.per_image} attempts each"
            + (f"; from the cache, as far as their input stays: {', '.join(kept)}" if kept else "")
        )


def changes(work: Location, params: SynthParams) -> Changes:
    """Compare the prompts and models of a run folder's manifest with those of a recipe.

    Raises `UsageError` where the folder has no synthetic rows to compare with.
    """
    store = Store(work)
    then = _manifest(store).synthesis
    if then is None:
        raise UsageError(f"{work} has no synthetic rows; run `infinity-mm synth` without --changed first")
    now = {step: (prompt.file, prompt.sha256) for step, prompt in used_prompts(params).items()}
    prompts: dict[str, tuple[str, str]] = {
        step: (_shown(then.prompts.get(step)), _shown(now[step])) for step in now if then.prompts.get(step) != now[step]
    }
    writer = model_identity(params.model)
    judge = writer if params.judge is None else model_identity(params.judge)
    current = {"writer": writer, "judge": judge, **role_names(identities(params.taggers))}
    known = {role: name for role, name in then.models.items() if role in current or role.startswith(TAGGER)}
    models = {
        role: (known.get(role, _NONE if role.startswith(TAGGER) else "unknown"), current.get(role, _NONE))
        for role in {**current, **known}
        if known.get(role) != current.get(role)
    }
    touched = {step for step in now if ("judge" if step == "judge" else "writer") in models} | set(prompts)
    if "tag" in then.prompts and "tag" not in now:
        prompts["tag"] = (_shown(then.prompts["tag"]), _NONE)
    if "tag" in prompts or any(role.startswith(TAGGER) for role in models):
        touched.add("tag")
    return Changes(
        prompts=prompts,
        models=models,
        steps=tuple(step for step in STEP_NAMES if step in touched),
        pictures=len(known_parents(store)),
        per_image=params.per_image,
    )


def _manifest(store: Store) -> Manifest:
    location = store.at("manifest.json")
    if not location.exists():
        raise UsageError(f"{store.work} is no finished run folder; run `infinity-mm synth` without --changed first")
    try:
        return Manifest.model_validate_json(location.read_bytes())
    except ValidationError as error:
        raise UsageError(
            f"{location} was written by another version of infinity-mm: run without --changed ({error.error_count()} "
            "fields differ)"
        ) from error


def _shown(prompt: tuple[str, str] | None) -> str:
    return "unknown" if prompt is None else f"{prompt[0]} ({prompt[1][:8]})"
