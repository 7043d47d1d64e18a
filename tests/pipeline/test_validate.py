from collections.abc import Iterable

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spxdata.errors import BrokenRule, CutOff, MalformedReply
from spxdata.flags import Flag
from spxdata.model import Contract, HoleKind, Unit
from spxdata.pipeline.edges import SortMemory
from spxdata.pipeline.order import Order, Sorter
from spxdata.pipeline.parse import parse
from spxdata.pipeline.validate import Checked, validate
from tests.builders import TRADE_DATE, a_unit

from .builders import (
    CALL,
    CONTRACTS,
    GREEKS,
    HIGH_CALL,
    PUT,
    QUOTE,
    QUOTE_UNIT,
    REQUIRED,
    SESSION,
    Row,
    a_row,
    csv_of,
    frame_of,
    rows_of,
)

LISTED = frozenset(CONTRACTS)


def checked(
    rows: Iterable[Row],
    unit: Unit = QUOTE_UNIT,
    listed: frozenset[Contract] | None = LISTED,
    *,
    limit: int = 10**9,
) -> tuple[pl.DataFrame, Checked]:
    """Return a reply's rows as they are stored, and what was found out on the way."""
    names = GREEKS.names if unit.dataset == "greeks" else QUOTE.names
    with Sorter(Order.of(a_unit()), SortMemory(limit)) as sorter:
        result = validate(parse(iter([csv_of(list(rows), names)]), unit), unit, listed, sorter)
        return pl.concat(result), result


class TestRows:
    """What is stored."""

    @pytest.mark.parametrize("limit", [0, 10**9], ids=["spilled", "in memory"])
    def test_all_rows_are_seen_before_the_first_is_yielded(self, limit: int) -> None:
        """In batches, as they arrived: whoever writes them decides by all of them."""
        rows = rows_of(reversed(CONTRACTS))
        body = csv_of(rows)
        seen: list[pl.DataFrame] = []
        with Sorter(Order.of(QUOTE_UNIT), SortMemory(limit)) as sorter:
            result = validate(parse(iter([body]), QUOTE_UNIT), QUOTE_UNIT, LISTED, sorter).rows(seen.append)
            first = next(result)
            assert pl.concat(seen).equals(frame_of(rows))
            assert sum(frame.height for frame in (first, *result)) == len(rows)

    def test_rows_are_in_stored_order_with_our_columns_around_the_vendors(self) -> None:
        """Trade date first, flags last; strike, right, timestamp ascending."""
        frame, _ = checked(rows_of(reversed(CONTRACTS)))
        assert frame.columns == ["trade_date", *QUOTE.names, "flags"]
        assert frame["trade_date"].unique().to_list() == [TRADE_DATE]
        contracts = [
            Contract(*row) for row in frame.select("expiration", "strike", "right").unique(maintain_order=True).rows()
        ]
        assert contracts == list(CONTRACTS)
        assert all(part["timestamp"].is_sorted() for _, part in frame.group_by("strike", "right"))

    @settings(max_examples=20)
    @given(st.permutations(range(30)), st.sampled_from([0, 10**9]))
    def test_whatever_the_order_of_the_reply(self, order: list[int], limit: int) -> None:
        """And whether or not it fits in memory: every row is there, with the vendor's values."""
        rows = rows_of(CONTRACTS, range(571, 581))
        frame, _ = checked([rows[n] for n in order], limit=limit)
        assert frame.equals(checked(rows)[0])
        assert frame["bid_size"].to_list() == [int(row["bid_size"]) for row in rows]

    def test_flags_of_both_scopes_are_joined(self) -> None:
        """A crossed row that comes twice."""
        row = a_row(bid="70.00")
        frame, _ = checked([row, row, a_row(minute=572)])
        assert frame["flags"].to_list() == [Flag.CROSSED, Flag.CROSSED | Flag.REPEATED, 0]

    def test_rows_outside_the_session_are_kept_and_flagged(self) -> None:
        """The reader chooses."""
        frame, _ = checked(rows_of([CALL], [569, 570, 975, 976]))
        assert frame["flags"].to_list() == [Flag.OUT_OF_SESSION, 0, 0, Flag.OUT_OF_SESSION]

    def test_contracts_that_are_not_listed_are_kept_and_flagged(self) -> None:
        """Nothing is dropped."""
        frame, _ = checked(rows_of([CALL, PUT], [571]), listed=frozenset({CALL}))
        assert frame["flags"].to_list() == [0, Flag.UNLISTED]

    def test_the_dataset_without_sizes_is_checked_too(self) -> None:
        """Greeks."""
        frame, _ = checked(rows_of(CONTRACTS, SESSION, GREEKS), a_unit())
        assert frame.columns == ["trade_date", *GREEKS.names, "flags"]
        assert frame["flags"].unique().to_list() == [0]


