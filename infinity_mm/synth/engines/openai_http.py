"""Any OpenAI-compatible endpoint, `vllm serve` first of all, through an asyncio client with bounded concurrency."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import urllib.request
from collections.abc import Sequence
from typing import Any, Final

from PIL import Image

from infinity_mm.errors import ModelError
from infinity_mm.synth.chat import EngineInfo, ModelSpec, Reply, Request
from infinity_mm.synth.engines import common
from infinity_mm.synth.engines.checkpoint import EMBEDDED
from infinity_mm.synth.engines.pace import Pace
from infinity_mm.synth.models.resolving import model_rules

#: Tries of one call beyond the first, on 408, 409, 429, 5xx and connection errors. The client waits as Retry-After
#: says, else 0.5 s doubling to 8 s with jitter: about 15 s in all.
RETRIES: Final = 5
#: Statuses that condemn the endpoint or the configuration, not the request.
_FATAL = {401: "the API key was refused", 403: "access was denied", 404: "there is no such model or path"}
_ANSWER = "answer"


class _EndpointAway(Exception):
    """The endpoint did not answer a call after all retries."""


class OpenAIChat:
    """A model behind an HTTP endpoint; one object keeps one pool of connections."""

    def __init__(self, spec: ModelSpec, retries: int = RETRIES):
        """Ask the endpoint which models it has.

        Raises
        ------
        ModelError
            The `openai` package, `base_url` or the API key is missing, the endpoint does not answer, or it does not
            serve the model.
        """
        if spec.base_url is None:
            raise ModelError("engine 'openai' needs synth.model.base_url, the server's address ending in /v1")
        try:
            import openai
        except ImportError as fault:
            raise ModelError(f"the openai client cannot be imported: {fault}. Install the extra 'openai'.") from fault
        self._spec = spec
        self._rules = model_rules(spec)
        self._runner = asyncio.Runner()
        pace = Pace(spec.requests_per_minute)

        async def wait(_: object) -> None:  # before each request that is sent: the client's own retries count too
            await pace.wait()

        self._client = openai.AsyncOpenAI(
            base_url=spec.base_url,
            api_key=_api_key(spec),
            timeout=spec.timeout_s,
            max_retries=retries,
            http_client=openai.DefaultAsyncHttpxClient(event_hooks={"request": [wait]}),
        )
        try:
            card = _choose_model(self._runner.run(self._served_models()), spec)
        except ModelError:
            self.close()
            raise
        self._model = spec.name if card is None else str(card["id"])
        #: vLLM takes choices as such; every other server gets them as a JSON enum.
        self._vllm = card is not None and card.get("owned_by") == "vllm"
        #: Which engine, model and revision answers; servers do not tell the revision, so it is the recipe's.
        self.info = EngineInfo(
            engine="openai",
            version=self._server_version(),
            model=self._model,
            revision=spec.revision or "unknown",
            batch_invariant=False,
        )

    def __call__(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer every request, in order, `spec.concurrency` at once and `spec.requests_per_minute` at most.

        Raises
        ------
        ModelError
            The endpoint is away after all retries, or refuses the key or the model.
        """
        try:
            return self._runner.run(self._answer_all(requests))
        except _EndpointAway as fault:
            raise ModelError(
                f"the endpoint {self._spec.base_url} does not answer: {fault}. Start it or correct "
                "synth.model.base_url; running the command again resumes."
            ) from fault

    def close(self) -> None:
        """Close the connections; the object is not used again."""
        self._runner.run(self._client.close())
        self._runner.close()

    async def _served_models(self) -> list[dict[str, Any]] | None:
        """Return the endpoint's model cards, or None where it does not list any."""
        import openai

        try:
            page = await self._client.models.list()
            return [card.model_dump() for card in page.data]
        except openai.APIConnectionError as fault:
            raise ModelError(
                f"the endpoint {self._spec.base_url} does not answer: {_cause(fault)}. Start it, or correct "
                "synth.model.base_url (it ends in /v1)."
            ) from fault
        except openai.APIStatusError as fault:
            if fault.status_code in (404, 405, 501):
                return None
            reason = _FATAL.get(fault.status_code, "asked for its models")
            raise ModelError(
                f"the endpoint {self._spec.base_url} answers {fault.status_code} ({reason}): {fault.message}. Check "
                "synth.model.base_url and api_key_env."
            ) from fault
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as fault:
            raise ModelError(
                f"what answers at {self._spec.base_url} is no OpenAI-compatible server: its model list cannot be read "
                f"({type(fault).__name__}). Check synth.model.base_url (it ends in /v1)."
            ) from fault

    def _server_version(self) -> str:
        """Return what vLLM says of itself, or only that the server is compatible."""
        if not self._vllm:
            return "openai-compatible"
        root = str(self._client.base_url).rstrip("/").removesuffix("/v1")
        try:
            with urllib.request.urlopen(f"{root}/version", timeout=self._spec.timeout_s) as answer:
                return f"vllm {json.load(answer)['version']}"
        except (OSError, ValueError, LookupError, TypeError):
            return "vllm"

    async def _answer_all(self, requests: Sequence[Request]) -> list[Reply]:
        gate = asyncio.Semaphore(self._spec.concurrency)

        async def answer(request: Request) -> Reply:
            async with gate:
                return await self._answer(request)

        tasks = [asyncio.ensure_future(answer(request)) for request in requests]
        try:
            replies = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        faults = {reply.error for reply in replies}
        if replies and faults <= {"timeout", "engine_error"}:
            raise _EndpointAway(f"all {len(replies)} requests failed, the first with: {replies[0].detail}")
        return replies

    async def _answer(self, request: Request) -> Reply:
        import openai

        try:
            pictures = common.open_pictures(request, self._spec.max_image_side, self._rules.pictures)
        except common.PictureError as fault:
            return common.failed(request, fault.failure, fault)
        try:
            completion = await self._client.chat.completions.create(**self._body(request, pictures))
        except openai.APITimeoutError as fault:
            return common.failed(
                request, "timeout", f"no answer within {self._spec.timeout_s:g} s, repeatedly: {fault}"
            )
        except openai.APIConnectionError as fault:
            raise _EndpointAway(_cause(fault)) from fault
        except openai.APIStatusError as fault:
            return self._refusal(request, fault)
        except (openai.OpenAIError, ValueError, TypeError, LookupError, AttributeError) as fault:
            return common.failed(request, "engine_error", f"unreadable answer: {type(fault).__name__}: {fault}")
        return self._read(request, completion)

    def _refusal(self, request: Request, fault: Any) -> Reply:
        """Return the failure that an HTTP status stands for; a status that condemns the set-up raises ModelError."""
        status = fault.status_code
        detail = f"HTTP {status}: {fault.message}"
        if status in _FATAL:
            raise ModelError(
                f"the endpoint {self._spec.base_url} refuses model {self._model!r}: {_FATAL[status]} ({detail}). Check "
                "synth.model.name, base_url and api_key_env."
            ) from fault
        if status == 429 or status >= 500:
            return common.failed(request, "engine_error", detail)
        if status == 413 and request.images:
            return common.failed(request, "image_too_large", detail)
        lowered = detail.lower()
        if "context length" in lowered or "context_length" in lowered or "maximum model length" in lowered:
            return common.failed(request, "prompt_too_long", detail)
        return common.failed(request, "refused", detail)

    def _body(self, request: Request, pictures: Sequence[Image.Image]) -> dict[str, Any]:
        """Return the arguments of the completion call."""
        parts = [{"type": "image_url", "image_url": {"url": _data_url(picture)}} for picture in pictures]
        body: dict[str, Any] = {
            "model": self._model,
            "messages": common.messages(request, parts, picture_first=self._rules.picture_first),
            "temperature": request.sampling.temperature,
            "top_p": request.sampling.top_p,
            "max_tokens": request.sampling.max_tokens,
            "seed": common.seed_of(request),
        }
        extra: dict[str, Any] = {}
        if request.json_schema is not None:
            body["response_format"] = _json_format(request.json_schema)
        elif request.choices is not None and self._vllm:
            extra["structured_outputs"] = {"choice": list(request.choices)}
        elif request.choices is not None:
            body["response_format"] = _json_format(_choice_schema(request.choices))
        if self._vllm and pictures and self._rules.processor:
            extra["mm_processor_kwargs"] = dict(self._rules.processor)
        if self._vllm and self._rules.template:
            extra["chat_template_kwargs"] = dict(self._rules.template)
        return body | ({"extra_body": extra} if extra else {})

    def _read(self, request: Request, completion: Any) -> Reply:
        """Check what a server sent with status 200; compatible servers differ, so nothing is taken for granted."""
        try:
            choice = completion.choices[0]
            text = choice.message.content
            refusal = getattr(choice.message, "refusal", None)
            cut_off = choice.finish_reason == "length"
            usage = completion.usage
            counts = (int(usage.prompt_tokens or 0), int(usage.completion_tokens or 0)) if usage else (0, 0)
        except (AttributeError, LookupError, TypeError, ValueError) as fault:
            return common.failed(request, "engine_error", f"unreadable answer: {type(fault).__name__}: {fault}")
        if not isinstance(text, str):
            return common.failed(request, "refused", refusal or f"no text; finished with {choice.finish_reason!r}")
        if request.choices is not None and not self._vllm:
            text = _unwrap(text)
        return common.checked(request, text, cut_off, *counts)


