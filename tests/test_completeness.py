import csv
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.completeness import (
    MINUTE_MS,
    Grid,
    Presence,
    Present,
    describe,
    expected,
    hole_text,
    holes,
    unlisted,
    verdict,
)
from spxdata.model import Contract, Hole, HoleKind, Outcome, Right, State, Verdict
from spxdata.schema import DATASETS
from spxdata.sessions import session
from tests.builders import EXPIRATION, TRADE_DATE, a_gap, a_note, a_unit, an_outage, stored

CALL = Contract(EXPIRATION, 4700.0, Right.CALL)
PUT = Contract(EXPIRATION, 4700.0, Right.PUT)
HIGH = Contract(EXPIRATION, 4750.0, Right.CALL)

#: 09:31 and 16:00 as minutes of the day, and when quotes end.
FIRST, CORE, LAST = 571, 960, 975
OUTAGE, GAP, NOTE = HoleKind.OUTAGE, HoleKind.GAP, HoleKind.NOTE


def grid(
    dataset: str = "quote",
    trade_date: date = TRADE_DATE,
    expiration: date = EXPIRATION,
    root: str = "SPXW",
    interval: str = "1m",
) -> Grid:
    """Return the points expected of a unit."""
    hours = session(root, trade_date, expiration)
    assert hours
    unit = a_unit(root=root, dataset=dataset, trade_date=trade_date, expiration=expiration, interval=interval)
    return Grid.of(unit, hours)


def spans(of: Grid, bits: int) -> list[tuple[int, int]]:
    """Return the first and the last minute of each unbroken stretch."""
    return [(stretch.first, stretch.last) for stretch in of.stretches(bits)]


def runs_of(minutes: Iterable[int], step: int = 1) -> tuple[tuple[int, int], ...]:
    """Return the unbroken stretches of some minutes."""
    found: list[list[int]] = []
    for minute in sorted(minutes):
        if found and minute - found[-1][1] == step:
            found[-1][1] = minute
        else:
            found.append([minute, minute])
    return tuple((first, last) for first, last in found)


def present(runs: Iterable[tuple[int, int]], ask: float = 5.0) -> Presence:
    """Return what is there from stretches of minutes."""
    return Presence(tuple((first * MINUTE_MS, last * MINUTE_MS) for first, last in runs), ask)


def there(*missing: tuple[int, int], upto: int = LAST, ask: float = 5.0, step: int = 1) -> Presence:
    """Return a contract that is there from 09:31 on but for some stretches."""
    away = {minute for first, last in missing for minute in range(first, last + 1)}
    return present(runs_of(set(range(570 + step, upto + 1, step)) - away, step), ask)


def found(
    some: Present,
    of: Grid | None = None,
    listed: Iterable[Contract] | None = None,
) -> list[tuple[HoleKind, Contract | None, int | None, int | None]]:
    """Return a unit's holes as plain tuples; listed is what is present unless said otherwise."""
    everything = frozenset(contract for contract in (some if listed is None else listed) if contract)
    return [(h.kind, h.contract, h.first, h.last) for h in holes(of or grid(), everything, some)]


