"""Randomness as a hash: every draw is a function of (seed, purpose, id) and of nothing else.

So a decision about a row does not depend on worker count, partition order, restarts or clock.
"""

import hashlib


def keyed_u64(seed: int, purpose: str, key: str) -> int:
    """Return 64 uniform bits for `key`; different purposes give independent draws."""
    digest = hashlib.blake2b(f"{seed}\x1f{purpose}\x1f{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def keyed_unit(seed: int, purpose: str, key: str) -> float:
    """Return a uniform float in [0, 1) for `key` (53 bits)."""
    return (keyed_u64(seed, purpose, key) >> 11) / float(1 << 53)
