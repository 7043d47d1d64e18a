"""A stored file in another encoding: the same rows in other bytes, read back before anybody relies on them."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

import polars as pl

from spxdata.errors import ChecksumMismatch, StorageError
from spxdata.layout import path_of
from spxdata.model import Artifact, Contract, HoleKind, Outcome, Unit
from spxdata.pipeline.content import ContentHash
from spxdata.pipeline.edges import Encoding
from spxdata.pipeline.hashing import HashingFile
from spxdata.pipeline.read import checksum, footer, stored_frames
from spxdata.pipeline.write import document, open_rows, regrouped
from spxdata.protocols import Clock, Storage
from spxdata.schema import DATASETS, FLAGS, TRADE_DATE, Kind


class _Digests:
    """What two files of the same rows agree in: the vendor's values, and those of ours too.

    Args:
        dataset: Whose rows.
    """

    def __init__(self, dataset: str) -> None:
        vendor = DATASETS[dataset]
        self._content = ContentHash(vendor)
        self._whole = ContentHash(replace(vendor, columns=(TRADE_DATE, *vendor.columns, FLAGS)))
        self.rows = 0

    def update(self, frame: pl.DataFrame) -> None:
        """Take some rows."""
        self._content.update(frame)
        self._whole.update(frame)
        self.rows += frame.height

    @property
    def content(self) -> str:
        """The content hash."""
        return self._content.hexdigest()

    @property
    def all(self) -> tuple[int, str, str]:
        """All that is to be the same."""
        return self.rows, self.content, self._whole.hexdigest()


def is_encoded(storage: Storage, unit: Unit, artifact: Artifact, encoding: Encoding) -> bool:
    """Tell whether a file is in an encoding already, by what it says of itself.

    One whose numbers could be decimals, and are not, is not: only its rows can tell whether they could.

    Raises:
        FileNotFoundError: There is no such file.
        ChecksumMismatch: It is no whole file of ours.
    """
    if artifact.format != encoding.format:
        return False
    if encoding.format == "csv" or not _numbers(unit):
        return True
    return bool(footer(storage, artifact.path).decimals) == (encoding.numbers == "decimal")


def recode(
    storage: Storage,
    target: Storage,
    outcome: Outcome,
    encoding: Encoding,
    clock: Clock,
    each: Callable[[], None] = lambda: None,
) -> Artifact | None:
    """Write a unit's rows once more, and prove that they are the same; the stored file is only read.

    Args:
        storage: Where the stored file lies.
        target: Where to write the new one, under its name in that encoding.
        outcome: The unit and its file.
        encoding: How.
        clock: Where "created at" comes from.
        each: Called again and again while rows are read.

    Returns:
        The new file, or None where it would be the stored one: no column's numbers are exact decimals.

    Raises:
        FileNotFoundError: The stored file is not there.
        ChecksumMismatch: It is not what was recorded.
        StorageError: The new one cannot be written, or does not read back.
    """
    unit, artifact = outcome.unit, outcome.artifact
    if artifact is None:
        raise ValueError(f"{unit} is not stored.")
    _require_recorded(storage, artifact)
    empty = _empty(storage, outcome)
    path = path_of(unit, encoding.format)
    wrote = _Digests(unit.dataset)
    with target.create(path) as pending:
        file = HashingFile(pending)
        rows = open_rows(file, unit, encoding)
        try:
            if encoding.format == "parquet" and encoding.numbers == "decimal":
                for frame in _frames(storage, artifact.path, each):
                    rows.see(frame)
                if artifact.format == "parquet" and len(rows.inexact) == _numbers(unit):
                    return None
            for frame in regrouped(_frames(storage, artifact.path, each), encoding.row_group_rows):
                wrote.update(frame)
                rows.write(frame)
            _require_rows(wrote, artifact)
            created_at = clock.now()
            rows.finish(document(unit, wrote.content, empty, created_at, artifact.provenance))
        except BaseException:
            rows.abandon()
            raise
        pending.commit()
    found = replace(
        artifact,
        path=path,
        bytes=file.bytes,
        sha256=file.sha256(),
        format=encoding.format,
        compression=rows.compression,
        created_at=created_at,
    )
    _require_same(target, unit, found, wrote, each)
    return found


def _require_recorded(storage: Storage, artifact: Artifact) -> None:
    """Refuse a file that is not the recorded one: damage must not reach a parser that trusts its input.

    Raises:
        ChecksumMismatch: It is not.
    """
    size, sha256 = checksum(storage, artifact.path)
    if (size, sha256) != (artifact.bytes, artifact.sha256):
        raise ChecksumMismatch(f"{artifact.path} is not what was stored.")


def _require_rows(read: _Digests, artifact: Artifact) -> None:
    """Refuse rows that are not the recorded ones.

    Raises:
        ChecksumMismatch: They are not.
    """
    if read.content != artifact.content_hash:
        raise ChecksumMismatch(f"{artifact.path} has other rows than were recorded.")


def _require_same(storage: Storage, unit: Unit, found: Artifact, wrote: _Digests, each: Callable[[], None]) -> None:
    """Read a new file back.

    Raises:
        StorageError: Its bytes or rows are not those that were written.
    """
    read = _Digests(unit.dataset)
    try:
        is_same = checksum(storage, found.path) == (found.bytes, found.sha256)
        if is_same:
            for frame in _frames(storage, found.path, each):
                read.update(frame)
    except ChecksumMismatch as error:
        raise StorageError(f"What was written of {unit} cannot be read back: {error.message}") from error
    if not is_same or read.all != wrote.all:
        raise StorageError(f"What was written of {unit} does not read back as it was written.")


def _frames(storage: Storage, path: str, each: Callable[[], None]) -> Iterator[pl.DataFrame]:
    for frame in stored_frames(storage, path):
        each()
        yield frame


def _empty(storage: Storage, outcome: Outcome) -> Collection[Contract]:
    """Return the contracts that are known to have no rows: the footer's, or where there is none those on record."""
    if outcome.artifact and outcome.artifact.format == "parquet":
        return footer(storage, outcome.artifact.path).empty
    return [hole.contract for hole in outcome.holes if hole.kind is HoleKind.NOTE and hole.contract]


def _numbers(unit: Unit) -> int:
    """Return how many columns of a unit hold numbers that could be decimals."""
    return len(DATASETS[unit.dataset].of(Kind.NUMBER))
