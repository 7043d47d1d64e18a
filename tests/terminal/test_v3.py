"""The v3 dialect: what is asked, and what becomes of the answers."""

import dataclasses
import socket
from collections.abc import Callable
from datetime import date
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from spxdata import __version__
from spxdata.emulator import Emulator
from spxdata.errors import (
    BadRequest,
    CutOff,
    MalformedReply,
    NoData,
    NoSuchPath,
    NotSubscribed,
    OtherTerminal,
    RateLimited,
    SchemaDrift,
    ServerFault,
    ServerStarting,
    SpxDataError,
    TimedOut,
    TooEarly,
    Unreachable,
    WrongDialect,
)
from spxdata.model import Contract, ContractList, Right
from spxdata.schema import DATASETS
from spxdata.terminal.asking import Line, Patience
from spxdata.terminal.v3 import V3Terminal
from tests.builders import EXPIRATION, NOW, TRADE_DATE, FakeClock, a_unit

from .rawserver import RawServer, chunked, sending, serving, whole

#: What the emulator serves.
SERVED = ("greeks", "quote")
HEADER = ",".join(DATASETS["quote"].names).encode() + b"\r\n"
ROW = b'"SPXW","2024-01-19",4750.000,"CALL",2024-01-16T09:31:00.000,12,5,31.10,50,9,5,31.40,50\r\n'


def terminal(url: str, patience: Patience | None = None, **changes: Any) -> V3Terminal:
    """Return a client of a Terminal."""
    return dataclasses.replace(V3Terminal(Line(url, "v3", patience or Patience()), FakeClock()), **changes)


