"""Files of a local folder: whole and durable under their final name, or not there at all."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import BinaryIO
from uuid import uuid4

from spxdata.errors import DiskFull, NotWritable, StorageError
from spxdata.layout import PARTIAL

#: How a file is opened for writing: as `open`'s own `opener`, path and flags to file descriptor.
Opener = Callable[[str, int], int]
#: Surrounds each step of a commit, named write, fsync, rename or folder fsync: where tests fail or die.
Steps = Callable[[str], AbstractContextManager[object]]

# The system's error numbers to errors; any other is a StorageError.
_ERRORS: dict[int, type[StorageError]] = {
    errno.ENOSPC: DiskFull,
    errno.EDQUOT: DiskFull,
    errno.EFBIG: DiskFull,  # more than the file system, or a limit of the process, allows in one file
    errno.EACCES: NotWritable,
    errno.EPERM: NotWritable,
    errno.EROFS: NotWritable,
    errno.ENOTDIR: NotWritable,
    errno.EISDIR: NotWritable,
    errno.ENOENT: NotWritable,  # the folder was removed under our feet
    errno.ELOOP: NotWritable,
    errno.ENAMETOOLONG: NotWritable,
}


class LocalStorage:
    """A `Storage` in a folder, which is created with the first file.

    Args:
        root: The folder.
        opener: How a file is opened for writing; the system's own way when left out.
        step: Surrounds each step of a commit; nothing does when left out.
    """

    def __init__(self, root: Path, *, opener: Opener | None = None, step: Steps = nullcontext) -> None:
        self._root = root.absolute()
        self._opener = opener
        self._step = step

    @contextmanager
    def create(self, path: str) -> Iterator["PendingFile"]:
        """Begin a file; leaving the context without `commit` leaves nothing behind but maybe its folder.

        Raises:
            StorageError: The disk is full or not writable.
        """
        final = self._locate(path)
        with translated(final):
            _make_folder(final.parent)
            pending = PendingFile(self._root, final, self._opener, self._step)
        try:
            yield pending
        finally:
            pending.discard()

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading; seekable.

        Raises:
            FileNotFoundError: There is none.
        """
        file = self._locate(path)
        with translated(file, but=(FileNotFoundError,)):
            return file.open("rb")

    def size(self, path: str) -> int | None:
        """Return a file's size in bytes, None if there is none."""
        file = self._locate(path)
        try:
            with translated(file, but=(FileNotFoundError,)):
                found = file.stat()
        except FileNotFoundError:
            return None
        return found.st_size if S_ISREG(found.st_mode) else None

    def names(self, folder: str = "") -> tuple[str, ...]:
        """Return the paths of all files below a folder, sorted, without unfinished ones and symbolic links."""
        return tuple(name for name in self._all(folder) if not name.endswith(PARTIAL))

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the paths of all files below a folder with their bytes, without unfinished ones and symbolic links."""
        top = self._locate(folder)
        with translated(top):
            return {name: size for name, size in _sizes(top, f"{folder}/") if not name.endswith(PARTIAL)}

    def remove(self, path: str) -> None:
        """Remove a file; it is no error if there is none."""
        file = self._locate(path)
        with translated(file):
            file.unlink(missing_ok=True)

    def move(self, path: str, to: str) -> None:
        """Give a file another name, durably; a file that had it is replaced.

        Raises:
            FileNotFoundError: There is none.
            StorageError: The disk is full or not writable.
        """
        source, target = self._locate(path), self._locate(to)
        with translated(source, but=(FileNotFoundError,)):
            if not source.is_file():
                raise FileNotFoundError(errno.ENOENT, "no such file", str(source))
            _make_folder(target.parent)
            source.replace(target)
            _sync_folder(target.parent)  # first: a power failure in between may show both names, never none
            _sync_folder(source.parent)

    def unfinished(self) -> dict[str, int]:
        """Return what interrupted writers left unfinished, or others are writing right now: name to bytes, sorted."""
        found: dict[str, int] = {}
        for name in self._all(""):
            if name.endswith(PARTIAL):
                with suppress(FileNotFoundError):  # its writer was through meanwhile
                    found[name] = (self._root / name).stat().st_size
        return found

    def sweep(self, of: str = "") -> tuple[str, ...]:
        """Remove what interrupted writers left unfinished; return the names. Only for the lease's holder.

        Args:
            of: Only what would have become this file; empty for all.
        """
        leftovers = tuple(name for name in self.unfinished() if not of or name.startswith(f"{of}."))
        for name in leftovers:
            file = self._root / name
            with translated(file):
                file.unlink(missing_ok=True)
        return leftovers

    def address(self, path: str) -> str:
        """Return the path of a file as the system knows it.

        Raises:
            StorageError: The path leads elsewhere.
        """
        return str(self._locate(path))

    def free(self) -> int:
        """Return how many bytes are free where the files lie, or will once there is one."""
        folder = self._root
        while not folder.exists():
            folder = folder.parent
        with translated(folder):
            return shutil.disk_usage(folder).free

    def _locate(self, path: str) -> Path:
        """Return where a path lies.

        Raises:
            StorageError: It is no plain relative path, or one of an unfinished file.
        """
        parts = path.split("/")
        file = self._root.joinpath(*parts)
        plain = {"", ".", ".."}.isdisjoint(parts) and not any(sign in path for sign in "\\\0")
        if not plain or not file.is_relative_to(self._root):  # the latter: a drive's letter
            raise StorageError(f"{path!r} is not a path below {self._root}.")
        if path.endswith(PARTIAL):
            raise StorageError(f"{path!r} ends like an unfinished file.")
        return file

    def _all(self, folder: str) -> tuple[str, ...]:
        """Return the paths of all files below a folder, sorted; links lead elsewhere and are not followed."""
        top = self._locate(folder) if folder else self._root
        with translated(top):
            return tuple(sorted(_below(top, f"{folder}/" if folder else "")))


class PendingFile:
    """A file that is being written under a temporary name beside its final one.

    Args:
        root: The storage's folder.
        final: Where it will lie.
        opener: How to open it.
        step: Surrounds each step of the commit.
    """

    def __init__(self, root: Path, final: Path, opener: Opener | None, step: Steps) -> None:
        self._root = root
        self._step = step
        self._final = final
        # The name differs for every writer, so that one can never write into or remove another's.
        self._temporary = final.with_name(f"{final.name}.{uuid4().hex[:8]}{PARTIAL}")
        self._committed = False
        self._file = open(self._temporary, "xb", opener=opener)  # noqa: SIM115 - commit or discard close it

    def write(self, data: bytes) -> int:
        """Append bytes.

        Raises:
            StorageError: The disk is full or not writable.
        """
        with translated(self._final), self._step("write"):
            return self._file.write(data)

    def commit(self) -> None:
        """Make the bytes durable under the final name, replacing what was there.

        Raises:
            StorageError: It failed. What was there before is still there, unless it was the very last step, the
                sync of the folders, that failed.
        """
        with translated(self._final):
            with self._step("write"):
                self._file.flush()
            with self._step("fsync"):
                os.fsync(self._file.fileno())
            self._file.close()
            with self._step("rename"):
                self._temporary.replace(self._final)
                self._committed = True
            for folder in self._final.parents:
                with self._step("folder fsync"):
                    _sync_folder(folder)  # those above too: whoever created them may not have come so far
                if folder == self._root:
                    break

    def discard(self) -> None:
        """Remove the temporary file unless it has become the final one.

        What fails here is left for `sweep`: whatever ended the writing matters more.
        """
        if not self._committed:
            with suppress(OSError):
                self._file.close()
            self._unlink()

    def _unlink(self) -> None:
        with suppress(OSError):
            self._temporary.unlink()


@contextmanager
def translated(path: Path, *, but: tuple[type[OSError], ...] = ()) -> Iterator[None]:
    """Turn the system's errors into ours, naming the path, all but those that mean something to the caller."""
    try:
        yield
    except but:
        raise
    except OSError as error:
        kind = _ERRORS.get(error.errno or 0, StorageError)
        raise kind(f"{path}: {error.strerror or error}") from error


