"""Interleaved documents: order, placement, what is mended, and a reason for every row that is not of the form.

No complete record of OBELICS was at hand: its rows here are written from the documented schema.
"""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.sources.base import Quarantine, Sample
from infinity_mm.sources.documents import MatchOptions, parse_matched_sentences, parse_parallel_lists

END = "END_OF_DOCUMENT_TOKEN_TO_BE_REPLACED"


def obelics(*parts, **keys):
    """Return a row; parts that begin with "u:" are URLs."""
    urls = [part[2:] if part.startswith("u:") else None for part in parts]
    texts = [None if part.startswith("u:") else part for part in parts]
    general = json.dumps({"url": "http://page", "warc_filename": "w"})
    return {"images": urls, "texts": texts, "metadata": "[]", "general_metadata": general} | keys


def test_order_is_kept_and_the_page_is_the_key_from_schema():
    places = [None, {"document_url": "http://page", "src": "http://a/1", "alt_text": "An alt."}]
    row = obelics("one\n\ntwo", "u:http://a/1", "u:http://a/2", "three", metadata=json.dumps(places))
    sample = parse_parallel_lists(row)
    assert [message.content for message in sample.messages] == ["one\n\ntwo\n<image>\n<image>\nthree"]
    assert [message.role for message in sample.messages] == ["assistant"]
    assert [(image.url, image.optional) for image in sample.images] == [("http://a/1", True), ("http://a/2", True)]
    assert sample.source_id == "http://page"
    assert sample.extra == {"url": "http://page", "warc_filename": "w", "alt_text": {"http://a/1": "An alt."}}
    assert sample.notes == ()


def test_what_is_mended_is_noted_from_schema():
    sample = parse_parallel_lists(obelics(f"a\n\n{END}\n\nb", "an <image> tag", metadata="{cut"))
    assert sample.messages[0].content == "a\n\nb\nan &lt;image&gt; tag"
    assert set(sample.notes) == {"end_of_document_removed", "literal_placeholder_escaped", "metadata_unreadable"}


def test_metadata_may_be_parsed_or_absent_from_schema():
    row = obelics("x", general_metadata=None, metadata=[{"document_url": "http://other"}])
    assert parse_parallel_lists(row).source_id == "http://other"
    assert parse_parallel_lists({"images": [None], "texts": ["x"]}).source_id == ""


def test_pictures_that_a_copy_embeds_are_taken_from_schema():
    sample = parse_parallel_lists(obelics("x") | {"images": [{"bytes": b"P", "path": None}], "texts": [None]})
    assert (sample.images[0].data, sample.images[0].optional) == (b"P", True)


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        (obelics("x", texts=None), "missing_field", "texts: expected a list, got NoneType"),
        (obelics("x", images="http://a"), "missing_field", "images: expected a list, got str"),
        (obelics("x", images=[]), "unexpected_row", "0 images but 1 texts"),
        (obelics("x", images=["http://a"]), "unexpected_row", "place 0: expected a URL or a text"),
        (obelics("x", images=[3]), "unexpected_row", "place 0: expected a URL or a text"),
        (obelics("x", texts=[7]), "unexpected_row", "place 0: expected a URL or a text"),
        (obelics(), "unexpected_row", "neither a text nor a picture"),
        (obelics(" ", f"{END}"), "unexpected_row", "neither a text nor a picture"),
    ],
)
def test_rows_of_another_form_have_a_reason_from_schema(row, reason, detail):
    fault = parse_parallel_lists(row)
    assert (fault.reason, fault.source_id) == (reason, "http://page")
    assert detail in fault.detail


@given(st.lists(st.one_of(st.just("u:http://a/x"), st.text(max_size=12)), max_size=8))
def test_every_picture_has_its_place_between_its_texts_from_schema(parts):
    parts = [part for part in parts if part != "u:"]
    sample = parse_parallel_lists(obelics(*parts))
    left = [part for part in parts if part.strip()]
    if not left:
        assert isinstance(sample, Quarantine)
        return
    content = sample.messages[0].content
    assert content.count("<image>") == len(sample.images) == sum(part.startswith("u:") for part in left)
    at = 0
    for part in left:
        piece = "<image>" if part.startswith("u:") else part.strip("\n")
        at = content.index(piece, at) + len(piece)


