"""Architecture, processor and files of the small model: Idefics3 (Laurençon et al. 2024, arXiv:2408.12637).

One 64 x 64 tile of 16 x 16 patches, each of them one token: the connector folds nothing. The chat template puts the
picture first and the system text after it, so that what the model makes of a picture does not depend on what is asked.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from infinity_mm.synth.small_vlm.render import GRID, SIDE
from infinity_mm.synth.small_vlm.vocabulary import AROUND, BOS, EOS, GLOBAL, IMAGE, PAD, SPECIAL

PATCH: Final = SIDE // GRID  # pixels
IMAGE_TOKENS: Final = GRID * GRID
_POSITIONS: Final = 8192

CHAT_TEMPLATE: Final = (
    "{% for message in messages %}{% if message['role'] == 'assistant' %}Assistant:"
    "{% elif message['role'] != 'system' %}" + BOS + "User:"
    "{% if message['content'] is not string %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}" + IMAGE + "{% endif %}{% endfor %}"
    "{% endif %}"
    "{% if loop.previtem is defined and loop.previtem['role'] == 'system' %}"
    "{% if loop.previtem['content'] is string %}{{ loop.previtem['content'] }}{% else %}"
    "{% for part in loop.previtem['content'] %}{{ part['text'] }}{% endfor %}{% endif %}{{ '\\n' }}"
    "{% endif %}{% endif %}"
    "{% if message['role'] != 'system' %}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{% endif %}" + EOS + "{{ '\\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)  # fmt: skip


def picture_prefix() -> str:
    """Return what stands before the text of a request with one picture, image tokens written out."""
    return f"{BOS}User:{AROUND}{GLOBAL}{IMAGE * IMAGE_TOKENS}{AROUND}"


def request_text(system: str, prompt: str) -> str:
    """Return what the chat template writes after the picture, up to where the answer begins."""
    head = f"{system}\n" if system else ""
    return f"{head}{prompt}{EOS}\nAssistant:"


def config(vocabulary: int) -> Any:
    """Return the `Idefics3Config` for a vocabulary of so many entries."""
    from transformers import Idefics3Config, LlamaConfig

    ids = {"pad_token_id": SPECIAL.index(PAD), "bos_token_id": SPECIAL.index(BOS), "eos_token_id": SPECIAL.index(EOS)}
    text = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=32,  # the smallest that vLLM's CPU attention takes
        max_position_embeddings=_POSITIONS,
        **ids,
    )
    vision = {
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 5,
        "num_attention_heads": 4,
        "image_size": SIDE,
        "patch_size": PATCH,
    }
    return Idefics3Config(
        text_config=text,
        vision_config=vision,
        scale_factor=1,
        image_token_id=SPECIAL.index(IMAGE),
        architectures=["Idefics3ForConditionalGeneration"],
        # Weights are stored as 16-bit numbers and computed with as 32-bit ones: exact on a CPU, and small to ship.
        dtype="float32",
        **ids,
    )


def _processor_config() -> dict[str, Any]:
    edge = {"longest_edge": SIDE}
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
        "image_seq_len": IMAGE_TOKENS,
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
        "model_max_length": _POSITIONS,
    }


def _json(value: dict[str, Any]) -> bytes:
    value = {key: item for key, item in value.items() if key != "transformers_version"}
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def write(folder: Path, model: Any, tokenizer: str, recipe: dict[str, Any]) -> None:
    """Write the checkpoint: weights as float16, configuration, tokenizer, processor, and what made it.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    import torch
    from safetensors.torch import save

    weights = {name: value.detach().cpu().to(torch.float16).contiguous() for name, value in model.named_parameters()}
    files = {
        "chat_template.jinja": CHAT_TEMPLATE.encode(),
        "config.json": _json(model.config.to_diff_dict()),
        "generation_config.json": _json({"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}),
        "model.safetensors": save(weights, metadata={"format": "pt"}),
        "processor_config.json": _json(_processor_config()),
        "recipe.json": _json(recipe),
        "tokenizer.json": tokenizer.encode(),
        "tokenizer_config.json": _json(_tokenizer_config()),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
