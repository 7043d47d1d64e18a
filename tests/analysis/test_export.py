"""Exports have the rows of a scan, in every format; they go on where they were stopped, and follow the archive."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.dataset as pads
import pytest
from click.testing import CliRunner
from polars.testing import assert_frame_equal

from spxdata import Emulator, download
from spxdata.analysis.archive import Archive, open_archive
from spxdata.analysis.export import FORMATS, Change, Export
from spxdata.analysis.export_duckdb import BUILDING
from spxdata.analysis.export_folder import MANIFEST
from spxdata.analysis.wanted import wanted
from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.cli.group import cli
from spxdata.emulator import Fault
from spxdata.errors import ArchiveBusy, ConfigError
from spxdata.flags import Flag
from spxdata.layout import CATALOG, PARTIAL
from spxdata.model import Verdict
from spxdata.storage.lock import alone
from tests.analysis.conftest import DATASETS, END, QUICK, START
from tests.builders import NOW

ROOT = Path(__file__).parent.parent.parent
DAY = date(2024, 1, 16)
FOLDERS = ("parquet", "csv", "arrow", "hive")


def place(folder: Path, form: str) -> Path:
    """Return where to export to."""
    return folder / ("out.duckdb" if form == "duckdb" else f"out {form}")


def changes(done: Export) -> Counter[Change]:
    """Return how often each came of a day."""
    return Counter(one.change for one in done.days)


def canonical(found: pl.DataFrame, like: pl.DataFrame) -> pl.DataFrame:
    """Return exported rows in the types of a scan."""
    casts = []
    for name, kind in like.schema.items():
        column = pl.col(name)
        if isinstance(kind, pl.Datetime) and found.schema[name] == pl.String:
            column = column.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%z", time_unit="us")
        if isinstance(kind, pl.Datetime):
            column = column.dt.convert_time_zone("America/New_York")
        if kind == pl.Date and found.schema[name] == pl.String:
            column = column.str.to_date()
        casts.append(column.cast(kind))
    return found.select(casts)


def exported(destination: Path, form: str, dataset: str, like: pl.DataFrame) -> pl.DataFrame:
    """Return the exported rows of a dataset, as any other program would read them."""
    if form == "duckdb":
        with duckdb.connect(str(destination), read_only=True) as connection:
            found = connection.sql(f"select * from {dataset}").pl()  # noqa: S608 - words of ours
    elif form == "hive":
        found = pl.read_parquet(destination / f"dataset={dataset}", hive_partitioning=True)
    else:
        files = sorted(destination.glob(f"{dataset}_*/*"))
        read: Any = {
            "parquet": pl.read_parquet,
            "csv": partial(pl.read_csv, infer_schema=False),
            "arrow": pl.read_ipc,
        }[form]
        found = pl.concat([read(file) for file in files])
    keys = [name for name in ("trade_date", "expiration", "strike", "right") if name in like.columns]
    order = [*keys, *(name for name, kind in like.schema.items() if isinstance(kind, pl.Datetime))]
    return canonical(found, like).sort(order, maintain_order=True)


def in_order(rows: pl.DataFrame) -> pl.DataFrame:
    """Return a scan's rows in the order of `exported`."""
    keys = [name for name in ("trade_date", "expiration", "strike", "right") if name in rows.columns]
    return rows.sort([*keys, *(name for name, kind in rows.schema.items() if isinstance(kind, pl.Datetime))])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an archive of two days of small chains."""
    folder = tmp_path_factory.mktemp("small")
    with Emulator(chain="small", seed=1, tier="professional", index_tier="value") as terminal:
        summary = download(
            START, END, datasets=DATASETS, max_dte=2, data_dir=folder, terminal=terminal.url, environ=QUICK
        )
    assert {str(day.verdict) for day in summary.days} == {"complete"}
    return folder


@pytest.fixture(scope="module")
def archive(folder: Path) -> Iterator[Archive]:
    """The archive, open."""
    with open_archive(folder) as found:
        yield found


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """A copy of the archive, to be changed."""
    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy"


class TestRows:
    """What is written."""

    @pytest.mark.parametrize("form", FORMATS)
    def test_every_format_has_the_rows_of_a_scan(self, form: str, archive: Archive, tmp_path: Path) -> None:
        """All datasets: of expirations, of the day, an index, a rate; numbers as float64, moments as moments."""
        destination = place(tmp_path, form)
        done = archive.export(destination, format=form)
        assert changes(done) == {Change.WRITTEN: 14}
        assert done.exit_code == 0
        rows = 0
        for dataset in archive.datasets["dataset"]:
            like = archive.scan(dataset).collect()
            assert_frame_equal(exported(destination, form, dataset, like), in_order(like), check_exact=True)
            rows += like.height
        assert done.rows == rows

    def test_rows_are_chosen_as_in_a_scan(self, archive: Archive, tmp_path: Path) -> None:
        choice: dict[str, Any] = {"dte": (0, 1), "right": "PUT", "delta": (-0.5, -0.1), "times": ("10:00", "11:00")}
        archive.export(tmp_path / "out", datasets=["greeks"], start=END, flags="all", **choice)
        like = archive.scan("greeks", start=END, flags="all", **choice).collect()
        assert like.height > 0
        assert_frame_equal(exported(tmp_path / "out", "parquet", "greeks", like), in_order(like), check_exact=True)
        assert [file.name for file in (tmp_path / "out").glob("*/*")] == ["2024-01-17_SPXW.parquet"]

    def test_hive_folders_are_partitions_to_polars_duckdb_and_pyarrow(self, archive: Archive, tmp_path: Path) -> None:
        archive.export(tmp_path / "out", format="hive", datasets=["greeks"])
        expected = archive.scan("greeks", start=DAY, end=DAY).collect().height
        assert (tmp_path / "out" / "dataset=greeks" / "trade_date=2024-01-16").is_dir()
        lazy = pl.scan_parquet(tmp_path / "out" / "**" / "*.parquet", hive_partitioning=True)
        found = lazy.filter(pl.col("trade_date") == DAY, pl.col("dataset") == "greeks", pl.col("root") == "SPXW")
        assert found.select(pl.len()).collect().item() == expected
        source = f"read_parquet('{tmp_path}/out/**/*.parquet', hive_partitioning = true)"
        query = f"select count(*) from {source} where trade_date = date '2024-01-16' and \"interval\" = '1m'"  # noqa: S608
        assert duckdb.execute(query).fetchall() == [(expected,)]
        table = pads.dataset(tmp_path / "out" / "dataset=greeks", format="parquet", partitioning="hive")
        assert table.count_rows(filter=pads.field("trade_date") == "2024-01-16") == expected

    def test_a_table_of_duckdb_tells_root_and_interval(self, archive: Archive, tmp_path: Path) -> None:
        archive.export(tmp_path / "out.duckdb", datasets=["greeks", "index_price"])  # known by its ending
        with duckdb.connect(str(tmp_path / "out.duckdb"), read_only=True) as connection:
            assert connection.sql('select distinct root, "interval" from greeks').fetchall() == [("SPXW", "1m")]
            assert connection.sql("select distinct root from index_price").fetchall() == [("SPX",)]

    def test_every_form_of_archive_gives_the_same_bytes(self, copy: Path, archive: Archive, tmp_path: Path) -> None:
        """The archive's encoding does not show."""
        archive.export(tmp_path / "one", format="csv", datasets=["quote", "interest_rate"])
        assert CliRunner().invoke(cli, ["convert", "--format", "csv", "--data-dir", str(copy)]).exit_code == 0
        with open_archive(copy) as other:
            other.export(tmp_path / "two", format="csv", datasets=["quote", "interest_rate"])
        assert tree(tmp_path / "one") == tree(tmp_path / "two")


