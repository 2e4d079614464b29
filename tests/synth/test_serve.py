"""The command line and environment under which vLLM's server starts; test_contract starts it for real."""

import itertools
import json
import os
from pathlib import Path

import pytest

from infinity_mm.synth import serve
from infinity_mm.synth.chat import ModelSpec
from infinity_mm.synth.engines import torch_cpu


@pytest.fixture
def model(tmp_path: Path) -> str:
    (tmp_path / "config.json").write_text('{"dtype": "float32"}')
    return str(tmp_path)


def test_command(model: str) -> None:
    line = serve.command(ModelSpec(name=model, max_model_len=77), "0.0.0.0", 81, ["--api-key", "k"])
    options = dict(itertools.pairwise(line))
    assert line[1] == "-m"
    assert (options["--port"], options["--host"], options["--max-model-len"]) == ("81", "0.0.0.0", "77")
    assert options["--dtype"] == "float32"
    assert options["--served-model-name"] == model
    assert json.loads(options["--structured-outputs-config"])["backend"] == "guidance"
    assert line[-2:] == ["--api-key", "k"]


def test_the_server_follows_the_family_of_its_model(tmp_path: Path, every_package: None) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen2_5_vl"}')
    spec = ModelSpec(name=str(tmp_path), max_model_len=4096, max_image_side=1024, trust_remote_code=True)
    line = serve.command(spec, "0.0.0.0", 81, [])
    options = dict(itertools.pairwise(line))
    assert json.loads(options["--mm-processor-kwargs"])["size"]["longest_edge"] == 37 * 37 * 28 * 28
    assert json.loads(options["--limit-mm-per-prompt"]) == {"video": 0}
    assert "--trust-remote-code" in line


def test_environment_keeps_what_the_user_set(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "7")
    monkeypatch.delenv("VLLM_NO_USAGE_STATS", raising=False)
    environment = serve.environment(ModelSpec(name=model))
    assert environment["VLLM_CPU_KVCACHE_SPACE"] == "7"
    assert environment["VLLM_NO_USAGE_STATS"] == "1"
    assert (str(torch_cpu.STARTUP) in environment.get("PYTHONPATH", "").split(os.pathsep)) is torch_cpu.mismatched()


def test_main_becomes_the_server(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(serve, "resolve_engine", lambda spec: "vllm")
    monkeypatch.setattr("os.execve", lambda path, line, environment: started.append(line))
    serve.main([model, "--port", "90", "--", "--api-key", "k"])
    assert started[0][-2:] == ["--api-key", "k"]


def test_without_vllm(model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(serve, "resolve_engine", lambda spec: "transformers")
    assert serve.main([model]) == 1
    assert "vLLM cannot run here" in capsys.readouterr().err


def test_model_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serve, "resolve_engine", lambda spec: "vllm")
    assert serve.main([str(tmp_path)]) == 1
    assert "no config.json" in capsys.readouterr().err
