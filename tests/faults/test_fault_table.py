"""Every fault the emulator knows, in both dialects, at every position: what becomes of unit, day and run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest

from spxdata import Emulator
from spxdata.emulator import Fault
from spxdata.emulator.faults import ACTIONS
from spxdata.events import Quarantined, TerminalUnusable
from spxdata.flags import Flag
from spxdata.model import Unit
from spxdata.terminal.asking import Patience
from spxdata.terminal.probe import FoundTerminal
from tests.faults.harness import Ran, fake_clock, run
from tests.faults.market import EXPIRATIONS, TUESDAY, write_market
from tests.faults.table import LISTS, TABLE, ListRow, Outcome, Row

DIALECTS = ("v2", "v3")
POSITIONS = ("first", "middle", "last")
UNITS = tuple(Unit(TUESDAY, "SPXW", "quote", "1m", expiration) for expiration in EXPIRATIONS)
#: Three pages a unit.
PAGE_ROWS = 600
#: Seconds to wait at a socket: a few where a fault lets it fall silent, enough for a busy machine elsewhere.
SOON, LONG = 0.6, 20.0
SILENT: Final = frozenset({"delay", "stall_after"})
#: Faults of pages, which only v2 has.
HAS_PAGES: Final = frozenset({"repeat_page", "skip_page", "expire_page"})


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a day of three expirations."""
    return write_market(tmp_path_factory.mktemp("market"), [(TUESDAY, EXPIRATIONS)])


def fetched(market: Path, folder: Path, dialect: str, *faults: Fault) -> tuple[Ran, float, Emulator]:
    """Download the day; return what came of it, and how long it waited between tries."""
    clock = fake_clock()
    with Emulator(
        dialect=dialect, replay=market, page_rows=PAGE_ROWS, faults=faults, monotonic=clock.monotonic
    ) as terminal:
        seconds = SOON if any(fault.do in SILENT for fault in faults) else LONG
        patience = Patience(LONG, seconds, seconds, seconds)
        ran = run(terminal, dialect, folder, clock, patience=patience)
    return ran, clock.monotonic(), terminal


