"""Certificates of an archive's days: measured in its files, kept in its catalog, exactly what is missing."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, Final, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spxdata.catalog.jsonfile import JsonCatalog
from spxdata.catalog.memory import MemoryCatalog
from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.certificate import KIND, VERSION, Certificate, Lack, Missing, key_of, read
from spxdata.integrity.coverage import Wanted, coverage, days_of, keep, overlooked, unkept
from spxdata.layout import CATALOG
from spxdata.model import Contract, Hole, HoleKind, Outcome, Right, Scope, State, Verdict
from spxdata.pipeline.edges import Encoding
from spxdata.protocols import Catalog
from spxdata.schema import DATASETS
from spxdata.sessions import trading_days
from spxdata.storage.local import LocalStorage
from tests.builders import EXPIRATION, NOW, TRADE_DATE, FakeClock, empty, failed, refused
from tests.conftest import ROOT
from tests.integrity.stock import Stock, usual
from tests.pipeline.builders import CALL, CONTRACTS, HIGH_CALL, PUT, REQUIRED, Row, rows_of

#: Trading days after the usual one, a Tuesday; the day before it was a holiday.
WEDNESDAY, THURSDAY, FRIDAY = date(2024, 1, 17), date(2024, 1, 18), EXPIRATION
LATER: Final = date(2024, 2, 16)

CATALOGS: dict[str, Callable[[Path], Catalog]] = {
    "sqlite": lambda folder: SqliteCatalog(folder / CATALOG),
    "json": lambda folder: JsonCatalog(LocalStorage(folder), folder),
    "memory": lambda _: MemoryCatalog(),
}


@pytest.fixture
def stock(tmp_path: Path) -> Stock:
    """Return an empty archive."""
    return Stock(tmp_path)


@pytest.fixture(params=CATALOGS)
def every(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stock]:
    """Return an empty archive of every kind of catalog."""
    with closing(CATALOGS[request.param](tmp_path)) as catalog:
        yield Stock(tmp_path, catalog)


class Blind:
    """A catalog that does not give its contract lists, nor the units of a day one by one."""

    def __init__(self, inner: Catalog) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        assert name not in {"contracts", "outcomes", "outcome"}, f"{name} was asked"
        return getattr(self._inner, name)


def rows_without(*holes: tuple[Contract, range]) -> list[Row]:
    """Return a chain's rows without some minutes of some contracts."""
    gone = {contract: set(minutes) for contract, minutes in holes}
    return [
        row
        for contract in CONTRACTS
        for row in rows_of([contract], [minute for minute in REQUIRED if minute not in gone.get(contract, ())])
    ]


def gap(contract: Contract, minutes: range | None = None) -> Lack:
    """Return what a unit lacks that lacks a contract, or some minutes of it."""
    first, last = (minutes[0], minutes[-1]) if minutes else (None, None)
    return Lack(EXPIRATION, Hole(HoleKind.GAP, contract, first, last))


