"""The laws of matching: whatever the batches, planted leaks are found, and disjoint sets share nothing."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infinity_mm.decontam import judge
from infinity_mm.decontam.index import HASHES, IndexManifest
from infinity_mm.decontam.lookup import BOILERPLATE, Lookup, make_lookup
from infinity_mm.decontam.matching import MATCHES, Pictures, Rows, batch_of, match
from infinity_mm.decontam.params import IndexParams, MatchParams
from infinity_mm.decontam.texts import hash_texts
from infinity_mm.dedup.ragged import Ragged

#: Words of evaluation sets, and words that no evaluation set has.
OURS = [f"o{n}" for n in range(400)]
THEIRS = [f"t{n}" for n in range(400)]


def index_of(items: list[tuple[str, str, int, str]], ngram: int = 8) -> Lookup:
    """Return an index of (benchmark, question, perceptual hash or 0, kind) items, named by their place."""
    lines: list[tuple[str, str, str, int, int]] = []
    for number, (benchmark, question, phash, kind) in enumerate(items):
        item = f"i{number}"
        if phash:
            lines += [(benchmark, item, kind, phash, 0), (benchmark, item, "pixels", phash ^ 0xFFFF, 0)]
        hashed = hash_texts(pa.array([question]), ngram)
        size = int(hashed.tokens[0])
        if size:
            lines.append((benchmark, item, "question", int(hashed.whole[0]), size))
            lines += [(benchmark, item, "ngram", value, size) for value in hashed.ngrams.tolist()]
    names = sorted({line[0] for line in lines})
    lines.sort(key=lambda line: line[0])
    columns = [[line[k] for line in lines] for k in range(5)]
    arrays = [pa.array(column, pa.string()).dictionary_encode() for column in columns[:3]]
    table = pa.table(
        [*arrays, pa.array(columns[3], pa.uint64()), pa.array(columns[4], pa.int32())], names=HASHES.names
    ).cast(HASHES)
    return make_lookup(table, IndexManifest(params=IndexParams(ngram=ngram), benchmarks={}), names, "digest")


def rows_of(rows: list[tuple[str, int, bool]], params: MatchParams, exact: bool = False) -> Rows:
    """Return a batch of (text, perceptual hash or 0, rendered) rows."""
    shown = [row[1] for row in rows if row[1]]
    sizes = np.array([int(bool(row[1])) for row in rows], np.int64)
    first = np.cumsum(sizes) - sizes
    pictures = Pictures(
        Ragged(first, sizes, np.array(shown, np.uint64)),
        np.array([(value ^ 0xFFFF) if exact else 0 for value in shown], np.uint64),
        np.full(len(shown), 50.0),
        np.array([row[2] for row in rows if row[1]], bool),
    )
    texts = pa.array([row[0] for row in rows], pa.string())
    return batch_of(texts, np.arange(len(rows), dtype=np.int64), pictures, np.ones(len(rows), bool), params)


def found(rows: list[tuple[str, int, bool]], lookup: Lookup, params: MatchParams, size: int) -> list[dict]:
    """Match in batches of `size` rows and return all lines, with the rows' numbers in the whole."""
    lines = []
    for start in range(0, len(rows), size):
        table = match(rows_of(rows[start : start + size], params), lookup, params)
        assert table.schema == MATCHES
        lines += [{**line, "row": line["row"] + start} for line in table.to_pylist()]
    return lines


def draw(rng: np.random.Generator, words: list[str], low: int, high: int) -> str:
    return " ".join(rng.choice(words, int(rng.integers(low, high))))


