import json
from urllib.parse import urlsplit

import pytest

from spxdata.emulator import Emulator
from spxdata.errors import ConfigError
from tests.emulator.terminal_client import (
    DAY,
    DAY_INT,
    V2_GREEKS,
    V2_HOURLY,
    V2_QUOTE,
    Answer,
    FakeClock,
    ask,
    ask_at,
    get,
    read_pages,
)

QUOTE_COLUMNS = "ms_of_day,bid_size,bid_exchange,bid,bid_condition,ask_size,ask_exchange,ask,ask_condition,date"
GREEK_COLUMNS = (
    "ms_of_day,bid,ask,delta,theta,vega,rho,epsilon,lambda,implied_vol,iv_error,ms_of_day2,underlying_price,date"
)
MINUTELY = {**V2_HOURLY, "ivl": "60000"}
CONTRACT = {"strike": "4800000", "right": "C"}


def test_it_speaks_v2_alone_or_beside_v3() -> None:
    with Emulator(dialect="v2") as alone:
        assert alone.url == alone.v2_url
        assert alone.url.endswith("/v2")
    with Emulator(dialect="both") as both:
        assert both.url.endswith("/v3")
        assert both.v2_url.endswith("/v2")
        assert urlsplit(both.url).port != urlsplit(both.v2_url).port


@pytest.mark.parametrize("feed", ["mdds", "fpss"])
def test_the_status_is_text(v2: Emulator, feed: str) -> None:
    answer = ask(v2, f"/system/{feed}/status")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"CONNECTED", "text")


def test_csv_has_the_headers_of_the_real_one(v2: Emulator) -> None:
    answer = ask(v2, V2_QUOTE, **V2_HOURLY)
    assert set(answer.spelled) == {
        "access-control-allow-headers",
        "content-disposition",
        "access-control-request-headers",
        "date",
        "latency",
        "content-type",
        "access-control-allow-origin",
        "next-page",
        "content-length",
    }
    assert answer.headers["content-type"] == "text/csv"
    assert answer.headers["next-page"] == "null"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.headers["content-disposition"] == (
        "attachment; filename=QUOTE.O-SPXW.20240116.20240116-20240116.3600000.csv;"
    )


def test_a_chain_in_csv_has_its_contract_before_every_row(v2: Emulator) -> None:
    lines = ask(v2, V2_QUOTE, **V2_HOURLY).text.split("\r\n")
    assert lines[0] == f"root,expiration,strike,right,{QUOTE_COLUMNS}"
    assert lines[1].startswith("SPXW,20240116,")
    assert lines[1].endswith(",34200000,0,5,0.0000,50,0,5,0.0000,50,20240116")
    assert lines[-1] == ""
    assert ask(v2, V2_GREEKS, **V2_HOURLY).text.split("\r\n")[0] == f"root,expiration,strike,right,{GREEK_COLUMNS}"


def test_a_single_contract_has_only_its_ticks(v2: Emulator) -> None:
    quotes = ask(v2, "/hist/option/quote", **V2_HOURLY, **CONTRACT)
    assert quotes.text.startswith(QUOTE_COLUMNS + "\r\n34200000,")
    assert len(quotes.rows) == 7
    greeks = ask(v2, "/hist/option/greeks", **V2_HOURLY, **CONTRACT)
    assert greeks.text.startswith(GREEK_COLUMNS + "\r\n37800000,")
    assert [row["ms_of_day2"] for row in greeks.rows] == [row["ms_of_day"] for row in greeks.rows]


def test_json_is_flat_for_one_contract_and_nested_for_a_chain(v2: Emulator) -> None:
    asked = {key: value for key, value in V2_HOURLY.items() if key != "use_csv"}
    answer = ask(v2, "/hist/option/quote", **asked, **CONTRACT)
    assert answer.headers["content-type"] == "application/json"
    assert "content-disposition" not in answer.headers
    single = json.loads(answer.text)
    assert single["header"]["format"] == QUOTE_COLUMNS.split(",")
    assert single["header"]["next_page"] == "null"
    assert isinstance(single["header"]["latency_ms"], int)
    assert single["response"][0] == [34200000, 0, 5, 0.0, 50, 0, 5, 0.0, 50, 20240116]
    chain = json.loads(ask(v2, V2_QUOTE, **asked).text)
    assert chain["header"]["format"] == QUOTE_COLUMNS.split(",")
    assert len(chain["response"][0]["ticks"]) == 7
    assert set(chain["response"][0]["contract"]) == {"root", "expiration", "strike", "right"}
    rows = ask(v2, V2_QUOTE, **V2_HOURLY).rows
    assert [tick[7] for group in chain["response"] for tick in group["ticks"]] == [float(row["ask"]) for row in rows]


