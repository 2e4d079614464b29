"""A double of the Hugging Face hub on loopback: one data set with commits, a gate, and the four calls that reading needs."""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class Hub:
    """What the server serves; tests change it while it runs."""

    repo: str
    #: Commit -> path -> content.
    commits: dict[str, dict[str, bytes]]
    branches: dict[str, str]
    #: The token that opens the gate; None for a data set without one.
    token: str | None = None
    requests: list[str] = field(default_factory=list)
    url: str = ""


@contextlib.contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    """Serve until the block ends; `hub.url` is the endpoint."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer(self, hub)

        def do_HEAD(self) -> None:
            answer(self, hub)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer(self, hub)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def answer(handler: BaseHTTPRequestHandler, hub: Hub) -> None:
    """Answer one request."""
    path = unquote(urlsplit(handler.path).path)
    hub.requests.append(path)
    api, files = f"/api/datasets/{hub.repo}", f"/datasets/{hub.repo}/resolve/"
    if not path.startswith((api, files)):
        return send(handler, 404, b"{}", {"X-Error-Code": "RepoNotFound"})
    if path == f"{api}/auth-check" or path.startswith(files):
        if hub.token is not None and handler.headers.get("Authorization") != f"Bearer {hub.token}":
            return send(handler, 403, b"{}", {"X-Error-Code": "GatedRepo"})
        if path == f"{api}/auth-check":
            return send(handler, 200, b"{}")
    if path == api or path.startswith(f"{api}/revision/"):
        revision = path.removeprefix(api).removeprefix("/revision/") or "main"
        commit = hub.branches.get(revision, revision)
        if commit not in hub.commits:
            return send(handler, 404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        return send(handler, 200, json.dumps({"id": hub.repo, "sha": commit, "private": False, "tags": []}).encode())
    if path.startswith(f"{api}/tree/"):
        revision, _, folder = path.removeprefix(f"{api}/tree/").partition("/")
        return send(
            handler, 200, json.dumps(tree(hub, revision, folder, "recursive=true" in handler.path.lower())).encode()
        )
    revision, _, name = path.removeprefix(files).partition("/")
    return send_file(handler, hub.commits[hub.branches.get(revision, revision)].get(name))


def tree(hub: Hub, revision: str, folder: str, recursive: bool) -> list[dict[str, object]]:
    """Return what the hub says of the files and folders below a folder."""
    prefix = f"{folder}/" if folder else ""
    entries: dict[str, dict[str, object]] = {}
    for name, data in hub.commits[hub.branches.get(revision, revision)].items():
        if not name.startswith(prefix):
            continue
        steps = name.removeprefix(prefix).split("/")
        for depth in range(1, len(steps) if recursive else min(2, len(steps))):
            path = prefix + "/".join(steps[:depth])
            entries[path] = {"type": "directory", "oid": "0" * 40, "size": 0, "path": path}
        if recursive or len(steps) == 1:
            entries[name] = {"type": "file", "oid": "0" * 40, "size": len(data), "path": name}
    return list(entries.values())


def send_file(handler: BaseHTTPRequestHandler, data: bytes | None) -> None:
    """Send a file, or the range of it that was asked for."""
    if data is None:
        return send(handler, 404, b"", {"X-Error-Code": "EntryNotFound"})
    asked = handler.headers.get("Range", "")
    if not asked:
        return send(handler, 200, data)
    start, _, stop = asked.removeprefix("bytes=").partition("-")
    part = data[int(start) : int(stop) + 1 if stop else None]
    return send(handler, 206, part, {"Content-Range": f"bytes {start}-{int(start) + len(part) - 1}/{len(data)}"})


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
    """Send an answer."""
    handler.send_response(status)
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)
