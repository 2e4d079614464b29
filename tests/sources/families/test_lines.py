"""Prepared lines: what is written once is told apart, and named, by its bytes."""

import orjson
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.fs import Location
from infinity_mm.sources.base import Split
from infinity_mm.sources.families.lines import SNIPPET, prepared_line, read_lines, scan_prepared

NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=9) | st.sampled_from(['",null]', "\\", '"]', "\x00"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
ROWS = st.dictionaries(st.text(max_size=4), VALUES, max_size=4)
FAULTS = st.none() | st.tuples(st.just("malformed_json"), st.text(max_size=9))


@settings(max_examples=150, deadline=None)
@given(lines=st.lists(st.tuples(st.text(max_size=6), ROWS, FAULTS), max_size=6), size=st.integers(1, 4))
def test_a_prepared_row_is_named_by_its_json_and_repeats_are_equal_rows(tmp_path_factory, lines, size):
    place = Location.of(tmp_path_factory.mktemp("lines") / "a.jsonl")
    rows = [(locator, row if fault is None else None, fault) for locator, row, fault in lines]
    place.write_bytes(b"".join(prepared_line(*line) for line in rows))
    splits = scan_prepared(place, "a.json", size)
    assert [split.rows for split in splits] == [min(size, len(rows) - at) for at in range(0, len(rows), size)]
    found = [raw for split in splits for raw in read_lines(place, split)]
    seen: list[bytes] = []
    for raw, (locator, row, fault) in zip(found, rows, strict=True):
        body = orjson.dumps(row)
        content = orjson.dumps([row, fault])
        assert (raw.locator, raw.row) == (locator, row)
        assert raw.digest == xxhash.xxh3_128_hexdigest(body if fault is None else content)
        assert fault is not None or raw.snippet == body[:SNIPPET].decode("utf-8", "replace")
        assert raw.repeat == seen.count(content)
        seen.append(content)


def test_integers_beyond_64_bits_and_fragments_have_one_digest(tmp_path):
    place = Location.of(tmp_path / "a.jsonl")
    number = orjson.loads("123456789012345678901234567890")
    written = [{"n": number}, {"n": orjson.Fragment(orjson.dumps(number))}]
    place.write_bytes(b"".join(prepared_line(f"item={n}", row) for n, row in enumerate(written)))
    (split,) = scan_prepared(place, "a.json", 10)
    assert isinstance(split, Split)
    first, second = read_lines(place, split)
    assert first.digest == second.digest == xxhash.xxh3_128_hexdigest(orjson.dumps({"n": number}))
    assert (first.repeat, second.repeat) == (0, 1)
