"""What every catalog does, whatever it keeps its record in."""

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spxdata.catalog.jsonfile import JsonCatalog
from spxdata.catalog.memory import MemoryCatalog
from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.errors import ArchiveBusy, CatalogCorrupt, StorageError
from spxdata.model import (
    Contract,
    ContractList,
    Day,
    DayStatus,
    Filed,
    Hole,
    HoleKind,
    Outcome,
    Right,
    State,
    Unit,
    Verdict,
)
from spxdata.protocols import Catalog
from spxdata.storage.local import LocalStorage
from tests.builders import (
    EXPIRATION,
    NOW,
    TRADE_DATE,
    FakeClock,
    a_contract_list,
    a_day,
    a_gap,
    a_note,
    a_provenance,
    a_scope,
    a_unit,
    an_artifact,
    an_outage,
    empty,
    failed,
    refused,
    stored,
)
from tests.catalog.documents import require_valid

#: Those that outlive their process: how to open the catalog of the archive in a folder, new or once more.
PERSISTENT: dict[str, Callable[[Path], Catalog]] = {
    "sqlite": lambda folder: SqliteCatalog(folder / ".spxdata" / "catalog.sqlite"),
    "json": lambda folder: JsonCatalog(LocalStorage(folder), folder),
}

#: Every implementation: how to open a new catalog for the archive in a folder.
CATALOGS: dict[str, Callable[[Path], Catalog]] = {**PERSISTENT, "memory": lambda _: MemoryCatalog()}

each_kind = pytest.mark.parametrize("kind", CATALOGS)


@contextmanager
def opened(kind: str, folder: Path) -> Iterator[Catalog]:
    """Open a catalog; whatever JSON files it leaves must be as their schemas say."""
    with closing(CATALOGS[kind](folder)) as catalog:
        yield catalog
    require_valid(folder)


@pytest.fixture(params=CATALOGS)
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalog]:
    """A new catalog."""
    with opened(request.param, tmp_path) as new:
        yield new


#: Opens one and the same catalog, as often as it is called.
Reopen = Callable[[], AbstractContextManager[Catalog]]


@pytest.fixture(params=PERSISTENT)
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Reopen:
    """How to open one and the same catalog again."""
    return lambda: opened(request.param, tmp_path)


#: What damages each part of a record, by the kind of catalog: a statement, or the file whose end is cut off.
_STATEMENTS = {
    "units": "UPDATE expiration_status SET ask_again = 'some day'",
    "files": "UPDATE file_inventory SET fetched_us = 9000000000000000000",
    "lists": "UPDATE contract_strikes SET expiration = 'x' || expiration",
    "documents": "UPDATE documents SET document = '{'",
}
_FILES = {
    "units": "status.json",
    "files": "inventory.json",
    "lists": ".spxdata/contracts/20240116_SPXW_quote.json",
    "documents": ".spxdata/certificate.json",
}


def _spoil_sqlite(folder: Path, part: str) -> None:
    with closing(sqlite3.connect(folder / ".spxdata" / "catalog.sqlite")) as database, database:
        assert database.execute(_STATEMENTS[part]).rowcount


def _spoil_json(folder: Path, part: str) -> None:
    file = folder / _FILES[part]
    file.write_bytes(file.read_bytes()[:-10])


SPOIL: dict[str, Callable[[Path, str], None]] = {"sqlite": _spoil_sqlite, "json": _spoil_json}


def checksum(*outcomes: Outcome) -> str:
    """Return a day's checksum, worked out anew."""
    files = [outcome.artifact for outcome in outcomes if outcome.artifact]
    text = "".join(sorted(f"{file.path} {file.sha256}\n" for file in files))
    return sha256(text.encode()).hexdigest()


def only_day(catalog: Catalog) -> DayStatus:
    """Return the status of the one day a catalog knows."""
    (status,) = catalog.days()
    return status


