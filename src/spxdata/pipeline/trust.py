"""Whether a stored file is what the catalog recorded: by size and footer before it is read, or by all there is."""

from collections.abc import Iterator

import polars as pl

from spxdata.errors import ChecksumMismatch, NewerVersion, StorageError
from spxdata.layout import is_revision, unit_of
from spxdata.model import Artifact, Unit
from spxdata.pipeline.content import ContentHash
from spxdata.pipeline.difference import Difference, Fault
from spxdata.pipeline.parse import RIGHT, TYPES
from spxdata.pipeline.read import Footer, checksum, footer, original, stored_frames
from spxdata.pipeline.versions import OLDER, Table, form_of
from spxdata.protocols import Catalog, Storage
from spxdata.schema import FLAGS, TRADE_DATE, Column, Dataset


def trusted(
    catalog: Catalog, storage: Storage, artifact: Artifact, *, verify_on_read: bool = False, older: Table = OLDER
) -> Artifact:
    """Return an artifact whose file may be read: its size and footer are as recorded; a CSV file has no footer.

    A file that was replaced since its artifact was taken from the catalog is not refused: the new one is returned. An
    earlier file is never replaced.

    Args:
        catalog: The archive's record.
        storage: The archive's files.
        artifact: What the catalog said of the file.
        verify_on_read: Whether every byte must be as recorded, too.
        older: The versions of columns that are no more written; files of them are as good as any.

    Raises:
        ChecksumMismatch: The file is not the one that was recorded.
        NewerVersion: A newer program wrote it.
    """
    unit = unit_of(original(artifact.path))
    found = _refused(storage, unit, artifact, older, every_byte=verify_on_read)
    if found is None:
        return artifact
    now = None if is_revision(artifact.path) else catalog.outcome(unit)
    if now and now.artifact and now.artifact != artifact:
        artifact = now.artifact
        found = _refused(storage, unit, artifact, older, every_byte=verify_on_read)
    if found is None:
        return artifact
    raise ChecksumMismatch(f"{found.path} is not what was stored: {found.what}.")


def compare(
    storage: Storage, unit: Unit, artifact: Artifact, *, quick: bool = False, older: Table = OLDER
) -> Difference | None:
    """Return in what a file first differs from its record, None if it does not.

    Bytes that are not the recorded ones are not parsed: damage must not reach a parser that trusts its input.

    Args:
        storage: Where it lies.
        unit: Whose file it is.
        artifact: Its record.
        quick: Whether size and footer will do.
        older: The versions of columns that are no more written; files of them are as good as any.

    Raises:
        NewerVersion: A newer program wrote the file: whether it is whole cannot be told.
    """
    try:
        form = form_of(unit.dataset, artifact.schema_version, artifact.path, older)
        found = next(_differences(storage, unit, artifact, form, older, quick=quick), None)
    except FileNotFoundError:
        found = Fault.MISSING, "not there"
    except NewerVersion:
        raise
    except (StorageError, OSError, UnicodeDecodeError) as error:
        found = Fault.UNREADABLE, _words(error, artifact.path)
    return Difference(found[0], artifact.path, found[1], unit) if found else None


def _refused(storage: Storage, unit: Unit, artifact: Artifact, older: Table, *, every_byte: bool) -> Difference | None:
    """Return in what a file that is about to be read differs: size, then footer, then SHA-256 if that is asked for."""
    found = compare(storage, unit, artifact, quick=True, older=older)
    if found or not every_byte:
        return found
    try:
        _, sha256 = checksum(storage, artifact.path)
    except (StorageError, OSError) as error:
        return Difference(Fault.UNREADABLE, artifact.path, _words(error, artifact.path), unit)
    if sha256 == artifact.sha256:
        return None
    return Difference(Fault.CHECKSUM, artifact.path, _sums(sha256, artifact), unit)


def _differences(
    storage: Storage, unit: Unit, artifact: Artifact, form: Dataset, older: Table, *, quick: bool
) -> Iterator[tuple[Fault, str]]:
    """Yield in what a file differs; each is found only if all before it agree."""
    path = artifact.path
    size = storage.size(path)
    if size is None:
        yield Fault.MISSING, "not there"
    elif size != artifact.bytes:
        yield Fault.SIZE, f"{size:,} bytes instead of {artifact.bytes:,}"
    if not quick:
        _, sha256 = checksum(storage, path)
        if sha256 != artifact.sha256:
            yield Fault.CHECKSUM, _sums(sha256, artifact)
    if artifact.format == "parquet":  # a CSV file says nothing of itself
        yield from _in_footer(footer(storage, path), unit, artifact)
    if not quick:
        yield from _in_contents(storage, unit, artifact, form, older)


def _in_footer(said: Footer, unit: Unit, artifact: Artifact) -> Iterator[tuple[Fault, str]]:
    """Yield in what a file's own metadata differs from what was recorded of it."""
    claims = (
        (Fault.FOOTER, "unit", said.unit, unit),
        (Fault.FOOTER, "schema version", said.schema_version, artifact.schema_version),
        (Fault.CONTENT, "content hash", said.content_hash, artifact.content_hash),
        (Fault.ROWS, "rows", said.rows, artifact.rows),
    )
    for fault, name, found, recorded in claims:
        if found != recorded:
            yield fault, f"{name} in the footer: {found} instead of {recorded}"


def _in_contents(
    storage: Storage, unit: Unit, artifact: Artifact, form: Dataset, older: Table
) -> Iterator[tuple[Fault, str]]:
    """Yield in what a file's rows, in the columns they were written with, differ from what was recorded of them."""
    order = form.order_at(unit.interval)
    content = ContentHash(form)
    columns = {column.name: _type(column) for column in (TRADE_DATE, *form.columns, FLAGS)}
    rows, last = 0, None
    for frame in stored_frames(storage, artifact.path, older):
        if dict(frame.schema) != columns:
            yield Fault.COLUMNS, f"the columns are not those of {form.name}, version {form.version}"
        keys = frame.select(order)
        if not is_sorted(keys if last is None else pl.concat([last, keys])):
            yield Fault.ORDER, f"rows are not sorted by {', '.join(order)}"
        content.update(frame)
        rows, last = rows + frame.height, keys.tail(1)
    if rows != artifact.rows:
        yield Fault.ROWS, f"{rows:,} rows instead of {artifact.rows:,}"
    if content.hexdigest() != artifact.content_hash:
        yield Fault.CONTENT, f"the content hash is {content.hexdigest()}, not {artifact.content_hash}"


def _type(column: Column) -> pl.DataType:
    return RIGHT if column.name == "right" else TYPES[column.kind]


def is_sorted(keys: pl.DataFrame) -> bool:
    """Tell whether rows ascend by all their columns, the first one first."""
    in_order = pl.lit(value=True)
    for name in reversed(keys.columns):
        now, before = pl.col(name), pl.col(name).shift(1)
        in_order = (before < now) | ((before == now) & in_order)
    return bool(keys.select(in_order.slice(1).fill_null(value=False).all()).item()) if keys.height > 1 else True


def _sums(sha256: str, artifact: Artifact) -> str:
    return f"SHA-256 {sha256[:12]}… instead of {artifact.sha256[:12]}…"


def _words(error: Exception, path: str) -> str:
    """Return what went wrong, without the path that stands before it anyway."""
    words = error.message if isinstance(error, StorageError) else str(error)
    return words.removeprefix(path).strip().rstrip(".")
