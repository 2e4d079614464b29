"""Downloads from loopback: `fetch_all` against img2dataset on the same list, in the same run.

``python -m benchmarks.download [--rival-python PYTHON]``, where PYTHON belongs to an environment with img2dataset. The
server is a process of its own, on 64 loopback addresses; its CPU time is not counted. Each contender is a process of
its own and is charged the CPU seconds, user and system, of its whole process tree. Both keep the original bytes, decode
nothing and, in the first pair of rows, write nothing: img2dataset runs with ``disable_all_reencoding``, the dummy
writer and no hash, which is as fast as it goes. In the second pair both hash every picture (sha256) and write tar
shards. "Start" is the same program with ten URLs; rates are given with and without it. This side fetches and obeys
robots.txt and checks every address, headers and first bytes; the other does not.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from infinity_mm.download.client import fetch_all
from infinity_mm.download.policy import DownloadPolicy
from infinity_mm.download.request import Request

ADDRESSES = 64
PICTURES = 48
START_URLS = 10


def pictures() -> list[bytes]:
    """Return JPEGs of 20 to 100 KB."""
    rng = random.Random(7)
    made = []
    while len(made) < PICTURES:
        side = rng.randrange(160, 420)
        buffer = io.BytesIO()
        Image.frombytes("RGB", (side, side), rng.randbytes(side * side * 3)).save(buffer, "JPEG", quality=70)
        if 20_000 <= buffer.tell() <= 100_000:
            made.append(buffer.getvalue())
    return made


class PictureServer(asyncio.Protocol):
    """Answers GET /<number>.jpg with a picture and all else with 404; keeps connections that ask for it."""

    answers: tuple[bytes, ...] = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            name = head.split(b" ", 2)[1].strip(b"/").removesuffix(b".jpg")
            if name.isdigit():
                self.transport.write(self.answers[int(name) % len(self.answers)])
            else:
                self.transport.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            if b"connection: close" in head.lower():
                self.transport.close()


def serve(port_file: Path) -> None:
    """Run the server until killed, after writing its port."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
    PictureServer.answers = tuple(head % len(body) + body for body in pictures())

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(PictureServer, "0.0.0.0", 0, backlog=2048)
        port_file.write_text(str(server.sockets[0].getsockname()[1]))
        await server.serve_forever()

    asyncio.run(run())


def ours(urls: Path, out: Path | None) -> None:
    """Fetch the list; with `out` also hash every picture and write it into a tar."""
    policy = DownloadPolicy(allow_hosts=("127.0.0.0/8",))
    reasons: Counter[str] = Counter()
    tar = tarfile.open(out / "00000.tar", "w") if out else None  # noqa: SIM115
    requests = map(Request, urls.read_text().split())
    for number, outcome in enumerate(fetch_all(requests, policy)):
        reasons[outcome.reason or "ok"] += 1
        if tar is not None and outcome.content is not None:
            key = f"{number:09d}"
            members = {
                "jpg": outcome.content,
                "json": json.dumps(
                    {"key": key, "url": outcome.url, "sha256": hashlib.sha256(outcome.content).hexdigest()}
                ).encode(),
            }
            for suffix, content in members.items():
                member = tarfile.TarInfo(f"{key}.{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    if tar is not None:
        tar.close()
    print(json.dumps(reasons))


RIVAL = """
import json, sys, glob, shutil
from img2dataset import download
if __name__ == "__main__":
    urls, out, writer, hashes, threads = sys.argv[1:]
    download(url_list=urls, output_folder=out, output_format=writer, input_format="txt", processes_count=1,
             thread_count=int(threads), disable_all_reencoding=True, skip_reencode=True, resize_mode="no",
             extract_exif=False, compute_hash=hashes or None, disallowed_header_directives=[], enable_wandb=False)
    stats = [json.load(open(path)) for path in glob.glob(out + "/*_stats.json")]
    print(json.dumps({"ok": sum(s["successes"] for s in stats), "count": sum(s["count"] for s in stats)}))
"""


@dataclass(frozen=True)
class Cost:
    """What one run of a contender took."""

    cpu: float
    wall: float
    fetched: int


def run(command: list[str]) -> Cost:
    """Run a contender and charge it for its process tree. Its last line of output is a count by outcome."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - began
        output.seek(0)
        lines = output.read().strip().splitlines()
    if process.returncode != 0 or not lines:
        raise SystemExit(f"{command[:4]} ended with {process.returncode}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, json.loads(lines[-1]).get("ok", 0))


def contenders(rival: str | None) -> list[tuple[str, list[str], bool]]:
    """Return (name, command up to the list, whether it writes)."""
    me = [sys.executable, "-m", "benchmarks.download"]
    rows = [("fetch_all", [*me, "ours"], False), ("fetch_all, sha256, tar", [*me, "store"], True)]
    if rival:
        script = [rival, "-c", RIVAL]
        rows += [
            (f"img2dataset, {threads} threads{suffix}", [*script, writer, hashes, threads], bool(hashes))
            for threads in ("32", "256")
            for writer, hashes, suffix in (("dummy", "", ""), ("webdataset", "sha256", ", sha256, tar"))
        ]
    return rows


def compare(count: int, rival: str | None, folder: Path) -> None:
    """Run every contender on the same lists and print a table."""
    port_file = folder / "port"
    server = subprocess.Popen([sys.executable, "-m", "benchmarks.download", "serve", str(port_file)])
    try:
        while not port_file.exists() or not port_file.read_text():
            time.sleep(0.1)
        port = int(port_file.read_text())
        lists = {}
        for size in (START_URLS, count):
            lists[size] = folder / f"{size}.txt"
            urls = [f"http://127.0.1.{n % ADDRESSES + 1}:{port}/{n}.jpg" for n in range(size)]
            lists[size].write_text("\n".join(urls))
        print(f"{'':44}{'ok':>7}{'wall s':>8}{'CPU s':>8}{'start':>7}{'images/CPU s':>14}{'without start':>15}")
        for number, (name, command, _) in enumerate(contenders(rival)):
            costs = {}
            for size, path in lists.items():
                out = folder / f"out-{number}-{size}"
                out.mkdir()
                costs[size] = run(arguments(command, path, out))
            start, whole = costs[START_URLS], costs[count]
            print(
                f"{name:44}{whole.fetched:7}{whole.wall:8.1f}{whole.cpu:8.2f}{start.cpu:7.2f}"
                f"{whole.fetched / whole.cpu:14.0f}{whole.fetched / max(1e-9, whole.cpu - start.cpu):15.0f}",
                flush=True,
            )
    finally:
        server.kill()
        server.wait()


def arguments(command: list[str], urls: Path, out: Path) -> list[str]:
    """Put list and folder where the contender expects them."""
    if command[1] == "-c":
        return [*command[:3], str(urls), str(out), *command[3:]]
    return [*command, str(urls), str(out)]


def main() -> None:
    """Parse what to do; the contenders and the server are this module too."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("role", nargs="?", default="compare", choices=("compare", "serve", "ours", "store"))
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--rival-python", help="interpreter of an environment with img2dataset")
    given = parser.parse_args()
    if given.role == "serve":
        serve(given.paths[0])
    elif given.role in ("ours", "store"):
        ours(given.paths[0], given.paths[1] if given.role == "store" else None)
    else:
        with tempfile.TemporaryDirectory() as folder:
            compare(given.count, given.rival_python, Path(folder))


if __name__ == "__main__":
    main()
