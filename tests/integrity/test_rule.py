"""The archive's rule: how it is kept and changed, what is due by it, when there will be more."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.errors import CatalogCorrupt, ConfigError
from spxdata.integrity.rule import (
    KIND,
    Change,
    DatasetAt,
    Resolved,
    Rule,
    as_values,
    changed,
    dates_with_lost_files,
    has_due_units,
    keep,
    kept,
    next_publication,
    read,
    resolved,
    suggested,
    written,
)
from spxdata.model import Day, DayStatus, Outcome, Scope, State, Unit, Verdict
from spxdata.plan import is_published
from spxdata.schema import DATASETS
from spxdata.sessions import NEW_YORK, trading_days
from tests.builders import FakeClock, a_day, a_unit, an_outage, empty, failed, refused, stored

GREEKS, QUOTE = DatasetAt("greeks", "1m"), DatasetAt("quote", "1m")
OPEN_INTEREST, EOD, RATE = DatasetAt("open_interest", "1d"), DatasetAt("eod", "1d"), DatasetAt("interest_rate", "1d")
#: Wednesday to Wednesday, with a holiday on the Monday between.
START, END = date(2024, 1, 10), date(2024, 1, 17)
WEEK = (START, date(2024, 1, 11), date(2024, 1, 12), date(2024, 1, 16), END)


def at(text: str) -> datetime:
    """Return a moment in New York."""
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


#: When all of the week has been published, and the next day has not begun.
AFTER = at("2024-01-18T03:00")


def a_rule(*datasets: DatasetAt, start: date = START, roots: tuple[str, ...] = ("SPXW",), max_dte: int = 60) -> Rule:
    """Return a rule about greeks of SPXW."""
    return Rule(start, roots, datasets or (GREEKS,), max_dte)


def a_status(trade_date: date = START, verdict: Verdict | None = Verdict.COMPLETE, **changes: object) -> DayStatus:
    """Return a day's line in the catalog."""
    day = changes.pop("day", a_day(trade_date=trade_date))
    values: dict[str, object] = {
        "status": "success",
        "scope": Scope(60),
        "files": 4,
        "ended_at": AFTER - timedelta(hours=1),
    }
    return DayStatus(day, verdict=verdict, **{**values, **changes})  # type: ignore[arg-type]  # the values are above


def names_of(days: Iterable[DayStatus]) -> list[str]:
    """Return paths such that every file on record is there."""
    return [f"{status.day.trade_date:%Y%m%d}/{status.day}{n}" for status in days for n in range(status.files)]


def nobody_asks(day: Day) -> tuple[Outcome, ...]:
    """Fail: how this day's units stand must not be looked up."""
    raise AssertionError(day)


def resolve(
    rule: Rule, days: Iterable[DayStatus] = (), now: datetime = AFTER, outcomes: Iterable[Outcome] | None = None
) -> Resolved:
    """Resolve a rule where all files are there."""
    days = list(days)
    found = nobody_asks if outcomes is None else lambda day: tuple(o for o in outcomes if o.unit.day == day)
    return resolved(rule, days, found, names_of(days), now)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    """Draw any rule."""
    pairs = [DatasetAt(name, interval) for name, entry in DATASETS.items() for interval in entry.intervals]
    kinds = draw(st.lists(st.sampled_from(pairs), min_size=1, max_size=4, unique=True))
    roots = draw(st.sampled_from([("SPXW",), ("SPX",), ("SPXW", "SPX")]))
    start = draw(st.dates(date(2017, 1, 3), date(2024, 1, 1)))
    return Rule(start, roots, tuple(kinds), draw(st.integers(0, 3650)))


@given(rules())
def test_a_rule_can_be_written_and_read(rule: Rule) -> None:
    """The document says all there is to it."""
    assert read(written(rule)) == rule


