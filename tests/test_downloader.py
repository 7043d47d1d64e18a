"""Many units: what is fetched, repeated, skipped, recorded, and how a run ends."""

import _thread
import asyncio
import dataclasses
import gc
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from spxdata import Emulator, download
from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.downloader import Download, Summary, exit_code
from spxdata.downloader.summary import Ended
from spxdata.errors import (
    ArchiveBusy,
    BadRequest,
    ConfigError,
    CutOff,
    Disconnected,
    DiskFull,
    MalformedReply,
    NoData,
    NotSubscribed,
    OtherTerminal,
    RateLimited,
    ServerFault,
    ServerStarting,
    SpxDataError,
    TimedOut,
    Unreachable,
)
from spxdata.events import (
    AttemptFailed,
    AttemptStarted,
    DayClosed,
    DayFinished,
    DayPlanned,
    Emit,
    Event,
    FileAdopted,
    FileRenamed,
    TerminalUnusable,
    TerminalUsable,
    UnitRecorded,
    ignore,
)
from spxdata.layout import CATALOG, PARTIAL, path_of
from spxdata.model import Contract, ContractList, DayStatus, Outcome, Right, Scope, State, Unit, Verdict
from spxdata.pipeline.edges import Edges, Encoding, SortMemory
from spxdata.plan import Request, request_of
from spxdata.protocols import Terminal
from spxdata.retry import Patience
from spxdata.sessions import trading_days
from spxdata.storage.local import LocalStorage
from spxdata.terminal.asking import Line
from spxdata.terminal.v3 import V3Terminal
from tests.builders import FakeClock, a_day, stored
from tests.faulty import FaultyTerminal, Script, always, first, never

TUESDAY = date(2024, 1, 16)
WEDNESDAY = date(2024, 1, 17)
ALL = Scope(60)
LATER = datetime(2024, 3, 1, 15, 0, tzinfo=UTC)


