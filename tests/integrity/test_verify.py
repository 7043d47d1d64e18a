"""Verification names what is wrong, and nothing else."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.errors import ChecksumMismatch
from spxdata.integrity.difference import Checked, Difference, Fault, Sign
from spxdata.integrity.verify import compare, is_sorted, trusted, verify
from spxdata.model import Artifact, Outcome, Unit
from spxdata.pipeline.parquet_file import METADATA_KEY
from spxdata.pipeline.read import checksum
from tests.integrity.archives import DATES, LATER, Archive


def file_of(archive: Archive, number: int = 0) -> Path:
    """Return one of the archive's files."""
    return archive.folder / archive.files()[number]


def path_of_file(archive: Archive, number: int = 0) -> str:
    """Return the path of one of the archive's files."""
    return archive.files()[number]


def flip(file: Path, at: int) -> None:
    """Change one byte."""
    data = bytearray(file.read_bytes())
    data[at] ^= 0x55
    file.write_bytes(data)


def summary(found: list[Difference]) -> list[tuple[str, Fault, str]]:
    """Return what matters of differences."""
    return [(one.sign.value, one.fault, one.path) for one in found]


class TestOfAnArchive:
    """verify."""

    def test_an_archive_as_it_was_downloaded_is_well(self, pristine: Archive) -> None:
        """Looked at in either way."""
        assert pristine.differences() == []
        assert pristine.differences(quick=True) == []

    @pytest.mark.parametrize("at", [4, 2000, -5, -1])
    def test_a_changed_byte_anywhere_is_found(self, archive: Archive, at: int) -> None:
        """In the rows, in the footer, in the mark at the end."""
        flip(file_of(archive), at)
        assert summary(archive.differences()) == [("*", Fault.CHECKSUM, path_of_file(archive))]

    def test_a_quick_look_finds_sizes_and_footers(self, archive: Archive) -> None:
        """But not what lies within the rows."""
        files = archive.files()
        flip(archive.folder / files[0], 2000)
        (archive.folder / files[1]).write_bytes((archive.folder / files[1]).read_bytes() + b"x")
        flip(archive.folder / files[2], -1)
        (archive.folder / files[3]).unlink()
        assert summary(archive.differences(quick=True)) == [
            ("*", Fault.SIZE, files[1]),
            ("!", Fault.UNREADABLE, files[2]),
            ("-", Fault.MISSING, files[3]),
        ]

    def test_files_that_the_catalog_does_not_know_are_told_apart(self, archive: Archive) -> None:
        """A whole one of ours, one that is only named so, one that is not finished, and any other."""
        path = path_of_file(archive)
        (unit,) = [unit for unit, one in archive.outcomes().items() if one.artifact and one.artifact.path == path]
        with archive.catalog() as catalog:
            catalog.withdraw(unit)
        strangers = ["notes.txt", "20240102/readme", "20240102/spxw_exp_20240103.parquet", "20990102/a/b.parquet"]
        for name in [*strangers, f"{path}.0f.partial"]:
            (archive.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (archive.folder / name).write_bytes(b"stranger")
        assert sorted(summary(archive.differences())) == sorted(
            [
                ("+", Fault.FORGOTTEN, path),
                ("+", Fault.UNFINISHED, f"{path}.0f.partial"),
                *(("+", Fault.STRANGER, name) for name in strangers),
            ]
        )

    def test_what_lies_beside_the_trade_dates_by_right_is_not_unknown(self, archive: Archive) -> None:
        """The JSON catalog, settings, private folders of ours and of others."""
        for name in ["status.json", "inventory.json", ".env", ".git/config", ".spxdata/logs/a", ".spxdata/aside/b/c"]:
            (archive.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (archive.folder / name).write_bytes(b"{}")
        assert archive.differences() == []

    def test_a_good_file_under_another_s_name_is_no_file_of_that_unit(self, archive: Archive) -> None:
        """On record or not: its footer says whose it is."""
        first, second = archive.files()[:2]
        other = first.replace("_exp_20240102", "_exp_20240105")
        (archive.folder / other).write_bytes(file_of(archive).read_bytes())
        (archive.folder / second).write_bytes(file_of(archive).read_bytes())
        assert {(one.path, one.sign.value) for one in archive.differences()} == {(other, "+"), (second, "*")}

    def test_without_a_catalog_all_files_are_unknown(self, pristine: Archive) -> None:
        """And whole ones are known for what they are."""
        found = list(verify(None, pristine.storage))
        assert {one.fault for one in found} == {Fault.FORGOTTEN}
        assert [one.path for one in found] == pristine.files()

    def test_dates_limit_what_is_looked_at(self, archive: Archive) -> None:
        """In the catalog and on disk; what lies in no trade date's folder is left out."""
        for path in archive.files():
            flip(archive.folder / path, 2000)
        (archive.folder / "notes").write_bytes(b"")
        with archive.catalog() as catalog:
            found = list(verify(catalog, archive.storage, start=DATES[1], end=DATES[2]))
            later = list(verify(catalog, archive.storage, start=DATES[2]))
        assert {one.path[:8] for one in found} == {f"{day:%Y%m%d}" for day in DATES[1:3]}
        assert (len(found), len(later)) == (6, 3)

    def test_it_says_how_far_it_is(self, pristine: Archive) -> None:
        """Before the first file and after each, in files and bytes, on any number of threads."""
        told: list[Checked] = []
        with pristine.catalog() as catalog:
            assert list(verify(catalog, pristine.storage, told=told.append, workers=3)) == []
        assert [one.files for one in told] == list(range(10))
        assert told[0][2] == 0
        assert told[-1].files == told[-1].of_files == 9
        assert (
            told[-1].bytes == told[-1].of_bytes == sum((pristine.folder / p).stat().st_size for p in pristine.files())
        )

    def test_a_file_that_is_replaced_meanwhile_is_no_difference(self, archive: Archive) -> None:
        """A download beside it: what the catalog says by then counts."""
        path = path_of_file(archive)
        unit, known = next((u, o) for u, o in archive.outcomes().items() if o.artifact and o.artifact.path == path)
        replaced = rewritten(archive, known, lambda table: table)
        with archive.catalog() as catalog:
            done = False

            def told(_: Checked) -> None:
                nonlocal done
                if not done:
                    done = True
                    catalog.record(replaced, LATER)

            assert list(verify(catalog, archive.storage, told=told)) == []
            assert catalog.outcome(unit) == replaced


def rewritten(
    archive: Archive, known: Outcome, change: Callable[[pa.Table], pa.Table], document: dict[str, Any] | None = None
) -> Outcome:
    """Write a file anew in another form, and return an outcome that says so truly of its bytes."""
    assert known.artifact
    file = archive.folder / known.artifact.path
    parquet = pq.ParquetFile(file)
    said = json.loads(parquet.metadata.metadata[METADATA_KEY]) | (document or {})
    table = change(parquet.read()).replace_schema_metadata({METADATA_KEY: json.dumps(said)})
    pq.write_table(table, file, compression="gzip", write_page_checksum=True)
    size, sha256 = checksum(archive.storage, known.artifact.path)
    return replace(known, artifact=replace(known.artifact, bytes=size, sha256=sha256))


class TestOfOneFile:
    """compare: each thing that may be wrong although the bytes are the recorded ones."""

    @staticmethod
    def found(archive: Archive, outcome: Outcome) -> tuple[Fault, str] | None:
        assert outcome.artifact
        one = compare(archive.storage, outcome.unit, outcome.artifact)
        return (one.fault, one.what) if one else None

    @pytest.fixture
    def known(self, archive: Archive) -> Outcome:
        """Return the outcome of the archive's first unit."""
        return next(iter(archive.outcomes().values()))

    def test_another_encoding_of_the_same_rows_is_right(self, archive: Archive, known: Outcome) -> None:
        """Or the tests below would prove nothing."""
        assert self.found(archive, rewritten(archive, known, lambda table: table)) is None

    def test_rows_in_another_order(self, archive: Archive, known: Outcome) -> None:
        """By one row."""
        changed = rewritten(archive, known, lambda table: table.take([1, 0, *range(2, table.num_rows)]))
        assert self.found(archive, changed) == (
            Fault.ORDER,
            "rows are not sorted by strike, right, timestamp",
        )

    def test_a_row_less(self, archive: Archive, known: Outcome) -> None:
        """The footer's own number tells."""
        assert known.artifact
        changed = rewritten(archive, known, lambda table: table.slice(1))
        rows = known.artifact.rows
        assert self.found(archive, changed) == (Fault.ROWS, f"rows in the footer: {rows - 1} instead of {rows}")

    def test_another_value(self, archive: Archive, known: Outcome) -> None:
        """The content hash, recomputed, is another one."""

        def change(table: pa.Table) -> pa.Table:
            frame = pl.from_arrow(table)
            assert isinstance(frame, pl.DataFrame)
            asks = frame["ask"].to_list()
            asks[7] += 0.01
            column = table.schema.get_field_index("ask")
            return table.set_column(column, table.schema.field(column), pa.array(asks, pa.float64()))

        found = self.found(archive, rewritten(archive, known, change))
        assert found
        assert found[0] is Fault.CONTENT

    def test_a_column_less(self, archive: Archive, known: Outcome) -> None:
        """Columns are compared by name, type and order."""
        changed = rewritten(archive, known, lambda table: table.drop_columns(["ask_size"]))
        assert self.found(archive, changed) == (Fault.COLUMNS, "the columns are not those of quote, version 1")

    @pytest.mark.parametrize(
        ("document", "fault"),
        [
            ({"content_hash": "1:00"}, Fault.CONTENT),
            ({"schema_version": 2}, Fault.FOOTER),
            (
                {
                    "unit": {
                        "trade_date": "2024-01-03",
                        "root": "SPXW",
                        "dataset": "quote",
                        "interval": "1m",
                        "expiration": "2024-01-03",
                    }
                },
                Fault.FOOTER,
            ),
            ({"unit": None}, Fault.UNREADABLE),
        ],
    )
    def test_a_footer_that_says_something_else(
        self, archive: Archive, known: Outcome, document: dict[str, Any], fault: Fault
    ) -> None:
        """Of hash, version or unit; or nothing that makes sense."""
        found = self.found(archive, rewritten(archive, known, lambda table: table, document))
        assert found
        assert found[0] is fault

    def test_a_file_that_may_not_be_read(self, archive: Archive, known: Outcome) -> None:
        """The system's words are told, and it is neither missing nor different."""
        assert known.artifact

        class Broken(io.BytesIO):
            def read(self, _: int | None = -1, /) -> bytes:
                raise OSError(5, "Input/output error")

        class Unreadable(type(archive.storage)):  # type: ignore[misc]
            def open(self, _: str) -> Broken:
                return Broken()

        one = compare(Unreadable(archive.folder), known.unit, known.artifact)
        assert one == Difference(Fault.UNREADABLE, known.artifact.path, "[Errno 5] Input/output error", known.unit)
        assert one.sign is Sign.UNREADABLE
        assert one.is_damage


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("ab"), st.integers(0, 3)), max_size=12))
def test_sorted_means_what_python_means(rows: list[tuple[int, str, int]]) -> None:
    """By all columns, the first one first; equal rows may stand in any order."""
    frame = pl.DataFrame(rows, schema={"a": pl.Int64, "b": pl.String, "c": pl.Int64}, orient="row")
    assert is_sorted(frame) == (rows == sorted(rows))


