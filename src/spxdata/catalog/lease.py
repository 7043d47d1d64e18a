"""The lease in the SQLite catalog: one row, taken and renewed in a transaction."""

import sqlite3
from datetime import datetime
from pathlib import Path
from typing import NoReturn
from uuid import uuid4

from spxdata.catalog.connection import Connection
from spxdata.catalog.holder import Holder, Process, lost, require_free
from spxdata.catalog.rows import micros, moment


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
        taker = Holder.current(now)
        with connection.write() as catalog:
            require_free(_archive(connection.path), read_holder(catalog), taker)
            catalog.execute(_TAKE, self._row(taker))

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
        raise lost(_archive(self._connection.path), read_holder(catalog))

    def release(self) -> None:
        """Give the lease back; one that was lost stays with its new holder."""
        with self._connection.write() as catalog:
            catalog.execute("DELETE FROM lease WHERE token = ?", (self._token,))

    def _row(self, holder: Holder) -> dict[str, object]:
        return {
            "token": self._token,
            "host": holder.process.host,
            "pid_namespace": holder.process.pid_namespace,
            "pid": holder.process.pid,
            "process_started": holder.process.started,
            "command": holder.command,
            "at": micros(holder.acquired_at),
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


def _archive(catalog: Path) -> Path:
    """Return the archive of a catalog at <archive>/.spxdata/catalog.sqlite."""
    return catalog.parent.parent
