"""Cross-checks between datasets of an archive: figures with their normal range, flagged when they are unusual.

What one dataset says must agree with what another says of the same market: the bid and ask of greeks with the quotes,
the volume of trades with the day's report, open interest with the evening before, the forward that puts and calls
imply with the index. A figure is unusual outside its normal range, or far from what the archive's other days show.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

import polars as pl

from spxdata.flags import Flag
from spxdata.integrity.certificate import Figure
from spxdata.model import Day, Outcome, State
from spxdata.pipeline.read import frames
from spxdata.protocols import Catalog, Storage
from spxdata.sessions import previous_trading_day

#: Days of history from which an archive's own range is taken.
_ENOUGH: Final = 10
#: Median deviations from the archive's median beyond which a figure is unusual.
_FAR: Final = 8.0
_CONTRACT: Final = ("expiration", "strike", "right")
#: Strikes nearest to the money that the forward is taken from, of each expiration and minute.
_NEAREST: Final = 4


@dataclass(frozen=True, slots=True)
class Check:
    """One cross-check.

    Attributes:
        name: What the figure is called.
        dataset: Whose certificate it belongs to.
        peers: The other days it reads.
        low: Least value that is normal.
        high: Largest value that is normal.
        measure: From the rows of the day and of its peers to the value; None where there is nothing to compare.
        units: How many units of each day are read, nearest expirations first: minute by minute a few tell enough.
    """

    name: str
    dataset: str
    peers: Callable[[Day], tuple[Day, ...]]
    low: float
    high: float
    measure: Callable[..., float | None]
    units: int | None = None


def _quotes(day: Day) -> tuple[Day, ...]:
    return (day._replace(dataset="quote"),)


def _report(day: Day) -> tuple[Day, ...]:
    return (day._replace(dataset="eod", interval="1d"),)


def _evening_before(day: Day) -> tuple[Day, ...]:
    before = day._replace(trade_date=previous_trading_day(day.trade_date))
    return before, before._replace(dataset="eod")


def _same_quotes(greeks: pl.DataFrame, quotes: pl.DataFrame) -> float | None:
    """Return the share of greeks' rows whose bid and ask are the quote of that minute."""
    key = (*_CONTRACT, "timestamp")
    real = greeks.filter(pl.col("flags") & int(Flag.SENTINEL) == 0).select(*key, "bid", "ask")
    both = real.join(quotes.select(*key, bid_quoted="bid", ask_quoted="ask"), on=key)
    if both.is_empty():
        return None
    same = (pl.col("bid") == pl.col("bid_quoted")) & (pl.col("ask") == pl.col("ask_quoted"))
    return float(both.select(same.mean()).item())


def _forward(greeks: pl.DataFrame) -> float | None:
    """Return the median distance of the forward that put-call parity implies from the index, as a share of it.

    Near the money C - P = exp(-rT) (F - K); the discount is left out: within 60 days it moves K + C - P by less than
    the width of a quote there.
    """
    real = greeks.filter(
        (pl.col("flags") & int(Flag.SENTINEL) == 0) & (pl.col("bid") > 0) & (pl.col("underlying_price") > 0)
    ).with_columns(mid=(pl.col("bid") + pl.col("ask")) / 2)
    key = ("expiration", "strike", "timestamp")
    calls = real.filter(pl.col("right") == "CALL").select(*key, "underlying_price", call="mid")
    puts = real.filter(pl.col("right") == "PUT").select(*key, put="mid")
    pairs = calls.join(puts, on=key).with_columns(
        away=(pl.col("strike") - pl.col("underlying_price")).abs(),
        off=(pl.col("strike") + pl.col("call") - pl.col("put")) / pl.col("underlying_price") - 1,
    )
    near = pairs.filter(pl.col("away").rank("ordinal").over("expiration", "timestamp") <= _NEAREST)
    return None if near.is_empty() else float(near.select(pl.col("off").median()).item())


