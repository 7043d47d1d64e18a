"""Forward prices from put-call parity: what calls and puts of one expiration say of the underlying.

A call less a put of one strike is worth the discounted difference of forward and strike: F = K + exp(rT) (C - P). Of
the strikes that have both, those where the two are closest are the most liquid; the median of what they say is robust
against one bad quote.
"""

from typing import Final

import polars as pl

#: Strikes that are asked, nearest to the money.
_STRIKES: Final = 7


def forwards(quotes: pl.DataFrame, rate: float) -> pl.DataFrame:
    """Return the forward price of each expiration.

    Args:
        quotes: One row per contract: expiration, years, strike, right, bid, ask.
        rate: Continuous interest rate, as a fraction.

    Returns:
        expiration; years; forward, in index points; spot, what it is worth today; strikes, how many were asked;
        spread, the greatest distance of what they say from the forward. Expirations without a strike that has both
        are left out.
    """
    both = (
        quotes.filter((pl.col("bid") > 0) & (pl.col("ask") >= pl.col("bid")))
        .with_columns(((pl.col("bid") + pl.col("ask")) / 2).alias("mid"))
        .pivot("right", index=["expiration", "years", "strike"], values="mid")
    )
    if not {"CALL", "PUT"} <= set(both.columns):
        return _NOTHING
    apart = pl.col("CALL") - pl.col("PUT")
    said = (
        both.drop_nulls(["CALL", "PUT"])
        .with_columns(
            (pl.col("strike") + (pl.col("years") * rate).exp() * apart).alias("forward"), apart.abs().alias("apart")
        )
        .sort("expiration", "apart", "strike")
        .group_by("expiration", "years", maintain_order=True)
        .head(_STRIKES)
    )
    return (
        said.group_by("expiration", "years", maintain_order=True)
        .agg(
            pl.col("forward").median(),
            pl.len().cast(pl.Int32).alias("strikes"),
            (pl.col("forward") - pl.col("forward").median()).abs().max().alias("spread"),
        )
        .with_columns((pl.col("forward") * (-pl.col("years") * rate).exp()).alias("spot"))
        .select(_NOTHING.columns)
        .sort("expiration")
    )


_NOTHING: Final = pl.DataFrame(
    schema={
        "expiration": pl.Date,
        "years": pl.Float64,
        "forward": pl.Float64,
        "spot": pl.Float64,
        "strikes": pl.Int32,
        "spread": pl.Float64,
    }
)
