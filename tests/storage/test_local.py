"""What is the local disk's own: temporary names, full and unwritable disks, durability, being killed."""

import errno
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spxdata.errors import DiskFull, NotWritable, StorageError
from spxdata.storage.local import LocalStorage

PATH = "20240116/spxw_exp_20240119.parquet"


def left(root: Path) -> list[str]:
    """Return every file below a folder, unfinished ones too."""
    return sorted(str(file.relative_to(root)) for file in root.rglob("*") if not file.is_dir())


def put(storage: LocalStorage, path: str, data: bytes) -> None:
    """Write a whole file."""
    with storage.create(path) as pending:
        pending.write(data)
        pending.commit()


def opening(device: str) -> Callable[[str, int], int]:
    """Return an opener that creates the file, but writes to a device."""

    def opener(path: str, flags: int) -> int:
        os.close(os.open(path, flags, 0o666))
        return os.open(device, os.O_WRONLY)

    return opener


class TestTemporaryNames:
    """What lies beside the final name while it is written."""

    def test_it_lies_beside_its_target(self, tmp_path: Path) -> None:
        """On the same file system, so that the rename is one step; with a name of its own."""
        storage = LocalStorage(tmp_path)
        with storage.create(PATH), storage.create(PATH):
            names = left(tmp_path)
        assert len(set(names)) == 2
        assert all(re.fullmatch(re.escape(PATH) + r"\.[0-9a-f]{8}\.partial", name) for name in names)
        assert left(tmp_path) == []

    def test_listing_ignores_it(self, tmp_path: Path) -> None:
        """It is no part of the archive."""
        storage = LocalStorage(tmp_path)
        with storage.create(PATH):
            assert storage.names() == ()

    def test_sweep_removes_what_others_left(self, tmp_path: Path) -> None:
        """In every folder, the private one too, and nothing else."""
        storage = LocalStorage(tmp_path)
        put(storage, PATH, b"whole")
        leftovers = [f"{PATH}.0123abcd.partial", ".spxdata/quarantine/a.89abcdef.partial"]
        for name in leftovers:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(b"half")
        assert storage.sweep() == tuple(sorted(leftovers))
        assert left(tmp_path) == [PATH]

    def test_a_file_is_as_readable_as_any_new_file(self, tmp_path: Path) -> None:
        """The umask decides, as for everything the user creates."""
        before = os.umask(0o027)
        try:
            put(LocalStorage(tmp_path), "a", b"x")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


class TestFullDisk:
    """No space left."""

    def test_a_full_disk_is_named_and_leaves_nothing(self, tmp_path: Path) -> None:
        """The device that is always full: the kernel's own error, on write or when the buffer is emptied."""
        storage = LocalStorage(tmp_path, opener=opening("/dev/full"))
        for size in (1, 10_000_000):
            with pytest.raises(DiskFull) as caught:
                put(storage, PATH, b"x" * size)
            assert caught.value.message == f"{tmp_path / PATH}: No space left on device"
            assert isinstance(caught.value.__cause__, OSError)
            assert left(tmp_path) == []

    def test_the_old_file_outlives_a_full_disk(self, tmp_path: Path) -> None:
        """A replacement that did not fit."""
        put(LocalStorage(tmp_path), PATH, b"old")
        with pytest.raises(DiskFull):
            put(LocalStorage(tmp_path, opener=opening("/dev/full")), PATH, b"new")
        assert (tmp_path / PATH).read_bytes() == b"old"
        assert left(tmp_path) == [PATH]

    def test_a_limit_on_the_size_of_files_is_like_a_full_disk(self, tmp_path: Path) -> None:
        """A real disk that takes half of the file and then no more; what was written is removed."""
        code = """
import resource, sys
from pathlib import Path
from spxdata.errors import DiskFull
from spxdata.storage.local import LocalStorage
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    with LocalStorage(Path(sys.argv[1])).create("20240116/a") as pending:
        for _ in range(3000):
            pending.write(bytes(1000))
        pending.commit()
except DiskFull as error:
    print(error.message)
"""
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
        assert done.stdout == f"{tmp_path / '20240116/a'}: File too large\n"
        assert left(tmp_path) == []


