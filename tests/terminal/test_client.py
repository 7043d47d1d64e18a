"""What each dataset is asked for with, in both dialects; and what comes contract by contract."""

import itertools
import socket
from collections.abc import Callable, Mapping

import polars as pl
import pytest

from spxdata.errors import NoData, NotInDialect, TooLarge
from spxdata.model import Contract, Right, Unit
from spxdata.pipeline.parse import parse
from spxdata.schema import DATASETS
from spxdata.terminal.asking import Line
from spxdata.terminal.client import Client
from spxdata.terminal.v2 import V2Terminal
from spxdata.terminal.v3 import V3Terminal
from tests.builders import EXPIRATION, TRADE_DATE, FakeClock
from tests.pipeline.builders import Row, rows_of, unit_for, wire_csv

from .rawserver import Answer, serving, whole

CALL, PUT = (Contract(EXPIRATION, 4750.0, right) for right in Right)

#: Lists of a day with two expirations, of which one has a single strike.
LISTS = {
    "/option/list/strikes": b"symbol,strike\r\nSPXW,4750.000\r\n",
    "/list/strikes": b"strike\r\n4750000\r\n",
    "/option/list/contracts/quote": b"symbol,expiration,strike,right\r\n"
    b"SPXW,2024-01-16,4750.000,CALL\r\nSPXW,2024-01-19,4750.000,CALL\r\n",
    "/list/contracts/option/quote": b"root,expiration,strike,right\r\n"
    b"SPXW,20240116,4750000,C\r\nSPXW,20240119,4750000,C\r\n",
}

V3_CHAIN = "symbol=SPXW&expiration=2024-01-19&strike=*&right=both&date=2024-01-16"
V3_DAY = "symbol=SPXW&expiration=*&strike=*&right=both"
V3_RANGE = "start_date=2024-01-16&end_date=2024-01-16"
V3_HOURS = "start_time=09:30:00&end_time=16:15:00"
V3_MODEL = "version=latest&rate_type=sofr"
V2_CHAIN = "root=SPXW&exp=20240119&start_date=20240116&end_date=20240116"
V2_DAY = "root=SPXW&exp=0&start_date=20240116&end_date=20240116"
V2_HOURS = "start_time=34200000&end_time=58500000"
V2_MODEL = "rth=false&rate=SOFR"

