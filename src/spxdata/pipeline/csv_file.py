"""A unit's rows as a CSV file, to and fro: what is read back is what was written, value for value.

A header line, then rows; lines end in a line feed. Times are New York's wall clock; numbers the shortest decimal that
reads back to the same float64, without exponent; an absent value is an empty cell.
"""

from collections.abc import Iterator, Mapping
from typing import BinaryIO, Final

import polars as pl

from spxdata.errors import ChecksumMismatch, MalformedReply
from spxdata.pipeline.hashing import HashingFile
from spxdata.pipeline.parse import FORMS, blocks
from spxdata.schema import FLAGS, TRADE_DATE, Dataset, Form, Kind, WireColumn, wire

_PIECE: Final = 1024 * 1024


class CsvFile:
    """Rows on their way into a CSV file.

    Args:
        file: Takes the bytes.
        dataset: Whose rows they are.
    """

    compression = "none"
    inexact: tuple[str, ...] = ()

    def __init__(self, file: HashingFile, dataset: Dataset) -> None:
        self._file = file
        self._times = dataset.of(Kind.TIME)
        file.write(csv_header(dataset))

    def see(self, frame: pl.DataFrame) -> None:
        """Do nothing: every row can be written."""

    def write(self, frame: pl.DataFrame) -> None:
        """Append rows."""
        told = frame.with_columns(_wall_clock(frame[name]) for name in self._times)
        self._file.write(told.write_csv(include_header=False, float_scientific=False).encode())

    def finish(self, document: Mapping[str, object]) -> None:
        """Do nothing: a CSV file has no place for a document."""

    def abandon(self) -> None:
        """Do nothing: there is nothing to let go of."""


def csv_frames(file: BinaryIO, path: str, dataset: Dataset) -> Iterator[pl.DataFrame]:
    """Yield a CSV file's rows, some at a time, in canonical types.

    Args:
        file: The file.
        path: What it is called in messages.
        dataset: Whose rows they are.

    Raises:
        ChecksumMismatch: It cannot be read, or is no file of this dataset.
    """
    if file.readline() != csv_header(dataset):
        raise ChecksumMismatch(f"{path} does not begin with the columns of {dataset.name}.")
    columns = _columns(dataset)
    lacking = dataset.v2.lacks if dataset.v2 else ()
    try:
        for block in blocks(iter(lambda: file.read(_PIECE), b"")):
            raw = pl.read_csv(
                block,
                has_header=False,
                schema={column.name: FORMS[column.form][0] for column in columns},
                extra_columns="raise",
            )
            yield _whole(raw.select(FORMS[column.form][1](column) for column in columns), block, lacking)
    except (
        pl.exceptions.PolarsError,
        MalformedReply,
        ValueError,
        OSError,
    ) as error:  # polars unpacks what looks packed
        raise ChecksumMismatch(f"{path} cannot be read: {error}") from error


def _whole(frame: pl.DataFrame, block: bytes, lacking: tuple[str, ...]) -> pl.DataFrame:
    """Return a block's rows.

    Raises:
        ValueError: A line has become no row, or a cell is empty where none may be.
    """
    lines, empty = block.count(b"\n"), frame.drop(lacking).null_count().sum_horizontal().item()
    if empty or frame.height != lines:
        raise ValueError(f"{lines:,} lines are {frame.height:,} rows with {empty:,} empty cells")
    return frame


def _columns(dataset: Dataset) -> tuple[WireColumn, ...]:
    """Return the columns of a dataset's files: cells are written as v3 writes them."""
    return (
        WireColumn(TRADE_DATE.name, Form.ISO_DAY, TRADE_DATE.name),
        *wire(dataset, "v3").columns,
        WireColumn(FLAGS.name, Form.INTEGER, FLAGS.name),
    )


def csv_header(dataset: Dataset) -> bytes:
    """Return the first line of a dataset's files."""
    return (",".join(column.name for column in _columns(dataset)) + "\n").encode()


def _wall_clock(times: pl.Series) -> pl.Series:
    """Return times as New York's clock shows them, each different one formatted once; microseconds where needed."""
    different = times.unique()
    fine = different.dt.microsecond() % 1000 != 0
    written = different.to_frame("at").select(
        pl.when(fine)
        .then(pl.col("at").dt.to_string("%Y-%m-%dT%H:%M:%S%.6f"))
        .otherwise(pl.col("at").dt.to_string("%Y-%m-%dT%H:%M:%S%.3f"))
    )
    return times.replace_strict(different, written.to_series(), return_dtype=pl.String)
