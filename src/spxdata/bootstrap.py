"""Builds the real edges from settings, and the one call that downloads."""

import os
import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.clock import SystemClock
from spxdata.config import Settings, load
from spxdata.downloader import Download, Summary
from spxdata.events import Emit, ignore
from spxdata.integrity.repair import open_sound
from spxdata.layout import CATALOG, LOGS
from spxdata.model import Scope, parse_day, parse_root
from spxdata.observe.log import RunLog, both
from spxdata.pipeline.attempt import Edges
from spxdata.pipeline.order import SortMemory
from spxdata.pipeline.write import Encoding
from spxdata.plan import Request, date_range
from spxdata.protocols import Catalog, Clock
from spxdata.retry import Patience
from spxdata.schema import dataset
from spxdata.storage.local import LocalStorage
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
    return Request(date_range(start, end, clock.now()), settings.download.root, names, scope, force)


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


def make_storage(settings: Settings) -> LocalStorage:
    """Return the files of the archive that the settings speak of."""
    return LocalStorage(settings.storage.data_directory)


def kept_as(settings: Settings) -> str | None:
    """Return how the archive that is there keeps its catalog; None if there is none yet."""
    return "sqlite" if (settings.storage.data_directory / CATALOG).exists() else None


def make_catalog(settings: Settings, *, read_only: bool = False) -> Catalog:
    """Open the catalog of the archive.

    Raises:
        StorageError: It cannot be opened.
    """
    return SqliteCatalog(settings.storage.data_directory / CATALOG, read_only=read_only)


@contextmanager
def sound_catalog(settings: Settings, clock: Clock) -> Iterator[tuple[Catalog, tuple[str, ...]]]:
    """Open the catalog of the archive to repair it; one that is damaged is set aside first, and a new one begun.

    Yields:
        The catalog, and where the files of a damaged one lie now.

    Raises:
        StorageError: It cannot be opened.
    """
    catalog, aside = open_sound(lambda: make_catalog(settings), make_storage(settings), clock)
    try:
        yield catalog, aside
    finally:
        catalog.close()


@contextmanager
def existing_catalog(settings: Settings) -> Iterator[Catalog | None]:
    """Open the catalog of the archive for reading, beside whoever writes it; None if there is no archive yet.

    Raises:
        StorageError: It cannot be read.
    """
    path = settings.storage.data_directory / CATALOG
    if not path.exists():
        yield None
        return
    catalog = SqliteCatalog(path, read_only=True)
    try:
        yield catalog
    finally:
        catalog.close()


@contextmanager
def make_download(
    settings: Settings, request: Request, *, emit: Emit = ignore, clock: Clock | None = None, dry: bool = False
) -> Iterator[Download]:
    """Open the archive and the Terminal for one run.

    Args:
        settings: Where they are.
        request: What to have in the archive at the end.
        emit: Subscriber to events.
        clock: Time; the system's by default.
        dry: Whether only `plans` will be asked for: then nothing is created.

    Raises:
        StorageError: The archive cannot be opened.
    """
    clock = clock or SystemClock()
    terminal = make_terminal(settings, clock)
    directory = settings.storage.data_directory
    memory = SortMemory(settings.storage.sort_memory_mb * 1024 * 1024)
    catalog = SqliteCatalog(directory / CATALOG, read_only=dry)
    log = RunLog(directory / LOGS, clock)
    edges = Edges(terminal, LocalStorage(directory), clock, emit if dry else both(log, emit), Encoding(), memory)
    try:
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
    finally:
        log.close()
        catalog.close()


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
        >>> summary = download("2024-01-16", data_dir="data")  # doctest: +SKIP
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
    with make_download(settings, request, emit=emit, clock=clock) as run:
        return run.run()
