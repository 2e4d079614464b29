"""What can be asked about a scene, with the true answer, the reason in sentences, and answers that are wrong.

`ask_all` lists every question that has exactly one right answer in the scene, under the instruction types of
the taxonomy. The wording of questions and sentences is fixed, so that what a model writes can be compared with
the truth word by word.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from infinity_mm.synth.small_vlm.scenes import (
    BARS,
    COLORS,
    LABELS,
    MAX_THINGS,
    MAX_VALUE,
    PLACES,
    SHAPES,
    WORDS,
    Chart,
    Scene,
    Shapes,
    Sign,
    Thing,
)

#: What each kind of picture is called.
CATEGORY: Final = {"shapes": "drawing of shapes", "chart": "bar chart", "sign": "sign"}
CATEGORIES: Final = (*CATEGORY.values(), "photograph", "map", "line chart")
DIRECTIONS: Final = (
    *("above", "below", "to the left", "to the right"),
    *("above and to the left", "above and to the right", "below and to the left", "below and to the right"),
)
PLURAL: Final = {shape: shape + ("es" if shape == "cross" else "s") for shape in SHAPES}
#: Every color with every shape.
NAMES: Final = tuple(f"{color} {shape}" for color in COLORS for shape in SHAPES)
_NUMBERS: Final = tuple(str(n) for n in range(10))
_LENGTHS: Final = tuple(str(n) for n in range(2, 8))


@dataclass(frozen=True)
class Question:
    """One question about one scene."""

    #: Instruction type, a leaf of the taxonomy.
    leaf: str
    text: str
    #: The answer as a word, a number or a phrase.
    answer: str
    #: What can be seen that leads to the answer, in sentences.
    reason: tuple[str, ...]
    #: Sentence that states the answer, with {} in its place.
    close: str
    #: Answers of the same sort that are wrong, at least three (one for a yes or no).
    wrong: tuple[str, ...]
    #: What the question takes for granted, as `terms` names it; a picture without it cannot answer.
    about: tuple[str, ...] = ()
    #: Sentences that come first in a detailed answer.
    opening: tuple[str, ...] = ()
    #: False for a question that makes sense only with options, and for yes or no, which has none.
    open: bool = True
    options: bool = True

    def brief(self, answer: str | None = None) -> str:
        """Return reason and answer; with `answer`, the same text ending in another answer."""
        return " ".join((*self.reason, self.close.format(answer or self.answer)))

    def detailed(self, answer: str | None = None) -> str:
        """Return opening, reason and answer, 80 characters or more."""
        return " ".join((*self.opening, self.brief(answer)))

    def said(self, form: str, answer: str | None = None) -> str:
        """Return the answer in one of the formats of `infinity_mm.synth.rows`."""
        match form:
            case "brief":
                return self.brief(answer)
            case "detailed":
                return self.detailed(answer)
        return answer or self.answer


def ask_all(scene: Scene) -> list[Question]:
    """Return every question of the scene, in a fixed order."""
    match scene:
        case Shapes():
            found = list(_about_shapes(scene))
        case Chart():
            found = list(_about_chart(scene))
        case Sign():
            found = list(_about_sign(scene))
    return found


def terms(scene: Scene) -> set[str]:
    """Return what the scene shows, in the terms of `Question.about`."""
    match scene:
        case Shapes():
            each = ({thing.shape, thing.color, thing.name, thing.place} for thing in scene.things)
            return set().union(*each)
        case Chart():
            each = ({f"bar {bar.label}", f"{bar.color} bar", f"value {bar.value}"} for bar in scene.bars)
            return {"bars"}.union(*each)
    return {"sign"}


def leaves(scene: Scene) -> tuple[str, ...]:
    """Return the instruction types that suit the scene, the one to prefer first."""
    have = {question.leaf for question in ask_all(scene)}
    return tuple(leaf for leaf in PREFERENCE[scene.kind] if leaf in have)


#: Types by kind of picture; those that look more closely at the picture come first.
PREFERENCE: Final[dict[str, tuple[str, ...]]] = {
    "shapes": (
        "Determine relative position", "Compare quantities", "Count objects", "Identify specific object",
        "Locate object", "Recognize color", "Recognize shape", "Detect presence", "Identify image category",
    ),
    "chart": (
        "Parse bar charts", "Parse charts", "Compare values", "Recognize color", "Count objects",
        "Detect presence", "Identify image category",
    ),
    "sign": ("Recognize text", "Parse text", "Recognize color", "Identify image category"),
}  # fmt: skip


def article(name: str) -> str:
    """Return the name with "a" or "an"."""
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def listed(parts: Sequence[str]) -> str:
    """Return the parts joined by commas and a final "and"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _others(values: Sequence[str], *right: str) -> tuple[str, ...]:
    return tuple(value for value in values if value not in right)


