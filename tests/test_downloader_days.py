"""Datasets that are one unit a day, that have no contract list, or none yet; a Terminal in memory follows a script."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.downloader import Download, Summary
from spxdata.errors import CutOff, NoData, NotSubscribed
from spxdata.layout import CATALOG
from spxdata.model import ContractList, Outcome, Scope, State, Unit, Verdict
from spxdata.pipeline.edges import Edges, Encoding, SortMemory
from spxdata.plan import Request
from spxdata.retry import Patience
from spxdata.schema import DATASETS, Dataset
from spxdata.storage.local import LocalStorage
from tests.builders import TRADE_DATE, FakeClock
from tests.pipeline.builders import CALL, CONTRACTS, ScriptedTerminal, listing, rows_of, unit_for, wire_csv

#: Weeks after the day, its evening, and its morning before the open.
LATER = datetime(2024, 3, 1, 15, 0, tzinfo=UTC)
EVENING = datetime(2024, 1, 16, 23, 0, tzinfo=UTC)
MORNING = datetime(2024, 1, 16, 12, 0, tzinfo=UTC)

EOD, OPEN_INTEREST, INDEX, RATE = (DATASETS[name] for name in ("eod", "open_interest", "index_price", "interest_rate"))
#: As many answers as anybody could ask for.
OFTEN = 20


class Archive:
    """An archive, and runs on it against a script.

    Args:
        folder: Where it lies.
        now: The moment of the first run.
    """

    def __init__(self, folder: Path, now: datetime = LATER) -> None:
        self.folder = folder
        self.clock = FakeClock(now)
        self.terminal = ScriptedTerminal([])

    def run(
        self,
        dataset: Dataset,
        script: Sequence[bytes | BaseException],
        lists: Mapping[str, ContractList | BaseException] | None = None,
        retries: int = 3,
    ) -> Summary:
        """Bring the usual day of a dataset into the archive; a Terminal without lists must not be asked for one."""
        self.terminal = ScriptedTerminal(list(script), lists=lists or {})
        edges = Edges(self.terminal, LocalStorage(self.folder), self.clock, lambda _: None, Encoding(), SortMemory())
        catalog = SqliteCatalog(self.folder / CATALOG)
        try:
            return Download(
                Request((TRADE_DATE,), "SPXW", (dataset.name,), Scope(60)),
                edges,
                catalog,
                widths=lambda _: 2,
                patience=Patience(retries, jitter=0),
                chance=lambda: 0.0,
                pacing=0.0,
            ).run()
        finally:
            catalog.close()

    def outcomes(self) -> dict[Unit, Outcome]:
        """Return how the units of the day stand."""
        catalog = SqliteCatalog(self.folder / CATALOG, read_only=True)
        try:
            days = catalog.days(TRADE_DATE, TRADE_DATE)
            return {outcome.unit: outcome for status in days for outcome in catalog.outcomes(status.day)}
        finally:
            catalog.close()

    def outcome(self) -> Outcome:
        """Return how the only unit of the day stands."""
        (outcome,) = self.outcomes().values()
        return outcome


def whole(dataset: Dataset) -> bytes:
    """Return a whole reply."""
    return wire_csv(rows_of(CONTRACTS, range(570, 976), dataset), dataset)


def no_data() -> NoData:
    """Return the Terminal's word that there is nothing."""
    return NoData("No data found for your request")


