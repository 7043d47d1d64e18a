"""Who may read what: the archive as the user's umask says, logs their owner alone."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from spxdata.emulator import Emulator
from tests.cli.screens import environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are other permissions")

CODE = "import os, sys; os.umask(int(sys.argv.pop(1), 8)); from spxdata.__main__ import main; main()"


def modes(folder: Path) -> dict[str, int]:
    """Return the permissions of all that lies below a folder, by its kind."""
    return {
        path.relative_to(folder).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_files_take_what_the_umask_leaves_and_logs_less(umask: int, emulator: Emulator, tmp_path: Path) -> None:
    """Nothing can be executed, nothing is open to those whom the umask shuts out."""
    arguments = ("download", "--date", "2024-01-16", "--dataset", "quote", "--expiration", "2024-01-16")
    log = ("--log-file", "run.log", "--terminal", emulator.url)
    done = subprocess.run(
        [sys.executable, "-c", CODE, f"{umask:o}", *arguments, *log],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = modes(tmp_path)
    assert found.pop("run.log") == 0o600
    assert found.pop("data/.spxdata/runs") == 0o700
    kept = [name for name in found if name.startswith("data/.spxdata/runs/")]
    assert [found.pop(name) for name in kept] == [0o600]
    for name, mode in found.items():
        folder = (tmp_path / name).is_dir()
        assert mode & ~((0o777 if folder else 0o644) & ~umask) == 0, f"{name} has {mode:o}"
        assert mode & 0o600 == 0o600
    assert any(name.endswith(".parquet") for name in found)
    assert "data/.spxdata/catalog.sqlite" in found


def test_an_existing_log_keeps_its_permissions(tmp_path: Path) -> None:
    """Whoever opened it to others meant to."""
    path = tmp_path / "run.log"
    path.touch()
    path.chmod(0o640)
    subprocess.run(
        [sys.executable, "-m", "spxdata", "download", "--date", "2024-01-15", "--log-file", "run.log"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        check=True,
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.stat().st_size > 0


def test_a_settings_file_takes_what_the_umask_leaves(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", CODE, "77", "config", "--init"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        check=True,
    )
    assert modes(tmp_path) == {"spxdata.toml": 0o600}