class TestUnits:
    """begin, record, outcome, outcomes."""

    def test_a_unit_that_was_never_asked_for_is_unknown(self, catalog: Catalog) -> None:
        """None, not a made-up state; and asking leaves no trace."""
        assert catalog.outcome(a_unit()) is None
        assert catalog.outcomes(a_day()) == ()
        assert catalog.days() == ()

    @pytest.mark.parametrize(
        "outcome",
        [
            stored(),
            stored(holes=(an_outage(), a_gap(), a_note()), notes=31, attempts=2, verified=False),
            stored(a_unit(dataset="open_interest", expiration=None)),
            stored(a_unit(expiration=TRADE_DATE)),
            stored(artifact=an_artifact(path="20240116/spxw_exp_20240119.csv", format="csv", compression="none")),
            stored(artifact=an_artifact(provenance=a_provenance(greeks_version=None, rate_type=None))),
            empty(),
            empty(a_unit(expiration=None)),
            refused(),
            failed(),
            Outcome(a_unit(), State.NOT_PUBLISHED, reason="not yet", ask_again=date(2024, 1, 17)),
            Outcome(a_unit(), State.PENDING, attempts=0),
        ],
        ids=lambda outcome: f"{outcome.state} {outcome.unit.dataset} {outcome.unit.expiration}",
    )
    def test_a_recorded_outcome_comes_back_as_it_was(self, catalog: Catalog, outcome: Outcome) -> None:
        """Every field: moments, days, holes in their order, provenance."""
        catalog.record(outcome, NOW)
        assert catalog.outcome(outcome.unit) == outcome

    def test_a_record_that_nobody_harmed_is_sound(self, catalog: Catalog) -> None:
        """Empty, and with all there is."""
        catalog.check()
        catalog.record(stored(holes=(a_gap(), a_note())), NOW)
        catalog.keep_contracts(a_contract_list(), "quote")
        catalog.keep_documents("certificate", {"a": "{}"})
        catalog.check()

    @pytest.mark.parametrize("part", ["units", "files", "lists", "documents"])
    @pytest.mark.parametrize("kind", PERSISTENT)
    def test_a_record_that_is_damaged_anywhere_is_not_sound(self, kind: str, part: str, tmp_path: Path) -> None:
        """Not in what any one call would read either."""
        with closing(PERSISTENT[kind](tmp_path)) as catalog:
            catalog.record(stored(holes=(a_gap(),)), NOW)
            catalog.keep_contracts(a_contract_list(), "quote")
            catalog.keep_documents("certificate", {"a": "{}"})
        SPOIL[kind](tmp_path, part)
        with pytest.raises(CatalogCorrupt), closing(PERSISTENT[kind](tmp_path)) as catalog:
            catalog.check()

    def test_a_record_outlives_the_process_that_made_it(self, reopen: Reopen) -> None:
        """What was recorded is there when the catalog is opened again."""
        with reopen() as first:
            first.record(stored(holes=(a_gap(),)), NOW)
        with reopen() as second:
            assert second.outcome(a_unit()) == stored(holes=(a_gap(),))

    def test_two_that_are_open_see_each_other_s_records(self, reopen: Reopen) -> None:
        """At the time of each call, and neither writes over what the other wrote."""
        with reopen() as one, reopen() as other:
            one.record(failed(), NOW)
            other.record(stored(a_unit(root="SPX")), NOW)
            one.begin(a_unit(dataset="quote"), NOW)
            for either in (one, other):
                assert either.outcome(a_unit()) == failed()
                assert either.outcome(a_unit(root="SPX")) == stored(a_unit(root="SPX"))
                assert len(either.days()) == 3

    def test_another_zone_s_moment_is_the_same_moment(self, catalog: Catalog) -> None:
        """Moments are instants: they come back equal, in UTC."""
        elsewhere = NOW.astimezone(timezone(timedelta(hours=-5)))
        catalog.record(stored(artifact=an_artifact(created_at=elsewhere)), NOW)
        outcome = catalog.outcome(a_unit())
        assert outcome is not None
        assert outcome.artifact is not None
        assert outcome.artifact.created_at == NOW
        assert outcome.artifact.created_at.utcoffset() == timedelta(0)

    def test_a_naive_moment_is_a_mistake(self, catalog: Catalog) -> None:
        """Nobody can tell what it means; nothing is kept."""
        naive = datetime(2024, 1, 16, 12, 0)  # noqa: DTZ001 - that is the point
        with pytest.raises(TypeError):
            catalog.record(failed(), naive)
        with pytest.raises(TypeError):
            catalog.begin(a_unit(), naive)
        with pytest.raises(TypeError):
            catalog.begin_day(a_day(), a_scope(), naive)
        with pytest.raises(TypeError):
            catalog.end_day(a_day(), None, None, naive)
        with pytest.raises(TypeError):
            catalog.queue_days([a_day()], a_scope(), naive)
        with pytest.raises(TypeError):
            catalog.keep_contracts(a_contract_list(fetched_at=naive), "quote")
        assert catalog.days() == ()
        assert catalog.contracts("SPXW", TRADE_DATE, "quote") is None

    def test_the_last_record_counts(self, catalog: Catalog) -> None:
        """A new outcome replaces state, file and holes of the one before."""
        catalog.record(stored(holes=(a_gap(), a_note())), NOW)
        newer = stored(artifact=an_artifact(sha256="f" * 64, rows=1), holes=(an_outage(),))
        catalog.record(newer, NOW)
        assert catalog.outcome(a_unit()) == newer

    def test_a_unit_without_expiration_is_one_unit(self, catalog: Catalog) -> None:
        """Recording it twice leaves one, beside those with an expiration."""
        whole_day = a_unit(expiration=None)
        for outcome in (failed(whole_day), empty(whole_day), failed()):
            catalog.record(outcome, NOW)
        assert catalog.outcomes(a_day()) == (empty(whole_day), failed())

    def test_the_units_of_a_day_come_by_expiration(self, catalog: Catalog) -> None:
        """The one without expiration first, and none of another root, dataset, interval or day."""
        later = a_unit(expiration=date(2024, 2, 16))
        units = [later, a_unit(expiration=None), a_unit()]
        others = [
            a_unit(root="SPX"),
            a_unit(dataset="quote"),
            a_unit(interval="5m"),
            a_unit(trade_date=date(2024, 1, 17)),
        ]
        for unit in units + others:
            catalog.record(failed(unit), NOW)
        assert [outcome.unit for outcome in catalog.outcomes(a_day())] == [units[1], units[2], units[0]]

    def test_a_unit_that_begins_is_downloading(self, catalog: Catalog) -> None:
        """Nothing of an earlier failure is left of it."""
        catalog.record(failed(), NOW)
        catalog.begin(a_unit(), NOW)
        assert catalog.outcome(a_unit()) == Outcome(a_unit(), State.DOWNLOADING, attempts=0)

    def test_beginning_again_keeps_the_file_on_record(self, catalog: Catalog) -> None:
        """A forced refetch has not touched the old file yet."""
        old = stored(holes=(a_gap(),))
        catalog.record(old, NOW)
        catalog.begin(a_unit(), NOW)
        assert catalog.outcome(a_unit()) == replace(old, state=State.DOWNLOADING)

    @pytest.mark.parametrize("outcome", [failed(), refused(), empty()], ids=lambda outcome: outcome.state)
    def test_a_refetch_without_a_file_leaves_the_old_one_stored(self, catalog: Catalog, outcome: Outcome) -> None:
        """The file is where it was, so the unit stands as it stood before the refetch."""
        old = stored(holes=(a_gap(),), attempts=2, verified=False)
        catalog.record(old, NOW)
        catalog.begin(a_unit(), NOW)
        catalog.record(outcome, NOW)
        assert catalog.outcome(a_unit()) == old
        assert only_day(catalog).files == 1

    @pytest.mark.parametrize(
        "nonsense", [stored(artifact=None), failed(artifact=an_artifact())], ids=["no file", "failed file"]
    )
    def test_only_a_stored_unit_has_a_file(self, catalog: Catalog, nonsense: Outcome) -> None:
        """An outcome that contradicts itself is a mistake of the caller's, and not recorded."""
        with pytest.raises(ValueError, match="exactly if it is stored"):
            catalog.record(nonsense, NOW)
        assert catalog.outcome(a_unit()) is None
        assert catalog.days() == ()

    def test_a_file_belongs_to_one_unit(self, catalog: Catalog) -> None:
        """A second unit with the same path is refused, and nothing of it is kept, until the first has given it up."""
        catalog.record(stored(), NOW)
        thief = stored(a_unit(root="SPX"), artifact=an_artifact())
        with pytest.raises(StorageError):
            catalog.record(thief, NOW)
        assert catalog.outcome(thief.unit) is None
        assert len(catalog.days()) == 1
        catalog.withdraw(a_unit())
        catalog.record(thief, NOW)
        assert catalog.outcome(thief.unit) == thief
        catalog.forget(thief.unit)
        catalog.record(stored(), NOW)
        assert catalog.outcome(a_unit()) == stored()

    def test_a_day_wide_file_is_no_expiration_s(self, catalog: Catalog) -> None:
        """Not even of the one that expires that day."""
        whole, expiring = (stored(a_unit(dataset="eod", expiration=day)) for day in (None, TRADE_DATE))
        for outcome in (expiring, whole):
            catalog.record(outcome, NOW)
        assert catalog.outcomes(a_day(dataset="eod")) == (whole, expiring)


