"""How far a run is: figures taken from events, and two displays of them, for terminals and for pipes."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self

from spxdata.events import (
    AttemptFailed,
    AttemptStarted,
    DayClosed,
    DayFinished,
    DayPlanned,
    Event,
    GateChanged,
    Received,
    RunStarted,
    TerminalUnusable,
    TerminalUsable,
    UnitRecorded,
)
from spxdata.model import Day
from spxdata.terminal.breaker import UNUSABLE

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

#: Seconds over which the rate is taken.
_WINDOW: Final = 10.0
#: Seconds between two progress lines in a pipe, and between two lines that say the same of the Terminal.
_PAUSE: Final = 10.0
#: The errors that make the run wait for the Terminal: told of the Terminal, not of each request that met them.
_UNUSABLE: Final = frozenset(kind.code for kind in UNUSABLE)
#: The least width of the bar.
_LEAST_BAR: Final = 10
#: Columns left free at the right: an echoed ^C there would begin a new line, and the bar could not be wiped.
_MARGIN: Final = 4

Seconds = Callable[[], float]
Say = Callable[[str], None]
#: Datasets asked for of each date: of all the same number, or by date.
PerDate = int | Mapping[date, int]


def asked_of(datasets: PerDate, day: date) -> int:
    """Return how many datasets are asked for of a date."""
    return datasets if isinstance(datasets, int) else datasets.get(day, 0)


class Display(AbstractContextManager["Display"], Protocol):
    """What is shown while a run goes on; events come one at a time, from any thread."""

    def __call__(self, event: Event) -> None:
        """Take an event."""
        ...

    def say(self, line: str) -> None:
        """Write a line of the run's result."""
        ...


@dataclass(slots=True)
class Tracker:
    """How far a run is.

    Attributes:
        seconds: Seconds from an arbitrary start.
        datasets: Datasets asked for of each date.
    """

    seconds: Seconds
    datasets: PerDate = 1
    dates: set[date] = field(default_factory=set)
    current: date | None = None
    rows: int = 0
    fetched: int = 0
    _units: dict[Day, int] = field(default_factory=dict)
    _done: dict[Day, int] = field(default_factory=dict)
    _finished: set[Day] = field(default_factory=set)
    _received: deque[tuple[float, int]] = field(default_factory=deque)
    _started: float | None = None

    def __call__(self, event: Event) -> None:
        """Take an event."""
        match event:
            case RunStarted(trade_dates=dates):
                self.dates = set(dates)
            case DayClosed(trade_date=day):
                self.dates.discard(day)
            case DayPlanned(day=day, units=units, skipped=skipped):
                self._units[day], self._done[day] = len(units) + skipped, skipped
            case AttemptStarted(unit=unit):
                self._started = self.seconds() if self._started is None else self._started
                self.current = unit.trade_date
            case Received(bytes=count):
                self._received.append((self.seconds(), count))
            case UnitRecorded(outcome=outcome):
                self.rows += outcome.artifact.rows if outcome.artifact else 0
                day = outcome.unit.day
                if self._done.get(day, 0) < self._units.get(day, 0):  # else a fact about a whole day
                    self.fetched += 1
                    self._done[day] += 1
            case DayFinished(status=status):
                self._finished.add(status.day)

    @property
    def units_done(self) -> int:
        """Units that are settled, those that were there before included."""
        return sum(self._done.values())

    @property
    def units(self) -> int:
        """Units in all: those planned, and for dates whose turn has not come as many as those have on average."""
        planned = sum(self._units.values())
        return planned + round(self._unplanned * planned / len(self._units)) if self._units else 0

    @property
    def guessed(self) -> bool:
        """Whether `units` is a guess."""
        return self._unplanned > 0

    @property
    def _unplanned(self) -> int:
        return max(0, sum(asked_of(self.datasets, day) for day in self.dates) - len(self._units))

    @property
    def dates_done(self) -> int:
        """Dates of which every dataset is through."""
        finished = Counter(day.trade_date for day in self._finished)
        return sum(count >= asked_of(self.datasets, day) for day, count in finished.items())

    def rate(self) -> float:
        """Return the bytes received per second of late."""
        now = self.seconds()
        while self._received and now - self._received[0][0] > _WINDOW:
            self._received.popleft()
        since = max(now - _WINDOW, self._started or 0.0)
        return sum(count for _, count in self._received) / max(now - since, 1.0)

    def left(self) -> float | None:
        """Return the seconds that are probably left; None while nothing has come."""
        if self._started is None or not self.fetched:
            return None
        return (self.units - self.units_done) * (self.seconds() - self._started) / self.fetched

    def words(self) -> list[str]:
        """Return the figures in words, the dispensable ones last."""
        left = self.left()
        total = f"{'~' if self.guessed else ''}{self.units:,}"
        words = [f"{self.units_done:,}/{total} units"]
        words += [f"{_hours(left)} left"] if left is not None else []
        words += [f"day {min(self.dates_done + 1, len(self.dates))}/{len(self.dates)}"] if len(self.dates) > 1 else []
        return [*words, f"{self.rate() / 1e6:.1f} MB/s", f"{self.rows:,} rows"]


