"""The lease in the SQLite catalog: who may write an archive, and when a dead holder's right passes on."""

import os
import shlex
import socket
import sqlite3
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, NoReturn
from uuid import uuid4

from spxdata.catalog.connection import Connection
from spxdata.catalog.rows import micros, moment
from spxdata.errors import ArchiveBusy

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
    """Who holds a lease, as its row says."""

    process: Process
    command: str
    acquired_at: datetime
    heartbeat: datetime

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


class Lease:
    """The right to write one archive, as its holder has it.

    Args:
        connection: The catalog of the archive.
        now: The moment of taking it.

    Raises:
        ArchiveBusy: Another living holder has it; this very process too.
    """

    def __init__(self, connection: Connection, now: datetime) -> None:
        self._connection = connection
        self._token = uuid4().hex
        me = Process.current()
        with connection.write() as catalog:
            holder = read_holder(catalog)
            if holder is not None and holder.alive(me, now):
                raise ArchiveBusy(f"{_archive(connection.path)} is being written by {holder}.")
            catalog.execute(_TAKE, self._row(me, now))

    def beat(self, at: datetime) -> None:
        """Say that the holder is alive, and when it started by the clock as it goes now.

        Raises:
            ArchiveBusy: Somebody else has taken the lease.
        """
        values = {"token": self._token, "at": micros(at), "process_started": Process.current().started}
        with self._connection.write() as catalog:
            if catalog.execute(_BEAT, values).rowcount != 1:
                self._lost(catalog)

    def require(self, catalog: sqlite3.Connection) -> None:
        """Make sure that the lease is still ours, within a transaction that changes the catalog.

        Raises:
            ArchiveBusy: Somebody else has taken it, taking us for dead.
        """
        if catalog.execute("SELECT 1 FROM lease WHERE token = ?", (self._token,)).fetchone() is None:
            self._lost(catalog)

    def _lost(self, catalog: sqlite3.Connection) -> NoReturn:
        holder = read_holder(catalog)
        taken = f"it is now written by {holder}" if holder else "nobody holds it now"
        raise ArchiveBusy(
            f"{_archive(self._connection.path)} is no longer ours to write: {taken}.",
            hint="This run stopped writing. Run the same command again when the archive is free.",
        )

    def release(self) -> None:
        """Give the lease back; one that was lost stays with its new holder."""
        with self._connection.write() as catalog:
            catalog.execute("DELETE FROM lease WHERE token = ?", (self._token,))

    def _row(self, me: Process, now: datetime) -> dict[str, object]:
        command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
        return {
            "token": self._token,
            "host": me.host,
            "pid_namespace": me.pid_namespace,
            "pid": me.pid,
            "process_started": me.started,
            "command": command[:_LONGEST_COMMAND],
            "at": micros(now),
        }


_TAKE = """
    INSERT OR REPLACE INTO lease
        (id, token, host, pid_namespace, pid, process_started, command, acquired_us, heartbeat_us)
    VALUES (1, :token, :host, :pid_namespace, :pid, :process_started, :command, :at, :at)
"""

_BEAT = "UPDATE lease SET heartbeat_us = :at, process_started = :process_started WHERE token = :token"


def read_holder(catalog: sqlite3.Connection) -> Holder | None:
    """Return who holds the lease, None if nobody does."""
    row = catalog.execute("SELECT * FROM lease").fetchone()
    if row is None:
        return None
    return Holder(
        process=Process(row["host"], row["pid_namespace"], row["pid"], row["process_started"]),
        command=row["command"],
        acquired_at=moment(row["acquired_us"]),
        heartbeat=moment(row["heartbeat_us"]),
    )


def _archive(catalog: Path) -> str:
    """Return how to call the archive of a catalog at <archive>/.spxdata/catalog.sqlite."""
    return f"The archive {catalog.parent.parent}"


def _pid_namespace() -> str:
    """Return the name of the space this process's number is counted in; empty where there is only one."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
