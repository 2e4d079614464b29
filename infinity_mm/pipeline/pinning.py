"""Roots on the hub are pinned to the commit that the run folder saw first, so that a later push changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from infinity_mm.errors import SourceError
from infinity_mm.fs import Location
from infinity_mm.hub import is_hub, parse_hub, pin
from infinity_mm.recipe import Recipe
from infinity_mm.store import Store

_FILE = "state/revisions.json"


@dataclass(frozen=True)
class Pinned:
    """A recipe whose roots do not move."""

    recipe: Recipe
    #: ``OWNER/NAME@REVISION`` as asked for -> commit.
    revisions: dict[str, str]


def pin_roots(recipe: Recipe, store: Store) -> Pinned:
    """Replace every root on the hub by the same place at its commit; nothing is written.

    Commits that the run folder remembers are taken from there, the hub is asked for the others. Raises `SourceError`
    naming the source where that fails, or where there is no such folder.
    """
    known = _remembered(store)
    revisions: dict[str, str] = {}
    uses = []
    for use in recipe.sources:
        if not is_hub(use.root):
            uses.append(use)
            continue
        try:
            uri, commit = pin(use.root, known | revisions)
        except SourceError as error:
            raise SourceError(f"{use.name}: {error}") from error
        if not Location(uri).is_dir():
            raise SourceError(f"{use.name}: no folder at {uri}")
        revisions[parse_hub(use.root).key] = commit
        uses.append(use.model_copy(update={"root": uri}))
    return Pinned(recipe.model_copy(update={"sources": tuple(uses)}), revisions)


def remember(store: Store, revisions: dict[str, str]) -> None:
    """Write the commits to the run folder, beside those of other sources."""
    known = _remembered(store)
    if known | revisions != known:
        store.at(_FILE).write_bytes(orjson.dumps(known | revisions, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2))


def _remembered(store: Store) -> dict[str, str]:
    location = store.at(_FILE)
    return dict(orjson.loads(location.read_bytes())) if location.exists() else {}