# --- shapes ----------------------------------------------------------------------------------------------------------


def _about_shapes(scene: Shapes) -> Iterator[Question]:
    things = scene.things
    many = "is 1 object" if len(things) == 1 else f"are {len(things)} objects"
    opening = ("The picture is a drawing of shapes.", f"There {many} on a plain background.")
    for question in (*_single(things), *_counts(things), *_presence(things), *_relations(things)):
        yield _with_opening(question, opening)
    shows = "All objects have plain colors."
    yield _with_opening(_category("shapes", shows), (opening[1], "Nothing else can be seen in the picture."))


def _with_opening(question: Question, opening: tuple[str, ...]) -> Question:
    return replace(question, opening=opening)


def _category(kind: str, shows: str) -> Question:
    right = CATEGORY[kind]
    wrong = _others(CATEGORIES, right)
    return Question("Identify image category", "What kind of picture is this?", right, (shows,), "It is a {}.", wrong)


def _single(things: tuple[Thing, ...]) -> Iterator[Question]:
    """Ask for color, shape and place of one thing that a shape, a color, both or a place tells from the others."""
    shapes, colors, names = (Counter(getattr(t, part) for t in things) for part in ("shape", "color", "name"))
    for t in things:
        other_colors, other_shapes = _others(COLORS, t.color), _others(SHAPES, t.shape)
        if shapes[t.shape] == 1:
            where = (f"The {t.shape} is in the {t.place}.",)
            yield Question(
                "Recognize color",
                f"What color is the {t.shape}?",
                t.color,
                where,
                "It is {}.",
                other_colors,
                (t.shape,),
            )
        if colors[t.color] == 1:
            where = (f"The {t.color} object is in the {t.place}.",)
            text = f"What shape is the {t.color} object?"
            yield Question("Recognize shape", text, t.shape, where, "It is a {}.", other_shapes, (t.color,))
        if names[t.name] == 1:
            sure = (f"There is one {t.name} in the picture.",)
            text = f"Where is the {t.name}?"
            yield Question(
                "Locate object", text, t.place, sure, "It is in the {}.", _others(PLACES, t.place), (t.name,)
            )
        text = f"What color is the object in the {t.place}?"
        reason = (f"It is a {t.shape}.",)
        yield Question("Recognize color", text, t.color, reason, "Its color is {}.", other_colors, (t.place,))
        text = f"What shape is the object in the {t.place}?"
        reason = (f"The object is {t.color}.",)
        yield Question("Recognize shape", text, t.shape, reason, "It is a {}.", other_shapes, (t.place,))
        wrong = tuple(
            f"{color} {shape}" for color in COLORS for shape in SHAPES if (color, shape) != (t.color, t.shape)
        )
        sure = (f"There is one object in the {t.place}.",)
        close = "It is an {}." if t.color[0] in "aeiou" else "It is a {}."
        text = f"Which object is in the {t.place}?"
        yield Question("Identify specific object", text, t.name, sure, close, wrong, (t.place,))


