"""`ray.data.llm` on the requests of the synthesis: the engine under Ray Data that was not taken.

``python -m benchmarks.ray_data_llm [--pictures N] [--first K]``. Draws the pictures of `benchmarks.synthesis`, runs the
steps once to write every request down, and hands them to a processor of `ray.data.llm` with the same model, engine
arguments, sampling and structured output. Its start, which Ray Data does not tell apart, is taken out by a second run
over the first K requests: the rate is that of the requests beyond K, in the seconds by which the whole run is longer.

What had to be done for it to run at all, with Ray 2.60 and vLLM 0.32 on a CPU:

- Without a placement group of a CPU it waits for a GPU, for ever and in silence.
- Its stages each hold an actor, so Ray is told of 16 CPUs; with the machine's two, none of them gets to work.
- Its stage for pictures imports a module that vLLM 0.32 no longer has (``vllm.entrypoints.chat_utils``); so the chat
  template is applied, and the pictures are decoded, in a function before it.

Besides, all requests must be there beforehand, where a step of the synthesis follows from the answers to the one
before: a processor would have to be built for every step, each with a start of its own.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from PIL import Image
from rich.console import Console

from benchmarks import synthesis
from benchmarks.processes import cpu_of_tree, run_tree
from infinity_mm.synth.chat import Request
from infinity_mm.synth.engines import common, torch_cpu
from infinity_mm.synth.engines.checkpoint import locate
from infinity_mm.synth.engines.vllm_offline import CPU_ENVIRONMENT, engine_arguments

#: CPUs that Ray is told of, so that every stage gets its actor; the machine may have fewer.
CPUS = 16
#: Rows of a batch; Ray's own default for this processor.
BATCH = 64


def row_of(request: Request) -> dict[str, Any]:
    """Return a request as a row that Arrow can hold."""
    parts = [{"type": "image", "data": base64.b64encode(data).decode()} for data in request.images]
    constraint: dict[str, Any] | None = None
    if request.json_schema is not None:
        constraint = {"json": json.dumps(request.json_schema), "disable_any_whitespace": True}
    elif request.choices is not None:
        constraint = {"choice": list(request.choices), "disable_any_whitespace": True}
    sampling = request.sampling.model_dump() | {"seed": common.seed_of(request)}
    whole = {"messages": common.messages(request, parts), "sampling": sampling, "constraint": constraint}
    return {"key": request.key, "request": json.dumps(whole)}


def preparing(model: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the function that makes a row what the engine's stage takes."""
    loaded: list[Any] = []

    def prepare(row: dict[str, Any]) -> dict[str, Any]:
        from transformers import AutoTokenizer

        if not loaded:  # once in each worker
            loaded.append(AutoTokenizer.from_pretrained(model))
        whole = json.loads(row["request"])
        pictures = []
        for part in (part for turn in whole["messages"] for part in turn["content"]):
            if part["type"] == "image":
                pictures.append(Image.open(io.BytesIO(base64.b64decode(part.pop("data")))).convert("RGB"))
        sampling = whole["sampling"]
        if whole["constraint"]:
            sampling["structured_outputs"] = whole["constraint"]
        prompt = loaded[0].apply_chat_template(whole["messages"], tokenize=False, add_generation_prompt=True)
        shown = {"multimodal_data": {"image": pictures}} if pictures else {}
        return {"key": row["key"], "prompt": prompt, "sampling_params": sampling} | shown

    return prepare


def answer(folder: Path, count: int) -> dict[str, float]:
    """Answer the first `count` requests; returns their number, and the seconds and CPU seconds of it all."""
    torch_cpu.prepare()
    asked = synthesis.read_asked(folder)[:count]
    spec = synthesis.parameters(False).model
    arguments = engine_arguments(spec, locate(spec)) | {"distributed_executor_backend": "uni"}
    model = arguments.pop("model")
    began = time.monotonic()
    cpu_of_tree()
    ray.init(
        address="local",
        num_cpus=CPUS,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"worker_process_setup_hook": torch_cpu.prepare},
    )
    from ray.data.llm import build_processor, vLLMEngineProcessorConfig

    config = vLLMEngineProcessorConfig(
        model_source=model,
        engine_kwargs=arguments,
        concurrency=1,
        batch_size=BATCH,
        placement_group_config={"bundles": [{"CPU": 1}]},
        prepare_multimodal_stage=False,
        chat_template_stage=False,
        tokenize_stage=False,
        detokenize_stage=False,
        log_engine_metrics=False,
    )
    process = build_processor(config, preprocess=preparing(model), postprocess=_keep)
    rows = ray.data.from_items([row_of(one) for one in asked], override_num_blocks=max(2, len(asked) // (2 * BATCH)))
    answered = sum(len(batch["key"]) for batch in process(rows).iter_batches(batch_size=None))
    return {"requests": answered, "wall": time.monotonic() - began, "cpu": cpu_of_tree()}


def _keep(row: dict[str, Any]) -> dict[str, Any]:
    return {"key": row["key"], "text": row["generated_text"]}


def compare(pictures: int, first: int) -> None:
    """Run both and print the rate."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        synthesis.draw_pictures(folder, pictures)
        synthesis.take("record", folder, pictures, synthesis.Cut())
        short, whole = (_apart(folder, count) for count in (first, len(synthesis.read_asked(folder))))
    requests, seconds = whole["requests"] - short["requests"], whole["wall"] - short["wall"]
    Console().print(
        f"ray.data.llm: {whole['requests']:,} requests in {whole['wall']:.0f} s ({whole['cpu']:.0f} CPU s), the first "
        f"{short['requests']:,} alone in {short['wall']:.0f} s ({short['cpu']:.0f}); beyond them "
        f"{requests / seconds:.0f} requests/s",
        highlight=False,
    )


def _apart(folder: Path, count: int) -> dict[str, float]:
    """Run `answer` in a process tree of its own, with one thread for the engine as the pipeline's has."""
    place = folder / "answered.json"
    environment = {"OMP_NUM_THREADS": "1", "VLLM_NO_USAGE_STATS": "1", **CPU_ENVIRONMENT}
    command = ["env", *(f"{name}={value}" for name, value in environment.items())]
    command += [sys.executable, "-m", "benchmarks.ray_data_llm", "--folder", str(folder), "--count", str(count)]
    run_tree([*command, "--to", str(place)])
    found: dict[str, float] = json.loads(place.read_text())
    return found


def main() -> None:
    """Run the comparison, or one of its parts."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ray_data_llm", description=__doc__)
    parser.add_argument("--pictures", type=int, default=synthesis.PICTURES)
    parser.add_argument("--first", type=int, default=512)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--count", type=int)
    parser.add_argument("--to", type=Path)
    given = parser.parse_args()
    if given.folder is None:
        compare(given.pictures, given.first)
    else:
        os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        given.to.write_text(json.dumps(answer(given.folder, given.count)))


if __name__ == "__main__":
    main()
