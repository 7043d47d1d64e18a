"""Whether catalog and disk agree: every file on record is read and compared, every other file is named."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from typing import Final, NamedTuple

import polars as pl

from spxdata.errors import ChecksumMismatch, ConfigError, StorageError
from spxdata.integrity.difference import Checked, Difference, Fault
from spxdata.layout import PARTIAL, PRIVATE, path_of, unit_of
from spxdata.model import Artifact, Unit
from spxdata.pipeline.content import ContentHash
from spxdata.pipeline.parse import RIGHT, TYPES
from spxdata.pipeline.read import Footer, adopt, checksum, footer, frames
from spxdata.protocols import Catalog, Storage
from spxdata.schema import DATASETS, FLAGS, TRADE_DATE, Column

#: What may lie beside the trade dates' folders: the JSON catalog, and settings. Names that begin with a dot are
#: private, ours (`.spxdata`) and others', such as a .env or a .git.
_BESIDE: Final = frozenset({"status.json", "inventory.json", "spxdata.toml"})

#: Files that are read ahead of the one whose turn it is, for each worker.
_AHEAD: Final = 4


class _File(NamedTuple):
    """A path to look at; the unit and artifact of one on record, the unit of one that is named like a unit's."""

    path: str
    unit: Unit | None
    artifact: Artifact | None
    bytes: int


def verify(
    catalog: Catalog | None,
    storage: Storage,
    *,
    quick: bool = False,
    start: date | None = None,
    end: date | None = None,
    told: Callable[[Checked], None] = lambda _: None,
    workers: int | None = None,
) -> Iterator[Difference]:
    """Yield every difference between catalog and disk, one a file, by path.

    Files are read on several threads; while another process writes the archive, what it changes is looked at again.

    Args:
        catalog: The archive's record; None if there is none: then every file is unknown.
        storage: The archive's files.
        quick: Whether to look at existence, size and footer only, not at every byte.
        start: First trade date; None for the first one there is.
        end: Last trade date, included; None for the last one there is. With either, files outside the folders of
            trade dates are left out.
        told: Told how far it is, before the first file and after each.
        workers: How many files are read at once; as many as there are cores for None.

    Raises:
        StorageError: The catalog or the archive's folder cannot be read.
    """
    files = _files(catalog, storage, start, end, quick=quick)
    done = Checked(0, len(files), 0, sum(file.bytes for file in files))
    told(done)
    for file, found in _examined(storage, files, workers or os.cpu_count() or 1, quick=quick):
        done = done._replace(files=done.files + 1, bytes=done.bytes + file.bytes)
        still = _still(found, catalog, storage, quick=quick) if found else None
        if still:
            yield still
        told(done)


def compare(storage: Storage, unit: Unit, artifact: Artifact, *, quick: bool = False) -> Difference | None:
    """Return in what a file first differs from its record, None if it does not.

    Bytes that are not the recorded ones are not parsed: damage must not reach a parser that trusts its input.

    Args:
        storage: Where it lies.
        unit: Whose file it is.
        artifact: Its record.
        quick: Whether size and footer will do.
    """
    try:
        found = next(_differences(storage, unit, artifact, quick=quick), None)
    except FileNotFoundError:
        found = Fault.MISSING, "not there"
    except (StorageError, OSError, UnicodeDecodeError) as error:
        found = Fault.UNREADABLE, _words(error, artifact.path)
    return Difference(found[0], artifact.path, found[1], unit) if found else None


def trusted(catalog: Catalog, storage: Storage, artifact: Artifact, *, verify_on_read: bool = False) -> Artifact:
    """Return an artifact whose file may be read: its size and footer are as recorded.

    A file that was replaced since its artifact was taken from the catalog is not refused: the new one is returned.

    Args:
        catalog: The archive's record.
        storage: The archive's files.
        artifact: What the catalog said of the file.
        verify_on_read: Whether every byte must be as recorded, too.

    Raises:
        ChecksumMismatch: The file is not the one that was recorded.
    """
    unit = unit_of(artifact.path)
    found = _refused(storage, unit, artifact, every_byte=verify_on_read)
    if found is None:
        return artifact
    now = catalog.outcome(unit)
    if now and now.artifact and now.artifact != artifact:
        artifact = now.artifact
        found = _refused(storage, unit, artifact, every_byte=verify_on_read)
    if found is None:
        return artifact
    raise ChecksumMismatch(f"{found.path} is not what was stored: {found.what}.")


def _refused(storage: Storage, unit: Unit, artifact: Artifact, *, every_byte: bool) -> Difference | None:
    """Return in what a file that is about to be read differs: size, then footer, then SHA-256 if that is asked for."""
    found = compare(storage, unit, artifact, quick=True)
    if found or not every_byte:
        return found
    try:
        _, sha256 = checksum(storage, artifact.path)
    except (StorageError, OSError) as error:
        return Difference(Fault.UNREADABLE, artifact.path, _words(error, artifact.path), unit)
    return (
        None if sha256 == artifact.sha256 else Difference(Fault.CHECKSUM, artifact.path, _sums(sha256, artifact), unit)
    )


