"""Whether catalog and disk agree: every file on record is read and compared, every other file is named."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from typing import Final, NamedTuple

from spxdata.errors import ConfigError, NewerVersion, StorageError
from spxdata.integrity.earlier import earlier_files
from spxdata.layout import INVENTORY, PARTIAL, PRIVATE, REVISIONS, STATUS, is_revision, original_of, unit_of
from spxdata.model import Artifact, Unit
from spxdata.pipeline.difference import Checked, Difference, Fault
from spxdata.pipeline.read import adopt, footer, original
from spxdata.pipeline.trust import compare
from spxdata.pipeline.versions import OLDER, Table, form_of
from spxdata.protocols import Catalog, Storage

#: What may lie beside the trade dates' folders: the JSON catalog, and settings. Other names that begin with a dot are
#: private, ours (`.spxdata`) and others', such as a .env or a .git.
_BESIDE: Final = frozenset({STATUS, INVENTORY, "spxdata.toml"})

#: Files that are read ahead of the one whose turn it is, for each worker.
_AHEAD: Final = 4


class _File(NamedTuple):
    """A path to look at.

    Attributes:
        path: The path.
        unit: Whose file it is, by the catalog or else by its name; None for no unit's.
        artifact: What is on record of it, None if it is not.
        bytes: What there is to read of it, for telling how far verification is.
        instead: The path of the file that its unit has on record, where that is another one.
    """

    path: str
    unit: Unit | None
    artifact: Artifact | None = None
    bytes: int = 0
    instead: str | None = None


class _Look(NamedTuple):
    """Where and how files are looked at."""

    storage: Storage
    quick: bool
    older: Table


def verify(
    catalog: Catalog | None,
    storage: Storage,
    *,
    quick: bool = False,
    start: date | None = None,
    end: date | None = None,
    told: Callable[[Checked], None] = lambda _: None,
    workers: int | None = None,
    older: Table = OLDER,
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
        older: The versions of columns that are no more written; files of them are as good as any.

    Raises:
        NewerVersion: A newer program wrote a file.
        StorageError: The catalog or the archive's folder cannot be read.
    """
    look = _Look(storage, quick, older)
    files = _files(catalog, storage, start, end, quick=quick)
    done = Checked(0, len(files), 0, sum(file.bytes for file in files))
    told(done)
    for file, found in _examined(look, files, workers or os.cpu_count() or 1):
        done = done._replace(files=done.files + 1, bytes=done.bytes + file.bytes)
        still = _still(look, found, catalog) if found else None
        if still:
            yield still
        told(done)


def _files(
    catalog: Catalog | None, storage: Storage, start: date | None, end: date | None, *, quick: bool
) -> list[_File]:
    """Return all paths to look at, sorted: those on record, and those on disk."""
    files: dict[str, _File] = {}
    paths: dict[Unit, str] = {}
    for unit, artifact in _recorded(catalog, start, end) if catalog else ():
        files[artifact.path] = _File(artifact.path, unit, artifact, 0 if quick else artifact.bytes)
        if not is_revision(artifact.path):
            paths[unit] = artifact.path
    for path in storage.names():
        if path not in files and _is_public(path) and _is_within(path, start, end):
            named = unit_named(path)
            instead = paths.get(named) if named and not is_revision(path) else None
            size = 0 if quick or named is None or instead else storage.size(path) or 0
            files[path] = _File(path, named, None, size, instead)
    for path in storage.unfinished():
        if (_is_public(path) or path.startswith(f"{PRIVATE}/")) and _is_within(path, start, end):
            files[path] = _File(path, None)
    return [files[path] for path in sorted(files)]


def _recorded(catalog: Catalog, start: date | None, end: date | None) -> Iterator[tuple[Unit, Artifact]]:
    """Yield the files on record of some trade dates: the units' own, and earlier ones."""
    for status in catalog.days(start, end):
        for outcome in catalog.outcomes(status.day):
            if outcome.artifact:
                yield outcome.unit, outcome.artifact
    for unit, artifact in earlier_files(catalog):
        if (start or date.min) <= unit.trade_date <= (end or date.max):
            yield unit, artifact


