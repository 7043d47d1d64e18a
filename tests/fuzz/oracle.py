"""What a reply holds, read a second time: line by line, cell by cell, with nothing but plain Python.

It shares with the product the names and forms of the columns (`spxdata.schema`), and no way of reading them.
"""

import codecs
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import zip_longest
from typing import Any, Final

from spxdata.schema import Dataset, Form, wire

#: A value that can be compared, sorted and shown.
Value = Any
Row = tuple[Value, ...]

# Spaces, and whatever else is white, may stand around what is read, and in place of a leading zero.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_INTEGER = re.compile(r"[+-]?[0-9]+")
_DAY = re.compile(r"\+?([0-9]{4})[-\s]*([0-9]{1,2})[-\s]*([0-9]{1,2})")
_COMPACT = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
_TIME = re.compile(
    r"\+?([0-9]{1,4})\s*-\s*([0-9]{1,2})\s*-\s*([0-9]{1,2})\s*T"
    r"\s*([0-9]{1,2})\s*:\s*([0-9]{1,2})\s*:\s*([0-9]{1,2})(?:\.([0-9]+))?"
)
_NONE = re.compile(r"[\s:]*no (?:data|listed)(?!\w)", re.IGNORECASE)
#: Bytes within which that is said.
_OPENING: Final = 64
_RIGHTS: Final = {"C": "CALL", "P": "PUT"}


class Unreadable(Exception):  # noqa: N818 - says what the reply is
    """The reply is no whole table of the columns that are documented."""


def rows_of(
    pages: Sequence[bytes], dataset: Dataset, dialect: str, given: Sequence[Mapping[str, str]] = ()
) -> list[Row]:
    """Return the rows that pages hold, in the dataset's columns, as they came.

    Args:
        pages: Bodies, one after the other.
        dataset: What was asked for.
        dialect: Whose columns they are.
        given: By page, names and cells that stand before its own ones.

    Raises:
        Unreadable: A page is not whole, or a line is no row.
    """
    sent = wire(dataset, dialect)
    header: bytes | None = None
    found: list[Row] = []
    for page, before in zip_longest(pages, given):
        *lines, rest = page.removeprefix(codecs.BOM_UTF8).split(b"\n")
        if rest or not lines:
            raise Unreadable("it ends within a line")
        if before:
            titles, names_it = (",".join((*part, "")).encode() for part in (before.keys(), before.values()))
            headed = not lines[0][:1].isdigit()
            lines = [(names_it if number or not headed else titles) + line for number, line in enumerate(lines)]
        if header is None:
            header = lines.pop(0)
            names = _names(header)
            if sorted(names) != sorted(sent.names):
                raise Unreadable("its columns are others")
        elif lines and lines[0] == header:
            lines.pop(0)
        forms = {column.name: column.form for column in sent.columns}
        canonical = {column.canonical: column.name for column in sent.columns if column.canonical}
        for line in lines:
            cells = dict(zip(names, cells_of(line.removesuffix(b"\r"), len(names)), strict=True))
            if "" in cells.values():
                raise Unreadable("a cell is empty")
            read = {name: _READ[forms[name]](text, cells) for name, text in cells.items()}
            found.append(tuple(read[canonical[name]] if name in canonical else None for name in dataset.names))
    return found


def says_none(page: bytes) -> bool:
    """Tell whether a page says in words that there are no rows."""
    return bool(_NONE.match(page[:_OPENING].decode("utf-8", "replace")))


def stored_order(rows: list[Row], dataset: Dataset, interval: str) -> list[Row]:
    """Return rows as they are to be stored: sorted, and those that nothing tells apart as they came."""
    places = [dataset.names.index(name) for name in dataset.order_at(interval)]
    return sorted(rows, key=lambda row: [row[place] for place in places])


def comparable(value: Value) -> Value:
    """Return a value as something that equals itself, and nothing that only looks like it."""
    return value.hex() if isinstance(value, float) else value


def _names(header: bytes) -> list[str]:
    text = header.decode("utf-8", "replace").strip()
    return [name.strip().strip('"') for name in text.split(",")]


def cells_of(line: bytes, width: int) -> Iterator[str]:
    """Yield the cells of a line, of which there must be so many."""
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise Unreadable("it is no text") from error
    cells = _split(text)
    if len(cells) != width:
        raise Unreadable(f"a line has {len(cells)} cells under {width} columns")
    yield from cells


