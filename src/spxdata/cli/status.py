"""`spxdata status`: what the archive holds, day by day."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, Literal

import click

from spxdata.cli import options
from spxdata.cli.errors import tell
from spxdata.cli.report import day_name, hole_lines, within
from spxdata.cli.text import counted, echo, size, table
from spxdata.config import Settings
from spxdata.events import plain
from spxdata.model import Day, DayStatus, Outcome, State, Verdict, parse_day

#: Days up to which each has its line; of more, those that are complete are told by month.
_MANY: Final = 100

#: The mark of each word for a day.
MARKS: Final[dict[str, str]] = {"success": "✓", "in-progress": "⚡", "failed": "✗", "queued": "⏳"}


@dataclass(frozen=True, slots=True)
class Line:
    """A day of the archive, as the report shows it.

    Attributes:
        status: The day's line in the catalog.
        outcomes: How its units within the scope stand that are not simply there.
    """

    status: DayStatus
    outcomes: tuple[Outcome, ...]

    @property
    def word(self) -> str:
        """The brief's word for the day; one that ended without anything the Terminal would give has failed."""
        nothing = self.status.status == "success" and self.status.verdict is None
        return "failed" if nothing else self.status.status

    @property
    def mark(self) -> str:
        """The mark before the word."""
        return "!" if self.status.verdict is Verdict.PARTIAL and self.word == "success" else MARKS[self.word]

    @property
    def reason(self) -> str:
        """Why it is not a success, as far as that is known."""
        if self.word != "failed":
            return ""
        return self.status.error or next((o.reason for o in self.outcomes if o.reason), "")

    def cells(self) -> tuple[str, ...]:
        """Return the columns of its line."""
        status = self.status
        words = (day_name(status.day), f"{self.mark} {self.word}", (status.verdict or "").replace("_", " "))
        if not status.files:
            return (*words, "", "", "")
        return (*words, counted(status.files, "file"), counted(status.rows, "record"), size(status.bytes))


@dataclass(frozen=True, slots=True)
class Month:
    """Complete days of a month, as the report shows them where days are many.

    Attributes:
        lines: The days, of one root, dataset and interval.
    """

    lines: tuple[Line, ...]
    reason: str = ""

    def cells(self) -> tuple[str, ...]:
        """Return the columns of its line."""
        first, *more = self.lines[0].cells()
        name = f"{first[:7]}{first[10:]}, {counted(len(self.lines), 'day')}"
        statuses = [line.status for line in self.lines]
        files, rows = sum(one.files for one in statuses), sum(one.rows for one in statuses)
        amounts = counted(files, "file"), counted(rows, "record"), size(sum(one.bytes for one in statuses))
        return (name, *more[:2], *amounts)


@dataclass(frozen=True, slots=True)
class Held:
    """What an archive holds of some days.

    Attributes:
        lines: The days.
        origins: Their files, by dialect and greeks version.
    """

    lines: tuple[Line, ...]
    origins: Counter[tuple[str, str | None]]

    def files_by(self, what: Literal["dialect", "greeks version"]) -> dict[str, int]:
        """Return how many files are of each dialect or greeks version, the most frequent first."""
        found: Counter[str] = Counter()
        for (dialect, version), files in self.origins.items():
            value = dialect if what == "dialect" else version
            if value is not None:
                found[value] += files
        return dict(found.most_common())


@click.command()
@click.option("--start-date", metavar="DAY", help="First trade date, as 2024-01-16 or 20240116.")
@click.option("--end-date", metavar="DAY", help="Last trade date, included.")
@options.data_dir
@options.as_json
def command(*, start_date: str | None, end_date: str | None, as_json: bool, **flags: str | None) -> None:
    """Show what the archive holds and what it lacks."""
    settings = options.settings(flags)
    start = parse_day(start_date, "--start-date") if start_date else None
    end = parse_day(end_date, "--end-date") if end_date else None
    show(settings, start, end, as_json=as_json)


