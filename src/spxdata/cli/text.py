"""Figures and marks as people read them."""

import os
import re
from collections.abc import Sequence
from typing import Final
from unicodedata import east_asian_width

import click

#: The mark of a day on which the exchange is closed.
CLOSED: Final = "–"  # noqa: RUF001 - a dash is meant

#: The mark of a line, and its colour on a terminal.
COLOURS: Final[dict[str, str]] = {
    "✓": "green",
    "!": "yellow",
    "✗": "red",
    "→": "blue",
    "∅": "bright_black",
    CLOSED: "bright_black",
    "⏳": "bright_black",
    "⚡": "yellow",
}
_MARK: Final = re.compile(f"(?<!\\S)[{''.join(COLOURS)}](?!\\S)")


def size(count: int) -> str:
    """Return a number of bytes as 12.3 MB.

    Example:
        >>> size(12_345_678), size(999)
        ('12.3 MB', '999 B')
    """
    if count < 1000:
        return f"{count} B"
    value, units = float(count), iter(("B", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while value >= 999.95 and unit != "TB":  # what would round to 1000.0
        value, unit = value / 1000, next(units)
    return f"{value:.1f} {unit}"


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a number and its noun: "1 day", "1,363,808 records"."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """Return seconds as "2.4 s", "3 min 12 s" or "1 h 02 min"."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def coloured(line: str) -> str:
    """Colour a line's mark, unless NO_COLOR is set; `click.echo` takes the colour out where no terminal listens."""
    if os.environ.get("NO_COLOR"):
        return line
    return _MARK.sub(lambda mark: click.style(mark[0], fg=COLOURS[mark[0]]), line, count=1)


def printable(text: str) -> str:
    """Return text from elsewhere so that it does nothing to a terminal: signs that are not printable as codes."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def echo(line: str = "", *, err: bool = False) -> None:
    """Write a line to stdout, or to stderr."""
    click.echo(coloured(line), err=err)


def table(rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), indent: str = "") -> list[str]:
    """Return rows as lines with aligned columns.

    Args:
        rows: Cells, all rows of one length.
        right: The columns that are flush right.
        indent: What every line begins with.
    """
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        gaps = [" " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
        cells = [gap + cell if i in right else cell + gap for i, (cell, gap) in enumerate(zip(row, gaps, strict=True))]
        lines.append(indent + "  ".join(cells).rstrip())
    return lines


def _width(cell: str) -> int:
    """Return how many places a cell takes on a terminal, where ⏳ takes two."""
    return sum(1 + (east_asian_width(sign) == "W") for sign in cell)