@pytest.fixture(scope="module")
def undisturbed(market: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Return a run that nothing disturbs, of the third generation."""
    ran, _, _ = fetched(market, tmp_path_factory.mktemp("undisturbed"), "v3")
    assert ran.finished.exit_code == 0
    assert set(ran.hashes) == set(UNITS)
    return ran


def struck(row: Row, dialect: str, position: str) -> int:
    """Return which of the matching requests is the day's first, middle or last."""
    if dialect == "v3":
        places = (1, 2, 3)
    elif row.do in {"repeat_page", "expire_page"}:  # two later pages a unit
        places = (1, 3, 6)
    else:
        places = (1, 5, 9)
    return places[POSITIONS.index(position)]


def once_expected(row: Row, dialect: str, position: str) -> Outcome:
    """Return what comes of a fault that strikes once."""
    if position == "first" and row.first is not None:
        return row.first
    if dialect == "v2" and position != "first" and row.later_page is not None:
        return row.later_page
    return row.once


def check(ran: Ran, waited: float, unit: Unit, expected: Outcome, undisturbed: Ran) -> None:
    """Compare what came of a run with the table."""
    outcome = ran.outcomes[unit]
    assert tuple(event.code for event in ran.failures) == tuple(f"SPX-{code}" for code in expected.told)
    assert (ran.error.code if ran.error else None) == (expected.stopped and f"SPX-{expected.stopped}")
    assert (outcome.state, outcome.attempts) == (expected.state, expected.attempts)
    assert outcome.code == (expected.code and f"SPX-{expected.code}")
    assert bool(outcome.holes) == expected.holed
    assert ran.finished.exit_code == expected.exit_code
    assert [day.verdict for day in ran.days] == [expected.verdict]
    assert (ran.hashes == undisturbed.hashes) == expected.same
    assert expected.waited is None or waited == pytest.approx(expected.waited)
    others = {other: digest for other, digest in ran.hashes.items() if other != unit}
    assert others.items() <= undisturbed.hashes.items(), "what the fault did not strike is as it should be"


def once() -> list[Any]:
    """Return the cases of faults that strike once."""
    return [
        pytest.param(row, dialect, position, id=f"{row.title}-{dialect}-{position}")
        for row in TABLE
        for dialect in row.dialects
        for position in POSITIONS
    ]


@pytest.mark.parametrize(("row", "dialect", "position"), once())
def test_a_fault_that_strikes_once(
    row: Row, dialect: str, position: str, market: Path, undisturbed: Ran, tmp_path: Path
) -> None:
    """It ends whole, or says what is missing."""
    fault = Fault(do=row.do, dataset="quote", nth=struck(row, dialect, position), **row.options)
    ran, waited, _ = fetched(market, tmp_path, dialect, fault)
    unit = UNITS[POSITIONS.index(position)]
    expected = once_expected(row, dialect, position)
    check(ran, waited, unit, expected, undisturbed)
    if expected.more_rows:
        check_repeats(tmp_path, ran, unit, expected.more_rows)


def check_repeats(folder: Path, ran: Ran, unit: Unit, more: int) -> None:
    """Rows that come twice are kept and flagged."""
    artifact = ran.outcomes[unit].artifact
    assert artifact is not None
    rows = pl.read_parquet(folder / artifact.path)
    flagged = rows.filter(pl.col("flags") & int(Flag.REPEATED) != 0)
    assert flagged.height == more
    assert rows.unique(rows.columns[:-1]).height == rows.height - more


def always() -> list[Any]:
    """Return the cases of faults that strike one unit in every try."""
    return [
        pytest.param(row, row.always, dialect, id=f"{row.title}-{dialect}")
        for row in TABLE
        for dialect in row.dialects
        if row.always is not None
    ]


@pytest.mark.parametrize(("row", "expected", "dialect"), always())
def test_a_fault_that_strikes_one_unit_in_every_try(
    row: Row, expected: Outcome, dialect: str, market: Path, undisturbed: Ran, tmp_path: Path
) -> None:
    """The unit is given up in the end, with its reason; the others are not touched by it."""
    fault = Fault(do=row.do, dataset="quote", expiration=EXPIRATIONS[1], **row.options)
    ran, waited, _ = fetched(market, tmp_path, dialect, fault)
    check(ran, waited, UNITS[1], expected, undisturbed)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("row", LISTS, ids=lambda row: row.title)
def test_a_fault_that_strikes_the_contract_list_once(
    row: ListRow, dialect: str, market: Path, undisturbed: Ran, tmp_path: Path
) -> None:
    """The list is asked for again, or the day says what became of it."""
    fault = Fault(do=row.do, dataset="contracts", nth=1, **row.options)
    ran, waited, terminal = fetched(market, tmp_path, dialect, fault)
    asked = [path for path, _ in terminal.requests if "/list/contracts/" in path]
    assert len(asked) == row.asked
    assert (ran.error.code if ran.error else None) == (row.stopped and f"SPX-{row.stopped}")
    assert [day.verdict for day in ran.days] == [row.verdict]
    assert ran.finished.exit_code == row.exit_code
    assert (ran.hashes == undisturbed.hashes) == row.same
    assert waited == pytest.approx(row.waited)
    codes = {outcome.code for unit, outcome in ran.outcomes.items() if unit.expiration is None}
    assert codes == ({f"SPX-{row.code}"} if row.code else codes & {None})


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "options",
    [
        {"do": "not_http"},
        {"do": "zero_bytes"},
        {"do": "delay", "seconds": 60},
        {"do": "status", "status": 500},
        {"do": "starting", "requests": 3},
        {"do": "close_after", "bytes": 3},
        {"do": "reset_after", "bytes": 3},
    ],
    ids=lambda options: options["do"],
)
def test_a_fault_that_strikes_the_first_look_for_a_terminal(
    options: Mapping[str, Any], dialect: str, market: Path, undisturbed: Ran, tmp_path: Path
) -> None:
    """It is looked for once more, and the day ends whole."""
    how = {"nth": 1, **options}
    ran, _, _ = fetched(market, tmp_path, dialect, Fault(dataset="status", **how))
    assert ran.error is None
    assert ran.hashes == undisturbed.hashes


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_table_has_a_row_for_every_fault_of_the_emulator(dialect: str) -> None:
    """Whoever teaches the emulator a new fault says here what comes of it."""
    known = set(ACTIONS) if dialect == "v2" else set(ACTIONS) - HAS_PAGES
    assert {row.do for row in TABLE if dialect in row.dialects} == known


def test_every_test_of_the_table_has_a_name_of_its_own() -> None:
    """A row that stands there twice would hide another."""
    titles = [(row.title, dialect) for row in TABLE for dialect in row.dialects]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_drifted_reply_is_kept_for_inspection(dialect: str, market: Path, tmp_path: Path) -> None:
    """The user is told where it lies."""
    fault = Fault(do="drift", rename={"bid": "bid_price"}, dataset="quote", nth=1)
    ran, _, _ = fetched(market, tmp_path, dialect, fault)
    kept = [event for event in ran.events if isinstance(event, Quarantined)]
    assert [event.unit for event in kept] == [UNITS[0]]
    assert (tmp_path / kept[0].path).exists()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_waiting_for_a_terminal_that_lost_its_servers_is_told_of(dialect: str, market: Path, tmp_path: Path) -> None:
    """Every probe in vain is told of, with its reason and when the next one is."""
    fault = Fault(do="disconnect", seconds=17, dataset="quote", nth=2)
    ran, _, _ = fetched(market, tmp_path, dialect, fault)
    told = [(event.code, event.waited, event.probe_in) for event in ran.events if isinstance(event, TerminalUnusable)]
    assert told == [("SPX-T474", 5.0 * n, 5.0) for n in range(4)]


def test_a_page_that_is_not_read_to_its_end_lets_go_of_its_connection_at_once(market: Path) -> None:
    """Else it would hold one of the account's places until chance collects it."""
    with Emulator(dialect="v2", replay=market, page_rows=PAGE_ROWS) as emulator:
        terminal = FoundTerminal(fake_clock(), "v2", emulator.url.rsplit("/", 1)[0])
        with terminal.fetch(UNITS[1]) as reply:
            chunks = reply.chunks()
            while not any("/page/" in path for path, _ in emulator.requests):
                next(chunks)
            assert len(terminal.channels._open) == 2
        assert terminal.channels._open == set()
