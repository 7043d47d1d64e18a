"""What the vendor has changed, found by fetching again from an emulated Terminal whose market has changed or not."""

import json
import random
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from spxdata import Emulator
from spxdata.catalog.memory import MemoryCatalog
from spxdata.errors import ArchiveBusy, OtherTerminal, StorageError, Unreachable
from spxdata.integrity.coverage import Wanted
from spxdata.integrity.revisions import KIND, Change, Finding, Keep, Revisions, sample, stored_units, way_of_asking
from spxdata.integrity.sources import FoundSources
from spxdata.layout import PARTIAL, PRIVATE, REFETCHED, path_of
from spxdata.model import Outcome, State, Unit, Verdict
from spxdata.pipeline.earlier import artifact_as_of, earlier_files
from spxdata.pipeline.edges import Encoding
from spxdata.pipeline.read import adopt, checksum, frames
from spxdata.retry import Patience
from spxdata.storage.local import LocalStorage
from spxdata.terminal.probe import FoundTerminal
from tests.builders import NOW, TRADE_DATE, a_unit, stored
from tests.faults.harness import LATER, fake_clock
from tests.faults.market import EXPIRATIONS, TUESDAY, write_market
from tests.integrity.archives import Steps, check, fetch, later, opened, recorded
from tests.pipeline.builders import edges_of

ROOT = Path(__file__).parent.parent.parent
#: The unit that the vendor changes, and the ones it does not.
REVISED = Unit(TUESDAY, "SPXW", "quote", "1m", EXPIRATIONS[1])
PATH = path_of(REVISED)


def market(folder: Path) -> Path:
    """Write the market as it was."""
    return write_market(folder / "market", [(TUESDAY, EXPIRATIONS)])


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A Terminal with the market as it was."""
    with Emulator(replay=market(tmp_path_factory.mktemp("before"))) as terminal:
        yield terminal


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A Terminal with the market of today: one unit has another ask in one row."""
    folder = market(tmp_path_factory.mktemp("after"))
    path = folder / f"SPXW_{TUESDAY:%Y%m%d}_{EXPIRATIONS[1]:%Y%m%d}.csv"
    lines = path.read_text().splitlines()
    head, _, ask = lines[100].rpartition(",")
    path.write_text("\n".join([*lines[:100], f"{head},{float(ask) + 5:.2f}", *lines[101:], ""]))
    with Emulator(replay=folder) as terminal:
        yield terminal


@pytest.fixture
def folder(before: Emulator, tmp_path: Path) -> Path:
    """An archive of the market as it was."""
    fetch(before.url, tmp_path / "data", fake_clock())
    return tmp_path / "data"


@pytest.fixture
def closed_address() -> str:
    """Return an address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}/v3"


def tree(folder: Path) -> dict[str, bytes]:
    """Return all files but the catalog's own."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in files
        if PRIVATE not in path.parts or REFETCHED in path.as_posix()
    }


def changes(found: list[Finding]) -> dict[Unit, Change]:
    """Return what came of each unit."""
    return {finding.unit: finding.change for finding in found}


def ask_of(storage: LocalStorage, path: str) -> list[float]:
    """Return a file's asks."""
    return pl.concat(frames(storage, path))["ask"].to_list()


