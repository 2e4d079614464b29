"""Requests as the synthesis makes them, with the reply that is right for a scene: training and test material.

Every request comes from the step modules themselves, so that system texts, slots and schemas are those of real
runs. A scene of None is a picture of another kind; what can be said of it is that nothing is known.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace
from typing import Final, Literal

from infinity_mm.record import Image
from infinity_mm.synth import step1_tag, step2_classify, step3_generate, step4_filter
from infinity_mm.synth.alter import alterations
from infinity_mm.synth.assemble import FORMAT_HINTS
from infinity_mm.synth.chat import Request, Sampling
from infinity_mm.synth.params import SynthParams
from infinity_mm.synth.prompts import load_prompt
from infinity_mm.synth.rows import FORMATS, LETTERS, Attempt, Format, Generated, Parent, Tag, Tagged, Typed
from infinity_mm.synth.small_vlm.questions import PREFERENCE, YES_NO, Question, ask_all, leaves, pick, terms
from infinity_mm.synth.small_vlm.scenes import COLORS, SHAPES, Chart, Scene, Shapes, draw_scene
from infinity_mm.synth.taxonomy import Leaf, Taxonomy

TaskName = Literal[
    "tag", "classify", "generate", "judge", "relevance", "phrase", "choice", "yes_no", "brief", "detailed"
]
#: Share of each task in training.
SHARES: Final[dict[TaskName, float]] = {
    "tag": 1.5,
    "classify": 0.8,
    "generate": 1.5,
    "judge": 1.5,
    "relevance": 0.8,
    "phrase": 3.0,
    "choice": 1.0,
    "yes_no": 1.0,
    "brief": 0.5,
    "detailed": 0.4,
}
RELEVANCE: Final = ("relevance", 1)
#: Scores of the judge: right, wrong, and a question that the picture cannot answer.
RIGHT, WRONG, UNANSWERABLE = 10, 2, 1
NOT_SHOWN: Final = "The picture does not show this."


@dataclass(frozen=True)
class Example:
    """A request without its picture, and the right reply."""

    task: TaskName
    request: Request
    target: str
    #: Format of the answer asked for, where the task has one.
    form: Format | None = None
    #: The question that the example is about.
    question: Question | None = None


def tags_of(scene: Scene | None) -> tuple[Tag, ...]:
    """Return the right tags, most important first: of what is drawn the model shall be certain (5)."""
    match scene:
        case None:
            return ()
        case Shapes():
            return tuple(Tag(thing.name, 5) for thing in scene.things)
        case Chart():
            return (Tag("bar chart", 5), *(Tag(f"{bar.color} bar", 5) for bar in scene.bars))
    return (Tag(f"{scene.color} sign", 5), Tag("text", 4))


def compact(value: object) -> str:
    """Return JSON without white space, as the grammars of the engines write it."""
    return json.dumps(value, separators=(",", ":"))


class Maker:
    """Draws examples for a scene; all that it draws comes from one generator."""

    def __init__(self, rng: random.Random, params: SynthParams | None = None):
        """Draw from `rng`; `params` are those of the recipe that the requests shall be of (the defaults)."""
        self._rng = rng
        self._params = params or SynthParams(images=1)

    def example(self, scene: Scene | None, task: TaskName) -> Example:
        """Return an example of the task."""
        match task:
            case "tag":
                return self.tag(scene)
            case "classify":
                return self.classify(scene)
            case "judge":
                return self.judge(scene)
            case "relevance":
                return self.relevance(scene)
        if scene is None:
            return self.tag(scene)
        return self.generate(scene) if task == "generate" else self.direct(scene, task)

    def tag(self, scene: Scene | None) -> Example:
        """Return the call of step 1."""
        target = compact({"tags": [{"tag": tag.name, "confidence": tag.confidence} for tag in tags_of(scene)]})
        return Example("tag", step1_tag.request(self._parent(), self._params, 0), target)

    def classify(self, scene: Scene | None) -> Example:
        """Return the call of step 2; half of them offer a selection of types in which the right ones are common."""
        rng, params = self._rng, self._params
        suitable = leaves(scene) if scene is not None else ()
        if rng.random() < 0.5:
            names = set(rng.sample([leaf.name for leaf in Taxonomy.load().leaves], rng.randint(1, 10)))
            common = sorted({leaf for kind in PREFERENCE.values() for leaf in kind})
            names |= set(rng.sample(common, rng.randint(0, 6)))
            params = params.model_copy(update={"types": tuple(sorted(names))})
        row = Attempt(self._tagged(scene), 0)
        offered = {leaf.name for leaf in step2_classify.candidates(row, params, 0)}
        target = next((leaf for leaf in suitable if leaf in offered), step2_classify.NONE)
        return Example("classify", step2_classify.request(row, params, 0), target)

    def generate(self, scene: Scene) -> Example:
        """Return the call of step 3 for a question that suits the scene."""
        form = self._rng.choice(FORMATS)
        question = pick(self._rng, askable(scene))
        value: dict[str, object] = {"question": question.text, "answer": question.said(form)}
        if form == "multiple_choice":
            value["distractors"] = list(question.wrong[:3])
        request = step3_generate.request(self._typed(scene, question.leaf, form), self._params, 0)
        return Example("generate", request, compact(value), form, question)

    def judge(self, scene: Scene | None) -> Example:
        """Return the call of step 4: right answers, wrong ones, and questions that another scene could answer."""
        rng = self._rng
        form = rng.choice(FORMATS)
        draw = rng.random()
        if scene is None or draw < 0.15:
            question, reason, score = self._foreign(scene), NOT_SHOWN, UNANSWERABLE
            answer = question.answer
        else:
            question = pick(rng, askable(scene))
            reason = f"The answer is {question.answer}."
            wrong = draw < 0.6
            score = WRONG if wrong else RIGHT
            answer = rng.choice(question.wrong) if wrong else question.answer
        typed = self._typed(scene, question.leaf, form)
        options: tuple[str, ...] = ()
        if form == "multiple_choice":
            options = self._options(question, answer)
            row = Generated(typed, question.text, answer, options)
        else:
            row = Generated(typed, question.text, question.said(form, answer))
            if score == WRONG and rng.random() < 0.5:
                row = self._altered(replace(row, answer=question.said(form)))
        target = compact({"reason": reason, "score": score})
        return Example("judge", step4_filter.request(row, self._params, 0), target, form, question)

    def _altered(self, row: Generated) -> Generated:
        """Return the row with one of the wrong answers that the pipeline measures its judges with."""
        other = pick(self._rng, askable(draw_scene(self._rng))).said(row.typed.format)
        kinds = [answer for _, answer in alterations(row, (other,), self._rng.getrandbits(32))]
        return replace(row, answer=self._rng.choice(kinds)) if kinds else replace(row, answer="unclear")

    def relevance(self, scene: Scene | None) -> Example:
        """Return the check whether a question can be answered from the picture at all."""
        yes = scene is not None and self._rng.random() < 0.5
        question = pick(self._rng, ask_all(scene)) if scene is not None and yes else self._foreign(scene)
        text = question.text
        if question.options and self._rng.random() < 0.4:
            text = step4_filter.with_options(text, self._options(question, question.answer))
        prompt = load_prompt(*RELEVANCE)
        request = Request(
            key="relevance",
            system=prompt.text("system"),
            prompt=prompt.fill("user", {"question": text}),
            choices=YES_NO,
            sampling=Sampling(max_tokens=8),
        )
        return Example("relevance", request, "yes" if yes else "no", None, question)

    def direct(self, scene: Scene, task: TaskName) -> Example:
        """Return a bare question with the hint that trainers append, as a user of the model would ask it."""
        rng = self._rng
        forms: dict[TaskName, Format] = {"choice": "multiple_choice", "brief": "brief", "detailed": "detailed"}
        form = forms.get(task, "word_or_phrase")
        asked = askable(scene)
        if task == "yes_no":
            asked = [question for question in ask_all(scene) if not question.options] or asked
        question = pick(rng, asked)
        text, target = question.text, question.said(form)
        if form == "multiple_choice":
            options = self._options(question, question.answer)
            text, target = step4_filter.with_options(text, options), LETTERS[options.index(question.answer)]
        lines = f"{text}\n{FORMAT_HINTS[form]}"
        request = Request(key=task, prompt=lines, sampling=Sampling(max_tokens=160))
        return Example(task, request, target, form, question)

    def _options(self, question: Question, proposed: str) -> tuple[str, ...]:
        """Return four options in random order, the right answer and the proposed one among them."""
        chosen = {question.answer, proposed}
        rest = [option for option in question.wrong if option not in chosen]
        options = sorted(chosen | set(self._rng.sample(rest, len(LETTERS) - len(chosen))))
        self._rng.shuffle(options)
        return tuple(options)

    def _foreign(self, scene: Scene | None) -> Question:
        """Return a question about another scene that speaks of something absent from this one."""
        here = terms(scene) if scene is not None else set()
        while True:
            same_kind = scene is not None and self._rng.random() < 0.7
            other = draw_scene(self._rng, scene.kind if scene is not None and same_kind else None)
            absent = [question for question in askable(other) if not here.issuperset(question.about)]
            if absent:
                return pick(self._rng, absent)

    def _parent(self) -> Parent:
        name = f"{self._rng.getrandbits(128):032x}"
        return Parent(name, "drawn", "CC0-1.0", Image(sha256=name * 2, width=64, height=64, format="png", uri="x"), b"")

    def _tagged(self, scene: Scene | None) -> Tagged:
        """Return the scene's tags in the order that step 1 gives them; one in five lists holds an error."""
        rng = self._rng
        tags = list(tags_of(scene)) or [Tag(rng.choice(("photograph", "document", "texture", "text")), 4)]
        if rng.random() < 0.2:
            wrong = Tag(f"{rng.choice(COLORS)} {rng.choice((*SHAPES, 'bar', 'sign'))}", rng.choice((4, 5)))
            tags[rng.randrange(len(tags))] = wrong
        best = {tag.name: tag for tag in tags}
        ordered = sorted(best.values(), key=lambda tag: (-tag.confidence, tag.name))
        return Tagged(self._parent(), tuple(ordered))

    def _typed(self, scene: Scene | None, leaf: str, form: Format) -> Typed:
        return Typed(Attempt(self._tagged(scene), 0), _leaf(leaf), form)


def askable(scene: Scene) -> list[Question]:
    """Return the questions of a scene whose type the classifier chooses for it; they go with every format."""
    return [question for question in ask_all(scene) if question.leaf in PREFERENCE[scene.kind]]


def _leaf(name: str) -> Leaf:
    found = Taxonomy.load().canonical(name)
    if found is None:
        raise KeyError(name)
    return found