def test_an_archive_keeps_one_rule(tmp_path: Path) -> None:
    """A new one stands for the old one; a new archive has none."""
    clock = FakeClock()
    catalog = SqliteCatalog(tmp_path / "catalog.sqlite")
    try:
        assert kept(catalog) is None
        with catalog.lease(clock):
            keep(a_rule(), catalog)
            keep(a_rule(QUOTE), catalog)
        assert kept(catalog) == a_rule(QUOTE)
        assert len(catalog.documents(KIND)) == 1
    finally:
        catalog.close()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot be read"),
        ("[]", "cannot be read"),
        ("{}", "cannot be read"),
        ('{"version": 1, "start": "soon", "roots": [], "datasets": [], "max_dte": 0}', "cannot be read"),
        (written(a_rule(DatasetAt("sentiment", "1m"))), "sentiment"),
        ('{"version": 2}', "version 2"),
    ],
)
def test_a_document_that_is_no_rule_is_refused(text: str, words: str) -> None:
    """A newer version's too: what it means is not known here."""
    with pytest.raises(CatalogCorrupt, match=words):
        read(text)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (Change(), a_rule(GREEKS, DatasetAt("quote", "5m"))),
        (Change(max_dte=0), a_rule(GREEKS, DatasetAt("quote", "5m"), max_dte=0)),
        (Change(start=END), a_rule(GREEKS, DatasetAt("quote", "5m"), start=END)),
        (Change(roots=("SPX", "SPX")), a_rule(GREEKS, DatasetAt("quote", "5m"), roots=("SPX",))),
        (Change(datasets=("quote", "eod", "quote")), a_rule(DatasetAt("quote", "5m"), EOD)),
        (Change(interval="1h"), a_rule(DatasetAt("greeks", "1h"), DatasetAt("quote", "1h"))),
        (Change(datasets=("eod", "greeks"), interval="1h"), a_rule(EOD, DatasetAt("greeks", "1h"))),
    ],
)
def test_what_is_not_named_stays(change: Change, expected: Rule) -> None:
    """A dataset that the rule has keeps its interval unless another one is named; one without a choice is not asked."""
    assert changed(a_rule(GREEKS, DatasetAt("quote", "5m")), change) == expected


def test_an_interval_that_a_dataset_does_not_have_is_refused() -> None:
    """It says which there are."""
    with pytest.raises(ConfigError, match="ohlc cannot be had at the interval tick") as caught:
        changed(a_rule(DatasetAt("ohlc", "1m")), Change(interval="tick"))
    assert "1m" in caught.value.hint


def test_the_rule_that_an_archive_suggests_goes_on_with_what_it_has() -> None:
    """All its roots, datasets and intervals of options, from its first day on, as far out as it ever was asked."""
    days = [
        a_status(day=Day(END, "SPX", "quote", "5m"), scope=Scope(30)),
        a_status(day=Day(START, "SPXW", "greeks", "1m"), scope=Scope(45)),
        a_status(day=Day(date(2020, 1, 2), "SOFR", "interest_rate", "1d"), scope=Scope(90)),
    ]
    rule = a_rule(GREEKS, DatasetAt("quote", "5m"), roots=("SPXW", "SPX"), max_dte=45)
    assert suggested(days) == rule
    assert suggested(days[2:]) is None


def test_an_index_is_wanted_once_whatever_the_roots() -> None:
    """SPXW and SPX have one index; the interest rate has no root at all."""
    rule = a_rule(DatasetAt("index_price", "1m"), RATE, GREEKS, roots=("SPXW", "SPX"))
    assert [(day.root, day.dataset) for day in rule.days(START)] == [
        ("SPX", "index_price"),
        ("SOFR", "interest_rate"),
        ("SPXW", "greeks"),
        ("SPX", "greeks"),
    ]


def test_nothing_is_wanted_of_days_before_the_vendor_has_a_dataset() -> None:
    """Quotes go back further than greeks."""
    rule = a_rule(QUOTE, GREEKS, start=date(2016, 12, 29))
    found = resolve(rule, now=at("2017-01-05T03:00"))
    assert [(day.trade_date.day, day.dataset) for day in found.due] == [
        (29, "quote"),
        (30, "quote"),
        (3, "quote"),
        (3, "greeks"),
        (4, "quote"),
        (4, "greeks"),
    ]


