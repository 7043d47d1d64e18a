"""What a stored file says of itself, and whether its rows agree: footer, content hash, presence."""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, BinaryIO, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from spxdata.completeness import Grid, Presence, expected, holes, unlisted
from spxdata.errors import ChecksumMismatch
from spxdata.layout import is_revision, original_of, path_of, unit_of
from spxdata.model import Artifact, Contract, Hole, Provenance, Right, Unit
from spxdata.pipeline.content import ContentHash
from spxdata.pipeline.csv_file import csv_frames, csv_header
from spxdata.pipeline.decimals import to_numbers
from spxdata.pipeline.parquet_file import METADATA_KEY, arrow_schema
from spxdata.pipeline.parse import RIGHT
from spxdata.pipeline.presence import PresenceTaker
from spxdata.pipeline.ranges import RangeTaker
from spxdata.pipeline.versions import OLDER, Table, form_of, forms, upgraded
from spxdata.protocols import Storage
from spxdata.schema import DATASETS, Dataset
from spxdata.sessions import session

_PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Footer:
    """What a file's own metadata says; `decimals` are the columns that hold such."""

    unit: Unit
    rows: int
    content_hash: str
    schema_version: int
    compression: str
    created_at: datetime
    provenance: Provenance
    decimals: tuple[str, ...] = ()
    empty: tuple[Contract, ...] = ()


def footer(storage: Storage, path: str) -> Footer:
    """Read a file's footer.

    Raises:
        FileNotFoundError: There is no such file.
        ChecksumMismatch: It is no whole file of ours.
    """
    with storage.open(path) as file:
        return _footer(_parquet(file, path), path)


def confirmed(storage: Storage, artifact: Artifact, older: Table = OLDER) -> bool:
    """Tell whether the disk confirms what the catalog says: size, and the footer's content hash.

    A CSV file has no footer: its size must do, as every file is whole or absent. A file of an older version is as good
    as any.

    Raises:
        NewerVersion: A newer program wrote the file: it is neither missing nor damaged, and must not be replaced.
    """
    if storage.size(artifact.path) != artifact.bytes:
        return False
    try:
        form_of(unit_of(original(artifact.path)).dataset, artifact.schema_version, artifact.path, older)
        return artifact.format == "csv" or footer(storage, artifact.path).content_hash == artifact.content_hash
    except ChecksumMismatch:
        return False


class Adopted(NamedTuple):
    """A committed file, measured.

    Attributes:
        artifact: The file.
        holes: What it lacks.
        empty: Contracts of which the Terminal said, asked for each alone, that they have no rows.
        unlisted: Contracts that prove the contract list short (see `spxdata.completeness.unlisted`).
    """

    artifact: Artifact
    holes: tuple[Hole, ...]
    empty: tuple[Contract, ...]
    unlisted: frozenset[Contract]


def adopt(
    storage: Storage, unit: Unit, listed: frozenset[Contract] | None, path: str | None = None, older: Table = OLDER
) -> Adopted | None:
    """Return the artifact of a whole Parquet file that no catalog knows, None if it cannot be trusted.

    All rows are read: the content hash must be the one in the footer. A CSV file has none, and is not looked for.

    Args:
        storage: Where it lies.
        unit: Whose file it should be.
        listed: The unit's contracts on the day's contract list, None if there is no list.
        path: The file, where that is not the unit's own place.
        older: The versions of columns that are no more written; files of them are as good as any.

    Raises:
        NewerVersion: A newer program wrote the file.
    """
    path = path or path_of(unit)
    hours = session(unit.root, unit.trade_date, unit.expiration)
    try:
        found = footer(storage, path)
        if found.unit != unit or hours is None:
            return None
        form = form_of(unit.dataset, found.schema_version, path, older)
    except (FileNotFoundError, ChecksumMismatch):
        return None
    if not _columns_are(storage, path, arrow_schema(form, found.decimals)):
        return None
    grid = Grid.of(unit, hours)
    content = ContentHash(form)
    presence = PresenceTaker(unit, grid.last_required())
    ranges = RangeTaker(unit)
    try:
        for frame in stored_frames(storage, path, older):
            content.update(frame)
            today = upgraded(frame, form, older)
            presence.update(today)
            ranges.update(today)
    except ChecksumMismatch:
        return None
    if content.hexdigest() != found.content_hash:
        return None
    size, sha256 = checksum(storage, path)
    artifact = Artifact(
        path=path,
        rows=found.rows,
        bytes=size,
        sha256=sha256,
        content_hash=found.content_hash,
        schema_version=found.schema_version,
        format="parquet",
        compression=found.compression,
        created_at=found.created_at,
        provenance=found.provenance,
        strikes=ranges.strikes,
        times=ranges.times,
    )
    lacking = holes(grid, expected(unit, listed), presence.present, found.empty)
    return Adopted(artifact, lacking, found.empty, unlisted(grid, listed, presence.present))


