import io
import json
import math
from collections.abc import Sequence
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spxdata.pipeline.content import ContentHash
from spxdata.pipeline.parquet_file import METADATA_KEY, arrow_schema
from spxdata.schema import DATASETS, Dataset, Kind

from .tables import DECIMAL, EVERY_ENCODING, FLOAT, a_table, file_of, lacking, reread, same, unit_of

GREEKS, BARS = DATASETS["greeks"], DATASETS["ohlc"]

every_dataset = pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)


def metadata_of(data: bytes) -> Any:
    """Return the footer of a file."""
    return pq.ParquetFile(io.BytesIO(data)).metadata


def encodings(data: bytes) -> dict[str, set[str]]:
    """Return how each column is encoded, levels left out."""
    group = metadata_of(data).row_group(0)
    columns = (group.column(number) for number in range(group.num_columns))
    return {column.path_in_schema: {*column.encodings} - {"RLE"} for column in columns}


class TestSchema:
    """Columns that any tool can read."""

    kinds: dict[Kind, pa.DataType] = {  # noqa: RUF012 - never changed
        Kind.TEXT: pa.string(),
        Kind.DATE: pa.date32(),
        Kind.TIME: pa.timestamp("us", tz="America/New_York"),
        Kind.INTEGER: pa.int32(),
        Kind.NUMBER: pa.float64(),
    }

    @every_dataset
    def test_types_are_the_documented_ones(self, dataset: Dataset) -> None:
        """Every number that is not a count or a code is float64."""
        schema = arrow_schema(dataset)
        assert schema.names == ["trade_date", *dataset.names, "flags"]
        assert [field.type for field in schema] == [
            pa.date32(),
            *(self.kinds[column.kind] for column in dataset.columns),
            pa.int32(),
        ]

    @every_dataset
    def test_numbers_are_decimals_where_that_is_said(self, dataset: Dataset) -> None:
        """Of fifteen digits, with the column's scale; no other column ever is."""
        plain, decimal = arrow_schema(dataset), arrow_schema(dataset, dataset.of(Kind.NUMBER))
        for column in dataset.columns:
            expected = pa.decimal128(15, column.scale) if column.kind is Kind.NUMBER else plain.field(column.name).type
            assert decimal.field(column.name).type == expected

    @every_dataset
    def test_columns_carry_their_units_and_are_null_only_where_a_dialect_lacks_them(self, dataset: Dataset) -> None:
        """In their own metadata."""
        for field in arrow_schema(dataset):
            assert field.metadata[b"unit"]
            assert field.nullable == (field.name in lacking(dataset))


class TestRows:
    """What is read back is what was written."""

    @pytest.mark.parametrize("encoding", [FLOAT, DECIMAL], ids=["float64", "decimal"])
    @every_dataset
    def test_every_dataset_reads_back_equal(self, dataset: Dataset, encoding: Any) -> None:
        """In several row groups, with and without the columns that v2 lacks."""
        for changes in ({}, lacking(dataset)):
            table = a_table(dataset, **changes)
            found = reread(unit_of(dataset), [table.head(17), table.slice(17)], encoding)
            assert found.schema == table.schema
            assert found.equals(table)

    @given(
        st.lists(
            st.tuples(
                st.floats(),
                st.one_of(st.floats(), st.integers(-(10**9), 10**9).map(lambda units: units / 1e5)),
                st.integers(-(10**6), 10**6).map(lambda cents: cents / 100),
            ),
            min_size=1,
            max_size=40,
        ),
        st.integers(1, 39),
    )
    @example([(math.nan, math.inf, -0.0), (-0.0, 0.1 + 0.2, 5e9)], 1)
    def test_any_numbers_read_back_equal_as_decimals_or_as_float64(
        self, rows: list[tuple[float, float, float]], border: int
    ) -> None:
        """A column that is float64 in the file has a number that is no decimal of its scale, and the event names it."""
        wild, mixed, cents = zip(*rows, strict=True)
        table = a_table(GREEKS, len(rows), delta=wild, vega=mixed, bid=cents)
        tables = [part for part in (table.head(border), table.slice(border)) if part.height]
        data, inexact = file_of(unit_of(GREEKS), tables, DECIMAL)
        found = reread(unit_of(GREEKS), tables, DECIMAL)
        schema = pq.read_schema(io.BytesIO(data))
        for name in ("delta", "vega", "bid"):
            if name in inexact:
                assert schema.field(name).type == pa.float64()
                assert same(found[name], table[name])
            else:
                assert pa.types.is_decimal(schema.field(name).type)
                assert found[name].equals(table[name])
        assert "bid" not in inexact
        assert found.drop("delta", "vega", "bid").equals(table.drop("delta", "vega", "bid"))

    @pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
    def test_a_single_number_decides_over_the_whole_file(self, first: bool) -> None:
        """All rows are seen before any is written."""
        fine, odd = a_table(GREEKS), a_table(GREEKS, 1, theta=[0.1234567])
        tables = [odd, fine] if first else [fine, odd]
        data, inexact = file_of(unit_of(GREEKS), tables, DECIMAL)
        schema = pq.read_schema(io.BytesIO(data))
        assert inexact == ("theta",)
        assert schema.field("theta").type == pa.float64()
        assert schema.field("vega").type == pa.decimal128(15, 5)

    @every_dataset
    def test_the_content_hash_is_the_same_in_every_format(self, dataset: Dataset) -> None:
        """It is taken over values."""
        table = a_table(dataset, **lacking(dataset))
        hashes = set()
        for encoding in EVERY_ENCODING.values():
            content = ContentHash(dataset)
            content.update(reread(unit_of(dataset), [table], encoding))
            hashes.add(content.hexdigest())
        assert len(hashes) == 1


