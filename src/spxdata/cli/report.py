"""What a download's events mean to its user: a line per finished day, and a summary."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from spxdata.cli.errors import advice
from spxdata.cli.text import CLOSED, counted, duration, size
from spxdata.completeness import describe
from spxdata.events import (
    DayClosed,
    DayFinished,
    Event,
    FileAdopted,
    RunFinished,
    RunStarted,
    UnitRecorded,
)
from spxdata.model import Day, DayStatus, HoleKind, Outcome, Scope, State, Verdict
from spxdata.observe.progress import PerDate, asked_of
from spxdata.schema import DATASETS
from spxdata.sessions import published

#: Expirations with holes that are told one by one before the rest is only counted.
_NAMED: Final = 3
#: Closed weekend days of a range that are named one by one.
_FEW: Final = 4
_WEEKEND: Final = frozenset({"Saturday", "Sunday"})

#: Reads how the units of a day stand, those of earlier runs included.
Outcomes = Callable[[Day], Sequence[Outcome]]


@dataclass(slots=True)
class Report:
    """Turns events into lines.

    Attributes:
        outcomes: Reads a day's units from the catalog.
        quiet: Whether only what went wrong is worth a line.
        datasets: Datasets asked for of each date.
        finished: The run's figures, once it is through.
        files: Files stored in this run.
        hints: What to do next.
    """

    outcomes: Outcomes
    quiet: bool = False
    datasets: PerDate = 1
    finished: RunFinished | None = None
    files: int = 0
    hints: list[str] = field(default_factory=list)
    _dates: tuple[date, ...] = ()
    _open: list[date] = field(default_factory=list)
    _closed: list[DayClosed] = field(default_factory=list)
    _recorded: dict[Day, list[Outcome]] = field(default_factory=dict)
    _adopted: Counter[Day] = field(default_factory=Counter)
    _days: Counter[str] = field(default_factory=Counter)
    _ahead: dict[date, list[DayStatus]] = field(default_factory=dict)

    def lines(self, event: Event) -> Iterator[str]:
        """Yield what to say about an event."""
        match event:
            case RunStarted(trade_dates=dates):
                self._dates, self._open = dates, list(dates)
            case DayClosed(trade_date=day):
                self._closed.append(event)
                self._open.remove(day)
                return
            case FileAdopted(unit=unit):
                self._adopted[unit.day] += 1
            case UnitRecorded(outcome=outcome):
                self.files += outcome.state is State.STORED
                self._recorded.setdefault(outcome.unit.day, []).append(outcome)
            case RunFinished():
                self.finished = event
        if self._closed and not isinstance(event, RunStarted):
            yield from self._tell_closed()
        if isinstance(event, DayFinished):
            self._ahead.setdefault(event.status.day.trade_date, []).append(event.status)
        for status in self._in_order(through=isinstance(event, RunFinished)):
            mark, lines = self._day(status)
            self._days[mark] += 1
            if not self.quiet or mark in "✗!" or status.verdict is Verdict.PARTIAL:  # the exit code tells of it too
                yield from (f"{mark} {lines[0]}", *lines[1:])

    def _in_order(self, *, through: bool) -> Iterator[DayStatus]:
        """Yield the finished days before which none is unfinished; all that are left once the run is through.

        Both ends of a range are looked at first, and days overlap: told as they finish, they would be shuffled; so
        would the datasets of a date, which are told by name.
        """
        while self._open and (through or self._is_through(self._open[0])):
            yield from sorted(self._ahead.pop(self._open.pop(0), ()), key=lambda status: status.day)

    def _is_through(self, day: date) -> bool:
        return len(self._ahead.get(day, ())) == asked_of(self.datasets, day)

    def summary(self) -> Iterator[str]:
        """Yield the run's figures and what to do next."""
        if self.finished and not self.quiet and sum(self._days.values()) > 1:
            yield ""
            yield from self._figures(self.finished)
        yield from (f"Hint: {hint}" for hint in dict.fromkeys(self.hints))

    def _figures(self, run: RunFinished) -> Iterator[str]:
        took = f"in {duration(run.seconds)}"
        if run.downloaded:
            amount = f"{size(run.bytes)}, {counted(run.rows, 'record')}"
            yield f"✓ Downloaded {counted(run.downloaded, 'day')} ({amount}) {took}"
        if self._days["!"]:
            yield f"! Partial: {counted(self._days['!'], 'day')} of them"
        if run.failed:
            yield f"✗ Failed: {counted(run.failed, 'day')}"
        if run.skipped:
            yield f"→ Skipped: {counted(run.skipped, 'day')} (already there)"
        if run.without_rows:
            yield f"∅ Without rows: {counted(run.without_rows, 'day')}"

    def _tell_closed(self) -> Iterator[str]:
        closed, self._closed = self._closed, []
        if self.quiet:
            return
        if len(self._dates) == 1:
            yield f"{closed[0].trade_date} is no trading day: {closed[0].reason}."
            return
        weekend = [event for event in closed if event.reason in _WEEKEND]
        many = len(weekend) > _FEW
        if many:
            yield f"{CLOSED} Closed on {counted(len(weekend), 'Saturday or Sunday', 'Saturdays and Sundays')}"
        yield from (
            f"{CLOSED} Closed {e.trade_date}: {e.reason}" for e in closed if not (many and e.reason in _WEEKEND)
        )

    def _day(self, status: DayStatus) -> tuple[str, list[str]]:
        """Return a finished day's mark, and its lines."""
        mine = self._recorded.get(status.day)
        if not mine:
            return self._untouched(status)
        name = day_name(status.day)
        failed = [outcome for outcome in mine if outcome.state is State.FAILED]
        refused = [outcome for outcome in mine if outcome.state is State.REFUSED]
        if failed or len(refused) == len(mine):
            return "✗", [self._failed(name, failed or refused)]
        match status.verdict:
            case Verdict.PARTIAL:
                return "!", self._partial(status)
            case Verdict.ABSENT:
                return "∅", [f"Empty {name}: the Terminal has no data"]
            case Verdict.NOT_PUBLISHED:
                return "⏳", [f"Not published yet {name}: {publication(status.day)}"]
        return "✓", [f"Downloaded {name} ({amount(status)})"]

    def _failed(self, name: str, outcomes: list[Outcome]) -> str:
        first = outcomes[0]
        self.hints += filter(None, (advice(outcome.code) for outcome in outcomes))
        why = f"({first.reason} [{first.code}])"
        if first.state is State.REFUSED:
            return f"Refused {name} {why}"
        self.hints.append("Run the same command again: it fetches only what is missing.")
        if first.unit.expiration is None:
            return f"Failed {name} {why}"
        return f"Failed {name}: {counted(len(outcomes), 'expiration')}, first {first.unit.expiration} {why}"

    def _partial(self, status: DayStatus) -> list[str]:
        self.hints.append(
            "What is missing was asked for twice. It is asked for again after 30 days, or now with --force."
        )
        holes, lines = hole_lines(within(status, self.outcomes(status.day)))
        return [f"Partial {day_name(status.day)} ({amount(status)}): {holes}", *lines]

    def _untouched(self, status: DayStatus) -> tuple[str, list[str]]:
        """Return the mark and the lines of a day of which nothing was due."""
        outcomes = within(status, self.outcomes(status.day))
        if status.verdict is Verdict.ABSENT and not outcomes:
            return "∅", [f"Empty {day_name(status.day)}: {_no_expirations(status.scope)}"]
        return "→", self._skipped(status, outcomes)

    def _skipped(self, status: DayStatus, outcomes: Sequence[Outcome]) -> list[str]:
        """Return the lines of a day that the archive has already, or that is not to be asked for yet."""
        name, records = f"Skipped {day_name(status.day)}", counted(status.rows, "record")
        if status.verdict in {Verdict.COMPLETE, Verdict.UNVERIFIED}:
            there = "already complete" if status.verdict is Verdict.COMPLETE else "already there, unverified"
            adopted = self._adopted[status.day]
            found = f"; {counted(adopted, 'file')} found and recorded" if adopted else ""
            return [f"{name} ({there}, {records}{found})"]
        dates = [outcome.ask_again for outcome in outcomes if outcome.ask_again]
        again = f"asked again from {min(dates)}, or with --force" if dates else "asked again with --force"
        if status.verdict is Verdict.PARTIAL:
            holes, lines = hole_lines(outcomes)
            return [f"{name} (already there, partial, {records}; {again}): {holes}", *lines]
        reason = next((outcome.reason for outcome in outcomes if outcome.reason), "nothing to fetch")
        return [f"{name} ({again}): {reason}"]


