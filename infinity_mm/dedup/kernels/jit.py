"""The one place that compiles: numba, its machine code kept on disk so that a new process does not compile again.

numba keeps it beside the modules, or in the user's cache folder where the package cannot be written, or in
``NUMBA_CACHE_DIR`` where that is set. The code is bound to processor, numba version and source file, and made anew
when one of them changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., object])

_BLOCK = ir.VectorType(ir.IntType(8), 64)


def compiled(function: F) -> F:
    """Compile a loop at its first call; it releases the GIL, and integer arithmetic wraps as in C."""
    return cast(F, _kept(function, "never"))


def inlined(function: F) -> F:
    """Compile a small function as part of the innermost loops that call it."""
    return cast(F, _kept(function, "always"))


def _kept(function: Callable[..., object], inline: str) -> Any:
    try:
        return numba.njit(function, cache=True, nogil=True, inline=inline)
    except RuntimeError as error:
        # numba found no folder that it may write to: then every process compiles for itself.
        if "cannot cache" not in str(error):
            raise
        return numba.njit(function, nogil=True, inline=inline)


@intrinsic
def load64(_context, data, place):  # type: ignore[no-untyped-def]  # numba calls it, with types of its own
    """Return ``data[place : place + 8]``, uint8, as a little-endian uint64; the caller keeps it within the array."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        pointer = builder.bitcast(builder.gep(array.data, [arguments[1]]), ir.IntType(64).as_pointer())
        return builder.load(pointer, align=1)

    return types.uint64(data, types.int64), generate


@intrinsic
def ones(_context, word):  # type: ignore[no-untyped-def]
    """Return how many bits of a uint64 are set, as int64."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.ctpop(arguments[0])

    return types.int64(word), generate


@intrinsic
def between64(_context, data, place, fold, low, high):  # type: ignore[no-untyped-def]
    """Return which of 64 bytes from ``data[place]`` on lie in `low` to `high` once `fold` is set in them, as a uint64.

    `data` is uint8, the others int64, bit 0 is for the first byte. One comparison of vectors, whatever their width is.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        pointer = builder.bitcast(builder.gep(array.data, [arguments[1]]), _BLOCK.as_pointer())
        folded = builder.or_(builder.load(pointer, align=1), _spread(builder, arguments[2]))
        above = builder.icmp_unsigned(">=", folded, _spread(builder, arguments[3]))
        below = builder.icmp_unsigned("<=", folded, _spread(builder, arguments[4]))
        return builder.bitcast(builder.and_(above, below), ir.IntType(64))

    return types.uint64(data, types.int64, types.int64, types.int64, types.int64), generate


@intrinsic
def copy64(_context, source, place, target, at, fold):  # type: ignore[no-untyped-def]
    """Copy 64 bytes from ``source[place]`` on to ``target[at]`` on, both uint8, and set the bits `fold` in each."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        ours = context.make_array(signature.args[0])(context, builder, arguments[0])
        theirs = context.make_array(signature.args[2])(context, builder, arguments[2])
        pointer = builder.bitcast(builder.gep(ours.data, [arguments[1]]), _BLOCK.as_pointer())
        folded = builder.or_(builder.load(pointer, align=1), _spread(builder, arguments[4]))
        builder.store(folded, builder.bitcast(builder.gep(theirs.data, [arguments[3]]), _BLOCK.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(source, types.int64, target, types.int64, types.int64), generate


def _spread(builder: Any, value: Any) -> Any:
    """Return a vector whose 64 bytes are all the lowest byte of an int64."""
    zero = ir.Constant(ir.IntType(32), 0)
    one = builder.insert_element(ir.Constant(_BLOCK, ir.Undefined), builder.trunc(value, ir.IntType(8)), zero)
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), 64), None))


@intrinsic
def store64(_context, data, place, word):  # type: ignore[no-untyped-def]
    """Write a uint64, little-endian, to ``data[place : place + 8]``, uint8; the caller keeps it within the array."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        pointer = builder.bitcast(builder.gep(array.data, [arguments[1]]), ir.IntType(64).as_pointer())
        builder.store(arguments[2], pointer, align=1)
        return context.get_dummy_value()

    return types.void(data, types.int64, types.uint64), generate


@intrinsic
def trailing_zeros(_context, word):  # type: ignore[no-untyped-def]
    """Return how many of the lowest bits of a uint64 are zero, as int64; 64 for 0."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(word), generate
