import http.client
import json
import socket
import struct
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from spxdata.emulator import Emulator
from spxdata.emulator.v3.routes import ROUTES
from spxdata.errors import ConfigError

from .terminal_client import DAY, Ask, get

QUOTE = "/option/history/quote"
GREEKS = "/option/history/greeks/first_order"


@pytest.mark.parametrize("feed", ["mdds", "fpss"])
def test_the_status_is_nine_bytes_of_plain_text(terminal: Emulator, ask: Ask, feed: str) -> None:
    answer = ask(terminal, f"/terminal/{feed}/status")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"CONNECTED", "text/plain")


def test_lists_have_a_length_and_history_is_chunked(terminal: Emulator, ask: Ask, history: Ask) -> None:
    listed = ask(terminal, "/option/list/symbols")
    assert listed.headers["content-length"] == str(len(listed.body))
    assert listed.text == 'symbol\r\n"SPX"\r\n"SPXW"\r\n'
    streamed = history(QUOTE)
    assert streamed.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in streamed.headers


def test_history_goes_out_in_pieces_of_32_kib(terminal: Emulator) -> None:
    address = urlsplit(terminal.url)
    target = f"/v3{QUOTE}?symbol=SPXW&expiration={DAY}&date={DAY}&interval=1m"
    with socket.create_connection((str(address.hostname), address.port or 0), timeout=30) as client:
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        with client.makefile("rb") as reply:
            while reply.readline() != b"\r\n":
                pass
            sizes = []
            while size := int(reply.readline(), 16):
                sizes.append(size)
                reply.read(size + 2)
    assert len(sizes) > 10
    assert set(sizes[:-1]) == {32 * 1024}


def test_quotes_look_as_the_real_terminal_writes_them(history: Ask) -> None:
    answer = history(QUOTE, strike=4800, right="call")
    lines = answer.text.split("\r\n")
    assert lines[0] == (
        "symbol,expiration,strike,right,timestamp,bid_size,bid_exchange,bid,bid_condition,"
        "ask_size,ask_exchange,ask,ask_condition"
    )
    assert lines[1] == '"SPXW","2024-01-16",4800.000,"CALL",2024-01-16T09:30:00.000,0,5,0.00,50,0,5,0.00,50'
    assert lines[2].startswith('"SPXW","2024-01-16",4800.000,"CALL",2024-01-16T09:31:00.000,')
    assert lines[-1] == ""
    assert "\n" not in answer.text.replace("\r\n", "")


def test_greeks_look_as_the_real_terminal_writes_them(history: Ask) -> None:
    rows = history(GREEKS, "2024-01-19", strike=4800, right="call").rows
    assert len(rows) == 406
    assert rows[0]["delta"] in ("0.0000", "1.0000")
    assert (rows[0]["bid"], rows[0]["implied_vol"], rows[0]["iv_error"]) == ("0.0000", "0.0000", "100.0000")
    decimals = {len(row[name].partition(".")[2]) for row in rows for name in ("bid", "delta", "lambda", "iv_error")}
    assert decimals == {4}
    assert not any(value == "-0.0000" for row in rows for value in row.values())
    assert all(row["timestamp"] == row["underlying_timestamp"] for row in rows)
    assert all(0 < float(row["delta"]) < 1 for row in rows[1:])
    assert all(0.02 < float(row["implied_vol"]) < 1 for row in rows[1:])


def test_quotes_and_greeks_show_the_same_prices(history: Ask) -> None:
    quotes, greeks = history(QUOTE, right="put").rows, history(GREEKS, right="put").rows
    assert [(r["strike"], r["timestamp"], float(r["bid"]), float(r["ask"])) for r in quotes] == [
        (r["strike"], r["timestamp"], float(r["bid"]), float(r["ask"])) for r in greeks
    ]


def test_line_ends_and_quotes_can_be_left_plain(ask: Ask) -> None:
    with Emulator(line_end="\n", quoted=False) as plain:
        assert ask(plain, "/option/list/symbols").body == b"symbol\nSPX\nSPXW\n"


