"""The reader of pictures without texts: folders, zips and tars of picture files, or tables that name or hold them.

What is read, where no files are named: all files that are named like pictures, at any depth, and all zips and tars.
Only where there is none of these, files of rows are read as for the other families: tables beside pictures describe
them. What begins with a dot, and folders that macOS adds to archives, never count.

Archives that are not opened (tar.gz, 7z, pieces, and those inside archives) are a row each, for the quarantine: nothing
that may hold pictures is passed over in silence.
"""

from __future__ import annotations

import glob
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Any, Literal, cast

import xxhash

from infinity_mm.archives.pieces import Pieces
from infinity_mm.archives.reading import NO_ZIP
from infinity_mm.errors import SourceError
from infinity_mm.fs import Entry, Location
from infinity_mm.sources.base import ImageRef, Plan, Raw, Split
from infinity_mm.sources.families.lines import Fault, prepared_line, scan_prepared
from infinity_mm.sources.families.listing import Listed
from infinity_mm.sources.families.picking import (
    is_opened_archive,
    is_taken,
    is_unopened_archive,
    is_visible,
    why_unopened,
)
from infinity_mm.sources.families.tarpictures import plan_tar_pictures, read_tar_pictures
from infinity_mm.sources.own.rows import OwnRows
from infinity_mm.sources.pictures import PICTURE_SUFFIXES, is_picture_name

#: Raised whenever the same files would give other rows.
VERSION = 2
#: What a root itself is called where its files are the rows.
_HERE = "."
#: How the locators of rows begin that are files or members, and no rows of tables.
_MEMBER = "member="
_Kind = Literal["folder", "zip", "tar", "unopened", "table"]


