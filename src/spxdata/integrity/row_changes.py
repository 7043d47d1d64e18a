"""What differs between two states of a unit's rows: rows added, removed, changed, and in which columns. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, Literal

import polars as pl

from spxdata.schema import Dataset, Rows

#: Differing rows that are shown as they are.
SHOWN: Final = 3

# Names of our own beside the vendor's columns.
_AT, _NTH, _NEW = " at", " nth", " new"

Cells = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Example:
    """A row that differs.

    Attributes:
        how: Whether it is new, gone, or has other values.
        key: The columns that name it.
        old: What was stored: of a changed row the changed columns, of a row that is gone all beside the key.
        new: What came now, in the same manner.
    """

    how: Literal["changed", "removed", "added"]
    key: Cells
    old: Cells = field(default_factory=dict)
    new: Cells = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RowChanges:
    """How two states of a unit's rows differ.

    Attributes:
        added: Rows that only the new state has.
        removed: Rows that only the old state has.
        changed: Rows that both have, with other values.
        columns: In how many changed rows each column differs.
        reordered: Whether rows come in another order than before.
        examples: The first differing rows.
    """

    added: int = 0
    removed: int = 0
    changed: int = 0
    columns: Mapping[str, int] = field(default_factory=dict)
    reordered: bool = False
    examples: tuple[Example, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether there is any difference."""
        return bool(self.added or self.removed or self.changed or self.reordered)


def row_changes(
    old: Iterable[pl.DataFrame],
    new: Iterable[pl.DataFrame],
    dataset: Dataset,
    interval: str,
    columns: Sequence[str] | None = None,
) -> RowChanges:
    """Compare two states of a unit's rows, holding a few series of each at a time.

    Rows that both states have are matched first, however often they come; of the rest, rows of the same contract and
    time are one row with other values. Reports on a day are told apart by contract alone: their time is a value.

    Args:
        old: Rows in stored order, in canonical types.
        new: Rows likewise.
        dataset: Whose rows.
        interval: At which interval.
        columns: The vendor's columns to compare; all when left out.
    """
    names = [name for name in dataset.names if columns is None or name in columns]
    rows = dataset.rows_at(interval)
    by_time = rows is not Rows.DAILY or not dataset.series
    key = list(dataset.series + dataset.time if by_time else dataset.series)
    seen = _Seen(names, key)
    for before, after in _aligned(_canonical(old, names), _canonical(new, names), dataset.series):
        seen.take(before, after)
    return seen.changes()


def with_values(frames: Iterable[pl.DataFrame], dataset: Dataset) -> tuple[str, ...]:
    """Return the vendor's columns that have a value in any row: an older version of the columns may lack some."""
    found: set[str] = set()
    for frame in frames:
        found |= {name for name in dataset.names if frame[name].null_count() < frame.height}
    return tuple(name for name in dataset.names if name in found)


class _Seen:
    """What has been found so far.

    Args:
        names: The columns that are compared.
        key: Those that name a row.
    """

    def __init__(self, names: list[str], key: list[str]) -> None:
        self._names = names
        self._key = key
        self._values = [name for name in names if name not in key]
        self._counts: Counter[str] = Counter()
        self._columns: Counter[str] = Counter()
        self._examples: list[Example] = []
        self._reordered = False

    def take(self, old: pl.DataFrame, new: pl.DataFrame) -> None:
        """Compare all rows of some series."""
        if old.equals(new):
            return
        before, after = self._numbered(old, self._names), self._numbered(new, self._names)
        gone, come = _without(before, after, [*self._names, _NTH]), _without(after, before, [*self._names, _NTH])
        if gone.is_empty() and come.is_empty():
            self._reordered = True
            return
        gone, come = (self._numbered(part.drop(_AT, _NTH), self._key) for part in (gone, come))
        pair = [*self._key, _NTH]
        changed = gone.join(come, on=pair, how="inner", suffix=_NEW, nulls_equal=True, maintain_order="left")
        removed, added = _without(gone, come, pair), _without(come, gone, pair)
        self._counts.update(changed=changed.height, removed=removed.height, added=added.height)
        for name in self._values:
            count = int(changed.select(pl.col(name).ne_missing(pl.col(name + _NEW)).sum()).item())
            if count:
                self._columns[name] += count
        self._show(changed, removed, added)

    def changes(self) -> RowChanges:
        """Return what was found."""
        ordered = {name: self._columns[name] for name in self._values if self._columns[name]}
        counts = self._counts
        return RowChanges(
            counts["added"],
            counts["removed"],
            counts["changed"],
            ordered,
            self._reordered,
            tuple(self._examples),
        )

    def _numbered(self, frame: pl.DataFrame, of: list[str]) -> pl.DataFrame:
        """Return rows with their place, and which one it is of those that have the same in some columns."""
        nth = pl.int_range(pl.len()).over(of) if of else pl.int_range(pl.len())
        return frame.with_row_index(_AT).with_columns(nth.alias(_NTH))

    def _show(self, changed: pl.DataFrame, removed: pl.DataFrame, added: pl.DataFrame) -> None:
        """Add to the examples, in the order of keys: how rows came to be compared together must not matter."""
        found: list[tuple[tuple[Any, ...], Example]] = []
        for how, frame in (("changed", changed), ("removed", removed), ("added", added)):
            for row in frame.head(SHOWN).iter_rows(named=True):
                key = tuple(row[name] for name in self._key)
                found.append((key, self._example(how, row)))  # type: ignore[arg-type]  # a loop over literals
        found.sort(key=lambda one: one[0])
        self._examples += [example for _, example in found[: SHOWN - len(self._examples)]]

    def _example(self, how: Literal["changed", "removed", "added"], row: Cells) -> Example:
        key = {name: _cell(row[name]) for name in self._key}
        old = {name: _cell(row[name]) for name in self._values}
        if how == "removed":
            return Example(how, key, old=old)
        if how == "added":
            return Example(how, key, new=old)
        new = {name: _cell(row[name + _NEW]) for name in self._values}
        other = [name for name in self._values if old[name] != new[name]]
        return Example(how, key, {name: old[name] for name in other}, {name: new[name] for name in other})


