"""A family, a checkpoint and a recipe brought together: what holds for the model of one run."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infinity_mm.errors import ModelError
from infinity_mm.synth.chat import ModelSpec
from infinity_mm.synth.engines.checkpoint import folder_at_hand
from infinity_mm.synth.models.families import family_of_name, family_of_type, read_object
from infinity_mm.synth.models.rules import Family, PictureRule

#: Files of a checkpoint that hold the image processor's configuration; the newer one has it under a key of its own.
_PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")


@dataclass(frozen=True)
class ModelRules:
    """What is known of a model before anything is asked of it."""

    #: None for a model of no known family: then nothing but `max_image_side` bounds its pictures.
    family: Family | None
    #: How its pictures become tokens, within the budget of the recipe; None where the family is.
    pictures: PictureRule | None
    #: Arguments of its processor, where they differ from the checkpoint's own.
    processor: Mapping[str, Any]
    #: Arguments of its chat template.
    template: Mapping[str, Any]
    #: Whether its pictures stand before all instructions.
    picture_first: bool = False
    #: The family that config.json tells, where it is at hand and tells a known one.
    told: Family | None = None

    def picture_tokens(self, width: int, height: int) -> int:
        """Return the prompt tokens of a picture of this size in pixels; 0 where no rule is known."""
        return 0 if self.pictures is None else self.pictures.tokens(width, height)

    def engine_arguments(self) -> dict[str, Any]:
        """Return what vLLM is told of pictures, videos and the processor."""
        arguments: dict[str, Any] = {}
        if self.processor:
            arguments["mm_processor_kwargs"] = dict(self.processor)
        if self.family is not None and self.family.videos:
            arguments["limit_mm_per_prompt"] = {"video": 0}
        return arguments


def model_rules(spec: ModelSpec, folder: Path | None = None) -> ModelRules:
    """Return what holds for the model of `spec`; `folder` is its checkpoint, where it is at hand.

    The family is the recipe's, else the one that config.json tells, else the one that the name tells.

    Raises
    ------
    ModelError
        A picture takes more tokens than the recipe allows even with the smallest setting.
    """
    config, processor = ({}, {}) if folder is None else _read_configurations(folder)
    told = family_of_type(config.get("model_type"))
    family = family_of_type(spec.family) or told or family_of_name(spec.name)
    if family is None:
        return ModelRules(None, None, dict(spec.processor), dict(spec.chat_template), bool(spec.picture_first))
    own = family.rule(spec.name.lower(), config, processor)
    rule = own.within(min(picture_budget(spec), own.most(spec.max_image_side)))
    if rule is None:
        raise ModelError(
            f"a picture of {family.name} takes more than {picture_budget(spec)} tokens at any setting; raise "
            "max_image_tokens, or max_model_len, of which pictures get a half unless the recipe says otherwise"
        )
    settings = {} if rule == own else rule.arguments()
    first = family.picture_first if spec.picture_first is None else spec.picture_first
    template = {**family.template, **spec.chat_template}
    return ModelRules(family, rule, settings | dict(spec.processor), template, first, told)


def rules_at_hand(spec: ModelSpec) -> ModelRules:
    """Return what holds for a model with what is known without a download; raises as `model_rules` does."""
    return model_rules(spec, folder_at_hand(spec))


def picture_budget(spec: ModelSpec) -> int:
    """Return the most prompt tokens of one picture: the recipe's, or half of the context."""
    return spec.max_image_tokens or spec.max_model_len // 2


def check_engine(spec: ModelSpec, rules: ModelRules, engine: str) -> None:
    """Raise `ModelError` where the engine cannot run the model as things stand.

    Its class or a package may be absent, it may bring code that the recipe does not allow to run, or its config.json
    may tell another family than the recipe.
    """
    family = rules.family
    if family is None or engine == "openai":
        return
    if (told := rules.told) is not None and told is not family:
        raise ModelError(
            f"{spec.name} is {told.name} by its config.json, and the recipe's family, {spec.family}, is "
            f"{family.name}; leave family out"
        )
    # Processors of families that take videos are whole only with torchvision, also for pictures alone.
    if absent := _absent((*family.packages, *(["torchvision"] if family.videos else []))):
        raise ModelError(f"{spec.name} ({family.name}) needs {', '.join(absent)}: pip install {' '.join(absent)}")
    if engine == "transformers" and not family.in_transformers:
        raise ModelError(
            f"transformers has no class for {spec.name} ({family.name}); take vLLM (synth.model.engine), or a "
            "checkpoint of the family in transformers' form, as the -hf ones of InternVL"
        )
    if family.remote_code and not spec.trust_remote_code:
        raise ModelError(
            f"{spec.name} ({family.name}) comes with Python files that run when it is loaded. Read them, pin "
            "the revision, and set trust_remote_code: true beside the model's name if you allow it; or take a "
            "checkpoint that needs none, as MiniCPM-V 4.6 or InternVL's -hf form"
        )


def _absent(packages: Sequence[str]) -> list[str]:
    return [package for package in packages if importlib.util.find_spec(package) is None]


def _read_configurations(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return config.json, and the image processor's part of its configuration; {} for what is not there."""
    processor: dict[str, Any] = {}
    for name in _PROCESSOR_FILES:
        found = read_object(folder / name)
        processor |= found | (found.get("image_processor") or {})
    return read_object(folder / "config.json"), processor
