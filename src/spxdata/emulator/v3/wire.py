"""Turns rows into the CSV of the v3 wire: quoted strings, fixed decimals, milliseconds, CRLF."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from io import BytesIO

import numpy as np
import polars as pl

from spxdata.emulator.datasets import Form
from spxdata.emulator.rows import MS_A_MINUTE, Block, Column, Contract

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


def fixed(values: Column, decimals: int) -> pl.Series:
    """Make numbers print with a fixed number of decimals; they must already be rounded to it."""
    # Decimals print three times as fast as floats of a fixed precision.
    return pl.Series(values).cast(pl.Decimal(18, decimals))


def timestamps(day: date, time: Column) -> pl.Series:
    """Write the New York wall-clock time of every row; times are milliseconds since midnight."""
    minute = time // MS_A_MINUTE
    if not np.array_equal(minute * MS_A_MINUTE, time):
        clock = pl.Series(time).cast(pl.Int64) * 1_000_000
        return f"{day.isoformat()}T" + clock.cast(pl.Time).dt.to_string("%H:%M:%S%.3f")
    lowest = int(minute.min()) if len(minute) else 0
    highest = int(minute.max()) if len(minute) else 0
    texts = [f"{day.isoformat()}T{m // 60:02d}:{m % 60:02d}:00.000" for m in range(lowest, highest + 1)]
    return pl.Series(texts, dtype=pl.String).gather(pl.Series(minute - lowest).cast(pl.UInt32))


def _bare(values: Column) -> pl.Series:
    return fixed(values, 2).cast(pl.String).replace("0.00", "0.0")


#: How each form is printed, of a day.
_PRINTED: Mapping[Form, Callable[[Column, date], pl.Series]] = {
    Form.COUNT: lambda values, _day: pl.Series(values),
    Form.CENTS: lambda values, _day: fixed(values, 2),
    Form.BARE: lambda values, _day: _bare(values),
    Form.FINE: lambda values, _day: fixed(values, 4),
    Form.TIME: lambda values, day: timestamps(day, values),
    Form.DAY: lambda values, _day: pl.Series([date.fromordinal(day).isoformat() for day in values.tolist()]),
}


def table(rows: Block, forms: Mapping[str, Form], *, root: str, day: date, expiration: date, style: Style) -> bytes:
    """Write history rows: the contract if they belong to one, then the dataset's own columns."""
    names = [",".join(contract_fields(root, expiration, contract, style)) for contract in rows.contracts]
    contract = {"contract": pl.Series(names).gather(pl.Series(rows.which).cast(pl.UInt32))} if names else {}
    frame = pl.DataFrame(
        {**contract, **{name: _PRINTED[form](rows.columns[name], day) for name, form in forms.items()}}
    )
    text = BytesIO()
    frame.write_csv(text, include_header=False, quote_style="never", line_terminator=style.line_end)
    return text.getvalue()