def _make_folder(folder: Path) -> None:
    """Create a folder and those above it, each durable in its own parent."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(exist_ok=True)  # another thread may have been quicker
        _sync_folder(new.parent)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _below(folder: Path | str, prefix: str) -> Iterator[str]:
    """Yield the paths of all files below a folder; an archive has a hundred thousand, so no `Path` is made of them."""
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _below(entry.path, f"{prefix}{entry.name}/")
        elif not entry.is_symlink():
            yield prefix + entry.name


def _sizes(folder: Path | str, prefix: str) -> Iterator[tuple[str, int]]:
    """Yield the paths of all files below a folder with their bytes, of those that do not go while we look."""
    for entry in _entries(folder):
        found = _stat(entry)
        if found and S_ISREG(found.st_mode):
            yield prefix + entry.name, found.st_size
        elif found and S_ISDIR(found.st_mode):
            yield from _sizes(entry.path, f"{prefix}{entry.name}/")


def _stat(entry: "os.DirEntry[str]") -> os.stat_result | None:
    """Return what the system says of an entry itself; None if it went while we looked."""
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None


def _entries(folder: Path | str) -> list["os.DirEntry[str]"]:
    try:
        return list(os.scandir(folder))
    except FileNotFoundError:  # there is none, or it went while we looked
        return []
