"""Earlier files: kept under a name of their own, on record, found again, and which one counted when."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from spxdata.catalog.jsonfile import JsonCatalog
from spxdata.errors import CatalogCorrupt, ChecksumMismatch, StorageError
from spxdata.layout import original_of, revision_path
from spxdata.model import Artifact, Outcome, State
from spxdata.pipeline.attempt import attempt
from spxdata.pipeline.earlier import (
    KIND,
    Earlier,
    adopt_earlier,
    artifact_as_of,
    earlier_files,
    forget_earlier,
    keep_earlier,
    record_earlier,
)
from spxdata.pipeline.edges import Encoding
from spxdata.pipeline.read import checksum, frames
from spxdata.protocols import Catalog
from spxdata.storage.local import LocalStorage
from tests.builders import NOW, a_provenance, a_unit, an_artifact, stored
from tests.contracts.test_catalog import CATALOGS
from tests.pipeline.builders import QUOTE_UNIT, csv_of, edges_of, listing, rows_of

HOUR = timedelta(hours=1)


@pytest.fixture(params=CATALOGS)
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalog]:
    """A new catalog of every kind."""
    with closing(CATALOGS[request.param](tmp_path)) as new:
        yield new


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    """Return an empty archive."""
    return LocalStorage(tmp_path)


def commit(storage: LocalStorage, **changes: str) -> Artifact:
    """Bring a unit into the archive."""
    edges = edges_of(storage, csv_of(rows_of()), encoding=Encoding(**changes))  # type: ignore[arg-type]
    found = attempt(QUOTE_UNIT, listing(), edges).artifact
    assert found
    return found


def fetched(at: datetime, path: str | None = None) -> Artifact:
    """Return a file whose rows were fetched at a moment."""
    artifact = an_artifact(provenance=a_provenance(fetched_at=at))
    return replace(artifact, path=path or artifact.path)


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_a_kept_file_is_a_copy_under_a_name_of_its_own(
    catalog: Catalog, storage: LocalStorage, file_format: str
) -> None:
    """It can be read like any other, and the catalog knows all of it."""
    artifact = commit(storage, format=file_format)
    kept = keep_earlier(catalog, storage, QUOTE_UNIT, artifact)
    assert kept == replace(artifact, path=revision_path(artifact.path, artifact.provenance.fetched_at))
    assert checksum(storage, kept.path) == (artifact.bytes, artifact.sha256)
    assert earlier_files(catalog) == (Earlier(QUOTE_UNIT, kept),)
    old, new = ([frame.rows() for frame in frames(storage, path)] for path in (artifact.path, kept.path))
    assert old == new
    assert storage.size(artifact.path) == artifact.bytes


def test_keeping_the_same_file_twice_keeps_it_once(catalog: Catalog, storage: LocalStorage) -> None:
    """After a run that ended between the copy and what was to follow."""
    artifact = commit(storage)
    for _ in range(2):
        keep_earlier(catalog, storage, QUOTE_UNIT, artifact)
    assert len(earlier_files(catalog)) == 1
    assert len(storage.names(".revisions")) == 1


def test_a_damaged_file_is_not_kept_as_if_it_were_whole(catalog: Catalog, storage: LocalStorage) -> None:
    artifact = replace(commit(storage), sha256="0" * 64)
    with pytest.raises(ChecksumMismatch, match="is not what the catalog recorded"):
        keep_earlier(catalog, storage, QUOTE_UNIT, artifact)
    assert earlier_files(catalog) == ()
    assert storage.names(".revisions") == ()


def test_the_file_of_a_moment_is_the_newest_fetched_by_then(catalog: Catalog) -> None:
    unit = a_unit()
    oldest, middle, newest = (fetched(NOW + n * HOUR) for n in range(3))
    catalog.record(Outcome(unit, State.STORED, artifact=newest), NOW)
    kept = [replace(file, path=revision_path(file.path, file.provenance.fetched_at)) for file in (middle, oldest)]
    record_earlier(catalog, [Earlier(unit, file) for file in kept])
    record_earlier(catalog, [Earlier(a_unit(dataset="quote"), fetched(NOW, ".revisions/other"))])
    moments = (NOW - HOUR, NOW, NOW + HOUR / 2, NOW + HOUR, NOW + 5 * HOUR)
    assert [artifact_as_of(catalog, unit, at) for at in moments] == [None, kept[1], kept[1], kept[0], newest]
    assert [file.artifact for file in earlier_files(catalog) if file.unit == unit] == kept[::-1]


def test_of_two_copies_of_one_fetch_the_one_in_its_place_counts(catalog: Catalog) -> None:
    """They are left by a run that ended before it replaced anything."""
    unit, file = a_unit(), fetched(NOW)
    catalog.record(Outcome(unit, State.STORED, artifact=file), NOW)
    record_earlier(catalog, [Earlier(unit, replace(file, path=revision_path(file.path, NOW)))])
    assert artifact_as_of(catalog, unit, NOW) == file


def test_a_unit_without_a_file_has_none_at_any_moment(catalog: Catalog) -> None:
    assert artifact_as_of(catalog, a_unit(), NOW) is None
    catalog.record(stored(), NOW)
    assert artifact_as_of(catalog, a_unit(), NOW - 24 * HOUR) is None


def test_a_forgotten_file_is_off_the_record(catalog: Catalog, storage: LocalStorage) -> None:
    kept = keep_earlier(catalog, storage, QUOTE_UNIT, commit(storage))
    forget_earlier(catalog, [kept.path, "never there"])
    assert earlier_files(catalog) == ()


def test_a_file_that_the_catalog_lost_is_found_again(catalog: Catalog, storage: LocalStorage) -> None:
    """From its own metadata, and only if every row agrees; strangers, CSV and renamed files stay unknown."""
    artifact = commit(storage)
    kept = keep_earlier(catalog, storage, QUOTE_UNIT, artifact)
    forget_earlier(catalog, [kept.path])
    data = (storage._root / kept.path).read_bytes()
    place, at = original_of(kept.path)
    for path, content in (
        (".revisions/notes.txt", b"mine"),
        (revision_path(place, at + HOUR), data),
        (revision_path(place.replace("0119", "0126"), at), data),
        (revision_path(place, at + 2 * HOUR), data[:-100]),
        (revision_path(place.replace("parquet", "csv"), at), b"a,b\n"),
    ):
        with storage.create(path) as pending:
            pending.write(content)
            pending.commit()
    assert adopt_earlier(catalog, storage) == (Earlier(QUOTE_UNIT, kept),)
    assert earlier_files(catalog) == (Earlier(QUOTE_UNIT, kept),)
    assert adopt_earlier(catalog, storage) == ()


def test_what_a_newer_program_recorded_is_refused_by_version(catalog: Catalog) -> None:
    catalog.keep_documents(KIND, {"x": '{"version":2}'})
    with pytest.raises(StorageError, match="earlier file has version 2, this spxdata knows 1 at most"):
        earlier_files(catalog)


@pytest.mark.parametrize("text", ["{}", "[]", '{"version":1}', '{"version":"x"}', "1"])
def test_what_cannot_be_read_is_told(catalog: Catalog, text: str) -> None:
    catalog.keep_documents(KIND, {"x": text})
    with pytest.raises(CatalogCorrupt, match="earlier file cannot be read"):
        earlier_files(catalog)


def test_the_record_is_json_that_other_tools_read(tmp_path: Path, storage: LocalStorage) -> None:
    with closing(JsonCatalog(storage, tmp_path)) as catalog:
        keep_earlier(catalog, storage, QUOTE_UNIT, commit(storage))
    assert '"relativePath":".revisions/20240116/' in (tmp_path / ".spxdata" / f"{KIND}.json").read_text()
