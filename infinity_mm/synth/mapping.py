"""From the tags of a picture to the instruction types that suit it: TF-IDF with each type as a document.

Infinity-MM (arXiv 2410.18558, section 3) counts the tags of annotated seed pictures per type and weights them by
TF-IDF; which variant, and how types are drawn from it, is not published. Here a tag stands for itself and, at half
weight, for its last word ("red car" also counts as "car"); ``idf(t) = 1 + ln((1 + N) / (1 + df(t)))`` over the N types
that have seeds; each type's weights have length 1; a picture's score for a type is the cosine between the two. A type
that shares no tag with the picture falls back to its level 2, then its level 1, at a lower weight each time.

The result is a YAML file: per type the tags and their weights, most telling first. A person may change any of it.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import log, sqrt

import yaml

from infinity_mm.errors import RecipeError
from infinity_mm.fingerprint import canonical
from infinity_mm.frozen import TextFile
from infinity_mm.synth.rows import Tag
from infinity_mm.synth.seeds import Seed
from infinity_mm.synth.taxonomy import Leaf, Taxonomy

VERSION = 1
#: Weight of the last word of a tag of several words, beside the tag itself.
HEAD_WEIGHT = 0.5
#: What a score is multiplied by for each level that it falls back ("stupid backoff", Brants et al. 2007).
BACKOFF = 0.4
#: Most tags that a file keeps of a type.
MOST_TAGS = 200

Vector = Mapping[str, float]

_HEAD = """\
# From tags of pictures to instruction types: weights of tags per type, the most telling first. Made by
# `infinity-mm mapping` from annotated seed rows; change, add or delete lines as you see fit. Only proportions inside
# a type matter: weights are scaled to length 1 when the file is read.
"""


@dataclass(frozen=True)
class TagMapping:
    """Weights of tags per type, at every level of the taxonomy; each vector has length 1."""

    leaves: Mapping[str, Vector]
    level2: Mapping[tuple[str, str], Vector]
    level1: Mapping[str, Vector]
    backoff: float
    #: Of what the file says, comments and order aside; 64 hex digits.
    sha256: str

    def score(self, tags: Sequence[Tag], leaf: Leaf) -> float:
        """Return how well the type suits a picture with these tags, 0 to 1; see the module for what it is."""
        picture = _vector(tags)
        levels: tuple[Vector, ...] = (
            self.leaves.get(leaf.name, {}),
            self.level2.get((leaf.level1, leaf.level2), {}),
            self.level1.get(leaf.level1, {}),
        )
        for steps, weights in enumerate(levels):
            if found := sum(weight * weights.get(term, 0.0) for term, weight in picture.items()):
                return min(1.0, found) * self.backoff**steps
        return 0.0


class MappingFile(TextFile):
    """A mapping file; written in a recipe as its path alone."""

    def parse(self) -> TagMapping:
        """Return the mapping; raises `RecipeError` for a file that is none."""
        return _parse(self.text, self.file)


@cache
def _parse(text: str, file: str) -> TagMapping:
    return parse_mapping(text, file)


def build_weights(seeds: Iterable[Seed]) -> dict[str, dict[str, float]]:
    """Return leaf -> tag -> TF-IDF weight, from the seeds that have tags; each leaf's weights have length 1.

    The order of the seeds does not matter. A type without tagged seeds is absent.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for seed in seeds:
        for term, weight in _vector([Tag(tag.tag, tag.confidence) for tag in seed.row.tags], unit=False).items():
            counts[seed.leaf.name][term] += weight  # type: ignore[assignment]  # Counter adds floats as well
    types_with = Counter(term for terms in counts.values() for term in terms)
    weights = {
        leaf: {term: tf * (1 + log((1 + len(counts)) / (1 + types_with[term]))) for term, tf in sorted(terms.items())}
        for leaf, terms in sorted(counts.items())
    }
    return {leaf: dict(_unit(terms)) for leaf, terms in weights.items() if terms}


