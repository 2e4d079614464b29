import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.download.addresses import Allowed, literal, refusal


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "carrier NAT"),
        ("100.100.100.200", "carrier NAT"),
        ("169.254.169.254", "link-local"),
        ("168.63.129.16", "Azure's platform service"),
        ("192.0.0.192", "reserved"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.250", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("198.18.0.1", "benchmarking"),
        ("203.0.113.9", "documentation"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("fe80::1", "link-local"),
        ("fd00:ec2::254", "private"),
        ("ff02::1", "multicast"),
        ("2001:db8::1", "documentation"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "reserved"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:169.254.169.254", "link-local"),
        ("::127.0.0.1", "reserved"),
        ("2002:7f00:1::", "loopback"),
        ("2002:c0a8:101::", "private"),
        ("64:ff9b::7f00:1", "loopback"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("64:ff9b:1::1", "reserved"),
        ("5f00::1", "reserved"),
    ],
)
def test_internal_addresses_are_named(address, reason):
    assert refusal(ipaddress.ip_address(address)) == reason


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_global_unicast_passes(address):
    assert refusal(ipaddress.ip_address(address)) is None


@given(st.ip_addresses(v=4))
def test_what_python_calls_not_global_is_refused(address):
    if not address.is_global or address.is_multicast:
        # Two addresses of 192.0.0.0/24 are called global; everything else that is not must be refused.
        assert refusal(address) is not None


@given(st.ip_addresses(v=4))
def test_a_carried_address_is_judged_as_itself(address):
    for carrier in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert refusal(ipaddress.IPv6Address(carrier)) == refusal(address)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "0x7F.0.0.0x1",
    ],
)
def test_odd_spellings_of_one_address(host):
    assert literal(host.lower()) == ipaddress.IPv4Address("127.0.0.1")


@pytest.mark.parametrize("host", ["example.com", "127.0.0.1.nip.io", "1e100.net", "a.1b", "0xg"])
def test_names_are_no_addresses(host):
    assert literal(host) is None


@pytest.mark.parametrize(
    "host", ["256.1.1.1", "1.2.3.4.5", "4294967296", "foo.1", "08.1.1.1", "1.2.3.256", "1..2", ":::"]
)
def test_neither_name_nor_address(host):
    with pytest.raises(ValueError):  # noqa: PT011
        literal(host)


@given(st.ip_addresses(v=4), st.sampled_from(["{}", "0x{:x}", "0{:o}"]))
def test_every_spelling_is_read_back(address, spelling):
    assert literal(spelling.format(int(address))) == address
    parts = ".".join(spelling.format(part) for part in address.packed)
    assert literal(parts) == address


def test_allowed_by_name_address_or_network():
    allowed = Allowed(("cache.lan", "10.1.2.3", "192.168.0.0/16", "fd00::/8"))
    assert [host in allowed for host in ("cache.lan", "10.1.2.3", "192.168.7.7", "fd00::1")] == [True] * 4
    assert [host in allowed for host in ("x.cache.lan", "10.1.2.4", "193.168.7.7", "fe80::1")] == [False] * 4
