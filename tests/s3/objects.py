"""Buckets of objects in memory, with the rules of S3 that a client can meet: order, pages, parts, ranges, error codes.

After Amazon's "S3 API Reference" of 2006-03-01. Every function of a `Bucket` is one atomic step for its callers, who hold
the server's lock.
"""

import hashlib
import itertools
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field

#: Entries of a page of a listing at most; S3 has 1,000. Small, so that clients must turn pages.
PAGE = 100
#: Bytes of every part of an upload but the last, at least.
MIN_PART = 5 << 20
#: Bytes of a key in UTF-8 at most.
MAX_KEY = 1024


class Refusal(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, code: str, message: str = "") -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Object:
    """Content and what is known of it."""

    data: bytes
    etag: str
    content_type: str
    #: Whole seconds since the epoch: S3 tells no fractions.
    modified: int = field(default_factory=lambda: int(time.time()))


@dataclass
class Upload:
    """An upload in parts that is under way: number of a part -> its content and its ETag."""

    key: str
    content_type: str
    parts: dict[int, tuple[bytes, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """A page of a listing: objects and common prefixes, each in order, and where the next page begins."""

    objects: tuple[tuple[str, Object], ...]
    prefixes: tuple[str, ...]
    token: str | None


def etag_of(data: bytes) -> str:
    """Return the ETag of content that was put at once, quotes included."""
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


class Bucket:
    """Objects by key, and uploads that are under way by id."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.uploads: dict[str, Upload] = {}
        self._ids = itertools.count(1)

    def get(self, key: str) -> Object:
        """Return an object; raises `Refusal` where there is none."""
        if key not in self.objects:
            raise Refusal(404, "NoSuchKey", "The specified key does not exist.")
        return self.objects[key]

    def put(self, key: str, data: bytes, content_type: str) -> Object:
        """Replace an object or make it."""
        if len(key.encode()) > MAX_KEY:
            raise Refusal(400, "KeyTooLongError", "Your key is too long")
        self.objects[key] = Object(data, etag_of(data), content_type)
        return self.objects[key]

    def delete(self, key: str) -> None:
        """Delete an object; none is no error."""
        self.objects.pop(key, None)

    def begin(self, key: str, content_type: str) -> str:
        """Begin an upload in parts and return its id."""
        if len(key.encode()) > MAX_KEY:
            raise Refusal(400, "KeyTooLongError", "Your key is too long")
        name = f"upload-{next(self._ids)}"
        self.uploads[name] = Upload(key, content_type)
        return name

    def add_part(self, key: str, upload: str, number: int, data: bytes) -> str:
        """Keep a part and return its ETag."""
        if not 1 <= number <= 10_000:
            raise Refusal(400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
        self._upload(key, upload).parts[number] = data, etag_of(data)
        return etag_of(data)

    def complete(self, key: str, upload: str, named: Sequence[tuple[int, str]]) -> Object:
        """Make an object of the parts that the client names by number and ETag."""
        under_way = self._upload(key, upload)
        if not named:
            raise Refusal(400, "MalformedXML", "You must specify at least one part")
        numbers = [number for number, _ in named]
        if numbers != sorted(set(numbers)):
            raise Refusal(400, "InvalidPartOrder", "The list of parts was not in ascending order.")
        if any(number not in under_way.parts or under_way.parts[number][1] != etag for number, etag in named):
            raise Refusal(400, "InvalidPart", "One or more of the specified parts could not be found.")
        contents = [under_way.parts[number][0] for number in numbers]
        if any(len(content) < MIN_PART for content in contents[:-1]):
            raise Refusal(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
        digests = b"".join(hashlib.md5(content, usedforsecurity=False).digest() for content in contents)
        etag = f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(contents)}"'
        self.objects[key] = Object(b"".join(contents), etag, under_way.content_type)
        del self.uploads[upload]
        return self.objects[key]

    def abort(self, key: str, upload: str) -> None:
        """Forget an upload and its parts."""
        self._upload(key, upload)
        del self.uploads[upload]

    def _upload(self, key: str, upload: str) -> Upload:
        if upload not in self.uploads or self.uploads[upload].key != key:
            raise Refusal(404, "NoSuchUpload", "The specified upload does not exist.")
        return self.uploads[upload]

    def list(self, prefix: str, delimiter: str, token: str | None, most: int) -> Page:
        """Return a page of the keys below a prefix, those with the delimiter behind it rolled up to common prefixes.

        Keys are in the order of their UTF-8; a common prefix counts as one entry.
        """
        after = "" if token is None else read_token(token)
        found: dict[str, Object | None] = {}
        for key in sorted((key for key in self.objects if key.startswith(prefix)), key=str.encode):
            rest = key[len(prefix) :]
            rolled = delimiter != "" and delimiter in rest
            entry = prefix + rest[: rest.index(delimiter) + len(delimiter)] if rolled else key
            if entry.encode() > after.encode():
                found[entry] = None if rolled else self.objects[key]
        entries = list(found.items())
        page, more = entries[: min(most, PAGE)], len(entries) > min(most, PAGE)
        return Page(
            tuple((key, value) for key, value in page if value is not None),
            tuple(key for key, value in page if value is None),
            make_token(page[-1][0]) if more and page else None,
        )


def make_token(last: str) -> str:
    """Return what a client hands back to get what follows an entry; it means nothing to the client."""
    return urlsafe_b64encode(b"after " + last.encode()).decode()


def read_token(token: str) -> str:
    """Return the entry that a token stands for."""
    try:
        text = urlsafe_b64decode(token).decode()
    except ValueError as error:
        raise Refusal(400, "InvalidArgument", "The continuation token provided is incorrect") from error
    if not text.startswith("after "):
        raise Refusal(400, "InvalidArgument", "The continuation token provided is incorrect")
    return text.removeprefix("after ")


def cut(data: bytes, span: str) -> tuple[int, bytes]:
    """Return the first byte's position and the bytes of a ``Range`` header; raises `Refusal` where it holds none."""
    unit, _, span = span.partition("=")
    first, dash, last = span.partition("-")
    if unit != "bytes" or not dash or "," in span or not (first + last).isdecimal():
        raise Refusal(501, "NotImplemented", f"range {span!r}")
    if first == "":
        begin, end = max(0, len(data) - int(last)), len(data)
    else:
        begin, end = int(first), min(len(data), int(last) + 1 if last else len(data))
    if begin >= end:
        raise Refusal(416, "InvalidRange", "The requested range is not satisfiable")
    return begin, data[begin:end]
