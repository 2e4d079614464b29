"""Facts by hand, and that they hold the answers."""

from infinity_mm.synth.small_vlm.facts import CELLS, FACTS, SLOTS, cells_of, facts_of
from infinity_mm.synth.small_vlm.render import BOX, Mark
from infinity_mm.synth.small_vlm.scenes import COLORS, SHAPES, Bar, Chart, Shapes, Sign, Thing

RED, GREEN, CIRCLE = 0, 1, 6


def test_shapes():
    facts = facts_of(Shapes((Thing("red", "square", 0), Thing("red", "circle", 3))))
    assert facts["kind"] == [1] * SLOTS
    assert facts["count"][:10] == [3, 1, 1, 1, 1, 1, 2, 2, 1, 1]
    assert facts["count"][15] == 3
    # Two things are red: what shape the red one is, and where, has no answer.
    assert facts["shape"][RED] == facts["place"][RED] == 0
    assert facts["color"][CIRCLE] == 1 + COLORS.index("red")
    assert facts["place"][CIRCLE] == 4
    assert facts["shape"][10:14] == [1 + SHAPES.index("square"), 0, 0, 1 + SHAPES.index("circle")]
    assert facts["listed_shape"][10:14] == [1 + SHAPES.index("square"), 1 + SHAPES.index("circle"), 0, 0]


def test_chart():
    facts = facts_of(Chart((Bar("green", 4), Bar("red", 2))))
    assert facts["height"][:3] == [2, 4, 0]
    assert facts["color"][10:14] == [0, 1, 0, 2]
    assert facts["listed_color"][10:14] == [2, 1, 0, 0]
    assert (facts["color"][15], facts["lowest"][15], facts["count"][15]) == (2, 1, 3)


def test_sign_and_nothing():
    facts = facts_of(Sign("OPEN", "blue"))
    assert (facts["word"][15], facts["color"][15], facts["count"][15]) == (2, 3, 5)
    empty = facts_of(None)
    assert empty["slot"] == list(range(SLOTS))
    assert all(not any(values) for name, values in empty.items() if name != "slot")


def test_values_are_within_their_bounds():
    for scene in (Shapes((Thing("black", "cross", 3),)), Chart((Bar("black", 4), Bar("red", 1))), Sign("WAY", "black")):
        assert all(max(values) < FACTS[name] for name, values in facts_of(scene).items())


def test_cells():
    cells = cells_of([Mark("circle", "red", 2), Mark(BOX, "black", 15), Mark("Z", "green", 0)])
    assert [cells["mark"][k] for k in (0, 1, 2, 15)] == [31, 0, 1, 5]
    assert [cells["shade"][k] for k in (0, 1, 2, 15)] == [2, 0, 1, 6]
    assert all(max(cells[name]) < CELLS[name] for name in CELLS)