def _files(
    catalog: Catalog | None, storage: Storage, start: date | None, end: date | None, *, quick: bool
) -> list[_File]:
    """Return all paths to look at, sorted: those on record, and those on disk."""
    files: dict[str, _File] = {}
    for status in catalog.days(start, end) if catalog else ():
        for outcome in catalog.outcomes(status.day) if catalog else ():
            if artifact := outcome.artifact:
                files[artifact.path] = _File(artifact.path, outcome.unit, artifact, 0 if quick else artifact.bytes)
    for path in storage.names():
        if path not in files and _is_public(path) and _is_within(path, start, end):
            unit = named(path)
            files[path] = _File(path, unit, None, 0 if quick or unit is None else storage.size(path) or 0)
    for path in storage.unfinished():
        if (_is_public(path) or path.startswith(f"{PRIVATE}/")) and _is_within(path, start, end):
            files[path] = _File(path, None, None, 0)
    return [files[path] for path in sorted(files)]


def _is_public(path: str) -> bool:
    return not path.startswith(".") and path not in _BESIDE


def _is_within(path: str, start: date | None, end: date | None) -> bool:
    """Tell whether a path lies in the folder of a trade date between two, all if there are no limits."""
    if start is None and end is None:
        return True
    first, last = f"{start or date.min:%Y%m%d}", f"{end or date.max:%Y%m%d}"
    folder, _, name = path.partition("/")
    return bool(name) and len(folder) == 8 and folder.isdecimal() and first <= folder <= last


def named(path: str) -> Unit | None:
    """Return the unit that a path is named after, None if it is none's."""
    try:
        return unit_of(path)
    except ConfigError:
        return None


def _examined(
    storage: Storage, files: Iterable[_File], workers: int, *, quick: bool
) -> Iterator[tuple[_File, Difference | None]]:
    """Yield what is found of each file, in order, looking at several at once."""
    waiting: deque[tuple[_File, Future[Difference | None]]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="spxdata-verify")
    try:
        for file in files:
            waiting.append((file, pool.submit(_look, storage, file, quick=quick)))
            if len(waiting) > _AHEAD * workers:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _look(storage: Storage, file: _File, *, quick: bool) -> Difference | None:
    if file.unit and file.artifact:
        return compare(storage, file.unit, file.artifact, quick=quick)
    return _unknown(storage, file, quick=quick)


def _unknown(storage: Storage, file: _File, *, quick: bool) -> Difference:
    """Return what a file is that the catalog does not know."""
    if file.unit is None:
        if file.path.endswith(PARTIAL):
            return Difference(Fault.UNFINISHED, file.path, "unfinished: its writer was interrupted, or is at work")
        return Difference(Fault.STRANGER, file.path, "not a file of this archive")
    try:
        whole = file.path == path_of(file.unit) and (
            footer(storage, file.path).unit == file.unit if quick else adopt(storage, file.unit, None) is not None
        )
    except (StorageError, ConfigError, OSError, UnicodeDecodeError):
        whole = False
    if whole:
        return Difference(Fault.FORGOTTEN, file.path, "a whole file that the catalog does not know", file.unit)
    return Difference(Fault.STRANGER, file.path, "not in the catalog, and no whole file of ours", file.unit)


def _still(found: Difference, catalog: Catalog | None, storage: Storage, *, quick: bool) -> Difference | None:
    """Return a difference as it is by now: another process may have replaced, recorded or finished the file."""
    if found.unit is None:
        gone = found.fault is Fault.UNFINISHED and found.path not in storage.unfinished()
        return None if gone else found
    now = catalog.outcome(found.unit) if catalog else None
    if now and now.artifact and now.artifact.path == found.path:
        return compare(storage, found.unit, now.artifact, quick=quick)
    if storage.size(found.path) is None:
        return None
    return _unknown(storage, _File(found.path, found.unit, None, 0), quick=quick) if found.is_damage else found


def _differences(storage: Storage, unit: Unit, artifact: Artifact, *, quick: bool) -> Iterator[tuple[Fault, str]]:
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
    if artifact.format == "parquet":
        yield from _in_footer(footer(storage, path), unit, artifact)
    if not quick:
        yield from _in_contents(storage, unit, artifact)


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


def _in_contents(storage: Storage, unit: Unit, artifact: Artifact) -> Iterator[tuple[Fault, str]]:
    """Yield in what a file's rows differ from what was recorded of them."""
    dataset = DATASETS[unit.dataset]
    order = dataset.order_at(unit.interval)
    content = ContentHash(dataset)
    columns = {column.name: _type(column) for column in (TRADE_DATE, *dataset.columns, FLAGS)}
    rows, last = 0, None
    for frame in frames(storage, artifact.path):
        if dict(frame.schema) != columns:
            yield Fault.COLUMNS, f"the columns are not those of {dataset.name}, version {dataset.version}"
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