def test_format_csv_is_understood_too(v2: Emulator) -> None:
    asked = {key: value for key, value in V2_HOURLY.items() if key != "use_csv"}
    assert ask(v2, V2_QUOTE, **asked, format="csv").body == ask(v2, V2_QUOTE, **V2_HOURLY).body


def test_times_can_be_pretty(v2: Emulator) -> None:
    row = ask(v2, "/hist/option/greeks", **V2_HOURLY, **CONTRACT, pretty_time="true").rows[0]
    assert (row["ms_of_day"], row["ms_of_day2"], row["date"]) == ("10:30:00.000", "10:30:00.000", DAY)


def test_hours_are_regular_unless_asked_otherwise(v2: Emulator) -> None:
    asked = {**MINUTELY, "exp": "20240119", **CONTRACT}

    def ends(**more: str) -> tuple[str, str]:
        rows = ask(v2, "/hist/option/quote", **asked, **more).rows
        return rows[0]["ms_of_day"], rows[-1]["ms_of_day"]

    assert ends() == ("34200000", "57600000")
    assert ends(rth="false") == ("34200000", "58500000")
    assert ends(start_time="36000000", end_time="36060000") == ("36000000", "36060000")
    assert ends(start_time="36000001", end_time="36119999") == ("36060000", "36060000")
    assert ends(start_time="34200000", end_time="58500000") == ("34200000", "58500000")


@pytest.mark.parametrize("rows", [390, 391])
def test_greeks_have_390_or_391_rows(rows: int) -> None:
    with Emulator(dialect="v2", v2_greeks_rows=rows) as terminal:
        found = ask(terminal, "/hist/option/greeks", **MINUTELY, **CONTRACT).rows
    assert len(found) == rows
    assert found[0]["ms_of_day"] == ("34260000" if rows == 390 else "34200000")
    if rows == 391:
        assert (found[0]["bid"], found[0]["iv_error"]) == ("0.0000", "100.0000")


def test_lists_are_flat_numbers(v2: Emulator) -> None:
    assert ask(v2, "/list/roots/option", use_csv="true").body == b"root\r\nSPX\r\nSPXW\r\n"
    assert json.loads(ask(v2, "/list/roots/option").text)["response"] == ["SPX", "SPXW"]
    dates = json.loads(ask(v2, "/list/expirations", root="spxw").text)["response"]
    assert dates[0] == 20120601
    assert 0 in dates  # the date that never was
    strikes = json.loads(ask(v2, "/list/strikes", root="SPXW", exp=DAY_INT).text)["response"]
    assert {4750000, 4752500} & set(strikes)
    assert strikes != sorted(strikes)


@pytest.mark.parametrize("kind", ["quote", "trade"])
def test_the_contract_list_names_what_history_serves(v2: Emulator, kind: str) -> None:
    listed = ask(v2, f"/list/contracts/option/{kind}", start_date=DAY_INT, root="SPXW", use_csv="true").rows
    end = {"end_time": "34200000"} if kind == "quote" else {}
    served = ask(v2, f"/bulk_hist/option/{kind}", **{**MINUTELY, "exp": "0", **end}).rows
    keys = ("root", "expiration", "strike", "right")
    assert {tuple(row[key] for key in keys) for row in listed} == {tuple(row[key] for key in keys) for row in served}
    every = ask(v2, f"/list/contracts/option/{kind}", start_date=DAY_INT, use_csv="true").rows
    assert {row["root"] for row in every} == {"SPX", "SPXW"}


@pytest.mark.parametrize("kind", ["quote", "trade"])
def test_the_dates_of_an_expiration_or_a_root_are_listed(v2: Emulator, kind: str) -> None:
    path = f"/list/dates/option/{kind}"
    dates = json.loads(ask(v2, path, root="SPXW", exp=DAY_INT).text)["response"]
    assert dates[-1] == int(DAY_INT)
    everything = json.loads(ask(v2, path, root="SPXW").text)["response"]
    assert set(dates) <= set(everything)
    assert 20240115 not in everything  # a holiday


