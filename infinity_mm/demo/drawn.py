"""Pictures that the embedded model knows, with their truth: shapes, bar charts and signs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from infinity_mm.demo.draft import Ask, Scene, dice, encode
from infinity_mm.synth.small_vlm import scenes
from infinity_mm.synth.small_vlm.questions import CATEGORY, pick
from infinity_mm.synth.small_vlm.render import draw
from infinity_mm.synth.small_vlm.tasks import askable

#: Pixels a side; twice what the model sees.
_SIDE = 128
_ASKS = 3


@dataclass(frozen=True)
class Drawn:
    """A drawn picture as the demo's scene, and what is in it."""

    scene: Scene
    truth: scenes.Scene

    @property
    def sha256(self) -> str:
        """Digest of the encoded picture, 64 hex digits, as a record names it."""
        return hashlib.sha256(self.scene.picture.data).hexdigest()


def drawn_pictures(seed: int, count: int) -> list[Drawn]:
    """Return `count` pictures, none of them drawn in training, each with up to three questions."""
    return [_drawn(seed, number) for number in range(count)]


def _drawn(seed: int, number: int) -> Drawn:
    rng = dice(seed, "drawn", number)
    truth = scenes.draw_scene(rng)
    picture = encode(draw(truth, rng, _SIDE), f"drawn{number:03d}", ".png")
    asked = {}
    for _ in range(_ASKS):
        question = pick(rng, askable(truth))
        asked[question.text] = Ask(question.text, question.answer, question.brief())
    captions = (f"a {CATEGORY[truth.kind]}",)
    return Drawn(Scene("drawing", picture, captions, tuple(asked.values()), "drawn"), truth)
