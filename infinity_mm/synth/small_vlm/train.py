"""Training of the small model, from nothing, in two stages.

First the vision tower learns to name what each cell holds, and with the connector to state the facts of the picture
at each image token (linear heads that are thrown away later): dense supervision, which costs minutes where learning
to see from answers alone would cost days. Then it rests, and the decoder learns to answer, with the loss on answer
tokens only. Examples about one picture share its prefix in one row of tokens and do not see each other.

The learning rate rises, stays, and falls linearly over the last part of each stage's steps.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from infinity_mm.errors import UsageError
from infinity_mm.frozen import Frozen
from infinity_mm.synth.engines import torch_cpu
from infinity_mm.synth.small_vlm import model as architecture
from infinity_mm.synth.small_vlm import vocabulary, words
from infinity_mm.synth.small_vlm.batches import Batch, Batches
from infinity_mm.synth.small_vlm.facts import CELLS, FACTS
from infinity_mm.synth.tiny_model import corpus

_PREFIX = 4  # tokens before the image tokens
_STATE = "state.pt"
#: The layer of the vision tower after which cells are named.
_CELL_LAYER = 2
#: Numbers of options of `mallopt`, from glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3

Stage = Literal["see", "answer"]
Log = Callable[[str], None]


class TrainParams(Frozen):
    """How to train. The defaults suit one CPU core and about an hour."""

    seed: int = 17
    #: Steps of the first stage, on pictures alone.
    see_steps: int = Field(default=1500, ge=0)
    #: Pictures of a batch in the first stage.
    see_pictures: int = Field(default=96, gt=0)
    #: Steps of the second stage, on pictures with examples.
    steps: int = Field(default=2800, ge=0)
    #: Pictures of a batch in the second stage.
    pictures: int = Field(default=24, gt=0)
    #: Examples for each of them.
    examples: int = Field(default=8, gt=0)
    learning_rate: float = Field(default=3e-3, gt=0)
    weight_decay: float = Field(default=0.02, ge=0)
    #: Share of a stage's steps over which the learning rate falls to a fiftieth.
    decay_share: float = Field(default=0.3, gt=0, le=1)
    threads: int = Field(default=1, gt=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    #: Seconds between two savings of the state.
    save_every_s: float = Field(default=120.0, gt=0)


def train(out: Path, params: TrainParams, log: Log = print) -> Path:
    """Train, or go on from the state in `out`, and return the folder of the checkpoint, ``out/checkpoint``.

    Raises
    ------
    UsageError
        CUDA is asked for and there is none, or `out` holds a state of another vocabulary.
    """
    torch_cpu.prepare()
    keep_memory()
    import torch

    torch.set_num_threads(params.threads)
    if params.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("device is cuda and torch sees no GPU; set device to cpu or auto")
    device = "cuda" if params.device != "cpu" and torch.cuda.is_available() else "cpu"
    out.mkdir(parents=True, exist_ok=True)
    run = _Run(out, params, device, log)
    run.restore()
    run.stage("see")
    run.stage("answer")
    return run.export()


def keep_memory() -> None:
    """Tell glibc's malloc to keep what is freed: given back after every operation, pages cost most of a step's time."""
    allocator = getattr(ctypes.CDLL(None), "mallopt", None)
    if allocator is not None:
        for option, size in ((_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 2**27), (_MMAP_THRESHOLD, 2**31 - 1)):
            allocator(option, size)


class _Run:
    """The model with its heads and word vectors, its optimizers, and how far it has come."""

    def __init__(self, out: Path, params: TrainParams, device: str, log: Log):
        import torch
        from tokenizers import Tokenizer
        from transformers import Idefics3ForConditionalGeneration

        self._out, self._params, self._device, self._log = out, params, device, log
        self._tokenizer = vocabulary.build(corpus())
        tokenizer = Tokenizer.from_str(self._tokenizer)
        config = architecture.config(tokenizer.get_vocab_size())
        torch.manual_seed(params.seed)
        # Sequences are short: plain attention is faster than the fused kernels, whose backward pass is slow on CPUs.
        self._model = Idefics3ForConditionalGeneration._from_config(config, attn_implementation="eager")
        initialise(self._model)
        width, seen = config.text_config.hidden_size, config.vision_config.hidden_size
        heads = {name: torch.nn.Linear(width, n) for name, n in FACTS.items()}
        heads |= {name: torch.nn.Linear(seen, n) for name, n in CELLS.items()}
        self._heads = torch.nn.ModuleDict(heads)
        self._table = words.incidence(tokenizer).to(device)
        self._words = words.parameters(self._table, width)
        for part in (self._model, self._heads, self._words):
            part.to(device).train()
        self._optimizers = {
            "see": optimizers((self._model.model.vision_model, self._model.model.connector, self._heads), params),
            "answer": optimizers(
                (self._model.model.text_model.layers, self._model.model.text_model.norm, self._words), params
            ),
        }
        self._done: dict[str, int] = {"see": 0, "answer": 0}

    def stage(self, name: Stage) -> None:
        """Run the steps of a stage that are still to do."""
        total = self._params.see_steps if name == "see" else self._params.steps
        saved, reported, window = time.monotonic(), time.monotonic(), _Means()
        for batch in self._batches(name, self._done[name], total):
            self._pace(name, total)
            window.add(self._see(batch) if name == "see" else self._answer(batch))
            for optimizer in self._optimizers[name]:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            self._done[name] += 1
            now, last = time.monotonic(), self._done[name] == total
            if now - reported > 20 or last:
                self._log(f"{name} {self._done[name]}/{total}  {window.text()}")
                reported, window = now, _Means()
            if now - saved > self._params.save_every_s or last:
                self._save()
                saved = time.monotonic()

    def _batches(self, name: Stage, first: int, total: int) -> Iterator[Batch]:
        """Yield the batches of the steps still to do, made ahead by another process."""
        from torch.utils.data import DataLoader

        params = self._params
        pictures, examples = (params.see_pictures, 0) if name == "see" else (params.pictures, params.examples)
        source = Batches(self._tokenizer, params.seed + (0 if name == "see" else 1), pictures, examples)
        yield from DataLoader(
            source,
            sampler=range(first, total),
            batch_size=None,
            num_workers=1 if self._device == "cpu" else 8,
            prefetch_factor=4,
            collate_fn=_same,
        )

    def _pace(self, name: Stage, total: int) -> None:
        """Set the learning rates of the next step."""
        params, step = self._params, self._done[name]
        rate = params.learning_rate * min(1.0, (step + 1) / 100)
        left = (total - step) / max(1.0, total * params.decay_share)
        rate *= 0.02 + 0.98 * min(1.0, left)
        for optimizer in self._optimizers[name]:
            for group in optimizer.param_groups:
                group["lr"] = rate

    def _see(self, batch: Batch) -> dict[str, float]:
        """Find the gradients of the heads' loss; return it, and the shares of pictures and cells stated rightly."""
        import torch

        with torch.autocast(self._device, torch.bfloat16):
            cells, features = see(self._model, torch.from_numpy(batch.pixels).to(self._device))
            scores = {name: self._heads[name](features) for name in FACTS}
            scores |= {name: self._heads[name](cells) for name in CELLS}
        total = torch.zeros((), device=self._device)
        right = {"facts": torch.ones(len(batch.pixels), dtype=torch.bool, device=self._device)}
        right["cells"] = right["facts"].clone()
        for name, logits in scores.items():
            target = torch.from_numpy(batch.truth[name]).to(self._device)
            total = total + torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), target.flatten())
            right["cells" if name in CELLS else "facts"] &= (logits.argmax(-1) == target).all(-1)
        total.backward()
        return {"loss": total.item()} | {name: share.float().mean().item() for name, share in right.items()}

    def _answer(self, batch: Batch) -> dict[str, float]:
        """Find the gradients of the answers' loss; return it, and the share of answer tokens predicted rightly."""
        import torch

        with torch.autocast(self._device, torch.bfloat16):
            with torch.no_grad():
                _, features = see(self._model, torch.from_numpy(batch.pixels).to(self._device))
            logits, target, weight = answers(
                self._model, features.float(), words.tables(self._words, self._table), batch
            )
        losses = torch.nn.functional.cross_entropy(logits.float(), target, reduction="none")
        loss = (losses * weight).sum() / weight.sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_((*self._model.parameters(), *self._words.parameters()), 1.0)
        return {"loss": loss.item(), "right": (logits.argmax(-1) == target).float().mean().item()}

    def restore(self) -> None:
        """Go on from a saved state where there is one."""
        import torch

        path = self._out / _STATE
        if not path.is_file():
            return
        state = torch.load(path, map_location=self._device, weights_only=True)
        if state["tokenizer"] != self._tokenizer:
            raise UsageError(f"{path} was trained with other prompts or words; choose an empty folder")
        self._model.load_state_dict(state["model"])
        self._heads.load_state_dict(state["heads"])
        self._words.load_state_dict(state["words"])
        for optimizer, saved in zip(self._every_optimizer(), state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self._done = state["done"]
        self._log(f"resumed after {self._done}")

    def _every_optimizer(self) -> list[Any]:
        return [*self._optimizers["see"], *self._optimizers["answer"]]

    def _save(self) -> None:
        import torch

        state = {
            "model": self._model.state_dict(),
            "heads": self._heads.state_dict(),
            "words": self._words.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self._every_optimizer()],
            "done": self._done,
            "tokenizer": self._tokenizer,
        }
        aside = self._out / f".{_STATE}"
        torch.save(state, aside)
        os.replace(aside, self._out / _STATE)
        self.export()

    def export(self) -> Path:
        """Write the checkpoint that the engines load."""
        import torch

        with torch.no_grad():
            read, predicted = words.tables(self._words, self._table)
            self._model.model.text_model.embed_tokens.weight.copy_(read)
            self._model.lm_head.weight.copy_(predicted)
        recipe = {
            "made_by": "python -m infinity_mm.synth.train_small",
            "params": self._params.model_dump(mode="json", exclude={"threads", "device", "save_every_s"}),
            "steps_done": self._done,
            "prompts": vocabulary.prompt_versions(),
        }
        architecture.write(self._out / "checkpoint", self._model, self._tokenizer, recipe)
        return self._out / "checkpoint"


