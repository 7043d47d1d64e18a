"""Rows into their stored order, within bounded memory: held while it lasts, else spilled as runs.

Replies come contract by contract in any contract order, so nothing can be written before the last byte. A run is a part
of the reply that knows where the rows of each series (contract, mostly) are; groups of series are then taken from all
runs in turn. As long as series come in long stretches and in order within, which is how replies come, nothing is
sorted: stretches are put in order. Anything else is sorted, stably: rows that nothing tells apart keep the order in
which they arrived. A series of more rows than a group has, as ticks may be, is passed on in pieces, run after run.
"""

import errno
import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, BinaryIO, Final, NamedTuple, Protocol, Self

import numpy as np
import polars as pl
import pyarrow as pa

from spxdata.errors import DiskFull, StorageError
from spxdata.model import Unit
from spxdata.pipeline.edges import SortMemory
from spxdata.schema import DATASETS

#: Rows that leave at once, rounded up to whole series where these are small.
GROUP_ROWS: Final = 64 * 1024

_MEGABYTE: Final = 1024 * 1024
#: Bytes that one attempt holds before it spills them, however much memory is left: sorting takes twice as much again.
RUN_BYTES: Final = 32 * _MEGABYTE
#: Rows of a stretch, on average, from which on putting stretches in order is faster than sorting rows.
SHORTEST: Final = 16

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
    def time(self) -> tuple[str, ...]:
        """The columns that rows of one series are sorted by."""
        return self.columns[len(self.series) :]

    @property
    def is_total(self) -> bool:
        """Whether rows of one series have an order of their own, other than that in which they arrived."""
        return self.columns != self.series


class Stretch(NamedTuple):
    """Rows of one series that follow each other.

    Attributes:
        frame: Number of the frame in which they are.
        start: The first of them.
        rows: How many.
        first: What the first is sorted by within its series, as physical values; nothing where rows have no order.
        last: The same of the last.
    """

    frame: int
    start: int
    rows: int
    first: _Key
    last: _Key


#: By series, its stretches in the order in which they arrived, each in order and after the one before.
_Places = dict[_Key, list[Stretch]]


class _Run(Protocol):
    """A part of the reply."""

    places: _Places

    def take(self, keys: list[_Key]) -> Iterator[pl.DataFrame]: ...


class _HeldRun:
    """A run in memory, as it came, or sorted where that is not good enough."""

    def __init__(self, frames: list[pl.DataFrame], order: Order, shortest: int) -> None:
        self.frames = frames
        places = stretches(frames, order, shortest)
        if places is None:
            self.frames = [sorted_run(pl.concat(frames), order)]
            places = _series(self.frames[0], order)
        self.places = places

    def take(self, keys: list[_Key]) -> Iterator[pl.DataFrame]:
        """Yield the rows of series; what stands side by side comes at once."""
        number, start, rows = 0, 0, 0
        for stretch in itertools.chain.from_iterable(self.places.get(key, ()) for key in keys):
            if (number, start + rows) == stretch[:2]:
                rows += stretch.rows
                continue
            if rows:
                yield self.frames[number].slice(start, rows)
            number, start, rows = stretch[:3]
        if rows:
            yield self.frames[number].slice(start, rows)


