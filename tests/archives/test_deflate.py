"""Starting in the middle of a gzip stream gives what decompressing it from the start gives."""

import gzip
import io
import random
import zlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.archives.deflate import STORED, Point, inflate, replay


def words(size: int, seed: int = 1) -> bytes:
    chosen = random.Random(seed)
    vocabulary = [bytes(chosen.choices(b"abcdefghijklmnop", k=chosen.randint(2, 9))) for _ in range(3000)]
    return b" ".join(chosen.choices(vocabulary, k=size // 6))[:size]


def noise(size: int, seed: int = 2) -> bytes:
    return random.Random(seed).randbytes(size)


def picture(size: int, seed: int) -> bytes:
    """Return what deflate packs now in stored blocks and now in others: most of the pictures of an archive."""
    chosen = random.Random(seed)
    return bytes(chosen.getrandbits(chosen.choice((8, 8, 8, 7))) for _ in range(size))


CONTENTS = {
    "hardly compressible": b"".join(part for n in range(20) for part in (picture(9_000, n), noise(30_000, n))),
    "text": words(1_500_000),
    "noise, in stored blocks": noise(600_000),
    "pictures among text": b"".join(part for n in range(12) for part in (words(20_000, n), noise(40_000, n))),
    "zeros": bytes(3_000_000),
}


def points_of(packed: bytes, spacing: int) -> tuple[bytes, list[Point]]:
    points: list[Point] = []
    return b"".join(inflate(io.BytesIO(packed), spacing, points.append)), points


@pytest.mark.parametrize("level", [1, 6, 9])
@pytest.mark.parametrize("content", CONTENTS)
def test_every_point_replays_the_rest(content, level):
    data = CONTENTS[content]
    whole, points = points_of(gzip.compress(data, level), 50_000)
    assert whole == data
    for point in points:
        assert b"".join(replay(io.BytesIO(gzip.compress(data, level)), point)) == data[point.out :]
    if content != "zeros":
        assert len(points) >= 5, "points are frequent enough to be of use"
        gaps = [after.out - before.out for before, after in pairwise(points)]
        assert max(gaps) < 50_000 + 300_000


def test_borders_inside_bytes_and_stored_blocks_are_both_used():
    kinds = {point.bits for content in CONTENTS.values() for point in points_of(gzip.compress(content), 1)[1]}
    assert STORED in kinds
    assert len(kinds & set(range(1, 8))) >= 3


def test_members_one_after_another_and_padding(tmp_path):
    parts = [words(100_000, n) for n in range(3)]
    header = bytearray(gzip.compress(parts[0]))
    header[3] = 8 | 4  # a field and a name in the header
    named = bytes(header[:10]) + b"\x03\0abc" + b"name\0" + bytes(header[10:])
    packed = named + gzip.compress(parts[1], 0) + gzip.compress(parts[2]) + bytes(1024)
    whole, points = points_of(packed, 1 << 30)
    assert whole == b"".join(parts)
    assert [point.out for point in points] == [0, 100_000, 200_000]
    assert b"".join(replay(io.BytesIO(packed), points[1])) == parts[1], "a replay ends with its member"


def test_a_cut_stream_gives_what_is_there():
    packed = gzip.compress(CONTENTS["text"])
    got = []
    with pytest.raises(EOFError, match="ends early"):
        for data in inflate(io.BytesIO(packed[: len(packed) // 2]), 50_000, lambda _: None):
            got.append(data)
    whole = b"".join(got)
    assert len(whole) > 300_000
    assert CONTENTS["text"].startswith(whole)


def test_damage_is_told():
    packed = bytearray(gzip.compress(CONTENTS["text"]))
    packed[-6] ^= 1
    with pytest.raises(zlib.error, match="checksum"):
        points_of(bytes(packed), 50_000)
    with pytest.raises(zlib.error, match="no gzip header"):
        points_of(b"<html>not found</html>", 50_000)


@settings(max_examples=30, deadline=None)
@given(
    pieces=st.lists(st.tuples(st.booleans(), st.integers(1, 40_000), st.integers(0, 9)), min_size=1, max_size=12),
    level=st.integers(0, 9),
    strategy=st.sampled_from([zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED]),
    spacing=st.integers(1, 60_000),
)
def test_any_stream_is_replayed_from_any_point(pieces, level, strategy, spacing):
    data = b"".join(words(size, seed) if text else noise(size, seed) for text, size, seed in pieces)
    packer = zlib.compressobj(level, wbits=31, strategy=strategy)
    packed = packer.compress(data) + packer.flush()
    whole, points = points_of(packed, spacing)
    assert whole == data
    for point in points:
        assert b"".join(replay(io.BytesIO(packed), point)) == data[point.out :]