#: By dataset and interval, the requests for rows to a Terminal of each generation; None where it has no such dataset.
REQUESTS: Mapping[tuple[str, str], tuple[list[str], list[str] | None]] = {
    ("quote", "1m"): (
        [f"/option/history/quote?{V3_CHAIN}&{V3_HOURS}&interval=1m&format=csv"],
        [f"/bulk_hist/option/quote?{V2_CHAIN}&{V2_HOURS}&ivl=60000&use_csv=true"],
    ),
    ("quote", "1h"): (
        [f"/option/history/quote?{V3_CHAIN}&{V3_HOURS}&interval=1h&format=csv"],
        [f"/bulk_hist/option/quote?{V2_CHAIN}&{V2_HOURS}&ivl=3600000&use_csv=true"],
    ),
    ("quote", "tick"): (
        [
            "/option/history/quote?symbol=SPXW&expiration=2024-01-19&strike=4750"
            f"&right={right}&date=2024-01-16&{V3_HOURS}&interval=tick&format=csv"
            for right in ("call", "put")
        ],
        [
            f"/hist/option/quote?{V2_CHAIN}&{V2_HOURS}&ivl=0&strike=4750000&right={right}&rth=false&use_csv=true"
            for right in ("C", "P")
        ],
    ),
    ("trade", "tick"): (
        [f"/option/history/trade?{V3_CHAIN}&{V3_HOURS}&format=csv"],
        [f"/bulk_hist/option/trade?{V2_CHAIN}&{V2_HOURS}&use_csv=true"],
    ),
    ("trade_quote", "tick"): (
        [f"/option/history/trade_quote?{V3_CHAIN}&{V3_HOURS}&exclusive=true&format=csv"],
        [f"/bulk_hist/option/trade_quote?{V2_CHAIN}&{V2_HOURS}&exclusive=true&use_csv=true"],
    ),
    ("ohlc", "1m"): (
        [f"/option/history/ohlc?{V3_CHAIN}&{V3_HOURS}&interval=1m&format=csv"],
        [f"/bulk_hist/option/ohlc?{V2_CHAIN}&{V2_HOURS}&ivl=60000&use_csv=true"],
    ),
    ("open_interest", "1d"): (
        [f"/option/history/open_interest?{V3_DAY}&date=2024-01-16&format=csv"],
        [f"/bulk_hist/option/open_interest?{V2_DAY}&use_csv=true"],
    ),
    ("eod", "1d"): (
        [f"/option/history/eod?{V3_DAY}&{V3_RANGE}&format=csv"],
        [f"/bulk_hist/option/eod?{V2_DAY}&use_csv=true"],
    ),
    ("greeks_eod", "1d"): (
        [f"/option/history/greeks/eod?{V3_DAY}&{V3_RANGE}&{V3_MODEL}&underlyer_use_nbbo=false&format=csv"],
        [f"/bulk_hist/option/eod_greeks?{V2_DAY}&rate=SOFR&use_csv=true"],
    ),
    ("implied_volatility", "1m"): (
        [f"/option/history/greeks/implied_volatility?{V3_CHAIN}&{V3_HOURS}&interval=1m&{V3_MODEL}&format=csv"],
        [
            f"/hist/option/implied_volatility?{V2_CHAIN}&{V2_HOURS}&ivl=60000&{V2_MODEL}"
            f"&strike=4750000&right={right}&use_csv=true"
            for right in ("C", "P")
        ],
    ),
    **{
        (name, "1m"): (
            [f"/option/history/greeks/{v3}?{V3_CHAIN}&{V3_HOURS}&interval=1m&{V3_MODEL}&format=csv"],
            [f"/bulk_hist/option/{v2}?{V2_CHAIN}&{V2_HOURS}&ivl=60000&{V2_MODEL}&use_csv=true"],
        )
        for name, v3, v2 in (
            ("greeks", "first_order", "greeks"),
            ("greeks_second_order", "second_order", "greeks_second_order"),
            ("greeks_third_order", "third_order", "greeks_third_order"),
            ("greeks_all", "all", "all_greeks"),
        )
    },
    ("greeks", "500ms"): (
        [
            "/option/history/greeks/first_order?symbol=SPXW&expiration=2024-01-19&strike=4750"
            f"&right={right}&date=2024-01-16&{V3_HOURS}&interval=500ms&{V3_MODEL}&format=csv"
            for right in ("call", "put")
        ],
        [
            f"/hist/option/greeks?{V2_CHAIN}&{V2_HOURS}&ivl=500&{V2_MODEL}&strike=4750000&right={right}&use_csv=true"
            for right in ("C", "P")
        ],
    ),
    ("index_price", "1m"): (
        [f"/index/history/price?symbol=SPX&date=2024-01-16&{V3_HOURS}&interval=1m&format=csv"],
        [
            f"/hist/index/price?root=SPX&start_date=20240116&end_date=20240116&{V2_HOURS}&ivl=60000&rth=false&use_csv=true"
        ],
    ),
    ("index_price", "tick"): (
        [f"/index/history/price?symbol=SPX&date=2024-01-16&{V3_HOURS}&interval=tick&format=csv"],
        [f"/hist/index/price?root=SPX&start_date=20240116&end_date=20240116&{V2_HOURS}&ivl=0&rth=false&use_csv=true"],
    ),
    ("interest_rate", "1d"): ([f"/interest_rate/history/eod?symbol=SOFR&{V3_RANGE}&format=csv"], None),
}

DIALECTS: Mapping[str, Callable[[str], Client]] = {
    "v3": lambda url: V3Terminal(Line(url, "v3"), FakeClock()),
    "v2": lambda url: V2Terminal(Line(url, "v2"), FakeClock()),
}


