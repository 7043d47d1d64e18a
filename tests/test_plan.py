from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.errors import ConfigError
from spxdata.model import Contract, ContractList, Outcome, Right, Scope, State
from spxdata.plan import (
    MONTH,
    Request,
    ask_again,
    date_range,
    dated,
    expirations,
    is_day_wide,
    is_due,
    is_listed,
    is_published,
    request_of,
    smallest,
)
from spxdata.schema import DATASETS
from spxdata.sessions import FIRST_DAY, LAST_DAY, NEW_YORK, closed_because
from tests.builders import (
    EXPIRATION,
    NOW,
    TRADE_DATE,
    a_contract_list,
    a_day,
    a_gap,
    a_note,
    a_scope,
    a_unit,
    an_outage,
    stored,
)

TODAY = date(2024, 3, 1)
DAY = timedelta(days=1)


def new_york(text: str) -> datetime:
    """Return a moment of New York's wall clock."""
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


class TestDateRange:
    """Which days a range means."""

    @given(st.dates(date(2024, 1, 1), date(2024, 2, 1)), st.integers(0, 40))
    def test_every_day_from_start_to_end(self, start: date, length: int) -> None:
        """Both ends included, in order, closed days too."""
        days = date_range(start, start + length * DAY, new_york("2024-06-03T12:00"))
        assert days == tuple(start + n * DAY for n in range(length + 1))

    def test_a_reversed_range_is_refused(self) -> None:
        """With a hint, since it is a slip."""
        with pytest.raises(ConfigError, match="before it starts") as caught:
            date_range(date(2024, 1, 17), date(2024, 1, 16), NOW)
        assert "Swap" in caught.value.hint

    @pytest.mark.parametrize(
        ("now", "allowed"), [("2024-01-15T23:59", False), ("2024-01-16T00:00", True), ("2024-01-17T00:00", True)]
    )
    def test_the_future_begins_at_midnight_in_new_york(self, now: str, allowed: bool) -> None:
        """Wherever the computer stands: its moment is the same."""
        moment = new_york(now).astimezone(datetime.now().astimezone().tzinfo)
        if allowed:
            assert date_range(TRADE_DATE, TRADE_DATE, moment) == (TRADE_DATE,)
        else:
            with pytest.raises(ConfigError, match="2024-01-16 is in the future: in New York it is 2024-01-15"):
                date_range(TRADE_DATE, TRADE_DATE, moment)

    def test_days_outside_the_table_of_sessions_are_refused(self) -> None:
        """Before anything is asked for; the borders themselves are fine."""
        late = new_york("2040-01-01T12:00")
        assert date_range(FIRST_DAY, FIRST_DAY, late)
        assert date_range(LAST_DAY, LAST_DAY, late)
        for start, end in ((FIRST_DAY - DAY, FIRST_DAY), (LAST_DAY, LAST_DAY + DAY)):
            with pytest.raises(ConfigError, match="table of trading days"):
                date_range(start, end, late)


class TestRequest:
    """What a user asks for."""

    def test_closed_days_are_in_the_range_but_not_open(self) -> None:
        """A Saturday, a Sunday and a holiday before the first open day."""
        days = date_range(date(2024, 1, 13), TRADE_DATE, NOW)
        request = Request(days, "SPXW", ("greeks", "quote"), a_scope())
        assert request.open_dates() == (TRADE_DATE,)
        assert [closed_because(day) for day in days] == ["Saturday", "Sunday", "Martin Luther King Jr. Day", None]

    def test_a_trade_date_is_a_day_of_every_dataset(self) -> None:
        """At the dataset's default interval, in the order asked for."""
        request = Request((TRADE_DATE,), "SPX", ("quote", "greeks"), a_scope())
        assert request.days(TRADE_DATE) == (
            a_day(root="SPX", dataset="quote"),
            a_day(root="SPX", dataset="greeks"),
        )


