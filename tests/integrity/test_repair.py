"""Repair restores what was lost, asks for nothing else, and deletes nothing."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.errors import ArchiveBusy, CatalogCorrupt, NewerVersion
from spxdata.integrity.repair import (
    Fetch,
    Format,
    Repaired,
    is_archive,
    open_sound,
    prepare,
    remedies,
    repair,
    restore,
    set_catalog_aside,
)
from spxdata.layout import ASIDE, CATALOG, INVENTORY, STATUS, unit_of
from spxdata.model import Scope, State, Unit, Verdict
from spxdata.pipeline.difference import Fault
from spxdata.pipeline.earlier import earlier_files
from spxdata.pipeline.edges import Encoding
from spxdata.plan import Request
from tests.builders import FakeClock
from tests.faults.harness import LATER
from tests.integrity.archives import DATES, Archive, kept_earlier
from tests.integrity.archives import request as request_of
from tests.integrity.test_verify import flip


def fetching(archive: Archive) -> Fetch:
    """Return how an archive fetches units: in the format wanted, or as it does usually."""

    def fetch(wanted: Request, file_format: Format) -> int:
        return archive.fetch(wanted, encoding=replace(archive.encoding, format=file_format or archive.encoding.format))

    return fetch


def mend(archive: Archive, *, delete: bool = False) -> Repaired:
    """Repair an archive."""
    with archive.catalog() as catalog:
        return repair(catalog, archive.storage, FakeClock(LATER), fetching(archive), delete=delete)


def asked_of(paths: list[str]) -> list[tuple[date, date]]:
    """Return trade dates and expirations of files."""
    units = map(unit_of, paths)
    return sorted((unit.trade_date, unit.expiration) for unit in units if unit.expiration)


def aside(archive: Archive) -> list[str]:
    """Return what was set aside, by its path within its folder."""
    return sorted(path.removeprefix(f"{ASIDE}/").split("/", 1)[1] for path in archive.storage.names(ASIDE))


def as_it_was(archive: Archive, pristine: Archive) -> None:
    """Assert that an archive holds what it did, and all is well."""
    assert archive.hashes() == pristine.hashes()
    assert archive.differences() == []
    assert {day.verdict for day in archive.days()} == {Verdict.COMPLETE}


def truncate(file: Path) -> None:
    """Leave the first half of a file."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def overwrite(file: Path) -> None:
    """Write zeros over the middle of a file."""
    data = bytearray(file.read_bytes())
    third = len(data) // 3
    data[third : 2 * third] = bytes(third)
    file.write_bytes(data)


def garble(file: Path) -> None:
    """Change days within cells, which SQLite cannot notice."""
    file.write_bytes(file.read_bytes().replace(b"2024-01-03", b"2O24-0l-03"))


def behead(file: Path) -> None:
    """Make a file none of ours."""
    file.write_bytes(b"not a database" + file.read_bytes()[14:])


#: The files of a catalog, by its form.
PARTS = {
    "sqlite": (CATALOG,),
    "json": (STATUS, INVENTORY, ".spxdata/contracts/20240103_SPXW_quote.json"),
}


def open_again(archive: Archive) -> tuple[str, ...]:
    """Open an archive's catalog to repair it; return where a damaged one lies now."""
    stack = ExitStack()
    with stack:
        catalog, moved = open_sound(lambda: stack.enter_context(archive.catalog()), archive.storage, FakeClock(LATER))
        assert catalog.days() == () or not moved
    return moved


