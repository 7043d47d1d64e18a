"""An export as a folder of files, one a day: Parquet, CSV or Arrow, or Parquet in folders named like hive's partitions.

Every file has its name only when it is whole. A manifest beside them remembers what was chosen and what went into each;
it is replaced after each file, so that a kill costs at most the file in the making and the one before it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from spxdata.analysis.export import Choice, Entry, require_choice
from spxdata.errors import ConfigError, StorageError
from spxdata.model import Day
from spxdata.pipeline.hashing import HashingFile
from spxdata.pipeline.parquet_file import arrow_schema
from spxdata.pipeline.write import regrouped
from spxdata.schema import TRADE_DATE, Dataset
from spxdata.storage.local import LocalStorage
from spxdata.storage.lock import alone

#: What remembers the choice and the files.
MANIFEST: Final = "export.json"
#: Version of the manifest; a newer one is refused.
VERSION: Final = 1

_LOCK: Final = ".export.lock"
#: Rows of a row group or record batch.
_ROWS: Final = 128 * 1024
#: Moments in text: New York's clock with its offset.
_MOMENT: Final = "%Y-%m-%dT%H:%M:%S%.6f%:z"


def file_of(day: Day, form: str) -> str:
    """Return where a day's rows lie below the destination.

    Example:
        "greeks_1m/2024-01-16_SPXW.parquet", or of hive
        "dataset=greeks/trade_date=2024-01-16/root=SPXW/interval=1m/rows.parquet"
    """
    if form == "hive":
        parts = f"dataset={day.dataset}/trade_date={day.trade_date}/root={day.root}/interval={day.interval}"
        return f"{parts}/rows.parquet"
    return f"{day.dataset}_{day.interval}/{day.trade_date}_{day.root}.{form}"


@contextmanager
def folder(destination: Path, form: str, choice: Choice, *, force: bool) -> Iterator["Folder"]:
    """Open a folder to export to, alone.

    Args:
        destination: The folder; created if need be.
        form: parquet, csv, arrow or hive.
        choice: What is chosen.
        force: Whether to begin anew, whatever is there.

    Raises:
        ArchiveBusy: Another process exports to it.
        ConfigError: It has files of others, or of another choice.
        StorageError: It cannot be written.
    """
    if destination.exists() and not destination.is_dir():
        raise ConfigError(f"{destination} is no folder.", hint="Name a folder, or say --format duckdb.")
    with alone(destination / _LOCK, destination):
        yield Folder(destination, form, choice, force=force)


class Folder:
    """A folder of files, one a day; see `folder`."""

    def __init__(self, destination: Path, form: str, choice: Choice, *, force: bool) -> None:
        self._destination = destination
        self._storage = LocalStorage(destination)
        self._form = form
        self._choice = choice
        self._entries: dict[Day, Entry] = {}
        if force:
            self._begin_anew()
        elif (found := self._manifest()) is None:
            self._require_empty()
        else:
            require_choice(found[0], choice, destination)
            self._entries = {entry.day: entry for entry in found[1]}
            self._storage.sweep()
        self._storage.sweep(MANIFEST)  # of a process that was killed as it began
        self._save()  # before the first file: what lies here is ours from now on

    def entries(self) -> dict[Day, Entry]:
        """Return what is there whole, by day."""
        return {
            day: one for day, one in self._entries.items() if self._storage.size(file_of(day, self._form)) == one.bytes
        }

    def put(self, entry: Entry, dataset: Dataset, frames: Iterator[pl.DataFrame]) -> int:
        """Write a day's file."""
        rows = 0
        with self._storage.create(file_of(entry.day, self._form)) as pending:
            file = HashingFile(pending)
            write, close = _OPEN[self._form](file, dataset)
            try:
                for frame in regrouped(frames, _ROWS):
                    write(frame)
                    rows += frame.height
            except BaseException:
                with suppress(pa.ArrowException, OSError, StorageError):  # closing writes: it must not hide the cause
                    close()
                raise
            close()
            pending.commit()
        self._entries[entry.day] = replace(entry, rows=rows, bytes=file.bytes)
        self._save()
        return rows

    def drop(self, day: Day) -> None:
        """Remove a day's file."""
        self._storage.remove(file_of(day, self._form))
        self._entries.pop(day)
        self._save()

    def finish(self) -> None:
        """Do nothing: every file has its name."""

    def _manifest(self) -> tuple[Mapping[str, Any], list[Entry]] | None:
        """Return the choice and the files that the manifest tells of; None if there is none.

        Raises:
            ConfigError: It is none of ours, damaged, or newer.
        """
        try:
            with self._storage.open(MANIFEST) as file:
                found = json.loads(file.read())
            if found["version"] <= VERSION:
                return dict(found["choice"]), [_entry(line) for line in found["files"]]
        except FileNotFoundError:
            return None
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise self._strange("is none of ours, or damaged") from error
        raise self._strange("is of a newer spxdata")

    def _strange(self, what: str) -> ConfigError:
        return ConfigError(
            f"{self._destination / MANIFEST} {what}.", hint="Choose another destination, or --force to begin anew."
        )

    def _require_empty(self) -> None:
        """Refuse a folder that has files and no manifest.

        Raises:
            ConfigError: It has.
        """
        others = [name for name in self._storage.names() if name != _LOCK]
        if others:
            raise ConfigError(
                f"{self._destination} has files that are no export's, such as {others[0]}.",
                hint="Choose another destination, or --force to write beside them.",
            )

    def _begin_anew(self) -> None:
        """Remove what an earlier export has left, as far as its manifest can be read."""
        try:
            found = self._manifest()
        except ConfigError:
            return  # nothing tells which files were its own: they are replaced, day by day
        if found is not None:
            self._storage.sweep()
            for entry in found[1]:
                self._storage.remove(file_of(entry.day, str(found[0]["format"])))

    def _save(self) -> None:
        files = [_line(self._entries[day], self._form) for day in sorted(self._entries)]
        text = json.dumps({"version": VERSION, "choice": self._choice, "files": files}, indent=1)
        with self._storage.create(MANIFEST) as pending:
            pending.write(text.encode())
            pending.commit()


