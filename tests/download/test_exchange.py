"""What hosts do, and the reason that comes of it: each against a real socket."""

import contextlib
import gzip
import hashlib
import socket
import threading
import zlib

import pytest

from infinity_mm.download.request import Request
from tests.download.server import JPEG, PNG, drip, fetch, policy, raw, redirect, reply, robots, sequence

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n"


def one(server, handler, /, **changes):
    (outcome,) = fetch([server.on("a", "/x.jpg", handler)], policy("a", **({"retries": 0} | changes)))
    return outcome


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (404, "http_not_found"),
        (410, "http_not_found"),
        (401, "http_forbidden"),
        (403, "http_forbidden"),
        (451, "http_forbidden"),
        (429, "http_rate_limited"),
        (500, "http_server_error"),
        (503, "http_server_error"),
        (501, "http_server_error"),
        (400, "http_error"),
        (206, "http_error"),
        (304, "http_error"),
        (300, "http_error"),
        (204, "empty"),
    ],
)
def test_statuses(server, status, reason):
    outcome = one(server, reply(b"" if status in (204, 304) else b"x", status))
    assert (outcome.reason, outcome.http_status, outcome.content) == (reason, status, None)


@pytest.mark.parametrize(
    ("handler", "reason", "detail"),
    [
        (reply(b""), "empty", "no bytes"),
        (reply(b"<!doctype html><p>no longer here"), "not_an_image", "html"),
        (reply(b'{"error": 1}'), "not_an_image", "json"),
        (reply(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "not_an_image", "svg"),
        (reply(JPEG * 200), "too_large", "Content-Length 205600, limit 100000"),
        (drip(JPEG * 5, 0.0, HEAD + b"\r\n"), "too_large", "limit 100000"),
        (raw(HEAD + b"Content-Length: 5000\r\n\r\n" + JPEG), "length_mismatch", "cut"),
        (raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n404\r\n" + JPEG + b"\r\n"), "length_mismatch", "cut"),
        (raw(b"SSH-2.0-OpenSSH_9.6\r\n"), "protocol_error", ""),
        (raw(b"HTTP/1.1 2oo OK\r\n\r\n"), "protocol_error", ""),
        (raw(HEAD + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\n" + JPEG), "protocol_error", ""),
        (raw(HEAD + b"X: " + b"x" * 50_000 + b"\r\n\r\n" + JPEG), "protocol_error", ""),
        (raw(b""), "connect_error", "closed without an answer"),
        (raw(b"", then=5), "timeout", ""),
        (raw(HEAD + b"Content-Length: 5000\r\n\r\n" + JPEG, then=5), "timeout", ""),
        (drip(b"x", 0.1, HEAD + b"\r\n" + JPEG), "timeout", ""),
        (drip(b"X-More: 1\r\n", 0.1, HEAD), "timeout", ""),
        (reply(headers=["Content-Encoding: br"]), "protocol_error", "'br'"),
        (reply(headers=["Content-Encoding: gzip"]), "protocol_error", ""),
    ],
)
def test_bodies_and_lies(server, handler, reason, detail):
    outcome = one(server, handler)
    assert (outcome.reason, outcome.content) == (reason, None)
    assert detail in outcome.detail


def test_no_tls_where_it_was_asked_for():
    def answer_in_the_clear(listener):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer_in_the_clear, args=(listener,), daemon=True).start()
        (outcome,) = fetch([f"https://a.test:{listener.getsockname()[1]}/x.jpg"], policy("a"))
        listener.shutdown(socket.SHUT_RDWR)
    assert outcome.reason == "tls_error"


def test_a_flood_of_headers_ends(server):
    outcome = one(server, drip(b"X-More: " + b"1" * 4000 + b"\r\n", 0.0, HEAD))
    assert outcome.reason in ("protocol_error", "timeout")
    assert outcome.seconds < 2


def test_a_page_is_left_at_its_first_bytes(server):
    outcome = one(server, drip(b"<html>" + b" " * 100, 0.05, HEAD + b"\r\n"))
    assert outcome.reason == "not_an_image"
    assert outcome.seconds < 0.4


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(JPEG)),
        ("deflate", zlib.compress(JPEG)),
        ("deflate", zlib.compress(JPEG)[2:-4]),
        ("identity", JPEG),
    ],
)
def test_content_encoding_is_undone(server, encoding, packed):
    assert one(server, reply(packed, headers=[f"Content-Encoding: {encoding}"])).content == JPEG


def test_a_bomb_is_stopped_by_its_unpacked_size(server):
    bomb = gzip.compress(JPEG + bytes(80_000_000))
    assert len(bomb) < 100_000
    outcome = one(server, reply(bomb, headers=["Content-Encoding: gzip"]))
    assert outcome.reason == "too_large"
    assert "unpacked" in outcome.detail


