"""One run per work folder: two at once would sweep away each other's files."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from infinity_mm.errors import StoreError
from infinity_mm.fs import Location


@contextmanager
def exclusive(work: Location) -> Iterator[None]:
    """Hold the folder while a run writes to it; the kernel lets go when the process dies.

    Raises `StoreError` if another process holds it, or if the folder cannot be written. Folders on
    object stores have no such lock: run one job at a time there.
    """
    work.make_dirs()
    if not work.is_local:
        yield
        return
    path = os.path.join(work.path, ".lock")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreError(f"cannot write to the work folder {work}: {error.strerror}; choose another --work") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(f"another run is using {work}; wait for it, or choose another --work") from error
        yield
    finally:
        os.close(handle)