def _api_key(spec: ModelSpec) -> str:
    if spec.api_key_env is None:
        return "none"  # the client insists on one; servers without authentication ignore it
    key = os.environ.get(spec.api_key_env)
    if not key:
        raise ModelError(f"the environment variable {spec.api_key_env} (synth.model.api_key_env) is not set")
    return key


def _choose_model(served: list[dict[str, Any]] | None, spec: ModelSpec) -> dict[str, Any] | None:
    """Return the card of the model to ask for, None where the endpoint lists none."""
    if not served:
        return None
    for card in served:
        if card.get("id") == spec.name:
            return card
    if spec.name == EMBEDDED and len(served) == 1:
        return served[0]
    names = ", ".join(sorted(str(card.get("id")) for card in served)[:20])
    raise ModelError(f"the endpoint {spec.base_url} does not serve {spec.name!r}; it serves: {names}")


def _cause(fault: BaseException) -> str:
    """Return the innermost message of a connection error, which the client hides behind "Connection error."."""
    while fault.__cause__ is not None:
        fault = fault.__cause__
    return f"{type(fault).__name__}: {fault}"


def _data_url(picture: Image.Image) -> str:
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _json_format(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema, "strict": True}}


def _choice_schema(choices: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {_ANSWER: {"type": "string", "enum": list(choices)}},
        "required": [_ANSWER],
        "additionalProperties": False,
    }


def _unwrap(text: str) -> str:
    """Return the choice inside a JSON answer, or the text itself where it is none (it then fails its check)."""
    try:
        value = json.loads(text)[_ANSWER]
    except (ValueError, LookupError, TypeError):
        return text
    return value if isinstance(value, str) else text