class TestGrid:
    """Which minutes are expected."""

    @pytest.mark.parametrize(
        ("dataset", "trade_date", "expiration", "required", "wished"),
        [
            ("quote", TRADE_DATE, EXPIRATION, (571, 975), None),
            ("greeks", TRADE_DATE, EXPIRATION, (571, 960), (961, 975)),
            ("quote", TRADE_DATE, TRADE_DATE, (571, 960), None),
            ("greeks", TRADE_DATE, TRADE_DATE, (571, 960), None),
            ("quote", date(2023, 7, 3), date(2023, 7, 5), (571, 795), None),
            ("greeks", date(2023, 7, 3), date(2023, 7, 5), (571, 780), (781, 795)),
            ("quote", date(2023, 7, 3), date(2023, 7, 3), (571, 780), None),
        ],
    )
    def test_table(
        self,
        dataset: str,
        trade_date: date,
        expiration: date,
        required: tuple[int, int],
        wished: tuple[int, int] | None,
    ) -> None:
        """Never 09:30; to 16:15 of quotes, to 16:00 of greeks and on the last day; early closes 13:15 and 13:00."""
        it = grid(dataset, trade_date, expiration)
        assert spans(it, it.required) == [required]
        assert spans(it, it.wished) == ([wished] if wished else [])
        assert it.last_required() == required[1] * MINUTE_MS
        assert it.absent is GAP

    @pytest.mark.parametrize(
        ("interval", "first", "last", "points"),
        [
            ("5m", 575, 975, 81),
            ("15m", 585, 975, 27),
            ("30m", 600, 960, 13),
            ("1h", 630, 930, 6),
            ("1s", 570, 975, 24_300),
            ("10ms", 570, 975, 2_430_000),
        ],
    )
    def test_other_intervals_have_their_own_points(self, interval: str, first: int, last: int, points: int) -> None:
        """Counted from 09:30; the close is one of them only where the interval divides the session."""
        it = grid(interval=interval)
        assert spans(it, it.required) == [(first, last)]
        assert it.required.bit_count() == points
        assert it.last_required() == last * MINUTE_MS

    def test_points_below_a_minute_are_told_by_their_minute(self) -> None:
        """Ten seconds that are missing in 10:00 are a stretch within that minute, ten seconds long."""
        it = grid(interval="1s")
        ten = 36_000_000
        runs = ((34_201_000, ten - 1000), (ten + 10_000, 58_500_000))
        (stretch,) = it.stretches(it.required & ~it.bits(Presence(runs, 1.0)))
        assert (stretch.first, stretch.last, stretch.length) == (600, 600, 10_000)

    @pytest.mark.parametrize(
        ("dataset", "interval"),
        [("trade", "tick"), ("trade_quote", "tick"), ("eod", "1d")],
    )
    def test_what_is_no_grid_has_no_points(self, dataset: str, interval: str) -> None:
        """Nobody knows when a trade must come; a report comes once."""
        it = grid(dataset, interval=interval)
        assert (it.required, it.wished) == (0, 0)

    @given(st.sets(st.integers(570, 975)))
    def test_minutes_and_bits_are_inverse(self, minutes: set[int]) -> None:
        """Whatever the minutes."""
        runs = runs_of(minutes)
        assert tuple(spans(grid(), grid().bits(present(runs)))) == runs

    @given(st.sampled_from(["10s", "30s", "1m", "5m", "1h"]), st.sets(st.integers(0, 400), max_size=40))
    def test_points_and_bits_are_inverse_at_every_interval(self, interval: str, points: set[int]) -> None:
        """In milliseconds; lengths add up to the points that are there."""
        it = grid(interval=interval)
        runs = tuple((it.open + low * it.step, it.open + high * it.step) for low, high in runs_of(points))
        bits = it.bits(Presence(runs))
        assert {n for n in range(401) if bits >> n & 1} == points
        assert sum(stretch.length for stretch in it.stretches(bits)) == len(points) * it.step

    def test_minutes_before_the_open_count_for_nothing(self) -> None:
        """A run that begins early counts from the open on."""
        assert spans(grid(), grid().bits(present(((500, 520), (560, 572)), 1.0))) == [(570, 572)]