class TestReading:
    """trusted."""

    @staticmethod
    def one(archive: Archive) -> tuple[Unit, Artifact]:
        unit, outcome = next(iter(archive.outcomes().items()))
        assert outcome.artifact
        return unit, outcome.artifact

    def test_a_file_as_it_was_stored_may_be_read(self, pristine: Archive) -> None:
        """With and without looking at every byte."""
        _, artifact = self.one(pristine)
        with pristine.catalog() as catalog:
            assert trusted(catalog, pristine.storage, artifact) == artifact
            assert trusted(catalog, pristine.storage, artifact, verify_on_read=True) == artifact

    def test_another_size_or_footer_is_refused_with_path_and_advice(self, archive: Archive) -> None:
        """What to do stands in the hint."""
        _, artifact = self.one(archive)
        flip(archive.folder / artifact.path, -1)
        with archive.catalog() as catalog, pytest.raises(ChecksumMismatch, match=artifact.path) as refused:
            trusted(catalog, archive.storage, artifact)
        assert "spxdata repair" in refused.value.hint
        (archive.folder / artifact.path).unlink()
        with archive.catalog() as catalog, pytest.raises(ChecksumMismatch, match="not there"):
            trusted(catalog, archive.storage, artifact)

    def test_a_changed_byte_is_refused_when_that_is_asked_for(self, archive: Archive) -> None:
        """Size and footer do not tell of it."""
        _, artifact = self.one(archive)
        flip(archive.folder / artifact.path, 2000)
        with archive.catalog() as catalog:
            trusted(catalog, archive.storage, artifact)
            with pytest.raises(ChecksumMismatch, match="SHA-256"):
                trusted(catalog, archive.storage, artifact, verify_on_read=True)

    def test_a_file_that_was_replaced_since_is_read_as_it_is_now(self, archive: Archive) -> None:
        """A reader beside a download must not stumble."""
        unit, artifact = self.one(archive)
        newer = rewritten(archive, archive.outcomes()[unit], lambda table: table)
        with archive.catalog() as catalog:
            catalog.record(newer, LATER)
            assert trusted(catalog, archive.storage, artifact, verify_on_read=True) == newer.artifact


def test_paths_of_days_without_a_session_are_strangers(archive: Archive) -> None:
    """Outside the table of sessions too."""
    day = date(1999, 1, 5)
    name = f"{day:%Y%m%d}/spxw_quote_exp_{day:%Y%m%d}.parquet"
    (archive.folder / name).parent.mkdir()
    (archive.folder / name).write_bytes(file_of(archive).read_bytes())
    assert summary(archive.differences()) == [("+", Fault.STRANGER, name)]
