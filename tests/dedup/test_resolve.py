"""Which rows are removed, why, and for whom."""

import random
import time

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.dedup import resolve
from infinity_mm.dedup.params import DedupParams
from infinity_mm.dedup.resolve import find_duplicates
from infinity_mm.errors import StageError

from .rows import WORDS, Line, Pic, removed, table_of

LONG = " ".join(WORDS[:120])
PHOTO = Pic("p")


def with_ids(table: pa.Table, ids: list[str]) -> pa.Table:
    return table.set_column(0, table.schema.field("id"), pa.array(ids))


def test_the_same_picture_with_another_question_is_kept():
    lines = [Line("a", "What colour is it?", "red", [PHOTO]), Line("b", "How many?", "two", [PHOTO])]
    assert removed(table_of(*lines)) == {}


def test_a_copy_and_an_encoded_again_copy_lose_to_the_source_of_higher_priority():
    again = Pic("q", PHOTO.phash ^ 1, thumb=102)
    lines = [
        Line("a", "What is this?", "a house", [PHOTO], priority=9),
        Line("b", "What is this?", "a house", [PHOTO], priority=1),
        Line("c", "What is  THIS", "A house.", [again], priority=5),
    ]
    assert removed(table_of(*lines)) == {"a": ("exact_pair", "b"), "c": ("near_pair", "b")}
    found = {row["id"]: row for row in find_duplicates(table_of(*lines), DedupParams()).to_pylist()}
    assert found["c"]["detail"] == "jaccard=1.000; hamming=1"
    assert (found["a"]["similarity"], found["a"]["hamming"], found["c"]["hamming"]) == (1.0, 0, 1)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (Line("b", priority=1), Line("a", priority=2)),
        (Line("b", pictures=[Pic("q", size=(200, 160))]), Line("a", pictures=[Pic("p", size=(100, 80))])),
        (Line("b", answer="X!!"), Line("a", answer="x")),
        (Line("a"), Line("b")),
    ],
)
def test_the_keep_policy(better, worse):
    for lines in ((better, worse), (worse, better)):
        found = find_duplicates(table_of(*lines), DedupParams())
        assert (found["id"].to_pylist(), found["winner"].to_pylist()) == ([worse.id], [better.id])


def test_blank_pictures_with_different_texts_are_kept_and_with_equal_text_need_equal_pixels():
    blank, other = Pic("p", 0, std=0.0), Pic("q", 0, std=0.0)
    kept = [Line(f"{n}", f"What is on page {n}?", "nothing", [blank]) for n in range(5)]
    assert removed(table_of(*kept)) == {}
    lines = [Line("a", pictures=[blank]), Line("b", pictures=[blank]), Line("c", pictures=[other])]
    assert removed(table_of(*lines)) == {"b": ("exact_pair", "a")}


def test_charts_of_one_layout_with_one_question_are_kept():
    lines = [Line(f"{n}", "What is shown?", "a chart", [Pic(f"p{n}")], "doc_chart_screen") for n in range(5)]
    assert removed(table_of(*lines)) == {}


def test_prompts_of_captions_do_not_count_and_long_captions_may_be_near():
    edited = LONG.replace("word60", "changed")
    lines = [
        Line("a", "Describe it.", LONG, [PHOTO], "caption"),
        Line("b", "Caption:", edited, [PHOTO], "caption", 2),
        Line("c", "Say it", LONG, [PHOTO], "caption", 3),
        Line("d", "Say it", LONG, [PHOTO], "general", 4),  # no caption: linked to c alone, and c is not kept
    ]
    assert removed(table_of(*lines)) == {"b": ("near_pair", "a"), "c": ("exact_pair", "a")}
    assert removed(table_of(*lines), threshold=0.99) == {"c": ("exact_pair", "a")}


def test_templated_prompts_that_differ_in_one_word_are_kept():
    frame = " ".join(WORDS[:60]) + " how many legs do {} spiders have"
    numbers = [Line(f"{n:02d}", frame.format(n), str(8 * n)) for n in range(20)]
    verdicts = [Line(f"v{n:02d}", frame.format(n), "many") for n in range(20)]  # even with one answer
    pictured = [Line(f"p{n:02d}", frame.format(n), "many", [PHOTO]) for n in range(20)]
    assert removed(table_of(*numbers, *verdicts, *pictured)) == {}


def test_texts_equal_in_normal_form_and_near_texts_are_removed_with_their_similarity():
    lines = [
        Line("a", "Why?", LONG),
        Line("b", "WHY", f"  {LONG.upper()}."),
        Line("c", "Why?", f"{LONG} indeed", priority=2),
    ]
    found = {row["id"]: row for row in find_duplicates(table_of(*lines), DedupParams()).to_pylist()}
    assert (found["a"]["reason"], found["a"]["winner"]) == ("exact_text", "b")  # b is longer as written
    assert (found["c"]["reason"], found["c"]["winner"]) == ("near_text", "b")
    assert found["c"]["similarity"] == pytest.approx(116 / 117)
    assert found["c"]["hamming"] is None


def test_a_copy_of_a_row_that_loses_loses_to_the_same_winner():
    lines = [Line("a", "Why?", LONG), *(Line(n, "Why?", f"{LONG} indeed", priority=2) for n in "bcd")]
    assert removed(table_of(*lines)) == dict.fromkeys("bcd", ("near_text", "a"))