@pytest.mark.parametrize(
    ("path", "change", "status", "text"),
    [
        (V2_QUOTE, {"start_date": "20240113", "end_date": "20240113"}, 472, "chain. Debug code 1"),
        (V2_QUOTE, {"root": "XYZ"}, 472, "No data for the specified timeframe and chain. Debug code 1"),
        (V2_QUOTE, {"start_time": "1000", "end_time": "2000"}, 472, "chain. Debug code 1"),
        ("/hist/option/quote", {"strike": "1", "right": "C"}, 472, "No data for the specified timeframe & contract."),
        ("/list/expirations", {"root": "XYZ"}, 472, "No data for contract"),
        ("/list/strikes", {"exp": "20240120"}, 472, "No data for contract"),
        ("/list/contracts/option/quote", {"start_date": "20240113"}, 472, "No listed contracts for the date: 20240113"),
        (V2_GREEKS, {"exp": "0"}, 473, "exp=0"),
        (V2_QUOTE, {"exp": "0"}, 473, "exp=0"),  # hourly
        ("/hist/option/quote", {"exp": "0", **CONTRACT}, 473, "exp=0"),
        ("/hist/option/quote", {"right": "X", "strike": "4800000"}, 473, "right=X"),
        ("/hist/option/quote", {"right": "C"}, 473, "strike"),
        (V2_QUOTE, {"ivl": "0"}, 473, "ivl=0"),
        (V2_QUOTE, {"ivl": "90000"}, 473, "ivl=90000"),
        (V2_QUOTE, {"end_date": "20240117"}, 473, "one day at a time"),
        (V2_QUOTE, {"start_date": "2024-01-16"}, 473, "start_date=2024-01-16"),
        (V2_QUOTE, {"start_date": "20241399"}, 473, "start_date=20241399"),
        (V2_QUOTE, {"start_date": "20240230"}, 473, "start_date=20240230"),
        ("/hist/option/quote", {**CONTRACT, "strike": "48e5"}, 473, "strike=48e5"),
        (V2_QUOTE, {"rth": "maybe"}, 473, "rth=maybe"),
        (V2_QUOTE, {"rate": "LIBOR"}, 473, "rate=LIBOR"),
        ("/hist/stock/quote", {}, 404, "No such request"),
        ("/page/77", {}, 477, "No page found"),
        ("/page/first", {}, 477, "No page found"),
    ],
)
def test_what_cannot_be_served_has_the_vendors_status(
    v2: Emulator, path: str, change: dict[str, str], status: int, text: str
) -> None:
    answer = ask(v2, path, **{**V2_HOURLY, **change})
    assert answer.status == status
    assert text in answer.text


def test_errors_are_text_without_a_reason_or_a_next_page(v2: Emulator) -> None:
    answer = ask(v2, V2_QUOTE, **{**V2_HOURLY, "root": "XYZ"})
    assert (answer.headers["content-type"], answer.reason) == ("text", "")
    assert "Content-type" in answer.spelled
    assert "next-page" not in answer.headers


def test_no_data_can_begin_with_a_colon() -> None:
    with Emulator(dialect="v2", no_data_colon=True) as terminal:
        answer = ask(terminal, "/hist/option/quote", **{**V2_HOURLY, "root": "XYZ", **CONTRACT})
    assert (answer.status, answer.text) == (472, ":No data for the specified timeframe & contract.")


@pytest.mark.parametrize(("tier", "statuses"), [("free", (471, 471)), ("value", (200, 471)), ("standard", (200, 200))])
def test_a_tier_below_the_paths_is_refused_with_471(tier: str, statuses: tuple[int, int]) -> None:
    with Emulator(dialect="v2", tier=tier) as terminal:
        answers = [ask(terminal, path, **V2_HOURLY) for path in (V2_QUOTE, V2_GREEKS)]
        assert ask(terminal, "/list/expirations", root="SPXW").status == 200
    assert tuple(answer.status for answer in answers) == statuses
    assert all(answer.text.startswith("permissions/:") for answer in answers if answer.status == 471)


def joined(pages: list[Answer], *, headed: bool) -> str:
    """Put pages together again."""
    bodies = [page.text for page in pages]
    first = bodies[0]
    header = first[: first.index("\r\n") + 2]
    if headed:
        assert all(body.startswith(header) for body in bodies)
        return first + "".join(body.removeprefix(header) for body in bodies[1:])
    assert not any(body.startswith(header) for body in bodies[1:])
    return "".join(bodies)


