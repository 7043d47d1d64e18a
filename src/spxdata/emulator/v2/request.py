"""Reads the query parameters of a v2 request, and refuses what cannot be read."""

from collections.abc import Mapping
from datetime import date

from spxdata.emulator.history import Query
from spxdata.emulator.hours import CLOSE, OPEN
from spxdata.emulator.rates import SPREADS
from spxdata.emulator.reply import Refusal

#: What the vendor calls parameters it cannot use; only the status is known, the words are ours.
INVALID = 473
RIGHTS = {"C": "C", "P": "P"}
_MS_A_MINUTE = 60_000
_LAST_MINUTE = 24 * 60 - 1
_TRUTHS = {"true": True, "false": False}


def history_query(parameters: Mapping[str, str], *, bulk: bool) -> Query:
    """Read a history request: a whole chain, or a single contract.

    Raises:
        Refusal: Something needed is missing, or cannot be read.
    """
    expiration = needed(parameters, "exp")
    if expiration == "0" and not bulk:
        raise _invalid("exp", expiration)
    first, last = (OPEN, CLOSE) if read_flag(parameters, "rth", default=True) else (0, _LAST_MINUTE)
    return Query(
        root=needed(parameters, "root").upper(),
        expiration=None if expiration == "0" else _day("exp", expiration),
        strike=None if bulk else read_count("strike", needed(parameters, "strike")),
        right=None if bulk else _right(needed(parameters, "right")),
        day=_single_day(parameters),
        step=_step(parameters),
        # Times that are given stand, whatever `rth` says.
        first=-(-_ms(parameters, "start_time", first) // _MS_A_MINUTE),
        last=_ms(parameters, "end_time", last) // _MS_A_MINUTE,
        max_dte=None,
        version="1",
        rate_type=_rate(parameters),
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


def _step(parameters: Mapping[str, str]) -> int:
    """Read `ivl` in milliseconds; ticks, which it means when left out, are not served here."""
    ms = read_count("ivl", parameters.get("ivl", "0"))
    if ms == 0 or ms % _MS_A_MINUTE:
        raise _invalid("ivl", str(ms))
    return ms // _MS_A_MINUTE


def _right(text: str) -> str:
    if text.upper() not in RIGHTS:
        raise _invalid("right", text)
    return RIGHTS[text.upper()]


def _ms(parameters: Mapping[str, str], name: str, default_minute: int) -> int:
    text = parameters.get(name)
    return default_minute * _MS_A_MINUTE if text is None else read_count(name, text)


def _rate(parameters: Mapping[str, str]) -> str:
    text = parameters.get("rate", "SOFR")
    if text.lower() not in SPREADS:
        raise _invalid("rate", text)
    return text.lower()
