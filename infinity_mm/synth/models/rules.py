"""What a family of models tells about pictures and settings, in the shape that all families share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

#: Longer side over shorter side. Qwen's processors refuse more, and no other family was trained on such strips.
LARGEST_ASPECT: Final = 200.0


class PictureRule(Protocol):
    """How a processor turns the size of a picture into tokens of the prompt. Immutable."""

    @property
    def smallest_side(self) -> int:
        """Pixels that the shorter side must have; a smaller picture is scaled up to it."""
        ...

    @property
    def largest_aspect(self) -> float:
        """Longer side over shorter side, at most; ``inf`` where there is no limit."""
        ...

    def tokens(self, width: int, height: int) -> int:
        """Return the tokens that stand in the prompt for a picture of this size in pixels, marks around it included.

        Exact for what becomes features. Of the marks between tiles, a line break too many may be counted where the
        tokenizer merges two of them.
        """
        ...

    def most(self, side: int | None = None) -> int:
        """Return a bound on `tokens` for pictures whose longer side is at most `side` pixels (None: for any)."""
        ...

    def within(self, budget: int) -> PictureRule | None:
        """Return this rule with settings under which no picture takes more than `budget` tokens, or None."""
        ...

    def arguments(self) -> dict[str, Any]:
        """Return the processor's arguments that make it follow this rule."""
        ...


@dataclass(frozen=True)
class Family:
    """One family of models, as far as its members are alike."""

    #: As people call it.
    name: str
    #: Regular expression that a model's name, in lower case and without its owner, matches somewhere.
    names: str
    #: ``model_type`` of config.json.
    model_types: tuple[str, ...]
    #: (name, config.json, the image processor's part of its configuration) -> the checkpoint's own rule. Any of them
    #: may be empty; then the published checkpoints' values hold.
    rule: Callable[[str, Mapping[str, Any], Mapping[str, Any]], PictureRule]
    #: True where configuration or processor are Python files of the checkpoint, which run only if the user allows it.
    remote_code: bool = False
    #: True where transformers has the model itself.
    in_transformers: bool = True
    #: Packages that its processor imports, beside what the engines need.
    packages: tuple[str, ...] = ()
    #: True where the model also takes videos: its engine is told not to reserve memory for them.
    videos: bool = False
    #: Of the chat template; no thinking aloud, for a constrained answer has no place for it.
    template: Mapping[str, Any] = field(default_factory=dict)
    #: True where the picture stands before all instructions, see `infinity_mm.synth.engines.common.messages`.
    picture_first: bool = False
    #: Tokens of prompt plus answer, and pixels of the longer side, where the recipe says nothing.
    max_model_len: int = 8192
    max_image_side: int = 1024


def fitted(rule: PictureRule, width: int, height: int) -> tuple[int, int] | str:
    """Return the size, in pixels, to scale a picture to before its processor sees it, or why it cannot be used.

    A picture too small is scaled up, its aspect ratio kept as far as whole pixels allow.
    """
    short, long = sorted((width, height))
    if long > rule.largest_aspect * short:
        return f"{width} x {height} pixels; the longer side may be {rule.largest_aspect:g} times the shorter one"
    if short >= rule.smallest_side:
        return width, height
    scale = rule.smallest_side / short
    longer = min(math.ceil(long * scale), math.floor(rule.largest_aspect * rule.smallest_side))
    return (rule.smallest_side, longer) if width <= height else (longer, rule.smallest_side)


def most_cells(area: float, slack: float, largest_aspect: float = LARGEST_ASPECT) -> int:
    """Return a bound on rows x columns of a grid over a rectangle of `area` cells, each side raised by `slack` cells.

    A side below one cell counts as one. The bound is over all aspect ratios up to `largest_aspect`; a rectangle's
    sides sum up to most where it is narrowest.
    """
    sides = math.sqrt(area) * (math.sqrt(largest_aspect) + 1 / math.sqrt(largest_aspect))
    raised = area + slack * sides + slack * slack
    clamped = math.sqrt(area * largest_aspect) + slack
    return math.floor(max(raised, clamped) + 1e-6)