def _traded_volume(trades: pl.DataFrame, report: pl.DataFrame) -> float | None:
    """Return the volume of trades by that of the day's report, over the expirations that both have."""
    there = trades["expiration"].unique().implode()
    newest = report.filter((pl.col("flags") & int(Flag.SUPERSEDED) == 0) & pl.col("expiration").is_in(there)).select(
        pl.col("volume").sum()
    )
    reported = newest.item()
    return float(trades["size"].sum()) / float(reported) if reported else None


def _follows(interest: pl.DataFrame, before: pl.DataFrame, report: pl.DataFrame) -> float | None:
    """Return the share of contracts whose open interest moved by no more than was traded the day before."""
    volume = report.filter(pl.col("flags") & int(Flag.SUPERSEDED) == 0).select(*_CONTRACT, "volume")
    both = (
        interest.select(*_CONTRACT, "open_interest")
        .join(before.select(*_CONTRACT, earlier="open_interest"), on=_CONTRACT)
        .join(volume, on=_CONTRACT)
    )
    if both.is_empty():
        return None
    moved = (pl.col("open_interest") - pl.col("earlier")).abs()
    return float(both.select((moved <= pl.col("volume")).mean()).item())


#: Every cross-check; the ranges are wide enough for real days, whose late corrections and odd prints are many.
CHECKS: Final[tuple[Check, ...]] = (
    Check("bid_ask_as_quoted", "greeks", _quotes, 0.98, 1.0, _same_quotes, units=2),
    Check("parity_forward", "greeks", lambda _: (), -0.01, 0.02, _forward, units=2),
    Check("volume_as_reported", "trade", _report, 0.95, 1.05, _traded_volume),
    Check("open_interest_follows_volume", "open_interest", _evening_before, 0.95, 1.0, _follows),
)


def peers(day: Day) -> tuple[Day, ...]:
    """Return the other days that a day's cross-checks read."""
    return tuple(peer for check in CHECKS if check.dataset == day.dataset for peer in check.peers(day))


def figures(day: Day, catalog: Catalog, storage: Storage, history: Mapping[str, Sequence[float]]) -> tuple[Figure, ...]:
    """Return the cross-checks of a day that can be made with what the archive holds.

    Args:
        day: The day.
        catalog: The archive's record.
        storage: The archive's files.
        history: Figures of the archive's other days, by name.

    Raises:
        ChecksumMismatch: A file cannot be read.
    """
    return tuple(_figures(day, catalog, storage, history))


def _figures(day: Day, catalog: Catalog, storage: Storage, history: Mapping[str, Sequence[float]]) -> Iterator[Figure]:
    rows: dict[tuple[Day, int | None], pl.DataFrame | None] = {}
    for check in CHECKS:
        if check.dataset != day.dataset:
            continue
        needed = [(one, check.units) for one in (day, *check.peers(day))]
        for one, units in needed:
            if (one, units) not in rows:
                rows[one, units] = _rows(catalog.outcomes(one)[:units], storage)
        found = [rows[one] for one in needed]
        value = check.measure(*found) if all(frame is not None for frame in found) else None
        if value is not None:
            unusual = not check.low <= value <= check.high or is_far(value, history.get(check.name, ()))
            yield Figure(check.name, value, check.low, check.high, unusual)


def is_far(value: float, history: Sequence[float]) -> bool:
    """Tell whether a value lies far outside an archive's history."""
    if len(history) < _ENOUGH:
        return False
    middle = median(history)
    spread = median(abs(one - middle) for one in history)
    return abs(value - middle) > max(_FAR * spread, 1e-3)


def _rows(outcomes: Sequence[Outcome], storage: Storage) -> pl.DataFrame | None:
    """Return all rows of a day's stored units; None if there are none."""
    paths = [o.artifact.path for o in outcomes if o.artifact and o.state is State.STORED]
    found = [frame for path in paths for frame in frames(storage, path)]
    return pl.concat(found) if found else None
