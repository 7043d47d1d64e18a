"""What is asked for at once, and how a request that is too large comes in parts that are the whole again."""

from collections import Counter
from collections.abc import Callable
from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata import Emulator
from spxdata.emulator import Fault
from spxdata.errors import CutOff, NoData, TooLarge
from spxdata.model import Right, Unit
from spxdata.schema import DATASETS
from spxdata.terminal.asking import Line
from spxdata.terminal.split import (
    Asked,
    Asks,
    Bodies,
    Part,
    Window,
    bodies_of,
    by_contract,
    in_parts,
    is_chain_refused,
    whole_of,
)
from spxdata.terminal.v2 import V2Terminal
from spxdata.terminal.v3 import V3Terminal
from tests.builders import EXPIRATION, TRADE_DATE, FakeClock, a_unit

CONTRACTS = tuple((strike, right) for strike in (4700.0, 4750.0) for right in Right)
EXPIRATIONS = (TRADE_DATE, EXPIRATION)
EOD = a_unit(dataset="eod", interval="1d", expiration=None)
TRADES = a_unit(dataset="trade", interval="tick")


def asked(
    part: Part, is_too_large: Callable[[Part], bool], ways: Callable[[Part, Asks], Bodies] = in_parts
) -> list[Part]:
    """Return the parts that are asked for and answered."""
    answered: list[Part] = []

    def bodies(smaller: Part) -> Bodies:
        if is_too_large(smaller):
            raise TooLarge("570")
        answered.append(smaller)
        yield iter([b"row\n"])

    asks = Asks(bodies, lambda _: EXPIRATIONS, lambda _, __: CONTRACTS)
    assert len(list(ways(part, asks))) == len(answered)
    return answered


def is_longer(most: int) -> Callable[[Part], bool]:
    """Return whether a part's window has more milliseconds than some."""
    return lambda part: part.window.last - part.window.first + 1 > most


class TestTime:
    """Windows of a unit."""

    @given(st.sampled_from(["1m", "5m", "1h", "1s"]), st.integers(100, 5_000))
    def test_every_point_of_a_grid_is_asked_for_once(self, interval: str, most: int) -> None:
        """However many the Terminal gives at once."""
        unit = a_unit(dataset="quote", interval=interval)
        step = whole_of(unit).step
        assert step
        whole = whole_of(unit)
        parts = asked(whole, lambda part: len(range(part.window.first, part.window.last + 1, step)) > most)
        points = [point for part in parts for point in range(part.window.first, part.window.last + 1, step)]
        assert points == list(range(whole.window.first, whole.window.last + 1, step))
        assert {part._replace(window=whole.window) for part in parts} == {whole}

    @given(
        st.sampled_from(
            [TRADES, a_unit(dataset="trade_quote", interval="tick"), a_unit(dataset="quote", interval="tick")]
        ),
        st.integers(100_000, 30_000_000),
    )
    def test_windows_of_ticks_cover_every_millisecond_once(self, unit: Unit, most: int) -> None:
        """A trade may have come in any."""
        whole = whole_of(unit)
        windows = [part.window for part in asked(whole, is_longer(most))]
        assert (windows[0].first, windows[-1].last) == whole.window
        assert all(before.last + 1 == after.first for before, after in pairwise(windows))

    @given(st.integers(1, 40), st.integers(1, 7))
    def test_small_windows_of_ticks_do_too(self, length: int, most: int) -> None:
        """Down to a single millisecond."""
        part = Part(TRADES, Window(100, 100 + length), EXPIRATION)
        found = [ms for part in asked(part, is_longer(most)) for ms in range(part.window.first, part.window.last + 1)]
        assert found == list(range(100, 100 + length + 1))