def test_all_trading_days_of_a_new_archive_are_due_up_to_the_last_published_one() -> None:
    """Weekend and holiday are none."""
    assert tuple(day.trade_date for day in resolve(a_rule()).due) == WEEK
    assert tuple(day.trade_date for day in resolve(a_rule(), now=at("2024-01-18T01:59")).due) == WEEK[:-1]


def test_a_hole_between_complete_days_is_due() -> None:
    """Not only what comes after the last one."""
    days = [a_status(day) for day in WEEK if day != WEEK[1]]
    found = resolve(a_rule(), days)
    assert [day.trade_date for day in found.due] == [WEEK[1]]
    assert [status.day.trade_date for status in found.settled] == [day for day in WEEK if day != WEEK[1]]


def test_units_of_complete_days_are_not_looked_up() -> None:
    """Years of history are resolved from their lines alone."""
    rule = a_rule(GREEKS, QUOTE, start=date(2018, 1, 2), roots=("SPXW", "SPX"))
    days = [a_status(day=day, files=0) for trade_date in trading_days(rule.start, END) for day in rule.days(trade_date)]
    found = resolve(rule, days)
    assert not found.due
    assert len(found.settled) == len(days) > 6000


@pytest.mark.parametrize(
    ("scope", "due"),
    [(Scope(60), False), (Scope(90), False), (Scope(59), True), (Scope(60, (START,)), True)],
)
def test_a_day_that_is_complete_for_less_than_the_rule_wants_is_due(scope: Scope, due: bool) -> None:
    """More is as good."""
    assert bool(resolve(a_rule(), [a_status(scope=scope)], at("2024-01-11T03:00")).due) is due


def test_days_to_expiration_mean_nothing_to_a_dataset_of_the_whole_day() -> None:
    """All of its expirations come in one reply."""
    status = a_status(day=Day(START, "SPXW", "eod", "1d"), scope=Scope(0))
    assert not resolve(a_rule(EOD), [status], at("2024-01-11T03:00")).due


@pytest.mark.parametrize(
    ("dataset", "moment", "due", "awaited"),
    [
        (GREEKS, "2024-01-10T09:29", False, False),
        (GREEKS, "2024-01-10T09:30", False, True),
        (GREEKS, "2024-01-11T01:59", False, True),
        (GREEKS, "2024-01-11T02:00", True, False),
        (OPEN_INTEREST, "2024-01-10T06:44", False, False),
        (OPEN_INTEREST, "2024-01-10T06:45", True, False),
        (EOD, "2024-01-10T17:29", False, True),
        (EOD, "2024-01-10T17:30", True, False),
        (RATE, "2024-01-11T09:59", False, True),
        (RATE, "2024-01-11T10:00", True, False),
    ],
)
def test_a_dataset_is_due_when_it_is_published_and_awaited_once_its_day_has_begun(
    dataset: DatasetAt, moment: str, due: bool, awaited: bool
) -> None:
    """Each by its own time."""
    found = resolve(a_rule(dataset), now=at(moment))
    assert [START in {day.trade_date for day in days} for days in (found.due, found.awaited)] == [due, awaited]


def test_that_a_day_is_not_published_is_noted_once() -> None:
    """And once it should be, it is due; if the vendor was late then, it is late."""
    status = a_status(verdict=Verdict.NOT_PUBLISHED, files=0)
    evening = resolve(a_rule(), [status], at("2024-01-10T20:00"))
    assert (evening.due, evening.awaited, evening.late) == ((), (), False)
    morning = resolve(a_rule(), [status], at("2024-01-11T02:00"))
    assert (len(morning.due), morning.late) == (1, True)
    assert not resolve(a_rule(), [], at("2024-01-11T02:00")).late


def test_days_whose_files_are_gone_are_due() -> None:
    """That files are missing is seen from names; of which dataset of the date, the downloader will find out."""
    days = [a_status(day) for day in WEEK]
    names = [name for name in names_of(days) if not name.startswith("20240112/")]
    lost = names[1:]
    found = resolved(a_rule(), days, nobody_asks, lost, AFTER)
    assert [day.trade_date for day in found.due] == [START, date(2024, 1, 12)]
    assert not resolved(a_rule(), days, nobody_asks, [*names_of(days), "20240112/notes.txt"], AFTER).due


