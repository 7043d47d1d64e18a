"""What the doctor's checks ask: the settings, and the real edges around them."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from spxdata.bootstrap import make_terminal
from spxdata.catalog import lease, leasefile
from spxdata.catalog.connection import Connection
from spxdata.catalog.holder import Holder, Process
from spxdata.clock import SystemClock
from spxdata.config import Settings
from spxdata.errors import SpxDataError, TerminalError
from spxdata.layout import CATALOG
from spxdata.model import Outcome
from spxdata.opening import existing_catalog, kept_as
from spxdata.protocols import Clock
from spxdata.terminal.asking import Patience
from spxdata.terminal.probe import Probe
from spxdata.terminal.transport import Channels, Timeouts, get

#: Seconds for `java -version`, which takes one on a slow disk.
_JAVA_PATIENCE: Final = 20


class Listener(NamedTuple):
    """A process that listens on a port; its parts are None where one may not look."""

    pid: int | None
    name: str | None

    def __str__(self) -> str:
        if self.pid is None:
            return "a process of another user"
        return f"process {self.pid} ({self.name or 'its name is not for us to see'})"


class Lessee(NamedTuple):
    """Who holds the archive's lease, and whether that process lives."""

    holder: Holder
    alive: bool


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the checks ask.

    Attributes:
        settings: The settings.
        now: What counts as now (aware).
        probes: What is at each address where a Terminal may be.
        listener: Who listens on a local port; None if that cannot be known.
        clock_ahead: How many seconds the system's clock is ahead of the one at an address; None if it sends no time.
        java: What `java -version` says; None if there is none.
        free: Bytes free where a folder lies, or would.
        writable: Whether a folder can be written, or made.
        refusals: Units of the archive that were refused.
        lessee: Who holds the archive's lease.
    """

    settings: Settings
    now: datetime
    probes: tuple[Probe, ...]
    listener: Callable[[int], Listener | None]
    clock_ahead: Callable[[Probe], float | None]
    java: Callable[[], str | None]
    free: Callable[[Path], int]
    writable: Callable[[Path], bool]
    refusals: Callable[[], tuple[Outcome, ...]]
    lessee: Callable[[], Lessee | None]

    @property
    def found(self) -> Probe | None:
        """The Terminal that a run would use."""
        return next((probe for probe in self.probes if probe.is_terminal), None)

    @property
    def archive(self) -> Path:
        """Where the archive lies."""
        return self.settings.storage.data_directory


def surroundings(settings: Settings, now: Clock) -> Surroundings:
    """Return the real edges.

    Args:
        settings: Where the Terminal and the archive are.
        now: What counts as now.
    """
    wanted = settings.terminal
    return Surroundings(
        settings=settings,
        now=now.now(),
        probes=tuple(make_terminal(settings, now).probes()),
        listener=_listener,
        clock_ahead=partial(_clock_ahead, timeouts=Patience(wanted.connect_timeout, wanted.list_timeout).for_lists()),
        java=_java,
        free=lambda path: shutil.disk_usage(_existing(path)).free,
        writable=lambda path: _existing(path).is_dir() and os.access(_existing(path), os.W_OK | os.X_OK),
        refusals=partial(_refusals, settings),
        lessee=partial(_lessee, settings, now),
    )


def _existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that is there."""
    path = path.absolute()
    return next((above for above in (path, *path.parents) if _is_there(above)), Path(path.anchor))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # below a folder that one may not enter
        return False


def _listener(number: int) -> Listener | None:
    """Return who listens on a local port; None if the system does not tell."""
    import psutil  # type: ignore[import-untyped]

    try:
        found = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr.port == number]
    except psutil.AccessDenied:  # macOS tells it to root only
        return None
    if not found:
        return None
    pid = found[0].pid
    try:
        return Listener(pid, psutil.Process(pid).name() if pid else None)
    except psutil.Error:
        return Listener(pid, None)


def _clock_ahead(probe: Probe, *, timeouts: Timeouts) -> float | None:
    """Return how many seconds the system's clock is ahead of the one that dates a Terminal's answers."""
    try:
        with get(probe.url, urlsplit(probe.url).path, timeouts, Channels()) as answer:  # errors are dated too
            header = answer.headers.get("Date")
            here = SystemClock().now()
        there = parsedate_to_datetime(header) if header else None
    except (TerminalError, ValueError):  # gone, or a date in a form of its own
        return None
    if there is None:
        return None
    return (here - (there if there.tzinfo else there.replace(tzinfo=UTC))).total_seconds()


def _java() -> str | None:
    """Return what `java -version` says; None if there is no Java that runs."""
    path = shutil.which("java")
    if path is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - the Java that would run the user's Terminal
            [path, "-version"], capture_output=True, text=True, check=True, timeout=_JAVA_PATIENCE
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stderr + done.stdout


def _refusals(settings: Settings) -> tuple[Outcome, ...]:
    """Return what the archive's account was refused; nothing where there is no archive that can be read."""
    try:
        with existing_catalog(settings) as catalog:
            return catalog.refusals() if catalog else ()
    except SpxDataError:  # the check of the lease tells
        return ()


def _lessee(settings: Settings, now: Clock) -> Lessee | None:
    """Return who holds an archive's lease.

    Raises:
        StorageError: The catalog cannot be read.
    """
    with existing_catalog(settings) as catalog:  # one of another version has no lease to read
        if catalog is None:
            return None
    directory = settings.storage.data_directory
    holder = leasefile.read_holder(directory) if kept_as(settings) == "json" else _sqlite_holder(directory / CATALOG)
    return Lessee(holder, holder.alive(Process.current(), now.now())) if holder else None


def _sqlite_holder(path: Path) -> Holder | None:
    link = Connection(path, read_only=True)
    try:
        with link.read() as catalog:
            return lease.read_holder(catalog)
    finally:
        link.close()