class TestIntervals:
    """At which interval a dataset is asked for."""

    def days(self, *datasets: str, interval: str | None = None, root: str = "SPXW") -> list[tuple[str, str, str]]:
        """Return root, dataset and interval of what a trade date consists of."""
        request = Request((TRADE_DATE,), root, datasets, a_scope(), interval=interval)
        return [(day.root, day.dataset, day.interval) for day in request.days(TRADE_DATE)]

    def test_each_has_its_own_if_none_is_said(self) -> None:
        """A minute of quotes, ticks of trades, a day of reports."""
        assert [interval for _, _, interval in self.days("quote", "trade", "eod")] == ["1m", "tick", "1d"]

    @pytest.mark.parametrize("interval", ["tick", "5m", "10ms", "1h", "1m"])
    def test_the_one_that_is_said_goes_where_there_is_a_choice(self, interval: str) -> None:
        """Trades are ticks and reports are of a day whatever is said."""
        found = self.days("quote", "trade", "eod", "greeks_all", "interest_rate", interval=interval)
        assert [i for _, _, i in found] == [interval, "tick", "1d", interval, "1d"]

    @pytest.mark.parametrize(
        ("datasets", "interval", "refused"),
        [
            (("quote",), "2m", "quote"),
            (("eod", "greeks"), "1d", "greeks"),
            (("quote", "ohlc"), "tick", "ohlc"),
            (("index_price",), "1min", "index_price"),
        ],
    )
    def test_one_that_a_dataset_does_not_have_is_refused_with_those_it_has(
        self, datasets: tuple[str, ...], interval: str, refused: str
    ) -> None:
        """Before anything is asked for."""
        with pytest.raises(ConfigError, match=f"^{refused} cannot be had at the interval {interval}") as caught:
            self.days(*datasets, interval=interval)
        allowed = caught.value.hint.removeprefix("Allowed: ").removesuffix(".").split(", ")
        assert allowed == list(DATASETS[refused].intervals)

    def test_what_is_no_option_is_of_a_symbol_of_its_own(self) -> None:
        """Whatever option root is asked for."""
        assert self.days("quote", "index_price", "interest_rate") == [
            ("SPXW", "quote", "1m"),
            ("SPX", "index_price", "1m"),
            ("SOFR", "interest_rate", "1d"),
        ]


@pytest.mark.parametrize("name", DATASETS)
def test_a_day_is_one_unit_of_what_is_published_for_all_of_it(name: str) -> None:
    """Reports, open interest, the index and the rate."""
    wide = {"open_interest", "eod", "greeks_eod", "index_price", "interest_rate"}
    assert is_day_wide(a_day(dataset=name)) == (name in wide)


class TestExpirations:
    """Which units a day has."""

    #: As the Terminal lists them: old ones, sentinels, and far ones that are none.
    known = (date(1900, 1, 1), date(2088, 1, 1), *(TRADE_DATE + n * DAY for n in (61, 60, 3, 0, -1)), date(1970, 1, 1))

    def test_only_those_within_max_dte_nearest_first(self) -> None:
        """Both ends count; sentinels and far dates fall out."""
        found = expirations(a_day(), Scope(60), None, self.known)
        assert found == tuple(TRADE_DATE + n * DAY for n in (0, 3, 60))

    def test_a_contract_list_outranks_the_known_expirations(self) -> None:
        """What is not listed that day has no contract."""
        listed = a_contract_list(expirations=(TRADE_DATE, date(2088, 1, 1)))
        assert expirations(a_day(), Scope(60), listed, self.known) == (TRADE_DATE,)

    def test_an_expiration_asked_for_by_name_needs_no_dte(self) -> None:
        """But it must be listed, and it must not have expired."""
        far = date(2024, 12, 20)
        listed = a_contract_list(expirations=(TRADE_DATE, far))
        for named, expected in (((far,), (far,)), ((EXPIRATION,), ())):
            assert expirations(a_day(), Scope(0, named), listed, ()) == expected
        gone = TRADE_DATE - DAY
        assert expirations(a_day(), Scope(0, (gone,)), a_contract_list(expirations=(gone,)), ()) == ()

    @pytest.mark.parametrize(("root", "expected"), [("SPXW", (date(2024, 1, 19),)), ("SPX", ())])
    def test_an_am_settled_root_has_no_session_on_its_last_day(self, root: str, expected: tuple[date, ...]) -> None:
        """SPX is settled at the open of that Friday: it last trades on Thursday."""
        friday = date(2024, 1, 19)
        assert expirations(a_day(trade_date=friday, root=root), Scope(0), None, [friday]) == expected
        thursday = a_day(trade_date=friday - DAY, root=root)
        assert expirations(thursday, Scope(1), None, [friday]) == (friday,)

    def test_an_expiration_given_twice_is_one_unit(self) -> None:
        """Lists repeat themselves."""
        assert expirations(a_day(), Scope(60), None, [EXPIRATION, EXPIRATION]) == (EXPIRATION,)


