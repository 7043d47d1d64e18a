"""A place that one process at a time may write, where no catalog keeps a lease: the system lets go of a dead one's."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spxdata.errors import ArchiveBusy
from spxdata.storage.local import translated

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def alone(lock: Path, what: Path) -> Iterator[None]:
    """Keep every other process from a place.

    Args:
        lock: A file beside it or in it, which is there while it is held; created with its folder.
        what: The place, for the message.

    Raises:
        ArchiveBusy: Another process holds it.
        StorageError: The file cannot be written.
    """
    with translated(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("ab")
    with file:
        try:
            _lock(file.fileno())
            is_ours = _is_at(file.fileno(), lock)
        except OSError:
            is_ours = False
        if not is_ours:
            raise ArchiveBusy(f"Another process writes {what}.", hint="Wait for it to finish, or stop it.")
        try:
            yield
        finally:
            if sys.platform != "win32":  # where a file that is open cannot be removed
                lock.unlink(missing_ok=True)


def _is_at(descriptor: int, path: Path) -> bool:
    """Tell whether an open file still has its name: the one who held it before has removed it."""
    found = os.fstat(descriptor)
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == (there.st_dev, there.st_ino)
