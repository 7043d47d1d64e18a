"""Every fault as a client sees it, in both dialects."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

import pytest

from spxdata.emulator import Emulator, Fault

from .terminal_client import (
    DAY,
    GREEKS,
    HOURLY,
    QUOTE,
    V2_HOURLY,
    V2_QUOTE,
    FakeClock,
    ask,
    ask_at,
    get,
    raw,
    read_pages,
)

BOTH = pytest.mark.parametrize("dialect", ["v2", "v3"])
ASKED = {"v3": f"{QUOTE}?{urlencode(HOURLY)}", "v2": f"{V2_QUOTE}?{urlencode(V2_HOURLY)}"}
STATUS = {"v3": "/terminal/mdds/status", "v2": "/system/mdds/status"}


@contextmanager
def faulty(dialect: str, *faults: Fault, **more: object) -> Iterator[tuple[Emulator, str]]:
    """A terminal with faults, and the address of the day's quotes."""
    with Emulator(dialect=dialect, faults=faults, **more) as terminal:  # type: ignore[arg-type]
        yield terminal, terminal.url + ASKED[dialect]


def split(received: bytes) -> tuple[bytes, bytes]:
    head, _, body = received.partition(b"\r\n\r\n")
    return head, body


def unchunked(body: bytes) -> bytes:
    """Take the framing off what came of a chunked body, however little it is."""
    found = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        found, body = found + body[: int(size, 16)], body[int(size, 16) + 2 :]
    return found


@BOTH
def test_a_status_with_body_headers_and_retry_after(dialect: str) -> None:
    fault = Fault("status", status=429, body="slow down", headers={"X-Why": "busy"}, retry_after=1.5, nth=2)
    with faulty(dialect, fault) as (_, url):
        first, second, third = get(url), get(url), get(url)
    assert (first.status, third.status) == (200, 200)
    assert (second.status, second.text) == (429, "slow down")
    assert (second.headers["x-why"], second.headers["retry-after"]) == ("busy", "1.5")


@BOTH
@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        (Fault("status", status=474), 474, "Disconnected from MDDS"),
        (Fault("status", status=500), 500, "Internal server error"),
        (Fault("status", status=599), 599, "Error 599"),
        (Fault("status", status=472), 472, "No data"),
        (Fault("other_terminal"), 478, "Invalid session ID. This can occur if more than one terminal is running."),
        (Fault("starting", requests=1), 571, "The server is starting"),
        (Fault("no_data_200"), 200, "No data"),
        (Fault("no_data_200", colon=True), 200, ":No data"),
    ],
)
def test_a_status_has_the_vendors_words(dialect: str, fault: Fault, status: int, text: str) -> None:
    with faulty(dialect, fault) as (_, url):
        answer = get(url)
    assert answer.status == status
    assert answer.text.startswith(text)
    assert answer.headers["content-type"] == {"v2": "text", "v3": "text/plain"}[dialect]


@BOTH
def test_a_delay_is_before_the_first_byte_and_holds_a_place(dialect: str) -> None:
    clock = FakeClock()
    fault = Fault("delay", seconds=45, nth=1)
    with faulty(dialect, fault, monotonic=clock.monotonic, sleep=clock.sleep) as (terminal, url):
        assert get(url).body == get(url).body
        assert clock.slept == [45]
        assert [span.end - span.start for span in terminal.served] == [45, 0]


@BOTH
def test_a_trickle_comes_whole_with_pauses(dialect: str) -> None:
    clock = FakeClock()
    fault = Fault("trickle", bytes=10_000, seconds=2, nth=1)
    with faulty(dialect, fault, monotonic=clock.monotonic, sleep=clock.sleep) as (_, url):
        slow, fast = get(url), get(url)
    assert slow.body == fast.body
    assert set(clock.slept) == {2}
    assert len(clock.slept) >= len(fast.body) / 10_000


@BOTH
@pytest.mark.parametrize("count", [0, 1, 1000, 32_768, 10**9])
@pytest.mark.parametrize(("do", "end"), [("close_after", "closed"), ("reset_after", "reset")])
def test_a_connection_ends_after_so_many_bytes_and_never_with_the_whole(
    dialect: str, do: str, end: str, count: int
) -> None:
    with faulty(dialect, Fault(do, bytes=count, nth=2)) as (terminal, url):
        whole = get(url).body
        received, ended = raw(url)
        assert ask(terminal, STATUS[dialect]).status == 200
    head, body = split(received)
    assert head.startswith(b"HTTP/1.1 200")
    body = unchunked(body) if dialect == "v3" else body
    assert ended == end
    assert body == whole[: min(count, len(whole) - 1)]


