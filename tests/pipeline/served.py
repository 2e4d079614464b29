"""A model behind an endpoint on loopback: it answers well, says which steps it was asked, and fails where it is told."""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANSWER = (
    "There is a {word} in the middle of the picture, and it is easy to see. Nothing stands in front of it. "
    "So the {word} is what the picture shows."
)


class Served(ThreadingHTTPServer):
    """An OpenAI-compatible endpoint; its words are a function of the request and of `voice`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        self.calls: Counter[str] = Counter()
        self.voice = 0
        #: Whether one of the types offered suits a picture.
        self.suited = True
        #: Says of (step, body) with which HTTP status to refuse, 0 for none.
        self.refuse: Callable[[str, dict[str, Any]], int] = lambda step, body: 0
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def spec(self, **changes: object) -> dict[str, object]:
        """The `model` key of a recipe."""
        return {"name": "m", "engine": "openai", "base_url": self.url, "revision": "r1"} | changes

    def taken(self) -> dict[str, int]:
        """Return step -> calls since the last time."""
        with self.lock:
            calls, self.calls = dict(self.calls), Counter()
        return calls


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Served

    def do_GET(self) -> None:
        self.reply(200, {"object": "list", "data": [{"id": "m", "object": "model", "created": 0, "owned_by": "test"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        step, text = answer(body, self.server.voice)
        if step == "classify" and not self.server.suited:
            text = json.dumps({"answer": "None of these"})
        with self.server.lock:
            self.server.calls[step] += 1
        status = self.server.refuse(step, body)
        if status:
            self.reply(status, {"error": {"message": "no, as the test wants it"}})
            return
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        self.reply(
            200,
            {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage},
        )

    def reply(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


def answer(body: dict[str, Any], voice: int) -> tuple[str, str]:
    """Return (step, what a sound model would write)."""
    if "response_format" not in body:
        return "answer", "thing"
    properties = body["response_format"]["json_schema"]["schema"]["properties"]
    text = json.dumps([body["messages"], body["seed"] if body["temperature"] else 0, voice])
    draw = hashlib.sha256(text.encode()).hexdigest()
    if "tags" in properties:
        value: Any = {"tags": [{"tag": f"thing {draw[0]}", "confidence": 5}]}
        return "tag", json.dumps(value)
    if "score" in properties:
        return "judge", json.dumps({"reason": f"It fits, {draw[:3]}.", "score": 9 if draw[0] < "c" else 4})
    if "question" in properties:
        word = f"thing {draw[:6]}"
        value = {"question": f"Which thing stands in the middle of picture {draw[6:12]}?"}
        value["answer"] = ANSWER.format(word=word) if properties["answer"]["maxLength"] >= 200 else word
        if "distractors" in properties:
            value["distractors"] = ["a red house", "a long road", "a big dog"]
        return "generate", json.dumps(value)
    choices = properties["answer"]["enum"]
    if choices == ["A", "B", "C", "D"]:
        return "answer", json.dumps({"answer": choices[int(draw, 16) % 4]})
    if "First answer:" in text:
        return "same", json.dumps({"answer": choices[int(draw, 16) % 2]})
    if choices == ["yes", "no"]:
        return "relevance", json.dumps({"answer": "yes"})
    return "classify", json.dumps({"answer": choices[int(draw, 16) % (len(choices) - 1)]})
