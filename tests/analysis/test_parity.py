"""Forward prices from put-call parity: exact on exact prices, robust against a bad one."""

from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.analysis.black_scholes import price
from spxdata.analysis.parity import forwards

EXPIRATION = date(2024, 1, 19)


def quotes(forward: float, years: float, rate: float, volatility: float = 0.2, **changes: Any) -> pl.DataFrame:
    """Return a chain of exact prices."""
    strikes = np.arange(4500.0, 5001.0, 25.0)
    rows = []
    for right in ("CALL", "PUT"):
        mids = price(volatility, strike=strikes, right=right, years=years, rate=rate, forward=forward)
        rows += [(EXPIRATION, years, strike, right, mid, mid) for strike, mid in zip(strikes, mids, strict=True)]
    schema = {"expiration": pl.Date, "years": pl.Float64, "strike": pl.Float64, "right": pl.String}
    return pl.DataFrame(rows, schema={**schema, "bid": pl.Float64, "ask": pl.Float64}, orient="row", **changes)


@given(
    forward=st.floats(4600, 4900), years=st.floats(0.001, 2), rate=st.floats(-0.01, 0.1), volatility=st.floats(0.1, 1)
)
def test_exact_prices_give_the_forward_back(forward: float, years: float, rate: float, volatility: float) -> None:
    """Whatever the rate, and the spot is what it is worth today."""
    (found,) = forwards(quotes(forward, years, rate, volatility), rate).to_dicts()
    assert found["forward"] == pytest.approx(forward, abs=1e-6)
    assert found["spot"] == pytest.approx(forward * np.exp(-rate * years), abs=1e-6)
    assert found["spread"] == pytest.approx(0.0, abs=1e-6)


def test_one_bad_quote_does_not_move_it() -> None:
    chain = quotes(4750.0, 0.05, 0.05)
    bad = (pl.col("strike") == 4750.0) & (pl.col("right") == "CALL")
    spoiled = chain.with_columns(pl.when(bad).then(pl.col("bid") + 15).otherwise(pl.col("bid")).alias("bid"))
    spoiled = spoiled.with_columns(pl.when(bad).then(pl.col("bid")).otherwise(pl.col("ask")).alias("ask"))
    (found,) = forwards(spoiled, 0.05).to_dicts()
    assert found["forward"] == pytest.approx(4750.0, abs=1e-6)


@pytest.mark.parametrize(
    "chain",
    [
        quotes(4750.0, 0.05, 0.0).filter(pl.col("right") == "CALL"),
        quotes(4750.0, 0.05, 0.0).with_columns(pl.lit(0.0).alias("bid")),
        quotes(4750.0, 0.05, 0.0).with_columns((pl.col("ask") - 1).alias("ask")),
        quotes(4750.0, 0.05, 0.0).clear(),
    ],
    ids=["calls only", "no bids", "crossed", "empty"],
)
def test_without_both_sides_there_is_none(chain: pl.DataFrame) -> None:
    """Of no strike, so the expiration is left out."""
    found = forwards(chain, 0.0)
    assert found.is_empty()
    assert found.columns == ["expiration", "years", "forward", "spot", "strikes", "spread"]
