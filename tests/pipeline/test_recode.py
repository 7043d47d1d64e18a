"""A file in another encoding is proved before anybody relies on it."""

from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from spxdata import Emulator, download
from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.errors import ChecksumMismatch, StorageError
from spxdata.layout import CATALOG, path_of
from spxdata.model import Outcome
from spxdata.pipeline.edges import Encoding
from spxdata.pipeline.read import footer
from spxdata.pipeline.recode import is_encoded, recode
from spxdata.storage.aside import Aside
from spxdata.storage.local import LocalStorage
from tests.builders import FakeClock

ENCODINGS = (Encoding(), Encoding(numbers="decimal"), Encoding("csv"))


@pytest.fixture(scope="module")
def folder(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an archive of one unit, stored as float64; to be looked at only."""
    folder = tmp_path_factory.mktemp("one")
    quick = {"SPXDATA_TERMINAL__PACING": "0"}
    download("2024-01-16", datasets=["greeks"], max_dte=0, data_dir=folder, terminal=emulator.url, environ=quick)
    return folder


@pytest.fixture(scope="module")
def outcome(folder: Path) -> Outcome:
    """Return how its unit stands."""
    catalog = SqliteCatalog(folder / CATALOG, read_only=True)
    (status,) = catalog.days()
    (found,) = catalog.outcomes(status.day)
    catalog.close()
    return found


class Lying(LocalStorage):
    """A disk that gives other bytes than it took.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._folder = root

    def open(self, path: str) -> BinaryIO:
        """Open a file in which a byte has changed."""
        data = bytearray((self._folder / path).read_bytes())
        data[5000] ^= 1
        (self._folder / path).write_bytes(data)
        return super().open(path)


@pytest.mark.parametrize("encoding", ENCODINGS, ids=str)
def test_the_new_file_has_the_rows_provenance_and_content_hash_of_the_old_one(
    encoding: Encoding, folder: Path, outcome: Outcome, tmp_path: Path
) -> None:
    target = LocalStorage(tmp_path)
    new = recode(LocalStorage(folder), target, outcome, encoding, FakeClock())
    assert new
    assert outcome.artifact
    assert new.path == path_of(outcome.unit, encoding.format)
    assert (new.content_hash, new.rows, new.provenance) == (
        outcome.artifact.content_hash,
        outcome.artifact.rows,
        outcome.artifact.provenance,
    )
    assert new.bytes == target.size(new.path)
    assert is_encoded(target, outcome.unit, new, encoding)
    assert [is_encoded(target, outcome.unit, new, one) for one in ENCODINGS].count(True) == 1
    if encoding.format == "parquet":
        said = footer(target, new.path)
        assert (said.unit, said.content_hash, bool(said.decimals)) == (
            outcome.unit,
            new.content_hash,
            encoding.numbers == "decimal",
        )


@pytest.mark.parametrize("encoding", ENCODINGS, ids=str)
def test_a_disk_that_gives_back_other_bytes_is_found_out(
    encoding: Encoding, folder: Path, outcome: Outcome, tmp_path: Path
) -> None:
    before = (folder / path_of(outcome.unit)).read_bytes()
    with pytest.raises(StorageError, match="does not read back"):
        recode(LocalStorage(folder), Lying(tmp_path), outcome, encoding, FakeClock())
    assert (folder / path_of(outcome.unit)).read_bytes() == before


def test_rows_that_are_not_the_recorded_ones_leave_no_file(folder: Path, outcome: Outcome, tmp_path: Path) -> None:
    assert outcome.artifact
    other = replace(outcome, artifact=replace(outcome.artifact, content_hash="1:other"))
    with pytest.raises(ChecksumMismatch, match="other rows"):
        recode(LocalStorage(folder), Aside(LocalStorage(tmp_path), ".spxdata/x"), other, Encoding("csv"), FakeClock())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_unit_without_a_file_cannot_be_written_anew(folder: Path, outcome: Outcome) -> None:
    bare = replace(outcome, artifact=None)
    with pytest.raises(ValueError, match="is not stored"):
        recode(LocalStorage(folder), LocalStorage(folder), bare, Encoding("csv"), FakeClock())