class Archive:
    """An archive in a folder, and runs on it against an emulated Terminal."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.clock = FakeClock(LATER)
        self.events: list[Event] = []
        self.terminal = FaultyTerminal(self.real())

    def real(self) -> Terminal:
        """Return the Terminal without faults."""
        return V3Terminal(Line(self.url, "v3"), self.clock)

    def run(
        self,
        *dates: date,
        on_fetch: Script = never,
        on_contracts: Script = never,
        on_status: Script = never,
        scope: Scope = ALL,
        force: bool = False,
        retries: int = 3,
        root: str = "SPXW",
        datasets: tuple[str, ...] = ("quote",),
        request: Request | None = None,
        on_event: Callable[[Event], None] = lambda _: None,
    ) -> Summary:
        """Bring some days into the archive."""
        self.events = []

        def emit(event: Event) -> None:
            self.events.append(event)
            on_event(event)

        self.terminal = FaultyTerminal(self.real(), on_fetch, on_contracts, on_status)
        with self.opened(request or Request(dates or (TUESDAY,), root, datasets, scope, force), emit, retries) as found:
            return found.run()

    def plans(self, scope: Scope) -> list[DayPlanned]:
        """Return what a run would fetch of the usual day."""
        with self.opened(Request((TUESDAY,), "SPXW", ("quote",), scope)) as found:
            return list(found.plans())

    @contextmanager
    def opened(self, request: Request, emit: Emit = ignore, retries: int = 3, places: int = 3) -> Iterator[Download]:
        """Open the archive for a request."""
        edges = Edges(self.terminal, LocalStorage(self.folder), self.clock, emit, Encoding(), SortMemory())
        with closing(SqliteCatalog(self.folder / CATALOG)) as catalog:
            yield Download(
                request,
                edges,
                catalog,
                widths=lambda _: places,
                patience=Patience(retries, jitter=0),
                chance=lambda: 0.0,
                pacing=0.0,
            )

    def outcomes(self, trade_date: date = TUESDAY) -> dict[date | None, Outcome]:
        """Return how the units of a day stand, by expiration."""
        catalog = SqliteCatalog(self.folder / CATALOG, read_only=True)
        try:
            days = catalog.days(trade_date, trade_date)
            return {outcome.unit.expiration: outcome for status in days for outcome in catalog.outcomes(status.day)}
        finally:
            catalog.close()

    def status(self, trade_date: date = TUESDAY) -> DayStatus:
        """Return a day's line."""
        catalog = SqliteCatalog(self.folder / CATALOG, read_only=True)
        try:
            return catalog.days(trade_date, trade_date)[0]
        finally:
            catalog.close()

    def fetched(self) -> list[Unit]:
        """Return the units that were asked for in the last run, in order."""
        return [question for question in self.terminal.asked if isinstance(question, Unit)]

    def of(self, kind: type[Event]) -> list[Event]:
        """Return the last run's events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def archive(tmp_path: Path, emulator: Emulator) -> Archive:
    """Return an empty archive."""
    return Archive(tmp_path, emulator.url)


def unit(expiration: date, trade_date: date = TUESDAY) -> Unit:
    """Return a quote unit."""
    return Unit(trade_date, "SPXW", "quote", "1m", expiration)


# --- the ordinary way -------------------------------------------------------------------------------------------------


def test_a_day_is_stored_whole_nearest_expiration_first(archive: Archive) -> None:
    summary = archive.run()
    assert summary.finished.exit_code == 0
    assert summary.days[0].verdict is Verdict.COMPLETE
    assert summary.days[0].status == "success"
    started = [event.unit.expiration for event in archive.events if isinstance(event, AttemptStarted)]
    assert started == sorted(started, key=str)
    assert {outcome.state for outcome in archive.outcomes().values()} == {State.STORED}
    assert summary.finished.rows == sum(o.artifact.rows for o in archive.outcomes().values() if o.artifact)


def test_what_is_there_is_skipped_without_asking_the_terminal(archive: Archive) -> None:
    archive.run()
    again = archive.run()
    assert again.finished.exit_code == 0
    assert (again.finished.downloaded, again.finished.skipped) == (0, 1)
    assert archive.terminal.asked == []


def test_of_a_complete_day_no_list_is_read(archive: Archive) -> None:
    """Its verdict says that nothing is due; here the list is gone since."""
    archive.run()
    catalog = SqliteCatalog(archive.folder / CATALOG)
    catalog.keep_contracts(ContractList("SPXW", TUESDAY, (), LATER), "quote")
    catalog.close()
    again = archive.run()
    assert (again.finished.skipped, again.finished.exit_code, archive.terminal.asked) == (1, 0, [])


@pytest.mark.parametrize("scope", [ALL, Scope(1), Scope(60, (date(2024, 1, 17),))], ids=str)
def test_a_dry_run_over_a_complete_day_opens_no_file(archive: Archive, scope: Scope) -> None:
    """Names and sizes will do, whatever part of the day is asked for; a run finds out what is in them."""
    archive.run()
    for file in archive.folder.glob("2024*/*.parquet"):
        file.write_bytes(bytes(file.stat().st_size))
    asked = [expiration for expiration in archive.outcomes() if expiration and scope.covers(TUESDAY, expiration)]
    assert archive.plans(scope) == [DayPlanned(a_day(dataset="quote"), (), len(asked))]
    archive.run(scope=scope)
    assert len(archive.fetched()) == len(asked) > 0


def test_a_dry_run_names_a_file_that_is_gone(archive: Archive) -> None:
    archive.run()
    gone, *rest = sorted(archive.folder.glob("2024*/*.parquet"))
    gone.unlink()
    (plan,) = archive.plans(ALL)
    assert ([path_of(one) for one in plan.units], plan.skipped) == ([f"20240116/{gone.name}"], len(rest))


def test_a_wider_scope_fetches_only_what_is_new(archive: Archive) -> None:
    archive.run(scope=Scope(1))
    assert archive.status().scope == Scope(1)
    before = set(archive.outcomes())
    archive.run(scope=Scope(60))
    assert {u.expiration for u in archive.fetched()} == set(archive.outcomes()) - before
    assert archive.status().scope == Scope(60)


def test_a_narrower_scope_does_not_narrow_the_verdict(archive: Archive) -> None:
    archive.run()
    archive.run(scope=Scope(0))
    archive.run(scope=Scope(60, (date(2024, 1, 17),)), force=True)
    assert archive.status().scope == Scope(60)
    assert archive.status().verdict is Verdict.COMPLETE


def test_a_file_that_is_gone_or_changed_is_fetched_again(archive: Archive) -> None:
    archive.run()
    gone, cut, *_ = sorted(archive.folder.glob("2024*/*.parquet"))
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:-1])
    summary = archive.run()
    assert sorted(path_of(u) for u in archive.fetched()) == sorted(f"20240116/{path.name}" for path in (gone, cut))
    assert summary.days[0].verdict is Verdict.COMPLETE


def test_whole_files_that_the_catalog_lost_are_adopted(archive: Archive) -> None:
    archive.run()
    known = {e: o.artifact for e, o in archive.outcomes().items()}
    for path in (archive.folder / ".spxdata").iterdir():
        path.unlink()
    summary = archive.run()
    assert archive.fetched() == []
    assert len(archive.of(FileAdopted)) == len(known)
    assert {e: o.artifact for e, o in archive.outcomes().items()} == known
    assert summary.days[0].verdict is Verdict.COMPLETE


def test_a_file_with_altered_rows_is_not_adopted(archive: Archive) -> None:
    import polars as pl
    import pyarrow.parquet as pq

    archive.run()
    path = min(archive.folder.glob("2024*/*.parquet"))
    metadata = pq.read_schema(path).metadata
    table = pl.read_parquet(path).with_columns(pl.col("bid") + 0.05).to_arrow()
    pq.write_table(table.replace_schema_metadata(metadata), path)
    for file in (archive.folder / ".spxdata").iterdir():
        file.unlink()
    archive.run()
    assert [path_of(u) for u in archive.fetched()] == [f"20240116/{path.name}"]


def test_force_fetches_everything_again_and_gets_the_same_content(archive: Archive) -> None:
    archive.run()
    before = {e: o.artifact.content_hash for e, o in archive.outcomes().items() if o.artifact}
    archive.run(force=True)
    assert len(archive.fetched()) == len(before)
    assert {e: o.artifact.content_hash for e, o in archive.outcomes().items() if o.artifact} == before


# --- days without rows ------------------------------------------------------------------------------------------------


def test_closed_days_are_named_and_nothing_is_asked(archive: Archive) -> None:
    summary = archive.run(date(2024, 1, 13), date(2024, 1, 15))
    assert archive.terminal.asked == []
    assert [event.reason for event in archive.events if isinstance(event, DayClosed)] == [
        "Saturday",
        "Martin Luther King Jr. Day",
    ]
    assert summary.finished.exit_code == 0
    assert not (archive.folder / "20240115").exists()


def test_a_day_that_is_not_published_yet_is_recorded_and_not_asked_for(archive: Archive) -> None:
    archive.clock = FakeClock(datetime(2024, 1, 16, 23, 0, tzinfo=UTC))
    summary = archive.run()
    assert archive.terminal.asked == []
    assert archive.outcomes()[None].state is State.NOT_PUBLISHED
    assert summary.days[0].verdict is Verdict.NOT_PUBLISHED
    assert summary.finished.exit_code == 0
    archive.clock = FakeClock(LATER)
    assert archive.run().days[0].verdict is Verdict.COMPLETE
    assert None not in archive.outcomes()


def test_a_contract_list_fetched_before_publication_is_fetched_again(archive: Archive) -> None:
    early = ContractList(
        "SPXW", TUESDAY, (Contract(TUESDAY, 4750.0, Right.CALL),), datetime(2024, 1, 16, 20, 0, tzinfo=UTC)
    )
    catalog = SqliteCatalog(archive.folder / CATALOG)
    catalog.keep_contracts(early, "quote")
    catalog.close()
    archive.run()
    assert TUESDAY in archive.terminal.asked
    assert len(archive.outcomes()) > 1


def test_a_day_without_contracts_is_empty_and_absent_and_asked_for_again_a_month_later(archive: Archive) -> None:
    summary = archive.run(on_contracts=always(lambda: NoData("No data found for your request")))
    assert archive.outcomes()[None].state is State.EMPTY
    assert summary.days[0].verdict is Verdict.ABSENT
    assert summary.finished.exit_code == 0
    archive.run()
    assert archive.terminal.asked == []
    archive.clock.advance(timedelta(days=30).total_seconds())
    assert archive.run().days[0].verdict is Verdict.COMPLETE


def test_a_recent_empty_day_is_asked_for_again_the_next_day(archive: Archive) -> None:
    archive.clock = FakeClock(datetime(2024, 1, 17, 15, 0, tzinfo=UTC))
    archive.run(on_contracts=always(lambda: NoData("No data found for your request")))
    assert archive.outcomes()[None].ask_again == date(2024, 1, 18)


def test_an_expiration_without_data_is_empty_beside_the_others(archive: Archive) -> None:
    summary = archive.run(on_fetch=always(lambda: NoData("No data found"), unit(WEDNESDAY)))
    assert archive.outcomes()[WEDNESDAY].state is State.EMPTY
    assert archive.outcomes()[TUESDAY].state is State.STORED
    assert summary.days[0].verdict is Verdict.PARTIAL, "its contracts are listed: the day lacks them"
    assert summary.finished.exit_code == 1
    again = archive.run()
    assert archive.fetched() == []
    assert again.finished.exit_code == 1, "it still lacks them, though nothing is due"


def test_an_account_without_contract_lists_gets_its_days_unverified(archive: Archive) -> None:
    summary = archive.run(on_contracts=always(lambda: NotSubscribed("requires a value subscription")), scope=Scope(3))
    assert summary.days[0].verdict is Verdict.UNVERIFIED
    assert "expirations SPXW" in archive.terminal.asked
    assert [u.expiration for u in archive.fetched()] == [date(2024, 1, day) for day in (16, 17, 18, 19)]


def test_files_are_compared_with_a_contract_list_that_comes_later(archive: Archive) -> None:
    archive.run(on_contracts=always(lambda: NotSubscribed("requires a value subscription")), scope=Scope(3))
    summary = archive.run(scope=Scope(3))
    assert summary.days[0].verdict is Verdict.COMPLETE
    assert archive.fetched() == []
    assert all(outcome.verified for outcome in archive.outcomes().values())


def test_files_that_lack_contracts_of_a_list_that_comes_later_are_fetched_again(tmp_path: Path) -> None:
    with Emulator(seed=1, drop=["strike=4750,right=C,expiration=2024-01-17"]) as emulator:
        archive = Archive(tmp_path, emulator.url)
        refuse = always(lambda: NotSubscribed("requires a value subscription"))
        assert archive.run(on_contracts=refuse, scope=Scope(1)).days[0].verdict is Verdict.UNVERIFIED
        archive.run(scope=Scope(1))
        assert archive.outcomes()[WEDNESDAY].verified
        assert {fetched.expiration for fetched in archive.fetched()} == {WEDNESDAY}


@pytest.mark.parametrize("on_contracts", [never, always(lambda: NotSubscribed("requires a value subscription"))])
def test_days_of_several_roots_have_their_own_lists_and_expirations(archive: Archive, on_contracts: Script) -> None:
    days = [a_day(dataset="quote"), a_day(dataset="quote", root="SPX")]
    archive.run(on_contracts=on_contracts, request=request_of(days, Scope(40)))
    assert archive.terminal.asked.count(TUESDAY) == (4 if on_contracts is never else 2), "a list is asked for twice"
    asked = {question for question in archive.terminal.asked if str(question).startswith("expirations")}
    assert asked == (set() if on_contracts is never else {"expirations SPXW", "expirations SPX"})
    nearest = {
        root: min(u.expiration or TUESDAY for u in archive.fetched() if u.root == root) for root in ("SPXW", "SPX")
    }
    assert nearest == {"SPXW": TUESDAY, "SPX": date(2024, 1, 19)}


# --- failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RateLimited, CutOff, ServerFault, TimedOut])
def test_transient_failures_are_repeated_after_1_2_4_seconds(archive: Archive, error: type[SpxDataError]) -> None:
    summary = archive.run(on_fetch=first(3, lambda: error("for a moment"), unit(WEDNESDAY)))
    waits = [event.wait for event in archive.events if isinstance(event, AttemptFailed)]
    assert waits == [1.0, 2.0, 4.0]
    assert archive.outcomes()[WEDNESDAY].attempts == 4
    assert summary.finished.exit_code == 0


def test_a_unit_that_fails_for_good_does_not_stop_the_rest_and_is_fetched_by_the_next_run(archive: Archive) -> None:
    summary = archive.run(on_fetch=always(lambda: ServerFault("500 again"), unit(WEDNESDAY)))
    assert summary.finished.exit_code == 1
    assert summary.finished.failed == 1
    failed = archive.outcomes()[WEDNESDAY]
    assert (failed.state, failed.code, failed.attempts) == (State.FAILED, "SPX-T500", 4)
    assert summary.days[0].status == "failed"
    assert {o.state for e, o in archive.outcomes().items() if e != WEDNESDAY} == {State.STORED}
    assert archive.run().finished.exit_code == 0
    assert archive.fetched() == [unit(WEDNESDAY)]


def test_a_wrong_reply_is_asked_for_once_more_only(archive: Archive) -> None:
    archive.run(on_fetch=always(lambda: MalformedReply("cut"), unit(WEDNESDAY)))
    assert archive.outcomes()[WEDNESDAY].attempts == 2


def test_a_refused_dataset_is_asked_for_once_recorded_and_left_alone_for_a_month(archive: Archive) -> None:
    refuse = always(lambda: NotSubscribed("requires a standard subscription"))
    summary = archive.run(on_fetch=refuse)
    assert summary.finished.exit_code == 3
    assert len(archive.fetched()) <= 3, "only what was in flight already"
    assert {o.state for o in archive.outcomes().values()} == {State.REFUSED}
    archive.run()
    assert archive.fetched() == []
    archive.clock.advance(timedelta(days=30).total_seconds())
    assert archive.run().finished.exit_code == 0


def test_another_terminal_on_the_account_stops_the_run(archive: Archive) -> None:
    with pytest.raises(OtherTerminal):
        archive.run(on_fetch=always(lambda: OtherTerminal("478"), unit(TUESDAY)))
    assert archive.terminal.aborted
    assert archive.run().finished.exit_code == 0


def test_a_terminal_that_is_gone_is_waited_for_a_minute_and_the_next_run_goes_on(archive: Archive) -> None:
    gone = always(lambda: Unreachable("refuses connections"))
    with pytest.raises(Unreachable):
        archive.run(on_fetch=gone, on_status=gone)
    waits = [event for event in archive.events if isinstance(event, TerminalUnusable)]
    assert [event.waited for event in waits] == [5.0 * n for n in range(12)]
    assert {o.state for o in archive.outcomes().values()} <= {State.PENDING, State.STORED}
    assert archive.run().finished.exit_code == 0


def test_a_terminal_that_comes_back_costs_no_unit_a_try(archive: Archive) -> None:
    starting = first(6, lambda: ServerStarting("571"))
    summary = archive.run(
        on_fetch=first(3, lambda: Disconnected("474"), unit(WEDNESDAY)), on_status=starting, retries=0
    )
    assert summary.finished.exit_code == 0
    assert any(isinstance(event, TerminalUsable) for event in archive.events)


def test_five_failures_in_a_row_open_the_breaker_for_thirty_seconds(archive: Archive) -> None:
    summary = archive.run(on_fetch=first(2, lambda: CutOff("ended early")))
    waits = [event for event in archive.events if isinstance(event, TerminalUnusable)]
    assert [(event.waited, event.probe_in, event.code) for event in waits[:1]] == [(0.0, 30.0, "SPX-T003")]
    assert summary.finished.exit_code == 0


def test_a_list_that_fails_fails_its_day_alone(archive: Archive) -> None:
    summary = archive.run(TUESDAY, WEDNESDAY, on_contracts=always(lambda: ServerFault("500"), TUESDAY))
    assert [day.status for day in summary.days] == ["failed", "success"]
    assert archive.terminal.asked.count(TUESDAY) == 4
    assert summary.finished.exit_code == 1
    assert archive.run(TUESDAY, WEDNESDAY).finished.exit_code == 0
    assert None not in archive.outcomes()


def test_a_full_disk_stops_the_run_and_leaves_nothing_half(archive: Archive) -> None:
    with pytest.raises(DiskFull):
        archive.run(on_fetch=always(lambda: DiskFull("no space left"), unit(WEDNESDAY)))
    assert not list(archive.folder.rglob(f"*{PARTIAL}"))
    assert archive.run().finished.exit_code == 0


def test_an_interrupt_leaves_nothing_half_and_the_next_run_completes(archive: Archive) -> None:
    """Ctrl-C while three units are in flight."""
    calls = itertools.count()

    def interrupt(_: object, __: int) -> None:
        if next(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        archive.run(on_fetch=interrupt)
    assert not list(archive.folder.rglob(f"*{PARTIAL}"))
    states = {o.state for o in archive.outcomes().values()}
    assert states <= {State.STORED, State.PENDING}
    assert archive.status().status == "queued"
    for outcome in archive.outcomes().values():
        assert outcome.artifact is None or (archive.folder / outcome.artifact.path).exists()
    assert archive.run().finished.exit_code == 0


def test_a_second_run_on_the_same_archive_is_told_who_writes(archive: Archive) -> None:
    holder = SqliteCatalog(archive.folder / CATALOG)
    with holder.lease(archive.clock), pytest.raises(ArchiveBusy):
        archive.run()
    holder.close()


# --- ranges -----------------------------------------------------------------------------------------------------------


def test_the_smallest_units_of_both_ends_of_a_range_go_first(archive: Archive) -> None:
    dates = tuple(date(2024, 1, day) for day in (16, 17, 18))
    archive.run(*dates)
    assert {u.trade_date for u in archive.fetched()[:2]} == {dates[0], dates[-1]}


def test_a_range_refused_at_both_ends_fails_before_the_days_between_are_asked_for(archive: Archive) -> None:
    dates = tuple(date(2024, 1, day) for day in (16, 17, 18))
    with pytest.raises(NotSubscribed):
        archive.run(*dates, on_fetch=always(lambda: NotSubscribed("requires a standard subscription")))
    assert len(archive.fetched()) == 2
    assert date(2024, 1, 17) not in archive.terminal.asked


class ListsHeld:
    """Notes the most trade dates of which contract lists were held at once.

    Attributes:
        dates: Those that are looked for, which no other test may have.
        most: How many.
    """

    def __init__(self, first: date, last: date) -> None:
        self.dates = tuple(trading_days(first, last))
        self.most = 0

    def __call__(self, event: Event) -> None:
        """Look when a day is planned or over."""
        if not isinstance(event, DayPlanned | DayFinished):
            return
        found = {one.trade_date for one in gc.get_objects() if isinstance(one, ContractList)}
        self.most = max(self.most, len(found.intersection(self.dates)))


def test_contract_lists_of_days_that_are_over_are_not_held(archive: Archive) -> None:
    """Each takes some megabytes, and years have thousands: those are held of open days, and of the range's end."""
    held = ListsHeld(date(2023, 3, 13), date(2023, 3, 24))
    with archive.opened(Request(held.dates, "SPXW", ("quote",), Scope(1)), held, places=1) as run:
        run.run()
    assert len(held.dates) == 10
    assert 1 <= held.most <= 4


