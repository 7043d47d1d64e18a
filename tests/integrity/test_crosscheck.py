"""Cross-checks: each a figure with a normal range, unusual outside it or far from an archive's own history."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.flags import Flag
from spxdata.integrity.certificate import Figure
from spxdata.integrity.crosscheck import CHECKS, checks_of, figures, is_far, judged, peers
from spxdata.model import Contract, Day, Right
from spxdata.schema import DATASETS
from spxdata.sessions import FIRST_DAY
from tests.builders import EXPIRATION, TRADE_DATE, a_day
from tests.integrity.stock import Stock, usual
from tests.pipeline.builders import CALL, CONTRACTS, HIGH_CALL, PUT, Row, rows_of

#: The trading day after the usual one.
NEXT = date(2024, 1, 17)
#: Enough minutes to compare.
SOME = range(571, 591)


@pytest.fixture
def stock(tmp_path: Path) -> Stock:
    """Return an empty archive."""
    return Stock(tmp_path)


def rows(name: str, **changes: object) -> list[Row]:
    """Return a chain's rows of some minutes."""
    return rows_of(CONTRACTS, SOME, DATASETS[name], **changes)


def one(contract: Contract, name: str, **changes: object) -> list[Row]:
    """Return a contract's rows of some minutes."""
    return rows_of([contract], SOME, DATASETS[name], **changes)


def figure(stock: Stock, name: str, day: Day) -> Figure | None:
    """Return a figure of a day, None if it cannot be made."""
    found = {figure.name: figure for figure in figures(day, stock.catalog, stock.storage)}
    assert set(found) <= {check.name for check in CHECKS.values() if check.dataset == day.dataset}
    return found.get(name)


class TestBidAsk:
    """Greeks' bid and ask against the quotes."""

    NAME = "bid_ask_as_quoted"

    def test_greeks_of_the_quotes_agree(self, stock: Stock) -> None:
        """In every minute that both have."""
        stock.put(usual("greeks"), rows("greeks"))
        stock.put(usual("quote"), rows("quote"))
        found = figure(stock, self.NAME, usual("greeks").day)
        assert found == Figure(self.NAME, 1.0, 0.98, 1.0, unusual=False)

    def test_greeks_of_other_quotes_do_not(self, stock: Stock) -> None:
        """A contract of three is another market's."""
        stock.put(usual("greeks"), rows("greeks"))
        stock.put(usual("quote"), [*one(CALL, "quote"), *one(PUT, "quote"), *one(HIGH_CALL, "quote", bid="64.80")])
        found = figure(stock, self.NAME, usual("greeks").day)
        assert found
        assert found.value == pytest.approx(2 / 3)
        assert found.unusual

    def test_the_vendor_s_empty_rows_are_left_out(self, stock: Stock) -> None:
        """They have neither bid nor ask."""
        empty = rows_of(CONTRACTS, range(570, 571), DATASETS["greeks"], bid="0.00", ask="0.00")
        stock.put(usual("greeks"), sorted([*empty, *rows("greeks")], key=lambda row: (row["strike"], row["right"])))
        stock.put(usual("quote"), rows_of(CONTRACTS, range(570, 591)))
        found = figure(stock, self.NAME, usual("greeks").day)
        assert found
        assert found.value == 1.0

    def test_without_quotes_of_the_expiration_there_is_none(self, stock: Stock) -> None:
        """Nor of the minutes, nor without quotes at all, nor of ticks."""
        day = usual("greeks").day
        stock.put(usual("greeks"), rows("greeks"))
        assert figure(stock, self.NAME, day) is None
        stock.put(replace(usual("quote"), expiration=NEXT), _expiring(rows("quote"), NEXT), contracts=None)
        assert figure(stock, self.NAME, day) is None
        stock.put(usual("quote"), rows_of(CONTRACTS, range(700, 710)))
        assert figure(stock, self.NAME, day) is None
        assert list(checks_of(day._replace(interval="tick"))) == []
        assert list(checks_of(day._replace(interval="1s"))) == []

    def test_a_file_that_is_gone_is_its_own_day_s_matter(self, stock: Stock) -> None:
        """The figure cannot be made, and that is all."""
        stock.put(usual("greeks"), rows("greeks"))
        outcome = stock.put(usual("quote"), rows("quote"))
        assert outcome.artifact
        (stock.folder / outcome.artifact.path).unlink()
        assert figure(stock, self.NAME, usual("greeks").day) is None
        (stock.folder / outcome.artifact.path).write_bytes(b"damaged")
        assert figure(stock, self.NAME, usual("greeks").day) is None


def _expiring(several: list[Row], expiration: date) -> list[Row]:
    return [{**row, "expiration": str(expiration)} for row in several]


