"""Finding a picture's bytes: folders, zip and tar members, embedded bytes; hostile names refused."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from urllib.parse import unquote

from infinity_mm.archives.pieces import ArchiveFiles, find_archives, is_archive_root
from infinity_mm.archives.reading import Archive, IndexedArchive, open_archive
from infinity_mm.errors import StoreError
from infinity_mm.fs import Location
from infinity_mm.sources.base import ImageRef, Quarantine

_DRIVE = re.compile(r"^[A-Za-z]:")
#: Suffixes that pictures are saved under, whatever they are.
_SUFFIXES = frozenset(("jpg", "jpeg", "png", "gif", "webp", "bmp", "tif", "tiff"))
#: A path that leads through an archive: the archive, and the name of a member.
_THROUGH = re.compile(r"(.+?\.(?:zip|tar))/(.+)", re.IGNORECASE)


class ImageStore:
    """Resolves `ImageRef`s below a source's root; keeps archives open and folder listings at hand.

    `image_roots` are folders or archives relative to the root, tried in order (see `archives.pieces.find_archives` for
    how archives are named); a path may lead through a zip or tar as if it were a folder. Links to folders and files are
    followed: they are the user's own, put there to share picture folders between sources. `downloads` answers
    references by URL. `archives` are those of the image roots, indexed below the run folder `work`; without them they
    are looked for, and a tar.gz cannot be searched.
    """

    def __init__(
        self,
        root: Location,
        image_roots: tuple[str, ...],
        downloads: Callable[[ImageRef], bytes | Quarantine] | None = None,
        archives: Sequence[IndexedArchive] | None = None,
        work: Location | None = None,
    ) -> None:
        self._root = root
        self._downloads = downloads
        self._image_roots = image_roots
        self._indexed = archives
        self._work = work
        #: Archives of image roots, and the folder that each would be unpacked to by its name.
        self._archives: dict[str, tuple[tuple[Archive, str], ...]] = {}
        #: Archives that paths lead through.
        self._through: dict[str, Archive | None] = {}
        self._listings: dict[str, dict[str, list[str]]] = {}

    def find(self, reference: ImageRef) -> tuple[ImageRef, bytes] | Quarantine:
        """Return the picture and the reference under the name that it has here, or why there is none.

        Of several names the first that exists counts; what is wrong with it is no reason to try the next. Where none
        does, the fault is that of the first.
        """
        absent: Quarantine | None = None
        for path in (reference.path, *reference.alternatives):
            tried = replace(reference, path=path, alternatives=())
            data = self.resolve(tried)
            if not isinstance(data, Quarantine):
                return tried, data
            if data.reason not in ("missing_image", "unsafe_path"):
                return data
            absent = absent or data
        assert absent is not None
        others = f"; nor under its other names, {', '.join(reference.alternatives)}" if reference.alternatives else ""
        return replace(absent, detail=absent.detail + others)

    def resolve(self, reference: ImageRef) -> bytes | Quarantine:
        """Return the picture's bytes under its first name, or why there are none."""
        if reference.data is not None:
            return reference.data
        if reference.path is not None and reference.listed_in is not None:
            return self._listed_file(reference.path, reference.listed_in)
        if reference.path is None:
            if self._downloads is not None:
                return self._downloads(reference)
            return Quarantine("download_failed", f"{reference.url} was not downloaded")
        name = self._relative(reference.path.replace("\\", "/"))
        while name.startswith("./"):
            name = name[2:]
        if not name or ".." in unquote(name).split("/") or "\0" in name:
            return Quarantine("unsafe_path", f"expected a path below the root, got {reference.path!r}")
        if name.startswith("/") or _DRIVE.match(name):
            return self._foreign(name)
        for candidate in dict.fromkeys((name, unquote(name))):
            data = self._anywhere(candidate)
            if data is not None:
                return data
        for image_root in self._image_roots:
            found = self._read_similar(image_root, name)
            if found is not None:
                return found
        places = ", ".join(repr(place or ".") for place in self._image_roots)
        problems = "".join(f"; {problem}" for problem in self.problems())
        return Quarantine("missing_image", f"{name} is in none of {places} below {self._root}{problems}")

    def _listed_file(self, name: str, archive: str) -> bytes | Quarantine:
        """Return the content of a file or member that the reader listed under this very name."""
        data = self._member(archive, name) if archive else self._file(self._root / name)
        where = f"{archive} below {self._root}" if archive else str(self._root)
        gone = f"{name} was listed in {where} and cannot be found there: it went, or its name is no UTF-8"
        return data if data is not None else Quarantine("missing_image", gone)

    def _anywhere(self, name: str) -> bytes | Quarantine | None:
        """Return the content of the first file or member of this very name in the image roots."""
        for image_root in self._image_roots:
            data = self._read(image_root, name)
            if data is not None:
                return data
        return None

    def _foreign(self, name: str) -> bytes | Quarantine:
        """Look for an absolute path of another machine by what it ends with, at least a folder and a file of it."""
        steps = [step for step in name.split("/")[1:] if step]
        for start in range(len(steps) - 1):
            data = self._anywhere("/".join(steps[start:]))
            if data is not None:
                return data
        tried = f"; nor does a folder below {self._root} hold its last parts" if len(steps) > 1 else ""
        return Quarantine("unsafe_path", f"expected a path below the root, got {name!r}{tried}")

    def problems(self) -> list[str]:
        """Return what is wrong with the archives, so that pictures may be missing in them."""
        roots = [place for place in self._image_roots if is_archive_root(place)]
        return [archive.problem for place in roots for archive, _ in self._open(place) if archive.problem]

    def _relative(self, name: str) -> str:
        """Return an absolute path that lies in one of the image roots relative to it; others come back as they are."""
        if name.startswith("/") and self._root.is_local:
            for image_root in self._image_roots:
                place = os.path.normpath(os.path.join(self._root.path, image_root)) + "/"
                if name.startswith(place):
                    return name[len(place) :]
        return name

    def _read(self, image_root: str, name: str) -> bytes | Quarantine | None:
        if is_archive_root(image_root):
            for archive, folder in self._open(image_root):
                for member in (name, f"{folder}/{name}"):
                    data = archive.read(member)
                    if data is not None:
                        return data
            return None
        data = self._file(self._root / image_root / name if image_root else self._root / name)
        return data if data is not None else self._read_through(image_root, name)

    def _file(self, location: Location) -> bytes | None:
        """Return the content of a file, None where there is none; raises `StoreError` for one that cannot be read."""
        try:
            return location.read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            if location.is_dir() or not location.exists():
                return None
            raise StoreError(f"cannot read {location}: {error}") from error

    def _read_through(self, image_root: str, name: str) -> bytes | Quarantine | None:
        found = _THROUGH.fullmatch(name)
        if found is None:
            return None
        return self._member(f"{image_root}/{found[1]}" if image_root else found[1], found[2])

    def _member(self, path: str, name: str) -> bytes | Quarantine | None:
        """Return a member of the archive at a path, None where there is no such archive or member."""
        if path not in self._through:
            there = (self._root / path).exists() and not (self._root / path).is_dir()
            self._through[path] = open_archive(self._root, ArchiveFiles(path, (path,))) if there else None
        archive = self._through[path]
        return None if archive is None else archive.read(name)

    def _read_similar(self, image_root: str, name: str) -> bytes | Quarantine | None:
        """Look for the name in other letter case, then with another picture suffix.

        Several corpora were unpacked where case does not matter; downloaders save GIF files as .jpg and the reverse.
        """
        if is_archive_root(image_root):
            return None
        *folders, base = (f"{image_root}/{name}" if image_root else name).split("/")
        here = ""
        for folder in filter(None, folders):
            same = self._listed(here, folders=True).get(folder.lower(), [])
            if len(same) != 1 and folder not in same:
                return None
            here = "/".join(filter(None, (here, folder if folder in same else same[0])))
        listing = self._listed(here)
        found = listing.get(base.lower(), [])
        stem, dot, suffix = base.lower().rpartition(".")
        if not found and dot and suffix in _SUFFIXES:
            found = [file for other in sorted(_SUFFIXES) for file in listing.get(f"{stem}.{other}", [])]
        if len(found) > 1:
            return Quarantine("ambiguous_image", f"{name} could be any of {found}")
        return (self._root / here / found[0]).read_bytes() if found else None

    def _listed(self, folder: str, folders: bool = False) -> dict[str, list[str]]:
        """Return the names in a folder by their lower-case form."""
        key = f"{folder}/" if folders else folder
        if key not in self._listings:
            place = self._root / folder if folder else self._root
            listing: dict[str, list[str]] = {}
            for name in place.folders() if folders else place.files():
                listing.setdefault(name.lower(), []).append(name)
            self._listings[key] = listing
        return self._listings[key]

    def _open(self, image_root: str) -> tuple[tuple[Archive, str], ...]:
        if image_root not in self._archives:
            if self._indexed is None:
                found: list[tuple[ArchiveFiles, Location | None]] = [
                    (files, None) for files in find_archives(self._root, image_root)
                ]
            else:
                known = [archive for archive in self._indexed if archive.image_root == image_root]
                found = [(archive.files, self._index_of(archive)) for archive in known]
            self._archives[image_root] = tuple(
                (open_archive(self._root, files, index), _stem(files.name)) for files, index in found
            )
        return self._archives[image_root]

    def _index_of(self, archive: IndexedArchive) -> Location | None:
        return None if self._work is None or not archive.index else self._work / archive.index


def _stem(archive: str) -> str:
    """Return the folder that an archive is packed from, going by its name: ``train2014`` for train2014.zip."""
    return re.sub(r"\.(zip|tar|tgz|tar\.gz)$", "", archive.rpartition("/")[2], flags=re.IGNORECASE)