def frames(
    storage: Storage, path: str, columns: Collection[str] | None = None, older: Table = OLDER
) -> Iterator[pl.DataFrame]:
    """Yield a file's rows, some at a time (of Parquet a row group), in canonical types: decimals as float64.

    Rows of an older version come in the columns of today.

    Args:
        storage: Where it lies.
        path: The file.
        columns: The only columns wanted; of CSV all come.
        older: The versions of columns that are no more written.

    Raises:
        FileNotFoundError: There is no such file.
        ChecksumMismatch: It cannot be read.
        NewerVersion: A newer program wrote it.
    """
    with storage.open(path) as file:
        form = _form(file, path, older)
        if form is None or form.version == DATASETS[form.name].version:
            yield from _stored_frames(file, path, form, columns)
            return
        for frame in _stored_frames(file, path, form, None):  # an older column may be needed for a newer one
            today = upgraded(frame, form, older)
            yield today if columns is None else today.select(name for name in today.columns if name in columns)


def stored_frames(storage: Storage, path: str, older: Table = OLDER) -> Iterator[pl.DataFrame]:
    """Yield a file's rows as `frames` does, but in the columns it was written with: those its content hash is over.

    Raises:
        FileNotFoundError: There is no such file.
        ChecksumMismatch: It cannot be read.
        NewerVersion: A newer program wrote it.
    """
    with storage.open(path) as file:
        yield from _stored_frames(file, path, _form(file, path, older), None)


def original(path: str) -> str:
    """Return the path that tells whose file it is: that of an earlier file before it was moved aside."""
    return original_of(path)[0] if is_revision(path) else path


def _form(file: BinaryIO, path: str, older: Table) -> Dataset | None:
    """Return the dataset as it was when a file was written, None if it does not say; the file is at its beginning.

    A CSV file does not name its version: its first line must be that of one.
    """
    if original(path).endswith(".csv"):
        known = forms(unit_of(original(path)).dataset, older)
        header = file.readline()
        file.seek(0)
        return next((form for form in known if csv_header(form) == header), known[0])
    parquet = _parquet(file, path)
    try:
        found = _footer(parquet, path)
    except ChecksumMismatch:  # its rows can be read all the same
        return None
    finally:
        file.seek(0)
    return form_of(found.unit.dataset, found.schema_version, path, older) if found.unit.dataset in DATASETS else None


def _stored_frames(
    file: BinaryIO, path: str, form: Dataset | None, columns: Collection[str] | None
) -> Iterator[pl.DataFrame]:
    if form and original(path).endswith(".csv"):
        return csv_frames(file, path, form)
    return _parquet_frames(file, path, columns)


