"""An object store on loopback that speaks S3: moto's server, where it is installed (`pip install 'moto[server]'`)."""

import importlib.util
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BUCKET = "bucket"
#: What pyarrow's S3 file system takes from the environment.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Yield ``s3://BUCKET{}?options`` of a running server, to be filled with a path; skips the test without moto."""
    # Not any `moto_server` of the path: another environment's may be of any version.
    if importlib.util.find_spec("moto") is None or importlib.util.find_spec("flask") is None:
        pytest.skip("moto[server] is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server"]
    log = folder / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen([*command, "-H", "127.0.0.1", "-p", str(port)], stdout=stream, stderr=stream)
    try:
        deadline = time.monotonic() + 60
        while not _make_bucket(port):
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.2)
        yield f"s3://{BUCKET}{{}}?endpoint_override=127.0.0.1:{port}&scheme=http"
    finally:
        process.terminate()
        process.wait(timeout=30)


def _make_bucket(port: int) -> bool:
    try:
        urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/{BUCKET}", method="PUT"), timeout=5)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
    return True
