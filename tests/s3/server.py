"""The server's process: ``python -m tests.s3.server BUCKET ...`` prints its port, and ends when its standard input does.

Every request is a line on standard error: status, operation, path, and what was wrong. A request that no operation knows
is answered with 501, so that a client's new habit fails a test instead of passing it by luck. Signatures are not checked.
"""

import contextlib
import os
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote

from tests.s3.bodies import read_body
from tests.s3.objects import Bucket, Refusal
from tests.s3.operations import Answer, Buckets, Request, operation_of, refused

#: Parameters that may come with any request and say nothing.
_IDLE = {"x-id"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, buckets: Buckets) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.buckets = buckets
        self.lock = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    #: An answer's head and body are two small packets; without this the second waits for the first one's receipt.
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # clients are killed in tests
            super().handle()

    def _answer(self) -> None:
        name, note = "-", ""
        try:
            request = self._read()
            operation = operation_of(request)
            name = operation.name
            with self.server.lock:
                answer = operation.act(self.server.buckets, request)
        except Refusal as refusal:
            answer, note = refused(refusal, self.path), f" {refusal.code} {refusal.message}"
            # What a client left unread in a broken body would be taken for its next request.
            self.close_connection = self.close_connection or refusal.code == "IncompleteBody"
        except (ValueError, LookupError, TypeError):
            answer, note = refused(Refusal(500, "InternalError"), self.path), f" {traceback.format_exc()}"
            self.close_connection = True
        self._tell(f"{answer.status} {name} {self.command} {self.path}{note}")
        self._send(answer)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = do_OPTIONS = _answer

    def _read(self) -> Request:
        headers = {name.lower(): text for name, text in self.headers.items()}
        body = read_body(self.rfile, headers)
        path, _, query = self.path.partition("?")
        if "+" in path + query:
            raise Refusal(501, "NotImplemented", "a bare plus sign means different things to different servers")
        bucket, _, key = path.removeprefix("/").partition("/")
        pairs = {name: text for name, text in parse_qsl(query, keep_blank_values=True) if name not in _IDLE}
        return Request(self.command, unquote(bucket), unquote(key), pairs, headers, body)

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, text in answer.headers.items():
            self.send_header(name, text)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def version_string(self) -> str:
        """Return what the header ``Server`` says: clients look for Amazon and MinIO there, and this is neither."""
        return "tests"

    def log_message(self, format: str, *arguments: object) -> None:
        """Write no second line for a request."""

    def log_error(self, format: str, *arguments: object) -> None:
        """Tell of a request that is no HTTP, or of another method, as of one that is not known."""
        self._tell(f"501 - {format % arguments}")

    def _tell(self, line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def main() -> None:
    """Serve until standard input ends, which it does when the process that started this one is gone."""
    server = _Server({name: Bucket() for name in sys.argv[1:]})
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.buffer.read()
    os._exit(0)  # threads that wait for their clients' next requests are left as they are


if __name__ == "__main__":
    main()
