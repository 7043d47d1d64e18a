"""The lease as a file: `.spxdata/lease.json`, there exactly while somebody may write the archive.

It is made with O_EXCL, so that of many who come to a free archive one gets it. Taking over, renewing and giving back
read the file and then change it; a lock that the system holds on `.spxdata/lease.lock` for these few milliseconds,
and gives up by itself when its process dies, keeps two from doing so at once. Else the slower of two who find the
same dead holder would take the lease from the quicker one.
"""

import errno
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from spxdata.catalog.entries import Entry, dumped, moment_of, moment_text
from spxdata.catalog.holder import Holder, Process, lost, require_free
from spxdata.errors import CatalogCorrupt, DiskFull, NotWritable
from spxdata.layout import PARTIAL, PRIVATE

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)


LEASE = f"{PRIVATE}/lease.json"
_LOCK = f"{PRIVATE}/lease.lock"


class FileLease:
    """The right to write one archive, as its holder has it.

    Args:
        archive: The archive's folder; created if need be.
        now: The moment of taking it.

    Raises:
        ArchiveBusy: Another living holder has it; this very process too.
        StorageError: The lease cannot be read or written.
    """

    def __init__(self, archive: Path, now: datetime) -> None:
        self._archive = archive
        self._path = archive / LEASE
        self._token = uuid4().hex
        self._holder = Holder.current(now)
        with self._alone():
            text = self._text()
            try:
                with self._path.open("xb") as file:
                    file.write(text)
            except FileExistsError:
                require_free(archive, read_holder(archive), self._holder)
                self._replace(text)

    def beat(self, at: datetime) -> None:
        """Say that the holder is alive, and when it started by the clock as it goes now.

        Raises:
            ArchiveBusy: Somebody else has taken the lease.
        """
        with self._alone():
            self.require()
            self._holder = replace(self._holder, process=Process.current(), heartbeat=at)
            self._replace(self._text())

    def require(self) -> None:
        """Make sure that the lease is still ours.

        Raises:
            ArchiveBusy: Somebody else has taken it, taking us for dead.
        """
        found = _read(self._path)
        if found is None or found["token"] != self._token:
            raise lost(self._archive, read_holder(self._archive))

    def release(self) -> None:
        """Give the lease back; one that was lost stays with its new holder."""
        with self._alone():
            found = _read(self._path)
            if found is not None and found["token"] == self._token:
                self._path.unlink()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep every other process and thread from the lease; the system's errors become ours."""
        lock = self._archive / _LOCK
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
            with lock.open("ab") as file:
                _lock(file.fileno())
                yield
        except OSError as error:
            kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else NotWritable
            raise kind(f"the lease {self._path} cannot be written ({error.strerror or error})") from error

    def _text(self) -> bytes:
        process = self._holder.process
        entry = {
            "token": self._token,
            "host": process.host,
            "pidNamespace": process.pid_namespace,
            "pid": process.pid,
            "processStarted": process.started,
            "command": self._holder.command,
            "acquiredAt": moment_text(self._holder.acquired_at),
            "heartbeat": moment_text(self._holder.heartbeat),
        }
        return dumped(entry).encode()

    def _replace(self, text: bytes) -> None:
        """Put a new text in the lease's place, whole for everybody who reads it meanwhile."""
        temporary = self._path.with_name(f"{self._path.name}.{self._token[:8]}{PARTIAL}")
        try:
            temporary.write_bytes(text)
            temporary.replace(self._path)
        finally:
            temporary.unlink(missing_ok=True)


def read_holder(archive: Path) -> Holder | None:
    """Return who holds an archive's lease, None if nobody does; creates nothing.

    Raises:
        CatalogCorrupt: The lease is none of ours.
        StorageError: It cannot be read.
    """
    path = archive / LEASE
    found = _read(path)
    if found is None:
        return None
    try:
        return Holder(
            process=Process(found["host"], found["pidNamespace"], found["pid"], float(found["processStarted"])),
            command=found["command"],
            acquired_at=moment_of(found["acquiredAt"]),
            heartbeat=moment_of(found["heartbeat"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _strange(path) from error


def _read(path: Path) -> Entry | None:
    """Return what the lease says; None if there is none, or its taker has not written it or died before it did."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotWritable(f"the lease {path} cannot be read ({error.strerror or error})") from error
    if not text:
        return None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise _strange(path) from error
    if not isinstance(found, dict) or "token" not in found:
        raise _strange(path)
    return found


def _strange(path: Path) -> CatalogCorrupt:
    return CatalogCorrupt(
        f"the lease {path} is none of ours, or damaged.",
        hint="Remove it, once you are sure that no other process writes this archive.",
    )
