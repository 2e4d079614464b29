"""Which filters there are: the modules of this package, found by name, imported when asked for."""

from __future__ import annotations

import difflib
import pkgutil
from importlib import import_module
from typing import cast

from infinity_mm import filters
from infinity_mm.errors import RecipeError
from infinity_mm.filters.base import Filter

#: Modules of the package that are no filters.
_NOT_FILTERS = frozenset({"base", "catalogue", "screen"})


def names() -> tuple[str, ...]:
    """Return the names of all filters, sorted."""
    return tuple(
        sorted(found.name for found in pkgutil.iter_modules(filters.__path__) if found.name not in _NOT_FILTERS)
    )


def load(name: str) -> Filter:
    """Return the filter of this name. Raises `RecipeError`, naming the nearest ones, where there is none."""
    known = names()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"there are {', '.join(known)}."
        raise RecipeError(f"unknown filter {name!r}: {hint}")
    return cast(Filter, import_module(f"{filters.__name__}.{name}"))
