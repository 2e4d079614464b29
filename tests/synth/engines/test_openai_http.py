"""The HTTP client against a loopback server that misbehaves on purpose."""

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from PIL import Image

from infinity_mm.errors import ModelError
from infinity_mm.synth.chat import ModelSpec, Request
from infinity_mm.synth.engines.openai_http import OpenAIChat

pytest.importorskip("openai")

#: (status, headers, body) of one answer.
Answer = tuple[int, dict[str, str], Any]
#: Closes the connection without an answer.
HANG_UP: Answer = (0, {}, None)


def completion(text: str | None, finish_reason: str = "stop") -> Answer:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    usage = {"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13}
    body = {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}
    return 200, {}, body


def models(*names: str, owner: str = "somebody") -> Answer:
    cards = [{"id": name, "object": "model", "created": 0, "owned_by": owner} for name in names]
    return 200, {}, {"object": "list", "data": cards}


class Endpoint(ThreadingHTTPServer):
    """Answers GET with `listing` and POST with what `script` says of (number of the call, body)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.listing: Answer = models("m")
        self.script: Callable[[int, dict[str, Any]], Answer] = lambda call, body: completion("ok")
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Endpoint

    def do_GET(self) -> None:
        self.reply((200, {}, {"version": "9.9"}) if self.path == "/version" else self.server.listing)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            call = len(self.server.bodies)
            self.server.bodies.append(body)
            self.server.keys.append(self.headers["Authorization"])
        self.reply(self.server.script(call, body))

    def reply(self, answer: Answer) -> None:
        status, headers, body = answer
        if answer == HANG_UP:
            self.close_connection = True
            return
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def connect(endpoint: Endpoint) -> Iterator[Callable[..., OpenAIChat]]:
    opened: list[OpenAIChat] = []

    def open_chat(**settings: Any) -> OpenAIChat:
        spec = ModelSpec(**({"name": "m", "engine": "openai", "base_url": endpoint.url} | settings))
        opened.append(OpenAIChat(spec, retries=2))
        return opened[-1]

    yield open_chat
    for chat in opened:
        chat.close()


def ask(*keys: str) -> list[Request]:
    return [Request(key=key, prompt=f"say {key}") for key in keys or ("a",)]


def test_what_is_sent(endpoint: Endpoint, connect: Callable[..., OpenAIChat], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "s3")
    reply = connect(api_key_env="SECRET")([Request(key="a", system="sys", prompt="user", seed=-1)])[0]
    assert (reply.text, reply.prompt_tokens, reply.completion_tokens) == ("ok", 11, 2)
    body = endpoint.bodies[0]
    assert [turn["role"] for turn in body["messages"]] == ["system", "user"]
    assert (body["model"], body["temperature"], body["seed"]) == ("m", 0.0, 2**63 - 1)
    assert endpoint.keys == ["Bearer s3"]


def test_retry_after_is_honoured(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    endpoint.script = lambda call, body: (429, {"Retry-After": "1.2"}, {}) if call == 0 else completion("late")
    started = time.monotonic()
    assert connect()(ask())[0].text == "late"
    assert time.monotonic() - started >= 1.2
    assert len(endpoint.bodies) == 2


def test_server_errors_are_tried_again(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    endpoint.script = lambda call, body: (500, {}, {"error": "busy"}) if call == 0 else completion("fine")
    assert connect()(ask())[0].text == "fine"


def test_a_request_that_always_fails_costs_itself(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    def script(call: int, body: dict[str, Any]) -> Answer:
        text = body["messages"][0]["content"][0]["text"]
        if text == "say fatal":
            return 500, {"Retry-After": "0.01"}, {"error": {"message": "boom"}}
        if text == "say refused":
            return 400, {}, {"error": {"message": "no such format"}}
        if text == "say long":
            return 400, {}, {"error": {"message": "maximum context length is 9 tokens"}}
        return completion("ok")

    endpoint.script = script
    replies = connect()(ask("a", "fatal", "refused", "long", "b"))
    assert [reply.error for reply in replies] == [None, "engine_error", "refused", "prompt_too_long", None]
    assert "boom" in replies[1].detail
    assert "400" in replies[2].detail


@pytest.mark.parametrize(
    "garbage",
    [
        (200, {"Content-Type": "text/html"}, b"<html>proxy</html>"),
        (200, {}, b"{not json"),
        (200, {}, {}),
        (200, {}, {"choices": []}),
        (200, {}, {"choices": [{"message": None}]}),
        (200, {}, ["list"]),
        (200, {}, b"null"),
    ],
)
def test_garbage_is_an_error_of_its_request(
    endpoint: Endpoint, connect: Callable[..., OpenAIChat], garbage: Answer
) -> None:
    endpoint.script = lambda call, body: garbage if "bad" in str(body) else completion("ok")
    replies = connect()(ask("bad", "fine"))
    assert [reply.error for reply in replies] == ["engine_error", None]
    assert "unreadable" in replies[0].detail


def test_an_answer_without_text_is_refused(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    endpoint.script = lambda call, body: completion(None, "content_filter")
    reply = connect()(ask())[0]
    assert (reply.error, reply.text) == ("refused", None)
    assert "content_filter" in reply.detail


def test_all_failing_means_the_endpoint_is_away(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    endpoint.script = lambda call, body: (503, {"Retry-After": "0.01"}, {"error": {"message": "loading"}})
    with pytest.raises(ModelError, match=endpoint.url):
        connect()(ask("a", "b"))


def test_timeouts(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    def script(call: int, body: dict[str, Any]) -> Answer:
        if "slow" in str(body):
            time.sleep(0.6)
        return completion("ok")

    endpoint.script = script
    replies = connect(timeout_s=0.2)(ask("slow", "quick"))
    assert [reply.error for reply in replies] == ["timeout", None]


def test_connection_refused_at_the_start() -> None:
    with pytest.raises(ModelError, match=r"http://127\.0\.0\.1:9/v1"):
        OpenAIChat(ModelSpec(name="m", engine="openai", base_url="http://127.0.0.1:9/v1"), retries=0)


def test_connection_lost_on_the_way(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    endpoint.script = lambda call, body: completion("ok") if call == 0 else HANG_UP
    chat = connect(concurrency=1)
    assert chat(ask())[0].text == "ok"
    with pytest.raises(ModelError, match=endpoint.url) as caught:
        chat(ask("b", "c"))
    assert "does not answer" in str(caught.value)
    assert len(endpoint.bodies) == 4  # the second call and its two retries; the third request is not sent


@pytest.mark.parametrize(("status", "word"), [(401, "key"), (403, "denied"), (404, "no such model")])
def test_statuses_that_condemn_the_set_up(
    endpoint: Endpoint, connect: Callable[..., OpenAIChat], status: int, word: str
) -> None:
    endpoint.script = lambda call, body: (status, {}, {"error": {"message": "no"}})
    with pytest.raises(ModelError, match=word):
        connect()(ask("a", "b"))


def test_missing_key_and_missing_url(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    with pytest.raises(ModelError, match="NOT_SET_ANYWHERE"):
        connect(api_key_env="NOT_SET_ANYWHERE")
    with pytest.raises(ModelError, match="base_url"):
        connect(base_url=None)


def test_a_model_that_is_not_served(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    endpoint.listing = models("x", "y")
    with pytest.raises(ModelError, match="it serves: x, y"):
        connect()


def test_an_endpoint_that_lists_no_models(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    endpoint.listing = (404, {}, {"error": {"message": "no list"}})
    assert connect()(ask())[0].text == "ok"


@pytest.mark.parametrize("listing", [(200, {"Content-Type": "text/html"}, b"<html>"), (200, {}, b"[1]"), (200, {}, {})])
def test_something_else_at_the_address(endpoint: Endpoint, connect: Callable[..., OpenAIChat], listing: Answer) -> None:
    endpoint.listing = listing
    with pytest.raises(ModelError, match="no OpenAI-compatible server"):
        connect()


def test_constraints_in_each_dialect(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    asked = [
        Request(key="choice", prompt="?", choices=("x", "y")),
        Request(key="json", prompt="?", json_schema={"type": "integer"}),
    ]
    endpoint.script = lambda call, body: completion('{"answer":"y"}' if "enum" in str(body) else "3")
    assert [reply.text for reply in connect(concurrency=1)(asked)] == ["y", "3"]
    schema = endpoint.bodies[0]["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["answer"]["enum"] == ["x", "y"]
    assert endpoint.bodies[1]["response_format"]["json_schema"]["schema"] == {"type": "integer"}

    endpoint.listing = models("m", owner="vllm")
    endpoint.script = lambda call, body: completion("x")
    chat = connect()
    assert chat.info.version == "vllm 9.9"
    assert chat(asked[:1])[0].text == "x"
    assert endpoint.bodies[-1]["structured_outputs"] == {"choice": ["x", "y"]}


def test_a_known_family_is_told_its_settings_where_the_server_is_vllm(
    endpoint: Endpoint, connect: Callable[..., OpenAIChat]
) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (600, 20), "red").save(stream, "PNG")
    asked = [Request(key="a", prompt="?", images=(stream.getvalue(),)), Request(key="b", prompt="?")]
    for owner in ("vllm", "somebody"):
        endpoint.bodies.clear()
        endpoint.listing = models("openbmb/MiniCPM-V-4.6", owner=owner)
        chat = connect(name="openbmb/MiniCPM-V-4.6", max_image_tokens=400, concurrency=1)
        assert [reply.error for reply in chat(asked)] == [None, None]
        told = [(body.get("mm_processor_kwargs"), body.get("chat_template_kwargs")) for body in endpoint.bodies]
        thinking = {"enable_thinking": False}
        slices = {"max_slice_nums": 2}
        assert told == ([(slices, thinking), (None, thinking)] if owner == "vllm" else [(None, None)] * 2)


def test_a_strip_is_refused_before_it_is_sent(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (900, 4)).save(stream, "PNG")
    endpoint.listing = models("served")
    chat = connect(name="served", family="qwen3_vl")
    reply = chat([Request(key="a", prompt="?", images=(stream.getvalue(),))])[0]
    assert (reply.error, endpoint.bodies) == ("image_too_narrow", [])


def test_pictures_that_the_server_calls_too_large(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (9, 9)).save(stream, "PNG")
    endpoint.script = lambda call, body: (413, {}, b"<html>too large</html>") if call == 0 else completion("ok")
    replies = connect(concurrency=1)([Request(key=key, prompt="?", images=(stream.getvalue(),)) for key in "ab"])
    assert [reply.error for reply in replies] == ["image_too_large", None]


def test_too_many_requests_for_long_cost_a_request_and_then_the_run(
    endpoint: Endpoint, connect: Callable[..., OpenAIChat]
) -> None:
    busy: Answer = (429, {"Retry-After": "0.01"}, {"error": {"message": "slow down"}})
    endpoint.script = lambda call, body: busy if "hot" in str(body) else completion("ok")
    hot, fine = connect()(ask("hot", "fine"))
    assert (hot.error, fine.error) == ("engine_error", None)
    assert "slow down" in hot.detail
    with pytest.raises(ModelError, match="running the command again resumes"):
        connect()(ask("hot"))


def test_an_answer_outside_the_choices_is_invalid(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    endpoint.script = lambda call, body: completion("I choose y")
    assert connect()([Request(key="a", prompt="?", choices=("x", "y"))])[0].error == "invalid_output"


def test_concurrency_is_bounded_and_order_kept(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    busy: list[int] = []
    most: list[int] = []

    def script(call: int, body: dict[str, Any]) -> Answer:
        with endpoint.lock:
            busy.append(call)
            most.append(len(busy))
        time.sleep(0.01 * (call % 3))
        with endpoint.lock:
            busy.remove(call)
        return completion(body["messages"][0]["content"][0]["text"])

    endpoint.script = script
    replies = connect(concurrency=3)(ask(*(str(i) for i in range(20))))
    assert [reply.text for reply in replies] == [f"say {i}" for i in range(20)]
    assert 1 < max(most) <= 3


def test_requests_keep_the_pace(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    chat = connect(requests_per_minute=600)
    began = time.monotonic()
    assert all(reply.text == "ok" for reply in chat(ask(*"abcdef")))
    assert time.monotonic() - began >= 5 * 0.1


def test_what_is_tried_again_keeps_the_pace_too(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    moments: list[float] = []

    def script(call: int, body: dict[str, Any]) -> Answer:
        moments.append(time.monotonic())
        return (429, {"Retry-After-Ms": "1"}, {"error": {"message": "slow down"}}) if call < 2 else completion("ok")

    endpoint.script = script
    replies = connect(requests_per_minute=600)(ask(*"ab"))
    assert [reply.text for reply in replies] == ["ok", "ok"]
    assert len(moments) == 4
    assert moments[-1] - moments[0] >= 3 * 0.1 - 0.05, "four requests, a tenth of a second apart"
