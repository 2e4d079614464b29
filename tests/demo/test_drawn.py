"""Drawn pictures of the demo: true and repeatable."""

import hashlib
import io

import numpy as np
from PIL import Image

from infinity_mm.demo.drawn import drawn_pictures
from infinity_mm.synth.small_vlm.questions import ask_all
from infinity_mm.synth.small_vlm.scenes import KINDS


def test_the_answers_are_those_of_the_scene():
    drawn = drawn_pictures(17, 40)
    assert {one.truth.kind for one in drawn} == set(KINDS)
    for one in drawn:
        true = {(question.text, question.answer) for question in ask_all(one.truth)}
        assert one.scene.asks
        assert {(ask.question, ask.short) for ask in one.scene.asks} <= true
        assert one.sha256 == hashlib.sha256(one.scene.picture.data).hexdigest()


def test_same_seed_same_pictures():
    assert [one.sha256 for one in drawn_pictures(17, 6)] == [one.sha256 for one in drawn_pictures(17, 6)]
    assert {one.sha256 for one in drawn_pictures(17, 6)}.isdisjoint(one.sha256 for one in drawn_pictures(18, 6))


def test_no_picture_is_flat():
    for one in drawn_pictures(17, 64):
        assert np.asarray(Image.open(io.BytesIO(one.scene.picture.data)).convert("L")).std() > 3
