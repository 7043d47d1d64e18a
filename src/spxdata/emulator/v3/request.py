"""Reads the query parameters of a request, and refuses in the vendor's words what the vendor refuses."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation

from spxdata.emulator.datasets import Dataset, Subject, Timing
from spxdata.emulator.hours import CLOSE, OPEN
from spxdata.emulator.query import Query
from spxdata.emulator.rates import SPREADS
from spxdata.emulator.reply import Refusal
from spxdata.emulator.rows import MS_A_MINUTE

NO_DATA = "No data found for your request"
INTERVAL_TOO_SHORT = "Bulk history requests are limited to intervals of at least 1 minute."
NO_STAR = "Cannot specify '*' for the date"
DAY_AT_A_TIME = "When expiration=*, you must request data a day-at-a-time"

#: Milliseconds of each interval.
INTERVALS = {
    "tick": 0,
    "10ms": 10,
    "100ms": 100,
    "500ms": 500,
    "1s": 1_000,
    "5s": 5_000,
    "10s": 10_000,
    "15s": 15_000,
    "30s": 30_000,
    "1m": MS_A_MINUTE,
    "5m": 5 * MS_A_MINUTE,
    "10m": 10 * MS_A_MINUTE,
    "15m": 15 * MS_A_MINUTE,
    "30m": 30 * MS_A_MINUTE,
    "1h": 60 * MS_A_MINUTE,
}
_LAST_MS = 24 * 60 * MS_A_MINUTE - 1
RIGHTS = {"call": "C", "c": "C", "put": "P", "p": "P", "both": None}
VERSIONS = ("latest", "1")
#: The most days of interest rates at a time.
_LONGEST = timedelta(days=365)


def history_query(parameters: Mapping[str, str], dataset: Dataset) -> Query:
    """Read a history request.

    Raises:
        Refusal: Something needed is missing, or cannot be read.
    """
    root = needed(parameters, "symbol").upper()
    option = dataset.subject is Subject.OPTION
    expiration = needed(parameters, "expiration") if option else "*"
    if option and expiration == "*" and not dataset.every_expiration:
        raise Refusal(400, NO_STAR)
    day, until = _days(parameters, dataset, star=expiration == "*")
    strike = read_strike(parameters.get("strike", "*"))
    right = _right(parameters.get("right", "both"))
    single = not option or None not in (strike, right)
    timed = dataset.timing in (Timing.STEPS, Timing.BARS, Timing.TICKS)
    return Query(
        root=root,
        expiration=None if expiration == "*" else read_day(expiration),
        strike=strike,
        right=right,
        day=day,
        until=until,
        step=_step(parameters.get("interval", "1s"), dataset.timing, single=single),
        first=_ms(parameters.get("start_time"), OPEN * MS_A_MINUTE) if timed else 0,
        last=_ms(parameters.get("end_time"), CLOSE * MS_A_MINUTE) if timed else _LAST_MS,
        max_dte=read_max_dte(parameters),
        version=_choice(parameters, "version", VERSIONS),
        rate_type=_choice(parameters, "rate_type", tuple(SPREADS)),
        exclusive=_truth(parameters, "exclusive", default=True),
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


def _days(parameters: Mapping[str, str], dataset: Dataset, *, star: bool) -> tuple[date, date]:
    """Read the day asked for; of interest rates, the first and the last."""
    if "date" in parameters and dataset.timing is not Timing.REPORT:
        day = read_day(parameters["date"])
        return day, day
    start = read_day(needed(parameters, "start_date"))
    end = read_day(needed(parameters, "end_date"))
    if start == end or (dataset.subject is Subject.RATE and start < end <= start + _LONGEST):
        return start, end
    # Ranges of days belong to the real Terminal only: this one serves a day at a time.
    raise Refusal(
        400, DAY_AT_A_TIME if star else "The emulator serves one day at a time: start_date must equal end_date"
    )


def _step(text: str, timing: Timing, *, single: bool) -> int:
    """Read an interval in milliseconds; 0 is for every tick."""
    if timing not in (Timing.STEPS, Timing.BARS):
        return 0
    if text not in INTERVALS or (single and timing is Timing.BARS and text == "tick"):
        raise Refusal(400, f"Invalid interval: {text}")
    if INTERVALS[text] < MS_A_MINUTE and not single:
        raise Refusal(400, INTERVAL_TOO_SHORT)
    return INTERVALS[text]


def _right(text: str) -> str | None:
    if text.lower() not in RIGHTS:
        raise Refusal(400, f"Invalid right: {text}")
    return RIGHTS[text.lower()]


def _ms(text: str | None, default: int) -> int:
    """Read `HH:MM:SS[.SSS]` as milliseconds since midnight."""
    if text is None:
        return default
    pieces = text.split(":")
    try:
        hour, minute, second = int(pieces[0]), int(pieces[1]), Decimal(pieces[2] if len(pieces) > 2 else "0")
    except (IndexError, ValueError, InvalidOperation):
        raise Refusal(400, f"Invalid time: {text}") from None
    if not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60):
        raise Refusal(400, f"Invalid time: {text}")
    return (hour * 60 + minute) * MS_A_MINUTE + int(second * 1000)


def _truth(parameters: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = parameters.get(name, str(default)).lower()
    if text not in ("true", "false"):
        raise Refusal(400, f"Invalid {name}: {text}")
    return text == "true"


def _choice(parameters: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    value = parameters.get(name, allowed[0]).lower()
    if value not in allowed:
        raise Refusal(400, f"Invalid {name}: {value}")
    return value