def mapping_text(weights: Mapping[str, Vector], seeds: int) -> str:
    """Return the file: types in the order of the taxonomy, tags by falling weight; `seeds` says of how many rows."""
    types = {}
    for leaf in Taxonomy.load().leaves:
        if leaf.name in weights:
            terms = sorted(weights[leaf.name].items(), key=lambda item: (-round(item[1], 4), item[0]))[:MOST_TAGS]
            types[leaf.name] = {term: round(weight, 4) for term, weight in terms if round(weight, 4) > 0}
    document = {"version": VERSION, "seeds": seeds, "backoff": BACKOFF, "types": types}
    return _HEAD + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def parse_mapping(text: str, file: str) -> TagMapping:
    """Return the mapping of a file's content; raises `RecipeError` that says what is wrong with it.

    Types may be given by any name that the taxonomy knows; two names of one type are added.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{file} is no YAML: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("types"), dict):
        raise RecipeError(
            f"{file}: expected a mapping with the keys version, backoff and types, got {str(text)[:80]!r}"
        )
    if document.get("version") != VERSION:
        raise RecipeError(f"{file}: version {document.get('version')!r}; this release reads {VERSION}")
    backoff = document.get("backoff", BACKOFF)
    if isinstance(backoff, bool) or not isinstance(backoff, int | float) or not 0 <= backoff <= 1:
        raise RecipeError(f"{file}: backoff must be a number from 0 to 1, got {backoff!r}")
    leaves: dict[str, dict[str, float]] = {}
    for name, terms in document["types"].items():
        leaf = _leaf(str(name), file)
        into = leaves.setdefault(leaf.name, {})
        for term, weight in _terms(terms, name, file).items():
            into[term] = into.get(term, 0.0) + weight
    return _levels({name: terms for name, terms in leaves.items() if terms}, float(backoff))


def _levels(leaves: Mapping[str, Vector], backoff: float) -> TagMapping:
    level2: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    level1: dict[str, Counter[str]] = defaultdict(Counter)
    taxonomy = Taxonomy.load()
    units = {name: _unit(terms) for name, terms in sorted(leaves.items())}
    for name, terms in units.items():
        first, second, _ = taxonomy.path(name)
        level2[first, second].update(terms)
        level1[first].update(terms)
    return TagMapping(
        leaves=units,
        level2={key: _unit(terms) for key, terms in level2.items()},
        level1={key: _unit(terms) for key, terms in level1.items()},
        backoff=backoff,
        sha256=hashlib.sha256(canonical([VERSION, backoff, units]).encode()).hexdigest(),
    )


def _leaf(name: str, file: str) -> Leaf:
    leaf = Taxonomy.load().canonical(name)
    if leaf is None:
        try:
            Taxonomy.load().select([name])
        except RecipeError as error:
            raise RecipeError(f"{file}: {error}") from error
        raise RecipeError(f"{file}: {name!r} is a group of types; name its leaves")
    return leaf


def _terms(value: object, name: object, file: str) -> dict[str, float]:
    if not isinstance(value, dict):
        raise RecipeError(f"{file}: types.{name}: expected tags with weights, got {value!r}")
    for term, weight in value.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < 1e9:
            raise RecipeError(f"{file}: types.{name}.{term}: a weight is a number above 0, got {weight!r}")
    return {_folded(str(term)): float(weight) for term, weight in value.items()}


def _vector(tags: Sequence[Tag], unit: bool = True) -> Vector:
    """Return the terms of a picture: tags by confidence out of 5, and their last words."""
    found: dict[str, float] = {}
    for tag in tags:
        name = _folded(tag.name)
        if not name:
            continue
        found[name] = max(found.get(name, 0.0), tag.score)
        head = name.rpartition(" ")[2]
        if head != name:
            found[head] = max(found.get(head, 0.0), HEAD_WEIGHT * tag.score)
    return _unit(found) if unit else found


def _unit(terms: Vector) -> Vector:
    length = sqrt(sum(weight * weight for weight in terms.values()))
    return {term: weight / length for term, weight in terms.items()} if length else {}


def _folded(tag: str) -> str:
    return " ".join(tag.casefold().split())