@pytest.mark.parametrize("headed", [True, False])
@pytest.mark.parametrize("page_rows", [1, 50, 497, 100_000])
def test_pages_together_are_the_whole_answer(v2: Emulator, headed: bool, page_rows: int) -> None:
    asked = {**V2_HOURLY, "start_time": "36000000", "end_time": "39600000"}
    with Emulator(dialect="v2", page_rows=page_rows, page_header=headed) as terminal:
        pages = read_pages(terminal.url, V2_GREEKS, **asked)
        whole = ask(v2, V2_GREEKS, **asked)
    assert joined(pages, headed=headed) == whole.text
    assert len(pages) == -(-len(whole.rows) // page_rows)


def test_pages_in_json_cut_contracts_but_lose_no_tick(v2: Emulator) -> None:
    asked = {key: value for key, value in V2_HOURLY.items() if key != "use_csv"}
    with Emulator(dialect="v2", page_rows=10) as terminal:
        pages = [json.loads(ask(terminal, V2_QUOTE, **asked).text)]
        while pages[-1]["header"]["next_page"] != "null":
            pages.append(json.loads(get(pages[-1]["header"]["next_page"]).text))
    ticks = [tick for page in pages for group in page["response"] for tick in group["ticks"]]
    whole = json.loads(ask(v2, V2_QUOTE, **asked).text)
    assert ticks == [tick for group in whole["response"] for tick in group["ticks"]]


def test_page_numbers_grow_through_all_answers_and_lists_have_pages_too() -> None:
    with Emulator(dialect="v2", page_rows=100) as terminal:
        first, second = (ask(terminal, V2_QUOTE, **V2_HOURLY).headers["next-page"] for _ in range(2))
        assert (first, second) == (f"{terminal.url}/page/1", f"{terminal.url}/page/2")
        pages = read_pages(terminal.url, "/list/expirations", root="SPXW", use_csv="true")
        assert len(pages) > 1


def test_a_page_can_be_read_twice_until_the_next_but_one_is_read() -> None:
    with Emulator(dialect="v2", page_rows=50) as terminal:
        second = ask(terminal, V2_QUOTE, **V2_HOURLY).headers["next-page"]
        once, again = get(second), get(second)
        assert (once.body, once.headers["next-page"]) == (again.body, again.headers["next-page"])
        far = get(get(get(once.headers["next-page"]).headers["next-page"]).headers["next-page"])
        assert far.status == 200
        assert get(second).status == 477


def test_a_page_expires() -> None:
    clock = FakeClock()
    with Emulator(dialect="v2", page_rows=100, page_expire=30, monotonic=clock.monotonic) as terminal:
        second = ask(terminal, V2_QUOTE, **V2_HOURLY).headers["next-page"]
        clock.now += 30
        third = get(second).headers["next-page"]
        clock.now += 30.5
        expired = get(third)
    assert (expired.status, expired.text) == (477, "No page found: it may have expired.")
    assert "next-page" not in expired.headers


def test_the_answer_left_longest_goes_when_too_many_wait() -> None:
    with Emulator(dialect="v2", tier="standard", page_rows=100) as terminal:
        waiting = [ask(terminal, V2_QUOTE, **V2_HOURLY).headers["next-page"] for _ in range(4)]
        after_first = get(waiting[0]).headers["next-page"]
        ask(terminal, V2_QUOTE, **V2_HOURLY)
        assert get(waiting[1]).status == 477
        assert get(after_first).status == 200


def test_a_restart_forgets_pages() -> None:
    with Emulator(dialect="v2", page_rows=100) as terminal:
        second = ask(terminal, V2_QUOTE, **V2_HOURLY).headers["next-page"]
        terminal.restart()
        assert get(second).status == 477


def test_pages_of_rows_take_a_place_and_pages_of_lists_do_not() -> None:
    with Emulator(dialect="v2", page_rows=100) as terminal:
        pages = read_pages(terminal.url, V2_QUOTE, **V2_HOURLY)
        read_pages(terminal.url, "/list/expirations", root="SPXW")
        assert len(terminal.served) == len(pages) > 2


def test_both_dialects_tell_of_one_market() -> None:
    with Emulator(dialect="both", v2_greeks_rows=391) as terminal:
        quotes = ask(terminal, "/option/history/quote", symbol="SPXW", expiration=DAY, date=DAY, interval="1h").rows
        same = ask_at(terminal.v2_url, V2_QUOTE, **V2_HOURLY).rows
    assert [(float(q["strike"]), q["right"][0], float(q["bid"]), q["ask_size"]) for q in quotes] == [
        (int(s["strike"]) / 1000, s["right"], float(s["bid"]), s["ask_size"]) for s in same
    ]


def test_a_dialect_that_is_not_spoken_has_no_address() -> None:
    with Emulator() as terminal, pytest.raises(ConfigError, match="the emulator does not speak v2"):
        _ = terminal.v2_url