@BOTH
def test_a_stall_ends_when_the_client_goes_away_and_gives_the_place_back(dialect: str) -> None:
    with faulty(dialect, Fault("stall_after", bytes=1000, nth=1), tier="value") as (terminal, url):
        received, ended = raw(url, patience=1.5)
        assert ended == "silent"
        body = split(received)[1]
        assert len(unchunked(body) if dialect == "v3" else body) == 1000
        assert get(url).status == 200
        assert get(url).status == 200
        given_back = threading.Event()
        while len(terminal.served) < 3:
            given_back.wait(0.01)


@BOTH
def test_a_stall_can_end_by_itself_and_the_rest_follows(dialect: str) -> None:
    clock = FakeClock()
    fault = Fault("stall_after", bytes=32_768, seconds=1, nth=1)
    with faulty(dialect, fault, monotonic=clock.monotonic, sleep=clock.sleep) as (_, url):
        assert get(url).body == get(url).body
    assert sum(clock.slept) == pytest.approx(1, abs=0.03)


@BOTH
def test_spoiled_bodies_are_whole_by_their_framing(dialect: str) -> None:
    faults = [
        Fault("cut_last_row", nth=1),
        Fault("duplicate_rows", nth=2),
        Fault("header_only", nth=3),
        Fault("zero_bytes", nth=4),
        Fault("short", nth=5, contracts=2),
        Fault("drift", nth=6, rename={"ask": "offer"}),
        Fault("endless_line", nth=7, bytes=100_000),
    ]
    with faulty(dialect, *faults) as (_, url):
        cut, doubled, bare, empty, short, drifted, endless, whole = (get(url) for _ in range(8))
    assert whole.body.startswith(cut.body)
    assert not cut.body.endswith(b"\n")
    assert len(doubled.rows) == len(whole.rows) + 1
    assert (bare.text.count("\r\n"), bare.rows) == (1, [])
    assert empty.body == b""
    assert len(whole.rows) - len(short.rows) == 14
    assert "offer" in drifted.rows[0]
    assert endless.body.endswith(b"9" * 100_000)
    assert {answer.status for answer in (cut, doubled, bare, empty, short, drifted, endless)} == {200}


@BOTH
def test_an_endless_line_ends_with_the_client(dialect: str) -> None:
    with faulty(dialect, Fault("endless_line", nth=1)) as (_, url):
        received, ended = raw(url, most=2_000_000)
        assert ended == "endless"
        assert b"\r\n" not in received[-1000:].replace(b"\r\n4000\r\n", b"")
        assert get(url).status == 200


@BOTH
def test_garbage_is_no_http(dialect: str) -> None:
    with faulty(dialect, Fault("not_http", nth=1), Fault("not_http", body="no\n", nth=2)) as (_, url):
        assert raw(url) == (b"SSH-2.0-OpenSSH_9.6\r\n", "closed")
        assert raw(url) == (b"no\n", "closed")
        assert get(url).status == 200


@BOTH
def test_starting_is_over_after_its_time_and_begins_anew_with_a_restart(dialect: str) -> None:
    clock = FakeClock()
    with faulty(dialect, Fault("starting", seconds=45), monotonic=clock.monotonic) as (terminal, url):
        assert (get(url).status, ask(terminal, STATUS[dialect]).status) == (571, 571)
        clock.now += 45
        assert (get(url).status, ask(terminal, STATUS[dialect]).text) == (200, "CONNECTED")
        terminal.restart()
        assert get(url).status == 571


@BOTH
def test_a_disconnected_terminal_says_so_and_answers_474_meanwhile(dialect: str) -> None:
    clock = FakeClock()
    fault = Fault("disconnect", dataset="quote", nth=2, seconds=30)
    with faulty(dialect, fault, monotonic=clock.monotonic) as (terminal, url):
        assert get(url).status == 200
        assert get(url).status == 474
        assert (get(url).status, ask(terminal, STATUS[dialect]).text) == (474, "DISCONNECTED")
        assert terminal.status == "DISCONNECTED"
        clock.now += 30
        assert (get(url).status, ask(terminal, STATUS[dialect]).text) == (200, "CONNECTED")


def paged(*faults: Fault) -> tuple[list[list[dict[str, str]]], list[list[dict[str, str]]]]:
    """Give the rows of every page, without faults and with them."""
    found = []
    for given in ((), faults):
        with Emulator(dialect="v2", page_rows=200, faults=given) as terminal:
            found.append([page.rows for page in read_pages(terminal.url, V2_QUOTE, **V2_HOURLY)])
    return found[0], found[1]


