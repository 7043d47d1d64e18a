"""What every Terminal does: the client of either generation against an emulated one, and the scripted one of tests.

All of them know one small market: a day of SPXW with two expirations, and a day whose reply stalls once it has begun.
"""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from threading import Event
from typing import Any

import polars as pl
import pytest

from spxdata import Emulator, __version__
from spxdata.errors import NoData, TransientError
from spxdata.model import Contract, Right, Unit
from spxdata.pipeline.parse import parse
from spxdata.protocols import Reply, Terminal
from spxdata.schema import DIALECTS
from spxdata.terminal.asking import Patience
from spxdata.terminal.probe import FoundTerminal
from tests.builders import EXPIRATION, NOW, TRADE_DATE, FakeClock, a_provenance, a_unit
from tests.pipeline.builders import (
    CALL,
    CONTRACTS,
    QUOTE,
    QUOTE_UNIT,
    Pause,
    ScriptedTerminal,
    cut,
    frame_of,
    listing,
    rows_of,
    wire_csv,
)

LATER = date(2024, 1, 24)
#: What is listed on the first day.
LISTED = tuple(contract._replace(expiration=day) for day in (EXPIRATION, LATER) for contract in CONTRACTS)
#: The rows of each expiration; few enough to be read in no time, and in no order of contracts.
ROWS = rows_of(reversed(CONTRACTS), range(571, 601))
BY_CONTRACT = {
    contract: [row for row in ROWS if (float(row["strike"]), row["right"]) == (contract.strike, contract.right)]
    for contract in CONTRACTS
}
#: The unit of the other day.
STALLED = a_unit(dataset="quote", trade_date=TRADE_DATE + timedelta(days=1))
#: Bytes of a stalled reply that come: within its first page.
BEGUN = 1000
#: Rows of a page of v2: a reply has several.
PAGE = 40
#: Seconds after which a test that hangs fails; none waits that long.
LIMIT = 10.0

OTHER_ROOT, OTHER_DAY, OTHER_EXPIRATION = "SPX", date(2024, 1, 18), date(2024, 1, 26)
UNLISTED = Contract(EXPIRATION, 9999.0, Right.CALL)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A Terminal of each generation on the market, with one place for data (v2) or two (v3)."""
    folder = tmp_path_factory.mktemp("quotes")
    for unit in (QUOTE_UNIT, replace(QUOTE_UNIT, expiration=LATER), STALLED):
        (folder / f"SPXW_{unit.trade_date:%Y%m%d}_{unit.expiration:%Y%m%d}.csv").write_bytes(
            wire_csv(ROWS, QUOTE, "v2")
        )
    stall = {"do": "stall_after", "bytes": BEGUN, "dataset": "quote", "date": STALLED.trade_date}
    with Emulator(dialect="both", replay=folder, tier="value", page_rows=PAGE, faults=[stall]) as running:
        yield running


def found(dialect: str, url: str) -> FoundTerminal:
    """Return the client of a dialect."""
    return FoundTerminal(FakeClock(), dialect, url, patience=Patience(LIMIT, LIMIT, LIMIT, LIMIT))


def scripted() -> ScriptedTerminal:
    """Return a Terminal without a network that knows the same market."""
    body = wire_csv(ROWS, QUOTE)
    request = "/option/history/quote?symbol=SPXW&expiration=2024-01-19&date=2024-01-16"
    return ScriptedTerminal(
        {QUOTE_UNIT: cut(body, [10, 2500]), STALLED: [body[:BEGUN], Pause.UNTIL_ABORT]},
        provenance=a_provenance(request=request, greeks_version=None, rate_type=None, spxdata_version=__version__),
        lists={"quote": listing(LISTED), "trade": NoData("No data found for your request")},
        singles={contract: wire_csv(rows, QUOTE) for contract, rows in BY_CONTRACT.items()},
    )


#: Every implementation: how to get one, given the emulated Terminal.
TERMINALS: dict[str, Callable[[Emulator], Terminal]] = {
    "v2": lambda emulator: found("v2", emulator.v2_url),
    "v3": lambda emulator: found("v3", emulator.url),
    "scripted": lambda _: scripted(),
}


@pytest.fixture(params=TERMINALS)
def terminal(request: pytest.FixtureRequest, emulator: Emulator) -> Terminal:
    """A Terminal that nobody has asked yet."""
    return TERMINALS[request.param](emulator)


def table(reply: Reply, dialect: str, unit: Unit = QUOTE_UNIT) -> pl.DataFrame:
    """Read a reply to its end, in canonical types."""
    return pl.concat(batch.frame for batch in parse(reply.chunks(), unit, dialect))


class TestItself:
    """dialect, status."""

    def test_its_dialect_is_one_that_parsing_knows(self, terminal: Terminal) -> None:
        assert terminal.dialect in DIALECTS

    def test_one_that_is_ready_says_so(self, terminal: Terminal) -> None:
        assert terminal.status() == "CONNECTED"


class TestLists:
    """expirations, strikes, contracts."""

    def test_expirations_come_sorted_and_once(self, terminal: Terminal) -> None:
        assert terminal.expirations("SPXW") == (EXPIRATION, LATER)

    def test_strikes_come_in_dollars_sorted_and_once(self, terminal: Terminal) -> None:
        """Though a call and a put share one."""
        assert terminal.strikes("SPXW", EXPIRATION) == (4700.0, 4750.0)

    def test_contracts_come_sorted_and_say_what_was_asked_for(self, terminal: Terminal) -> None:
        listed = terminal.contracts("SPXW", TRADE_DATE, "quote")
        assert (listed.root, listed.trade_date) == ("SPXW", TRADE_DATE)
        assert listed.contracts == LISTED
        assert listed.fetched_at == NOW

    def test_contracts_are_of_the_kind_that_was_asked_for(self, terminal: Terminal) -> None:
        """All were quoted, none was traded: never an empty list."""
        with pytest.raises(NoData):
            terminal.contracts("SPXW", TRADE_DATE, "trade")

    @pytest.mark.parametrize(
        "ask",
        [
            lambda terminal: terminal.expirations(OTHER_ROOT),
            lambda terminal: terminal.strikes(OTHER_ROOT, EXPIRATION),
            lambda terminal: terminal.strikes("SPXW", OTHER_EXPIRATION),
            lambda terminal: terminal.contracts(OTHER_ROOT, TRADE_DATE, "quote"),
            lambda terminal: terminal.contracts("SPXW", OTHER_DAY, "quote"),
        ],
        ids=["expirations", "strikes of a root", "strikes", "contracts of a root", "contracts"],
    )
    def test_a_list_of_nothing_is_no_data(self, terminal: Terminal, ask: Callable[[Terminal], object]) -> None:
        with pytest.raises(NoData):
            ask(terminal)


class TestReplies:
    """fetch, single."""

    def test_a_unit_is_the_same_table_whoever_sends_it(self, terminal: Terminal) -> None:
        """However often it is asked for, in pages or not."""
        for _ in range(2):
            with terminal.fetch(QUOTE_UNIT) as reply:
                assert table(reply, terminal.dialect).equals(frame_of(ROWS))

    @pytest.mark.parametrize("contract", CONTRACTS, ids=str)
    def test_a_single_contract_has_its_rows_and_no_others(self, terminal: Terminal, contract: Contract) -> None:
        """In the columns of the unit, the contract's name among them."""
        with terminal.single(QUOTE_UNIT, contract) as reply:
            assert table(reply, terminal.dialect).equals(frame_of(BY_CONTRACT[contract]))

    @pytest.mark.parametrize(
        "changes", [{"root": OTHER_ROOT}, {"trade_date": OTHER_DAY}, {"expiration": OTHER_EXPIRATION}], ids=str
    )
    def test_a_unit_without_rows_is_no_data(self, terminal: Terminal, changes: dict[str, Any]) -> None:
        """Said before a reply begins."""
        with pytest.raises(NoData), terminal.fetch(replace(QUOTE_UNIT, **changes)):
            pytest.fail("a reply began")

    def test_a_contract_without_rows_is_no_data(self, terminal: Terminal) -> None:
        with pytest.raises(NoData), terminal.single(QUOTE_UNIT, UNLISTED):
            pytest.fail("a reply began")

    def test_a_reply_says_where_its_rows_come_from(self, terminal: Terminal) -> None:
        """Quotes have no greeks, so no version of them; the request names no host."""
        with terminal.fetch(QUOTE_UNIT) as reply:
            origin = reply.provenance
        assert re.match(r"/[a-z_/]+quote\?.*SPXW", origin.request)
        assert (origin.dialect, origin.spxdata_version) == (terminal.dialect, __version__)
        assert (origin.greeks_version, origin.rate_type) == (None, None)
        assert origin.fetched_at.utcoffset() is not None


