"""The archive's rule: what it is to hold from a day on, and which days have something due by it."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum, auto
from typing import Any, Final, NamedTuple

from spxdata.errors import CatalogCorrupt, ConfigError
from spxdata.model import Day, DayStatus, Outcome, Scope, State, Verdict
from spxdata.plan import RECENT, is_day_wide, is_due, is_listed, is_published
from spxdata.protocols import Catalog
from spxdata.schema import DATASETS, Subject
from spxdata.sessions import NEW_YORK, is_trading_day, next_trading_day, published, session, trading_days

#: Kind under which the catalog keeps the rule; there is one, so its key says nothing.
KIND: Final = "rule"
_KEY: Final = ""
#: Version of the document's form.
VERSION: Final = 1

#: When to look again for what is late, or was kept away by something that passes.
SOON: Final = timedelta(hours=1)

_ONE_DAY: Final = timedelta(days=1)


class DatasetAt(NamedTuple):
    """A dataset at an interval."""

    dataset: str
    interval: str

    def __str__(self) -> str:
        return f"{self.dataset} {self.interval}"


@dataclass(frozen=True, slots=True)
class Rule:
    """What the archive is to hold, resolved anew by every update.

    Attributes:
        start: The first trade date.
        roots: Option roots.
        datasets: Datasets, each at an interval.
        max_dte: Most calendar days to expiration.
    """

    start: date
    roots: tuple[str, ...]
    datasets: tuple[DatasetAt, ...]
    max_dte: int

    def __str__(self) -> str:
        kinds = ", ".join(map(str, self.datasets))
        days = f"{self.max_dte} day{'' if self.max_dte == 1 else 's'}"
        return f"{kinds} of {', '.join(self.roots)} from {self.start} on, at most {days} to expiration"

    @property
    def scope(self) -> Scope:
        """Which expirations it speaks of."""
        return Scope(self.max_dte)

    def days(self, trade_date: date) -> tuple[Day, ...]:
        """Return what a trade date consists of; a dataset of two roots' index is one, what the vendor lacks none."""
        found = (
            Day(trade_date, DATASETS[name].root(root), name, interval)
            for root in self.roots
            for name, interval in self.datasets
            if trade_date >= DATASETS[name].since
        )
        return tuple(dict.fromkeys(found))


class Change(NamedTuple):
    """What a user says of a rule; None and empty stand for "as it is"."""

    start: date | None = None
    roots: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    interval: str | None = None
    max_dte: int | None = None


def changed(rule: Rule, change: Change) -> Rule:
    """Return a rule with a change made to it.

    A dataset that the rule has keeps its interval unless another one is named; a new one gets its usual one.

    Raises:
        ConfigError: A dataset cannot be had at the interval.
    """
    before: dict[str, list[DatasetAt]] = {}
    for one in rule.datasets:
        before.setdefault(one.dataset, []).append(one)
    names = dict.fromkeys(change.datasets or before)
    kinds = [
        one
        for name in names
        for one in (before.get(name, []) if change.interval is None else []) or [_at(name, change.interval)]
    ]
    return Rule(
        change.start or rule.start,
        tuple(dict.fromkeys(change.roots or rule.roots)),
        tuple(kinds),
        rule.max_dte if change.max_dte is None else change.max_dte,
    )


def _at(name: str, interval: str | None) -> DatasetAt:
    """Return a dataset at an interval; one that has no choice is not asked."""
    intervals = DATASETS[name].intervals
    if interval is None or len(intervals) == 1:
        return DatasetAt(name, intervals[0])
    if interval not in intervals:
        raise ConfigError(f"{name} cannot be had at the interval {interval}.", hint=f"Allowed: {', '.join(intervals)}.")
    return DatasetAt(name, interval)


def suggested(known: Iterable[DayStatus]) -> Rule | None:
    """Return the rule that an archive's days suggest: to go on with what it has; None if it has none of an option."""
    days = [status for status in known if DATASETS[status.day.dataset].subject is Subject.OPTION]
    if not days:
        return None
    kinds = {DatasetAt(status.day.dataset, status.day.interval) for status in days}
    order = list(DATASETS)
    return Rule(
        min(status.day.trade_date for status in days),
        tuple(sorted({status.day.root for status in days}, reverse=True)),  # SPXW before SPX
        tuple(sorted(kinds, key=lambda one: (order.index(one.dataset), one.interval))),
        max(status.scope.max_dte for status in days),
    )