def test_a_cut_gzip_stream_is_a_cut_body(server):
    outcome = one(server, reply(gzip.compress(JPEG)[:-20], headers=["Content-Encoding: gzip"]))
    assert outcome.reason == "length_mismatch"


def test_checksums(server):
    url = server.on("a", "/x.jpg", reply())
    md5, sha256 = hashlib.md5(JPEG).hexdigest(), hashlib.sha256(JPEG).hexdigest()
    for n in (2, 3, 4):
        server.on("a", f"/x.jpg?{n}", reply())
    checksums = ["md5:" + md5, "sha256:" + sha256.upper(), "md5:" + "0" * 32, "crc:1"]
    requests = [Request(url + end, checksum) for end, checksum in zip(["", "?2", "?3", "?4"], checksums, strict=True)]
    by_url = {outcome.url: outcome for outcome in fetch(requests, policy("a"))}
    assert by_url[url].reason is None
    assert by_url[url + "?2"].reason is None
    assert by_url[url + "?3"].reason == "checksum_mismatch"
    assert by_url[url + "?3"].detail == f"expected md5:{'0' * 32}, came md5:{md5}"
    assert by_url[url + "?4"].reason == "checksum_mismatch"
    assert "/x.jpg?4" not in server.paths("a"), "nothing is sent for what can never match"


def test_manners_of_a_request(server):
    url = server.on("a", "/x.jpg", reply())
    fetch([url], policy("a", user_agent="My-Bot/1.0"))
    for seen in server.seen:
        assert seen.headers["User-Agent"] == "My-Bot/1.0 (+mailto:crawl@example.org)"
        assert seen.headers["Accept-Encoding"] == "identity"
        assert "Cookie" not in seen.headers
    assert server.seen[1].headers["Accept"].startswith("image/")


class TestRedirects:
    def test_are_followed_to_the_picture(self, server):
        end = server.on("b", "/y.png", reply(PNG))
        start = server.on("a", "/1", redirect("/2", 301))
        server.on("a", "/2", redirect(end, 308))
        (got,) = fetch([start], policy("a", "b"))
        assert (got.content, got.final_url, got.requests) == (PNG, end, 3)
        assert [(seen.host, seen.path) for seen in server.seen if seen.path == "/robots.txt"] == [
            ("a.test", "/robots.txt"),
            ("b.test", "/robots.txt"),
        ]

    def test_in_a_circle(self, server):
        server.on("a", "/2", redirect("/1"))
        (got,) = fetch([server.on("a", "/1", redirect("/2"))], policy("a"))
        assert got.reason == "too_many_redirects"
        assert "circle" in got.detail

    def test_without_end(self, server):
        for n in range(20):
            server.on("a", f"/{n}", redirect(f"/{n + 1}"))
        (got,) = fetch([server.url("a", "/0")], policy("a", max_redirects=3))
        assert (got.reason, got.requests) == ("too_many_redirects", 4)

    @pytest.mark.parametrize(
        ("location", "reason"),
        [
            ("file:///etc/passwd", "invalid_url"),
            ("data:image/png;base64,iVBO", "invalid_url"),
            ("http://user:pass@a.test/", "invalid_url"),
            ("http://127.0.0.1/", "address_refused"),
            ("http://2130706433/", "address_refused"),
            ("http://[::ffff:127.0.0.1]/", "address_refused"),
            ("http://169.254.169.254/latest/meta-data/", "address_refused"),
            ("http://inside.test/", "address_refused"),
        ],
    )
    def test_to_where_none_may_lead(self, server, location, reason):
        assert one(server, redirect(location)).reason == reason

    def test_obey_the_robots_of_the_new_host(self, server):
        server.on("b", "/robots.txt", robots("User-agent: *\nDisallow: /"))
        end = server.on("b", "/y", reply())
        (got,) = fetch([server.on("a", "/x", redirect(end))], policy("a", "b"))
        assert got.reason == "robots_disallowed"
        assert server.paths("b") == []

    def test_may_opt_out_on_the_way(self, server):
        end = server.on("a", "/y", reply())
        got = one(server, redirect(end, headers=["X-Robots-Tag: noai"]))
        assert (got.reason, got.http_status) == ("opted_out", 302)

    def test_without_a_location(self, server):
        assert one(server, reply(b"", 302)).reason == "http_error"


