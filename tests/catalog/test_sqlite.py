"""What is SQLite's own: schema, migrations, errors, reading beside a writer, being killed."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from spxdata.catalog import connection as edge
from spxdata.catalog.connection import Connection
from spxdata.catalog.migrations import MIGRATIONS, Migration, migrate
from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.errors import ArchiveBusy, CatalogCorrupt, DiskFull, NotWritable, StorageError
from spxdata.model import Outcome, State, Verdict
from tests.builders import (
    NOW,
    TRADE_DATE,
    a_contract_list,
    a_day,
    a_gap,
    a_scope,
    a_unit,
    an_artifact,
    empty,
    failed,
    refused,
    stored,
)

CHECKOUT = Path(__file__).resolve().parents[2]

#: The brief's "Future SQLite Schema": what anything written against it may ask for.
BRIEF = {
    "download_status": "trade_date status start_time end_time attempts error total_files total_size total_records "
    "processing_time_ms created_at updated_at",
    "expiration_status": "id trade_date expiration_date status record_count file_size retry_count error created_at",
    "file_inventory": "id trade_date expiration_date filename relative_path size checksum record_count format "
    "compression created_at last_modified",
    "inventory_summary": "total_files total_size earliest_trade_date latest_trade_date earliest_expiration "
    "latest_expiration",
}

#: A process that records a second outcome and stops in the middle of the transaction, at the first hole.
STOPS_IN_A_TRANSACTION = """
import sys
from pathlib import Path
from tests.builders import NOW, a_gap, stored
from spxdata.catalog.sqlite import SqliteCatalog

class Stops(tuple):
    def __iter__(self):
        yield from super().__iter__()
        print("in a transaction", flush=True)
        sys.stdin.read()

SqliteCatalog(Path(sys.argv[1])).record(stored(attempts=9, holes=Stops([a_gap()])), NOW)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the catalog of an archive lies."""
    return tmp_path / ".spxdata" / "catalog.sqlite"


def rows(path: Path, statement: str) -> list[Any]:
    """Ask the database behind the catalog's back, as any other tool would."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute(statement).fetchall()


def change(path: Path, statement: str) -> None:
    """Change the database behind the catalog's back."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(statement)


@contextmanager
def child(code: str, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """Run Python code that prints a line when it is where the test wants it; kill it at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline(), "the child ended early"
            yield process
        finally:
            process.kill()


