"""Bytes on their way to the storage, counted and hashed."""

import hashlib

from spxdata.protocols import Pending


class HashingFile:
    """What rows are written to: passes bytes on, counts and hashes them.

    Args:
        pending: Where they go.
    """

    def __init__(self, pending: Pending) -> None:
        self._pending = pending
        self._digest = hashlib.sha256()
        self.bytes = 0
        self.closed = False

    def write(self, data: bytes) -> int:
        """Append bytes."""
        self._digest.update(data)
        self.bytes += len(data)
        self._pending.write(data)
        return len(data)

    def tell(self) -> int:
        """Return the position: all bytes so far."""
        return self.bytes

    def flush(self) -> None:
        """Do nothing: the commit makes bytes durable."""

    def close(self) -> None:
        """Do nothing: the commit closes the file."""

    def sha256(self) -> str:
        """Return the digest of what was written."""
        return self._digest.hexdigest()
