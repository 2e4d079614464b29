"""What a recipe's synthesis names by path, found once when the recipe is loaded."""

from __future__ import annotations

from pathlib import Path

from infinity_mm.errors import RecipeError
from infinity_mm.fs import Location
from infinity_mm.synth.params import SynthParams
from infinity_mm.synth.prompts import load_prompt, read_prompt_file
from infinity_mm.synth.provenance import PROMPTS


def located(params: SynthParams, base: Path) -> SynthParams:
    """Return the parameters with an absolute cache, and with the content of the user's prompt files.

    Paths are relative to `base`. Raises `RecipeError` for a prompt file that cannot stand in for the package's.
    """
    cache = Location.of(params.cache, base=base).uri if params.cache else params.cache
    prompts = {}
    for step, use in params.prompts.items():
        try:
            prompts[step] = read_prompt_file(Location.of(use.file, base=base), load_prompt(*PROMPTS[step]))
        except RecipeError as error:
            raise RecipeError(f"synth.prompts.{step}: {error}") from error
    return params.model_copy(update={"cache": cache, "prompts": prompts})