def tree(folder: Path) -> dict[str, bytes]:
    """Return all files by path."""
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


class TestAgain:
    """What is there already."""

    @pytest.mark.parametrize("form", FORMATS)
    def test_the_second_time_nothing_is_written(self, form: str, archive: Archive, tmp_path: Path) -> None:
        destination = place(tmp_path, form)
        first = archive.export(destination, format=form, datasets=["quote", "index_price"])
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*") if path.name != MANIFEST}
        again = archive.export(destination, format=form, datasets=["quote", "index_price"])
        assert changes(again) == {Change.KEPT: 4}
        assert again.rows == first.rows
        assert {path: path.stat().st_mtime_ns for path in before} == before

    @pytest.mark.parametrize("form", FORMATS)
    def test_other_days_and_datasets_are_added(self, form: str, archive: Archive, tmp_path: Path) -> None:
        destination = place(tmp_path, form)
        archive.export(destination, format=form, datasets=["quote"], end=START)
        grown = archive.export(destination, format=form, datasets=["quote", "trade"])
        assert changes(grown) == {Change.KEPT: 1, Change.WRITTEN: 3}
        for dataset in ("quote", "trade"):
            like = archive.scan(dataset).collect()
            assert_frame_equal(exported(destination, form, dataset, like), in_order(like), check_exact=True)

    @pytest.mark.parametrize("form", ["parquet", "duckdb"])
    def test_a_day_of_which_other_rows_were_stored_is_written_again(
        self, form: str, copy: Path, tmp_path: Path
    ) -> None:
        """And only that; one whose file is gone at the destination, too."""
        destination = place(tmp_path, form)
        with open_archive(copy) as archive:
            archive.export(destination, format=form, datasets=["index_price", "interest_rate"])
        with Emulator(chain="small", seed=2, tier="professional", index_tier="value") as other:
            download(END, datasets=["index_price"], data_dir=copy, terminal=other.url, environ=QUICK, force=True)
        with open_archive(copy) as archive:
            again = archive.export(destination, format=form, datasets=["index_price", "interest_rate"])
            assert changes(again) == {Change.KEPT: 3, Change.WRITTEN: 1}
            like = archive.scan("index_price").collect()
        assert_frame_equal(exported(destination, form, "index_price", like), in_order(like), check_exact=True)
        if form == "parquet":
            next(destination.glob("interest_rate*/*")).unlink()
            with open_archive(copy) as archive:
                healed = archive.export(destination, datasets=["index_price", "interest_rate"])
            assert changes(healed) == {Change.KEPT: 3, Change.WRITTEN: 1}

    @pytest.mark.parametrize("form", FORMATS)
    def test_a_day_that_is_not_complete_is_named_or_left_out(self, form: str, copy: Path, tmp_path: Path) -> None:
        """And goes, where it was there and is not wanted any more."""
        destination = place(tmp_path, form)
        with open_archive(copy) as archive:
            archive.export(destination, format=form, datasets=["quote"], complete_only=True)
        catalog = SqliteCatalog(copy / CATALOG)
        status = next(one for one in catalog.days() if (one.day.dataset, one.day.trade_date) == ("quote", DAY))
        catalog.end_day(status.day, Verdict.PARTIAL, None, NOW)
        catalog.close()
        with open_archive(copy) as archive:
            with_all = archive.export(place(tmp_path / "all", form), format=form, datasets=["quote"])
            assert [one.day for one in with_all.partial] == [status.day]
            assert with_all.exit_code == 1
            assert with_all.rows == archive.scan("quote").collect().height
            less = archive.export(destination, format=form, datasets=["quote"], complete_only=True)
            assert changes(less) == {Change.KEPT: 1, Change.REMOVED: 1}
            assert less.exit_code == 0
            like = archive.scan("quote", complete_only=True).collect()
        assert_frame_equal(exported(destination, form, "quote", like), in_order(like), check_exact=True)

    @pytest.mark.parametrize("form", FORMATS)
    def test_a_damaged_file_costs_its_day_and_no_other(self, form: str, copy: Path, tmp_path: Path) -> None:
        (stored,) = copy.glob("20240116/*index_price*")
        stored.write_bytes(stored.read_bytes()[:-10])
        with open_archive(copy) as archive:
            done = archive.export(place(tmp_path, form), format=form, datasets=["index_price", "quote"])
            assert changes(done) == {Change.WRITTEN: 3, Change.DAMAGED: 1}
            assert done.exit_code == 5
            like = archive.scan("index_price", start=END).collect()
        assert_frame_equal(exported(place(tmp_path, form), form, "index_price", like), in_order(like))