def test_rows_come_contract_by_contract_unsorted_with_minutes_rising(history: Ask) -> None:
    rows = history(QUOTE).rows
    order = list(dict.fromkeys((float(row["strike"]), row["right"]) for row in rows))
    assert order != sorted(order)
    assert len(order) * 391 == len(rows)
    for start in range(0, len(rows), 391):
        contract = rows[start : start + 391]
        assert len({(row["strike"], row["right"]) for row in contract}) == 1
        assert [row["timestamp"] for row in contract] == sorted(row["timestamp"] for row in contract)


def test_the_lists_name_exactly_what_history_serves(terminal: Emulator, ask: Ask) -> None:
    for kind in ("trade", "quote"):
        listed = ask(terminal, f"/option/list/contracts/{kind}", symbol="SPXW", date=DAY).rows
        asked = {"symbol": "SPXW", "expiration": "*", "date": DAY, "interval": "1h", "end_time": "16:15:00"}
        served = ask(terminal, f"/option/history/{kind}", **asked).rows

        def keys(rows: list[dict[str, str]]) -> set[tuple[str, ...]]:
            return {(row["symbol"], row["expiration"], row["strike"], row["right"]) for row in rows}

        assert keys(listed) == keys(served)
        assert len(listed) == len(keys(listed))
    for expiration in {row["expiration"] for row in listed}:
        strikes = ask(terminal, "/option/list/strikes", symbol="SPXW", expiration=expiration).rows
        assert {r["strike"] for r in strikes} == {r["strike"] for r in listed if r["expiration"] == expiration}
        assert [float(r["strike"]) for r in strikes] != sorted(float(r["strike"]) for r in strikes)


def test_the_contract_list_covers_all_roots_and_can_be_cut(terminal: Emulator, ask: Ask) -> None:
    path = "/option/list/contracts/quote"
    everything = ask(terminal, path, date=DAY).rows
    assert {row["symbol"] for row in everything} == {"SPX", "SPXW"}
    assert ask(terminal, path, date=DAY, symbol="SPX,SPXW").rows == everything
    near = ask(terminal, path, date=DAY, symbol="SPXW", max_dte=1).rows
    assert {row["expiration"] for row in near} == {"2024-01-16", "2024-01-17"}


def test_expirations_reach_from_2012_far_ahead_with_one_that_never_was(terminal: Emulator, ask: Ask) -> None:
    found = [row["expiration"] for row in ask(terminal, "/option/list/expirations", symbol="SPXW").rows]
    assert (found[0], found[-1]) == ("2012-06-01", "2088-01-16")
    assert found == sorted(set(found))


def test_times_and_intervals_select_rows_of_the_grid(history: Ask) -> None:
    one = {"strike": 4800, "right": "P"}
    hourly = history(QUOTE, interval="1h", **one).rows
    assert [row["timestamp"][11:16] for row in hourly] == [
        "09:30",
        "10:30",
        "11:30",
        "12:30",
        "13:30",
        "14:30",
        "15:30",
    ]
    some = history(QUOTE, start_time="10:00:00", end_time="10:02:00.000", **one).rows
    assert [row["timestamp"][11:16] for row in some] == ["10:00", "10:01", "10:02"]


def test_the_end_is_16_00_unless_asked_otherwise(terminal: Emulator, ask: Ask) -> None:
    asked = {"symbol": "SPXW", "expiration": "20240119", "strike": "4800.000", "right": "both", "interval": "1m"}
    rows = ask(terminal, QUOTE, start_date="20240116", end_date="2024-01-16", **asked).rows
    assert len(rows) == 2 * 391
    assert rows[-1]["timestamp"] == "2024-01-16T16:00:00.000"


def test_the_greeks_version_changes_the_last_day_only(history: Ask) -> None:
    one = {"strike": 4850, "right": "call"}
    assert history(GREEKS, DAY, version="1", **one).body != history(GREEKS, DAY, version="latest", **one).body
    later = "2024-01-19"
    assert history(GREEKS, later, version="1", **one).body == history(GREEKS, later, version="latest", **one).body


def test_the_rate_type_changes_greeks(history: Ask) -> None:
    one = {"strike": 4850, "right": "call", "expiration": "2024-01-19"}
    assert history(GREEKS, rate_type="treasury_y10", **one).body != history(GREEKS, rate_type="sofr", **one).body


def test_unknown_parameters_are_ignored(history: Ask) -> None:
    one = {"strike": 4850, "right": "call"}
    assert history(QUOTE, colour="red", **one).body == history(QUOTE, **one).body


