"""Gives words the directions in which the vision tower states what they name.

After the first stage a linear head reads, say, "red" from an image token along some direction. The token "red" starts
the second stage with that same direction, as input and as output. To find the red thing is then to compare two vectors,
and to say its shape is to copy one: the decoder learns both once, not once for every word.
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


def align(model: Any, heads: Any, tokenizer: Any) -> int:
    """Set the input and output vectors of the words that facts have; return how many tokens were set.

    `heads` maps each fact to its linear head. Input vectors keep unit scale in each dimension, output ones unit norm.
    """
    import torch

    directions: dict[str, Any] = {}
    for fact, named in _NAMED.items():
        weight = heads[fact].weight.detach()
        centred = weight - weight.mean(0)
        for value, word in named:
            direction = torch.nn.functional.normalize(centred[value], dim=0)
            directions[word] = directions.get(word, 0) + direction
    inputs, outputs = model.model.text_model.embed_tokens.weight, model.lm_head.weight
    count = 0
    with torch.no_grad():
        for word, total in directions.items():
            direction = torch.nn.functional.normalize(total, dim=0)
            for text in _spellings(word):
                token = tokenizer.token_to_id(spelled(text))
                if token is not None:
                    inputs[token] = direction * direction.numel() ** 0.5
                    outputs[token] = direction
                    count += 1
    return count


def _spellings(word: str) -> Iterator[str]:
    for form in (word, PLURAL.get(word, word)):
        yield from (form, f" {form}", f", {form}")
