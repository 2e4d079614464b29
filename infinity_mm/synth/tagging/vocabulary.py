"""Vocabularies of tags: one a line, spelled as all tags are."""

from __future__ import annotations

from functools import lru_cache

from infinity_mm.errors import RecipeError

#: Characters of the longest tag.
MOST_CHARS = 64


def spelled(tag: str) -> str:
    """Return a tag as it is compared and written: lower case, single blanks between words."""
    return " ".join(tag.casefold().split())


@lru_cache(maxsize=32)
def parse_vocabulary(text: str, file: str) -> tuple[str, ...]:
    """Return the distinct tags of a vocabulary file, sorted, so that order and comments do not matter.

    One tag a line; a line that begins with # is a comment. Raises `RecipeError`, with file and line, for a tag that is
    longer than `MOST_CHARS` or has characters that cannot be printed, and for a file without tags.
    """
    found: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        tag = spelled(line)
        if not tag or tag.startswith("#"):
            continue
        if len(tag) > MOST_CHARS or not tag.isprintable():
            raise RecipeError(
                f"{file} line {number}: {line[:80]!r} is no tag: expected up to {MOST_CHARS} printable characters"
            )
        found.add(tag)
    if not found:
        raise RecipeError(f"{file} names no tag; write one a line")
    return tuple(sorted(found))


def package_vocabulary() -> str:
    """Return the project's own vocabulary: tags of its seed rows, and what its own pictures draw.

    These are the tags that the mapping of the package knows. It is meant to try things out; name a file of your own
    for pictures of another kind.
    """
    from infinity_mm.synth.annotated import package_seeds
    from infinity_mm.synth.seeds import parse_seeds
    from infinity_mm.synth.small_vlm.scenes import COLORS, SHAPES

    tags = {tag.tag for seed in parse_seeds(package_seeds(), "package") for tag in seed.row.tags}
    drawn = {f"{color} {thing}" for color in COLORS for thing in (*SHAPES, "bar", "sign")}
    return "".join(f"{tag}\n" for tag in sorted({spelled(tag) for tag in tags | drawn | set(SHAPES)}))