class TestRefused:
    """Destinations that are not written."""

    @pytest.mark.parametrize("form", FORMATS)
    def test_another_choice_of_rows_is_refused_unless_it_is_forced(
        self, form: str, archive: Archive, tmp_path: Path
    ) -> None:
        destination = place(tmp_path, form)
        archive.export(destination, format=form, datasets=["quote"], dte=(0, 1))
        with pytest.raises(ConfigError, match=r"another choice: rows .*'to': '1.0'.* there, \{\} now"):
            archive.export(destination, format=form, datasets=["quote"])
        archive.export(destination, format=form, datasets=["quote"], force=True)
        like = archive.scan("quote").collect()
        assert_frame_equal(exported(destination, form, "quote", like), in_order(like), check_exact=True)

    def test_another_format_is_refused_and_with_force_takes_the_place(self, archive: Archive, tmp_path: Path) -> None:
        archive.export(tmp_path / "out", format="csv", datasets=["quote"])
        with pytest.raises(ConfigError, match="format 'csv' there, 'hive' now"):
            archive.export(tmp_path / "out", format="hive", datasets=["quote"])
        archive.export(tmp_path / "out", format="hive", datasets=["quote"], force=True)
        assert not list((tmp_path / "out").rglob("*.csv"))

    @pytest.mark.parametrize("below", [".", "export", "20240116/x"])
    def test_the_archive_itself_is_no_destination(self, below: str, archive: Archive, folder: Path) -> None:
        with pytest.raises(ConfigError, match="within the archive"):
            archive.export(folder / below)

    def test_a_link_into_the_archive_is_no_destination(self, archive: Archive, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(folder)
        with pytest.raises(ConfigError, match="within the archive"):
            archive.export(tmp_path / "link" / "out")

    def test_files_of_others_are_not_written_beside(self, archive: Archive, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("mine")
        with pytest.raises(ConfigError, match=r"no export's, such as notes\.txt"):
            archive.export(tmp_path, datasets=["quote"])
        (tmp_path / "a.duckdb").write_text("no database")
        with pytest.raises(ConfigError, match="no export that can be read"):
            archive.export(tmp_path / "a.duckdb", datasets=["quote"])
        archive.export(tmp_path, datasets=["index_price"], force=True)
        assert (tmp_path / "notes.txt").read_text() == "mine"

    def test_a_manifest_that_cannot_be_read_is_named(self, archive: Archive, tmp_path: Path) -> None:
        archive.export(tmp_path / "out", datasets=["index_price"])
        manifest = tmp_path / "out" / MANIFEST
        text = manifest.read_text()
        for damaged in ("{", "[]", json.dumps({**json.loads(text), "files": [{}]})):
            manifest.write_text(damaged)
            with pytest.raises(ConfigError, match="none of ours, or damaged"):
                archive.export(tmp_path / "out", datasets=["index_price"])
        manifest.write_text(json.dumps({**json.loads(text), "version": 2}))
        with pytest.raises(ConfigError, match="newer spxdata"):
            archive.export(tmp_path / "out", datasets=["index_price"])
        assert changes(archive.export(tmp_path / "out", datasets=["index_price"], force=True)) == {Change.WRITTEN: 2}

    @pytest.mark.parametrize("form", ["parquet", "duckdb"])
    def test_two_at_once_are_kept_apart(self, form: str, archive: Archive, tmp_path: Path) -> None:
        destination = place(tmp_path, form)
        lock = destination / ".export.lock" if form == "parquet" else tmp_path / "out.duckdb.lock"
        with alone(lock, destination), pytest.raises(ArchiveBusy, match="Another process writes"):
            archive.export(destination, format=form, datasets=["index_price"])
        assert archive.export(destination, format=form, datasets=["index_price"]).exit_code == 0
        assert not lock.exists()

    @pytest.mark.parametrize(
        ("choice", "words"),
        [
            ({"format": "xlsx"}, "'xlsx' is none"),
            ({"datasets": ["trade_quote"]}, "has no trade_quote"),
            ({"start": "2025-01-02"}, "nothing of these days"),
            ({"datasets": ["index_price"], "dte": 1}, "has no expiration"),
        ],
    )
    def test_what_cannot_be_exported_is_said(
        self, choice: dict[str, Any], words: str, archive: Archive, tmp_path: Path
    ) -> None:
        with pytest.raises(ConfigError, match=words):
            archive.export(tmp_path / "out", **choice)
        assert not (tmp_path / "out").exists()

    def test_a_file_is_no_folder_and_a_folder_no_file(self, archive: Archive, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(ConfigError, match="is no folder"):
            archive.export(tmp_path / "file", datasets=["index_price"])
        with pytest.raises(ConfigError, match="is a folder"):
            archive.export(tmp_path, datasets=["index_price"], format="duckdb")


def test_a_day_whose_flags_have_changed_is_written_anew(tmp_path: Path) -> None:
    """Rows are chosen by flags, of which the content hash says nothing."""
    lists = Fault(do="short", dataset="contracts", nth=[1, 2, 3, 4], contracts=20)
    with Emulator(seed=1, faults=[lists]) as terminal:
        for force in (False, True):
            download(
                START,
                datasets=["quote"],
                max_dte=3,
                data_dir=tmp_path / "data",
                terminal=terminal.url,
                environ=QUICK,
                force=force,
            )
            with open_archive(tmp_path / "data") as archive:
                done = archive.export(tmp_path / "out", flags=["unlisted"])
                assert done.rows == archive.scan("quote", flags=["unlisted"]).select(pl.len()).collect().item()
                unlisted = archive.scan("quote", flags="all").filter(pl.col("flags") & int(Flag.UNLISTED) > 0)
                assert (unlisted.select(pl.len()).collect().item() == 0) is force


@pytest.mark.parametrize("form", sorted(set(FORMATS) - {"duckdb"}))
def test_the_first_manifest_of_a_killed_export_is_swept(form: str, archive: Archive, tmp_path: Path) -> None:
    """What others may have left unfinished in the folder is not touched."""
    theirs = tmp_path / f"theirs.0123abcd{PARTIAL}"
    for name in (f"export.json.0123abcd{PARTIAL}", theirs.name):
        (tmp_path / name).write_bytes(b"{")
    archive.export(tmp_path, datasets=["index_price"], format=form)
    assert list(tmp_path.rglob(f"*{PARTIAL}")) == [theirs]


@pytest.mark.parametrize("form", FORMATS)
class TestKilled:
    """`kill -9` at any moment: nothing unfinished has a final name, and the same command ends as undisturbed."""

    def test_after_a_day(self, form: str, folder: Path, archive: Archive, tmp_path: Path) -> None:
        """What was through is not written again."""
        destination = place(tmp_path, form)
        arguments = [str(folder), str(destination), form, "5"]
        killed = subprocess.run(
            [sys.executable, "-m", "tests.analysis.killed_export", *arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert destination.exists() is (form != "duckdb")
        done = archive.export(destination, format=form)
        assert changes(done) == {Change.KEPT: 5, Change.WRITTEN: 9}
        self.require_whole(form, archive, destination)

    def test_at_random(self, form: str, folder: Path, archive: Archive, tmp_path: Path) -> None:
        """Again and again, while rows are written."""
        dice = random.Random(form)  # noqa: S311 - which moments does not matter
        destination = place(tmp_path, form)
        command = [sys.executable, "-m", "spxdata", "export", str(destination), "--format", form]
        for _ in range(2):
            process = subprocess.Popen([*command, "--data-dir", str(folder)], stdout=subprocess.PIPE, cwd=tmp_path)
            until = time.monotonic() + 20
            while process.poll() is None and not list(tmp_path.rglob(f"*{PARTIAL}")) + list(tmp_path.rglob("*.wal")):
                assert time.monotonic() < until
            time.sleep(dice.random() * 0.2)
            process.kill()
            process.communicate()
            if form == "duckdb" and destination.exists():
                assert process.returncode == 0
        archive.export(destination, format=form)
        self.require_whole(form, archive, destination)

    def require_whole(self, form: str, archive: Archive, destination: Path) -> None:
        """All rows are there, and nothing is left over."""
        for dataset in archive.datasets["dataset"]:
            like = archive.scan(dataset).collect()
            assert_frame_equal(exported(destination, form, dataset, like), in_order(like), check_exact=True)
        left = [file.name for file in destination.parent.rglob("*") if file.suffix in {PARTIAL, ".wal", BUILDING}]
        assert left == []


def test_memory_is_bounded_by_a_row_group_not_by_a_day(archive: Archive) -> None:
    """Rows come in pieces of a unit's file."""
    pieces = list(archive._shelf.frames(wanted("quote", start=START, end=START)))
    assert len(pieces) >= 3
    assert pl.concat(pieces).height == archive.scan("quote", start=START, end=START).collect().height
