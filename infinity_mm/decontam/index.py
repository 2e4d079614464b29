"""The index on disk: hashes of evaluation sets, no pictures and no words.

A folder with one Parquet file per benchmark (`HASHES`) and ``manifest.json``. Per item: for each picture a perceptual
hash and a digest of the pixels, for its question one hash of the whole and one of each n-gram, if asked for one of each
answer. A hash takes 8 to 11 bytes with all that stands beside it: 8 of its own, which do not compress. Measured on
questions of as many words: 0.4 MB for MMBench's 4,377 items (94 bytes each), 6 MB for VQAv2's 214,354 (28 bytes each,
as three questions share a picture and most have fewer words than an n-gram).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, ValidationError

from infinity_mm.decontam.params import IndexParams
from infinity_mm.errors import StoreError, UsageError
from infinity_mm.frozen import Frozen
from infinity_mm.fs import Location
from infinity_mm.nearest import nearest

#: Raised whenever hashes or columns would be others; an index of another version is refused.
VERSION = 1
MANIFEST = "manifest.json"
NAME = re.compile(r"[a-z0-9][a-z0-9_]*")

#: What a hash is of. Perceptual hashes are of one of the first three, by what they are worth.
PHOTO, RENDERED, BLANK, PIXELS, QUESTION, NGRAM, ANSWER = (
    "photo", "rendered", "blank", "pixels", "question", "ngram", "answer",
)  # fmt: skip
KINDS = (PHOTO, RENDERED, BLANK, PIXELS, QUESTION, NGRAM, ANSWER)

_NAMES = pa.dictionary(pa.int32(), pa.string())
HASHES = pa.schema(
    [
        pa.field("benchmark", _NAMES, nullable=False),
        # The id as published; repeated ones are followed by #2, #3 ...
        pa.field("item", _NAMES, nullable=False),
        pa.field("kind", pa.dictionary(pa.int8(), pa.string()), nullable=False),
        # 64 bits: pHash; first 8 bytes (big-endian) of the SHA-256 of size and pixels; polynomial hash of tokens.
        pa.field("hash", pa.uint64(), nullable=False),
        # Of the whole question or answer; 0 for hashes of pictures.
        pa.field("tokens", pa.int32(), nullable=False),
    ]
)


class BenchmarkEntry(Frozen):
    """One evaluation set of an index."""

    #: Rows of the copy, and those that gave at least one hash.
    rows: int
    items: int
    #: Hashes by kind.
    hashes: dict[str, int]
    #: Why pictures and rows of the copy could not be read -> how many.
    unreadable: dict[str, int] = Field(default_factory=dict)
    #: Column -> role, as they were found.
    columns: dict[str, str] = Field(default_factory=dict)
    #: Fingerprint of the copy, the columns and what computed the hashes: the same again makes the same.
    made_from: str
    #: File of the copy -> digest.
    sources: dict[str, str]
    #: Name of the file in the index, its bytes, and its SHA-256.
    file: str
    bytes: int
    sha256: str
    #: Packages that computed the hashes.
    versions: tuple[str, ...]


class IndexManifest(Frozen):
    """`manifest.json` of an index."""

    version: int = VERSION
    params: IndexParams
    benchmarks: dict[str, BenchmarkEntry]

    def digest(self, names: Sequence[str] = ()) -> str:
        """Return 16 hex digits that name the content of the given benchmarks, or of all."""
        chosen = sorted(names or self.benchmarks)
        text = orjson.dumps(
            [self.version, self.params.model_dump(), [[name, self.benchmarks[name].sha256] for name in chosen]],
            option=orjson.OPT_SORT_KEYS,
        )
        return hashlib.sha256(text).hexdigest()[:16]

    def choose(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the given benchmarks, or all, sorted; raises `UsageError` for one that is not there."""
        for name in names:
            if name not in self.benchmarks:
                raise UsageError(f"the index has no benchmark {name!r}; {nearest(name, self.benchmarks)}")
        return tuple(sorted(set(names) or self.benchmarks))


def read_manifest(folder: Location) -> IndexManifest:
    """Return the manifest of an index; raises `UsageError` where there is none, or one of another version."""
    place = folder / MANIFEST
    if not place.exists():
        raise UsageError(f"no index at {folder}; make one by `infinity-mm decontaminate build --out {folder} ...`")
    try:
        tree = orjson.loads(place.read_bytes())
        version = tree.get("version") if isinstance(tree, Mapping) else None
        if version != VERSION:
            raise UsageError(f"{place} is of version {version}, this program reads {VERSION}: build the index again")
        return IndexManifest.model_validate(tree)
    except (ValidationError, orjson.JSONDecodeError) as error:
        raise UsageError(f"{place} is no manifest of an index: {error}") from error


def write_benchmark(
    folder: Location, name: str, table: pa.Table, params: IndexParams, about: Mapping[str, Any]
) -> None:
    """Put one benchmark into the index, in place of an earlier one of that name.

    `about` has the fields of `BenchmarkEntry` that the table does not tell. Raises `UsageError` where the index was
    made with other parameters.
    """
    manifest = IndexManifest(params=params, benchmarks={})
    if (folder / MANIFEST).exists():
        manifest = read_manifest(folder)
        check_params(folder, manifest, params)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", use_dictionary=["benchmark", "item", "kind"])
    data = sink.getvalue().to_pybytes()
    digest = hashlib.sha256(data).hexdigest()
    kinds = table.column("kind").to_pylist()
    entry = BenchmarkEntry(
        items=len(set(table.column("item").to_pylist())),
        hashes={kind: kinds.count(kind) for kind in KINDS if kind in kinds},
        file=f"{name}-{digest[:16]}.parquet",
        bytes=len(data),
        sha256=digest,
        **about,
    )
    (folder / entry.file).write_bytes(data)
    benchmarks = dict(sorted({**manifest.benchmarks, name: entry}.items()))
    whole = manifest.model_copy(update={"benchmarks": benchmarks})
    (folder / MANIFEST).write_bytes(whole.model_dump_json(indent=1).encode())
    _sweep(folder, whole)


def check_params(folder: Location, manifest: IndexManifest, params: IndexParams) -> None:
    """Raise `UsageError` where an index was made with other parameters than these."""
    if manifest.params != params:
        raise UsageError(
            f"the index at {folder} was made with {manifest.params}, not with {params}: all of its benchmarks "
            "must have the same. Use those, or another --out"
        )


def _sweep(folder: Location, manifest: IndexManifest) -> None:
    """Delete files of benchmarks that the manifest no longer names: it is written first, so a kill costs no hash."""
    wanted = {entry.file for entry in manifest.benchmarks.values()}
    for file in folder.files():
        if re.fullmatch(r"[a-z0-9_]+-[0-9a-f]{16}\.parquet", file) and file not in wanted:
            (folder / file).delete()


def read_hashes(folder: Location, manifest: IndexManifest, names: Sequence[str]) -> pa.Table:
    """Return `HASHES` of the given benchmarks, one after the other; raises `StoreError` for a file that was changed."""
    tables = [HASHES.empty_table()]
    for name in names:
        entry = manifest.benchmarks[name]
        place = folder / entry.file
        with place.reading():
            data = place.read_bytes()
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise StoreError(f"{place} is not what {MANIFEST} says: build that benchmark again")
        tables.append(pq.read_table(pa.BufferReader(data)).cast(HASHES))
    return pa.concat_tables(tables).unify_dictionaries()
