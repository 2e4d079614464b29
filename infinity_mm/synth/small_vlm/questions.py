"""What can be asked about a scene, with the true answer, and answers that are wrong.

`ask_all` lists every question that has exactly one right answer in the scene, under the instruction types of
the taxonomy. The wording of questions and sentences is fixed, so that what a model writes can be compared with
the truth word by word.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from infinity_mm.synth.small_vlm.scenes import (
    BARS,
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
    draw_scene,
)

#: What each kind of picture is called.
CATEGORY: Final = {"shapes": "drawing of shapes", "chart": "bar chart", "sign": "sign"}
CATEGORIES: Final = (*CATEGORY.values(), "photograph", "map")
PLURAL: Final = {shape: shape + ("es" if shape == "cross" else "s") for shape in SHAPES}
NUMBERS: Final = tuple(str(n) for n in range(5))
YES_NO: Final = ("yes", "no")
#: The sentence that states an answer, in explanations.
CLOSE: Final = "The answer is {}."


@dataclass(frozen=True)
class Question:
    """One question about one scene."""

    #: Instruction type, a leaf of the taxonomy.
    leaf: str
    text: str
    #: The answer as a word, a number or a phrase.
    answer: str
    #: All answers of this sort, in a fixed order, the right one among them.
    sort: tuple[str, ...]
    #: What can be seen in the whole picture, in sentences.
    seen: tuple[str, ...]
    #: What the question takes for granted, as `terms` names it; a picture without it cannot answer.
    about: tuple[str, ...] = ()

    @property
    def wrong(self) -> tuple[str, ...]:
        """Answers of the same sort that are wrong, those that follow the right one first (the last is followed by
        the first): at least three, or one for a yes or no."""
        place = self.sort.index(self.answer)
        return (*self.sort[place + 1 :], *self.sort[:place])

    @property
    def options(self) -> bool:
        """True where options can be offered, False for a yes or no."""
        return self.sort != YES_NO

    def brief(self, answer: str | None = None) -> str:
        """Return what is seen and the answer; with `answer`, the same text ending in another answer."""
        return f"{self.seen[0]} {CLOSE.format(answer or self.answer)}"

    def detailed(self, answer: str | None = None) -> str:
        """Return the same with more sentences, 80 characters or more."""
        return " ".join((*self.seen, CLOSE.format(answer or self.answer)))

    def said(self, form: str, answer: str | None = None) -> str:
        """Return the answer in one of the formats of `infinity_mm.synth.rows`."""
        match form:
            case "brief":
                return self.brief(answer)
            case "detailed":
                return self.detailed(answer)
        return answer or self.answer


#: Types by kind of picture; those that look more closely at the picture come first.
PREFERENCE: Final[dict[str, tuple[str, ...]]] = {
    "shapes": ("Count objects", "Locate object", "Recognize shape", "Recognize color", "Identify image category"),
    "chart": ("Parse bar charts", "Parse charts", "Compare values", "Count objects", "Identify image category"),
    "sign": ("Recognize text", "Parse text", "Recognize color", "Identify image category"),
}


def ask_all(scene: Scene) -> list[Question]:
    """Return every question of the scene, in a fixed order."""
    match scene:
        case Shapes():
            found = [*_shapes_asked(scene)]
        case Chart():
            found = [*_chart_asked(scene)]
        case Sign():
            found = [*_sign_asked(scene)]
    kind = CATEGORY[scene.kind]
    seen = seen_in(scene)
    return [*found, Question("Identify image category", "What kind of picture is this?", kind, CATEGORIES, seen)]


def seen_in(scene: Scene) -> tuple[str, str, str]:
    """Return three sentences about the whole picture."""
    match scene:
        case Shapes():
            count = len(scene.things)
            number = "There is 1 object." if count == 1 else f"There are {count} objects."
            return "The picture is a drawing of shapes.", number, "Nothing else stands on the plain background."
        case Chart():
            return "The picture is a bar chart.", f"There are {len(scene.bars)} bars.", "Each box of a bar counts 1."
    return "The picture is a sign.", f"The word has {len(scene.word)} letters.", "They stand on a colored plate."


def terms(scene: Scene) -> set[str]:
    """Return what the scene shows, in the terms of `Question.about`."""
    match scene:
        case Shapes():
            each = ({thing.shape, f"{thing.color} object", thing.place} for thing in scene.things)
            return {"shapes"}.union(*each)
        case Chart():
            return {"bars"}.union(*({f"{bar.color} bar", f"value {bar.value}"} for bar in scene.bars))
    return {"sign"}


def leaves(scene: Scene) -> tuple[str, ...]:
    """Return the instruction types that suit the scene, the one to prefer first."""
    return PREFERENCE[scene.kind]


def article(name: str) -> str:
    """Return the name with "a" or "an"."""
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _shapes_asked(scene: Shapes) -> Iterator[Question]:
    things, seen = scene.things, seen_in(scene)
    for shape, thing in alone(things, "shape").items():
        yield Question("Recognize color", f"What color is the {shape}?", thing.color, COLORS, seen, (shape,))
        yield Question("Locate object", f"Where is the {shape}?", thing.place, PLACES, seen, (shape,))
    for color, thing in alone(things, "color").items():
        name = f"{color} object"
        yield Question("Recognize shape", f"What shape is the {name}?", thing.shape, SHAPES, seen, (name,))
        yield Question("Locate object", f"Where is the {name}?", thing.place, PLACES, seen, (name,))
    for thing in things:
        there, about = f"the object in the {thing.place}", (thing.place,)
        yield Question("Recognize color", f"What color is {there}?", thing.color, COLORS, seen, about)
        yield Question("Recognize shape", f"What shape is {there}?", thing.shape, SHAPES, seen, about)
    counted = {PLURAL[shape]: (shape, sum(thing.shape == shape for thing in things)) for shape in SHAPES}
    for color in COLORS:
        counted[f"{color} objects"] = f"{color} object", sum(thing.color == color for thing in things)
    for names, (name, count) in counted.items():
        text = f"How many {names} are there?"
        yield Question("Count objects", text, str(count), NUMBERS, seen, (name,) if count else ("shapes",))
        yield Question("Detect presence", f"Is there {article(name)} in the picture?", _yes(count > 0), YES_NO, seen)
    yield Question("Count objects", "How many objects are there?", str(len(things)), NUMBERS, seen, ("shapes",))


def _yes(true: bool) -> str:
    return YES_NO[0] if true else YES_NO[1]


def _chart_asked(scene: Chart) -> Iterator[Question]:
    seen, values = seen_in(scene), NUMBERS[1 : MAX_VALUE + 1]
    for bar in scene.bars:
        name, value = f"{bar.color} bar", str(bar.value)
        yield Question("Parse bar charts", f"What is the value of the {name}?", value, values, seen, (name,))
        text, about = f"Which bar has the value {value}?", (f"value {value}",)
        yield Question("Parse charts", text, bar.color, COLORS, seen, about)
    ranked = sorted(scene.bars, key=lambda bar: bar.value)
    for word, bar in (("lowest", ranked[0]), ("highest", ranked[-1])):
        yield Question("Compare values", f"Which bar is the {word}?", bar.color, COLORS, seen, ("bars",))
    count = str(len(scene.bars))
    yield Question("Count objects", "How many bars are there?", count, NUMBERS, seen, ("bars",))
    present = {bar.color for bar in scene.bars}
    for color in COLORS:
        text = f"Is there {article(color)} bar in the picture?"
        yield Question("Detect presence", text, _yes(color in present), YES_NO, seen)


def _sign_asked(scene: Sign) -> Iterator[Question]:
    seen, about = seen_in(scene), ("sign",)
    yield Question("Recognize text", "What does the sign say?", scene.word, WORDS, seen, about)
    length = str(len(scene.word))
    yield Question("Parse text", "How many letters does the word have?", length, NUMBERS, seen, about)
    yield Question("Recognize color", "What color is the sign?", scene.color, COLORS, seen, about)


@cache
def every_question() -> tuple[str, ...]:
    """Return the text of every question that any scene can raise, in order of the alphabet."""
    rng = random.Random(5)
    found = {question.text for index in range(1500) for question in ask_all(draw_scene(rng, KINDS[index % 3]))}
    return tuple(sorted(found))


@cache
def every_sentence() -> tuple[str, ...]:
    """Return every sentence that explanations hold beside the one that states the answer."""
    rng = random.Random(6)
    scenes = (draw_scene(rng, KINDS[index % 3]) for index in range(60 * len(BARS)))
    return tuple(sorted({sentence for scene in scenes for sentence in seen_in(scene)}))


def pick(rng: random.Random, questions: Sequence[Question]) -> Question:
    """Return one of the questions: the type is drawn first, then the answer, so that no type or answer prevails."""
    types = sorted({question.leaf for question in questions})
    leaf = rng.choices(types, [0.3 if name == "Identify image category" else 1.0 for name in types])[0]
    same = [question for question in questions if question.leaf == leaf]
    answer = rng.choice(sorted({question.answer for question in same}))
    return rng.choice([question for question in same if question.answer == answer])