def test_a_dry_run_holds_no_contract_list_of_a_day_it_has_planned(archive: Archive) -> None:
    held = ListsHeld(date(2023, 4, 10), date(2023, 4, 21))
    with archive.opened(Request(held.dates, "SPXW", ("quote", "greeks"), Scope(1))) as found:
        for plan in found.plans():
            held(plan)
    assert held.most == 1
    lists = [asked for asked in archive.terminal.asked if isinstance(asked, date)]
    assert len(lists) == 2 * len(held.dates)  # said twice, and not once more for the second dataset


@pytest.mark.parametrize("scope", [Scope(60), Scope(60, (WEDNESDAY, date(2024, 1, 19)))], ids=["all", "some"])
def test_each_list_is_asked_for_twice_whatever_is_asked_of_a_range(archive: Archive, scope: Scope) -> None:
    """Said twice, and not again for another dataset, nor because an expiration was looked for on it before."""
    dates = (TUESDAY, WEDNESDAY, date(2024, 1, 18))
    archive.run(*dates, scope=scope, datasets=("quote", "greeks"))
    lists = [asked for asked in archive.terminal.asked if isinstance(asked, date)]
    assert Counter(lists) == dict.fromkeys(dates, 2)


# --- short replies ----------------------------------------------------------------------------------------------------


