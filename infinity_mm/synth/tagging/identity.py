"""Which checkpoint a tagger runs, found without loading it: what names its results, and whether it can tag at all."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

from infinity_mm.errors import ModelError
from infinity_mm.fingerprint import Json, canonical
from infinity_mm.synth.cache.key import weights_identity
from infinity_mm.synth.engines.checkpoint import Checkpoint, locate
from infinity_mm.synth.tagging.params import ModelTagger, Tagger, ZeroShotTagger

#: Raised whenever the same picture and checkpoint would get other scores.
VERSION = 1
#: ``model_type`` of the configurations that compare pictures with captions.
ZERO_SHOT_TYPES = ("clip", "siglip")


def asked(taggers: tuple[Tagger, ...]) -> tuple[ModelTagger, ...]:
    """Return the taggers that have a model of their own."""
    return tuple(use for use in taggers if use.kind != "vlm")


def writer_tags(taggers: tuple[Tagger, ...]) -> str | None:
    """Return what the writing model is called as a tagger; None where it does not tag."""
    return next((use.name for use in taggers if use.kind == "vlm"), None)


def description(use: ModelTagger) -> Json:
    """Return what of a tagger can change its tags, but for its weights; no path of this machine."""
    dump = use.model_dump(mode="json", exclude={"model"})
    if isinstance(use, ZeroShotTagger):
        dump["vocabulary"] = use.vocabulary.sha256
    return {"version": VERSION, **dump}


def tagger_identity(use: ModelTagger) -> str:
    """Name the tagger by all that its tags depend on: weights, vocabulary, captions, thresholds; one line of text.

    Raises `ModelError` where the weights cannot be had.
    """
    try:
        weights = weights_identity(use.model.spec)
    except ModelError as error:
        raise ModelError(f"synth.taggers.{use.name}: {error}") from error
    return f"{weights} {canonical(description(use))}"


def located_checkpoint(use: ModelTagger) -> Checkpoint:
    """Return the tagger's checkpoint, of the right kind; raises `ModelError` that names the tagger."""
    try:
        checkpoint = locate(use.model.spec)
    except ModelError as error:
        raise ModelError(f"synth.taggers.{use.name}: {error}") from error
    check_kind(use, checkpoint.folder)
    return checkpoint


def check_tagger(use: ModelTagger) -> None:
    """Find before any work what would stop a tagger, without a download or an import of torch.

    Raises `ModelError` where torch or transformers is not installed, or a local checkpoint is of another kind.
    """
    absent = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
    if absent:
        raise ModelError(
            f"synth.taggers.{use.name} needs {' and '.join(absent)}, not installed: `pip install "
            "'infinity-mm[transformers]'`, or leave the tagger out (`taggers: [{kind: vlm}]`)"
        )
    folder = Path(use.model.name).expanduser()
    if folder.is_dir():
        located_checkpoint(use)


def check_kind(use: ModelTagger, folder: Path) -> None:
    """Raise `ModelError` where a checkpoint's configuration is of another kind than the tagger's."""
    config = _config(use, folder)
    kind = config.get("model_type")
    if use.kind == "zero_shot" and kind not in ZERO_SHOT_TYPES:
        raise ModelError(
            f"synth.taggers.{use.name}: {use.model.name} is of type {kind!r}; zero_shot compares pictures with "
            f"captions and needs one of {', '.join(ZERO_SHOT_TYPES)}. For an image classifier write kind: classifier"
        )
    if use.kind == "classifier" and kind in ZERO_SHOT_TYPES and not config.get("id2label"):
        raise ModelError(
            f"synth.taggers.{use.name}: {use.model.name} is of type {kind!r}, without labels of its own; write kind: "
            "zero_shot and give it a vocabulary"
        )


def _config(use: ModelTagger, folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(f"synth.taggers.{use.name}: {folder}/config.json cannot be read: {error}") from error
    return found if isinstance(found, dict) else {}