class TestAgainstTheEmulator:
    """Everything the client can ask, asked of a Terminal that shares no code with it."""

    def test_status_is_the_terminals_word(self, emulator: Emulator) -> None:
        """From the status path of today's builds."""
        assert terminal(emulator.url).status() == "CONNECTED"
        assert emulator.requests[-1] == ("/v3/terminal/mdds/status", {})

    def test_expirations_are_sorted_and_keep_sentinels(self, emulator: Emulator) -> None:
        """Dropping far dates is planning's business."""
        found = terminal(emulator.url).expirations("SPXW")
        assert emulator.requests[-1] == ("/v3/option/list/expirations", {"symbol": "SPXW", "format": "csv"})
        assert list(found) == sorted(set(found))
        assert {TRADE_DATE, EXPIRATION, date(2088, 1, 16)} <= set(found)

    def test_strikes_are_dollars_sorted(self, emulator: Emulator) -> None:
        """The Terminal sends them in any order."""
        found = terminal(emulator.url).strikes("SPXW", EXPIRATION)
        asked = {"symbol": "SPXW", "expiration": "2024-01-19", "format": "csv"}
        assert emulator.requests[-1] == ("/v3/option/list/strikes", asked)
        assert list(found) == sorted(set(found))
        assert 4750.0 in found

    def test_contracts_are_those_of_the_day(self, emulator: Emulator) -> None:
        """Sorted, with the moment they were asked for."""
        found = terminal(emulator.url).contracts("SPXW", TRADE_DATE, "quote")
        asked = {"symbol": "SPXW", "date": "2024-01-16", "format": "csv"}
        assert emulator.requests[-1] == ("/v3/option/list/contracts/quote", asked)
        assert (found.root, found.trade_date, found.fetched_at) == ("SPXW", TRADE_DATE, NOW)
        assert list(found.contracts) == sorted(set(found.contracts))
        assert Contract(EXPIRATION, 4750.0, Right.CALL) in found.contracts
        assert found.expirations()[0] == TRADE_DATE

    @pytest.mark.parametrize(
        ("ask", "error"),
        [
            (lambda t: t.contracts("SPXW", date(2024, 1, 15), "quote"), NoData),
            (lambda t: t.expirations("XYZ"), NoData),
            (lambda t: t.strikes("SPXW", date(2024, 1, 20)), NoData),
            (lambda t: t.contracts("SPXW", TRADE_DATE, "nothing"), NoSuchPath),
        ],
    )
    def test_what_the_terminal_does_not_have_is_said(
        self, emulator: Emulator, ask: Callable[[V3Terminal], object], error: type[SpxDataError]
    ) -> None:
        """In its own words."""
        with pytest.raises(error):
            ask(terminal(emulator.url))

    @pytest.mark.parametrize("dataset", SERVED)
    def test_a_fetch_streams_rows_and_says_where_they_come_from(self, emulator: Emulator, dataset: str) -> None:
        """Provenance holds the request as it was sent below the base, and the moment the reply began."""
        settings: dict[str, Any] = {"greeks_version": "1", "rate_type": "treasury_m3"}
        client = terminal(emulator.url, **settings)
        with client.fetch(a_unit(dataset=dataset)) as reply:
            body = b"".join(reply.chunks())
        path, asked = emulator.requests[-1]
        header, _, rows = body.partition(b"\r\n")
        assert tuple(header.decode().split(",")) == DATASETS[dataset].names
        assert rows.endswith(b"\r\n")
        assert len(rows) > 100_000
        origin = reply.provenance
        parts = urlsplit(origin.request)
        assert ("/v3" + parts.path, dict(parse_qsl(parts.query))) == (path, asked)
        assert (origin.dialect, origin.fetched_at, origin.spxdata_version) == ("v3", NOW, __version__)
        with_greeks = ("1", "treasury_m3") if dataset == "greeks" else (None, None)
        assert (origin.greeks_version, origin.rate_type) == with_greeks

    def test_every_parameter_with_a_default_is_sent_for_greeks(self, emulator: Emulator) -> None:
        """Defaults drift: interval, hours, strike, right, version, rate and format are said; rate_value never is."""
        with terminal(emulator.url).fetch(a_unit()):
            pass
        assert emulator.requests[-1] == (
            "/v3/option/history/greeks/first_order",
            {
                "symbol": "SPXW",
                "expiration": "2024-01-19",
                "strike": "*",
                "right": "both",
                "date": "2024-01-16",
                "start_time": "09:30:00",
                "end_time": "16:15:00",
                "interval": "1m",
                "version": "latest",
                "rate_type": "sofr",
                "format": "csv",
            },
        )

    def test_a_quote_is_not_asked_for_with_parameters_of_greeks(self, emulator: Emulator) -> None:
        """Unknown ones are ignored silently: they would only mislead."""
        with terminal(emulator.url).fetch(a_unit(dataset="quote")):
            pass
        path, asked = emulator.requests[-1]
        assert path == "/v3/option/history/quote"
        assert set(asked) == {
            *("symbol", "expiration", "strike", "right", "date", "start_time", "end_time", "interval", "format")
        }

    @pytest.mark.parametrize(
        ("trade_date", "expiration", "close", "minutes"),
        [
            (date(2024, 1, 16), date(2024, 1, 19), "16:15:00", 406),
            (date(2024, 1, 16), date(2024, 1, 16), "16:00:00", 391),
            (date(2024, 7, 3), date(2024, 7, 5), "13:15:00", 226),
            (date(2024, 7, 3), date(2024, 7, 3), "13:00:00", 211),
        ],
    )
    @pytest.mark.parametrize("dataset", SERVED)
    def test_rows_are_asked_for_to_the_close_of_the_expiration(
        self, emulator: Emulator, dataset: str, trade_date: date, expiration: date, close: str, minutes: int
    ) -> None:
        """Which is what the emulator, with hours of its own, has."""
        with terminal(emulator.url).fetch(a_unit(dataset=dataset, trade_date=trade_date, expiration=expiration)) as r:
            lines = b"".join(r.chunks()).splitlines()[1:]
        asked = emulator.requests[-1][1]
        assert (asked["start_time"], asked["end_time"]) == ("09:30:00", close)
        stamps = {line.split(b",")[4] for line in lines}
        assert len(stamps) == minutes
        assert max(stamps) == f"{trade_date}T{close}.000".encode()

    def test_an_expiration_without_a_session_is_not_asked_for(self, emulator: Emulator) -> None:
        """SPX settles in the morning: on its last day there are no rows."""
        before = emulator.requests
        with (
            pytest.raises(NoData, match="no session"),
            terminal(emulator.url).fetch(a_unit(root="SPX", trade_date=EXPIRATION, expiration=EXPIRATION)),
        ):
            pass
        assert emulator.requests == before

    @pytest.mark.parametrize("quoted", [True, False])
    @pytest.mark.parametrize("line_end", ["\r\n", "\n"])
    def test_lists_are_the_same_however_they_are_written(
        self, emulator: Emulator, line_end: str, *, quoted: bool
    ) -> None:
        """Quoted or bare, CRLF or LF."""
        with Emulator(line_end=line_end, quoted=quoted) as other:
            mine, theirs = terminal(emulator.url), terminal(other.url)
            assert theirs.contracts("SPXW", TRADE_DATE, "quote") == mine.contracts("SPXW", TRADE_DATE, "quote")
            assert theirs.expirations("SPXW") == mine.expirations("SPXW")
            assert theirs.strikes("SPXW", EXPIRATION) == mine.strikes("SPXW", EXPIRATION)

    def test_a_subscription_that_lacks_a_path_is_said(self) -> None:
        """Lists too: the day is then planned without one."""
        with Emulator(tier="free") as poor:
            client = terminal(poor.url)
            assert client.expirations("SPXW")
            with pytest.raises(NotSubscribed, match="requiring a value subscription"):
                client.contracts("SPXW", TRADE_DATE, "quote")
            with pytest.raises(NotSubscribed, match="requiring a standard subscription"), client.fetch(a_unit()):
                pass