@pytest.fixture
def short(tmp_path: Path) -> Iterator[Archive]:
    """Return an archive whose Terminal leaves an hour of one chain out of clean replies."""
    with Emulator(chain="small", drop=("date=2024-01-16,expiration=2024-01-17,from=11:00,to=11:59",)) as terminal:
        yield Archive(tmp_path, terminal.url)


def test_a_hole_confirmed_twice_is_stored_with_its_day_partial(short: Archive) -> None:
    summary = short.run()
    assert summary.finished.exit_code == 1
    assert summary.days[0].verdict is Verdict.PARTIAL
    outcome = short.outcomes()[WEDNESDAY]
    assert outcome.attempts == 2
    assert [(hole.kind.value, hole.first, hole.last) for hole in outcome.holes] == [("outage", 660, 719)]
    codes = [event.code for event in short.events if isinstance(event, AttemptFailed)]
    assert codes == ["SPX-D004"]


def test_a_hole_is_asked_for_again_after_thirty_days_or_by_force(short: Archive, emulator: Emulator) -> None:
    short.run()
    short.run()
    assert short.fetched() == []
    short.url = emulator.url  # the vendor filled the hole
    short.clock.advance(timedelta(days=30).total_seconds())
    assert short.run().days[0].verdict is Verdict.COMPLETE
    assert short.fetched() == [unit(WEDNESDAY)]


