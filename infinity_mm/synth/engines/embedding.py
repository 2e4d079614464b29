"""A sentence-embedding model behind the seam: a request holds two texts, the reply is the cosine of their embeddings.

Mean pooling over the last hidden states of a text's tokens, as in Sentence-BERT (Reimers and Gurevych 2019,
arXiv:1908.10084). Each text is embedded alone and on the CPU, so that a reply does not depend on its neighbours.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infinity_mm.errors import ModelError
from infinity_mm.synth.chat import ModelSpec, Reply, Request
from infinity_mm.synth.engines import common, torch_cpu
from infinity_mm.synth.engines.checkpoint import locate
from infinity_mm.synth.semantic import read_pair

if TYPE_CHECKING:
    import torch

#: Decimals of a reply: what is beyond them differs from machine to machine.
_PLACES = 4


class EmbeddingChat:
    """A sentence-embedding model loaded into transformers in this process."""

    def __init__(self, spec: ModelSpec):
        """Load tokenizer and model; `spec.max_model_len` bounds a text in tokens.

        Raises
        ------
        ModelError
            torch or transformers is not installed, the model cannot be loaded, or it pools otherwise than by the mean.
        """
        torch_cpu.prepare()
        try:
            import torch
            import transformers
            from safetensors import SafetensorError
        except ImportError as fault:
            raise ModelError(
                f"sentence embeddings need transformers: {fault}. Install the extra 'transformers', or set "
                "synth.checks.semantic.by to 'model'."
            ) from fault
        checkpoint = locate(spec)
        _check_pooling(checkpoint.folder)
        try:
            transformers.logging.set_verbosity_error()
            self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(checkpoint.folder)
            self._model: Any = transformers.AutoModel.from_pretrained(checkpoint.folder, dtype=torch.float32).eval()
        except (*common.ENGINE_FAULTS, ImportError, SafetensorError) as fault:
            raise ModelError(
                f"transformers could not load {spec.name!r} from {checkpoint.folder} as a text model: "
                f"{type(fault).__name__}: {fault}. Check that it is a sentence-embedding model."
            ) from fault
        config = self._model.config
        self._limit = min(spec.max_model_len, getattr(config, "max_position_embeddings", None) or spec.max_model_len)
        #: Which model and revision answers.
        self.info = checkpoint.under_transformers(batch_invariant=True)

    def __call__(self, requests: Sequence[Request]) -> list[Reply]:
        """Return the cosine of each request's two texts (`infinity_mm.synth.semantic.pair_text`), four decimals.

        Raises
        ------
        ModelError
            The engine was closed, or memory ran out.
        """
        if self._model is None:
            raise ModelError("this embedding model is closed; build a new one")
        return [self._answer(request) for request in requests]

    def close(self) -> None:
        """Free the model; the object is not used again."""
        self._model = None

    def _answer(self, request: Request) -> Reply:
        try:
            tokens = [self._tokenizer(text, return_tensors="pt") for text in read_pair(request.prompt)]
            longest = max(int(one["input_ids"].shape[1]) for one in tokens)
            if longest > self._limit:
                return common.failed(request, "prompt_too_long", f"{longest} tokens; at most {self._limit}")
            one, other = (self._embed(inputs) for inputs in tokens)
        except MemoryError as fault:
            raise ModelError("memory ran out; take a smaller model in synth.checks.semantic.embedding") from fault
        except common.ENGINE_FAULTS as fault:
            return common.failed(request, "engine_error", f"{type(fault).__name__}: {fault}")
        cosine = float(one @ other)
        if cosine != cosine:  # a text without tokens, or weights that overflow
            return common.failed(request, "engine_error", "an embedding is not a number")
        asked = sum(int(inputs["input_ids"].shape[1]) for inputs in tokens)
        return Reply(key=request.key, text=f"{cosine:.{_PLACES}f}", finish_reason="stop", prompt_tokens=asked)

    def _embed(self, inputs: Any) -> torch.Tensor:
        """Return the embedding of one text, float32 of shape (hidden,), of length 1."""
        import torch

        with torch.inference_mode():
            states = self._model(**inputs).last_hidden_state[0].float()
            return torch.nn.functional.normalize(states.mean(dim=0), dim=0)


def _check_pooling(folder: Path) -> None:
    """Raise `ModelError` where the checkpoint says of itself that it pools otherwise than by the mean."""
    file = folder / "1_Pooling" / "config.json"  # the layout of the sentence-transformers library
    if not file.is_file():
        return
    try:
        mean = json.loads(file.read_bytes()).get("pooling_mode_mean_tokens", True)
    except ValueError as fault:
        raise ModelError(f"{file} is no JSON: {fault}") from fault
    if not mean:
        raise ModelError(
            f"{file}: this model does not pool by the mean of its tokens, which is what is computed here; take one "
            "that does, such as sentence-transformers/all-MiniLM-L6-v2"
        )
