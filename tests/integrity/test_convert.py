"""An archive in another encoding: the same rows, whatever happens meanwhile."""

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from spxdata import Emulator
from spxdata.errors import ArchiveBusy, DiskFull, StorageError
from spxdata.integrity.convert import KIND, Change, convert, exit_code
from spxdata.integrity.repair import Fetch, Repaired, repair
from spxdata.layout import CONVERTED, PARTIAL, paths_of
from spxdata.model import Contract, Hole, HoleKind, Outcome, State, Unit, Verdict
from spxdata.pipeline.content import ContentHash
from spxdata.pipeline.difference import Checked
from spxdata.pipeline.edges import Encoding
from spxdata.pipeline.read import footer, stored_frames
from spxdata.schema import DATASETS
from spxdata.storage.local import LocalStorage
from tests.builders import NOW
from tests.integrity.archives import DATES, MIXED, Archive, Steps, converted, later, opened
from tests.integrity.archives import request as request_of

ROOT = Path(__file__).parent.parent.parent
FLOATS, DECIMALS, CSV = Encoding(), Encoding(numbers="decimal"), Encoding("csv")
#: From one encoding to another: under the same name; under another one; from a file that says nothing of itself.
WAYS = {"decimal": (FLOATS, DECIMALS), "csv": (FLOATS, CSV), "parquet": (CSV, FLOATS)}
#: What may come next after a run that was stopped.
REMEDIES = ("convert", "repair", "download")


def rows(archive: Archive) -> dict[Unit, pl.DataFrame]:
    """Return the rows of all that is stored."""
    return {
        unit: pl.concat(stored_frames(archive.storage, one.artifact.path))
        for unit, one in archive.outcomes().items()
        if one.artifact
    }


def without_files(archive: Archive) -> dict[Unit, Outcome]:
    """Return how every unit stands, but for its file and the number of tries."""
    return {unit: replace(one, artifact=None, attempts=1) for unit, one in archive.outcomes().items()}


def changes(archive: Archive, encoding: Encoding, steps: Steps | None = None) -> dict[str, Change]:
    """Convert an archive; return what came of each file."""
    return {one.path: one.change for one in converted(archive.folder, encoding, kind=archive.kind, steps=steps)}


def repaired(archive: Archive) -> Repaired:
    """Repair an archive; nothing may be fetched but what lies there."""

    def fetch(request: object, _: object) -> int:
        return archive.fetch(request)  # type: ignore[arg-type]  # a Request

    found: Fetch = fetch
    with archive.catalog() as catalog:
        return repair(catalog, archive.storage, later(), found)


class TestWhole:
    """Nothing goes wrong."""

    def test_rows_verdicts_and_holes_stay_through_every_encoding(self, mixed: Archive, tmp_path: Path) -> None:
        """Decimals, CSV, float64, decimals: of the day, an expiration, an index, a rate."""
        archive = mixed.copy(tmp_path / "data")
        for encoding in (CSV, FLOATS, DECIMALS):
            assert set(changes(archive, encoding).values()) == {Change.CONVERTED}
            assert archive.hashes() == mixed.hashes()
            assert without_files(archive) == without_files(mixed)
            assert [(one.day, one.verdict, one.status, one.scope, one.rows) for one in archive.days()] == [
                (one.day, one.verdict, one.status, one.scope, one.rows) for one in mixed.days()
            ]
            assert archive.differences() == []
            assert len(archive.files()) == len(mixed.files())
            assert {Path(path).suffix for path in archive.files()} == {f".{encoding.format}"}
            found = rows(archive)
            for unit, frame in rows(mixed).items():
                assert_frame_equal(found[unit], frame, check_exact=True)
        assert {path: footer(archive.storage, path).decimals for path in archive.files()} == {
            path: footer(mixed.storage, path).decimals for path in mixed.files()
        }

    def test_sums_of_days_are_those_of_the_new_files(self, archive: Archive) -> None:
        before = archive.days()
        changes(archive, CSV)
        for old, new in zip(before, archive.days(), strict=True):
            files = list(archive.folder.glob(f"{new.day.trade_date:%Y%m%d}/*"))
            assert (new.files, new.bytes) == (len(files), sum(file.stat().st_size for file in files))
            assert new.checksum != old.checksum

    def test_files_that_are_so_already_are_left_alone(self, archive: Archive, mixed: Archive, tmp_path: Path) -> None:
        decimals = mixed.copy(tmp_path / "mixed")
        for one, encoding in ((archive, FLOATS), (decimals, DECIMALS)):
            before = {path: (one.folder / path).stat().st_mtime_ns for path in one.files()}
            assert set(changes(one, encoding).values()) == {Change.KEPT}
            assert {path: (one.folder / path).stat().st_mtime_ns for path in one.files()} == before

    def test_numbers_that_are_no_decimals_stay_as_they_are(self, mixed: Archive, tmp_path: Path) -> None:
        """A file none of whose columns can be decimals is the same in both ways, and is not written again."""
        archive = mixed.copy(tmp_path / "data")
        changes(archive, FLOATS)
        path = next(path for path in archive.files() if "interest_rate" in path)
        is_exact = bool(footer(mixed.storage, path).decimals)
        assert changes(archive, DECIMALS)[path] is (Change.CONVERTED if is_exact else Change.KEPT)

    def test_what_is_known_to_be_empty_stays_so(self, archive: Archive) -> None:
        """CSV has no place for it: the catalog tells."""
        outcome = next(iter(archive.outcomes().values()))
        assert outcome.artifact
        (contract, *_) = _contracts(archive, outcome)
        noted = Hole(HoleKind.NOTE, contract, None, None)
        changes(archive, CSV)
        with archive.catalog() as catalog:
            now = catalog.outcome(outcome.unit)
            assert now
            catalog.record(replace(now, holes=(noted,)), later().now())
        changes(archive, FLOATS)
        assert footer(archive.storage, outcome.artifact.path).empty == (contract,)

    def test_it_tells_how_far_it_is(self, archive: Archive) -> None:
        told: list[Checked] = []
        with archive.catalog() as catalog:
            found = list(convert(catalog, archive.storage, CSV, later(), told.append))
        assert [one.files for one in told] == list(range(len(found) + 1))
        assert (told[-1].files, told[-1].bytes) == (told[-1].of_files, told[-1].of_bytes)

    def test_another_writer_keeps_it_out(self, archive: Archive) -> None:
        with archive.catalog() as catalog, archive.catalog() as other, other.lease(later()), pytest.raises(ArchiveBusy):
            list(convert(catalog, archive.storage, CSV, later()))
        assert {Path(path).suffix for path in archive.files()} == {".parquet"}


