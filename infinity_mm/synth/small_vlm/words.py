"""Word vectors that are sums of meanings while they are learned, and a plain table once they are written.

"red", "The answer is red." and "B. red" are tokens of their own, and what training finds out about red in one of them
holds for all: each token's vector is its own part plus the vectors of its meanings (`vocabulary.pieces`).
"""

from __future__ import annotations

from typing import Any

from infinity_mm.synth.small_vlm import vocabulary


def incidence(tokenizer: Any) -> Any:
    """Return which token has which meanings, (tokens, meanings), float32 of 0 and 1."""
    import torch

    pieces = vocabulary.pieces()
    meanings = {meaning: k for k, meaning in enumerate(sorted({part for parts in pieces.values() for part in parts}))}
    table = torch.zeros(tokenizer.get_vocab_size(), len(meanings))
    for text, parts in pieces.items():
        for part in parts:
            table[tokenizer.token_to_id(vocabulary.spelled(text)), meanings[part]] = 1.0
    return table


def parameters(table: Any, width: int) -> Any:
    """Return a `ParameterDict`: own parts and meanings of the input vectors (unit scale) and of the output vectors."""
    import torch

    tokens, meanings = table.shape
    # A token with meanings starts without a part of its own.
    plain = (table.sum(1, keepdim=True) == 0).float()
    made = {
        "own_in": torch.randn(tokens, width) * plain,
        "meant_in": torch.randn(meanings, width),
        "own_out": torch.randn(tokens, width) * plain * width**-0.5,
        "meant_out": torch.randn(meanings, width) * width**-0.5,
    }
    return torch.nn.ParameterDict({name: torch.nn.Parameter(value) for name, value in made.items()})


def tables(words: Any, table: Any) -> tuple[Any, Any]:
    """Return the vectors (tokens, width) by which tokens are read, and those by which they are predicted."""
    return words["own_in"] + table @ words["meant_in"], words["own_out"] + table @ words["meant_out"]
