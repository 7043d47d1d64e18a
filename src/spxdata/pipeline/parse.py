"""Bytes to batches: the reply's CSV, read by column name and compared with the pinned columns."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, NoReturn

import polars as pl

from spxdata.errors import Evidence, MalformedReply, SchemaDrift
from spxdata.model import Right, Unit
from spxdata.schema import DATASETS, V2_DATE, Dataset, Form, Kind, Wire, WireColumn, wire

#: Bytes of a batch: large enough that per-batch costs vanish, small enough for several at once in memory.
BATCH_BYTES: Final = 16 * 1024 * 1024
#: An honest line has some 200 bytes; without a limit an endless one would fill the memory.
LINE_LIMIT: Final = 1024 * 1024
#: New York's wall clock; canonical type of all timestamps.
TIME = pl.Datetime("us", "America/New_York")
#: The physical order of the categories is the sort order.
RIGHT = pl.Enum([right.value for right in Right])
#: Canonical types by what a column holds; the column `right` is of the type above.
TYPES: Final[Mapping[Kind, pl.DataType]] = {
    Kind.TEXT: pl.String(),
    Kind.DATE: pl.Date(),
    Kind.TIME: TIME,
    Kind.INTEGER: pl.Int32(),
    Kind.NUMBER: pl.Float64(),
}
#: What the vendor writes: 0 to 9 digits of a second's fraction, no offset.
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S%.f"
#: How a time must end: polars reads a 60th second as the next minute, and leaves out what is finer than a microsecond.
_TIME_END: Final = r":[0-5][0-9](\.[0-9]{1,6}0*)?$"
#: How files begin that polars unpacks by itself: gzip, zlib, zstd.
_PACKED: Final = (b"\x1f\x8b", b"x\x01", b"x\x5e", b"x\x9c", b"x\xda", b"\x28\xb5\x2f\xfd")
#: Characters of a day, without hyphens and with them.
_DAY_DIGITS: Final = 8
_ISO_DIGITS: Final = 10
#: A day as it may be written, too.
_ANY_DAY: Final = r"^\s*[0-9]{4}-?[0-9]{2}-?[0-9]{2}\s*$"
#: What cannot be read as a day.
_NO_DAY: Final = pl.lit("no day")
_DAY_MS: Final = 24 * 60 * 60 * 1000
#: Days since 1970 of all that a market can speak of; what a lost digit or a sign leads to lies elsewhere.
_MARKET_DAYS: Final = range((date(1900, 1, 1) - date(1970, 1, 1)).days, (date(2200, 1, 1) - date(1970, 1, 1)).days)
#: By type, how many of a moment's physical units are a day.
_PER_DAY: Final[Mapping[pl.DataType, int]] = {pl.Date(): 1, TIME: _DAY_MS * 1000}
#: Longest part of an error message that repeats the reply's own text.
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Batch:
    """Some consecutive rows of a reply in canonical columns and types, with the bytes they came from."""

    frame: pl.DataFrame
    evidence: Evidence


def _iso_day(column: WireColumn) -> pl.Expr:
    cells = pl.col(column.name)
    is_whole = cells.str.len_bytes() == _ISO_DIGITS  # 2024-01-1 would be read, too, and is a cut 2024-01-19
    return pl.when(is_whole).then(cells).otherwise(_NO_DAY).str.to_date("%Y-%m-%d")


def _any_day(column: WireColumn) -> pl.Expr:
    cells = pl.col(column.name)
    digits = pl.when(cells.str.contains(_ANY_DAY)).then(cells.str.replace_all(r"[\s-]", "")).otherwise(_NO_DAY)
    return digits.str.to_date("%Y%m%d")  # which would read too few digits as another day


def _iso_time(column: WireColumn) -> pl.Expr:
    wall = pl.col(column.name).str.to_datetime(_TIME_FORMAT, time_unit="us")
    return wall.dt.replace_time_zone("America/New_York")


def _compact_day(column: WireColumn) -> pl.Expr:
    return pl.col(column.name).str.to_date("%Y%m%d")


def _ms_of_day(column: WireColumn) -> pl.Expr:
    wall = _compact_day(V2_DATE).cast(pl.Datetime("us")) + pl.duration(milliseconds=pl.col(column.name))
    return wall.dt.replace_time_zone("America/New_York")


def _letter(column: WireColumn) -> pl.Expr:
    return pl.col(column.name).replace_strict({"C": "CALL", "P": "PUT"}, return_dtype=RIGHT)


def _dollars(column: WireColumn) -> pl.Expr:
    # polars multiplies by the reciprocal of a constant, which is off in the last bit for some strikes; numpy divides
    return pl.col(column.name).map_batches(lambda cells: pl.Series(cells.to_numpy() / 1000), pl.Float64)


def _word(column: WireColumn) -> pl.Expr:
    return pl.col(column.name).cast(RIGHT)


def _as_read(column: WireColumn) -> pl.Expr:
    return pl.col(column.name)


#: By form: the type a cell is read as, and how it becomes canonical. Times are text first: their fraction varies.
FORMS: dict[Form, tuple[pl.DataType | type[pl.DataType], Callable[[WireColumn], pl.Expr]]] = {
    Form.TEXT: (pl.String, _as_read),
    Form.ISO_DAY: (pl.String, _iso_day),
    Form.COMPACT_DAY: (pl.String, _compact_day),
    Form.ISO_TIME: (pl.String, _iso_time),
    Form.MS_OF_DAY: (pl.Int64, _ms_of_day),
    Form.INTEGER: (pl.Int32, _as_read),
    Form.NUMBER: (pl.Float64, _as_read),
    Form.TENTH_CENTS: (pl.Int64, _dollars),
    Form.RIGHT_WORD: (pl.String, _word),  # polars takes '"PUT"h' for PUT where it reads categories itself
    Form.RIGHT_LETTER: (pl.String, _letter),
}

#: What else v3 has sent: days without hyphens, or with a space before them. Slower, so only where the usual way fails.
_ELSE: dict[Form, Callable[[WireColumn], pl.Expr]] = {Form.ISO_DAY: _any_day}


def parse(chunks: Iterator[bytes], unit: Unit, dialect: str = "v3") -> Iterator[Batch]:
    """Yield a reply's rows in batches.

    Args:
        chunks: The body of a reply, as it arrives.
        unit: What was asked for.
        dialect: Whose columns and units they are.

    Raises:
        SchemaDrift: The columns are not the pinned ones; another order is fine.
        MalformedReply: No bytes, a cut or unreadable row, an endless line.
        TransientError: The reply ended early.
    """
    dataset = DATASETS[unit.dataset]
    sent = wire(dataset, dialect)
    lines = blocks(chunks)
    first = next(lines, b"")
    header, _, rest = first.partition(b"\n")
    columns = _columns(header, sent)
    evidence = Evidence(header=header + b"\n", batch=rest, first_row=0)
    for block in _after(rest, lines):
        evidence = replace(evidence, batch=block)
        frame = _read(block, columns, dataset, sent, evidence)
        yield Batch(frame, evidence)
        evidence = replace(evidence, first_row=evidence.first_row + frame.height)


def blocks(chunks: Iterator[bytes], size: int = BATCH_BYTES) -> Iterator[bytes]:
    """Regroup chunks into blocks of whole lines of about `size` bytes.

    Raises:
        MalformedReply: The last line has no end, or a line has none within reason.
    """
    pending = bytearray()
    for chunk in chunks:
        pending += chunk
        if len(pending) < size:
            continue
        end = pending.rfind(b"\n") + 1
        if len(pending) - end > max(LINE_LIMIT, size):
            raise MalformedReply(f"A line has no end after {len(pending) - end:,} bytes.", evidence=_raw(pending[end:]))
        if end:
            yield bytes(pending[:end])
            del pending[:end]
    if not pending:
        return
    if not pending.endswith(b"\n"):
        cut = bytes(pending[pending.rfind(b"\n") + 1 :])
        raise MalformedReply(f"The last row is cut: it ends {cut[-40:]!r} without a line end.", evidence=_raw(pending))
    yield bytes(pending)


def _raw(data: bytes | bytearray) -> Evidence:
    """Return evidence of a reply whose lines cannot be told apart; an endless line is kept in part."""
    return Evidence(header=b"", batch=bytes(data[-BATCH_BYTES:]), first_row=0)


def _after(rest: bytes, lines: Iterator[bytes]) -> Iterator[bytes]:
    if rest:
        yield rest
    yield from lines


def _columns(header: bytes, sent: Wire) -> tuple[WireColumn, ...]:
    """Return the dialect's columns in the reply's order."""
    if not header.strip():
        raise MalformedReply("The reply is empty: not even a header line.", evidence=_raw(header))
    text = header.decode("utf-8", "replace").strip().lstrip("\ufeff")
    found = tuple(name.strip().strip('"') for name in text.split(","))
    if sorted(found) != sorted(sent.names):
        raise SchemaDrift(sent.names, found, evidence=_raw(header))
    by_name = {column.name: column for column in sent.columns}
    return tuple(by_name[name] for name in found)


def _read(
    block: bytes, columns: tuple[WireColumn, ...], dataset: Dataset, sent: Wire, evidence: Evidence
) -> pl.DataFrame:
    """Return a block's rows in canonical order and types; every line must have become one row without a gap."""
    if block.startswith(_PACKED):  # polars would unpack it
        raise MalformedReply("A row begins like a packed file.", evidence=evidence)
    try:
        raw = pl.read_csv(
            block,
            has_header=False,
            schema={column.name: FORMS[column.form][0] for column in columns},
            extra_columns="raise",
        )
    except pl.exceptions.PolarsError as error:
        raise MalformedReply(f"A row cannot be read: {_words(error)}", evidence=evidence) from error
    lines = block.count(b"\n")
    if raw.height != lines:
        raise MalformedReply(f"{lines:,} lines became {raw.height:,} rows.", evidence=evidence)
    _refuse_gaps(raw, evidence)
    _refuse_other_moments(raw, columns, evidence)
    try:
        frame = _canonical(raw, dataset, sent, {})
    except pl.exceptions.PolarsError:
        try:
            frame = _canonical(raw, dataset, sent, _ELSE)
        except pl.exceptions.PolarsError as error:
            raise MalformedReply(f"A value cannot be read: {_words(error)}", evidence=evidence) from error
    _refuse_far_days(frame, evidence)
    return frame


