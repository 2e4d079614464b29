"""What the vision tower shall state about a picture, and where: the truth that its dense supervision teaches.

The picture's 16 tokens are slots. Each stands for one color, one shape, or one quarter of the picture, the last for
all of it, and says what can be asked about that; so the decoder finds the answer to "What shape is the red object?"
in the slot for red, wherever the object is. Routing what a patch shows to the slot that asks for it is the tower's
work, and attention over 16 patches does it.
"""

from __future__ import annotations

from typing import Final

from infinity_mm.synth.small_vlm.render import BOX, GRID, Mark
from infinity_mm.synth.small_vlm.scenes import (
    COLORS,
    KINDS,
    MAX_VALUE,
    PLACES,
    SHAPES,
    WORDS,
    Chart,
    Scene,
    Shapes,
    Sign,
    alone,
)

SLOTS: Final = GRID * GRID
#: First slots of the colors, of the shapes, and of the quarters (in charts, of the values); the slot of the whole.
_COLOR, _SHAPE, _PLACE, _WHOLE = 0, len(COLORS), len(COLORS) + len(SHAPES), SLOTS - 1
#: Facts, and how many values each has; 0 stands for "does not apply".
FACTS: Final[dict[str, int]] = {
    "kind": len(KINDS) + 1,
    "slot": SLOTS,
    # Of things with the slot's color or shape plus one; of all things, bars or letters.
    "count": 6,
    # Of what has the slot's shape, place or value to itself; of the sign; of the highest bar.
    "color": len(COLORS) + 1,
    "shape": len(SHAPES) + 1,
    "place": len(PLACES) + 1,
    "height": MAX_VALUE + 1,
    "lowest": len(COLORS) + 1,
    "word": len(WORDS) + 1,
    # Of the first, second, third and fourth thing or bar, for lists of tags.
    "listed_color": len(COLORS) + 1,
    "listed_shape": len(SHAPES) + 1,
}
#: What each cell shall be recognised as, half-way up the tower.
CELLS: Final[dict[str, int]] = {"mark": 1 + len(SHAPES) + 1 + 26, "shade": len(COLORS) + 1}


def facts_of(scene: Scene | None) -> dict[str, list[int]]:
    """Return each fact's value at each slot; of a scene of None, a picture of another kind, nothing but the slots."""
    facts = {name: [0] * SLOTS for name in FACTS}
    facts["slot"] = list(range(SLOTS))
    if scene is not None:
        facts["kind"] = [1 + KINDS.index(scene.kind)] * SLOTS
    match scene:
        case Shapes():
            _of_shapes(facts, scene)
        case Chart():
            _of_chart(facts, scene)
        case Sign():
            facts["color"][_WHOLE] = facts["listed_color"][_PLACE] = 1 + COLORS.index(scene.color)
            facts["word"][_WHOLE] = 1 + WORDS.index(scene.word)
            facts["count"][_WHOLE] = 1 + len(scene.word)
    return facts


def _of_shapes(facts: dict[str, list[int]], scene: Shapes) -> None:
    facts["count"][_WHOLE] = 1 + len(scene.things)
    for first, names in ((_COLOR, COLORS), (_SHAPE, SHAPES)):
        for slot, name in enumerate(names, first):
            facts["count"][slot] = 1 + sum(name in (thing.color, thing.shape) for thing in scene.things)
    for order, thing in enumerate(scene.things):
        color, shape = 1 + COLORS.index(thing.color), 1 + SHAPES.index(thing.shape)
        facts["color"][_PLACE + thing.quarter], facts["shape"][_PLACE + thing.quarter] = color, shape
        facts["listed_color"][_PLACE + order], facts["listed_shape"][_PLACE + order] = color, shape
    for name, thing in alone(scene.things, "color").items():
        slot = _COLOR + COLORS.index(name)
        facts["shape"][slot], facts["place"][slot] = 1 + SHAPES.index(thing.shape), 1 + thing.quarter
    for name, thing in alone(scene.things, "shape").items():
        slot = _SHAPE + SHAPES.index(name)
        facts["color"][slot], facts["place"][slot] = 1 + COLORS.index(thing.color), 1 + thing.quarter


def _of_chart(facts: dict[str, list[int]], scene: Chart) -> None:
    facts["count"][_WHOLE] = 1 + len(scene.bars)
    for order, bar in enumerate(scene.bars):
        color = COLORS.index(bar.color)
        facts["height"][_COLOR + color] = bar.value
        facts["color"][_PLACE + bar.value - 1] = facts["listed_color"][_PLACE + order] = 1 + color
    ranked = sorted(scene.bars, key=lambda bar: bar.value)
    facts["lowest"][_WHOLE] = 1 + COLORS.index(ranked[0].color)
    facts["color"][_WHOLE] = 1 + COLORS.index(ranked[-1].color)


def cells_of(marks: list[Mark]) -> dict[str, list[int]]:
    """Return what each cell is to be recognised as, in reading order: shape, letter or box, and color; 0 for none."""
    cells = {name: [0] * SLOTS for name in CELLS}
    names = (*SHAPES, BOX, *"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    for mark in marks:
        cells["mark"][mark.cell] = 1 + names.index(mark.name)
        cells["shade"][mark.cell] = 1 + COLORS.index(mark.color)
    return cells
