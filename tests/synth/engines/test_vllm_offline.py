"""vLLM in process: its arguments, and what it does when the engine itself fails."""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import ValidationError

from infinity_mm.errors import ModelError
from infinity_mm.synth.chat import ModelSpec, Request, Sampling
from infinity_mm.synth.engines.checkpoint import Checkpoint
from infinity_mm.synth.engines.pictures import RecentPictures
from infinity_mm.synth.engines.vllm_offline import VllmChat, engine_arguments, picture_parts

HERE = Checkpoint(Path("/models/m"), "m", "0" * 16)


def test_arguments_without_a_gpu() -> None:
    arguments = engine_arguments(ModelSpec(max_model_len=999), HERE)
    assert arguments["max_model_len"] == 999
    assert arguments["enforce_eager"] is True
    assert arguments["enable_chunked_prefill"] is False
    assert "tensor_parallel_size" not in arguments


@pytest.mark.parametrize(("gpus", "parallel", "share"), [(0.5, None, 0.45), (1, 1, 0.9), (4, 4, 0.9)])
def test_arguments_on_gpus(gpus: float, parallel: int | None, share: float) -> None:
    arguments = engine_arguments(ModelSpec(gpus=gpus), HERE)
    assert arguments.get("tensor_parallel_size") == parallel
    assert arguments["gpu_memory_utilization"] == share
    assert "enforce_eager" not in arguments
    assert "enable_chunked_prefill" not in arguments


def test_one_and_a_half_gpus_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"gpus is 1\.5; an engine takes a part of one GPU or a whole number"):
        ModelSpec(gpus=1.5)


def test_pictures_are_named_by_their_content_so_that_they_are_processed_once() -> None:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(stream, "PNG")
    recent = RecentPictures(max_side=448)
    first, other = (
        picture_parts(recent, Request(key=step, prompt=step, images=(stream.getvalue(),))) for step in ("tag", "judge")
    )
    assert first[0]["uuid"] == hashlib.sha256(stream.getvalue()).hexdigest()
    assert first == other
    assert first[0]["image_pil"] is other[0]["image_pil"]
    assert engine_arguments(ModelSpec(), HERE)["mm_processor_cache_gb"] > 0


def test_vllm_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setitem(__import__("sys").modules, "vllm", None)
    with pytest.raises(ModelError, match="Install the extra 'gpu'"):
        VllmChat(ModelSpec(name=str(tmp_path)))


def ask(*prompts: str) -> list[Request]:
    return [Request(key=prompt, prompt=prompt, sampling=Sampling(max_tokens=3)) for prompt in prompts]


@pytest.fixture
def breakable(vllm_chat: Any) -> Iterator[Any]:
    yield vllm_chat
    vllm_chat.sabotage("")


@pytest.mark.slow
def test_a_request_that_breaks_the_engine_is_isolated(breakable: Any) -> None:
    before = breakable(ask("one", "two", "three", "four"))
    breakable.sabotage("poison")
    replies = breakable(ask("one", "two", "poison 1", "three", "poison 2", "four"))
    assert [reply.error for reply in replies] == [None, None, "refused", None, "refused", None]
    assert "out of memory" in replies[2].detail
    assert [reply.text for reply in replies if reply.text] == [reply.text for reply in before]


@pytest.mark.slow
def test_more_prompts_than_a_step_of_the_engine_takes_can_be_drawn_with_seeds(vllm_chat: Any) -> None:
    """A prompt that a step has no room for is not cut: on a CPU that ends the engine (13,000 tokens, 4,096 a step)."""
    sampling = Sampling(temperature=0.7, max_tokens=8)
    prompts = [f"{number} " + "what is shown in the picture? " * 12 for number in range(120)]
    told = len(vllm_chat.log.read_bytes())
    replies = vllm_chat(
        [Request(key=prompt, prompt=prompt, seed=7, choices=("a", "b"), sampling=sampling) for prompt in prompts]
    )
    assert {reply.error for reply in replies} == {None}
    assert sum(reply.prompt_tokens for reply in replies) > 3 * 4096
    # Requests that bring the engine down are found by halving, so that the replies alone would not tell.
    assert b"ERROR" not in vllm_chat.log.read_bytes()[told:]


@pytest.mark.slow
def test_a_dead_engine_raises_and_stays_dead(breakable: Any) -> None:
    breakable.sabotage("User")  # the chat template puts it into every prompt
    with pytest.raises(ModelError, match=r"stopped answering while 2 requests.*resumes"):
        breakable(ask("one", "two"))
    with pytest.raises(ModelError, match="died earlier: RuntimeError"):
        breakable(ask("one"))
