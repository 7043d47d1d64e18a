"""One guarded SQLite connection: transactions that commit or roll back whole, and SQLite's errors as ours."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from urllib.parse import quote

from spxdata.errors import ArchiveBusy, CatalogCorrupt, DiskFull, NotWritable, SpxDataError, StorageError

#: Seconds to wait for another process's transaction: theirs take milliseconds, a slow disk's sync a few seconds.
PATIENCE = 30.0

#: The oldest SQLite with strict tables.
_OLDEST = (3, 37, 0)

# How often to try to switch to the write-ahead log: once does it, but for several newcomers at once.
_SWITCHES = 20

# SQLite's result codes to errors and what to say of the catalog; an extended code without a row of its own is
# its primary code (SQLITE_READONLY_DIRECTORY is SQLITE_READONLY), any other is a StorageError.
_ERRORS: dict[str, tuple[type[SpxDataError], str]] = {
    "SQLITE_FULL": (DiskFull, "no space left for the catalog"),
    "SQLITE_IOERR_SHMSIZE": (DiskFull, "no space left beside the catalog"),
    "SQLITE_READONLY": (NotWritable, "the catalog cannot be written"),
    "SQLITE_CANTOPEN": (NotWritable, "the catalog cannot be opened"),
    "SQLITE_PERM": (NotWritable, "the catalog may not be used"),
    "SQLITE_AUTH": (NotWritable, "the catalog may not be used"),
    "SQLITE_NOTADB": (CatalogCorrupt, "the catalog is no SQLite database"),
    "SQLITE_CORRUPT": (CatalogCorrupt, "the catalog is damaged"),
    "SQLITE_IOERR_CORRUPTFS": (CatalogCorrupt, "the catalog lies on a damaged file system"),
    "SQLITE_CONSTRAINT_UNIQUE": (CatalogCorrupt, "the catalog contradicts itself"),
    "SQLITE_CONSTRAINT_FOREIGNKEY": (CatalogCorrupt, "the catalog contradicts itself"),
    "SQLITE_BUSY": (ArchiveBusy, "another process has locked the catalog for too long"),
    "SQLITE_LOCKED": (ArchiveBusy, "another connection has locked the catalog for too long"),
}


class Connection:
    """A connection that any thread may use, one transaction at a time.

    Args:
        path: The database file; its folder is created if need be.
        read_only: Open what is there and never change or create it.
        patience: Seconds to wait for another process's transaction.

    Raises:
        StorageError: It cannot be opened; with read_only, also if there is none.
    """

    def __init__(self, path: Path, *, read_only: bool = False, patience: float = PATIENCE) -> None:
        if sqlite3.sqlite_version_info < _OLDEST:
            raise StorageError(
                f"SQLite {sqlite3.sqlite_version} is too old for the catalog.",
                hint="Use a Python with SQLite 3.37 or newer.",
            )
        self.path = path
        self._lock = Lock()
        with translated(path):
            self._sqlite = _open_to_read(path, patience) if read_only else _open_to_write(path, patience)

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """See one consistent state of the catalog, whatever other processes write meanwhile."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Change the catalog: all of it when the block ends, nothing if it raises."""
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    def close(self) -> None:
        """Close the connection; twice is no error."""
        with self._lock, translated(self.path):
            self._sqlite.close()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._lock, translated(self.path):
            try:
                self._sqlite.execute(begin)
                yield self._sqlite
                self._sqlite.execute("COMMIT")
            except BaseException:
                if self._sqlite.in_transaction:
                    with suppress(sqlite3.Error):  # the cause matters; an open transaction dies with the process
                        self._sqlite.execute("ROLLBACK")
                raise


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours, naming the catalog's path."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # a mistake of ours, such as using a closed catalog
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", None)
        if name is None and isinstance(error, sqlite3.OperationalError):  # Python's own: a text that is no UTF-8
            raise CatalogCorrupt(f"the catalog is damaged: {path} ({error})") from error
        kind, words = _meaning(name or "")
        raise kind(f"{words}: {path} ({error})") from error


def _meaning(name: str) -> tuple[type[SpxDataError], str]:
    """Return the error and the words for a result code such as SQLITE_READONLY_DIRECTORY."""
    primary = "_".join(name.split("_")[:2])
    return _ERRORS.get(name) or _ERRORS.get(primary) or (StorageError, "the catalog failed")


@contextmanager
def _reaching(path: Path) -> Iterator[None]:
    """Turn the system's errors on the way to the catalog's folder into ours."""
    try:
        yield
    except OSError as error:
        kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else NotWritable
        raise kind(f"the catalog's folder cannot be used: {path.parent} ({error.strerror})") from error


def _open_to_write(path: Path, patience: float) -> sqlite3.Connection:
    with _reaching(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    connection = _connected(
        _uri(path, "rwc"),
        patience,
        "PRAGMA synchronous = FULL",  # what is committed survives a power failure
        "PRAGMA foreign_keys = ON",
    )
    try:
        _use_log(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _use_log(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log: readers go on while one process writes.

    Of several that switch a new catalog at once, SQLite turns all but one away without waiting. Those wait for
    that one's lock, as for any transaction, and look again.
    """
    for tries_left in reversed(range(_SWITCHES)):
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or not tries_left:
                raise
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        else:
            return


def _open_to_read(path: Path, patience: float) -> sqlite3.Connection:
    """Open without ever creating or changing the catalog.

    SQLite's own read-only mode leaves its -wal and -shm files behind; a connection that may write them but is
    told to refuse every change removes them again.
    """
    with _reaching(path):
        there = path.exists()
    if not there:
        raise StorageError(
            f"there is no catalog at {path}.",
            hint="Nothing was downloaded into this archive yet. Name another one with --data-dir.",
        )
    first_look = ("PRAGMA query_only = ON", "SELECT count(*) FROM sqlite_schema")
    try:
        return _connected(_uri(path, "rw"), patience, *first_look)
    except sqlite3.OperationalError as error:
        log = path.with_name(f"{path.name}-wal")
        if _meaning(error.sqlite_errorname)[0] is not NotWritable or log.exists():
            raise
    # An archive we may only read, and no writer's log beside it: nobody is changing it.
    return _connected(f"{_uri(path, 'ro')}&immutable=1", patience, *first_look)


def _uri(path: Path, mode: str) -> str:
    return f"file:{quote(str(path.absolute()))}?mode={mode}"


def _connected(uri: str, patience: float, *statements: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        uri,
        uri=True,
        timeout=patience,
        isolation_level=None,  # transactions are written where they are
        check_same_thread=False,  # the lock sees to that
    )
    try:
        connection.row_factory = sqlite3.Row
        for statement in statements:
            connection.execute(statement).fetchall()
    except BaseException:
        connection.close()
        raise
    return connection