def test_files_are_counted_over_all_datasets_of_a_date() -> None:
    """A date with another dataset's files beside is not taken for whole."""
    days = [a_status(), a_status(day=a_day(trade_date=START, dataset="quote"), files=3)]
    names = [f"20240110/{n}.parquet" for n in range(7)]
    assert dates_with_lost_files(days, names) == frozenset()
    assert dates_with_lost_files(days, names[1:]) == {START}
    assert dates_with_lost_files([a_status(files=0)], []) == frozenset()


@pytest.mark.parametrize(
    ("ended_at", "now", "due"),
    [
        ("2024-01-10T17:31", "2024-01-11T01:59", False),  # the list is not final yet
        ("2024-01-10T17:31", "2024-01-11T02:00", True),
        ("2024-01-11T02:00", "2024-01-11T12:00", False),  # the account has no lists
        ("2024-01-10T17:31", "2024-01-17T23:00", True),
        ("2024-01-10T17:31", "2024-01-18T00:01", False),  # asked for often enough
    ],
)
def test_an_unverified_day_is_due_once_its_contract_list_has_come(ended_at: str, now: str, due: bool) -> None:
    """Reports that are published earlier do without at first."""
    status = a_status(day=Day(START, "SPXW", "eod", "1d"), verdict=Verdict.UNVERIFIED, ended_at=at(ended_at))
    found = resolve(a_rule(EOD), [status], at(now))
    assert (status.day in found.due) is due
    assert (status in found.settled) is not due


TODAY = date(2024, 1, 18)
LATER = TODAY + timedelta(days=1)


def unit(expiration: date | None = START) -> Unit:
    """Return a unit of the first day."""
    return a_unit(trade_date=START, expiration=expiration)


@pytest.mark.parametrize(
    ("verdict", "outcomes", "due"),
    [
        (Verdict.PARTIAL, [stored(unit(), holes=(an_outage(),), ask_again=LATER)], False),
        (Verdict.PARTIAL, [stored(unit(), holes=(an_outage(),), ask_again=TODAY)], True),
        (Verdict.PARTIAL, [stored(unit()), empty(unit(), ask_again=LATER)], False),
        (Verdict.PARTIAL, [stored(unit()), empty(unit(), ask_again=TODAY)], True),
        (Verdict.PARTIAL, [stored(unit()), failed(unit())], True),
        (Verdict.PARTIAL, [stored(unit()), failed(unit(START + timedelta(days=61)))], False),
        (Verdict.PARTIAL, [stored(unit()), Outcome(unit(), State.PENDING)], True),
        (Verdict.ABSENT, [empty(unit(None), ask_again=LATER)], False),
        (Verdict.ABSENT, [empty(unit(None), ask_again=TODAY)], True),
        (None, [refused(unit(), ask_again=LATER)], False),
        (None, [refused(unit(), ask_again=TODAY)], True),
        (None, [stored(unit())], True),
        (None, [empty(unit(), ask_again=LATER)], True),
        (None, [], True),
    ],
)
def test_a_day_that_lacks_something_is_due_when_its_units_are(
    verdict: Verdict | None, outcomes: list[Outcome], due: bool
) -> None:
    """By their own days; without a verdict the run stopped early, and there may be units that nobody has heard of."""
    status = a_status(verdict=verdict)
    assert has_due_units(status, outcomes, Scope(60), at("2024-01-18T03:00")) is due
    if outcomes:
        now = at("2024-01-18T03:00")
        others = [a_status(day) for day in WEEK[1:]]
        found = resolved(a_rule(), [status, *others], lambda _: outcomes, names_of([status, *others]), now)
        assert (status.day in found.due) is due