@pytest.mark.parametrize(
    ("path", "change", "status", "text"),
    [
        (QUOTE, {"date": "2024-01-15", "expiration": "2024-01-19"}, 472, "No data found for your request"),
        (QUOTE, {"date": "2024-01-13", "expiration": "2024-01-19"}, 472, "No data found for your request"),
        (QUOTE, {"symbol": "XYZ"}, 472, "No data found for your request"),
        (QUOTE, {"expiration": "2024-01-20"}, 472, "No data found for your request"),
        (QUOTE, {"date": "2024-01-17", "expiration": DAY}, 472, "No data found for your request"),
        (QUOTE, {"strike": "4801"}, 472, "No data found for your request"),
        (
            GREEKS,
            {"symbol": "SPX", "date": "2024-01-19", "expiration": "2024-01-19"},
            472,
            "No data found for your request",
        ),
        (GREEKS, {"expiration": "*"}, 400, "Cannot specify '*' for the date"),
        (QUOTE, {"interval": "1s"}, 400, "Bulk history requests are limited to intervals of at least 1 minute."),
        (QUOTE, {"interval": "3600000"}, 400, "Invalid interval: 3600000"),
        (QUOTE, {"right": "*"}, 400, "Invalid right: *"),
        (QUOTE, {"strike": "cheap"}, 400, "Invalid strike: cheap"),
        (QUOTE, {"start_time": "noon"}, 400, "Invalid time: noon"),
        (QUOTE, {"end_time": "25:00:00"}, 400, "Invalid time: 25:00:00"),
        (QUOTE, {"date": "yesterday"}, 400, "Cannot parse date string: yesterday"),
        (QUOTE, {"max_dte": "few"}, 400, "Invalid max_dte: few"),
        (GREEKS, {"version": "2"}, 400, "Invalid version: 2"),
        (GREEKS, {"rate_type": "libor"}, 400, "Invalid rate_type: libor"),
    ],
)
def test_what_cannot_be_served_is_answered_in_the_vendors_words(
    history: Ask, path: str, change: dict[str, str], status: int, text: str
) -> None:
    answer = history(path, **change)
    assert (answer.status, answer.text, answer.headers["content-type"]) == (status, text, "text/plain")


@pytest.mark.parametrize(
    ("path", "parameters", "missing"),
    [
        (QUOTE, {}, "symbol"),
        (QUOTE, {"symbol": "SPXW"}, "expiration"),
        (QUOTE, {"symbol": "SPXW", "expiration": DAY}, "start_date"),
        ("/option/list/expirations", {}, "symbol"),
        ("/option/list/strikes", {"symbol": "SPXW"}, "expiration"),
        ("/option/list/contracts/quote", {}, "date"),
    ],
)
def test_a_missing_parameter_is_named(
    terminal: Emulator, ask: Ask, path: str, parameters: dict[str, str], missing: str
) -> None:
    answer = ask(terminal, path, **parameters)
    assert (answer.status, answer.text) == (400, f"Missing required parameter: {missing}")


def test_a_history_without_an_interval_falls_to_the_one_second_default(terminal: Emulator, ask: Ask) -> None:
    answer = ask(terminal, QUOTE, symbol="SPXW", expiration=DAY, date=DAY)
    assert (answer.status, answer.text) == (
        400,
        "Bulk history requests are limited to intervals of at least 1 minute.",
    )


def test_more_than_one_day_is_refused(terminal: Emulator, ask: Ask) -> None:
    asked = {"symbol": "SPXW", "start_date": "20240116", "end_date": "20240117", "interval": "1m"}
    answer = ask(terminal, QUOTE, expiration="*", **asked)
    assert (answer.status, answer.text) == (400, "When expiration=*, you must request data a day-at-a-time")
    assert ask(terminal, QUOTE, expiration="20240119", **asked).status == 400


def test_an_unknown_list_entry_is_no_data(terminal: Emulator, ask: Ask) -> None:
    assert ask(terminal, "/option/list/expirations", symbol="XYZ").status == 472
    assert ask(terminal, "/option/list/strikes", symbol="SPXW", expiration="2024-01-20").status == 472
    assert ask(terminal, "/option/list/contracts/quote", symbol="SPXW", date="2024-01-15").status == 472


