"""Before hours of other work: whether the models of a recipe are there, whole, and can run here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infinity_mm.errors import ModelError, RecipeError
from infinity_mm.pipeline.placing import place, placed
from infinity_mm.synth.chat import ModelSpec
from infinity_mm.synth.engines.checkpoint import check_place, reach
from infinity_mm.synth.engines.select import resolve_engine
from infinity_mm.synth.models.lengths import too_long
from infinity_mm.synth.models.resolving import check_engine, rules_at_hand
from infinity_mm.synth.params import SynthParams
from infinity_mm.synth.run_step import check
from infinity_mm.synth.tagging.identity import asked, check_tagger

if TYPE_CHECKING:
    from infinity_mm.engine import Engine

#: Models that are asked with pictures and words.
_TALKING = ("synth.model", "synth.judge")
#: Models whose `max_model_len` is what the recipe says.
_LONG = (*_TALKING, "synth.loss.model")


def check_synthesis(params: SynthParams) -> None:
    """Find before any work, and without the network, what would stop the synthesis.

    Raises `RecipeError` for texts that do not fit a model's context, and for a context beyond the model's own; for a
    model that is not there, not whole or of another family than the recipe says; and where there is no engine, or none
    that may run the model.
    """
    for role, spec in _roles(params).items():
        try:
            check_place(spec, pictures=role in _TALKING)
            if role in _TALKING:
                check_engine(spec, rules_at_hand(spec), resolve_engine(spec))
            told = too_long(spec, resolve_engine(spec)) if role in _LONG else None
        except ModelError as error:
            raise RecipeError(f"{role}: {error}") from error
        if told is not None:
            raise RecipeError(f"{role}.max_model_len: {told}")
    check(params)
    for use in asked(params.taggers):
        try:
            check_tagger(use)
        except ModelError as error:
            raise RecipeError(str(error)) from error


def check_models(engine: Engine, params: SynthParams) -> None:
    """Find before any work whether the hub gives the models that are not here, and an embedded node has their GPUs.

    Raises `ModelError` or `EngineError`, and `RecipeError` where the hub's config.json shows what `check_synthesis`
    finds.
    """
    roles = _roles(params)
    sent = [reach(spec) for spec in roles.values()]
    if any(sent):
        check_synthesis(params)
    for role, spec in roles.items():
        engine.check_room(f"{role} ({spec.name})", place(engine, placed(spec)).resources)


def _roles(params: SynthParams) -> dict[str, ModelSpec]:
    """Return every model of the recipe, by its place there."""
    roles = {"synth.model": params.model}
    if params.judge is not None:
        roles["synth.judge"] = params.judge
    roles |= {f"synth.taggers.{use.name}.model": use.model.spec for use in asked(params.taggers)}
    if params.loss is not None:
        roles["synth.loss.model"] = params.loss.model.model_copy(update={"engine": "transformers"})
    if params.checks.semantic is not None and params.checks.semantic.embedding is not None:
        roles["synth.checks.semantic.embedding"] = params.checks.semantic.embedding.spec
    return roles
