"""What every clock does, real time or not."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from spxdata.clock import ShiftedClock, SystemClock, clock_from
from spxdata.protocols import Clock
from tests.builders import FakeClock

#: Every implementation: what it is, and how to get one.
CLOCKS: dict[str, tuple[type[Clock], Callable[[], Clock]]] = {
    "system": (SystemClock, lambda: clock_from(None)),
    "shifted": (ShiftedClock, lambda: clock_from("2024-01-17T12:00")),
    "fake": (FakeClock, FakeClock),
}

#: Seconds to sleep: long enough to be seen by every clock.
MOMENT = 0.002


@pytest.fixture(params=CLOCKS)
def clock(request: pytest.FixtureRequest) -> Clock:
    """A clock, whatever it shows."""
    kind, made = CLOCKS[request.param]
    clock = made()
    assert type(clock) is kind
    return clock


def test_now_is_aware_and_in_utc(clock: Clock) -> None:
    assert clock.now().utcoffset() == timedelta(0)


def test_monotonic_never_goes_back(clock: Clock) -> None:
    seen = []
    for seconds in (0.0, MOMENT, 0.0, 0.0):
        seen.append(clock.monotonic())
        clock.sleep(seconds)
    assert seen == sorted(seen)


@pytest.mark.parametrize("seconds", [MOMENT, MOMENT / 2])
def test_sleeping_moves_the_moment_and_the_seconds_by_no_less(clock: Clock, seconds: float) -> None:
    moment, start = clock.now(), clock.monotonic()
    clock.sleep(seconds)
    assert clock.now() - moment >= timedelta(seconds=seconds)
    assert clock.monotonic() - start >= seconds


def test_a_sleep_of_nothing_is_harmless(clock: Clock) -> None:
    moment, start = clock.now(), clock.monotonic()
    clock.sleep(0)
    clock.sleep(0.0)
    assert clock.now() >= moment
    assert clock.monotonic() >= start


def test_a_sleep_of_less_than_nothing_is_harmless(clock: Clock) -> None:
    moment, start = clock.now(), clock.monotonic()
    clock.sleep(-60.0)
    assert clock.now() >= moment
    assert clock.monotonic() >= start


def test_any_thread_may_ask(clock: Clock) -> None:
    moments = []
    before = clock.now()
    threads = [threading.Thread(target=lambda: moments.append(clock.now())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(moments) == 4
    assert all(before <= moment <= clock.now() for moment in moments)
