from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.synth import step3_generate
from infinity_mm.synth.params import RuleParams
from infinity_mm.synth.prompts import load_prompt, parse_prompt
from infinity_mm.synth.rules import REASONS, judge_by_rule, words, yes_or_no

WHERE = "Where is the red car standing?"
BRIEF = "It is under the roof, so it stands in a garage."
OPTIONS = ("in a garage", "on a bridge", "in a field", "under a tree")

#: (reason, form, question, answer, options), at least one for each reason that needs a single row.
BROKEN: list[tuple[str, str, str, str, tuple[str, ...]]] = [
    ("empty_text", "word_or_phrase", "?! ...", "a car", ()),
    ("empty_text", "word_or_phrase", WHERE, "--", ()),
    ("empty_text", "multiple_choice", WHERE, "in a garage", ("in a garage", "?", "in a field", "under a tree")),
    ("control_markup", "word_or_phrase", "What is in <image> here?", "a car", ()),
    ("control_markup", "brief", WHERE, "It stands there, <|im_end|> and it is red.", ()),
    ("question_too_short", "word_or_phrase", "What car?", "a bus", ()),
    ("wrong_language", "word_or_phrase", "De quelle couleur est la voiture devant la maison ?", "rouge", ()),
    ("wrong_language", "brief", WHERE, "Das rote Auto steht in der Garage neben dem Haus, weil die Tür offen ist.", ()),
    ("answer_too_short", "brief", WHERE, "In a garage.", ()),
    ("answer_too_short", "detailed", WHERE, "It stands in a garage next to the house.", ()),
    ("answer_too_long", "word_or_phrase", WHERE, "in a little garage at the end of the road", ()),
    ("refusal", "brief", WHERE, "I'm sorry, but the car is not visible.", ()),
    ("refusal", "brief", WHERE, "As an AI language model I look at many cars.", ()),
    ("refusal", "brief", WHERE, "The place cannot be determined from the picture.", ()),
    ("refusal", "brief", WHERE, "I can’t see any car in this picture.", ()),
    ("refusal", "word_or_phrase", WHERE, "unable to determine", ()),
    ("prompt_leak", "word_or_phrase", "What do the listed tags say of the car?", "red", ()),
    ("prompt_leak", "brief", WHERE, "The answer is supported by what can be seen in the garage.", ()),
    ("repetition", "word_or_phrase", WHERE, "in aaaaaaaaaaaa garage", ()),
    ("repetition", "brief", WHERE, "in the garage in the garage in the garage in the garage", ()),
    ("options_not_distinct", "multiple_choice", WHERE, "in a garage", (*OPTIONS[:3], "In a garage.")),
    ("yes_no_answer", "word_or_phrase", "Is there a car in the picture?", "Yes.", ()),
    ("answer_in_question", "word_or_phrase", "What colour is the red car here?", "red", ()),
    ("answer_in_question", "multiple_choice", "Which car stands in a garage?", "in a garage", OPTIONS),
]

SOUND: list[tuple[str, str, str, tuple[str, ...]]] = [
    ("word_or_phrase", WHERE, "in a garage", ()),
    ("word_or_phrase", "Is the car red or blue?", "red", ()),
    ("word_or_phrase", "What is the number on the redder car?", "7", ()),
    ("word_or_phrase", "What does the sign on the door say?", "Sorry, we are closed", ()),
    ("word_or_phrase", "What does the notice say visitors may not do?", "cannot enter", ()),
    ("brief", WHERE, BRIEF, ()),
    ("brief", "Is there a car in the picture?", "Yes, a red one stands beside the wall.", ()),
    ("brief", "What can be seen in the picture?", "A red car can be seen in the picture, beside a wall.", ()),
    ("multiple_choice", WHERE, "in a garage", OPTIONS),
    ("multiple_choice", "Which sum is shown on the sign?", "+5", ("+5", "-5", "5 %", "50")),
]


@pytest.mark.parametrize(("reason", "form", "question", "answer", "options"), BROKEN)
def test_each_rule_names_what_is_wrong(
    kit: Any, reason: str, form: str, question: str, answer: str, options: tuple[str, ...]
) -> None:
    drop = judge_by_rule(kit.generated(question, answer, form, options), (), kit.params.rules)
    assert drop is not None
    assert drop.reason == reason
    assert drop.detail


@pytest.mark.parametrize(("form", "question", "answer", "options"), SOUND)
def test_sound_rows_pass(kit: Any, form: str, question: str, answer: str, options: tuple[str, ...]) -> None:
    assert judge_by_rule(kit.generated(question, answer, form, options), (), kit.params.rules) is None


def test_a_question_asked_before_is_a_duplicate(kit: Any) -> None:
    first = kit.generated(WHERE, "in a garage", n=0)
    second = kit.generated("where is the RED car standing", "outside", n=2)
    other = kit.generated("Where is the blue car standing?", "outside", n=1)
    drop = judge_by_rule(second, (other, first), kit.params.rules)
    assert drop is not None
    assert drop.reason == "duplicate_question"
    assert first.typed.attempt.key in drop.detail
    assert judge_by_rule(second, (other,), kit.params.rules) is None


def test_every_reason_has_an_example() -> None:
    assert {reason for reason, *_ in BROKEN} | {"duplicate_question"} == set(REASONS)


