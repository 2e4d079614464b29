"""Architecture, processor and files of the small model: Idefics3 (Laurençon et al. 2024, arXiv:2408.12637).

One 64 x 64 tile of 16 x 16 patches, each of them one token: the connector folds nothing. The chat template puts the
picture first and the system text after it, so that what the model makes of a picture does not depend on what is asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from infinity_mm.synth.idefics3 import AROUND, BOS, EOS, GLOBAL, IMAGE, config_files, model_config, to_json
from infinity_mm.synth.small_vlm.render import GRID, SIDE

PATCH: Final = SIDE // GRID  # pixels
IMAGE_TOKENS: Final = GRID * GRID

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
    text = {
        "vocab_size": vocabulary,
        "hidden_size": 128,
        "intermediate_size": 352,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
    }
    vision = {
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 5,
        "num_attention_heads": 4,
        "image_size": SIDE,
        "patch_size": PATCH,
    }
    return model_config(text, vision, fold=1)


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
        **config_files(model.config, CHAT_TEMPLATE, SIDE, IMAGE_TOKENS),
        "model.safetensors": save(weights, metadata={"format": "pt"}),
        "recipe.json": to_json(recipe),
        "tokenizer.json": tokenizer.encode(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