def written(rule: Rule) -> str:
    """Return a rule as the JSON document that the catalog keeps."""
    return json.dumps({"version": VERSION, **as_values(rule)})


def as_values(rule: Rule) -> dict[str, Any]:
    """Return a rule as plain values for JSON."""
    kinds = [one._asdict() for one in rule.datasets]
    return {"start": rule.start.isoformat(), "roots": list(rule.roots), "datasets": kinds, "max_dte": rule.max_dte}


def read(text: str) -> Rule:
    """Return the rule of a document.

    Raises:
        CatalogCorrupt: It is none, or a newer version of spxdata wrote it.
    """
    try:
        said = json.loads(text)
        version = said["version"]
        if version == VERSION:
            kinds = tuple(DatasetAt(DATASETS[one["dataset"]].name, one["interval"]) for one in said["datasets"])
            return Rule(date.fromisoformat(said["start"]), tuple(said["roots"]), kinds, int(said["max_dte"]))
    except (ValueError, KeyError, TypeError) as error:
        raise CatalogCorrupt(
            f"The archive's rule cannot be read: {error!r}.", hint="Set it again: spxdata update --start-date DAY."
        ) from error
    raise CatalogCorrupt(f"The archive's rule has version {version}.", hint="A newer spxdata set it: update this one.")


def kept(catalog: Catalog) -> Rule | None:
    """Return the archive's rule, None if it has none.

    Raises:
        CatalogCorrupt: It cannot be read.
    """
    text = catalog.documents(KIND).get(_KEY)
    return read(text) if text is not None else None


def keep(rule: Rule, catalog: Catalog) -> None:
    """Make this the archive's rule; only for the lease's holder."""
    catalog.keep_documents(KIND, {_KEY: written(rule)})