class TestForward:
    """The forward that puts and calls imply against the index."""

    NAME = "parity_forward"

    @pytest.mark.parametrize(
        ("index", "value", "unusual"),
        [("4700.00", 0.0, False), ("4650.00", 4700 / 4650 - 1, False), ("4600.00", 4700 / 4600 - 1, True)],
    )
    def test_a_call_and_a_put_of_one_price_imply_their_strike(
        self, stock: Stock, index: str, value: float, unusual: bool
    ) -> None:
        """As a share of the index, less 1."""
        stock.put(usual("greeks"), rows("greeks", underlying_price=index))
        found = figure(stock, self.NAME, usual("greeks").day)
        assert found
        assert found.value == pytest.approx(value)
        assert found.unusual is unusual

    def test_only_strikes_nearest_to_the_money_count(self, stock: Stock) -> None:
        """Far ones are wide."""
        ladder = [
            Contract(EXPIRATION, 4700.0 + step, right)
            for step in (0, 5, 10, 15, *range(500, 530, 5))
            for right in Right
        ]
        several = [
            row
            for contract in ladder
            for row in one(contract, "greeks", underlying_price="4700", **_mids(contract, 4700.0))
        ]
        stock.put(usual("greeks"), several, ladder)
        found = figure(stock, self.NAME, usual("greeks").day)
        assert found
        assert found.value == pytest.approx(0.0)

    @pytest.mark.parametrize("changes", [{"bid": "0.00", "bid_size": 0}, {"underlying_price": "0.0000"}])
    def test_what_has_no_bid_or_no_index_implies_nothing(self, stock: Stock, changes: dict[str, object]) -> None:
        """Nor does a call without its put."""
        changes = {name: value for name, value in changes.items() if name != "bid_size"}
        stock.put(usual("greeks"), rows("greeks", **changes))
        assert figure(stock, self.NAME, usual("greeks").day) is None
        stock.put(usual("greeks"), one(CALL, "greeks"))
        assert figure(stock, self.NAME, usual("greeks").day) is None


def _mids(contract: Contract, forward: float) -> dict[str, str]:
    """Return bid and ask of a contract as a forward makes them; far ones are off by a tenth of it."""
    far = contract.strike - forward >= 500
    sign = 1 if contract.right is Right.CALL else -1
    worth = 400.0 + (forward - contract.strike) / 2 * sign + 235.0 * sign * far
    return {"bid": f"{worth - 1:.2f}", "ask": f"{worth + 1:.2f}"}


class TestVolume:
    """The volume of trades against the day's report."""

    NAME = "volume_as_reported"

    def put(self, stock: Stock, volume: int, **changes: object) -> Figure | None:
        """Store trades of 20 x 10 a contract and a report; return the figure."""
        stock.put(usual("trade"), rows("trade"))
        stock.put(usual("eod"), rows("eod", volume=volume, **changes))
        return figure(stock, self.NAME, usual("trade").day)

    @pytest.mark.parametrize(
        ("volume", "value", "unusual"), [(200, 1.0, False), (205, 200 / 205, False), (400, 0.5, True), (100, 2.0, True)]
    )
    def test_it_is_the_share_that_was_traded(self, stock: Stock, volume: int, value: float, unusual: bool) -> None:
        """Of what was reported."""
        found = self.put(stock, volume)
        assert found
        assert found.value == pytest.approx(value)
        assert found.unusual is unusual

    def test_a_report_without_volume_tells_nothing(self, stock: Stock) -> None:
        """Nor does a day without a report."""
        assert self.put(stock, 0) is None
        assert figure(stock, self.NAME, usual("trade", NEXT).day) is None

    def test_of_a_report_that_came_twice_the_newer_counts(self, stock: Stock) -> None:
        """The older one has another volume."""
        stock.put(usual("trade"), rows("trade"))
        older, newer = rows("eod", volume=999), rows("eod", volume=200, created="2024-01-16T17:39:16.000")
        stock.put(usual("eod"), [row for pair in zip(older, newer, strict=True) for row in pair])
        found = figure(stock, self.NAME, usual("trade").day)
        assert found
        assert found.value == 1.0
        read = {int(row) for row in _flags(stock)}
        assert read & {int(Flag.SUPERSEDED)}

    def test_expirations_that_only_one_has_are_left_out(self, stock: Stock) -> None:
        """A report speaks of all, trades of what was downloaded."""
        other = [Contract(NEXT, 4700.0, Right.CALL)]
        stock.put(usual("trade"), rows("trade"))
        report = [*rows_of(other, SOME, DATASETS["eod"], volume=5000), *rows("eod", volume=200)]
        stock.put(usual("eod"), report, [*CONTRACTS, *other])
        found = figure(stock, self.NAME, usual("trade").day)
        assert found
        assert found.value == 1.0


def _flags(stock: Stock) -> list[int]:
    import polars as pl

    return pl.read_parquet(stock.folder / "20240116/spxw_eod.parquet")["flags"].to_list()


