"""What a recipe says of its taggers: the `synth.taggers` key."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from pydantic import Field, field_validator

from infinity_mm.errors import RecipeError
from infinity_mm.frozen import Frozen, TextFile
from infinity_mm.synth.chat import ModelSpec
from infinity_mm.synth.tagging.vocabulary import parse_vocabulary

#: What a template and its place for the tag look like.
PLACE = "{}"
_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
_Score = Annotated[float, Field(ge=0.0, le=1.0)]


class TaggerModel(Frozen):
    """Which checkpoint tags; it runs under transformers."""

    #: Hub name, or a folder written by transformers' `save_pretrained`.
    name: str
    #: Hub commit; None takes the default branch and records what it resolved to.
    revision: str | None = None
    #: GPUs that it holds; 0 runs on the CPU.
    gpus: float = Field(default=0.0, ge=0.0)

    @property
    def spec(self) -> ModelSpec:
        """The same as any other model's specification."""
        return ModelSpec(name=self.name, revision=self.revision, engine="transformers", gpus=self.gpus)


class VocabularyFile(TextFile):
    """A text file with one tag a line; written in a recipe as its path alone."""

    def parse(self) -> tuple[str, ...]:
        """Return the tags, sorted; raises `RecipeError` for a file that is no vocabulary."""
        return parse_vocabulary(self.text, self.file)

    @property
    def sha256(self) -> str:
        """Of the sorted tags, comments and order aside; 64 hex digits."""
        return hashlib.sha256("\n".join(self.parse()).encode()).hexdigest()


class VlmTagger(Frozen):
    """The model that writes the questions lists what it sees, see `infinity_mm.synth.step1_tag`."""

    kind: Literal["vlm"]
    name: _Name = "vlm"


class ZeroShotTagger(Frozen):
    """CLIP (Radford et al. 2021, arXiv:2103.00020) or SigLIP (Zhai et al. 2023, arXiv:2303.15343) over a vocabulary.

    The score of a tag depends on the picture, the tag and the model, and not on the rest of the vocabulary. SigLIP:
    sigmoid of the model's logit, the probability that it was trained to give. CLIP was trained to choose among captions
    and has no probability that one fits; its score is its own softmax over two captions, the tag's and `neutral`: above
    0.5 where the tag fits better than saying nothing.
    """

    kind: Literal["zero_shot"]
    name: _Name = "zero_shot"
    model: TaggerModel
    #: File with one tag a line; ``package`` takes the tags of the project's own seed rows and drawn pictures.
    vocabulary: VocabularyFile
    #: Caption of a picture that shows the tag, which is put in place of ``{}``.
    template: str = "a photo of a {}"
    #: Caption of a picture of which nothing is said; CLIP alone looks at it.
    neutral: str = "a photo"
    #: Least score; None is 0.5 for CLIP and 0.2 for SigLIP, whose probabilities are low also for what is plainly there.
    threshold: _Score | None = None
    #: Most tags of one picture.
    top: int = Field(default=12, ge=1, le=64)
    #: Pictures that the model sees at once. With 1 a picture's scores depend on nothing else; more are faster on a GPU,
    #: and then the last decimal of a score may depend on its place in the batch. Part of what names a result.
    batch: int = Field(default=1, ge=1, le=1024)

    @field_validator("template")
    @classmethod
    def _one_place(cls, value: str) -> str:
        if value.count(PLACE) != 1:
            raise ValueError(f"a template has {PLACE} once, where the tag goes")
        return value


class ClassifierTagger(Frozen):
    """An image classifier with a label a tag, as RAM++ is one; its labels are those of the checkpoint's configuration.

    The score is the sigmoid of the label's logit, as heads for several labels are trained; a checkpoint that says it
    was trained for a single label (``problem_type``) gets the softmax over its labels.
    """

    kind: Literal["classifier"]
    name: _Name = "classifier"
    model: TaggerModel
    #: Least score.
    threshold: _Score = 0.5
    #: Most tags of one picture.
    top: int = Field(default=12, ge=1, le=64)
    #: Pictures that the model sees at once. With 1 a picture's scores depend on nothing else; more are faster on a GPU,
    #: and then the last decimal of a score may depend on its place in the batch. Part of what names a result.
    batch: int = Field(default=1, ge=1, le=1024)


#: Taggers with a model of their own.
ModelTagger = ZeroShotTagger | ClassifierTagger
Tagger = Annotated[VlmTagger | ZeroShotTagger | ClassifierTagger, Field(discriminator="kind")]
#: What recipes that say nothing of it do.
DEFAULT: tuple[Tagger, ...] = (VlmTagger(kind="vlm"),)


def checked(taggers: tuple[Tagger, ...]) -> tuple[Tagger, ...]:
    """Return the taggers; raises ValueError where there is none, two have one name, or two are the writing model."""
    if not taggers:
        raise ValueError("taggers is empty; name at least one, or leave the key out for the writing model")
    names = [use.name for use in taggers]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two taggers are called {', '.join(twice)}; give each a name of its own (name: ...)")
    if sum(use.kind == "vlm" for use in taggers) > 1:
        raise ValueError("kind vlm is given twice; it is the one model that writes")
    return taggers


def with_vocabulary(use: ZeroShotTagger, file: str, text: str) -> ZeroShotTagger:
    """Return the tagger with its vocabulary's content; raises `RecipeError` that names the tagger."""
    found = VocabularyFile(file=file, text=text)
    try:
        found.parse()
    except RecipeError as error:
        raise RecipeError(f"synth.taggers.{use.name}.vocabulary: {error}") from error
    return use.model_copy(update={"vocabulary": found})