class _SpilledRun:
    """A run in a nameless temporary file, in record batches of one series each: gone when the process is."""

    def __init__(self, held: _HeldRun, spill: Callable[[], BinaryIO]) -> None:
        self.places = held.places
        self._schema = held.frames[0].schema
        self._batches: dict[_Key, range] = {}
        self._file = spill()
        try:
            self._write(held)
            self._reader = pa.ipc.open_file(self._file)
        except BaseException:
            with suppress(OSError):  # closing writes what is left: it must not hide the cause
                self._file.close()
            raise

    def _write(self, held: _HeldRun) -> None:
        with pa.ipc.new_file(self._file, held.frames[0].head(0).to_arrow().schema) as writer:
            batches = 0
            for key in sorted(self.places):
                rows = pl.concat(held.take([key])).to_arrow()
                of_series = rows.combine_chunks().to_batches(max_chunksize=GROUP_ROWS)
                for batch in of_series:
                    writer.write_batch(batch)
                self._batches[key] = range(batches, batches + len(of_series))
                batches += len(of_series)

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
        run_bytes: Bytes that are held before they are spilled, however much memory is left; a quarter from then on.
        shortest: Rows of a stretch, on average, from which on rows are not sorted.
    """

    def __init__(
        self,
        order: Order,
        memory: SortMemory,
        spill: Callable[[], BinaryIO] = tempfile.TemporaryFile,
        run_bytes: int = RUN_BYTES,
        shortest: int = SHORTEST,
    ) -> None:
        self._order = order
        self._memory = memory
        self._spill = spill
        self._run_bytes = run_bytes
        self._shortest = shortest
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
        # A reply that does not fit goes to the disk whatever its runs are; shorter ones leave memory to the others.
        most = self._run_bytes // 4 if self._runs else self._run_bytes
        if self._claimed + size <= most and self._memory.claim(size):
            self._claimed += size
            self._pending.append(frame)
        else:
            held = _HeldRun([*self._pending, frame], self._order, self._shortest)
            try:
                self._runs.append(_SpilledRun(held, self._spill))
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
            self._runs.append(_HeldRun(self._pending, self._order, self._shortest))
            self._pending = []
        for keys, size in self._groups(rows):
            # of one run, what stands side by side is taken at once; of several, series by series
            at_once = [keys] if len(self._runs) == 1 else [[key] for key in keys]
            pieces = (piece for some in at_once for run in self._runs for piece in run.take(some))
            if len(keys) == 1 and not self._order.is_total and size > rows:
                yield from pieces  # in the order in which they arrived, which is the stored one
            else:
                group = pl.concat(pieces, rechunk=True)
                yield group if all(map(self._is_in_order, keys)) else sorted_run(group, self._order)

    def _is_in_order(self, key: _Key) -> bool:
        """Tell whether a series' rows are in order as its stretches follow each other, run after run."""
        found = [stretch for run in self._runs for stretch in run.places.get(key, ())]
        return all(before.last <= after.first for before, after in itertools.pairwise(found))

    def _groups(self, rows: int) -> Iterator[tuple[list[_Key], int]]:
        """Yield the series in order, as many at a time as have the rows wanted, and how many these are."""
        totals: dict[_Key, int] = {}
        for run in self._runs:
            for key, found in run.places.items():
                totals[key] = totals.get(key, 0) + sum(stretch.rows for stretch in found)
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


def stretches(frames: list[pl.DataFrame], order: Order, shortest: int = 1) -> _Places | None:
    """Return the stretches of each series' rows; None if rows of one are not in order within, or stretches too short.

    Args:
        frames: Rows as they came.
        order: The stored order.
        shortest: Rows that a stretch has on average, at least. Nothing is made of more stretches than that.
    """
    found = []
    for frame in frames:
        keys, times = ([frame[name].to_physical().to_numpy() for name in names] for names in (order.series, order.time))
        begins = np.zeros(frame.height, bool)
        begins[:1] = True
        for values in keys:
            begins[1:] |= values[1:] != values[:-1]
        if (_descents(times) & ~begins[1:]).any():
            return None
        found.append((keys, times, np.flatnonzero(begins)))
    if sum(len(starts) for _, _, starts in found) * shortest > sum(frame.height for frame in frames):
        return None
    places: _Places = {}
    for number, (keys, times, starts) in enumerate(found):
        ends = np.append(starts[1:], frames[number].height)[: len(starts)]
        key, first, last = (
            list(zip(*(values[at].tolist() for values in columns), strict=True)) if columns else [()] * len(starts)
            for columns, at in ((keys, starts), (times, starts), (times, ends - 1))
        )
        for row in zip(key, starts.tolist(), ends.tolist(), first, last, strict=True):
            series, start, end, *bounds = row
            places.setdefault(series, []).append(Stretch(number, start, end - start, *bounds))
    return places


def _descents(columns: list[np.ndarray[Any, Any]]) -> Any:  # noqa: ANN401 - an array of booleans, or one
    """Return which rows but the first are before the row before them, by the first column that differs."""
    is_before: Any = False
    for values in reversed(columns):
        is_before = (values[1:] < values[:-1]) | ((values[1:] == values[:-1]) & is_before)
    return is_before


def _series(frame: pl.DataFrame, order: Order) -> _Places:
    """Return the series of a sorted frame, each as one stretch."""
    found = stretches([frame], order)
    if found is None:
        raise AssertionError("Rows that were sorted are in order.")
    return found
