"""How many requests at once: a table of transitions, and what always holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.terminal.gate import Gate


def test_launches_are_paced_and_limited() -> None:
    gate = Gate.of(2, pacing=0.1)
    assert gate.wait(0, 10.0) == 0.0
    gate = gate.launched(10.0)
    assert gate.wait(1, 10.03) == pytest.approx(0.07)
    assert gate.wait(1, 10.2) == 0.0
    assert gate.wait(2, 10.2) is None


@pytest.mark.parametrize(
    ("steps", "width"),
    [
        ((), 4),
        ((("limited", 0.0),), 3),
        ((("limited", 0.0), ("limited", 0.1)), 3),  # one burst is one step
        ((("limited", 0.0), ("limited", 5.0)), 2),
        ((("limited", 0.0), ("limited", 5.0), ("limited", 10.0), ("limited", 15.0), ("limited", 20.0)), 1),
        ((("limited", 0.0), ("succeeded", 59.0)), 3),
        ((("limited", 0.0), ("succeeded", 60.0)), 4),
        ((("limited", 0.0), ("limited", 5.0), ("succeeded", 65.0), ("succeeded", 66.0)), 3),
        ((("limited", 0.0), ("limited", 5.0), ("succeeded", 65.0), ("succeeded", 125.0)), 4),
        ((("succeeded", 1000.0),), 4),
    ],
)
def test_a_429_narrows_and_a_quiet_minute_widens(steps: tuple[tuple[str, float], ...], width: int) -> None:
    gate = Gate.of(4)
    for what, now in steps:
        gate = getattr(gate, what)(now)
    assert gate.width == width


@given(st.integers(1, 8), st.lists(st.tuples(st.sampled_from(["limited", "succeeded", "launched"]), st.floats(0, 500))))
def test_the_width_stays_between_one_and_the_widest(widest: int, steps: list[tuple[str, float]]) -> None:
    gate, now = Gate.of(widest), 0.0
    for what, later in steps:
        now += later
        gate = getattr(gate, what)(now)
        assert 1 <= gate.width <= widest
        assert gate.wait(widest, now) is None
        assert gate.wait(0, now) is not None
