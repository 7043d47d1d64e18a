"""Rows of an archive are what its files hold, whatever form these have; only files that can matter are opened."""

import asyncio
import shutil
from datetime import date, time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner
from polars.testing import assert_frame_equal

import spxdata
from spxdata import Emulator, download
from spxdata.analysis.archive import Archive, open_archive
from spxdata.analysis.files import row_types
from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.cli.group import cli
from spxdata.errors import ChecksumMismatch, ConfigError
from spxdata.flags import Flag
from spxdata.layout import CATALOG
from spxdata.model import Verdict
from spxdata.pipeline.earlier import keep_earlier
from spxdata.pipeline.read import frames
from spxdata.schema import DATASETS
from spxdata.storage.local import LocalStorage
from tests.analysis.conftest import QUICK, START
from tests.builders import NOW

DAY = date(2024, 1, 16)
UNCLEAN = int(Flag.SENTINEL | Flag.REPEATED | Flag.SUPERSEDED | Flag.OUT_OF_SESSION)


def held(folder: Path, *patterns: str) -> pl.DataFrame:
    """Return the rows of files, read without the archive."""
    storage = LocalStorage(folder)
    paths = sorted(file.relative_to(folder).as_posix() for pattern in patterns for file in folder.glob(pattern))
    return pl.concat(frame for path in paths for frame in frames(storage, path))


@pytest.mark.parametrize("name", ["greeks", "quote", "trade", "ohlc", "open_interest", "index_price", "interest_rate"])
def test_a_scan_without_conditions_has_all_rows_of_all_files(name: str, archive: Archive, folder: Path) -> None:
    """In the order of days and expirations, in canonical types."""
    patterns = {
        "greeks": "2*/spxw_exp_*",
        "open_interest": "2*/spxw_open_interest*",
        "index_price": "2*/spx_index_price*",
        "interest_rate": "2*/sofr_interest_rate*",
    }
    found = archive.scan(name, flags="all").collect()
    assert_frame_equal(found, held(folder, patterns.get(name, f"2*/spxw_{name}_*")))
    assert dict(found.schema) == row_types(DATASETS[name])


