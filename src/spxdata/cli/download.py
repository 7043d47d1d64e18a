"""`spxdata download`: bring the archive to hold some trading days."""

import sys
from collections.abc import Sequence
from datetime import date

import click

from spxdata.cli import options
from spxdata.cli.errors import EXIT_CODES, LOGGED, interrupted, report, tell, tell_record
from spxdata.cli.report import Report, day_name, publication
from spxdata.cli.signals import stoppable
from spxdata.cli.text import CLOSED, coloured, counted, echo, size
from spxdata.clock import SystemClock
from spxdata.config import Settings
from spxdata.errors import ConfigError, SpxDataError
from spxdata.events import AttemptStarted, DayClosed, DayPlanned, Event, Received, RunFinished, as_record, plain
from spxdata.model import Day, Outcome, parse_day
from spxdata.observe.progress import Bar, Display, Lines, PerDate, Silent, Talk
from spxdata.plan import Request, is_published
from spxdata.schema import DATASETS
from spxdata.sessions import closed_because

_EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:>3}  {words}" for code, words in EXIT_CODES.items())


def _dataset_names(_: click.Context, __: click.Parameter, typed: str) -> list[str]:
    return [name for name in DATASETS if name.startswith(typed)]


@click.command(epilog=_EPILOG)
@click.option("--date", "day", metavar="DAY", help="One trade date, as 2024-01-16 or 20240116.")
@click.option("--start-date", metavar="DAY", help="First trade date of a range.")
@click.option("--end-date", metavar="DAY", help="Last trade date of a range, included.")
@options.setting("download.root", "ROOT")
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    metavar="NAME",
    shell_complete=_dataset_names,
    help=f"Kind of data, may be repeated: {', '.join(DATASETS)}.  [default: the setting download.dataset]",
)
@options.setting("download.interval", "INTERVAL")
@options.setting("download.max_dte", "DAYS")
@click.option("--expiration", "expirations", multiple=True, metavar="DAY", help="Only this one; may be repeated.")
@options.setting("download.concurrency", "N")
@options.setting("terminal.url", "URL")
@options.setting("terminal.dialect", "auto|v2|v3")
@options.data_dir
@options.setting("storage.format", "parquet|csv")
@click.option("--force", is_flag=True, help="Fetch again what is already there.")
@click.option("--dry-run", is_flag=True, help="Only say what would be fetched, and what it would take.")
@options.log
@options.as_json
@click.option("--quiet", is_flag=True, help="Say only what went wrong.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    day: str | None,
    start_date: str | None,
    end_date: str | None,
    datasets: Sequence[str],
    expirations: Sequence[str],
    force: bool,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    **flags: str | None,
) -> None:
    """Download the option chains of trade dates.

    What the archive already holds is skipped; what failed is fetched by the same command. Days on which the
    exchange is closed are named.

    With --dry-run it says what would be fetched, and how many requests, how many bytes and how much time that would
    take: from the number of contracts, and from what the units of the day that this archive measured last took. Of a
    kind of data that it never fetched, only the requests can be told.
    """
    settings = options.settings(flags)
    clock = options.clock()
    first, last = _dates(day, start_date, end_date)
    wanted = [parse_day(text, "--expiration") for text in expirations]

    from spxdata.bootstrap import make_request

    request = make_request(
        settings, first, last, clock, datasets=dict.fromkeys(datasets), expirations=wanted, force=force
    )
    if dry_run:
        _preview(settings, request, clock, as_json=as_json, quiet=quiet)
    else:
        ctx.exit(run(ctx, settings, request, clock, as_json=as_json, quiet=quiet))


def _dates(day: str | None, start: str | None, end: str | None) -> tuple[date, date]:
    """Return the first and the last date asked for.

    Raises:
        ConfigError: None is given, or both forms are, or half a range.
    """
    if day and not (start or end):
        return (parse_day(day, "--date"),) * 2
    if not day and start and end:
        return parse_day(start, "--start-date"), parse_day(end, "--end-date")
    hint = "Give --date 2024-01-16, or --start-date 2024-01-02 and --end-date 2024-01-31."
    if day:
        raise ConfigError("--date stands beside --start-date or --end-date.", hint=hint)
    if start or end:
        raise ConfigError(f"{'--end-date' if start else '--start-date'} is missing.", hint=hint)
    raise ConfigError("Which days? No date is given.", hint=hint)


