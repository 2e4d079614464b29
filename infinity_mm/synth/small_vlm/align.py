"""Starts the decoder with what the vision tower's heads know: words are looked up in the image tokens from the start.

After the first stage a linear head reads, say, "red" from an image token along some direction. The word "red" gets
that direction as its output vector, so that to say what a token states is to copy it. Input vectors of words are kept
out of these directions (or words would find themselves before any picture), and the four heads of one layer start out
comparing words of one sort with what image tokens state of that sort, and copying what these state of other sorts.
Training goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from infinity_mm.synth.small_vlm.questions import CATEGORY, PLURAL
from infinity_mm.synth.small_vlm.scenes import COLORS, LABELS, MAX_THINGS, MAX_VALUE, PLACES, SHAPES, WORDS
from infinity_mm.synth.small_vlm.vocabulary import spelled

#: fact -> (its value, the word for it)
_NAMED: Final[dict[str, tuple[tuple[int, str], ...]]] = {
    **{name: tuple(enumerate(COLORS, 1)) for name in ("color", "bar_color", "sign_color")},
    **{name: tuple(enumerate(SHAPES, 1)) for name in ("shape", "prevailing")},
    **{name: tuple((n, str(n)) for n in range(1, MAX_THINGS + 1)) for name in ("same_color", "same_shape", "things")},
    "place": tuple(enumerate(PLACES)),
    "kind": tuple(enumerate(CATEGORY.values(), 1)),
    "bar_label": tuple(enumerate(LABELS, 1)),
    "bar_value": tuple((n, str(n)) for n in range(1, MAX_VALUE + 1)),
    "bars": tuple((n, str(n)) for n in (3, 4, 5)),
    "letters": tuple((n, str(n)) for n in (3, 4, 5)),
    "word": tuple(enumerate(WORDS, 1)),
}


_NUMBERS: Final = tuple(str(n) for n in range(1, MAX_VALUE + 1))
#: The layer whose heads look things up, and for each head the words that it compares and those that it copies.
_LAYER: Final = 1
_LOOKUPS: Final[tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]] = (
    (SHAPES, (*COLORS, *PLACES, *_NUMBERS[:6])),
    (COLORS, (*SHAPES, *PLACES, *LABELS, *_NUMBERS)),
    (PLACES, (*COLORS, *SHAPES)),
    ((*LABELS, *_NUMBERS), (*COLORS, *_NUMBERS, *LABELS)),
)
#: The head, one layer later, by which the tokens before an answer fetch what the words of the question have found.
_FETCH: Final = (_LAYER + 1, 0)
_FETCHING: Final = ("\nAssistant:", '","answer":"', '{"reason":"The answer is ')
_FETCHED: Final = (*COLORS, *SHAPES, *PLACES, *_NUMBERS)
_ATTEND: Final = 3.5
#: Scale of the comparing and of the copying matrices, set by hand so that a match stands out of nine tokens.
_COMPARE: Final = 1.2
_COPY: Final = 1.6


def align(model: Any, heads: Any, tokenizer: Any) -> int:
    """Set the vectors of the words that facts have, and the heads that look them up; return how many tokens were set.

    `heads` maps each fact to its linear head. Input vectors keep unit scale in each dimension, output ones unit norm.
    The spellings of a word share their vectors.
    """
    import torch

    directions = {word: torch.nn.functional.normalize(total, dim=0) for word, total in _directions(heads).items()}
    inputs, outputs = model.model.text_model.embed_tokens.weight, model.lm_head.weight
    stated = {word for compared, _ in _LOOKUPS for word in compared}
    width = inputs.shape[1]
    chance = torch.randn(2, width, generator=torch.Generator().manual_seed(1))
    kept_free = torch.stack([*(directions[word] for word in sorted(stated)), *chance], dim=1)
    span = torch.linalg.qr(kept_free).Q
    # Two directions of their own mark the words that can be looked up, and the tokens that an answer follows.
    found, asks = span[:, -2] * width**0.5 / 2, span[:, -1] * width**0.5 / 2
    names: dict[str, Any] = {}
    count = 0
    with torch.no_grad():
        inputs -= (inputs @ span) @ span.T
        inputs *= width**0.5 / inputs.norm(dim=1, keepdim=True)
        for word, direction in directions.items():
            own = inputs[tokenizer.token_to_id(spelled(word))].clone()
            names[word] = torch.nn.functional.normalize(own, dim=0)
            for text in _spellings(word):
                token = tokenizer.token_to_id(spelled(text))
                if token is not None:
                    inputs[token], outputs[token] = own + (found if word in stated else 0), direction
                    count += 1
        _install(model.model.text_model, names, directions)
        for text in _FETCHING:
            inputs[tokenizer.token_to_id(spelled(text))] += asks
        _install_fetch(model.model.text_model, span[:, -1], span[:, -2], directions)
    return count


def _install(decoder: Any, names: dict[str, Any], directions: dict[str, Any]) -> None:
    """Let each head of one layer compare and copy what `_LOOKUPS` says."""
    attention, size = decoder.layers[_LAYER].self_attn, decoder.config.head_dim
    for head, (compared, copied) in enumerate(_LOOKUPS):
        base = head * size
        for place, word in zip(_slow(size), compared, strict=False):
            attention.q_proj.weight[base + place] = _COMPARE * names[word]
            attention.k_proj.weight[base + place] = _COMPARE * directions[word]
        for place, word in zip(range(size), copied, strict=False):
            attention.v_proj.weight[base + place] = _COPY * directions[word]
            attention.o_proj.weight[:, base + place] = _COPY * directions[word]


def _install_fetch(decoder: Any, asks: Any, found: Any, directions: dict[str, Any]) -> None:
    """Let one head attend from tokens along `asks` to words along `found`, and copy what these have looked up."""
    layer, head = _FETCH
    attention, size = decoder.layers[layer].self_attn, decoder.config.head_dim
    base = head * size
    attention.q_proj.weight[base + size // 2 - 1] = _ATTEND * asks
    attention.k_proj.weight[base + size // 2 - 1] = _ATTEND * found
    for place, word in zip(range(size), _FETCHED, strict=False):
        attention.v_proj.weight[base + place] = _COPY * directions[word]
        attention.o_proj.weight[:, base + place] = _COPY * directions[word]


def _slow(size: int) -> list[int]:
    """Return a head's dimensions from the slowest: rotary positions turn k with k + size / 2, the later the slower."""
    return [place for k in range(size // 2 - 1, -1, -1) for place in (k, k + size // 2)]


def _directions(heads: Any) -> dict[str, Any]:
    """Return for each word the sum of the unit directions in which heads read what it names."""
    import torch

    directions: dict[str, Any] = {}
    for fact, named in _NAMED.items():
        weight = heads[fact].weight.detach()
        centred = weight - weight.mean(0)
        for value, word in named:
            direction = torch.nn.functional.normalize(centred[value], dim=0)
            directions[word] = directions.get(word, 0) + direction
    return directions


def _spellings(word: str) -> Iterator[str]:
    for form in (word, PLURAL.get(word, word)):
        yield from (form, f" {form}", f", {form}")