def _parquet_frames(file: BinaryIO, path: str, columns: Collection[str] | None) -> Iterator[pl.DataFrame]:
    parquet = _parquet(file, path)
    wanted = None if columns is None else [name for name in parquet.schema_arrow.names if name in columns]
    for number in range(parquet.num_row_groups):
        try:
            frame = pl.from_arrow(parquet.read_row_group(number, columns=wanted))
        except (pa.ArrowException, OSError) as error:
            raise ChecksumMismatch(f"{path} cannot be read: {error}") from error
        if isinstance(frame, pl.DataFrame):
            try:
                canonical = frame.with_columns(_canonical(frame))
            except pl.exceptions.PolarsError as error:
                raise ChecksumMismatch(f"{path} has values that were never written: {error}") from error
            yield canonical


def _canonical(frame: pl.DataFrame) -> Iterator[pl.Series]:
    """Yield the columns that are stored in another type than the canonical one."""
    for column in frame.iter_columns():
        if isinstance(column.dtype, pl.Decimal):
            yield to_numbers(column)
        elif column.name == "right":
            yield column.cast(RIGHT)


def checksum(storage: Storage, path: str) -> tuple[int, str]:
    """Return a file's size and the SHA-256 of its bytes."""
    digest = hashlib.sha256()
    size = 0
    with storage.open(path) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    return size, digest.hexdigest()


def _columns_are(storage: Storage, path: str, schema: pa.Schema) -> bool:
    """Tell whether a file has certain columns, metadata included: polars aborts on damaged text in it."""
    with storage.open(path) as file:
        found, expected = list(_parquet(file, path).schema_arrow), list(schema)
    return len(found) == len(expected) and all(
        one.equals(other, check_metadata=True) for one, other in zip(found, expected, strict=True)
    )


def _parquet(file: BinaryIO, path: str) -> Any:  # noqa: ANN401 - pyarrow ships no types
    try:
        return pq.ParquetFile(file, page_checksum_verification=True)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last: of a column's name
        raise ChecksumMismatch(f"{path} is not a whole Parquet file: {error}") from error


def _footer(parquet: Any, path: str) -> Footer:  # noqa: ANN401 - pyarrow ships no types
    metadata = parquet.metadata
    document = (metadata.metadata or {}).get(METADATA_KEY)
    if document is None:
        raise ChecksumMismatch(f"{path} was not written by spxdata: it has no metadata of ours.")
    try:
        return _said(metadata, json.loads(document))
    except (ValueError, TypeError, KeyError) as error:
        raise ChecksumMismatch(f"{path} has metadata of ours that cannot be read: {error!r}") from error


def _said(metadata: Any, said: Any) -> Footer:  # noqa: ANN401 - pyarrow ships no types, JSON has none
    unit, provenance = said["unit"], said["provenance"]
    expiration = unit["expiration"]
    return Footer(
        unit=Unit(
            trade_date=date.fromisoformat(unit["trade_date"]),
            root=unit["root"],
            dataset=unit["dataset"],
            interval=unit["interval"],
            expiration=date.fromisoformat(expiration) if expiration else None,
        ),
        rows=metadata.num_rows,
        content_hash=said["content_hash"],
        schema_version=int(said["schema_version"]),
        compression=said["compression"],  # pyarrow's own answer ends the process where the footer is damaged
        created_at=datetime.fromisoformat(said["created_at"]),
        provenance=Provenance(**{**provenance, "fetched_at": datetime.fromisoformat(provenance["fetched_at"])}),
        decimals=tuple(said.get("decimals", ())),
        empty=tuple(
            Contract(date.fromisoformat(one["expiration"]), one["strike"], Right(one["right"]))
            for one in said.get("empty", ())
        ),
    )


def presence_of(storage: Storage, path: str, unit: Unit, required_close: int) -> Mapping[Contract | None, Presence]:
    """Return the points of a stored file that are there; only the columns that tell them are read.

    Args:
        storage: Where it lies.
        path: The file.
        unit: Whose file it is.
        required_close: Last required millisecond of the day (see `PresenceTaker`).

    Raises:
        FileNotFoundError: There is no such file.
        ChecksumMismatch: It cannot be read.
    """
    taker = PresenceTaker(unit, required_close)
    for frame in frames(storage, path, taker.columns):
        taker.update(frame)
    return taker.present