def _contracts(archive: Archive, outcome: Outcome) -> list[Contract]:
    with archive.catalog() as catalog:
        listed = catalog.contracts(outcome.unit.root, outcome.unit.trade_date, "quote")
    assert listed
    return sorted(listed.of(outcome.unit.expiration))


class TestDamage:
    """Files that are not what was stored are named and left, and the rest goes on."""

    @pytest.mark.parametrize("kind", ["archive", "in_json"])
    def test_a_damaged_and_a_missing_file_stay_as_they_are(self, kind: str, request: pytest.FixtureRequest) -> None:
        archive: Archive = request.getfixturevalue(kind)
        flipped, gone, *others = archive.files()
        data = bytearray((archive.folder / flipped).read_bytes())
        data[len(data) // 2] ^= 1
        (archive.folder / flipped).write_bytes(data)
        (archive.folder / gone).unlink()
        before = archive.hashes()
        found = changes(archive, CSV)
        assert found.pop(flipped) is found.pop(gone) is Change.DAMAGED
        assert found == dict.fromkeys(others, Change.CONVERTED)
        assert (archive.folder / flipped).read_bytes() == data
        assert archive.hashes() == before
        assert sorted(one.path for one in archive.differences()) == [flipped, gone]
        assert {status.verdict for status in archive.days()} == {Verdict.COMPLETE}

    def test_exit_codes(self) -> None:
        assert exit_code(set()) == exit_code({Change.KEPT, Change.CONVERTED}) == 0
        assert exit_code({Change.KEPT, Change.OLDER}) == 1
        assert exit_code({Change.CONVERTED, Change.OLDER, Change.DAMAGED}) == 5


@pytest.fixture(scope="module", params=["sqlite", "json"])
def days(
    request: pytest.FixtureRequest, market: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Archive]:
    """Archives of one day of three units, by the way they are to go; to be looked at only."""
    found = {}
    for way, (encoding, _) in WAYS.items():
        folder = tmp_path_factory.mktemp(way) / "data"
        found[way] = Archive(folder, market, request.param, encoding)
        assert found[way].fetch(request_of(DATES[0])) == 0
    return found


@pytest.mark.parametrize("way", WAYS)
class TestStopped:
    """Whatever stops it, at whichever step: no row is lost, and anything that comes next ends with a whole archive."""

    def test_by_a_failure(self, way: str, days: dict[str, Archive], tmp_path: Path) -> None:
        pristine, wanted = days[way], WAYS[way][1]
        steps = Steps()
        changes(pristine.copy(tmp_path / "whole"), wanted, steps)
        assert sum(name.startswith("move") for name in steps.taken) == 3

        def fail() -> None:
            raise StorageError("no more of it")

        for number in range(1, len(steps.taken) + 1):
            archive = pristine.copy(tmp_path / str(number))
            with pytest.raises(StorageError, match="no more of it"):
                changes(archive, wanted, Steps(number, fail))
            require_sound(archive, pristine)
            remedy = REMEDIES[(number + number // 3) % 3]  # so that each of a unit's three steps meets each of them
            require_healed(archive, pristine, wanted, tmp_path / f"{number} healed", (remedy,))

    def test_by_sigkill(self, way: str, days: dict[str, Archive], tmp_path: Path) -> None:
        pristine, wanted = days[way], WAYS[way][1]
        steps = Steps()
        changes(pristine.copy(tmp_path / "whole"), wanted, steps)
        dice = random.Random(way)  # noqa: S311 - which steps does not matter
        for number in dice.sample(range(1, len(steps.taken) + 1), 2):
            archive = pristine.copy(tmp_path / str(number))
            arguments = [str(archive.folder), wanted.format, wanted.numbers, archive.kind, str(number)]
            killed = subprocess.run(
                [sys.executable, "-m", "tests.integrity.killed_conversion", *arguments],
                check=False,
                capture_output=True,
                text=True,
                cwd=ROOT,
            )
            assert killed.returncode == -signal.SIGKILL, killed.stderr
            require_sound(archive, pristine)
            require_healed(archive, pristine, wanted, tmp_path / f"{number} healed")

    def test_by_a_full_disk(self, way: str, days: dict[str, Archive], tmp_path: Path) -> None:
        """At the first file or a later one: all is as it was, without what was written meanwhile."""
        for nth in (1, 2, 5):
            archive = days[way].copy(tmp_path / str(nth))
            before = archive.files()
            left = nth

            @contextmanager
            def step(name: str) -> Iterator[None]:
                nonlocal left
                left -= name == "fsync"
                if left == 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                yield

            with opened(archive.folder, archive.kind) as catalog:
                storage = LocalStorage(archive.folder, step=step)
                if nth <= 3:
                    with pytest.raises(DiskFull):
                        list(convert(catalog, storage, WAYS[way][1], later()))
                    assert archive.files() == before
                else:  # the day's three files were through: what is left are renames
                    list(convert(catalog, storage, WAYS[way][1], later()))
            assert archive.differences() == []
            assert archive.hashes() == days[way].hashes()
            assert not list(archive.folder.rglob(f"*{PARTIAL}"))
            assert not list((archive.folder / CONVERTED).rglob("*.*"))


def require_sound(archive: Archive, pristine: Archive) -> None:
    """Nothing on record is missing or damaged, and every unit has a whole file with its rows."""
    assert [one for one in archive.differences() if one.is_damage] == []
    for unit, content_hash in pristine.hashes().items():
        there = [path for path in paths_of(unit) if archive.storage.size(path) is not None]
        assert there
        for path in there:
            found = ContentHash(DATASETS[unit.dataset])
            for frame in stored_frames(archive.storage, path):
                found.update(frame)
            assert found.hexdigest() == content_hash


def require_healed(
    archive: Archive, pristine: Archive, wanted: Encoding, folder: Path, remedies: Sequence[str] = REMEDIES
) -> None:
    """The same command, a repair or a download brings all into order, without asking for any row."""
    for name in remedies:
        shutil.rmtree(folder, ignore_errors=True)
        copy = archive.copy(folder)
        asked = len(copy.terminal.requests)
        if name == "convert":
            changes(copy, wanted)
            assert {Path(path).suffix for path in copy.files()} == {f".{wanted.format}"}
        elif name == "repair":
            assert repaired(copy).exit_code == 0
        else:
            if copy.kind == "json" and _lies_twice(copy):
                continue  # of two files that neither half of a torn record names, a download believes none
            assert copy.fetch(request_of(DATES[0]), encoding=wanted) == 0
            assert copy.differences() == []
        assert copy.asked(asked) == []
        assert copy.differences() == []
        assert copy.hashes() == pristine.hashes()
        if name != "repair" or {status.verdict for status in archive.days()} == {Verdict.COMPLETE}:
            assert {status.verdict for status in copy.days()} == {Verdict.COMPLETE}
        with copy.catalog() as catalog:
            assert name != "convert" or catalog.documents(KIND) == {}


def _lies_twice(archive: Archive) -> bool:
    return any(
        one.artifact is None and all(archive.storage.size(path) is not None for path in paths_of(unit))
        for unit, one in archive.outcomes().items()
    )


def test_a_day_that_had_no_verdict_gets_none(archive: Archive) -> None:
    """One that a download left unfinished is not called complete by a conversion."""
    (first, *_) = archive.days()
    with archive.catalog() as catalog:
        catalog.begin_day(first.day, first.scope, later().now())
    changes(archive, CSV)
    assert archive.days()[0].verdict is None
    assert archive.days()[1].verdict is Verdict.COMPLETE


@pytest.mark.parametrize("encoding", [CSV, DECIMALS], ids=["csv", "decimal"])
def test_a_file_that_was_about_to_be_fetched_again_is_converted(archive: Archive, encoding: Encoding) -> None:
    """A download that replaces it was killed: the file on record is whole, and stays on record."""
    before = rows(archive)
    unit = min(before, key=str)
    status = next(one for one in archive.days() if one.day == unit.day)
    with archive.catalog() as catalog:
        catalog.begin_day(unit.day, status.scope, NOW)
        catalog.begin(unit, NOW)
    assert set(changes(archive, encoding).values()) == {Change.CONVERTED}
    found = archive.outcomes()[unit]
    assert found.state is State.STORED
    assert found.artifact
    assert [path for path in paths_of(unit) if archive.storage.size(path) is not None] == [found.artifact.path]
    assert rows(archive).keys() == before.keys()


def test_mixed_is_a_request_of_many_kinds() -> None:
    """So that conversion meets units of days, expirations, indices and rates."""
    assert len({DATASETS[name].subject for name in MIXED.datasets}) == 3
