"""The one place that compiles: numba, its machine code kept on disk so that a new process does not compile again.

numba keeps it beside the modules, or in the user's cache folder where the package cannot be written, or in
``NUMBA_CACHE_DIR`` where that is set; `keep_code_in` names a folder for machines that offer none of these. The code
is bound to processor, numba version and source file, and made anew when one of them changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile a loop at its first call; it releases the GIL, and integer arithmetic wraps as in C."""
    return cast(F, _kept(function, nogil=True))


def inlined(function: F) -> F:
    """Compile a small function that is called in the innermost loops of others."""
    return cast(F, _kept(function, nogil=True, inline="always"))


def _kept(function: Callable[..., object], nogil: bool, inline: str = "never") -> Any:
    try:
        return numba.njit(function, cache=True, nogil=nogil, inline=inline)
    except RuntimeError as error:
        # numba found no folder that it may write: every process compiles for itself, about six seconds.
        if "cannot cache" not in str(error):
            raise
        return numba.njit(function, nogil=nogil, inline=inline)


@intrinsic
def load64(_context, data, place):  # type: ignore[no-untyped-def]  # numba calls it, with types of its own
    """Return ``data[place : place + 8]``, uint8, as a little-endian uint64; the caller keeps it within the array."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        pointer = builder.bitcast(builder.gep(array.data, [arguments[1]]), ir.IntType(64).as_pointer())
        return builder.load(pointer, align=1)

    return types.uint64(data, types.int64), generate