@dataclass(slots=True)
class Talk:
    """What to say about the run itself: tries that are repeated, a Terminal that is not usable, fewer requests at once.

    Attributes:
        seconds: Seconds from an arbitrary start.
    """

    seconds: Seconds
    _said: str = ""
    _again_at: float = 0.0
    _width: int | None = None

    def __call__(self, event: Event) -> str | None:
        """Return the line about an event, None if there is nothing to say."""
        match event:
            case TerminalUnusable(code=code, message=message):
                if f"{code} {message}" == self._said and self.seconds() < self._again_at:
                    return None
                self._said, self._again_at = f"{code} {message}", self.seconds() + _PAUSE
                return _unusable(event)
            case TerminalUsable(waited=waited):
                self._said = ""
                return f"Terminal usable again after {waited:.0f} s"
            case GateChanged(width=width):
                more = self._width is not None and width > self._width  # a run begins with as many as there may be
                self._width = width
                return f"{'More' if more else 'Fewer'} requests at once: {width}"
            case AttemptFailed(wait=float() as wait, code=code) if code not in _UNUSABLE:
                which = f"Try {event.attempt} of {event.unit}"
                return f"{which} failed, next in {wait:.1f} s: {event.message} [{code}]"
        return None


def _unusable(event: TerminalUnusable) -> str:
    since = f" for {event.waited:.0f} s" if event.waited >= 1 else ""
    return (
        f"Terminal not usable{since}: {event.message.rstrip('.')}; next look in {event.probe_in:.0f} s [{event.code}]"
    )


class Silent:
    """A display that shows nothing but the results.

    Args:
        say: Writes a line of the result.
    """

    def __init__(self, say: Say) -> None:
        self._say = say

    def __call__(self, event: Event) -> None:
        """Take an event and show nothing."""

    def say(self, line: str) -> None:
        """Write a line of the run's result."""
        self._say(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave things as they are."""


class Lines(Silent):
    """Plain lines, for pipes and files: what holds the run up, and now and then how far it is.

    Args:
        say: Writes a line of the result.
        talk: Writes a line about the run.
        seconds: Seconds from an arbitrary start.
        datasets: Datasets asked for of each date.
    """

    def __init__(self, say: Say, talk: Say, seconds: Seconds, datasets: PerDate = 1) -> None:
        super().__init__(say)
        self._talk = talk
        self._words = Talk(seconds)
        self._tracker = Tracker(seconds, datasets)
        self._seconds = seconds
        self._next = seconds() + _PAUSE

    def __call__(self, event: Event) -> None:
        """Take an event; say how far it is if that was long ago."""
        self._tracker(event)
        if line := self._words(event):
            self._talk(line)
        if self._seconds() >= self._next and isinstance(event, Received | UnitRecorded | DayFinished):
            self._next = self._seconds() + _PAUSE
            done, dates = self._tracker.dates_done, len(self._tracker.dates)
            words = [word for word in self._tracker.words() if not word.startswith("day ")]
            self._talk(f"Progress: {done}/{dates} days ({', '.join(words)})")


class Bar:
    """One bar over all units at the bottom of a terminal; whatever is said goes above it.

    Args:
        console: The terminal.
        say: Writes a line of the result elsewhere; None where that is this same terminal.
        seconds: Seconds from an arbitrary start.
        datasets: Datasets asked for of each date.
        paint: Colours a line of the result that goes above the bar.
        refresh: Whether a thread draws the bar anew, four times a second.
    """

    def __init__(
        self,
        console: "Console",
        say: Say | None,
        seconds: Seconds,
        datasets: PerDate = 1,
        *,
        paint: Callable[[str], str] = str,
        refresh: bool = True,
    ) -> None:
        from rich.live import Live

        self._tracker = Tracker(seconds, datasets)
        self._words = Talk(seconds)
        self._lock = threading.Lock()  # events change the figures while a thread draws them
        self._console = console
        self._elsewhere = say
        self._paint = paint
        self._live = Live(
            get_renderable=lambda: self.drawing(console.width),
            console=console,
            auto_refresh=refresh,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __call__(self, event: Event) -> None:
        """Take an event; what holds the run up is told above the bar."""
        with self._lock:
            self._tracker(event)
        if line := self._words(event):
            self._above(line)

    def say(self, line: str) -> None:
        """Write a line of the run's result."""
        if self._elsewhere:
            self._elsewhere(line)
        else:
            self._above(self._paint(line))

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def _above(self, line: str) -> None:
        from rich.text import Text

        self._console.print(Text.from_ansi(line), soft_wrap=True)

    def drawing(self, width: int) -> "RenderableType":
        """Return the bar as it is to be drawn on a terminal of some width."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        with self._lock:
            day = str(self._tracker.current or "planning")
            words = self._tracker.words()
            done, units = self._tracker.units_done, self._tracker.units
        width -= _MARGIN
        while len(words) > 1 and len(day) + len(" · ".join(words)) + 2 + _LEAST_BAR > width:
            words.pop()
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.width = width
        grid.add_column(no_wrap=True)
        grid.add_column(ratio=1, min_width=_LEAST_BAR)
        grid.add_column(no_wrap=True, overflow="ellipsis")
        grid.add_row(day, ProgressBar(total=max(units, 1), completed=done), " · ".join(words))
        return grid


def _hours(seconds: float) -> str:
    """Return seconds as 1:02:03."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole % 3600 // 60:02}:{whole % 60:02}"