def flip(value: int, bits: int, rng: np.random.Generator) -> int:
    for bit in rng.choice(64, bits, replace=False).tolist():
        value ^= 1 << bit
    return value


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.integers(0, 6), st.integers(1, 9))
def test_planted_leaks_are_found_none_is_invented_and_batches_change_nothing(seed, radius, size):
    rng = np.random.default_rng(seed)
    params = MatchParams(radius=radius)
    items = [(f"b{n % 3}", draw(rng, OURS, 1, 20), int(rng.integers(1, 1 << 63)), "photo") for n in range(12)]
    lookup = index_of(items)
    rows: list[tuple[str, int, bool]] = []
    planted: set[tuple[int, str]] = set()
    for number in range(20):
        what = rng.integers(0, 4)
        benchmark, question, phash, _ = items[int(rng.integers(0, len(items)))]
        text, picture = draw(rng, THEIRS, 5, 30), int(rng.integers(1, 1 << 63))
        if what == 0:
            picture = flip(phash, int(rng.integers(0, radius + 1)), rng)
            planted.add((number, benchmark))
        elif what == 1 and len(question.split()) >= params.min_question_tokens:
            text = f"{text} {question.upper()}! {draw(rng, THEIRS, 1, 9)}"
            planted.add((number, benchmark))
        elif what == 2:
            picture = flip(phash, radius + 1, rng) if rng.integers(0, 2) else 0
        rows.append((text, picture, False))
    lines = found(rows, lookup, params, size)
    told = {(line["row"], line["benchmark"]) for line in lines}
    assert planted <= told
    # Hashes are random, so a row near one item by chance is as good as impossible; flips may hit another by design only.
    near = {
        (row, benchmark)
        for row, (_, value, _) in enumerate(rows)
        for benchmark, _, phash, _ in items
        if value and (value ^ phash).bit_count() <= radius
    }
    assert told <= planted | near
    assert lines == found(rows, lookup, params, len(rows))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_rendered_pictures_count_only_with_the_question_or_equal_pixels(seed):
    rng = np.random.default_rng(seed)
    params = MatchParams()
    short = draw(rng, OURS, 1, 7)
    lookup = index_of([("b", short, 1 << 40, "rendered")])
    near = 1 << 40 | 1
    rows = [(draw(rng, THEIRS, 1, 9), near, False), (f"please: {short}?", near, False), (short, 1 << 50 | 7, False)]
    assert [(line["row"], line["evidence"]) for line in found(rows, lookup, params, 3)] == [(1, "image_and_question")]
    exact = match(rows_of([("x", 1 << 40, True)], params, exact=True), lookup, params).to_pylist()
    assert [(line["evidence"], line["distance"]) for line in exact] == [("image", 0)]
    photo = index_of([("b", short, 1 << 40, "photo")])
    assert found([("x", near, True)], photo, params, 1) == []  # the training row is a page or chart
    assert len(found([("x", near, False)], photo, params, 1)) == 1


def test_instructions_that_many_questions_share_tell_none_of_them():
    tail = " ".join(THEIRS[:12])
    items = [("b", f"{' '.join(OURS[12 * n : 12 * n + 12])} {tail}", 0, "photo") for n in range(BOILERPLATE + 1)]
    lookup = index_of(items)
    params = MatchParams()
    assert found([(f"what else {tail}", 0, False)], lookup, params, 1) == []
    lines = found([(items[3][1], 0, False)], lookup, params, 1)
    assert [(line["item"], line["overlap"]) for line in lines] == [("i3", 1.0)]


def test_half_a_question_is_no_question():
    words = OURS[:40]
    lookup = index_of([("b", " ".join(words), 0, "photo")])
    params = MatchParams(min_overlap=0.8)
    assert found([(" ".join(words[:20]), 0, False)], lookup, params, 1) == []
    assert found([(" ".join(words[:35]), 0, False)], lookup, params, 1)[0]["overlap"] == np.float32(28 / 33)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), max_size=60),
    st.integers(1, 5),
    st.lists(st.integers(1, 60), max_size=4),
)
def test_templates_do_not_depend_on_how_rows_are_parted(pairs, most, cuts):
    table = pa.table([[q for q, _ in pairs], [p for _, p in pairs]], schema=judge.ASKED)
    expected = sorted(q for q in range(4) if len({p for question, p in pairs if question == q}) > most)
    edges = sorted({0, len(pairs), *(cut for cut in cuts if cut < len(pairs))})
    parts = [table.slice(a, b - a) for a, b in pairwise(edges)]
    asked = [judge.asked_about(part, most + 1) for part in parts]
    assert judge.templates(asked, most).to_pylist() == expected
    assert all(len(part) <= 4 * (most + 1) for part in asked)


def test_the_strongest_evidence_of_each_benchmark_is_told_once():
    rng = np.random.default_rng(0)
    question = draw(rng, OURS, 12, 13)
    items = [("a", question, 1 << 40, "photo"), ("b", question, 1 << 41, "photo"), ("a", question, 1 << 42, "photo")]
    lookup = index_of(items)
    params = MatchParams()
    row = (question, 1 << 42, False)
    table = judge.leaks(match(rows_of([row], params), lookup, params), pa.array([], pa.uint64()), params)
    assert [(line["benchmark"], line["item"], line["evidence"]) for line in table.to_pylist()] == [
        ("a", "i2", "image_and_question"),
        ("b", "i1", "image_and_question"),
    ]
    reason, detail, names = judge.verdicts(table)[0]
    assert (reason, names) == ("benchmark_image_and_question", ["a", "b"])
    assert detail == "a i2: pHash distance 0, 100% of a question of 12 tokens; also in b"
    counted = judge.tally(table, 5)
    assert (counted.checked, counted.rows, counted.benchmarks["a"].image_and_question) == (5, 1, 1)
