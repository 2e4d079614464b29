"""The catalogue: every module of `infinity_mm.sources` that defines a `SOURCE`. Listing imports nothing."""

from __future__ import annotations

import importlib
import pkgutil

import infinity_mm.sources as package
from infinity_mm.errors import SourceError
from infinity_mm.nearest import nearest
from infinity_mm.sources.base import Source

#: Modules beside the sources that are none.
_HELPERS = {
    "answers",
    "base",
    "catalogue",
    "chats",
    "conversation",
    "copies",
    "documents",
    "families",
    "fields",
    "grouping",
    "images",
    "mmc",
    "options",
    "own",
    "pairs",
    "pictures",
}


def names() -> tuple[str, ...]:
    """Return the names of all sources, sorted."""
    return tuple(
        sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.name not in _HELPERS)
    )


def load(name: str) -> Source:
    """Return a source by name; raises `SourceError` naming the nearest known names."""
    if name not in names():
        raise SourceError(f"no source {name!r}; {nearest(name, names())} (`infinity-mm sources` lists all)")
    source = importlib.import_module(f"infinity_mm.sources.{name}").SOURCE
    if not isinstance(source, Source):
        raise SourceError(f"infinity_mm.sources.{name}.SOURCE is {type(source).__name__}, expected Source")
    return source