class TestRefusals:
    """What fails the attempt."""

    def test_one_key_with_two_values(self) -> None:
        """However far apart they came."""
        rows = [*rows_of(CONTRACTS, REQUIRED), a_row(minute=600, ask="99.90")]
        with pytest.raises(BrokenRule, match="two_values"):
            checked(rows)
        with pytest.raises(BrokenRule, match="two_values"):
            checked(rows, limit=0)

    @pytest.mark.parametrize("listed", [LISTED, None])
    def test_a_header_without_rows(self, listed: frozenset[Contract] | None) -> None:
        """An account that may not have the list would else store nothing as something."""
        with pytest.raises(BrokenRule, match="no_rows"):
            checked([], listed=listed)

    def test_rows_of_a_contract_that_does_not_trade_that_day(self) -> None:
        """An AM-settled chain on its last day, a day after the expiration, a holiday."""
        for unit in (
            a_unit(root="SPX", dataset="quote", expiration=TRADE_DATE),
            a_unit(dataset="quote", trade_date=QUOTE_UNIT.trade_date.replace(day=22)),
            a_unit(dataset="quote", trade_date=QUOTE_UNIT.trade_date.replace(day=15)),
        ):
            with pytest.raises(MalformedReply, match="has no session"):
                checked(rows_of([CALL]), unit)

    def test_the_raw_batch_is_evidence_of_a_broken_row(self) -> None:
        """With its header, as received."""
        rows = [a_row(), a_row(minute=572, symbol="SPY")]
        with pytest.raises(BrokenRule, match="another_root") as caught:
            checked(rows)
        assert caught.value.evidence
        assert caught.value.evidence.header + caught.value.evidence.batch == csv_of(rows)

    def test_no_row_comes_out_before_the_last_one_went_in(self) -> None:
        """A reply that ends early has given nothing away."""

        def chunks() -> Iterable[bytes]:
            yield csv_of(rows_of())
            raise CutOff("cut off")

        with Sorter(Order.of(a_unit()), SortMemory()) as sorter:
            rows = iter(validate(parse(iter(chunks()), QUOTE_UNIT), QUOTE_UNIT, LISTED, sorter))
            with pytest.raises(CutOff):
                next(rows)


class TestHoles:
    """What is missing, by the list and the session."""

    def test_a_whole_reply_has_none(self) -> None:
        """Every listed contract, every required minute."""
        assert checked(rows_of())[1].holes == ()

    def test_they_are_found_against_the_list(self) -> None:
        """A contract without rows."""
        (hole,) = checked(rows_of([CALL, PUT]))[1].holes
        assert (hole.kind, hole.contract, hole.first) == (HoleKind.GAP, HIGH_CALL, None)

    @pytest.mark.parametrize(("ask", "kind"), [("0.10", HoleKind.NOTE), ("0.15", HoleKind.GAP)])
    def test_the_last_ask_decides_on_a_tail(self, ask: str, kind: HoleKind) -> None:
        """It is read from the rows."""
        rows = [*rows_of([CALL, PUT]), *rows_of([HIGH_CALL], range(571, 900), bid="0.05", ask=ask)]
        (hole,) = checked(rows)[1].holes
        assert (hole.kind, hole.contract, hole.first, hole.last) == (kind, HIGH_CALL, 900, 975)

    def test_without_a_list_contracts_that_never_came_are_not_missed(self) -> None:
        """But their minutes are still judged."""
        assert checked(rows_of([CALL, PUT]), listed=None)[1].holes == ()
        short = rows_of([CALL]) + rows_of([PUT], range(700, 976))
        assert [hole.kind for hole in checked(short, listed=None)[1].holes] == [HoleKind.GAP]

    def test_they_are_not_known_before_the_last_row(self) -> None:
        """Asking too early is a mistake in the program."""
        with Sorter(Order.of(a_unit()), SortMemory()) as sorter:
            result = validate(parse(iter([csv_of(rows_of())]), QUOTE_UNIT), QUOTE_UNIT, LISTED, sorter)
            with pytest.raises(RuntimeError, match="only after the last row"):
                _ = result.holes