class TestRefusals:
    """refusals, what `spxdata datasets` tells of an account."""

    def test_nothing_refused_is_nothing(self, catalog: Catalog) -> None:
        """Neither failures nor files are refusals."""
        for outcome in (failed(), stored(a_unit(root="SPX")), empty(a_unit(dataset="quote"))):
            catalog.record(outcome, NOW)
        assert catalog.refusals() == ()

    def test_each_dataset_s_newest_refusal_counts(self, catalog: Catalog) -> None:
        """By when it was recorded, whatever its trade date; sorted by dataset."""
        early = refused(a_unit(dataset="trade", trade_date=date(2024, 1, 17)))
        late = refused(a_unit(dataset="trade"), reason="still not")
        quote = refused(a_unit(dataset="quote", expiration=None))
        for outcome, minutes in ((late, 2), (early, 1), (quote, 0)):
            catalog.record(outcome, NOW + timedelta(minutes=minutes))
        assert catalog.refusals() == (quote, late)

    def test_of_the_same_moment_the_later_unit_s_counts(self, catalog: Catalog) -> None:
        """One of an expiration before the day's own."""
        units = [a_unit(expiration=day) for day in (EXPIRATION, None, TRADE_DATE)]
        for unit in units:
            catalog.record(refused(unit), NOW)
        assert catalog.refusals() == (refused(units[0]),)

    def test_a_unit_that_is_refused_again_is_the_newest(self, catalog: Catalog) -> None:
        """Its last answer counts, not its first."""
        other = a_unit(expiration=TRADE_DATE)
        for unit, minutes in ((other, 0), (a_unit(), 1), (other, 2)):
            catalog.record(refused(unit), NOW + timedelta(minutes=minutes))
        assert catalog.refusals() == (refused(other),)

    def test_what_is_refused_no_more_is_none(self, catalog: Catalog) -> None:
        """Asked again, answered otherwise, or forgotten: the next older one counts."""
        units = [a_unit(expiration=EXPIRATION + timedelta(days=number)) for number in range(4)]
        for number, unit in enumerate(units):
            catalog.record(refused(unit), NOW + timedelta(minutes=number))
        catalog.begin(units[3], NOW)
        assert catalog.refusals() == (refused(units[2]),)
        catalog.record(stored(units[2]), NOW)
        assert catalog.refusals() == (refused(units[1]),)
        catalog.forget(units[1])
        assert catalog.refusals() == (refused(units[0]),)

    def test_a_refetch_that_was_refused_leaves_a_file_and_no_refusal(self, catalog: Catalog) -> None:
        """The unit stands on its old file."""
        catalog.record(stored(), NOW)
        catalog.record(refused(), NOW)
        assert catalog.refusals() == ()


