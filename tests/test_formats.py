"""Formats and numbers, from the settings to the files and back."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from spxdata import Emulator, download
from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.downloader import Summary
from spxdata.events import Event, as_record
from spxdata.layout import CATALOG
from spxdata.model import Artifact, Verdict
from spxdata.pipeline.read import frames
from spxdata.storage.local import LocalStorage
from tests.builders import FakeClock

TUESDAY, FRIDAY = date(2024, 1, 16), date(2024, 1, 19)
LATER = datetime(2024, 3, 1, 15, 0, tzinfo=UTC)


class Archive:
    """An archive in a folder that one unit is downloaded into, in some format."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url

    def run(self, file_format: str, numbers: str = "float64", **changes: Any) -> Summary:
        """Download the unit, as a user who set the settings."""
        settings = {"SPXDATA_STORAGE__FORMAT": file_format, "SPXDATA_STORAGE__NUMBERS": numbers}
        place: dict[str, Any] = {"data_dir": self.folder, "terminal": self.url}
        return download(TUESDAY, expirations=[FRIDAY], environ=settings, clock=FakeClock(LATER), **place, **changes)

    def files(self) -> list[str]:
        """Return the suffixes of the files of the day."""
        return [file.suffix for file in sorted(self.folder.glob("2024*/*"))]

    def artifact(self) -> Artifact:
        """Return what the catalog says of the one file."""
        catalog = SqliteCatalog(self.folder / CATALOG, read_only=True)
        try:
            (outcome,) = catalog.outcomes(catalog.days()[0].day)
        finally:
            catalog.close()
        assert outcome.artifact
        return outcome.artifact

    def rows(self) -> pl.DataFrame:
        """Return the rows of the one file."""
        return pl.concat(frames(LocalStorage(self.folder), self.artifact().path))


@pytest.fixture
def archive(tmp_path: Path, emulator: Emulator) -> Archive:
    """Return an empty archive."""
    return Archive(tmp_path / "data", emulator.url)


def test_every_form_of_a_day_reads_back_equal(archive: Archive) -> None:
    archive.run("parquet")
    rows, content = archive.rows(), archive.artifact().content_hash
    sizes = [archive.artifact().bytes]
    for file_format, numbers in (("parquet", "decimal"), ("csv", "float64")):
        archive.run(file_format, numbers, force=True)
        assert archive.rows().equals(rows)
        assert archive.artifact().content_hash == content
        sizes.append(archive.artifact().bytes)
    plain, decimal, csv = sizes
    assert decimal < plain < csv


def test_a_unit_stored_in_the_other_format_counts_as_stored(archive: Archive) -> None:
    archive.run("csv")
    before = archive.artifact()
    again = archive.run("parquet")
    assert (again.finished.skipped, again.finished.rows) == (1, 0)
    assert archive.artifact() == before
    assert archive.files() == [".csv"]


@pytest.mark.parametrize(("before", "after"), [("csv", "parquet"), ("parquet", "csv")])
def test_storing_it_again_in_the_other_format_leaves_one_file(archive: Archive, before: str, after: str) -> None:
    archive.run(before)
    summary = archive.run(after, force=True)
    assert summary.days[0].verdict is Verdict.COMPLETE
    assert archive.files() == [f".{after}"]
    assert archive.artifact().format == after


class Killed(BaseException):
    """What no command survives."""


@pytest.mark.parametrize(("before", "after"), [("csv", "parquet"), ("parquet", "csv")])
@pytest.mark.parametrize("again", ["csv", "parquet"])
@pytest.mark.parametrize("moment", ["file_renamed", "unit_recorded"])
def test_whoever_dies_between_two_formats_leaves_one_of_them_to_the_next_run(
    archive: Archive, before: str, after: str, again: str, moment: str
) -> None:
    """Before the record nobody knows which file is newer, and it is fetched; after it the one on record stays."""
    archive.run(before)
    old = {path: path.read_bytes() for path in archive.folder.glob("2024*/*")}

    def die(event: Event) -> None:
        if as_record(event, LATER)["event"] == moment:
            raise Killed

    with pytest.raises(Killed):
        archive.run(after, force=True, emit=die)
    for path, body in old.items():
        path.write_bytes(body)  # as a process that is killed cannot remove it
    assert archive.files() == [".csv", ".parquet"]
    summary = archive.run(again)
    assert summary.days[0].verdict is Verdict.COMPLETE
    kept = again if moment == "file_renamed" else after
    assert archive.files() == [f".{kept}"]
    assert archive.artifact().format == kept
    assert (summary.finished.rows > 0) == (moment == "file_renamed")


def test_storing_it_again_in_the_same_format_keeps_its_file(archive: Archive) -> None:
    archive.run("csv")
    before = archive.artifact()
    archive.run("csv", force=True)
    assert archive.files() == [".csv"]
    assert archive.artifact().sha256 == before.sha256


def test_a_csv_file_that_the_catalog_lost_is_fetched_again(archive: Archive) -> None:
    archive.run("csv")
    (archive.folder / CATALOG).unlink()
    again = archive.run("csv")
    assert again.finished.rows == archive.artifact().rows > 0
    assert archive.files() == [".csv"]


def test_a_csv_file_that_was_cut_is_fetched_again(archive: Archive) -> None:
    archive.run("csv")
    (file,) = archive.folder.glob("2024*/*.csv")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    archive.run("csv")
    assert file.read_bytes() == whole