class TestLeaving:
    """The context of a reply."""

    @pytest.mark.parametrize(("unit", "pieces"), [(STALLED, 0), (STALLED, 1), (QUOTE_UNIT, 1)])
    def test_a_reply_that_was_left_is_refused_not_short(self, terminal: Terminal, unit: Unit, pieces: int) -> None:
        """Or what had come would pass for the whole, above all where a page of it did."""
        with terminal.fetch(unit) as reply:
            chunks = reply.chunks()
            for _ in range(pieces):
                assert next(chunks)
        with pytest.raises(ValueError, match="closed"):
            list(chunks)

    def test_a_reply_that_is_left_early_makes_room_for_the_next(self, terminal: Terminal) -> None:
        """More of them than there are places at a time, none of which would ever end."""
        for _ in range(3):
            with terminal.fetch(STALLED) as reply:
                assert next(reply.chunks())
        with terminal.fetch(QUOTE_UNIT) as reply:
            assert table(reply, terminal.dialect).height == len(ROWS)

    def test_an_error_of_the_reader_passes(self, terminal: Terminal) -> None:
        """What goes wrong with the rows is none of the Terminal's concern."""
        with pytest.raises(KeyError, match="mine"), terminal.fetch(QUOTE_UNIT):
            raise KeyError("mine")


class TestAbort:
    """abort."""

    def test_a_reader_that_waits_is_woken_by_an_error(self, terminal: Terminal) -> None:
        """From another thread than its own."""
        begun = Event()

        def read() -> None:
            with terminal.fetch(STALLED) as reply:
                for _ in reply.chunks():
                    begun.set()

        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(read)
            assert begun.wait(LIMIT)
            terminal.abort()
            with pytest.raises(TransientError):
                reading.result(LIMIT)

    def test_nothing_is_fetched_afterwards(self, terminal: Terminal) -> None:
        """Once and for all; a second abort changes nothing."""
        for _ in range(2):
            terminal.abort()
            with pytest.raises(TransientError), terminal.fetch(QUOTE_UNIT):
                pytest.fail("a reply began")
            with pytest.raises(TransientError), terminal.single(QUOTE_UNIT, CALL):
                pytest.fail("a reply began")