class TestRules:
    """What is an outage, a gap, a note."""

    def test_whole_contracts_lack_nothing(self) -> None:
        """The sentinel row at 09:30 is not required, nor is it in the way."""
        assert found({CALL: there(), PUT: present(((570, 975),), 1.0)}) == []

    def test_a_minute_missing_in_every_contract_is_an_outage(self) -> None:
        """A single one is enough; it is named once, not per contract."""
        assert found({CALL: there((700, 700)), PUT: there((700, 700))}) == [(OUTAGE, None, 700, 700)]

    def test_an_outage_needs_two_contracts(self) -> None:
        """A contract alone has gaps and notes."""
        assert found({CALL: there((700, 769))}) == [(GAP, CALL, 700, 769)]
        assert found({CALL: there((700, 700))}) == [(NOTE, CALL, 700, 700)]

    def test_the_outage_is_what_all_contracts_lack(self) -> None:
        """As on 2023-06-26: 10:30 to 11:39; what one lacks beyond it is its own hole."""
        assert found({CALL: there((630, 699)), PUT: there((625, 699)), HIGH: there((630, 702))}) == [
            (OUTAGE, None, 630, 699),
            (NOTE, PUT, 625, 629),
            (NOTE, HIGH, 700, 702),
        ]

    def test_minutes_of_an_outage_do_not_lengthen_a_hole_beside_it(self) -> None:
        """30 minutes before it and 30 after it stay two tolerated stretches."""
        assert found({CALL: there((600, 669)), PUT: there((630, 639))}) == [
            (OUTAGE, None, 630, 639),
            (NOTE, CALL, 600, 629),
            (NOTE, CALL, 640, 669),
        ]

    def test_an_absent_contract_does_not_turn_lone_minutes_into_holes_of_all(self) -> None:
        """It is a gap of the whole day, beside what the others have."""
        assert found({CALL: there(), PUT: there()}, listed=(CALL, PUT, HIGH)) == [(GAP, HIGH, None, None)]

    @pytest.mark.parametrize(("length", "kind"), [(1, NOTE), (30, NOTE), (31, GAP), (200, GAP)])
    @pytest.mark.parametrize("first", [FIRST, 640], ids=["head", "inside"])
    def test_more_than_thirty_minutes_at_the_head_or_inside_are_a_gap(
        self, first: int, length: int, kind: HoleKind
    ) -> None:
        """Whatever the contract is worth."""
        hole = (first, first + length - 1)
        for ask in (0.05, 50.0):
            assert found({CALL: there(hole, ask=ask), PUT: there()}) == [(kind, CALL, *hole)]

    @pytest.mark.parametrize(("ask", "kind"), [(0.05, NOTE), (0.10, NOTE), (0.11, GAP), (0.15, GAP)])
    @pytest.mark.parametrize("upto", [700, LAST - 1], ids=["hours", "one minute"])
    def test_a_missing_tail_is_a_gap_if_the_option_was_worth_something(
        self, upto: int, ask: float, kind: HoleKind
    ) -> None:
        """Options worth 0.10 or less just stop quoting; one missing minute at the end is a tail too."""
        assert found({CALL: there(upto=upto, ask=ask), PUT: there()}) == [(kind, CALL, upto + 1, LAST)]

    def test_a_contract_of_nothing_but_the_sentinel_is_a_gap(self) -> None:
        """Without any ask there is no saying that it became worthless: a reply cut after 09:30 must not pass."""
        assert found({CALL: present(((570, 570),), 0.0), PUT: there()}) == [(GAP, CALL, FIRST, LAST)]

    def test_after_sixteen_o_clock_quotes_must_be_there(self) -> None:
        """To 16:15, since the contract trades on."""
        assert found({CALL: there(upto=CORE), PUT: there()}) == [(GAP, CALL, 961, 975)]
        assert found({CALL: there(upto=CORE), PUT: there(upto=CORE)}) == [(OUTAGE, None, 961, 975)]

    def test_after_sixteen_o_clock_greeks_are_only_noted(self) -> None:
        """For one contract, and for all of them."""
        greeks = grid("greeks")
        assert found({CALL: there(upto=CORE), PUT: there()}, greeks) == [(NOTE, CALL, 961, 975)]
        assert found({CALL: there(upto=CORE), PUT: there(upto=CORE)}, greeks) == [(NOTE, None, 961, 975)]

    def test_a_tail_before_the_notes_of_greeks_is_still_a_tail(self) -> None:
        """15:59 is the last row: 16:00 is a gap, the minutes after it are noted."""
        assert found({CALL: there(upto=959), PUT: there()}, grid("greeks")) == [
            (GAP, CALL, 960, 960),
            (NOTE, CALL, 961, 975),
        ]

    def test_on_the_last_day_nothing_is_expected_after_sixteen_o_clock(self) -> None:
        """A PM-settled contract stops there."""
        last = grid(expiration=TRADE_DATE)
        assert found({CALL: there(upto=CORE), PUT: there(upto=CORE)}, last) == []

    def test_on_an_early_close_nothing_is_expected_after_it(self) -> None:
        """13:15, and 13:00 of what expires."""
        early = date(2023, 7, 3)
        assert found({CALL: there(upto=795), PUT: there(upto=795)}, grid(trade_date=early)) == []
        expiring = grid(trade_date=early, expiration=early)
        assert found({CALL: there(upto=780), PUT: there(upto=780)}, expiring) == []
        assert found({CALL: there(upto=779), PUT: there(upto=780)}, expiring) == [(GAP, CALL, 780, 780)]

    def test_rows_after_the_session_are_no_hole_and_fill_none(self) -> None:
        """Curb-session rows come and go."""
        curb = present(((571, 700), (980, 1000)))
        assert found({CALL: curb, PUT: there()}) == [(GAP, CALL, 701, LAST)]

    def test_without_a_list_only_what_came_is_judged(self) -> None:
        """A contract that never came cannot be missed."""
        some: Present = {CALL: there((700, 740)), PUT: there()}
        assert [hole.kind for hole in holes(grid(), None, some)] == [GAP]

    def test_a_contract_that_is_not_listed_is_judged_too(self) -> None:
        """It is there, so its minutes are expected."""
        assert found({CALL: there(), PUT: there((600, 640))}, listed=[CALL]) == [(GAP, PUT, 600, 640)]

    @pytest.mark.parametrize(("points", "kind"), [(6, NOTE), (7, GAP)])
    def test_at_other_intervals_minutes_are_counted_not_rows(self, points: int, kind: HoleKind) -> None:
        """6 points of 5 minutes are 30 minutes."""
        away = (600, 600 + 5 * (points - 1))
        some: Present = {CALL: there(away, step=5), PUT: there(step=5)}
        assert found(some, grid(interval="5m")) == [(kind, CALL, *away)]

    @pytest.mark.parametrize(("points", "kind"), [(1800, NOTE), (1801, GAP)])
    def test_seconds_are_counted_too(self, points: int, kind: HoleKind) -> None:
        """1,800 points of a second are 30 minutes; the one after them is one too many."""
        it, first = grid(interval="1s"), 660 * MINUTE_MS
        runs = ((34_201_000, first - 1000), (first + points * 1000, 58_500_000))
        result = holes(
            it, frozenset({CALL, PUT}), {CALL: Presence(runs, 5.0), PUT: Presence(((34_201_000, 58_500_000),), 5.0)}
        )
        assert [(hole.kind, hole.contract, hole.first, hole.last) for hole in result] == [
            (kind, CALL, 660, 689 + (points > 1800))
        ]

    def test_hours_are_too_long_to_miss_one(self) -> None:
        """One point of an hour is more than 30 minutes."""
        it = grid(interval="1h")
        hours = [(it.open + n * it.step, it.open + n * it.step) for n in (1, 2, 4, 5, 6)]
        result = holes(
            it, None, {CALL: Presence(tuple(hours), 5.0), PUT: Presence(((it.open, it.last_required()),), 5.0)}
        )
        assert [(hole.kind, hole.contract, hole.first, hole.last) for hole in result] == [(GAP, CALL, 750, 750)]