def answering(data: Callable[[str], bytes]) -> Answer:
    """Return an answer that knows the lists; everything else is `data`'s, by path and query."""

    def answer(connection: socket.socket, line: str) -> None:
        target = line.split()[1]
        listed = LISTS.get(target.partition("?")[0])
        connection.sendall(whole(listed) if listed else data(target))

    return answer


def fetched(dialect: str, unit: Unit, data: Callable[[str], bytes]) -> tuple[list[str], bytes]:
    """Return what was asked for beside lists, and the reply's body."""
    with serving(answering(data)) as server:
        with DIALECTS[dialect](server.url).fetch(unit) as reply:
            body = b"".join(reply.chunks())
        asked = [request.split()[1] for request in server.requests]
    return [target for target in asked if target.partition("?")[0] not in LISTS], body


def no_data() -> bytes:
    """Return the answer that says so."""
    return whole(b"No data found for your request", status="472 ")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("name", "interval"), REQUESTS, ids=map("-".join, REQUESTS))
def test_requests_are_the_documented_ones(name: str, interval: str, dialect: str) -> None:
    """Path and query, to the letter: no parameter more, none left to a default, one request a chain where it may be."""
    expected = REQUESTS[name, interval][0 if dialect == "v3" else 1]
    unit = unit_for(DATASETS[name], interval=interval)
    if expected is None:
        with serving(answering(lambda _: no_data())) as server:
            with (
                pytest.raises(NotInDialect, match="v2 Terminal does not have"),
                DIALECTS[dialect](server.url).fetch(unit),
            ):
                pass
            assert server.requests == []
        return
    numbers = itertools.count()
    assert fetched(dialect, unit, lambda _: whole(f"header\r\n1,{next(numbers)}\r\n".encode()))[0] == expected


def test_every_dataset_has_a_documented_request() -> None:
    """A new one needs a line above."""
    assert {name for name, _ in REQUESTS} == set(DATASETS)


class TestOrigin:
    """The request that provenance names."""

    @staticmethod
    def told(dialect: str, unit: Unit, data: Callable[[str], bytes]) -> tuple[str, list[str]]:
        """Return what is told of a reply that was read, and what was asked for beside lists."""
        with serving(answering(data)) as server:
            with DIALECTS[dialect](server.url).fetch(unit) as reply:
                assert b"".join(reply.chunks())
            sent = [request.split()[1] for request in server.requests]
            return reply.provenance.request, [target for target in sent if target.partition("?")[0] not in LISTS]

    @pytest.mark.parametrize("dialect", DIALECTS)
    @pytest.mark.parametrize(("name", "interval"), REQUESTS, ids=map("-".join, REQUESTS))
    def test_it_is_the_first_that_was_sent(self, name: str, interval: str, dialect: str) -> None:
        """And can be sent again; if there were more, that is said."""
        unit = unit_for(DATASETS[name], interval=interval)
        if REQUESTS[name, interval][0 if dialect == "v3" else 1] is None:
            return
        numbers = itertools.count()
        told, sent = self.told(dialect, unit, lambda _: whole(f"1,{next(numbers)}\r\n".encode()))
        assert told == sent[0] + (f" (split by contract, {len(sent)} requests)" if len(sent) > 1 else "")

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_a_unit_that_was_too_large_is_told_to_be_split(self, dialect: str) -> None:
        """The refused request is the first, and one of them."""
        answers = iter([whole(b"", status="570 "), *(whole(f"1,{number}\r\n".encode()) for number in range(2))])
        told, sent = self.told(dialect, unit_for(DATASETS["trade"]), lambda _: next(answers))
        assert told == f"{sent[0]} (split by time, 3 requests)"

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_that_of_a_single_contract_is_its_own(self, dialect: str) -> None:
        """It is no part of anything."""
        with serving(answering(lambda _: whole(b"1,2\r\n"))) as server:
            with DIALECTS[dialect](server.url).single(unit_for(DATASETS["trade"]), PUT) as reply:
                assert b"".join(reply.chunks())
            assert [reply.provenance.request] == [request.split()[1] for request in server.requests]


