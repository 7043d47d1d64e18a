import math
import re
from datetime import timedelta

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spxdata.errors import ChecksumMismatch
from spxdata.layout import path_of
from spxdata.pipeline.read import frames
from spxdata.schema import DATASETS, Dataset

from .tables import CSV, MORNING, OneFile, a_table, file_of, lacking, reread, same, unit_of

QUOTE, GREEKS = DATASETS["quote"], DATASETS["greeks"]
PATH = path_of(unit_of(QUOTE), "csv")

every_dataset = pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)


def text_of(table: pl.DataFrame, dataset: Dataset = QUOTE) -> str:
    """Return the file of some rows."""
    return file_of(unit_of(dataset), [table], CSV)[0].decode()


class TestForm:
    """What such a file looks like."""

    def test_a_file_is_a_header_line_and_a_line_a_row(self) -> None:
        """Trade date first, flags last, line feeds, no quotes; whole numbers without a point."""
        table = a_table(QUOTE, 2, strike=[4700.0, 4750.5], bid=[0.05, 1000000.0], ask=[0.1, 1e-7])
        assert text_of(table) == (
            "trade_date,symbol,expiration,strike,right,timestamp,"
            "bid_size,bid_exchange,bid,bid_condition,ask_size,ask_exchange,ask,ask_condition,flags\n"
            "2024-01-16,SPXW,2024-01-19,4700,CALL,2024-01-16T09:31:00.000,-50,-50,0.05,-50,-50,-50,0.1,-50,0\n"
            "2024-01-16,SPXW,2024-01-19,4750.5,PUT,2024-01-16T09:32:00.000,-9,-9,1000000,-9,-9,-9,0.0000001,-9,1\n"
        )

    def test_times_have_three_digits_and_six_where_they_need_them(self) -> None:
        """Summer and winter as New York's clock shows them."""
        moments = [MORNING + timedelta(microseconds=m) for m in (0, 1_000, 1, 999_999)]
        moments.append(MORNING + timedelta(days=180))
        cells = [line.split(",")[5] for line in text_of(a_table(QUOTE, 5, timestamp=moments)).splitlines()[1:]]
        assert cells == [
            "2024-01-16T09:31:00.000",
            "2024-01-16T09:31:00.001",
            "2024-01-16T09:31:00.000001",
            "2024-01-16T09:31:00.999999",
            "2024-07-14T10:31:00.000",
        ]

    @given(st.lists(st.floats(), min_size=1, max_size=30))
    @example([5e-324, 1.7976931348623157e308, -0.0, 1e22, 123456789.125])
    def test_numbers_are_the_shortest_that_read_back_without_exponent(self, numbers: list[float]) -> None:
        """As any tool reads them."""
        table = a_table(GREEKS, len(numbers), delta=numbers)
        column = table.columns.index("delta")
        cells = [line.split(",")[column] for line in text_of(table, GREEKS).splitlines()[1:]]
        for cell, number in zip(cells, numbers, strict=True):
            assert float(cell) == number or math.isnan(number)
            if math.isfinite(number):
                assert re.fullmatch(r"-?\d+(\.\d+)?", cell)
                digits = cell.lstrip("-").replace(".", "").strip("0")
                assert len(digits) <= len(repr(number).lower().lstrip("-").split("e")[0].replace(".", "").strip("0"))

    def test_what_is_absent_is_an_empty_cell(self) -> None:
        """As in bars of a v2 Terminal."""
        bars = DATASETS["ohlc"]
        lines = text_of(a_table(bars, **lacking(bars)), bars).splitlines()
        at = lines[0].split(",").index("vwap")
        assert {line.split(",")[at] for line in lines[1:]} == {""}


class TestRows:
    """What is read back is what was written."""

    @every_dataset
    def test_every_dataset_reads_back_equal(self, dataset: Dataset) -> None:
        """With and without the columns that v2 lacks; no group shows."""
        for changes in ({}, lacking(dataset)):
            table = a_table(dataset, **changes)
            found = reread(unit_of(dataset), [table.head(17), table.slice(17)], CSV)
            assert found.schema == table.schema
            assert found.equals(table)

    @given(st.lists(st.floats(), min_size=1, max_size=30), st.lists(st.integers(0, 20_000_000_000), min_size=30))
    @example([math.nan, math.inf, -math.inf, -0.0, 5e-324, 1e300], [0] * 30)
    def test_any_numbers_and_times_read_back_to_the_bit(self, numbers: list[float], after: list[int]) -> None:
        """Whatever digits they have."""
        moments = [MORNING + timedelta(microseconds=m) for m in after[: len(numbers)]]
        table = a_table(GREEKS, len(numbers), delta=numbers, timestamp=moments)
        found = reread(unit_of(GREEKS), [table], CSV)
        assert same(found["delta"], table["delta"])
        assert found.drop("delta").equals(table.drop("delta"))


class TestDamage:
    """A file that cannot be what was written."""

    text = text_of(a_table(QUOTE, 3))

    @pytest.mark.parametrize(
        "damaged",
        [
            "",
            text.split("\n", 1)[1],
            text.replace("bid_size", "bidsize", 1),
            text[:-1],
            text.replace(",0.1", "", 1),
            text + "1,2\n",
            text.replace("CALL", "CALX"),
            text.replace("T09:31", "T29:31"),
            text.replace("2024-01-19", ""),
            text + "\n",
        ],
        ids=[
            "no bytes",
            "no header",
            "another header",
            "cut in a row",
            "a cell less",
            "a short line",
            "a wrong word",
            "no such time",
            "an empty cell",
            "an empty line",
        ],
    )
    def test_it_is_a_mismatch_that_names_the_file(self, damaged: str) -> None:
        """And nothing else."""
        if damaged == self.text:
            damaged = self.text.replace(",-50,", ",", 1)
        with pytest.raises(ChecksumMismatch, match=re.escape(PATH)):
            list(frames(OneFile(damaged.encode()), PATH))

    @given(st.binary(max_size=200))
    def test_no_bytes_raise_anything_else(self, garbage: bytes) -> None:
        """A mismatch, never another error."""
        header = self.text.split("\n", 1)[0].encode() + b"\n"
        for data in (garbage + b"\n", header + b"x" + garbage + b"\n"):
            with pytest.raises(ChecksumMismatch):
                list(frames(OneFile(data), PATH))
