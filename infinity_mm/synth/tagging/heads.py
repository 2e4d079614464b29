"""How pixels become scores per label, for either kind of checkpoint."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infinity_mm.errors import ModelError
from infinity_mm.synth.engines.checkpoint import Checkpoint
from infinity_mm.synth.tagging.params import PLACE, ClassifierTagger, ModelTagger, ZeroShotTagger
from infinity_mm.synth.tagging.scores import Rule
from infinity_mm.synth.tagging.vocabulary import spelled

if TYPE_CHECKING:
    import torch

#: Captions that the text tower sees at once.
_CAPTIONS = 32
#: What a zero-shot tag must reach where the recipe says nothing.
_THRESHOLDS: dict[str, float] = {"clip": 0.5, "siglip": 0.2}


@dataclass(frozen=True)
class Head:
    """A loaded checkpoint: from pixels (n, 3, height, width), float32, to scores (n, labels), float64, 0 to 1."""

    labels: tuple[str, ...]
    rule: Rule
    threshold: float
    neutral: str | None
    score: Callable[[torch.Tensor], torch.Tensor]

    @property
    def labels_sha256(self) -> str:
        """Of the labels as they stand, 64 hex digits; of a vocabulary it is the recipe's own digest."""
        return hashlib.sha256("\n".join(self.labels).encode()).hexdigest()


def load_head(use: ModelTagger, checkpoint: Checkpoint, device: str) -> Head:
    """Load the checkpoint of a tagger; raises `ModelError` for one that cannot tag, and what transformers raises."""
    if isinstance(use, ZeroShotTagger):
        return _zero_shot(use, checkpoint, device)
    return _classifier(use, checkpoint, device)


def _zero_shot(use: ZeroShotTagger, checkpoint: Checkpoint, device: str) -> Head:
    import torch
    from transformers import AutoModel, AutoTokenizer

    model = _whole(use, AutoModel, checkpoint, device)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder)
    clip = model.config.model_type == "clip"
    labels = use.vocabulary.parse()
    captions = [use.template.replace(PLACE, label) for label in labels] + ([use.neutral] if clip else [])
    texts = _text_features(use, model, tokenizer, captions)
    with torch.inference_mode():
        scale = model.logit_scale.double().exp()
        bias = torch.zeros_like(scale) if clip else model.logit_bias.double()

    def score(pixels: torch.Tensor) -> torch.Tensor:
        found = _unit(model.get_image_features(pixel_values=pixels).pooler_output)
        logits = found @ texts.T * scale + bias
        # Of a softmax over two captions the first one's share is the sigmoid of the difference of their logits.
        return torch.sigmoid(logits[:, :-1] - logits[:, -1:] if clip else logits)

    threshold = _THRESHOLDS[model.config.model_type] if use.threshold is None else use.threshold
    rule: Rule = "softmax_against_neutral" if clip else "sigmoid"
    return Head(labels, rule, threshold, use.neutral if clip else None, score)


def _text_features(use: ZeroShotTagger, model: Any, tokenizer: Any, captions: Sequence[str]) -> torch.Tensor:
    """Return the captions' features, (captions, width), float64, of length 1.

    Captions are padded to the model's context, as SigLIP was trained, and come in batches of one size, so that a
    caption's features depend on nothing else. No attention mask: SigLIP was trained without, and CLIP reads a caption
    at its end mark, which sees nothing of what follows.
    """
    import torch

    room = model.config.text_config.max_position_embeddings
    ids = tokenizer(captions, padding="max_length", max_length=room, truncation=False)["input_ids"]
    for caption, tokens in zip(captions, ids, strict=True):
        if len(tokens) > room:
            raise ModelError(
                f"synth.taggers.{use.name}: the caption {caption!r} has {len(tokens)} tokens and {use.model.name} "
                f"reads {room}; shorten the template or take the tag out of the vocabulary"
            )
    parts = []
    for start in range(0, len(ids), _CAPTIONS):
        batch = ids[start : start + _CAPTIONS]
        filled = torch.tensor(batch + [batch[0]] * (_CAPTIONS - len(batch)), device=model.device)
        with torch.inference_mode():
            parts.append(_unit(model.get_text_features(input_ids=filled).pooler_output)[: len(batch)])
    return torch.cat(parts)


def _classifier(use: ClassifierTagger, checkpoint: Checkpoint, device: str) -> Head:
    import torch
    from transformers import AutoModelForImageClassification

    model = _whole(use, AutoModelForImageClassification, checkpoint, device)
    named = model.config.id2label
    labels = tuple(_label(str(named[number])) for number in range(model.config.num_labels))
    nameless = [label for label in labels if not label or re.fullmatch(r"label_\d+", label)]
    if nameless:
        raise ModelError(
            f"synth.taggers.{use.name}: {use.model.name} calls {len(nameless)} of its {len(labels)} labels "
            f"{nameless[0]!r} and the like; a tagger needs words in its config.json (id2label)"
        )
    single = model.config.problem_type == "single_label_classification"

    def score(pixels: torch.Tensor) -> torch.Tensor:
        logits = model(pixel_values=pixels).logits.double()
        return torch.softmax(logits, dim=-1) if single else torch.sigmoid(logits)

    return Head(labels, "softmax" if single else "sigmoid", use.threshold, None, score)


def _label(text: str) -> str:
    """Return a class's name as a tag; of several names for one class, as ImageNet has them, the first."""
    return spelled(text.partition(",")[0])


def _whole(use: ModelTagger, auto: Any, checkpoint: Checkpoint, device: str) -> Any:
    """Return the model in float32, in evaluation mode; one that would be completed with random weights is refused."""
    import torch

    model, found = auto.from_pretrained(checkpoint.folder, dtype=torch.float32, output_loading_info=True)
    missing = sorted(found["missing_keys"])
    if missing:
        raise ModelError(
            f"synth.taggers.{use.name}: {use.model.name} has no weights for {len(missing)} parameters of "
            f"{type(model).__name__}, first {missing[0]}: it was not trained as a {use.kind} tagger"
        )
    return model.to(device).eval()


def _unit(features: torch.Tensor) -> torch.Tensor:
    wide = features.double()
    return wide / wide.norm(dim=-1, keepdim=True)
