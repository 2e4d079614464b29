"""What a run settles before any work: which sources may be used, which commit of the hub, which files are there."""

from __future__ import annotations

from dataclasses import dataclass

from infinity_mm.errors import SourceError
from infinity_mm.fs import Location
from infinity_mm.pipeline.pinning import pin_roots
from infinity_mm.pipeline.preflight import check_inputs
from infinity_mm.recipe import Recipe
from infinity_mm.record import IMAGE_ONLY
from infinity_mm.sources.families.listing import Listed
from infinity_mm.sources.own.pictures import OwnPictures
from infinity_mm.store import Store


@dataclass(frozen=True)
class Prepared:
    """A recipe that can be worked on."""

    #: Without the refused sources, with pinned roots.
    recipe: Recipe
    #: Source -> why its licence does not let it be used.
    refused: dict[str, str]
    #: See `pinning.Pinned`.
    revisions: dict[str, str]
    #: Source -> its annotation files.
    listings: dict[str, tuple[Listed, ...]]


def prepare(recipe: Recipe, work: Location) -> Prepared:
    """Leave out sources that the licence policy refuses whole, pin roots on the hub, and look for every source's files.

    Nothing is written. A source whose rows have licences of their own is not refused here: its rows are judged one by
    one. Raises `SourceError` where no source is left, or as `pin_roots` and `check_inputs` do.
    """
    refused = refuse_sources(recipe)
    kept = tuple(use for use in recipe.sources if use.name not in refused)
    if not kept:
        reasons = "\n".join(f"{name}: {reason}" for name, reason in refused.items())
        raise SourceError(f"the licence policy {recipe.licenses.text()!r} leaves no source:\n{reasons}")
    pinned = pin_roots(recipe.model_copy(update={"sources": kept}), Store(work))
    return Prepared(pinned.recipe, refused, pinned.revisions, check_inputs(pinned.recipe))


def refuse_sources(recipe: Recipe) -> dict[str, str]:
    """Return the sources of which no row could stay -> why, with the words that would allow them."""
    refused = {}
    for use in recipe.sources:
        card = use.load().card
        reason = None if card.row_licenses else recipe.licenses.refusal(card.license)
        if reason is not None:
            refused[use.name] = f"{reason} (to use it all the same, add +{card.license} to the policy)"
    return refused


def idle_pictures(recipe: Recipe) -> list[str]:
    """Return what to say of sources of pictures alone that the synthesis does not draw from: nothing comes of them."""
    found, synth = [], recipe.synth
    for name in sorted(recipe.image_only):
        if synth is None:
            why = "the recipe has no synth section"
        elif synth.sources is not None and name not in synth.sources:
            why = "synth.sources does not name it"
        elif synth.categories is not None and IMAGE_ONLY not in synth.categories:
            why = f"synth.categories does not name {IMAGE_ONLY}"
        else:
            continue
        found.append(f"source {name!r} has pictures alone, and {why}: nothing of it will be exported")
    return found


def passed_over(recipe: Recipe) -> list[str]:
    """Return what to say of tables that lie beside pictures, so that a source of pictures alone does not read them."""
    found = []
    for use in recipe.sources:
        reader = use.load().reader
        names = reader.passed_over(Location(use.root)) if isinstance(reader, OwnPictures) and not use.files else []
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            found.append(
                f"source {use.name!r} reads the pictures and archives of its root, and not the tables beside them, "
                f"{names[0]}{more}: if the pictures are in the tables, name those under files"
            )
    return found


def warnings(recipe: Recipe) -> list[str]:
    """Return what a user should know before the work begins; lists the roots of pictures alone."""
    return idle_pictures(recipe) + passed_over(recipe)
