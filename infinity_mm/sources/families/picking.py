"""Which files, and which members of archives, a reader of pictures takes, by their names."""

from __future__ import annotations

import re

from infinity_mm.sources.pictures import is_picture_name

_OPENED = (".zip", ".tar")
_PIECE = r"(?:[._-]?part[._-]?|[._-])(?:\d{1,4}|[a-e][a-z])"
_UNOPENED = re.compile(
    r"\.(?:tar\.(?:gz|bz2|xz|zst|lz4|z)|tgz|tbz2?|txz|tzst|7z|rar|z\d\d)$"
    rf"|\.(?:zip|tar|tar\.(?:gz|bz2|xz|zst)|tgz|7z|rar){_PIECE}$",
    re.IGNORECASE,
)
_MACOS = "__MACOSX"


def is_visible(path: str) -> bool:
    """False for what begins with a dot, a folder included, and for what macOS adds to archives."""
    return not any((step.startswith(".") and step.strip(".")) or step == _MACOS for step in path.split("/"))


def is_opened_archive(path: str) -> bool:
    """True for a file that is named like a zip or a plain tar."""
    return path.lower().endswith(_OPENED)


def is_unopened_archive(path: str) -> bool:
    """True for a file that is named like a compressed tar, another kind of archive, or a piece of one."""
    return _UNOPENED.search(path) is not None


def is_taken(member: str) -> bool:
    """True for a member of an archive that is a picture by its name, or an archive that may hold some."""
    return is_visible(member) and (is_picture_name(member) or is_opened_archive(member) or is_unopened_archive(member))


def why_unopened(name: str, inside: str | None = None) -> str:
    """Return what to say of an archive that is not opened; `inside` names the one that it is in."""
    if inside is None:
        return f"{name} is not opened: pictures are read in folders, zips and plain tars; unpack it"
    return f"{name} is inside {inside}, and archives in archives are not opened; unpack {inside}"
