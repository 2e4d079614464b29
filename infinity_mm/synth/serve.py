"""Start vLLM's own OpenAI-compatible server on any machine.

``python -m infinity_mm.synth.serve embedded --port 8000``

Sets what a machine without a GPU needs (see `infinity_mm.synth.engines.vllm_offline` and `torch_cpu`) and becomes
vLLM's server by exec; arguments after ``--`` are handed to it as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from infinity_mm.errors import InfinityMMError, ModelError
from infinity_mm.synth.chat import ModelSpec
from infinity_mm.synth.engines import torch_cpu
from infinity_mm.synth.engines.checkpoint import locate
from infinity_mm.synth.engines.select import local_gpus, resolve_engine, vllm_is_cpu_build
from infinity_mm.synth.engines.vllm_offline import CPU_ENVIRONMENT, engine_arguments

_SERVER = "vllm.entrypoints.launchers.api_server.entry"


def command(spec: ModelSpec, host: str, port: int, rest: Sequence[str]) -> list[str]:
    """Return the command line of vLLM's server for `spec`; it serves the model under the name that `spec` gives."""
    arguments = engine_arguments(spec, locate(spec))
    line = [sys.executable, "-m", _SERVER, "--host", host, "--port", str(port)]
    for name, value in arguments.items():
        option = "--" + name.replace("_", "-")
        if value is True:
            line.append(option)
        else:
            line += [option, json.dumps(value) if isinstance(value, dict) else str(value)]
    # The recipe's sampling must not be mixed with defaults that the model brings.
    return [*line, "--served-model-name", spec.name, "--generation-config", "vllm", *rest]


def environment(spec: ModelSpec) -> dict[str, str]:
    """Return the server's environment: this process's, with what a machine without a GPU needs where it is not set."""
    added = {"VLLM_NO_USAGE_STATS": "1", **(CPU_ENVIRONMENT if spec.gpus == 0 else {})}
    result = added | dict(os.environ)
    if torch_cpu.mismatched():
        result["PYTHONPATH"] = torch_cpu.child_pythonpath()
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and become the server; return an exit status only on failure."""
    parser = argparse.ArgumentParser(prog="python -m infinity_mm.synth.serve", description=__doc__.split("\n")[0])
    parser.add_argument("model", help="hub name, local folder, or 'embedded'")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument(
        "--gpus", type=float, help="GPUs to use; all that vLLM's build and this machine allow by default"
    )
    parser.add_argument("--max-model-len", type=int, help="tokens of prompt plus answer; the family's by default")
    parser.add_argument("--max-image-side", type=int, help="pixels of a picture's longer side, as in the recipe")
    parser.add_argument(
        "--max-image-tokens", type=int, help="prompt tokens of a picture; half of the context by default"
    )
    parser.add_argument("--trust-remote-code", action="store_true", help="run Python files that come with the model")
    parser.epilog = "Arguments after -- are handed to vLLM's server as they are."
    given = list(sys.argv[1:] if arguments is None else arguments)
    end = given.index("--") if "--" in given else len(given)
    options, rest = parser.parse_args(given[:end]), given[end + 1 :]
    gpus = options.gpus if options.gpus is not None else (0.0 if vllm_is_cpu_build() else float(local_gpus()))
    try:
        lengths = ("max_model_len", "max_image_side", "max_image_tokens", "trust_remote_code")
        told = {name: value for name in lengths if (value := getattr(options, name)) is not None}
        spec = ModelSpec.model_validate({"name": options.model, "gpus": gpus} | told)
        if resolve_engine(spec) != "vllm":
            raise ModelError("vLLM cannot run here: it is not installed, or installed for GPUs and there is none")
        line = command(spec, options.host, options.port, rest)
        os.execve(line[0], line, environment(spec))
    except InfinityMMError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status


if __name__ == "__main__":
    sys.exit(main())
