"""Indexing the archives that hold pictures, once per archive, before rows look for members in them."""

from __future__ import annotations

from dataclasses import dataclass

from infinity_mm.archives.index import SUFFIXES, build_index, kind_of, name_index, open_pieces
from infinity_mm.archives.pieces import ArchiveFiles, find_archives, is_archive_root
from infinity_mm.archives.reading import IndexedArchive
from infinity_mm.fs import Location
from infinity_mm.pipeline.passes import Context, run_pass
from infinity_mm.recipe import SourceUse
from infinity_mm.store import Store

STAGE = "index"


@dataclass(frozen=True)
class IndexTask:
    """One archive to be read from start to end."""

    work: str
    root: str
    files: ArchiveFiles
    #: Base of the index's files, relative to the run folder.
    base: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """The four files of the index."""
        return tuple(self.base + suffix for suffix in SUFFIXES)


def run_indexing(context: Context) -> dict[str, tuple[IndexedArchive, ...]]:
    """Index the archives of every source; an index is reused while the files of its archive keep size and time."""
    archives = {use.name: list_archives(use) for use in context.recipe.sources}
    tasks = {
        archive.index: IndexTask(context.store.work.uri, use.root, archive.files, archive.index)
        for use in context.recipe.sources
        for archive in archives[use.name]
        if archive.index
    }
    if tasks:
        run_pass(context, STAGE, index_archive, list(tasks.values()))
    return archives


def list_archives(use: SourceUse) -> tuple[IndexedArchive, ...]:
    """Return the archives that a source's image roots name, and where their indexes are or will be."""
    root = Location(use.root)
    found = []
    for image_root in filter(is_archive_root, use.load().image_roots):
        for files in find_archives(root, image_root):
            pieces = open_pieces(root, files)
            kind = kind_of(files, pieces)
            pieces.close()
            index = "" if kind == "zip" else f"state/archives/{use.name}/{name_index(root, files)}"
            found.append(IndexedArchive(image_root, files, kind, index))
    return tuple(found)


def list_indexed(store: Store, use: SourceUse) -> tuple[IndexedArchive, ...] | None:
    """Return the archives of a source if all that need an index have one in the run folder, else None."""
    archives = list_archives(use)
    wanted = [archive.index + suffix for archive in archives if archive.index for suffix in SUFFIXES]
    return None if store.missing(wanted) else archives


def index_archive(task: IndexTask) -> None:
    """Read one archive and write its index."""
    build_index(Location(task.root), task.files, Location(task.work) / task.base)
