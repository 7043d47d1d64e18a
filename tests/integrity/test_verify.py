"""Verification names what is wrong, and nothing else."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from spxdata.catalog.memory import MemoryCatalog
from spxdata.errors import NewerVersion
from spxdata.integrity.verify import verify
from spxdata.layout import original_of, revision_path
from spxdata.model import Outcome, State
from spxdata.pipeline.difference import Checked, Difference, Fault
from spxdata.pipeline.earlier import forget_earlier
from spxdata.pipeline.edges import Encoding
from spxdata.storage.local import LocalStorage
from tests.faults.harness import LATER
from tests.integrity.archives import DATES, Archive, kept_earlier, request
from tests.pipeline.builders import QUOTE, QUOTE_UNIT, frame_of, rows_of, stored_frame
from tests.pipeline.test_versions import FORM_0, MADE_UP, artifact_of, parquet, put, to_0


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

    @pytest.mark.parametrize("encoding", [Encoding(numbers="decimal"), Encoding(format="csv")])
    def test_files_that_are_replaced_meanwhile_are_no_difference(self, archive: Archive, encoding: Encoding) -> None:
        """A download beside it: what the catalog says by then counts, be it another format."""
        before = archive.outcomes()
        with archive.catalog() as catalog:
            done = False

            def told(_: Checked) -> None:
                nonlocal done
                if not done:
                    done = True
                    assert archive.fetch(replace(request(DATES[0]), force=True), encoding=encoding) == 0

            assert list(verify(catalog, archive.storage, told=told)) == []
        assert sum(before[unit] != one for unit, one in archive.outcomes().items()) == 3


class TestForms:
    """Files and catalogs of every form."""

    def test_with_a_catalog_in_json_it_is_the_same(self, kept: Archive) -> None:
        """Nothing is wrong; then something is."""
        assert kept.differences() == kept.differences(quick=True) == []
        files = kept.files()
        flip(kept.folder / files[0], 2000)
        (kept.folder / files[1]).unlink()
        assert summary(kept.differences()) == [("*", Fault.CHECKSUM, files[0]), ("-", Fault.MISSING, files[1])]

    @pytest.mark.parametrize("form", ["mixed", "csv"])
    def test_files_of_each_kind_are_well_as_they_were_stored(
        self, form: str, request: pytest.FixtureRequest, tmp_path: Path
    ) -> None:
        """Of a day, an index and a rate too; decimals and CSV; and a byte that changed is found in each."""
        archive = request.getfixturevalue(form).copy(tmp_path / "data")
        files = archive.files()
        assert [path.partition("/")[2].partition(".")[0] for path in files] == [
            "sofr_interest_rate",
            "spx_index_price",
            "spxw_exp_20240116",
            "spxw_open_interest",
        ]
        assert archive.differences() == archive.differences(quick=True) == []
        for path in files:
            flip(archive.folder / path, (archive.folder / path).stat().st_size // 2)
        assert summary(archive.differences()) == [("*", Fault.CHECKSUM, path) for path in files]

    def test_an_unknown_csv_file_is_no_whole_file_of_ours(self, csv: Archive) -> None:
        """It does not say what it is; decimals do."""
        found = list(verify(None, csv.storage))
        assert {(one.fault, one.what) for one in found} == {
            (Fault.STRANGER, "not in the catalog, and a CSV file does not say what it is")
        }
        assert [one.path for one in found] == csv.files()

    def test_unknown_decimals_are_whole_files(self, mixed: Archive) -> None:
        assert {one.fault for one in verify(None, mixed.storage)} == {Fault.FORGOTTEN}

    def test_a_second_file_of_a_unit_is_a_stranger_however_whole(self, archive: Archive) -> None:
        """Left by a run that was killed when it had stored the unit in another format."""
        path = archive.files()[0]
        parquet = (archive.folder / path).read_bytes()
        assert archive.fetch(replace(request(DATES[0]), force=True), encoding=Encoding(format="csv")) == 0
        (archive.folder / path).write_bytes(parquet)
        (found,) = archive.differences()
        assert (found.fault, found.path) == (Fault.STRANGER, path)
        assert found.what == f"not in the catalog, which has {path.replace('parquet', 'csv')} instead"

    def test_files_of_an_older_version_are_well(self, tmp_path: Path) -> None:
        """On record or not; without their version in the table they are damaged."""
        storage, catalog = LocalStorage(tmp_path), MemoryCatalog()
        rows = stored_frame(frame_of(rows_of())).sort("strike", "right", "timestamp", maintain_order=True)
        data, content_hash = parquet(to_0(rows), FORM_0)
        put(storage, data)
        assert [one.fault for one in verify(catalog, storage, older=MADE_UP)] == [Fault.FORGOTTEN]
        artifact = replace(artifact_of(storage, 0, content_hash), rows=rows.height)
        catalog.record(Outcome(QUOTE_UNIT, State.STORED, artifact=artifact), LATER)
        assert list(verify(catalog, storage, older=MADE_UP)) == []
        assert [one.fault for one in verify(catalog, storage)] == [Fault.UNREADABLE]

    @pytest.mark.parametrize("quick", [False, True])
    @pytest.mark.parametrize("on_record", [False, True])
    def test_a_file_of_a_newer_version_is_an_error_that_names_it(
        self, on_record: bool, quick: bool, tmp_path: Path
    ) -> None:
        """It is no damage: nobody may fetch it again, or move it."""
        storage, catalog = LocalStorage(tmp_path), MemoryCatalog()
        data, content_hash = parquet(stored_frame(frame_of(rows_of())), QUOTE, schema_version=2)
        put(storage, data)
        if on_record:
            artifact = artifact_of(storage, 2, content_hash)
            catalog.record(Outcome(QUOTE_UNIT, State.STORED, artifact=artifact), LATER)
        with pytest.raises(NewerVersion, match="version 2 of the columns of quote"):
            list(verify(catalog, storage, quick=quick))


class TestEarlier:
    """Files that lie in .revisions."""

    @pytest.fixture
    def earlier(self, archive: Archive) -> str:
        """Keep a copy of the first file as an earlier one, and return its path."""
        return kept_earlier(archive, archive.files()[0])

    def test_on_record_they_are_well(self, archive: Archive, earlier: str) -> None:
        assert (archive.folder / earlier).exists()
        assert archive.differences() == archive.differences(quick=True) == []

    def test_they_are_looked_at_like_any_file(self, archive: Archive, earlier: str) -> None:
        """Damaged, or gone; within the days that are asked for."""
        flip(archive.folder / earlier, 2000)
        assert summary(archive.differences()) == [("*", Fault.CHECKSUM, earlier)]
        with archive.catalog() as catalog:
            assert list(verify(catalog, archive.storage, start=DATES[1])) == []
            assert len(list(verify(catalog, archive.storage, end=DATES[0]))) == 1
        (archive.folder / earlier).unlink()
        assert summary(archive.differences()) == [("-", Fault.MISSING, earlier)]

    def test_those_that_the_catalog_does_not_know_are_told_apart(self, archive: Archive, earlier: str) -> None:
        """Whole ones, those of another moment or unit, CSV, strangers, and such that are not finished."""
        with archive.catalog() as catalog:
            forget_earlier(catalog, [earlier])
        data = (archive.folder / earlier).read_bytes()
        place, at = original_of(earlier)
        other_moment, other_unit = revision_path(place, at + timedelta(hours=1)), revision_path(archive.files()[1], at)
        csv = revision_path(place.replace(".parquet", ".csv"), at)
        for path in (other_moment, other_unit, csv, ".revisions/notes.txt", f"{earlier}.0f.partial"):
            (archive.folder / path).write_bytes(data)
        expected = {
            earlier: Fault.FORGOTTEN,
            other_moment: Fault.STRANGER,
            other_unit: Fault.STRANGER,
            csv: Fault.MUTE,
            ".revisions/notes.txt": Fault.STRANGER,
            f"{earlier}.0f.partial": Fault.UNFINISHED,
        }
        for quick in (False, True):
            found = archive.differences(quick=quick)
            assert {one.path: one.fault for one in found} == expected
            assert {one.sign.value for one in found} == {"+"}


def test_paths_of_days_without_a_session_are_strangers(archive: Archive) -> None:
    """Outside the table of sessions too."""
    day = date(1999, 1, 5)
    name = f"{day:%Y%m%d}/spxw_quote_exp_{day:%Y%m%d}.parquet"
    (archive.folder / name).parent.mkdir()
    (archive.folder / name).write_bytes(file_of(archive).read_bytes())
    assert summary(archive.differences()) == [("+", Fault.STRANGER, name)]
