"""What may be chosen about a source: known options, their values, and what they do to a row."""

import pickle

import pytest

from infinity_mm.errors import SourceError
from infinity_mm.sources.base import Quarantine
from infinity_mm.sources.catalogue import load, names
from infinity_mm.sources.families.grouped import GroupedByImage, QuestionsApart
from infinity_mm.sources.options import describe_options, options_of, parse_options, with_options

WITH_OPTIONS = [name for name in names() if describe_options(load(name))]
GROUPED = [name for name in WITH_OPTIONS if "group_by_image" in options_of(load(name))]
TEN = [{"answer": text, "answer_confidence": sure} for text, sure in (("cat", "no"), ("cat", "no"), ("dog", "yes"))]


def asked(name, row, **options):
    """Return the texts of the messages that a source makes of a row."""
    made = with_options(load(name), options).parse(row)
    assert not isinstance(made, Quarantine), made
    return [message.content for message in made.messages]


def vqa(**keys):
    row = {"question_id": 5, "image_id": 9, "question": "What?", "annotation": {"question_id": 5, "answers": TEN}}
    return row | keys


def test_all_ten_vqa_sources_can_be_grouped():
    assert GROUPED == [
        "a_okvqa", "docvqa", "gqa", "infographic_vqa", "ocr_vqa", "ok_vqa", "st_vqa", "textvqa", "vizwiz_vqa", "vqav2",
    ]  # fmt: skip
    assert sorted([*GROUPED, "coco_text", "mmc4", "visdial"]) == WITH_OPTIONS


@pytest.mark.parametrize("name", WITH_OPTIONS)
def test_every_option_is_explained_and_every_value_of_it_accepted(name):
    source = load(name)
    for option in describe_options(source):
        assert option.meaning
        low, high = min(option.values), max(option.values)
        assert low <= option.default <= high if option.between else option.default in option.values
        for value in option.values:
            chosen = with_options(source, {option.name: value})
            assert options_of(chosen) == options_of(source) | {option.name: value}
            assert pickle.loads(pickle.dumps(chosen)) == chosen
    assert with_options(source, {}) is source
    assert with_options(source, options_of(source)) == source, "the defaults given by hand change nothing"


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("vqav2", {"group_by_images": True}, r"vqav2 has no option 'group_by_images'; did you mean 'group_by_image'"),
        ("vqav2", {"group_by_image": "yes"}, r"options of source vqav2: group_by_image: .*got 'yes'"),
        ("vqav2", {"answers": "letter"}, r"answers: .*got 'letter'"),
        ("llavar", {"prompt": "none"}, r"source llavar has no options; remove 'prompt'"),
    ],
)
def test_what_a_source_cannot_have_is_refused(name, options, told):
    with pytest.raises(SourceError, match=told):
        with_options(load(name), options)


def test_options_of_the_command_line_are_yaml():
    assert parse_options(["group_by_image=true", "answers=first", "x=a=b"]) == {
        "group_by_image": True,
        "answers": "first",
        "x": "a=b",
    }
    for text in ("group_by_image", "=true", "x={"):
        with pytest.raises(SourceError, match="--option"):
            parse_options([text])


def test_prompt_and_joiner():
    sentence = "Answer the question using a single word or phrase."
    assert asked("vqav2", vqa())[0] == f"<image>\nWhat?\n{sentence}"
    assert asked("vqav2", vqa(), joiner="space")[0] == f"<image>\nWhat? {sentence}"
    assert asked("vqav2", vqa(), prompt="none")[0] == "<image>\nWhat?"


@pytest.mark.parametrize(("policy", "answer"), [("vote", "cat"), ("confident_vote", "dog"), ("first", "cat")])
def test_answer_policies(policy, answer):
    assert asked("vqav2", vqa(), answers=policy)[1] == answer


def test_answers_are_drawn_as_often_as_they_were_given():
    drawn = [asked("vqav2", vqa(question_id=n), answers="draw")[1] for n in range(300)]
    assert 0.55 < drawn.count("cat") / 300 < 0.78
    assert drawn[:20] == [asked("vqav2", vqa(question_id=n), answers="draw")[1] for n in range(20)]


def test_what_is_particular_to_a_source():
    choice = {"question_id": "q", "image_id": 1, "question": "What?", "choices": ["a", "b"], "correct_choice_idx": 1}
    direct = choice | {"direct_answers": ["x", "y", "y"]}
    assert asked("a_okvqa", choice)[1] == "B"
    question, answer = asked("a_okvqa", direct, answers="vote")
    assert (answer, "A. a" in question) == ("y", False)
    row = {"imageId": "1", "question": "What?", "answer": "cat", "fullAnswer": "It is a cat.", "__key__": "01"}
    assert asked("gqa", row) == ["<image>\nWhat?\nAnswer the question using a single word or phrase.", "cat"]
    assert asked("gqa", row, answers="sentence") == ["<image>\nWhat?", "It is a cat."]
    blurred = {"image": "1.jpg", "question": "What?", "answers": [{"answer": "unanswerable"}], "answerable": 0}
    assert asked("vizwiz_vqa", blurred)[1] == "Unanswerable"
    refused = with_options(load("vizwiz_vqa"), {"unanswerable": "refuse"}).parse(blurred)
    assert refused.reason == "unexpected_row"


def test_grouping_changes_the_reader_and_nothing_else():
    source = load("gqa")
    grouped = with_options(source, {"group_by_image": True})
    assert grouped.reader == GroupedByImage(source.reader, ("imageId",))
    assert with_options(grouped, {"group_by_image": False}) == source
    books = load("ocr_vqa")
    apart = with_options(books, {"group_by_image": False})
    assert apart.reader == QuestionsApart(books.reader, ("questions", "answers"))
    assert not apart.card.unique_ids, "the questions of a cover share its key"
