"""Signatures, candidates and survivors, against the reference packages and against brute force."""

import random

import numpy as np
import pyarrow as pa
import pytest
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.dedup import resolve, signature
from infinity_mm.dedup.hamming import SMALL, near_pairs
from infinity_mm.dedup.jaccard import jaccard
from infinity_mm.dedup.lsh import candidate_pairs, choose_bands
from infinity_mm.dedup.params import DedupParams, SignatureParams
from infinity_mm.dedup.resolve import check_rails, find_duplicates
from infinity_mm.errors import StageError
from infinity_mm.schema import INGEST_ATTRIBUTES, MESSAGE

WORDS = [f"word{n}" for n in range(400)]
HOUSE = (
    "A tall white house stands at the end of a long road lined with old trees and the sky above it is clear and blue"
)


def picture(pixels: str, phash: int = 0x0F0F_F0F0_1234_5678, std: float = 50.0, thumb: int = 100) -> dict[str, object]:
    return {"pixels": pixels, "phash": phash, "std": std, "thumb": bytes([thumb] * 256)}


def rows(*items: tuple[str, str, str, list[dict[str, object]], str, int]) -> pa.Table:
    """Return the table that `find_duplicates` takes; items are (id, question, answer, pictures, category, priority)."""
    measured, texts = [], []
    for identity, question, answer, pictures, category, _ in items:
        measured.append(
            {
                "id": identity, "category": category, "notes": [],
                "width": [100] * len(pictures), "height": [80] * len(pictures), "mode": ["RGB"] * len(pictures),
                "frames": [1] * len(pictures), "file_bytes": [9] * len(pictures),
                "pixel_sha256": [p["pixels"] for p in pictures], "phash": [p["phash"] for p in pictures],
                "luma_std": [p["std"] for p in pictures], "thumb": [p["thumb"] for p in pictures],
            }
        )  # fmt: skip
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        texts.append({"id": identity, "messages": turns})
    schema = pa.schema([("id", pa.string()), ("messages", pa.list_(MESSAGE))])
    signed = signature.measure(pa.Table.from_pylist(texts, schema=schema), SignatureParams())
    table = pa.Table.from_pylist(measured, schema=INGEST_ATTRIBUTES)
    for name in signed.column_names[1:]:
        table = table.append_column(signed.schema.field(name), signed.column(name))
    table = table.append_column("source", pa.array([f"s{item[5]}" for item in items]))
    return table.append_column("priority", pa.array([item[5] for item in items], pa.int32()))


def removed(table: pa.Table, **params: object) -> dict[str, tuple[str, str]]:
    found = find_duplicates(table, DedupParams(**params)).to_pylist()
    return {row["id"]: (row["reason"], row["winner"]) for row in found}


@settings(max_examples=30)
@given(st.lists(st.sampled_from(WORDS), min_size=5, max_size=80), st.integers(0, 5))
def test_signatures_equal_datasketch(words, seed):
    params = SignatureParams(seed=seed)
    theirs = MinHash(num_perm=128, seed=seed)
    theirs.update_batch([" ".join(words[i : i + 5]).encode() for i in range(len(words) - 4)])
    ours = signature.minhash(signature.shingle_hashes(words, 5), params)
    assert ours.tolist() == theirs.hashvalues.tolist()


def test_a_text_shorter_than_a_shingle_has_keys_and_no_signature():
    line = signature.measure(
        pa.table({"id": ["a"], "messages": pa.array([[{"role": "user", "content": "Hi there"}]], pa.list_(MESSAGE))}),
        SignatureParams(),
    ).to_pylist()[0]
    assert line["minhash"] == line["prompt_shingles"] == []
    assert line["prompt_words"] == 2


@given(st.lists(st.integers(0, 60), unique=True), st.lists(st.integers(0, 60), unique=True))
def test_jaccard_is_that_of_sets(left, right):
    a, b = (np.array(sorted(values), np.uint64) for values in (left, right))
    union = set(left) | set(right)
    expected = len(set(left) & set(right)) / len(union) if left and right else 0.0
    assert jaccard(a, b) == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 12))