@pytest.mark.parametrize(
    ("choice", "condition"),
    [
        ({"start": "2024-01-17"}, pl.col("trade_date") == date(2024, 1, 17)),
        ({"end": DAY}, pl.col("trade_date") == DAY),
        ({"root": "spxw", "expiration": "2024-01-18"}, pl.col("expiration") == date(2024, 1, 18)),
        ({"dte": (0, 1)}, (pl.col("expiration") - pl.col("trade_date")).dt.total_days() <= 1),
        ({"dte": 1}, (pl.col("expiration") - pl.col("trade_date")).dt.total_days() == 1),
        ({"dte": [0, 2]}, (pl.col("expiration") - pl.col("trade_date")).dt.total_days().is_in([0, 2])),
        ({"right": "put"}, pl.col("right") == "PUT"),
        ({"strike": (4700, 4750)}, pl.col("strike").is_between(4700, 4750)),
        ({"strike": [4700, 4800]}, pl.col("strike").is_in([4700.0, 4800.0])),
        ({"delta": (-0.30, -0.05)}, pl.col("delta").is_between(-0.30, -0.05)),
        ({"moneyness": (0.99, 1.0)}, (pl.col("strike") / pl.col("underlying_price")).is_between(0.99, 1.0)),
        ({"times": ("10:00", "15:45")}, pl.col("timestamp").dt.time().is_between(time(10), time(15, 45))),
        ({"times": ["10:00", time(15, 45)]}, pl.col("timestamp").dt.time().is_in([time(10), time(15, 45)])),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_a_scan_has_the_rows_that_fulfil_its_conditions(
    choice: dict[str, Any], condition: pl.Expr, archive: Archive, folder: Path
) -> None:
    """And no others; the usual unclean rows are left out."""
    everything = held(folder, "2*/spxw_exp_*").filter((pl.col("flags") & UNCLEAN) == 0)
    found = archive.scan("greeks", **choice).collect()
    assert_frame_equal(found, everything.filter(condition))
    assert 0 < found.height < everything.height


def test_flags_choose_rows(archive: Archive, folder: Path) -> None:
    """Clean rows, all, or all but those with some flags."""
    everything = held(folder, "2*/spxw_exp_*")
    assert archive.scan("greeks", flags="all").select(pl.len()).collect().item() == everything.height
    zero = archive.scan("greeks", flags="zero_bid").collect()
    assert zero.height == everything.filter((pl.col("flags") & int(Flag.ZERO_BID)) == 0).height < everything.height


@pytest.fixture(scope="module")
def forms(terminal: Emulator, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One day of quotes, greeks and trades, stored in each form."""
    settings = {
        "float64": {},
        "decimal": {"SPXDATA_STORAGE__NUMBERS": "decimal"},
        "csv": {"SPXDATA_STORAGE__FORMAT": "csv"},
    }
    folders = {}
    for form, environ in settings.items():
        folders[form] = tmp_path_factory.mktemp(form)
        download(
            START,
            datasets=["quote", "greeks", "trade"],
            max_dte=0,
            data_dir=folders[form],
            terminal=terminal.url,
            environ={**QUICK, **environ},
        )
    return folders


@pytest.mark.parametrize("form", ["decimal", "csv"])
@pytest.mark.parametrize("name", ["quote", "greeks", "trade"])
def test_every_form_of_file_gives_the_same_rows(form: str, name: str, forms: dict[str, Path]) -> None:
    """Numbers are float64, to the last bit."""
    with open_archive(forms["float64"]) as plain, open_archive(forms[form]) as other:
        assert_frame_equal(
            other.scan(name, flags="all").collect(), plain.scan(name, flags="all").collect(), check_exact=True
        )


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """A copy of the archive, to be harmed."""
    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy"


class TestTrust:
    """A file that is not the recorded one is not read."""

    def test_only_files_that_can_matter_are_opened(self, copy: Path) -> None:
        """All others may be gone."""
        kept = copy / "20240116/spxw_quote_exp_20240118.parquet"
        for file in copy.glob("2*/*"):
            if file != kept:
                file.unlink()
        with open_archive(copy) as archive:
            found = archive.scan("quote", start=DAY, end=DAY, expiration="2024-01-18", right="C", strike=4750)
            assert found.collect().height > 0
            with pytest.raises(ChecksumMismatch, match="not there"):
                archive.scan("quote", start=DAY, end=DAY)

    def test_a_file_of_another_size_is_refused(self, copy: Path) -> None:
        file = copy / "20240116/spxw_quote_exp_20240118.parquet"
        file.write_bytes(file.read_bytes()[:-100])
        with open_archive(copy) as archive, pytest.raises(ChecksumMismatch, match="not what was stored"):
            archive.scan("quote")

    def test_a_flipped_byte_is_found_where_that_is_wanted(self, copy: Path) -> None:
        file = copy / "20240116/spxw_quote_exp_20240118.parquet"
        data = bytearray(file.read_bytes())
        data[1000] ^= 1
        file.write_bytes(data)
        with open_archive(copy, verify_on_read=True) as archive, pytest.raises(ChecksumMismatch, match="SHA-256"):
            archive.scan("quote")


class TestWhatIsThere:
    """datasets, days, coverage, repr."""

    def test_datasets_and_days_say_what_the_archive_has(self, archive: Archive, folder: Path) -> None:
        days = archive.days
        assert days.height == 2 * 7
        assert set(days["verdict"]) == {"complete"}
        one = archive.datasets.row(by_predicate=pl.col("dataset") == "quote", named=True)
        assert (one["first"], one["last"], one["days"]) == (DAY, date(2024, 1, 17), 2)
        assert one["rows"] == held(folder, "2*/spxw_quote_*").height
        assert "quote 1m SPXW: 2024-01-16 to 2024-01-17, 2 days" in repr(archive)

    def test_certificates_are_there_once_they_are_issued(self, copy: Path) -> None:
        with open_archive(copy) as archive:
            assert archive.coverage.is_empty()
            assert CliRunner().invoke(cli, ["coverage", "--data-dir", str(copy)]).exit_code == 0
            found = archive.coverage
        assert found.height == 2 * 7
        assert found["complete"].all()

    def test_days_that_are_not_complete_can_be_left_out(self, terminal: Emulator, tmp_path: Path) -> None:
        """Here one that was never published."""
        download(START, datasets=["quote"], max_dte=0, data_dir=tmp_path, terminal=terminal.url, environ=QUICK)
        with open_archive(tmp_path) as archive:
            assert archive.scan("quote", complete_only=True).collect().height > 0
        catalog = SqliteCatalog(tmp_path / CATALOG)
        (status,) = catalog.days()
        catalog.end_day(status.day, Verdict.PARTIAL, None, NOW)
        catalog.close()
        with open_archive(tmp_path) as archive:
            assert archive.scan("quote", complete_only=True).collect().is_empty()
            assert archive.scan("quote").collect().height > 0


def test_it_works_under_a_running_event_loop(archive: Archive) -> None:
    """As in a notebook."""

    async def ask() -> int:
        return archive.scan("index_price").collect().height

    assert asyncio.run(ask()) > 0


def test_it_opens_by_its_public_name_and_says_where_nothing_is(folder: Path, tmp_path: Path) -> None:
    with spxdata.open(folder) as archive:
        assert isinstance(archive, Archive)
    with pytest.raises(ConfigError, match="no archive"):
        spxdata.open(tmp_path)


def test_nothing_found_is_an_empty_table(archive: Archive) -> None:
    """With all its columns."""
    found = archive.scan("eod").collect()
    assert found.is_empty()
    assert dict(found.schema) == row_types(DATASETS["eod"])


def test_rows_of_an_earlier_moment_come_from_the_earlier_file(terminal: Emulator, tmp_path: Path) -> None:
    """The vendor has revised a day, and both were kept: each moment has its own."""
    download(START, datasets=["quote"], max_dte=0, data_dir=tmp_path, terminal=terminal.url, environ=QUICK)
    with open_archive(tmp_path) as archive:
        before = archive.scan("quote").collect()
    catalog, storage = SqliteCatalog(tmp_path / CATALOG), LocalStorage(tmp_path)
    (status,) = catalog.days()
    (outcome,) = catalog.outcomes(status.day)
    assert outcome.artifact
    keep_earlier(catalog, storage, outcome.unit, outcome.artifact)
    catalog.close()
    with Emulator(seed=2) as revised:
        download(
            START, datasets=["quote"], max_dte=0, data_dir=tmp_path, terminal=revised.url, environ=QUICK, force=True
        )
    with open_archive(tmp_path) as now, open_archive(tmp_path, as_of=outcome.artifact.provenance.fetched_at) as then:
        assert_frame_equal(then.scan("quote").collect(), before)
        assert not now.scan("quote").collect().equals(before)
    with open_archive(tmp_path, as_of="2020-01-01") as never:
        assert never.scan("quote").collect().is_empty()