class TestDays:
    """days_of: which days are spoken of."""

    def found(self, stock: Stock, **wanted: object) -> list[tuple[str, str, int, bool]]:
        """Return trade date, root and dataset, max DTE, and whether the day is known."""
        return [
            (str(one.day.trade_date), f"{one.day.root} {one.day.dataset}", one.scope.max_dte, one.status is not None)
            for one in days_of(stock.catalog, Wanted(**wanted))  # type: ignore[arg-type]  # by name
        ]

    def test_an_empty_archive_has_none(self, stock: Stock) -> None:
        """Whatever is asked for."""
        assert self.found(stock, start=TRADE_DATE, end=FRIDAY) == []

    def test_every_trading_day_between_the_first_and_the_last_one_is_expected(self, stock: Stock) -> None:
        """With the scope of the known day before it; weekends and holidays are not."""
        stock.known(usual(trade_date=date(2024, 1, 12)), Scope(7))
        stock.known(usual(trade_date=WEDNESDAY), Scope(0))
        stock.known(usual(trade_date=FRIDAY), Scope(60))
        assert self.found(stock) == [
            ("2024-01-12", "SPXW quote", 7, True),
            ("2024-01-16", "SPXW quote", 7, False),
            ("2024-01-17", "SPXW quote", 0, True),
            ("2024-01-18", "SPXW quote", 0, False),
            ("2024-01-19", "SPXW quote", 60, True),
        ]

    def test_each_dataset_root_and_interval_has_its_own_first_and_last_day(self, stock: Stock) -> None:
        """One that was archived for a day is expected of that day."""
        stock.known(usual(trade_date=TRADE_DATE))
        stock.known(usual(trade_date=THURSDAY))
        stock.known(replace(usual(trade_date=WEDNESDAY), root="SPX"))
        stock.known(usual("eod", THURSDAY))
        assert [found[:2] for found in self.found(stock)] == [
            ("2024-01-16", "SPXW quote"),
            ("2024-01-17", "SPX quote"),
            ("2024-01-17", "SPXW quote"),
            ("2024-01-18", "SPXW eod"),
            ("2024-01-18", "SPXW quote"),
        ]

    def test_days_asked_for_beyond_them_are_expected_too(self, stock: Stock) -> None:
        """Before the first one with its scope."""
        stock.known(usual(trade_date=WEDNESDAY), Scope(3))
        assert [(day, dte, known) for day, _, dte, known in self.found(stock, start=TRADE_DATE, end=THURSDAY)] == [
            ("2024-01-16", 3, False),
            ("2024-01-17", 3, True),
            ("2024-01-18", 3, False),
        ]

    def test_dates_limit_and_inherit_the_scope_of_the_day_before(self, stock: Stock) -> None:
        """Also where that one is not asked about."""
        stock.known(usual(trade_date=TRADE_DATE), Scope(3))
        stock.known(usual(trade_date=FRIDAY), Scope(9))
        assert [(day, dte) for day, _, dte, _ in self.found(stock, start=THURSDAY)] == [
            ("2024-01-18", 3),
            ("2024-01-19", 9),
        ]
        assert [(day, dte) for day, _, dte, _ in self.found(stock, end=WEDNESDAY)] == [
            ("2024-01-16", 3),
            ("2024-01-17", 3),
        ]
        assert self.found(stock, start=date(2024, 1, 22)) == []
        assert self.found(stock, end=date(2024, 1, 12)) == []

    def test_roots_and_datasets_limit(self, stock: Stock) -> None:
        """An option root has its index and the interest rate too."""
        for unit in (usual("quote"), usual("index_price"), usual("interest_rate"), replace(usual("eod"), root="NDXP")):
            stock.known(unit)
        assert [name for _, name, _, _ in self.found(stock, datasets=("quote", "eod"))] == ["NDXP eod", "SPXW quote"]
        assert [name for _, name, _, _ in self.found(stock, roots=("SPXW",))] == [
            "SOFR interest_rate",
            "SPX index_price",
            "SPXW quote",
        ]
        assert self.found(stock, roots=("NDXP",), datasets=("quote",)) == []


