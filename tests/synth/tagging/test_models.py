"""Scores are those of transformers; faults of pictures are reasons, faults of checkpoints are errors."""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from infinity_mm.errors import ModelError
from infinity_mm.synth.engines import common
from infinity_mm.synth.rows import Failed
from infinity_mm.synth.tagging.identity import check_tagger, tagger_identity
from infinity_mm.synth.tagging.models import PictureTagger
from infinity_mm.synth.tagging.params import ClassifierTagger, ModelTagger, ZeroShotTagger
from tests import checkpoints
from tests.checkpoints import png

TAGS = ("boat", "cat", "dog", "house", "red car", "sky", "tree")
VOCABULARY = {"file": "v.txt", "text": "\n".join(TAGS)}
PICTURES = [png(seed) for seed in range(5)]


def zero_shot(folder: Path, **changes: Any) -> ZeroShotTagger:
    tree = {"kind": "zero_shot", "model": {"name": str(folder)}, "vocabulary": VOCABULARY, "threshold": 0.0}
    return ZeroShotTagger.model_validate(tree | changes)


def classifier(folder: Path, **changes: Any) -> ClassifierTagger:
    tree = {"kind": "classifier", "model": {"name": str(folder)}, "threshold": 0.0}
    return ClassifierTagger.model_validate(tree | changes)


def tags(use: ModelTagger, *pictures: bytes) -> list[Any]:
    return [one.found if isinstance(one.found, Failed) else dict(one.found) for one in PictureTagger(use)(pictures)]


def direct(folder: Path, auto: str, data: bytes, captions: list[str]) -> Any:
    """Return the logits of one picture, as a user of transformers would get them."""
    import torch
    import transformers

    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    model = getattr(transformers, auto).from_pretrained(folder)
    inputs = dict(processor(images=Image.open(io.BytesIO(data)).convert("RGB"), return_tensors="pt"))
    if captions:
        words = transformers.AutoTokenizer.from_pretrained(folder)
        padding = {"padding": "max_length", "max_length": checkpoints.CONTEXT} if "siglip" in str(folder) else {}
        inputs |= words(captions, return_tensors="pt", **({"padding": True} | padding))
        inputs.pop("token_type_ids", None)
        if padding:
            inputs.pop("attention_mask")
    with torch.inference_mode():
        found = model(**inputs)
    return (found.logits_per_image if captions else found.logits)[0].double().numpy()


def sigmoid(logits: Any) -> Any:
    return 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize("template", ["a photo of a {}", "{}, a picture"])
def test_clip_is_the_softmax_of_a_tags_caption_against_the_neutral_one(tiny: Path, template: str) -> None:
    use = zero_shot(tiny / "clip", template=template)
    captions = [template.replace("{}", tag) for tag in TAGS]
    for data, found in zip(PICTURES[:2], tags(use, *PICTURES[:2]), strict=True):
        logits = direct(tiny / "clip", "CLIPModel", data, [*captions, "a photo"])
        pairs = np.exp(np.stack([logits[:-1], np.full(len(TAGS), logits[-1])]))
        expected = (pairs / pairs.sum(0))[0]
        assert [found[tag] for tag in TAGS] == pytest.approx(expected, abs=1e-4)
        assert max(found.values()) - min(found.values()) > 0.01, "captions differ, or the test says nothing"


def test_siglip_is_the_sigmoid_of_its_logits(tiny: Path) -> None:
    (found,) = tags(zero_shot(tiny / "siglip"), PICTURES[0])
    logits = direct(tiny / "siglip", "SiglipModel", PICTURES[0], [f"a photo of a {tag}" for tag in TAGS])
    assert [found[tag] for tag in TAGS] == pytest.approx(sigmoid(logits), abs=1e-4)


