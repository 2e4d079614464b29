"""Instruction types in three levels, and the alias map from the published names to ours.

The appendix of Infinity-MM (arXiv 2410.18558) lists 6 / 22 / 198 types, with repeats under several
parents, spelling variants, three leaves called "direct" and one called "New tag". `taxonomy.json`
keeps the six level-1 names, merges what asks for the same thing, and says for each published leaf
which canonical leaf it became. Leaves whose answers differ in kind (who is there, how many are
there) stay apart.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any

from infinity_mm.errors import RecipeError

#: Joins the levels of a path in text.
SEPARATOR = " > "


@dataclass(frozen=True)
class Leaf:
    """One instruction type."""

    #: Unique among the canonical leaves.
    name: str
    level1: str
    level2: str
    #: Completes the sentence "Ask ...".
    asks: str
    #: True where a word, a phrase or an option cannot be the answer (descriptions, transcripts).
    open_ended: bool
    #: Published paths that this leaf stands for, ``level1 > level2 > leaf``.
    raw: tuple[str, ...]


@dataclass(frozen=True)
class Taxonomy:
    """The canonical types, in the order of the file."""

    version: int
    leaves: tuple[Leaf, ...]
    #: SHA-256 of the file, 64 hex digits; part of the fingerprint of what it classified.
    sha256: str

    @staticmethod
    def load() -> Taxonomy:
        """Return the taxonomy that ships with the package (read once per process)."""
        return _load()

    def canonical(self, raw: str) -> Leaf | None:
        """Return the canonical leaf of a name, or None where it is unknown or ambiguous.

        `raw` is a canonical name, a published leaf, or a published path ``level1 > level2 > leaf``;
        case and white space do not matter. Of the published leaves only "direct" needs its path.
        """
        return self._by_name.get(_fold(raw))

    @cached_property
    def _by_name(self) -> dict[str, Leaf]:
        # Not a cached function of the taxonomy, whose hash goes through all of it at every look.
        return _index(self)

    def path(self, leaf: Leaf | str) -> tuple[str, str, str]:
        """Return (level 1, level 2, leaf); raise `KeyError` for a name that `canonical` does not know."""
        found = self.canonical(leaf) if isinstance(leaf, str) else leaf
        if found is None:
            raise KeyError(leaf)
        return found.level1, found.level2, found.name

    def select(self, names: Sequence[str] | None) -> tuple[Leaf, ...]:
        """Return the leaves that the names mean, in the order of the file; None means all of them.

        A name is a leaf as in `canonical`, or a level-1 or level-2 name for everything below it.
        Raises `RecipeError` that names the nearest valid name, also for an empty selection.
        """
        if names is None:
            return self.leaves
        chosen: set[str] = set()
        for name in names:
            below = {x.name for x in self.leaves if _fold(name) in (_fold(x.level1), _fold(x.level2))}
            leaf = self.canonical(name)
            if not below and leaf is None:
                raise RecipeError(f"synth.types: no instruction type {name!r}; did you mean {self._nearest(name)!r}?")
            chosen |= below or ({leaf.name} if leaf else set())
        if not chosen:
            raise RecipeError("synth.types: the list is empty; leave the key out to allow every type")
        return tuple(x for x in self.leaves if x.name in chosen)

    def _nearest(self, name: str) -> str:
        known = {_fold(text): text for x in self.leaves for text in (x.name, x.level1, x.level2)}
        return known[difflib.get_close_matches(_fold(name), known, n=1, cutoff=0.0)[0]]


def _fold(text: str) -> str:
    return " ".join(text.split()).casefold()


@cache
def _load() -> Taxonomy:
    data = resources.files("infinity_mm.synth").joinpath("taxonomy.json").read_bytes()
    document = json.loads(data)
    leaves = tuple(
        _leaf(entry, top["name"], middle["name"])
        for top in document["levels"]
        for middle in top["children"]
        for entry in middle["leaves"]
    )
    return Taxonomy(version=document["version"], leaves=leaves, sha256=hashlib.sha256(data).hexdigest())


def _leaf(entry: dict[str, Any], level1: str, level2: str) -> Leaf:
    return Leaf(
        name=entry["name"],
        level1=level1,
        level2=level2,
        asks=entry["asks"],
        open_ended=entry.get("open_ended", False),
        raw=tuple(entry["raw"]),
    )


def _index(taxonomy: Taxonomy) -> dict[str, Leaf]:
    """Folded name -> leaf; published names that became several leaves are left out."""
    found: dict[str, set[Leaf]] = {}
    for leaf in taxonomy.leaves:
        for path in leaf.raw:
            found.setdefault(_fold(path), set()).add(leaf)
            found.setdefault(_fold(path.split(SEPARATOR)[-1]), set()).add(leaf)
    index = {name: next(iter(leaves)) for name, leaves in found.items() if len(leaves) == 1}
    return index | {_fold(leaf.name): leaf for leaf in taxonomy.leaves}