def _canonical(
    raw: pl.DataFrame, dataset: Dataset, sent: Wire, instead: Mapping[Form, Callable[[WireColumn], pl.Expr]]
) -> pl.DataFrame:
    """Return rows in canonical order and types; a column that the dialect does not send is null."""
    found = {
        c.canonical: instead.get(c.form, FORMS[c.form][1])(c).alias(c.canonical) for c in sent.columns if c.canonical
    }
    return raw.select(found.get(c.name, pl.lit(None, TYPES[c.kind]).alias(c.name)) for c in dataset.columns)


def _refuse_gaps(frame: pl.DataFrame, evidence: Evidence) -> None:
    """Refuse empty cells, quoted or not: a row with too few shows as them, and the vendor leaves none empty."""
    empty = [
        cells.name
        for cells in frame.iter_columns()
        if cells.null_count() or (cells.dtype == pl.String and cells.str.len_bytes().min() == 0)
    ]
    if not empty:
        return
    within = frame.select(pl.any_horizontal(pl.col(empty).cast(pl.String).fill_null("") == "").arg_max()).item()
    line = evidence.batch.split(b"\n", within + 1)[within]
    raise MalformedReply(
        f"Row {evidence.first_row + within + 1:,} lacks {', '.join(empty)}: {line[:_SHOWN]!r}", evidence=evidence
    )