class TestVerdicts:
    """What a certificate says of a day."""

    def test_complete(self, stock: Stock) -> None:
        """Units, files and rows are counted; lone minutes are notes."""
        stock.put(rows=rows_without((PUT, range(600, 630))))
        certificate = stock.certificate()
        assert certificate == Certificate(
            usual().day,
            Scope(60),
            Verdict.COMPLETE,
            units=1,
            stored=1,
            rows=3 * len(REQUIRED) - 30,
            missing=(),
            lacks=(),
            empty=(),
            notes=1,
            issued_at=stock.clock.now(),
            basis=certificate.basis,
        )

    @pytest.mark.parametrize(
        ("rows", "lacks"),
        [
            (rows_of([CALL, PUT]), (gap(HIGH_CALL),)),
            (rows_without((PUT, range(600, 631))), (gap(PUT, range(600, 631)),)),
            (rows_without((PUT, range(970, 976))), (gap(PUT, range(970, 976)),)),
            (
                rows_without(*((contract, range(630, 700)) for contract in CONTRACTS)),
                (Lack(EXPIRATION, Hole(HoleKind.OUTAGE, None, 630, 699)),),
            ),
            (rows_of([CALL]), (gap(PUT), gap(HIGH_CALL))),
        ],
        ids=["a contract", "31 minutes inside", "a tail", "70 minutes of all", "two contracts"],
    )
    def test_partial(self, stock: Stock, rows: list[Row], lacks: tuple[Lack, ...]) -> None:
        """What is missing is measured in the file, whatever the catalog says of it."""
        stock.put(rows=rows, holes=())
        certificate = stock.certificate()
        assert (certificate.verdict, certificate.lacks) == (Verdict.PARTIAL, lacks)
        assert (certificate.units, certificate.stored, certificate.missing) == (1, 1, ())

    def test_what_was_asked_for_in_vain_waits_until_a_day(self, stock: Stock) -> None:
        """The one that the catalog says."""
        due = date(2024, 2, 20)
        stock.put(rows=rows_of([CALL, PUT]), ask_again=due)
        assert stock.certificate().lacks == (replace(gap(HIGH_CALL), ask_again=due),)

    def test_contracts_that_the_terminal_said_are_empty_are_no_gap(self, stock: Stock) -> None:
        """They are named all the same."""
        note = Hole(HoleKind.NOTE, HIGH_CALL, None, None)
        stock.put(rows=rows_of([CALL, PUT]), holes=(note,))
        certificate = stock.certificate()
        assert (certificate.verdict, certificate.empty, certificate.notes) == (Verdict.COMPLETE, (HIGH_CALL,), 0)

    def test_a_unit_within_the_scope_that_is_not_stored_is_missing(self, stock: Stock) -> None:
        """With why; what lies beyond the scope is not."""
        later, far = Contract(date(2024, 1, 26), 4700.0, Right.CALL), Contract(date(2024, 6, 21), 4700.0, Right.CALL)
        stock.put(contracts=[*CONTRACTS, later, far])
        unit = replace(usual(), expiration=later.expiration)
        missing = stock.certificate()
        assert (missing.verdict, missing.units, missing.stored) == (Verdict.PARTIAL, 2, 1)
        assert missing.missing == (Missing(later.expiration, None),)
        for outcome in (failed(unit), empty(unit), refused(unit), Outcome(unit, State.PENDING)):
            stock.record(outcome)
            certificate = stock.certificate()
            assert certificate.verdict is Verdict.PARTIAL
            assert certificate.missing == (Missing(later.expiration, outcome.state, outcome.reason, outcome.ask_again),)

    def test_a_day_is_absent_if_the_terminal_has_nothing_of_it(self, stock: Stock) -> None:
        """Nothing is missing then."""
        stock.record(empty(replace(usual(), expiration=None)))
        certificate = stock.certificate()
        assert (certificate.verdict, certificate.missing, certificate.is_sound) == (Verdict.ABSENT, (), True)

    @pytest.mark.parametrize("state", [State.FAILED, State.REFUSED, State.PENDING, State.DOWNLOADING])
    def test_a_day_of_which_nothing_is_stored_has_no_verdict(self, stock: Stock, state: State) -> None:
        """All of it is missing."""
        whole = replace(usual(), expiration=None)
        stock.record(Outcome(whole, state, reason="why"))
        certificate = stock.certificate()
        assert (certificate.verdict, certificate.missing) == (None, (Missing(None, state, "why"),))

    def test_an_interior_day_that_was_never_asked_for_has_none_either(self, stock: Stock) -> None:
        """All of it is missing, by nobody's fault."""
        stock.put(usual(trade_date=TRADE_DATE))
        stock.put(usual(trade_date=THURSDAY))
        certificates = stock.certificates()
        assert [one.verdict for one in certificates.values()] == [Verdict.COMPLETE, None, Verdict.COMPLETE]
        certificate = certificates[usual(trade_date=WEDNESDAY).day]
        assert (certificate.units, certificate.missing) == (1, (Missing(None, None),))

    def test_a_day_is_not_published_until_it_is(self, stock: Stock) -> None:
        """Then what was not published is missing: it has to be asked for again."""
        clock = FakeClock(NOW.replace(day=16, hour=22))
        early = Stock(stock.folder, stock.catalog, clock)
        early.record(Outcome(replace(usual(), expiration=None), State.NOT_PUBLISHED, reason="too early"))
        assert early.certificate().verdict is Verdict.NOT_PUBLISHED
        assert stock.certificate().verdict is None

    def test_a_day_never_asked_for_is_not_published_before_its_time(self, stock: Stock) -> None:
        """Nobody could have asked for it."""
        stock.put(usual(trade_date=TRADE_DATE))
        early = Stock(stock.folder, stock.catalog, FakeClock(NOW.replace(day=17, hour=22)))
        found = early.certificates(end=WEDNESDAY)
        assert found[usual(trade_date=WEDNESDAY).day].verdict is Verdict.NOT_PUBLISHED

    def test_what_was_stored_without_a_list_is_not_verified(self, stock: Stock) -> None:
        """Until there is one: then it is measured against that."""
        stock.put(rows=rows_of([CALL, PUT]), contracts=None)
        assert stock.certificate().verdict is Verdict.UNVERIFIED
        stock.listed([CALL, PUT])
        assert stock.certificate().verdict is Verdict.COMPLETE
        stock.listed(CONTRACTS)
        assert (stock.certificate().verdict, stock.certificate().lacks) == (Verdict.PARTIAL, (gap(HIGH_CALL),))

    def test_what_needs_no_list_is_measured_against_its_session(self, stock: Stock) -> None:
        """An index has no contracts."""
        unit = usual("index_price")
        whole = rows_of(dataset=DATASETS["index_price"], minutes=range(570, 961))
        stock.put(unit, whole)
        assert stock.certificate(unit).verdict is Verdict.COMPLETE
        stock.put(unit, [row for row in whole if not "T11:00" <= row["timestamp"][10:16] <= "T11:30"])
        certificate = stock.certificate(unit)
        assert certificate.verdict is Verdict.PARTIAL
        assert certificate.lacks == (Lack(None, Hole(HoleKind.GAP, None, 660, 690)),)

    @pytest.mark.parametrize("name", ["eod", "greeks_eod", "trade", "trade_quote", "open_interest", "ohlc", "greeks"])
    def test_datasets_of_every_kind(self, stock: Stock, name: str) -> None:
        """A listed contract without rows is a gap, of open interest it is only noted."""
        unit, dataset = usual(name), DATASETS[name]
        rows = rows_of(CONTRACTS, dataset=dataset)
        stock.put(unit, rows)
        assert stock.certificate(unit).verdict is Verdict.COMPLETE
        stock.put(unit, rows_of(CONTRACTS[:2], dataset=dataset))
        certificate = stock.certificate(unit)
        if name == "open_interest":
            assert (certificate.verdict, certificate.notes) == (Verdict.COMPLETE, 1)
        else:
            hole = Hole(HoleKind.GAP, HIGH_CALL, None, None)
            assert (certificate.verdict, certificate.lacks) == (Verdict.PARTIAL, (Lack(unit.expiration, hole),))

    def test_a_unit_being_fetched_again_stands_on_its_file(self, stock: Stock) -> None:
        """Until that is replaced."""
        stock.put()
        stock.catalog.begin(usual(), stock.clock.now())
        assert stock.certificate().verdict is Verdict.COMPLETE

    def test_of_a_day_that_was_refused_nothing_more_is_to_come(self, stock: Stock) -> None:
        """All of its units would hear the same."""
        outcome = refused(usual())
        stock.record(outcome)
        stock.known(usual(), verdict=None)
        missing = Missing(EXPIRATION, State.REFUSED, outcome.reason, outcome.ask_again)
        assert (stock.certificate().verdict, stock.certificate().missing) == (None, (missing,))

    def test_a_day_whose_download_has_not_ended_has_more_to_come(self, stock: Stock) -> None:
        """Without a list nobody knows how much."""
        stock.put(contracts=None)
        stock.catalog.begin_day(usual().day, Scope(60), stock.clock.now())
        certificate = stock.certificate()
        assert (certificate.verdict, certificate.missing) == (Verdict.PARTIAL, (Missing(None, None),))