class TestDayWide:
    """All of a day in one unit."""

    @pytest.mark.parametrize("dataset", [EOD, OPEN_INTEREST, DATASETS["greeks_eod"]], ids=lambda d: d.name)
    def test_a_report_is_one_unit_without_expiration(self, tmp_path: Path, dataset: Dataset) -> None:
        """Whatever expirations its contract list has; what they lack is known by it."""
        archive = Archive(tmp_path)
        listed = listing([*CONTRACTS, CALL._replace(expiration=TRADE_DATE), CALL._replace(expiration=date(2023, 1, 6))])
        rows = rows_of([*CONTRACTS, CALL._replace(expiration=TRADE_DATE)], dataset=dataset)
        summary = archive.run(dataset, [wire_csv(rows, dataset)], {"quote": listed})
        assert archive.terminal.asked == [unit_for(dataset)] == list(archive.outcomes())
        assert unit_for(dataset).expiration is None
        assert summary.days[0].verdict is Verdict.COMPLETE
        assert (archive.outcome().verified, archive.outcome().notes) == (True, 0)

    @pytest.mark.parametrize(
        ("dataset", "symbol"), [(INDEX, "SPX"), (RATE, "SOFR")], ids=lambda value: getattr(value, "name", value)
    )
    def test_what_has_no_contracts_is_asked_for_by_its_own_symbol_and_verified(
        self, tmp_path: Path, dataset: Dataset, symbol: str
    ) -> None:
        """No list is asked for: its session says what must be there."""
        archive = Archive(tmp_path)
        summary = archive.run(dataset, [whole(dataset)])
        assert [unit.root for unit in archive.terminal.asked] == [symbol]
        assert archive.terminal.listed == []
        assert summary.days[0].verdict is Verdict.COMPLETE

    def test_what_is_there_is_not_asked_for_again(self, tmp_path: Path) -> None:
        """As any other unit."""
        archive = Archive(tmp_path)
        archive.run(EOD, [whole(EOD)], {"quote": listing()})
        assert archive.run(EOD, [], {"quote": listing()}).finished.exit_code == 0
        assert archive.terminal.asked == []

    def test_a_listed_contract_without_a_report_is_asked_for_twice_and_stored_as_partial(self, tmp_path: Path) -> None:
        """Of open interest it is only noted."""
        for dataset, verdict, asked in ((EOD, Verdict.PARTIAL, 2), (OPEN_INTEREST, Verdict.COMPLETE, 1)):
            archive = Archive(tmp_path / dataset.name)
            short = wire_csv(rows_of(CONTRACTS[:2], dataset=dataset), dataset)
            summary = archive.run(dataset, [short] * asked, {"quote": listing()})
            assert len(archive.terminal.asked) == asked
            assert summary.days[0].verdict is verdict


class TestWithoutList:
    """Before there is a list, or without the right to one."""

    @pytest.mark.parametrize(
        ("dataset", "now"), [(EOD, EVENING), (OPEN_INTEREST, MORNING)], ids=["eod", "open interest"]
    )
    def test_a_report_that_is_out_before_the_list_does_without_it(
        self, tmp_path: Path, dataset: Dataset, now: datetime
    ) -> None:
        """The list is not asked for before 02:00 of the next day: it would be a part of one."""
        archive = Archive(tmp_path, now)
        summary = archive.run(dataset, [whole(dataset)], {"quote": listing()})
        assert archive.terminal.listed == []
        assert summary.days[0].verdict is Verdict.UNVERIFIED
        assert not archive.outcome().verified
        assert archive.outcome().state is State.STORED

    @pytest.mark.parametrize("hour", [6, 7])
    def test_from_two_in_the_next_night_on_the_list_is_asked_for(self, tmp_path: Path, hour: int) -> None:
        """02:00 in New York is 07:00 of UTC."""
        archive = Archive(tmp_path, datetime(2024, 1, 17, hour, 0, tzinfo=UTC))
        archive.run(EOD, [whole(EOD)], {"quote": listing()})
        assert archive.terminal.listed == (["quote", "quote"] if hour == 7 else [])

    def test_an_account_without_lists_gets_its_report_unverified(self, tmp_path: Path) -> None:
        """And no expirations are asked for: the day is one unit all the same."""
        archive = Archive(tmp_path)
        summary = archive.run(OPEN_INTEREST, [whole(OPEN_INTEREST)], {"quote": NotSubscribed("requires value")})
        assert summary.days[0].verdict is Verdict.UNVERIFIED

    def test_trades_are_measured_against_the_list_of_what_traded(self, tmp_path: Path) -> None:
        """Not against that of what was quoted."""
        trade = DATASETS["trade"]
        archive = Archive(tmp_path)
        summary = archive.run(trade, [wire_csv(rows_of(CONTRACTS, (600, 601), trade), trade)], {"trade": listing()})
        assert archive.terminal.listed == ["trade", "trade"]
        assert summary.days[0].verdict is Verdict.COMPLETE


