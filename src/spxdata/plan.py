"""Request + sessions + what the catalog holds -> which units to fetch, in which order. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from spxdata.errors import ConfigError
from spxdata.model import ContractList, Day, Outcome, Scope, State, Unit
from spxdata.schema import DATASETS
from spxdata.sessions import NEW_YORK, closed_because, published, session

#: A refused unit is asked for again after this; so is a hole that was confirmed twice.
MONTH = timedelta(days=30)
#: For this long after its day an empty answer may still fill up; then it is asked for again once a month.
RECENT = timedelta(days=7)
#: Free bytes below which no day is begun: catalog, logs and quarantine need some too.
LEAST_SPACE = 200_000_000


@dataclass(frozen=True, slots=True)
class Request:
    """What a user asks for.

    Attributes:
        trade_dates: Days of the range in order, closed ones included.
        root: Option root; the first one where `only` has several.
        datasets: Names of datasets.
        scope: Which expirations.
        force: Whether to fetch again what the archive already has.
        interval: The interval of all datasets that have a choice; each one's own for None.
        holes: Whether to ask at once for what lacks something, however lately it was asked for.
        only: What each trade date consists of, where that is not all datasets of the root; see `request_of`.
        units: The only units that may be fetched, be they within the scope or not; their days' scopes stay what they
            were. None for all within the scope.

    Raises:
        ConfigError: A dataset does not have the interval.
    """

    trade_dates: tuple[date, ...]
    root: str
    datasets: tuple[str, ...]
    scope: Scope
    force: bool = False
    interval: str | None = None
    holes: bool = False
    only: Mapping[date, tuple[Day, ...]] = field(default_factory=dict)
    units: frozenset[Unit] | None = None

    def __post_init__(self) -> None:
        """Refuse an interval that a dataset does not have; one that has no choice is not asked."""
        for name in self.datasets:
            intervals = DATASETS[name].intervals
            if self.interval and len(intervals) > 1 and self.interval not in intervals:
                raise ConfigError(
                    f"{name} cannot be had at the interval {self.interval}.", hint=f"Allowed: {', '.join(intervals)}."
                )

    def days(self, trade_date: date) -> tuple[Day, ...]:
        """Return what a trade date consists of, a dataset each."""
        if self.only:
            return self.only.get(trade_date, ())
        return tuple(
            Day(trade_date, DATASETS[name].root(self.root), name, self._interval(name)) for name in self.datasets
        )

    def _interval(self, dataset: str) -> str:
        intervals = DATASETS[dataset].intervals
        return self.interval if self.interval and len(intervals) > 1 else intervals[0]

    def open_dates(self) -> tuple[date, ...]:
        """Return the days on which the exchange is open."""
        return tuple(day for day in self.trade_dates if closed_because(day) is None)

    def counts(self) -> dict[date, int]:
        """Return how many days, in the sense of a verdict, each trade date consists of, if it is an open one."""
        return {trade_date: len(self.days(trade_date)) for trade_date in self.trade_dates}


def request_of(days: Iterable[Day], scope: Scope) -> Request:
    """Return a request for some days and no others, in their order; there must be one.

    Args:
        days: Of whatever roots, datasets and intervals.
        scope: Which expirations of each.
    """
    only: dict[date, tuple[Day, ...]] = {}
    for day in days:
        only[day.trade_date] = (*only.get(day.trade_date, ()), day)
    first = next(iter(only.values()))[0]
    names = dict.fromkeys(day.dataset for several in only.values() for day in several)
    return Request(tuple(only), first.root, tuple(names), scope, only=only)


def date_range(start: date, end: date, now: datetime) -> tuple[date, ...]:
    """Return all days from start to end.

    Args:
        start: First day.
        end: Last day, included.
        now: The current moment (aware).

    Raises:
        ConfigError: The range is backwards or reaches into the future.
    """
    today = now.astimezone(NEW_YORK).date()
    if end < start:
        raise ConfigError(f"The range ends on {end}, before it starts on {start}.", hint="Swap the two dates.")
    if end > today:
        raise ConfigError(
            f"{end} is in the future: in New York it is {today}.", hint="Ask for a day that has been traded."
        )
    days = tuple(start + timedelta(days=n) for n in range((end - start).days + 1))
    closed_because(start), closed_because(end)  # both ends must lie within the table of sessions
    return days


def expirations(day: Day, scope: Scope, listed: ContractList | None, known: Iterable[date]) -> tuple[date, ...]:
    """Return a day's expirations within a scope that have a session, nearest first.

    Args:
        day: The day; its root decides whether an expiration still trades.
        scope: What is asked for.
        listed: The day's contract list, None if the account may not have it.
        known: The root's expirations, used without a contract list; sentinels among them fall out of the scope.
    """
    candidates = listed.expirations() if listed else sorted(set(known))
    return tuple(
        expiration
        for expiration in candidates
        if scope.covers(day.trade_date, expiration) and session(day.root, day.trade_date, expiration)
    )


def smallest(units: Sequence[Unit], listed: ContractList | None) -> Unit | None:
    """Return the unit with the fewest listed contracts, the first one without a list."""
    if listed is None:
        return units[0] if units else None
    sizes = Counter(contract.expiration for contract in listed.contracts)
    return min(units, key=lambda unit: sizes[unit.expiration] if unit.expiration else 0, default=None)


def is_published(day: Day, now: datetime) -> bool:
    """Tell whether a day's rows are final."""
    return now >= published(DATASETS[day.dataset].publication, day.trade_date)