class TestWithdrawal:
    """withdraw, before a file is replaced or after it was found broken."""

    def test_a_withdrawn_file_is_forgotten_with_its_holes(self, catalog: Catalog) -> None:
        """The unit stands as if it had never been asked for."""
        catalog.record(stored(holes=(a_gap(),), reason="asked twice"), NOW)
        catalog.withdraw(a_unit())
        assert catalog.outcome(a_unit()) == Outcome(a_unit(), State.PENDING, attempts=0)

    def test_a_unit_being_downloaded_goes_on_downloading(self, catalog: Catalog) -> None:
        """Its old file is withdrawn right before the new one takes its name."""
        catalog.record(stored(), NOW)
        catalog.begin(a_unit(), NOW)
        catalog.withdraw(a_unit())
        assert catalog.outcome(a_unit()) == Outcome(a_unit(), State.DOWNLOADING, attempts=0)

    def test_a_failure_after_the_withdrawal_is_a_failure(self, catalog: Catalog) -> None:
        """There is no old file left to stand on."""
        catalog.record(stored(), NOW)
        catalog.withdraw(a_unit())
        catalog.record(failed(), NOW)
        assert catalog.outcome(a_unit()) == failed()

    def test_nothing_to_withdraw_is_no_error(self, catalog: Catalog) -> None:
        """An unknown unit stays unknown, a failed one failed."""
        catalog.withdraw(a_unit())
        assert catalog.outcome(a_unit()) is None
        catalog.record(failed(), NOW)
        catalog.withdraw(a_unit())
        assert catalog.outcome(a_unit()) == failed()


class TestForgetting:
    """forget, of a day's unit without expiration once the day has contracts."""

    def test_a_forgotten_unit_is_unknown(self, catalog: Catalog) -> None:
        """The others of its day stay, and so does the day."""
        catalog.record(empty(a_unit(expiration=None)), NOW)
        catalog.record(failed(), NOW)
        catalog.forget(a_unit(expiration=None))
        assert catalog.outcome(a_unit(expiration=None)) is None
        assert catalog.outcomes(a_day()) == (failed(),)
        assert only_day(catalog).attempts == failed().attempts

    def test_a_forgotten_file_leaves_the_sums(self, catalog: Catalog) -> None:
        """With its holes; recording the unit anew starts from nothing."""
        catalog.record(stored(holes=(a_gap(),)), NOW)
        catalog.forget(a_unit())
        assert (only_day(catalog).files, only_day(catalog).checksum) == (0, None)
        catalog.record(failed(), NOW)
        assert catalog.outcome(a_unit()) == failed()

    def test_nothing_to_forget_is_no_error(self, catalog: Catalog) -> None:
        """An unknown unit makes no day known."""
        catalog.forget(a_unit())
        assert catalog.days() == ()


