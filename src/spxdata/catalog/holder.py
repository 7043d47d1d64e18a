"""Who may write an archive, and when a dead holder's right passes on: what all leases share."""

import os
import shlex
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Generic, NamedTuple, Protocol, TypeVar

from spxdata.errors import ArchiveBusy, SpxDataError
from spxdata.masking import masked_words

#: When a holder on another host counts as dead. A living one beats every 10 seconds; two minutes are more than a
#: stalled network file system or clocks that differ by a minute explain, and less than a person waits.
STALE_AFTER = timedelta(seconds=120)

# Seconds by which two readings of one process's start may differ: some systems derive it from the wall clock.
_CLOCK_PLAY = 2.0

_LONGEST_COMMAND = 200


class Process(NamedTuple):
    """A process, told apart from a later one with the same number by its start.

    The namespace keeps containers that share a host's name from taking each other's numbers for their own.
    """

    host: str
    pid_namespace: str
    pid: int
    started: float

    @classmethod
    def current(cls) -> "Process":
        """Return this process."""
        import psutil  # type: ignore[import-untyped]

        started = float(psutil.Process().create_time())
        return cls(socket.gethostname(), _pid_namespace(), os.getpid(), started)

    def shares_numbers_with(self, other: "Process") -> bool:
        """Tell whether a process number means the same to both."""
        return (self.host, self.pid_namespace) == (other.host, other.pid_namespace)

    def runs(self) -> bool:
        """Tell whether this process of our host still runs; one that we may not look at does."""
        import psutil

        try:
            found = psutil.Process(self.pid)
            if found.status() == psutil.STATUS_ZOMBIE:  # dead, and nobody has noticed
                return False
            return abs(float(found.create_time()) - self.started) <= _CLOCK_PLAY
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease, as it says."""

    process: Process
    command: str
    acquired_at: datetime
    heartbeat: datetime

    @classmethod
    def current(cls, now: datetime) -> "Holder":
        """Return this process as one that takes a lease now."""
        command = shlex.join(masked_words([Path(sys.argv[0]).name, *sys.argv[1:]]))
        return cls(Process.current(), command[:_LONGEST_COMMAND], now, now)

    def alive(self, me: Process, now: datetime) -> bool:
        """Tell whether the holder must be taken for alive: seen for ourselves, or else by its heartbeat."""
        if self.process.shares_numbers_with(me):
            return self.process.runs()
        return now - self.heartbeat <= STALE_AFTER

    def __str__(self) -> str:
        return (
            f"process {self.process.pid} on {self.process.host} ({self.command}), "
            f"since {self.acquired_at:%Y-%m-%d %H:%M:%S} UTC, "
            f"last heard of {self.heartbeat:%Y-%m-%d %H:%M:%S} UTC"
        )


class Lease(Protocol):
    """The right to write one archive, as its holder has it."""

    def beat(self, at: datetime) -> None:
        """Say that the holder is alive.

        Raises:
            ArchiveBusy: Somebody else has taken the lease.
        """
        ...

    def release(self) -> None:
        """Give the lease back; one that was lost stays with its new holder."""
        ...


_L = TypeVar("_L", bound=Lease)


class Hand(Generic[_L]):
    """Where a catalog keeps its lease while it has one.

    Attributes:
        lease: The lease, None while there is none.
    """

    def __init__(self) -> None:
        self.lease: _L | None = None

    @contextmanager
    def holding(self, take: Callable[[], _L]) -> Iterator[None]:
        """Take a lease, hold it, and give it back at the end."""
        lease = self.lease = take()
        try:
            yield
        except BaseException:
            with suppress(SpxDataError):  # what ended the run matters more; a dead holder's lease passes on
                lease.release()
            raise
        else:
            lease.release()
        finally:
            self.lease = None

    def beat(self, at: datetime) -> None:
        """Renew the lease.

        Raises:
            ArchiveBusy: It is not held, or not any more.
        """
        if self.lease is None:
            raise ArchiveBusy("This process holds no lease of the archive.")
        self.lease.beat(at)


def require_free(archive: Path, found: Holder | None, taker: Holder) -> None:
    """Refuse to take a lease from a living holder.

    Raises:
        ArchiveBusy: The holder that was found is alive; it may be this very process.
    """
    if found is not None and found.alive(taker.process, taker.acquired_at):
        raise ArchiveBusy(f"The archive {archive} is being written by {found}.")


def lost(archive: Path, found: Holder | None) -> ArchiveBusy:
    """Return the error of a holder whose lease is another's now."""
    taken = f"it is now written by {found}" if found else "nobody holds it now"
    return ArchiveBusy(
        f"The archive {archive} is no longer ours to write: {taken}.",
        hint="This run stopped writing. Run the same command again when the archive is free.",
    )


def _pid_namespace() -> str:
    """Return the name of the space this process's number is counted in; empty where there is only one."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
