"""Training of the small model, from nothing, in two stages.

First the vision tower learns to name what is drawn at each patch, and with the connector to state the facts of the
picture at each image token (linear heads that are thrown away later): dense supervision, which costs minutes where
learning to see from answers alone would cost days. Then all of it learns to answer, with the loss on answer tokens
only; the heads go on beside it.

The learning rate rises, stays, and falls linearly over the last quarter of each stage's steps.
"""

from __future__ import annotations

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
from infinity_mm.synth.small_vlm import vocabulary
from infinity_mm.synth.small_vlm.align import align
from infinity_mm.synth.small_vlm.batches import FACTS, MARKS, Batch, Batches
from infinity_mm.synth.tiny_model import corpus

_PREFIX = 4  # tokens before the image tokens
_STATE = "state.pt"
_MARK = "mark"

Log = Callable[[str], None]


class TrainParams(Frozen):
    """How to train. The defaults suit two CPU cores and an hour or two; a GPU takes larger batches and more steps."""

    seed: int = 17
    #: Steps of the first stage, on pictures alone.
    see_steps: int = Field(default=900, ge=0)
    #: Steps of the second stage, on pictures with examples.
    steps: int = Field(default=4000, ge=0)
    #: Pictures of a batch; in the first stage, where they cost less, four times as many.
    pictures: int = Field(default=16, gt=0)
    #: Examples for each picture in the second stage.
    examples: int = Field(default=8, gt=0)
    learning_rate: float = Field(default=2.5e-3, gt=0)
    #: First steps of the second stage, in which most examples are short look-ups.
    early_steps: int = Field(default=1200, ge=0)
    #: First steps of the second stage, in which the vision tower rests.
    resting_steps: int = Field(default=2000, ge=0)
    #: Learning rate of the vision tower after that, as a share of the other.
    vision_share: float = Field(default=0.2, ge=0)
    weight_decay: float = Field(default=0.02, ge=0)
    #: Share of a stage's steps over which the learning rate falls to a twentieth.
    decay_share: float = Field(default=0.25, gt=0, le=1)
    #: Weight of the facts in the second stage.
    facts_weight: float = Field(default=1.0, ge=0)
    threads: int = Field(default=2, gt=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    #: Seconds between two savings of the state.
    save_every_s: float = Field(default=180.0, gt=0)


def train(out: Path, params: TrainParams, log: Log = print) -> Path:
    """Train, or go on from the state in `out`, and return the folder of the checkpoint, ``out/checkpoint``.

    Raises
    ------
    UsageError
        CUDA is asked for and there is none, or `out` holds a state of another vocabulary.
    """
    torch_cpu.prepare()
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


class _Run:
    """The model with its heads, its optimizer, and how far it has come."""

    def __init__(self, out: Path, params: TrainParams, device: str, log: Log):
        import torch
        from tokenizers import Tokenizer
        from transformers import Idefics3ForConditionalGeneration

        self._out, self._params, self._device, self._log = out, params, device, log
        self._tokenizer = vocabulary.build(corpus())
        config = architecture.config(Tokenizer.from_str(self._tokenizer).get_vocab_size())
        torch.manual_seed(params.seed)
        # Sequences are short: plain attention is faster than the fused kernels, whose backward pass is slow on CPUs.
        self._model = Idefics3ForConditionalGeneration._from_config(config, attn_implementation="eager")
        initialise(self._model)
        width = config.text_config.hidden_size
        heads = {name: torch.nn.Linear(width, n) for name, n in FACTS.items()}
        heads[_MARK] = torch.nn.Linear(config.vision_config.hidden_size, len(MARKS) + 1)
        self._heads = torch.nn.ModuleDict(heads)
        self._model.to(device).train()
        self._heads.to(device)
        self._optimizers = optimizers(self._model, self._heads, params)
        self._done = {"see": 0, "answer": 0}

    def stage(self, name: Literal["see", "answer"]) -> None:
        """Run the steps of a stage that are still to do."""
        params = self._params
        total = params.see_steps if name == "see" else params.steps
        if name == "answer" and self._done[name] == 0:
            from tokenizers import Tokenizer

            count = align(self._model, self._heads, Tokenizer.from_str(self._tokenizer))
            self._log(f"{count} words take the directions of facts")
        saved, reported, window = time.monotonic(), time.monotonic(), _Means()
        for batch in self._batches(name, self._done[name], total):
            self._pace(name, total)
            window.add(self._step(name, batch))
            self._done[name] += 1
            now = time.monotonic()
            if now - reported > 20 or self._done[name] == total:
                self._log(f"{name} {self._done[name]}/{total}  {window.text()}")
                reported, window = now, _Means()
            if now - saved > params.save_every_s or self._done[name] == total:
                self._save()
                saved = time.monotonic()

    def _batches(self, name: str, first: int, total: int) -> Iterator[Batch]:
        """Yield the batches of the steps still to do, made ahead by another process."""
        from torch.utils.data import DataLoader

        params = self._params
        pictures, examples = (params.pictures * 4, 0) if name == "see" else (params.pictures, params.examples)
        seed = params.seed + (0 if name == "see" else 1)
        source = Batches(self._tokenizer, seed, pictures, examples, params.early_steps)
        yield from DataLoader(
            source,
            sampler=range(first, total),
            batch_size=None,
            num_workers=1 if self._device == "cpu" else 8,
            prefetch_factor=4,
            collate_fn=_same,
        )

    def _pace(self, name: str, total: int) -> None:
        """Set the learning rates of the next step."""
        params, step = self._params, self._done[name]
        rate = params.learning_rate * min(1.0, (step + 1) / 150)
        left = (total - step) / max(1.0, total * params.decay_share)
        rate *= 0.05 + 0.95 * min(1.0, left)
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * (params.vision_share if group["tower"] and name == "answer" else 1.0)

    def _step(self, name: str, batch: Batch) -> dict[str, float]:
        """Take one step; return the losses."""
        import torch

        resting = name == "answer" and self._done[name] < self._params.resting_steps
        with torch.autocast(self._device, torch.bfloat16):
            with torch.set_grad_enabled(not resting):
                patches, features = see(self._model, torch.from_numpy(batch.pixels).to(self._device))
                facts, right = self._state_facts(features, batch)
                facts = facts + self._name_marks(patches, batch)
            answers = answer_loss(self._model, features, batch) if batch.rows else facts.new_zeros(())
        weight = 1.0 if name == "see" else self._params.facts_weight
        loss = answers if resting else weight * facts + answers
        loss.backward()
        torch.nn.utils.clip_grad_norm_((*self._model.parameters(), *self._heads.parameters()), 1.0)
        for optimizer in self._optimizers:
            # In the first stage nothing reaches the decoder: its gradients stay None, and its weights alone.
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return {"facts": facts.item(), "right": right, "answers": answers.item()}

    def _state_facts(self, features: Any, batch: Batch) -> tuple[Any, float]:
        """Return the loss of the heads, and the share of pictures of which every fact is stated rightly."""
        import torch

        total = features.new_zeros((), dtype=torch.float32)
        correct = torch.ones(features.shape[0], dtype=torch.bool, device=features.device)
        for name in FACTS:
            head = self._heads[name]
            target = torch.from_numpy(batch.facts[name]).to(self._device)
            scores = head(features).float()
            total = total + torch.nn.functional.cross_entropy(scores.flatten(0, 1), target.flatten())
            correct &= (scores.argmax(-1) == target).all(-1)
        return total, correct.float().mean().item()

    def _name_marks(self, patches: Any, batch: Batch) -> Any:
        """Return the loss of naming what is drawn at each patch; patches with and without a mark weigh the same."""
        import torch

        target = torch.from_numpy(batch.marks).to(self._device).flatten()
        scores = self._heads[_MARK](patches).float().flatten(0, 1)
        losses = torch.nn.functional.cross_entropy(scores, target, reduction="none")
        marked = target > 0
        return 2.0 * (losses[marked].mean() + losses[~marked].mean()) if marked.any() else losses.mean()

    def restore(self) -> None:
        """Go on from a saved state where there is one."""
        import torch

        path = self._out / _STATE
        if not path.is_file():
            return
        state = torch.load(path, map_location=self._device, weights_only=True)
        if state["prompts"] != vocabulary.prompt_versions() or state["pieces"] != list(vocabulary.pieces()):
            raise UsageError(f"{path} was trained with other prompts or words; choose an empty folder")
        self._model.load_state_dict(state["model"])
        self._heads.load_state_dict(state["heads"])
        for optimizer, saved in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self._done = state["done"]
        self._log(f"resumed after {self._done}")

    def _save(self) -> None:
        import torch

        state = {
            "model": self._model.state_dict(),
            "heads": self._heads.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
            "done": self._done,
            "prompts": vocabulary.prompt_versions(),
            "pieces": list(vocabulary.pieces()),
        }
        aside = self._out / f".{_STATE}"
        torch.save(state, aside)
        os.replace(aside, self._out / _STATE)
        self.export()

    def export(self) -> Path:
        """Write the checkpoint that the engines load."""
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


def optimizers(model: Any, heads: Any, params: TrainParams) -> tuple[Any, Any]:
    """Return Muon (Jordan et al. 2024) for the matrices of the layers, and AdamW for all else.

    Every parameter group says in `tower` whether it belongs to the vision tower or the connector.
    """
    import torch

    groups: dict[tuple[bool, bool], list[Any]] = {
        (hidden, tower): [] for hidden in (True, False) for tower in (True, False)
    }
    for name, parameter in model.named_parameters():
        hidden = parameter.dim() == 2 and (".layers." in name or "connector" in name)
        groups[hidden, "vision_model" in name or "connector" in name].append(parameter)
    groups[False, False] += heads.parameters()
    common = {"lr": params.learning_rate, "weight_decay": params.weight_decay}

    def of(hidden: bool) -> list[dict[str, Any]]:
        return [{"params": groups[hidden, tower], "tower": tower} for tower in (True, False)]

    muon = torch.optim.Muon(of(True), adjust_lr_fn="match_rms_adamw", **common)
    return muon, torch.optim.AdamW(of(False), betas=(0.9, 0.98), **common)


def see(model: Any, pixels: Any) -> tuple[Any, Any]:
    """Return patches and image tokens of pictures (B, 3, SIDE, SIDE) in [-1, 1].

    The shapes are (B, patches, vision width) and (B, IMAGE_TOKENS, text width).
    """
    patches = model.model.vision_model(pixel_values=pixels).last_hidden_state
    return patches, model.model.connector(patches)


def answer_loss(model: Any, features: Any, batch: Batch) -> Any:
    """Return the weighted mean cross-entropy of the answers' tokens, in nats."""
    import torch

    total, weights = features.new_zeros((), dtype=torch.float32), 0.0
    end = _PREFIX + architecture.IMAGE_TOKENS
    for rows in batch.rows:
        ids = torch.from_numpy(rows.ids).to(features.device)
        weight = torch.from_numpy(rows.weight).to(features.device)
        words = model.model.text_model.embed_tokens(ids)
        pictures = features[torch.from_numpy(rows.picture).to(features.device)].to(words.dtype)
        inputs = torch.cat([words[:, :_PREFIX], pictures, words[:, end:]], dim=1)
        hidden = model.model.text_model(inputs_embeds=inputs, use_cache=False).last_hidden_state[:, :-1]
        asked = weight[:, 1:] > 0
        scores = model.lm_head(hidden[asked]).float()
        losses = torch.nn.functional.cross_entropy(scores, ids[:, 1:][asked], reduction="none")
        total = total + (losses * weight[:, 1:][asked]).sum()
        weights += float(rows.weight.sum())
    return total / weights