def test_a_classifier_is_the_sigmoid_of_its_logits_by_label(tiny: Path) -> None:
    (found,) = tags(classifier(tiny / "classifier"), PICTURES[1])
    logits = direct(tiny / "classifier", "ViTForImageClassification", PICTURES[1], [])
    assert [found[tag] for tag in ("dog", "cat", "red car", "tree")] == pytest.approx(sigmoid(logits), abs=1e-4)


def test_a_head_for_a_single_label_says_so(tiny: Path, tmp_path: Path) -> None:
    folder = checkpoints.classifier(tmp_path, ["dog", "cat", "tree"], "single_label_classification")
    tagger = PictureTagger(classifier(folder))
    (found,) = tagger(PICTURES[:1])
    assert tagger.info.score == "softmax"
    assert sum(score for _, score in found.found) == pytest.approx(1, abs=2e-4)


@pytest.mark.parametrize("kind", ["clip", "siglip", "classifier"])
def test_what_a_picture_gets_is_no_matter_of_its_neighbours(tiny: Path, kind: str) -> None:
    make = classifier if kind == "classifier" else zero_shot
    tagger = PictureTagger(make(tiny / kind))
    alone = [one for data in PICTURES for one in tagger([data])]
    assert tagger(PICTURES) == alone
    assert tagger(PICTURES[::-1]) == alone[::-1]
    assert tagger(PICTURES[:2]) + tagger(PICTURES[2:]) == alone
    assert tagger.info.engine.batch_invariant


@pytest.mark.parametrize("kind", ["clip", "siglip", "classifier"])
def test_batches_change_no_more_than_the_last_decimal(tiny: Path, kind: str) -> None:
    make = classifier if kind == "classifier" else zero_shot
    alone, many = (tags(make(tiny / kind, batch=batch), *PICTURES) for batch in (1, 3))
    for one, other in zip(alone, many, strict=True):
        assert one == pytest.approx(other, abs=1.01e-4)
    assert not PictureTagger(make(tiny / kind, batch=3)).info.engine.batch_invariant


def test_a_tag_is_no_matter_of_the_rest_of_the_vocabulary(tiny: Path) -> None:
    for kind in ("clip", "siglip"):
        (many,) = tags(zero_shot(tiny / kind), PICTURES[0])
        (few,) = tags(zero_shot(tiny / kind, vocabulary={"file": "v", "text": "dog\nsky"}), PICTURES[0])
        assert few == {tag: many[tag] for tag in ("dog", "sky")}


def test_threshold_and_top_bound_the_tags(tiny: Path) -> None:
    (every,) = tags(zero_shot(tiny / "clip"), PICTURES[0])
    middle = sorted(every.values())[3]
    (above,) = tags(zero_shot(tiny / "clip", threshold=middle), PICTURES[0])
    assert above == {tag: score for tag, score in every.items() if score >= middle}
    (best,) = tags(zero_shot(tiny / "clip", top=2), PICTURES[0])
    assert list(best.items()) == list(every.items())[:2]
    assert [PictureTagger(zero_shot(tiny / kind, threshold=None)).info.threshold for kind in ("clip", "siglip")] == [
        0.5,
        0.2,
    ]


def test_bad_pictures_fail_alone_with_a_reason(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "MAX_PIXELS", 60 * 60)
    use = classifier(tiny / "classifier")
    found = tags(use, b"no picture", PICTURES[0], PICTURES[0][:60], png(1, (61, 61)), png(2, (1, 50)))
    assert [one.reason if isinstance(one, Failed) else "tags" for one in found] == [
        "undecodable_image",
        "tags",
        "undecodable_image",
        "image_too_large",
        "tags",
    ]
    assert found[1] == tags(use, PICTURES[0])[0]


def test_scores_that_are_no_numbers_are_no_tags(tiny: Path, tmp_path: Path) -> None:
    import torch
    from transformers import ViTForImageClassification, ViTImageProcessorPil

    model = ViTForImageClassification.from_pretrained(tiny / "classifier")
    with torch.no_grad():
        model.classifier.bias.fill_(float("nan"))
    model.save_pretrained(tmp_path)
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    (found,) = tags(classifier(tmp_path), PICTURES[0])
    assert found == Failed("model_call_failed", "the model's scores are not numbers")