CONTRACTS = (
    b'symbol,expiration,strike,right\r\n"SPXW","2024-01-19",4750.000,"PUT"\r\n"SPXW","2024-01-19",4750.000,"CALL"\r\n'
)
LISTED = (Contract(EXPIRATION, 4750.0, Right.CALL), Contract(EXPIRATION, 4750.0, Right.PUT))
LISTS: dict[str, Callable[[V3Terminal], object]] = {
    "contracts": lambda t: t.contracts("SPXW", TRADE_DATE, "quote"),
    "expirations": lambda t: t.expirations("SPXW"),
    "strikes": lambda t: t.strikes("SPXW", EXPIRATION),
}


def contracts_of(body: bytes) -> ContractList:
    """Ask for the contract list of a server that has only this."""
    with serving(sending(whole(body))) as server:
        return terminal(server.url).contracts("SPXW", TRADE_DATE, "quote")


class TestLists:
    """Lists are read whole or not at all."""

    @pytest.mark.parametrize(
        "body",
        [
            CONTRACTS,
            CONTRACTS.replace(b"\r\n", b"\n"),
            CONTRACTS.replace(b'"', b""),
            CONTRACTS.replace(b"4750.000", b"4750"),
            CONTRACTS.replace(b"2024-01-19", b"20240119"),
            CONTRACTS + CONTRACTS.partition(b"\n")[2],
            CONTRACTS + b'"SPX","2024-01-19",4750.000,"CALL"\r\n',
            b"right,strike,expiration,symbol\nPUT,4750.000,2024-01-19,SPXW\nCALL,4750.000,2024-01-19,SPXW\n",
        ],
        ids=["as sent", "LF", "bare", "short strike", "short day", "repeated", "another root", "another order"],
    )
    def test_contracts_are_read_by_column_name(self, body: bytes) -> None:
        """In whatever order, spelling and number they come."""
        assert contracts_of(body).contracts == LISTED

    def test_a_chunked_list_is_read_too(self) -> None:
        """As long ones are sent."""
        with serving(sending(chunked(CONTRACTS, 10))) as server:
            assert terminal(server.url).contracts("SPXW", TRADE_DATE, "quote").contracts == LISTED

    @pytest.mark.parametrize(
        ("header", "found"),
        [
            (b"symbol,expiration,strike", ("symbol", "expiration", "strike")),
            (b"symbol,expiration,strike,right,mark", ("symbol", "expiration", "strike", "right", "mark")),
            (b"root,expiration,strike,right", ("root", "expiration", "strike", "right")),
            (b"symbol,expiration,strike,right,right", ("symbol", "expiration", "strike", "right", "right")),
            (b"", ()),
        ],
        ids=["missing", "extra", "renamed", "twice", "blank"],
    )
    def test_other_columns_are_drift(self, header: bytes, found: tuple[str, ...]) -> None:
        """The error holds both lists."""
        with pytest.raises(SchemaDrift) as caught:
            contracts_of(header + b"\r\n" + CONTRACTS.partition(b"\n")[2])
        assert (caught.value.expected, caught.value.found) == (("symbol", "expiration", "strike", "right"), found)

    @pytest.mark.parametrize("length", range(len(CONTRACTS)))
    def test_a_list_that_is_cut_is_never_a_shorter_list(self, length: int) -> None:
        """Even if the framing agrees with the cut; whole lines alone cannot be told from a list."""
        body = CONTRACTS[:length]
        expected = NoData if body.count(b"\n") == 1 else MalformedReply
        if body.endswith(b"\n") and body.count(b"\n") == 2:
            assert contracts_of(body).contracts == LISTED[1:]
            return
        with pytest.raises(expected if body.endswith(b"\n") else MalformedReply):
            contracts_of(body)

    @pytest.mark.parametrize("ask", LISTS)
    def test_a_list_of_zero_bytes_is_an_error(self, ask: str) -> None:
        """No data has a status of its own."""
        with serving(sending(whole(b""))) as server, pytest.raises(MalformedReply, match="zero bytes"):
            LISTS[ask](terminal(server.url))

    def test_a_contract_list_with_a_header_alone_is_no_data(self) -> None:
        """Nothing was quoted that day; other lists are simply empty."""
        with pytest.raises(NoData, match="contract list is empty"):
            contracts_of(b"symbol,expiration,strike,right\r\n")
        with serving(sending(whole(b"symbol,expiration\r\n"))) as server:
            assert terminal(server.url).expirations("SPXW") == ()

    @pytest.mark.parametrize(
        "row",
        [
            b'"SPXW","2024-01-19",4750.000',
            b'"SPXW","2024-01-19",4750.000,"CALL",1',
            b"",
            b'"SPXW","2024-02-31",4750.000,"CALL"',
            b'"SPXW","0",4750.000,"CALL"',
            b'"SPXW","2024-01-19",many,"CALL"',
            b'"SPXW","2024-01-19",nan,"CALL"',
            b'"SPXW","2024-01-19",inf,"CALL"',
            b'"SPXW","2024-01-19",4750.000,"C"',
            b'"SPXW,"2024-01-19",4750.000,"CALL"',
            b'"SPXW","2024-01-19",4750.000,"CALL',
            b'"' + b"x" * 200_000,
            b"\xff\xfe,,,",
        ],
        ids=range(13),
    )
    def test_a_row_that_cannot_be_read_is_an_error_of_ours(self, row: bytes) -> None:
        """Too few or too many cells, no day, no number, no right, a quote that never closes."""
        with pytest.raises(MalformedReply):
            contracts_of(CONTRACTS + row + b"\r\n")

    @pytest.mark.parametrize("ask", LISTS)
    @pytest.mark.parametrize("reply", [whole(CONTRACTS)[:-9], chunked(CONTRACTS, 10)[:-3]], ids=["length", "chunks"])
    def test_a_list_whose_framing_is_cut_is_an_error(self, ask: str, reply: bytes) -> None:
        """Before anything of it is read."""
        with serving(sending(reply)) as server, pytest.raises(CutOff):
            LISTS[ask](terminal(server.url))

    def test_silence_ends_a_list_after_its_own_patience(self) -> None:
        """Lists are quick; data is not."""
        impatient = Patience(lists=0.2, first_byte=60, between_bytes=60)
        with serving(lambda *_: _until(server)) as server, pytest.raises(TimedOut):
            terminal(server.url, patience=impatient).status()


