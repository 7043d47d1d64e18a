"""What every catalog does with documents."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from spxdata.catalog.jsonfile import JsonCatalog
from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.errors import StorageError
from spxdata.protocols import Catalog
from spxdata.storage.local import LocalStorage
from tests.contracts.test_catalog import PERSISTENT, catalog

__all__ = ["catalog"]  # a fixture: every kind of catalog, new


def test_a_document_replaces_that_of_its_key_and_kind_alone(catalog: Catalog) -> None:
    catalog.keep_documents("one", {"a": "1", "b": "2"})
    catalog.keep_documents("other", {"a": "3"})
    catalog.keep_documents("one", {"b": "4", "c": '{"x":[5]}'})
    assert catalog.documents("one") == {"a": "1", "b": "4", "c": '{"x":[5]}'}
    assert catalog.documents("other") == {"a": "3"}
    assert catalog.documents("none") == {}


def test_dropped_documents_are_gone_and_others_stay(catalog: Catalog) -> None:
    catalog.keep_documents("one", {"a": "1", "b": "2"})
    catalog.keep_documents("other", {"a": "3"})
    catalog.drop_documents("one", ["a", "never there"])
    catalog.drop_documents("none", ["a"])
    assert catalog.documents("one") == {"b": "2"}
    assert catalog.documents("other") == {"a": "3"}


@pytest.mark.parametrize("kind", PERSISTENT)
def test_documents_outlive_their_process(kind: str, tmp_path: Path) -> None:
    with closing(PERSISTENT[kind](tmp_path)) as first:
        first.keep_documents("one", {"a": "1", "b": "2"})
        first.drop_documents("one", ["b"])
    with closing(PERSISTENT[kind](tmp_path)) as second:
        assert second.documents("one") == {"a": "1"}


def test_documents_of_a_newer_json_catalog_are_refused_by_version(tmp_path: Path) -> None:
    """Reading, adding and dropping alike: an older program must not write over what it does not understand."""
    with closing(JsonCatalog(LocalStorage(tmp_path), tmp_path)) as catalog:
        catalog.keep_documents("one", {"a": "1"})
        file = tmp_path / ".spxdata" / "one.json"
        text = json.dumps({**json.loads(file.read_text()), "version": "2"})
        file.write_text(text)
        with pytest.raises(StorageError, match=r"one\.json has version 2, this spxdata knows 1 at most"):
            catalog.documents("one")
        with pytest.raises(StorageError, match="version 2"):
            catalog.keep_documents("one", {"b": "2"})
        with pytest.raises(StorageError, match="version 2"):
            catalog.drop_documents("one", ["a"])
        assert file.read_text() == text


def test_documents_of_a_newer_sqlite_catalog_are_refused_by_version(tmp_path: Path) -> None:
    """They are part of the database, whose schema says what they are."""
    path = tmp_path / ".spxdata" / "catalog.sqlite"
    with closing(SqliteCatalog(path)) as catalog:
        catalog.keep_documents("one", {"a": "1"})
        with catalog._connection.write() as sqlite:
            sqlite.execute("INSERT INTO schema_migrations (version, name) VALUES (99, 'of the future')")
    for read_only in (False, True):
        with pytest.raises(StorageError, match=r"has schema 99, this spxdata knows \d+ at most"):
            SqliteCatalog(path, read_only=read_only)
