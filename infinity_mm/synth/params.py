"""Parameters of the synthesis: the `synth` key of a recipe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from infinity_mm.errors import RecipeError
from infinity_mm.frozen import Frozen
from infinity_mm.keyed import keyed_u64
from infinity_mm.record import Category
from infinity_mm.synth.chat import ModelSpec, Sampling
from infinity_mm.synth.mapping import MappingFile
from infinity_mm.synth.prompts import Prompt, PromptFile, load_prompt
from infinity_mm.synth.rows import Format
from infinity_mm.synth.seeds import SeedFile
from infinity_mm.synth.structured import Charset
from infinity_mm.synth.tagging.params import DEFAULT, Tagger, checked
from infinity_mm.synth.taxonomy import Taxonomy

StepName = Literal["tag", "classify", "generate", "judge"]
STEP_NAMES: tuple[StepName, ...] = ("tag", "classify", "generate", "judge")
#: Calls that check what was written, where the recipe asks for them; the second of a pair asks again.
AskName = Literal["relevance", "blind", "blind_again", "answer", "answer_again"]
#: Calls that compare an answer with the written one, where text and numbers leave it open.
CompareName = Literal["same_blind", "same_answer", "same_answer_again"]
CheckName = AskName | CompareName
CallName = StepName | CheckName


class Draw(Frozen):
    """How the tokens of one step are drawn; the token limit follows from the step's schema."""

    temperature: float = Field(default=0.0, ge=0.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)

    def sampling(self, max_tokens: int) -> Sampling:
        """Return the sampling of a request that may need `max_tokens` new tokens."""
        return Sampling(temperature=self.temperature, top_p=self.top_p, max_tokens=max_tokens)


class StepDraws(Frozen):
    """Sampling per step. Only the questions are drawn; what observes or judges is greedy."""

    tag: Draw = Draw()
    classify: Draw = Draw()
    generate: Draw = Draw(temperature=0.7, top_p=0.9)
    judge: Draw = Draw()


class FormatWeights(Frozen):
    """Relative weights of the answer formats; 0 leaves one out."""

    word_or_phrase: float = Field(default=1.0, ge=0.0)
    brief: float = Field(default=1.0, ge=0.0)
    detailed: float = Field(default=1.0, ge=0.0)
    multiple_choice: float = Field(default=1.0, ge=0.0)

    @model_validator(mode="after")
    def _some(self) -> FormatWeights:
        if not any(self.as_dict().values()):
            raise ValueError("every format weight is 0; give at least one format a weight above 0")
        return self

    def as_dict(self) -> dict[Format, float]:
        """Return the weights by format, in the order of `FORMATS`."""
        return {
            "word_or_phrase": self.word_or_phrase,
            "brief": self.brief,
            "detailed": self.detailed,
            "multiple_choice": self.multiple_choice,
        }


class Limits(Frozen):
    """Longest texts that a model may write, in characters, and most items."""

    tags: int = Field(default=12, ge=1, le=64)
    tag_chars: int = Field(default=32, ge=8, le=64)
    question_chars: int = Field(default=240, ge=40, le=2000)
    phrase_chars: int = Field(default=60, ge=10, le=200)
    option_chars: int = Field(default=60, ge=10, le=200)
    brief_chars: int = Field(default=300, ge=40, le=2000)
    detailed_chars: int = Field(default=800, ge=100, le=8000)
    judge_reason_chars: int = Field(default=160, ge=20, le=1000)


class RuleParams(Frozen):
    """Thresholds of the rules that come before the judge."""

    #: Characters.
    min_question_chars: int = Field(default=10, ge=1)
    #: Most words of a word-or-phrase answer.
    max_phrase_words: int = Field(default=8, ge=1)
    #: Characters.
    min_brief_chars: int = Field(default=20, ge=1)
    #: Characters.
    min_detailed_chars: int = Field(default=80, ge=1)
    #: Largest share of words inside word 3-grams that were said before (0 to 1).
    max_repeated_words: float = Field(default=0.3, ge=0.0, le=1.0)
    #: Longest run of one character.
    max_run: int = Field(default=8, ge=2)
    #: Words copied in a row from the instructions that count as a leak.
    leak_words: int = Field(default=6, ge=3)
    #: What becomes of a bare yes or no. Models say yes far too often: ``drop`` keeps none, ``balance`` as many of one
    #: as of the other for each instruction type over the whole run, ``keep`` all.
    yes_no: Literal["drop", "balance", "keep"] = "drop"
    #: Language of question and answer (ISO 639-1); what is surely another one is dropped. None allows any.
    language: Annotated[str, Field(pattern="^[a-z]{2,3}$")] | None = "en"
    #: Another language is believed from here on.
    min_language_confidence: float = Field(default=0.8, ge=0.0, le=1.0)


