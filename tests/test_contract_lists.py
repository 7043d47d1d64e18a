"""A contract list that comes short: what it lacks is expected all the same, or the day is never called complete."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from spxdata import Emulator
from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.emulator import Fault
from spxdata.errors import ServerFault
from spxdata.events import AttemptFailed, AttemptStarted, ListsDiffer
from spxdata.flags import Flag
from spxdata.integrity.coverage import Wanted, coverage
from spxdata.layout import CATALOG
from spxdata.model import ContractList, DayStatus, Scope, State, Unit, Verdict
from spxdata.plan import Request
from spxdata.storage.local import LocalStorage
from tests.faulty import FaultyTerminal, first
from tests.test_downloader import TUESDAY, WEDNESDAY, Archive

#: The small chain's expirations of that day, and how many contracts they have: 330 in all.
EXPIRATIONS = {date(2024, 1, 16): 84, date(2024, 1, 17): 84, date(2024, 1, 18): 82, date(2024, 1, 19): 80}
ALL = sum(EXPIRATIONS.values())
#: Contracts cut off the list: the last expiration, and most of the one before.
CUT = 150
PROVES = date(2024, 1, 18)


def short(*asked: int, do: str = "short", **options: object) -> Fault:
    """Return a fault that cuts some answers for a contract list off between two lines."""
    options = options or {"contracts": CUT}
    return Fault(do=do, dataset="contracts", nth=list(asked), **options)  # type: ignore[arg-type]


def archive(folder: Path, terminal: Emulator) -> Archive:
    """Return an archive that is filled from a Terminal."""
    return Archive(folder, terminal.url)


def unlisted_rows(folder: Path) -> int:
    """Return how many stored rows are flagged as no listed contract's."""
    flags = pl.concat(pl.read_parquet(path, columns=["flags"]) for path in folder.glob("2024*/*.parquet"))
    return flags.filter(pl.col("flags") & int(Flag.UNLISTED) != 0).height


def statuses(folder: Path) -> dict[str, DayStatus]:
    """Return the lines of the day's datasets."""
    catalog = SqliteCatalog(folder / CATALOG, read_only=True)
    try:
        return {status.day.dataset: status for status in catalog.days(TUESDAY, TUESDAY)}
    finally:
        catalog.close()


def listed(folder: Path) -> int:
    """Return how many contracts the kept list has."""
    catalog = SqliteCatalog(folder / CATALOG, read_only=True)
    try:
        kept = catalog.contracts("SPXW", TUESDAY, "quote")
        return len(kept.contracts) if kept else 0
    finally:
        catalog.close()


def certified(of: Archive) -> list[Verdict | None]:
    """Return the verdicts that measuring the archive anew gives."""
    catalog = SqliteCatalog(of.folder / CATALOG, read_only=True)
    try:
        return [one.verdict for one in coverage(catalog, LocalStorage(of.folder), of.clock, Wanted())]
    finally:
        catalog.close()


def assert_whole(of: Archive, datasets: Iterable[str] = ("quote",)) -> None:
    """Assert that every expiration is there, and compared with the whole list."""
    assert {name: status.verdict for name, status in statuses(of.folder).items()} == dict.fromkeys(
        datasets, Verdict.COMPLETE
    )
    assert set(of.outcomes()) - {None} == set(EXPIRATIONS)
    assert listed(of.folder) == ALL
    assert unlisted_rows(of.folder) == 0


def test_two_lists_that_differ_are_one_and_that_is_said(tmp_path: Path) -> None:
    """A new list is asked for twice: nothing in one says how long it is."""
    with Emulator(chain="small", seed=1, faults=[short(1)]) as terminal:
        mine = archive(tmp_path, terminal)
        assert mine.run().finished.exit_code == 0
    assert mine.terminal.asked.count(TUESDAY) == 2
    assert mine.of(ListsDiffer) == [ListsDiffer("SPXW", TUESDAY, "quote", (ALL - CUT, ALL), ALL)]
    assert_whole(mine)