class TestFiles:
    """What lies on the disk counts, not what the catalog takes for there."""

    def path(self, stock: Stock) -> Path:
        """Return where the usual unit's file lies."""
        outcome = stock.catalog.outcome(usual())
        assert outcome
        assert outcome.artifact
        return stock.folder / outcome.artifact.path

    def missing(self, stock: Stock) -> str:
        """Return why the usual unit's file does not count, and that it is due."""
        certificate = stock.certificate()
        (missing,) = certificate.missing
        assert (missing.expiration, missing.state, missing.ask_again) == (EXPIRATION, State.STORED, None)
        assert (certificate.verdict, certificate.stored, certificate.rows) == (None, 0, 0)
        assert overlooked(certificate, stock.catalog) == (usual(),)
        return missing.reason or ""

    def test_a_file_that_is_gone_is_missing(self, stock: Stock) -> None:
        """The catalog has it still, and no download would look at it again by itself."""
        stock.put(ask_again=LATER)
        self.path(stock).unlink()
        assert self.missing(stock) == "its file is not there"

    def test_a_file_of_another_size_is_missing(self, stock: Stock) -> None:
        """Truncated, or written by someone else."""
        stock.put()
        data = self.path(stock).read_bytes()
        self.path(stock).write_bytes(data[:-7])
        size = len(data)
        assert self.missing(stock) == f"its file has {size - 7:,} bytes instead of {size:,}"

    def test_a_csv_file_of_other_bytes_is_missing(self, tmp_path: Path) -> None:
        """Of the same size even: nothing in the file itself would tell."""
        stock = Stock(tmp_path, encoding=Encoding("csv"))
        artifact = stock.put().artifact
        assert artifact
        path = tmp_path / artifact.path
        path.write_bytes(path.read_bytes().replace(b"2024-01-16", b"2024-02-16", 1))
        assert "is not what the catalog recorded" in self.missing(stock)

    def test_a_file_that_cannot_be_read_is_missing_until_it_can(self, stock: Stock) -> None:
        """It is looked at each time, as its size tells nothing."""
        stock.put()
        data = self.path(stock).read_bytes()
        self.path(stock).write_bytes(data[:-200] + bytes(200))
        assert "its file cannot be read" in self.missing(stock)
        self.path(stock).write_bytes(data)
        assert stock.certificate().verdict is Verdict.COMPLETE

    def test_what_lacks_something_by_a_newer_list_is_overlooked(self, stock: Stock) -> None:
        """No download would look at it again by itself; what is known to lack something waits for its day."""
        stock.put(rows=rows_of([CALL, PUT]), contracts=[CALL, PUT])
        assert overlooked(stock.certificate(), stock.catalog) == ()
        stock.listed(CONTRACTS)
        assert overlooked(stock.certificate(), stock.catalog) == (usual(),)
        stock.put(rows=rows_of([CALL, PUT]))
        assert overlooked(stock.certificate(), stock.catalog) == ()


