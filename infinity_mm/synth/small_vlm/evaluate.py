"""Asking a model about drawn pictures, and counting the replies that are right.

A reply counts only as a whole: all tags with their confidences, the very type, a question of the right type with
the right answer in the right form and no right option among the wrong ones, the very score. Nothing is given for
part of it. Pictures come from seeds that training does not use.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from infinity_mm.keyed import keyed_u64
from infinity_mm.synth.chat import Chat, Reply
from infinity_mm.synth.rows import FORMATS, Format
from infinity_mm.synth.small_vlm.questions import ask_all
from infinity_mm.synth.small_vlm.render import SIDE, draw, draw_unknown, png
from infinity_mm.synth.small_vlm.scenes import Scene, draw_scene
from infinity_mm.synth.small_vlm.tasks import SHARES, Example, Maker, TaskName, askable

#: Which pictures: of combinations seen in training, of combinations never seen, of no known kind.
Split = Literal["seen", "held_out", "unknown"]
SPLITS: Final[tuple[Split, ...]] = ("seen", "held_out", "unknown")
_OF_UNKNOWN: Final[tuple[TaskName, ...]] = ("tag", "classify", "judge", "relevance")


@dataclass(frozen=True)
class Case:
    """One picture with one request and what the right reply is."""

    split: Split
    scene: Scene | None
    example: Example

    @property
    def group(self) -> str:
        """Task, with the format of the answer where the task has several."""
        if self.example.task in ("generate", "judge"):
            return f"{self.example.task} {self.example.form}"
        return self.example.task


@dataclass
class Score:
    """How many replies of a group were right, and some that were not."""

    asked: int = 0
    right: int = 0
    #: (request key, reply, right reply) of the first replies that were wrong.
    wrong: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def accuracy(self) -> float:
        """Share of right replies, 0 to 1."""
        return self.right / self.asked if self.asked else float("nan")


def cases(pictures: int, seed: int = 1, side: int = SIDE, temperature: float = 0.0) -> list[Case]:
    """Return one case of each task for each of `pictures` pictures of each split.

    `temperature` is that of the requests which write questions; all others are greedy.
    """
    made = []
    for split in SPLITS:
        for index in range(pictures):
            rng = random.Random(keyed_u64(seed, f"small_vlm.evaluate.{split}", str(index)))
            scene = None if split == "unknown" else draw_scene(rng, held_out=split == "held_out")
            image = draw_unknown(rng, side) if scene is None else draw(scene, rng, side)
            maker, data = Maker(rng), png(image)
            for task in _OF_UNKNOWN if scene is None else SHARES:
                example = maker.example(scene, task)
                request = example.request
                heat = temperature if task == "generate" else 0.0
                sampling = request.sampling.model_copy(update={"temperature": heat})
                update = {"key": f"{split}/{index}/{task}", "images": (data,), "sampling": sampling, "seed": index}
                asked = request.model_copy(update=update)
                done = Example(example.task, asked, example.target, example.form, example.question)
                made.append(Case(split, scene, done))
    return made


def ask(chat: Chat, asked: Sequence[Case], keep_wrong: int = 3) -> dict[tuple[str, Split], Score]:
    """Put every case to the model; return the scores by group and split."""
    scores: dict[tuple[str, Split], Score] = {}
    replies = chat([case.example.request for case in asked])
    for case, reply in zip(asked, replies, strict=True):
        score = scores.setdefault((case.group, case.split), Score())
        score.asked += 1
        if is_right(case, reply):
            score.right += 1
        elif len(score.wrong) < keep_wrong:
            said = reply.text if reply.text is not None else f"({reply.error}: {reply.detail})"
            score.wrong.append((reply.key, said, case.example.target))
    return scores


def is_right(case: Case, reply: Reply) -> bool:
    """Tell whether a reply is right as a whole; a failed call is not."""
    if reply.text is None:
        return False
    match case.example.task:
        case "tag":
            return _tags(reply.text) == _tags(case.example.target)
        case "generate":
            return _is_right_pair(case, reply.text)
        case "judge":
            return bool(json.loads(reply.text)["score"] == json.loads(case.example.target)["score"])
    return reply.text.strip() == case.example.target


def _tags(text: str) -> dict[str, int]:
    return {tag["tag"]: tag["confidence"] for tag in json.loads(text)["tags"]}


def _is_right_pair(case: Case, text: str) -> bool:
    """Tell whether question, answer and distractors are true of the scene and of the type that was asked for."""
    value, wanted, form = json.loads(text), case.example.question, case.example.form
    if wanted is None or form is None or case.scene is None:
        return False
    return is_true(case.scene, wanted.leaf, form, value["question"], value["answer"], value.get("distractors", []))


def is_true(scene: Scene, leaf: str, form: Format, question: str, answer: str, distractors: Sequence[str] = ()) -> bool:
    """Tell whether a question is one of the type that the scene answers, the answer true, and each distractor wrong."""
    same = [q for q in askable(scene) if q.leaf == leaf and q.text == question]
    fitting = [q for q in same if q.said(form) == answer]
    if not fitting:
        return False
    if form != "multiple_choice":
        return True
    right = {q.answer for q in ask_all(scene) if q.text == question}
    return len({answer, *distractors}) == 4 and not right & set(distractors)


def table(scores: dict[tuple[str, Split], Score]) -> str:
    """Return the accuracies as lines of text, a group a line, right and asked by split."""
    order = [name for task in SHARES for name in (task, *(f"{task} {form}" for form in FORMATS))]
    groups = sorted({group for group, _ in scores}, key=order.index)
    lines = [f"{'task':<28}" + "".join(f"{split:>20}" for split in SPLITS)]
    for group in groups:
        cells = []
        for split in SPLITS:
            score = scores.get((group, split))
            cells.append(f"{score.accuracy:>8.1%} {f'{score.right}/{score.asked}':>11}" if score else " " * 20)
        lines.append(f"{group:<28}" + "".join(cells))
    return "\n".join(line.rstrip() for line in lines)
