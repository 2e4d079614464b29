"""The checkpoints that need no download: a trained one that ships with the package, a random one built on the spot.

The trained one is made by `infinity_mm.synth.train_small`; its own README.md says what it can do. The random one is a
vision-language model of 1.5 MB whose words are noise, for what must be tried on another model or without training.

The architecture is Idefics3 (Laurençon et al. 2024, arXiv:2408.12637): a SigLIP-style vision tower, a
pixel-shuffle connector and a Llama decoder. It is a supported family of vLLM and of transformers alike, and
its processor runs on Pillow, without torchvision. Every picture is squashed to 224 x 224 and costs 49 tokens.
Weights are random, drawn from a seed: the words of this model are noise. What it makes real on a laptop is
everything around the words: prompts, grammars, batching, failures, provenance.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infinity_mm.synth.idefics3 import BOS, EOS, IMAGE, SPECIAL, config_files, model_config, to_json

if TYPE_CHECKING:
    import numpy as np

#: Raise it with any change that alters a written byte; it names the folder in the cache.
RECIPE_VERSION: Final = 1
#: The trained checkpoint, as it ships with the package.
PACKAGED: Final = Path(__file__).parent / "small_vlm" / "checkpoint"

_RECIPE_FILE = "recipe.json"
_VOCABULARY = 1024
_IMAGE_SIDE = 224  # pixels
_PATCH_SIDE = 16  # pixels
_SHUFFLE = 2  # the connector folds 2 x 2 patches into one token
_IMAGE_TOKENS = (_IMAGE_SIDE // _PATCH_SIDE // _SHUFFLE) ** 2
_CHAT_TEMPLATE = (
    BOS
    + "{% for message in messages %}{{ message['role'] | capitalize }}: "
    + "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    + "{% for part in message['content'] %}"
    + "{% if part['type'] == 'image' %}"
    + IMAGE
    + "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    + "{% endfor %}{% endif %}"
    + EOS
    + "\n{% endfor %}{% if add_generation_prompt %}Assistant: {% endif %}"
)


def embedded_checkpoint(cache_dir: Path | None = None) -> Path:
    """Return the folder of the trained checkpoint, or of the random one where the package came without weights."""
    return PACKAGED if is_trained() else random_checkpoint(cache_dir)


def is_trained() -> bool:
    """Tell whether the package holds trained weights for the embedded model."""
    return (PACKAGED / "config.json").is_file() and (PACKAGED / "model.safetensors").is_file()


def random_checkpoint(cache_dir: Path | None = None) -> Path:
    """Return the folder of the checkpoint with random weights, building it on first use.

    Parameters
    ----------
    cache_dir
        Where built checkpoints live; ``$XDG_CACHE_HOME/infinity-mm`` (or ``~/.cache/infinity-mm``) by default.
    """
    if cache_dir is None:
        cache_dir = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "infinity-mm"
    return build(cache_dir / f"tiny-vlm-v{RECIPE_VERSION}")


def build(folder: Path, seed: int = 17) -> Path:
    """Write the checkpoint to `folder` and return it; do nothing where it stands complete already.

    The same seed gives the same bytes. Files are written to a sibling folder that is renamed when whole, so that a
    reader never sees half a checkpoint and several processes may build at once.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    if _complete(folder, seed):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        files = _files(seed)
        for name, content in files.items():
            (aside / name).write_bytes(content)
        (aside / _RECIPE_FILE).write_bytes(to_json(_recipe(seed, files)))
        aside.chmod(0o755)
        _publish(aside, folder, seed)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def _publish(aside: Path, folder: Path, seed: int) -> None:
    """Rename `aside` to `folder`; where another process was first with the same content, keep that one."""
    try:
        aside.rename(folder)
    except OSError:
        if _complete(folder, seed):
            return
        stale = Path(tempfile.mkdtemp(prefix=f".{folder.name}-stale-", dir=folder.parent))
        folder.rename(stale / folder.name)
        shutil.rmtree(stale, ignore_errors=True)
        aside.rename(folder)


