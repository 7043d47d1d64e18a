"""Cross-checks between datasets of an archive: figures with their normal range, flagged when they are unusual.

What one dataset says must agree with what another says of the same market: the bid and ask of greeks with the quotes,
the volume of trades with the day's report, open interest with the evening before, the forward that puts and calls
imply with the index. A figure is unusual outside its normal range, or far from what the archive's other days show.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from math import inf, isfinite
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

from spxdata.certificate import Figure
from spxdata.errors import ChecksumMismatch
from spxdata.flags import Flag
from spxdata.model import Day
from spxdata.protocols import Catalog, Storage
from spxdata.schema import CHAIN_STEP_MS, STEP_MS
from spxdata.sessions import FIRST_DAY, previous_trading_day

if TYPE_CHECKING:  # else loaded where rows are read: most certificates are as good as they were
    import polars as pl

#: Days of history from which an archive's own range is taken.
_ENOUGH: Final = 10
#: Median deviations from the archive's median beyond which a figure is unusual.
_FAR: Final = 8.0
#: Distance from the median up to which nothing is unusual, however much alike the archive's days are.
_NEAR: Final = 1e-3
_CONTRACT: Final = ("expiration", "strike", "right")
_MINUTE: Final = (*_CONTRACT, "timestamp")
#: Strikes nearest to the money that the forward is taken from, of each expiration and minute.
_NEAREST: Final = 4


@dataclass(frozen=True, slots=True)
class Check:
    """One cross-check.

    Attributes:
        name: What the figure is called.
        what: What it is, in words.
        dataset: Whose certificate it belongs to.
        low: Least value that is normal.
        high: Largest value that is normal.
        measure: From the rows of the day and of its peers to the value; None where there is nothing to compare.
        columns: The columns that are read of the day, then of each peer.
        peers: The other days it reads; fewer than there are columns for where the table of sessions begins.
        units: How many units of the day are read, nearest expirations first, and the same of its peers: minute by
            minute a few tell enough. All for None.
    """

    name: str
    what: str
    dataset: str
    low: float
    high: float
    measure: Callable[..., float | None]
    columns: tuple[tuple[str, ...], ...]
    peers: Callable[[Day], tuple[Day, ...]] = lambda _: ()
    units: int | None = None


def _quotes(day: Day) -> tuple[Day, ...]:
    return (day._replace(dataset="quote"),)


def _report(day: Day) -> tuple[Day, ...]:
    return (day._replace(dataset="eod", interval="1d"),)


def _evening_before(day: Day) -> tuple[Day, ...]:
    if day.trade_date <= FIRST_DAY:
        return ()
    before = day._replace(trade_date=previous_trading_day(day.trade_date))
    return before, before._replace(dataset="eod")


def _same_quotes(greeks: "pl.DataFrame", quotes: "pl.DataFrame") -> float | None:
    """Return the share of greeks' rows whose bid and ask are the quote of that minute."""
    import polars as pl

    real = greeks.filter(pl.col("flags") & int(Flag.SENTINEL) == 0).select(*_MINUTE, "bid", "ask")
    both = real.join(quotes.select(*_MINUTE, bid_quoted="bid", ask_quoted="ask"), on=_MINUTE)
    if both.is_empty():
        return None
    same = (pl.col("bid") == pl.col("bid_quoted")) & (pl.col("ask") == pl.col("ask_quoted"))
    return float(both.select(same.mean()).item())


def _forward(greeks: "pl.DataFrame") -> float | None:
    """Return the median distance of the forward that put-call parity implies from the index, as a share of it.

    Near the money C - P = exp(-rT) (F - K); the discount is left out: within 60 days it moves K + C - P by less than
    the width of a quote there.
    """
    import polars as pl

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


def _newest(report: "pl.DataFrame") -> "pl.DataFrame":
    """Return one row a contract of a report that may have come twice."""
    import polars as pl

    return report.filter(pl.col("flags") & int(Flag.SUPERSEDED | Flag.REPEATED) == 0)


def _traded_volume(trades: "pl.DataFrame", report: "pl.DataFrame") -> float | None:
    """Return the volume of trades by that of the day's report, over the expirations that both have."""
    reported = _newest(report).join(trades.select("expiration").unique(), on="expiration")["volume"].sum()
    traded = trades.join(report.select("expiration").unique(), on="expiration")["size"].sum()
    return float(traded) / float(reported) if reported else None


