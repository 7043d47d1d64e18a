"""Bytes to batches: the reply's CSV, read by column name and compared with the pinned columns."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, NoReturn

import numpy as np
import polars as pl

from spxdata.errors import Evidence, MalformedReply, SchemaDrift
from spxdata.model import Right, Unit
from spxdata.schema import DATASETS, V2_DATE, Dataset, Form, Kind, Wire, WireColumn, wire

#: Bytes of a batch: large enough that per-batch costs vanish, small enough for several at once in memory.
BATCH_BYTES: Final = 4 * 1024 * 1024
#: An honest line has some 200 bytes; without a limit an endless one would fill the memory.
LINE_LIMIT: Final = 1024 * 1024
#: New York's wall clock; canonical type of all timestamps.
TIME = pl.Datetime("us", "America/New_York")
#: The physical order of the categories is the sort order.
RIGHT = pl.Enum([right.value for right in Right])
#: What v2 writes for a right, and what it means.
_LETTERS = pl.Enum(["C", "P"])
_RIGHTS = pl.Series(["CALL", "PUT"], dtype=RIGHT)
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
_LINE_END: Final = ord("\n")
#: Bytes that stay in the processor's cache while line ends are counted.
_COUNTED_AT_ONCE: Final = 256 * 1024
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
    return pl.lit(_RIGHTS).gather(pl.col(column.name).cast(_LETTERS).to_physical())


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

#: Forms whose cells repeat from contract to contract and take long to read: days and times.
_REPEATING: Final = frozenset({Form.ISO_DAY, Form.COMPACT_DAY, Form.ISO_TIME, Form.MS_OF_DAY})

#: By form, which cells would be read as another day or time than was written, and what is said of them.
_OTHER_MOMENTS: Final[Mapping[Form, tuple[Callable[[pl.Series], pl.Series], str]]] = {
    Form.COMPACT_DAY: (lambda cells: cells.str.len_bytes() != _DAY_DIGITS, "other than eight digits"),
    Form.MS_OF_DAY: (
        lambda cells: ~cells.is_between(0, _DAY_MS, closed="left"),
        "milliseconds that are none of a day",
    ),
    Form.ISO_TIME: (
        lambda cells: ~cells.str.contains(_TIME_END),
        "no second of a minute, or a fraction finer than a microsecond",
    ),
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
    header, rows = _header(chunks)
    columns = _columns(header, sent)
    evidence = Evidence(header=header + b"\n", batch=b"", first_row=0)
    for block in blocks(rows, header=evidence.header):
        evidence = replace(evidence, batch=block)
        frame = _read(block, columns, dataset, sent, evidence)
        yield Batch(frame, evidence)
        evidence = replace(evidence, first_row=evidence.first_row + frame.height)


def blocks(chunks: Iterator[bytes], size: int = BATCH_BYTES, header: bytes = b"") -> Iterator[bytes]:
    """Regroup chunks into blocks of whole lines of about `size` bytes.

    Args:
        chunks: Lines as they arrive.
        size: Bytes of a block.
        header: The line before them, for evidence.

    Raises:
        MalformedReply: The last line has no end, or a line has none within reason.
    """
    pending: list[bytes] = []
    held = unended = 0  # bytes that wait, and those of them after the last line end
    for chunk in chunks:
        pending.append(chunk)
        held += len(chunk)
        end = chunk.rfind(b"\n") + 1
        unended = len(chunk) - end if end else unended + len(chunk)
        if unended > max(LINE_LIMIT, size):
            cut = b"".join(pending)[held - unended :]
            raise MalformedReply(f"A line has no end after {unended:,} bytes.", evidence=_raw(cut, header))
        if held >= size and end:  # joined once, when it is whole: a copy of all bytes is time, too
            pending[-1] = chunk[:end]
            yield b"".join(pending)
            pending, held = [chunk[end:]], unended
    last = b"".join(pending)
    if last and not last.endswith(b"\n"):
        cut = last[last.rfind(b"\n") + 1 :]
        raise MalformedReply(
            f"The last row is cut: it ends {cut[-40:]!r} without a line end.", evidence=_raw(last, header)
        )
    if last:
        yield last


def _raw(data: bytes, header: bytes = b"") -> Evidence:
    """Return evidence of a reply whose lines cannot be told apart; an endless line is kept in part."""
    return Evidence(header=header, batch=data[-BATCH_BYTES:], first_row=0)


def _header(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the first line without its end, and the chunks after it."""
    opening = bytearray()
    for chunk in chunks:
        opening += chunk
        if b"\n" in chunk or len(opening) > LINE_LIMIT:
            break
    if opening and b"\n" not in opening:
        header = next(blocks(itertools.chain((bytes(opening),), chunks)))  # which says what is wrong with it
        raise MalformedReply("The first line has no end within reason.", evidence=_raw(header))
    header, _, rest = bytes(opening).partition(b"\n")
    return header, itertools.chain((rest,) if rest else (), chunks)


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
        ).rechunk()  # which costs less than what comes saves by it
    except pl.exceptions.PolarsError as error:
        raise MalformedReply(f"A row cannot be read: {_words(error)}", evidence=evidence) from error
    lines = _lines(block)
    if raw.height != lines:
        raise MalformedReply(f"{lines:,} lines became {raw.height:,} rows.", evidence=evidence)
    _refuse_gaps(raw, evidence)
    different = {c.name: _different(raw[c.name]) for c in columns if c.form in _REPEATING}
    _refuse_other_moments(raw, different, columns, evidence)
    try:
        frame = _canonical(raw, different, dataset, sent, {})
    except pl.exceptions.PolarsError:
        try:
            frame = _canonical(raw, different, dataset, sent, _ELSE)
        except pl.exceptions.PolarsError as error:
            raise MalformedReply(f"A value cannot be read: {_words(error)}", evidence=evidence) from error
    _refuse_far_days(frame, evidence)
    return frame


