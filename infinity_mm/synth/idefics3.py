"""What the project's own checkpoints have in common: the files of an Idefics3 beside weights and vocabulary.

Idefics3 (Laurençon et al. 2024, arXiv:2408.12637) is a supported family of vLLM and of transformers alike, and its
processor runs on Pillow, without torchvision. Pictures are squashed to one square tile.
"""

from __future__ import annotations

import json
from typing import Any, Final

PAD, BOS, EOS = "<|pad|>", "<|im_start|>", "<end_of_utterance>"
AROUND, IMAGE, GLOBAL = "<fake_token_around_image>", "<image>", "<global-img>"
SPECIAL: Final = (PAD, BOS, EOS, AROUND, IMAGE, GLOBAL)
POSITIONS: Final = 8192  # tokens
#: The smallest head that vLLM's attention on a CPU takes.
HEAD: Final = 32


def model_config(text: dict[str, Any], vision: dict[str, Any], fold: int) -> Any:
    """Return the `Idefics3Config` of a Llama decoder and a vision tower, given as their own settings.

    The connector makes one token of `fold` x `fold` patches.
    """
    from transformers import Idefics3Config, LlamaConfig

    ids = {"pad_token_id": SPECIAL.index(PAD), "bos_token_id": SPECIAL.index(BOS), "eos_token_id": SPECIAL.index(EOS)}
    return Idefics3Config(
        text_config=LlamaConfig(head_dim=HEAD, max_position_embeddings=POSITIONS, **text, **ids),
        vision_config=vision,
        scale_factor=fold,
        image_token_id=SPECIAL.index(IMAGE),
        architectures=["Idefics3ForConditionalGeneration"],
        # Whatever weights are stored as, they are computed with as 32-bit numbers: exact on a CPU.
        dtype="float32",
        **ids,
    )


def config_files(config: Any, template: str, side: int, image_tokens: int) -> dict[str, bytes]:
    """Return the configuration files by name; `side` of a picture in pixels, `image_tokens` that one picture costs."""
    return {
        "chat_template.jinja": template.encode(),
        "config.json": to_json(config.to_diff_dict()),
        "generation_config.json": to_json({"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}),
        "processor_config.json": to_json(_processor_config(side, image_tokens)),
        "tokenizer_config.json": to_json(_tokenizer_config()),
    }


def to_json(value: dict[str, Any]) -> bytes:
    """Return a configuration as a file's bytes, which do not tell the version of transformers."""
    value = {key: item for key, item in value.items() if key != "transformers_version"}
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def _processor_config(side: int, image_tokens: int) -> dict[str, Any]:
    edge = {"longest_edge": side}
    image_processor = {
        "image_processor_type": "Idefics3ImageProcessor",
        "do_convert_rgb": True,
        "do_image_splitting": False,
        "do_normalize": True,
        "do_pad": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "max_image_size": edge,
        "resample": 1,
        "rescale_factor": 1 / 255,
        "size": edge,
    }
    return {
        "processor_class": "Idefics3Processor",
        "image_processor": image_processor,
        "image_seq_len": image_tokens,
    }


def _tokenizer_config() -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "processor_class": "Idefics3Processor",
        "pad_token": PAD,
        "bos_token": BOS,
        "eos_token": EOS,
        "extra_special_tokens": [AROUND, IMAGE, GLOBAL],
        "clean_up_tokenization_spaces": False,
        "model_max_length": POSITIONS,
    }