def run(
    ctx: click.Context, settings: Settings, request: Request, clock: SystemClock, *, as_json: bool, quiet: bool
) -> int:
    """Download, telling what happens; return the exit code.

    Raises:
        SpxDataError: The run could not even begin.
    """
    from spxdata.bootstrap import make_download

    directory = settings.storage.data_directory
    told = Report(lambda day: _outcomes(settings, day), quiet=quiet, datasets=request.counts())
    alone = settings.log.on_stderr
    ctx.meta[LOGGED] = alone
    display = _display(clock, request.counts(), as_json=as_json, quiet=quiet or alone)
    complaints: list[str] = []

    def emit(event: Event) -> None:
        display(event)
        lines = list(told.lines(event))
        if as_json:
            _tell(event, clock)
        else:
            for line in lines:
                display.say(line)

    try:
        with (
            stoppable(),
            display,
            make_download(
                settings, request, emit=emit, clock=clock, typed=ctx.find_root().obj or (), complain=complaints.append
            ) as download,
        ):
            download.run()
    except KeyboardInterrupt:
        return interrupted(ctx, _safe(told, directory.as_posix()))
    except SpxDataError as error:
        if told.files and not alone:
            echo(f"Stopped: {_safe(told, directory.as_posix())}.", err=True)
        return report(error, ctx, told.finished.exit_code if told.finished else None)
    finally:
        for words in () if alone else complaints:  # where stderr is a log's, that log has said it
            _aside(words)
    for line in () if as_json else told.summary():
        echo(line)
    return told.finished.exit_code if told.finished else 0


def _safe(told: Report, where: str) -> str:
    run = told.finished or RunFinished(0, 0, 0, 0, 0, 0, 0.0, 0)
    files = f"{counted(told.files, 'file')} ({size(run.bytes)}, {counted(run.rows, 'record')})"
    return f"{files} of this run {'is' if told.files == 1 else 'are'} safe in {where}"


def _outcomes(settings: Settings, day: Day) -> Sequence[Outcome]:
    """Read how a day's units stand, beside the run that writes them."""
    from spxdata.opening import existing_catalog

    with existing_catalog(settings) as catalog:
        return catalog.outcomes(day) if catalog else ()


def _tell(event: Event, clock: SystemClock) -> None:
    if not isinstance(event, Received | AttemptStarted):
        tell_record(as_record(event, clock.now()))


def _display(clock: SystemClock, datasets: PerDate, *, as_json: bool, quiet: bool) -> Display:
    """Return how the run is shown: not at all, as a bar, or as lines where no terminal shows a bar."""
    if as_json or quiet:
        return Silent(echo)
    if sys.stderr.isatty():
        from rich.console import Console

        console = Console(stderr=True, highlight=False)
        if not console.is_dumb_terminal:
            same = sys.stdout.isatty()
            return Bar(console, None if same else echo, clock.monotonic, datasets, paint=coloured)
    return Lines(echo, _aside, clock.monotonic, datasets)


def _aside(line: str) -> None:
    echo(line, err=True)


def _preview(settings: Settings, request: Request, clock: SystemClock, *, as_json: bool, quiet: bool) -> None:
    """Say what a run would fetch, and what that would take."""
    from spxdata.bootstrap import make_download
    from spxdata.cli.forecast import lines

    talk = Talk(clock.monotonic)

    def emit(event: Event) -> None:
        if as_json:
            _tell(event, clock)
        elif (line := talk(event)) and not quiet:
            _aside(line)

    for closed in (DayClosed(day, reason) for day in request.trade_dates if (reason := closed_because(day))):
        if as_json:
            _tell(closed, clock)
        else:
            echo(f"{CLOSED} Closed {closed.trade_date}: {closed.reason}")
    units = days = 0
    with make_download(settings, request, emit=emit, clock=clock, dry=True) as download:
        for plan in download.plans() if request.open_dates() else ():
            days, units = days + bool(plan.units), units + len(plan.units)
            if as_json:
                _tell(plan, clock)
            else:
                echo(_would(plan, clock))
        forecast = download.forecast()
    if as_json:
        tell("forecast", **plain(forecast))
    else:
        for line in lines(forecast):
            echo(line)
        echo(f"Would fetch {counted(units, 'unit')} of {counted(days, 'day')}. Nothing was fetched or written.")


def _would(plan: DayPlanned, clock: SystemClock) -> str:
    name = day_name(plan.day)
    if not is_published(plan.day, clock.now()):
        return f"⏳ Would skip {name}: {publication(plan.day)}"
    if not plan.units:
        return f"→ Would skip {name}: nothing to fetch"
    expirations = [str(unit.expiration) for unit in plan.units if unit.expiration]
    if not expirations:
        return f"✓ Would fetch {name}: one file of the day"
    span = expirations[0] if len(expirations) == 1 else f"{expirations[0]} to {expirations[-1]}"
    there = f", {plan.skipped:,} already there" if plan.skipped else ""
    return f"✓ Would fetch {name}: {counted(len(plan.units), 'expiration')} ({span}){there}"