def _lines(block: bytes) -> int:
    """Return how many lines a block has; `bytes.count` takes four times as long where ends are so near each other."""
    signs = np.frombuffer(block, np.uint8)
    pieces = (signs[start : start + _COUNTED_AT_ONCE] for start in range(0, len(signs), _COUNTED_AT_ONCE))
    return sum(int(np.count_nonzero(piece == _LINE_END)) for piece in pieces)


def _canonical(
    raw: pl.DataFrame,
    different: Mapping[str, pl.Series],
    dataset: Dataset,
    sent: Wire,
    instead: Mapping[Form, Callable[[WireColumn], pl.Expr]],
) -> pl.DataFrame:
    """Return rows in canonical order and types; a column that the dialect does not send is null."""
    found = {
        c.canonical: _converted(raw, different, c, instead.get(c.form, FORMS[c.form][1])(c)).alias(c.canonical)
        for c in sent.columns
        if c.canonical
    }
    for column in dataset.columns:
        if column.name not in found:
            found[column.name] = pl.Series(column.name, [None], TYPES[column.kind]).new_from_index(0, raw.height)
    return pl.DataFrame([found[name] for name in dataset.names])


def _converted(
    raw: pl.DataFrame, different: Mapping[str, pl.Series], column: WireColumn, canonical: pl.Expr
) -> pl.Series:
    """Return a column in canonical type; where cells repeat, each different one is read once.

    Args:
        raw: What was read.
        different: The different cells of columns that repeat.
        column: Which one.
        canonical: How its cells become canonical, maybe together with those of other columns.
    """
    beside = [name for name in canonical.meta.root_names() if name != column.name]
    cells, mine = raw[column.name], different.get(column.name, raw[column.name])
    if len(mine) * 2 > len(cells) or any(len(different[name]) != 1 for name in beside):
        return raw.select(canonical).to_series()
    same = (different[name].new_from_index(0, len(mine)) for name in beside)
    read = pl.DataFrame([mine, *same]).select(canonical).to_series()
    if len(read) == 1:
        return read.new_from_index(0, len(cells))
    return read.gather(_places(cells, mine))


def _different(cells: pl.Series) -> pl.Series:
    """Return the different cells of a column, numbers in order, for `_places` looks for them by halves."""
    found = cells.unique()
    return found if cells.dtype == pl.String else found.sort()


def _places(cells: pl.Series, different: pl.Series) -> pl.Series:
    """Return where each cell stands among the different ones; `replace_strict` takes twice as long."""
    if cells.dtype == pl.String:
        return cells.cast(pl.Enum(different)).to_physical()
    return pl.Series(np.searchsorted(different.to_numpy(), cells.to_numpy()))


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


def _refuse_other_moments(
    raw: pl.DataFrame, different: Mapping[str, pl.Series], columns: tuple[WireColumn, ...], evidence: Evidence
) -> None:
    """Refuse what would be read as another day or time than was written.

    2024119 would be a day in November; milliseconds may lead out of what a date can be; 10:00:60 would be 10:01, and
    a fraction of nine digits would lose three.
    """
    for column in columns:
        known = _OTHER_MOMENTS.get(column.form)
        if known is None:
            continue
        is_other, what = known
        if is_other(different[column.name]).any():
            _refuse_row(column.name, what, is_other(raw[column.name]), evidence)


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