class TestSample:
    """Which units are fetched again."""

    OUTCOMES = tuple(stored(a_unit(expiration=TRADE_DATE + timedelta(days=n))) for n in range(20))

    def test_the_same_dice_choose_the_same_units_in_their_order(self) -> None:
        one, same, other = (sample(list(self.OUTCOMES), 5, random.Random(seed)) for seed in (1, 1, 2))  # noqa: S311
        assert one == same != other
        assert one == sorted(one, key=lambda outcome: outcome.unit.expiration or date.min)
        assert len({outcome.unit for outcome in one}) == 5

    def test_no_more_than_there_are(self) -> None:
        assert sample(list(self.OUTCOMES), 100, random.Random(1)) == list(self.OUTCOMES)  # noqa: S311
        assert sample([], 3, random.Random(1)) == []  # noqa: S311

    def test_every_unit_has_its_chance(self) -> None:
        dice = random.Random(1)  # noqa: S311
        drawn = Counter(one.unit for _ in range(200) for one in sample(list(self.OUTCOMES), 2, dice))
        assert len(drawn) == 20

    def test_only_stored_units_that_are_wanted_are_drawn_from(self) -> None:
        catalog = MemoryCatalog()
        units = [
            a_unit(),
            a_unit(trade_date=TRADE_DATE + timedelta(days=1)),
            a_unit(dataset="quote"),
            a_unit(dataset="index_price", root="SPX", expiration=None),
        ]
        for unit in units:
            catalog.record(stored(unit), NOW)
        catalog.record(Outcome(a_unit(expiration=TRADE_DATE), State.EMPTY), NOW)

        def found(wanted: Wanted) -> set[Unit]:
            return {outcome.unit for outcome in stored_units(catalog, wanted)}

        assert found(Wanted()) == set(units)
        assert found(Wanted(start=TRADE_DATE + timedelta(days=1))) == {units[1]}
        assert found(Wanted(end=TRADE_DATE, datasets=("greeks",))) == {units[0]}
        assert found(Wanted(roots=("SPXW",))) == set(units)
        assert found(Wanted(roots=("SPX",))) == {units[3]}


