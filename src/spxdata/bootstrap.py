"""Builds the real edges from settings, and the one call that downloads."""

import os
import random
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from datetime import date
from pathlib import Path

from spxdata.catalog.memory import MemoryCatalog
from spxdata.clock import SystemClock
from spxdata.config import Settings, load
from spxdata.downloader import Download, Summary
from spxdata.events import Emit, ignore
from spxdata.layout import RUNS
from spxdata.model import Scope, parse_day, parse_root
from spxdata.observe.log import RunLog, both, warned
from spxdata.observe.records import Header
from spxdata.opening import form_of_catalog, kept_as, make_catalog, make_storage
from spxdata.pipeline.edges import Edges, Encoding, SortMemory
from spxdata.plan import Request, date_range
from spxdata.protocols import Catalog, Clock
from spxdata.retry import Patience
from spxdata.schema import dataset
from spxdata.terminal.asking import Patience as TerminalPatience
from spxdata.terminal.probe import FoundTerminal


def make_request(
    settings: Settings,
    start: date,
    end: date,
    clock: Clock,
    *,
    datasets: Iterable[str] = (),
    expirations: Iterable[date] = (),
    force: bool = False,
) -> Request:
    """Return what is asked for, with the settings' root, dataset and max DTE where nothing else is said.

    Raises:
        ConfigError: The range is backwards or reaches into the future, or a dataset is unknown.
    """
    names = tuple(dataset(name).name for name in datasets) or (settings.download.dataset,)
    scope = Scope(settings.download.max_dte, tuple(sorted(set(expirations))))
    dates = date_range(start, end, clock.now())
    return Request(dates, settings.download.root, names, scope, force, settings.download.interval)


def make_terminal(settings: Settings, clock: Clock) -> FoundTerminal:
    """Return the Terminal that the settings speak of; it is looked for when it is first asked."""
    wanted = settings.terminal
    return FoundTerminal(
        clock,
        wanted.dialect,
        wanted.url,
        settings.greeks.version,
        settings.greeks.rate_type,
        TerminalPatience(wanted.connect_timeout, wanted.list_timeout, wanted.first_byte_timeout, wanted.idle_timeout),
    )


@contextmanager
def sound_catalog(settings: Settings, clock: Clock) -> Iterator[tuple[Catalog, tuple[str, ...]]]:
    """Open the catalog of the archive to repair it; one that is damaged is set aside first, and a new one begun.

    Yields:
        The catalog, and where the files of a damaged one lie now.

    Raises:
        StorageError: It cannot be opened.
    """
    from spxdata.integrity.repair import open_sound

    form = form_of_catalog(settings)  # a new one is of the same
    catalog, aside = open_sound(lambda: make_catalog(settings, form=form), make_storage(settings), clock)
    with closing(catalog):
        yield catalog, aside


def make_log(settings: Settings, clock: Clock, typed: Sequence[str], complain: Callable[[str], None]) -> RunLog:
    """Return the log of a run that begins now.

    Args:
        settings: Where the archive is, and the log that is wanted beside its own.
        clock: When events happen.
        typed: Command and parameters, as they were typed.
        complain: Told when a log has to end before the run does.
    """
    header = Header.of(typed, clock.now(), secrets.token_hex(3))
    folder = settings.storage.data_directory / RUNS
    return RunLog(folder, settings.log, header, clock, stderr=sys.stderr, complain=complain)


def _looked_at(settings: Settings) -> Catalog:
    """Open the catalog that is there for looking on; an empty one that nobody keeps if there is none."""
    return make_catalog(settings, read_only=True) if kept_as(settings) else MemoryCatalog()