def _no_expirations(scope: Scope) -> str:
    if scope.expirations:
        return f"no contracts of {', '.join(map(str, scope.expirations))}"
    return f"no expirations within {counted(scope.max_dte, 'day')}"


def day_name(day: Day) -> str:
    """Return how a day is called: "2024-01-16 SPXW greeks"."""
    return f"{day.trade_date} {day.root} {day.dataset}"


def publication(day: Day) -> str:
    """Return since when the vendor has a day's rows."""
    since = published(DATASETS[day.dataset].publication, day.trade_date)
    return f"the vendor has it from {since:%Y-%m-%d %H:%M} New York time on"


def amount(status: DayStatus) -> str:
    """Return what a day holds: "12.3 MB, 1,363,808 records", and whether it could be checked."""
    unverified = ", unverified: no whole contract list to compare with" if status.verdict is Verdict.UNVERIFIED else ""
    return f"{size(status.bytes)}, {counted(status.rows, 'record')}{unverified}"


def within(status: DayStatus, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the outcomes that a day's verdict speaks of."""
    day = status.day.trade_date
    return [o for o in outcomes if o.unit.expiration is None or status.scope.covers(day, o.unit.expiration)]


def hole_lines(outcomes: Sequence[Outcome]) -> tuple[str, list[str]]:
    """Return what a partial day lacks: the numbers, and a line for each of the first few expirations."""
    kinds = Counter(hole.kind for outcome in outcomes for hole in outcome.holes if hole.partial)
    numbers = [counted(kinds[kind], str(kind)) for kind in HoleKind if kinds[kind]]
    states = Counter(outcome.state for outcome in outcomes if outcome.state is not State.STORED)
    numbers += [f"{counted(count, 'expiration')} {state.replace('_', ' ')}" for state, count in states.items()]
    told = [f"    exp {outcome.unit.expiration}: {_holes(outcome)}" for outcome in outcomes if outcome.partial]
    more = [f"    and {counted(len(told) - _NAMED, 'more expiration')}"] if len(told) > _NAMED else []
    return ", ".join(numbers), told[:_NAMED] + more


def _holes(outcome: Outcome) -> str:
    words = describe([hole for hole in outcome.holes if hole.partial])
    return words.replace(f"{outcome.unit.expiration} ", "")  # it stands before them