def test_a_hole_that_is_stored_while_the_run_is_interrupted_waits_like_any_other(short: Archive) -> None:
    def interrupt(event: Event) -> None:
        if isinstance(event, FileRenamed) and event.unit == unit(WEDNESDAY):
            _thread.interrupt_main()

    with pytest.raises(KeyboardInterrupt):
        short.run(on_event=interrupt)
    outcome = short.outcomes()[WEDNESDAY]
    assert (outcome.state, outcome.partial) == (State.STORED, True)
    assert outcome.ask_again == LATER.date() + timedelta(days=30)


def test_the_second_fetch_happens_even_without_retries(short: Archive) -> None:
    short.run(retries=0)
    assert short.outcomes()[WEDNESDAY].state is State.STORED


def test_a_hole_that_is_recorded_as_the_run_is_stopped_is_asked_for_again_as_well(short: Archive) -> None:
    """Ctrl-C comes when the file has its name, and before it is recorded."""
    file = short.folder / path_of(unit(WEDNESDAY))
    short.clock = StoppedOnce(LATER, file)
    with pytest.raises(KeyboardInterrupt):
        short.run(scope=Scope(60, (WEDNESDAY,)))
    outcome = short.outcomes()[WEDNESDAY]
    assert outcome.partial
    assert (outcome.attempts, outcome.ask_again) == (2, LATER.date() + timedelta(days=30))


