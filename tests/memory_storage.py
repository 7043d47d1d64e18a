"""A storage in memory, for tests that need one and no disk: the same names, the same errors, nothing to clean up."""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from typing import BinaryIO
from uuid import uuid4

from spxdata.errors import NotWritable, StorageError
from spxdata.layout import PARTIAL


@dataclass(frozen=True, slots=True)
class PendingBytes:
    """A file that is being written and has no final name yet.

    Attributes:
        buffer: What was written so far.
        rename: Gives bytes the final name.
    """

    buffer: BytesIO
    rename: Callable[[bytes], None]

    def write(self, data: bytes) -> int:
        """Append bytes."""
        return self.buffer.write(data)

    def commit(self) -> None:
        """Give the bytes their final name, replacing what was there.

        Raises:
            NotWritable: A folder has the name, or the file was swept; what was there before is still there.
        """
        data = self.buffer.getvalue()
        self.buffer.close()
        self.rename(data)


class MemoryStorage:
    """A `Storage` in dicts; any thread may use it. Folders come with their first file and stay, as on a disk."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}
        self._folders: set[str] = set()
        self._unfinished: dict[str, BytesIO] = {}
        self._lock = threading.Lock()

    @contextmanager
    def create(self, path: str) -> Iterator[PendingBytes]:
        """Begin a file; leaving the context without `commit` leaves nothing behind but maybe its folder.

        Raises:
            StorageError: The path leads elsewhere, or through a file.
        """
        temporary = f"{path}.{uuid4().hex[:8]}{PARTIAL}"
        with self._lock:
            self._check(path)
            self._folders.update(_folders_above(path))
            buffer = self._unfinished[temporary] = BytesIO()
        with buffer:
            try:
                yield PendingBytes(buffer, lambda data: self._rename(temporary, path, data))
            finally:
                with self._lock:
                    self._unfinished.pop(temporary, None)

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading; seekable.

        Raises:
            FileNotFoundError: There is none.
        """
        with self._lock:
            self._check(path)
            if path in self._folders:
                raise _not_writable(path, errno.EISDIR)
            if path not in self._files:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            return BufferedReader(BytesIO(self._files[path]))  # which cannot be written to, as a file on a disk

    def size(self, path: str) -> int | None:
        """Return a file's size in bytes, None if there is none."""
        with self._lock:
            self._check(path)
            return len(self._files[path]) if path in self._files else None

    def names(self, folder: str = "") -> tuple[str, ...]:
        """Return the paths of all files below a folder, sorted, without unfinished ones."""
        with self._lock:
            if not folder:
                return tuple(sorted(self._files))
            self._check(folder)
            if folder in self._files:
                raise _not_writable(folder, errno.ENOTDIR)
            return tuple(sorted(path for path in self._files if path.startswith(f"{folder}/")))

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the paths of all files below a folder with their bytes."""
        return {path: len(self._files[path]) for path in self.names(folder)}

    def remove(self, path: str) -> None:
        """Remove a file; it is no error if there is none."""
        with self._lock:
            self._check(path)
            if path in self._folders:
                raise _not_writable(path, errno.EISDIR)
            self._files.pop(path, None)

    def move(self, path: str, to: str) -> None:
        """Give a file another name; a file that had it is replaced.

        Raises:
            FileNotFoundError: There is none.
        """
        self._check(to)
        if self.size(path) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        with self.open(path) as file, self.create(to) as pending:
            pending.write(file.read())
            pending.commit()
        self.remove(path)

    def unfinished(self) -> dict[str, int]:
        """Return what writers have not finished: name to bytes, sorted."""
        with self._lock:
            return {path: self._unfinished[path].getbuffer().nbytes for path in sorted(self._unfinished)}

    def address(self, path: str) -> str:
        """Raise: no other program can read what is in this one's memory."""
        raise StorageError(f"{path} is in memory only.")

    def free(self) -> int:
        """Return a number that no file needs."""
        return 1 << 40

    def sweep(self) -> tuple[str, ...]:
        """Forget what writers have not finished; return the names. Only for the lease's holder."""
        with self._lock:
            swept = tuple(sorted(self._unfinished))
            self._unfinished.clear()
            return swept

    def _rename(self, temporary: str, path: str, data: bytes) -> None:
        with self._lock:
            if temporary not in self._unfinished:
                raise _not_writable(path, errno.ENOENT)
            if path in self._folders:
                raise _not_writable(path, errno.EISDIR)
            del self._unfinished[temporary]
            self._files[path] = data

    def _check(self, path: str) -> None:
        """Refuse a path that is no plain relative one, of an unfinished file, or that leads through a file.

        Raises:
            StorageError: It is one of these.
        """
        if not {"", ".", ".."}.isdisjoint(path.split("/")) or any(sign in path for sign in "\\\0"):
            raise StorageError(f"{path!r} is not a path below the storage.")
        if path.endswith(PARTIAL):
            raise StorageError(f"{path!r} ends like an unfinished file.")
        if any(folder in self._files for folder in _folders_above(path)):
            raise _not_writable(path, errno.ENOTDIR)


def _folders_above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _not_writable(path: str, number: int) -> NotWritable:
    return NotWritable(f"{path}: {os.strerror(number)}")
