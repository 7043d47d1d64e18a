"""Which points of which contract are there, taken from sorted rows piece by piece."""

import itertools
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

import numpy as np
import polars as pl

from spxdata.completeness import Presence, presence_step
from spxdata.model import Contract, Right, Unit
from spxdata.schema import DATASETS, TICK
from spxdata.sessions import NEW_YORK

_Numbers = np.ndarray[Any, np.dtype[Any]]
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
        since = pl.col(self._time) - pl.lit(self._midnight)
        point = frame.select(since.dt.total_milliseconds()).to_series().to_numpy()
        if self._ticks:  # a tick stands for its minute
            point = point // step * step
        follows = np.zeros(frame.height, bool)
        # a new stretch begins where a series does, and where the point is neither the next one nor a repeat
        follows[1:] = (point[1:] >= point[:-1]) & (point[1:] <= point[:-1] + step)
        for name in self._names:
            values = frame[name].to_physical().to_numpy()
            follows[1:] &= values[1:] == values[:-1]
        starts = np.flatnonzero(~follows)
        ends = np.append(starts[1:], frame.height)[: len(starts)] - 1
        asked = self._last_asks(frame, point, starts, ends)
        runs = zip(
            frame[starts].select(self._names).iter_rows() if self._names else itertools.repeat(()),
            point[starts].tolist(),
            point[ends].tolist(),
            asked,
            strict=False,
        )
        whole: dict[Contract | None, tuple[list[tuple[int, int]], float]] = {}
        for series, first, last, ask in runs:
            key = self._key(series)
            stretches, before = whole.get(key, ([], 0.0))
            whole[key] = ([*stretches, (first, last)], ask or before)
        for key, (stretches, last_ask) in whole.items():
            yield key, tuple(stretches), last_ask

    def _last_asks(self, frame: pl.DataFrame, point: _Numbers, starts: _Numbers, ends: _Numbers) -> list[float]:
        """Return each stretch's last ask above 0, up to the last required point; 0 if there is none."""
        if not self._asks or not frame.height:
            return [0.0] * len(starts)
        asks = frame["ask"].fill_null(0.0)
        is_asked = (asks > 0).to_numpy() & (point <= self._required_close)
        latest = np.maximum.accumulate(np.where(is_asked, np.arange(frame.height), -1))[ends]
        last_asks: list[float] = np.where(latest >= starts, asks.to_numpy()[latest], 0.0).tolist()
        return last_asks

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