def test_what_it_was_is_recorded(tiny: Path) -> None:
    told = PictureTagger(zero_shot(tiny / "clip", name="eyes", top=3)).info
    assert (told.name, told.kind, told.score, told.top) == ("eyes", "zero_shot", "softmax_against_neutral", 3)
    assert (told.template, told.neutral, told.threshold) == ("a photo of a {}", "a photo", 0.0)
    assert (told.engine.model, len(told.engine.revision)) == (str(tiny / "clip"), 16)
    assert told.engine.version.startswith("transformers ")
    assert (told.labels, told.labels_sha256) == (len(TAGS), hashlib.sha256("\n".join(TAGS).encode()).hexdigest())
    assert PictureTagger(zero_shot(tiny / "siglip")).info.neutral is None


def test_a_checkpoint_of_another_kind_is_refused_before_any_work(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"synth.taggers.zero_shot: .* is of type 'vit'.*one of clip, siglip.*kind: cla"
    ):
        check_tagger(zero_shot(tiny / "classifier"))
    with pytest.raises(ModelError, match="is no model folder"):
        check_tagger(classifier(tmp_path))
    with pytest.raises(ModelError, match=r"synth.taggers.classifier: .*neither a folder here nor a hub name"):
        tagger_identity(classifier(tmp_path / "nowhere/at/all"))
    check_tagger(zero_shot(tiny / "clip"))


def test_a_checkpoint_that_cannot_tag_is_refused(tiny: Path, tmp_path: Path) -> None:
    from transformers import ViTModel

    with pytest.raises(ModelError, match=r"is of type 'clip', without labels of its own; write kind: zero_shot"):
        PictureTagger(classifier(tiny / "clip"))
    headless = checkpoints.classifier(tmp_path / "c", ["dog", "cat"])
    ViTModel.from_pretrained(headless).save_pretrained(headless)
    with pytest.raises(ModelError, match=r"no weights for 2 parameters .* not trained as a classifier tagger"):
        PictureTagger(classifier(headless))
    nameless = checkpoints.classifier(tmp_path / "a", ["LABEL_0", "LABEL_1"])
    with pytest.raises(ModelError, match=r"calls 2 of its 2 labels 'label_0'.*id2label"):
        PictureTagger(classifier(nameless))
    with pytest.raises(ModelError, match=f"has 16 tokens and .* reads {checkpoints.CONTEXT}; shorten"):
        PictureTagger(zero_shot(tiny / "clip", template="a photo of a {} of a photo of a photo of a photo"))
    broken = checkpoints.classifier(tmp_path / "b", ["dog", "cat"])
    (broken / "model.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match=r"transformers could not load .*safetensors"):
        PictureTagger(classifier(broken))


def test_the_identity_is_of_what_the_tags_depend_on(tiny: Path, tmp_path: Path) -> None:
    base = zero_shot(tiny / "clip")
    told = tagger_identity(base)
    assert (
        tagger_identity(
            zero_shot(tiny / "clip", vocabulary={"file": "elsewhere", "text": "# x\n" + "\n".join(TAGS[::-1])})
        )
        == told
    )
    others = [
        zero_shot(tiny / "siglip"),
        zero_shot(tiny / "clip", threshold=0.4),
        zero_shot(tiny / "clip", top=3),
        zero_shot(tiny / "clip", template="{}"),
        zero_shot(tiny / "clip", neutral="nothing"),
        zero_shot(tiny / "clip", vocabulary={"file": "v.txt", "text": "dog"}),
    ]
    assert len({told, *map(tagger_identity, others)}) == 7
    copied = tmp_path / "copy"
    copied.mkdir()
    for file in (tiny / "clip").iterdir():
        (copied / file.name).write_bytes(file.read_bytes())
    assert tagger_identity(zero_shot(copied)) == told
