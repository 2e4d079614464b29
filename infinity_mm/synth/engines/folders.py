"""What a folder of a model must hold, looked at before hours of other work end at its door.

Nothing is loaded: names of files, two small JSON files, and the first bytes of every file of weights.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from infinity_mm.errors import ModelError
from infinity_mm.synth.models.families import family_of_type, read_object

#: Weights in the forms that engines read; safetensors, where there, is the one that is looked into.
_WEIGHTS: Final = ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.gguf")
_TOKENIZERS: Final = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "tekken.json")
_TEMPLATES: Final = ("chat_template.jinja", "chat_template.json")
_PROCESSORS: Final = ("preprocessor_config.json", "processor_config.json")
#: Bytes before the header of a safetensors file, which hold its length.
_PREFIX: Final = 8


def check_folder(folder: Path, pictures: bool = True) -> None:
    """Raise `ModelError` where the folder cannot be loaded as a model, naming all that is missing or cut short.

    With `pictures` also the tokenizer and the image processor of a vision-language model are looked for.
    """
    faults = list(_faults(folder, pictures))
    if faults:
        raise ModelError(
            f"{folder} is no whole model: {'; '.join(faults)}. Copy or download it again, or give a folder written by "
            "transformers' save_pretrained (of the model and of its processor), a hub name, 'embedded' or 'random'"
        )


def _faults(folder: Path, pictures: bool) -> Iterator[str]:
    config = folder / "config.json"
    if not config.is_file():
        yield "it has no config.json"
    elif not read_object(config):
        yield "its config.json is no JSON object"
    if pictures and not any((folder / name).is_file() for name in _TOKENIZERS):
        yield f"it has no tokenizer ({', '.join(_TOKENIZERS[:2])})"
    if pictures and not any((folder / name).is_file() for name in _PROCESSORS):
        yield f"it has no image processor ({' or '.join(_PROCESSORS)})"
    if pictures and family_of_type(read_object(config).get("model_type")) is not None and not _has_template(folder):
        yield f"it has no chat template ({_TEMPLATES[0]})"
    if not any(True for pattern in _WEIGHTS for _ in folder.glob(pattern)):
        yield "it has no weights (*.safetensors)"
    listed = set((read_object(folder / "model.safetensors.index.json").get("weight_map") or {}).values())
    absent = sorted(name for name in listed if not (folder / name).is_file())
    if absent:
        yield f"of its {len(listed)} files of weights {len(absent)} are absent ({absent[0]})"
    yield from (f"{path.name} {cut}" for path in sorted(folder.glob("*.safetensors")) if (cut := _cut(path)))


def _has_template(folder: Path) -> bool:
    inside = ("tokenizer_config.json", "processor_config.json")
    return any((folder / name).is_file() for name in _TEMPLATES) or any(
        read_object(folder / name).get("chat_template") for name in inside
    )


def _cut(path: Path) -> str | None:
    """Say how a safetensors file is cut short, or None: its header tells how many bytes follow."""
    size = path.stat().st_size
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(_PREFIX), "little")
            header = json.loads(stream.read(length)) if _PREFIX + length <= size else {}
    except (OSError, ValueError):
        return "cannot be read"
    entries = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    needed = _PREFIX + length + max(entries, default=0)
    return f"is cut short: {size:,} of {needed:,} bytes" if size < needed else None
