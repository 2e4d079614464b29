"""Checkpoints of taggers with a few thousand random weights, made on the spot: no download, no meaning."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

#: Words that the tokenizers know; any other one is unknown.
WORDS = ("a", "an", "photo", "of", "picture", "dog", "cat", "red", "car", "house", "tree", "boat", "sky", "thing")
SIDE = 32
_TOWER: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
_EYES: dict[str, Any] = {**_TOWER, "image_size": SIDE, "patch_size": 8}
#: Tokens of the longest caption.
CONTEXT = 12


def png(seed: int, size: tuple[int, int] = (40, 36)) -> bytes:
    """Return a picture of coloured blocks that no other seed gives."""
    draw = random.Random(seed)
    small = Image.new("RGB", (4, 4))
    small.putdata([tuple(draw.randrange(256) for _ in range(3)) for _ in range(16)])
    stream = BytesIO()
    small.resize(size, Image.Resampling.NEAREST).save(stream, "PNG")
    return stream.getvalue()


def tokenizer(words: Sequence[str] = WORDS) -> Any:
    """Return a tokenizer of these words that ends every text with its end mark."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    marks = ("<pad>", "<unk>", "<s>", "</s>")
    known = {word: number for number, word in enumerate((*marks, *words))}
    made = Tokenizer(WordLevel(known, unk_token="<unk>"))
    made.pre_tokenizer = Whitespace()
    made.post_processor = TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", known["<s>"]), ("</s>", known["</s>"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )


def clip(folder: Path) -> Path:
    """Write a CLIP model and return its folder."""
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    return _pair(folder, CLIPConfig, CLIPModel, CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=SIDE))


def siglip(folder: Path) -> Path:
    """Write a SigLIP model and return its folder."""
    from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel

    size = {"height": SIDE, "width": SIDE}
    return _pair(folder, SiglipConfig, SiglipModel, SiglipImageProcessorPil(size=size))


def classifier(folder: Path, labels: Sequence[str], problem: str | None = "multi_label_classification") -> Path:
    """Write a vision transformer with a label a tag and return its folder."""
    import torch
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil

    torch.manual_seed(5)
    names = dict(enumerate(labels))
    config = ViTConfig(**_EYES, id2label=names, label2id={name: k for k, name in names.items()}, problem_type=problem)
    model = ViTForImageClassification(config)
    with torch.no_grad():
        model.classifier.weight.normal_(0, 3)
    model.save_pretrained(folder)
    ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return folder


def _pair(folder: Path, config: Any, model: Any, processor: Any) -> Path:
    import torch

    torch.manual_seed(3)
    words = tokenizer()
    marks = {"pad_token_id": words.pad_token_id, "bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id}
    text = {**_TOWER, **marks, "vocab_size": len(words), "max_position_embeddings": CONTEXT, "projection_size": 32}
    whole = {"text_config": text, "vision_config": _EYES, "projection_dim": 16}
    made = model(config(**whole))
    with torch.no_grad():
        # So that captions differ: random towers of this size give nearly the same for all.
        made.text_model.embeddings.token_embedding.weight.normal_(0, 1)
    made.save_pretrained(folder)
    words.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def whole_folder(folder: Path) -> Path:
    """Write what a folder of a Qwen2.5-VL holds, as far as its names and lengths show; nothing can load it."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen2_5_vl"}))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "preprocessor_config.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    return folder
