"""What must hold for every source of the catalogue."""

import json
import pickle
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.cli.cards import markdown_table, with_table
from infinity_mm.record import IMAGE_TOKEN
from infinity_mm.sources.base import QUARANTINE_REASONS, Quarantine, Sample
from infinity_mm.sources.catalogue import load, names
from infinity_mm.sources.options import describe_options, parse_members, with_options

REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "sources.json"
#: Sources of the reference that have no adapter yet; only ever to be made shorter.
NOT_YET: set[str] = set()
#: The reference's words -> the categories of the data model that say the same.
CATEGORIES = {
    "caption": {"caption"},
    "general": {"general"},
    "doc/chart/screen": {"doc_chart_screen"},
    "math/reasoning": {"math_reasoning"},
    "general, OCR, math, doc/chart/screen, text": {"general"},
    "OCR, doc/chart/screen": {"doc_chart_screen", "general_ocr"},
    "doc VQA": {"doc_chart_screen"},
    "text": {"text_instruct"},
    "text preference": {"preference"},
    "perception / reasoning (six level-1 types)": {"synthetic"},
    "all": {"general"},
    "text VQA": {"general_ocr"},
    "document VQA": {"doc_chart_screen"},
    "interleaved web documents": {"interleaved"},
    "image-text pairs": {"caption"},
    "image-text pairs (synthetic captions)": {"caption"},
    "general VQA": {"general"},
    "text-rich instructions": {"general_ocr"},
    "multiple choice": {"math_reasoning", "general"},
    "instruction mix": {"general"},
}
#: Sources whose publishers state no licence of the annotations, or only terms of use.
UNKNOWN_LICENCE = {"a_okvqa", "docvqa", "geoqa_plus", "infographic_vqa", "lvis_instruct4v", "ocr_vqa", "st_vqa"}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=4)
    | st.dates()
    | st.decimals(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = (
    "id", "image", "images", "conversations", "messages", "texts", "question", "answers", "answer", "choices", "split",
    "annotation", "caption", "caption_str", "image_id", "imageId", "questions", "json", "__key__", "chosen", "file_path",
    "correct_choice_idx", "question_id", "hint", "data_subtype", "is_rejected", "imageURL",
    "dialog", "__instances__", "__listed__", "file_name", "set", "instruction", "label", "task", "text",
    "url", "URL", "TEXT", "text", "top_caption", "all_captions", "WIDTH", "md5", "LICENSE", "language", "image_url",
    "key", "status", "error_message", "__picture__", "metadata", "general_metadata", "text_list", "image_info",
)  # fmt: skip
TURNS = st.lists(
    st.fixed_dictionaries({}, optional={"from": JSON, "value": JSON, "role": JSON, "content": JSON}), max_size=3
)
INFOS = st.lists(
    st.fixed_dictionaries(
        {}, optional={"raw_url": JSON, "matched_text_index": JSON, "matched_sim": JSON, "image_base64": JSON}
    ),
    max_size=3,
)
ROWS = st.dictionaries(st.sampled_from(FIELDS), JSON | TURNS | INFOS | st.lists(st.text(max_size=8)), max_size=8)


@pytest.mark.parametrize("name", names())
def test_card_is_complete_and_the_source_travels(name):
    source = load(name)
    card = source.card
    assert card.name == name
    assert card.title
    assert card.license
    assert card.files
    assert card.traps
    assert card.paper_size
    assert card.stages
    assert pickle.loads(pickle.dumps(source)) == source
    assert " at 0x" not in repr(source.reader), "the reader's text names partitions, so it must not hold an address"


@pytest.mark.parametrize("name", names())
@settings(max_examples=40, deadline=None)
@given(row=ROWS)
def test_parse_never_raises_and_gives_a_sample_or_a_declared_reason(name, row):
    result = load(name).parse(row)
    if isinstance(result, Quarantine):
        assert result.reason in QUARANTINE_REASONS
        assert result.detail
    else:
        assert isinstance(result, Sample)
        assert load(name).parse(row) == result


@pytest.mark.parametrize("name", [name for name in names() if describe_options(load(name))])
@settings(max_examples=25, deadline=None)
@given(rows=st.lists(ROWS, max_size=4), data=st.data())
def test_the_same_holds_for_every_option_and_for_rows_of_one_picture(name, rows, data):
    options = describe_options(load(name))
    source = with_options(
        load(name), {one.name: data.draw(st.sampled_from(one.values or (one.default,))) for one in options}
    )
    for row in rows:
        result = source.parse(row)
        assert isinstance(result, Sample) or result.reason in QUARANTINE_REASONS
    talk = parse_members(source, rows)
    assert len(talk.fates) == len(rows)
    assert (talk.sample is None) == all(isinstance(fate, Quarantine) for fate in talk.fates)
    if talk.sample is not None:
        places = sum(message.content.count(IMAGE_TOKEN) for message in talk.sample.messages)
        assert places == len(talk.sample.images)


@pytest.fixture(scope="module")
def reference() -> dict[str, dict[str, str]]:
    if not REFERENCE.is_file():
        pytest.skip("no ../shared/reference beside this checkout")
    return {entry["name"]: entry for entry in json.loads(REFERENCE.read_text())}


def test_names_families_and_sizes_are_those_of_the_reference(reference):
    assert set(names()) <= set(reference)
    assert set(reference) - set(names()) <= NOT_YET, "a source got lost"
    for name in names():
        assert load(name).card.family == reference[name]["family"]
        assert dict(load(name).card.paper_size) == reference[name]["paper_size"]


def test_categories_are_the_papers_in_the_words_of_the_data_model(reference):
    for name in names():
        assert load(name).card.category in CATEGORIES[reference[name]["category"]], name


def test_licences_are_among_the_words_of_the_reference(reference):
    def plain(text: str) -> str:
        return re.sub("[^a-z0-9.]+", " ", text.lower())

    for name in names():
        licence = load(name).card.license
        if licence == "unknown":
            assert name in UNKNOWN_LICENCE, f"{name}: the reference states a licence: {reference[name]['licence']}"
        elif licence.startswith("other: "):
            words = set(plain(licence).split()) - {"other"}
            assert words <= set(plain(reference[name]["licence"]).split()), name
        else:
            assert plain(licence) in plain(reference[name]["licence"]), name


def test_the_table_of_readme_is_that_of_the_catalogue():
    text = (Path(__file__).parents[2] / "README.md").read_text()
    table = markdown_table([load(name).card for name in names()])
    assert with_table(text, table) == text, "run `infinity-mm sources --update README.md`"