def _split(text: str) -> list[str]:
    """Return a line's cells: each is bare, or stands in quotes as a whole."""
    cells: list[str] = []
    rest: str | None = text
    while rest is not None:
        if rest.startswith('"'):
            if rest.startswith('""'):  # the quotes of quotes say nothing else
                rest = rest[1:].replace('""', '"', 1)
            end = rest.find('"', 1)
            if rest[end + 1 : end + 3] == "\r,":  # nothing stands there
                rest = rest[: end + 1] + rest[end + 2 :]
            if end < 0 or rest[end + 1 : end + 2] not in ("", ","):
                raise Unreadable("a quote is not closed where the cell ends")
            cell, rest = rest[1:end], rest[end + 1 :]
        else:
            cell, comma, after = rest.partition(",")
            rest = comma + after
        cells.append(cell)
        rest = rest[1:] if rest else None
    return cells


def number(text: str, _: Mapping[str, str]) -> float:
    """Read a number, or one that is not finite."""
    text = text.strip()
    if not (_NUMBER.fullmatch(text) or _NOT_FINITE.fullmatch(text)):
        raise Unreadable(f"{text!r} is no number")
    return float(text)


def _integer(bits: int) -> Callable[[str, Mapping[str, str]], int]:
    def read(text: str, _: Mapping[str, str]) -> int:
        text = text.strip()
        if not _INTEGER.fullmatch(text) or len(text) > 1000 or not -(2 ** (bits - 1)) <= int(text) < 2 ** (bits - 1):
            raise Unreadable(f"{text!r} is no whole number of {bits} bits")
        return int(text)

    return read


def day(text: str, _: Mapping[str, str]) -> date:
    """Read a day."""
    text = text.strip()
    match = _DAY.fullmatch(text) or _COMPACT.fullmatch(text.replace("-", ""))
    if not match:
        raise Unreadable(f"{text!r} is no day")
    try:
        return date(*map(int, match.groups()))
    except ValueError as error:
        raise Unreadable(f"{text!r} is no day") from error


def _time(text: str, _: Mapping[str, str]) -> datetime:
    match = _TIME.fullmatch(text.strip())
    if not match:
        raise Unreadable(f"{text!r} is no time")
    *numbers, fraction = match.groups()
    try:
        year, month, of_month, hour, minute, second = map(int, numbers)
        microsecond = int((fraction or "0").ljust(6, "0")[:6])
        leap = timedelta(seconds=int(second == 60))
        return datetime(year, month, of_month, hour, minute, second - leap.seconds, microsecond) + leap  # noqa: DTZ001 - wall clock
    except ValueError as error:
        raise Unreadable(f"{text!r} is no time") from error


def _milliseconds(text: str, cells: Mapping[str, str]) -> datetime:
    when = day(cells["date"], cells)
    try:
        return datetime(when.year, when.month, when.day) + timedelta(milliseconds=_integer(64)(text, cells))  # noqa: DTZ001 - wall clock
    except OverflowError as error:
        raise Unreadable(f"{text} ms are no time of a day") from error


def _text(text: str, _: Mapping[str, str]) -> str:
    return text.removeprefix("\ufeff").removesuffix("\r")


def letter(text: str, _: Mapping[str, str]) -> str:
    """Read a right as v2 writes it."""
    text = text.removesuffix("\r")
    if text not in _RIGHTS:
        raise Unreadable(f"{text!r} is no right")
    return _RIGHTS[text]


def word(text: str, _: Mapping[str, str]) -> str:
    """Read a right as v3 writes it."""
    text = text.removesuffix("\r")
    if text not in _RIGHTS.values():
        raise Unreadable(f"{text!r} is no right")
    return text


_READ: Final[Mapping[Form, Callable[[str, Mapping[str, str]], Value]]] = {
    Form.TEXT: _text,
    Form.ISO_DAY: day,
    Form.COMPACT_DAY: day,
    Form.ISO_TIME: _time,
    Form.MS_OF_DAY: _milliseconds,
    Form.INTEGER: _integer(32),
    Form.NUMBER: number,
    Form.TENTH_CENTS: lambda text, cells: float(_integer(64)(text, cells)) / 1000,
    Form.RIGHT_WORD: word,
    Form.RIGHT_LETTER: letter,
}
