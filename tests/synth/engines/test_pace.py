"""No minute holds more requests than the limit, and none is slower than it must be."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.synth.engines.pace import Pace


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.now += seconds


@given(st.integers(1, 600), st.lists(st.floats(0, 90), min_size=1, max_size=100))
def test_no_minute_holds_more_than_the_limit(limit, pauses):
    clock, sent = Clock(), []
    pace = Pace(limit, clock, clock.sleep)

    async def ask():
        for pause in pauses:
            clock.now += pause
            await pace.wait()
            sent.append(clock.now)

    asyncio.run(ask())
    for begin in sent:
        assert sum(begin <= moment < begin + 60 - 1e-6 for moment in sent) <= limit


def test_requests_that_wait_together_leave_one_after_the_other():
    waited = []

    async def sleep(seconds):
        waited.append(round(seconds, 6))

    pace = Pace(120, lambda: 7.0, sleep)

    async def ask():
        await asyncio.gather(*(pace.wait() for _ in range(4)))

    asyncio.run(ask())
    assert waited == [0.5, 1.0, 1.5]


def test_without_a_limit_nobody_waits():
    async def sleep(seconds):
        pytest.fail("slept")

    asyncio.run(Pace(None, sleep=sleep).wait())
