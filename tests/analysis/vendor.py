"""Rows of greeks as the vendor printed or sent them, and what our functions take of them.

It does not say which rate it took: those given with the rows are SOFR of their days, or what fits where that is not
known. Its volatility has four digits, and so has all else, cut and not rounded.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from spxdata.analysis.expiry import years_to_expiration
from spxdata.analysis.greeks import cut_mid
from spxdata.analysis.normal import Floats

Row = Mapping[str, str]


class Printed(NamedTuple):
    """Some rows of the documentation: the path they are an example of, how many, and what is assumed of them.

    Attributes:
        path: Of the endpoint, below /option.
        rows: With a volatility.
        rate: SOFR.
        fewer_days: Days to expiration less than the timestamp says.
    """

    path: str
    rows: int
    rate: float
    fewer_days: int = 0


PRINTED = (
    Printed("history/greeks/first_order", 4, 0.0482),
    Printed("history/greeks/all", 3, 0.0482),
    Printed("history/greeks/eod", 1, 0.0482),
    Printed("history/trade_greeks/all", 5, 0.0532),
    Printed("history/trade_greeks/first_order", 4, 0.0482),
    Printed("history/trade_greeks/second_order", 4, 0.0482),
    Printed("history/trade_greeks/third_order", 4, 0.0482),
    # Asked for the day after, to judge by the greeks: the snapshot was still the day's before.
    Printed("snapshot/greeks/all", 1, 0.0439, 1),
    Printed("snapshot/greeks/second_order", 2, 0.0439, 1),
    Printed("snapshot/greeks/third_order", 2, 0.0439, 1),
)

SPY_RATE = 0.0414
AAPL_RATE = 0.0482
TRADE_RATE = 0.0436
UNSOLVED_RATE = 0.0531


def numbers(rows: Sequence[Row], name: str) -> Floats:
    """Return a column."""
    return np.array([float(row[name]) for row in rows])


def terms_of(rows: Sequence[Row], rate: float, fewer_days: int = 0) -> dict[str, Any]:
    """Return what our functions take besides price and volatility, by the vendor's time to expiration."""
    moments = np.array([row["timestamp"] for row in rows], dtype="datetime64[us]") + np.timedelta64(fewer_days, "D")
    return {
        "spot": numbers(rows, "underlying_price"),
        "strike": numbers(rows, "strike"),
        "right": [row["right"] for row in rows],
        "years": years_to_expiration(moments, [date.fromisoformat(row["expiration"]).isoformat() for row in rows]),
        "rate": rate,
    }


def price_used(rows: Sequence[Row]) -> Floats:
    """Return the price the vendor computed from: a trade's, or the mid."""
    if "price" in rows[0]:
        return numbers(rows, "price")
    return cut_mid(numbers(rows, "bid"), numbers(rows, "ask"))


def _solved(text: str) -> list[dict[str, str]]:
    rows = csv.DictReader(io.StringIO(text))
    return [row for row in rows if float(row["iv_error"]) < 100 and float(row["implied_vol"]) > 0]


def printed(reference: Path, path: str) -> list[dict[str, str]]:
    """Return the documentation's rows with a volatility."""
    endpoints = json.loads((reference / "thetadata/v3-endpoints.json").read_text())["endpoints"]
    return _solved(endpoints[f"/option/{path}"]["csv_example"])


def spy(reference: Path) -> list[dict[str, str]]:
    """Return the documentation's 30 rows of SPY."""
    return _solved((reference / "thetadata/samples/docs_greeks_first_order_SPY_420C.csv").read_text())


def aapl(reference: Path) -> list[dict[str, str]]:
    """Return the documentation's 7 rows of AAPL that are computed from quotes."""
    return [row for path in ("first_order", "all") for row in printed(reference, f"history/greeks/{path}")]


def recorded(reference: Path, name: str) -> list[dict[str, str]]:
    """Return a recorded answer."""
    text = (reference / f"realdata/recorded/option_history_{name}.csv").read_text()
    return list(csv.DictReader(io.StringIO(text)))


def volatility_differences(rows: Sequence[Row], found: Mapping[str, Floats]) -> Floats:
    """Return how far our own volatilities are from the vendor's, less what its search left of the price."""
    left = np.abs(numbers(rows, "iv_error")) * price_used(rows) / found["vega"]
    return np.maximum(np.abs(found["implied_vol"] - numbers(rows, "implied_vol")) - left, 0.0)


class Some(NamedTuple):
    """Some rows and what is assumed of them.

    Attributes:
        name: What they are.
        rows: As the vendor has them.
        rate: SOFR.
        fewer_days: Days to expiration less than the timestamp says.
    """

    name: str
    rows: list[dict[str, str]]
    rate: float
    fewer_days: int = 0

    @property
    def terms(self) -> dict[str, Any]:
        """What our functions take besides price and volatility."""
        return terms_of(self.rows, self.rate, self.fewer_days)


def examples(reference: Path) -> list[Some]:
    """Return every example of the documentation."""
    return [
        Some(example.path, printed(reference, example.path), example.rate, example.fewer_days) for example in PRINTED
    ]
