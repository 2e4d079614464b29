"""An object store on loopback, in a process of its own, that speaks as much S3 as pyarrow does."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BUCKET = "bucket"
#: What pyarrow's S3 file system takes from the environment.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
REPOSITORY = Path(__file__).parents[1]


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Yield ``s3://BUCKET{}?options`` of a running server, to be filled with a path; its log is `folder`/log.

    Fails at the end where the server met a request that it does not know, or failed itself.
    """
    log = folder / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.s3.server", BUCKET],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stream,
        )
    with process:
        port = process.stdout.readline().decode().strip()
        assert port, log.read_text()[-3000:]
        yield f"s3://{BUCKET}{{}}?endpoint_override=127.0.0.1:{port}&scheme=http"
    unknown = [line for line in log.read_text().splitlines() if line.startswith(("500 ", "501 "))]
    assert not unknown, "\n".join(unknown)