class TestKept:
    """Certificates in the catalog."""

    def kept(self, stock: Stock) -> dict[str, Certificate | None]:
        """Return what the catalog keeps."""
        return {key: read(text) for key, text in stock.catalog.documents(KIND).items()}

    def test_they_are_kept_with_their_scope(self, every: Stock) -> None:
        """Every catalog gives them back as they were issued."""
        every.put(rows=rows_of([CALL, PUT]))
        every.put(usual("eod"))
        issued = every.certificates()
        assert self.kept(every) == {key_of(day): certificate for day, certificate in issued.items()}
        assert {one.scope for one in issued.values()} == {Scope(60)}

    def test_one_whose_basis_has_not_changed_is_not_issued_anew(self, every: Stock) -> None:
        """However often it is asked for."""
        every.put(rows=rows_of([CALL, PUT]))
        every.put(usual("eod"))
        issued = every.certificates()
        every.later(hours=1)
        again = coverage(every.catalog, every.storage, every.clock, Wanted())
        assert {one.day: one for one in again} == issued
        assert unkept(again, every.catalog) == ()
        keep(again, every.catalog)
        assert {one.day: one for one in again} == issued

    def test_for_one_whose_basis_has_not_changed_nothing_is_opened(self, every: Stock) -> None:
        """No file, and no contract list: bytes that are not looked at may be any."""
        every.put(rows=rows_of([CALL, PUT]))
        issued = every.certificates()
        for file in every.folder.glob("2024*/*"):
            file.write_bytes(bytes(file.stat().st_size))
        again = coverage(cast("Catalog", Blind(every.catalog)), every.storage, every.clock, Wanted())
        assert {one.day: one for one in again} == issued

    @pytest.mark.parametrize("change", ["file", "list", "scope", "state", "deleted", "due"])
    def test_one_whose_basis_has_changed_is_replaced(self, every: Stock, change: str) -> None:
        """By a newer one, under the same key."""
        outcome = every.put()
        before = every.certificate()
        every.later(hours=1)
        if change == "file":
            every.put(rows=rows_of([CALL, PUT]))
        elif change == "list":
            every.listed([*CONTRACTS, Contract(EXPIRATION, 4750.0, Right.PUT)])
        elif change == "scope":
            every.known(usual(), Scope(2))
        elif change == "state":
            every.catalog.record(replace(outcome, verified=False), every.clock.now())
        elif change == "deleted":
            (every.folder / "20240116" / "spxw_quote_exp_20240119.parquet").unlink()
        else:
            every.catalog.record(replace(outcome, ask_again=LATER), every.clock.now())
        after = every.certificate()
        assert (after.issued_at, after.basis != before.basis) == (every.clock.now(), True)
        assert self.kept(every) == {key_of(usual().day): after}

    @pytest.mark.parametrize("document", [f'{{"version": {VERSION + 1}}}', "{}", "[]"])
    def test_one_of_other_rules_is_replaced(self, every: Stock, document: str) -> None:
        """Also what is none at all."""
        every.put()
        every.catalog.keep_documents(KIND, {key_of(usual().day): document})
        issued = every.certificate()
        assert self.kept(every) == {key_of(usual().day): issued}

    def test_days_not_asked_about_keep_theirs(self, every: Stock) -> None:
        """As they are."""
        every.put()
        every.put(usual(trade_date=WEDNESDAY))
        both = every.certificates()
        every.later(hours=1)
        every.put(usual(trade_date=WEDNESDAY), rows_of([CALL]))
        found = every.certificates(start=WEDNESDAY)
        assert list(found) == [usual(trade_date=WEDNESDAY).day]
        assert self.kept(every) == {key_of(day): one for day, one in {**both, **found}.items()}


