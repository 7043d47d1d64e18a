"""Recorded answers of real Terminals beside the emulator's: same headers of note, columns, types, decimals, quoting."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spxdata.emulator import Emulator
from spxdata.emulator.v3.routes import ROUTES

from .terminal_client import DAY, DAY_INT, GREEKS, HOURLY, QUOTE, V2_HOURLY, V2_QUOTE, Answer, ask

Figure = Callable[[str, object], None]
ONE = {"strike": "4800", "right": "call"}


def shape(cell: str) -> str:
    """Give how a value is written: letters for words, digits of the fraction counted, any number of whole digits."""
    if re.match(r'"?\d{4}-\d\d-\d\d', cell):
        return re.sub(r"\d", "9", cell)
    if re.fullmatch(r"-?\d+(\.\d+)?", cell):
        return "9" + re.sub(r"\d", "9", cell.partition(".")[1] + cell.partition(".")[2])
    return re.sub(r"[A-Za-z]+", "a", cell)


def shapes(line: str) -> list[str]:
    return [shape(cell) for cell in line.split(",")]


def capture(reference: Path, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((reference / f"thetadata/samples/{name}.json").read_text())
    return loaded


def sample(reference: Path, name: str) -> list[str]:
    return (reference / f"thetadata/samples/{name}").read_text().splitlines()


def compare_capture(answer: Answer, recorded: dict[str, Any]) -> None:
    """Compare status and headers with a captured answer's."""
    assert answer.status == recorded["status"]
    for name in ("content-type", "server"):
        assert answer.headers[name] == recorded["headers"][name]
    assert set(answer.headers) == set(recorded["headers"])


def test_the_status(reference: Path, terminal: Emulator, record_property: Figure) -> None:
    recorded = capture(reference, "capture_terminal_status_check")
    answer = ask(terminal, "/terminal/mdds/status")
    compare_capture(answer, recorded)
    assert answer.text == recorded["rawText"]
    record_property("figure", "Shape of v3 terminal/mdds/status: equal to the recorded answer, byte for byte")


def test_the_410(reference: Path, terminal: Emulator, record_property: Figure) -> None:
    recorded = capture(reference, "capture_option_list_strikes")
    answer = ask(terminal, "/option/list/strikes", symbol="AAPL", exp="20250221", format="json")
    compare_capture(answer, recorded)
    assert answer.text == recorded["rawText"]
    record_property("figure", "Shape of v3 410: equal to the recorded answer, byte for byte")


def test_quotes_in_json(reference: Path, terminal: Emulator, record_property: Figure) -> None:
    recorded = capture(reference, "capture_option_history_quote")
    answer = ask(terminal, QUOTE, **HOURLY, **ONE, format="json")
    compare_capture(answer, recorded)
    pattern = re.compile(r'"(\w+)":("[^"]*"|[^,}\s]+)')

    def forms(text: str) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for name, value in pattern.findall(text):
            found.setdefault(name, set()).add(shape(value))
        return found

    ours, theirs = forms(answer.text), forms(recorded["rawText"])
    assert ours == theirs
    assert re.sub(r"\{\"[^\n]*", "", answer.text) == re.sub(r"\{\"[^\n]*", "", recorded["rawText"])
    record_property("figure", f"Shape of v3 history/quote, JSON: {len(theirs)} fields written alike, layout equal")


def test_dates_in_json(reference: Path, terminal: Emulator, record_property: Figure) -> None:
    recorded = capture(reference, "capture_option_list_dates_quote")
    answer = ask(terminal, "/option/list/dates/quote", symbol="SPXW", expiration=DAY, format="json")
    compare_capture(answer, recorded)

    def lines(text: str) -> set[str]:
        return {re.sub(r"\d", "9", line) for line in text.split("\n")}

    assert lines(answer.text) == lines(recorded["rawText"])
    record_property("figure", "Shape of v3 list/dates/quote, JSON: lines written alike")


