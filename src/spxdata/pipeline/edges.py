"""What an attempt works with, and what it tells of itself; loads nothing that reads data, as planning needs it too."""

import threading
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from spxdata.events import Emit
from spxdata.protocols import Clock, Storage, Terminal


@dataclass(frozen=True, slots=True)
class Encoding:
    """How rows become bytes.

    Attributes:
        format: Parquet, or CSV, to which the rest does not apply.
        numbers: Whether numbers are stored as float64, or as decimals where these are exact.
        compression: Parquet codec.
        level: Its level.
        row_group_rows: Rows of a row group; the last one has fewer.
    """

    format: Literal["parquet", "csv"] = "parquet"
    numbers: Literal["float64", "decimal"] = "float64"
    compression: str = "zstd"
    level: int | None = 3
    row_group_rows: int = 128 * 1024


@dataclass(slots=True)
class SortMemory:
    """The bytes that all attempts of a process may hold for sorting, together."""

    limit: int = 256 * 1024 * 1024
    _held: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def claim(self, size: int) -> bool:
        """Reserve bytes if they are there."""
        with self._lock:
            if self._held + size > self.limit:
                return False
            self._held += size
            return True

    def release(self, size: int) -> None:
        """Give reserved bytes back."""
        with self._lock:
            self._held -= size


@dataclass(frozen=True, slots=True)
class Edges:
    """What an attempt reaches the world through, and what all attempts of a process share."""

    terminal: Terminal
    storage: Storage
    clock: Clock
    emit: Emit
    encoding: Encoding
    memory: SortMemory


class Replied(NamedTuple):
    """What all that was asked for to have a unit took, once the last byte has come.

    Attributes:
        requests: Data requests, pages among them.
        bytes: Bytes received.
        wait: Seconds until the first byte.
        seconds: Seconds from there to the last byte, our own work on the rows included where that is what held it up.
        ended: When the last byte came (monotonic seconds).
    """

    requests: int
    bytes: int
    wait: float
    seconds: float
    ended: float