class TestDays:
    """queue_days, begin_day, interrupt_day, end_day, days."""

    def test_queued_days_wait_with_their_scope(self, catalog: Catalog) -> None:
        """Before their turn comes."""
        days = [a_day(), a_day(trade_date=date(2024, 1, 17))]
        catalog.queue_days(iter(days), a_scope(max_dte=7), NOW)
        assert catalog.days() == tuple(DayStatus(day, "queued", None, a_scope(max_dte=7)) for day in days)

    def test_queueing_leaves_a_known_day_as_it_is(self, catalog: Catalog) -> None:
        """What was asked for and found earlier holds until its turn comes."""
        catalog.begin_day(a_day(), a_scope(), NOW)
        catalog.end_day(a_day(), Verdict.COMPLETE, None, NOW)
        before = catalog.days()
        catalog.queue_days([a_day()], a_scope(max_dte=7), NOW + timedelta(days=1))
        assert catalog.days() == before

    @pytest.mark.parametrize(("error", "word"), [(None, "queued"), ("no space left", "failed")])
    def test_an_interrupted_day_has_no_verdict(self, catalog: Catalog, error: str | None, word: str) -> None:
        """Queued again, or failed if an error stopped it; what was stored stays counted."""
        end = NOW + timedelta(minutes=3)
        catalog.begin_day(a_day(), a_scope(), NOW)
        catalog.record(stored(), NOW)
        catalog.interrupt_day(a_day(), error, end)
        status = only_day(catalog)
        assert (status.status, status.verdict, status.error) == (word, None, error)
        assert (status.started_at, status.ended_at, status.files) == (NOW, end, 1)

    def test_a_day_that_begins_is_in_progress(self, catalog: Catalog) -> None:
        """With what was asked for, and no verdict yet."""
        scope = a_scope(max_dte=7, expirations=(TRADE_DATE, EXPIRATION))
        catalog.begin_day(a_day(), scope, NOW)
        assert catalog.days() == (DayStatus(a_day(), "in-progress", None, scope, started_at=NOW),)

    @pytest.mark.parametrize(
        ("verdict", "error", "word"),
        [
            (Verdict.COMPLETE, None, "success"),
            (Verdict.PARTIAL, None, "success"),
            (Verdict.ABSENT, None, "success"),
            (Verdict.UNVERIFIED, None, "success"),
            (Verdict.NOT_PUBLISHED, None, "queued"),
            (Verdict.PARTIAL, "cut off", "failed"),
            (None, "interrupted", "failed"),
        ],
    )
    def test_a_day_that_ends_says_how(
        self, catalog: Catalog, verdict: Verdict | None, error: str | None, word: str
    ) -> None:
        """The brief's word, our verdict, the first error, and both moments."""
        end = NOW + timedelta(minutes=3)
        catalog.begin_day(a_day(), a_scope(), NOW)
        catalog.end_day(a_day(), verdict, error, end)
        expected = DayStatus(a_day(), word, verdict, a_scope(), started_at=NOW, ended_at=end, error=error)
        assert catalog.days() == (expected,)

    def test_beginning_again_opens_the_verdict(self, catalog: Catalog) -> None:
        """With the new scope; what was stored stays counted."""
        catalog.begin_day(a_day(), a_scope(), NOW)
        catalog.record(stored(), NOW)
        catalog.end_day(a_day(), Verdict.PARTIAL, "cut off", NOW)
        again = NOW + timedelta(days=1)
        catalog.begin_day(a_day(), a_scope(max_dte=7), again)
        status = only_day(catalog)
        assert (status.status, status.verdict, status.error) == ("in-progress", None, None)
        assert (status.started_at, status.ended_at) == (again, None)
        assert (status.scope, status.files) == (a_scope(max_dte=7), 1)

    def test_a_day_is_known_by_its_units_too(self, catalog: Catalog) -> None:
        """Files adopted before any download began: queued, with a scope that says nothing."""
        catalog.record(stored(), NOW)
        status = only_day(catalog)
        assert (status.day, status.status, status.verdict) == (a_day(), "queued", None)
        assert (status.scope, status.started_at) == (a_scope(max_dte=0), None)

    def test_a_day_may_end_without_having_begun(self, catalog: Catalog) -> None:
        """A closed day has nothing to begin."""
        catalog.end_day(a_day(), Verdict.CLOSED, None, NOW)
        status = only_day(catalog)
        assert (status.status, status.verdict, status.ended_at) == ("success", Verdict.CLOSED, NOW)

    def test_a_day_sums_up_its_files(self, catalog: Catalog) -> None:
        """Files, bytes, rows, the newest moment, all attempts, and the checksum over sorted paths and hashes."""
        later = a_unit(expiration=date(2024, 2, 16))
        youngest = NOW + timedelta(hours=1)
        first = stored(artifact=an_artifact(rows=10, bytes=100), attempts=2)
        second = stored(later, artifact=an_artifact(later, rows=1, bytes=7, created_at=youngest))
        missed = failed(a_unit(expiration=date(2024, 1, 17)), attempts=4)
        for outcome in (second, first, missed):
            catalog.record(outcome, NOW)
        status = only_day(catalog)
        assert (status.files, status.bytes, status.rows, status.attempts) == (2, 107, 11, 7)
        assert status.downloaded_at == youngest
        assert status.checksum == checksum(first, second)

    def test_a_withdrawn_file_leaves_the_sums_at_once(self, catalog: Catalog) -> None:
        """Sums never speak of a file that is not on record."""
        later = a_unit(expiration=date(2024, 2, 16))
        catalog.record(stored(), NOW)
        catalog.record(stored(later), NOW)
        catalog.withdraw(a_unit())
        assert only_day(catalog).checksum == checksum(stored(later))
        catalog.withdraw(later)
        status = only_day(catalog)
        assert (status.files, status.bytes, status.rows) == (0, 0, 0)
        assert (status.checksum, status.downloaded_at) == (None, None)

    def test_days_are_sorted_and_cut_at_both_ends(self, catalog: Catalog) -> None:
        """Both ends are included, either may be left open."""
        days = [a_day(trade_date=date(2024, 1, number)) for number in (18, 16, 17)]
        days.append(a_day(trade_date=date(2024, 1, 16), dataset="quote"))
        for day in days:
            catalog.begin_day(day, a_scope(), NOW)

        def known(*ends: date | None) -> list[Day]:
            return [status.day for status in catalog.days(*ends)]

        assert known() == sorted(days)
        assert known(date(2024, 1, 17)) == sorted(days)[2:]
        assert known(None, date(2024, 1, 16)) == sorted(days)[:2]
        assert known(date(2024, 1, 17), date(2024, 1, 17)) == [days[2]]
        assert known(date(2024, 1, 19)) == []


