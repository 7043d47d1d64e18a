import hashlib
import math
import struct
from datetime import date, datetime
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.pipeline.content import ContentHash
from spxdata.pipeline.parse import parse
from spxdata.schema import Column, Dataset, Kind
from spxdata.sessions import NEW_YORK
from tests.builders import a_unit

from .builders import CALL, GREEKS, PUT, QUOTE, QUOTE_UNIT, Row, a_row, csv_of, frame_of, rows_of

ROWS = rows_of((CALL, PUT), range(571, 575))
FRAME = frame_of(ROWS)


def digest(*frames: pl.DataFrame, dataset: Dataset = QUOTE) -> str:
    """Return the content hash of rows in pieces."""
    content = ContentHash(dataset)
    for frame in frames:
        content.update(frame)
    return content.hexdigest()


def with_bids(*bids: float) -> pl.DataFrame:
    """Return rows whose bids are these very floats."""
    return FRAME.head(len(bids)).with_columns(pl.Series("bid", bids, pl.Float64))


class TestSame:
    """What makes no difference."""

    @given(st.lists(st.integers(0, FRAME.height), max_size=5))
    def test_the_pieces_rows_come_in(self, borders: list[int]) -> None:
        """Row groups, batches, empty ones too."""
        places = [0, *sorted(borders), FRAME.height]
        pieces = [FRAME.slice(start, stop - start) for start, stop in pairwise(places)]
        assert digest(*pieces) == digest(FRAME)

    @pytest.mark.parametrize("bid", ["64.9", "64.90", "64.900000", "6.49e1", "+64.9"])
    def test_how_a_number_was_written(self, bid: str) -> None:
        """The value counts."""
        assert digest(frame_of([a_row(bid=bid)])) == digest(frame_of([a_row(bid="64.90")]))

    def test_how_texts_times_and_lines_were_written(self) -> None:
        """Quotes, fractions, line ends, the order of columns."""
        rows: list[Row] = [{**row, "symbol": '"SPXW"', "timestamp": row["timestamp"] + ".000"} for row in ROWS]
        body = csv_of(rows, sorted(QUOTE.names), end="\r\n")
        assert digest(*(batch.frame for batch in parse(iter([body]), QUOTE_UNIT))) == digest(FRAME)

    def test_minus_zero_is_zero(self) -> None:
        """They are equal; some writers make one of the other."""
        assert math.copysign(1, with_bids(-0.0)["bid"].item()) == -1
        assert digest(with_bids(-0.0, 1.0)) == digest(with_bids(0.0, 1.0))

    @given(st.integers(1, 2**52 - 1), st.booleans())
    def test_every_not_a_number_is_the_same(self, payload: int, negative: bool) -> None:
        """Whatever its bits."""
        bits = negative << 63 | 0x7FF << 52 | payload
        (odd,) = struct.unpack("<d", struct.pack("<Q", bits))
        assert digest(with_bids(odd)) == digest(with_bids(math.nan))

    def test_our_own_columns(self) -> None:
        """A new rule must not look like a revision by the vendor."""
        ours = FRAME.with_columns(pl.lit(3, pl.Int32).alias("flags"), pl.lit("x").alias("trade_date"))
        assert digest(ours) == digest(FRAME)

    def test_the_order_of_columns_in_the_frame(self) -> None:
        """They are taken by name."""
        assert digest(FRAME.select(sorted(QUOTE.names))) == digest(FRAME)

    def test_how_a_moment_is_held(self) -> None:
        """In whatever zone it is shown, and whether a right is a text or a category."""
        other = FRAME.with_columns(pl.col("timestamp").dt.convert_time_zone("UTC"), pl.col("right").cast(pl.String))
        assert digest(other) == digest(FRAME)


