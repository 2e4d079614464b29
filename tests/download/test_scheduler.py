"""Manners and fairness: what a host's server sees of many requests, and what other hosts feel of it."""

import time

import pytest

from tests.download.server import fetch, policy, raw, reply, robots, sequence


def many(server, name, count, handler):
    return [server.on(name, f"/{n}", handler) for n in range(count)]


def test_a_host_sees_no_more_than_its_share(server):
    urls = many(server, "a", 20, reply(delay=0.03)) + many(server, "b", 20, reply(delay=0.03))
    got = fetch(urls, policy("a", "b", per_host_concurrency=3, concurrency=16))
    assert all(outcome.content for outcome in got)
    assert server.peak == {"a": 3, "b": 3}


def test_no_more_than_the_whole_is_in_flight(server):
    names = [f"h{n}" for n in range(12)]
    urls = [url for name in names for url in many(server, name, 4, reply(delay=0.02))]
    got = fetch(urls, policy(*names, concurrency=4, respect_robots=False))
    assert len(got) == 48
    assert server.connections <= 4 + 12 * 4


def test_a_host_that_never_answered_gets_one_request_at_a_time(server):
    fetch(many(server, "a", 6, raw(b"", then=0.2)), policy("a", retries=0, respect_robots=False, host_failures=2))
    assert server.peak["a"] == 1


def test_starts_are_apart_by_the_interval(server):
    began = time.monotonic()
    fetch(many(server, "a", 4, reply()), policy("a", per_host_interval=0.15))
    times = [seen.at for seen in server.seen]
    assert len(times) == 5, "robots.txt keeps the interval too"
    # From the start of all: on a busy machine any one of them may be seen late, and the next one on time.
    assert all(at - began > 0.14 * number for number, at in enumerate(times))


@pytest.mark.parametrize(("asked", "kept"), [("0.15", 0.14), ("3600", 0.19)])
def test_crawl_delay_is_an_interval_up_to_a_limit(server, asked, kept):
    server.on("a", "/robots.txt", robots(f"User-agent: *\nCrawl-delay: {asked}"))
    began = time.monotonic()
    fetch(many(server, "a", 3, reply()), policy("a", max_crawl_delay=0.2))
    times = [seen.at for seen in server.seen]
    assert all(at - began > kept * number for number, at in enumerate(times))
    assert time.monotonic() - began < 60


def test_slow_and_dead_hosts_hold_up_nobody(server):
    slow = [f"slow{n}" for n in range(8)]
    dead = [url for name in slow for url in many(server, name, 20, raw(b"", then=5))]
    for name in slow:
        server.on(name, "/robots.txt", raw(b"", then=5))
    alive = many(server, "a", 60, reply())
    rules = policy("a", *slow, concurrency=8, retries=1)
    ended = []
    for outcome in fetch(dead + alive, rules):
        ended.append(outcome.reason)
    assert ended.count("timeout") == 160
    assert ended.count(None) == 60
    last_alive = len(ended) - 1 - ended[::-1].index(None)
    assert last_alive < 80, "the living came before most of the dead, though they stood behind them"


def test_a_dead_host_is_given_up_once(server):
    urls = many(server, "a", 50, raw(b""))
    server.on("a", "/robots.txt", raw(b""))
    began = time.monotonic()
    got = fetch(urls, policy("a", host_failures=3))
    assert {outcome.reason for outcome in got} == {"connect_error"}
    assert sum("given up after 3 failures in a row" in outcome.detail for outcome in got) >= 49
    assert len(server.seen) <= 6, "three tries, and aiohttp's own second one of each"
    assert sum(outcome.requests for outcome in got) == 0, "only robots.txt was asked for"
    assert time.monotonic() - began < 2


def test_so_is_one_that_dies_on_the_way(server):
    urls = many(server, "a", 10, reply(delay=0.01)) + [server.on("a", f"/late{n}", raw(b"", then=5)) for n in range(60)]
    got = fetch(urls, policy("a", host_failures=3, per_host_concurrency=2))
    assert sum(outcome.content is not None for outcome in got) == 10
    assert sum("given up" in outcome.detail for outcome in got) > 50


def test_single_urls_that_hang_are_not_held_against_the_host(server):
    urls = many(server, "a", 60, reply(delay=0.04)) + [server.on("a", f"/hung{n}", raw(b"", then=5)) for n in range(3)]
    got = fetch(urls[-3:] + urls[:-3], policy("a", retries=0, per_host_concurrency=5))
    assert [outcome.reason for outcome in got].count("timeout") == 3
    assert sum(outcome.content is not None for outcome in got) == 60


def test_a_host_that_answers_is_not_given_up_for_single_urls(server):
    urls = many(server, "a", 40, reply(b"", 500))
    urls.append(server.on("a", "/good", reply()))
    got = fetch(urls, policy("a", retries=0))
    assert [outcome.reason for outcome in got].count("http_server_error") == 40
    assert sum(outcome.content is not None for outcome in got) == 1


def test_retry_after_rests_the_whole_host_and_no_other(server):
    for n in range(6):
        server.on("a", f"/{n}", reply())
    server.on("a", "/0", sequence(reply(b"", 429, ["Retry-After: 60"]), reply()))
    other = many(server, "b", 20, reply())
    urls = [server.url("a", f"/{n}") for n in range(6)] + other
    got = fetch(urls, policy("a", "b", per_host_concurrency=1, max_retry_after=0.4))
    assert all(outcome.content for outcome in got)
    a = [seen for seen in server.seen if seen.host == "a.test" and seen.path != "/robots.txt"]
    assert a[1].at - a[0].at > 0.39
    assert a[1].path == "/0", "the same URL comes first again"
    assert max(seen.at for seen in server.seen if seen.host == "b.test") < a[1].at


def test_a_host_that_keeps_saying_429_is_left_for_another_run(server):
    got = fetch(many(server, "a", 40, reply(b"", 429)), policy("a", host_failures=3, per_host_concurrency=4))
    assert {outcome.reason for outcome in got} == {"http_rate_limited"}
    assert len(server.paths("a")) <= 12
    assert sum("given up" in outcome.detail for outcome in got) >= 28


def test_a_dead_port_says_nothing_of_another(server):
    dead = [f"http://a.test:1/{n}" for n in range(5)]
    got = fetch([*dead, *many(server, "a", 3, reply())], policy("a"))
    assert sorted(outcome.reason or "ok" for outcome in got) == ["connect_error"] * 5 + ["ok"] * 3


def test_connections_are_kept_between_requests(server):
    got = fetch(many(server, "a", 40, reply()), policy("a", per_host_concurrency=2))
    assert all(outcome.content for outcome in got)
    assert server.connections <= 3
