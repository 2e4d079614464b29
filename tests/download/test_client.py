import random
import threading
import time
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infinity_mm.download.client import fetch_all
from infinity_mm.download.request import FAILURE_REASONS, Request
from tests.download.server import JPEG, Names, drip, fetch, policy, raw, redirect, reply, robots, sequence


def test_a_picture_comes_back_as_sent(server):
    url = server.on("a", "/cat.jpg", reply())
    (got,) = fetch([url], policy("a"))
    assert (got.url, got.content, got.reason, got.http_status) == (url, JPEG, None, 200)
    assert (got.final_url, got.content_type, got.requests) == (url, "image/jpeg", 1)
    assert got.seconds > 0
    assert [seen.path for seen in server.seen] == ["/robots.txt", "/cat.jpg"]


def test_the_given_url_stays_the_key(server):
    server.on("a", "/x%20y.jpg", reply())
    given_url = f" HTTP://A.test:{server.port}/x y.jpg#top"
    (got,) = fetch([given_url], policy("a"))
    assert got.url == given_url
    assert got.final_url == f"http://a.test:{server.port}/x%20y.jpg"
    assert got.content == JPEG


def test_nothing_in_nothing_out():
    assert list(fetch_all([], policy())) == []


HOSTS = {
    "good": reply(),
    "slow": raw(b"", then=5),
    "gone": reply(b"", 404),
    "shut": raw(b""),
    "page": reply(b"<html>"),
    "lies": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + JPEG),
    "big": drip(JPEG * 20, 0.0, b"HTTP/1.1 200 OK\r\n\r\n"),
    "limits": reply(b"", 429),
    "loops": redirect("/loop"),
    "inward": redirect("http://127.0.0.1/"),
    "opts": reply(headers=["X-Robots-Tag: noai"]),
    "mixed": sequence(reply(), reply(b"", 500), raw(b""), reply(), raw(b"\x00" * 50), reply(b"", 403)),
}

#: What can come of a host only, whatever else goes on.
CERTAIN = {
    "good": None,
    "gone": "http_not_found",
    "page": "not_an_image",
    "opts": "opted_out",
    "inward": "address_refused",
}


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(
    names=st.lists(st.sampled_from([*HOSTS, "none.example", "odd url"]), max_size=80),
    concurrency=st.sampled_from([1, 3, 32]),
    lookahead=st.sampled_from([1, 7, 1000]),
)
def test_every_request_has_exactly_one_outcome(server, names, concurrency, lookahead):
    """The law, for any mix of hosts, any width and any lookahead."""
    urls = []
    for n, name in enumerate(names):
        if name in HOSTS:
            urls.append(server.on(name, f"/{n % 50}", HOSTS[name]))
        else:
            urls.append(f"http://{name}/{n}")
    server.on("limits", "/robots.txt", robots("User-agent: other\nDisallow: /"))
    rules = policy(
        *HOSTS,
        concurrency=concurrency,
        lookahead=lookahead,
        idle_timeout=0.1,
        total_timeout=0.3,
        backoff_base=0.01,
        backoff_max=0.02,
        host_failures=2,
        retries=1,
    )
    got = fetch(urls, rules)
    assert Counter(outcome.url for outcome in got) == Counter(urls)
    for outcome in got:
        assert (outcome.content is None) == (outcome.reason is not None)
        assert outcome.reason is None or outcome.reason in FAILURE_REASONS
        assert bool(outcome.detail) == (outcome.reason is not None)
        name = outcome.url.split("//")[1].split(".")[0]
        assert name not in CERTAIN or outcome.reason == CERTAIN[name]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(
    st.lists(
        st.sampled_from(
            [
                b"HTTP/1.1 ",
                b"200 OK",
                b"\r\n",
                b"\r\n\r\n",
                b": ",
                b"Content-Length: ",
                b"-1",
                b"99",
                b"Transfer-Encoding: chunked",
                b"Location: ",
                b"http://[",
                b"301 X",
                b"X-Robots-Tag: :,",
                b"Content-Encoding: gzip",
                b"\xff\xd8\xff",
                b"\x00",
                b"\xe9",
                b"Content-Type: \xff;;",
                b"Retry-After: -",
                b"Set-Cookie: a=\x01;;b",
                b"100 Continue",
            ]
        ),
        max_size=16,
    )
)
def test_whatever_bytes_come_back_the_client_goes_on(server, pieces):
    bad = server.on("a", "/bad", raw(b"".join(pieces)))
    good = server.on("b", "/good", reply())
    got = {outcome.url: outcome for outcome in fetch([bad, good], policy("a", "b", retries=0, respect_robots=False))}
    assert got[good].content == JPEG
    assert got[bad].reason in FAILURE_REASONS or got[bad].content is not None


