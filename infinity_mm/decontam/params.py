"""Parameters of decontamination: the recipe's key `decontaminate`, and what an index is made with."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from infinity_mm.frozen import Frozen
from infinity_mm.record import Category


class IndexParams(Frozen):
    """How the hashes of an index are made; all benchmarks of an index have the same."""

    #: Words of an n-gram; a question of fewer words is one n-gram by itself.
    ngram: int = Field(default=8, ge=2, le=32)
    #: Share of pixels within two levels of the most frequent luma from which a picture counts as rendered.
    max_flat: float = Field(default=0.5, ge=0.0, le=1.0)
    #: Standard deviation of the luma (0 to 127.5) below which a picture is blank.
    min_luma_std: float = Field(default=4.0, ge=0.0)
    #: Whether answers are hashed as well.
    answers: bool = False


class MatchParams(Frozen):
    """What counts as the same picture, and as the same question.

    A picture matches by itself if it is equal in pixels, or if its perceptual hash is within the radius and neither of
    the two is rendered or blank: pages, charts and blank pictures share hashes. A question matches by itself if it is
    contained in the row, long enough, and no template. Any other matches count only where picture and question belong
    to the same item.
    """

    #: Hamming distance, in bits of 64, up to which perceptual hashes match.
    radius: int = Field(default=4, ge=0, le=16)
    #: Pictures whose luma deviates less (0 to 127.5) are blank.
    min_luma_std: float = Field(default=4.0, ge=0.0)
    #: Rows of these categories have rendered pictures, and so has every row whose picture is mostly one tone, as
    #: `IndexParams.max_flat` of the index has it.
    pixel_exact_categories: tuple[Category, ...] = ("doc_chart_screen", "general_ocr", "math_reasoning")
    #: Share of a question's n-grams from which it counts as contained in a row.
    min_overlap: float = Field(default=0.8, gt=0.0, le=1.0)
    #: Questions of fewer tokens count only together with the picture.
    min_question_tokens: int = Field(default=8, ge=1)
    #: A question that is asked about more different pictures than this, in the evaluation sets or in the data, is a
    #: template, and counts only together with the picture.
    max_pictures: int = Field(default=10, ge=1)
    #: What must match: the picture, the question, one of them, or both of the same item.
    require: Literal["image", "text", "either", "both"] = "either"


class DecontamParams(MatchParams):
    """The recipe's key `decontaminate`."""

    #: Folder or URI of an index that `infinity-mm decontaminate build` has written; relative to the recipe's folder.
    index: str
    #: Of the content that is used, 16 hex digits; filled in when the recipe is loaded. Where it is given, an index of
    #: another content is refused.
    digest: str = ""
    #: Benchmarks of the index that count; () for all.
    benchmarks: tuple[str, ...] = ()
    #: Whether rows that match are dropped, or kept and marked in the attributes and the manifest.
    mode: Literal["drop", "mark"] = "drop"
    #: The run stops when a source would lose a larger share of its rows.
    max_drop: Annotated[float, Field(ge=0.0, le=1.0)] = 0.1

    def matching(self) -> MatchParams:
        """Return what matches, without what follows from it."""
        return MatchParams.model_validate(self.model_dump(include=set(MatchParams.model_fields)))