class TestContracts:
    """keep_contracts, contracts."""

    def test_a_list_comes_back_as_it_was(self, catalog: Catalog) -> None:
        """With its moment, and strikes that are no whole dollars."""
        listed = a_contract_list(strikes=(0.1, 4750.0, 4750.05))
        catalog.keep_contracts(listed, "quote")
        assert catalog.contracts("SPXW", TRADE_DATE, "quote") == listed

    def test_lists_of_other_roots_days_and_kinds_are_others(self, catalog: Catalog) -> None:
        """None for what was never fetched."""
        catalog.keep_contracts(a_contract_list(), "quote")
        assert catalog.contracts("SPXW", TRADE_DATE, "trade") is None
        assert catalog.contracts("SPX", TRADE_DATE, "quote") is None
        assert catalog.contracts("SPXW", EXPIRATION, "quote") is None

    def test_a_newer_list_replaces_the_older(self, catalog: Catalog) -> None:
        """Whole: a contract that is no longer listed is gone."""
        catalog.keep_contracts(a_contract_list(), "quote")
        newer = a_contract_list(strikes=(4800.0,), fetched_at=NOW + timedelta(days=1))
        catalog.keep_contracts(newer, "quote")
        assert catalog.contracts("SPXW", TRADE_DATE, "quote") == newer

    def test_a_list_comes_back_sorted_and_in_utc(self, catalog: Catalog) -> None:
        """However it was given."""
        listed = a_contract_list()
        elsewhere = NOW.astimezone(timezone(timedelta(hours=-5)))
        catalog.keep_contracts(replace(listed, contracts=listed.contracts[::-1], fetched_at=elsewhere), "quote")
        kept = catalog.contracts("SPXW", TRADE_DATE, "quote")
        assert kept == listed
        assert kept is not None
        assert kept.fetched_at.utcoffset() == timedelta(0)

    def test_an_empty_list_is_a_list(self, catalog: Catalog) -> None:
        """Not the same as never asked."""
        nothing = a_contract_list(strikes=())
        catalog.keep_contracts(nothing, "quote")
        assert catalog.contracts("SPXW", TRADE_DATE, "quote") == nothing


class TestLease:
    """What one process can see of the lease; those of several are each implementation's own tests."""

    def test_a_lease_is_held_once(self, catalog: Catalog) -> None:
        """Not even this process gets it twice; the holder keeps it."""
        with catalog.lease(FakeClock()):
            with pytest.raises(ArchiveBusy), catalog.lease(FakeClock()):
                pytest.fail("the lease was given twice")
            catalog.beat(NOW)

    def test_a_lease_is_one_for_all_that_open_the_archive(self, reopen: Reopen) -> None:
        """Nor through another catalog."""
        with reopen() as catalog, catalog.lease(FakeClock()), reopen() as other:
            with pytest.raises(ArchiveBusy), other.lease(FakeClock()):
                pytest.fail("the lease was given twice")
            catalog.beat(NOW)

    def test_a_lease_is_given_back_at_the_end(self, catalog: Catalog) -> None:
        """So that the next one gets it."""
        for _ in range(2):
            with catalog.lease(FakeClock()):
                pass

    @pytest.mark.parametrize("end", [KeyboardInterrupt, RuntimeError])
    def test_a_lease_is_given_back_when_the_work_raises(self, catalog: Catalog, end: type[BaseException]) -> None:
        """Ctrl-C too; the exception goes on."""
        with pytest.raises(end), catalog.lease(FakeClock()):
            raise end
        with catalog.lease(FakeClock()):
            pass

    def test_a_beat_without_a_lease_is_refused(self, catalog: Catalog) -> None:
        """Whoever may not write should notice."""
        with pytest.raises(ArchiveBusy):
            catalog.beat(NOW)


