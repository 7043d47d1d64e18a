"""Who may write an archive, however its lease is kept: with real processes that hold, die and are taken over from."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from spxdata.catalog.holder import STALE_AFTER
from spxdata.errors import ArchiveBusy
from spxdata.protocols import Catalog
from tests.builders import NOW, FakeClock
from tests.catalog.places import PLACES, Place

CHECKOUT = Path(__file__).resolve().parents[2]

#: A process that takes the lease, says so, and holds it until its input ends.
HOLDS = """
import sys
from contextlib import closing
from pathlib import Path
from tests.builders import FakeClock
from tests.catalog.places import PLACES

with closing(PLACES[sys.argv[1]](Path(sys.argv[2])).open()) as catalog, catalog.lease(FakeClock()):
    print("holding", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An archive."""
    return PLACES[request.param](tmp_path / "archive")


@pytest.fixture
def catalog(place: Place) -> Iterator[Catalog]:
    """The catalog, as another process sees it."""
    with closing(place.open()) as opened:
        yield opened


@contextmanager
def holder(place: Place) -> Iterator["subprocess.Popen[str]"]:
    """Run a process that holds the lease."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, place.kind, str(place.archive)],
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


def is_free(catalog: Catalog, clock: FakeClock | None = None) -> bool:
    """Tell whether the lease can be had, by taking it and giving it back."""
    try:
        with catalog.lease(clock or FakeClock()):
            return True
    except ArchiveBusy:
        return False


class TestHolders:
    """Other processes of this host, alive and dead."""

    def test_a_living_holder_is_named(self, place: Place, catalog: Catalog) -> None:
        """Who holds it, where, with what command, since when, and when it was last heard of."""
        with holder(place) as process, pytest.raises(ArchiveBusy) as caught, catalog.lease(FakeClock()):
            pytest.fail("two processes may write")
        assert caught.value.message == (
            f"The archive {place.archive} is being written by process {process.pid} on {socket.gethostname()} "
            f"(-c {place.kind} {place.archive}), since 2024-01-17 12:30:15 UTC, last heard of 2024-01-17 12:30:15 UTC."
        )
        assert caught.value.exit_code == 6
        assert caught.value.hint

    def test_a_living_holder_keeps_it_without_a_heartbeat(self, place: Place, catalog: Catalog) -> None:
        """We can see for ourselves that it runs; it may be busy, or its laptop was asleep."""
        clock = FakeClock(NOW + timedelta(days=3))
        with holder(place):
            assert not is_free(catalog, clock)

    def test_a_holder_that_ended_leaves_it_free(self, place: Place, catalog: Catalog) -> None:
        """Given back on the way out."""
        with holder(place) as process:
            process.communicate("")
        assert process.returncode == 0
        assert is_free(catalog)

    def test_a_killed_holder_is_taken_over_from_at_once(self, place: Place, catalog: Catalog) -> None:
        """Kill -9 leaves the lease behind; nobody waits for a heartbeat to grow old."""
        with holder(place) as process:
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert is_free(catalog)

    def test_a_dead_holder_that_nobody_buried_is_dead(self, place: Place, catalog: Catalog) -> None:
        """A zombie still has its number, and its start too."""
        with holder(place) as process:
            process.send_signal(signal.SIGKILL)
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
            assert is_free(catalog)

    def test_another_process_with_the_same_number_is_not_the_holder(self, place: Place, catalog: Catalog) -> None:
        """After a reboot, or when numbers went round: the start differs."""
        with holder(place):
            place.shift_start(-3600)
            assert is_free(catalog)

    def test_of_many_that_come_at_once_one_gets_it(self, place: Place) -> None:
        """The others are told; here, all of them find the lease of a dead holder."""
        with holder(place) as dead:
            dead.kill()
            dead.wait()
        catalogs = [place.open() for _ in range(6)]
        gate = threading.Barrier(len(catalogs))
        got: list[bool] = []

        def take(mine: Catalog, leases: ExitStack) -> None:
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
    def test_a_holder_elsewhere_is_believed_by_its_heartbeat(self, place: Place, catalog: Catalog, column: str) -> None:
        """On another host, or in another container: its number means nothing here."""
        clock = FakeClock()
        with catalog.lease(clock):
            place.change(**{column: "elsewhere"})
            place.change(pid=1)
            clock.advance(STALE_AFTER.total_seconds())
            assert not is_free(catalog, clock)
            clock.advance(1)
            assert is_free(catalog, clock)

    def test_a_beat_keeps_a_holder_elsewhere_alive(self, place: Place, catalog: Catalog) -> None:
        """Counted from the last one."""
        clock = FakeClock()
        with catalog.lease(clock):
            place.change(host="elsewhere")
            clock.advance(100)
            catalog.beat(clock.now())
            clock.advance(100)
            assert not is_free(catalog, clock)

    def test_a_holder_from_the_future_is_alive(self, place: Place, catalog: Catalog) -> None:
        """Clocks of two hosts differ."""
        clock = FakeClock(NOW - timedelta(hours=1))
        with catalog.lease(FakeClock()):
            place.change(host="elsewhere")
            assert not is_free(catalog, clock)


class TestLosing:
    """A holder that was taken over from, because it was too long unheard of."""

    def test_a_beat_tells_that_the_lease_was_lost(self, place: Place, catalog: Catalog) -> None:
        """And to whom; the new holder's lease is not given back in its name."""
        with ExitStack() as new_holder:
            with catalog.lease(FakeClock()):
                place.remove()
                other = new_holder.enter_context(closing(place.open()))
                new_holder.enter_context(other.lease(FakeClock()))
                with pytest.raises(ArchiveBusy, match=f"ours to write: it is now written by process {os.getpid()}"):
                    catalog.beat(NOW)
            assert not is_free(catalog)
            other.beat(NOW)

    def test_a_lease_that_vanished_is_lost_too(self, place: Place, catalog: Catalog) -> None:
        """Nobody may write without one."""
        with catalog.lease(FakeClock()):
            place.remove()
            with pytest.raises(ArchiveBusy, match="nobody holds it now"):
                catalog.beat(NOW)

    def test_what_ended_the_work_is_not_hidden_by_giving_back(self, place: Place, catalog: Catalog) -> None:
        """A catalog that breaks under the work cannot take the lease back: the work's own error counts."""

        def breaking() -> None:
            with catalog.lease(FakeClock()):
                place.spoil()
                raise RuntimeError("the work")

        with pytest.raises(RuntimeError, match="the work"):
            breaking()


def test_a_beat_follows_a_clock_that_was_set(place: Place, catalog: Catalog) -> None:
    """The start is read by the wall clock: after a beat it is again what another process would read."""
    with catalog.lease(FakeClock()):
        place.shift_start(-3600)
        catalog.beat(NOW)
        assert not is_free(catalog)


def test_a_long_command_is_cut(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message stays a message."""
    monkeypatch.setattr(sys, "argv", ["/usr/bin/spxdata", "download", "x" * 1000])
    with catalog.lease(FakeClock()), pytest.raises(ArchiveBusy) as caught, catalog.lease(FakeClock()):
        pytest.fail("the lease was given twice")
    assert re.search(r"\(spxdata download x{183}\)", caught.value.message)


@pytest.mark.parametrize("kind", ["sqlite", "jsonfile"])
def test_the_process_library_is_imported_only_for_a_lease(kind: str) -> None:
    """Looking at an archive does not need it."""
    code = f"import sys, spxdata.catalog.{kind}; sys.exit('psutil' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