class TestChecking:
    """What is found, with the stored files left alone."""

    def test_an_unchanged_market_has_no_revision(self, before: Emulator, folder: Path) -> None:
        files = tree(folder)
        found = check(before.url, folder, later())
        assert set(changes(found).values()) == {Change.UNCHANGED}
        assert len(found) == len(EXPIRATIONS)
        assert tree(folder) == files

    def test_exactly_the_changed_unit_is_revised_and_nothing_is_touched(self, after: Emulator, folder: Path) -> None:
        """With the row, the column, and both values."""
        files, known = tree(folder), recorded(folder)
        found = check(after.url, folder, later())
        assert {unit for unit, change in changes(found).items() if change is Change.REVISED} == {REVISED}
        assert Counter(changes(found).values())[Change.UNCHANGED] == len(EXPIRATIONS) - 1
        difference = next(finding.difference for finding in found if finding.unit == REVISED)
        assert difference
        assert (difference.changed, difference.added, difference.removed) == (1, 0, 0)
        assert difference.columns == {"ask": 1}
        (example,) = difference.examples
        assert example.new["ask"] == pytest.approx(example.old["ask"] + 5)
        assert tree(folder) == files
        assert recorded(folder) == known

    def test_findings_are_kept_by_unit(self, after: Emulator, folder: Path) -> None:
        check(after.url, folder, later())
        with opened(folder) as catalog:
            kept = {key: json.loads(text) for key, text in catalog.documents(KIND).items()}
        assert len(kept) == len(EXPIRATIONS)
        assert {key for key, said in kept.items() if said["change"] == "revised"} == {str(REVISED)}
        said = kept[str(REVISED)]
        assert (said["version"], said["kept"], said["difference"]["changed"]) == (1, "old", 1)
        assert said["stored_hash"] != said["found_hash"]

    def test_rows_that_are_left_out_now_are_told_with_what_lacks(self, folder: Path, tmp_path: Path) -> None:
        rule = f"expiration={REVISED.expiration},strike=4700,right=C,from=12:00,to=13:00"
        with Emulator(replay=market(tmp_path), drop=[rule]) as terminal:
            found = check(terminal.url, folder, later())
        (revised,) = (finding for finding in found if finding.change is Change.REVISED)
        assert revised.unit == REVISED
        assert revised.difference
        assert (revised.difference.removed, revised.difference.changed) == (61, 0)
        assert revised.lacks
        assert "4700 CALL: 12:00-13:00" in revised.lacks

    def test_a_unit_without_data_now_is_gone_once_it_is_said_twice(self, folder: Path, tmp_path: Path) -> None:
        """The stored file stays, whatever is to be kept."""
        nothing = {"do": "status", "status": 472, "dataset": "quote", "expiration": REVISED.expiration}
        files = tree(folder)
        with Emulator(replay=market(tmp_path), faults=[{**nothing, "nth": 1}]) as terminal:
            assert set(changes(check(terminal.url, folder, later())).values()) == {Change.UNCHANGED}
        with Emulator(replay=market(tmp_path), faults=[nothing]) as terminal:
            found = changes(check(terminal.url, folder, later(), keep="new"))
        assert found[REVISED] is Change.GONE
        assert Counter(found.values())[Change.UNCHANGED] == len(EXPIRATIONS) - 1
        assert tree(folder) == files

    def test_a_failing_request_is_no_revision(self, folder: Path, tmp_path: Path) -> None:
        """Tried again like any download; what is wrong for good is failed, and no finding replaces an older one."""
        for fault, change in (
            ({"do": "close_after", "bytes": 500, "nth": 1}, Change.UNCHANGED),
            ({"do": "close_after", "bytes": 500}, Change.FAILED),
            ({"do": "drift", "drop": ["ask"]}, Change.FAILED),
            ({"do": "status", "status": 403}, Change.FAILED),
        ):
            on = {"dataset": "quote", "expiration": REVISED.expiration, **fault}
            with Emulator(replay=market(tmp_path), faults=[on]) as terminal:
                found = check(terminal.url, folder, later())
            assert changes(found)[REVISED] is change, fault
            assert all(finding.code for finding in found if finding.change is Change.FAILED)
        with opened(folder) as catalog:
            assert json.loads(catalog.documents(KIND)[str(REVISED)])["change"] == "unchanged"

    def test_a_damaged_stored_file_is_no_revision(self, before: Emulator, folder: Path) -> None:
        (folder / PATH).write_bytes(b"PAR1")
        found = next(one for one in check(before.url, folder, later()) if one.unit == REVISED)
        assert found.change is Change.FAILED
        assert found.reason
        assert "spxdata verify" in found.reason

    def test_rows_of_another_dialect_are_not_compared(self, folder: Path, tmp_path: Path) -> None:
        """A v2 Terminal in place of a v3 one sends other rows for reasons of its own."""
        with Emulator(replay=market(tmp_path), dialect="v2") as terminal:
            for dialect in ("auto", "v2"):
                found = check(terminal.url, folder, later(), dialect=dialect)
                assert set(changes(found).values()) == {Change.INCOMPARABLE}
                assert found[0].reason == "its rows come from a v3 Terminal, and there is none"

    @pytest.mark.parametrize("dialect", ["v2", "v3"])
    def test_units_are_asked_for_in_the_dialect_of_their_file(self, dialect: str, tmp_path: Path) -> None:
        with Emulator(replay=market(tmp_path), dialect=dialect) as terminal:
            fetch(terminal.url, tmp_path / "data", fake_clock())
            found = check(terminal.url, tmp_path / "data", later())
        assert set(changes(found).values()) == {Change.UNCHANGED}

    def test_greeks_are_asked_for_in_the_version_of_their_file(self, tmp_path: Path) -> None:
        """Whatever the settings say now: another version's rows would look like a revision."""
        with Emulator(chain="small", seed=3) as terminal:
            fetch(terminal.url, tmp_path, fake_clock(), dataset="greeks", greeks_version="1")
            found = check(terminal.url, tmp_path, later(), number=2, greeks_version="latest")
        assert set(changes(found).values()) == {Change.UNCHANGED}
        assert {artifact.provenance.greeks_version for artifact in recorded(tmp_path).values()} == {"1"}

    def test_a_request_of_another_form_is_not_compared(self, after: Emulator, folder: Path) -> None:
        """As of a file that another spxdata fetched; where the rows are the same there is nothing to doubt."""
        with opened(folder) as catalog:
            for outcome in stored_units(catalog, Wanted()):
                assert outcome.artifact
                origin = replace(outcome.artifact.provenance, request="/v3/option/history/quote?symbol=SPXW")
                known = replace(outcome, artifact=replace(outcome.artifact, provenance=origin))
                catalog.record(known, LATER)
        found = check(after.url, folder, later(), keep="new")
        assert changes(found)[REVISED] is Change.INCOMPARABLE
        assert Counter(changes(found).values())[Change.UNCHANGED] == len(EXPIRATIONS) - 1

    def test_a_unit_that_was_split_otherwise_is_asked_for_alike(self) -> None:
        """By another contract first, in another number of requests, or not at all; not so by other hours."""
        chain = "/option/history/quote?symbol=SPXW&strike=*&right=both&interval=tick"
        first = (
            "/option/history/quote?symbol=SPXW&strike=4700&right=call&interval=tick (split by contract, 312 requests)"
        )
        for alike in (first, first.replace("4700", "4600"), f"{chain} (and 3 contracts one by one)"):
            assert way_of_asking(alike) == way_of_asking(chain)
        for other in (chain.replace("tick", "1s"), chain.replace("quote", "trade"), f"{chain}&start_time=09:30:00"):
            assert way_of_asking(other) != way_of_asking(chain)

    def test_without_a_terminal_it_ends_after_its_patience(self, folder: Path, closed_address: str) -> None:
        clock = later()
        with pytest.raises(Unreachable):
            check(closed_address, folder, clock)
        assert sum(clock.slept) == pytest.approx(60, abs=6)

    def test_another_terminal_on_the_account_ends_it(self, folder: Path, tmp_path: Path) -> None:
        faults = [{"do": "other_terminal", "dataset": "quote"}]
        with Emulator(replay=market(tmp_path), faults=faults) as terminal, pytest.raises(OtherTerminal):
            check(terminal.url, folder, later())

    def test_a_busy_archive_is_left_alone(self, before: Emulator, folder: Path) -> None:
        with opened(folder) as catalog, catalog.lease(later()), pytest.raises(ArchiveBusy):
            check(before.url, folder, later())

    def test_a_unit_without_a_file_cannot_be_checked(self, tmp_path: Path) -> None:
        edges = edges_of(LocalStorage(tmp_path))
        sources = FoundSources(FoundTerminal(edges.clock))
        checker = Revisions(MemoryCatalog(), edges, sources, keep=Keep.OLD, patience=Patience(), chance=lambda: 0.0)
        with pytest.raises(ValueError, match="is not stored"):
            list(checker.check([Outcome(a_unit(), State.EMPTY)]))