class TestTicks:
    """Of trades nothing says when they must come; quotes and an index are not silent for long."""

    def test_a_contract_with_any_row_lacks_nothing(self) -> None:
        """However few they are."""
        assert holes(grid("trade", interval="tick"), frozenset({CALL}), {CALL: Presence()}) == ()

    def test_a_listed_contract_without_a_trade_is_a_gap(self) -> None:
        """It is on the list of those that traded."""
        result = holes(grid("trade", interval="tick"), frozenset({CALL, PUT}), {CALL: Presence()})
        assert result == (Hole(GAP, PUT, None, None),)

    def ticks(self, *missing: tuple[int, int], ask: float = 5.0, upto: int = LAST - 1) -> Presence:
        """Return a contract that sends a tick in each minute but some."""
        return there(*missing, upto=upto, ask=ask)

    def test_silence_is_looked_for_in_the_minutes_of_the_session(self) -> None:
        """The minute that begins with the close is none; of greeks and of an index none after the stocks' close."""
        for it, last in (
            (grid(interval="tick"), 974),
            (grid("greeks", interval="tick"), 959),
            (grid("index_price", interval="tick", root="SPX"), 959),
            (grid(interval="tick", expiration=TRADE_DATE), 959),
        ):
            assert spans(it, it.required) == [(FIRST, last)]
            assert it.wished == 0

    @pytest.mark.parametrize(("ask", "kind"), [(0.05, NOTE), (0.10, NOTE), (0.15, GAP)])
    def test_half_an_hour_without_a_tick_at_the_end_is_a_gap_if_the_option_was_worth_something(
        self, ask: float, kind: HoleKind
    ) -> None:
        """Thirty minutes are nothing, not even a note: ticks come when something changes."""
        it = grid(interval="tick")
        for upto, lacks in ((944, []), (943, [(kind, CALL, 944, 974)])):
            assert found({CALL: self.ticks(upto=upto, ask=ask), PUT: self.ticks()}, it) == lacks

    @pytest.mark.parametrize("first", [FIRST, 640], ids=["head", "inside"])
    def test_silence_before_other_ticks_is_only_noted(self, first: int) -> None:
        """A quiet option may be so for hours."""
        it = grid(interval="tick")
        assert found({CALL: self.ticks((first, first + 29)), PUT: self.ticks()}, it) == []
        hours = (first, first + 200)
        assert found({CALL: self.ticks(hours), PUT: self.ticks()}, it) == [(NOTE, CALL, *hours)]

    def test_a_whole_chain_is_not_silent_for_more_than_a_quarter_of_an_hour(self) -> None:
        """That is as long as the session lasts after the stocks' close, when it may be."""
        it = grid(interval="tick")
        quarter, more = (700, 714), (700, 715)
        assert found({CALL: self.ticks(quarter), PUT: self.ticks(quarter)}, it) == []
        assert found({CALL: self.ticks(more), PUT: self.ticks(more)}, it) == [(OUTAGE, None, *more)]
        assert found({CALL: self.ticks(more)}, it) == [], "one contract is no chain"
        assert found({CALL: self.ticks(upto=960), PUT: self.ticks(upto=959)}, it) == []

    def test_an_index_is_not_silent_for_more_than_five_minutes(self) -> None:
        """It has one series, and that one speaks for itself."""
        it = grid("index_price", interval="tick", root="SPX")
        for last, lacks in ((704, []), (705, [(GAP, None, 700, 705)])):
            assert found({None: self.ticks((700, last), ask=0.0)}, it) == lacks
        assert found({None: self.ticks(upto=953, ask=0.0)}, it) == [(GAP, None, 954, 959)]


