"""Turns rows into what v2 sends: CSV with CRLF and four decimals, or the JSON envelope."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from enum import Enum
from io import BytesIO

import polars as pl

from spxdata.emulator.datasets import Form
from spxdata.emulator.rows import Block, Column, Contract

LINE_END = "\r\n"
CONTRACT = ("root", "expiration", "strike", "right")


class Shape(Enum):
    """How the JSON envelope holds rows; CSV knows no difference."""

    FLAT = "single values, or one array a row"
    BULK = "ticks under their contract"


def day_int(day: date) -> int:
    """Write a date as 20240116."""
    return day.year * 10_000 + day.month * 100 + day.day


def prices(values: Column) -> pl.Series:
    """Make numbers print with four decimals; they must already be rounded to it."""
    return pl.Series(values).cast(pl.Decimal(18, 4))


def times(time: Column, *, pretty: bool) -> pl.Series:
    """Write milliseconds of the day, or `09:30:00.000`."""
    clock = pl.Series(time).cast(pl.Int64)
    return (clock * 1_000_000).cast(pl.Time).dt.to_string("%H:%M:%S%.3f") if pretty else clock


def printed(form: Form, values: Column, *, pretty: bool) -> pl.Series:
    """Write a column in v2's form: all prices and greeks have four decimals."""
    if form is Form.TIME:
        return times(values, pretty=pretty)
    return pl.Series(values) if form is Form.COUNT else prices(values)


def dates(day: date, length: int, *, pretty: bool) -> pl.Series:
    """Write one date for every row."""
    return pl.Series([day.isoformat() if pretty else day_int(day)]).new_from_index(0, length)


def contracts(root: str, expiration: date, rows: Block) -> dict[str, pl.Series]:
    """Write the four columns that name the contract of every row."""
    which = pl.Series(rows.which).cast(pl.UInt32)
    return {
        "root": pl.Series([root]).new_from_index(0, len(rows)),
        "expiration": pl.Series([day_int(expiration)]).new_from_index(0, len(rows)),
        "strike": pl.Series([contract.strike for contract in rows.contracts]).gather(which),
        "right": pl.Series([contract.right for contract in rows.contracts]).gather(which),
    }


def contract_list(found: Sequence[tuple[str, date, Contract]]) -> pl.DataFrame:
    """Write a list of contracts."""
    rows = [(root, day_int(expiration), contract.strike, contract.right) for root, expiration, contract in found]
    return pl.DataFrame(rows, schema=CONTRACT, orient="row")


def csv_page(frame: pl.DataFrame, *, headed: bool) -> bytes:
    """Write rows as CSV."""
    text = BytesIO()
    frame.write_csv(text, include_header=headed, quote_style="never", line_terminator=LINE_END)
    return text.getvalue()


def json_page(frame: pl.DataFrame, shape: Shape, *, next_page: str, latency_ms: int) -> bytes:
    """Write rows in the JSON envelope; numbers as short as they can be."""
    frame = frame.with_columns(pl.selectors.decimal().cast(pl.Float64))
    ticks = frame.columns[len(CONTRACT) :] if shape is Shape.BULK else frame.columns
    envelope: Mapping[str, object] = {
        "header": {"latency_ms": latency_ms, "next_page": next_page, "format": ticks},
        "response": _grouped(frame) if shape is Shape.BULK else _flat(frame),
    }
    return json.dumps(envelope, separators=(",", ":")).encode()


def _flat(frame: pl.DataFrame) -> list[object]:
    if frame.width == 1:
        return frame.to_series().to_list()
    return [list(row) for row in frame.iter_rows()]


def _grouped(frame: pl.DataFrame) -> list[object]:
    return [
        {
            "ticks": [list(row) for row in group.drop(CONTRACT).iter_rows()],
            "contract": dict(zip(CONTRACT, group.select(CONTRACT).row(0), strict=True)),
        }
        for group in frame.partition_by(CONTRACT, maintain_order=True)
    ]
