"""Which files below a root are a source's annotation files."""

from __future__ import annotations

from fnmatch import fnmatchcase

from infinity_mm.errors import SourceError
from infinity_mm.fs import Location


def find_files(
    root: Location, patterns: tuple[str, ...], suffixes: tuple[str, ...], ignored: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Return the matching files, relative to the root, sorted.

    First the `patterns` (globs, by path component, ``**`` for any depth); where none matches, files with one of the
    `suffixes` directly below the root, then at any depth: users rename files. Names that match a glob
    of `ignored` never count. Raises `SourceError` where nothing is found.
    """
    found = {path for pattern in patterns for path in match_files(root, pattern)}
    for recursive in (False, True):
        if not found:
            found = {path for path in root.files(recursive=recursive) if path.lower().endswith(suffixes)}
            found = {path for path in found if not _is_ignored(path, ignored)}
    found = {path for path in found if not _is_ignored(path, ignored)}
    if not found:
        expected = ", ".join((*patterns, *(f"*{suffix}" for suffix in suffixes)))
        raise SourceError(f"no annotation file below {root}; expected one of: {expected}")
    return tuple(sorted(found))


def match_files(root: Location, pattern: str) -> set[str]:
    """Return the files below the root that match a glob, by path component, ``**`` for any depth."""
    return _glob(root, "", pattern.split("/"))


def _is_ignored(path: str, ignored: tuple[str, ...]) -> bool:
    name = path.rpartition("/")[2]
    return name.startswith(".") or any(fnmatchcase(name, pattern) for pattern in ignored)


def _glob(root: Location, folder: str, steps: list[str]) -> set[str]:
    here = root / folder
    prefix = f"{folder}/" if folder else ""
    if steps[0] == "**":
        return {prefix + path for path in here.files(recursive=True) if fnmatchcase(path.split("/")[-1], steps[-1])}
    if len(steps) == 1:
        return {prefix + name for name in here.files() if fnmatchcase(name, steps[0])}
    found: set[str] = set()
    for name in here.folders():
        if fnmatchcase(name, steps[0]):
            found |= _glob(root, prefix + name, steps[1:])
    return found
