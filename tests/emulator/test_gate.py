import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from spxdata.emulator import Emulator
from spxdata.emulator.gate import QUEUE, Gate, Overflow

from .terminal_client import HOURLY, QUOTE, V2_QUOTE, FakeClock, ask, ask_at, get


def wait_until(gate: Gate, count: int) -> None:
    """Wait until so many requests have been in the gate at a time."""
    reached = threading.Event()
    while gate.in_flight_max < count:
        reached.wait(0.001)


def test_places_are_limited_the_queue_is_short_and_the_next_is_turned_away() -> None:
    gate = Gate(2, FakeClock().monotonic)
    release = threading.Event()
    order: list[int] = []

    def hold(number: int) -> None:
        with gate.place():
            order.append(number)
            release.wait()

    threads = [threading.Thread(target=hold, args=(number,)) for number in range(2 + QUEUE)]
    for number, thread in enumerate(threads, start=1):
        thread.start()
        wait_until(gate, number)
    assert order == [0, 1]
    with pytest.raises(Overflow), gate.place():
        pass
    assert (gate.refused, gate.in_flight_max) == (1, 2 + QUEUE)
    release.set()
    for thread in threads:
        thread.join()
    assert sorted(order) == list(range(2 + QUEUE))
    assert len(gate.served) == 2 + QUEUE


def test_who_waited_longest_goes_first() -> None:
    gate = Gate(1, FakeClock().monotonic)
    steps = [threading.Event() for _ in range(4)]
    order: list[int] = []

    def hold(number: int) -> None:
        with gate.place():
            order.append(number)
            steps[number].wait()

    threads = [threading.Thread(target=hold, args=(number,)) for number in range(4)]
    for number, thread in enumerate(threads, start=1):
        thread.start()
        wait_until(gate, number)
    for step, thread in zip(steps, threads, strict=True):
        step.set()
        thread.join()
    assert order == [0, 1, 2, 3]


def test_closing_turns_away_who_waits_and_opening_lets_in_again() -> None:
    gate = Gate(1, FakeClock().monotonic)
    turned_away = threading.Event()

    def wait() -> None:
        try:
            with gate.place():
                pass
        except Overflow:
            turned_away.set()

    with gate.place():
        waiting = threading.Thread(target=wait)
        waiting.start()
        wait_until(gate, 2)
        gate.close()
        waiting.join()
    assert turned_away.is_set()
    gate.open()
    with gate.place() as leave:
        leave()
        leave()
    assert len(gate.served) == 2


@pytest.mark.parametrize(
    ("dialect", "tier", "places"),
    [
        ("v3", "free", 1),
        ("v3", "value", 2),
        ("v3", "standard", 4),
        ("v3", "professional", 8),
        ("v2", "free", 1),
        ("v2", "value", 1),
        ("v2", "standard", 2),
        ("v2", "professional", 4),
    ],
)
def test_the_tier_says_how_many_places_there_are(dialect: str, tier: str, places: int) -> None:
    terminal = Emulator(dialect=dialect, tier=tier)
    assert terminal._fronts[dialect].gate.limit == places


def test_more_than_places_and_queue_is_answered_429() -> None:
    url = f"{QUOTE}?symbol=SPXW&expiration=2024-01-16&date=2024-01-16&interval=1h"
    with Emulator(tier="value", retry_after=2, faults=[{"do": "stall_after", "bytes": 0, "nth": "1-2"}]) as terminal:
        gate = terminal._fronts["v3"].gate
        with ThreadPoolExecutor(32) as pool:
            waiting = [pool.submit(get, terminal.url + url) for _ in range(2 + QUEUE)]
            wait_until(gate, 2 + QUEUE)
            refused = ask(terminal, QUOTE, **HOURLY)
            assert (refused.status, refused.headers["retry-after"]) == (429, "2")
            assert ask(terminal, "/option/list/symbols").status == 200
            assert ask(terminal, "/terminal/mdds/status").status == 200
            assert (terminal.refused_429, terminal.in_flight_max) == (1, 2 + QUEUE)
            terminal.stop()
            for future in waiting:
                assert future.exception() is not None or future.result().status == 429


def test_a_429_has_no_retry_after_unless_asked_for() -> None:
    with Emulator(faults=[{"do": "status", "status": 429}]) as terminal:
        assert "retry-after" not in ask(terminal, QUOTE, **HOURLY).headers


def test_a_client_with_as_many_threads_as_places_is_never_counted_above_them() -> None:
    with Emulator(tier="value") as terminal:
        url = f"{terminal.url}{QUOTE}?symbol=SPXW&expiration=2024-01-16&date=2024-01-16&interval=1h"
        with ThreadPoolExecutor(2) as pool:
            assert {answer.status for answer in pool.map(get, [url] * 40)} == {200}
        assert terminal.in_flight_max == 2
        assert len(terminal.served) == 40
        assert all(span.end >= span.start for span in terminal.served)


def test_replies_take_at_least_as_long_as_told_and_are_served_side_by_side() -> None:
    clock = FakeClock()
    with Emulator(min_seconds=3, monotonic=clock.monotonic, sleep=clock.sleep) as terminal:
        ask(terminal, QUOTE, **HOURLY)
        ask(terminal, "/option/list/symbols")
        (span,) = terminal.served
    assert (span.end - span.start, clock.slept) == (3.0, [3.0])


def test_replies_come_as_fast_as_told_and_no_faster() -> None:
    clock = FakeClock()
    with Emulator(bytes_per_second=100_000, monotonic=clock.monotonic, sleep=clock.sleep) as terminal:
        answer = ask(terminal, QUOTE, symbol="SPXW", expiration="2024-01-16", date="2024-01-16", interval="1m")
        (span,) = terminal.served
    size = len(answer.body)
    assert size > 1_000_000
    assert span.end - span.start == pytest.approx(size / 100_000, rel=0.05)


def test_slot_occupancy_can_be_computed_from_what_was_served() -> None:
    with Emulator(tier="value", min_seconds=0.2) as terminal:
        url = f"{terminal.url}{QUOTE}?symbol=SPXW&expiration=2024-01-16&date=2024-01-16&interval=1h"
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(get, [url] * 8))
        spans = terminal.served
    whole = max(span.end for span in spans) - min(span.start for span in spans)
    held = sum(span.end - span.start for span in spans)
    assert held / (2 * whole) > 0.7


def test_both_dialects_have_places_of_their_own() -> None:
    with Emulator(dialect="both", tier="free") as terminal:
        assert ask_at(terminal.v2_url, V2_QUOTE).status == 471
        assert ask(terminal, QUOTE).status == 403
        assert len(terminal.served) == 2