class TestOptOut:
    @pytest.mark.parametrize(
        "header", ["X-Robots-Tag: noimageai", "x-robots-tag: a: b, infinity-mm: noai", "TDM-Reservation: 1"]
    )
    def test_before_the_body_is_read(self, server, header):
        got = one(server, drip(JPEG, 0.05, HEAD + header.encode() + b"\r\n\r\n"))
        assert (got.reason, got.content) == ("opted_out", None)
        assert got.seconds < 0.4

    def test_of_others_or_overruled_is_none(self, server):
        assert one(server, reply(headers=["X-Robots-Tag: otherbot: noindex"])).reason is None
        handler = reply(headers=["X-Robots-Tag: noai"])
        assert one(server, handler, respect_x_robots_tag=False).reason is None


class TestRobots:
    def outcome(self, server, handler, **changes):
        server.on("a", "/robots.txt", handler)
        return one(server, reply(), **changes)

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
    def test_absent_allows(self, server, status):
        assert self.outcome(server, reply(b"User-agent: *\nDisallow: /", status)).reason is None

    @pytest.mark.parametrize("status", [429, 500, 503])
    def test_broken_disallows(self, server, status):
        got = self.outcome(server, reply(b"", status))
        assert got.reason == "robots_disallowed"
        assert str(status) in got.detail
        assert server.paths("a") == []

    def test_unreachable_is_named_for_what_it_is(self, server):
        assert self.outcome(server, raw(b"", then=5)).reason == "timeout"
        assert self.outcome(server, raw(b"")).reason == "connect_error"
        assert server.paths("a") == []

    @pytest.mark.parametrize(
        "handler", [raw(HEAD + b"Content-Length: 99\r\n\r\nUser"), raw(b"nonsense"), redirect("file:///x")]
    )
    def test_unreadable_disallows(self, server, handler):
        assert self.outcome(server, handler).reason == "robots_disallowed"

    def test_disallowing_is_obeyed_unless_overruled(self, server):
        rules = robots("User-agent: *\nAllow: /public/\nDisallow: /")
        got = self.outcome(server, rules)
        assert (got.reason, got.requests, got.final_url) == ("robots_disallowed", 0, "")
        assert self.outcome(server, rules, respect_robots=False).content == JPEG

    def test_redirects_are_followed_five_times(self, server):
        for n in range(1, 8):
            server.on("a", f"/robots-{n}", redirect(f"/robots-{n + 1}"))
        server.on("a", "/robots-5", robots("User-agent: *\nDisallow: /"))
        assert self.outcome(server, redirect("/robots-1")).reason == "robots_disallowed"
        server.on("a", "/robots-5", redirect("/robots-6"))
        server.on("a", "/robots-6", robots("User-agent: *\nDisallow: /"))
        assert self.outcome(server, redirect("/robots-1")).reason is None

    def test_is_fetched_once_per_origin(self, server):
        urls = [server.on("a", f"/{n}", reply()) for n in range(30)]
        assert all(got.content for got in fetch(urls, policy("a")))
        assert sum(seen.path == "/robots.txt" for seen in server.seen) == 1

    def test_that_never_ends_is_read_to_its_limit(self, server):
        text = b"User-agent: *\nDisallow: /\n" + b"#" * 4096
        got = self.outcome(server, drip(text, 0.0, b"HTTP/1.1 200 OK\r\n\r\n"))
        assert got.reason == "robots_disallowed"

    def test_a_bomb_is_too(self, server):
        bomb = gzip.compress(b"User-agent: *\nDisallow: /\n" + b"#" * 50_000_000)
        assert self.outcome(server, reply(bomb, headers=["Content-Encoding: gzip"])).reason == "robots_disallowed"


class TestRetries:
    def test_a_host_that_flaps_is_tried_again(self, server):
        got = one(server, sequence(reply(b"", 500), raw(HEAD + b"Content-Length: 9\r\n\r\n"), reply()), retries=2)
        assert (got.content, got.requests) == (JPEG, 3)

    def test_only_so_often(self, server):
        got = one(server, reply(b"", 502), retries=2)
        assert (got.reason, got.requests) == ("http_server_error", 3)

    @pytest.mark.parametrize("status", [404, 403, 400, 501])
    def test_what_lasts_is_not_tried_again(self, server, status):
        assert one(server, reply(b"", status), retries=2).requests == 1

    def test_retry_after_is_waited_for(self, server):
        got = one(server, sequence(reply(b"", 429, ["Retry-After: 600"]), reply()), retries=1, max_retry_after=0.4)
        assert (got.content, got.requests) == (JPEG, 2)
        first, second = (seen.at for seen in server.seen if seen.path == "/x.jpg")
        assert 0.39 <= second - first < 1.0, "600 s asked, 0.4 s allowed"
        assert got.seconds < 0.3, "waiting is not counted"