class Standing(Enum):
    """What a day's line in the catalog says of it."""

    SETTLED = auto()
    DUE = auto()
    BY_UNITS = auto()  # it has ended and lacks something: its units know when to ask again
    AWAITED = auto()  # it has begun, and the vendor publishes it later


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a rule comes to at a moment.

    Attributes:
        due: Days that have something due, sorted by trade date.
        awaited: Days that have begun and are not published yet, as far as that is not on record.
        settled: The lines of days that have nothing due, sorted likewise.
        late: Whether something is due that the vendor should have published and has not.
    """

    due: tuple[Day, ...]
    awaited: tuple[Day, ...]
    settled: tuple[DayStatus, ...]
    late: bool


def resolved(
    rule: Rule,
    days: Iterable[DayStatus],
    outcomes: Callable[[Day], Iterable[Outcome]],
    names: Iterable[str],
    now: datetime,
) -> Resolved:
    """Return what a rule comes to.

    Args:
        rule: What the archive is to hold.
        days: All days that it knows.
        outcomes: Reads how a day's units stand; called only for days that have ended and lack something.
        names: The paths of its files; none of them is looked into.
        now: The current moment (aware).
    """
    known = {status.day: status for status in days}
    lost = dates_with_lost_files(known.values(), names)
    by_standing: dict[Standing, list[Day]] = {standing: [] for standing in Standing}
    for day, standing in standings(rule, known, lost, now):
        found = standing
        if standing is Standing.BY_UNITS:
            asks = has_due_units(known[day], outcomes(day), rule.scope, now)
            found = Standing.DUE if asks else Standing.SETTLED
        by_standing[found].append(day)
    due = tuple(by_standing[Standing.DUE])
    late = any(day in known and known[day].verdict is Verdict.NOT_PUBLISHED for day in due)
    settled = tuple(known[day] for day in by_standing[Standing.SETTLED])
    return Resolved(due, tuple(by_standing[Standing.AWAITED]), settled, late)


def dates_with_lost_files(known: Iterable[DayStatus], names: Iterable[str]) -> frozenset[date]:
    """Return the trade dates in whose folder fewer files lie than are on record.

    Which of them is missing the downloader finds out; that one is missing must not cost a look at each.
    """
    there = Counter(name.partition("/")[0] for name in names)
    recorded: Counter[date] = Counter()
    for status in known:
        recorded[status.day.trade_date] += status.files
    return frozenset(day for day, files in recorded.items() if there[f"{day:%Y%m%d}"] < files)


def standings(
    rule: Rule, known: Mapping[Day, DayStatus], lost: frozenset[date], now: datetime
) -> Iterator[tuple[Day, Standing]]:
    """Yield how each day of a rule up to today (New York) stands, by trade date, but for those that have not begun.

    Args:
        rule: What the archive is to hold.
        known: Its days.
        lost: Trade dates that lack files which are on record.
        now: The current moment (aware).
    """
    for trade_date in trading_days(rule.start, now.astimezone(NEW_YORK).date()):
        for day in rule.days(trade_date):
            if is_published(day, now):
                yield day, _standing(day, known.get(day), rule.scope, lost, now)
            elif _has_begun(day, now) and not (day in known and known[day].verdict is Verdict.NOT_PUBLISHED):
                yield day, Standing.AWAITED


def _has_begun(day: Day, now: datetime) -> bool:
    hours = session(day.root, day.trade_date, None)
    local = now.astimezone(NEW_YORK)
    return hours is not None and (local.date(), local.hour * 60 + local.minute) >= (day.trade_date, hours.open)


def _standing(day: Day, status: DayStatus | None, scope: Scope, lost: frozenset[date], now: datetime) -> Standing:
    """Return how a day stands that is published."""
    if status is None or (status.files and day.trade_date in lost):
        return Standing.DUE
    if not is_day_wide(day) and not scope.within(status.scope, day.trade_date):
        return Standing.DUE
    match status.verdict:
        case Verdict.COMPLETE:
            return Standing.SETTLED
        case Verdict.UNVERIFIED:
            return Standing.DUE if _can_be_compared_now(day, status, now) else Standing.SETTLED
        case Verdict.NOT_PUBLISHED:
            return Standing.DUE
    return Standing.BY_UNITS


def _can_be_compared_now(day: Day, status: DayStatus, now: datetime) -> bool:
    """Tell whether the contract list has come that a day's rows could not wait for.

    Not after a week: an account that may not have lists would be told so of all its history, every time.
    """
    today = now.astimezone(NEW_YORK).date()
    too_early = status.ended_at is None or not is_listed(day.trade_date, status.ended_at)
    has_list = DATASETS[day.dataset].contract_list is not None
    return has_list and too_early and is_listed(day.trade_date, now) and today - day.trade_date <= RECENT


def has_due_units(status: DayStatus, outcomes: Iterable[Outcome], scope: Scope, now: datetime) -> bool:
    """Tell whether a day that lacks something has units to be asked for today.

    Args:
        status: The day's line in the catalog.
        outcomes: How its known units stand.
        scope: Which of them count.
        now: The current moment (aware).
    """
    trade_date, today = status.day.trade_date, now.astimezone(NEW_YORK).date()
    mine = [o for o in outcomes if o.unit.expiration is None or scope.covers(trade_date, o.unit.expiration)]
    if not mine:
        return status.verdict is not Verdict.ABSENT  # else no expiration lies within the scope
    if any(is_due(outcome, today) for outcome in mine):
        return True
    # Without a verdict the day stopped early, and has units that nobody has heard of; unless it was refused.
    return status.verdict is None and all(outcome.state is not State.REFUSED for outcome in mine)


def next_publication(rule: Rule, now: datetime) -> datetime:
    """Return when the vendor next publishes something of a rule, in New York time.

    Args:
        rule: What the archive is to hold.
        now: The current moment (aware).

    Raises:
        ConfigError: The table of trading days ends before.
    """
    today = now.astimezone(NEW_YORK).date()
    dates = [day for day in (today - _ONE_DAY, today) if is_trading_day(day)] + [next_trading_day(today)]
    kinds = {DATASETS[one.dataset].publication for one in rule.datasets}
    return min(moment for day in dates for kind in kinds if (moment := published(kind, day)) > now)