def _counts(things: tuple[Thing, ...]) -> Iterator[Question]:
    groups = [(PLURAL[shape], [t for t in things if t.shape == shape]) for shape in SHAPES]
    groups += [(f"{color} objects", [t for t in things if t.color == color]) for color in COLORS]
    groups += [("objects", list(things))]
    for name, members in groups:
        places = [f"the {t.place}" for t in members]
        reason = (f"I look at {listed(places)}.",) if members else (f"There are no {name} in the picture.",)
        answer = str(len(members))
        wrong = _others(_NUMBERS[: MAX_THINGS + 1], answer)
        yield Question("Count objects", f"How many {name} are there?", answer, reason, "The number is {}.", wrong)


def _presence(things: tuple[Thing, ...]) -> Iterator[Question]:
    present = {t.name: t for t in things}
    shapes, colors = {t.shape for t in things}, {t.color for t in things}
    absent = [name for name in NAMES if name not in present]
    for name, t in present.items():
        reason = (f"I look at the {t.place}.",)
        yield _yes_no(f"Is there {article(name)} in the picture?", "yes", (*reason, f"It shows {article(name)}."))
        text = "Which of these objects is in the picture?"
        yield Question("Detect presence", text, name, reason, "The answer is {}.", tuple(absent), open=False)
    for name in absent:
        color, shape = name.split()
        # Of what is not there, ask for what is half there: any model would see that the rest is missing.
        if color in colors or shape in shapes or len(things) == 1:
            yield _yes_no(f"Is there {article(name)} in the picture?", "no", (f"No {shape} is {color}.",))


def _yes_no(text: str, answer: str, reason: tuple[str, ...]) -> Question:
    wrong = ("no",) if answer == "yes" else ("yes",)
    return Question("Detect presence", text, answer, reason, "The answer is {}.", wrong, options=False)


def _relations(things: tuple[Thing, ...]) -> Iterator[Question]:
    names = Counter(t.name for t in things)
    alone = [t for t in things if names[t.name] == 1]
    for a in alone:
        for b in alone:
            if a is not b:
                answer = direction(a.cell, b.cell)
                text = f"Where is the {a.name} relative to the {b.name}?"
                reason = (f"The {a.name} is in the {a.place}, and the {b.name} at the {b.place}.",)
                leaf, wrong = "Determine relative position", _others(DIRECTIONS, answer)
                yield Question(leaf, text, answer, reason, "So it is {}.", wrong, (a.name, b.name))
    ranked = Counter(t.shape for t in things).most_common()
    if len(ranked) > 1 and ranked[0][1] > ranked[1][1]:
        shape, count = ranked[0]
        text = "Which shape appears most often?"
        times = (f"One shape appears {count} times.",)
        yield Question("Compare quantities", text, shape, times, "It is the {}.", _others(SHAPES, shape))


def direction(a: int, b: int) -> str:
    """Return where cell `a` lies as seen from cell `b`, one of `DIRECTIONS`."""
    (row_a, column_a), (row_b, column_b) = divmod(a, 3), divmod(b, 3)
    vertical = "" if row_a == row_b else "above" if row_a < row_b else "below"
    horizontal = "" if column_a == column_b else "to the left" if column_a < column_b else "to the right"
    return " and ".join(part for part in (vertical, horizontal) if part)


# --- charts and signs ------------------------------------------------------------------------------------------------


def _about_chart(scene: Chart) -> Iterator[Question]:
    opening = ("The picture is a bar chart.", f"There are {len(scene.bars)} bars with labels and values.")
    for question in (*_bars(scene), *_whole_chart(scene)):
        yield _with_opening(question, opening)
    shows = "Each bar has a color of its own."
    yield _with_opening(_category("chart", shows), (opening[1], "Nothing else can be seen in the picture."))