class TestUnlisted:
    """What proves a contract list short."""

    @pytest.mark.parametrize("interval", ["1m", "tick", "1h"])
    def test_a_quote_of_a_contract_that_is_not_listed(self, interval: str) -> None:
        """At every interval."""
        assert unlisted(grid(interval=interval), frozenset({CALL}), {CALL: there(), PUT: there()}) == {PUT}

    @pytest.mark.parametrize(
        "presence",
        [there(ask=0.0), Presence(), present([(500, 560)]), present([(570, 570)])],
        ids=["no ask", "no points", "before the open", "the first point"],
    )
    def test_rows_that_are_no_quote_prove_nothing(self, presence: Presence) -> None:
        """The list is of what was quoted in the session."""
        assert unlisted(grid(), frozenset({CALL}), {CALL: there(), PUT: presence}) == frozenset()

    @pytest.mark.parametrize("dataset", ["trade", "eod", "open_interest"])
    def test_reports_and_trades_prove_nothing(self, dataset: str) -> None:
        """Real lists lack contracts that have a report."""
        it = grid(dataset, interval=DATASETS[dataset].interval)
        assert unlisted(it, frozenset({CALL}), {CALL: Presence(), PUT: there()}) == frozenset()

    def test_without_a_list_there_is_nothing_to_prove(self) -> None:
        """Of an index neither."""
        assert unlisted(grid(), None, {CALL: there()}) == frozenset()


class TestDaily:
    """Reports: one a contract."""

    @pytest.mark.parametrize(("dataset", "kind"), [("eod", GAP), ("greeks_eod", GAP), ("open_interest", NOTE)])
    def test_a_listed_contract_without_a_report(self, dataset: str, kind: HoleKind) -> None:
        """Of open interest it is normal: the exchange sends none of what has none."""
        result = holes(grid(dataset, interval="1d"), frozenset({CALL, PUT}), {PUT: Presence()})
        assert result == (Hole(kind, CALL, None, None),)
        assert result[0].partial == (kind is GAP)


