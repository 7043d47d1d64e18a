"""What differs between two states of a unit's rows."""

from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spxdata.integrity.row_changes import SHOWN, RowChanges, row_changes, with_values
from spxdata.model import Contract
from spxdata.schema import DATASETS, Dataset
from tests.pipeline.builders import CALL, CONTRACTS, PUT, QUOTE, Row, a_row, frame_of, moment, rows_of, unit_for

MINUTES = range(571, 581)
TRADE, EOD = DATASETS["trade"], DATASETS["eod"]


def frame(rows: Sequence[Row], dataset: Dataset = QUOTE) -> pl.DataFrame:
    """Return rows in stored order."""
    order = list(dataset.order_at(dataset.interval))
    unit = unit_for(dataset)
    if not rows:
        return frame_of(rows_of(dataset=dataset), unit).clear()
    return frame_of(rows, unit).sort(order, maintain_order=True)


def compared(old: Sequence[Row], new: Sequence[Row], dataset: Dataset = QUOTE, size: int = 7) -> RowChanges:
    """Compare rows that come in pieces of some size; how they are cut must not matter."""
    found = [
        row_changes(
            frame(old, dataset).iter_slices(pieces),
            frame(new, dataset).iter_slices(other),
            dataset,
            dataset.interval,
        )
        for pieces, other in ((size, size + 3), (1000, 1000))
    ]
    assert found[0] == found[1]
    return found[0]


def test_equal_rows_do_not_differ() -> None:
    rows = rows_of(minutes=MINUTES)
    found = compared(rows, rows)
    assert not found
    assert found == RowChanges()


def test_changed_values_are_counted_by_column_and_shown_old_and_new() -> None:
    """Only what changed is shown, with what names the row."""
    old = rows_of(minutes=MINUTES)
    new = [dict(row) for row in old]
    new[3]["ask"], new[12]["ask"], new[12]["bid_size"] = "68.10", "0.05", "99"
    found = compared(old, new)
    assert (found.added, found.removed, found.changed) == (0, 0, 2)
    assert found.columns == {"bid_size": 1, "ask": 2}
    first, second = found.examples
    assert first.how == "changed"
    assert (first.key["strike"], first.key["right"]) == (4700.0, "CALL")
    assert first.key["timestamp"] == "2024-01-16T09:34:00-05:00"
    assert (first.old, first.new) == ({"ask": 67.9}, {"ask": 68.1})
    assert second.old.keys() == {"bid_size", "ask"}


def test_rows_that_came_and_went_are_counted() -> None:
    """A whole contract in the middle of the order, and single minutes."""
    old = rows_of([CALL, PUT], MINUTES)
    new = [*rows_of([CALL], range(573, 581)), *rows_of(CONTRACTS, MINUTES)[20:]]
    found = compared(old, new)
    assert (found.added, found.removed, found.changed) == (10, 12, 0)
    assert len(found.examples) == SHOWN
    assert {example.how for example in found.examples} <= {"added", "removed"}


@pytest.mark.parametrize("empty", ["old", "new"])
def test_all_rows_may_be_new_or_gone(empty: str) -> None:
    rows = rows_of(minutes=MINUTES)
    found = compared([], rows) if empty == "old" else compared(rows, [])
    assert (found.added, found.removed) == ((30, 0) if empty == "old" else (0, 30))


def test_a_repeated_row_is_one_more_row() -> None:
    """Rows that come twice are told apart by how often they come."""
    rows = rows_of(minutes=MINUTES)
    found = compared(rows, [*rows, rows[5]])
    assert (found.added, found.removed, found.changed) == (1, 0, 0)


def test_a_trade_between_two_of_the_same_moment_is_one_row_added() -> None:
    """Trades have no key: those that are there in both are found first."""
    trades = [a_row(TRADE, CALL, 571, sequence=number, size=number) for number in range(1, 6)]
    found = compared([trade for trade in trades if trade["sequence"] != "3"], trades, TRADE)
    assert (found.added, found.removed, found.changed) == (1, 0, 0)
    assert found.examples[0].new["sequence"] == 3


