"""Turns rows into the CSV of the v3 wire: quoted strings, fixed decimals, milliseconds, CRLF."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from io import BytesIO

import numpy as np
import numpy.typing as npt
import polars as pl

from spxdata.emulator.rows import Contract, Rows

RIGHTS = {"C": "CALL", "P": "PUT"}


@dataclass(frozen=True, slots=True)
class Style:
    r"""What differs between Terminal builds.

    Attributes:
        line_end: `\r\n` or `\n`.
        quoted: Whether strings stand in double quotes.
    """

    line_end: str = "\r\n"
    quoted: bool = True

    def text(self, value: str) -> str:
        """Write a string field."""
        return f'"{value}"' if self.quoted else value


def header(columns: Iterable[str], style: Style) -> bytes:
    """Write the header line, which is never quoted."""
    return (",".join(columns) + style.line_end).encode()


def lines(rows: Iterable[tuple[str, ...]], style: Style) -> bytes:
    """Write the lines of a list; every field is already as it is to be printed."""
    return "".join(",".join(row) + style.line_end for row in rows).encode()


def strike_text(thousandths: int) -> str:
    """Write a strike in dollars with three decimals."""
    return f"{thousandths // 1000}.{thousandths % 1000:03d}"


def contract_fields(root: str, expiration: date, contract: Contract, style: Style) -> tuple[str, str, str, str]:
    """Write the four fields that name a contract."""
    return (
        style.text(root),
        style.text(expiration.isoformat()),
        strike_text(contract.strike),
        style.text(RIGHTS[contract.right]),
    )


def fixed(values: npt.NDArray[np.float64], decimals: int) -> pl.Series:
    """Make numbers print with a fixed number of decimals; they must already be rounded to it."""
    # Decimals print three times as fast as floats of a fixed precision.
    return pl.Series(values).cast(pl.Decimal(18, decimals))


def timestamps(day: date, minute: npt.NDArray[np.int32]) -> pl.Series:
    """Write the New York wall-clock time of every row."""
    lowest = int(minute.min()) if len(minute) else 0
    highest = int(minute.max()) if len(minute) else 0
    texts = [f"{day.isoformat()}T{m // 60:02d}:{m % 60:02d}:00.000" for m in range(lowest, highest + 1)]
    return pl.Series(texts, dtype=pl.String).gather(pl.Series(minute - lowest).cast(pl.UInt32))


def table(
    rows: Rows, columns: Mapping[str, pl.Series], *, root: str, day: date, expiration: date, style: Style
) -> bytes:
    """Write history rows: contract, timestamp, then the dataset's own columns."""
    if len(rows) == 0:
        return b""
    names = [",".join(contract_fields(root, expiration, contract, style)) for contract in rows.contracts]
    frame = pl.DataFrame(
        {
            "contract": pl.Series(names).gather(pl.Series(rows.which).cast(pl.UInt32)),
            "timestamp": timestamps(day, rows.minute),
            **columns,
        }
    )
    text = BytesIO()
    frame.write_csv(text, include_header=False, quote_style="never", line_terminator=style.line_end)
    return text.getvalue()
