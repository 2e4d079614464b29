import hashlib

import pyarrow as pa
import pytest

from infinity_mm.download.fetched import RESOLVED, Fetched, shown
from infinity_mm.errors import StoreError
from infinity_mm.fs import Location
from infinity_mm.sources.base import ImageRef, Quarantine
from infinity_mm.store import Store

ROW = dict.fromkeys(RESOLVED.names) | {"checksum": ""}


@pytest.fixture
def fetched(tmp_path) -> Fetched:
    store = Store(Location.of(tmp_path))
    rows = []
    for number in range(40):  # more tars than are kept open
        body = f"body {number}".encode()
        store.at(f"downloads/{number}.tar").write_bytes(bytes(512) + body)
        place = {"tar": f"downloads/{number}.tar", "offset": 512, "size": len(body)}
        rows.append(ROW | {"url": f"http://a/{number}", "sha256": hashlib.sha256(body).hexdigest()} | place)
    rows.append(ROW | {"url": "http://a/lost", "reason": "http_not_found", "detail": "status 404"})
    rows.append(ROW | {"url": "http://a/refused", "reason": "opted_out", "detail": ""})
    rows.append(ROW | {"url": "http://a/never"})
    store.write("resolved", pa.Table.from_pylist(rows, schema=RESOLVED))
    return Fetched(store, "resolved")


def test_content_is_read_in_place(fetched):
    for number in [*range(40), *range(40)]:
        assert fetched(ImageRef(url=f"http://a/{number}")) == f"body {number}".encode()


@pytest.mark.parametrize(
    ("url", "detail"),
    [
        ("http://a/lost", "http_not_found: status 404 http://a/lost"),
        ("http://a/refused", "opted_out http://a/refused"),
        ("http://a/never", "not downloaded http://a/never"),
        ("http://a/unknown", "not downloaded http://a/unknown"),
        ("http://a/\ud800", "invalid_url: a lone surrogate, which is no character http://a/\\ud800"),
    ],
)
def test_failures_begin_with_their_class_and_end_with_the_url(fetched, url, detail):
    assert fetched(ImageRef(url=url)) == Quarantine("download_failed", detail)


def test_a_damaged_or_missing_tar_says_what_to_do(fetched, tmp_path):
    (tmp_path / "downloads/3.tar").write_bytes(bytes(600))
    (tmp_path / "downloads/4.tar").unlink()
    for number in (3, 4):
        with pytest.raises(StoreError, match=f"{number}.tar.*delete that tar and run again"):
            fetched(ImageRef(url=f"http://a/{number}"))


def test_long_urls_are_cut():
    assert len(shown("data:" + "x" * 10**6)) == 303
