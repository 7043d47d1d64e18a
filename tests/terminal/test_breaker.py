"""Whether the Terminal is usable: the state machine as a table."""

import pytest

from spxdata.errors import (
    BadRequest,
    CutOff,
    Disconnected,
    MalformedReply,
    RateLimited,
    ServerFault,
    ServerStarting,
    SpxDataError,
    TimedOut,
    Unreachable,
)
from spxdata.terminal.breaker import Breaker, Mode


def failed(*errors: type[SpxDataError]) -> Breaker:
    """Return a breaker after failures, one a second."""
    breaker = Breaker()
    for second, error in enumerate(errors):
        breaker = breaker.failed(error("x"), float(second))
    return breaker


@pytest.mark.parametrize(
    ("errors", "mode", "probe_at"),
    [
        ((), Mode.CLOSED, None),
        ((CutOff,) * 4, Mode.CLOSED, None),
        ((CutOff, TimedOut, RateLimited, ServerFault, CutOff), Mode.OPEN, 34.0),
        ((CutOff,) * 4 + (BadRequest, CutOff), Mode.CLOSED, None),
        ((CutOff,) * 4 + (MalformedReply, CutOff), Mode.CLOSED, None),
        ((Unreachable,), Mode.OPEN, 5.0),
        ((ServerStarting,), Mode.OPEN, 5.0),
        ((Disconnected,), Mode.OPEN, 5.0),
        ((Unreachable, Unreachable, CutOff), Mode.OPEN, 5.0),
    ],
)
def test_failures_open_it(errors: tuple[type[SpxDataError], ...], mode: Mode, probe_at: float | None) -> None:
    breaker = failed(*errors)
    assert (breaker.mode, breaker.probe_at) == (mode, probe_at)


def test_an_answer_ends_the_row_of_failures() -> None:
    breaker = failed(CutOff, CutOff, CutOff, CutOff).succeeded().failed(CutOff("x"), 9.0)
    assert breaker.mode is Mode.CLOSED


def test_what_still_runs_may_succeed_without_closing_it() -> None:
    assert failed(Unreachable).succeeded().mode is Mode.OPEN


def test_a_probe_closes_it_or_looks_again() -> None:
    probing = failed(Unreachable).probing()
    assert probing.mode is Mode.HALF_OPEN
    again = probing.probed(Disconnected("still"), 5.0)
    assert (again.mode, again.probe_at, again.opened_at) == (Mode.OPEN, 10.0, 0.0)
    assert str(again.reason) == "still"
    assert again.probing().probed(None, 10.0) == Breaker()
