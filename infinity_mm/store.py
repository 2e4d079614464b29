"""The run folder: parts named by what made them, written aside and renamed whole.

``<folder>/part-<number>-<fingerprint>.parquet``: the number orders the parts of one source, the
fingerprint names stage, version, parameters and inputs. Whether work is done is asked of the file
system and of nothing else, so a run can be killed at any moment and the same command goes on.
Pages carry a CRC-32 that readings verify: damage on the disk is an error and not another result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from infinity_mm.errors import StoreError
from infinity_mm.fs import ASIDE, Location

#: Rows of one row group; with `GROUP_BYTES` it bounds what a reader of single rows must load.
GROUP_ROWS = 256
#: Uncompressed bytes after which a row group is closed.
GROUP_BYTES = 32 << 20


def part_name(number: int, fingerprint: str) -> str:
    """Return the file name of a part."""
    return f"part-{number:05d}-{fingerprint}.parquet"


@dataclass(frozen=True)
class Store:
    """A run folder; `--work` of the commands."""

    work: Location

    def at(self, relative: str) -> Location:
        """Return the location of a path inside the folder."""
        return self.work / relative

    def missing(self, paths: Iterable[str]) -> list[str]:
        """Return those of the relative file paths that do not exist, listing each folder once."""
        present: dict[str, set[str]] = {}
        absent = []
        for path in paths:
            folder, _, name = path.rpartition("/")
            if folder not in present:
                present[folder] = set(self.at(folder).files())
            if name not in present[folder]:
                absent.append(path)
        return absent

    def sweep(self, folder: str, keep: Iterable[str], owns: Callable[[str], bool] = lambda name: True) -> int:
        """Delete from `folder` what is not in `keep`: parts of other parameters, and half-written files.

        `owns` says of a file name whether it is this pass's to delete; half-written files always are.
        A folder thus always reads as one table (``folder/*.parquet``) of the newest run. Returns how
        many files went.
        """
        wanted = set(keep)
        gone = [
            name for name in self.at(folder).files() if name not in wanted and (name.startswith(ASIDE) or owns(name))
        ]
        for name in gone:
            self.at(f"{folder}/{name}").delete()
        return len([name for name in gone if not name.startswith(ASIDE)])

    def read(
        self, path: str, columns: Sequence[str] | None = None, where: Sequence[tuple[str, str, Any]] | None = None
    ) -> pa.Table:
        """Read a part, or some columns of it; raises `StoreError` where it is absent or damaged.

        `where` are conditions such as ``("bucket", ">=", 3)`` that all must hold; row groups whose statistics
        exclude them are not read.
        """
        location = self.at(path)
        try:
            with location.open_input() as stream:
                if where:
                    return pq.read_table(
                        stream,
                        columns=None if columns is None else list(columns),
                        use_threads=False,
                        filters=list(where),
                        page_checksum_verification=True,
                    )
                # `read_table` is a query of a data set of one file, which costs a millisecond more for each part.
                parquet = pq.ParquetFile(stream, page_checksum_verification=True, pre_buffer=not self.work.is_local)
                if columns is None:
                    return parquet.read(use_threads=False)
                _require(columns, parquet.schema_arrow)
                return parquet.read(columns=list(columns), use_threads=False).select(list(columns))
        except (OSError, pa.ArrowInvalid) as error:
            raise StoreError(f"cannot read {location}: {error}; delete that file and run again") from error

    def rows(self, path: str) -> int:
        """Return the number of rows of a part, from its footer."""
        with self.at(path).open_input() as stream:
            return int(pq.read_metadata(stream).num_rows)

    def read_row(self, path: str, row: int) -> tuple[dict[str, Any], list[bytes | None]]:
        """Return one record of a part, without pixels, and its pictures; loads only its row group."""
        return self.read_rows(path, [row])[row]

    def read_rows(self, path: str, rows: Iterable[int]) -> dict[int, tuple[dict[str, Any], list[bytes | None]]]:
        """Return several records of a part like `read_row`, by row; each row group is loaded once."""
        wanted = sorted(set(rows), reverse=True)
        found: dict[int, tuple[dict[str, Any], list[bytes | None]]] = {}
        with self.at(path).open_input() as stream:
            parquet = pq.ParquetFile(stream, page_checksum_verification=True)
            first = 0
            for group in range(parquet.num_row_groups):
                end = first + parquet.metadata.row_group(group).num_rows
                here = [wanted.pop() for _ in range(len(wanted)) if wanted[-1] < end]
                if here:
                    table = parquet.read_row_group(group, use_threads=False).take([row - first for row in here])
                    for row, record in zip(here, table.to_pylist(), strict=True):
                        data = record.pop("image_bytes")
                        found[row] = record, data
                first = end
        return found

    def write(self, path: str, table: pa.Table, group_rows: int = 64 * 1024, hashes: Sequence[str] = ()) -> None:
        """Write a part of small columns, whole or not at all; `hashes` are columns that nothing makes smaller."""
        found = leaves(table.schema)
        plain = {leaf for leaf in found if leaf.split(".")[0] in hashes}
        with self.at(path).write_whole() as stream:
            pq.write_table(
                table,
                stream,
                compression={leaf: "none" if leaf in plain else "zstd" for leaf in found},
                use_dictionary=[leaf for leaf in found if leaf not in plain],
                row_group_size=group_rows,
                write_page_checksum=True,
            )

    @contextmanager
    def writer(self, path: str, schema: pa.Schema) -> Iterator[GroupWriter]:
        """Open a part for writing row by row, with bounded memory; it appears at a clean exit."""
        # Pictures are compressed already; zstd would only cost time on them.
        compression = {leaf: "none" if leaf.startswith("image_bytes") else "zstd" for leaf in leaves(schema)}
        with (
            self.at(path).write_whole() as stream,
            pq.ParquetWriter(
                stream, schema, compression=compression, use_dictionary=False, write_page_checksum=True
            ) as parquet,
        ):
            writer = GroupWriter(parquet, schema)
            yield writer
            writer.flush()


def _require(columns: Sequence[str], schema: pa.Schema) -> None:
    """Raise `pyarrow.ArrowInvalid` where a column is not there: pyarrow reads the others and says nothing."""
    absent = [name for name in columns if name not in schema.names]
    if absent:
        raise pa.ArrowInvalid(f"expected the columns {list(columns)}, but there is no {', '.join(absent)}")


def leaves(schema: pa.Schema) -> list[str]:
    """Return the Parquet column paths of a schema, e.g. ``messages.list.element.role``."""
    found: list[str] = []

    def descend(prefix: str, kind: pa.DataType) -> None:
        if pa.types.is_struct(kind):
            for field in kind:
                descend(f"{prefix}.{field.name}", field.type)
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
            descend(f"{prefix}.list.element", kind.value_type)
        else:
            found.append(prefix)

    for field in schema:
        descend(field.name, field.type)
    return found


class GroupWriter:
    """Collects rows and writes them as row groups of bounded rows and bytes."""

    def __init__(self, parquet: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._parquet = parquet
        self._schema = schema
        self._rows: list[dict[str, object]] = []
        self._bytes = 0

    def add(self, row: dict[str, object], size: int) -> None:
        """Add one row of about `size` bytes."""
        self._rows.append(row)
        self._bytes += size
        if len(self._rows) >= GROUP_ROWS or self._bytes >= GROUP_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what was collected as one row group."""
        if self._rows:
            self._parquet.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows, self._bytes = [], 0