def is_listed(trade_date: date, now: datetime) -> bool:
    """Tell whether a day's contract lists are final: with its last quotes."""
    return now >= published("intraday", trade_date)


def is_day_wide(day: Day) -> bool:
    """Tell whether all of a day is one unit, without expiration."""
    return DATASETS[day.dataset].unit_of == "day"


def space_needed(largest: int, due: int, units: int) -> int:
    """Return the free bytes below which a day is not worth beginning.

    Args:
        largest: Bytes of the largest day of its kind shortly before it, 0 if none is known.
        due: Units of the day that are to be fetched.
        units: All units of the day.

    Example:
        >>> space_needed(300_000_000, 40, 40), space_needed(300_000_000, 1, 40), space_needed(0, 40, 40)
        (600000000, 200000000, 200000000)
    """
    return max(LEAST_SPACE, 2 * largest * due // max(units, 1))


def is_due(outcome: Outcome | None, today: date, *, force: bool = False, holes: bool = False) -> bool:
    """Tell whether a unit is to be fetched, from how it stands.

    Args:
        outcome: How it stands, None if it was never asked for.
        today: The current day in New York.
        force: Whether the user wants it again anyway.
        holes: Whether the user wants it again if it lacks something.
    """
    if outcome is None or force:
        return True
    if outcome.state is State.STORED and not outcome.partial and (outcome.verified or outcome.ask_again is None):
        return False
    if holes or outcome.state not in {State.STORED, State.EMPTY, State.REFUSED}:
        return True
    if outcome.ask_again is None:
        return outcome.partial
    return outcome.ask_again <= today


def dated(outcome: Outcome, today: date, *, listed: bool) -> Outcome:
    """Return an outcome with the day from which asking again makes sense.

    Args:
        outcome: How the unit stands.
        today: The current day in New York.
        listed: Whether it was held against a contract list: what is not verified then has proved that list short.
    """
    whole = outcome.state is State.STORED and not outcome.partial and (outcome.verified or not listed)
    return replace(outcome, ask_again=None if whole else ask_again(outcome.state, outcome.unit.trade_date, today))


def ask_again(state: State, trade_date: date, today: date) -> date | None:
    """Return the day from which asking again makes sense, None where `is_due` needs none.

    Args:
        state: How the unit stands; stored means: with holes, or against a list that it has proved short.
        trade_date: The unit's day.
        today: The current day in New York.
    """
    if state is State.EMPTY and today - trade_date <= RECENT:
        return today + timedelta(days=1)
    if state in {State.EMPTY, State.REFUSED, State.STORED}:
        return today + MONTH
    return None