class TestAsATable:
    """Where is it complete? As docs/coverage.md says how to ask."""

    def days(self, catalog: Catalog, folder: Path, example: int) -> list[str]:
        """Return what an example of the page finds in an archive of two days, of which one is complete."""
        with closing(catalog):
            stock = Stock(folder / "data", catalog)
            stock.put()
            stock.put(usual(trade_date=WEDNESDAY), rows_of([CALL]))
            stock.certificates()
        page = (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8")
        code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[example] + "\nprint(*days)"
        done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
        return done.stdout.split()

    def test_sqlite_has_a_view(self, tmp_path: Path) -> None:
        """One line a day, with what matters of its certificate."""
        path = tmp_path / "data" / CATALOG
        assert self.days(SqliteCatalog(path), tmp_path, 0) == ["2024-01-16"]
        with closing(sqlite3.connect(path)) as connection:
            connection.row_factory = sqlite3.Row
            first, second = map(dict, connection.execute("SELECT * FROM certificates ORDER BY trade_date"))
        assert {name: first[name] for name in first if name != "issued_at"} == {
            "trade_date": "2024-01-16",
            "root": "SPXW",
            "dataset": "quote",
            "interval": "1m",
            "verdict": "complete",
            "complete": 1,
            "scope_max_dte": 60,
            "units": 1,
            "stored": 1,
            "record_count": 3 * len(REQUIRED),
        }
        assert (second["verdict"], second["complete"]) == ("partial", 0)

    def test_json_has_a_file(self, tmp_path: Path) -> None:
        """A document a day, which polars reads as a table."""
        folder = tmp_path / "data"
        folder.mkdir()
        assert self.days(JsonCatalog(LocalStorage(folder), folder), tmp_path, 1) == ["2024-01-16"]


class TestFigures:
    """Cross-checks as part of a certificate."""

    def test_a_figure_is_held_against_all_that_the_archive_shows(self, stock: Stock) -> None:
        """Also against days that are not asked about; within its normal range it may still be far from those."""
        *alike, other = trading_days(date(2024, 1, 2), TRADE_DATE)
        for day in alike:
            stock.put(usual("greeks", day), _greeks("4700.00"))
        stock.put(usual("greeks", other), _greeks("4640.00"))
        figures = [one.figures for one in stock.certificates().values()]
        assert [[figure.unusual for figure in of_day] for of_day in figures] == [[False]] * 9 + [[True]]
        (last,) = figures[-1]
        assert last.low <= last.value <= last.high
        later = stock.certificates(start=other)
        assert [figure.unusual for one in later.values() for figure in one.figures] == [True]

    def test_a_day_that_lacks_a_unit_has_none(self, stock: Stock) -> None:
        """They would speak of another part of the market than those of other days."""
        stock.put(usual("greeks"), _greeks("4700.00"), [*CONTRACTS, Contract(date(2024, 1, 26), 4700.0, Right.CALL)])
        assert stock.certificate(usual("greeks")).figures == ()


def _greeks(underlying: str) -> list[Row]:
    """Return rows of a call and a put of one price at a strike of 4700."""
    return rows_of(dataset=DATASETS["greeks"], minutes=range(571, 976), underlying_price=underlying)


#: Minutes that go missing, by contract (None for all): where they begin, how many.
HOLES = st.lists(
    st.tuples(st.sampled_from([*CONTRACTS, None]), st.sampled_from(REQUIRED), st.integers(1, 120)), max_size=5
)


class TestPlanted:
    """Whatever is planted is found exactly."""

    @settings(max_examples=40)
    @given(st.sets(st.sampled_from(CONTRACTS), max_size=2), HOLES, st.sets(st.sampled_from(CONTRACTS)))
    def test_random_contracts_and_minutes(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        dropped: set[Contract],
        cuts: list[tuple[Contract | None, int, int]],
        worthless: set[Contract],
    ) -> None:
        """Against sets of minutes, which know nothing of bits and runs."""
        present = {contract: set(REQUIRED) for contract in CONTRACTS if contract not in dropped}
        for whose, first, length in cuts:
            for contract, minutes in present.items():
                if whose in {contract, None}:
                    minutes.difference_update(range(first, first + length))
        stock = Stock(tmp_path_factory.mktemp("planted"))
        rows = [
            row
            for contract, minutes in present.items()
            for row in rows_of(
                [contract], sorted(minutes), ask="0.10" if contract in worthless else "67.90", bid="0.05"
            )
        ]
        if not rows:
            return
        stock.put(rows=rows, holes=())
        certificate = stock.certificate()
        lacks = expected({contract: minutes for contract, minutes in present.items() if minutes}, worthless)
        assert [lack.hole for lack in certificate.lacks] == lacks
        assert certificate.verdict is (Verdict.PARTIAL if lacks else Verdict.COMPLETE)
        assert certificate.rows == len(rows)


def expected(present: dict[Contract, set[int]], worthless: set[Contract]) -> list[Hole]:
    """Return the holes that matter, found minute by minute."""
    nowhere = set(REQUIRED).difference(*present.values())
    found = [Hole(HoleKind.OUTAGE, None, first, last) for first, last in runs(nowhere)]
    for contract in sorted(CONTRACTS):
        if contract not in present:
            found.append(Hole(HoleKind.GAP, contract, None, None))
            continue
        for first, last in runs(set(REQUIRED) - present[contract] - nowhere):
            in_tail = first > max(present[contract])
            if contract not in worthless if in_tail else last - first + 1 > 30:
                found.append(Hole(HoleKind.GAP, contract, first, last))
    return found


def runs(minutes: set[int]) -> list[tuple[int, int]]:
    """Return the unbroken stretches of some minutes."""
    firsts = sorted(minute for minute in minutes if minute - 1 not in minutes)
    lasts = sorted(minute for minute in minutes if minute + 1 not in minutes)
    return list(zip(firsts, lasts, strict=True))
