"""`spxdata export`: days of datasets as files for others, resumable, each file whole or not there."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from spxdata.cli import options
from spxdata.cli.errors import interrupted, tell
from spxdata.cli.gauge import gauge
from spxdata.cli.signals import stoppable
from spxdata.cli.text import counted, echo, printable
from spxdata.events import plain
from spxdata.model import Day

if TYPE_CHECKING:
    from spxdata.analysis.export import Export, Exported

#: How an export may be written.
_FORMATS: Final = ("parquet", "csv", "arrow", "duckdb", "hive")
#: Days that are named before the rest is only counted; --json has them all.
_NAMED: Final = 10
_EPILOG = """\
\b
Formats:
    parquet, csv, arrow  DESTINATION/greeks_1m/2024-01-16_SPXW.parquet: a file a day
    hive                 DESTINATION/dataset=greeks/trade_date=2024-01-16/...
    duckdb               one file, a table for each dataset (the extra duckdb)
\b
Exit codes:
    0  all of it is there, and complete
    1  a day is not complete in the archive, and was exported as it is;
       or nothing is left to export
    2  a wrong option, no archive, nothing of these days, or a destination
       with other files or an export of another choice of rows
    5  a file of the archive is damaged: its day was left out;
       or the disk or the catalog failed
    6  another process exports there
  130  stopped by Ctrl-C or SIGTERM; the same command goes on
"""


@click.command(epilog=_EPILOG)
@click.argument("destination", metavar="DESTINATION", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    metavar="|".join(_FORMATS),
    type=click.Choice(_FORMATS),
    help="How to write it.  [default: duckdb for a name that ends so, else parquet]",
)
@click.option(
    "--dataset", "datasets", multiple=True, metavar="NAME", help="Only this one; may be repeated.  [default: all]"
)
@click.option("--start-date", metavar="DAY", help="First trade date.  [default: the archive's first]")
@click.option("--end-date", metavar="DAY", help="Last trade date, included.  [default: the archive's last]")
@click.option("--root", metavar="ROOT", help="Only this option root.")
@click.option("--interval", metavar="INTERVAL", help="Only this interval.  [default: all that there are]")
@click.option("--expiration", "expirations", multiple=True, metavar="DAY", help="Only this one; may be repeated.")
@click.option("--max-dte", type=click.IntRange(min=0), metavar="DAYS", help="Most calendar days to expiration.")
@click.option("--right", type=click.Choice(["call", "put"]), help="Only calls, or only puts.")
@click.option("--complete-only", is_flag=True, help="Leave out days that are not complete.")
@click.option(
    "--all-rows", is_flag=True, help="With rows that say nothing: sentinels, repeats, rows outside of the session."
)
@click.option("--force", is_flag=True, help="Begin the destination anew, whatever was chosen for it before.")
@options.data_dir
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    destination: Path,
    form: str | None,
    datasets: Sequence[str],
    start_date: str | None,
    end_date: str | None,
    root: str | None,
    interval: str | None,
    expirations: Sequence[str],
    max_dte: int | None,
    right: str | None,
    complete_only: bool,
    all_rows: bool,
    force: bool,
    as_json: bool,
    **flags: str | None,
) -> None:
    """Write days of the archive as files for others.

    Numbers are float64 whatever the archive holds. What is at DESTINATION already and would be the same is skipped: the
    same command goes on where it was stopped, and later brings in what is new. Other dates and datasets are added;
    another choice of rows needs another destination.
    """
    from spxdata.analysis.archive import open_archive

    clock = options.clock()
    days: list[Exported] = []
    try:
        with (
            stoppable(),
            open_archive(options.settings(flags).storage.data_directory) as archive,
            gauge(clock.monotonic, silent=as_json, what="Exporting") as shown,
        ):

            def take(one: "Exported") -> None:
                days.append(one)
                if as_json:
                    _tell(one)
                elif one.reason:
                    shown.say(f"✗ {_named(one.day)} left out: {printable(one.reason)}")

            done = archive.export(
                destination,
                datasets=datasets,
                format=form,
                start=start_date,
                end=end_date,
                root=root,
                interval=interval,
                expiration=list(expirations) or None,
                dte=None if max_dte is None else (0, max_dte),
                right=right,
                flags="all" if all_rows else "clean",
                complete_only=complete_only,
                force=force,
                found=take,
                told=shown,
            )
    except KeyboardInterrupt:
        ctx.exit(interrupted(ctx, f"{counted(len(days), 'day')} looked at; what has its name is whole"))
    if as_json:
        _tell_sum(done)
    else:
        _say(done)
    ctx.exit(done.exit_code)


def _tell(one: "Exported") -> None:
    tell(
        "day",
        change=one.change.value,
        verdict=one.verdict and one.verdict.value,
        rows=one.rows,
        reason=one.reason,
        **plain(one.day),
    )


def _tell_sum(done: "Export") -> None:
    from spxdata.analysis.export import Change

    counts = {change.value: sum(one.change is change for one in done.days) for change in Change}
    partial = len(done.partial)
    tell("summary", **counts, rows=done.rows, partial=partial, format=done.format, exit_code=done.exit_code)


def _say(done: "Export") -> None:
    """Say how it ended."""
    from spxdata.analysis.export import Change

    for one in done.partial[:_NAMED]:
        what = "nothing to export" if one.change is Change.VACANT else counted(one.rows, "row")
        echo(f"! {_named(one.day)} is {one.verdict or 'not finished'}: {what}")
    if len(done.partial) > _NAMED:
        echo(f"! and {counted(len(done.partial) - _NAMED, 'more day')} that are not complete")
    if done.partial:
        echo("Hint: spxdata coverage says what is missing; --complete-only leaves such days out.")
    changes = Counter(one.change for one in done.days)
    parts = [
        f"{counted(changes[Change.WRITTEN], 'day')} written" if changes[Change.WRITTEN] else "",
        f"{changes[Change.KEPT]:,} already there" if changes[Change.KEPT] else "",
        f"{changes[Change.REMOVED]:,} removed" if changes[Change.REMOVED] else "",
        f"{changes[Change.DAMAGED]:,} left out" if changes[Change.DAMAGED] else "",
    ]
    mark = "✗" if done.exit_code > 1 else "!" if done.exit_code else "✓"
    told = ", ".join(filter(None, parts)) or "nothing to export"
    echo(f"{mark} {printable(str(done.destination))}: {told}, {counted(done.rows, 'row')}")
    if changes[Change.DAMAGED]:
        echo("Hint: Run spxdata repair: it sets damaged files aside and fetches their units again.")


def _named(day: Day) -> str:
    return f"{day.trade_date} {day.root} {day.dataset} {day.interval}"