def test_no_chains_the_far_end_stays():
    hashes = {"a": 0, "b": 0xFF, "c": 0xFFFF}  # a~b and b~c within 8 bits, a and c 16 apart
    lines = [Line(name, pictures=[Pic(name, value)], priority=n) for n, (name, value) in enumerate(hashes.items())]
    assert removed(table_of(*lines)) == {"b": ("near_pair", "a")}


def test_modes():
    lines = [Line("a", "One?", "x", [PHOTO]), Line("b", "Two?", "y", [PHOTO]), Line("c", "One?", "x")]
    assert removed(table_of(*lines), mode="image") == {"b": ("same_image", "a")}
    assert removed(table_of(*lines), mode="text") == {"c": ("exact_text", "a")}
    assert removed(table_of(*lines), mode="pair") == {}
    assert removed(table_of(*lines), mode="off") == {}
    row = find_duplicates(table_of(*lines), DedupParams(mode="image")).to_pylist()[0]
    assert (row["similarity"], row["hamming"], row["detail"]) == (None, 0, "hamming=0")


def test_pictures_alone_are_compared_by_their_pictures_and_never_win_over_texts():
    again, larger = Pic("q", PHOTO.phash ^ 1), Pic("p", size=(200, 160))
    lines = [
        Line("a", pictures=[larger], category="image_only", priority=0),
        Line("b", pictures=[PHOTO], category="image_only", priority=0),
        Line("c", pictures=[again], category="image_only", priority=0),
        Line("d", "What?", "a house", [PHOTO], priority=9),
        Line("e", pictures=[Pic("other", 0)], category="image_only"),
    ]
    assert removed(table_of(*lines)) == {"b": ("exact_pair", "a"), "c": ("near_pair", "a")}
    assert removed(table_of(*lines), mode="image") == dict.fromkeys("abc", ("same_image", "d"))
    assert removed(table_of(*lines), mode="text") == {}, "all their texts are nothing"


def test_no_rows_and_repeated_ids():
    for mode in ("pair", "text", "image"):
        assert removed(table_of(), mode=mode) == {}
    assert find_duplicates(table_of(), DedupParams()).schema == resolve.DUPLICATES
    with pytest.raises(StageError, match="an id occurs twice"):
        find_duplicates(table_of(Line("a"), Line("a")), DedupParams())


def made_of(dice: random.Random, count: int) -> list[Line]:
    """Return rows of all kinds that are often linked to each other."""
    lines = []
    for n in range(count):
        words = list(WORDS[: dice.choice((2, 60))])
        for place in dice.sample(range(len(words)), dice.choice((0, 0, 1))):
            words[place] = dice.choice("uvw")
        phash = sum(1 << bit for bit in range(dice.choice((0, 4, 8, 12, 16, 20))))
        std = dice.choice((0.0, 50.0, 50.0))
        pictures = [Pic(f"{dice.randrange(3)}-{phash}-{std}", phash, std)] * dice.choice((0, 1, 2))
        category = dice.choice(("general", "caption", "doc_chart_screen", "image_only"))
        lines.append(Line(f"{n:02d}", dice.choice("QR"), " ".join(words), pictures, category, dice.randrange(3)))
    return lines


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from(["pair", "text", "image"]))
def test_every_loser_is_linked_to_its_kept_winner_no_two_kept_are_linked_and_order_does_not_matter(dice, mode):
    lines = made_of(dice, 24)
    found = removed(table_of(*lines), mode=mode)
    shuffled = dice.sample(lines, len(lines))
    assert removed(table_of(*shuffled), mode=mode) == found
    by_id = {line.id: line for line in lines}

    def linked(one: str, other: str) -> bool:
        return bool(removed(table_of(by_id[one], by_id[other]), mode=mode))

    kept = [line.id for line in lines if line.id not in found]
    for loser, (_, winner) in found.items():
        assert winner in kept
        assert removed(table_of(by_id[loser], by_id[winner]), mode=mode) == {loser: found[loser]}
    for one, other in [(a, b) for n, a in enumerate(kept) for b in kept[n + 1 :]][:20]:
        assert not linked(one, other)


@pytest.mark.parametrize(
    "line", [Line("", "Describe.", "x", [Pic("p", std=0.0)]), Line("", "Why?", LONG), Line("", "Why?", LONG, [PHOTO])]
)
def test_twenty_thousand_equal_rows_are_quick(line):
    many = with_ids(table_of(line).take([0] * 20_000), [f"{n:05d}" for n in range(20_000)])
    begin = time.process_time()
    found = find_duplicates(many, DedupParams())
    assert time.process_time() - begin < 5
    assert found.num_rows == 19_999
    assert set(found["winner"].to_pylist()) == {"00000"}


def test_thousands_of_near_texts_and_near_pictures_are_quick():
    texts = [Line(f"t{n:04d}", "Why?", f"{LONG} ending {n:04d}") for n in range(3_000)]
    pictures = [Line(f"p{n:04d}", "Why?", "x", [Pic(f"{n}", n % 7, thumb=n % 3)]) for n in range(3_000)]
    table = table_of(*texts, *pictures)
    begin = time.process_time()
    found = removed(table)
    assert time.process_time() - begin < 10
    assert len(found) == 5_998
    assert {winner for _, winner in found.values()} == {"t0000", "p0000"}


def test_every_reason_is_declared():
    assert set(resolve.REASONS) == {"exact_pair", "near_pair", "exact_text", "near_text", "same_image"}