class StoppedOnce(FakeClock):
    """A clock that is looked at when the user presses Ctrl-C: as soon as there is a file."""

    def __init__(self, now: datetime, file: Path) -> None:
        super().__init__(now)
        self._file: Path | None = file

    def monotonic(self) -> float:
        """Return the seconds, or be interrupted."""
        if self._file and self._file.exists():
            self._file = None
            raise KeyboardInterrupt
        return super().monotonic()


# --- expirations that are none ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [date(2024, 1, 20), date(2030, 1, 18), date(2024, 1, 12)])
@pytest.mark.parametrize("dates", [(TUESDAY,), (TUESDAY, WEDNESDAY)], ids=len)
def test_an_expiration_that_is_on_no_list_is_refused_before_anything_is_recorded(
    archive: Archive, asked: date, dates: tuple[date, ...]
) -> None:
    with pytest.raises(ConfigError) as caught:
        archive.run(*dates, scope=Scope(60, (date(2024, 1, 19), asked)))
    assert f"no expiration {asked} on" in caught.value.message
    assert "2024-01-1" in caught.value.hint
    assert archive.fetched() == []
    catalog = SqliteCatalog(archive.folder / CATALOG, read_only=True)
    assert catalog.days() == ()
    catalog.close()


def test_the_nearest_expirations_are_named(archive: Archive) -> None:
    with pytest.raises(ConfigError) as caught:
        archive.run(scope=Scope(60, (date(2024, 1, 20),)))
    assert caught.value.message == "SPXW has no expiration 2024-01-20 on 2024-01-16."
    assert caught.value.hint == "Nearest to it are 2024-01-17, 2024-01-18, 2024-01-19."