class TestThreads:
    """Every call may come from any thread."""

    def test_many_threads_record_at_once(self, catalog: Catalog) -> None:
        """Nothing is lost or mixed up, and readers see sums that fit together."""
        units = [a_unit(expiration=EXPIRATION + timedelta(days=number)) for number in range(24)]
        torn: list[DayStatus] = []

        def work(mine: list[Unit]) -> None:
            for unit in mine:
                catalog.begin(unit, NOW)
                catalog.record(stored(unit, artifact=an_artifact(unit, rows=3, bytes=5)), NOW)
                torn.extend(s for s in catalog.days() if (s.rows, s.bytes) != (3 * s.files, 5 * s.files))

        threads = [threading.Thread(target=work, args=(units[number::4],)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert torn == []
        assert [outcome.unit for outcome in catalog.outcomes(a_day())] == units


moments = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
dollars = st.floats(0, 1e9, allow_nan=False)
days_of_any_year = st.dates(date(1990, 1, 1), date(2100, 1, 1))
contracts = st.builds(Contract, days_of_any_year, dollars, st.sampled_from(Right))
minutes = st.none() | st.integers(0, 1439)
holes = st.builds(Hole, st.sampled_from(HoleKind), st.none() | contracts, minutes, minutes)
words = st.none() | st.text()


@each_kind
class TestRoundTrips:
    """Any value of the model comes back equal."""

    @settings(deadline=None, max_examples=40)
    @given(data=st.data())
    def test_any_outcome_comes_back_equal(self, kind: str, data: st.DataObject) -> None:
        """Any text, moment, day and float."""
        unit = a_unit(expiration=data.draw(st.none() | days_of_any_year))
        provenance = a_provenance(
            request=data.draw(st.text()), greeks_version=data.draw(words), fetched_at=data.draw(moments)
        )
        artifact = an_artifact(
            rows=data.draw(st.integers(0, 2**62)), created_at=data.draw(moments), provenance=provenance
        )
        outcome = stored(
            unit,
            artifact=artifact,
            holes=tuple(data.draw(st.lists(holes, max_size=5))),
            reason=data.draw(words),
            ask_again=data.draw(st.none() | days_of_any_year),
        )
        with TemporaryDirectory() as folder, opened(kind, Path(folder)) as catalog:
            catalog.record(outcome, NOW)
            assert catalog.outcome(unit) == outcome

    @settings(deadline=None, max_examples=40)
    @given(listed=st.lists(contracts, max_size=20), fetched_at=moments)
    def test_any_contract_list_comes_back_equal(self, kind: str, listed: list[Contract], fetched_at: datetime) -> None:
        """Sorted, as lists are."""
        whole = ContractList("SPXW", TRADE_DATE, tuple(sorted(listed)), fetched_at)
        with TemporaryDirectory() as folder, opened(kind, Path(folder)) as catalog:
            catalog.keep_contracts(whole, "quote")
            assert catalog.contracts("SPXW", TRADE_DATE, "quote") == whole


#: A second trade date, later than `TRADE_DATE`, and a later expiration.
NEXT_DATE = date(2024, 1, 17)
LATER = date(2024, 1, 26)


class TestManyDays:
    """blemished, stored, filed, origins: what planning asks about many days at once."""

    @pytest.fixture
    def held(self, catalog: Catalog) -> dict[str, Outcome]:
        """Units of two dates and two datasets, some of them with something to say of."""
        found = {
            "plain": stored(a_unit(expiration=LATER)),
            "early": stored(a_unit()),
            "holes": stored(a_unit(trade_date=NEXT_DATE), holes=(a_gap(),)),
            "empty": empty(a_unit(trade_date=NEXT_DATE, expiration=LATER)),
            "unverified": stored(a_unit(dataset="quote"), verified=False),
            "again": stored(a_unit(dataset="quote", expiration=LATER), ask_again=date(2024, 2, 16)),
        }
        for outcome in found.values():
            catalog.record(outcome, NOW)
        return found

    def test_units_that_are_simply_there_are_not_blemished(self, catalog: Catalog, held: dict[str, Outcome]) -> None:
        """All others are, sorted by day and expiration."""
        found = catalog.blemished()
        assert found == tuple(held[name] for name in ("unverified", "again", "holes", "empty"))
        assert all(catalog.outcome(outcome.unit) == outcome for outcome in found)

    def test_those_of_a_range_are(self, catalog: Catalog, held: dict[str, Outcome]) -> None:
        """Both ends included."""
        assert catalog.blemished(NEXT_DATE) == (held["holes"], held["empty"])
        assert catalog.blemished(end=TRADE_DATE) == (held["unverified"], held["again"])

    def test_a_unit_that_is_downloaded_once_more_is_blemished(self, catalog: Catalog, held: dict[str, Outcome]) -> None:
        """Its file is still there."""
        catalog.begin(held["plain"].unit, NOW)
        assert held["plain"].unit in {outcome.unit for outcome in catalog.blemished()}

    def test_stored_files_are_those_of_a_dataset(self, catalog: Catalog, held: dict[str, Outcome]) -> None:
        """In the order of days and expirations, whatever else is to say of them; as a sequence that can be cut."""
        expected = [(held[name].unit, held[name].artifact) for name in ("early", "plain", "holes")]
        found = catalog.stored("greeks", "1m")
        assert (list(found), len(found)) == (expected, 3)
        assert (list(found[1:]), found[-1]) == (expected[1:], expected[-1])
        assert len(catalog.stored("greeks", "1h")) == 0

    def test_stored_files_are_chosen(self, catalog: Catalog, held: dict[str, Outcome]) -> None:
        """By root, by trade date, and by whoever asks."""
        assert [unit for unit, _ in catalog.stored("greeks", "1m", start=NEXT_DATE)] == [held["holes"].unit]
        assert [unit for unit, _ in catalog.stored("greeks", "1m", end=TRADE_DATE, root="SPX")] == []
        later = catalog.stored("greeks", "1m", root="SPXW", may_matter=lambda unit, *_: unit.expiration == LATER)
        assert [unit for unit, _ in later] == [held["plain"].unit]

    def test_filed_are_the_files_of_a_day(self, catalog: Catalog, held: dict[str, Outcome]) -> None:
        """With what they are to be found by, and no more."""
        files = [held[name].artifact for name in ("early", "plain")]
        assert catalog.filed(a_day()) == tuple(
            Filed(expiration, file.path, file.bytes)
            for expiration, file in zip((EXPIRATION, LATER), files, strict=True)
            if file
        )
        assert catalog.filed(a_day(dataset="trade")) == ()

    @pytest.mark.usefixtures("held")
    def test_origins_are_counted(self, catalog: Catalog) -> None:
        """By dialect and greeks version."""
        other = an_artifact(a_unit(), provenance=a_provenance(dialect="v2", greeks_version=None))
        catalog.record(stored(a_unit(), artifact=other), NOW)
        assert catalog.origins() == Counter({("v3", "latest"): 4, ("v2", None): 1})
        assert catalog.origins(NEXT_DATE, NEXT_DATE) == Counter({("v3", "latest"): 1})
        assert catalog.origins(date(2025, 1, 2)) == Counter()

    def test_a_day_wide_file_comes_first(self, catalog: Catalog) -> None:
        """It has no expiration."""
        catalog.record(stored(), NOW)
        whole = a_unit(expiration=None)
        catalog.record(stored(whole), NOW)
        assert [unit.expiration for unit, _ in catalog.stored("greeks", "1m")] == [None, EXPIRATION]
        assert [file.expiration for file in catalog.filed(a_day())] == [None, EXPIRATION]


class TestRanges:
    """Between which strikes and times a file's rows lie."""

    @pytest.mark.parametrize(
        "ranges",
        [
            {},
            {"strikes": (4700.0, 4812.5)},
            {"times": (time(9, 30), time(16, 15))},
            {"strikes": (0.5, 9_000.0), "times": (time(9, 30, 0, 17_000), time(16, 0, 59, 999_000))},
        ],
        ids=lambda ranges: " and ".join(ranges) or "neither",
    )
    def test_they_come_back_as_they_were(self, reopen: Reopen, ranges: dict[str, Any]) -> None:
        """Also what nobody noted; in every way of asking."""
        outcome = stored(artifact=an_artifact(**ranges))
        with reopen() as catalog:
            catalog.record(outcome, NOW)
        with reopen() as again:
            assert again.outcome(outcome.unit) == outcome
            assert list(again.stored("greeks", "1m")) == [(outcome.unit, outcome.artifact)]


class TestContractsDigest:
    """contracts_digest."""

    def test_a_list_that_was_never_fetched_has_none(self, catalog: Catalog) -> None:
        assert catalog.contracts_digest("SPXW", TRADE_DATE, "quote") is None

    def test_it_tells_lists_apart_by_their_contracts_alone(self, catalog: Catalog) -> None:
        """Not by when they were fetched."""
        digests = []
        for changes in ({}, {"fetched_at": NOW + timedelta(days=1)}, {"strikes": (4700.0, 4750.0)}):
            catalog.keep_contracts(a_contract_list(**changes), "quote")
            digests.append(catalog.contracts_digest("SPXW", TRADE_DATE, "quote"))
        assert digests[0] == digests[1] != digests[2]
        assert catalog.contracts_digest("SPXW", TRADE_DATE, "trade") is None

    def test_it_stays_the_same(self, reopen: Reopen) -> None:
        """For whoever opens the catalog next."""
        with reopen() as catalog:
            catalog.keep_contracts(a_contract_list(), "quote")
            before = catalog.contracts_digest("SPXW", TRADE_DATE, "quote")
        with reopen() as again:
            assert again.contracts_digest("SPXW", TRADE_DATE, "quote") == before