class TestSchema:
    """What other tools find in the file."""

    @pytest.mark.parametrize("table", BRIEF)
    def test_the_brief_s_columns_are_there(self, path: Path, table: str) -> None:
        """Under the brief's names."""
        SqliteCatalog(path).close()
        found = {name for (name,) in rows(path, f"SELECT name FROM pragma_table_xinfo('{table}')")}  # noqa: S608
        assert set(BRIEF[table].split()) <= found

    def test_every_table_is_strict(self, path: Path) -> None:
        """No text in a number's column."""
        SqliteCatalog(path).close()
        assert rows(path, "SELECT name FROM pragma_table_list WHERE type = 'table' AND NOT strict") == [
            ("sqlite_schema",),
            ("sqlite_temp_schema",),
        ]

    def test_commits_are_durable_and_do_not_block_readers(self, path: Path) -> None:
        """WAL, every commit synced, references held."""
        with closing(SqliteCatalog(path)) as catalog, catalog._connection.read() as database:
            modes = [database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
            assert modes == ["wal", 2]
            assert database.execute("PRAGMA foreign_keys").fetchone()[0] == 1

    def test_times_and_sums_read_as_in_the_brief(self, path: Path) -> None:
        """Unix seconds, milliseconds taken, bytes and records."""
        with closing(SqliteCatalog(path)) as catalog:
            catalog.begin_day(a_day(), a_scope(), NOW)
            catalog.record(stored(artifact=an_artifact(rows=10, bytes=100)), NOW)
            catalog.end_day(a_day(), Verdict.COMPLETE, None, NOW + timedelta(seconds=90))
        start = int(NOW.timestamp())
        assert rows(
            path,
            "SELECT status, start_time, end_time, processing_time_ms, total_files, total_size, total_records "
            "FROM download_status",
        ) == [("success", start, start + 90, 90_000, 1, 100, 10)]

    def test_units_read_in_the_brief_s_words(self, path: Path) -> None:
        """pending, downloading, complete, failed; an error only where there is one."""
        outcomes = [
            stored(),
            empty(a_unit(root="EMPTY")),
            refused(a_unit(root="REFUSED")),
            failed(a_unit(root="FAILED")),
            Outcome(a_unit(root="EARLY"), State.NOT_PUBLISHED, reason="not yet"),
            Outcome(a_unit(root="PENDING"), State.PENDING, attempts=0),
        ]
        with closing(SqliteCatalog(path)) as catalog:
            for outcome in outcomes:
                catalog.record(outcome, NOW)
            catalog.begin(a_unit(root="DOWN"), NOW)
        assert rows(path, "SELECT root, status, retry_count, error FROM expiration_status ORDER BY status, root") == [
            ("EMPTY", "complete", 0, None),
            ("SPXW", "complete", 0, None),
            ("DOWN", "downloading", 0, None),
            ("FAILED", "failed", 3, failed().reason),
            ("REFUSED", "failed", 0, refused().reason),
            ("EARLY", "pending", 0, None),
            ("PENDING", "pending", 0, None),
        ]

    def test_the_views_sum_up_files_and_days(self, path: Path) -> None:
        """inventory_summary as the brief wrote it, daily_options_dataset as its DailyOptionsDataset."""
        other = a_unit(dataset="open_interest", expiration=None)
        with closing(SqliteCatalog(path)) as catalog:
            catalog.record(stored(artifact=an_artifact(rows=10, bytes=100)), NOW)
            catalog.record(stored(other, artifact=an_artifact(other, rows=1, bytes=7)), NOW)
            catalog.record(failed(a_unit(root="SPX")), NOW)
            (status, _) = (status for status in catalog.days() if status.files)
        assert rows(path, "SELECT * FROM inventory_summary") == [
            (2, 107, "2024-01-16", "2024-01-16", "2024-01-19", "2024-01-19")
        ]
        downloaded = int((NOW - timedelta(seconds=1)).timestamp())
        days = rows(path, "SELECT * FROM daily_options_dataset ORDER BY dataset")
        assert days[0] == ("2024-01-16", "SPXW", "greeks", "1m", 10, 100, downloaded, status.checksum)
        assert len(days) == 2

    def test_every_outcome_stays_in_the_history(self, path: Path) -> None:
        """Those of a refetch that left the old file standing, and of a forgotten unit, too."""
        with closing(SqliteCatalog(path)) as catalog:
            for outcome in (failed(), stored(), failed(reason="once more")):
                catalog.record(outcome, NOW)
            catalog.forget(a_unit())
        assert rows(path, "SELECT outcome, code, reason, attempts FROM attempts ORDER BY id") == [
            ("failed", "SPX-T003", failed().reason, 4),
            ("stored", None, None, 1),
            ("failed", "SPX-T003", "once more", 4),
        ]


def test_what_an_older_version_recorded_has_no_ranges_and_its_lists_have_digests_all_the_same(path: Path) -> None:
    """The digest is taken from the list's lines: a certificate stays as good as it was when the list is kept again."""
    with closing(SqliteCatalog(path)) as catalog:
        catalog.record(stored(artifact=an_artifact(strikes=(1.0, 2.0))), NOW)
        catalog.keep_contracts(a_contract_list(), "quote")
        kept = catalog.contracts_digest("SPXW", TRADE_DATE, "quote")
    change(path, "UPDATE contract_lists SET digest = NULL")
    change(path, "UPDATE file_inventory SET strike_min = NULL, strike_max = NULL")
    with closing(SqliteCatalog(path)) as catalog:
        assert catalog.contracts_digest("SPXW", TRADE_DATE, "quote") == kept
        assert catalog.outcome(a_unit()) == stored(artifact=an_artifact())


class TestMigrations:
    """From any older schema to ours, whole or not at all."""

    ADD = Migration("one more table", ("CREATE TABLE more (a INTEGER) STRICT", "INSERT INTO more VALUES (1)"))
    FAIL = Migration("a broken one", ("CREATE TABLE broken (a INTEGER) STRICT", "INSERT INTO nowhere VALUES (1)"))

    def test_a_new_catalog_has_them_all(self, path: Path) -> None:
        """Recorded by number and name; the folder is created too."""
        SqliteCatalog(path).close()
        expected = [(number, migration.name) for number, migration in enumerate(MIGRATIONS, start=1)]
        assert rows(path, "SELECT version, name FROM schema_migrations") == expected

    def test_opening_again_changes_nothing(self, path: Path) -> None:
        """Not one byte of the schema, and no record of a migration."""
        SqliteCatalog(path).close()
        before = rows(path, "SELECT sql FROM sqlite_schema"), rows(path, "SELECT * FROM schema_migrations")
        SqliteCatalog(path).close()
        assert (rows(path, "SELECT sql FROM sqlite_schema"), rows(path, "SELECT * FROM schema_migrations")) == before

    def test_an_older_catalog_gets_what_it_lacks(self, path: Path) -> None:
        """In order, and what was recorded stays."""
        with closing(SqliteCatalog(path)) as catalog:
            catalog.record(stored(), NOW)
            migrate(catalog._connection, (*MIGRATIONS, self.ADD))
            assert catalog.outcome(a_unit()) == stored()
        assert rows(path, "SELECT a FROM more") == [(1,)]

    def test_a_failing_migration_leaves_no_trace(self, path: Path) -> None:
        """Its own statements are undone, those before it stay, and it is tried again next time."""
        with closing(Connection(path)) as connection:
            with pytest.raises(StorageError, match="nowhere"):
                migrate(connection, (*MIGRATIONS, self.ADD, self.FAIL))
            assert rows(path, "SELECT max(version) FROM schema_migrations") == [(len(MIGRATIONS) + 1,)]
            assert rows(path, "SELECT count(*) FROM sqlite_schema WHERE name = 'broken'") == [(0,)]
            migrate(connection, (*MIGRATIONS, self.ADD, self.ADD._replace(statements=())))
            assert rows(path, "SELECT max(version) FROM schema_migrations") == [(len(MIGRATIONS) + 2,)]

    @pytest.mark.parametrize("read_only", [False, True])
    def test_a_newer_catalog_is_left_alone(self, path: Path, read_only: bool) -> None:
        """With the advice to update, not to move it aside."""
        SqliteCatalog(path).close()
        change(path, "INSERT INTO schema_migrations (version, name) VALUES (99, 'from the future')")
        with pytest.raises(StorageError, match="schema 99") as caught:
            SqliteCatalog(path, read_only=read_only)
        assert not isinstance(caught.value, CatalogCorrupt)
        assert "update spxdata" in caught.value.hint
        assert str(path) in caught.value.message

    def test_many_processes_may_create_one_catalog(self, path: Path) -> None:
        """The first to come creates it, the others wait for it."""
        code = "import sys, pathlib; from spxdata.catalog.sqlite import SqliteCatalog as C; sys.stdin.read(1); "
        code += "C(pathlib.Path(sys.argv[1])).close()"
        several = [subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE) for _ in range(4)]
        for process in several:
            process.communicate(b"x")
        assert [process.returncode for process in several] == [0] * 4
        assert rows(path, "SELECT count(*) FROM schema_migrations") == [(len(MIGRATIONS),)]

    def test_many_threads_may_create_one_catalog(self, tmp_path: Path) -> None:
        """At the same moment, each with a connection of its own; SQLite alone turns some away, now and then."""
        failures: list[BaseException] = []

        def work(path: Path, gate: threading.Barrier) -> None:
            gate.wait()
            try:
                SqliteCatalog(path).close()
            except BaseException as error:  # noqa: BLE001 - shown by the assertion
                failures.append(error)

        for number in range(20):
            place = tmp_path / str(number) / "catalog.sqlite", threading.Barrier(8)
            threads = [threading.Thread(target=work, args=place) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert failures == []


def a_text_file(path: Path) -> None:
    """Put something that is no database in the catalog's place."""
    path.parent.mkdir()
    path.write_text("trade_date,status\n" * 100)


def a_torn_database(path: Path) -> None:
    """Overwrite a catalog's inner pages."""
    SqliteCatalog(path).close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)