class OfferParams(Frozen):
    """Which instruction types a picture is offered, see `infinity_mm.synth.offers`; by default all of them in turn."""

    #: File that says which tags speak for which type, made by `infinity-mm mapping`; ``package`` takes the one that
    #: follows from the project's own seed rows, None treats all types alike.
    mapping: MappingFile | None = None
    #: 1 draws types in proportion to their score, lower ones prefer the best, higher ones even them out.
    temperature: float = Field(default=1.0, gt=0.0, le=100.0)
    #: Score of a type whose tags are absent from the picture; above 0 every type stays possible.
    floor: float = Field(default=0.02, gt=0.0, le=1.0)
    #: Largest share of the attempts that any one type may be offered to.
    max_share: float = Field(default=1.0, gt=0.0, le=1.0)
    #: The same for single types, or for groups (levels 1 and 2), whose types share it evenly.
    shares: dict[str, Annotated[float, Field(ge=0.0, le=1.0)]] = Field(default_factory=dict)

    @property
    def limited(self) -> bool:
        """True where any type has a share below 1."""
        return self.max_share < 1 or any(share < 1 for share in self.shares.values())


class EmbeddingModel(Frozen):
    """A sentence-embedding model through transformers, on the CPU; mean pooling over its last hidden states."""

    #: Hub name or local folder, e.g. sentence-transformers/all-MiniLM-L6-v2.
    name: str
    #: Hub commit; None takes the default branch and records what it resolved to.
    revision: str | None = None
    #: Longest text in tokens; a longer one is no result. The model's own limit holds besides.
    max_tokens: int = Field(default=256, ge=8)

    @property
    def spec(self) -> ModelSpec:
        """The model as the other engines name theirs."""
        return ModelSpec(name=self.name, revision=self.revision, engine="transformers", max_model_len=self.max_tokens)


class SemanticParams(Frozen):
    """How answers are compared where neither text nor numbers can tell; one call for each such pair."""

    #: ``model`` asks the writing model, yes or no; ``embedding`` compares sentence embeddings by their cosine.
    by: Literal["model", "embedding"] = "model"
    #: Only for ``embedding``, which needs it.
    embedding: EmbeddingModel | None = None
    #: Least cosine that counts as the same; it depends on the model.
    threshold: float = Field(default=0.8, gt=0.0, le=1.0)
    #: Compare detailed answers as well; brief ones always are.
    detailed: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> SemanticParams:
        if (self.by == "embedding") != (self.embedding is not None):
            raise ValueError("semantic.embedding names the model where semantic.by is embedding, and only there")
        return self


class CheckParams(Frozen):
    """Further looks at what was written, each for calls of its own; off by default, and then they cost none.

    ``mark`` writes the result beside the row, ``drop`` also drops by it; a failed call is no result, and where it
    should have decided the attempt is quarantined.
    """

    #: Ask whether the picture can answer the question (one call).
    relevance: Literal["off", "mark", "drop"] = "off"
    #: Ask the question without the picture (one call; two for multiple choice, the options turned round). Without
    #: ``semantic`` only words, phrases and options can be compared; other formats are not looked at.
    blind: Literal["off", "mark", "drop"] = "off"
    #: Answer the question twice, independently (two calls), in the same formats.
    agreement: Literal["off", "mark", "drop"] = "off"
    #: Least share of the two that must agree with the written answer where ``agreement`` drops.
    min_agreement: float = Field(default=0.5, gt=0.0, le=1.0)
    #: Numbers agree within this share of the larger one.
    tolerance: float = Field(default=0.0, ge=0.0, le=0.5)
    #: Compare answers by their meaning where text and numbers leave it open, those in sentences included; None counts
    #: what is left open as another answer, and looks at no sentences.
    semantic: SemanticParams | None = None
    #: How the independent answers are drawn.
    answer: Draw = Draw(temperature=0.7, top_p=0.9)

    @property
    def compares(self) -> bool:
        """True where answers are compared by a model, as far as text and numbers leave it open."""
        return self.semantic is not None and (self.blind, self.agreement) != ("off", "off")

    @property
    def any(self) -> bool:
        """True where any check is asked for."""
        return (self.relevance, self.blind, self.agreement) != ("off", "off", "off")


class LossParams(Frozen):
    """How likely a reference model finds the written answers: a signal per source and answer format, never a verdict
    over all of them. Runs under transformers.
    """

    #: The reference model; another one than the writer, whose own words it would find likely.
    model: ModelSpec
    #: Keep losses from this quantile to that one of their source and format; 0 and 1 keep all.
    keep_from: float = Field(default=0.0, ge=0.0, le=1.0)
    keep_to: float = Field(default=1.0, ge=0.0, le=1.0)
    #: Groups of fewer rows are left alone.
    min_rows: int = Field(default=50, ge=2)

    @model_validator(mode="after")
    def _sound(self) -> LossParams:
        if self.keep_from >= self.keep_to:
            raise ValueError(f"keep_from ({self.keep_from}) must be below keep_to ({self.keep_to})")
        if self.model.engine not in ("auto", "transformers"):
            raise ValueError(f"losses are computed under transformers, not {self.model.engine}")
        return self


