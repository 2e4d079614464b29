"""The one place that compiles: numba, cached on disk so that a new process (a Ray worker) does not compile again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile a loop at its first call; it releases the GIL, and integer arithmetic wraps as in C."""
    return cast(F, numba.njit(cache=True, nogil=True)(function))


def inlined(function: F) -> F:
    """Compile a small function that is called in the innermost loops of others."""
    return cast(F, numba.njit(cache=True, nogil=True, inline="always")(function))


@intrinsic
def load64(_context, data, place):  # type: ignore[no-untyped-def]  # numba calls it, with types of its own
    """Return ``data[place : place + 8]``, uint8, as a little-endian uint64; the caller keeps it within the array."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        pointer = builder.bitcast(builder.gep(array.data, [arguments[1]]), ir.IntType(64).as_pointer())
        return builder.load(pointer, align=1)

    return types.uint64(data, types.int64), generate
