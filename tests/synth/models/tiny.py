"""Checkpoints of real architectures with two layers and random weights, built on the spot.

What they say is noise; that an engine takes our settings and counts the tokens that we count is not.
"""

import json
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from infinity_mm.synth.tiny_model import corpus

_VOCABULARY = 1024
_QWEN = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
         "<|video_pad|>")  # fmt: skip
_SMOL = ("<|endoftext|>", "<|im_start|>", "<end_of_utterance>", "<fake_token_around_image>", "<image>", "<global-img>",
         *(f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5)))  # fmt: skip
_QWEN_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for p in m.content %}{% if p.type == 'text' %}{{ p.text }}{% else %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SMOL_TEMPLATE = (
    "<|im_start|>{% for m in messages %}{{ m.role | capitalize }}:{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for p in m.content %}{% if p.type == 'text' %}{{ p.text }}{% else %}<image>{% endif %}{% endfor %}{% endif %}"
    "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
_TEXT: dict[str, Any] = {
    "vocab_size": _VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 8192,
}


def tokenizer(special: tuple[str, ...]) -> Any:
    """Train a byte-level BPE, line breaks alone, and return it as transformers' tokenizer."""
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(r"\n|\p{N}"), behavior="isolated")
    made.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    made.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(corpus(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token=special[0], bos_token=special[1], eos_token=special[2]
    )


def qwen2_5_vl(folder: Path) -> Path:
    """Write a Qwen2.5-VL of two layers, with the image processor of the published checkpoints."""
    import torch
    import transformers as tf

    torch.manual_seed(17)
    ids = {name: _QWEN.index(name) for name in _QWEN}
    text = _TEXT | {"rope_scaling": {"type": "mrope", "rope_type": "default", "mrope_section": [4, 6, 6]}}
    config = tf.Qwen2_5_VLConfig(
        text_config=text | {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0},
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 2,
            "out_hidden_size": 64,
            "fullatt_block_indexes": [1],
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        dtype="float32",
    )
    _save(tf.Qwen2_5_VLForConditionalGeneration(config), folder)
    tokenizer(_QWEN).save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(_QWEN_TEMPLATE)
    _json(
        folder / "preprocessor_config.json",
        {
            "min_pixels": 3136,
            "max_pixels": 12845056,
            "patch_size": 14,
            "temporal_patch_size": 2,
            "merge_size": 2,
            "image_mean": [0.48145466, 0.4578275, 0.40821073],
            "image_std": [0.26862954, 0.26130258, 0.27577711],
            "image_processor_type": "Qwen2VLImageProcessor",
            "processor_class": "Qwen2_5_VLProcessor",
        },
    )
    return folder


def idefics3(folder: Path) -> Path:
    """Write an Idefics3 of two layers, with tiles of 64 x 64 pixels of 4 tokens, 4 to a side."""
    import transformers as tf

    return _tiled(folder, "Idefics3", tf.Idefics3Config, tf.Idefics3ForConditionalGeneration)


def smolvlm(folder: Path) -> Path:
    """Write a SmolVLM like the Idefics3; its processor needs num2words."""
    import transformers as tf

    _tiled(folder, "SmolVLM", tf.SmolVLMConfig, tf.SmolVLMForConditionalGeneration)
    images = json.loads((folder / "preprocessor_config.json").read_text())
    _json(folder / "video_preprocessor_config.json", images | {"video_processor_type": "SmolVLMVideoProcessor"})
    return folder


def _tiled(folder: Path, name: str, configuration: Any, model: Any) -> Path:
    import torch
    from transformers import LlamaConfig

    torch.manual_seed(17)
    vision = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = configuration(
        text_config=LlamaConfig(**_TEXT, head_dim=32, pad_token_id=0, bos_token_id=1, eos_token_id=2),
        vision_config=vision | {"image_size": 64, "patch_size": 16},
        scale_factor=2,
        image_token_id=_SMOL.index("<image>"),
        pad_token_id=0,
        dtype="float32",
    )
    _save(model(config), folder)
    tokenizer(_SMOL).save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(_SMOL_TEMPLATE)
    images = {
        "do_image_splitting": True,
        "size": {"longest_edge": 256},
        "max_image_size": {"longest_edge": 64},
        "image_processor_type": f"{name}ImageProcessor",
        "processor_class": f"{name}Processor",
    }
    _json(folder / "preprocessor_config.json", images)
    _json(folder / "processor_config.json", {"processor_class": f"{name}Processor", "image_seq_len": 4})
    return folder


def _save(model: Any, folder: Path) -> None:
    model.generation_config.bos_token_id, model.generation_config.eos_token_id = 1, 2
    model.save_pretrained(folder)


def _json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value))