def _is_public(path: str) -> bool:
    return is_revision(path) or not (path.startswith(".") or path in _BESIDE)


def _is_within(path: str, start: date | None, end: date | None) -> bool:
    """Tell whether a path lies in the folder of a trade date between two, all if there are no limits."""
    if start is None and end is None:
        return True
    first, last = f"{start or date.min:%Y%m%d}", f"{end or date.max:%Y%m%d}"
    folder, _, name = path.removeprefix(f"{REVISIONS}/").partition("/")
    return bool(name) and len(folder) == 8 and folder.isdecimal() and first <= folder <= last


def unit_named(path: str) -> Unit | None:
    """Return the unit that a path is named after, be it an earlier file's; None if it is none's."""
    try:
        return unit_of(original(path))
    except ConfigError:
        return None


def _examined(look: _Look, files: Iterable[_File], workers: int) -> Iterator[tuple[_File, Difference | None]]:
    """Yield what is found of each file, in order, looking at several at once."""
    waiting: deque[tuple[_File, Future[Difference | None]]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="spxdata-verify")
    try:
        for file in files:
            waiting.append((file, pool.submit(_found, look, file)))
            if len(waiting) > _AHEAD * workers:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _found(look: _Look, file: _File) -> Difference | None:
    if file.unit and file.artifact:
        return compare(look.storage, file.unit, file.artifact, quick=look.quick, older=look.older)
    return _unknown(look, file)


def _unknown(look: _Look, file: _File) -> Difference:
    """Return what a file is that the catalog does not know."""
    if file.unit is None:
        if file.path.endswith(PARTIAL):
            return Difference(Fault.UNFINISHED, file.path, "unfinished: its writer was interrupted, or is at work")
        return Difference(Fault.STRANGER, file.path, "not a file of this archive")
    if file.instead:
        return Difference(Fault.STRANGER, file.path, f"not in the catalog, which has {file.instead} instead", file.unit)
    if original(file.path).endswith(".csv"):
        fault = Fault.MUTE if is_revision(file.path) else Fault.STRANGER
        return Difference(fault, file.path, "not in the catalog, and a CSV file does not say what it is", file.unit)
    if _is_whole(look, file.path, file.unit):
        return Difference(Fault.FORGOTTEN, file.path, "a whole file that the catalog does not know", file.unit)
    return Difference(Fault.STRANGER, file.path, "not in the catalog, and no whole file of ours", file.unit)


def _is_whole(look: _Look, path: str, unit: Unit) -> bool:
    """Tell whether an unknown Parquet file is what its name says.

    Raises:
        NewerVersion: A newer program wrote it.
    """
    try:
        said = footer(look.storage, path)
        form_of(unit.dataset, said.schema_version, path, look.older)
        if said.unit != unit or (is_revision(path) and said.provenance.fetched_at != original_of(path)[1]):
            return False
        return look.quick or adopt(look.storage, unit, None, path, look.older) is not None
    except NewerVersion:
        raise
    except (StorageError, ConfigError, OSError, UnicodeDecodeError):
        return False


def _still(look: _Look, found: Difference, catalog: Catalog | None) -> Difference | None:
    """Return a difference as it is by now: another process may have replaced, recorded or finished the file."""
    if found.unit is None:
        gone = found.fault is Fault.UNFINISHED and found.path not in look.storage.unfinished()
        return None if gone else found
    now = _now(catalog, found.path, found.unit)
    if now.artifact is None and look.storage.size(found.path) is None:
        return None
    return _found(look, now) if now.artifact or found.is_damage else found


def _now(catalog: Catalog | None, path: str, unit: Unit) -> _File:
    """Return a file as the catalog knows it by now."""
    if is_revision(path):
        known = earlier_files(catalog) if catalog else ()
        return _File(path, unit, next((one.artifact for one in known if one.artifact.path == path), None))
    outcome = catalog.outcome(unit) if catalog else None
    artifact = outcome.artifact if outcome else None
    if artifact and artifact.path != path:
        return _File(path, unit, instead=artifact.path)
    return _File(path, unit, artifact)
