"""Pictures by URL through the main job and the command line, with the real client and a server on loopback."""

import collections
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import time

import pytest
import yaml

from infinity_mm.download.index import clean_up
from infinity_mm.fs import Location
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.recipe import load_recipe
from infinity_mm.store import Store
from tests.download.server import JPEG, reply
from tests.pipeline.conftest import picture
from tests.pipeline.test_kill import processes
from tests.running import command, digest_of, infinity_mm

pytestmark = pytest.mark.usefixtures("probe")

HOST = "127.0.0.1"
#: Fails quickly; the tests' hosts are on loopback.
POLICY = {"allow_hosts": [HOST], "retries": 0, "per_host_concurrency": 4, "idle_timeout": 2.0, "shard_urls": 5}
SOURCES = ("probe_pairs", "probe_documents")


def at(web, path):
    return f"http://{HOST}:{web.port}{path}"


def serve(web, count):
    """Serve so many pictures, /0.png and on; return their bytes."""
    bodies = [picture(number) for number in range(count)]
    for number, body in enumerate(bodies):
        web.routes[HOST, f"/{number}.png"] = reply(body)
    return bodies


def asked(web):
    """Return path -> requests, robots.txt left out, and forget them."""
    counts = collections.Counter(seen.path for seen in web.seen if seen.path != "/robots.txt")
    web.seen.clear()
    return counts


def recipe_of(tmp_path, roots, **keys):
    tree = {
        "name": "urls", "partition_rows": 4, "download": POLICY,
        "sources": [{"name": name, "root": root, "max_quarantined": 1.0} for name, root in roots.items()],
        "dedup": {"mode": "off"}, "filters": [{"use": "structure"}],
        "export": [{"name": "pq", "format": "parquet"}],
    }  # fmt: skip
    path = tmp_path / "urls.yaml"
    path.write_text(yaml.safe_dump(tree | keys))
    return path


def pairs(web, numbers):
    return [{"id": f"r{n}", "text": f"Picture {n}.", "url": at(web, f"/{n}.png")} for n in numbers]


def do(recipe, work, *overrides, workers=None):
    return run(load_recipe(recipe, overrides), Location.of(work), RunOptions(workers=workers, quiet=True))


def ledger_of(work):
    store = Store(Location.of(work))
    rows = [row for name in store.at("ledger").files() for row in store.read(f"ledger/{name}").to_pylist()]
    folders = [f"{kind}/{source}" for kind in ("records", "quarantine") for source in SOURCES]
    parts = [f"{folder}/{name}" for folder in folders for name in store.at(folder).files()]
    ids = {row["id"]: row["source_id"] for part in parts for row in store.read(part, ["id", "source_id"]).to_pylist()}
    return {ids[row["id"]]: row for row in rows}


def records_of(work, source):
    store = Store(Location.of(work))
    folder = f"records/{source}"
    return {r["source_id"]: r for n in store.at(folder).files() for r in store.read(f"{folder}/{n}").to_pylist()}