def test_an_unknown_path_is_404(terminal: Emulator, ask: Ask) -> None:
    assert ask(terminal, "/option/history/nothing").status == 404
    address = urlsplit(terminal.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
    connection.request("GET", "/elsewhere")
    assert connection.getresponse().status == 404
    connection.close()


@pytest.mark.parametrize(
    ("tier", "allowed"),
    [("free", 0), ("value", 1), ("standard", 2), ("professional", 2)],
)
def test_a_tier_below_the_paths_is_refused(ask: Ask, tier: str, allowed: int) -> None:
    asked = {"symbol": "SPXW", "expiration": DAY, "date": DAY, "interval": "1h", "strike": 4850}
    with Emulator(tier=tier) as terminal:
        answers = [ask(terminal, path, **asked) for path in (QUOTE, GREEKS)]
        assert ask(terminal, "/option/list/expirations", symbol="SPXW").status == 200
        assert ask(terminal, "/option/list/contracts/quote", date=DAY).status == (403 if allowed == 0 else 200)
    assert [answer.status for answer in answers] == [200] * allowed + [403] * (2 - allowed)
    for answer, needed in zip(answers[allowed:], ("value", "standard")[allowed:], strict=True):
        assert answer.text == (
            f"Requesting an option endpoint requiring a {needed} subscription, "
            f"but you only have a {tier.upper()} subscription."
        )


def test_dropped_rows_are_missing_from_history_and_not_from_the_lists(ask: Ask) -> None:
    rules = [
        "date=2024-01-16,expiration=2024-01-16,strike=4850,right=C",
        "dataset=quote,expiration=2024-01-17,from=10:30,to=11:29",
        "dataset=greeks,expiration=2024-01-17,after=100",
        "dataset=quote,expiration=2024-01-18",
    ]
    asked = {"symbol": "SPXW", "date": DAY, "interval": "1m"}
    with Emulator(drop=rules) as short, Emulator() as whole:
        lists = [ask(t, "/option/list/contracts/quote", date=DAY).body for t in (short, whole)]
        assert lists[0] == lists[1]

        def both(path: str, expiration: str) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
            first, second = (ask(t, path, expiration=expiration, **asked).rows for t in (short, whole))
            return first, second

        left, everything = both(QUOTE, "2024-01-16")
        assert left == [r for r in everything if (r["strike"], r["right"]) != ("4850.000", "CALL")]
        left, everything = both(QUOTE, "2024-01-17")
        assert left == [r for r in everything if not "10:30" <= r["timestamp"][11:16] <= "11:29"]
        left, everything = both(GREEKS, "2024-01-17")
        assert left == everything[:100]
        header = ask(short, QUOTE, expiration="2024-01-18", **asked)
        assert (header.status, header.text.count("\r\n")) == (200, 1)


def test_requests_are_remembered_in_order(ask: Ask) -> None:
    with Emulator() as terminal:
        ask(terminal, "/option/list/strikes", symbol="SPXW", expiration=DAY)
        ask(terminal, "/nowhere")
        assert terminal.requests == (
            ("/v3/option/list/strikes", {"symbol": "SPXW", "expiration": DAY}),
            ("/v3/nowhere", {}),
        )


def test_many_threads_get_what_one_gets(terminal: Emulator, ask: Ask) -> None:
    asked = {"symbol": "SPXW", "date": DAY, "interval": "1m", "right": "call"}
    days = ["2024-01-16", "2024-01-17", "2024-01-18", "2024-01-19"]
    alone = [ask(terminal, GREEKS, expiration=day, **asked).body for day in days]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda day: ask(terminal, GREEKS, expiration=day, **asked).body, days * 2))
    assert together == alone * 2