def test_an_expiration_within_a_range_is_none_of_the_days_after_it(archive: Archive) -> None:
    """The day after has no unit of it, and that is not called complete."""
    summary = archive.run(TUESDAY, WEDNESDAY, scope=Scope(60, (TUESDAY,)))
    assert [day.verdict for day in summary.days] == [Verdict.COMPLETE, Verdict.ABSENT]
    assert summary.finished.exit_code == 0
    assert archive.run(TUESDAY, WEDNESDAY, scope=Scope(60, (TUESDAY,))).finished.exit_code == 0
    assert archive.fetched() == []
    assert archive.run(WEDNESDAY).days[0].verdict is Verdict.COMPLETE


def test_a_scope_without_expirations_is_absent_and_never_complete(archive: Archive) -> None:
    """The third-Friday root has none that soon; a wider scope has."""
    summary = archive.run(scope=Scope(0), root="SPX")
    assert summary.days[0].verdict is Verdict.ABSENT
    assert (summary.finished.exit_code, summary.finished.skipped, summary.finished.without_rows) == (0, 0, 1)
    assert archive.fetched() == []
    assert archive.run(scope=Scope(40), root="SPX").days[0].verdict is Verdict.COMPLETE


def test_an_expiration_is_not_refused_by_a_list_that_nobody_knows(archive: Archive) -> None:
    refuse = always(lambda: NotSubscribed("requires a value subscription"))
    assert archive.run(on_contracts=refuse, scope=Scope(60, (date(2024, 1, 20),))).finished.exit_code == 0
    archive.clock = FakeClock(datetime(2024, 1, 16, 23, 0, tzinfo=UTC))
    assert archive.run(scope=Scope(60, (date(2024, 1, 20),))).days[0].verdict is Verdict.NOT_PUBLISHED