def test_one_url_in_two_sources_is_fetched_once_and_all_rows_are_accounted_for(web, write_rows, tmp_path):
    bodies = serve(web, 10)
    web.routes[HOST, "/page.png"] = reply(b"<html>", headers=["Content-Type: text/html"])
    web.routes[HOST, "/cut.png"] = reply(bodies[0][:200])
    gone, page, cut = at(web, "/gone.png"), at(web, "/page.png"), at(web, "/cut.png")
    rows = [
        *pairs(web, range(10)),
        {"id": "repeat", "text": "Again.", "url": at(web, "/3.png")},
        {"id": "good", "text": "Sum.", "url": at(web, "/4.png"), "md5": hashlib.md5(bodies[4]).hexdigest()},
        {"id": "bad", "text": "Sum.", "url": at(web, "/4.png"), "md5": "0" * 32},
        {"id": "gone", "text": "Gone.", "url": gone}, {"id": "page", "text": "Page.", "url": page},
        {"id": "cut", "text": "Cut.", "url": cut}, {"id": "none", "text": "No URL."},
        {"id": "inside", "text": "Refused.", "url": "http://10.0.0.1/x.png"},
    ]  # fmt: skip
    documents = [
        {"id": "whole", "parts": [{"url": at(web, "/1.png")}, "one", {"url": at(web, "/2.png")}, "two"]},
        {"id": "part", "parts": ["a", {"url": gone}, "b", {"url": at(web, "/5.png")}, "c", {"url": cut}]},
        {"id": "text", "parts": [{"url": gone}, "only text"]},
        {"id": "empty", "parts": [{"url": gone}, {"url": page}]},
    ]
    roots = {"probe_pairs": write_rows("pairs", rows), "probe_documents": write_rows("documents", documents)}
    recipe = recipe_of(tmp_path, roots)
    manifest = do(recipe, tmp_path / "work")
    assert set(asked(web).values()) == {1}
    books = manifest.books
    assert (books["probe_pairs"].rows, books["probe_pairs"].kept) == (18, 12)
    assert books["probe_pairs"].quarantined == {
        "ingest.download_failed": 4, "ingest.missing_field": 1, "ingest.undecodable_image": 1,
    }  # fmt: skip
    assert (books["probe_documents"].kept, books["probe_documents"].images_lost) == (3, 3)
    assert books["probe_documents"].quarantined == {"ingest.download_failed": 1}
    assert books["probe_documents"].notes == {"all_images_lost": 1, "images_lost": 2}
    ledger = ledger_of(tmp_path / "work")
    assert ledger["gone"]["detail"] == f"http_not_found: status 404 {gone}"
    assert ledger["page"]["detail"].startswith("not_an_image: ")
    assert ledger["inside"]["detail"].startswith("address_refused: ")
    assert ledger["bad"]["detail"].startswith("checksum_mismatch: expected md5:" + "0" * 32)
    assert ledger["cut"]["detail"].startswith(cut)
    part = ledger["part"]
    assert part["outcome"] == "kept"
    assert part["detail"].startswith(f"images_lost=2: http_not_found: status 404 {gone}; undecodable_image: {cut}")
    assert ledger["whole"]["detail"] is None
    assert ledger["empty"]["detail"].startswith("all 2 pictures lost")
    records = records_of(tmp_path / "work", "probe_documents")
    assert records["part"]["messages"][0]["content"] == "a\nb\n<image>\nc"
    assert records["part"]["image_bytes"] == [bodies[5]]
    assert records["part"]["images"][0]["uri"] == at(web, "/5.png")
    assert records["text"]["messages"][0]["content"] == "only text"
    report = manifest.download
    assert (report.references, report.urls, report.downloaded) == (17 + 8, 14, 11)
    assert report.repeats_saved == 11
    assert report.failed == {"address_refused": 1, "http_not_found": 1, "not_an_image": 1}
    assert {host.host for host in report.worst_hosts} == {HOST, "10.0.0.1"}
    assert {stage.name for stage in manifest.stages} >= {"urls", "wanted", "fetch", "outcomes", "resolve"}


@pytest.mark.slow
def test_a_404_that_becomes_a_200_remakes_the_part_of_its_row_alone(web, write_rows, tmp_path):
    serve(web, 12)
    recipe = recipe_of(tmp_path, {"probe_pairs": write_rows("pairs", pairs(web, range(13)))})
    work = tmp_path / "work"
    first = do(recipe, work)
    assert first.books["probe_pairs"].quarantined == {"ingest.download_failed": 1}
    before = digest_of(work, ("records", "quarantine"))
    assert asked(web)["/12.png"] == 1
    again = do(recipe, work)
    assert [stage.name for stage in again.stages if stage.made] == []
    assert not asked(web), "neither content nor a 404 is asked for again"
    web.routes[HOST, "/12.png"] = reply(picture(12))
    last = do(recipe, work, "download.retry=all")
    assert asked(web) == {"/12.png": 1}
    assert {stage.name: stage.made for stage in last.stages}["ingest"] == 1
    after = digest_of(work, ("records", "quarantine"))
    assert len(before.keys() - after.keys()) == 2, "one part, its records and its quarantine"
    assert last.books["probe_pairs"].kept == 13
    more = do(recipe_of(tmp_path, {"probe_pairs": write_rows("pairs", pairs(web, [12, 5, 11]))}), work)
    assert more.books["probe_pairs"].kept == 3
    assert not asked(web), "what is there serves other rows as well"


@pytest.mark.slow
def test_passing_failures_are_asked_for_once_a_run_and_offline_runs_ask_for_nothing(web, write_rows, tmp_path):
    serve(web, 6)
    web.routes[HOST, "/6.png"] = reply(b"busy", 500)
    recipe = recipe_of(tmp_path, {"probe_pairs": write_rows("pairs", pairs(web, range(7)))})
    offline = do(recipe, tmp_path / "work", "download.enabled=false")
    assert offline.books["probe_pairs"].quarantined == {"ingest.download_failed": 7}
    assert offline.download.not_downloaded == 7
    assert ledger_of(tmp_path / "work")["r3"]["detail"] == f"not downloaded {at(web, '/3.png')}"
    assert not web.seen
    for _ in range(2):
        assert do(recipe, tmp_path / "work").books["probe_pairs"].kept == 6
        assert asked(web)["/6.png"] == 1
    last = do(recipe, tmp_path / "work", "download.enabled=false")
    assert last.books["probe_pairs"].kept == 6
    assert last.download.failed == {"http_server_error": 1}
    assert not asked(web)


