"""What a run will take: requests, bytes and time, from what units took before. Pure."""

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

from spxdata.downloader.measures import Measure, newest
from spxdata.model import Day, Unit
from spxdata.schema import DATASETS, Rows
from spxdata.sessions import session

#: The part of all measures at each end that counts no more than the next ones inside.
_TAIL: Final = 0.1


class Due(NamedTuple):
    """What is to be fetched of a day.

    Attributes:
        day: The day.
        units: Its units that are due, in order, each with how many contracts are listed; None without a list.
        planning: Seconds that finding it out takes: until then none of them is asked for.
    """

    day: Day
    units: tuple[tuple[Unit, int | None], ...]
    planning: float = 0.0


@dataclass(frozen=True, slots=True)
class Basis:
    """What a forecast is from.

    Attributes:
        dialect: How the Terminal was spoken to.
        requests: Data requests that were measured.
        trade_dates: The days of which.
        wait: Seconds until the first byte of each.
        bytes_per_second: Of one reply; None where they came too fast to tell.
    """

    dialect: str
    requests: int
    trade_dates: tuple[date, ...]
    wait: float
    bytes_per_second: float | None


@dataclass(frozen=True, slots=True)
class Share:
    """What the units of one root, dataset and interval will take.

    Attributes:
        root: Option root.
        dataset: Name of the dataset.
        interval: The vendor's interval.
        requests: Data requests: one for each unit at least, and no repeated ones.
        received: Bytes received; None where nothing was measured.
        stored: Bytes of the files; None where nothing was measured.
        basis: What this is from; None where nothing was measured.
    """

    root: str
    dataset: str
    interval: str
    requests: int
    received: int | None
    stored: int | None
    basis: Basis | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run will take if no request fails.

    Attributes:
        requests: Data requests.
        received: Bytes received; None if some of them cannot be told.
        stored: Bytes of the files; None likewise.
        seconds: How long it takes; None likewise.
        at_once: Requests at once.
        shares: The same of each root, dataset and interval.
    """

    requests: int
    received: int | None
    stored: int | None
    seconds: float | None
    at_once: int
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Rates:
    """What the newest measures of one kind of unit amount to.

    Attributes:
        dialect: How the Terminal was spoken to.
        measures: The measures.
        wait: Seconds until the first byte.
        per_byte: Seconds for each byte from there on.
        settling: Seconds from the last byte until the unit is recorded.
    """

    dialect: str
    measures: tuple[Measure, ...]
    wait: float
    per_byte: float
    settling: float

    @classmethod
    def of(cls, dialect: str, measures: Sequence[Measure]) -> "Rates":
        """Return what measures, of which there must be some, amount to; the last is the newest."""
        chosen = newest(measures)
        each = [1.0] * len(chosen)
        sizes = [float(max(measure.received, 1)) for measure in chosen]
        return cls(
            dialect,
            chosen,
            typical([measure.wait for measure in chosen], each),
            typical([measure.seconds / size for measure, size in zip(chosen, sizes, strict=True)], sizes),
            typical([measure.settling for measure in chosen], each),
        )

    def basis(self) -> Basis:
        """Return what to say of where figures come from."""
        dates = tuple(sorted({measure.trade_date for measure in self.measures}))
        requests = sum(measure.requests for measure in self.measures)
        return Basis(self.dialect, requests, dates, self.wait, 1 / self.per_byte if self.per_byte else None)

    def expected(self, unit: Unit, contracts: int | None) -> "Expected":
        """Return what a unit will take: what the one took that is nearest to it in days to expiration.

        Args:
            unit: The unit.
            contracts: How many are listed, None without a list.
        """
        like = min(reversed(self.measures), key=lambda measure: abs(_dte(measure) - _dte(unit)))
        ratio = contracts / like.contracts if contracts and like.contracts else 1.0
        ratio *= _minutes(unit) / _minutes(unit, like)
        received = like.received * ratio
        requests = max(1, round(like.requests * ratio)) if like.requests > 1 else 1
        return Expected(requests, received, like.stored * ratio, self.wait + received * self.per_byte)


class Expected(NamedTuple):
    """What one unit will take: requests, bytes received and stored, and seconds that it holds a place."""

    requests: int
    received: float
    stored: float
    seconds: float


def forecast(due: Iterable[Due], rates: Callable[[Day], Rates | None], at_once: int, pacing: float) -> Forecast:
    """Return what a run will take.

    Args:
        due: What is due, in the order in which it is fetched.
        rates: What was measured of a day's kind, None for nothing.
        at_once: Requests at once.
        pacing: Least seconds between the starts of two requests.
    """
    days = [day for day in due if day.units]
    by_kind: dict[tuple[str, str, str], list[Expected | None]] = {}
    known: dict[tuple[str, str, str], Rates | None] = {}
    times: list[tuple[float, list[float]]] = []
    for day in days:
        kind = day.day[1:]
        if kind not in known:
            known[kind] = rates(day.day)
        found = known[kind]
        expected = [found.expected(*unit) if found else None for unit in day.units]
        by_kind.setdefault(kind, []).extend(expected)
        times.append((day.planning, [one.seconds for one in expected if one]))
    shares = tuple(_share(kind, expected, known[kind]) for kind, expected in by_kind.items())
    received = [share.received for share in shares if share.received is not None]
    stored = [share.stored for share in shares if share.stored is not None]
    is_whole = len(received) == len(shares)
    settling = max((found.settling for found in known.values() if found), default=0.0)
    return Forecast(
        sum(share.requests for share in shares),
        sum(received) if is_whole else None,
        sum(stored) if is_whole else None,
        duration(times, at_once, pacing) + settling if is_whole and shares else 0.0 if is_whole else None,
        at_once,
        shares,
    )


def duration(days: Iterable[tuple[float, Iterable[float]]], at_once: int, pacing: float) -> float:
    """Return the seconds until all requests are answered: so many at once, each begun as soon as it may be.

    Args:
        days: Of each day, the seconds before its first request may begin, and those that each of its requests takes.
        at_once: Requests at once.
        pacing: Least seconds between the starts of two requests.

    Example:
        >>> duration([(1.0, [4.0, 4.0, 4.0])], at_once=2, pacing=0.5)
        9.0
    """
    free = [0.0] * at_once
    begun, last = -pacing, 0.0
    for planning, requests in days:
        idle = planning
        for seconds in requests:
            begun = max(heapq.heappop(free) + idle, begun + pacing)
            heapq.heappush(free, begun + seconds)
            last, idle = max(last, begun + seconds), 0.0
    return last


def typical(values: Sequence[float], weights: Sequence[float]) -> float:
    """Return the weighted mean of values, of which the least and the greatest tenth count as what comes next to them.

    Example:
        >>> typical([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 900.0], [1.0] * 10)
        1.0
    """
    ordered = sorted(zip(values, weights, strict=True))
    total = sum(weights)
    low, high = (_at(ordered, total * part) for part in (_TAIL, 1 - _TAIL))
    return sum(min(max(value, low), high) * weight for value, weight in ordered) / total


def _at(ordered: Sequence[tuple[float, float]], weight: float) -> float:
    """Return the value by which so much of the weight is passed."""
    passed = 0.0
    for value, more in ordered:
        passed += more
        if passed >= weight:
            return value
    return ordered[-1][0]


def _share(kind: tuple[str, str, str], expected: Sequence[Expected | None], rates: Rates | None) -> Share:
    known = [one for one in expected if one]
    if rates is None:
        return Share(*kind, len(expected), None, None, None)
    received, stored = (round(sum(each)) for each in ((one.received for one in known), (one.stored for one in known)))
    return Share(*kind, sum(one.requests for one in known), received, stored, rates.basis())


def _dte(unit: Unit | Measure) -> int:
    return (unit.expiration - unit.trade_date).days if unit.expiration else 0


def _minutes(unit: Unit, like: Measure | None = None) -> float:
    """Return how long a unit's session is, or that of one like it; 1 for reports on a day, which have no length."""
    if DATASETS[unit.dataset].rows_at(unit.interval) is Rows.DAILY:
        return 1.0
    one = like or unit
    hours = session(unit.root, one.trade_date, one.expiration)
    return float(hours.close - hours.open) if hours else 1.0
