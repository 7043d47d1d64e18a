"""Who may write an archive: with real processes that hold, die and are taken over from."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from spxdata.catalog.lease import STALE_AFTER
from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.errors import ArchiveBusy
from tests.builders import NOW, FakeClock

CHECKOUT = Path(__file__).resolve().parents[2]

#: A process that takes the lease, says so, and holds it until its input ends.
HOLDS = """
import sys
from contextlib import closing
from pathlib import Path
from tests.builders import FakeClock
from spxdata.catalog.sqlite import SqliteCatalog

with closing(SqliteCatalog(Path(sys.argv[1]))) as catalog, catalog.lease(FakeClock()):
    print("holding", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the catalog of an archive lies."""
    return tmp_path / "archive" / ".spxdata" / "catalog.sqlite"


@pytest.fixture
def catalog(path: Path) -> Iterator[SqliteCatalog]:
    """The catalog, as another process sees it."""
    with closing(SqliteCatalog(path)) as opened:
        yield opened


@contextmanager
def holder(path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Run a process that holds the lease."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "holding\n"
            yield process
        finally:
            process.kill()


def change(path: Path, statement: str) -> None:
    """Change the lease behind its holder's back."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(statement)


def is_free(catalog: SqliteCatalog, clock: FakeClock | None = None) -> bool:
    """Tell whether the lease can be had, by taking it and giving it back."""
    try:
        with catalog.lease(clock or FakeClock()):
            return True
    except ArchiveBusy:
        return False


class TestHolders:
    """Other processes of this host, alive and dead."""

    def test_a_living_holder_is_named(self, path: Path, catalog: SqliteCatalog) -> None:
        """Who holds it, where, with what command, since when, and when it was last heard of."""
        with holder(path) as process, pytest.raises(ArchiveBusy) as caught, catalog.lease(FakeClock()):
            pytest.fail("two processes may write")
        assert caught.value.message == (
            f"The archive {path.parent.parent} is being written by process {process.pid} on {socket.gethostname()} "
            f"(-c {path}), since 2024-01-17 12:30:15 UTC, last heard of 2024-01-17 12:30:15 UTC."
        )
        assert caught.value.exit_code == 6
        assert caught.value.hint

    def test_a_living_holder_keeps_it_without_a_heartbeat(self, path: Path, catalog: SqliteCatalog) -> None:
        """We can see for ourselves that it runs; it may be busy, or its laptop was asleep."""
        clock = FakeClock(NOW + timedelta(days=3))
        with holder(path):
            assert not is_free(catalog, clock)

    def test_a_holder_that_ended_leaves_it_free(self, path: Path, catalog: SqliteCatalog) -> None:
        """Given back on the way out."""
        with holder(path) as process:
            process.communicate("")
        assert process.returncode == 0
        assert is_free(catalog)

    def test_a_killed_holder_is_taken_over_from_at_once(self, path: Path, catalog: SqliteCatalog) -> None:
        """Kill -9 leaves the lease behind; nobody waits for a heartbeat to grow old."""
        with holder(path) as process:
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert is_free(catalog)

    def test_a_dead_holder_that_nobody_buried_is_dead(self, path: Path, catalog: SqliteCatalog) -> None:
        """A zombie still has its number, and its start too."""
        with holder(path) as process:
            process.send_signal(signal.SIGKILL)
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
            assert is_free(catalog)

    def test_another_process_with_the_same_number_is_not_the_holder(self, path: Path, catalog: SqliteCatalog) -> None:
        """After a reboot, or when numbers went round: the start differs."""
        with holder(path):
            change(path, "UPDATE lease SET process_started = process_started - 3600")
            assert is_free(catalog)

    def test_of_many_that_come_at_once_one_gets_it(self, path: Path) -> None:
        """The others are told; here, all of them find the lease of a dead holder."""
        with holder(path) as dead:
            dead.kill()
            dead.wait()
        catalogs = [SqliteCatalog(path) for _ in range(6)]
        gate = threading.Barrier(len(catalogs))
        got: list[bool] = []

        def take(mine: SqliteCatalog, leases: ExitStack) -> None:
            gate.wait()
            try:
                leases.enter_context(mine.lease(FakeClock()))
            except ArchiveBusy:
                got.append(False)
            else:
                got.append(True)

        with ExitStack() as leases:
            for opened in catalogs:
                leases.callback(opened.close)
            threads = [threading.Thread(target=take, args=(opened, leases)) for opened in catalogs]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sorted(got) == [False] * 5 + [True]


class TestElsewhere:
    """Holders whose process we cannot see."""

    @pytest.mark.parametrize("column", ["host", "pid_namespace"])
    def test_a_holder_elsewhere_is_believed_by_its_heartbeat(
        self, path: Path, catalog: SqliteCatalog, column: str
    ) -> None:
        """On another host, or in another container: its number means nothing here."""
        clock = FakeClock()
        with catalog.lease(clock):
            change(path, f"UPDATE lease SET {column} = 'elsewhere', pid = 1")  # noqa: S608
            clock.advance(STALE_AFTER.total_seconds())
            assert not is_free(catalog, clock)
            clock.advance(1)
            assert is_free(catalog, clock)

    def test_a_beat_keeps_a_holder_elsewhere_alive(self, path: Path, catalog: SqliteCatalog) -> None:
        """Counted from the last one."""
        clock = FakeClock()
        with catalog.lease(clock):
            change(path, "UPDATE lease SET host = 'elsewhere'")
            clock.advance(100)
            catalog.beat(clock.now())
            clock.advance(100)
            assert not is_free(catalog, clock)

    def test_a_holder_from_the_future_is_alive(self, path: Path, catalog: SqliteCatalog) -> None:
        """Clocks of two hosts differ."""
        clock = FakeClock(NOW - timedelta(hours=1))
        with catalog.lease(FakeClock()):
            change(path, "UPDATE lease SET host = 'elsewhere'")
            assert not is_free(catalog, clock)


class TestLosing:
    """A holder that was taken over from, because it was too long unheard of."""

    def test_a_beat_tells_that_the_lease_was_lost(self, path: Path, catalog: SqliteCatalog) -> None:
        """And to whom; the new holder's lease is not given back in its name."""
        with ExitStack() as new_holder:
            with catalog.lease(FakeClock()):
                change(path, "DELETE FROM lease")
                other = new_holder.enter_context(closing(SqliteCatalog(path)))
                new_holder.enter_context(other.lease(FakeClock()))
                with pytest.raises(ArchiveBusy, match=f"ours to write: it is now written by process {os.getpid()}"):
                    catalog.beat(NOW)
            assert not is_free(catalog)
            other.beat(NOW)

    def test_a_lease_that_vanished_is_lost_too(self, path: Path, catalog: SqliteCatalog) -> None:
        """Nobody may write without one."""
        with catalog.lease(FakeClock()):
            change(path, "DELETE FROM lease")
            with pytest.raises(ArchiveBusy, match="nobody holds it now"):
                catalog.beat(NOW)

    def test_what_ended_the_work_is_not_hidden_by_giving_back(self, path: Path, catalog: SqliteCatalog) -> None:
        """A catalog that breaks under the work cannot take the lease back: the work's own error counts."""

        def breaking() -> None:
            with catalog.lease(FakeClock()):
                change(path, "DROP TABLE lease")
                raise RuntimeError("the work")

        with pytest.raises(RuntimeError, match="the work"):
            breaking()


def test_a_beat_follows_a_clock_that_was_set(path: Path, catalog: SqliteCatalog) -> None:
    """The start is read by the wall clock: after a beat it is again what another process would read."""
    with catalog.lease(FakeClock()):
        change(path, "UPDATE lease SET process_started = process_started - 3600")
        catalog.beat(NOW)
        assert not is_free(catalog)


def test_a_long_command_is_cut(catalog: SqliteCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message stays a message."""
    monkeypatch.setattr(sys, "argv", ["/usr/bin/spxdata", "download", "x" * 1000])
    with catalog.lease(FakeClock()), pytest.raises(ArchiveBusy) as caught, catalog.lease(FakeClock()):
        pytest.fail("the lease was given twice")
    assert re.search(r"\(spxdata download x{183}\)", caught.value.message)


def test_the_process_library_is_imported_only_for_a_lease(path: Path) -> None:
    """Looking at an archive does not need it."""
    code = "import sys; from pathlib import Path; from spxdata.catalog.sqlite import SqliteCatalog as C; "
    code += "C(Path(sys.argv[1])).close(); sys.exit('psutil' in sys.modules)"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