class TestOtherTools:
    """Files are for any tool."""

    @pytest.mark.parametrize("encoding", [FLOAT, DECIMAL], ids=["float64", "decimal"])
    def test_polars_reads_what_pyarrow_reads(self, encoding: Any) -> None:
        """By itself, in every encoding that is used."""
        table = a_table(GREEKS, vega=[0.00001 * row for row in range(30)])
        data, _ = file_of(unit_of(GREEKS), [table], encoding)
        arrow = pl.from_arrow(pq.ParquetFile(io.BytesIO(data)).read())
        assert isinstance(arrow, pl.DataFrame)
        found = pl.read_parquet(io.BytesIO(data))
        assert found.equals(arrow)
        assert found.with_columns(pl.col(pl.Decimal).cast(pl.Float64)).drop("right").equals(table.drop("right"))

    def test_decimals_are_stored_as_integers(self) -> None:
        """Of eight bytes: what makes them small."""
        data, _ = file_of(unit_of(GREEKS), [a_table(GREEKS)], DECIMAL)
        schema = metadata_of(data).schema
        found = {schema.column(n).name: schema.column(n).physical_type for n in range(len(schema))}
        numbers = GREEKS.of(Kind.NUMBER)
        assert {found[name] for name in numbers} == {"INT64"}

    def test_columns_are_encoded_as_measured(self) -> None:
        """Times as differences, integers and decimals split by byte, what repeats as a dictionary."""
        floats, decimals = (encodings(file_of(unit_of(GREEKS), [a_table(GREEKS)], e)[0]) for e in (FLOAT, DECIMAL))
        for found in (floats, decimals):
            assert found["timestamp"] == {"DELTA_BINARY_PACKED"}
            assert found["flags"] == {"BYTE_STREAM_SPLIT"}
            assert "RLE_DICTIONARY" in found["right"]
        assert decimals["vega"] == decimals["bid"] == {"BYTE_STREAM_SPLIT"}
        assert "RLE_DICTIONARY" in decimals["iv_error"]
        assert "BYTE_STREAM_SPLIT" not in floats["vega"]

    def test_the_order_of_rows_is_in_the_metadata(self) -> None:
        """So that engines need not sort again; pages have an index."""
        metadata = metadata_of(file_of(unit_of(GREEKS), [a_table(GREEKS)], FLOAT)[0])
        names = ["trade_date", *GREEKS.names, "flags"]
        sorting = metadata.row_group(0).sorting_columns
        assert [names[column.column_index] for column in sorting] == ["strike", "right", "timestamp"]
        assert not any(column.descending for column in sorting)
        assert metadata.row_group(0).column(3).has_offset_index


@pytest.mark.parametrize(
    ("theta", "expected"), [([0.5] * 30, GREEKS.of(Kind.NUMBER)), ([1e-9] * 30, None)], ids=["all", "all but one"]
)
def test_the_footer_says_which_columns_are_decimals(theta: Sequence[float], expected: Sequence[str] | None) -> None:
    """Beside what it is given."""
    data, _ = file_of(unit_of(GREEKS), [a_table(GREEKS, theta=theta)], DECIMAL)
    document = json.loads(metadata_of(data).metadata[METADATA_KEY])
    numbers = expected or [name for name in GREEKS.of(Kind.NUMBER) if name != "theta"]
    assert document["decimals"] == list(numbers)
    assert document["compression"] == "zstd"


def test_a_unit_of_float64_looks_at_no_number() -> None:
    """Nothing is inexact there."""
    data, inexact = file_of(unit_of(BARS), [a_table(BARS, open=[0.123456789] * 30)], FLOAT)
    assert inexact == ()
    assert json.loads(metadata_of(data).metadata[METADATA_KEY])["decimals"] == []