def _recipe(seed: int, files: dict[str, bytes]) -> dict[str, Any]:
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return {"version": RECIPE_VERSION, "seed": seed, "sha256": digests}


def _complete(folder: Path, seed: int) -> bool:
    """Tell whether `folder` holds this recipe with every byte as it was written."""
    try:
        recipe = json.loads((folder / _RECIPE_FILE).read_bytes())
        found = {name: (folder / name).read_bytes() for name in recipe["sha256"]}
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(recipe == _recipe(seed, found))


def _files(seed: int) -> dict[str, bytes]:
    """Return the checkpoint's files by name."""
    from safetensors.numpy import save

    from infinity_mm.synth.engines import torch_cpu

    torch_cpu.prepare()
    tokenizer = _train_tokenizer()
    return {
        **config_files(_model_config(), _CHAT_TEMPLATE, _IMAGE_SIDE, _IMAGE_TOKENS),
        "model.safetensors": save(_weights(seed), metadata={"format": "pt"}),
        "tokenizer.json": tokenizer.encode(),
    }


# --- configuration ---------------------------------------------------------------------------------------------------


def _model_config() -> Any:
    """Return the `Idefics3Config` of the checkpoint."""
    text = {
        "vocab_size": _VOCABULARY,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
    }
    vision = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": _IMAGE_SIDE,
        "patch_size": _PATCH_SIDE,
    }
    return model_config(text, vision, _SHUFFLE)


# --- tokenizer -------------------------------------------------------------------------------------------------------


