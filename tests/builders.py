"""Small builders of the model's values, each overridable by keyword, and a clock that tests move by hand."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any

from spxdata.layout import path_of
from spxdata.model import (
    Artifact,
    Contract,
    ContractList,
    Day,
    Hole,
    HoleKind,
    Outcome,
    Provenance,
    Right,
    Scope,
    State,
    Unit,
)

#: The trading day most tests speak of, an expiration listed on it, and a moment after it was published.
TRADE_DATE = date(2024, 1, 16)
EXPIRATION = date(2024, 1, 19)
NOW = datetime(2024, 1, 17, 12, 30, 15, 250_001, tzinfo=UTC)


class FakeClock:
    """A `Clock` that stands still until it is told to move; sleeping moves it."""

    def __init__(self, now: datetime = NOW) -> None:
        self._now = now
        self._monotonic = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        """Return the current moment."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds this clock was moved by."""
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        """Move on, and remember by how much; less than nothing is remembered, but never moves back."""
        self.slept.append(seconds)
        self.advance(max(0.0, seconds))

    def advance(self, seconds: float) -> None:
        """Move on."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds


def a_day(**changes: Any) -> Day:
    """Return the default dataset's day of SPXW."""
    return Day(TRADE_DATE, "SPXW", "greeks", "1m")._replace(**changes)


def a_unit(**changes: Any) -> Unit:
    """Return the unit of one expiration of `a_day()`."""
    values: dict[str, Any] = {**a_day()._asdict(), "expiration": EXPIRATION}
    return Unit(**{**values, **changes})


def a_scope(**changes: Any) -> Scope:
    """Return the default scope."""
    return Scope(**{"max_dte": 60, "expirations": (), **changes})


def a_provenance(**changes: Any) -> Provenance:
    """Return where a greeks file's rows come from."""
    values: dict[str, Any] = {
        "request": "/v3/option/history/greeks/first_order?symbol=SPXW&expiration=20240119",
        "dialect": "v3",
        "greeks_version": "latest",
        "rate_type": "sofr",
        "fetched_at": NOW - timedelta(minutes=2),
        "spxdata_version": "0.1.0",
    }
    return Provenance(**{**values, **changes})


def an_artifact(unit: Unit | None = None, **changes: Any) -> Artifact:
    """Return the committed file of a unit."""
    path = path_of(unit or a_unit())
    values: dict[str, Any] = {
        "path": path,
        "rows": 97_440,
        "bytes": 812_345,
        "sha256": sha256(path.encode()).hexdigest(),
        "content_hash": sha256(b"values of " + path.encode()).hexdigest(),
        "schema_version": 1,
        "format": "parquet",
        "compression": "zstd",
        "created_at": NOW - timedelta(seconds=1),
        "provenance": a_provenance(),
    }
    return Artifact(**{**values, **changes})


def a_contract(**changes: Any) -> Contract:
    """Return one call."""
    return Contract(EXPIRATION, 4750.0, Right.CALL)._replace(**changes)


def a_contract_list(
    strikes: Iterable[float] = (4700.0, 4750.0, 4800.0),
    expirations: Iterable[date] = (TRADE_DATE, EXPIRATION),
    **changes: Any,
) -> ContractList:
    """Return a list with calls and puts of the same strikes at every expiration."""
    ladder = tuple(strikes)
    contracts = sorted(Contract(day, strike, right) for day in expirations for strike in ladder for right in Right)
    values: dict[str, Any] = {
        "root": "SPXW",
        "trade_date": TRADE_DATE,
        "contracts": tuple(contracts),
        "fetched_at": NOW,
    }
    return ContractList(**{**values, **changes})


def an_outage(**changes: Any) -> Hole:
    """Return an hour missing in every contract."""
    return Hole(**{"kind": HoleKind.OUTAGE, "contract": None, "first": 660, "last": 719, **changes})


def a_gap(**changes: Any) -> Hole:
    """Return a listed contract without any row."""
    return Hole(**{"kind": HoleKind.GAP, "contract": a_contract(), "first": None, "last": None, **changes})


def a_note(**changes: Any) -> Hole:
    """Return a lone missing minute."""
    return Hole(**{"kind": HoleKind.NOTE, "contract": a_contract(), "first": 612, "last": 612, **changes})


def stored(unit: Unit | None = None, **changes: Any) -> Outcome:
    """Return the outcome of a unit whose file was committed."""
    unit = unit or a_unit()
    return Outcome(**{"unit": unit, "state": State.STORED, "artifact": an_artifact(unit), **changes})


def empty(unit: Unit | None = None, **changes: Any) -> Outcome:
    """Return the outcome of a unit the Terminal has no data for."""
    values: dict[str, Any] = {
        "unit": unit or a_unit(),
        "state": State.EMPTY,
        "reason": "No data found for your request",
        "ask_again": TRADE_DATE + timedelta(days=30),
    }
    return Outcome(**{**values, **changes})


def refused(unit: Unit | None = None, **changes: Any) -> Outcome:
    """Return the outcome of a unit outside the subscription."""
    values: dict[str, Any] = {
        "unit": unit or a_unit(),
        "state": State.REFUSED,
        "reason": "This endpoint requires a standard subscription",
        "code": "SPX-R403",
        "ask_again": TRADE_DATE + timedelta(days=7),
    }
    return Outcome(**{**values, **changes})


def failed(unit: Unit | None = None, **changes: Any) -> Outcome:
    """Return the outcome of a unit whose last attempt was cut off."""
    values: dict[str, Any] = {
        "unit": unit or a_unit(),
        "state": State.FAILED,
        "reason": "the reply ended after 4096 bytes",
        "code": "SPX-T003",
        "attempts": 4,
    }
    return Outcome(**{**values, **changes})