class TestSilence:
    """A part that is said to have no rows, of what is too much for one reply."""

    @staticmethod
    def silent(unit: Unit, says: Callable[[Part, int], bool]) -> tuple[list[Part], list[int]]:
        """Return the parts that have rows, and how often each part was asked for.

        Args:
            unit: Whose parts.
            says: Whether a part is said to have no rows when asked for a number of times.
        """
        asked: Counter[Part] = Counter()
        came: list[Part] = []

        def bodies(part: Part) -> Bodies:
            asked[part] += 1
            if part == whole or (part.step and part.window.last - part.window.first > 10_000_000):
                raise TooLarge("570")
            if says(part, asked[part]):
                raise NoData("nothing here")
            came.append(part)
            yield iter([b"row\n"])

        whole = whole_of(unit)
        list(bodies_of(whole, Asks(bodies, lambda _: EXPIRATIONS, lambda _, __: CONTRACTS)))
        return came, list(asked.values())

    units = pytest.mark.parametrize(
        "unit",
        [TRADES, a_unit(dataset="index_price", root="SPX", interval="tick", expiration=None), a_unit(dataset="quote")],
        ids=lambda unit: unit.dataset,
    )

    @units
    @pytest.mark.parametrize("struck", range(4))
    def test_it_is_asked_for_once_more(self, unit: Unit, struck: int) -> None:
        """And then has its rows, wherever it stands."""
        parts, _ = self.silent(unit, lambda _, __: False)
        came, asked = self.silent(unit, lambda part, times: part == parts[struck] and times == 1)
        assert came == parts
        assert sorted(asked) == [1] * 6 + [2]

    @pytest.mark.parametrize("struck", range(4))
    def test_a_stretch_of_a_grid_may_be_silent_twice(self, struck: int) -> None:
        """It shows as a hole."""
        unit = a_unit(dataset="quote")
        parts, _ = self.silent(unit, lambda _, __: False)
        came, _ = self.silent(unit, lambda part, _: part == parts[struck])
        assert came == [part for part in parts if part != parts[struck]]

    @pytest.mark.parametrize("struck", [[0], [1], [2], [3], [0, 1], [2, 3], [0, 2], [1, 2, 3]], ids=str)
    def test_a_stretch_of_ticks_may_not(self, struck: list[int]) -> None:
        """Nothing would show it: the attempt fails, and may be tried again."""
        parts, _ = self.silent(TRADES, lambda _, __: False)
        with pytest.raises(CutOff, match=r"too large for one reply, but sends nothing from \d\d:\d\d to \d\d:\d\d"):
            self.silent(TRADES, lambda part, _: part in [parts[place] for place in struck])

    def test_a_unit_that_is_silent_in_all_its_parts_is_none(self) -> None:
        """As one that is silent as a whole."""
        assert self.silent(TRADES, lambda _, __: True)[0] == []

    def test_expirations_and_contracts_may_be_silent(self) -> None:
        """The contract list tells what that means; expirations are asked for twice."""
        came, asked = self.silent(EOD, lambda part, _: part.expiration == EXPIRATION)
        assert ([part.expiration for part in came], asked) == ([TRADE_DATE], [1, 1, 2])

    def test_what_was_asked_for_is_told(self) -> None:
        """The first request and, if there were parts, what they were parts by and how many there were."""
        whole = whole_of(TRADES)
        asked = Asked(whole)
        asked.note(whole, "/first")
        assert str(asked) == "/first"
        first, second = (whole._replace(window=half) for half in whole.window.halves(1))
        for part in (first, second, second._replace(contract=CONTRACTS[0])):
            asked.note(part, "/other")
        assert str(asked) == "/first (split by time and contract, 4 requests)"


class TestSmaller:
    """What cannot be cut in time, or not any further."""

    def test_one_point_that_is_too_large_is_asked_for_by_contract(self) -> None:
        """With its time and its expiration."""
        part = whole_of(a_unit(dataset="quote"))._replace(window=Window(34_200_000, 34_200_000))
        assert asked(part, lambda smaller: smaller.contract is None) == [
            part._replace(contract=contract) for contract in CONTRACTS
        ]

    @pytest.mark.parametrize("name", ["eod", "greeks_eod", "open_interest"])
    def test_a_day_is_asked_for_by_expiration(self, name: str) -> None:
        """It has no times to cut at."""
        whole = whole_of(a_unit(dataset=name, interval="1d", expiration=None))
        assert asked(whole, lambda part: part.expiration is None) == [
            whole._replace(expiration=expiration) for expiration in EXPIRATIONS
        ]

    def test_an_expiration_of_a_day_that_is_too_large_is_asked_for_by_contract(self) -> None:
        """The others are not."""
        whole = whole_of(EOD)
        parts = asked(whole, lambda part: part.contract is None and part.expiration != TRADE_DATE)
        assert [(part.expiration, part.contract) for part in parts] == [
            (TRADE_DATE, None),
            *((EXPIRATION, contract) for contract in CONTRACTS),
        ]

    @pytest.mark.parametrize(
        "unit",
        [
            EOD,
            a_unit(dataset="quote", interval="1h"),
            a_unit(dataset="index_price", root="SPX", expiration=None, interval="1h"),
            a_unit(dataset="interest_rate", root="SOFR", expiration=None, interval="1d"),
        ],
        ids=lambda unit: unit.dataset,
    )
    def test_what_is_too_large_in_every_part_is_said(self, unit: Unit) -> None:
        """It ends."""
        with pytest.raises(TooLarge, match="smallest parts"):
            asked(whole_of(unit), lambda _: True)