@dataclass(frozen=True)
class OwnPictures:
    """Reads one row per picture; files of rows as `tables` does."""

    tables: OwnRows

    @property
    def version(self) -> int:
        """Of this reader and of that of tables."""
        return 1_000_000 * VERSION + self.tables.version

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Of pictures, of archives of them, and of files of rows."""
        return (*PICTURE_SUFFIXES, ".zip", ".tar", *self.tables.suffixes)

    def list_files(self, root: Location, files: tuple[str, ...]) -> tuple[Listed, ...]:
        """Return folders that hold pictures, archives, or files of rows; one listing of the root, and none opened.

        `files` are globs of pictures, archives or tables, or folders by their names below the root.
        """
        return tuple(_listed(name, entries) for name, entries in self._units(root, files))

    def plan(self, root: Location, files: tuple[str, ...], prepare_to: Location, rows: int) -> Plan:
        """Cut folders and archives into splits of `rows` pictures, tables as their own reader does."""
        splits: list[Split] = []
        digests: list[tuple[str, str]] = []
        tables = []
        cuts: Sequence[Split]
        for name, entries in self._units(root, files):
            kind = _kind(entries)
            if kind == "table":
                tables.append(name)
                continue
            prepared = prepare_to / f"{xxhash.xxh3_64_hexdigest(name.encode())}.jsonl"
            fault = _unreadable(root, name, kind)
            if kind == "folder" or fault is not None:
                lines = _folder_lines(entries) if fault is None else [(f"{_MEMBER}{name}", None, fault)]
                digest, cuts = f"{_stamp(entries):016x}", _cut(lines, prepared, name, rows)
            elif kind == "tar":
                digest, cuts = plan_tar_pictures(root / name, name, rows)
            else:
                digest, cuts = _plan_zip(root / name, name, prepared, rows)
            digests.append((name, digest))
            splits += cuts
        if tables:
            plan = self.tables.plan(root, tuple(map(glob.escape, tables)), prepare_to, rows)
            return Plan((*splits, *plan.splits), (*digests, *plan.files))
        return Plan(tuple(splits), tuple(digests))

    def read(self, root: Location, split: Split) -> Iterator[Raw]:
        """Yield the rows of a split; see `infinity_mm.sources.base.Reader`."""
        if split.prepared is None and split.file.lower().endswith(".tar"):
            return read_tar_pictures(root / split.file, split)
        rows = self.tables.read(root, split)
        return rows if split.prepared is None else (_as_listed(raw, split.file) for raw in rows)

    def first(self, root: Location, file: str, count: int) -> Iterator[dict[str, Any]]:
        """Yield up to `count` rows from the beginning of what `list_files` named."""
        is_table = file != _HERE and not is_opened_archive(file) and not is_unopened_archive(file)
        if is_table and (root / file).exists() and not (root / file).is_dir():
            return self.tables.first(root, file, count)
        return iter([_row(file)])  # all rows of folders and archives have the same columns

    def _units(self, root: Location, files: tuple[str, ...]) -> list[tuple[str, list[Entry]]]:
        """Return (name, its files) of every folder of pictures, archive or table, sorted; raises `SourceError`."""
        visible = [entry for entry in root.entries() if is_visible(entry.path)]
        chosen = _matching(visible, files) if files else self._chosen(visible)
        if not chosen:
            usual = (
                "pictures (*.jpg, *.png, *.webp, ...), *.zip or *.tar of them, or tables that name or hold them "
                "(*.parquet, *.jsonl, *.csv, ...)"
            )
            expected = f"what matches {', '.join(files)}" if files else usual
            raise SourceError(f"no picture, archive or table below {root}; expected {expected}")
        return [(name, list(own)) for name, own in groupby(sorted(chosen, key=_unit_key), key=_unit)]

    def _chosen(self, visible: Sequence[Entry]) -> list[Entry]:
        """Return what is read where no files are named."""
        unopened = [entry for entry in visible if is_unopened_archive(entry.path)]
        found = [entry for entry in visible if is_picture_name(entry.path) or is_opened_archive(entry.path)]
        if found:
            return found + unopened
        tables = [entry for entry in visible if entry.path.lower().endswith(self.tables.suffixes)]
        return [entry for entry in tables if not self._is_ignored(entry.path)] or unopened

    def passed_over(self, root: Location) -> list[str]:
        """Return Parquet files, which may hold pictures, that are not read as there are pictures or archives too."""
        visible = [entry for entry in root.entries() if is_visible(entry.path)]
        if not any(is_picture_name(entry.path) or is_opened_archive(entry.path) for entry in visible):
            return []
        return [entry.path for entry in visible if entry.path.lower().endswith(".parquet")]

    def _is_ignored(self, path: str) -> bool:
        name = path.rpartition("/")[2]
        return any(fnmatchcase(name, pattern) for pattern in self.tables.ignored)


def _unit(entry: Entry) -> str:
    """Return the folder of a picture; an archive or table is a unit by itself."""
    if not is_picture_name(entry.path):
        return entry.path
    return entry.path.rpartition("/")[0] or _HERE


def _unit_key(entry: Entry) -> tuple[str, str]:
    return _unit(entry), entry.path


def _kind(entries: Sequence[Entry]) -> _Kind:
    path = entries[0].path
    if is_picture_name(path):
        return "folder"
    if is_opened_archive(path):
        return "zip" if path.lower().endswith(".zip") else "tar"
    return "unopened" if is_unopened_archive(path) else "table"


def _unreadable(root: Location, name: str, kind: _Kind) -> Fault | None:
    """Return why an archive is a row for the quarantine, before it is opened."""
    if kind == "unopened":
        return "unopened_archive", why_unopened(name)
    if kind in ("zip", "tar") and not (root / name).exists():
        return "missing_image", f"{name} was listed and cannot be found: a link to nothing, or its name is no UTF-8"
    return None


def _matching(entries: Sequence[Entry], files: Iterable[str]) -> list[Entry]:
    """Return the files that a glob matches, and those whose folder is named as it stands."""
    literal = {glob.escape(_unit(entry)): _unit(entry) for entry in entries}
    units = {literal[pattern] for pattern in files if pattern in literal}
    globs = [pattern.split("/") for pattern in files if pattern not in literal]
    return [entry for entry in entries if _unit(entry) in units or any(_matches(entry.path, steps) for steps in globs)]


def _matches(path: str, steps: Sequence[str]) -> bool:
    """True where a path matches a glob by its components; ``**`` stands for any number of folders."""
    *folders, name = path.split("/")
    if not fnmatchcase(name, steps[-1]):
        return False
    return _folders_match(folders, list(steps[:-1]))


def _folders_match(folders: Sequence[str], steps: Sequence[str]) -> bool:
    if not steps:
        return not folders
    if steps[0] == "**":
        return any(_folders_match(folders[skipped:], steps[1:]) for skipped in range(len(folders) + 1))
    return bool(folders) and fnmatchcase(folders[0], steps[0]) and _folders_match(folders[1:], steps[1:])


def _listed(name: str, entries: Sequence[Entry]) -> Listed:
    size = sum(entry.size for entry in entries)
    if _kind(entries) == "folder":
        return Listed(name, size, _stamp(entries), members=len(entries))
    return Listed(name, size, entries[0].modified_ns)


def _stamp(entries: Sequence[Entry]) -> int:
    """Return a digest of names, sizes and times, 64 bits: no picture is read to tell that one changed."""
    digest = xxhash.xxh3_64()
    for entry in entries:
        digest.update(f"{entry.path}\x1f{entry.size}\x1f{entry.modified_ns}\x1e".encode("utf-8", "surrogatepass"))
    return digest.intdigest()


def _row(path: str, name: str | None = None) -> dict[str, Any]:
    return {"id": name or path, "image": path}


def _as_listed(raw: Raw, file: str) -> Raw:
    """Return a row of a folder or zip with its picture under the very name that was listed; others as they are."""
    if raw.row is None or not raw.locator.startswith(_MEMBER):
        return raw
    name, path = raw.row["id"], raw.row["image"]
    picture = ImageRef(path=name, uri=path, listed_in="" if name == path else file)
    return replace(raw, row={"id": name, "image": picture})


_Line = tuple[str, dict[str, Any] | None, Fault | None]


def _folder_lines(entries: Sequence[Entry]) -> Iterator[_Line]:
    for entry in entries:
        yield f"{_MEMBER}{entry.path.rpartition('/')[2]}", _row(entry.path), None


def _plan_zip(location: Location, file: str, prepared: Location, rows: int) -> tuple[str, tuple[Split, ...]]:
    """Cut the pictures of a zip; of one that cannot be opened a row is left, for what is lost."""
    try:
        with location.reading(), zipfile.ZipFile(cast(Any, Pieces([location]))) as archive:
            members = [(info.filename, info.CRC, info.file_size) for info in archive.infolist()]
    except NO_ZIP as error:
        fault = ("malformed_archive", f"{file} is damaged or cut: {error}; fetch it again")
        return f"damaged-{location.size()}", _cut([(f"{_MEMBER}{file}", None, fault)], prepared, file, rows)
    taken = [member for member in members if is_taken(member[0])]
    lines = _zip_lines(file, [name for name, *_ in taken])
    return xxhash.xxh3_128_hexdigest(repr(taken).encode()), _cut(lines, prepared, file, rows)


def _zip_lines(file: str, names: Sequence[str]) -> Iterator[_Line]:
    """Yield a row per member; of several with one name the last has the picture, as unpacking would have it."""
    last = {name: place for place, name in enumerate(names)}
    for place, name in enumerate(names):
        fault: Fault | None = None
        if not is_picture_name(name):
            fault = ("unopened_archive", why_unopened(name, file))
        elif place != last[name]:
            fault = ("malformed_archive", f"{name} is in {file} several times; the last of them counts")
        yield f"{_MEMBER}{name}", None if fault else _row(f"{file}/{name}", name), fault


def _cut(lines: Iterable[_Line], prepared: Location, file: str, rows: int) -> tuple[Split, ...]:
    """Write the rows of a folder or zip once, and cut them."""
    with prepared.write_whole() as stream:
        for line in lines:
            stream.write(prepared_line(*line))
    return scan_prepared(prepared, file, rows)
