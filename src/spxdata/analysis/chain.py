"""The option chain at a moment: one row per contract, whichever datasets its numbers come from.

Nothing in it was known later than the moment: quotes and greeks are the last rows at or before it, a bar counts when it
is over, volume is what was traded so far, open interest is the evening before's.
"""

from functools import reduce
from typing import Any, Final

import numpy as np
import polars as pl

from spxdata.analysis import asof, parity
from spxdata.analysis.asof import CONTRACT, Moment
from spxdata.analysis.expiry import years_to_expiration
from spxdata.analysis.files import Shelf
from spxdata.analysis.greeks import DAYS_A_YEAR, greeks
from spxdata.analysis.wanted import UNDERLYING, as_number, chosen
from spxdata.errors import ConfigError
from spxdata.pipeline.parse import RIGHT, TIME
from spxdata.schema import DATASETS

#: Datasets that have bid and ask, the best source first.
QUOTED: Final = ("quote", "greeks_all", "greeks", "implied_volatility", "greeks_second_order", "greeks_third_order")
#: Datasets that have greeks: what each number is taken from, the best source first.
MODELLED: Final = ("greeks_all", "greeks", "implied_volatility", "greeks_second_order", "greeks_third_order")
#: Datasets that tell what was traded.
TRADED: Final = ("trade", "trade_quote", "ohlc")

#: First-order greeks of a chain; gamma is of the second order, and has a source of its own.
FIRST_ORDER: Final = ("delta", "theta", "vega", "rho")

#: Numbers that come from one source, by the name of the column that tells it.
GROUPS: Final = {"implied_vol": ("implied_vol", UNDERLYING), "greeks": FIRST_ORDER, "gamma": ("gamma",)}

COLUMNS: Final[dict[str, pl.DataType]] = {
    "symbol": pl.String(),
    "expiration": pl.Date(),
    "strike": pl.Float64(),
    "right": RIGHT,
    "dte": pl.Int32(),
    "timestamp": TIME,
    "bid": pl.Float64(),
    "ask": pl.Float64(),
    "mid": pl.Float64(),
    "last": pl.Float64(),
    "volume": pl.Int64(),
    "open_interest": pl.Int32(),
    "implied_vol": pl.Float64(),
    "delta": pl.Float64(),
    "gamma": pl.Float64(),
    "theta": pl.Float64(),
    "vega": pl.Float64(),
    "rho": pl.Float64(),
    "underlying": pl.Float64(),
    "moneyness": pl.Float64(),
    "flags": pl.Int32(),
    "quote_source": pl.String(),
    "last_source": pl.String(),
    "implied_vol_source": pl.String(),
    "greeks_source": pl.String(),
    "gamma_source": pl.String(),
    "underlying_source": pl.String(),
}

#: Source of a number that is not the vendor's.
OURS: Final = "ours"


def chain(
    shelf: Shelf, moment: Moment, *, rate: float | None = None, flags: object = "clean", moneyness: object = None
) -> pl.DataFrame:
    """Return the chain; see `spxdata.analysis.archive.Archive.chain`.

    Raises:
        ConfigError: The archive has no quotes and no greeks of the day.
    """
    quotes = _quotes(shelf, moment, flags)
    found = quotes
    for part in (_traded(shelf, moment), asof.open_interest(shelf, moment), _modelled(shelf, moment, flags)):
        if part is not None:
            found = found.join(part, on=CONTRACT, how="left", nulls_equal=True)
    found = _shaped(found.with_columns(pl.lit(moment.root).alias("symbol")))
    interest = rate_of(shelf, moment, rate)
    found = _with_underlying(found, asof.index_price(shelf, moment), moment, interest)
    found = _with_own_greeks(found, moment, interest)
    found = found.with_columns(
        (pl.col("strike") / pl.col("underlying")).alias("moneyness"),
        (pl.col("expiration") - pl.lit(moment.day)).dt.total_days().cast(pl.Int32).alias("dte"),
    )
    near = chosen("moneyness", moneyness, as_number)
    if near is not None:
        found = found.filter(near.of(pl.col("moneyness")))
    return found.select(list(COLUMNS)).sort("expiration", "strike", "right")


def _quotes(shelf: Shelf, moment: Moment, flags: object) -> pl.DataFrame:
    """Return each contract's last quote, from the best source that the archive has of the day."""
    for name in QUOTED:
        rows = asof.rows_until(shelf, moment, name, flags=flags)
        if rows is not None:
            quotes = asof.last_rows(rows.select(*CONTRACT, "timestamp", "bid", "ask", "flags"), name)
            mid = pl.when(pl.col("ask") > 0).then((pl.col("bid") + pl.col("ask")) / 2)
            return quotes.with_columns(mid.alias("mid"), pl.lit(name).alias("quote_source")).collect()
    raise ConfigError(
        f"The archive has neither quotes nor greeks of {moment.root} of {moment.day} that are asked for.",
        hint=f"Download one of: {', '.join(QUOTED)}.",
    )


def _traded(shelf: Shelf, moment: Moment) -> pl.DataFrame | None:
    """Return each contract's last price and what was traded so far; None if the archive does not tell."""
    for name in TRADED:
        rows = asof.rows_until(shelf, moment, name)
        if rows is not None:
            price, size = ("close", "volume") if name == "ohlc" else ("price", "size")
            sums = rows.filter(pl.col(size) > 0).sort(DATASETS[name].time[0], maintain_order=True)
            return (
                sums.group_by(CONTRACT)
                .agg(pl.col(price).last().alias("last"), pl.col(size).sum().cast(pl.Int64).alias("volume"))
                .with_columns(pl.lit(name).alias("last_source"))
                .collect()
            )
    return None


