"""Versioned prompt files and their named slots.

``prompts/<name>.v<version>.txt`` holds sections, each introduced by ``[section]`` on a line of its
own: ``system`` for the static instructions (the same for every request, so that engines with a
prefix cache compute them once), ``user`` for what differs, and others as a step needs them. Slots
are ``$slot`` as in `string.Template`. A changed wording is a new version: old rows name the old one.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from string import Template

from infinity_mm.errors import RecipeError, StageError
from infinity_mm.frozen import TextFile
from infinity_mm.fs import Location

_HEADER = re.compile(r"^\[([a-z0-9_.]+)\]$", re.MULTILINE)


@dataclass(frozen=True)
class Prompt:
    """One prompt file."""

    name: str
    version: int
    #: SHA-256 of the whole file, 64 hex digits.
    sha256: str
    #: (section, text) in file order.
    sections: tuple[tuple[str, str], ...]

    def text(self, section: str) -> str:
        """Return a section as it stands; raise `StageError` where there is none of that name."""
        for name, text in self.sections:
            if name == section:
                return text
        known = ", ".join(name for name, _ in self.sections)
        raise StageError(f"prompt {self.name}.v{self.version} has no section [{section}]; it has {known}")

    def fill(self, section: str, slots: Mapping[str, str]) -> str:
        """Return a section with its slots filled; values are inserted as they are, never expanded again.

        Raises `StageError` where a slot of the section has no value or a value has no slot.
        """
        template = Template(self.text(section))
        wanted = set(template.get_identifiers())
        if wanted != set(slots):
            raise StageError(
                f"prompt {self.name}.v{self.version} [{section}] has the slots {sorted(wanted)}, got {sorted(slots)}"
            )
        return template.substitute(slots)

    @property
    def file(self) -> str:
        """Name and version, as the file is called."""
        return f"{self.name}.v{self.version}"


class PromptFile(TextFile):
    """A prompt of the user's own in place of the package's, in ``<name>.v<version>.txt``; written as its path alone."""

    def parse(self) -> Prompt:
        """Return the prompt; raises `StageError` for a file that is none."""
        name, version = _name_of(self.file)
        return parse_prompt(name, version, self.text.encode())


def read_prompt_file(place: Location, like: Prompt) -> PromptFile:
    """Return the content of a user's prompt file, checked to have the sections and slots of the package's.

    Raises `RecipeError` for a file that is absent, is no text, is named otherwise, or asks for other slots.
    """
    try:
        data = place.read_bytes()
        found = PromptFile(file=place.uri, text=data.decode("utf-8"))
        prompt = found.parse()
    except (OSError, UnicodeDecodeError, StageError) as error:
        raise RecipeError(f"cannot take {place} as prompt {like.name}: {error}") from error
    needed, given = ({name for name, _ in one.sections} for one in (like, prompt))
    if not needed <= given:
        raise RecipeError(f"prompt {place} has no section {', '.join(sorted(needed - given))}, which {like.file} has")
    for section in needed:
        want, got = (set(Template(one.text(section)).get_identifiers()) for one in (like, prompt))
        if want != got:
            raise RecipeError(
                f"prompt {place} [{section}] has the slots {sorted(got)}; {like.file} has {sorted(want)}, and each is "
                "filled in (write $$ for a dollar sign)"
            )
    return found


def _name_of(file: str) -> tuple[str, int]:
    found = re.fullmatch(r"([a-z][a-z0-9_]*)\.v([0-9]{1,6})\.txt", posixpath.basename(file))
    if found is None:
        raise StageError(
            f"{posixpath.basename(file)!r}: a prompt file is called <name>.v<version>.txt, as generate.v2.txt"
        )
    return found[1], int(found[2])


def packaged_prompts() -> list[tuple[str, int]]:
    """Return (name, version) of every prompt file of the package, sorted."""
    folder = resources.files("infinity_mm.synth").joinpath("prompts")
    return sorted(_name_of(file.name) for file in folder.iterdir() if file.name.endswith(".txt"))


@cache
def load_prompt(name: str, version: int) -> Prompt:
    """Return a prompt of the package; raise `StageError` where the file is absent or damaged."""
    file = resources.files("infinity_mm.synth").joinpath("prompts", f"{name}.v{version}.txt")
    try:
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise StageError(f"no prompt {name}.v{version}: {error}") from error
    return parse_prompt(name, version, data)


@lru_cache(maxsize=64)
def parse_prompt(name: str, version: int, data: bytes) -> Prompt:
    """Return the prompt in the bytes of a file; raise `StageError` for text outside of a section."""
    before, *pieces = _HEADER.split(data.decode("utf-8"))
    names = pieces[0::2]
    if before.strip() or not names or len(set(names)) != len(names):
        raise StageError(f"prompt {name}.v{version}: expected unique [section] lines before any text, got {names}")
    sections = tuple((section, text.strip()) for section, text in zip(names, pieces[1::2], strict=True))
    return Prompt(name=name, version=version, sha256=hashlib.sha256(data).hexdigest(), sections=sections)