class TestKeeping:
    """What becomes of a revised unit."""

    def test_new_rows_replace_the_stored_ones(self, after: Emulator, folder: Path) -> None:
        old = recorded(folder)
        check(after.url, folder, later(), keep="new")
        new = recorded(folder)
        assert {unit for unit in new if new[unit] != old[unit]} == {REVISED}
        assert new[REVISED].path == old[REVISED].path == PATH
        assert checksum(LocalStorage(folder), PATH) == (new[REVISED].bytes, new[REVISED].sha256)
        assert set(changes(check(after.url, folder, later(2))).values()) == {Change.UNCHANGED}
        with opened(folder) as catalog:
            assert earlier_files(catalog) == ()

    @pytest.mark.parametrize("kind", ["sqlite", "json"])
    @pytest.mark.parametrize("file_format", ["parquet", "csv"])
    def test_both_are_there_at_their_moments(
        self, kind: str, file_format: str, before: Emulator, after: Emulator, tmp_path: Path
    ) -> None:
        """The old file moves aside, the new one takes its place, in the form that the old one has."""
        encoding = Encoding(format="csv" if file_format == "csv" else "parquet")
        fetch(before.url, tmp_path, fake_clock(), kind=kind, encoding=encoding)
        storage = LocalStorage(tmp_path)
        old = recorded(tmp_path, kind)[REVISED]
        asks = ask_of(storage, old.path)
        check(after.url, tmp_path, later(), keep="both", kind=kind)
        with opened(tmp_path, kind) as catalog:
            then = artifact_as_of(catalog, REVISED, LATER + timedelta(hours=1))
            now = artifact_as_of(catalog, REVISED, LATER + timedelta(days=3))
            assert artifact_as_of(catalog, REVISED, LATER - timedelta(days=1)) is None
            assert [file.unit for file in earlier_files(catalog)] == [REVISED]
        assert then
        assert now
        assert replace(then, path=old.path) == old
        assert (now.path, now.format) == (old.path, file_format)
        assert ask_of(storage, then.path) == asks
        changed = [pair for pair in zip(asks, ask_of(storage, now.path), strict=True) if pair[0] != pair[1]]
        assert len(changed) == 1
        assert changed[0][1] == pytest.approx(changed[0][0] + 5)

    def test_every_state_stays_over_several_revisions(self, before: Emulator, after: Emulator, folder: Path) -> None:
        """There and back again: three states of one unit, each at its time."""
        for day, terminal in enumerate((after, before, after), 1):
            check(terminal.url, folder, later(day), keep="both")
        with opened(folder) as catalog:
            files = [artifact_as_of(catalog, REVISED, LATER + timedelta(days=day, hours=1)) for day in range(4)]
        hashes = [file.content_hash for file in files if file]
        assert hashes[0] == hashes[2] != hashes[1] == hashes[3]
        assert len({file.path for file in files if file}) == 4

    def test_ordinary_readers_see_the_new_rows_alone(self, after: Emulator, folder: Path) -> None:
        """By a glob at any depth, or a day's folder."""
        check(after.url, folder, later(), keep="both")
        rows = sum(artifact.rows for artifact in recorded(folder).values())
        for pattern in (f"{TUESDAY:%Y%m%d}/*.parquet", "*/*.parquet", "**/*.parquet", f"{TUESDAY:%Y%m%d}/"):
            assert pl.scan_parquet(f"{folder}/{pattern}").select(pl.len()).collect().item() == rows

    def test_the_days_verdict_follows_what_is_stored(self, before: Emulator, folder: Path, tmp_path: Path) -> None:
        """Partial with the new rows that lack something, complete again with those that do not."""
        rule = f"expiration={REVISED.expiration},from=12:00,to=13:00"

        def verdict() -> Verdict | None:
            with opened(folder) as catalog:
                (status,) = catalog.days()
            assert status.status == "success"
            return status.verdict

        assert verdict() is Verdict.COMPLETE
        with Emulator(replay=market(tmp_path), drop=[rule]) as terminal:
            check(terminal.url, folder, later(), keep="both")
        assert verdict() is Verdict.PARTIAL
        with opened(folder) as catalog:
            outcome = catalog.outcome(REVISED)
        assert outcome
        assert outcome.partial
        assert outcome.ask_again
        check(before.url, folder, later(2), keep="new")
        assert verdict() is Verdict.COMPLETE