class TestIndex:
    """What has no contracts is one series."""

    def test_a_whole_index_lacks_nothing(self) -> None:
        """To 16:00; its quarter of an hour after it is wished."""
        it = grid("index_price")
        assert holes(it, None, {None: there()}) == ()
        assert [(h.kind, h.first, h.last) for h in holes(it, None, {None: there(upto=CORE)})] == [(NOTE, 961, 975)]

    @pytest.mark.parametrize(("length", "kind"), [(30, NOTE), (31, GAP)])
    def test_more_than_thirty_missing_minutes_are_a_gap_of_no_contract(self, length: int, kind: HoleKind) -> None:
        """There is no second series that an outage could be told by."""
        away = (700, 700 + length - 1)
        (hole,) = holes(grid("index_price"), None, {None: there(away, ask=0.0)})
        assert hole == Hole(kind, None, *away)

    def test_a_missing_tail_is_judged_by_its_length(self) -> None:
        """Without an ask there is no saying that it became worthless."""
        it = grid("index_price")
        (hole, _) = holes(it, None, {None: there(upto=900, ask=0.0)})
        assert hole == Hole(GAP, None, 901, CORE)
        (hole, _) = holes(it, None, {None: there(upto=950, ask=0.0)})
        assert hole == Hole(NOTE, None, 951, CORE)

    def test_it_is_told_without_contracts(self) -> None:
        """An index has rows, not contracts."""
        assert hole_text(Hole(GAP, None, 700, 740)) == "all rows: 11:40-12:20"


class TestExpected:
    """Which of the listed contracts a unit must have."""

    def test_a_units_own_contracts_are_all_expected(self) -> None:
        """It has a session, or it would not be asked for."""
        listed = frozenset({CALL, PUT})
        assert expected(a_unit(), listed) is listed

    def test_without_a_list_nothing_is(self) -> None:
        """Whatever the unit."""
        assert expected(a_unit(), None) is None
        assert expected(a_unit(expiration=None), None) is None

    def test_a_day_wide_unit_expects_only_what_still_trades(self) -> None:
        """What has expired is listed at times."""
        gone = CALL._replace(expiration=TRADE_DATE - timedelta(days=1))
        today = CALL._replace(expiration=TRADE_DATE)
        day_wide = a_unit(dataset="eod", interval="1d", expiration=None)
        assert expected(day_wide, frozenset({gone, today, CALL})) == frozenset({today, CALL})

    @pytest.mark.parametrize(("root", "trades"), [("SPXW", True), ("SPX", False)])
    def test_an_am_settled_root_does_not_trade_on_its_last_day(self, root: str, trades: bool) -> None:
        """It settled in the morning."""
        day_wide = a_unit(root=root, trade_date=EXPIRATION, dataset="eod", interval="1d", expiration=None)
        assert expected(day_wide, frozenset({CALL})) == (frozenset({CALL}) if trades else frozenset())


minute_sets = st.builds(
    lambda holes, alone: {m for first, length in holes for m in range(first, first + length)} | alone,
    st.lists(st.tuples(st.integers(570, 975), st.integers(1, 120)), max_size=4),
    st.sets(st.integers(570, 975), max_size=6),
)
units = st.dictionaries(
    st.sampled_from([CALL, PUT, HIGH]),
    st.tuples(st.none() | minute_sets, st.sampled_from([0.0, 0.10, 0.15, 20.0])),
    min_size=1,
)
grids = st.builds(grid, st.sampled_from(["quote", "greeks"]), expiration=st.sampled_from([TRADE_DATE, EXPIRATION]))