def _without(frame: pl.DataFrame, other: pl.DataFrame, on: list[str]) -> pl.DataFrame:
    """Return the rows that have no equal in another frame, in their order."""
    return frame.join(other, on=on, how="anti", nulls_equal=True).sort(_AT)


def _cell(value: object) -> object:
    """Return a value as JSON can have it: days and moments as ISO text, what is no finite number as a word."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value.isoformat() if isinstance(value, date | datetime) else value


def _canonical(frames: Iterable[pl.DataFrame], names: list[str]) -> Iterator[pl.DataFrame]:
    """Yield the columns to compare, where minus zero is zero and every text is a text."""
    for frame in frames:
        yield frame.select(
            pl.when(pl.col(name) == 0).then(0.0).otherwise(pl.col(name)).alias(name)
            if frame.schema[name].is_float()
            else pl.col(name).cast(pl.String)
            if isinstance(frame.schema[name], pl.Enum | pl.Categorical)
            else pl.col(name)
            for name in names
        )


class _Side:
    """One state's rows, of which some are held.

    Args:
        frames: The rows, sorted by series.
        series: The columns that tell series apart.
    """

    def __init__(self, frames: Iterator[pl.DataFrame], series: tuple[str, ...]) -> None:
        self._frames = frames
        self._series = list(series)
        self.held = pl.DataFrame()
        self.ended = False

    def grow(self) -> None:
        """Hold more rows."""
        more = next(self._frames, None)
        if more is None:
            self.ended = True
        else:
            self.held = pl.concat([self.held, more]) if self.held.height else more

    def last(self) -> tuple[Any, ...]:
        """Return the last series that is held; there may be more of it to come."""
        return self.held.tail(1).select(self._series).row(0) if self._series else ()

    def take(self, bound: tuple[Any, ...] | None) -> pl.DataFrame:
        """Let go of the rows of all series before one, of all rows for None."""
        if bound is None or not self.held.width:
            taken, self.held = self.held, self.held.clear()
            return taken
        earlier = self.held.select(_before(self._series, bound)).to_series()
        taken, self.held = self.held.filter(earlier), self.held.filter(~earlier)
        return taken


def _aligned(
    old: Iterator[pl.DataFrame], new: Iterator[pl.DataFrame], series: tuple[str, ...]
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Yield rows of both states, a few whole series at a time."""
    sides = _Side(old, series), _Side(new, series)
    while True:
        for side in sides:
            while side.held.is_empty() and not side.ended:
                side.grow()
        open_ends = [side.last() for side in sides if not side.ended]
        bound = min(open_ends) if open_ends else None
        before, after = (side.take(bound) for side in sides)
        if before.height or after.height:
            yield _shaped(before, after), _shaped(after, before)
        elif bound is None:
            return
        else:  # all that is held is of one series
            for side in sides:
                if not side.ended and side.last() == bound:
                    side.grow()


def _shaped(frame: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Return a frame, one of the other's columns if it never had any."""
    return frame if frame.width else other.clear()


def _before(columns: list[str], bound: tuple[Any, ...]) -> pl.Expr:
    """Return the expression of rows whose columns are less than some values, the first column counting most."""
    found, equal = pl.lit(value=False), pl.lit(value=True)
    for name, value in zip(columns, bound, strict=True):
        found |= equal & (pl.col(name) < value)
        equal &= pl.col(name) == value
    return found
