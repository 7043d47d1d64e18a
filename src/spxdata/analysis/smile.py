"""Implied volatility across strikes and expirations at a moment: smile, term structure, surface, and their arbitrage.

Only options out of the money count, as everyone does: below the forward puts, from it on calls. Between what is
quoted, total variance (volatility squared times years) is interpolated: linearly in log-moneyness within an expiration,
and linearly in time between expirations at the same log-moneyness, which keeps a surface free of calendar arbitrage
wherever its expirations are. Nothing is extrapolated and no model is fitted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import polars as pl

from spxdata.analysis.normal import Floats
from spxdata.errors import ConfigError

#: What a smile may be drawn against: the column, and how it runs.
AXES: Final = ("strike", "log_moneyness", "delta")

#: Total variance by which a later expiration may lie below an earlier one: rounding of the vendor's volatilities.
_CALENDAR_PLAY: Final = 1e-6


def smile(chain: pl.DataFrame, forwards: pl.DataFrame, axis: str = "strike") -> pl.DataFrame:
    """Return the out-of-the-money half of each expiration of a chain.

    Args:
        chain: As `spxdata.analysis.chain.chain` gives it.
        forwards: As `spxdata.analysis.parity.forwards` gives them.
        axis: Column to sort by within an expiration: strike, log_moneyness or delta.

    Returns:
        expiration, years, forward, strike, right, log_moneyness (of the forward), delta, bid, ask, mid, implied_vol,
        total_variance, implied_vol_source.

    Raises:
        ConfigError: There is no such axis.
    """
    if axis not in AXES:
        raise ConfigError(f"axis: {axis!r} is none.", hint=f"One of: {', '.join(AXES)}.")
    is_out = (pl.col("strike") >= pl.col("forward")) == (pl.col("right") == "CALL")
    return (
        chain.join(forwards.select("expiration", "years", "forward"), on="expiration")
        .filter(is_out & (pl.col("implied_vol") > 0))
        .with_columns(
            (pl.col("strike") / pl.col("forward")).log().alias("log_moneyness"),
            (pl.col("implied_vol") ** 2 * pl.col("years")).alias("total_variance"),
        )
        .select(_SMILE)
        .sort("expiration", axis)
    )


_SMILE: Final = [
    "expiration",
    "years",
    "forward",
    "strike",
    "right",
    "log_moneyness",
    "delta",
    "bid",
    "ask",
    "mid",
    "implied_vol",
    "total_variance",
    "implied_vol_source",
]


def term_structure(smiles: pl.DataFrame) -> pl.DataFrame:
    """Return the volatility at the forward of each expiration.

    Returns:
        expiration, years, forward, implied_vol; expirations that are quoted on one side of the forward only are left
        out.
    """
    rows = []
    for (expiration, years, forward), one in smiles.group_by("expiration", "years", "forward", maintain_order=True):
        variance = _at(one, np.zeros(1))[0]
        rows.append((expiration, years, forward, float(np.sqrt(variance / years)) if years > 0 else None))
    found = pl.DataFrame(
        rows,
        schema={"expiration": pl.Date, "years": pl.Float64, "forward": pl.Float64, "implied_vol": pl.Float64},
        orient="row",
    )
    return found.filter(pl.col("implied_vol").is_not_nan())


@dataclass(frozen=True, slots=True)
class Surface:
    """Implied volatility on a regular grid, and where the quotes it comes from allow arbitrage.

    Attributes:
        grid: dte, years, log_moneyness, implied_vol, total_variance; null outside of what is quoted.
        calendar: Points at which a later expiration has less total variance than the one before: expiration,
            next_expiration, log_moneyness, amount (how much less).
        butterfly: Neighbouring strikes whose prices are not convex: expiration, right, strike, amount
            (dollars that buying the wings and selling the middle brings), executable (whether bids and asks allow it,
            not only mids).
    """

    grid: pl.DataFrame
    calendar: pl.DataFrame
    butterfly: pl.DataFrame

    @property
    def is_free_of_arbitrage(self) -> bool:
        """Whether no quotes allow one that can be executed, and no expirations cross."""
        return self.calendar.is_empty() and not self.butterfly["executable"].any()


def surface(
    smiles: pl.DataFrame, quotes: pl.DataFrame, day: date, log_moneyness: Sequence[float], dte: Sequence[int]
) -> Surface:
    """Return a surface on a regular grid.

    Args:
        smiles: As `smile` gives them.
        quotes: The chain they come from.
        day: The trade date.
        log_moneyness: The grid's points, ascending.
        dte: The grid's calendar days to expiration, ascending; all expirations' own when empty.
    """
    points = np.asarray(log_moneyness, dtype=float)
    parts = list(smiles.group_by("expiration", "years", maintain_order=True))
    expirations = [key[0] for key, _ in parts]
    years = np.array([key[1] for key, _ in parts], dtype=float)
    variance = np.array([_at(one, points) for _, one in parts]).reshape(len(parts), len(points))
    days = np.array([(expiration - day).days for expiration in expirations], dtype=float)
    at = np.asarray(dte or days, dtype=float)
    grid = [_row(a, days, years, variance) for a in at]
    return Surface(
        _long(at, [row[0] for row in grid], points, np.array([row[1] for row in grid]).reshape(len(at), len(points))),
        _calendar(expirations, points, variance),
        butterflies(quotes),
    )


def _at(one: pl.DataFrame, points: Floats) -> Floats:
    """Return an expiration's total variance at some log-moneyness, NaN outside of what is quoted."""
    ordered = one.sort("log_moneyness")
    known = ordered["log_moneyness"].to_numpy()
    found: Floats = np.interp(points, known, ordered["total_variance"].to_numpy(), left=np.nan, right=np.nan)
    return found