def a_folder(path: Path) -> None:
    """Put a folder in the catalog's place."""
    path.mkdir(parents=True)


def a_file_as_parent(path: Path) -> None:
    """Put a file in the place of the catalog's folder."""
    path.parent.write_text("")


class TestErrors:
    """SQLite's errors as ours: what happened, to which file, and what to do."""

    @pytest.mark.parametrize(
        ("damage", "expected"),
        [
            (a_text_file, CatalogCorrupt),
            (a_torn_database, CatalogCorrupt),
            (a_folder, NotWritable),
            (a_file_as_parent, NotWritable),
        ],
    )
    def test_what_cannot_be_opened_says_why(
        self, path: Path, damage: Callable[[Path], None], expected: type[StorageError]
    ) -> None:
        """Naming the path, with advice, and with SQLite's own error as the cause."""
        damage(path)
        with pytest.raises(expected) as caught:
            SqliteCatalog(path)
        assert str(path.parent) in caught.value.message
        assert caught.value.hint
        assert caught.value.__cause__ is not None

    def test_a_full_disk_undoes_the_record(self, path: Path) -> None:
        """What was recorded before is still there, and recording goes on once there is space."""
        big = stored(reason="x" * 200_000)
        with closing(SqliteCatalog(path)) as catalog:
            catalog.record(failed(), NOW)
            catalog._connection._sqlite.execute("PRAGMA max_page_count = 1")  # never below what is used already
            with pytest.raises(DiskFull, match="no space left") as caught:
                catalog.record(big, NOW)
            assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
            assert catalog.outcome(a_unit()) == failed()
            catalog._connection._sqlite.execute("PRAGMA max_page_count = 100000")
            catalog.record(big, NOW)
            assert catalog.outcome(a_unit()) == big

    def test_a_catalog_locked_for_too_long_is_busy(self, path: Path) -> None:
        """After waiting as long as it was told to."""
        with closing(SqliteCatalog(path)) as holder, closing(SqliteCatalog(path, patience=0.01)) as other:
            with holder._connection.write(), pytest.raises(ArchiveBusy, match="locked"):
                other.record(failed(), NOW)
            other.record(failed(), NOW)

    def test_an_interrupted_transaction_is_undone(self, path: Path) -> None:
        """Whatever interrupts it, Ctrl-C too; the connection goes on."""
        with closing(SqliteCatalog(path)) as catalog:
            catalog.record(failed(), NOW)

            def interrupted() -> None:
                with catalog._connection.write() as database:
                    database.execute("DELETE FROM expiration_status")
                    raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                interrupted()
            assert catalog.outcome(a_unit()) == failed()

    def test_every_code_of_the_table_exists(self) -> None:
        """A misspelt code would never match."""
        assert [name for name in edge._ERRORS if not hasattr(sqlite3, name)] == []

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("SQLITE_READONLY_DIRECTORY", NotWritable),
            ("SQLITE_CANTOPEN_ISDIR", NotWritable),
            ("SQLITE_CORRUPT_INDEX", CatalogCorrupt),
            ("SQLITE_BUSY_SNAPSHOT", ArchiveBusy),
            ("SQLITE_IOERR_SHMSIZE", DiskFull),
            ("SQLITE_IOERR_READ", StorageError),
            ("SQLITE_CONSTRAINT_UNIQUE", CatalogCorrupt),
            ("SQLITE_CONSTRAINT_CHECK", StorageError),
            ("", StorageError),
        ],
    )
    def test_an_extended_code_means_what_its_primary_means(self, name: str, expected: type[Exception]) -> None:
        """Unless it has a row of its own; an unknown one is a StorageError."""
        assert edge._meaning(name)[0] is expected

    def test_a_text_that_is_none_is_damage(self, path: Path) -> None:
        """Python finds that, not SQLite, and gives it no code."""
        catalog = SqliteCatalog(path)
        catalog.keep_documents("kind", {"key": "text"})
        with catalog._connection.write() as database:
            database.execute("UPDATE documents SET document = CAST(X'FF' AS TEXT)")
        with pytest.raises(CatalogCorrupt, match="damaged"):
            catalog.documents("kind")
        catalog.close()

    def test_a_value_that_nobody_wrote_is_damage(self, path: Path) -> None:
        """Whatever Python says of it."""
        catalog = SqliteCatalog(path)
        catalog.record(stored(), NOW)
        with catalog._connection.write() as database:
            database.execute("UPDATE expiration_status SET ask_again = 'some day'")
        with pytest.raises(CatalogCorrupt, match="never written"):
            catalog.outcome(a_unit())
        catalog.close()

    def test_a_closed_catalog_is_a_mistake_of_ours(self, path: Path) -> None:
        """Not dressed up as a broken disk; closing twice is none."""
        catalog = SqliteCatalog(path)
        catalog.close()
        catalog.close()
        with pytest.raises(sqlite3.ProgrammingError):
            catalog.days()