def test_expirations_in_csv(reference: Path, terminal: Emulator, record_property: Figure) -> None:
    theirs = sample(reference, "live_list_expirations_AAPL_2026-07.csv")
    ours = ask(terminal, "/option/list/expirations", symbol="SPXW").text.splitlines()
    assert ours[0] == theirs[0]
    assert {tuple(shapes(line)) for line in ours[1:]} == {tuple(shapes(line)) for line in theirs[1:]}
    record_property("figure", f"Shape of v3 list/expirations, CSV: {shapes(theirs[1])} as recorded")


def test_greeks_in_csv(reference: Path, terminal: Emulator, record_property: Figure) -> None:
    live = sample(reference, "live_snapshot_greeks_first_order_AAPL_2026-07.csv")
    docs = sample(reference, "docs_greeks_first_order_SPY_420C.csv")
    ours = ask(terminal, GREEKS, **HOURLY, **ONE).text.splitlines()
    # The snapshot has the columns of history, and it was recorded live: history was only printed in documentation.
    assert ours[0] == live[0] == docs[0]
    assert {tuple(shapes(line)) for line in ours[1:]} == {tuple(shapes(line)) for line in live[1:]}
    record_property(
        "figure",
        f"Shape of v3 greeks/first_order, CSV: {len(ours[0].split(','))} columns and all decimals as recorded live; "
        f"the documentation prints {shapes(docs[1])[5]} for prices and no milliseconds",
    )


def test_recorded_quotes_in_csv(reference: Path, record_property: Figure) -> None:
    folder = reference / "realdata/theta_v3_quote"
    compared = 0
    with Emulator(replay=reference / "realdata/theta_v2_quote") as terminal:
        for path in sorted(folder.glob("*.csv")):
            root, day, expiration = path.stem.split("_")
            asked = {"symbol": root, "expiration": expiration, "date": day, "interval": "1m", "end_time": "16:15:00"}
            ours = ask(terminal, QUOTE, **asked).text.splitlines()
            theirs = path.read_text().splitlines()
            assert ours[0] == theirs[0]
            assert sorted(ours[1:]) == sorted(theirs[1:])
            compared += len(ours) - 1
    record_property("figure", f"Shape of v3 history/quote, CSV: {compared:,} recorded lines, all equal as text")


def column_shapes(lines: list[str], skipped: int = 0) -> list[set[str]]:
    """Give how the values of each column are written, without the first few columns."""
    return [set(column) for column in zip(*(shapes(line)[skipped:] for line in lines), strict=True)]


#: Requests of what has been recorded for one contract, or a few: path, recorded file, what stands before its rows that
#: is written otherwise there, columns before those compared.
RECORDED_ROWS = (
    ("/option/history/trade", "realdata/recorded/option_history_trade.csv", 1, 0),
    ("/option/history/trade_quote", "realdata/recorded/option_history_trade_quote.csv", 1, 0),
    # The recorded row of 09:30 has five decimals.
    ("/option/history/greeks/all", "realdata/recorded/option_history_greeks_all.csv", 2, 0),
    # Expiration and strike were written by who recorded it.
    ("/option/history/greeks/eod", "realdata/recorded/option_history_greeks_eod.csv", 1, 4),
    ("/option/history/eod", "thetadata/samples/live_history_eod_AAPL_20250701_live.csv", 1, 0),
    ("/option/history/eod", "thetadata/samples/live_history_eod_VIX_20240102_live_row.csv", 0, 0),
)


@pytest.mark.parametrize(("path", "file", "head", "skipped"), RECORDED_ROWS)
def test_rows_are_written_as_recorded(
    reference: Path, terminal: Emulator, record_property: Figure, path: str, file: str, head: int, skipped: int
) -> None:
    theirs = (reference / file).read_text().splitlines()
    days = {"date": DAY, "start_date": DAY, "end_date": DAY}
    answer = ask(terminal, path, symbol="SPXW", expiration="2024-01-19", interval="5m", **days)
    ours = answer.text.splitlines()
    if head:
        assert ours[0] == theirs[0]
    assert column_shapes(ours[1:], skipped) == column_shapes(theirs[head:], skipped)
    record_property(
        "figure", f"Shape of v3 {path}, CSV: {len(theirs) - head} recorded rows, all decimals written alike"
    )


