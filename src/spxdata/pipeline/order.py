"""Rows into their stored order, within bounded memory: held while it lasts, else spilled as sorted runs.

Replies come contract by contract in any contract order, so nothing can be written before the last byte. A run is a
stretch of the reply sorted by the dataset's key; groups of contracts are then taken from all runs in turn. Sorting is
stable: rows of equal key keep the order in which they arrived.
"""

import errno
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple, Protocol, Self

import polars as pl
import pyarrow as pa

from spxdata.errors import DiskFull, StorageError

#: Rows that leave at once, rounded up to whole contracts.
GROUP_ROWS = 128 * 1024

_MEGABYTE = 1024 * 1024


class _Key(NamedTuple):
    """What keeps a contract's rows together: strike, and the physical order of the right."""

    strike: float
    right: int


@dataclass(slots=True)
class SortMemory:
    """The bytes that all attempts of a process may hold for sorting, together."""

    limit: int = 256 * _MEGABYTE
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


class _Run(Protocol):
    """A sorted stretch of the reply."""

    rows: dict[_Key, int]

    def take(self, keys: list[_Key]) -> pl.DataFrame | None: ...


class _HeldRun:
    """A run in memory."""

    def __init__(self, frame: pl.DataFrame, rows: dict[_Key, int]) -> None:
        self.rows = rows
        self._frame = frame
        self._starts: dict[_Key, int] = {}
        start = 0
        for key, count in rows.items():
            self._starts[key] = start
            start += count

    def take(self, keys: list[_Key]) -> pl.DataFrame | None:
        """Return the rows of contracts that follow each other in sorted order."""
        mine = [key for key in keys if key in self.rows]
        if not mine:
            return None
        return self._frame.slice(self._starts[mine[0]], sum(self.rows[key] for key in mine))


class _SpilledRun:
    """A run in a nameless temporary file, one record batch a contract: gone when the process is."""

    def __init__(self, frame: pl.DataFrame, rows: dict[_Key, int], spill: Callable[[], BinaryIO]) -> None:
        self.rows = rows
        self._schema = frame.schema
        self._index = {key: number for number, key in enumerate(rows)}
        self._file = spill()
        try:
            self._write(frame.to_arrow())
            self._reader = pa.ipc.open_file(self._file)
        except BaseException:
            with suppress(OSError):  # closing writes what is left: it must not hide the cause
                self._file.close()
            raise

    def _write(self, table: pa.Table) -> None:
        with pa.ipc.new_file(self._file, table.schema) as writer:
            start = 0
            for count in self.rows.values():
                writer.write_table(table.slice(start, count), max_chunksize=count)
                start += count

    def take(self, keys: list[_Key]) -> pl.DataFrame | None:
        """Return the rows of some contracts."""
        batches = [self._reader.get_batch(self._index[key]) for key in keys if key in self._index]
        if not batches:
            return None
        frame = pl.from_arrow(pa.Table.from_batches(batches))
        return frame.cast(self._schema) if isinstance(frame, pl.DataFrame) else None

    def close(self) -> None:
        """Give the file back."""
        with suppress(OSError):  # its bytes are not wanted any more
            self._file.close()


class Sorter:
    """Takes batches as they come, gives them back in stored order; a context manager that frees what it holds.

    Args:
        key: The dataset's key: strike, right, then time.
        memory: The budget shared by all attempts.
        spill: Opens a nameless temporary file.
    """

    def __init__(
        self, key: tuple[str, ...], memory: SortMemory, spill: Callable[[], BinaryIO] = tempfile.TemporaryFile
    ) -> None:
        self._key = key
        self._memory = memory
        self._spill = spill
        self._pending: list[pl.DataFrame] = []
        self._claimed = 0
        self._runs: list[_Run] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for run in self._runs:
            if isinstance(run, _SpilledRun):
                run.close()
        self._runs = []
        self._let_go()

    def add(self, frame: pl.DataFrame) -> None:
        """Take some rows, in the order in which they arrived."""
        size = int(frame.estimated_size())
        if self._memory.claim(size):
            self._claimed += size
            self._pending.append(frame)
        else:
            run = sorted_run(pl.concat([*self._pending, frame]), self._key)
            try:
                self._runs.append(_SpilledRun(run, contract_rows(run), self._spill))
            except OSError as error:
                kind = DiskFull if error.errno == errno.ENOSPC else StorageError
                raise kind(
                    f"{tempfile.gettempdir()}: {error.strerror or error}",
                    hint="Rows that do not fit in memory are sorted there: free some space, or name another folder "
                    "with TMPDIR.",
                ) from error
            self._let_go()

    def held(self) -> Iterator[pl.DataFrame]:
        """Yield what is held in memory, in the order in which it arrived: for quarantine."""
        yield from self._pending

    def groups(self, rows: int = GROUP_ROWS) -> Iterator[pl.DataFrame]:
        """Yield all rows in stored order, whole contracts at a time; borders depend on the rows alone."""
        if self._pending:
            run = sorted_run(pl.concat(self._pending), self._key)
            self._pending = []
            self._runs.append(_HeldRun(run, contract_rows(run)))
        for keys in self._groups(rows):
            pieces = [piece for run in self._runs if (piece := run.take(keys)) is not None]
            yield pieces[0] if len(pieces) == 1 else sorted_run(pl.concat(pieces), self._key)

    def _groups(self, rows: int) -> Iterator[list[_Key]]:
        """Yield the contracts in order, as many at a time as have the rows wanted."""
        totals: dict[_Key, int] = {}
        for run in self._runs:
            for key, count in run.rows.items():
                totals[key] = totals.get(key, 0) + count
        group: list[_Key] = []
        size = 0
        for key in sorted(totals):
            group.append(key)
            size += totals[key]
            if size >= rows:
                yield group
                group, size = [], 0
        if group:
            yield group

    def _let_go(self) -> None:
        self._pending = []
        self._memory.release(self._claimed)
        self._claimed = 0


def sorted_run(frame: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    """Return rows stably sorted by their key."""
    return frame.sort(key, maintain_order=True)


def contract_rows(frame: pl.DataFrame) -> dict[_Key, int]:
    """Return how many rows each contract of a sorted frame has, in its order."""
    counts = frame.group_by("strike", pl.col("right").to_physical(), maintain_order=True).len()
    return {_Key(strike, right): count for strike, right, count in counts.iter_rows()}
