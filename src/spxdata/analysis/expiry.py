"""The time to expiration, as the vendor takes it and as it is."""

from datetime import date, datetime, time, timedelta
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from spxdata.analysis.normal import Floats
from spxdata.sessions import AM_SETTLED, FIRST_DAY, LAST_DAY, is_early_close, is_trading_day

#: How the time is taken. 1: whole calendar days, on the last day 0.15 of one. latest: whole calendar days, on the last
#: day the time left to settlement, an hour at least. exact: the time left to settlement.
Version = Literal["1", "latest", "exact"]

_YEAR: Final = np.timedelta64(365, "D")
_LAST_DAY: Final = 0.15 / 365.0
_HOUR: Final = 1.0 / (24.0 * 365.0)
# When an expiration is settled, New York: an AM-settled one at the open, others as the underlying stocks close.
_OPEN, _CLOSE, _EARLY_CLOSE = time(9, 30), time(16), time(13)


def years_to_expiration(
    timestamp: npt.ArrayLike, expiration: npt.ArrayLike, *, root: npt.ArrayLike = "SPXW", version: Version = "latest"
) -> Floats:
    """Return the years to expiration, of 365 days.

    Args:
        timestamp: Moments as New York's wall clock without a zone; a polars Series may have any zone.
        expiration: The dates in the contracts' names.
        root: The option roots, as in "SPXW": what is AM-settled is settled at the open.
        version: As the setting greeks.version, "1" or "latest", or "exact".

    Returns:
        Years. NaN after the day of the expiration, and in "exact" from settlement on.

    Raises:
        ValueError: The version is not known, or the shapes don't go together.
    """
    given = np.broadcast_arrays(
        np.asarray(_wall_clock(timestamp), dtype="datetime64[us]"),
        np.asarray(expiration, dtype="datetime64[D]"),
        np.asarray(root, dtype=np.str_),
    )
    moments, days, roots = (array.reshape(-1) for array in given)
    if version == "exact":
        exact = _exact(moments, days, roots)
        return np.where(exact > 0.0, exact, np.nan).reshape(given[0].shape)
    if version not in ("1", "latest"):
        raise ValueError(f"A version is 1, latest or exact; not {version!r}.")
    left = (days - moments.astype("datetime64[D]")).astype(np.float64)
    left[np.isnat(days) | np.isnat(moments)] = np.nan
    years = np.where(left > 0.0, left / 365.0, np.nan)
    last = left == 0.0
    years[last] = _LAST_DAY if version == "1" else np.maximum(_exact(moments[last], days[last], roots[last]), _HOUR)
    return years.reshape(given[0].shape)


def _exact(moments: npt.NDArray[Any], days: npt.NDArray[Any], roots: npt.NDArray[np.str_]) -> Floats:
    """Return the years to settlement, negative after it."""
    different, which = np.unique(days, return_inverse=True)
    at_open, at_close = (
        np.array([_settled(day, early=early) for day in different.tolist()], dtype="datetime64[us]")[which]
        for early in (True, False)
    )
    settled = np.where(np.isin(roots, sorted(AM_SETTLED)), at_open, at_close)
    return np.asarray((settled - moments) / _YEAR, dtype=np.float64)


def _settled(day: date | None, *, early: bool) -> datetime | None:
    """Return when an expiration is settled, at the open or at the close: on the last trading day up to it."""
    if day is None:
        return None
    if not FIRST_DAY <= day <= LAST_DAY:  # the table of holidays ends: every day is taken for a whole one
        return datetime.combine(day, _OPEN if early else _CLOSE)
    while not is_trading_day(day):
        day -= timedelta(days=1)
    return datetime.combine(day, _OPEN if early else _EARLY_CLOSE if is_early_close(day) else _CLOSE)


def _wall_clock(timestamp: npt.ArrayLike) -> npt.ArrayLike:
    """Return a polars Series with a time zone as New York's wall clock, anything else as it is."""
    series: Any = timestamp
    if getattr(getattr(series, "dtype", None), "time_zone", None) is None:
        return timestamp
    wall: npt.ArrayLike = series.dt.convert_time_zone("America/New_York").dt.replace_time_zone(None)
    return wall
