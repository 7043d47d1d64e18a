"""Reads the query parameters of a v2 request, and refuses what cannot be read."""

from collections.abc import Mapping
from datetime import date

from spxdata.emulator.datasets import Dataset, Subject, Timing
from spxdata.emulator.hours import CLOSE, OPEN
from spxdata.emulator.query import Query
from spxdata.emulator.rates import SPREADS
from spxdata.emulator.reply import Refusal
from spxdata.emulator.rows import MS_A_MINUTE

#: What the vendor calls parameters it cannot use; only the status is known, the words are ours.
INVALID = 473
#: v3's words.
TOO_SHORT = "Bulk history requests are limited to intervals of at least 1 minute."
RIGHTS = {"C": "C", "P": "P"}
_LAST_MS = 24 * 60 * MS_A_MINUTE - 1
_TRUTHS = {"true": True, "false": False}


def history_query(parameters: Mapping[str, str], dataset: Dataset, *, bulk: bool) -> Query:
    """Read a history request: a whole chain, or a single contract or index.

    Raises:
        Refusal: Something needed is missing, or cannot be read.
    """
    option = dataset.subject is Subject.OPTION
    expiration = needed(parameters, "exp") if option else "0"
    single = option and not bulk
    if option and expiration == "0" and (single or not dataset.every_expiration):
        raise _invalid("exp", expiration)
    day = _single_day(parameters)
    step = _step(parameters, dataset.timing, bulk=bulk)
    # Ticks know no regular hours.
    regular = step > 0 and read_flag(parameters, "rth", default=True)
    first, last = (OPEN * MS_A_MINUTE, CLOSE * MS_A_MINUTE) if regular else (0, _LAST_MS)
    if option and expiration == "0" and step not in (0, MS_A_MINUTE):
        raise _invalid("exp", expiration)
    return Query(
        root=needed(parameters, "root").upper(),
        expiration=None if expiration == "0" else _day("exp", expiration),
        strike=read_count("strike", needed(parameters, "strike")) if single else None,
        right=_right(needed(parameters, "right")) if single else None,
        day=day,
        until=day,
        step=step,
        # Times that are given stand, whatever `rth` says.
        first=_ms(parameters, "start_time", first),
        last=_ms(parameters, "end_time", last),
        max_dte=None,
        version="1",
        rate_type=_rate(parameters),
        exclusive=read_flag(parameters, "exclusive"),
    )


def needed(parameters: Mapping[str, str], name: str) -> str:
    """Give a parameter that must be there.

    Raises:
        Refusal: It is not.
    """
    if value := parameters.get(name):
        return value
    raise Refusal(INVALID, f"Missing required parameter: {name}")


def needed_day(parameters: Mapping[str, str], name: str) -> date:
    """Give a date that must be there.

    Raises:
        Refusal: It is not, or is none.
    """
    return _day(name, needed(parameters, name))


def read_day(text: str | None) -> date | None:
    """Read `20240116`; None for anything else."""
    if text is None or len(text) != len("20240116") or not text.isdecimal():
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def read_count(name: str, text: str) -> int:
    """Read a number from 0 on.

    Raises:
        Refusal: It is none.
    """
    if not text.isdecimal():
        raise _invalid(name, text)
    return int(text)


def read_flag(parameters: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """Read `true` or `false`.

    Raises:
        Refusal: It is neither.
    """
    text = parameters.get(name)
    if text is None:
        return default
    if text.lower() not in _TRUTHS:
        raise _invalid(name, text)
    return _TRUTHS[text.lower()]


def _invalid(name: str, value: str) -> Refusal:
    return Refusal(INVALID, f"Invalid parameter: {name}={value}")


def _day(name: str, text: str) -> date:
    day = read_day(text)
    if day is None:
        raise _invalid(name, text)
    return day


def _single_day(parameters: Mapping[str, str]) -> date:
    start, end = needed_day(parameters, "start_date"), needed_day(parameters, "end_date")
    if start != end:
        # Ranges of days belong to the real Terminal only: this one serves a day at a time.
        raise Refusal(INVALID, "The emulator serves one day at a time: start_date must equal end_date")
    return start


def _step(parameters: Mapping[str, str], timing: Timing, *, bulk: bool) -> int:
    """Read `ivl` in milliseconds; 0, which it is when left out, means every tick: not of a chain, nor of bars."""
    if timing not in (Timing.STEPS, Timing.BARS):
        return 0
    ms = read_count("ivl", parameters.get("ivl", "0"))
    if ms < MS_A_MINUTE and bulk:
        raise Refusal(INVALID, f"{TOO_SHORT} ivl={ms}")
    if (ms > MS_A_MINUTE and ms % MS_A_MINUTE) or (ms == 0 and timing is Timing.BARS):
        raise _invalid("ivl", str(ms))
    return ms


def _right(text: str) -> str:
    if text.upper() not in RIGHTS:
        raise _invalid("right", text)
    return RIGHTS[text.upper()]


def _ms(parameters: Mapping[str, str], name: str, default: int) -> int:
    text = parameters.get(name)
    return default if text is None else read_count(name, text)


def _rate(parameters: Mapping[str, str]) -> str:
    text = parameters.get("rate", "SOFR")
    if text.lower() not in SPREADS:
        raise _invalid("rate", text)
    return text.lower()