def show(settings: Settings, start: date | None = None, end: date | None = None, *, as_json: bool = False) -> None:
    """Write the report.

    Args:
        settings: Where the archive is.
        start: First trade date.
        end: Last trade date, included.
        as_json: Whether to write JSON instead.
    """
    directory = settings.storage.data_directory
    held = _read(settings, start, end)
    if as_json:
        _tell(held or Held((), Counter()))
    elif held is None:
        echo(f"There is no archive in {directory} yet.")
        echo("Hint: Begin one with spxdata download --date 2024-01-16, or name another with --data-dir.")
    elif not held.lines:
        echo(f"The archive {directory} holds {'nothing of these days' if start or end else 'nothing yet'}.")
    else:
        _show(directory, held)


def _read(settings: Settings, start: date | None, end: date | None) -> "Held | None":
    """Return what the archive holds; None if there is no archive."""
    from spxdata.opening import existing_catalog

    with existing_catalog(settings) as catalog:
        if catalog is None:
            return None
        blemished: dict[Day, list[Outcome]] = {}
        for outcome in catalog.blemished(start, end):
            blemished.setdefault(outcome.unit.day, []).append(outcome)
        days = catalog.days(start, end)
        lines = tuple(Line(status, tuple(within(status, blemished.get(status.day, ())))) for status in days)
        return Held(lines, catalog.origins(start, end))


def _show(directory: Path, held: Held) -> None:
    lines = held.lines
    echo(f"Status of {directory}")
    echo()
    shown = _shown(lines)
    for line, text in zip(shown, table([line.cells() for line in shown], right=(3, 4, 5)), strict=True):
        echo(f"{text} ({line.reason})" if line.reason else text)
        if isinstance(line, Line) and line.status.verdict is Verdict.PARTIAL:
            numbers, told = hole_lines(line.outcomes)
            for more in (f"    {numbers}", *told):
                echo(more)
    echo()
    verdicts = Counter(str(line.status.verdict) for line in lines if line.status.verdict)
    complete = verdicts.pop(Verdict.COMPLETE, 0)
    others = [f"{count:,} {name.replace('_', ' ')}" for name, count in verdicts.items()]
    echo(f"Total: {complete:,}/{len(lines):,} days complete" + (f" ({', '.join(others)})" if others else ""))
    records = counted(sum(line.status.rows for line in lines), "record")
    files = counted(sum(line.status.files for line in lines), "file")
    echo(f"Storage: {size(sum(line.status.bytes for line in lines))} in {files}, {records}")
    versions = held.files_by("greeks version")
    if len(versions) > 1:
        several = "two" if len(versions) == 2 else str(len(versions))
        each = ", ".join(f"{version} ({counted(count, 'file')})" for version, count in versions.items())
        echo(f"! Greeks of {several} versions: {each}: 0DTE rows differ between them")
        echo("Hint: To have one version, set greeks.version, and download the days of the other again with --force.")


def _shown(lines: Sequence[Line]) -> list[Line | Month]:
    """Return what the report shows: of many days those alone that are not complete, and the others by month."""
    if len(lines) <= _MANY:
        return list(lines)
    months: dict[tuple[object, ...], list[Line]] = {}
    for line in lines:
        trade_date, *series = line.status.day
        whole = line.word == "success" and line.status.verdict is Verdict.COMPLETE
        alike = (trade_date.year, trade_date.month) if whole else (trade_date,)
        months.setdefault((*alike, *series), []).append(line)
    return [Month(tuple(found)) if len(found) > 1 else found[0] for found in months.values()]


def _tell(held: Held) -> None:
    lines = held.lines
    for line in lines:
        holes = [plain(hole) for outcome in line.outcomes for hole in outcome.holes if hole.partial]
        pending = [plain(o.unit.expiration) for o in line.outcomes if o.state is not State.STORED]
        values = {**plain(line.status), "status": line.word, "error": line.reason or None}
        tell("day", **values, holes=holes, not_stored=pending)
    tell(
        "summary",
        days=len(lines),
        complete=sum(line.status.verdict is Verdict.COMPLETE for line in lines),
        files=sum(line.status.files for line in lines),
        rows=sum(line.status.rows for line in lines),
        bytes=sum(line.status.bytes for line in lines),
        greeks_versions=held.files_by("greeks version"),
        dialects=held.files_by("dialect"),
    )
