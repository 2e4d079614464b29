"""What a recipe's synthesis names by path, found once when the recipe is loaded."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infinity_mm.errors import RecipeError
from infinity_mm.fs import Location
from infinity_mm.synth.annotated import package_mapping, package_seeds
from infinity_mm.synth.engines.checkpoint import EMBEDDED, RANDOM
from infinity_mm.synth.params import SynthParams
from infinity_mm.synth.prompts import load_prompt, read_prompt_file
from infinity_mm.synth.provenance import PROMPTS
from infinity_mm.synth.tagging.params import DEFAULT, Tagger, with_vocabulary
from infinity_mm.synth.tagging.vocabulary import package_vocabulary

#: Keys of a recipe's `synth` that name a model, at any depth.
_MODELS = frozenset({"model", "judge", "embedding"})
#: What `synth.seeds`, `synth.offer.mapping` and a vocabulary say for the seed rows of the package, and what is made of
#: them.
PACKAGE = "package"


def with_model_folders(synth: Any, base: Path) -> Any:
    """Return the `synth` of a recipe as it was read, with the names of models that are folders made absolute.

    A name is a folder where one is there, seen from `base` or else from the working directory, or where it begins as
    only paths do; every other is left alone, as a name on the hub.
    """
    if isinstance(synth, list):
        return [with_model_folders(item, base) for item in synth]
    if not isinstance(synth, dict):
        return synth
    found = {key: with_model_folders(value, base) for key, value in synth.items()}
    for key in _MODELS & found.keys():
        use = found[key]
        if isinstance(use, dict) and isinstance(use.get("name"), str) and use.get("base_url") is None:
            found[key] = use | {"name": _folder(use["name"], base)}
    return found


def _folder(name: str, base: Path) -> str:
    path = Path(name).expanduser()
    if name in (EMBEDDED, RANDOM) or path.is_absolute():
        return name
    there = next((place for place in (base / path, Path.cwd() / path) if place.is_dir()), None)
    if there is None and not name.startswith((".", "~")):
        return name
    return os.path.normpath(there or base / path)


def located(params: SynthParams, base: Path) -> SynthParams:
    """Return the parameters with an absolute cache, and with the content of prompt files, mapping and seed rows.

    Paths are relative to `base`. Raises `RecipeError` for a prompt file that cannot stand in for the package's, and for
    a mapping, a vocabulary or seed rows that cannot be read.
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
    taggers = tuple(_with_content(use, base) for use in params.taggers)
    found = {"cache": cache, "prompts": prompts, "offer": offer, "seeds": seeds, "taggers": taggers}
    return params.model_copy(update=found)


def unlocated(params: SynthParams) -> dict[str, Any]:
    """Return what the parameters ask for, as JSON: what files say and not where they lie, no cache.

    Taggers are left out where only the writing model tags, as recipes had none before there were others.
    """
    tree = params.model_dump(mode="json", exclude={"cache"})
    tree["prompts"] = {step: use["text"] for step, use in tree["prompts"].items()}
    for holder, key in ((tree, "seeds"), (tree["offer"], "mapping")):
        holder[key] = None if holder[key] is None else holder[key]["text"]
    if params.taggers == DEFAULT:
        tree.pop("taggers")
    for use in tree.get("taggers", ()):
        if use["kind"] == "zero_shot":
            use["vocabulary"] = use["vocabulary"]["text"]
    return tree


def _with_content(use: Tagger, base: Path) -> Tagger:
    if use.kind != "zero_shot":
        return use
    found = _content(f"synth.taggers.{use.name}.vocabulary", use.vocabulary.file, base, package_vocabulary)
    return with_vocabulary(use, **found)


def _content(key: str, file: str, base: Path, package: Callable[[], str]) -> dict[str, str]:
    """Return where a text file is and what it says; `PACKAGE` stands for what the package brings."""
    if file == PACKAGE:
        return {"file": file, "text": package()}
    place = Location.of(file, base=base)
    try:
        return {"file": place.uri, "text": place.read_bytes().decode("utf-8")}
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{key}: cannot read {place}: {error}") from error