class TestByContract:
    """What a Terminal gives contract by contract only."""

    @staticmethod
    def rows(target: str, rows: Mapping[Right, list[Row]]) -> list[Row]:
        """Return the rows of the contract that a request is for."""
        return rows[Right.CALL if "right=C" in target or "right=call" in target else Right.PUT]

    @pytest.mark.parametrize("header", [True, False])
    @pytest.mark.parametrize(
        ("name", "interval", "dialect"),
        [
            ("implied_volatility", "1m", "v2"),
            ("quote", "tick", "v2"),
            ("greeks", "tick", "v2"),
            ("ohlc", "1s", "v2"),
            ("quote", "tick", "v3"),
        ],
    )
    def test_it_is_the_table_of_the_chain(self, name: str, interval: str, dialect: str, header: bool) -> None:
        """With the names of each contract, whether or not later replies repeat the column names."""
        dataset = DATASETS[name]
        unit = unit_for(dataset, interval=interval)
        rows = {contract.right: rows_of((contract,), range(571, 600), dataset) for contract in (CALL, PUT)}

        def data(target: str) -> bytes:
            mine = self.rows(target, rows)
            first = mine is rows[Right.CALL]
            return whole(wire_csv(mine, dataset, dialect, single=dialect == "v2", header=header or first))

        _, body = fetched(dialect, unit, data)
        whole_chain = wire_csv([*rows[Right.CALL], *rows[Right.PUT]], dataset, dialect)
        assert body == whole_chain
        tables = [
            pl.concat(batch.frame for batch in parse(iter([text]), unit, dialect)) for text in (body, whole_chain)
        ]
        assert tables[0].equals(tables[1])

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_contracts_without_data_are_passed_over(self, dialect: str) -> None:
        """Wherever they stand."""
        dataset = DATASETS["quote"]
        rows = rows_of((PUT,), range(571, 575), dataset)

        def data(target: str) -> bytes:
            if "right=C" in target or "right=call" in target:
                return no_data()
            return whole(wire_csv(rows, dataset, dialect, single=dialect == "v2"))

        asked, body = fetched(dialect, unit_for(dataset, interval="tick"), data)
        assert len(asked) == 2
        assert body == wire_csv(rows, dataset, dialect)

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_a_unit_none_of_whose_contracts_has_data_is_no_data(self, dialect: str) -> None:
        """Never an empty reply."""
        with pytest.raises(NoData, match="No part of"):
            fetched(dialect, unit_for(DATASETS["quote"], interval="1s"), lambda _: no_data())


class TestTooLarge:
    """What is too large in one reply."""

    @pytest.mark.parametrize(("dialect", "wildcard", "day"), [("v3", "*", "2024-01-{}"), ("v2", "0", "202401{}")])
    def test_a_day_is_asked_for_by_the_expirations_of_its_contract_list(
        self, dialect: str, wildcard: str, day: str
    ) -> None:
        """The wildcard first, then one after the other."""
        dataset = DATASETS["eod"]
        rows = {
            expiration: rows_of((CALL._replace(expiration=expiration),), dataset=dataset)
            for expiration in (TRADE_DATE, EXPIRATION)
        }

        def data(target: str) -> bytes:
            if f"exp={wildcard}" in target or f"expiration={wildcard}" in target:
                return whole(b"", status="570 ")
            return whole(wire_csv(rows[EXPIRATION if day.format(19) in target else TRADE_DATE], dataset, dialect))

        asked, body = fetched(dialect, unit_for(dataset), data)
        name = "expiration" if dialect == "v3" else "exp"
        wanted = [wildcard, *(day.format(expiration.day) for expiration in (TRADE_DATE, EXPIRATION))]
        assert [target.split(f"{name}=")[1].split("&")[0] for target in asked] == wanted
        assert body == wire_csv([*rows[TRADE_DATE], *rows[EXPIRATION]], dataset, dialect)

    def test_a_report_of_v2_that_has_no_single_form_is_said_to_be_too_large(self) -> None:
        """Once the expiration alone is."""
        with pytest.raises(TooLarge, match="smallest parts"):
            fetched("v2", unit_for(DATASETS["greeks_eod"]), lambda _: whole(b"", status="570 "))
