"""transformers' `generate` under a grammar: the engine of machines where vLLM cannot be had.

One request at a time, so that a reply never depends on its neighbours. The constraint is enforced by llguidance
(https://github.com/guidance-ai/llguidance), the library behind vLLM's ``guidance`` backend: before each token it names
the set of tokens that keep the answer inside the schema.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from infinity_mm.errors import EngineDiedError, ModelError
from infinity_mm.synth.chat import ModelSpec, Reply, Request, Sampling
from infinity_mm.synth.engines import common, torch_cpu
from infinity_mm.synth.engines.checkpoint import Checkpoint, locate
from infinity_mm.synth.models.resolving import check_engine, model_rules

if TYPE_CHECKING:
    import torch


class TransformersChat:
    """A model loaded into transformers in this process, on the first GPU where there is one."""

    def __init__(self, spec: ModelSpec):
        """Load model, processor and grammar tables.

        Raises
        ------
        ModelError
            torch, transformers or llguidance is not installed, or the model cannot be loaded.
        """
        torch_cpu.prepare()
        try:
            import llguidance.hf
            import torch
            from safetensors import SafetensorError
            from transformers.utils import logging
        except ImportError as fault:
            raise ModelError(
                f"the transformers engine cannot be imported: {fault}. Install the extra 'transformers', or set "
                "synth.model.engine to 'openai' and give the base_url of a server."
            ) from fault
        logging.set_verbosity_error()
        checkpoint = locate(spec)
        self._rules = model_rules(spec, checkpoint.folder)
        check_engine(spec, self._rules, "transformers")
        self._device = "cuda" if spec.gpus > 0 and torch.cuda.is_available() else "cpu"
        try:
            self._processor, self._model = _load(checkpoint, self._device, spec.trust_remote_code)
            self._tokenizer = self._processor.tokenizer
            self._grammar_tokens = llguidance.hf.from_tokenizer(self._tokenizer)
        except (*common.ENGINE_FAULTS, ImportError, SafetensorError) as fault:
            raise ModelError(
                f"transformers could not load {spec.name!r} from {checkpoint.folder}: {type(fault).__name__}: {fault}. "
                "Check that it is an image-text-to-text model with a fast tokenizer and a chat template, and that "
                "memory suffices."
            ) from fault
        self._spec = spec
        self._special_tokens = tuple(self._tokenizer.get_added_vocab())
        #: Tokens chosen so far.
        self.steps = 0
        #: Which engine, model and revision answers.
        self.info = checkpoint.under_transformers(batch_invariant=True)

    def __call__(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer every request, in order, each on its own.

        Raises
        ------
        ModelError
            The engine was closed, or memory ran out.
        """
        self._check_open()
        return [self._answer(request) for request in requests]

    def answer_loss(self, request: Request, answer: str) -> tuple[float | None, int, str]:
        """Return how unlikely the model finds `answer` as its reply to `request`.

        Returns (mean negative log likelihood of the answer's tokens in nats, number of tokens, ""), or
        (None, 0, why) where it cannot be computed. Prompt, headers and end marks are left out of the mean, and the
        answer is tokenised on its own, so no token is half prompt. Neither schema nor sampling plays a part.

        Raises
        ------
        ModelError
            The engine was closed, or memory ran out.
        """
        self._check_open()
        try:
            pictures = common.open_pictures(request, self._spec.max_image_side, self._rules.pictures)
            inputs = self._encode(request, pictures)
            ids = self._tokenizer(answer, add_special_tokens=False, return_tensors="pt")["input_ids"].to(self._device)
            if inputs["input_ids"].shape[1] + ids.shape[1] > self._spec.max_model_len:
                return None, 0, "prompt_too_long"
            return (*self._mean_loss(inputs, ids), "") if ids.shape[1] else (None, 0, "empty_answer")
        except common.PictureError as fault:
            return None, 0, f"{fault.failure}: {fault}"
        except MemoryError as fault:
            raise ModelError("memory ran out; lower max_model_len or max_image_side") from fault
        except common.ENGINE_FAULTS as fault:
            return None, 0, f"engine_error: {type(fault).__name__}: {fault}"

    def _mean_loss(self, inputs: Any, ids: torch.Tensor) -> tuple[float, int]:
        """Return the mean loss of `ids` (int64, (1, answer)) after the inputs, and how many they are."""
        import torch

        start = inputs["input_ids"].shape[1]
        whole = dict(inputs)
        for name, value in inputs.items():
            if value.shape[:2] != (1, start) or value.is_floating_point():
                continue  # pixels
            # Marks of picture and text tokens: the answer is text.
            filler = ids if name == "input_ids" else torch.full_like(ids, 1 if name == "attention_mask" else 0)
            whole[name] = torch.cat([value, filler.to(value.dtype)], dim=1)
        with torch.inference_mode():
            logits = self._model(**whole).logits[0, start - 1 : -1].float()
        losses = torch.nn.functional.cross_entropy(logits, ids[0], reduction="mean")
        return float(losses), int(ids.shape[1])

    def close(self) -> None:
        """Free the model; the object is not used again."""
        self._model = None
        self._processor = None

    def _check_open(self) -> None:
        if self._model is None:
            raise ModelError("this transformers engine is closed; build a new one")

    def _answer(self, request: Request) -> Reply:
        try:
            pictures = common.open_pictures(request, self._spec.max_image_side, self._rules.pictures)
            inputs = self._encode(request, pictures)
            matcher = self._matcher(request)
        except common.PictureError as fault:
            return common.failed(request, fault.failure, fault)
        except common.ENGINE_FAULTS as fault:
            return common.failed(request, "refused", f"{type(fault).__name__}: {fault}")
        prompt_tokens = int(inputs["input_ids"].shape[1])
        room = self._spec.max_model_len - prompt_tokens
        if room < request.sampling.max_tokens:
            detail = (
                f"{prompt_tokens} tokens of prompt and up to {request.sampling.max_tokens} of an answer; max_model_len "
                f"is {self._spec.max_model_len}"
            )
            words = int(self._encode(request, [])["input_ids"].shape[1]) if pictures else prompt_tokens
            limit = self._spec.max_model_len - request.sampling.max_tokens + 1
            return common.over_context(request, words, limit, detail)
        try:
            new = self._generate(inputs, _TokenChooser(request, matcher), request.sampling.max_tokens)
        except MemoryError as fault:
            raise EngineDiedError("memory ran out during generation; lower max_model_len or max_image_side") from fault
        except common.ENGINE_FAULTS as fault:
            return common.failed(request, "engine_error", f"{type(fault).__name__}: {fault}")
        ended = bool(new) and new[-1] in self._stops()
        text = self._tokenizer.decode(new, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return common.checked(request, text, not ended, prompt_tokens, len(new))

    def _encode(self, request: Request, pictures: list[Any]) -> Any:
        """Return the model's inputs for one request, on its device."""
        parts = [{"type": "image"} for _ in pictures]
        chat = common.messages(request, parts, self._special_tokens, self._rules.picture_first)
        text = self._processor.apply_chat_template(
            chat, tokenize=False, add_generation_prompt=True, **self._rules.template
        )
        settings = {"images_kwargs": dict(self._rules.processor)} if self._rules.processor else {}
        inputs = self._processor(
            text=[text],
            images=[pictures] if pictures else None,
            return_tensors="pt",
            add_special_tokens=False,
            **settings,
        )
        return inputs.to(self._device)

    def _matcher(self, request: Request) -> Any:
        """Return a fresh grammar state for the request's constraint, or None; a bad schema raises ValueError."""
        from llguidance import LLMatcher, grammar_from

        if request.json_schema is not None:
            grammar = LLMatcher.grammar_from_json_schema(request.json_schema, defaults={"whitespace_flexible": False})
        elif request.choices is not None:
            grammar = grammar_from("choice", json.dumps(request.choices))
        else:
            return None
        matcher = LLMatcher(self._grammar_tokens, grammar, log_level=0)
        if matcher.is_error():
            raise ValueError(matcher.get_error())
        return matcher

    def _generate(self, inputs: Any, chooser: _TokenChooser, max_new_tokens: int) -> list[int]:
        """Return the ids of the new tokens, the end mark included."""
        import torch

        with torch.inference_mode():
            output = self._model.generate(
                **inputs,
                do_sample=False,
                max_new_tokens=max_new_tokens,
                logits_processor=[self._count, chooser],
                pad_token_id=self._tokenizer.pad_token_id or self._stops()[0],
            )
        new: list[int] = output[0, inputs["input_ids"].shape[1] :].tolist()
        return new

    def _count(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Note that a token is about to be chosen."""
        del ids
        self.steps += 1
        return scores

    def _stops(self) -> list[int]:
        """Return the token ids that end an answer."""
        stops = self._model.generation_config.eos_token_id or self._tokenizer.eos_token_id
        return list(stops) if isinstance(stops, list) else [int(stops)]


def _load(checkpoint: Checkpoint, device: str, remote_code: bool) -> tuple[Any, Any]:
    """Return (processor, model in evaluation mode)."""
    from transformers import AutoModelForImageTextToText, AutoProcessor, GenerationConfig

    processor = AutoProcessor.from_pretrained(checkpoint.folder, trust_remote_code=remote_code)
    model = AutoModelForImageTextToText.from_pretrained(
        checkpoint.folder, dtype=checkpoint.dtype, trust_remote_code=remote_code
    )
    ids = model.generation_config
    # Only what ends a text is kept of the model's own defaults: a recipe's sampling must not be mixed with others.
    model.generation_config = GenerationConfig(
        eos_token_id=ids.eos_token_id, pad_token_id=ids.pad_token_id, bos_token_id=ids.bos_token_id
    )
    return processor, model.to(device).eval()


class _TokenChooser:
    """A logits processor for one request: applies its grammar, draws its token, and leaves that one alone.

    Drawing here, and not in `generate`, ties the draw to the request's own seed.
    """

    def __init__(self, request: Request, matcher: Any):
        self._matcher = matcher
        self._sampling = request.sampling
        self._random = np.random.Generator(np.random.Philox(key=common.seed_of(request)))
        self._started = False

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return `scores` (float, (1, vocabulary)) with every token but the chosen one at minus infinity."""
        logits = scores[0].float().cpu().numpy()
        if self._matcher is not None:
            if self._started:
                self._matcher.consume_token(int(input_ids[0, -1]))
            logits = np.where(_allowed(self._matcher, len(logits)), logits, -np.inf)
        self._started = True
        chosen = choose_token(logits, self._sampling, self._random)
        only = scores.new_full(scores.shape, float("-inf"))
        only[0, chosen] = 0.0
        return only


def _allowed(matcher: Any, vocabulary: int) -> np.ndarray:
    """Return a bool array of shape (vocabulary,): the tokens that the grammar allows next."""
    packed = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
    bits = np.unpackbits(packed, bitorder="little")[:vocabulary].astype(bool)
    return np.pad(bits, (0, vocabulary - len(bits)))


def choose_token(logits: np.ndarray, sampling: Sampling, random: np.random.Generator) -> int:
    """Return the index of the next token.

    Temperature 0 takes the largest logit, the lower index on a tie. Otherwise one uniform number picks from the nucleus
    (Holtzman et al. 2020, arXiv:1904.09751): the fewest most probable tokens whose mass reaches `top_p`.

    Parameters
    ----------
    logits
        Shape (vocabulary,), float; minus infinity for tokens that must not be taken.
    """
    if sampling.temperature == 0:
        return int(np.argmax(logits))
    scaled = logits.astype(np.float64) / sampling.temperature
    weights = np.exp(scaled - scaled.max())
    order = np.argsort(-weights, kind="stable")
    mass = np.cumsum(weights[order]) / weights.sum()
    kept = int(np.searchsorted(mass, sampling.top_p)) + 1
    draw = random.random() * mass[min(kept, len(mass)) - 1]
    return int(order[np.searchsorted(mass, draw, side="right")])
