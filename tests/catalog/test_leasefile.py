"""What is the lease file's own: races of processes, damage, and what is left behind."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from spxdata.catalog.holder import Process
from spxdata.catalog.leasefile import FileLease, read_holder
from spxdata.errors import ArchiveBusy, CatalogCorrupt, NotWritable
from tests.builders import NOW

CHECKOUT = Path(__file__).resolve().parents[2]

#: A process that tries to take the leases of many archives one by one, and holds what it got until its input ends.
GRABS = """
import sys
from pathlib import Path
from spxdata.catalog.leasefile import FileLease
from spxdata.errors import ArchiveBusy
from tests.builders import NOW

archives = [Path(name) for name in sys.argv[1:]]
print("ready", flush=True)
sys.stdin.readline()
got = []
for number, archive in enumerate(archives):
    try:
        FileLease(archive, NOW)
    except ArchiveBusy:
        continue
    got.append(str(number))
print(*got, flush=True)
sys.stdin.read()
"""


def lease_of(archive: Path) -> Path:
    """Return where an archive's lease lies."""
    return archive / ".spxdata" / "lease.json"


def leave_dead(archive: Path) -> None:
    """Leave the lease of a process of this host that is dead: one that started at another time than ours."""
    FileLease(archive, NOW)
    found = json.loads(lease_of(archive).read_bytes())
    lease_of(archive).write_text(json.dumps({**found, "processStarted": found["processStarted"] - 3600}))


@pytest.mark.parametrize("before", ["free", "dead", "empty"])
def test_of_processes_that_race_one_gets_it(tmp_path: Path, before: str) -> None:
    """Each of many archives, whether its lease is free, a dead holder's, or of one that died while it took it."""
    archives = [tmp_path / str(number) for number in range(40)]
    for archive in archives:
        if before != "free":
            leave_dead(archive)
        if before == "empty":
            lease_of(archive).write_bytes(b"")
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", GRABS, *map(str, archives)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        )
        for _ in range(2)
    ]
    streams = [(racer.stdin, racer.stdout) for racer in racers]
    for _, out in streams:
        assert out is not None
        assert out.readline() == "ready\n"
    for into, _ in streams:
        assert into is not None
        into.write("go\n")
        into.flush()
    got = [number for _, out in streams if out for number in out.readline().split()]
    holders = [read_holder(archive) for archive in archives]
    for racer in racers:
        racer.communicate("")
    assert sorted(got, key=int) == [str(number) for number in range(len(archives))]
    assert {holder.process.pid for holder in holders if holder} <= {racer.pid for racer in racers}


class TestFile:
    """What lies in the archive."""

    def test_it_is_there_exactly_while_it_is_held(self, tmp_path: Path) -> None:
        """And says who holds it, to whoever looks."""
        assert read_holder(tmp_path) is None
        lease = FileLease(tmp_path, NOW)
        holder = read_holder(tmp_path)
        assert holder is not None
        assert (holder.process, holder.acquired_at, holder.heartbeat) == (Process.current(), NOW, NOW)
        lease.beat(NOW + timedelta(seconds=10))
        again = read_holder(tmp_path)
        assert again is not None
        assert (again.acquired_at, again.heartbeat) == (NOW, NOW + timedelta(seconds=10))
        lease.release()
        assert read_holder(tmp_path) is None
        assert [file.name for file in lease_of(tmp_path).parent.iterdir()] == ["lease.lock"]

    def test_looking_creates_nothing(self, tmp_path: Path) -> None:
        """Not even the folder."""
        assert read_holder(tmp_path / "data") is None
        assert list(tmp_path.iterdir()) == []

    def test_a_taker_that_died_before_it_wrote_holds_nothing(self, tmp_path: Path) -> None:
        """Its empty file is no holder's."""
        leave_dead(tmp_path)
        lease_of(tmp_path).write_bytes(b"")
        assert read_holder(tmp_path) is None
        FileLease(tmp_path, NOW)
        with pytest.raises(ArchiveBusy):
            FileLease(tmp_path, NOW)

    def test_taking_over_leaves_no_other_file(self, tmp_path: Path) -> None:
        """Neither temporary names nor the dead one's lease."""
        leave_dead(tmp_path)
        FileLease(tmp_path, NOW)
        names = sorted(file.name for file in lease_of(tmp_path).parent.iterdir())
        assert names == ["lease.json", "lease.lock"]


class TestDamage:
    """A lease that says nothing we understand."""

    @pytest.mark.parametrize("text", ["no lease", "[]", "{}", '{"token":"x"}', '{"token":"x","host":1,"pid":'])
    def test_it_is_named_and_never_taken_over(self, tmp_path: Path, text: str) -> None:
        """It may be a living holder's: a person must decide."""
        leave_dead(tmp_path)
        lease_of(tmp_path).write_text(text)
        for look in (lambda: FileLease(tmp_path, NOW), lambda: read_holder(tmp_path)):
            with pytest.raises(CatalogCorrupt) as caught:
                look()
            assert str(lease_of(tmp_path)) in caught.value.message
            assert "no other process" in caught.value.hint
        assert lease_of(tmp_path).read_text() == text

    def test_a_folder_that_cannot_be_written_is_said(self, tmp_path: Path) -> None:
        """Here, a file is in its place."""
        (tmp_path / ".spxdata").write_text("")
        with pytest.raises(NotWritable, match=r"lease\.json"):
            FileLease(tmp_path, NOW)
        with pytest.raises(NotWritable, match=r"lease\.json"):
            read_holder(tmp_path)

    def test_a_folder_in_its_place_is_said(self, tmp_path: Path) -> None:
        """Nobody made a lease of it."""
        lease_of(tmp_path).mkdir(parents=True)
        with pytest.raises(NotWritable, match=r"lease\.json"):
            FileLease(tmp_path, NOW)