def test_closing_early_cancels_what_is_in_flight(server):
    urls = [server.on("a", f"/{n}", reply() if n == 0 else raw(b"", then=20)) for n in range(10)]
    rules = policy("a", idle_timeout=20, total_timeout=20)
    outcomes = fetch_all(map(Request, urls), rules, resolver=Names({}))
    assert next(outcomes).content == JPEG
    began = time.monotonic()
    outcomes.close()
    assert time.monotonic() - began < 1
    assert not any(thread.name == "download" for thread in threading.enumerate())


def test_an_error_of_the_input_is_the_callers(server):
    def broken():
        yield Request(server.on("a", "/x", reply()))
        raise RuntimeError("the list ends in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        list(fetch_all(broken(), policy("a"), resolver=Names({})))
    assert not any(thread.name == "download" for thread in threading.enumerate())


def test_the_input_is_read_only_so_far_ahead(server):
    read = []

    def requests():
        for n in range(100):
            read.append(n)
            yield Request(server.on("a", f"/{n}", reply()))

    outcomes = fetch_all(requests(), policy("a", lookahead=10), resolver=Names({}))
    for done in range(100):
        next(outcomes)
        assert len(read) <= done + 11
    assert list(outcomes) == []


def test_a_slow_input_does_not_hold_finished_outcomes_back(server):
    def requests():
        for n in range(3):
            yield Request(server.on("a", f"/{n}", reply()))
            time.sleep(0.3)

    began = time.monotonic()
    next(fetch_all(requests(), policy("a"), resolver=Names({})))
    assert time.monotonic() - began < 0.8


def test_a_consumer_that_takes_its_time_stops_the_fetching(server):
    names = [f"h{n}" for n in range(20)]
    urls = [server.on(name, f"/{n}", reply()) for name in names for n in range(5)]
    outcomes = fetch_all(map(Request, urls), policy(*names, concurrency=4, respect_robots=False), resolver=Names({}))
    next(outcomes)
    time.sleep(0.3)
    assert len(server.seen) <= 9, "one taken, four waiting, four in flight"
    assert len(list(outcomes)) == 99


def test_heavy_bodies_stop_it_sooner(server):
    names = [f"h{n}" for n in range(20)]
    urls = [server.on(name, "/x", reply(JPEG * 50)) for name in names]
    rules = policy(*names, concurrency=2, respect_robots=False, max_buffered_bytes=1)
    outcomes = fetch_all(map(Request, urls), rules, resolver=Names({}))
    next(outcomes)
    time.sleep(0.2)
    assert len(server.seen) <= 4
    assert sum(outcome.content is not None for outcome in outcomes) == 19


def test_jitter_is_the_same_every_time_and_orders_nothing_else(server):
    """Retries depend on the URL alone: two runs send the same requests."""
    urls = [server.on("a", f"/{n}", reply(b"", random.Random(n).choice([500, 404, 503]))) for n in range(20)]
    first = sorted((o.url, o.reason, o.requests) for o in fetch(urls, policy("a")))
    assert first == sorted((o.url, o.reason, o.requests) for o in fetch(urls, policy("a")))