@contextmanager
def make_download(
    settings: Settings,
    request: Request,
    *,
    emit: Emit = ignore,
    clock: Clock | None = None,
    dry: bool = False,
    typed: Sequence[str] = ("spxdata.download",),
    complain: Callable[[str], None] = warned,
) -> Iterator[Download]:
    """Open the archive and the Terminal for one run.

    Args:
        settings: Where they are.
        request: What to have in the archive at the end.
        emit: Subscriber to events.
        clock: Time; the system's by default.
        dry: Whether only `plans` will be asked for: then nothing is created.
        typed: Command and parameters, for the log.
        complain: Told when a log has to end before the run does.

    Raises:
        StorageError: The archive cannot be opened.
    """
    clock = clock or SystemClock()
    terminal = make_terminal(settings, clock)
    memory = SortMemory(settings.storage.sort_memory_mb * 1024 * 1024)
    encoding = Encoding(settings.storage.format, settings.storage.numbers)
    with (
        nullcontext(ignore) if dry else make_log(settings, clock, typed, complain) as log,
        closing(_looked_at(settings) if dry else make_catalog(settings)) as catalog,
    ):
        edges = Edges(terminal, make_storage(settings), clock, both(log, emit), encoding, memory)
        yield Download(
            request,
            edges,
            catalog,
            widths=settings.workers,
            patience=Patience(settings.download.retries, settings.download.retry_wait),
            chance=random.SystemRandom().random,
            terminal_patience=settings.terminal.patience,
            pacing=settings.terminal.pacing,
        )


def download(
    start: date | str,
    end: date | str | None = None,
    *,
    root: str | None = None,
    datasets: Iterable[str] = (),
    max_dte: int | None = None,
    expirations: Iterable[date | str] = (),
    data_dir: str | Path | None = None,
    terminal: str | None = None,
    force: bool = False,
    emit: Emit = ignore,
    environ: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> Summary:
    """Bring an archive to hold the option chains of some trading days; what it already holds is skipped.

    Works in scripts, in notebooks with a running event loop, and in worker processes.

    Args:
        start: First trade date (New York), a `date` or text such as 2024-01-16.
        end: Last trade date, included; the first one when left out.
        root: Option root; by default the setting `download.root` (SPXW).
        datasets: Names of datasets; by default the setting `download.dataset` (greeks).
        max_dte: Most calendar days to expiration; by default the setting `download.max_dte` (60).
        expirations: The only expirations wanted; all within max_dte when empty.
        data_dir: The archive; by default the setting `storage.data_directory` (./data).
        terminal: The Terminal's address; by default the setting `terminal.url`.
        force: Whether to fetch again what is there.
        emit: Called with every event of `spxdata.events`, one at a time, from any thread.
        environ: The environment settings are read from; the process's by default.
        clock: Time; the system's by default.

    Returns:
        Figures of the run and the days' statuses; `summary.finished.exit_code` is 0 when nothing is missing.

    Raises:
        ConfigError: An argument or setting is wrong.
        ArchiveBusy: Another process writes this archive.
        TerminalError: No Terminal answers, or it refused everything.
        StorageError: The disk or the catalog failed.

    Example:
        >>> summary = spxdata.download("2024-01-16", datasets=["greeks"], max_dte=3)  # doctest: +SKIP
        >>> summary.days[0].verdict  # doctest: +SKIP
        <Verdict.COMPLETE: 'complete'>
    """
    clock = clock or SystemClock()
    first = parse_day(start, "start", "call") if isinstance(start, str) else start
    last = first if end is None else parse_day(end, "end", "call") if isinstance(end, str) else end
    flags = {
        "download.root": parse_root(root, "root", "call") if root else None,
        "download.max_dte": max_dte,
        "storage.data_directory": data_dir,
        "terminal.url": terminal,
    }
    settings = load(flags=flags, environ=os.environ if environ is None else environ, directory=Path.cwd())
    wanted = [parse_day(day, "expirations", "call") if isinstance(day, str) else day for day in expirations]
    request = make_request(settings, first, last, clock, datasets=datasets, expirations=wanted, force=force)
    given = (f"{key}={value}" for key, value in flags.items() if value is not None)
    typed = ("spxdata.download", str(first), str(last), *given, f"datasets={','.join(request.datasets)}")
    with make_download(settings, request, emit=emit, clock=clock, typed=typed) as run:
        return run.run()
