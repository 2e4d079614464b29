"""Pictures, strict checks of replies, and isolation of a bad request: no engine needed."""

import contextlib
import io
import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from infinity_mm.synth.chat import Reply, Request, Sampling
from infinity_mm.synth.engines import common
from infinity_mm.synth.models.qwen_vl import QWEN2_5_VL


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


class TestPictures:
    @pytest.mark.parametrize(
        ("size", "expected"),
        [((600, 300), (100, 50)), ((50, 40), (50, 40)), ((3000, 1), (100, 1)), ((10, 1000), (1, 100))],
    )
    def test_longer_side_is_bounded(self, size: tuple[int, int], expected: tuple[int, int]) -> None:
        picture = common.open_picture(encoded(Image.new("RGB", size)), 100)
        assert (picture.size, picture.mode) == (expected, "RGB")

    def test_orientation_is_applied(self) -> None:
        image = Image.new("RGB", (40, 20), "red")
        exif = image.getexif()
        exif[0x0112] = 6
        assert common.open_picture(encoded(image, "JPEG", exif=exif), 100).size == (20, 40)

    def test_transparency_is_laid_over_white(self) -> None:
        assert common.open_picture(encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 0))), 9).getpixel((0, 0)) == (255,) * 3
        palette = Image.new("P", (4, 4), 0)
        assert common.open_picture(encoded(palette, transparency=0), 9).getpixel((0, 0)) == (255,) * 3

    def test_sixteen_bits_keep_their_grey(self) -> None:
        grey = Image.fromarray(np.full((4, 4), 0x8000, np.uint16))
        assert common.open_picture(encoded(grey), 9).getpixel((0, 0)) == (128,) * 3

    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "RGB", "I;16"])
    def test_every_mode_becomes_rgb(self, mode: str) -> None:
        kind = "TIFF" if mode == "CMYK" else "PNG"
        assert common.open_picture(encoded(Image.new(mode, (4, 4)), kind), 9).mode == "RGB"

    def test_truncated_and_unknown_bytes(self) -> None:
        whole = encoded(Image.effect_noise((200, 200), 50), "JPEG")
        for damaged in (b"", b"text", whole[: len(whole) // 2], whole[:30]):
            with pytest.raises(common.PictureError) as caught:
                common.open_picture(damaged, 100)
            assert " at 0x" not in str(caught.value)

    def test_oversized_picture_is_refused_before_decoding(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(common, "MAX_PIXELS", 99)
        with pytest.raises(common.LargePictureError, match="10 x 10 pixels") as caught:
            common.open_picture(encoded(Image.new("L", (10, 10))), 100)
        assert caught.value.failure == "image_too_large"

    @given(st.binary(max_size=300), st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"]), st.data())
    def test_damaged_bytes_never_raise_anything_else(self, noise: bytes, kind: str, data: st.DataObject) -> None:
        whole = encoded(Image.linear_gradient("L").resize((20, 20)), kind)
        at = data.draw(st.integers(0, len(whole)))
        with contextlib.suppress(common.PictureError):
            assert common.open_picture(whole[:at] + noise + whole[at + len(noise) :], 16).mode == "RGB"


class TestRulesOfAFamily:
    RULE = QWEN2_5_VL.rule("", {}, {})

    @pytest.mark.parametrize(
        ("size", "expected"), [((3, 5), (28, 47)), ((90, 20), (126, 28)), ((400, 300), (400, 300))]
    )
    def test_small_pictures_are_scaled_up(self, size: tuple[int, int], expected: tuple[int, int]) -> None:
        request = Request(key="a", prompt="?", images=(encoded(Image.new("RGB", size, "red")),))
        (picture,) = common.open_pictures(request, 448, self.RULE)
        assert picture.size == expected
        assert common.open_pictures(request, 448)[0].size == size

    def test_a_strip_names_its_place_and_size(self) -> None:
        whole, strip = (encoded(Image.new("RGB", size)) for size in ((50, 50), (420, 2)))
        with pytest.raises(common.NarrowPictureError, match=r"picture 2 of 2: 420 x 2 pixels.*200 times") as caught:
            common.open_pictures(Request(key="a", prompt="?", images=(whole, strip)), 448, self.RULE)
        assert caught.value.failure == "image_too_narrow"

    @given(words=st.integers(0, 400), answer=st.integers(1, 400), count=st.integers(0, 3), limit=st.integers(100, 900))
    def test_what_has_no_room_is_told_before_with_figures(
        self, words: int, answer: int, count: int, limit: int
    ) -> None:
        pictures = [Image.new("RGB", (280, 280))] * count
        request = Request(key="a", prompt="w " * words, images=(b"",) * count, sampling=Sampling(max_tokens=answer))
        told = common.no_room(request, pictures, self.RULE, limit, lambda text: len(text.split()))
        if words + 102 * count + answer <= limit:
            assert told is None
            return
        assert told is not None
        assert told.error == ("image_too_large" if count and words + answer <= limit else "prompt_too_long")
        for figure in (words, 102 * count, answer, limit):
            assert str(figure) in told.detail

    def test_what_fits_by_its_bytes_is_not_counted(self) -> None:
        def count(text: str) -> int:
            raise AssertionError("counted for nothing")

        request = Request(key="a", prompt="word " * 20, sampling=Sampling(max_tokens=10))
        assert common.no_room(request, [], None, 110, count) is None


class TestNeutralise:
    @given(st.text(alphabet="<|>image_end s/x", max_size=40))
    def test_no_control_mark_survives(self, text: str) -> None:
        marks = ("<image>", "</s>", "<|x|>", "x", "<se>")
        calm = common.neutralise(text, marks)
        assert not [mark for mark in marks if len(mark) > 1 and mark in calm]
        assert calm.replace("\u2060", "") == text

    def test_ordinary_text_is_untouched(self) -> None:
        text = "if a < b and b > c: <table> | <b>x</b> 5|>4 <imagery>"
        assert common.neutralise(text, ("<image>",)) == text


SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string", "maxLength": 3}, "n": {"type": "integer"}},
    "required": ["a"],
    "additionalProperties": False,
}


def reply_to(text: str, cut_off: bool = False, **constraint: object) -> Reply:
    return common.checked(Request(key="k", prompt="", **constraint), text, cut_off, 7, 3)


class TestReplies:
    @pytest.mark.parametrize("text", ['{"a":"xyz"}', '{"a":"é","n":-4}', ' {"a" : ""}\n'])
    def test_valid_json_passes_as_written(self, text: str) -> None:
        assert reply_to(text, json_schema=SCHEMA) == Reply(
            key="k", text=text, error=None, finish_reason="stop", prompt_tokens=7, completion_tokens=3
        )

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("", "not strict JSON"),
            ('{"a":"x"', "not strict JSON"),
            ('{"a":"x"} and more', "not strict JSON"),
            ('{"a":"x\n"}', "control character"),
            ('{"a":"x","a":"y"}', "repeats a key"),
            ('{"a":"x","n":NaN}', "NaN is not JSON"),
            ('{"a":"\\ud800"}', "surrogates not allowed"),
            ("[" * 100_000, "not strict JSON"),
            ('{"a":"wxyz"}', "$.a"),
            ('{"a":"x","n":1.5}', "$.n"),
            ('{"a":"x","b":1}', "breaks the schema"),
            ('"a"', "breaks the schema"),
        ],
    )
    def test_anything_else_is_a_failure_that_says_why(self, text: str, why: str) -> None:
        reply = reply_to(text, json_schema=SCHEMA)
        assert (reply.text, reply.error) == (None, "invalid_output")
        assert why.lower() in reply.detail.lower()

    def test_a_cut_answer_is_truncated_unless_it_is_whole(self) -> None:
        assert reply_to('{"a":', cut_off=True, json_schema=SCHEMA).error == "truncated"
        assert reply_to('{"a":""}', cut_off=True, json_schema=SCHEMA).error is None
        assert reply_to("ye", cut_off=True, choices=("yes", "no")).error == "truncated"
        assert reply_to("free words that stop", cut_off=True).error is None

    def test_choices_are_exact(self) -> None:
        assert reply_to("yes", choices=("yes", "no")).text == "yes"
        assert reply_to("Yes", choices=("yes", "no")).error == "invalid_output"
        assert reply_to(" yes", choices=("yes", "no")).error == "invalid_output"

    @given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
    def test_whatever_json_writes_is_accepted(self, value: object) -> None:
        assert reply_to(json.dumps(value), json_schema={}).error is None


class TestIsolation:
    @given(st.lists(st.booleans(), max_size=40))
    def test_only_the_poisonous_items_are_blamed(self, poisonous: list[bool]) -> None:
        sizes: list[int] = []

        def run(items: Sequence[int]) -> list[Reply]:
            sizes.append(len(items))
            if any(poisonous[item] for item in items):
                raise RuntimeError("poison")
            return [Reply(key=str(item), text="fine") for item in items]

        def blame(item: int, fault: Exception) -> Reply:
            return Reply(key=str(item), text=None, error="refused", detail=str(fault))

        replies = common.answer_isolating(run, blame, lambda: True, range(len(poisonous)))
        assert [reply.key for reply in replies] == [str(i) for i in range(len(poisonous))]
        assert [reply.text is None for reply in replies] == poisonous
        assert len(sizes) <= 1 + 2 * sum(poisonous) * max(1, len(poisonous).bit_length())

    def test_a_dead_engine_raises_and_blames_nobody(self) -> None:
        def run(items: Sequence[int]) -> list[Reply]:
            raise RuntimeError("gone")

        with pytest.raises(RuntimeError, match="gone"):
            common.answer_isolating(run, lambda item, fault: Reply(key="", text=None), lambda: False, [1, 2, 3])


@given(st.integers())
def test_seeds_fit_every_engine(seed: int) -> None:
    assert 0 <= common.seed_of(Request(key="k", prompt="", seed=seed)) < 2**63