def mmc4(texts, *matches, **keys):
    """Return a row; matches are (index of the sentence, URL)."""
    infos = [{"matched_text_index": i, "raw_url": url, "matched_sim": 0.25} for i, url in matches]
    return {"text_list": texts, "image_info": infos, "url": "http://page", "could_have_url_duplicate": 1} | keys


def matched(row, **options):
    return parse_matched_sentences(row, MatchOptions(**options))


def test_weak_matches_are_left_out_where_asked_and_noted():
    row = mmc4(["a.", "b."], (0, "http://a/1"), (1, "http://a/2"))
    row["image_info"][0]["matched_sim"] = 0.2399
    del row["image_info"][1]["matched_sim"]
    sample = matched(row, min_similarity=0.24)
    assert sample.messages[0].content == "a.\n<image>\nb."
    assert [image.url for image in sample.images] == ["http://a/2"]
    assert sample.notes == ("weak_match_left_out",)
    assert len(matched(row).images) == 2


def test_a_picture_stands_before_its_sentence_or_after():
    row = mmc4(["a.", "b.", "c."], (2, "http://a/1"), (0.0, "http://a/2"), (2, "http://a/3"))
    before, after = matched(row), matched(row, placement="after")
    assert before.messages[0].content == "<image>\na. b.\n<image>\n<image>\nc."
    assert [image.url for image in before.images] == ["http://a/2", "http://a/1", "http://a/3"]
    assert after.messages[0].content == "a.\n<image>\nb. c.\n<image>\n<image>"
    assert before.extra["matched_sim"] == {f"http://a/{n}": 0.25 for n in (1, 2, 3)}
    assert before.extra["could_have_url_duplicate"] == 1


def test_base64_that_was_saved_as_the_text_of_bytes():
    encoded = str(base64.b64encode(b"picture"))
    row = mmc4(["a."], image_info=[{"matched_text_index": 0, "image_name": "n.jpg", "image_base64": encoded}])
    [image] = matched(row).images
    assert (image.data, image.uri, image.optional) == (b"picture", "n.jpg", True)


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        (mmc4(None), "missing_field", "text_list: expected a list"),
        (mmc4(["a."], image_info={}), "missing_field", "image_info: expected a list, got dict"),
        (mmc4(["a.", None]), "unexpected_row", "text_list: expected texts"),
        (mmc4(["a."], (1, "http://a")), "unexpected_row", "image_info 0: matched_text_index: expected one of 1"),
        (mmc4(["a."], (-1, "http://a")), "unexpected_row", "matched_text_index"),
        (mmc4(["a."], (True, "http://a")), "unexpected_row", "matched_text_index"),
        (mmc4(["a."], (0, None)), "unexpected_row", "image_info 0: raw_url: expected a URL, got None"),
        (mmc4(["a."], image_info=[3]), "unexpected_row", "expected an object, got int"),
        (
            mmc4(["a."], image_info=[{"matched_text_index": 0, "image_base64": "b'*'"}]),
            "unexpected_row",
            "image_base64",
        ),
        (mmc4([]), "unexpected_row", "neither a text nor a picture"),
    ],
)
def test_documents_of_another_form_have_a_reason(row, reason, detail):
    fault = matched(row)
    assert (fault.reason, fault.source_id) == (reason, "http://page")
    assert detail in fault.detail


def test_a_document_without_pictures_is_a_document():
    assert isinstance(matched(mmc4(["a."])), Sample)


def test_the_token_of_obelics_goes_wherever_it_stands():
    text = "one END_OF_DOCUMENT_TOKEN_TO_BE_REPLACED\n\nEND_OF_DOCUMENT_TOKEN_TO_BE_REPLACED\n\ntwo"
    sample = parse_parallel_lists({"images": [None], "texts": [text], "metadata": None, "general_metadata": None})
    assert [message.content for message in sample.messages] == ["one\n\ntwo"]
    assert "end_of_document_removed" in sample.notes
