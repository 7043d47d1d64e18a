"""The second generation: its lists, units, pages and parameters, against a Terminal that shares no code with it."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from spxdata import Emulator
from spxdata.errors import MalformedReply, NoData, PageExpired
from spxdata.model import Right
from spxdata.terminal.asking import Line
from spxdata.terminal.v2 import V2Terminal
from spxdata.terminal.v3 import V3Terminal
from tests.builders import EXPIRATION, TRADE_DATE, FakeClock, a_unit


@pytest.fixture(scope="module")
def both() -> Iterator[Emulator]:
    """Return a Terminal of each generation on one market, with pages of 5,000 rows."""
    with Emulator(dialect="both", page_rows=5000) as emulator:
        yield emulator


def client(url: str) -> V2Terminal:
    """Return a client of a v2 Terminal."""
    return V2Terminal(Line(url, "v2"), FakeClock(), rate_type="treasury_m3")


def test_lists_are_those_of_v3_in_canonical_units(both: Emulator) -> None:
    v2, v3 = client(both.v2_url), V3Terminal(Line(both.url, "v3"), FakeClock())
    assert v2.status() == v3.status() == "CONNECTED"
    assert v2.contracts("SPXW", TRADE_DATE, "quote").contracts == v3.contracts("SPXW", TRADE_DATE, "quote").contracts
    assert v2.strikes("SPXW", EXPIRATION) == v3.strikes("SPXW", EXPIRATION)
    assert v2.expirations("SPXW") == tuple(day for day in v3.expirations("SPXW") if day.year < 2088)


def test_every_parameter_whose_default_differs_is_sent(both: Emulator) -> None:
    for dataset in ("greeks", "quote"):
        with client(both.v2_url).fetch(a_unit(dataset=dataset)) as reply:
            assert reply.provenance.dialect == "v2"
            assert reply.provenance.greeks_version == ("1" if dataset == "greeks" else None)
            assert b"".join(reply.chunks()).startswith(b"root,expiration,strike,right,ms_of_day")
    greeks, quote = (query for path, query in both.requests if "/bulk_hist/option/" in path)
    assert greeks == {
        "root": "SPXW",
        "exp": "20240119",
        "start_date": "20240116",
        "end_date": "20240116",
        "start_time": "34200000",
        "end_time": "58500000",
        "ivl": "60000",
        "rth": "false",
        "rate": "TREASURY_M3",
        "use_csv": "true",
    }
    assert {"rth", "rate"} & quote.keys() == set()


@pytest.mark.parametrize(
    ("expiration", "end"), [(TRADE_DATE, 57_600_000), (EXPIRATION, 58_500_000)], ids=["its last day", "before it"]
)
def test_the_session_of_the_expiration_is_asked_for(both: Emulator, expiration: date, end: int) -> None:
    with client(both.v2_url).fetch(a_unit(dataset="quote", expiration=expiration)) as reply:
        last = b"".join(reply.chunks()).splitlines()[-1].split(b",")
    assert int(last[4]) == end


@pytest.mark.parametrize("header", [True, False])
def test_pages_are_read_to_the_last_whether_they_repeat_the_header_or_not(header: bool) -> None:
    def rows(**changes: Any) -> bytes:
        with (
            Emulator(dialect="v2", page_header=header, **changes) as emulator,
            client(emulator.url).fetch(a_unit(dataset="quote")) as reply,
        ):
            return b"".join(reply.chunks())

    assert rows(page_rows=777) == rows()


def faulty(**fault: object) -> Emulator:
    """Return a Terminal with pages of 3,000 rows and one fault."""
    return Emulator(dialect="v2", page_rows=3000, faults=[fault])


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"do": "expire_page", "page": 3}, PageExpired),
        ({"do": "no_data_200", "page": 2}, MalformedReply),
        ({"do": "zero_bytes", "page": 2}, MalformedReply),
        ({"do": "cut_last_row", "page": 2}, MalformedReply),
        ({"do": "repeat_page", "page": 2}, MalformedReply),
        ({"do": "status", "status": 570, "page": 2}, MalformedReply),
        ({"do": "no_data_200", "page": 1}, NoData),
        ({"do": "no_data_200", "page": 1, "colon": True}, NoData),
    ],
    ids=str,
)
def test_an_end_between_pages_is_never_the_end_of_the_reply(fault: dict[str, object], error: type[Exception]) -> None:
    def read() -> None:
        with faulty(**fault) as emulator, client(emulator.url).fetch(a_unit(dataset="quote")) as reply:
            for _ in reply.chunks():
                pass

    with pytest.raises(error):
        read()


@pytest.mark.parametrize("header", [True, False])
def test_a_page_that_comes_twice_is_never_stored_twice(header: bool) -> None:
    """Whether pages begin with the column names or not; the first page too."""
    fault: dict[str, object] = {"do": "repeat_page", "page": 2, "dataset": "trade"}
    unit = a_unit(dataset="trade", interval="tick", expiration=TRADE_DATE)
    with (
        Emulator(dialect="v2", page_rows=400, page_header=header, faults=[fault]) as emulator,
        client(emulator.url).fetch(unit) as reply,
        pytest.raises(MalformedReply, match="once more, byte for byte"),
    ):
        list(reply.chunks())


def test_rights_are_canonical(both: Emulator) -> None:
    rights = {contract.right for contract in client(both.v2_url).contracts("SPXW", TRADE_DATE, "quote").contracts}
    assert rights == {Right.CALL, Right.PUT}
