"""One process at a time: who comes second is told, and a dead holder holds nothing."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spxdata.errors import ArchiveBusy, StorageError
from spxdata.storage.lock import alone

HOLD = """
import sys, time
from pathlib import Path
from spxdata.storage.lock import alone
with alone(Path(sys.argv[1]), Path("place")):
    print("held", flush=True)
    time.sleep(60)
"""


def test_another_process_is_kept_out_until_the_holder_is_dead(tmp_path: Path) -> None:
    lock = tmp_path / "new" / ".lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ArchiveBusy, match="Another process writes place"), alone(lock, Path("place")):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with alone(lock, Path("place")):
        assert lock.exists()
    assert not lock.exists()


def test_it_is_given_back_whatever_happens(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wrong"), alone(tmp_path / ".lock", tmp_path):
        raise ValueError("wrong")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError), alone(tmp_path / "file" / ".lock", tmp_path):
        pass