def _until(server: RawServer) -> None:
    server.over.wait()


NO_DATA = (
    "No data found for your request",
    ":No data for the specified timeframe & contract.",
    "no data",
    "No listed x",
)
ANSWERS: list[tuple[str, bytes, type[SpxDataError]]] = [
    *(("200 OK", text.encode(), NoData) for text in NO_DATA),
    ("472 ", b"No data found for your request", NoData),
    ("472 ", b"", NoData),
    ("403 Forbidden", b"Requesting an option endpoint requiring a value subscription", NotSubscribed),
    ("471 ", b"permissions", NotSubscribed),
    ("400 Bad Request", b"Cannot fetch current-day data without specifying an expiration", TooEarly),
    ("400 Bad Request", b"Invalid interval: 3600000", BadRequest),
    ("404 Not Found", b"", NoSuchPath),
    ("410 Gone", b"We have upgraded to API v3.", WrongDialect),
    ("429 Too Many Requests", b"", RateLimited),
    ("478 ", b"Invalid session ID. This can occur if more than one terminal is running.", OtherTerminal),
    ("500 Internal Server Error", b"EOD is not available for the current day", TooEarly),
    ("500 Internal Server Error", b"", ServerFault),
    ("571 ", b"", ServerStarting),
    ("302 Found", b"", BadRequest),
]


def _fetch(client: V3Terminal) -> None:
    with client.fetch(a_unit()):
        pass


ASKING: dict[str, Callable[[V3Terminal], object]] = {**LISTS, "fetch": _fetch}


