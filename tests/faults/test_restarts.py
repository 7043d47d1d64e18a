"""A Terminal that is killed, restarted, or not there yet: the download waits for it and ends whole by itself."""

import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Self

import pytest

from spxdata import Emulator
from spxdata.emulator import Fault
from spxdata.errors import Unreachable
from spxdata.events import AttemptFailed, Event, TerminalUnusable, TerminalUsable, UnitRecorded
from spxdata.protocols import Clock
from tests.faults.harness import LATER, Ran, fake_clock, run
from tests.faults.market import EXPIRATIONS, TUESDAY, write_market

DIALECTS = ("v3", "v2")


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a day of three expirations."""
    return write_market(tmp_path_factory.mktemp("market"), [(TUESDAY, EXPIRATIONS)])


@pytest.fixture(scope="module")
def undisturbed(market: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Return a run that nothing disturbs."""
    with Emulator(replay=market) as terminal:
        ran = run(terminal, "v3", tmp_path_factory.mktemp("undisturbed"), fake_clock())
    assert ran.finished.exit_code == 0
    return ran


class QuickClock:
    """Real time on which every second lasts a fiftieth: sleeping is short, and so is the time that passes."""

    FACTOR = 50.0

    def now(self) -> datetime:
        """Return a moment when everything has been published."""
        return LATER

    def monotonic(self) -> float:
        """Return the seconds that seem to have passed."""
        return time.monotonic() * self.FACTOR

    def sleep(self, seconds: float) -> None:
        """Wait a fraction."""
        time.sleep(seconds / self.FACTOR)


class MovedClock:
    """A fake clock that does something when it gets to a moment."""

    def __init__(self, at: float, what: Callable[[], object]) -> None:
        self._clock = fake_clock()
        self._at = at
        self._what: Callable[[], object] | None = what

    def now(self) -> datetime:
        """Return the current moment."""
        return self._clock.now()

    def monotonic(self) -> float:
        """Return the seconds that have passed."""
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        """Move on; what is due happens on the way."""
        self._clock.sleep(seconds)
        if self._what is not None and self._clock.monotonic() >= self._at:
            what, self._what = self._what, None
            what()


class Killer:
    """Kills the Terminal in the middle of a reply, again and again, and starts it some time later.

    Args:
        terminal: Stalls in the replies in which it is to be killed.
        at: The numbers of those data requests.
        absent: Seconds until it is started again.
    """

    def __init__(self, terminal: Emulator, at: tuple[int, ...], absent: float) -> None:
        self._terminal = terminal
        self._left = list(at)
        self._absent = absent
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._kill)
        self.times = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _kill(self) -> None:
        while self._left and not self._ended.wait(0.005):
            data = [path for path, _ in self._terminal.requests if path.endswith("/quote") and "/list/" not in path]
            if len(data) >= self._left[0]:  # and there it hangs
                self._left.pop(0)
                self._terminal.stop()
                self.times += 1
                self._ended.wait(self._absent)
                self._terminal.start()


def absent_at_first(seconds: float, dialect: str, market: Path, folder: Path) -> Ran:
    """Download from a Terminal that is started so many seconds after the download, with the default patience."""
    terminal = Emulator(dialect=dialect, replay=market)
    with terminal:
        pass  # it has a port now
    clock: Clock = MovedClock(seconds, terminal.start)
    try:
        return run(terminal, dialect, folder, clock)
    finally:
        terminal.stop()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_terminal_killed_and_restarted_three_times_during_a_day(
    dialect: str,
    market: Path,
    undisturbed: Ran,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Each time in the middle of a reply, and gone for 12 s on a clock on which the patience of 60 s lasts 1.2 s."""
    struck = (1, 3, 5)  # the first try of each unit
    hang = Fault(do="stall_after", dataset="quote", bytes=3_000, nth=list(struck))
    with (
        Emulator(dialect=dialect, replay=market, faults=[hang]) as terminal,
        Killer(terminal, struck, absent=12 / QuickClock.FACTOR) as killer,
    ):
        ran = run(terminal, dialect, tmp_path, QuickClock())
    assert killer.times == 3
    assert ran.error is None
    assert ran.finished.exit_code == 0
    assert ran.hashes == undisturbed.hashes
    waits = [event for event in ran.events if isinstance(event, TerminalUsable)]
    record_property(
        "figure",
        f"Terminal {dialect} killed {killer.times} times: whole, {len(ran.failures)} attempts failed "
        f"({', '.join(event.code for event in ran.failures)}), waited for it {len(waits)} times",
    )


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_terminal_that_is_absent_for_40_seconds_is_waited_for(
    dialect: str, market: Path, undisturbed: Ran, tmp_path: Path
) -> None:
    """A minute is the default; meanwhile the user is told, and no try is spent."""
    ran = absent_at_first(40, dialect, market, tmp_path)
    assert ran.finished.exit_code == 0
    assert ran.hashes == undisturbed.hashes
    told = [event for event in ran.events if isinstance(event, TerminalUnusable)]
    assert [event.waited for event in told] == [5.0 * n for n in range(8)]
    assert {event.code for event in told} == {Unreachable.code}
    assert [event.waited for event in ran.events if isinstance(event, TerminalUsable)] == [40.0]
    assert {event.outcome.attempts for event in ran.events if isinstance(event, UnitRecorded)} == {1}
    assert not [event for event in ran.events if isinstance(event, AttemptFailed)]


@pytest.mark.parametrize("dialect", [*DIALECTS, "auto"])
def test_a_terminal_that_is_absent_for_70_seconds_is_given_up_on(dialect: str, market: Path, tmp_path: Path) -> None:
    """The message says where it was looked for and what to do; a second run of the same command begins again."""
    terminal_dialect = "v3" if dialect == "auto" else dialect
    terminal = Emulator(dialect=terminal_dialect, replay=market)
    with terminal:
        address = terminal.url.rsplit("/", 1)[0]
    clock = MovedClock(70, terminal.start)
    try:
        ran = run(address, dialect, tmp_path, clock)
        assert isinstance(ran.error, Unreachable)
        assert ran.finished.exit_code == ran.error.exit_code == 75
        assert address in ran.error.message
        assert "refuses connections" in ran.error.message
        assert "Start Theta Terminal" in ran.error.hint
        assert clock.monotonic() == pytest.approx(60)
        clock.sleep(10)
        again = run(address, dialect, tmp_path, clock)
        assert again.finished.exit_code == 0
        assert len(again.hashes) == len(EXPIRATIONS)
    finally:
        terminal.stop()


def test_a_terminal_that_goes_away_for_good_ends_the_run_and_keeps_what_is_stored(
    market: Path, undisturbed: Ran, tmp_path: Path
) -> None:
    """What was committed is safe and recorded; the rest is to be fetched."""
    terminal = Emulator(replay=market)

    def gone(event: Event) -> None:
        if isinstance(event, UnitRecorded):
            terminal.stop()

    with terminal:
        ran = run(terminal, "v3", tmp_path, fake_clock(), on_event=gone)
    assert isinstance(ran.error, Unreachable)
    assert ran.finished.exit_code == 1
    assert 1 <= len(ran.hashes) < len(undisturbed.hashes)  # a reply may have come whole before the first was recorded
    assert ran.hashes.items() < undisturbed.hashes.items()
