"""Repair restores what was lost, asks for nothing else, and deletes nothing."""

import random
import shutil
from datetime import date
from pathlib import Path

import pytest

from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.errors import ArchiveBusy, CatalogCorrupt
from spxdata.integrity.difference import Fault
from spxdata.integrity.repair import (
    Repaired,
    is_archive,
    open_sound,
    prepare,
    remedies,
    repair,
    restore,
    set_catalog_aside,
)
from spxdata.layout import ASIDE, CATALOG, unit_of
from spxdata.model import Scope, State, Unit, Verdict
from spxdata.plan import Request
from tests.builders import FakeClock
from tests.integrity.archives import DATES, LATER, Archive, request
from tests.integrity.test_verify import flip


def mend(archive: Archive, *, delete: bool = False) -> Repaired:
    """Repair an archive."""
    with archive.catalog() as catalog:
        return repair(catalog, archive.storage, FakeClock(LATER), archive.fetch, delete=delete)


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


class TestAcceptance:
    """Harm of every kind at once."""

    STRANGERS = (
        "20240102/spxw_quote_exp_20240108.parquet",
        "20240103/notes.txt",
        "20240109/copy of spxw.parquet",
        "unknown.bin",
        "other/folder/file.csv",
    )

    def test_every_harm_is_named_and_undone(self, whole: Archive, tmp_path: Path) -> None:
        """50 bytes flipped, 10 files deleted, 10 truncated, 5 strangers: 75 lines, and requests for 70 units."""
        archive = whole.copy(tmp_path / "data")
        chance = random.Random(5)  # noqa: S311 - which bytes does not matter, only that they are the same ones
        paths = chance.sample(archive.files(), 70)
        flipped, deleted, truncated = paths[:50], paths[50:60], paths[60:]
        for path in flipped:
            flip(archive.folder / path, chance.randrange((archive.folder / path).stat().st_size))
        for path in deleted:
            (archive.folder / path).unlink()
        for path in truncated:
            file = archive.folder / path
            file.write_bytes(file.read_bytes()[: chance.randrange(file.stat().st_size)])
        for name in self.STRANGERS:
            (archive.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (archive.folder / name).write_bytes(b"what is this?")
        harmed = {path: (archive.folder / path).read_bytes() for path in (*flipped, *truncated, *self.STRANGERS)}

        assert [(one.sign.value, one.path) for one in archive.differences()] == sorted(
            [("-", path) for path in deleted]
            + [("*", path) for path in (*flipped, *truncated)]
            + [("+", path) for path in self.STRANGERS],
            key=lambda line: line[1],
        )

        before = len(archive.terminal.requests)
        done = mend(archive)
        assert archive.asked(before) == asked_of(paths)
        lists = {path for path, _ in archive.terminal.requests[before:] if "/option/history/" not in path}
        assert not any("list" in path for path in lists), "contract lists are in the catalog"
        assert (len(done.restored), done.left, done.exit_code) == (70, [], 0)
        as_it_was(archive, whole)
        assert {one.difference.path: (archive.folder / one.to).read_bytes() for one in done.taken if one.to} == harmed

        before = len(archive.terminal.requests)
        assert not mend(archive).remedies
        assert len(archive.terminal.requests) == before

    def test_a_catalog_that_is_gone_is_made_from_the_files(self, whole: Archive, tmp_path: Path) -> None:
        """Without a request for rows; the contract lists are asked for again."""
        archive = whole.copy(tmp_path / "data")
        (archive.folder / CATALOG).unlink()
        before = len(archive.terminal.requests)
        done = mend(archive)
        assert archive.asked(before) == []
        assert len(done.adopted) == 84
        assert (done.exit_code, done.taken, done.lacking) == (0, [], [])
        as_it_was(archive, whole)
        artifacts = {unit: one.artifact for unit, one in whole.outcomes().items()}
        assert {unit: one.artifact for unit, one in archive.outcomes().items()} == artifacts
        lists = [query["date"] for path, query in archive.terminal.requests[before:] if "/list/contracts/" in path]
        assert sorted(lists) == sorted([str(day) for day in DATES] * 2)
        before = len(archive.terminal.requests)
        assert archive.fetch(request()) == 0
        assert archive.asked(before) == []


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
    """Make a file no database."""
    file.write_bytes(b"not a database" + file.read_bytes()[14:])


class TestDamagedCatalog:
    """open_sound."""

    @pytest.mark.parametrize("harm", [truncate, overwrite, garble, behead])
    def test_it_is_recognised_kept_aside_and_made_anew(self, archive: Archive, pristine: Archive, harm: object) -> None:
        """From the files alone, with no request for rows."""
        assert callable(harm)
        harm(archive.folder / CATALOG)
        damaged = (archive.folder / CATALOG).read_bytes()
        before = len(archive.terminal.requests)
        catalog, moved = open_sound(lambda: SqliteCatalog(archive.folder / CATALOG), archive.storage, FakeClock(LATER))
        catalog.close()
        assert Path(moved[0]).name == "catalog.sqlite"
        assert (archive.folder / moved[0]).read_bytes() == damaged
        assert len(mend(archive).adopted) == 9
        assert archive.asked(before) == []
        as_it_was(archive, pristine)

    def test_a_sound_one_stays_where_it_is(self, archive: Archive) -> None:
        """And as it is."""
        before = archive.outcomes()
        catalog, moved = open_sound(lambda: SqliteCatalog(archive.folder / CATALOG), archive.storage, FakeClock(LATER))
        catalog.close()
        assert moved == ()
        assert archive.outcomes() == before

    def test_an_emptied_one_is_filled_again(self, archive: Archive, pristine: Archive) -> None:
        """There is nothing of it to keep."""
        (archive.folder / CATALOG).write_bytes(b"")
        assert len(mend(archive).adopted) == 9
        as_it_was(archive, pristine)

    def test_its_log_goes_with_it(self, archive: Archive) -> None:
        """Left behind, it would be read into the new one."""
        (archive.folder / f"{CATALOG}-wal").write_bytes(b"log")
        moved = set_catalog_aside(archive.storage, LATER)
        assert [Path(path).name for path in moved] == ["catalog.sqlite", "catalog.sqlite-wal"]
        assert not [path for path in archive.storage.names(".spxdata") if not path.startswith(ASIDE)]


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

        def fetch(wanted: Request) -> int:
            step()
            return archive.fetch(wanted, lambda _: None)

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
            done = repair(catalog, archive.storage, FakeClock(LATER), lambda _: 75)
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
    def never(_: Request) -> int:
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
