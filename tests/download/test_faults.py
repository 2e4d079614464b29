import errno
import time
from email.utils import formatdate

import aiohttp
import pytest

from infinity_mm.download.faults import failure_of_error, failure_of_status, parse_retry_after
from infinity_mm.download.resolve import AddressRefused, NameUnresolved
from infinity_mm.errors import JobError


def test_retry_after_in_seconds_or_as_a_date():
    assert parse_retry_after(" 120 ") == 120
    assert parse_retry_after(formatdate(time.time() + 60, usegmt=True)) == pytest.approx(60, abs=2)
    assert parse_retry_after("Fri, 31 Dec 1999 23:59:59 GMT") == 0
    assert [parse_retry_after(text) for text in ("soon", "-5", "1e9", "", "\u0663")] == [None] * 5
    assert parse_retry_after("9" * 400) == 999_999_999


@pytest.mark.parametrize(
    ("status", "transient", "of_origin"),
    [
        (404, False, False),
        (408, True, False),
        (429, True, True),
        (500, True, False),
        (501, False, False),
        (599, True, False),
    ],
)
def test_what_may_pass(status, transient, of_origin):
    fault = failure_of_status(status)
    assert (fault.transient, fault.of_origin) == (transient, of_origin)


def test_503_speaks_for_the_host_when_it_names_a_time():
    assert failure_of_status(503, "7").of_origin
    assert failure_of_status(503, "7").retry_after == 7
    assert not failure_of_status(503).of_origin


@pytest.mark.parametrize(
    ("error", "reason", "transient", "of_origin"),
    [
        (AddressRefused("x"), "address_refused", False, True),
        (NameUnresolved("x", temporary=True), "dns_error", True, True),
        (NameUnresolved("x", temporary=False), "dns_error", False, True),
        (aiohttp.ConnectionTimeoutError(), "timeout", True, True),
        (aiohttp.SocketTimeoutError(), "timeout", True, False),
        (TimeoutError(), "timeout", True, False),
        (ConnectionResetError(), "connect_error", True, False),
        (aiohttp.ServerDisconnectedError(), "connect_error", True, False),
        (aiohttp.ClientPayloadError("x"), "length_mismatch", True, False),
        (ValueError("x"), "protocol_error", False, False),
    ],
)
def test_errors_are_classified(error, reason, transient, of_origin):
    fault = failure_of_error(error, silent=False)
    assert (fault.reason, fault.transient, fault.of_origin) == (reason, transient, of_origin)


def test_silence_is_held_against_the_origin():
    for error in (TimeoutError(), ConnectionResetError(), aiohttp.ServerDisconnectedError()):
        assert failure_of_error(error, silent=True).of_origin


def test_a_full_table_of_files_is_this_machines_fault():
    with pytest.raises(JobError, match="ulimit -n"):
        failure_of_error(OSError(errno.EMFILE, "Too many open files"), silent=True)
