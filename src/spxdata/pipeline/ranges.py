"""Between which strikes and times a file's rows lie: what the catalog keeps, so that a reader need not look."""

from datetime import datetime, time
from typing import Any, TypeVar

import polars as pl

from spxdata.model import Unit
from spxdata.schema import DATASETS
from spxdata.sessions import NEW_YORK

_T = TypeVar("_T")


class RangeTaker:
    """Takes rows piece by piece, and knows the least and the greatest of what it was given.

    Args:
        unit: Whose rows they are.
    """

    def __init__(self, unit: Unit) -> None:
        dataset = DATASETS[unit.dataset]
        self._day = unit.trade_date
        self._time = dataset.time[0]
        self._has_strikes = "strike" in dataset.names
        self._strikes: list[float] = []
        self._moments: list[datetime] = []

    def update(self, frame: pl.DataFrame) -> None:
        """Take some rows."""
        if self._has_strikes:
            self._strikes = _ends(frame["strike"], self._strikes)
        if isinstance(frame.schema[self._time], pl.Datetime):
            self._moments = _ends(frame[self._time], self._moments)

    @property
    def strikes(self) -> tuple[float, float] | None:
        """The least and the greatest strike in dollars, None where rows have none."""
        return (self._strikes[0], self._strikes[-1]) if self._strikes else None

    @property
    def times(self) -> tuple[time, time] | None:
        """The first and the last time of the day, New York; None where rows are of another day, or of no time."""
        local = [moment.astimezone(NEW_YORK) for moment in self._moments]
        if not local or any(moment.date() != self._day for moment in local):
            return None
        return local[0].time(), local[-1].time()


def _ends(values: pl.Series, known: list[_T]) -> list[_T]:
    """Return values and those that are known, sorted, all between the ends left out."""
    found: list[Any] = sorted(value for value in (values.min(), values.max(), *known) if value is not None)
    return [found[0], found[-1]] if found else []