def test_equal_lists_are_nothing_to_tell_of(tmp_path: Path, emulator: Emulator) -> None:
    """And a kept list is not asked for again."""
    mine = archive(tmp_path, emulator)
    mine.run()
    assert (mine.terminal.asked.count(TUESDAY), mine.of(ListsDiffer)) == (2, [])
    mine.run(force=True)
    assert mine.terminal.asked.count(TUESDAY) == 0


def test_quotes_of_contracts_that_are_not_listed_bring_a_longer_list_and_what_it_lacked(tmp_path: Path) -> None:
    """An expiration that was on none of the first two lists becomes a unit of the day."""
    with Emulator(chain="small", seed=1, faults=[short(1, 2)]) as terminal:
        mine = archive(tmp_path, terminal)
        summary = mine.run()
    assert summary.finished.exit_code == 0
    assert [(e.unit.expiration, e.code) for e in mine.events if isinstance(e, AttemptFailed)] == [
        (PROVES, "SPX-D005"),
    ]
    tries = [e.unit.expiration for e in mine.events if isinstance(e, AttemptStarted)]
    assert Counter(tries) == Counter([*EXPIRATIONS, PROVES])
    assert mine.terminal.asked.count(TUESDAY) == 4
    assert_whole(mine)
    assert certified(mine) == [Verdict.COMPLETE]


def test_the_longer_list_concerns_both_ends_of_a_range(tmp_path: Path) -> None:
    """The end that is looked at first may be the one that proves it."""
    with Emulator(chain="small", seed=1, faults=[short(1, 2, date=TUESDAY, contracts=CUT)]) as terminal:
        mine = archive(tmp_path, terminal)
        summary = mine.run(date(2024, 1, 12), TUESDAY)
    assert [day.verdict for day in summary.days] == [Verdict.COMPLETE] * 2
    assert set(mine.outcomes()) == set(EXPIRATIONS)


def test_a_list_that_stays_short_leaves_the_day_unverified(tmp_path: Path) -> None:
    """The rows are stored and flagged; the day is not asked for at every run, but in a month and by force."""
    with Emulator(chain="small", seed=1, faults=[Fault(do="short", dataset="contracts", contracts=CUT)]) as terminal:
        mine = archive(tmp_path, terminal)
        summary = mine.run()
        assert (summary.days[0].verdict, summary.finished.exit_code) == (Verdict.UNVERIFIED, 0)
        outcome = mine.outcomes()[PROVES]
        assert (outcome.state, outcome.verified, outcome.attempts) == (State.STORED, False, 2)
        assert unlisted_rows(tmp_path) > 0
        assert certified(mine) == [Verdict.UNVERIFIED]
        assert mine.run().days[0].verdict is Verdict.UNVERIFIED
        assert mine.terminal.asked == []
    with Emulator(chain="small", seed=1) as terminal:
        mine.url = terminal.url
        mine.clock.advance(timedelta(days=30).total_seconds())
        mine.run()
        assert {unit.expiration for unit in mine.fetched()} == {PROVES, date(2024, 1, 19)}
    assert_whole(mine)


def test_a_short_list_that_was_kept_is_given_up_when_rows_prove_it(tmp_path: Path) -> None:
    """As an earlier run believed it, when everything it has is fetched again."""
    with Emulator(chain="small", seed=1, faults=[short(1, 2)]) as terminal:
        mine = archive(tmp_path, terminal)
        mine.run(scope=Scope(1))  # nothing of what it lacks is asked for
        assert statuses(tmp_path)["quote"].verdict is Verdict.COMPLETE
        assert listed(tmp_path) == ALL - CUT
        mine.run(scope=Scope(60))
    assert_whole(mine)


def test_a_list_that_cannot_be_had_again_fails_the_unit_that_proved_it_short(tmp_path: Path) -> None:
    """The next run asks for both."""
    faults = [short(1, 2), short(3, 4, do="status", status=500)]
    with Emulator(chain="small", seed=1, faults=faults) as terminal:
        mine = archive(tmp_path, terminal)
        summary = mine.run(retries=1)
        assert summary.finished.exit_code == 1
        assert mine.outcomes()[PROVES].state is State.FAILED
        assert statuses(tmp_path)["quote"].verdict is not Verdict.COMPLETE
        mine.run()
    assert_whole(mine)