def _bars(scene: Chart) -> Iterator[Question]:
    values = Counter(bar.value for bar in scene.bars)
    for bar in scene.bars:
        answer = str(bar.value)
        wrong = _others(_NUMBERS[1 : MAX_VALUE + 1], answer)
        colored = (f"Bar {bar.label} is {bar.color}.",)
        text = f"What is the value of bar {bar.label}?"
        yield Question("Parse bar charts", text, answer, colored, "Its value is {}.", wrong, (f"bar {bar.label}",))
        labelled = (f"The {bar.color} bar has the label {bar.label}.",)
        text = f"What is the value of the {bar.color} bar?"
        yield Question("Parse bar charts", text, answer, labelled, "Its value is {}.", wrong, (f"{bar.color} bar",))
        high = (f"Bar {bar.label} has the value {bar.value}.",)
        text = f"What color is bar {bar.label}?"
        yield Question(
            "Recognize color", text, bar.color, high, "It is {}.", _others(COLORS, bar.color), (f"bar {bar.label}",)
        )
        if values[bar.value] == 1:
            reason = (f"The {bar.color} bar has this value.",)
            text = f"Which bar has the value {bar.value}?"
            yield Question(
                "Parse charts",
                text,
                bar.label,
                reason,
                "It is bar {}.",
                _others(LABELS, bar.label),
                (f"value {bar.value}",),
            )


def _whole_chart(scene: Chart) -> Iterator[Question]:
    ranked = sorted(scene.bars, key=lambda bar: bar.value)
    for word, first, second in (("lowest", ranked[0], ranked[1]), ("highest", ranked[-1], ranked[-2])):
        if first.value != second.value:
            reason = (f"Its value is {first.value}.",)
            wrong = _others(LABELS, first.label)
            text = f"Which bar is the {word}?"
            yield Question("Compare values", text, first.label, reason, "It is bar {}.", wrong, ("bars",))
    count = str(len(scene.bars))
    reason = (f"The labels are {listed([bar.label for bar in scene.bars])}.",)
    wrong = _others(_NUMBERS[1:8], count)
    yield Question("Count objects", "How many bars are there?", count, reason, "The number is {}.", wrong, ("bars",))
    present = {bar.color: bar for bar in scene.bars}
    absent = tuple(f"{color} bar" for color in COLORS if color not in present)
    for color in COLORS:
        text = f"Is there {article(color)} bar in the picture?"
        if color in present:
            yield _yes_no(text, "yes", (f"Bar {present[color].label} is {color}.",))
            if len(absent) >= len(BARS):
                text, name = "Which of these objects is in the picture?", f"{color} bar"
                shows = ("I look at the bars.",)
                yield Question("Detect presence", text, name, shows, "The answer is {}.", absent, open=False)
        else:
            yield _yes_no(text, "no", (f"No bar is {color}.",))


def _about_sign(scene: Sign) -> Iterator[Question]:
    opening = ("The picture is a sign.", "There is one word in capitals on a plate.")
    length, here = str(len(scene.word)), ("sign",)
    says = (f"The sign says {scene.word}.",)
    letters = (f"The word has {length} letters.",)
    text = "What does the sign say?"
    wrong = _others(WORDS, scene.word)
    asked = [Question("Recognize text", text, scene.word, letters, "It says {}.", wrong, here)]
    text = "How many letters does the word have?"
    asked.append(Question("Parse text", text, length, says, "The number is {}.", _others(_LENGTHS, length), here))
    text = "What color is the sign?"
    wrong = _others(COLORS, scene.color)
    asked.append(Question("Recognize color", text, scene.color, says, "It is {}.", wrong, here))
    for question in asked:
        yield _with_opening(question, opening)
    shows = "The letters are large."
    yield _with_opening(_category("sign", shows), (opening[1], "Nothing else can be seen in the picture."))


# --- choosing --------------------------------------------------------------------------------------------------------


def pick(rng: random.Random, questions: Sequence[Question]) -> Question:
    """Return one of the questions: the type is drawn first, then the answer, so that no type or answer prevails."""
    types = sorted({question.leaf for question in questions})
    leaf = rng.choices(types, [0.3 if name == "Identify image category" else 1.0 for name in types])[0]
    same = [question for question in questions if question.leaf == leaf]
    answer = rng.choice(sorted({question.answer for question in same}))
    return rng.choice([question for question in same if question.answer == answer])
