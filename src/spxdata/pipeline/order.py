"""Rows into their stored order, within bounded memory: held while it lasts, else spilled as sorted runs.

Replies come contract by contract in any contract order, so nothing can be written before the last byte. A run is a
stretch of the reply in stored order; groups of series (contracts, mostly) are then taken from all runs in turn. Sorting
is stable: rows that nothing tells apart keep the order in which they arrived. A series of more rows than a group has,
as ticks may be, is passed on in pieces, run after run.
"""

import errno
import itertools
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, NamedTuple, Protocol, Self

import polars as pl
import pyarrow as pa

from spxdata.errors import DiskFull, StorageError
from spxdata.model import Unit
from spxdata.schema import DATASETS

#: Rows that leave at once, rounded up to whole series where these are small.
GROUP_ROWS: Final = 128 * 1024

_MEGABYTE: Final = 1024 * 1024
#: Bytes that one attempt holds before it spills them, however much memory is left: sorting takes twice as much again.
RUN_BYTES: Final = 64 * _MEGABYTE

#: What tells a series from the others of a unit, as physical values, so that they sort as the rows do.
_Key = tuple[Any, ...]


class Order(NamedTuple):
    """How rows are ordered: by their series, and within one by what else is sorted by.

    Attributes:
        series: Columns that tell series apart.
        columns: All columns that rows are sorted by, the series' first.
    """

    series: tuple[str, ...]
    columns: tuple[str, ...]

    @classmethod
    def of(cls, unit: Unit) -> "Order":
        """Return the stored order of a unit's rows."""
        dataset = DATASETS[unit.dataset]
        return cls(dataset.series, dataset.order_at(unit.interval))

    @property
    def is_total(self) -> bool:
        """Whether rows of one series have an order of their own, other than that in which they arrived."""
        return self.columns != self.series


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

    def take(self, keys: list[_Key]) -> Iterator[pl.DataFrame]: ...


class _HeldRun:
    """A run in memory."""

    def __init__(self, frame: pl.DataFrame, rows: dict[_Key, int]) -> None:
        self.rows = rows
        self._frame = frame
        self._starts = dict(zip(rows, itertools.accumulate(rows.values(), initial=0), strict=False))

    def take(self, keys: list[_Key]) -> Iterator[pl.DataFrame]:
        """Yield the rows of series that follow each other in sorted order."""
        mine = [key for key in keys if key in self.rows]
        if mine:
            yield self._frame.slice(self._starts[mine[0]], sum(self.rows[key] for key in mine))


class _SpilledRun:
    """A run in a nameless temporary file, in record batches of one series each: gone when the process is."""

    def __init__(self, frame: pl.DataFrame, rows: dict[_Key, int], spill: Callable[[], BinaryIO]) -> None:
        self.rows = rows
        self._schema = frame.schema
        self._batches: dict[_Key, range] = {}
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
            start = batches = 0
            for key, count in self.rows.items():
                of_series = table.slice(start, count).combine_chunks().to_batches(max_chunksize=GROUP_ROWS)
                for batch in of_series:
                    writer.write_batch(batch)
                self._batches[key] = range(batches, batches + len(of_series))
                start, batches = start + count, batches + len(of_series)

    def take(self, keys: list[_Key]) -> Iterator[pl.DataFrame]:
        """Yield the rows of some series, a batch at a time."""
        for key in keys:
            for number in self._batches.get(key, ()):
                frame = pl.from_arrow(pa.Table.from_batches([self._reader.get_batch(number)]))
                if isinstance(frame, pl.DataFrame):
                    yield frame.cast(self._schema)

    def close(self) -> None:
        """Give the file back."""
        with suppress(OSError):  # its bytes are not wanted any more
            self._file.close()


class Sorter:
    """Takes batches as they come, gives them back in stored order; a context manager that frees what it holds.

    Args:
        order: The stored order.
        memory: The budget shared by all attempts.
        spill: Opens a nameless temporary file.
        run_bytes: Bytes that are held before they are spilled, however much memory is left.
    """

    def __init__(
        self,
        order: Order,
        memory: SortMemory,
        spill: Callable[[], BinaryIO] = tempfile.TemporaryFile,
        run_bytes: int = RUN_BYTES,
    ) -> None:
        self._order = order
        self._memory = memory
        self._spill = spill
        self._run_bytes = run_bytes
        self._pending: list[pl.DataFrame] = []
        self._claimed = 0
        self._runs: list[_Run] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def add(self, frame: pl.DataFrame) -> None:
        """Take some rows, in the order in which they arrived."""
        size = int(frame.estimated_size())
        if self._claimed + size <= self._run_bytes and self._memory.claim(size):
            self._claimed += size
            self._pending.append(frame)
        else:
            run = sorted_run(pl.concat([*self._pending, frame]), self._order)
            try:
                self._runs.append(_SpilledRun(run, series_rows(run, self._order), self._spill))
            except OSError as error:
                kind = DiskFull if error.errno == errno.ENOSPC else StorageError
                raise kind(
                    f"{tempfile.gettempdir()}: {error.strerror or error}",
                    hint="Rows that do not fit in memory are sorted there: free some space, or name another folder "
                    "with TMPDIR.",
                ) from error
            self._let_go()

    def clear(self) -> None:
        """Forget all rows taken so far."""
        for run in self._runs:
            if isinstance(run, _SpilledRun):
                run.close()
        self._runs = []
        self._let_go()

    def held(self) -> Iterator[pl.DataFrame]:
        """Yield what is held in memory, in the order in which it arrived: for quarantine."""
        yield from self._pending

    def groups(self, rows: int = GROUP_ROWS) -> Iterator[pl.DataFrame]:
        """Yield all rows in stored order; where rows have a key, whole series at a time."""
        if self._pending:
            run = sorted_run(pl.concat(self._pending), self._order)
            self._pending = []
            self._runs.append(_HeldRun(run, series_rows(run, self._order)))
        for keys, size in self._groups(rows):
            pieces = (piece for run in self._runs for piece in run.take(keys))
            if len(keys) == 1 and not self._order.is_total and size > rows:
                yield from pieces  # in the order in which they arrived, which is the stored one
            else:
                found = list(pieces)
                yield found[0] if len(found) == 1 else sorted_run(pl.concat(found), self._order)

    def _groups(self, rows: int) -> Iterator[tuple[list[_Key], int]]:
        """Yield the series in order, as many at a time as have the rows wanted, and how many these are."""
        totals: dict[_Key, int] = {}
        for run in self._runs:
            for key, count in run.rows.items():
                totals[key] = totals.get(key, 0) + count
        group: list[_Key] = []
        size = 0
        for key in sorted(totals):
            if group and totals[key] > rows and not self._order.is_total:  # a large one by itself
                yield group, size
                group, size = [], 0
            group.append(key)
            size += totals[key]
            if size >= rows:
                yield group, size
                group, size = [], 0
        if group:
            yield group, size

    def _let_go(self) -> None:
        self._pending = []
        self._memory.release(self._claimed)
        self._claimed = 0


def sorted_run(frame: pl.DataFrame, order: Order) -> pl.DataFrame:
    """Return rows stably sorted."""
    return frame.sort(order.columns, maintain_order=True) if order.columns else frame


def series_rows(frame: pl.DataFrame, order: Order) -> dict[_Key, int]:
    """Return how many rows each series of a sorted frame has, in its order."""
    if not order.series:
        return {(): frame.height}
    physical = (pl.col(name).to_physical().alias(name) for name in order.series)
    counts = frame.group_by(physical, maintain_order=True).len()
    return {tuple(key): count for *key, count in counts.iter_rows()}
