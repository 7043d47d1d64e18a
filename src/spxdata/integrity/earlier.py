"""Earlier files of units, kept beside those that replaced them; and which file was a unit's at a moment.

Each is a document of the catalog, by its path. A file is copied to its new name before the catalog names it, and the
catalog names it before anything else is done about the unit: the catalog never names a file that is not there, and the
rows of a unit are never without a whole file.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from spxdata.catalog.entries import dumped, file_entry, file_of
from spxdata.errors import CatalogCorrupt, ChecksumMismatch, ConfigError, NewerVersion
from spxdata.layout import REVISIONS, original_of, revision_path, unit_of
from spxdata.model import Artifact, Unit
from spxdata.pipeline.hashing import HashingFile
from spxdata.pipeline.read import adopt
from spxdata.protocols import Catalog, Storage

#: Kind of the catalog's documents on earlier files.
KIND: Final = "earlier_file"
#: Version of these documents; a newer one is refused.
VERSION: Final = 1

_PIECE: Final = 1024 * 1024


class Earlier(NamedTuple):
    """A file that was a unit's before the present one."""

    unit: Unit
    artifact: Artifact


def earlier_files(catalog: Catalog) -> tuple[Earlier, ...]:
    """Return all earlier files that the catalog knows, sorted by unit, the oldest first.

    Raises:
        NewerVersion: A newer program recorded one.
        CatalogCorrupt: What is recorded cannot be read.
    """
    return tuple(sorted(map(_read, catalog.documents(KIND).values()), key=_place))


def artifact_as_of(catalog: Catalog, unit: Unit, moment: datetime) -> Artifact | None:
    """Return the file that had a unit's rows at a moment: the newest fetched by then; None if there was none yet.

    Args:
        catalog: The archive's record.
        unit: The unit.
        moment: When (aware).
    """
    outcome = catalog.outcome(unit)
    files = [earlier.artifact for earlier in earlier_files(catalog) if earlier.unit == unit]
    if outcome and outcome.artifact:
        files.append(outcome.artifact)  # last: of two copies of one fetch, that in the unit's own place counts
    known = [file for file in files if file.provenance.fetched_at <= moment]
    return max(reversed(known), key=lambda file: file.provenance.fetched_at, default=None)


def keep_earlier(catalog: Catalog, storage: Storage, unit: Unit, artifact: Artifact) -> Artifact:
    """Copy a unit's file to where earlier files lie, and note that in the catalog; the unit keeps its own.

    Raises:
        ChecksumMismatch: The file is not what the catalog recorded.
        StorageError: It cannot be copied.
    """
    path = revision_path(artifact.path, artifact.provenance.fetched_at)
    kept = copy(storage, artifact, storage, path)
    record_earlier(catalog, [Earlier(unit, kept)])
    return kept


def record_earlier(catalog: Catalog, files: Iterable[Earlier]) -> None:
    """Note earlier files in the catalog."""
    documents = {
        file.artifact.path: dumped({"version": VERSION, **file_entry(file.unit, file.artifact)}) for file in files
    }
    if documents:
        catalog.keep_documents(KIND, documents)


def forget_earlier(catalog: Catalog, paths: Iterable[str]) -> None:
    """Remove earlier files from the catalog's record, once they are known to be gone."""
    catalog.drop_documents(KIND, paths)


def adopt_earlier(catalog: Catalog, storage: Storage) -> tuple[Earlier, ...]:
    """Record whole earlier files that the catalog does not know, and return them.

    Such are left by a lost catalog, and by a run that ended between the copy and its record. All rows are read; a CSV
    file says nothing of itself and stays unknown.

    Raises:
        NewerVersion: A newer program wrote one.
    """
    known = catalog.documents(KIND)
    found = [earlier for path in storage.names(REVISIONS) if path not in known and (earlier := _adopted(storage, path))]
    record_earlier(catalog, found)
    return tuple(found)


def copy(
    source: Storage, artifact: Artifact, target: Storage, path: str, before: Callable[[], None] = lambda: None
) -> Artifact:
    """Copy a file, and return it as the artifact that it is in its new place.

    Args:
        source: Where it lies.
        artifact: What is known of it.
        target: Where to copy it.
        path: Its name there.
        before: Called right before the copy gets that name.

    Raises:
        ChecksumMismatch: It is not what is known of it.
        StorageError: It cannot be copied.
    """
    with source.open(artifact.path) as file, target.create(path) as pending:
        copied = HashingFile(pending)
        while piece := file.read(_PIECE):
            copied.write(piece)
        if copied.sha256() != artifact.sha256:
            raise ChecksumMismatch(f"{artifact.path} is not what the catalog recorded.")
        before()
        pending.commit()
    return replace(artifact, path=path)


def _adopted(storage: Storage, path: str) -> Earlier | None:
    try:
        place, fetched_at = original_of(path)
    except ConfigError:  # a stranger
        return None
    unit = unit_of(place)
    found = adopt(storage, unit, None, path) if place.endswith(".parquet") else None
    if found is None or found[0].provenance.fetched_at != fetched_at:
        return None
    return Earlier(unit, found[0])


def _place(file: Earlier) -> tuple[object, ...]:
    return (*file.unit.day, file.unit.expiration or date.min, file.artifact.provenance.fetched_at)


def _read(text: str) -> Earlier:
    try:
        said: Mapping[str, Any] = json.loads(text)
        version = int(said["version"])
        if version <= VERSION:
            return Earlier(*file_of(dict(said)))
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        raise CatalogCorrupt(f"what the catalog says of an earlier file cannot be read ({error!r})") from error
    raise NewerVersion(
        f"the catalog's record of an earlier file has version {version}, this spxdata knows {VERSION} at most."
    )
