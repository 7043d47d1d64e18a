"""Which points of which contract are there, taken from sorted rows piece by piece."""

from collections.abc import Iterator
from datetime import date, datetime, time

import polars as pl

from spxdata.completeness import Presence, presence_step
from spxdata.model import Contract, Right, Unit
from spxdata.schema import DATASETS, TICK
from spxdata.sessions import NEW_YORK

_Runs = tuple[tuple[int, int], ...]
_CONTRACT = ("expiration", "strike", "right")


class PresenceTaker:
    """Takes rows in stored order, piece by piece, and gives each contract's stretches of points.

    Args:
        unit: Whose rows they are.
        required_close: Last required millisecond of the day: the last ask is taken up to there.
    """

    def __init__(self, unit: Unit, required_close: int) -> None:
        dataset = DATASETS[unit.dataset]
        self._names = tuple(name for name in _CONTRACT if name in dataset.names)
        self._time = dataset.time[0]
        self._step = presence_step(unit)
        self._ticks = unit.interval == TICK
        self._asks = "ask" in dataset.names
        self._midnight = datetime.combine(unit.trade_date, time(), NEW_YORK)
        self._required_close = required_close
        self.present: dict[Contract | None, Presence] = {}
        #: The columns that are looked at.
        self.columns = {*self._names, self._time, *(("ask",) if self._asks else ())}

    def update(self, frame: pl.DataFrame) -> None:
        """Take some rows."""
        if self._step is None:
            for key in self._series(frame):
                self.present.setdefault(key, Presence())
            return
        for key, runs_here, ask in self._stretches(frame, self._step):
            before = self.present.get(key)
            if before is None:
                self.present[key] = Presence(runs_here, ask)
            else:  # a series that goes on from the rows taken last
                joined = self._joined(before.runs, runs_here, self._step)
                self.present[key] = Presence(joined, ask or before.last_ask)

    def _series(self, frame: pl.DataFrame) -> Iterator[Contract | None]:
        """Yield the contracts of some rows, or None for rows that have none."""
        if not self._names:
            yield from [None] if frame.height else []
            return
        for values in frame.select(self._names).unique(maintain_order=True).iter_rows():
            yield self._key(values)

    def _stretches(self, frame: pl.DataFrame, step: int) -> Iterator[tuple[Contract | None, _Runs, float]]:
        """Yield each series' stretches within some rows, and its last ask."""
        point = (pl.col(self._time) - pl.lit(self._midnight)).dt.total_milliseconds().alias("point")
        if self._ticks:  # a tick stands for its minute
            point = point // step * step
        ask = pl.col("ask") if self._asks else pl.lit(0.0).alias("ask")
        rows = frame.lazy().select(*self._names, point, ask)
        # a new stretch begins where a series does, and where the point is neither the next one nor a repeat
        follows = pl.col("point").diff()
        follows = follows.over(self._names) if self._names else follows
        begins = follows.is_between(0, step).fill_null(value=False).not_()
        first_of = [pl.col(name).first() for name in self._names]
        worth = pl.col("ask").filter((pl.col("ask") > 0) & (pl.col("point") <= self._required_close))
        runs = (
            rows.with_columns(run=begins.cum_sum())
            .group_by("run", maintain_order=True)
            .agg(
                *first_of,
                pl.col("point").first().alias("first"),
                pl.col("point").last().alias("last"),
                worth.last().alias("asked"),
            )
            .collect()
        )
        whole: dict[Contract | None, tuple[list[tuple[int, int]], float]] = {}
        for _, *values, first, last, asked in runs.iter_rows():
            key = self._key(tuple(values))
            stretches, before = whole.get(key, ([], 0.0))
            whole[key] = ([*stretches, (first, last)], asked or before)
        for key, (stretches, last_ask) in whole.items():
            yield key, tuple(stretches), last_ask

    def _key(self, values: tuple[object, ...]) -> Contract | None:
        match values:
            case (date() as expiration, float() as strike, str() as right):
                return Contract(expiration, strike, Right(right))
        return None

    def _joined(self, before: _Runs, after: _Runs, step: int) -> _Runs:
        """Return the stretches of two pieces, those that touch as one."""
        (first, last), (begin, end) = before[-1], after[0]
        if 0 <= begin - last <= step:
            return (*before[:-1], (first, end), *after[1:])
        return before + after