class TestOpenInterest:
    """Open interest of successive days."""

    NAME = "open_interest_follows_volume"

    def put(self, stock: Stock, before: int, after: int, volume: int) -> Figure | None:
        """Store two days' open interest and the volume between; return the second's figure."""
        stock.put(usual("open_interest", TRADE_DATE), rows("open_interest", open_interest=before))
        stock.put(usual("eod", TRADE_DATE), rows("eod", volume=volume))
        stock.put(usual("open_interest", NEXT), rows("open_interest", open_interest=after))
        return figure(stock, self.NAME, usual("open_interest", NEXT).day)

    @pytest.mark.parametrize(
        ("before", "after", "volume", "value"),
        [(1000, 1100, 100, 1.0), (1000, 900, 100, 1.0), (1000, 1101, 100, 0.0), (1000, 1000, 0, 1.0)],
    )
    def test_it_moves_by_no_more_than_was_traded(
        self, stock: Stock, before: int, after: int, volume: int, value: float
    ) -> None:
        """Up or down."""
        found = self.put(stock, before, after, volume)
        assert found == Figure(self.NAME, value, 0.95, 1.0, unusual=value < 0.95)

    def test_without_the_day_before_there_is_none(self, stock: Stock) -> None:
        """Nor where the table of sessions begins."""
        stock.put(usual("open_interest", NEXT), rows("open_interest"))
        assert figure(stock, self.NAME, usual("open_interest", NEXT).day) is None
        first = usual("open_interest", FIRST_DAY).day
        assert list(checks_of(first)) == []
        assert peers(first) == ()

    def test_contracts_that_were_not_listed_before_are_left_out(self, stock: Stock) -> None:
        """If all are new there is none."""
        stock.put(usual("open_interest", TRADE_DATE), one(CALL, "open_interest"))
        stock.put(usual("eod", TRADE_DATE), rows("eod"))
        stock.put(usual("open_interest", NEXT), one(PUT, "open_interest"))
        assert figure(stock, self.NAME, usual("open_interest", NEXT).day) is None


class TestJudgement:
    """is_far, judged."""

    FIGURE = Figure("parity_forward", 0.0, -0.01, 0.02, unusual=False)

    @pytest.mark.parametrize(("value", "unusual"), [(-0.011, True), (-0.01, False), (0.02, False), (0.021, True)])
    def test_outside_its_range_it_is_unusual(self, value: float, unusual: bool) -> None:
        """Whatever other days show."""
        figure = replace(self.FIGURE, value=value)
        assert judged(figure, [value]) == replace(figure, unusual=unusual)
        assert judged(figure, [value] * 100) == replace(figure, unusual=unusual)

    def test_far_from_many_other_days_it_is_unusual(self) -> None:
        """From a few it is not: they show too little."""
        history = [0.0001 * number for number in range(9)]
        assert not is_far(0.015, [*history[:8], 0.015])
        assert is_far(0.015, [*history, 0.015])
        assert judged(replace(self.FIGURE, value=0.015), [*history, 0.015]).unusual

    def test_once_its_day_is_usual_it_is_so_again(self) -> None:
        """A judgement is not for ever."""
        figure = replace(self.FIGURE, unusual=True)
        assert judged(figure, [0.0]) == self.FIGURE
        assert judged(self.FIGURE, [0.0]) is self.FIGURE

    @given(st.lists(st.floats(0.0, 1e-3), min_size=1, max_size=40))
    def test_days_that_are_hardly_apart_are_never_far(self, history: list[float]) -> None:
        """However much alike the rest of them are."""
        assert not any(is_far(value, history) for value in history)

    @given(st.lists(st.floats(-1.0, 1.0), min_size=10, max_size=40))
    def test_at_most_half_of_all_days_are_far(self, history: list[float]) -> None:
        """The median is one of them."""
        assert sum(is_far(value, history) for value in history) <= len(history) / 2


def test_every_check_says_what_it_is_and_reads_few_columns() -> None:
    """Its range holds; every column is one of its dataset, or a flag."""
    for name, check in CHECKS.items():
        assert (check.name, check.low < check.high, bool(check.what)) == (name, True, True)
        day = a_day(dataset=check.dataset, interval=DATASETS[check.dataset].interval)
        datasets = [check.dataset, *(peer.dataset for peer in check.peers(day))]
        for dataset, columns in zip(datasets, check.columns, strict=True):
            assert set(columns) <= {*DATASETS[dataset].names, "flags"}
            assert len(columns) <= 8


def test_a_day_of_a_dataset_without_checks_has_none(stock: Stock) -> None:
    """And reads no other."""
    stock.put(usual("ohlc"), rows("ohlc"))
    assert figures(usual("ohlc").day, stock.catalog, stock.storage) == ()
    assert peers(usual("ohlc").day) == ()
    assert peers(usual("greeks").day) == (usual("quote").day,)
