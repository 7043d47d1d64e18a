"""An export as one DuckDB file, a table for each dataset.

It is built beside its place, under a name of its own, a day a transaction: a kill costs at most the day in the making,
and the next run goes on in that file. It gets its name when it is whole; one that is there is copied, and the copy
brought up to date.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from spxdata.analysis.export import Choice, Entry, require_choice
from spxdata.analysis.export_folder import table_of
from spxdata.errors import ConfigError, StorageError
from spxdata.layout import PARTIAL
from spxdata.model import Day
from spxdata.pipeline.parquet_file import arrow_schema
from spxdata.schema import Dataset
from spxdata.storage.local import LocalStorage, translated
from spxdata.storage.lock import alone

if TYPE_CHECKING:
    import duckdb

#: Ending of the file while it is built.
BUILDING: Final = ".building"

_PIECE: Final = 1024 * 1024
#: The tables that remember the choice, and what went into each day.
_TABLES: Final[Mapping[str, str]] = {
    "export_choice": "choice VARCHAR",
    "export_days": 'trade_date DATE, root VARCHAR, dataset VARCHAR, "interval" VARCHAR, units INTEGER, '
    "sources VARCHAR, rows BIGINT",
}
_THIS_DAY: Final = '"interval" = ? AND root = ? AND trade_date = ?'


@contextmanager
def database(destination: Path, choice: Choice, *, force: bool) -> Iterator["Database"]:
    """Open a DuckDB file to export to, alone.

    Args:
        destination: The file; created, with its folder, if need be.
        choice: What is chosen.
        force: Whether to begin anew, whatever is there.

    Raises:
        ArchiveBusy: Another process exports to it.
        ConfigError: DuckDB is not there, or the file is none of ours or of another choice.
        StorageError: It cannot be written.
    """
    try:
        import duckdb
    except ImportError as error:
        raise ConfigError(
            "This format needs DuckDB, which is not installed.", hint="pip install 'spxdata[duckdb]'"
        ) from error
    if destination.is_dir():
        raise ConfigError(f"{destination} is a folder.", hint="Name a file, such as spx.duckdb.")
    with alone(destination.with_name(f"{destination.name}.lock"), destination):
        found = Database(destination, choice, force=force)
        try:
            yield found
        except duckdb.Error as error:
            raise StorageError(f"{destination}: {error}") from error
        finally:
            found.close()


class Database:
    """A DuckDB file with a table for each dataset; see `database`."""

    def __init__(self, destination: Path, choice: Choice, *, force: bool) -> None:
        self._final = destination
        self._building = destination.with_name(destination.name + BUILDING)
        self._storage = LocalStorage(destination.parent)
        self._choice = json.loads(json.dumps(choice))
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._known: dict[Day, Entry] = {}
        for left in destination.parent.glob(f"{self._building.name}.*{PARTIAL}"):  # of a copy that was killed
            left.unlink()
        if force:
            self._discard()
        elif destination.exists():
            self._known = self._looked_at(destination)
        if self._building.exists():
            self._go_on()
        self._is_new = force or not destination.exists()

    def entries(self) -> dict[Day, Entry]:
        """Return what is there whole, by day."""
        return dict(self._known)

    def put(self, entry: Entry, dataset: Dataset, frames: Iterator[pl.DataFrame]) -> int:
        """Write a day's rows, in one transaction."""
        day, rows = entry.day, 0
        schema = arrow_schema(dataset)
        with self._transaction() as connection:
            connection.register("given", schema.empty_table())
            connection.execute(
                f'CREATE TABLE IF NOT EXISTS "{day.dataset}" AS '  # noqa: S608 - a name of our own
                "SELECT *, ''::VARCHAR AS root, ''::VARCHAR AS \"interval\" FROM given"
            )
            self._delete(connection, day)
            for frame in frames:
                connection.register("given", table_of(frame, schema))
                connection.execute(
                    f'INSERT INTO "{day.dataset}" SELECT *, ?, ? FROM given',  # noqa: S608 - a name of our own
                    [day.root, day.interval],
                )
                rows += frame.height
            connection.unregister("given")
            values = [*day, entry.units, entry.sources, rows]
            connection.execute("INSERT INTO export_days VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        self._known[day] = replace(entry, rows=rows)
        return rows

    def drop(self, day: Day) -> None:
        """Remove a day's rows."""
        with self._transaction() as connection:
            self._delete(connection, day)
        del self._known[day]

    def finish(self) -> None:
        """Give the file its name, if anything was written."""
        if self._connection is None and self._is_new:
            self._begin()  # with no rows at all
        if self._connection is None:
            return
        self._connection.execute("CHECKPOINT")
        self.close()
        self._storage.move(self._building.name, self._final.name)

    def close(self) -> None:
        """Let go of the file; what is not finished stays for the next run."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _transaction(self) -> Iterator["duckdb.DuckDBPyConnection"]:
        import duckdb

        connection = self._connection or self._begin()
        connection.execute("BEGIN")
        try:
            yield connection
        except BaseException:
            with suppress(duckdb.Error):  # it must not hide the cause; a file that is closed in between rolls back too
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def _delete(self, connection: "duckdb.DuckDBPyConnection", day: Day) -> None:
        values = [day.interval, day.root, day.trade_date]
        if day in self._known:
            connection.execute(f'DELETE FROM "{day.dataset}" WHERE {_THIS_DAY}', values)  # noqa: S608 - as above
            connection.execute(
                f"DELETE FROM export_days WHERE {_THIS_DAY} AND dataset = ?",  # noqa: S608 - as above
                [*values, day.dataset],
            )

    def _begin(self) -> "duckdb.DuckDBPyConnection":
        """Begin to build: a copy of what is there, or a new file."""
        import duckdb

        if not self._is_new:
            with self._storage.open(self._final.name) as file, self._storage.create(self._building.name) as pending:
                while piece := file.read(_PIECE):
                    pending.write(piece)
                pending.commit()
        self._connection = connection = duckdb.connect(str(self._building))
        if self._is_new:
            connection.execute("BEGIN")
            for table, columns in _TABLES.items():
                connection.execute(f"CREATE TABLE {table} ({columns})")
            connection.execute("INSERT INTO export_choice VALUES (?)", [json.dumps(self._choice)])
            connection.execute("COMMIT")
        return connection

    def _go_on(self) -> None:
        """Go on in a file that a killed run was building; one that cannot be used is removed."""
        import duckdb

        try:
            connection = duckdb.connect(str(self._building))
            if _choice(connection) == self._choice:
                self._known = _entries(connection)
                self._connection = connection
                return
            connection.close()
        except (duckdb.Error, ValueError):
            pass  # it is begun anew: nothing but what this command had written is lost
        self._discard()

    def _discard(self) -> None:
        with translated(self._building):
            self._building.unlink(missing_ok=True)
            self._building.with_name(f"{self._building.name}.wal").unlink(missing_ok=True)

    def _looked_at(self, path: Path) -> dict[Day, Entry]:
        """Return what a finished file has.

        Raises:
            ConfigError: It is none of ours, or of another choice.
        """
        import duckdb

        try:
            with duckdb.connect(str(path), read_only=True) as connection:
                found, entries = _choice(connection), _entries(connection)
        except (duckdb.Error, ValueError) as error:
            raise ConfigError(
                f"{path} is no export that can be read: {error}",
                hint="Close other programs that have it open; or choose another destination, or --force to replace it.",
            ) from error
        require_choice(found, self._choice, path)
        return entries


def _choice(connection: "duckdb.DuckDBPyConnection") -> object:
    found = connection.execute("SELECT choice FROM export_choice").fetchone()
    return json.loads(found[0]) if found else None


def _entries(connection: "duckdb.DuckDBPyConnection") -> dict[Day, Entry]:
    found = {}
    for *day, units, sources, rows in connection.execute("SELECT * FROM export_days").fetchall():
        entry = Entry(Day(*day), units, sources, rows)
        found[entry.day] = entry
    return found
