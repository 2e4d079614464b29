"""Several rows about one picture as one conversation."""

from infinity_mm.record import Message
from infinity_mm.sources.base import ImageRef, Quarantine, Sample
from infinity_mm.sources.conversation import one_turn
from infinity_mm.sources.grouping import Turn, converse


def again(row):
    if "bad" in row:
        return Quarantine("missing_field", row["bad"], row["id"])
    images = (ImageRef(path=row.get("image", "a.jpg")),)
    messages = one_turn(row["q"], row["a"])
    return Sample(row["id"], messages, images, extra={"n": row["id"]}, notes=tuple(row.get("notes", ())))


def opening(row):
    return again({**row, "q": row["q"] + " Be short."}) if "q" in row else again(row)


def ask(identity, question, **keys):
    return {"id": identity, "q": question, "a": f"answer of {question}"} | keys


def texts(conversation):
    return [message.content for message in conversation.sample.messages]


def test_the_picture_and_the_format_stand_in_the_first_question_only():
    made = converse([ask("1", "x"), ask("2", "y")], opening, again)
    assert texts(made) == ["<image>\nx Be short.", "answer of x", "y", "answer of y"]
    assert made.sample.source_id == "1"
    assert made.sample.extra == {"questions": [{"id": "1", "n": "1"}, {"id": "2", "n": "2"}]}
    assert made.fates == (Turn(1, "1"), Turn(2, "2"))


def test_what_is_said_twice_stands_once_and_both_rows_are_told_where():
    made = converse([ask("1", "x"), ask("2", "y"), ask("3", "x"), ask("4", "x", a="other")], opening, again)
    assert len(made.sample.messages) == 6
    assert made.fates == (Turn(1, "1"), Turn(2, "2"), Turn(1, "3"), Turn(3, "4"))


def test_rows_that_cannot_be_used_are_left_out_and_the_next_one_opens():
    made = converse(
        [{"id": "1", "bad": "no answer"}, ask("2", "x", notes=["n", "n"]), {"id": "3", "bad": "none"}], opening, again
    )
    assert texts(made)[0] == "<image>\nx Be short."
    assert made.sample.source_id == "2"
    assert made.sample.notes == ("n",)
    assert [fate.reason if isinstance(fate, Quarantine) else fate for fate in made.fates] == [
        "missing_field",
        Turn(1, "2"),
        "missing_field",
    ]
    assert converse([{"id": "1", "bad": "x"}], opening, again).sample is None
    assert converse([], opening, again).fates == ()


def test_a_row_about_another_picture_is_not_mixed_in():
    made = converse([ask("1", "x"), ask("2", "y", image="b.jpg")], opening, again)
    assert len(made.sample.messages) == 2
    assert made.fates[1].reason == "ambiguous_image"
    assert made.fates[1].detail.startswith("b.jpg: ")


def test_a_row_whose_text_holds_a_placeholder_costs_itself():
    made = converse([ask("1", "what is <image>?"), ask("2", "y")], opening, again)
    assert texts(made)[0] == "<image>\ny Be short."
    assert made.fates[0].reason == "invalid_record"
    elsewhere = Sample("3", (Message(role="user", content="y <image>"),), (ImageRef(path="a"),))
    assert converse([{}], lambda row: elsewhere, lambda row: elsewhere).fates[0].reason == "invalid_record"
    empty = Sample("3", ())
    assert converse([{}], lambda row: empty, lambda row: empty).fates[0].reason == "invalid_record"