@pytest.mark.parametrize(("kind", "asked"), [("eod", {}), ("ohlc", {"interval": "1h"})])
def test_reports_and_bars_in_json(
    reference: Path, terminal: Emulator, record_property: Figure, kind: str, asked: dict[str, str]
) -> None:
    recorded = capture(reference, f"capture_option_history_{kind}")
    days = {"date": DAY, "start_date": DAY, "end_date": DAY}
    answer = ask(
        terminal, f"/option/history/{kind}", symbol="SPXW", expiration="2024-01-19", format="json", **days, **asked
    )
    compare_capture(answer, recorded)

    def forms(response: str) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for name, value in re.findall(r'"(\w+)":("[^"]*"|[^,}\s]+)', response):
            found.setdefault(name, set()).add(shape(value))
        return found

    ours, theirs = forms(answer.text), forms(recorded["rawText"])
    assert set(ours) == set(theirs)
    assert all(theirs[name] <= ours[name] for name in theirs)
    record_property("figure", f"Shape of v3 history/{kind}, JSON: {len(theirs)} fields written alike")


#: Requests that make the emulator say what a real Terminal has been seen to say.
ERRORS: dict[str, tuple[str, dict[str, str]]] = {
    "No data found for your request": (QUOTE, {"date": "2024-01-13"}),
    "Bulk history requests are limited to intervals of at least 1 minute.": (QUOTE, {"interval": "1s"}),
    "When expiration=*, you must request data a day-at-a-time": (
        QUOTE,
        {"expiration": "*", "date": "", "start_date": "20240116", "end_date": "20240117"},
    ),
    "Cannot specify '*' for the date": (GREEKS, {"expiration": "*"}),
    "Invalid interval: 3600000": (QUOTE, {"interval": "3600000"}),
    "Invalid right: *": (QUOTE, {"right": "*"}),
}


def test_v3_errors(reference: Path, terminal: Emulator, record_property: Figure) -> None:
    recorded = {
        str(item["body"]): int(item["status"])
        for item in json.loads((reference / "thetadata/samples/v3_error_bodies.json").read_text())
    }
    for text, (path, change) in ERRORS.items():
        asked = {name: value for name, value in {**HOURLY, **change}.items() if value}
        answer = ask(terminal, path, **asked)
        assert (answer.status, answer.text) == (recorded[text], text)
    with Emulator(session_conflict=True) as other:
        answer = ask(other, QUOTE)
    assert recorded[answer.text] == answer.status == 478
    with Emulator(tier="free") as free:
        refused = ask(free, QUOTE, **HOURLY)
    known = next(text for text, status in recorded.items() if status == 403)
    assert refused.status == 403
    assert refused.text == known.replace("an index", "an option")
    record_property("figure", f"Shape of v3 errors: {len(ERRORS) + 2} bodies word for word as recorded")


def v2_headers(reference: Path, name: str) -> dict[str, str]:
    lines = [line for line in sample(reference, name) if ": " in line and not line.startswith("HTTP")]
    return dict(line.split(": ", 1) for line in lines)