@pytest.mark.slow
def test_the_same_outcomes_give_the_same_bytes_for_1_and_2_workers_and_any_partitions(web, write_rows, tmp_path):
    serve(web, 20)
    documents = [{"id": f"d{n}", "parts": ["x", {"url": at(web, f"/{n}.png")}, "y"]} for n in range(10, 24)]
    roots = {
        "probe_pairs": write_rows("pairs", pairs(web, range(22))),
        "probe_documents": write_rows("documents", documents),
    }
    recipe = recipe_of(tmp_path, roots)
    do(recipe, tmp_path / "w1", "download.shard_urls=3", workers=1)
    do(recipe, tmp_path / "w2", "download.partition_urls=1")
    folders = ("records", "quarantine", "ledger", "exports/pq/data")
    assert digest_of(tmp_path / "w1", folders) == digest_of(tmp_path / "w2", folders)


@pytest.mark.slow
def test_a_killed_download_goes_on_with_the_rest(web, write_rows, tmp_path):
    bodies = serve(web, 40)
    for number, body in enumerate(bodies):
        web.routes[HOST, f"/{number}.png"] = reply(body, delay=0.15)
    recipe = recipe_of(tmp_path, {"probe_pairs": write_rows("pairs", pairs(web, range(42)))})
    work = tmp_path / "work"
    started = subprocess.Popen(
        command("run", recipe, "--work", work, "--workers", 2),  # a node of its own, which dies with it
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 90
    while len([*work.glob("downloads/*/*.parquet")]) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert started.poll() is None, "the run ended before it could be killed"
    for pid in [started.pid, *processes(started.pid)]:  # Ray's daemons would follow within seconds, and fetch meanwhile
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    started.wait(timeout=30)
    store = Store(Location.of(work))
    stored = {u for shard in clean_up(store) for u in store.read(f"{shard}.parquet").column("url").to_pylist()}
    assert 0 < len(stored) < 42
    asked(web)
    manifest = do(recipe, work)
    rest = asked(web)
    assert set(rest.values()) == {1}
    assert not {at(web, path) for path in rest} & stored
    assert len(rest) + len(stored) == 42
    assert manifest.books["probe_pairs"].kept == 40
    calm = tmp_path / "calm"
    do(recipe, calm)
    folders = ("records", "quarantine", "ledger", "exports/pq/data")
    assert digest_of(work, folders) == digest_of(calm, folders)


@pytest.mark.slow
def test_the_command_line(web, write_rows, tmp_path):
    serve(web, 5)
    web.routes[HOST, "/5.png"] = reply(JPEG[:4] + b"no picture at all")
    root, work = write_rows("pairs", pairs(web, range(7))), tmp_path / "work"
    policy = [word for key, value in POLICY.items() for word in ("--policy", f"{key}={json.dumps(value)}")]
    first = infinity_mm("download", "probe_pairs", "--root", root, "--work", work, *policy)
    assert first.returncode == 0, first.stderr
    assert "http_not_found" in first.stdout
    assert "URLs begun" in first.stderr
    assert not (work / "records").exists()
    assert asked(web).total() == 7
    status = json.loads(infinity_mm("status", work, "--json").stdout)
    assert {line["name"]: line["done"] for line in status["passes"]}["fetch"] == 1
    done = infinity_mm("ingest", "probe_pairs", "--root", root, "--work", work, "--no-download", "--json")
    assert done.returncode == 0, done.stderr
    manifest = json.loads(done.stdout)
    assert manifest["books"]["probe_pairs"]["kept"] == 5
    assert manifest["books"]["probe_pairs"]["quarantined"] == {
        "ingest.download_failed": 1,
        "ingest.undecodable_image": 1,
    }
    assert manifest["download"]["downloaded"] == 6
    assert not asked(web)
    wrong = infinity_mm("download", "vqav2", "--root", root, "--work", work)
    assert wrong.returncode == 2
    assert "no pictures by URL" in wrong.stderr
    wrong = infinity_mm("ingest", "probe_pairs", "--root", root, "--work", work, "--policy", "allow_host=x")
    assert wrong.returncode == 2
    assert "'allow_hosts'" in wrong.stderr