def test_all_pairs_within_a_radius_as_by_brute_force(seed, radius):
    rng = random.Random(seed)
    centres = [rng.getrandbits(64) for _ in range(6)]
    values = {
        c ^ sum(1 << rng.randrange(64) for _ in range(rng.randrange(radius + 3))) & (2**64 - 1) for c in centres * 8
    }
    hashes = np.array(sorted(v & (2**64 - 1) for v in values), np.uint64)
    expected = {
        (i, j) for i in range(len(hashes)) for j in range(i + 1, len(hashes))
        if int(hashes[i] ^ hashes[j]).bit_count() <= radius
    }  # fmt: skip
    assert {tuple(pair) for pair in near_pairs(hashes, radius).tolist()} == expected


def test_bands_find_what_comparing_all_finds():
    rng = np.random.default_rng(3)
    centres = rng.integers(0, 2**63, 700, dtype=np.uint64)
    near = centres[:, None] ^ (np.uint64(1) << rng.integers(0, 63, (700, 3), dtype=np.uint64))
    hashes = np.unique(np.concatenate([centres, near.ravel()]))
    assert len(hashes) > SMALL
    apart = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    expected = np.argwhere(np.triu(apart <= 4, k=1))
    assert near_pairs(hashes, 4).tolist() == expected.tolist()


def test_lsh_proposes_what_is_at_the_threshold():
    bands, width = choose_bands(128, 0.7, 0.999)
    assert 1 - (1 - 0.7**width) ** bands >= 0.999
    rng = random.Random(1)
    found = total = 0
    for _ in range(60):
        base = [rng.choice(WORDS) for _ in range(150)]
        other = list(base)
        for place in rng.sample(range(150), 4):
            other[place] = rng.choice(WORDS)
        sets = [signature.shingle_hashes(words, 5) for words in (base, other)]
        if jaccard(*sets) >= 0.7:
            total += 1
            found += len(
                candidate_pairs(np.stack([signature.minhash(s, SignatureParams()) for s in sets]), bands, width)
            )
    assert total >= 30
    assert found / total >= 0.99


def test_the_same_picture_with_another_question_is_kept():
    same = [picture("p")]
    table = rows(("a", "What colour is it?", "red", same, "general", 1), ("b", "How many?", "two", same, "general", 1))
    assert removed(table) == {}


def test_a_copy_and_an_encoded_again_copy_lose_to_the_source_of_higher_priority():
    table = rows(
        ("a", "What is this?", "a house", [picture("p")], "general", 9),
        ("b", "What is this?", "a house", [picture("p")], "general", 1),
        ("c", "What is  THIS", "A house.", [picture("q", 0x0F0F_F0F0_1234_5679, thumb=102)], "general", 5),
    )
    assert removed(table) == {"a": ("exact_pair", "b"), "c": ("near_pair", "b")}


@pytest.mark.parametrize(
    ("one", "other", "category"),
    [
        (picture("p", std=1.0), picture("q", std=1.0), "general"),  # blank: hashes say nothing
        (picture("p"), picture("q", thumb=150), "general"),  # the hash agrees, the thumbnails do not
        (picture("p"), picture("q", 0xFFFF_0000_FFFF_0000), "general"),  # the hash does not
        (picture("p"), picture("q"), "doc_chart_screen"),  # charts of one layout share hashes
    ],
)
def test_pictures_that_only_seem_alike_are_kept(one, other, category):
    table = rows(("a", "What is it?", "x", [one], category, 1), ("b", "What is it?", "x", [other], category, 1))
    assert removed(table) == {}


def test_blank_pictures_with_equal_pixels_and_text_are_duplicates():
    blank = [picture("p", std=0.0)]
    table = rows(("a", "What?", "nothing", blank, "general", 1), ("b", "What?", "nothing", blank, "general", 1))
    assert removed(table) == {"b": ("exact_pair", "a")}


def test_prompts_of_captions_do_not_count_and_long_captions_may_be_near():
    edited = HOUSE.replace("white", "yellow")
    caption = [picture("p")]
    table = rows(("a", "Describe it.", HOUSE, caption, "caption", 1), ("b", "Caption:", edited, caption, "caption", 1))
    assert removed(table, threshold=0.5) == {"a": ("near_pair", "b")} or removed(table, threshold=0.5) == {
        "b": ("near_pair", "a")
    }
    assert removed(table, threshold=0.95) == {}