def test_a_page_is_repeated() -> None:
    right, wrong = paged(Fault("repeat_page", page=2))
    assert wrong == [right[0], right[0], *right[2:]]


def test_a_repeated_page_can_hold_other_values() -> None:
    right, wrong = paged(Fault("repeat_page", page=2, other_values=True, column="bid_size"))
    assert [row["bid_size"] for row in wrong[1]] != [row["bid_size"] for row in right[0]]
    assert [row["ask"] for row in wrong[1]] == [row["ask"] for row in right[0]]
    assert wrong[2:] == right[2:]


@pytest.mark.parametrize("page", [1, 2])
def test_a_page_is_skipped(page: int) -> None:
    right, wrong = paged(Fault("skip_page", page=page))
    assert wrong == [*right[: page - 1], *right[page:]]


def test_skipping_the_last_page_leaves_nothing_but_column_names() -> None:
    right, _ = paged()
    _, wrong = paged(Fault("skip_page", page=len(right)))
    assert wrong == [*right[:-1], []]


def test_a_page_expires_by_fault() -> None:
    with faulty("v2", Fault("expire_page", page=2, nth=1), page_rows=200) as (_, url):
        second = get(url).headers["next-page"]
        assert (get(second).status, get(second).status) == (477, 200)


def test_a_later_page_is_matched_by_the_request_it_belongs_to() -> None:
    fault = Fault("status", status=500, dataset="quote", date=DAY, path=V2_QUOTE, page=2)
    with faulty("v2", fault, page_rows=200) as (_, url):
        first = get(url)
        assert (first.status, get(first.headers["next-page"]).status) == (200, 500)


def test_faults_of_one_dialect_leave_the_other_alone() -> None:
    with Emulator(dialect="both", faults=[Fault("zero_bytes", dialect="v2")]) as terminal:
        assert ask_at(terminal.v2_url, V2_QUOTE, **V2_HOURLY).body == b""
        assert ask(terminal, QUOTE, **HOURLY).body != b""


def test_a_fault_that_cannot_happen_is_loud() -> None:
    with faulty("v3", Fault("drift", drop=["vwap"])) as (_, url):
        answer = get(url)
    assert answer.status == 500
    assert "no column 'vwap'" in answer.text


def test_the_state_of_the_terminal_can_be_set_while_it_runs() -> None:
    with Emulator(dialect="both", status="UNVERIFIED") as terminal:
        assert ask(terminal, STATUS["v3"]).text == "UNVERIFIED"
        terminal.status = "DISCONNECTED"
        assert ask_at(terminal.v2_url, STATUS["v2"]).text == "DISCONNECTED"
        assert ask(terminal, GREEKS, **HOURLY).status == 474
        assert ask(terminal, "/option/list/symbols").status == 474
        terminal.status = "CONNECTED"
        assert ask(terminal, GREEKS, **HOURLY).status == 200
        terminal.session_conflict = True
        assert terminal.session_conflict
        assert {ask(terminal, path).status for path in (STATUS["v3"], QUOTE, "/option/list/symbols")} == {478}


def test_a_killed_terminal_comes_back_on_its_port_and_keeps_counting() -> None:
    with Emulator(dialect="both") as terminal:
        before = terminal.url, terminal.v2_url
        ask(terminal, QUOTE, **HOURLY)
        terminal.restart()
        assert (terminal.url, terminal.v2_url) == before
        ask(terminal, QUOTE, **HOURLY)
        assert (len(terminal.served), len(terminal.requests)) == (2, 2)
        terminal.stop()
        assert terminal.url == before[0]
        with pytest.raises(ConnectionRefusedError):
            ask(terminal, QUOTE, **HOURLY)


def test_stopping_ends_a_stall_and_a_delay() -> None:
    faults = [Fault("stall_after", bytes=10, nth=1), Fault("delay", seconds=3600, nth=2)]
    with faulty("v3", *faults) as (terminal, url):
        ends: list[tuple[bytes, str]] = []
        clients = [threading.Thread(target=lambda: ends.append(raw(url))) for _ in faults]
        for number, client in enumerate(clients, start=1):
            client.start()
            begun = threading.Event()
            while terminal.in_flight_max < number:
                begun.wait(0.001)
        terminal.stop()
        for client in clients:
            client.join()
    assert [end for _, end in ends] == ["closed", "closed"]
