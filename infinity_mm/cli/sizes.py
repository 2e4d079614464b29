"""Amounts of memory as people write them."""

from __future__ import annotations

import re

import click

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40}


def size_of(text: str) -> int:
    """Return the bytes of an amount such as ``1GiB``, ``500MB``, ``2g`` or ``1073741824``; raises ValueError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i|[kmgt]?)b?\s*", text.lower())
    if found is None:
        raise ValueError(f"{text!r} is no amount of memory; write for example 1GiB or 500MB")
    return int(float(found[1]) * (_UNITS | _BINARY)[found[2]])


def size_option(_context: click.Context, _parameter: click.Parameter, value: str) -> int:
    """Read an option, as its callback."""
    try:
        return size_of(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