def _refuse_other_moments(frame: pl.DataFrame, columns: tuple[WireColumn, ...], evidence: Evidence) -> None:
    """Refuse what would be read as another day or time than was written.

    2024119 would be a day in November; milliseconds may lead out of what a date can be; 10:00:60 would be 10:01, and
    a fraction of nine digits would lose three.
    """
    for column in columns:
        cells = frame[column.name]
        if column.form is Form.COMPACT_DAY:
            wrong, what = cells.str.len_bytes() != _DAY_DIGITS, "other than eight digits"
        elif column.form is Form.MS_OF_DAY:
            wrong, what = ~cells.is_between(0, _DAY_MS, closed="left"), "milliseconds that are none of a day"
        elif column.form is Form.ISO_TIME:
            wrong, what = (
                ~cells.str.contains(_TIME_END),
                "no second of a minute, or a fraction finer than a microsecond",
            )
        else:
            continue
        if wrong.any():
            _refuse_row(column.name, what, wrong, evidence)


def _refuse_far_days(frame: pl.DataFrame, evidence: Evidence) -> None:
    """Refuse days and times that are none of a market's; Python could not even hold some that polars reads."""
    for cells in frame.iter_columns():
        per_day = _PER_DAY.get(cells.dtype)
        if per_day is None:
            continue
        first, end = (day * per_day for day in (_MARKET_DAYS.start, _MARKET_DAYS.stop))
        known = cells.to_physical().is_between(first, end, closed="left")
        if not known.all():
            _refuse_row(cells.name, "a day of another age", ~known, evidence)


def _refuse_row(name: str, what: str, wrong: pl.Series, evidence: Evidence) -> NoReturn:
    row = evidence.first_row + (wrong.arg_max() or 0) + 1
    raise MalformedReply(f"Row {row:,}: {name} has {what}.", evidence=evidence)


def _words(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:_SHOWN]
