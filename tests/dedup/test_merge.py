"""What of several conversations about one picture becomes one."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.dedup.merge import Decision, Limits, decide, describe, joint_language, joint_license, rounds_of
from infinity_mm.pipeline.spoken import MESSAGES

WIDE = Limits(turns=128, chars=16_384)


def talk(*texts: str, system: str | None = None) -> list[dict[str, str]]:
    roles = ("user", "assistant") * len(texts)
    opening = [] if system is None else [{"role": "system", "content": system}]
    return opening + [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]


def merged(winner, *losers, limits=WIDE, categories=None):
    """Return the decisions on the losers, and the merged conversation."""
    rows = [winner, *losers]
    categories = categories or ["general"] * len(rows)
    table = pa.table({"messages": pa.array(rows, MESSAGES), "category": categories})
    first, *others = describe(table)
    decisions = decide(first, others, limits)
    whole = list(winner)
    for row, decision in zip(losers, decisions, strict=True):
        start = len(whole) - int(bool(whole) and whole[0]["role"] == "system")
        if decision.rounds:
            assert decision.turn == start + 1
            whole += rounds_of(row, decision.rounds)
    return decisions, whole


def test_questions_follow_and_marks_stand_once():
    decisions, whole = merged(
        talk("<image>\nWhat is it?", "A boat."),
        talk("<image>\nWhat colour?", "Red.", "Sure?", "Yes."),
        talk("How many?\n<image>", "Two."),
    )
    assert decisions == [Decision(None, (0, 1), 3), Decision(None, (0,), 7)]
    assert [turn["content"] for turn in whole] == [
        "<image>\nWhat is it?", "A boat.", "What colour?", "Red.", "Sure?", "Yes.", "How many?", "Two.",
    ]  # fmt: skip


def test_what_is_said_already_is_not_repeated_and_another_answer_is():
    decisions, whole = merged(
        talk("<image>\nWhat is it?", "A boat."),
        talk("<image> what is it", "a boat"),
        talk("<image>\nWhat is it?", "A ship.", "What is it?", "A boat!", "Where?", "At sea.", "Where?", "At sea."),
        talk("<image>\n-5 or 5?", "-5"),
        talk("<image>\n-5 or 5?", "5"),
    )
    assert [one.rounds for one in decisions] == [(), (0, 2), (0,), (0,)]
    assert decisions[0] == Decision(None, (), 0)
    assert [turn["content"] for turn in whole if turn["role"] == "assistant"] == [
        "A boat.", "A ship.", "At sea.", "-5", "5",
    ]  # fmt: skip


def test_what_cannot_be_appended_stays_removed_and_says_why():
    winner = talk("<image>\nWhat?", "A boat.", system="Be brief.")
    losers = [
        talk("<image>\nHow?", "So.", system="be brief"),
        talk("<image>\nHow?", "So."),
        talk("<image>\nHow?", system="Be brief."),
        talk("What is in <image> here?", "A boat.", system="Be brief."),
        talk("<image>", "A boat.", system="Be brief."),
        talk("<image>\nWhat?", "A boat.", "And in\n<image>", "A ship.", system="Be brief."),
        talk("<image>\nIs it so?", "No.", system="Be brief."),
    ]
    categories = ["general"] * 7 + ["preference"]
    decisions, _ = merged(winner, *losers, categories=categories)
    assert [one.refusal for one in decisions] == [
        None,
        "its system turn is not that of the kept row",
        "it is no conversation of questions and answers",
        "a picture's mark stands inside the text",
        "nothing is asked but the picture shown",
        "a picture's mark stands inside the text",
        "it is a preference pair",
    ]


def test_documents_and_preferences_take_nothing_in():
    for category, name in (("interleaved", "an interleaved document"), ("preference", "a preference pair")):
        decisions, _ = merged(talk("<image>\nA?", "B."), talk("<image>\nC?", "D."), categories=[category, "general"])
        assert decisions == [Decision(f"the kept row is {name}")]


def test_of_captions_under_one_prompt_the_first_stays():
    ask = "<image>\nPlease describe the image."
    decisions, whole = merged(
        talk("<image>\nHow many?", "Two."),
        talk(ask, "A boat at sea."),
        talk(ask, "A ship on water."),
        talk("<image>\nWhat do you see?", "A ship on water."),
        talk(ask, "a boat at sea"),
        categories=["general", "caption", "caption", "caption", "caption"],
    )
    assert [one.refusal for one in decisions] == [None, "another caption under the same prompt", None, None]
    assert [one.rounds for one in decisions] == [(0,), (), (0,), ()]
    assert sum(turn["role"] == "user" for turn in whole) == 3


def test_several_pictures_before_the_first_question():
    decisions, whole = merged(
        talk("<image><image>\nWhich is larger?", "The first."),
        talk("<image>\n<image>\nWhich is older?\n<image>\n<image>", "The second."),
        talk("First: <image>\nSecond: <image>\nSame?", "No."),
    )
    assert [one.refusal for one in decisions] == [None, "a picture's mark stands inside the text"]
    assert whole[2]["content"] == "Which is older?"


def test_a_bound_leaves_rows_out_whole_and_shorter_ones_may_still_fit():
    winner = talk("<image>\nA?", "B.")
    losers = [talk("<image>\nC?", "D.", "E?", "F."), talk("<image>\nG?", "H."), talk("<image>\nI?", "J.")]
    decisions, _ = merged(winner, *losers, limits=Limits(turns=4, chars=100))
    assert [one.rounds for one in decisions] == [(), (0,), ()]
    assert decisions[0].refusal == "6 turns would be more than dedup.max_merged_turns=4"
    decisions, _ = merged(winner, talk("<image>\n" + "C" * 90, "D."), limits=Limits(turns=128, chars=100))
    assert decisions[0].refusal == "104 characters would be more than dedup.max_merged_chars=100"
    decisions, _ = merged(winner, talk("<image>\na?", "b"), limits=Limits(turns=2, chars=1))
    assert decisions[0] == Decision(None)


def test_licences_and_languages_of_several():
    assert joint_license(["MIT", "MIT"]) == "MIT"
    assert joint_license(["CC-BY-4.0", "MIT OR Apache-2.0", "CC-BY-4.0"]) == "CC-BY-4.0 AND (MIT OR Apache-2.0)"
    assert (joint_language(["en", "und", "en"]), joint_language(["und", "en"])) == ("en", "und")
    assert joint_language(["en", "zh"]) == "mul"


WORDS = st.sampled_from(["red", "Red!", "two", "-2", "2", "...", "图", "What?"])
TALKS = st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=4)


@given(TALKS, st.lists(TALKS, max_size=6), st.integers(2, 20), st.integers(10, 200))
def test_every_question_is_there_or_its_row_is_refused_within_the_bounds(first, others, turns, chars):
    rows = [talk(*(text for pair in pairs for text in pair)) for pairs in (first, *others)]
    for row in rows:
        row[0]["content"] = f"<image>\n{row[0]['content']}"
    limits = Limits(turns, chars)
    decisions, whole = merged(*rows, limits=limits)
    assert sum(turn["content"].count("<image>") for turn in whole) == 1
    assert [turn["role"] for turn in whole] == ["user", "assistant"] * (len(whole) // 2)
    said = {(one.key, one.question) for one in _describe(whole).rounds}
    for row, decision in zip(rows[1:], decisions, strict=True):
        missing = {(one.key, one.question) for one in _describe(row).rounds} - said
        assert not missing or decision.refusal is not None
    if whole != rows[0]:
        assert len(whole) <= turns
        assert sum(len(turn["content"]) for turn in whole) <= chars


def _describe(row):
    return describe(pa.table({"messages": pa.array([row], MESSAGES), "category": ["general"]}))[0]