def _train_tokenizer() -> str:
    """Return `tokenizer.json` of a byte-level BPE (Sennrich et al. 2016): any UTF-8 text round-trips."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\p{N}"), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    if tokenizer.get_vocab_size() != _VOCABULARY:
        raise ValueError(f"the corpus gave {tokenizer.get_vocab_size()} tokens; the model has {_VOCABULARY}")
    return str(tokenizer.to_str(pretty=False))


_QUESTIONS = (
    "What is shown in the picture?",
    "How many {thing}s are there in this image?",
    "Which {thing} is the largest, and which is the smallest?",
    "Describe the {colour} {thing} on the {place} in one sentence.",
    "Read the text in the document and answer with a single word.",
    "What is the value of the {colour} bar in the chart for {year}?",
    "Is there a {thing} to the left of the {colour} {thing2}? Answer yes or no.",
    "Explain step by step why the answer is correct, using only the information in the image.",
)
_ANSWERS = (
    "There are {n} {thing}s on the {place}, and the {colour} one is next to the {thing2}.",
    "The value in {year} is {n}, which is higher than the value of the other {thing}s.",
    "The image shows a {colour} {thing} and a {thing2} near the {place}.",
    '{{"question":"What colour is the {thing}?","answer":"{colour}"}}',
    '{{"tags":["{thing}","{thing2}","{place}"],"score":{n}}}',
    '{{"instruction_type":"visual question answering","difficulty":"easy","reason":"the {thing} is {colour}"}}',
)
_INSTRUCTIONS = (
    "You write training data for a model that looks at pictures. Answer in JSON that follows the schema exactly.",
    "Given the tags of the image and the type of instruction, generate a question and an answer about the image.",
    "Judge whether the question can be answered from the image and whether the answer is correct and complete.",
    "List the objects, attributes, actions, scenes and texts that can be seen. Do not invent anything.",
    "Choose the instruction types from the list below that fit this picture; return their names and nothing else.",
)
_THINGS = ("cat", "dog", "car", "tree", "table", "chart", "line", "person", "house", "bottle", "number", "letter")
_WORD_LIST = (
    "about above across action activity adult after again against airport album algebra amount angle animal apple area "
    "arrow article attribute author average axis background banana bar basket beach bear before behind bench between "
    "bicycle bird boat book bottom bowl box boy branch bread breakfast bridge building bus button calendar camera "
    "candle caption category cell centre chair child circle city classification clock cloud coast code coffee column "
    "comparison computer contain content corner count country creative cup curve cycle data date decrease depth desk "
    "detail diagram difference direction distance doctor door drawing drink east emotion equation estimate evening "
    "event example expression eye face family farm feature fence field figure film finger fire fish flag flower food "
    "football foreground forest form formula fraction friend fruit function garden geometry girl glass graph grass "
    "ground group hair hand hat head height history horizontal horse hospital hour human increase index inside island "
    "journey keyboard kitchen label lake lamp landscape language layout leaf legend length light location logo machine "
    "man map market material mathematics measure meat medium menu message method middle minute mirror month moon "
    "morning mountain mouth movie museum music name nature newspaper night north object ocean office order outside "
    "painting paper parallel parking part pattern pencil people percent perspective phone photograph piece plane "
    "planet plant plate player point pose position poster price problem product proportion quality quantity quarter "
    "radio railway rain range ratio reasoning rectangle region relationship restaurant result river road rock roof "
    "room row sand scale scene school science screen sea season second section sentence shadow shape sheep ship shirt "
    "shop sign size sky snow solution space species speed sport square stage stairs star station statistics step stone "
    "store story style subject summary sun surface symbol system tall team temperature text texture theory ticket time "
    "title total tower town toy traffic train translation travel triangle truck type umbrella unit vegetable vehicle "
    "vertical video view village volume water weather week weight west wheel wide width window winter woman wood word "
    "world writing year young zebra zero"
)
_COLOURS = ("red", "green", "blue", "yellow", "black", "white", "orange", "grey")
_PLACES = ("table", "street", "wall", "page", "left side", "right side", "floor", "background")


def corpus() -> Iterator[str]:
    """Yield the sentences that the merges are learned from: the kind of text that synthesis prompts consist of."""
    yield from _INSTRUCTIONS * 20
    for index in range(1200):
        words = {
            "thing": _THINGS[index % len(_THINGS)],
            "thing2": _THINGS[(index * 7 + 3) % len(_THINGS)],
            "colour": _COLOURS[index % len(_COLOURS)],
            "place": _PLACES[(index * 5 + 1) % len(_PLACES)],
            "year": 1990 + index % 40,
            "n": index * 37 % 1000,
        }
        yield _QUESTIONS[index % len(_QUESTIONS)].format(**words)
        yield _ANSWERS[index % len(_ANSWERS)].format(**words)
    nouns = _WORD_LIST.split()
    for index, word in enumerate(nouns):
        yield f"the {word} of the {nouns[index * 31 % len(nouns)]}, {word}: a {word}."


# --- weights ---------------------------------------------------------------------------------------------------------


def _weights(seed: int) -> dict[str, np.ndarray]:
    """Return the parameters by name, float32, each drawn from a generator that its own name seeds.

    Matrices have standard deviation 1/sqrt(fan-in), so that activations keep unit scale; the head is wider by a factor
    of two, which sets neighbouring logits far enough apart for greedy decoding not to hang on the last bit of a sum.
    """
    import numpy as np
    import torch
    from transformers import Idefics3ForConditionalGeneration

    with torch.device("meta"):
        model = Idefics3ForConditionalGeneration(_model_config())
    weights: dict[str, np.ndarray] = {}
    for name, parameter in sorted(model.named_parameters()):
        shape = tuple(parameter.shape)
        if name.endswith(".bias"):
            values = np.zeros(shape)
        elif len(shape) == 1:
            values = np.ones(shape)
        else:
            key = int.from_bytes(hashlib.sha256(f"{seed}\x1f{name}".encode()).digest()[:16], "big")
            fan_in = 1 if "embed_tokens" in name else int(np.prod(shape[1:]))
            gain = 2.0 if name.startswith("lm_head") else 1.0
            values = np.random.Generator(np.random.Philox(key=key)).standard_normal(shape) * gain / fan_in**0.5
        weights[name] = values.astype(np.float32)
    return weights