def _row(at: float, days: Floats, years: Floats, variance: Floats) -> tuple[float, Floats]:
    """Return years and total variance some days ahead, interpolated in time between two expirations."""
    after = int(np.searchsorted(days, at))
    if after < len(days) and days[after] == at:
        return float(years[after]), variance[after]
    if after in (0, len(days)):
        return float("nan"), np.full(variance.shape[1], np.nan)
    weight = (at - days[after - 1]) / (days[after] - days[after - 1])
    return (
        float(years[after - 1] + weight * (years[after] - years[after - 1])),
        variance[after - 1] + weight * (variance[after] - variance[after - 1]),
    )


def _long(at: Floats, years: list[float], points: Floats, variance: Floats) -> pl.DataFrame:
    count = len(points)
    frame = pl.DataFrame(
        {
            "dte": np.repeat(at, count).astype(np.int32),
            "years": np.repeat(np.asarray(years, dtype=float), count),
            "log_moneyness": np.tile(points, len(at)),
            "total_variance": variance.ravel(),
        }
    ).with_columns(pl.col("years", "total_variance").fill_nan(None))
    return frame.with_columns((pl.col("total_variance") / pl.col("years")).sqrt().alias("implied_vol")).select(
        "dte", "years", "log_moneyness", "implied_vol", "total_variance"
    )


def _calendar(expirations: list[date], points: Floats, variance: Floats) -> pl.DataFrame:
    """Return where total variance falls with time.

    At fixed log-moneyness of the forward there is no calendar arbitrage exactly if it does not: Gatheral and Jacquier,
    "Arbitrage-free SVI volatility surfaces", 2014, lemma 2.1.
    """
    less = variance[:-1] - variance[1:]
    rows = [
        (expirations[number], expirations[number + 1], float(points[place]), float(less[number, place]))
        for number, place in np.argwhere(less > _CALENDAR_PLAY)
    ]
    return pl.DataFrame(
        rows,
        schema={"expiration": pl.Date, "next_expiration": pl.Date, "log_moneyness": pl.Float64, "amount": pl.Float64},
        orient="row",
    )


def butterflies(chain: pl.DataFrame) -> pl.DataFrame:
    """Return the strikes of a chain whose price lies above the line between their neighbours'.

    Prices of one right must be convex in strike: the density of the underlying is not negative. Of strikes
    K1 < K2 < K3 the butterfly buys (K3 - K2) / (K3 - K1) of the first and the rest of the third for each one of the
    second that it sells.

    Returns:
        expiration, right, strike (K2), amount (dollars), executable (at bids and asks).
    """
    sides = chain.filter((pl.col("bid") > 0) & (pl.col("ask") >= pl.col("bid"))).sort("expiration", "right", "strike")
    over = ["expiration", "right"]
    k1, k2, k3 = pl.col("strike").shift(1).over(over), pl.col("strike"), pl.col("strike").shift(-1).over(over)
    weight = (k3 - k2) / (k3 - k1)

    def brings(sold: str, bought: str) -> pl.Expr:
        wings = weight * pl.col(bought).shift(1).over(over) + (1 - weight) * pl.col(bought).shift(-1).over(over)
        return pl.col(sold) - wings

    return (
        sides.select(
            *over, "strike", brings("mid", "mid").alias("amount"), (brings("bid", "ask") > 0).alias("executable")
        )
        .filter(pl.col("amount") > _PENNY_PLAY)
        .sort(*over, "strike")
    )


#: Dollars by which a mid may lie above the line: half a tick of the coarsest grid.
_PENNY_PLAY: Final = 0.05