def test_templated_prompts_that_differ_in_one_word_are_kept():
    frame = " ".join(WORDS[:60]) + " how many legs do {} spiders have"
    items = [(f"{n:02d}", frame.format(n), str(8 * n), [], "text_instruct", 1) for n in range(20)]
    assert removed(rows(*items)) == {}


def test_texts_equal_in_normal_form_and_near_texts_are_removed_with_their_similarity():
    long = " ".join(WORDS[:120])
    table = rows(
        ("a", "Why?", long, [], "text_instruct", 1),
        ("b", "WHY", f"  {long.upper()}.", [], "text_instruct", 1),
        ("c", "Why?", f"{long} indeed", [], "text_instruct", 2),
    )
    found = {row["id"]: row for row in find_duplicates(table, DedupParams()).to_pylist()}
    assert (found["a"]["reason"], found["a"]["winner"]) == ("exact_text", "b")  # b is longer as written
    assert (found["c"]["reason"], found["c"]["winner"]) == ("near_text", "b")
    assert found["c"]["similarity"] > 0.9


def test_no_chains_the_far_end_stays():
    a, b, c = 0, 0b1111_1111, 0b1111_1111_1111_1111  # a~b and b~c within 8 bits, a and c 16 apart
    items = [
        (name, "What?", "x", [picture(name, h)], "general", n)
        for n, (name, h) in enumerate((("a", a), ("b", b), ("c", c)))
    ]
    assert removed(rows(*items)) == {"b": ("near_pair", "a")}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_survivors_law(seed):
    """Every loser is linked to its kept winner, no two kept rows are linked, and order does not matter."""
    rng = random.Random(seed)
    items = []
    for n in range(14):
        phash = sum(1 << bit for bit in range(rng.choice((0, 4, 8, 12, 16, 20))))
        items.append(
            (
                f"{n:02d}",
                "What?",
                rng.choice("xy"),
                [picture(f"p{rng.randrange(9)}-{phash}", phash)],
                "general",
                rng.randrange(3),
            )
        )
    found = removed(rows(*items))
    shuffled = list(items)
    rng.shuffle(shuffled)
    assert removed(rows(*shuffled)) == found

    def linked(one, other):
        return one[2] == other[2] and (one[3][0]["phash"] ^ other[3][0]["phash"]).bit_count() <= 8

    by_id = {item[0]: item for item in items}
    for loser, (_, winner) in found.items():
        assert winner not in found
        assert linked(by_id[loser], by_id[winner])
        assert by_id[winner][5] <= by_id[loser][5]
    kept = [item for item in items if item[0] not in found]
    assert not any(linked(a, b) for n, a in enumerate(kept) for b in kept[n + 1 :])


def test_modes():
    same = [picture("p")]
    table = rows(
        ("a", "One?", "x", same, "general", 1),
        ("b", "Two?", "y", same, "general", 1),
        ("c", "One?", "x", [], "general", 1),
    )
    assert removed(table, mode="image") == {"b": ("same_image", "a")}
    assert removed(table, mode="text") == {"c": ("exact_text", "a")}
    assert removed(table, mode="off") == {}


def test_ten_thousand_equal_rows_are_one_cluster_and_hit_the_rail():
    table = rows(("a", "Describe.", "x", [picture("p", std=0.0)], "general", 1))
    many = pa.concat_tables([table] * 10_000)
    many = many.set_column(0, many.schema.field("id"), pa.array([f"{n:05d}" for n in range(10_000)]))
    found = find_duplicates(many, DedupParams())
    assert found.num_rows == 9_999
    with pytest.raises(StageError, match=r"max_cluster=1000.*\n(  \d{5}  exact_pair.*\n){5}"):
        check_rails(many, found, DedupParams())


def test_a_source_that_would_vanish_stops_the_run():
    same = [picture("p")]
    items = [(f"{n}", "What?", "x", same, "general", 1 if n == 0 else 2) for n in range(6)]
    with pytest.raises(StageError, match=r"source 's2' would lose 5 of 5 rows.*dedup\.max_drop=0\.9"):
        check_rails(rows(*items), find_duplicates(rows(*items), DedupParams()), DedupParams())


def test_every_reason_is_declared():
    assert set(resolve.REASONS) == {"exact_pair", "near_pair", "exact_text", "near_text", "same_image"}