def _line(entry: Entry, form: str) -> dict[str, object]:
    day = entry.day
    return {
        "path": file_of(day, form),
        "dataset": day.dataset,
        "interval": day.interval,
        "root": day.root,
        "trade_date": day.trade_date.isoformat(),
        "rows": entry.rows,
        "bytes": entry.bytes,
        "units": entry.units,
        "sources": entry.sources,
    }


def _entry(line: Mapping[str, Any]) -> Entry:
    day = Day(date.fromisoformat(line["trade_date"]), line["root"], line["dataset"], line["interval"])
    return Entry(day, line["units"], line["sources"], line["rows"], line["bytes"])


def table_of(frame: pl.DataFrame, schema: pa.Schema) -> pa.Table:
    """Return rows as an Arrow table of a schema."""
    plain = frame.select(schema.names).to_arrow()
    return pa.Table.from_arrays([plain.column(one.name).cast(one.type) for one in schema], schema=schema)


_Open = Callable[[HashingFile, Dataset], tuple[Callable[[pl.DataFrame], object], Callable[[], object]]]


def _parquet(file: HashingFile, dataset: Dataset) -> tuple[Callable[[pl.DataFrame], object], Callable[[], object]]:
    return _parquet_of(file, arrow_schema(dataset))


def _hive(file: HashingFile, dataset: Dataset) -> tuple[Callable[[pl.DataFrame], object], Callable[[], object]]:
    """Write Parquet without the column that the folder's name tells."""
    return _parquet_of(file, pa.schema([one for one in arrow_schema(dataset) if one.name != TRADE_DATE.name]))


def _parquet_of(file: HashingFile, schema: pa.Schema) -> tuple[Callable[[pl.DataFrame], object], Callable[[], object]]:
    writer = pq.ParquetWriter(pa.PythonFile(file, mode="w"), schema, compression="zstd")
    return lambda frame: writer.write_table(table_of(frame, schema)), writer.close


def _arrow(file: HashingFile, dataset: Dataset) -> tuple[Callable[[pl.DataFrame], object], Callable[[], object]]:
    schema = arrow_schema(dataset)
    writer = pa.ipc.new_file(pa.PythonFile(file, mode="w"), schema)
    return lambda frame: writer.write_table(table_of(frame, schema)), writer.close


def _csv(file: HashingFile, dataset: Dataset) -> tuple[Callable[[pl.DataFrame], object], Callable[[], object]]:
    schema = arrow_schema(dataset)
    moments = [one.name for one in schema if pa.types.is_timestamp(one.type)]
    file.write((",".join(schema.names) + "\n").encode())

    def write(frame: pl.DataFrame) -> None:
        told = frame.select(schema.names).with_columns(pl.col(name).dt.to_string(_MOMENT) for name in moments)
        file.write(told.write_csv(include_header=False, float_scientific=False).encode())

    return write, lambda: None


_OPEN: Final[Mapping[str, _Open]] = {"parquet": _parquet, "csv": _csv, "arrow": _arrow, "hive": _hive}