def _modelled(shelf: Shelf, moment: Moment, flags: object) -> pl.DataFrame | None:
    """Return the vendor's volatility and greeks of each contract, null where it found none; None if there are none.

    Each group of numbers comes from the best source that has all of it.
    """
    there = {}
    for name in MODELLED:
        rows = asof.rows_until(shelf, moment, name, flags=flags)
        if rows is not None:
            there[name] = rows
    parts = []
    for group, columns in GROUPS.items():
        source = next((name for name in there if set(columns) <= set(DATASETS[name].names)), None)
        if source is not None:
            parts.append(_solved(there[source], source, group, columns))
    if not parts:
        return None
    return reduce(lambda one, other: one.join(other, on=CONTRACT, how="full", coalesce=True), parts)


def _solved(rows: pl.LazyFrame, source: str, group: str, columns: tuple[str, ...]) -> pl.DataFrame:
    """Return a group of numbers of each contract, where the vendor found a volatility."""
    solved = pl.col("implied_vol") > 0
    tests = {UNDERLYING: pl.col(UNDERLYING) > 0}
    names = list(dict.fromkeys((*CONTRACT, "timestamp", "implied_vol", *columns)))
    return (
        asof.last_rows(rows.select(names), source)
        .select(
            *CONTRACT,
            *(pl.when(tests.get(name, solved)).then(pl.col(name)).alias(name) for name in columns),
            pl.when(solved).then(pl.lit(source)).alias(f"{group}_source"),
        )
        .collect()
    )


def _shaped(found: pl.DataFrame) -> pl.DataFrame:
    """Return the chain with all its columns, null where nothing told them."""
    wanted = {**COLUMNS, UNDERLYING: pl.Float64()}
    return found.with_columns(
        pl.lit(None, kind).alias(name) for name, kind in wanted.items() if name not in found.columns
    )


def _with_underlying(found: pl.DataFrame, index: float | None, moment: Moment, rate: float) -> pl.DataFrame:
    """Return the chain with the underlying's price: the index, or else what the greeks say, or else parity."""
    if index is not None:
        return found.with_columns(pl.lit(index).alias("underlying"), pl.lit("index").alias("underlying_source"))
    implied = forwards_of(found, moment, rate).select("expiration", "spot")
    vendors = pl.col(UNDERLYING)
    return found.join(implied, on="expiration", how="left").with_columns(
        pl.coalesce(vendors, "spot").alias("underlying"),
        pl.when(vendors.is_not_null())
        .then(pl.lit("greeks"))
        .when(pl.col("spot").is_not_null())
        .then(pl.lit("parity"))
        .alias("underlying_source"),
    )


def _with_own_greeks(found: pl.DataFrame, moment: Moment, rate: float) -> pl.DataFrame:
    """Return the chain with our own numbers where the vendor's are lacking, in the units of its columns.

    A volatility of the vendor's is taken as it is; where there is none it comes from the mid. An offer without a bid
    says little of what an option is worth, and gives none.
    """
    price = found.select(pl.when(pl.col("bid") > 0).then(pl.col("mid"))).to_series()
    known: dict[str, Any] = {
        "strike": found["strike"],
        "right": found["right"].cast(pl.String),
        "years": _years(found["expiration"], moment),
        "rate": rate,
        "spot": found["underlying"].fill_null(float("nan")),
    }
    implied = greeks(**known, price=price.fill_null(float("nan")), columns=["implied_vol"])["implied_vol"]
    vendors = found["implied_vol"].is_not_null().to_numpy()
    volatility = np.where(vendors, found["implied_vol"].fill_null(float("nan")).to_numpy(), implied)
    numbers = greeks(**known, volatility=volatility, columns=["gamma", *FIRST_ORDER])
    numbers["theta"] /= DAYS_A_YEAR
    own = pl.DataFrame(
        {
            f"own_{name}": pl.Series(values, nan_to_null=True)
            for name, values in {"implied_vol": implied, **numbers}.items()
        }
    )
    ours = pl.lit(OURS)
    found = pl.concat([found, own], how="horizontal")
    for group, columns in GROUPS.items():
        names = [name for name in columns if name != UNDERLYING]
        lacks = pl.col(f"{group}_source").is_null()
        solved = pl.col(f"own_{names[0]}").is_not_null()
        found = found.with_columns(
            *(pl.when(lacks).then(pl.col(f"own_{name}")).otherwise(pl.col(name)).alias(name) for name in names),
            pl.when(lacks & solved).then(ours).otherwise(pl.col(f"{group}_source")).alias(f"{group}_source"),
        )
    return found


def _years(expirations: pl.Series, moment: Moment) -> np.ndarray:
    """Return the years to each expiration, as the vendor's newer greeks count them."""
    at = np.datetime64(moment.at.replace(tzinfo=None), "us")
    return years_to_expiration(at, expirations.to_numpy(), root=moment.root)


def forwards(shelf: Shelf, moment: Moment, rate: float | None = None) -> pl.DataFrame:
    """Return each expiration's forward price by put-call parity; see `spxdata.analysis.archive.Archive.forward`."""
    return forwards_of(_quotes(shelf, moment, "clean"), moment, rate_of(shelf, moment, rate))


def forwards_of(quotes: pl.DataFrame, moment: Moment, rate: float) -> pl.DataFrame:
    """Return each expiration's forward price by put-call parity, from quotes at hand."""
    years = pl.Series("years", _years(quotes["expiration"], moment))
    return parity.forwards(quotes.with_columns(years), rate)


def rate_of(shelf: Shelf, moment: Moment, rate: float | None) -> float:
    """Return the interest rate to reckon with: the one given, the archive's newest, or else 0."""
    if rate is not None:
        return rate
    found = asof.rate(shelf, moment)
    return 0.0 if found is None else found