class TestDamagedCatalog:
    """open_sound."""

    @pytest.mark.parametrize("harm", [truncate, overwrite, garble, behead])
    def test_it_is_recognised_kept_aside_and_made_anew(
        self, kept: Archive, pristine: Archive, harm: Callable[[Path], None]
    ) -> None:
        """In either form, whichever of its files it is; from the files alone, with no request for rows."""
        for part in PARTS[kept.kind]:
            harm(kept.folder / part)
            before = len(kept.terminal.requests)
            moved = open_again(kept)
            assert {Path(path).name for path in moved} >= {Path(path).name for path in PARTS[kept.kind]}
            assert all((kept.folder / path).is_file() for path in moved)
            assert len(mend(kept).adopted) == 9
            assert kept.asked(before) == []
            as_it_was(kept, pristine)
            assert open_again(kept) == ()

    def test_a_sound_one_stays_where_it_is(self, kept: Archive) -> None:
        """And as it is."""
        before = kept.outcomes()
        assert open_again(kept) == ()
        assert kept.outcomes() == before

    @pytest.mark.parametrize("text", ["{", '{"version": 1}'])
    def test_what_it_says_of_earlier_files_is_part_of_it(self, kept: Archive, text: str) -> None:
        """A record of them that cannot be read would stop every verification to come."""
        kept_earlier(kept, kept.files()[0])
        if kept.kind == "json":
            (kept.folder / ".spxdata" / "earlier_file.json").write_text(f'{{"version":"1","documents":{{"a":{text}}}}}')
        else:
            with closing(sqlite3.connect(kept.folder / CATALOG)) as database, database:
                database.execute("UPDATE documents SET document = ?", (text,))
        assert open_again(kept)
        assert len(mend(kept).earlier) == 1
        assert kept.differences() == []

    def test_one_that_another_process_writes_is_not_moved_away_under_it(self, archive: Archive) -> None:
        """Two would write, each in a catalog of its own."""
        garble(archive.folder / CATALOG)
        with archive.catalog() as other, other.lease(FakeClock(LATER)), pytest.raises(ArchiveBusy):
            open_again(archive)
        assert (archive.folder / CATALOG).exists()

    def test_one_of_a_newer_version_is_no_damage(self, archive: Archive) -> None:
        with closing(sqlite3.connect(archive.folder / CATALOG)) as database, database:
            database.execute("INSERT INTO schema_migrations SELECT 99, name, applied_at FROM schema_migrations LIMIT 1")
        with pytest.raises(NewerVersion):
            open_again(archive)
        assert (archive.folder / CATALOG).exists()

    def test_an_emptied_one_is_filled_again(self, archive: Archive, pristine: Archive) -> None:
        """There is nothing of it to keep."""
        (archive.folder / CATALOG).write_bytes(b"")
        assert len(mend(archive).adopted) == 9
        as_it_was(archive, pristine)

    @pytest.mark.parametrize("parts", [(STATUS,), (INVENTORY,), (STATUS, INVENTORY), PARTS["json"]])
    def test_files_of_a_json_catalog_that_are_gone_are_written_again(
        self, in_json: Archive, pristine: Archive, parts: tuple[str, ...]
    ) -> None:
        """Whichever they are; nothing that is stored is fetched."""
        for part in parts:
            (in_json.folder / part).unlink()
        before = len(in_json.terminal.requests)
        mend(in_json)
        assert in_json.asked(before) == []
        as_it_was(in_json, pristine)

    def test_its_log_goes_with_it(self, archive: Archive) -> None:
        """Left behind, it would be read into the new one."""
        (archive.folder / f"{CATALOG}-wal").write_bytes(b"log")
        moved = set_catalog_aside(archive.storage, LATER)
        assert [Path(path).name for path in moved] == ["catalog.sqlite", "catalog.sqlite-wal"]
        assert not [path for path in archive.storage.names(".spxdata") if not path.startswith(ASIDE)]


