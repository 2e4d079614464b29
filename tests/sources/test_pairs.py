"""Pairs of URL and text: which text, which picture, what is kept beside them.

LAION-COCO and PMD, and the scored columns of LAION-2B-en, are written from the documented schemas.
"""

import pytest

from infinity_mm.fs import Location
from infinity_mm.sources.base import Quarantine
from infinity_mm.sources.catalogue import load
from infinity_mm.sources.pairs import read_license

ASK = "<image>\nPlease describe the image."


def told(sample):
    return [message.content for message in sample.messages]


def test_scores_are_kept_whatever_the_case_of_the_columns_laion_from_schema():
    md5 = "D41D8CD98F00B204E9800998ECF8427E"
    row = {
        "SAMPLE_ID": 7, "URL": " http://a/1 ", "TEXT": " a &lt;b&gt; ", "HEIGHT": 30.0, "WIDTH": float("nan"),
        "LICENSE": "?", "NSFW": "UNLIKELY", "similarity": 0.3, "AESTHETIC_SCORE": 5.1, "pwatermark": 0.1, "punsafe": 0.2,
        "hash": -5, "md5": md5, "LANGUAGE": "de",
    }  # fmt: skip
    sample = load("laion_2b_en").parse(row)
    assert told(sample) == [ASK, "a &lt;b&gt;"]
    assert (sample.images[0].url, sample.images[0].checksum) == ("http://a/1", f"md5:{md5.lower()}")
    assert (sample.source_id, sample.language, sample.license) == ("7", "de", None)
    assert sample.extra == {
        "url": " http://a/1 ", "text": " a &lt;b&gt; ", "height": 30, "license": "?", "nsfw": "UNLIKELY",
        "similarity": 0.3, "aesthetic_score": 5.1, "pwatermark": 0.1, "punsafe": 0.2, "hash": -5, "md5": md5,
    }  # fmt: skip
    assert load("laion_2b_en").parse({key.lower(): value for key, value in row.items()}) == sample


def test_the_synthetic_caption_is_the_answer_laion_coco_from_schema():
    row = {
        "URL": "http://a/1", "TEXT": "IMG_0001", "top_caption": "a dog", "all_captions": ["a dog", "dogs"],
        "all_similarities": [0.3, 0.2], "similarity": 0.3,
    }  # fmt: skip
    sample = load("laion_coco").parse(row)
    assert told(sample)[1] == "a dog"
    assert sample.extra["text"] == "IMG_0001"
    assert sample.extra["all_captions"] == ["a dog", "dogs"]
    fault = load("laion_coco").parse(row | {"top_caption": None})
    assert fault == Quarantine("missing_field", "expected a text in top_caption or caption, got top_caption=None")


def test_an_embedded_picture_needs_no_url_pmd_from_schema():
    parse = load("pmd").parse
    embedded = parse({"image_url": None, "image": {"bytes": b"P", "path": "x.jpg"}, "text": "t", "source": "coco"})
    assert (embedded.images[0].data, embedded.images[0].uri) == (b"P", "x.jpg")
    assert embedded.extra == {"text": "t", "source": "coco"}
    by_url = parse({"image_url": "http://a/1", "image": {"bytes": None, "path": "x.jpg"}, "text": "t"})
    assert by_url.images[0].url == "http://a/1"
    by_path = parse({"image_url": None, "image": {"bytes": None, "path": "x.jpg"}, "text": "t"})
    assert by_path.images[0].path == "x.jpg"
    assert parse({"image_url": None, "image": None, "text": "t"}).reason == "missing_field"
    two = parse({"image": [{"bytes": b"P"}, {"bytes": b"Q"}], "text": "t"})
    assert (two.reason, two.detail) == ("unexpected_row", "image: expected one picture, got 2")


def test_the_lists_of_subsets_pmd_from_schema(tmp_path):
    (tmp_path / "cc3m.tsv").write_text("a cat\thttp://a/1\n")
    (tmp_path / "cc12m.tsv").write_text("http://a/2\ta dog\n")
    (tmp_path / "redcaps.json").write_text(
        '{"info": {}, "annotations": [{"image_id": "z", "url": "http://a/3", "caption": "an owl"}]}'
    )
    source, root = load("pmd"), Location.of(tmp_path)
    found = {}
    for patterns in (source.card.files, ("*.json",)):
        plan = source.reader.plan(root, patterns, root / "prepared", 10)
        for split in plan.splits:
            for raw in source.reader.read(root, split):
                sample = source.parse(raw.row)
                found[told(sample)[1]] = sample.images[0].url
    assert found == {"a cat": "http://a/1", "a dog": "http://a/2", "an owl": "http://a/3"}


def test_an_md5_that_is_none_is_no_checksum():
    for value in (None, "", "not a digest", 5, float("nan")):
        sample = load("laion_2b_en").parse({"URL": "http://a", "TEXT": "t", "md5": value})
        assert sample.images[0].checksum == ""


def test_a_literal_placeholder_in_a_text_is_escaped_and_noted():
    sample = load("coyo_700m").parse({"id": 1, "url": "http://a", "text": "use <image> here"})
    assert told(sample) == [ASK, "use &lt;image&gt; here"]
    assert sample.notes == ("literal_placeholder_escaped",)


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        ({"url": "http://a"}, "expected a text in text or caption, got columns ['url']"),
        ({"url": "http://a", "text": "\n "}, "expected a text in text or caption, got text='\\n '"),
        ({"text": "t"}, "expected a URL or a picture in url or image_url, got columns ['text']"),
        ({"text": "t", "url": None, "id": 3}, "got url=None"),
    ],
)
def test_rows_without_a_half_have_a_reason(row, detail):
    fault = load("coyo_700m").parse(row)
    assert fault.reason == "missing_field"
    assert detail in fault.detail
    assert fault.source_id == str(row.get("id", ""))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("https://creativecommons.org/licenses/by-nc-sa/2.0/", "CC-BY-NC-SA-2.0"),
        ("http://creativecommons.org/publicdomain/zero/1.0/deed.de", "CC0-1.0"),
        ("http://creativecommons.org/publicdomain/mark/1.0/", None),
        ("cc-by-4.0", "CC-BY-4.0"),
        ("CC BY-SA", "CC-BY-SA"),
        ("cc0", "CC0-1.0"),
        ("?", None),
        (None, None),
        (4, None),
    ],
)
def test_licences_of_rows(given, name):
    assert read_license(given) == name