@given(
    rules(),
    st.lists(st.tuples(st.sampled_from([None, *Verdict]), st.integers(0, 90), st.integers(0, 3)), max_size=60),
    st.datetimes(datetime(2024, 1, 2), datetime(2024, 2, 1)),  # noqa: DTZ001 - hypothesis wants them naive
)
def test_every_published_day_is_due_or_settled_and_none_is_both(
    rule: Rule, lines: list[tuple[Verdict | None, int, int]], moment: datetime
) -> None:
    """Whatever the catalog says; a day that is complete for enough is never due while its files are there."""
    rule = changed(rule, Change(start=date(2024, 1, 2)))
    now = moment.replace(tzinfo=UTC)
    dates = trading_days(rule.start, now.astimezone(NEW_YORK).date())
    wanted = [day for trade_date in dates for day in rule.days(trade_date)]
    days = [
        a_status(day=day, verdict=verdict, scope=Scope(dte), files=files)
        for day, (verdict, dte, files) in zip(wanted, lines, strict=False)
    ]
    found = resolved(rule, days, lambda _: (), names_of(days), now)
    assert Counter([*found.due, *(status.day for status in found.settled)]) == Counter(
        day for day in wanted if is_published(day, now)
    )
    assert not any(is_published(day, now) for day in found.awaited)
    complete = {status.day for status in days if status.verdict is Verdict.COMPLETE and status.scope.max_dte >= 60}
    if rule.max_dte <= 60:
        assert complete.isdisjoint(found.due)


@pytest.mark.parametrize(
    ("datasets", "now", "expected"),
    [
        ((GREEKS,), "2024-01-10T01:59", "2024-01-10T02:00"),
        ((GREEKS,), "2024-01-10T02:00", "2024-01-11T02:00"),
        ((GREEKS,), "2024-01-12T12:00", "2024-01-13T02:00"),  # a Friday
        ((GREEKS,), "2024-01-13T02:00", "2024-01-17T02:00"),  # the Monday is a holiday
        ((OPEN_INTEREST,), "2024-01-12T07:00", "2024-01-16T06:45"),
        ((EOD,), "2024-01-12T17:29", "2024-01-12T17:30"),
        ((EOD,), "2024-01-12T17:30", "2024-01-16T17:30"),
        ((RATE,), "2024-01-13T08:00", "2024-01-13T10:00"),  # Friday's
        ((GREEKS, EOD, OPEN_INTEREST), "2024-01-10T03:00", "2024-01-10T06:45"),
        ((GREEKS, EOD, OPEN_INTEREST), "2024-01-10T06:45", "2024-01-10T17:30"),
        ((GREEKS, EOD, OPEN_INTEREST), "2024-01-10T17:30", "2024-01-11T02:00"),
        ((GREEKS,), "2024-03-09T12:00", "2024-03-12T02:00"),  # clocks change in between
    ],
)
def test_the_next_publication_is_the_first_of_anything_in_the_rule(
    datasets: tuple[DatasetAt, ...], now: str, expected: str
) -> None:
    """By the time of each dataset, on trading days."""
    assert next_publication(a_rule(*datasets), at(now)) == at(expected)


@given(rules(), st.datetimes(datetime(2024, 1, 3), datetime(2024, 12, 1)))  # noqa: DTZ001 - hypothesis wants them naive
def test_something_is_published_at_the_next_publication_and_nothing_before(rule: Rule, moment: datetime) -> None:
    """So whoever sleeps until then misses nothing, and never wakes in vain."""
    now = moment.replace(tzinfo=UTC)
    then = next_publication(rule, now)
    assert then > now
    around = trading_days(now.date() - timedelta(days=3), then.date() + timedelta(days=3))
    rule = changed(rule, Change(start=date(2023, 1, 3)))
    wanted = [day for trade_date in around for day in rule.days(trade_date)]

    def out(at_moment: datetime) -> set[Day]:
        return {day for day in wanted if is_published(day, at_moment)}

    assert out(now) == out(then - timedelta(microseconds=1)) < out(then)


def test_a_rule_is_told_in_words_and_values() -> None:
    """For people and for programs."""
    rule = a_rule(GREEKS, EOD, roots=("SPXW", "SPX"))
    assert str(rule) == "greeks 1m, eod 1d of SPXW, SPX from 2024-01-10 on, at most 60 days to expiration"
    assert as_values(rule) == {
        "start": "2024-01-10",
        "roots": ["SPXW", "SPX"],
        "datasets": [{"dataset": "greeks", "interval": "1m"}, {"dataset": "eod", "interval": "1d"}],
        "max_dte": 60,
    }
