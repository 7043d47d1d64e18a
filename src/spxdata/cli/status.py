"""`spxdata status`: what the archive holds, day by day."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import click

from spxdata.cli import options
from spxdata.cli.errors import tell
from spxdata.cli.report import day_name, hole_lines, within
from spxdata.cli.text import counted, echo, size, table
from spxdata.config import Settings
from spxdata.events import plain
from spxdata.model import DayStatus, Outcome, Provenance, State, Verdict, parse_day

#: The mark of each word for a day.
MARKS: Final[dict[str, str]] = {"success": "✓", "in-progress": "⚡", "failed": "✗", "queued": "⏳"}


@dataclass(frozen=True, slots=True)
class Line:
    """A day of the archive, as the report shows it.

    Attributes:
        status: The day's line in the catalog.
        outcomes: How its units within the scope stand.
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
    lines = _read(settings, start, end)
    if as_json:
        _tell(lines or [])
    elif lines is None:
        echo(f"There is no archive in {directory} yet.")
        echo("Hint: Begin one with spxdata download --date 2024-01-16, or name another with --data-dir.")
    elif not lines:
        echo(f"The archive {directory} holds {'nothing of these days' if start or end else 'nothing yet'}.")
    else:
        _show(directory, lines)


def _read(settings: Settings, start: date | None, end: date | None) -> list[Line] | None:
    """Return the archive's days; None if there is no archive."""
    from spxdata.opening import existing_catalog

    with existing_catalog(settings) as catalog:
        if catalog is None:
            return None
        return [
            Line(status, tuple(within(status, catalog.outcomes(status.day)))) for status in catalog.days(start, end)
        ]


def _show(directory: Path, lines: Sequence[Line]) -> None:
    echo(f"Status of {directory}")
    echo()
    for line, text in zip(lines, table([line.cells() for line in lines], right=(3, 4, 5)), strict=True):
        echo(f"{text} ({line.reason})" if line.reason else text)
        if line.status.verdict is Verdict.PARTIAL:
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
    versions = _files_by(lines, lambda origin: origin.greeks_version)
    if len(versions) > 1:
        several = "two" if len(versions) == 2 else str(len(versions))
        each = ", ".join(f"{version} ({counted(count, 'file')})" for version, count in versions.items())
        echo(f"! Greeks of {several} versions: {each}: 0DTE rows differ between them")
        echo("Hint: To have one version, set greeks.version, and download the days of the other again with --force.")


def _files_by(lines: Sequence[Line], what: Callable[[Provenance], str | None]) -> dict[str, int]:
    """Return how many files have each value of something that provenance tells, the most frequent first."""
    artifacts = [outcome.artifact for line in lines for outcome in line.outcomes if outcome.artifact]
    return dict(Counter(value for artifact in artifacts if (value := what(artifact.provenance))).most_common())


def _tell(lines: Sequence[Line]) -> None:
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
        greeks_versions=_files_by(lines, lambda origin: origin.greeks_version),
        dialects=_files_by(lines, lambda origin: origin.dialect),
    )