class TestAnswers:
    """Answers that are no rows."""

    @pytest.mark.parametrize(("status", "body", "error"), ANSWERS)
    @pytest.mark.parametrize("ask", ASKING)
    def test_a_status_is_raised_as_its_error(
        self, ask: str, status: str, body: bytes, error: type[SpxDataError]
    ) -> None:
        """By lists and by data alike; nothing is yielded."""
        with serving(sending(whole(body, status=status))) as server, pytest.raises(SpxDataError) as caught:
            ASKING[ask](terminal(server.url))
        assert type(caught.value) is error
        assert body.decode() in caught.value.message

    def test_the_wait_asked_for_comes_with_the_error(self) -> None:
        """Retry-After of a 429."""
        with (
            serving(sending(whole(b"", "Retry-After: 7", status="429 Slow"))) as server,
            pytest.raises(RateLimited) as caught,
        ):
            _fetch(terminal(server.url))
        assert caught.value.retry_after == 7.0

    @pytest.mark.parametrize("ask", ASKING)
    @pytest.mark.parametrize("cut", [1, 20, 80])
    def test_a_no_data_text_that_is_cut_is_an_early_end(self, ask: str, cut: int) -> None:
        """An early end is never an outcome, however clear the words."""
        text = b"No data for the specified timeframe and chain. " + b"Debug code 1 " * 5
        for status in ("200 OK", "472 "):
            with serving(sending(whole(text, status=status)[:-cut])) as server, pytest.raises(CutOff):
                ASKING[ask](terminal(server.url))

    def test_nobody_there_is_unreachable(self) -> None:
        """Whatever is asked."""
        with serving(sending()) as server:
            url = server.url
        for ask in ASKING.values():
            with pytest.raises(Unreachable):
                ask(terminal(url))


class TestReplies:
    """Data replies are passed on as they are."""

    @pytest.mark.parametrize(
        "body",
        [HEADER, HEADER + ROW, HEADER + ROW * 1000, b"", b"x", HEADER[:64], HEADER[:63], HEADER + b'"SPXW","20'],
        ids=["header", "a row", "many rows", "nothing", "a byte", "64 bytes", "63 bytes", "cut row"],
    )
    @pytest.mark.parametrize("size", [1, 63, 64, 65, 10**6])
    def test_a_body_is_passed_on_byte_for_byte(self, body: bytes, size: int) -> None:
        """Whatever it says, and however it is chunked: what it means is decided later."""
        if size == 1:
            body = body[:2000]
        with serving(sending(chunked(body, size))) as server, terminal(server.url).fetch(a_unit()) as reply:
            assert b"".join(reply.chunks()) == body

    def test_rows_are_not_waited_for(self) -> None:
        """The reply begins with its first bytes, not with its last."""

        def answer(connection: socket.socket, line: str) -> None:
            sending(begun)(connection, line)
            _until(server)

        begun = chunked(HEADER + ROW, 10**6)[: -len(b"0\r\n\r\n")]
        with serving(answer) as server, terminal(server.url).fetch(a_unit()) as reply:
            chunks = reply.chunks()
            assert next(chunks) + next(chunks) == HEADER + ROW

    @pytest.mark.parametrize(
        ("prefix", "path"), [("", ""), ("/", ""), ("/v3", "/v3"), ("/v3/", "/v3"), ("/proxy/v3", "/proxy/v3")]
    )
    def test_the_urls_path_goes_before_the_terminals(self, prefix: str, path: str) -> None:
        """With or without a slash at its end; provenance does not have it."""
        with serving(sending(whole(HEADER))) as server:
            client = terminal(server.url + prefix)
            with client.fetch(a_unit(dataset="quote")) as reply:
                request = reply.provenance.request
            with pytest.raises(SchemaDrift):
                client.expirations("SPXW")
        assert request == (
            "/option/history/quote?symbol=SPXW&expiration=2024-01-19&strike=*&right=both&date=2024-01-16"
            "&start_time=09:30:00&end_time=16:15:00&interval=1m&format=csv"
        )
        assert server.requests == [
            f"GET {path}{request} HTTP/1.1",
            f"GET {path}/option/list/expirations?symbol=SPXW&format=csv HTTP/1.1",
        ]

    def test_abort_ends_a_fetch_that_waits(self) -> None:
        """From another thread, as Ctrl-C does; here by the server's own, once the reply has begun."""

        def answer(connection: socket.socket, line: str) -> None:
            sending(chunked(HEADER + ROW, 10**6)[:-5])(connection, line)
            client.abort()
            _until(server)

        with serving(answer) as server:
            client = terminal(server.url)
            with pytest.raises(CutOff), client.fetch(a_unit()) as reply:
                list(reply.chunks())
