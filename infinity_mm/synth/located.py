"""What a recipe's synthesis names by path, found once when the recipe is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from infinity_mm.errors import RecipeError
from infinity_mm.fs import Location
from infinity_mm.synth.annotated import package_mapping, package_seeds
from infinity_mm.synth.params import SynthParams
from infinity_mm.synth.prompts import load_prompt, read_prompt_file
from infinity_mm.synth.provenance import PROMPTS

#: What `synth.seeds` and `synth.offer.mapping` say for the seed rows of the package, and the mapping made from them.
PACKAGE = "package"


def located(params: SynthParams, base: Path) -> SynthParams:
    """Return the parameters with an absolute cache, and with the content of prompt files, mapping and seed rows.

    Paths are relative to `base`. Raises `RecipeError` for a prompt file that cannot stand in for the package's, and for
    a mapping or seed rows that cannot be read.
    """
    cache = Location.of(params.cache, base=base).uri if params.cache else params.cache
    prompts = {}
    for step, use in params.prompts.items():
        try:
            prompts[step] = read_prompt_file(Location.of(use.file, base=base), load_prompt(*PROMPTS[step]))
        except RecipeError as error:
            raise RecipeError(f"synth.prompts.{step}: {error}") from error
    offer, seeds = params.offer, params.seeds
    if offer.mapping is not None:
        mapping = offer.mapping.model_copy(
            update=_content("synth.offer.mapping", offer.mapping.file, base, package_mapping)
        )
        mapping.parse()
        offer = offer.model_copy(update={"mapping": mapping})
    if seeds is not None:
        seeds = seeds.model_copy(update=_content("synth.seeds", seeds.file, base, package_seeds))
        seeds.parse()
    return params.model_copy(update={"cache": cache, "prompts": prompts, "offer": offer, "seeds": seeds})


def _content(key: str, file: str, base: Path, package: Callable[[], str]) -> dict[str, str]:
    """Return where a text file is and what it says; `PACKAGE` stands for what the package brings."""
    if file == PACKAGE:
        return {"file": file, "text": package()}
    place = Location.of(file, base=base)
    try:
        return {"file": place.uri, "text": place.read_bytes().decode("utf-8")}
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{key}: cannot read {place}: {error}") from error