class TestInvariants:
    """What holds whatever is missing."""

    @given(grids, st.sets(st.sampled_from([CALL, PUT, HIGH])), st.floats(0, 100))
    def test_full_presence_has_no_holes(self, of: Grid, contracts: set[Contract], ask: float) -> None:
        """Of any set of contracts."""
        assert holes(of, frozenset(contracts), {contract: there(ask=ask) for contract in contracts}) == ()

    @given(grids, units)
    def test_every_missing_minute_is_named_exactly_once(
        self, of: Grid, missing: dict[Contract, tuple[set[int] | None, float]]
    ) -> None:
        """By a hole of the contract or one of all; and no hole names a minute that is there."""
        minutes = {
            contract: set() if away is None else set(range(570, 976)) - away for contract, (away, _) in missing.items()
        }
        some: Present = {
            contract: present(runs_of(there_), missing[contract][1])
            for contract, there_ in minutes.items()
            if missing[contract][0] is not None
        }
        result = holes(of, frozenset(missing), some)
        required = {
            m for bits in (of.required, of.wished) for low, high in spans(of, bits) for m in range(low, high + 1)
        }
        for contract in missing:
            whole = [hole for hole in result if hole.contract == contract and hole.first is None]
            if contract not in some:
                assert whole == [Hole(GAP, contract, None, None)]
                assert [hole for hole in result if hole.contract == contract] == whole
                continue
            assert not whole
            named = [
                minute
                for hole in result
                if hole.contract in {None, contract} and hole.first is not None and hole.last is not None
                for minute in range(hole.first, hole.last + 1)
            ]
            assert sorted(named) == sorted(required - minutes[contract])

    @given(grids, units)
    def test_an_outage_is_missing_in_every_contract(
        self, of: Grid, missing: dict[Contract, tuple[set[int] | None, float]]
    ) -> None:
        """And there are at least two of them."""
        some: Present = {
            contract: present(runs_of(set(range(570, 976)) - away), ask)
            for contract, (away, ask) in missing.items()
            if away is not None
        }
        outages = [hole for hole in holes(of, frozenset(missing), some) if hole.kind is OUTAGE]
        for hole in outages:
            assert len(missing) > 1
            assert hole.contract is None
            assert hole.first is not None
            assert hole.last is not None
            assert all(
                set(range(hole.first, hole.last + 1)) <= away for away, _ in missing.values() if away is not None
            )


class TestVerdict:
    """How a day stands."""

    _stored, _partial, _noted = stored(), stored(holes=(an_outage(),)), stored(holes=(a_note(),))

    @staticmethod
    def _of(*states: State) -> list[Outcome]:
        return [stored() if state is State.STORED else Outcome(a_unit(), state) for state in states]

    @pytest.mark.parametrize(
        ("states", "expected", "listed", "result"),
        [
            ((State.STORED, State.STORED), 2, True, Verdict.COMPLETE),
            ((State.STORED, State.STORED), 2, False, Verdict.UNVERIFIED),
            ((State.STORED,), 2, True, Verdict.PARTIAL),
            ((State.STORED, State.FAILED), 2, True, Verdict.PARTIAL),
            ((State.STORED, State.EMPTY), 2, True, Verdict.PARTIAL),
            ((State.STORED, State.REFUSED), 2, True, Verdict.PARTIAL),
            ((State.STORED, State.DOWNLOADING), 2, True, Verdict.PARTIAL),
            ((State.EMPTY,), 1, True, Verdict.ABSENT),
            ((State.EMPTY, State.EMPTY), 2, False, Verdict.ABSENT),
            ((State.NOT_PUBLISHED,), 1, True, Verdict.NOT_PUBLISHED),
            ((State.STORED, State.NOT_PUBLISHED), 2, True, Verdict.NOT_PUBLISHED),
            ((State.FAILED,), 1, True, None),
            ((State.REFUSED, State.EMPTY), 2, True, None),
            ((State.PENDING,), 2, True, None),
            ((), 2, True, None),
            ((), 0, True, Verdict.ABSENT),
            ((), 0, False, Verdict.ABSENT),
        ],
    )
    def test_table(self, states: tuple[State, ...], expected: int, listed: bool, result: Verdict | None) -> None:
        """From the states of its units, and whether a list was there to compare with."""
        assert verdict(self._of(*states), expected, listed=listed) is result

    @pytest.mark.parametrize("listed", [True, False])
    def test_outages_and_gaps_make_a_day_partial(self, listed: bool) -> None:
        """With a list and without."""
        assert verdict([self._stored, self._partial], 2, listed=listed) is Verdict.PARTIAL

    def test_notes_do_not(self) -> None:
        """They are in a fifth of all real contract-days."""
        assert verdict([self._stored, self._noted], 2, listed=True) is Verdict.COMPLETE