class TestUnwritable:
    """Folders that cannot be used."""

    def test_a_data_directory_that_is_a_file_is_not_writable(self, tmp_path: Path) -> None:
        """Whatever is asked of it; with the path and a hint."""
        root = tmp_path / "data"
        root.write_text("")
        storage = LocalStorage(root)
        for ask in (lambda: put(storage, PATH, b"x"), lambda: storage.open(PATH), lambda: storage.size(PATH)):
            with pytest.raises(NotWritable) as caught:
                ask()
            assert caught.value.message == f"{root / PATH}: Not a directory"
            assert caught.value.hint
        with pytest.raises(NotWritable):
            storage.names()

    def test_a_folder_in_the_file_s_place_stays(self, tmp_path: Path) -> None:
        """The rename fails, the temporary file goes."""
        (tmp_path / PATH).mkdir(parents=True)
        storage = LocalStorage(tmp_path)
        with pytest.raises(NotWritable, match="Is a directory"):
            put(storage, PATH, b"x")
        with pytest.raises(NotWritable):
            storage.open(PATH)
        assert left(tmp_path) == []
        assert (tmp_path / PATH).is_dir()

    def test_a_folder_that_vanished_is_not_writable(self, tmp_path: Path) -> None:
        """Not a missing file, which callers take for an answer."""
        with LocalStorage(tmp_path).create(PATH) as pending:
            (tmp_path / left(tmp_path)[0]).unlink()
            (tmp_path / "20240116").rmdir()
            with pytest.raises(NotWritable):
                pending.commit()

    def test_a_sync_that_fails_is_no_commit(self, tmp_path: Path) -> None:
        """A device that cannot be synced: nothing has the final name, nothing is left."""
        storage = LocalStorage(tmp_path, opener=opening("/dev/null"))
        with pytest.raises(StorageError, match="Invalid argument"):
            put(storage, PATH, b"x")
        assert left(tmp_path) == []

    @pytest.mark.parametrize(
        ("number", "expected"),
        [
            (errno.ENOSPC, DiskFull),
            (errno.EDQUOT, DiskFull),
            (errno.EFBIG, DiskFull),
            (errno.EACCES, NotWritable),
            (errno.EPERM, NotWritable),
            (errno.EROFS, NotWritable),
            (errno.EIO, StorageError),
            (errno.EMFILE, StorageError),
        ],
        ids=lambda value: errno.errorcode.get(value) if isinstance(value, int) else None,
    )
    def test_the_system_s_errors_are_ours(self, tmp_path: Path, number: int, expected: type[StorageError]) -> None:
        """By one table, naming the path, with the system's error as the cause."""

        def opener(_path: str, _flags: int) -> int:
            raise OSError(number, os.strerror(number))

        with pytest.raises(StorageError, match=re.escape(str(tmp_path / PATH))) as caught:
            put(LocalStorage(tmp_path, opener=opener), PATH, b"x")
        assert type(caught.value) is expected
        assert isinstance(caught.value.__cause__, OSError)


class TestDurability:
    """What survives a power failure, and a kill."""

    def test_bytes_are_durable_before_the_name_and_the_name_before_the_end(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The file is synced, then renamed, then its folder and those above it up to the archive's are synced."""
        root = tmp_path / "data"
        synced: list[tuple[str, bool]] = []
        names: dict[int, str] = {}

        def fsync(descriptor: int) -> None:
            found = os.fstat(descriptor)
            names.update({file.stat().st_ino: file.name for file in [tmp_path, root, *root.rglob("*")]})
            synced.append((names[found.st_ino], (root / PATH).exists()))
            real(descriptor)

        real = os.fsync
        monkeypatch.setattr(os, "fsync", fsync)
        put(LocalStorage(root), PATH, b"x")
        temporary = synced.pop(2)
        assert temporary[0].endswith(".partial")
        assert temporary[1] is False
        assert synced == [
            (tmp_path.name, False),  # the new archive's name
            ("data", False),  # the new day's name
            ("20240116", True),
            ("data", True),
        ]

    def test_being_killed_before_the_commit_leaves_only_a_partial_file(self, tmp_path: Path) -> None:
        """Kill -9: nothing has the final name, and sweep removes what is left."""
        code = """
import sys
from pathlib import Path
from spxdata.storage.local import LocalStorage
with LocalStorage(Path(sys.argv[1])).create(sys.argv[2]) as pending:
    pending.write(bytes(10_000_000))
    print("written", flush=True)
    sys.stdin.read()
"""
        with subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), PATH], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"written\n"
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        storage = LocalStorage(tmp_path)
        assert storage.names() == ()
        (name,) = storage.sweep()
        assert re.fullmatch(re.escape(PATH) + r"\.[0-9a-f]{8}\.partial", name)
        assert left(tmp_path) == []

    def test_an_abandoned_file_that_is_gone_already_is_no_error(self, tmp_path: Path) -> None:
        """Somebody swept too early; what ended the writing matters more."""

        def swept() -> None:
            with LocalStorage(tmp_path).create(PATH) as pending:
                pending.write(b"x")
                LocalStorage(tmp_path).sweep()
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            swept()


@pytest.fixture
def linked(tmp_path: Path) -> Iterator[LocalStorage]:
    """An archive with symbolic links that lead out of it and in circles."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"x")
    (outside / "secret.partial").write_bytes(b"x")
    root = tmp_path / "data"
    storage = LocalStorage(root)
    put(storage, "a", b"x")
    (root / "folder").symlink_to(outside)
    (root / "file").symlink_to(outside / "secret")
    (root / "file.partial").symlink_to(outside / "secret.partial")
    (root / "circle").symlink_to(root)
    yield storage
    assert left(outside) == ["secret", "secret.partial"]


def test_listing_and_sweeping_do_not_follow_links(linked: LocalStorage) -> None:
    """What lies elsewhere is not ours to list or remove."""
    assert linked.names() == ("a",)
    assert linked.sweep() == ()
