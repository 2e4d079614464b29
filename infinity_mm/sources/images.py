"""Finding a picture's bytes: folders, zip and tar members, embedded bytes; hostile names refused."""

from __future__ import annotations

import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import unquote

import pyarrow as pa

from infinity_mm.errors import StoreError
from infinity_mm.fs import Location
from infinity_mm.images import ImageLimits
from infinity_mm.sources.base import ImageRef, Quarantine

_DRIVE = re.compile(r"^[A-Za-z]:")
_ARCHIVES = (".zip", ".tar")
#: A path that leads through an archive: the archive, and the name of a member.
_THROUGH = re.compile(r"(.+?\.(?:zip|tar))/(.+)")
#: A larger member is not unpacked: its picture would be refused for its size, and a bomb must not get that far.
MEMBER_BYTES = ImageLimits().max_bytes


class ImageStore:
    """Resolves `ImageRef`s below a source's root; keeps archives open and folder listings at hand.

    `image_roots` are folders or archives relative to the root, tried in order; a path may lead through an archive as
    if it were a folder. Links are followed: they
    are the user's own, put there to share picture folders between sources. `downloads` answers references by URL.
    """

    def __init__(
        self,
        root: Location,
        image_roots: tuple[str, ...],
        downloads: Callable[[ImageRef], bytes | Quarantine] | None = None,
    ) -> None:
        self._root = root
        self._downloads = downloads
        self._image_roots = image_roots
        self._archives: dict[str, _Archive | None] = {}
        self._listings: dict[str, dict[str, list[str]]] = {}

    def find(self, reference: ImageRef) -> tuple[ImageRef, bytes] | Quarantine:
        """Return the picture and the reference under the name that it has here, or why there is none.

        Of several names the first that exists counts; what is wrong with it is no reason to try the next.
        """
        absent: list[str] = []
        for path in (reference.path, *reference.alternatives):
            tried = replace(reference, path=path, alternatives=())
            data = self.resolve(tried)
            if not isinstance(data, Quarantine):
                return tried, data
            if data.reason != "missing_image":
                return data
            absent.append(data.detail)
        return Quarantine("missing_image", "; ".join(absent))

    def resolve(self, reference: ImageRef) -> bytes | Quarantine:
        """Return the picture's bytes under its first name, or why there are none."""
        if reference.data is not None:
            return reference.data
        if reference.path is None:
            if self._downloads is not None:
                return self._downloads(reference)
            return Quarantine("download_failed", f"{reference.url} was not downloaded")
        name = (reference.path or "").replace("\\", "/")
        name = self._relative(name)
        while name.startswith("./"):
            name = name[2:]
        if not name or name.startswith("/") or _DRIVE.match(name) or ".." in name.split("/") or "\0" in name:
            return Quarantine("unsafe_path", f"expected a path below the root, got {reference.path!r}")
        for candidate in dict.fromkeys((name, unquote(name))):
            if ".." in candidate.split("/"):
                return Quarantine("unsafe_path", f"expected a path below the root, got {reference.path!r}")
            for image_root in self._image_roots:
                data = self._read(image_root, candidate)
                if data is not None:
                    return data
        for image_root in self._image_roots:
            found = self._read_any_case(image_root, name)
            if found is not None:
                return found
        places = ", ".join(repr(place or ".") for place in self._image_roots)
        return Quarantine("missing_image", f"{name} is in none of {places} below {self._root}")

    def _relative(self, name: str) -> str:
        """Return an absolute path that lies in one of the image roots relative to it; others come back as they are."""
        if name.startswith("/") and self._root.is_local:
            for image_root in self._image_roots:
                place = os.path.normpath(os.path.join(self._root.path, image_root)) + "/"
                if name.startswith(place):
                    return name[len(place) :]
        return name

    def _read(self, image_root: str, name: str) -> bytes | Quarantine | None:
        if image_root.endswith(_ARCHIVES):
            archive = self._archive(image_root)
            return None if archive is None else archive.read(name)
        location = self._root / image_root / name if image_root else self._root / name
        try:
            return location.read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return self._read_through(image_root, name)
        except OSError as error:
            if location.is_dir() or not location.exists():
                return self._read_through(image_root, name)
            raise StoreError(f"cannot read {location}: {error}") from error

    def _read_through(self, image_root: str, name: str) -> bytes | Quarantine | None:
        found = _THROUGH.fullmatch(name)
        if found is None:
            return None
        archive = self._archive(f"{image_root}/{found[1]}" if image_root else found[1])
        return None if archive is None else archive.read(found[2])

    def _read_any_case(self, image_root: str, name: str) -> bytes | Quarantine | None:
        """Look for the name in other letter case: several corpora were unpacked where case does not matter."""
        if image_root.endswith(_ARCHIVES):
            return None
        folder, _, base = (f"{image_root}/{name}" if image_root else name).rpartition("/")
        if folder not in self._listings:
            listing: dict[str, list[str]] = {}
            for file in (self._root / folder).files():
                listing.setdefault(file.lower(), []).append(file)
            self._listings[folder] = listing
        found = self._listings[folder].get(base.lower(), [])
        if len(found) > 1:
            return Quarantine("ambiguous_image", f"{name} could be any of {found}")
        return (self._root / folder / found[0]).read_bytes() if found else None

    def _archive(self, path: str) -> _Archive | None:
        if path not in self._archives:
            location = self._root / path
            there = location.exists() and not location.is_dir()
            self._archives[path] = _Archive(location) if there else None
        return self._archives[path]


class _Archive:
    """A zip or tar whose members are found by an index and read in place."""

    def __init__(self, location: Location) -> None:
        self._name = location.name
        self._stream = location.open_input()
        self._zip: zipfile.ZipFile | None = None
        self._spans: dict[str, tuple[int, int]] = {}
        #: Why nothing can be read from the archive; "" where something can.
        self._problem = ""
        try:
            if location.name.endswith(".zip"):
                self._zip = zipfile.ZipFile(self._stream)
            else:
                with tarfile.open(fileobj=self._stream, mode="r:") as tar:
                    for member in tar:
                        if member.isfile():
                            self._spans[member.name.removeprefix("./")] = (member.offset_data, member.size)
        except (zipfile.BadZipFile, pa.ArrowInvalid, NotImplementedError) as error:
            self._problem = f"{location.name} is damaged or cut: {error}; fetch it again"
        except tarfile.ReadError:
            pass  # a cut tar still holds the members before the cut; the others will be reported as missing

    def read(self, name: str) -> bytes | Quarantine | None:
        if self._problem:
            return Quarantine("malformed_archive", f"{name}: {self._problem}")
        if self._zip is not None:
            return self._inflate(self._zip, name)
        if name not in self._spans:
            return None
        offset, size = self._spans[name]
        if size > MEMBER_BYTES:
            return self._too_large(name, size)
        self._stream.seek(offset)
        data: bytes = self._stream.read(size)
        return data if len(data) == size else None

    def _inflate(self, archive: zipfile.ZipFile, name: str) -> bytes | Quarantine | None:
        try:
            size = archive.getinfo(name).file_size
        except KeyError:
            return None
        if size > MEMBER_BYTES:
            return self._too_large(name, size)
        try:
            return archive.read(name)
        # In turn: a wrong checksum or header, bad deflate data, a password, an unknown method, a cut file.
        except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, pa.ArrowInvalid) as error:
            return Quarantine("malformed_archive", f"{name} in {self._name} cannot be unpacked: {error}")

    def _too_large(self, name: str, size: int) -> Quarantine:
        return Quarantine("image_too_large", f"{name} in {self._name}: {size} bytes > {MEMBER_BYTES}, not unpacked")