@pytest.mark.parametrize("datasets", [("eod", "quote"), ("quote", "greeks", "eod")], ids="-".join)
def test_what_was_measured_against_the_short_list_is_measured_again(tmp_path: Path, datasets: tuple[str, ...]) -> None:
    """Every dataset of the run goes by the same list, also one that was through before."""
    with Emulator(chain="small", seed=1, faults=[short(1, 2)]) as terminal:
        mine = archive(tmp_path, terminal)
        summary = mine.run(datasets=datasets)
    assert summary.finished.exit_code == 0
    assert_whole(mine, datasets)
    assert summary.finished.rows == sum(status.rows for status in statuses(tmp_path).values())


def test_days_of_earlier_runs_lose_their_verdict_until_they_are_compared(tmp_path: Path) -> None:
    """Their files may lack what the short list lacked; that costs no request if they do not."""
    with Emulator(chain="small", seed=1, faults=[short(1, 2)]) as terminal:
        mine = archive(tmp_path, terminal)
        mine.run(datasets=("eod",))
        assert statuses(tmp_path)["eod"].verdict is Verdict.COMPLETE
        mine.run()
        assert statuses(tmp_path)["eod"].verdict is None
        mine.run(datasets=("eod",))
        assert mine.terminal.asked == []
    assert {status.verdict for status in statuses(tmp_path).values()} == {Verdict.COMPLETE}
    assert certified(mine) == [Verdict.COMPLETE] * 2


def test_a_complete_day_that_is_asked_for_too_is_fetched_again(tmp_path: Path) -> None:
    """Nothing of it was planned: its list is the one on record."""
    cut = Fault(do="short", dataset="eod", nth=[1], rows=CUT)
    with Emulator(chain="small", seed=1, faults=[short(1, 2), cut]) as terminal:
        mine = archive(tmp_path, terminal)
        mine.run(datasets=("eod",))
        first = statuses(tmp_path)["eod"]
        assert (first.verdict, first.rows) == (Verdict.COMPLETE, ALL - CUT)
        mine.run(datasets=("eod", "quote"))
    assert statuses(tmp_path)["eod"].rows == ALL
    assert {status.verdict for status in statuses(tmp_path).values()} == {Verdict.COMPLETE}
    assert certified(mine) == [Verdict.COMPLETE] * 2


def test_no_data_beside_a_list_is_asked_about_once_more(tmp_path: Path) -> None:
    """Neither is believed alone."""
    with Emulator(chain="small", seed=1, faults=[short(2, do="status", status=472)]) as terminal:
        mine = archive(tmp_path, terminal)
        mine.run()
    assert mine.terminal.asked.count(TUESDAY) == 3
    assert_whole(mine)


class Forgetful(FaultyTerminal):
    """A Terminal whose first two lists of a day lack one contract of the nearest expiration, and all of another."""

    def contracts(self, root: str, trade_date: date, kind: str) -> ContractList:
        """Return a list."""
        whole = super().contracts(root, trade_date, kind)
        if trade_date != TUESDAY or self.asked.count(TUESDAY) > 2:
            return whole
        one = min(contract for contract in whole.contracts if contract.expiration == TUESDAY)
        kept = tuple(each for each in whole.contracts if each != one and each.expiration != PROVES)
        return replace(whole, contracts=kept)


def test_what_a_longer_list_brings_to_a_day_that_waits_for_its_turn_is_fetched_once(tmp_path: Path) -> None:
    """Both ends of a range are planned first: when the turn of such a day comes, the unit has a job already."""
    brought = Unit(TUESDAY, "SPXW", "greeks", "1m", PROVES)
    with Emulator(chain="small", seed=1) as terminal:
        mine = archive(tmp_path, terminal)
        mine.terminal = Forgetful(mine.real(), first(1, lambda: ServerFault("500"), brought))
        request = Request((TUESDAY, WEDNESDAY), "SPXW", ("quote", "greeks"), Scope(60))
        with mine.opened(request, places=1) as run:
            summary = run.run()
    assert mine.fetched().count(brought) == 2  # once failed
    assert {day.verdict for day in summary.days} == {Verdict.COMPLETE}
    assert_whole(mine, ("quote", "greeks"))