class _Means:
    """Means since the last report, and steps a second."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._count, self._start = 0, time.monotonic()

    def add(self, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1

    def text(self) -> str:
        means = "  ".join(f"{name} {value / self._count:.4f}" for name, value in self._sums.items())
        return f"{means}  {self._count / (time.monotonic() - self._start):.2f} steps/s"


def _same(batch: Batch) -> Batch:
    return batch


def initialise(model: Any) -> None:
    """Draw the weights so that activations keep unit scale: matrices with 1/sqrt(fan-in), residual outputs smaller."""
    import torch

    for name, parameter in model.named_parameters():
        if parameter.dim() < 2:
            continue
        std = parameter[0].numel() ** -0.5
        if "embed_tokens" in name:
            std = 1.0
        elif "position_embedding" in name:
            std = 0.5
        elif name.endswith(("o_proj.weight", "down_proj.weight", "out_proj.weight", "fc2.weight")):
            std *= 8**-0.5
        torch.nn.init.normal_(parameter, std=std)


def optimizers(modules: tuple[Any, ...], params: TrainParams) -> tuple[Any, Any]:
    """Return Muon (Jordan et al. 2024) for the matrices of the layers, and AdamW for all else."""
    import torch

    hidden: list[Any] = []
    others: list[Any] = []
    for module in modules:
        for name, parameter in module.named_parameters():
            inner = parameter.dim() == 2 and name.endswith(("proj.weight", "fc1.weight", "fc2.weight"))
            (hidden if inner else others).append(parameter)
    common = {"lr": params.learning_rate, "weight_decay": params.weight_decay}
    muon = torch.optim.Muon(hidden, adjust_lr_fn="match_rms_adamw", **common)
    return muon, torch.optim.AdamW(others, betas=(0.9, 0.98), **common)


def see(model: Any, pixels: Any) -> tuple[Any, Any]:
    """Return cells half-way up the tower and image tokens of pictures (B, 3, SIDE, SIDE) in [-1, 1].

    The shapes are (B, SLOTS, vision width) and (B, SLOTS, text width).
    """
    seen = model.model.vision_model(pixel_values=pixels, output_hidden_states=True)
    return seen.hidden_states[_CELL_LAYER], model.model.connector(seen.last_hidden_state)


def answers(model: Any, features: Any, tables: tuple[Any, Any], batch: Batch) -> tuple[Any, Any, Any]:
    """Return logits (N, tokens), right tokens (N,) and weights (N,) of the N answer tokens of a batch."""
    import torch

    ids, part, place, weight = (
        torch.from_numpy(values).to(features.device) for values in (batch.ids, batch.part, batch.place, batch.weight)
    )
    read, predicted = tables
    vectors = torch.nn.functional.embedding(ids, read)
    end = _PREFIX + architecture.IMAGE_TOKENS
    vectors = torch.cat([vectors[:, :_PREFIX], features, vectors[:, end:]], dim=1)
    length = ids.shape[1]
    before = torch.ones(length, length, dtype=torch.bool, device=ids.device).tril()
    allowed = before & ((part[:, None, :] == part[:, :, None]) | (part[:, None, :] == 0))
    mask = torch.zeros(allowed.shape, device=ids.device).masked_fill_(~allowed, -1e9)[:, None]
    states = model.model.text_model(
        inputs_embeds=vectors, attention_mask=mask, position_ids=place, use_cache=False
    ).last_hidden_state
    # A token is predicted where the one before it stands; an answer never begins its row.
    row, column = torch.nonzero(weight, as_tuple=True)
    return states[row, column - 1] @ predicted.T, ids[row, column], weight[row, column]