class TestNoAnswer:
    """What has no rows, or may not be had."""

    @pytest.mark.parametrize("dataset", [INDEX, RATE], ids=lambda d: d.name)
    def test_no_data_of_what_has_no_list_is_believed_when_it_is_said_twice(
        self, tmp_path: Path, dataset: Dataset
    ) -> None:
        """Nothing else speaks for it: the exchange was open."""
        archive = Archive(tmp_path)
        archive.run(dataset, [no_data() for _ in range(OFTEN)])
        assert len(archive.terminal.asked) == 2
        assert (archive.outcome().state, archive.outcome().attempts) == (State.EMPTY, 2)

    def test_an_index_that_has_data_when_it_is_asked_again_is_stored(self, tmp_path: Path) -> None:
        """A slip of the Terminal costs a second."""
        archive = Archive(tmp_path)
        summary = archive.run(INDEX, [no_data(), whole(INDEX)])
        assert summary.days[0].verdict is Verdict.COMPLETE
        assert 1.0 in archive.clock.slept

    def test_a_report_that_no_list_speaks_for_is_believed_at_once(self, tmp_path: Path) -> None:
        """It may have none; it is asked for again tomorrow."""
        archive = Archive(tmp_path, EVENING)
        archive.run(EOD, [no_data() for _ in range(OFTEN)])
        assert len(archive.terminal.asked) == 1
        assert (archive.outcome().state, archive.outcome().ask_again) == (State.EMPTY, date(2024, 1, 17))

    @pytest.mark.parametrize("dataset", [INDEX, EOD], ids=lambda d: d.name)
    def test_a_dataset_outside_the_subscription_is_refused_and_asked_for_again_in_thirty_days(
        self, tmp_path: Path, dataset: Dataset
    ) -> None:
        """It has not failed."""
        archive = Archive(tmp_path)
        refusal = "Requesting an index endpoint requiring a value subscription"
        summary = archive.run(dataset, [NotSubscribed(refusal)], {"quote": listing()})
        outcome = archive.outcome()
        assert (outcome.state, outcome.code, outcome.ask_again) == (
            State.REFUSED,
            NotSubscribed.code,
            date(2024, 3, 31),
        )
        assert refusal in (outcome.reason or "")
        assert (summary.finished.exit_code, summary.finished.failed) == (3, 0)
        archive.run(dataset, [], {"quote": listing()})
        assert archive.terminal.asked == []
        archive.clock.advance(30 * 86_400)
        assert archive.run(dataset, [whole(dataset)], {"quote": listing()}).finished.exit_code == 0


class TestEnd:
    """How a run ends."""

    def test_the_last_unit_that_opens_the_breaker_ends_the_run_without_a_wait(self, tmp_path: Path) -> None:
        """Nothing is left that a usable Terminal would be needed for."""
        archive = Archive(tmp_path)
        summary = archive.run(INDEX, [CutOff("ended early") for _ in range(OFTEN)], retries=4)
        assert len(archive.terminal.asked) == 5, "the fifth failure in a row opens the breaker"
        assert archive.outcome().state is State.FAILED
        assert summary.finished.exit_code == 75
        assert [pause for pause in archive.clock.slept if pause] == [1.0, 2.0, 4.0, 8.0]

    def test_a_unit_that_waits_for_another_try_is_worth_the_wait(self, tmp_path: Path) -> None:
        """With one more try the run rests, looks, and goes on."""
        archive = Archive(tmp_path)
        failures = [CutOff("ended early") for _ in range(5)]
        summary = archive.run(INDEX, [*failures, whole(INDEX)], retries=5)
        assert summary.finished.exit_code == 0
        assert 30.0 in archive.clock.slept