# --- events, exit codes, loops ----------------------------------------------------------------------------------------


def test_a_file_is_renamed_before_it_is_recorded(archive: Archive) -> None:
    archive.run()
    order: dict[Unit, list[str]] = {}
    for event in archive.events:
        if isinstance(event, FileRenamed):
            order.setdefault(event.unit, []).append("renamed")
        elif isinstance(event, UnitRecorded):
            order.setdefault(event.outcome.unit, []).append("recorded")
    assert set(map(tuple, order.values())) == {("renamed", "recorded")}


def an_outcome(state: State) -> Outcome:
    """Return an outcome of a state."""
    return dataclasses.replace(stored(), state=state, artifact=None, holes=())


@pytest.mark.parametrize(
    ("states", "errors", "stopped", "code"),
    [
        ((), (), None, 0),
        ((State.STORED,), (), None, 0),
        ((State.EMPTY, State.NOT_PUBLISHED), (), None, 0),
        ((State.REFUSED, State.STORED), (), None, 0),
        ((State.REFUSED,), (), None, 3),
        ((State.FAILED,), (MalformedReply,), None, 4),
        ((State.FAILED,), (BadRequest,), None, 3),
        ((State.FAILED,), (TimedOut,), None, 75),
        ((State.FAILED, State.FAILED), (TimedOut, MalformedReply), None, 1),
        ((State.FAILED, State.STORED), (TimedOut,), None, 1),
        ((State.STORED,), (), KeyboardInterrupt(), 130),
        ((State.STORED,), (), DiskFull(""), 5),
        ((), (), Unreachable(""), 75),
        ((State.STORED,), (), Unreachable(""), 1),
        ((State.STORED,), (), OtherTerminal(""), 3),
        ((), (), ArchiveBusy(""), 6),
    ],
)
def test_exit_codes_tell_how_a_run_ended(
    states: tuple[State, ...], errors: tuple[type[SpxDataError], ...], stopped: BaseException | None, code: int
) -> None:
    ended = [Ended.of(an_outcome(state)) for state in states]
    assert exit_code(ended, errors, stopped) == code
    assert exit_code(ended, errors, stopped, partial=True) == (code or 1)


def test_it_works_under_a_running_event_loop(emulator: Emulator, tmp_path: Path) -> None:
    """As in a notebook: the call blocks, and that is all."""

    async def cell() -> Summary:
        return download("2024-01-16", terminal=emulator.url, data_dir=tmp_path, datasets=("quote",), environ={})

    assert asyncio.run(cell()).finished.exit_code == 0
