"""The guard: what names may lead to, and that nothing but the checked address is connected to."""

import asyncio
import socket
import time

import pytest

from infinity_mm.download.client import fetch_all
from infinity_mm.download.request import Request
from infinity_mm.download.resolve import AddressGuard, AddressRefused, NameUnresolved, SystemResolver
from tests.download.server import QUICK, Table, fetch, policy, reply


def ask(guard, host):
    return [str(address) for address in asyncio.run(guard.addresses(host))]


def guard(table, **changes):
    return AddressGuard(QUICK.model_copy(update=changes), table, time.monotonic)


def test_only_the_global_addresses_of_a_name_are_used():
    table = Table({"a.test": ["10.0.0.1", "8.8.8.8", "::1", "2606:4700::1111"]})
    assert ask(guard(table), "a.test") == ["8.8.8.8", "2606:4700::1111"]


def test_a_name_with_internal_addresses_only_is_refused():
    with pytest.raises(
        AddressRefused, match=r"a\.test is 10\.0\.0\.1 \(private\), ::1 \(loopback\); name it in allow_hosts"
    ):
        ask(guard(Table({"a.test": ["10.0.0.1", "::1"]})), "a.test")


def test_allowed_is_the_name_in_the_url_not_what_it_resolves_to():
    table = Table({"cache.lan": ["10.0.0.1"], "evil.test": ["10.0.0.1"]})
    allowing = guard(table, allow_hosts=("cache.lan", "10.0.0.0/8"))
    assert ask(allowing, "cache.lan") == ["10.0.0.1"]
    assert ask(allowing, "10.0.0.7") == ["10.0.0.7"]
    with pytest.raises(AddressRefused):
        ask(allowing, "evil.test")


def test_answers_are_used_for_their_time_and_looked_up_again():
    table = Table({"a.test": ["8.8.8.8"]})
    now = [0.0]
    timed = AddressGuard(QUICK, table, lambda: now[0])
    ask(timed, "a.test")
    ask(timed, "a.test")
    assert table.asked == ["a.test"]
    now[0] = QUICK.dns_ttl + 1
    table.names["a.test"] = ["127.0.0.1"]
    with pytest.raises(AddressRefused):
        ask(timed, "a.test")


def test_names_that_do_not_resolve():
    with pytest.raises(NameUnresolved) as caught:
        ask(guard(Table({})), "nowhere.test")
    assert not caught.value.temporary

    class Busy(Table):
        async def lookup(self, host):
            raise socket.gaierror(socket.EAI_AGAIN, "try again")

    with pytest.raises(NameUnresolved) as caught:
        ask(guard(Busy({})), "a.test")
    assert caught.value.temporary

    class Silent(Table):
        async def lookup(self, host):
            await asyncio.sleep(5)
            return []

    with pytest.raises(NameUnresolved, match=r"no answer from DNS in 0\.1 s"):
        ask(guard(Silent({}), dns_timeout=0.1), "a.test")


def test_the_system_resolves_localhost():
    resolver = SystemResolver()
    assert "127.0.0.1" in asyncio.run(resolver.lookup("localhost"))
    resolver.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:{port}/x",
        "http://127.0.0.1:{port}/x",
        "http://127.1:{port}/x",
        "http://0x7f000001:{port}/x",
        "http://017700000001:{port}/x",
        "http://[::1]:{port}/x",
        "http://[::ffff:7f00:1]:{port}/x",
        "http://0.0.0.0:{port}/x",
        "http://inside.test:{port}/x",
    ],
)
def test_loopback_is_out_of_reach_however_it_is_spelled(server, url):
    request = Request(url.format(port=server.port))
    resolver = Table({"inside.test": ["127.0.0.1"], "localhost": ["127.0.0.1", "::1"]})
    (got,) = fetch_all([request], QUICK, resolver=resolver)
    assert got.reason == "address_refused"
    assert server.connections == 0


def test_a_name_that_changes_its_address_after_the_check_is_not_followed(server):
    """DNS rebinding: a global address first, loopback ever after."""

    class Rebinding(Table):
        async def lookup(self, host):
            self.asked.append(host)
            return ["203.0.114.1"] if len(self.asked) == 1 else ["127.0.0.1"]

    resolver = Rebinding({})
    rules = QUICK.model_copy(update={"retries": 0})
    (got,) = fetch_all([Request(f"http://a.test:{server.port}/x")], rules, resolver=resolver)
    assert got.reason in ("timeout", "connect_error")
    assert resolver.asked == ["a.test"]
    assert server.connections == 0
    (got,) = fetch_all(
        [Request(f"http://a.test:{server.port}/x")], rules.model_copy(update={"dns_ttl": 1e-9}), resolver=Rebinding({})
    )
    assert got.reason != "ok"
    assert server.connections == 0


def test_an_unknown_name_is_given_up_at_once(server):
    urls = [f"http://nowhere.example/{n}" for n in range(20)]
    got = fetch(urls, policy())
    assert {outcome.reason for outcome in got} == {"dns_error"}


def test_an_address_may_be_allowed(server):
    server.routes["127.0.0.1", "/x"] = reply()
    (got,) = fetch([f"http://127.0.0.1:{server.port}/x"], QUICK.model_copy(update={"allow_hosts": ("127.0.0.0/8",)}))
    assert got.content