class JudgeProbe(Frozen):
    """How the judge is measured: rows of the run, altered so that they are wrong, under the judge's own call.

    The model that compares answers (`checks.semantic`) is measured with as many rows, altered and in other words.
    """

    #: Rows to alter, each in up to five ways; 0 measures nothing.
    rows: int = Field(default=24, ge=0)
    #: What to do where the judge passes altered rows as often as unaltered ones, as far as the counts can tell.
    on_chance: Literal["warn", "stop"] = "warn"


class SynthParams(Frozen):
    """What to generate, from which pictures, by which model, and what to keep."""

    #: Pictures to draw.
    images: int = Field(gt=0)
    #: Attempts for each picture.
    per_image: int = Field(default=1, gt=0, le=32)
    #: Pictures of one partition. Times `per_image` it is the batch that an engine sees at once: more keep a large GPU
    #: busier, fewer spread over more engines. What a step has answered is kept whatever becomes of the partition.
    partition_images: int = Field(default=128, gt=0, le=4096)
    #: Only pictures of these categories; None means all but synthetic rows.
    categories: tuple[Category, ...] | None = None
    #: Only pictures of these sources; None means all.
    sources: tuple[str, ...] | None = None
    #: Instruction types to make: names of leaves or of levels 1 and 2; None means all.
    types: tuple[str, ...] | None = None
    formats: FormatWeights = FormatWeights()
    #: Make the kept questions about one picture the turns of one record.
    merge_turns: bool = False
    #: Tell the trained model, at the end of the question, which form of answer is wanted.
    format_hint: bool = True
    #: Who tags the pictures; their tags are merged. By default the writing model alone.
    taggers: tuple[Tagger, ...] = DEFAULT
    #: Least confidence (1 to 5) of a tag of the writing model that is used; other taggers have thresholds of their own.
    min_tag_confidence: int = Field(default=3, ge=1, le=5)
    #: Instruction types offered to the classifier at once.
    candidates: int = Field(default=12, ge=1, le=64)
    #: Least score of the judge, 1 to 10, that is kept; the paper drops below 8.
    min_score: int = Field(default=8, ge=1, le=10)
    #: Further tries, each with the next seed, of a call that failed or could not be read.
    max_retries: int = Field(default=2, ge=0, le=8)
    #: Largest share of the attempts that may end in quarantine, for calls that failed; with more the run stops.
    max_quarantined: float = Field(default=0.5, ge=0.0, le=1.0)
    charset: Charset = "ascii"
    limits: Limits = Limits()
    rules: RuleParams = RuleParams()
    offer: OfferParams = OfferParams()
    #: Annotated seed rows (see `infinity_mm.synth.seeds`) of which two of the same type, about other pictures, are
    #: shown to the generator; ``package`` takes a few of the project's own, None shows none.
    seeds: SeedFile | None = None
    checks: CheckParams = CheckParams()
    draws: StepDraws = StepDraws()
    model: ModelSpec = ModelSpec()
    #: None judges with the generating model; the rows then say so.
    judge: ModelSpec | None = None
    judge_probe: JudgeProbe = JudgeProbe()
    #: None computes no losses.
    loss: LossParams | None = None

    #: Prompt files of the user's own, by step; the package's are listed by `infinity-mm synth --prompts`.
    prompts: dict[StepName, PromptFile] = Field(default_factory=dict)
    #: Folder or URI of the generation cache, which several runs may share; None keeps it in the run folder, false
    #: keeps none.
    cache: str | Literal[False] | None = None

    def prompt(self, step: StepName, default: tuple[str, int]) -> Prompt:
        """Return the prompt of a step: the user's, or the package's `default` (name, version)."""
        return self.prompts[step].parse() if step in self.prompts else load_prompt(*default)

    @property
    def settles(self) -> bool:
        """True where rows are dropped by what all rows together show."""
        cut = self.loss is not None and (self.loss.keep_from, self.loss.keep_to) != (0.0, 1.0)
        return self.rules.yes_no == "balance" or cut

    @model_validator(mode="after")
    def _single_rows(self) -> SynthParams:
        if self.merge_turns and self.settles:
            raise ValueError(
                "merge_turns cannot go with rules.yes_no: balance or with quantiles of losses, which drop single "
                "questions after the run's last call; leave one of them out"
            )
        return self

    @model_validator(mode="after")
    def _named_taggers(self) -> SynthParams:
        checked(self.taggers)
        return self

    @model_validator(mode="after")
    def _known_types(self) -> SynthParams:
        try:
            Taxonomy.load().select(self.types)
            for name in self.offer.shares:
                Taxonomy.load().select([name])
        except RecipeError as error:
            raise ValueError(str(error)) from error
        return self


def models_of(params: SynthParams) -> tuple[ModelSpec, ...]:
    """Return the writer, and the judge where it is another one."""
    judge = params.judge
    return (params.model,) if judge is None or judge == params.model else (params.model, judge)


def call_seed(seed: int, step: CallName, key: str) -> int:
    """Return the seed of a request: 30 bits of (recipe seed, step, attempt), so that retries stay within int32."""
    return keyed_u64(seed, f"synth.{step}", key) & 0x3FFFFFFF