def test_a_connection_is_used_again(terminal: Emulator) -> None:
    address = urlsplit(terminal.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
    seen = Counter[int]()
    for path in ("/terminal/mdds/status", "/option/list/symbols", "/nowhere"):
        connection.request("GET", f"/v3{path}")
        connection.getresponse().read()
        assert connection.sock is not None
        seen[connection.sock.getsockname()[1]] += 1
    connection.close()
    assert list(seen.values()) == [3]


def test_a_client_that_goes_away_disturbs_nobody(ask: Ask, capfd: pytest.CaptureFixture[str]) -> None:
    with Emulator() as terminal:
        address = urlsplit(terminal.url)
        for _ in range(3):
            client = socket.create_connection((str(address.hostname), address.port or 0), timeout=30)
            target = f"/v3{QUOTE}?symbol=SPXW&expiration=*&date={DAY}&interval=1m"
            client.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            client.recv(1000)
            # Reset instead of a polite goodbye.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        assert ask(terminal, "/terminal/mdds/status").status == 200
    assert capfd.readouterr().err == ""


def test_stopping_ends_open_connections_and_threads() -> None:
    before = threading.active_count()
    terminal = Emulator().start()
    address = urlsplit(terminal.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
    connection.request("GET", "/v3/terminal/mdds/status")
    connection.getresponse().read()
    terminal.stop()
    assert threading.active_count() == before
    assert connection.sock.recv(1) == b""  # closed by the server
    connection.close()
    terminal.stop()  # harmless


def test_a_stopped_emulator_starts_again(ask: Ask) -> None:
    terminal = Emulator()
    for _ in range(2):
        with terminal:
            assert ask(terminal, "/terminal/mdds/status").body == b"CONNECTED"


def test_serving_forever_ends_when_stopped() -> None:
    terminal = Emulator()
    served = threading.Thread(target=terminal.serve_forever)
    served.start()
    while True:
        try:
            address = urlsplit(terminal.url)
            break
        except ConfigError:
            pass
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
    connection.request("GET", "/v3/terminal/mdds/status")
    assert connection.getresponse().read() == b"CONNECTED"
    connection.close()
    terminal.stop()
    served.join(timeout=10)
    assert not served.is_alive()


def test_starting_twice_is_refused() -> None:
    with Emulator() as terminal, pytest.raises(ConfigError, match="started already"):
        terminal.start()


def test_a_taken_port_is_named() -> None:
    with Emulator() as terminal:
        port = urlsplit(terminal.url).port or 0
        with pytest.raises(ConfigError, match=f"emulator port = {port}: cannot listen"):
            Emulator(port=port).start()


def test_of_two_ports_both_or_none_are_taken() -> None:
    with Emulator() as other:
        terminal = Emulator(dialect="both", v2_port=urlsplit(other.url).port or 0)
        with pytest.raises(ConfigError, match="cannot listen"):
            terminal.start()
        with pytest.raises(ConnectionRefusedError):
            get(terminal.url + "/terminal/mdds/status")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"dialect": "v4"}, "emulator dialect = 'v4': must be one of v3, v2, both"),
        ({"status": "GONE"}, "emulator status = 'GONE': must be one of CONNECTED, UNVERIFIED, DISCONNECTED, ERROR"),
        ({"v2_greeks_rows": 392}, "emulator v2_greeks_rows = 392: must be one of 390, 391"),
        ({"page_rows": 0}, "emulator page_rows = 0: must be 1 or more"),
        ({"page_expire": -1}, "emulator page_expire = -1: must be 0 or more"),
        ({"min_seconds": -1}, "emulator min_seconds = -1: must be 0 or more"),
        ({"bytes_per_second": 0}, "emulator bytes_per_second = 0: must be 1 or more"),
        ({"chain": "huge"}, "emulator chain = 'huge': must be one of small, full"),
        ({"tier": "gold"}, "emulator tier = 'gold': must be one of free, value, standard, professional"),
        ({"index_tier": "gold"}, "emulator index_tier = 'gold': must be one of free, value, standard, professional"),
        ({"seed": -1}, "emulator seed = -1: must be 0 or more"),
        ({"replay": "/nowhere"}, "emulator replay directory '/nowhere' holds no recorded quotes"),
    ],
)
def test_a_bad_argument_is_named_with_what_is_allowed(arguments: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Emulator(**arguments)  # type: ignore[arg-type]
    assert str(caught.value) == text


@pytest.mark.reference
def test_columns_and_tiers_of_every_route_are_the_vendors(reference: Path) -> None:
    endpoints = json.loads((reference / "thetadata/v3-endpoints.json").read_text())["endpoints"]
    for path, route in ROUTES.items():
        if not route.columns:
            continue
        name = path if path in endpoints else path.rpartition("/")[0] + "/{request_type}"
        assert route.columns == tuple(endpoints[name]["columns"]), path
        assert route.columns == tuple(endpoints[name]["csv_example"].split("\r\n")[0].split(",")), path
        assert route.tier == endpoints[name]["min_subscription"], path