@pytest.mark.parametrize(
    ("file", "path", "asked"),
    [
        ("hist_stock_quote_AAPL_20241107_60000.headers.txt", V2_QUOTE, V2_HOURLY),
        ("list_expirations_AAPL_20241208.headers.txt", "/list/expirations", {"root": "SPXW"}),
    ],
)
def test_v2_headers(
    reference: Path, v2: Emulator, record_property: Figure, file: str, path: str, asked: dict[str, str]
) -> None:
    theirs = v2_headers(reference, file)
    answer = ask(v2, path, **asked)
    # A page of another origin asked for the recorded ones: that origin was echoed.
    free = {"date", "content-length", "latency", "access-control-allow-origin", "content-disposition"}
    assert set(answer.spelled) == set(theirs)
    assert {n: answer.headers[n] for n in theirs if n not in free} == {n: v for n, v in theirs.items() if n not in free}
    if "content-disposition" in theirs:
        form = re.compile(r"attachment; filename=QUOTE\.[EO]-[A-Z]+\.[\d.-]+\.csv;")
        assert form.fullmatch(theirs["content-disposition"])
        assert form.fullmatch(answer.headers["content-disposition"])
    record_property("figure", f"Shape of v2 {path}: {len(theirs)} header names as recorded, spelled alike")


def test_v2_no_data(reference: Path, v2: Emulator, record_property: Figure) -> None:
    lines = sample(reference, "error_472_no_data_v1.6.txt")
    theirs = v2_headers(reference, "error_472_no_data_v1.6.txt")
    answer = ask(v2, "/hist/option/quote", **{**V2_HOURLY, "strike": "1", "right": "C", "exp": DAY_INT})
    assert (answer.status, answer.reason, answer.text) == (472, "", lines[-1])
    assert set(answer.spelled) == set(theirs)
    assert answer.headers["content-type"] == theirs["Content-type"]
    assert answer.headers["content-length"] == theirs["Content-length"]
    record_property("figure", f"Shape of v2 472: body equal, {len(theirs)} header names as recorded, spelled alike")


#: Recorded answers that are compared above.
COMPARED = {
    *(Path(file).name for _, file, _, _ in RECORDED_ROWS),
    "capture_option_history_eod.json",
    "capture_option_history_ohlc.json",
    "capture_option_history_quote.json",
    "capture_option_list_dates_quote.json",
    "capture_option_list_strikes.json",
    "capture_terminal_status_check.json",
    "docs_greeks_first_order_SPY_420C.csv",
    "error_472_no_data_v1.6.txt",
    "hist_stock_quote_AAPL_20241107_60000.headers.txt",
    "list_expirations_AAPL_20241208.headers.txt",
    "live_list_expirations_AAPL_2026-07.csv",
    "live_snapshot_greeks_first_order_AAPL_2026-07.csv",
    "v3_error_bodies.json",
}
#: Recorded answers of paths the emulator does not serve, by the path.
UNSERVED = {
    "calendar_open_today.csv": "/calendar/today",
    "index_at_time_price.csv": "/index/at_time/price",
    "live_snapshot_open_interest_AAPL_2026-07.csv": "/option/snapshot/open_interest",
    "option_history_trade_greeks_all.csv": "/option/history/trade_greeks/all",
    "option_history_trade_greeks_first_order.csv": "/option/history/trade_greeks/first_order",
    "option_history_trade_greeks_implied_volatility.csv": "/option/history/trade_greeks/implied_volatility",
    "option_history_trade_greeks_second_order.csv": "/option/history/trade_greeks/second_order",
    "option_history_trade_greeks_third_order.csv": "/option/history/trade_greeks/third_order",
    "option_snapshot_ohlc.csv": "/option/snapshot/ohlc",
    "stock_history_eod.csv": "/stock/history/eod",
}


def test_no_recorded_answer_of_a_served_path_is_left_out(reference: Path, record_property: Figure) -> None:
    folders = (reference / "thetadata/samples", reference / "realdata/recorded")
    found = {path.name for folder in folders for path in folder.iterdir()} - {"README.md"}
    assert found == COMPARED | set(UNSERVED)
    assert not set(UNSERVED.values()) & set(ROUTES)
    record_property(
        "figure", f"Shapes: {len(COMPARED)} recorded answers compared, {len(UNSERVED)} are of paths that are not served"
    )