class TestForms:
    """Files of every form."""

    @pytest.mark.parametrize("form", ["mixed", "csv"])
    def test_files_of_each_kind_are_restored_in_their_format(
        self, form: str, request: pytest.FixtureRequest, tmp_path: Path
    ) -> None:
        """Of a day, an index and a rate too; whatever the settings say by then."""
        before = request.getfixturevalue(form)
        archive = replace(before.copy(tmp_path / "data"), encoding=Encoding())
        for number, path in enumerate(archive.files()):
            if number % 2:
                (archive.folder / path).unlink()
            else:
                flip(archive.folder / path, (archive.folder / path).stat().st_size // 2)
        done = mend(archive)
        assert (len(done.restored), done.exit_code) == (4, 0)
        assert archive.files() == before.files()
        as_it_was(archive, before)

    def test_without_a_catalog_decimals_are_recorded_again(self, mixed: Archive, tmp_path: Path) -> None:
        """Nothing is fetched: of the day's files neither; they are as they were."""
        archive = mixed.copy(tmp_path / "data")
        (archive.folder / CATALOG).unlink()
        before = len(archive.terminal.requests)
        assert len(mend(archive).adopted) == 4
        assert not [path for path, _ in archive.terminal.requests[before:] if "/history/" in path]
        as_it_was(archive, mixed)

    def test_without_a_catalog_csv_files_are_fetched_again_as_csv(self, csv: Archive, tmp_path: Path) -> None:
        """Nothing tells whether they are whole; they are kept aside."""
        archive = replace(csv.copy(tmp_path / "data"), encoding=Encoding())
        (archive.folder / CATALOG).unlink()
        done = mend(archive)
        assert (len(done.restored), len(done.adopted)) == (4, 0)
        assert aside(archive) == archive.files() == csv.files()
        as_it_was(archive, csv)

    def test_a_second_file_of_a_unit_goes_aside(self, archive: Archive, pristine: Archive) -> None:
        """The one on record stays."""
        path = archive.files()[0]
        parquet = (archive.folder / path).read_bytes()
        assert archive.fetch(replace(request_of(DATES[0]), force=True), encoding=Encoding(format="csv")) == 0
        (archive.folder / path).write_bytes(parquet)
        before = len(archive.terminal.requests)
        assert mend(archive).exit_code == 0
        assert (aside(archive), archive.asked(before)) == ([path], [])
        as_it_was(archive, pristine)

    def test_a_newer_file_stops_repair_before_anything_is_changed(self, archive: Archive) -> None:
        """It must neither be moved nor fetched again."""
        stranger = archive.folder / "stranger"
        stranger.write_bytes(b"?")
        unit = next(iter(archive.outcomes()))
        with archive.catalog() as catalog:
            known = catalog.outcome(unit)
            assert known
            assert known.artifact
            catalog.record(replace(known, artifact=replace(known.artifact, schema_version=2)), LATER)
        with pytest.raises(NewerVersion, match="version 2 of the columns of quote"):
            mend(archive)
        assert stranger.exists()


class TestEarlier:
    """Earlier files cannot be fetched again."""

    @pytest.fixture
    def earlier(self, kept: Archive) -> str:
        """Keep a copy of the first file as an earlier one, and return its path."""
        return kept_earlier(kept, kept.files()[0])

    def test_whole_ones_are_recorded_again(self, kept: Archive, earlier: str) -> None:
        """With the catalog lost too."""
        with kept.catalog() as catalog:
            before = earlier_files(catalog)
        for part in PARTS[kept.kind]:
            (kept.folder / part).unlink()
        for path in kept.storage.names(".spxdata"):
            if path.endswith("earlier_file.json"):
                kept.storage.remove(path)
        asked = len(kept.terminal.requests)
        done = mend(kept)
        assert ([one.artifact.path for one in done.earlier], done.exit_code) == ([earlier], 0)
        assert kept.asked(asked) == []
        with kept.catalog() as catalog:
            assert earlier_files(catalog) == before
        assert kept.differences() == []

    def test_lost_ones_are_taken_off_the_record_and_that_is_said(
        self, kept: Archive, earlier: str, pristine: Archive
    ) -> None:
        """Damaged ones are kept aside; nothing is fetched, for the vendor has other rows by now."""
        second = kept_earlier(kept, kept.files()[1])
        flip(kept.folder / earlier, 2000)
        (kept.folder / second).unlink()
        asked = len(kept.terminal.requests)
        done = mend(kept)
        assert [one.path for one in done.remedies.forget_earlier] == [earlier, second]
        assert (done.exit_code, aside(kept), kept.asked(asked)) == (1, [earlier], [])
        with kept.catalog() as catalog:
            assert earlier_files(catalog) == ()
        as_it_was(kept, pristine)
        assert mend(kept).exit_code == 0

    def test_csv_ones_that_are_not_on_record_stay(self, kept: Archive, earlier: str) -> None:
        """Also with --delete: nothing could take their place."""
        csv = earlier.replace(".parquet", ".csv")
        kept.storage.move(earlier, csv)
        for _ in range(2):
            done = mend(kept, delete=True)
            assert [one.path for one in done.remedies.mute] == [csv]
            assert (done.exit_code, (kept.folder / csv).exists()) == (1, True)


class TestInterrupted:
    """Repair ends before its time."""

    class Killed(BaseException):
        """Stands for the end of the process."""

    def test_after_any_step_the_archive_is_no_worse_and_the_next_repair_ends_it(
        self, pristine: Archive, tmp_path: Path
    ) -> None:
        """Killed at each of its steps in turn: nothing on record is missing, and the end is the same."""
        steps = 0
        for kill_at in range(100):
            archive = pristine.copy(tmp_path / str(kill_at))
            paths = archive.files()[:3]
            flip(archive.folder / paths[0], 2000)
            (archive.folder / paths[1]).unlink()
            (archive.folder / "20240102" / "stranger").write_bytes(b"?")
            killed = self.killed(archive, kill_at)
            with archive.catalog() as catalog:
                for unit, outcome in archive.outcomes().items():
                    if outcome.artifact and outcome.artifact.path not in paths:
                        assert archive.storage.size(outcome.artifact.path), unit
                catalog.check()
            before = len(archive.terminal.requests)
            mend(archive)
            assert len(archive.asked(before)) <= 2
            as_it_was(archive, pristine)
            shutil.rmtree(archive.folder)
            if not killed:
                break
            steps += 1
        assert steps > 5

    def killed(self, archive: Archive, at: int) -> bool:
        """Repair, ending at some change to catalog or disk; tell whether it came so far."""
        left = at
        killed = self.Killed

        def step() -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise killed

        class Storage(type(archive.storage)):  # type: ignore[misc]
            def move(self, path: str, to: str) -> None:
                step()
                super().move(path, to)
                step()

        class Catalog(SqliteCatalog):
            def withdraw(self, unit: Unit) -> None:
                step()
                super().withdraw(unit)
                step()

        def fetch(wanted: Request, file_format: Format) -> int:
            step()
            return fetching(archive)(wanted, file_format)

        catalog = Catalog(archive.folder / CATALOG)
        try:
            repair(catalog, Storage(archive.folder), FakeClock(LATER), fetch)
        except killed:
            return True
        finally:
            catalog.close()
        return False

    def test_without_a_terminal_what_needs_none_is_done(self, archive: Archive, pristine: Archive) -> None:
        """The units stay pending, and the next repair fetches them."""
        path = archive.files()[0]
        flip(archive.folder / path, 2000)
        with archive.catalog() as catalog:
            done = repair(catalog, archive.storage, FakeClock(LATER), lambda _, __: 75)
        assert (done.exit_code, len(done.left), aside(archive)) == (75, 1, [path])
        assert archive.outcomes()[unit_of(path)].state is State.PENDING
        assert archive.days()[0].verdict is None
        assert mend(archive).exit_code == 0
        as_it_was(archive, pristine)


class TestRebuilding:
    """What is taken from files alone, and what is asked for again."""

    def test_a_missing_expiration_of_a_day_is_asked_for_again(self, archive: Archive, pristine: Archive) -> None:
        """It was asked for too: the day's other expirations are there."""
        (archive.folder / CATALOG).unlink()
        path = "20240103/spxw_quote_exp_20240104.parquet"
        (archive.folder / path).unlink()
        before = len(archive.terminal.requests)
        done = mend(archive)
        assert archive.asked(before) == asked_of([path])
        assert done.exit_code == 0
        as_it_was(archive, pristine)

    def test_a_lone_expiration_stands_for_itself(self, archive: Archive) -> None:
        """Nothing else of its day is asked for; the day is not called complete, and what is lacking is said."""
        (archive.folder / CATALOG).unlink()
        for path in archive.files():
            if path != "20240103/spxw_quote_exp_20240105.parquet":
                (archive.folder / path).unlink()
        before = len(archive.terminal.requests)
        done = mend(archive)
        assert archive.asked(before) == []
        assert [unit.expiration for unit in done.lacking] == [date(2024, 1, 3), date(2024, 1, 4)]
        assert [(day.day.trade_date, day.verdict, day.scope) for day in archive.days()] == [
            (date(2024, 1, 3), Verdict.PARTIAL, Scope(2))
        ]

    def test_a_damaged_file_is_fetched_again_although_nobody_knows_it(
        self, archive: Archive, pristine: Archive
    ) -> None:
        """With the catalog gone too, its name tells that it was wanted."""
        (archive.folder / CATALOG).unlink()
        path = archive.files()[4]
        flip(archive.folder / path, 2000)
        before = len(archive.terminal.requests)
        mend(archive)
        assert archive.asked(before) == asked_of([path])
        assert aside(archive) == [path]
        as_it_was(archive, pristine)

    def test_a_file_that_was_not_recorded_is_recorded(self, archive: Archive, pristine: Archive) -> None:
        """As after a kill between rename and record."""
        with archive.catalog() as catalog:
            catalog.withdraw(unit_of(archive.files()[3]))
        before = len(archive.terminal.requests)
        done = mend(archive)
        assert ([*map(str, done.adopted)], archive.asked(before)) == ([str(unit_of(archive.files()[3]))], [])
        as_it_was(archive, pristine)


class TestLimits:
    """What repair does not do."""

    def test_delete_leaves_nothing_aside(self, archive: Archive, pristine: Archive) -> None:
        """Only with --delete is anything removed."""
        flip(archive.folder / archive.files()[0], 2000)
        (archive.folder / "stranger").write_bytes(b"?")
        done = mend(archive, delete=True)
        assert [one.to for one in done.taken] == [None, None]
        assert aside(archive) == []
        as_it_was(archive, pristine)

    def test_a_verdict_keeps_its_scope(self, archive: Archive) -> None:
        """A repair of one unit leaves the day's verdict speaking of what it spoke of."""
        before = {day.day: day.scope for day in archive.days()}
        flip(archive.folder / archive.files()[0], 2000)
        mend(archive)
        assert {day.day: day.scope for day in archive.days()} == before

    def test_a_unit_outside_its_day_s_scope_is_restored_too(self, archive: Archive, pristine: Archive) -> None:
        """A later run may have asked for less."""
        with archive.catalog() as catalog:
            catalog.begin_day(catalog.days()[0].day, Scope(0), LATER)
        path = archive.files()[2]
        flip(archive.folder / path, 2000)
        mend(archive)
        assert archive.hashes() == pristine.hashes()
        assert archive.days()[0].scope == Scope(0)

    def test_a_busy_archive_is_left_alone(self, archive: Archive) -> None:
        """Nothing is moved while another writes."""
        flip(archive.folder / archive.files()[0], 2000)
        with archive.catalog() as other, other.lease(FakeClock(LATER)), pytest.raises(ArchiveBusy):
            mend(archive)
        assert aside(archive) == []

    def test_a_stranger_that_cannot_be_moved_stays_and_is_said(self, archive: Archive) -> None:
        """Its name is none that an archive could have."""
        (archive.folder / "a\\b").write_bytes(b"?")
        done = mend(archive)
        assert [(one.to, bool(one.problem)) for one in done.taken] == [(None, True)]
        assert done.exit_code == 1

    def test_unfinished_files_are_swept(self, archive: Archive) -> None:
        """They are no data, as in every download."""
        (archive.folder / "20240102" / "a.parquet.0f.partial").write_bytes(b"?")
        done = mend(archive)
        assert [one.fault for one in done.remedies.unfinished] == [Fault.UNFINISHED]
        assert archive.differences() == []

    def test_the_lease_is_renewed_while_files_are_read(self, archive: Archive) -> None:
        """A long look must not pass for a dead process."""
        beats = []

        class Catalog(SqliteCatalog):
            def beat(self, at: object) -> None:
                beats.append(at)

        clock = FakeClock(LATER)
        catalog = Catalog(archive.folder / CATALOG)
        prepare(catalog, archive.storage, clock, checked=lambda _: clock.advance(4))
        catalog.close()
        assert len(beats) == 3

    def test_nothing_to_do_asks_for_nothing(self, archive: Archive) -> None:
        """Not even whether the Terminal is there."""
        with archive.catalog() as catalog:
            done = prepare(catalog, archive.storage, FakeClock(LATER))
            restore(done, catalog, self.never)
        assert not done.remedies
        assert done.exit_code == 0

    @staticmethod
    def never(_: Request, __: Format) -> int:
        raise AssertionError

    def test_a_preview_needs_no_catalog(self, archive: Archive) -> None:
        """Every whole file would be recorded."""
        (archive.folder / CATALOG).unlink()
        with archive.catalog() as catalog:
            assert len(remedies(archive.differences(), catalog).adopt) == 9
        assert remedies([], None) == remedies((), None)


def test_a_folder_of_something_else_is_no_archive(tmp_path: Path, archive: Archive) -> None:
    """Repair must never move a stranger's files about; files without a catalog are an archive all the same."""
    (tmp_path / "photo.jpg").write_bytes(b"?")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "photo.jpg").write_bytes(b"?")
    assert not is_archive(Archive(tmp_path / "elsewhere", archive.terminal).storage)
    shutil.rmtree(archive.folder / ".spxdata")
    assert is_archive(archive.storage)


def test_a_damaged_catalog_is_said(archive: Archive) -> None:
    """By name, with what to do."""
    truncate(archive.folder / CATALOG)
    with pytest.raises(CatalogCorrupt) as found, archive.catalog() as catalog:
        catalog.check()
    assert "spxdata repair" in found.value.hint
