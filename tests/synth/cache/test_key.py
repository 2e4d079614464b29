from __future__ import annotations

from typing import Any

import pytest

from infinity_mm.synth.cache.key import PLACE, generation_key, model_identity
from infinity_mm.synth.chat import ModelSpec, Request, Sampling

BASE: dict[str, Any] = {
    "key": "x/1/tag",
    "system": "You look.",
    "prompt": "Name things.",
    "prompt_file": "tag.v1",
    "images": (b"picture",),
    "json_schema": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
    "sampling": Sampling(temperature=0.5),
    "seed": 3,
}


def key(model: str = "m", **changes: Any) -> str:
    return generation_key(Request(**(BASE | changes)), model)


def test_who_asks_does_not_matter() -> None:
    assert key(key="y/2/tag") == key()
    assert len(key()) == 48


@pytest.mark.parametrize(
    "changes",
    [
        {"system": "Look."},
        {"prompt": "Name all."},
        {"prompt_file": "tag.v2"},
        {"images": (b"other",)},
        {"images": (b"picture", b"picture")},
        {"images": ()},
        {"json_schema": None},
        {"json_schema": {"type": "object", "properties": {"b": {"type": "integer"}, "a": {"type": "integer"}}}},
        {"json_schema": None, "choices": ("yes",)},
        {"sampling": Sampling(temperature=0.6)},
        {"sampling": Sampling(temperature=0.5, top_p=0.9)},
        {"sampling": Sampling(temperature=0.5, max_tokens=9)},
        {"seed": 4},
        {"model": "other"},
    ],
)
def test_all_that_can_change_the_words_matters(changes: dict[str, Any]) -> None:
    assert key(**changes) != key()


def test_text_does_not_slip_from_one_field_to_the_next() -> None:
    assert key(system="ab", prompt="c") != key(system="a", prompt="bc")


def test_a_greedy_request_has_no_seed() -> None:
    greedy = Sampling()
    assert key(sampling=greedy, seed=1) == key(sampling=greedy, seed=2)


def test_what_is_asked_about_a_picture_stands_together() -> None:
    places = {key(prompt=prompt)[:PLACE] for prompt in "abc"}
    assert len(places) == 1
    assert key(images=(b"other",))[:PLACE] not in places
    assert len({key(prompt=prompt, images=())[:PLACE] for prompt in "abc"}) == 3


def test_models_are_named_by_content_commit_or_address(tmp_path: Any) -> None:
    def folder(name: str, content: str) -> ModelSpec:
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(content)
        return ModelSpec(name=str(tmp_path / name), engine="transformers")

    one, same, other = folder("a", "{}"), folder("b", "{}"), folder("c", "{ }")
    assert model_identity(one) == model_identity(same) != model_identity(other)
    assert model_identity(one) != model_identity(one.model_copy(update={"max_image_side": 336}))
    assert model_identity(one) != model_identity(one.model_copy(update={"picture_first": True}))
    means = {"gpus": 2, "cpus": 4, "replicas": 3, "requests_per_minute": 9, "max_model_len": 4096}
    assert model_identity(one) == model_identity(one.model_copy(update=means))
    (tmp_path / "a" / "config.json").write_text('{"model_type": "internvl"}')
    assert 'processor={"max_patches":1}' in model_identity(one.model_copy(update={"max_image_tokens": 600}))
    served = ModelSpec(name="owner/m", engine="openai", base_url="http://h/v1")
    assert "http://h/v1" in model_identity(served)
    assert model_identity(served.model_copy(update={"revision": "abc"})) == "owner/m@abc side=448"
