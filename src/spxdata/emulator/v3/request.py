"""Reads the query parameters of a request, and refuses in the vendor's words what the vendor refuses."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation

from spxdata.emulator.history import Query
from spxdata.emulator.hours import CLOSE, OPEN
from spxdata.emulator.rates import SPREADS
from spxdata.emulator.reply import Refusal

NO_DATA = "No data found for your request"
INTERVAL_TOO_SHORT = "Bulk history requests are limited to intervals of at least 1 minute."
NO_STAR = "Cannot specify '*' for the date"
DAY_AT_A_TIME = "When expiration=*, you must request data a day-at-a-time"

#: Minutes of each interval that is served.
INTERVALS = {"1m": 1, "5m": 5, "10m": 10, "15m": 15, "30m": 30, "1h": 60}
_SHORT_INTERVALS = ("tick", "10ms", "100ms", "500ms", "1s", "5s", "10s", "15s", "30s")
RIGHTS = {"call": "C", "c": "C", "put": "P", "p": "P", "both": None}
VERSIONS = ("latest", "1")


def history_query(parameters: Mapping[str, str]) -> Query:
    """Read a history request.

    Raises:
        Refusal: Something needed is missing, or cannot be read.
    """
    root = needed(parameters, "symbol").upper()
    expiration = needed(parameters, "expiration")
    day = _single_day(parameters, star=expiration == "*")
    return Query(
        root=root,
        expiration=None if expiration == "*" else read_day(expiration),
        strike=read_strike(parameters.get("strike", "*")),
        right=_right(parameters.get("right", "both")),
        day=day,
        step=_step(parameters.get("interval", "1s")),
        first=_minute(parameters.get("start_time"), OPEN),
        last=_minute(parameters.get("end_time"), CLOSE, cut=True),
        max_dte=read_max_dte(parameters),
        version=_choice(parameters, "version", VERSIONS),
        rate_type=_choice(parameters, "rate_type", tuple(SPREADS)),
    )


def needed(parameters: Mapping[str, str], name: str) -> str:
    """Give a parameter that must be there.

    Raises:
        Refusal: It is not.
    """
    if value := parameters.get(name):
        return value
    raise Refusal(400, f"Missing required parameter: {name}")


def read_day(text: str) -> date:
    """Read `2024-01-16` or `20240116`.

    Raises:
        Refusal: It is neither.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refusal(400, f"Cannot parse date string: {text}") from None


def read_strike(text: str) -> int | None:
    """Read a strike in dollars as thousandths; None for `*`.

    Raises:
        Refusal: It is no number.
    """
    if text == "*":
        return None
    try:
        return int(Decimal(text) * 1000)
    except (InvalidOperation, OverflowError, ValueError):
        raise Refusal(400, f"Invalid strike: {text}") from None


def read_max_dte(parameters: Mapping[str, str]) -> int | None:
    """Read `max_dte`, None when it is not given.

    Raises:
        Refusal: It is no number.
    """
    text = parameters.get("max_dte")
    if text is None:
        return None
    if not text.isdecimal():
        raise Refusal(400, f"Invalid max_dte: {text}")
    return int(text)


def _single_day(parameters: Mapping[str, str], *, star: bool) -> date:
    if "date" in parameters:
        return read_day(parameters["date"])
    start = read_day(needed(parameters, "start_date"))
    end = read_day(needed(parameters, "end_date"))
    if start == end:
        return start
    # Ranges of days belong to the real Terminal only: this one serves a day at a time.
    raise Refusal(
        400, DAY_AT_A_TIME if star else "The emulator serves one day at a time: start_date must equal end_date"
    )


def _step(text: str) -> int:
    if text in INTERVALS:
        return INTERVALS[text]
    if text in _SHORT_INTERVALS:
        raise Refusal(400, INTERVAL_TOO_SHORT)
    raise Refusal(400, f"Invalid interval: {text}")


def _right(text: str) -> str | None:
    if text.lower() not in RIGHTS:
        raise Refusal(400, f"Invalid right: {text}")
    return RIGHTS[text.lower()]


def _minute(text: str | None, default: int, *, cut: bool = False) -> int:
    """Read `HH:MM:SS[.SSS]`; a start inside a minute begins at the next one, an end is cut to the minute."""
    if text is None:
        return default
    pieces = text.split(":")
    try:
        hour, minute, second = int(pieces[0]), int(pieces[1]), float(pieces[2]) if len(pieces) > 2 else 0.0
    except (IndexError, ValueError):
        raise Refusal(400, f"Invalid time: {text}") from None
    if not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60):
        raise Refusal(400, f"Invalid time: {text}")
    return hour * 60 + minute + (1 if second > 0 and not cut else 0)


def _choice(parameters: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    value = parameters.get(name, allowed[0]).lower()
    if value not in allowed:
        raise Refusal(400, f"Invalid {name}: {value}")
    return value