class TestByContract:
    """What the Terminal gives contract by contract only."""

    def test_each_contract_is_asked_for_once(self) -> None:
        """For all of the session."""
        whole = whole_of(a_unit(dataset="quote", interval="1s"))
        assert asked(whole, lambda _: False, by_contract) == [whole._replace(contract=c) for c in CONTRACTS]

    def test_one_that_is_too_large_is_cut_in_time(self) -> None:
        """And it alone."""
        whole = whole_of(a_unit(dataset="quote", interval="1s"))
        large = CONTRACTS[1]
        parts = asked(whole, lambda part: part.contract == large and part.window == whole.window, by_contract)
        assert [part.contract for part in parts] == [CONTRACTS[0], large, large, *CONTRACTS[2:]]
        first, second = (part.window for part in parts if part.contract == large)
        assert (first.first, second.last) == whole.window
        assert first.last + 1000 == second.first

    def test_without_an_expiration_there_are_no_contracts(self) -> None:
        """Nobody asks that way."""
        with pytest.raises(TooLarge, match="no expiration"):
            asked(whole_of(EOD), lambda _: False, by_contract)

    def test_contracts_without_rows_are_none(self) -> None:
        """Most have no trade."""

        def bodies(part: Part) -> Bodies:
            if part.contract != CONTRACTS[2]:
                raise NoData("nothing here")
            yield iter([b"row\n"])

        asks = Asks(bodies, lambda _: (), lambda _, __: CONTRACTS)
        assert len(list(by_contract(whole_of(a_unit(dataset="quote", interval="1s")), asks))) == 1


@pytest.mark.parametrize(
    ("name", "interval", "refused"),
    [
        ("quote", "1m", False),
        ("quote", "1h", False),
        ("quote", "30s", True),
        ("quote", "10ms", True),
        ("quote", "tick", True),
        ("greeks", "1m", False),
        ("greeks", "tick", True),
        ("greeks_all", "1s", True),
        ("implied_volatility", "5m", False),
        ("ohlc", "15s", True),
        ("trade", "tick", False),
        ("trade_quote", "tick", False),
        ("eod", "1d", False),
        ("open_interest", "1d", False),
        ("greeks_eod", "1d", False),
        ("index_price", "tick", False),
        ("index_price", "1s", False),
        ("interest_rate", "1d", False),
    ],
)
def test_whole_chains_come_by_the_minute_at_the_shortest(name: str, interval: str, refused: bool) -> None:
    """Trades come as ticks of a whole chain; an index is no chain."""
    assert interval in DATASETS[name].intervals
    assert is_chain_refused(a_unit(dataset=name, interval=interval)) is refused


class TestWhole:
    """The part that is all of a unit."""

    @pytest.mark.parametrize(
        ("trade_date", "expiration", "last"),
        [
            (TRADE_DATE, EXPIRATION, 58_500_000),
            (TRADE_DATE, TRADE_DATE, 57_600_000),
            (TRADE_DATE, None, 58_500_000),
            (date(2023, 7, 3), None, 47_700_000),
        ],
    )
    def test_it_is_its_session(self, trade_date: date, expiration: date | None, last: int) -> None:
        """In milliseconds of the day."""
        part = whole_of(a_unit(trade_date=trade_date, expiration=expiration))
        assert (part.window, part.expiration, part.contract) == (Window(34_200_000, last), expiration, None)

    def test_without_a_session_there_is_no_data(self) -> None:
        """A holiday."""
        with pytest.raises(NoData, match="no session"):
            whole_of(a_unit(trade_date=date(2024, 1, 15), expiration=None))

    def test_it_is_told_with_its_contract(self) -> None:
        """As in a message."""
        part = whole_of(TRADES)._replace(contract=(4750.5, Right.PUT))
        assert str(part) == "2024-01-16 SPXW trade tick exp 2024-01-19 4750.5 PUT"


@pytest.mark.parametrize("dialect", ["v2", "v3"])
@pytest.mark.parametrize("struck", [1, "1-3"])
def test_a_unit_in_parts_equals_the_unit_in_one_piece(dialect: str, struck: object) -> None:
    """As sets of lines: parts come minute range by minute range."""
    fault = {"do": "status", "status": 570, "dataset": "quote", "nth": struck}

    def lines(faults: list[Fault | dict[str, object]]) -> list[bytes]:
        with Emulator(dialect=dialect, faults=faults, page_rows=3000) as emulator:
            line = Line(emulator.url, dialect)
            terminal = V2Terminal(line, FakeClock()) if dialect == "v2" else V3Terminal(line, FakeClock())
            with terminal.fetch(a_unit(dataset="quote")) as reply:
                return sorted(b"".join(reply.chunks()).splitlines())

    whole = lines([])
    assert len(whole) > 1000
    assert lines([fault]) == whole