def test_a_trade_with_another_price_is_a_changed_row() -> None:
    trades = [a_row(TRADE, CALL, 571, sequence=number, size=number) for number in range(1, 6)]
    found = compared(trades, [*trades[:2], {**trades[2], "price": "1.05"}, *trades[3:]], TRADE)
    assert (found.changed, found.columns) == (1, {"price": 1})


def test_ticks_in_another_order_are_told() -> None:
    """The same rows: nothing but the order is new."""
    trades = [a_row(TRADE, CALL, 571, sequence=number) for number in (1, 2)]
    found = compared(trades, trades[::-1], TRADE)
    assert found.reordered
    assert bool(found)
    assert (found.added, found.removed, found.changed) == (0, 0, 0)


def test_a_report_that_was_written_anew_is_a_changed_row() -> None:
    """Its time of creation is a value like any other."""
    old = rows_of(dataset=EOD)
    new = [dict(row) for row in old]
    new[1] |= {"created": moment(1040) + ".000", "close": "1.00"}
    found = compared(old, new, EOD)
    assert (found.added, found.removed, found.changed) == (0, 0, 1)
    assert found.columns == {"created": 1, "close": 1}


def test_what_is_no_number_equals_itself_and_is_shown_as_a_word() -> None:
    rows = rows_of(minutes=MINUTES)
    old = frame(rows).with_columns(bid=pl.lit(float("nan")), ask=pl.lit(-0.0))
    new = frame(rows).with_columns(bid=pl.lit(float("nan")), ask=pl.lit(0.0))
    assert not row_changes([old], [new], QUOTE, "1m")
    found = row_changes([old], [frame(rows).with_columns(ask=pl.lit(0.0))], QUOTE, "1m")
    assert found.columns == {"bid": 30}
    assert found.examples[0].old == {"bid": "nan"}


def test_an_absent_value_equals_itself_and_differs_from_zero() -> None:
    rows = rows_of(minutes=MINUTES)
    absent = frame(rows).with_columns(bid=pl.lit(None, pl.Float64))
    assert not row_changes([absent], [absent], QUOTE, "1m")
    assert row_changes([absent], [frame(rows)], QUOTE, "1m").columns == {"bid": 30}


def test_columns_that_are_not_compared_do_not_differ() -> None:
    old = rows_of(minutes=MINUTES)
    new = [{**row, "ask_condition": "1"} for row in old]
    names = [name for name in QUOTE.names if name != "ask_condition"]
    assert compared(old, new).changed == 30
    assert not row_changes([frame(old)], [frame(new)], QUOTE, "1m", names)


def test_a_column_that_an_older_version_never_had_is_not_compared() -> None:
    """It is absent in every row of that file, which tells nothing of the vendor."""
    new = frame(rows_of(minutes=MINUTES))
    old = new.with_columns(ask_condition=pl.lit(None, pl.Int32))
    names = with_values(old.iter_slices(7), QUOTE)
    assert set(QUOTE.names) - set(names) == {"ask_condition"}
    assert row_changes([old], [new], QUOTE, "1m")
    assert not row_changes([old], [new], QUOTE, "1m", names)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.sampled_from(CONTRACTS), st.integers(571, 580), st.integers(1, 3)), max_size=25),
    st.lists(st.tuples(st.sampled_from(CONTRACTS), st.integers(571, 580), st.integers(1, 3)), max_size=25),
    st.integers(1, 9),
)
def test_counts_add_up(old: list[tuple[Contract, int, int]], new: list[tuple[Contract, int, int]], size: int) -> None:
    """For any rows, repeated ones too: old rows less removed ones plus added ones are as many as the new ones."""
    before, after = (
        [a_row(QUOTE, contract, minute, bid_size=bid) for contract, minute, bid in rows] for rows in (old, new)
    )
    found = compared(before, after, size=size)
    assert len(before) - found.removed + found.added == len(after)
    assert bool(found) == (not frame(before).equals(frame(after)))
    backwards = compared(after, before, size=size)
    assert (backwards.added, backwards.removed, backwards.changed) == (found.removed, found.added, found.changed)
    assert backwards.columns == found.columns
