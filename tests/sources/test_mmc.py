"""MMC's two training parts, from the field names that their converters read, and the benchmark beside them."""

import pytest

from infinity_mm.sources import mmc_alignment, mmc_instruction
from infinity_mm.sources.base import Quarantine
from infinity_mm.sources.mmc import placeholder_in, text_under

BENCHMARK = {
    "image_id": "image_benchmark-4000.png",
    "instruction": "True or false?",
    "label": "true",
    "task": "analysis",
}


@pytest.mark.parametrize("image", ["image_id", "image"])
@pytest.mark.parametrize("question", ["instruction", "question"])
@pytest.mark.parametrize("answer", ["answer", "output", "label", "text"])
def test_documented_schema_of_instructions(image, question, answer):
    sample = mmc_instruction.SOURCE.parse({image: "a.png", question: "What grows?", answer: 12.5, "task": "t"})
    assert [message.content for message in sample.messages] == ["<image>\nWhat grows?", "12.5"]
    assert [reference.path for reference in sample.images] == ["a.png"]
    assert (sample.source_id, sample.extra) == ("a.png", {"task": "t"})


def test_documented_schema_of_captions():
    rows = [{"id": str(n), "image_id": "a.png", "caption": r"Growth of $x^2$."} for n in range(60)]
    samples = [mmc_alignment.SOURCE.parse(row) for row in rows]
    assert {message.content for sample in samples for message in sample.messages[1:]} == {r"Growth of $x^2$."}
    asked = {sample.messages[0].content.removeprefix("<image>\n") for sample in samples}
    assert asked == set(mmc_alignment.PROMPTS)
    assert mmc_alignment.SOURCE.parse(rows[0]) == samples[0]


@pytest.mark.parametrize(
    ("caption", "numbered"),
    [
        ("Figure 3: Loss", True),
        ("Fig. IV. Loss", True),
        ("TABLE 2", True),
        ("Figures of merit", False),
        ("Loss", False),
    ],
)
def test_captions_that_begin_with_a_number_are_counted(caption, numbered):
    sample = mmc_alignment.SOURCE.parse({"image": "a.png", "text": caption})
    assert sample.notes == (("caption_numbered",) if numbered else ())
    assert sample.messages[1].content == caption


@pytest.mark.parametrize("source", [mmc_instruction.SOURCE, mmc_alignment.SOURCE])
@pytest.mark.parametrize(
    "row",
    [
        BENCHMARK,
        BENCHMARK | {"image_id": "1.png"},
        {"image_id": "mmc_benchmark_images/image_benchmark-1.png", "question": "q", "answer": "a", "caption": "c"},
    ],
)
def test_rows_of_the_benchmark_are_refused(source, row):
    found = source.parse(row)
    assert isinstance(found, Quarantine)
    assert found.reason == "unexpected_row"
    assert found.detail.startswith("a row of MMC-Benchmark")
    assert found.source_id == row["image_id"]


def test_what_is_not_understood_names_what_was_tried():
    found = mmc_instruction.SOURCE.parse({"id": 4, "image": "a.png", "prompt": "q", "answer": "a"})
    assert (found.reason, found.source_id) == ("missing_field", "4")
    assert found.detail.startswith("expected text under one of instruction, question, got keys ['answer'")
    assert mmc_alignment.SOURCE.parse({"image": "a.png", "caption": " "}).reason == "missing_field"
    assert mmc_alignment.SOURCE.parse({"caption": "c"}).reason == "missing_field"


@pytest.mark.parametrize(
    "text", ["[insert value here] percent", "It is <your answer>.", "[Please fill in the year]", "[Answer]"]
)
def test_placeholders_of_a_generator_are_refused(text):
    found = mmc_instruction.SOURCE.parse({"image": "a.png", "question": "q", "answer": text})
    assert (found.reason, found.source_id) == ("unexpected_row", "a.png")
    assert "placeholder" in found.detail


@pytest.mark.parametrize("text", ["as in [12]", "[0, 1]", "<image>", r"\left[a\right]", "yours [sic]", "[your]"])
def test_brackets_that_mean_something_pass(text):
    assert placeholder_in(text) is None


def test_a_number_is_an_answer_and_a_truth_value_is_none():
    assert text_under({"a": 0}, ("a",)) == "0"
    assert text_under({"a": None, "b": "x"}, ("a", "b")) == "x"
    assert isinstance(text_under({"a": True}, ("a",)), Quarantine)
