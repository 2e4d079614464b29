"""A loaded tagger: pictures in, tags with scores out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from infinity_mm.errors import ModelError
from infinity_mm.synth.engines import common, torch_cpu
from infinity_mm.synth.rows import Failed
from infinity_mm.synth.tagging.heads import load_head
from infinity_mm.synth.tagging.identity import located_checkpoint
from infinity_mm.synth.tagging.params import ModelTagger
from infinity_mm.synth.tagging.scores import TaggerInfo, Tagging, choose

if TYPE_CHECKING:
    import torch

#: Pixels of the longest side that a picture is scaled down to before the checkpoint's own processor sees it; far above
#: what any such model reads, so that only the memory of huge pictures is saved.
_MAX_SIDE = 2048


class PictureTagger:
    """A tagger's checkpoint in this process, on the first GPU where it holds one.

    The towers run in float32, the comparison of features in float64. Batches of more than one picture are filled up
    with blank ones: a shape of its own for the last batch would take other kernels, which round otherwise.
    """

    def __init__(self, use: ModelTagger) -> None:
        """Load model and image processor, and for a vocabulary the features of its captions.

        Raises
        ------
        ModelError
            torch or transformers is not installed, or the checkpoint cannot be had, loaded, or used as such a tagger.
        """
        torch_cpu.prepare()
        try:
            import torch
            import transformers
            from safetensors import SafetensorError
            from transformers.utils import logging
        except ImportError as fault:
            raise ModelError(
                f"synth.taggers.{use.name} cannot import transformers: {fault}. Install the extra 'transformers'."
            ) from fault
        logging.set_verbosity_error()
        checkpoint = located_checkpoint(use)
        self._use = use
        self._device = "cuda" if use.model.gpus > 0 and torch.cuda.is_available() else "cpu"
        try:
            self._processor = transformers.AutoImageProcessor.from_pretrained(checkpoint.folder)
            self._head = load_head(use, checkpoint, self._device)
        except (*common.ENGINE_FAULTS, ImportError, MemoryError, SafetensorError) as fault:
            raise ModelError(
                f"synth.taggers.{use.name}: transformers could not load {use.model.name!r} from {checkpoint.folder}: "
                f"{type(fault).__name__}: {fault}. Check that the folder has config.json, *.safetensors, "
                "preprocessor_config.json and, for zero_shot, its tokenizer."
            ) from fault
        self.info = TaggerInfo(
            name=use.name,
            kind=use.kind,
            engine=checkpoint.under_transformers(batch_invariant=use.batch == 1),
            labels=len(self._head.labels),
            labels_sha256=self._head.labels_sha256,
            score=self._head.rule,
            threshold=self._head.threshold,
            top=use.top,
            template=use.template if use.kind == "zero_shot" else None,
            neutral=self._head.neutral,
        )

    def __call__(self, pictures: Sequence[bytes]) -> list[Tagging]:
        """Tag each picture, given as the bytes of its file, in order.

        A picture that cannot be decoded (``undecodable_image``), is too large (``image_too_large``) or that the
        checkpoint's processor refuses (``request_refused``) fails alone. Raises `ModelError` where the model itself
        fails.
        """
        found: list[Tagging | None] = [None] * len(pictures)
        ready: dict[tuple[int, ...], list[tuple[int, torch.Tensor]]] = {}
        for place, data in enumerate(pictures):
            pixels = self._pixels(data)
            if isinstance(pixels, Failed):
                found[place] = Tagging(self.info, pixels)
            else:
                ready.setdefault(tuple(pixels.shape), []).append((place, pixels))
        for members in ready.values():
            for start in range(0, len(members), self._use.batch):
                chunk = members[start : start + self._use.batch]
                for (place, _), row in zip(chunk, self._scores([pixels for _, pixels in chunk]), strict=True):
                    found[place] = self._read(row)
        return [one for one in found if one is not None]

    def _pixels(self, data: bytes) -> torch.Tensor | Failed:
        """Return one picture as the model sees it, (3, height, width), float32."""
        try:
            picture = common.open_picture(data, _MAX_SIDE)
        except common.PictureError as fault:
            return Failed(fault.failure, str(fault))
        try:
            found: torch.Tensor = self._processor(images=[picture], return_tensors="pt")["pixel_values"][0]
        except common.ENGINE_FAULTS as fault:
            return Failed("request_refused", f"{type(fault).__name__}: {fault}")
        return found.float()

    def _scores(self, pixels: Sequence[torch.Tensor]) -> np.ndarray[Any, Any]:
        """Return (pictures, labels), float64, for up to a batch of pictures of one size."""
        import torch

        whole = torch.zeros((self._use.batch, *pixels[0].shape))
        whole[: len(pixels)] = torch.stack(list(pixels))
        try:
            with torch.inference_mode():
                scores = self._head.score(whole.to(self._device))[: len(pixels)]
        except (*common.ENGINE_FAULTS, MemoryError) as fault:
            raise ModelError(
                f"synth.taggers.{self._use.name}: {self._use.model.name} failed on a batch of {self._use.batch} "
                f"pictures: {type(fault).__name__}: {fault}. Where memory ran out, lower the tagger's batch."
            ) from fault
        found: np.ndarray[Any, Any] = scores.cpu().numpy()
        return found

    def _read(self, row: np.ndarray[Any, Any]) -> Tagging:
        if not np.isfinite(row).all():
            return Tagging(self.info, Failed("model_call_failed", "the model's scores are not numbers"))
        return Tagging(self.info, choose(self._head.labels, row, self._head.threshold, self._use.top))
