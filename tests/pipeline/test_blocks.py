"""Ticks that come a second time are refused; whatever else comes is passed on as it is."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.errors import MalformedReply
from spxdata.model import Contract, Unit
from spxdata.pipeline.blocks import in_blocks
from spxdata.pipeline.parse import Batch, parse
from spxdata.schema import DATASETS
from tests.builders import a_unit

from .builders import CALL, HIGH_CALL, PUT, Row, a_row, csv_of, rows_of, unit_for

TRADE = DATASETS["trade"]
TRADES = unit_for(TRADE)


def trades(contract: Contract, *minutes: int) -> list[Row]:
    """Return trades of one contract."""
    return [a_row(TRADE, contract, minute) for minute in minutes]


def passed(*parts: Sequence[Row], unit: Unit = TRADES) -> int:
    """Return how many rows are passed on of batches, each of some rows."""

    def batches() -> list[Batch]:
        return [batch for part in parts for batch in parse(iter([csv_of(part)]), unit)]

    found = list(in_blocks(iter(batches()), unit))
    assert [batch.frame.rows() for batch in found] == [batch.frame.rows() for batch in batches()]
    return sum(batch.frame.height for batch in found)


@given(st.lists(st.integers(0, 8), max_size=4).map(sorted))
def test_contract_after_contract_passes_however_it_is_cut(borders: list[int]) -> None:
    """A contract may go on in the next batch, and have several trades at a time, late ones among them."""
    rows = [*trades(PUT, 600, 600, 610), *trades(CALL, 600, 620, 615), *trades(HIGH_CALL, 580, 600)]
    parts = [rows[start:stop] for start, stop in pairwise([0, *borders, len(rows)]) if start < stop]
    assert passed(*parts) == len(rows)


@pytest.mark.parametrize("again", [(600, 610, 620), (610,), (620,), (590,), (620, 640)], ids=str)
def test_a_contract_that_comes_again_with_times_it_had_is_refused(again: tuple[int, ...]) -> None:
    """In the same batch or a later one: a page that was sent twice, with other borders."""
    first = [*trades(CALL, 600, 610, 620), *trades(PUT, 605)]
    with pytest.raises(MalformedReply, match=r"4700.0 CALL comes a second time.* 10:20:00") as caught:
        passed([*first, *trades(CALL, *again)])
    assert caught.value.evidence
    with pytest.raises(MalformedReply):
        passed(first, trades(HIGH_CALL, 600), trades(CALL, *again))


def test_a_contract_that_goes_on_later_passes() -> None:
    """As in a unit that is split by time."""
    assert passed([*trades(CALL, 600, 610), *trades(PUT, 605)], [*trades(CALL, 611), *trades(PUT, 612)]) == 5


@pytest.mark.parametrize(
    "unit",
    [a_unit(dataset="quote"), unit_for(DATASETS["eod"]), a_unit(dataset="index_price", interval="tick")],
    ids=str,
)
def test_what_has_a_key_or_no_contracts_passes(unit: Unit) -> None:
    """Rules find what came twice there."""
    rows = rows_of([CALL, PUT, CALL], [600, 601], DATASETS[unit.dataset])
    assert passed(rows, rows, unit=unit) == 2 * len(rows)