def _follows(interest: "pl.DataFrame", before: "pl.DataFrame", report: "pl.DataFrame") -> float | None:
    """Return the share of contracts whose open interest moved by no more than was traded the day before."""
    import polars as pl

    volume = _newest(report).select(*_CONTRACT, "volume")
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
CHECKS: Final[Mapping[str, Check]] = {
    check.name: check
    for check in (
        Check(
            "bid_ask_as_quoted",
            "share of the greeks' rows whose bid and ask are those of the quotes",
            "greeks",
            *(0.98, 1.0),
            _same_quotes,
            columns=((*_MINUTE, "bid", "ask", "flags"), (*_MINUTE, "bid", "ask")),
            peers=_quotes,
            units=2,
        ),
        Check(
            "parity_forward",
            "forward that puts and calls imply, by the index, less 1",
            "greeks",
            *(-0.01, 0.02),
            _forward,
            columns=((*_MINUTE, "bid", "ask", "underlying_price", "flags"),),
            units=2,
        ),
        Check(
            "volume_as_reported",
            "volume of the trades by that of the end-of-day report",
            "trade",
            *(0.95, 1.05),
            _traded_volume,
            columns=(("expiration", "size"), ("expiration", "volume", "flags")),
            peers=_report,
        ),
        Check(
            "open_interest_follows_volume",
            "share of the contracts whose open interest moved by no more than was traded",
            "open_interest",
            *(0.95, 1.0),
            _follows,
            columns=((*_CONTRACT, "open_interest"), (*_CONTRACT, "open_interest"), (*_CONTRACT, "volume", "flags")),
            peers=_evening_before,
        ),
    )
}


def checks_of(day: Day) -> Iterator[tuple[Check, tuple[Day, ...]]]:
    """Yield the cross-checks that can be made of a day, with the other days that they read."""
    for check in CHECKS.values():
        if check.dataset != day.dataset or (check.units and STEP_MS.get(day.interval, 0) < CHAIN_STEP_MS):
            continue  # more often than every minute a single unit is more than fits into memory
        others = check.peers(day)
        if len(others) == len(check.columns) - 1:
            yield check, others


def peers(day: Day) -> tuple[Day, ...]:
    """Return the other days that a day's cross-checks read."""
    return tuple(dict.fromkeys(peer for _, others in checks_of(day) for peer in others))


def figures(day: Day, catalog: Catalog, storage: Storage) -> tuple[Figure, ...]:
    """Return the cross-checks of a day that can be made with what the archive holds, held against normal ranges.

    Args:
        day: The day; its units are whole.
        catalog: The archive's record.
        storage: The archive's files.
    """
    return tuple(_figures(day, catalog, storage))


class Usual(NamedTuple):
    """What an archive's days show: the middle of a figure, and how far from it nothing is unusual."""

    middle: float
    far: float

    @classmethod
    def of(cls, history: Sequence[float]) -> "Usual":
        """Return what a history shows; a short one shows nothing."""
        if len(history) < _ENOUGH:
            return cls(0.0, inf)
        middle = median(history)
        spread = median(abs(one - middle) for one in history)
        return cls(middle, max(_FAR * spread, _NEAR))

    def judged(self, figure: Figure) -> Figure:
        """Return a figure held against its normal range and against these."""
        outside = not figure.low <= figure.value <= figure.high
        unusual = outside or self.is_far(figure.value)
        return figure if unusual == figure.unusual else replace(figure, unusual=unusual)

    def is_far(self, value: float) -> bool:
        """Tell whether a value lies far outside."""
        return abs(value - self.middle) > self.far


def judged(figure: Figure, history: Sequence[float]) -> Figure:
    """Return a figure held against its normal range and against what an archive's days show.

    Args:
        figure: The figure.
        history: All of that archive, itself included.
    """
    return Usual.of(history).judged(figure)


def is_far(value: float, history: Sequence[float]) -> bool:
    """Tell whether a value lies far outside an archive's history."""
    return Usual.of(history).is_far(value)


def _figures(day: Day, catalog: Catalog, storage: Storage) -> Iterator[Figure]:
    for check, others in checks_of(day):
        own = _stored(catalog, day)
        nearest = sorted(own, key=lambda expiration: expiration or date.min)[: check.units]
        files = [[own[expiration] for expiration in nearest]]
        for peer in others:
            theirs = _stored(catalog, peer)
            wanted = nearest if check.units else theirs
            files.append([theirs[expiration] for expiration in wanted if expiration in theirs])
        read = [_rows(paths, storage, columns) for paths, columns in zip(files, check.columns, strict=True)]
        found = [rows for rows in read if rows is not None]
        value = check.measure(*found) if len(found) == len(read) else None
        if value is not None and isfinite(value):
            yield judged(Figure(check.name, value, check.low, check.high, unusual=False), ())


def _stored(catalog: Catalog, day: Day) -> dict[date | None, str]:
    """Return the paths of a day's files by their expirations."""
    return {outcome.unit.expiration: outcome.artifact.path for outcome in catalog.outcomes(day) if outcome.artifact}


def _rows(paths: Sequence[str], storage: Storage, columns: Collection[str]) -> "pl.DataFrame | None":
    """Return some columns of all rows of a day's stored units.

    Returns:
        None if there are none, or a file is not there or damaged: then its own day's certificate says so.
    """
    if not paths:
        return None
    import polars as pl

    from spxdata.pipeline.read import frames

    try:
        found = [frame.select(columns) for path in paths for frame in frames(storage, path, columns)]
    except (OSError, ChecksumMismatch):
        return None
    return pl.concat(found) if found else None
