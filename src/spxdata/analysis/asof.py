"""What was known at a moment: of each contract the last row at or before it, never a later one."""

from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

import polars as pl

from spxdata.analysis.files import Shelf
from spxdata.analysis.wanted import wanted
from spxdata.schema import DATASETS, INDEX_OF, STEP_MS, TICK
from spxdata.sessions import FIRST_DAY, previous_trading_day, published

#: What names a contract within a root.
CONTRACT: Final = ("expiration", "strike", "right")
#: How old the newest interest rate may be: longer than any run of days without one.
_OF_LATE: Final = timedelta(days=14)


class Moment(NamedTuple):
    """What is asked: which contracts, and when.

    Attributes:
        at: The moment, aware, New York.
        root: The option root.
        choice: Further arguments of `wanted.wanted` that choose contracts.
    """

    at: datetime
    root: str
    choice: dict[str, object]

    @property
    def day(self) -> date:
        """The trade date."""
        return self.at.date()


def rows_until(shelf: Shelf, moment: Moment, dataset: str, *, flags: object = "clean") -> pl.LazyFrame | None:
    """Return a dataset's rows of the day that were there at the moment; None if the archive has none of the day.

    Of the intervals that the archive has, the finest counts. A bar is there when it is over: its time is its beginning.
    """
    for interval in shelf.intervals(dataset, moment.day, moment.day):
        asked = wanted(
            dataset,
            interval=interval,
            root=moment.root,
            start=moment.day,
            end=moment.day,
            flags=flags,  # type: ignore[arg-type]  # handed on as it came
            **moment.choice,  # type: ignore[arg-type]  # likewise
        )
        if shelf.holding(asked):
            time = pl.col(asked.dataset.time[0])
            return shelf.scan(asked).filter(time <= moment.at - _length(dataset, interval))
    return None


def last_rows(rows: pl.LazyFrame, dataset: str) -> pl.LazyFrame:
    """Return of each contract the last row, ties in the order of the file."""
    time = DATASETS[dataset].time[0]
    series = [name for name in CONTRACT if name in DATASETS[dataset].names]
    ordered = rows.sort(time, maintain_order=True)
    return ordered.group_by(series, maintain_order=True).last() if series else ordered.last()


def _length(dataset: str, interval: str) -> timedelta:
    """Return how long after its time a row is known: a bar's length, nothing for what stands for a moment."""
    return timedelta(milliseconds=STEP_MS[interval]) if dataset == "ohlc" and interval != TICK else timedelta()


def open_interest(shelf: Shelf, moment: Moment) -> pl.DataFrame | None:
    """Return each contract's open interest as it was known: a day's is out at 06:45, and is the evening before's.

    None if the archive has neither that day's nor, before 06:45, the day before's.
    """
    day = moment.day
    if moment.at < published("open_interest", day):
        if day <= FIRST_DAY:
            return None
        day = previous_trading_day(day)
    asked = wanted("open_interest", root=moment.root, start=day, end=day, **moment.choice)  # type: ignore[arg-type]
    if not shelf.holding(asked):
        return None
    rows = shelf.scan(asked).select(*CONTRACT, "timestamp", "open_interest")
    return last_rows(rows, "open_interest").drop("timestamp").collect()


def index_price(shelf: Shelf, moment: Moment) -> float | None:
    """Return the index's price as it was known, None if the archive does not have it."""
    rows = rows_until(shelf, Moment(moment.at, INDEX_OF.get(moment.root, moment.root), {}), "index_price")
    found = last_rows(rows.filter(pl.col("price") > 0), "index_price").collect() if rows is not None else None
    return float(found["price"][0]) if found is not None and found.height else None


def rate(shelf: Shelf, moment: Moment) -> float | None:
    """Return the newest interest rate that was out, as a fraction; None if the archive has none of late.

    The rate of a day is out at 10:00 the day after.
    """
    asked = wanted("interest_rate", start=moment.day - _OF_LATE, end=moment.day)
    held = [
        file.unit.trade_date for file in shelf.holding(asked) if published("rate", file.unit.trade_date) <= moment.at
    ]
    if not held:
        return None
    newest = wanted("interest_rate", start=held[-1], end=held[-1])
    found = shelf.scan(newest).select("rate").collect()
    return float(found["rate"][-1]) / 100 if found.height else None