class TestSmallest:
    """Which unit goes first to see whether all is well."""

    def test_the_one_with_the_fewest_contracts(self) -> None:
        """The first of equals."""
        sizes = {TRADE_DATE: 3, EXPIRATION: 1, date(2024, 1, 26): 1}
        contracts = tuple(Contract(day, float(n), Right.PUT) for day, size in sizes.items() for n in range(size))
        listed = ContractList("SPXW", TRADE_DATE, contracts, NOW)
        units = [a_unit(expiration=day) for day in sizes]
        assert smallest(units, listed) == units[1]

    def test_without_a_list_the_nearest(self) -> None:
        """Units come nearest first."""
        units = [a_unit(expiration=TRADE_DATE), a_unit()]
        assert smallest(units, None) == units[0]

    def test_none_of_nothing(self) -> None:
        """With and without a list."""
        assert smallest([], None) is None
        assert smallest([], a_contract_list()) is None


@pytest.mark.parametrize(
    ("now", "final"),
    [
        ("2024-01-16T16:30", False),
        ("2024-01-17T01:59:59", False),
        ("2024-01-17T02:00", True),
        ("2024-02-01T00:00", True),
    ],
)
def test_a_day_is_published_at_two_in_the_next_night(now: str, final: bool) -> None:
    """In New York, whatever the day is followed by."""
    assert is_published(a_day(), new_york(now)) is final


@pytest.mark.parametrize(
    ("dataset", "last_not", "first"),
    [
        ("eod", "2024-01-16T17:29:59", "2024-01-16T17:30"),
        ("greeks_eod", "2024-01-16T17:29:59", "2024-01-16T17:30"),
        ("open_interest", "2024-01-16T06:44:59", "2024-01-16T06:45"),
        ("interest_rate", "2024-01-17T09:59:59", "2024-01-17T10:00"),
        ("trade", "2024-01-17T01:59:59", "2024-01-17T02:00"),
        ("index_price", "2024-01-17T01:59:59", "2024-01-17T02:00"),
    ],
)
def test_each_dataset_is_published_in_its_own_time(dataset: str, last_not: str, first: str) -> None:
    """Reports in the evening, open interest in the morning, the rate on the morning after."""
    day = a_day(dataset=dataset)
    assert not is_published(day, new_york(last_not))
    assert is_published(day, new_york(first))


@pytest.mark.parametrize(("now", "final"), [("2024-01-16T23:00", False), ("2024-01-17T02:00", True)])
def test_contract_lists_are_final_with_the_last_quotes(now: str, final: bool) -> None:
    """Whatever dataset they are asked for."""
    assert is_listed(TRADE_DATE, new_york(now)) is final


def outcome(state: State, again: date | None = None, *, holes: bool = False) -> Outcome:
    """Return how a unit stands."""
    known = stored() if state is State.STORED else Outcome(a_unit(), state)
    missing = (an_outage(), a_gap(), a_note()) if holes else (a_note(),)
    return Outcome(known.unit, state, artifact=known.artifact, holes=missing, ask_again=again)