class TestKilled:
    """An end at any step leaves the old file, or both; the catalog names only what is there."""

    def steps(self, url: str, folder: Path, kind: str) -> list[str]:
        """Return the steps that an undisturbed check takes."""
        steps = Steps()
        check(url, folder, later(), keep="both", kind=kind, steps=steps)
        return steps.taken

    def require_sound(self, folder: Path, kind: str, old: str, new: str) -> None:
        """Require that no rows are lost, that what the catalog names is there, and that final names are whole."""
        storage = LocalStorage(folder)
        with opened(folder, kind) as catalog:
            named = [one.artifact for one in stored_units(catalog, Wanted()) if one.artifact]
            named += [file.artifact for file in earlier_files(catalog)]
        for artifact in named:
            assert checksum(storage, artifact.path) == (artifact.bytes, artifact.sha256)
        current = adopt(storage, REVISED, None)
        assert current
        kept = {artifact.content_hash for artifact in named if artifact.path.startswith(".revisions")}
        assert current[0].content_hash in {old, new}
        assert current[0].content_hash == old or old in kept

    def require_healed(self, before: Emulator, after: Emulator, folder: Path, kind: str, old: str, new: str) -> None:
        """Require that a download and another check end as if nothing had happened."""
        fetch(before.url, folder, later(2), kind=kind)
        assert not list(folder.rglob(f"*{PARTIAL}"))
        check(after.url, folder, later(3), keep="both", kind=kind)
        with opened(folder, kind) as catalog:
            then = artifact_as_of(catalog, REVISED, LATER + timedelta(hours=1))
            now = artifact_as_of(catalog, REVISED, LATER + timedelta(days=4))
        assert then
        assert now
        assert (then.content_hash, now.content_hash) == (old, new)
        assert not (folder / REFETCHED).exists() or not list((folder / REFETCHED).rglob("*.parquet"))

    @pytest.mark.parametrize("kind", ["sqlite", "json"])
    def test_at_every_step(self, kind: str, before: Emulator, after: Emulator, tmp_path: Path) -> None:
        """An error there, as a full disk raises it."""
        fetch(before.url, tmp_path / "whole", fake_clock(), kind=kind)
        old = recorded(tmp_path / "whole", kind)[REVISED].content_hash
        taken = self.steps(after.url, tmp_path / "whole", kind)
        new = recorded(tmp_path / "whole", kind)[REVISED].content_hash
        first = next(number for number, name in enumerate(taken) if name.startswith("commit .revisions"))
        changing = range(first, first + next(n for n, name in enumerate(taken[first:]) if name == "end_day") + 1)
        assert [taken[number].split()[0] for number in changing] == [
            "commit",
            "keep_documents",
            "begin_day",
            "withdraw",
            "commit",
            "record",
            "end_day",
        ]

        def fail() -> None:
            raise StorageError("no more of it")

        for number in changing:
            folder = tmp_path / str(number)
            fetch(before.url, folder, fake_clock(), kind=kind)
            with pytest.raises(StorageError, match="no more of it"):
                check(after.url, folder, later(), keep="both", kind=kind, steps=Steps(number + 1, fail))
            self.require_sound(folder, kind, old, new)
            self.require_healed(before, after, folder, kind, old, new)

    @pytest.mark.parametrize("kind", ["sqlite", "json"])
    def test_by_sigkill(self, kind: str, before: Emulator, after: Emulator, tmp_path: Path) -> None:
        """Before the copy is on record, between withdrawal and rename, and between rename and record."""
        fetch(before.url, tmp_path / "whole", fake_clock(), kind=kind)
        old = recorded(tmp_path / "whole", kind)[REVISED].content_hash
        taken = self.steps(after.url, tmp_path / "whole", kind)
        new = recorded(tmp_path / "whole", kind)[REVISED].content_hash
        first = next(number for number, name in enumerate(taken) if name.startswith("commit .revisions"))
        for number in (first + 1, first + 4, first + 5):
            folder = tmp_path / str(number)
            fetch(before.url, folder, fake_clock(), kind=kind)
            command = [sys.executable, "-m", "tests.integrity.killed_revision", after.url, str(folder), kind]
            killed = subprocess.run([*command, str(number + 1)], check=False, capture_output=True, text=True, cwd=ROOT)
            assert killed.returncode == -signal.SIGKILL, killed.stderr
            self.require_sound(folder, kind, old, new)
            self.require_healed(before, after, folder, kind, old, new)