class TestWords:
    """Holes in messages."""

    def test_holes_are_told_in_words(self) -> None:
        """Kinds counted, the first few by name, in New York time."""
        found = [an_outage(), a_gap(), *(a_note(first=n, last=n) for n in range(600, 605))]
        assert describe(found) == (
            "1 outage (all contracts: 11:00-11:59), 1 gap (2024-01-19 4750 CALL: the whole day), "
            "5 notes (2024-01-19 4750 CALL: 10:00-10:00, 2024-01-19 4750 CALL: 10:01-10:01, "
            "2024-01-19 4750 CALL: 10:02-10:02 and 2 more)"
        )

    def test_nothing_needs_no_words(self) -> None:
        """An empty text."""
        assert describe([]) == ""
        assert hole_text(a_gap()) == "2024-01-19 4750 CALL: the whole day"


# --- on recorded quotes


class Recorded:
    """A recorded file, read by nothing but the csv module.

    Args:
        path: ROOT_TRADEDATE_EXPIRATION.csv in the v2 form.
    """

    def __init__(self, path: Path) -> None:
        self.root, trade_date, expiration = path.stem.split("_")
        self.trade_date, self.expiration = date.fromisoformat(trade_date), date.fromisoformat(expiration)
        self.asks: dict[Contract, dict[int, float]] = {}
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                right = {"C": Right.CALL, "P": Right.PUT}[row["right"]]
                contract = Contract(self.expiration, int(row["strike"]) / 1000, right)
                self.asks.setdefault(contract, {})[int(row["ms_of_day"]) // 60_000] = float(row["ask"])

    def holes(self, dataset: str, *, without: Mapping[Contract, Iterable[int]] | None = None) -> list[Hole]:
        """Return what matters of what is missing, after some minutes of some contracts were taken out."""
        of = grid(dataset, self.trade_date, self.expiration, self.root)
        left = {
            contract: {m: ask for m, ask in asks.items() if m not in set((without or {}).get(contract, ()))}
            for contract, asks in self.asks.items()
        }
        last = of.last_required() // MINUTE_MS
        some: Present = {
            contract: present(runs_of(asks), [ask for m, ask in sorted(asks.items()) if ask > 0 and m <= last][-1])
            for contract, asks in left.items()
            if asks
        }
        return [hole for hole in holes(of, frozenset(self.asks), some) if hole.partial]

    def whole(self) -> Contract:
        """Return a contract of which no minute is missing and which is worth more than 0.10 all day."""
        longest = max(map(len, self.asks.values()))
        return next(c for c, asks in self.asks.items() if len(asks) == longest and min(asks.values()) > 0.10)


@pytest.fixture(scope="module")
def recorded(reference: Path) -> list[Recorded]:
    """All recorded files that have a session."""
    files = sorted((reference / "realdata/theta_v2_quote").glob("*.csv"))
    assert files
    return [Recorded(path) for path in files]


@pytest.mark.parametrize("dataset", ["quote", "greeks"])
def test_no_recorded_day_is_called_partial(recorded: list[Recorded], dataset: str) -> None:
    """Real chains have lone missing minutes and worthless contracts that stop: none of that is an alarm."""
    assert {(r.root, r.trade_date, r.expiration): r.holes(dataset) for r in recorded if r.holes(dataset)} == {}


def test_every_planted_hole_is_found_in_recorded_quotes(recorded: list[Recorded]) -> None:
    """A contract, an hour of all, 70 minutes of all, 31 minutes inside, a valuable tail; and not a tolerated one."""
    for file in recorded:
        everybody, one = list(file.asks), file.whole()
        last = max(file.asks[one])
        whole_day = range(LAST + 1)
        assert file.holes("quote", without={one: whole_day}) == [Hole(GAP, one, None, None)]
        for first, length in ((660, 60), (630, 70)):
            hour = range(first, first + length)
            found = file.holes("quote", without=dict.fromkeys(everybody, hour))
            assert [hole for hole in found if hole.kind is OUTAGE] == [Hole(OUTAGE, None, first, first + length - 1)]
        assert file.holes("quote", without={one: range(700, 731)}) == [Hole(GAP, one, 700, 730)]
        assert file.holes("quote", without={one: range(700, 730)}) == []
        assert file.holes("quote", without={one: range(last - 40, last + 1)}) == [Hole(GAP, one, last - 40, last)]