class TestReadOnly:
    """Looking on, as `spxdata status` does."""

    def test_no_catalog_is_said_and_none_is_made(self, path: Path) -> None:
        """Not even its folder."""
        with pytest.raises(StorageError, match="there is no catalog") as caught:
            SqliteCatalog(path, read_only=True)
        assert "--data-dir" in caught.value.hint
        assert not path.parent.exists()

    def test_it_leaves_no_file_behind(self, path: Path) -> None:
        """Neither SQLite's log nor its index."""
        with closing(SqliteCatalog(path)) as catalog:
            catalog.record(stored(), NOW)
        with closing(SqliteCatalog(path, read_only=True)) as onlooker:
            assert onlooker.outcome(a_unit()) == stored()
        assert [file.name for file in path.parent.iterdir()] == ["catalog.sqlite"]

    def test_it_cannot_write(self, path: Path) -> None:
        """Not by mistake either."""
        SqliteCatalog(path).close()
        with closing(SqliteCatalog(path, read_only=True)) as onlooker, pytest.raises(NotWritable):
            onlooker.record(stored(), NOW)

    def test_an_empty_file_is_no_current_catalog(self, path: Path) -> None:
        """Only a writer may bring it up to date."""
        path.parent.mkdir()
        path.touch()
        with pytest.raises(StorageError, match="schema 0") as caught:
            SqliteCatalog(path, read_only=True)
        assert "up to date" in caught.value.hint

    def test_it_reads_while_another_process_writes(self, path: Path) -> None:
        """What was committed, without waiting for what is not."""
        with closing(SqliteCatalog(path)) as catalog:
            catalog.record(failed(), NOW)
        with child(STOPS_IN_A_TRANSACTION, path), closing(SqliteCatalog(path, read_only=True, patience=0)) as onlooker:
            assert onlooker.outcome(a_unit()) == failed()

    def test_a_folder_it_may_not_enter_is_not_writable(self, path: Path) -> None:
        """Not taken for an archive without a catalog; here, a name longer than any may be."""
        path.parent.mkdir()
        with pytest.raises(NotWritable, match="File name too long"):
            SqliteCatalog(path.parent / ("x" * 1000) / path.name, read_only=True)

    def test_it_reads_where_it_may_not_write(self) -> None:
        """An archive on a read-only disk, or somebody else's; nobody writes there, or there would be a log."""
        look = """
import os, sys
from pathlib import Path
from spxdata.catalog.sqlite import SqliteCatalog
if os.geteuid() == 0:
    os.setuid(65534)
print(SqliteCatalog(Path(sys.argv[1]), read_only=True).days()[0].files)
"""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "catalog.sqlite")
            with closing(SqliteCatalog(path)) as catalog:
                catalog.record(stored(), NOW)
            path.parent.chmod(0o555)
            seen = subprocess.run([sys.executable, "-c", look, str(path)], capture_output=True, text=True, check=True)
            path.parent.chmod(0o755)
        assert seen.stdout == "1\n"


def test_being_killed_in_a_transaction_keeps_the_old_record(path: Path) -> None:
    """Kill -9 between the first and the last statement: the next process finds what was there before."""
    with closing(SqliteCatalog(path)) as catalog:
        catalog.record(stored(holes=(a_gap(),)), NOW)
        before = catalog.days()
    with child(STOPS_IN_A_TRANSACTION, path) as process:
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    with closing(SqliteCatalog(path)) as catalog:
        assert catalog.outcome(a_unit()) == stored(holes=(a_gap(),))
        assert catalog.days() == before
    assert rows(path, "SELECT count(*) FROM attempts") == [(1,)]