def test_thresholds_are_the_recipes(kit: Any) -> None:
    rules = kit.with_params(rules={"yes_no": "keep", "max_phrase_words": 20, "max_run": 40}).rules
    for question, answer in (("Is there a car?", "Yes"), (WHERE, "in a little garage at the end of a long road")):
        assert judge_by_rule(kit.generated(question, answer), (), rules) is None


def test_any_language_may_be_asked_for(kit: Any) -> None:
    french = kit.generated("De quelle couleur est la voiture devant la maison ?", "rouge")
    for language in ("fr", None):
        assert judge_by_rule(french, (), kit.with_params(rules={"language": language}).rules) is None


SENTENCES = st.lists(
    st.sampled_from(["The car is red.", "A wall stands behind it.", "Two birds sit on the roof.", "It is 7 o'clock."]),
    min_size=2, max_size=4, unique=True,
)  # fmt: skip
REFUSALS = (
    "I'm sorry, but",
    "As an AI model",
    "I cannot see",
    "I don't know",
    "it is not possible to tell",
    "I apologise",
)


@given(sentences=SENTENCES, refusal=st.sampled_from(REFUSALS), place=st.integers(0, 4), upper=st.booleans())
def test_a_refusal_is_found_wherever_it_stands(kit: Any, sentences: Any, refusal: str, place: int, upper: bool) -> None:
    said = refusal.upper() if upper else refusal
    answer = " ".join([*sentences[:place], f"{said} what it is.", *sentences[place:]])
    plain = judge_by_rule(kit.generated(WHERE, " ".join(sentences), "brief"), (), kit.params.rules)
    assert plain is None
    drop = judge_by_rule(kit.generated(WHERE, answer, "brief"), (), kit.params.rules)
    assert drop is not None
    assert drop.reason == "refusal"


OWN = [words(text) for _, text in load_prompt(*step3_generate.PROMPT).sections]


@given(sentences=SENTENCES, section=st.sampled_from(OWN), start=st.integers(0, 200), extra=st.integers(0, 4))
def test_any_run_of_our_instructions_is_a_leak(kit: Any, sentences: Any, section: Any, start: int, extra: int) -> None:
    count = kit.params.rules.leak_words + extra
    first = start % max(1, len(section) - count)
    run = " ".join(section[first : first + count]).upper()
    drop = judge_by_rule(kit.generated(WHERE, f"{sentences[0]} {run}.", "brief"), (), kit.params.rules)
    assert drop is not None
    assert drop.reason in ("prompt_leak", "refusal"), "some of the instructions speak of refusals"


@given(
    phrase=st.lists(st.sampled_from(["car", "wall", "bird", "roof", "door", "tree"]), min_size=1, max_size=4),
    times=st.integers(6, 9),
)
def test_what_is_said_again_and_again_is_a_repetition(kit: Any, phrase: list[str], times: int) -> None:
    drop = judge_by_rule(kit.generated(WHERE, " ".join(phrase * times), "brief"), (), kit.params.rules)
    assert drop is not None
    assert drop.reason == "repetition"


@given(answer=st.sampled_from(["red", "in the garage", "7", "the old door"]), upper=st.booleans())
def test_an_answer_that_the_question_names_is_found_but_not_among_alternatives(
    kit: Any, answer: str, upper: bool
) -> None:
    named = answer.upper() if upper else answer
    drop = judge_by_rule(kit.generated(f"What is seen beside {named} here?", answer), (), kit.params.rules)
    assert drop is not None
    assert drop.reason == "answer_in_question"
    either = kit.generated(f"Is it {named} or something else here?", answer)
    assert judge_by_rule(either, (), kit.params.rules) is None


@given(
    said=st.sampled_from(["yes", "no", "Yes.", "NO!", "yes, it is"]), use=st.sampled_from(["drop", "balance", "keep"])
)
def test_a_bare_yes_or_no_is_kept_only_where_asked_for(kit: Any, said: str, use: str) -> None:
    row = kit.generated("Is there a car in the picture?", said)
    drop = judge_by_rule(row, (), kit.with_params(rules={"yes_no": use}).rules)
    bare = yes_or_no(row)
    assert bare == {"yes": "yes", "no": "no", "Yes.": "yes", "NO!": "no"}.get(said)
    assert (drop is not None) == (bare is not None and use == "drop")
    assert yes_or_no(kit.generated("Is there a car?", said, "brief")) is None


@given(question=st.text(max_size=60), answer=st.text(max_size=60))
def test_any_text_gets_a_declared_reason_or_passes(kit: Any, question: str, answer: str) -> None:
    row = kit.generated(question, answer)
    drop = judge_by_rule(row, (), kit.params.rules)
    assert drop is None or drop.reason in REASONS
    assert drop == judge_by_rule(row, (), kit.params.rules)


def test_a_leak_is_of_the_prompt_that_the_model_was_given(kit: Any) -> None:
    ours = load_prompt(*step3_generate.PROMPT)
    mine = parse_prompt("generate", 2, b"[system]\nKeep the heron beside its quiet silver pond always\n")
    packaged = " ".join(words(ours.text("system"))[:8])
    own = "Keep the heron beside its quiet silver pond."
    rules = RuleParams(language=None)
    for text, prompt, leak in ((packaged, None, True), (packaged, mine, False), (own, None, False), (own, mine, True)):
        drop = judge_by_rule(kit.generated(WHERE, text, "brief"), (), rules, prompt)
        assert (drop is not None and drop.reason == "prompt_leak") == leak
