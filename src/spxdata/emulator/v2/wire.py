"""Turns rows into what v2 sends: CSV with CRLF and four decimals, or the JSON envelope."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from enum import Enum
from io import BytesIO

import numpy as np
import numpy.typing as npt
import polars as pl

from spxdata.emulator.rows import Contract, Rows

LINE_END = "\r\n"
CONTRACT = ("root", "expiration", "strike", "right")
_MS_A_MINUTE = 60_000


class Shape(Enum):
    """How the JSON envelope holds rows; CSV knows no difference."""

    FLAT = "single values, or one array a row"
    BULK = "ticks under their contract"


def day_int(day: date) -> int:
    """Write a date as 20240116."""
    return day.year * 10_000 + day.month * 100 + day.day


def prices(values: npt.NDArray[np.float64]) -> pl.Series:
    """Make numbers print with four decimals; they must already be rounded to it."""
    return pl.Series(values).cast(pl.Decimal(18, 4))


def times(minute: npt.NDArray[np.int32], *, pretty: bool) -> pl.Series:
    """Write milliseconds of the day, or `09:30:00.000`."""
    if not pretty:
        return pl.Series(minute).cast(pl.Int64) * _MS_A_MINUTE
    return pl.Series([f"{m // 60:02d}:{m % 60:02d}:00.000" for m in minute.tolist()], dtype=pl.String)


def dates(day: date, length: int, *, pretty: bool) -> pl.Series:
    """Write one date for every row."""
    return pl.Series([day.isoformat() if pretty else day_int(day)]).new_from_index(0, length)


def contracts(root: str, expiration: date, rows: Rows) -> dict[str, pl.Series]:
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