class TestIsDue:
    """Whether a unit is fetched, from how it stands."""

    @pytest.mark.parametrize(
        ("known", "due"),
        [
            (None, True),
            (outcome(State.STORED), False),
            (outcome(State.STORED, TODAY - DAY), False),
            (outcome(State.STORED, None, holes=True), True),
            (replace(outcome(State.STORED), verified=False), False),
            (replace(outcome(State.STORED, TODAY + DAY), verified=False), False),
            (replace(outcome(State.STORED, TODAY), verified=False), True),
            (outcome(State.STORED, TODAY + DAY, holes=True), False),
            (outcome(State.STORED, TODAY, holes=True), True),
            (outcome(State.EMPTY), False),
            (outcome(State.EMPTY, TODAY + DAY), False),
            (outcome(State.EMPTY, TODAY), True),
            (outcome(State.REFUSED, TODAY + DAY), False),
            (outcome(State.REFUSED, TODAY - DAY), True),
            (outcome(State.NOT_PUBLISHED), True),
            (outcome(State.FAILED), True),
            (outcome(State.PENDING), True),
            (outcome(State.DOWNLOADING), True),
        ],
        ids=lambda value: (
            f"{value.state} {value.ask_again} {value.partial} {value.verified}"
            if isinstance(value, Outcome)
            else str(value)
        ),
    )
    def test_table(self, known: Outcome | None, due: bool) -> None:
        """What is whole is never asked for again; what may change, from its day on; the rest, always."""
        assert is_due(known, TODAY) is due

    @pytest.mark.parametrize("state", State)
    def test_force_fetches_everything(self, state: State) -> None:
        """Whatever the state."""
        assert is_due(outcome(state), TODAY, force=True)


class TestAskAgain:
    """From which day on asking again makes sense."""

    @pytest.mark.parametrize(
        ("state", "age", "wait"),
        [
            (State.EMPTY, 1, DAY),
            (State.EMPTY, 7, DAY),
            (State.EMPTY, 8, MONTH),
            (State.EMPTY, 1000, MONTH),
            (State.REFUSED, 1, MONTH),
            (State.REFUSED, 100, MONTH),
            (State.STORED, 1, MONTH),
            (State.FAILED, 1, None),
            (State.NOT_PUBLISHED, 0, None),
            (State.PENDING, 1, None),
            (State.DOWNLOADING, 1, None),
        ],
    )
    def test_table(self, state: State, age: int, wait: timedelta | None) -> None:
        """A recent empty day tomorrow; old ones, refused ones and holes in a month."""
        assert ask_again(state, TODAY - age * DAY, TODAY) == (None if wait is None else TODAY + wait)

    @given(st.sampled_from(State), st.integers(0, 500))
    def test_what_gets_a_day_is_not_due_before_it(self, state: State, age: int) -> None:
        """The two tables agree: due on that day, and not on the one before."""
        again = ask_again(state, TODAY - age * DAY, TODAY)
        known = outcome(state, again, holes=True)
        if again is None:
            assert is_due(known, TODAY)
        else:
            assert is_due(known, again)
            assert not is_due(known, again - DAY)


class TestDated:
    """Which outcomes get such a day at all."""

    @pytest.mark.parametrize(
        ("known", "listed", "wait"),
        [
            (outcome(State.STORED), True, None),
            (outcome(State.STORED, holes=True), True, MONTH),
            (outcome(State.STORED, holes=True), False, MONTH),
            (replace(outcome(State.STORED), verified=False), True, MONTH),
            (replace(outcome(State.STORED), verified=False), False, None),
            (outcome(State.REFUSED), True, MONTH),
            (outcome(State.FAILED), True, None),
        ],
    )
    def test_table(self, known: Outcome, listed: bool, wait: timedelta | None) -> None:
        """Of stored ones those with holes, and those that have proved their list short."""
        for before in (known, replace(known, ask_again=TODAY - DAY)):
            again = None if wait is None else TODAY + wait
            assert dated(before, TODAY, listed=listed) == replace(known, ask_again=again)


def test_a_request_for_some_days_is_for_no_others() -> None:
    """In their order, of whatever roots and datasets, each date as often as it has days."""
    newer, older = date(2024, 1, 17), date(2024, 1, 16)
    days = [
        a_day(trade_date=newer),
        a_day(trade_date=older, root="SPX", dataset="quote", interval="5m"),
        a_day(trade_date=older),
    ]
    request = request_of(days, a_scope())
    assert request.trade_dates == request.open_dates() == (newer, older)
    assert [day for trade_date in request.open_dates() for day in request.days(trade_date)] == days
    assert request.counts() == {newer: 1, older: 2}
    assert request.days(date(2024, 1, 18)) == ()


def test_a_request_for_a_range_counts_its_datasets() -> None:
    """Of every date, as long as nobody has said that it is closed."""
    dates = (date(2024, 1, 12), date(2024, 1, 13), date(2024, 1, 16))
    request = Request(dates, "SPXW", ("greeks", "quote"), a_scope())
    assert request.counts() == dict.fromkeys(dates, 2)
