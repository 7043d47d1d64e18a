"""Archives whose lease the tests can change behind its holder's back, one for each way of keeping it."""

import json
import sqlite3
from abc import ABC, abstractmethod
from contextlib import closing
from pathlib import Path

from spxdata.catalog.jsonfile import JsonCatalog
from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.protocols import Catalog
from spxdata.storage.local import LocalStorage


class Place(ABC):
    """An archive whose catalog is of one kind, and what can be done to its lease behind its holder's back."""

    kind: str

    def __init__(self, archive: Path) -> None:
        self.archive = archive

    @abstractmethod
    def open(self) -> Catalog:
        """Open the archive's catalog."""

    @abstractmethod
    def change(self, **values: str | int) -> None:
        """Change what the lease says of its holder."""

    @abstractmethod
    def shift_start(self, seconds: float) -> None:
        """Change when the holder's process started."""

    @abstractmethod
    def remove(self) -> None:
        """Remove the lease."""

    @abstractmethod
    def spoil(self) -> None:
        """Make the lease unreadable."""


class SqlitePlace(Place):
    """The lease is a row."""

    kind = "sqlite"

    def open(self) -> SqliteCatalog:
        """Open the archive's catalog."""
        return SqliteCatalog(self.archive / ".spxdata" / "catalog.sqlite")

    def change(self, **values: str | int) -> None:
        """Update the row."""
        for name, value in values.items():
            self._execute(f"UPDATE lease SET {name} = ?", value)  # noqa: S608 - our own names

    def shift_start(self, seconds: float) -> None:
        """Update the row."""
        self._execute("UPDATE lease SET process_started = process_started + ?", seconds)

    def remove(self) -> None:
        """Delete the row."""
        self._execute("DELETE FROM lease")

    def spoil(self) -> None:
        """Drop the table."""
        self._execute("DROP TABLE lease")

    def _execute(self, statement: str, *values: str | float) -> None:
        with closing(sqlite3.connect(self.archive / ".spxdata" / "catalog.sqlite")) as database, database:
            database.execute(statement, values)


class JsonPlace(Place):
    """The lease is a file."""

    kind = "json"
    keys = {"host": "host", "pid_namespace": "pidNamespace", "pid": "pid"}  # noqa: RUF012 - never changed

    @property
    def lease(self) -> Path:
        """Where the lease lies."""
        return self.archive / ".spxdata" / "lease.json"

    def open(self) -> JsonCatalog:
        """Open the archive's catalog."""
        return JsonCatalog(LocalStorage(self.archive), self.archive)

    def change(self, **values: str | int) -> None:
        """Rewrite the file."""
        found = json.loads(self.lease.read_bytes())
        self.lease.write_text(json.dumps({**found, **{self.keys[name]: value for name, value in values.items()}}))

    def shift_start(self, seconds: float) -> None:
        """Rewrite the file."""
        found = json.loads(self.lease.read_bytes())
        self.lease.write_text(json.dumps({**found, "processStarted": found["processStarted"] + seconds}))

    def remove(self) -> None:
        """Remove the file."""
        self.lease.unlink()

    def spoil(self) -> None:
        """Write something else."""
        self.lease.write_text("no lease")


PLACES = {place.kind: place for place in (SqlitePlace, JsonPlace)}
