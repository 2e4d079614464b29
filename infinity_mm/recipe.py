"""Recipes: one strict YAML file says what a run does.

Everything that can be wrong is found here, before any work starts, and reported with the file, the
key and the nearest valid name. Relative roots are relative to the recipe's own folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from infinity_mm.decontam.index import read_manifest
from infinity_mm.decontam.params import DecontamParams
from infinity_mm.dedup.params import DedupParams
from infinity_mm.download.params import DownloadParams
from infinity_mm.errors import RecipeError, SourceError, StoreError, UsageError
from infinity_mm.export.plan import ShardLimits
from infinity_mm.filters.base import Filter, FilterParams
from infinity_mm.filters.catalogue import load as load_filter
from infinity_mm.fingerprint import fingerprint
from infinity_mm.frozen import Frozen
from infinity_mm.fs import Location
from infinity_mm.hub import is_hub, parse_hub
from infinity_mm.licenses import LicensePolicy
from infinity_mm.nearest import nearest
from infinity_mm.recipe_faults import explain
from infinity_mm.record import Category
from infinity_mm.sources.base import Source
from infinity_mm.sources.catalogue import load as load_source
from infinity_mm.sources.catalogue import names as source_names
from infinity_mm.sources.options import with_options
from infinity_mm.sources.own.check import check
from infinity_mm.sources.own.families import is_image_only
from infinity_mm.sources.own.spec import OwnSpec, build
from infinity_mm.synth.located import located as located_synth
from infinity_mm.synth.located import unlocated, with_model_folders
from infinity_mm.synth.model_keys import unheeded
from infinity_mm.synth.params import SynthParams
from infinity_mm.takedown import TakedownFile, located

#: Keys of a source that only own data has.
OWN_KEYS = ("map", "license", "category", "language", "image_root", "urls")
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]


class SourceUse(Frozen):
    """One source of a recipe."""

    #: Catalogue name; `infinity-mm sources` lists them.
    name: str
    #: Folder or URI that holds the publisher's files.
    root: str
    #: Read only the first so many raw rows.
    limit: int | None = Field(default=None, gt=0)
    #: Lower numbers win when rows of several sources are duplicates of each other.
    priority: int = Field(default=100, ge=-(1 << 31), lt=1 << 31)
    #: Glob patterns of the annotation files, relative to the root; () takes the published names.
    files: tuple[str, ...] = ()
    #: How the source is read, e.g. `group_by_image: true`; `infinity-mm sources NAME` lists its options.
    options: dict[str, Any] = Field(default_factory=dict)
    #: The run stops when a larger share of the source's rows is quarantined at ingest.
    max_quarantined: Share = 0.5
    #: What becomes of a document of which no picture could be had: kept as text with the note "all_images_lost", or
    #: quarantined.
    all_images_lost: Literal["keep", "quarantine"] = "keep"
    #: Own data: the reader family, `infinity-mm sources --families` lists them. The keys below go with it.
    family: str | None = None
    #: Field of the family -> column of the files; fields that are not named are looked for under their usual names.
    map: dict[str, str] = Field(default_factory=dict)
    #: SPDX identifier or the publisher's words.
    license: str | None = None
    #: Of the records; the default depends on the family.
    category: Category | None = None
    #: Of the texts, BCP 47.
    language: str | None = None
    #: Folders, zips or tars of the pictures, relative to the root; () looks beside the annotations and in images.
    image_root: tuple[str, ...] = ()
    #: Whether pictures are downloaded from URLs; None finds out from the first rows.
    urls: bool | None = None

    @model_validator(mode="after")
    def _own_keys_together(self) -> Self:
        given = [key for key in OWN_KEYS if getattr(self, key) not in (None, {}, ())]
        if self.family is None and given:
            raise ValueError(f"{', '.join(given)}: only with family, for own data; {self.name} is a catalogue source")
        return self

    def __hash__(self) -> int:
        return hash((self.name, self.root))  # tasks are hashed, and `options` cannot be

    def load(self) -> Source:
        """Return the source, of the catalogue or of own data, with its options.

        Raises `SourceError` for a name, family, field, option or value that does not exist.
        """
        return with_options(load_source(self.name) if self.family is None else build(self.own()), self.options)

    def own(self) -> OwnSpec:
        """Return what is said about own data."""
        return OwnSpec(
            name=self.name,
            family=self.family or "",
            map=tuple(sorted(self.map.items())),
            license=self.license or "unknown",
            category=self.category,
            language=self.language or "und",
            files=self.files,
            image_roots=tuple(_relative(place, self.root) for place in self.image_root),
            urls=bool(self.urls),
        )

    def checked(self) -> Self:
        """Return the source with what the first rows of own data decide; raises `SourceError` for what cannot be.

        Reads the beginning of a few files of own data; a source of the catalogue is only looked up.
        """
        if self.family is None:
            self.load()
            return self
        if re.fullmatch(r"[a-z0-9][a-z0-9_-]*", self.name) is None or self.name == "synthetic":
            raise SourceError(f"name {self.name!r}: expected small letters, digits, _ and -, and not synthetic")
        if self.name in source_names():
            raise SourceError(f"name {self.name!r} is a source of the catalogue; give own data another name")
        return self.model_copy(update={"urls": check(self.own(), Location(self.root), self.urls).urls})


class FilterUse(Frozen):
    """One filter of a recipe, with its thresholds."""

    use: str
    with_: dict[str, Any] = Field(default_factory=dict, alias="with")

    def load(self) -> tuple[Filter, FilterParams]:
        """Return the filter module and its validated thresholds."""
        module = load_filter(self.use)
        return module, module.Params.model_validate(self.with_)


class Mixture(Frozen):
    """How much of each source goes to the exports; draws are keyed by row id."""

    #: Source -> share of its surviving rows to keep, 0 to 1.
    rates: dict[str, Share] = Field(default_factory=dict)
    #: Source -> at most so many of its surviving rows.
    limits: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)


class ExportUse(ShardLimits):
    """One set of shards, with how large they may grow."""

    name: Name
    format: Literal["webdataset", "parquet"]

    @property
    def limits(self) -> ShardLimits:
        """What the shards are cut by."""
        return ShardLimits.model_validate(self.model_dump(include=set(ShardLimits.model_fields)))


class Recipe(Frozen):
    """A whole recipe."""

    name: Name
    seed: int = 17
    sources: tuple[SourceUse, ...] = Field(min_length=1)
    #: Which licences may stay: "any", "commercial", "permissive", names, or a mapping of policy, allow and deny.
    licenses: LicensePolicy = LicensePolicy()
    #: Files that list what must go: ids of records, SHA-256 digests or URLs of pictures, one per line.
    takedown: tuple[TakedownFile, ...] = ()
    #: Manners and storage of the download of pictures that sources give by URL.
    download: DownloadParams = DownloadParams()
    filters: tuple[FilterUse, ...] = ()
    #: The evaluation sets whose pictures and questions must not be in the exports; none without it.
    decontaminate: DecontamParams | None = None
    dedup: DedupParams = DedupParams()
    synth: SynthParams | None = None
    mixture: Mixture = Mixture()
    export: tuple[ExportUse, ...] = ()
    #: Raw rows per partition: the unit of work that a kill can lose.
    partition_rows: int = Field(default=2_000, gt=0)

    @property
    def image_only(self) -> frozenset[str]:
        """The sources whose rows are pictures alone."""
        return frozenset(use.name for use in self.sources if is_image_only(use.family))

    @field_validator("sources", "filters", "export")
    @classmethod
    def _names_once(cls, value: Sequence[SourceUse | FilterUse | ExportUse]) -> Any:
        names = [item.use if isinstance(item, FilterUse) else item.name for item in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"named twice: {', '.join(twice)}")
        return value


def export_fingerprint(recipe: Recipe, use: ExportUse) -> str:
    """Return the fingerprint of what makes one export: the recipe without its other exports."""
    return recipe_fingerprint(recipe.model_copy(update={"export": (use,)}))


def recipe_fingerprint(recipe: Recipe) -> str:
    """Return the fingerprint of what a recipe asks for: not where the files lie, nor in which order sources stand."""
    tree = recipe.model_dump(mode="json", by_alias=True)
    if recipe.decontaminate is None:
        tree.pop("decontaminate")
    else:
        tree["decontaminate"].pop("index")  # its digest says what is in it
    tree["sources"] = sorted(
        ({key: value for key, value in use.items() if key != "root"} for use in tree["sources"]),
        key=lambda use: str(use["name"]),
    )
    if recipe.synth is not None:
        tree["synth"] = unlocated(recipe.synth)
    tree["takedown"] = sorted(use["digest"] for use in tree["takedown"])
    return fingerprint(tree)


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read, override and check a recipe; relative roots become absolute.

    `overrides` are ``a.b=c`` texts: dotted keys, list elements by name (`sources.vqav2.limit=10`) or
    number, values in YAML. Raises `RecipeError`.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"cannot read the recipe {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} is no text in UTF-8: {error}") from error
    except yaml.YAMLError as error:
        raise RecipeError(f"{path} is not YAML: {error}") from error
    if not isinstance(tree, dict):
        raise RecipeError(f"{path}: expected keys and values at the top, got {type(tree).__name__}")
    for text in overrides:
        _override(tree, text)
    base = path.resolve().parent
    tree["synth"] = with_model_folders(tree.get("synth"), base)
    try:
        recipe = Recipe.model_validate(tree)
    except ValidationError as error:
        raise RecipeError(explain(path, Recipe, error)) from error
    _check_filters(path, recipe)
    sources = tuple(_check_source(path, use) for use in recipe.sources)
    _check_mixture(path, recipe)
    takedown = tuple(located(use, Location.of(use.file, base=base)) for use in recipe.takedown)
    index = _check_index(path, recipe.decontaminate)
    synth = None if recipe.synth is None else _located_synth(path, recipe.synth)
    return recipe.model_copy(update={"sources": sources, "takedown": takedown, "decontaminate": index, "synth": synth})


def _override(tree: dict[str, Any], text: str) -> None:
    key, equals, given = text.partition("=")
    if not equals or not key:
        raise RecipeError(f"--set {text!r}: expected KEY=VALUE, for example --set synth.images=8")
    try:
        value = yaml.safe_load(given)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {text!r}: {given!r} is not YAML: {error}") from error
    node: Any = tree
    steps = key.split(".")
    for depth, step in enumerate(steps):
        last = depth == len(steps) - 1
        if isinstance(node, list):
            index = _element(node, step, text)
            if last:
                node[index] = value
            node = node[index]
        elif isinstance(node, dict):
            if last:
                node[step] = value
            elif node.get(step) is None:
                node[step] = {}
            node = node[step]
        else:
            raise RecipeError(f"--set {text!r}: {'.'.join(steps[:depth])!r} is a single value, it has no {step!r}")


def _element(items: list[Any], step: str, text: str) -> int:
    if step.isdigit() and int(step) < len(items):
        return int(step)
    names = [str(item.get("name", item.get("use"))) if isinstance(item, dict) else str(item) for item in items]
    if step in names:
        return names.index(step)
    raise RecipeError(f"--set {text!r}: the recipe has no element {step!r} there; {nearest(step, names)}")


def _relative(place: str, root: str) -> str:
    """Return a local absolute folder relative to a local root, so that no path of this machine names a part."""
    base = Location(root)
    return os.path.relpath(place, base.path) if os.path.isabs(place) and base.is_local else place


def _check_source(path: Path, use: SourceUse) -> SourceUse:
    try:
        use.load()
    except SourceError as error:
        raise RecipeError(f"{path}: sources.{use.name}: {error}") from error
    root = Location.of(use.root, base=path.resolve().parent)
    if is_hub(root.uri):  # looked for when it is pinned
        parse_hub(root.uri)
        return use.model_copy(update={"root": root.uri})
    try:
        found = root.is_dir()
    except StoreError as error:
        raise RecipeError(f"{path}: sources.{use.name}.root: {error}") from error
    if not found:
        raise RecipeError(f"{path}: sources.{use.name}.root: no folder at {root}")
    try:
        return use.model_copy(update={"root": root.uri}).checked()
    except SourceError as error:
        raise RecipeError(f"{path}: sources.{use.name}: {error}") from error


def _check_index(path: Path, params: DecontamParams | None) -> DecontamParams | None:
    """Return the parameters with an absolute index and the digest of what is used of it."""
    if params is None:
        return None
    index = Location.of(params.index, base=path.resolve().parent)
    try:
        manifest = read_manifest(index)
        digest = manifest.digest(manifest.choose(params.benchmarks))
    except (UsageError, StoreError) as error:
        raise RecipeError(f"{path}: decontaminate.index: {error}") from error
    if params.digest not in ("", digest):
        raise RecipeError(
            f"{path}: decontaminate.digest: the index at {index} is {digest}, expected {params.digest}; use that "
            "index, or write the digest of this one"
        )
    return params.model_copy(update={"index": index.uri, "digest": digest})


def _located_synth(path: Path, params: SynthParams) -> SynthParams:
    if faults := [f"{path}: {fault}" for fault in unheeded(params)]:
        raise RecipeError("\n".join(faults))
    try:
        return located_synth(params, path.resolve().parent)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error


def _check_filters(path: Path, recipe: Recipe) -> None:
    for use in recipe.filters:
        try:
            use.load()
        except ValidationError as error:
            params = load_filter(use.use).Params
            raise RecipeError(explain(path, params, error, prefix=f"filters.{use.use}.with.")) from error


def _check_mixture(path: Path, recipe: Recipe) -> None:
    names = [use.name for use in recipe.sources] + ["synthetic"]
    for key, table in (("rates", recipe.mixture.rates), ("limits", recipe.mixture.limits)):
        for name in table:
            if name not in names:
                raise RecipeError(f"{path}: mixture.{key}.{name}: no such source here; {nearest(name, names)}")
            if name in recipe.image_only:
                raise RecipeError(
                    f"{path}: mixture.{key}.{name}: its rows are pictures alone, which are never exported; how many of "
                    "them are written about is said by synth.images and synth.sources"
                )
    for name in (recipe.synth.sources if recipe.synth is not None else None) or ():
        if name not in names[:-1]:
            raise RecipeError(f"{path}: synth.sources: no source {name!r} here; {nearest(name, names[:-1])}")
