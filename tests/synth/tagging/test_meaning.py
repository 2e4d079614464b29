"""Taggers that were taught four shapes in a few seconds find them in new pictures, through the package's own path."""

import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infinity_mm.synth.small_vlm.render import SIDE, draw, png
from infinity_mm.synth.small_vlm.scenes import SHAPES, draw_scene
from infinity_mm.synth.tagging.models import PictureTagger
from infinity_mm.synth.tagging.params import ClassifierTagger, ZeroShotTagger
from tests import checkpoints

pytestmark = pytest.mark.slow
TOWER: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
EYES: dict[str, Any] = {**TOWER, "image_size": SIDE, "patch_size": 16}
SIZE = {"height": SIDE, "width": SIDE}
TEMPLATE = "a picture of a {}"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """On a busy machine threads that wait for each other cost more than they bring."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def drawn(count: int, seed: int) -> list[tuple[Any, set[str]]]:
    """Return pictures with the shapes that are in them."""
    rng = random.Random(seed)
    scenes = [draw_scene(rng, "shapes") for _ in range(count)]
    return [(draw(scene, rng), {thing.shape for thing in scene.things}) for scene in scenes]


def teach(model: Any, logits: Callable[[Any], Any]) -> None:
    """Train until the logits of the shapes say which of them are in a picture."""
    import torch

    taught = drawn(1500, 7)
    pixels = torch.tensor(np.stack([np.asarray(picture) for picture, _ in taught])).permute(0, 3, 1, 2) / 127.5 - 1
    truth = torch.tensor([[float(shape in there) for shape in SHAPES] for _, there in taught])
    steps = 200
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps)
    for _ in range(steps):
        rows = torch.randint(len(taught), (64,))
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(logits(pixels[rows]), truth[rows]).backward()
        optimizer.step()
        schedule.step()


def check(tagger: PictureTagger) -> None:
    fresh = drawn(100, 8)
    found = [{tag for tag, _ in one.found} for one in tagger([png(picture) for picture, _ in fresh])]
    right = sum(tags == there for tags, (_, there) in zip(found, fresh, strict=True))
    assert right >= 95, "of a hundred pictures, those with exactly the shapes that were drawn"


def test_a_classifier_finds_the_shapes_that_were_drawn(tmp_path: Path, tiny: Path) -> None:
    import torch
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil

    torch.manual_seed(0)
    labels = dict(enumerate(SHAPES))
    problem = "multi_label_classification"
    model = ViTForImageClassification(ViTConfig(**EYES, id2label=labels, problem_type=problem, hidden_dropout_prob=0))
    teach(model, lambda pixels: model(pixel_values=pixels).logits)
    model.save_pretrained(tmp_path)
    ViTImageProcessorPil(size=SIZE).save_pretrained(tmp_path)
    check(PictureTagger(ClassifierTagger.model_validate({"kind": "classifier", "model": {"name": str(tmp_path)}})))


def test_siglip_finds_the_shapes_by_their_captions(tmp_path: Path, tiny: Path) -> None:
    import torch
    from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel

    torch.manual_seed(0)
    words = checkpoints.tokenizer(("a", "picture", "of", *SHAPES))
    marks = {"pad_token_id": words.pad_token_id, "bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id}
    text = {**TOWER, **marks, "vocab_size": len(words), "max_position_embeddings": 10, "projection_size": 64}
    model = SiglipModel(SiglipConfig(text_config=text, vision_config=EYES))
    with torch.no_grad():  # as the paper begins its training; cosines alone cannot say "surely"
        model.logit_scale.fill_(math.log(10))
        model.logit_bias.fill_(0)
    captions = [TEMPLATE.replace("{}", shape) for shape in SHAPES]
    ids = words(captions, padding="max_length", max_length=10, return_tensors="pt")["input_ids"]
    teach(model, lambda pixels: model(pixel_values=pixels, input_ids=ids).logits_per_image)
    model.save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    SiglipImageProcessorPil(size=SIZE).save_pretrained(tmp_path)
    tree = {"kind": "zero_shot", "model": {"name": str(tmp_path)}, "template": TEMPLATE, "threshold": 0.5}
    tree |= {"vocabulary": {"file": "v", "text": "\n".join(SHAPES)}}
    check(PictureTagger(ZeroShotTagger.model_validate(tree)))
