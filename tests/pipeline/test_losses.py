"""Optional pictures go with their own placeholders, and with nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.pipeline.losses import describe_losses, remove_placeholders, without_images
from infinity_mm.record import Message
from infinity_mm.sources.base import ImageRef, Quarantine, Sample

GONE = Quarantine("download_failed", "http_not_found: status 404 http://a/x")


def said(*texts):
    return tuple(Message(role="user", content=text) for text in texts)


def sample(images, *texts):
    refs = tuple(ImageRef(url=f"http://a/{n}", optional=True) for n in range(images))
    return Sample("k", said(*texts), refs, notes=("placeholder_respelled",))


@pytest.mark.parametrize(
    ("texts", "lost", "left"),
    [
        (["a\n<image>\nb"], {0}, ["a\nb"]),
        (["<image>\na\n<image>\nb\n<image>"], {0, 2}, ["a\n<image>\nb"]),
        (["<image>\na\n<image>\nb\n<image>"], {1}, ["<image>\na\nb\n<image>"]),
        (["<image><image>x"], {0}, ["<image>x"]),
        (["one <image> two"], {0}, ["one two"]),
        (["one<image>two"], {0}, ["onetwo"]),
        (["x", "<image>", "y <image>"], {0}, ["x", "y <image>"]),
        (["x", "<image>", "y <image>"], {1}, ["x", "<image>", "y"]),
        (["", "<image>\n\n"], {0}, [""]),
    ],
)
def test_the_right_placeholder_goes(texts, lost, left):
    assert [message.content for message in remove_placeholders(said(*texts), lost)] == left


@given(st.lists(st.lists(st.sampled_from(["<image>", "w", "\n", " "]), max_size=8), max_size=5), st.data())
def test_the_other_pictures_stay_where_they_are(parts, data):
    texts = ["".join(part) for part in parts]
    count = sum(text.count("<image>") for text in texts)
    lost = data.draw(st.sets(st.integers(0, count - 1)) if count else st.just(set()))
    marked = iter(range(count))
    named = ["".join(f"{{{next(marked)}}}" if p == "<image>" else p for p in part) for part in parts]
    expected = [word for text in named for word in text.replace("}", "} ").replace("{", " {").split()]
    expected = [word for word in expected if not (word[0] == "{" and int(word[1:-1]) in lost)]
    left = remove_placeholders(said(*texts), lost)
    found = " ".join(m.content for m in left).replace("<image>", " <image> ").split()
    assert "".join(found) == "".join("<image>" if word[0] == "{" else word for word in expected)


def test_losses_are_noted_and_the_other_pictures_kept():
    left = without_images(sample(3, "<image>\na\n<image>\nb\n<image>"), {1: GONE})
    assert [ref.url for ref in left.images] == ["http://a/0", "http://a/2"]
    assert left.notes == ("placeholder_respelled", "images_lost")


def test_a_document_without_its_pictures_stays_if_it_has_text():
    left = without_images(sample(2, "<image>\na\n<image>"), {0: GONE, 1: GONE})
    assert left.messages[0].content == "a"
    assert left.images == ()
    assert left.notes[-2:] == ("images_lost", "all_images_lost")
    refused = without_images(sample(2, "<image>\na\n<image>"), {0: GONE, 1: GONE}, keep_text=False)
    assert refused == Quarantine("download_failed", f"all 2 pictures lost, and text alone is not kept: {GONE.detail}")
    assert without_images(sample(2, "<image>\na\n<image>"), {0: GONE}, keep_text=False).images
    gone = without_images(sample(2, "<image>\n<image>"), {0: GONE, 1: GONE})
    assert gone.reason == "download_failed"
    assert "all 2 pictures" in gone.detail
    assert GONE.detail in gone.detail


def test_nobody_can_say_which_placeholder_to_take_where_the_numbers_differ():
    gone = without_images(sample(2, "<image> <image> <image>"), {1: GONE})
    assert gone.detail.startswith("3 placeholders for 2 pictures")


def test_the_ledger_names_the_first_and_counts_the_rest():
    assert describe_losses([]) is None
    assert describe_losses(["x"]) == "images_lost=1: x"
    assert describe_losses(list("abcde")) == "images_lost=5: a; b; c; and 2 more"