def by_hand(dataset: Dataset, rows: list[Row]) -> str:
    """Follow the written definition row by row, in plain Python."""
    lines = []
    for column in dataset.columns:
        values = hashlib.sha256()
        for text in (row[column.name] for row in rows):
            match column.kind:
                case Kind.NUMBER:
                    number = math.nan if math.isnan(float(text)) else float(text) + 0.0
                    values.update(struct.pack("<d", number))
                case Kind.INTEGER:
                    values.update(struct.pack("<q", int(text)))
                case Kind.TEXT:
                    values.update(f"{text}\n".encode())
                case Kind.DATE:
                    values.update(struct.pack("<i", (date.fromisoformat(text) - date(1970, 1, 1)).days))
                case Kind.TIME:
                    moment = datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)
                    values.update(struct.pack("<q", int(moment.timestamp() * 1_000_000)))
        lines.append(f"{column.name} {column.kind} {values.hexdigest()}\n")
    return f"1:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"


class TestDifferent:
    """What makes a difference."""

    @given(st.integers(0, FRAME.height - 1), st.sampled_from(QUOTE.columns), st.booleans())
    def test_any_single_value(self, row: int, column: Column, up: bool) -> None:
        """In any row and column, by the smallest step there is."""
        name = column.name
        values = FRAME[name].cast(pl.String).to_list() if name == "right" else FRAME[name].to_list()
        match column.kind:
            case Kind.NUMBER:
                values[row] = math.nextafter(values[row], math.inf if up else -math.inf)
            case Kind.INTEGER:
                values[row] += 1 if up else -1
            case Kind.TEXT:
                values[row] = values[row] + "X"
            case Kind.DATE:
                values[row] = values[row].replace(day=values[row].day + 1)
            case Kind.TIME:
                values[row] = values[row].replace(microsecond=1)
        dtype = pl.String if name == "right" else FRAME.schema[name]
        assert digest(FRAME.with_columns(pl.Series(name, values, dtype))) != digest(FRAME)

    def test_a_row_more_or_less(self) -> None:
        """At either end."""
        assert len({digest(FRAME), digest(FRAME.head(-1)), digest(FRAME.tail(-1)), digest(FRAME.head(0))}) == 4

    def test_the_order_of_rows(self) -> None:
        """They are taken as stored."""
        assert digest(FRAME.reverse()) != digest(FRAME)

    def test_texts_do_not_run_together(self) -> None:
        """A letter that moves from one row to the next."""
        ours, theirs = (FRAME.head(2).with_columns(pl.Series("symbol", s)) for s in (["SPX", "WSPX"], ["SPXW", "SPX"]))
        assert digest(ours) != digest(theirs)

    def test_values_do_not_move_between_columns(self) -> None:
        """Bid and ask changed for each other."""
        swapped = FRAME.with_columns(pl.col("bid").alias("ask"), pl.col("ask").alias("bid"))
        assert digest(swapped) != digest(FRAME)


class TestPinned:
    """The definition does not drift: files out there carry these digests."""

    @pytest.mark.parametrize(
        ("dataset", "rows", "expected"),
        [
            (QUOTE, [], "1:1c0dc63fb9b7d1246574ae2890b5f15ddadb734e436a1559dbca05563594d225"),
            (
                QUOTE,
                [a_row(), a_row(QUOTE, PUT, 572, bid="0.00", bid_size=0, ask="0.05")],
                "1:ac4acb46b879c34b469a93b07e0dd874627d88e0f53b515c19d57bffd76fe4f6",
            ),
            (
                GREEKS,
                [a_row(GREEKS), a_row(GREEKS, PUT, 572, delta="-0.0000", epsilon="nan")],
                "1:917d62a5c27619ae7a690f2891620c4ef05c9fc655b8b75399fa3a5b04ffe34b",
            ),
        ],
        ids=["nothing", "quote", "greeks"],
    )
    def test_digests(self, dataset: Dataset, rows: list[Row], expected: str) -> None:
        """They are what the written definition gives, done by hand."""
        frames = [frame_of(rows, a_unit(dataset=dataset.name))] if rows else []
        assert digest(*frames, dataset=dataset) == by_hand(dataset, rows) == expected
