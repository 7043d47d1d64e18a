import csv
from pathlib import Path

import pytest

from spxdata.emulator import Emulator
from spxdata.errors import ConfigError

from .terminal_client import Ask, ask, read_pages

QUOTE = "/option/history/quote"
GREEKS = "/option/history/greeks/first_order"
HEADER = (
    "root,expiration,strike,right,ms_of_day,bid_size,bid_exchange,bid,bid_condition,"
    "ask_size,ask_exchange,ask,ask_condition,date\n"
)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Two contracts of two minutes, and the index beside them for the first day only."""
    directory = tmp_path / "quotes"
    directory.mkdir()
    for day in ("20210104", "20210105"):
        (directory / f"SPXW_{day}_20210106.csv").write_text(
            HEADER
            + f"SPXW,20210106,3700000,C,34260000,3,5,27.1,50,4,5,27.5,50,{day}\n"
            + f"SPXW,20210106,3702500,P,34260000,0,5,0.0,50,9,5,0.05,50,{day}\n"
            + f"SPXW,20210106,3700000,C,34320000,5,5,27.3,50,6,5,27.75,50,{day}\n"
        )
    (directory / "notes.txt").write_text("not served")
    index = tmp_path / "theta_v2_index_price"
    index.mkdir()
    (index / "SPX_20210104.csv").write_text("ms_of_day,price,date\n34260000,3701.12,20210104\n")
    return directory


def asked(day: str) -> dict[str, str]:
    return {"symbol": "SPXW", "expiration": "20210106", "date": day, "interval": "1m", "end_time": "16:15:00"}


def test_recorded_rows_come_contract_by_contract_in_v3_form(recorded: Path, ask: Ask) -> None:
    with Emulator(replay=recorded) as terminal:
        assert ask(terminal, QUOTE, **asked("20210104")).text.split("\r\n")[1:-1] == [
            '"SPXW","2021-01-06",3700.000,"CALL",2021-01-04T09:31:00.000,3,5,27.10,50,4,5,27.50,50',
            '"SPXW","2021-01-06",3700.000,"CALL",2021-01-04T09:32:00.000,5,5,27.30,50,6,5,27.75,50',
            '"SPXW","2021-01-06",3702.500,"PUT",2021-01-04T09:31:00.000,0,5,0.00,50,9,5,0.05,50',
        ]


def test_lists_follow_from_the_files(recorded: Path, ask: Ask) -> None:
    with Emulator(replay=recorded) as terminal:
        assert ask(terminal, "/option/list/symbols").text == 'symbol\r\n"SPXW"\r\n'
        assert ask(terminal, "/option/list/expirations", symbol="SPXW").rows == [
            {"symbol": "SPXW", "expiration": "2021-01-06"}
        ]
        strikes = ask(terminal, "/option/list/strikes", symbol="SPXW", expiration="20210106").rows
        assert [row["strike"] for row in strikes] == ["3700.000", "3702.500"]
        contracts = ask(terminal, "/option/list/contracts/quote", symbol="SPXW", date="20210105").rows
        assert [(row["strike"], row["right"]) for row in contracts] == [("3700.000", "CALL"), ("3702.500", "PUT")]


def test_a_day_or_expiration_without_a_file_is_no_data(recorded: Path, ask: Ask) -> None:
    with Emulator(replay=recorded) as terminal:
        assert ask(terminal, QUOTE, **asked("20210106")).status == 472
        assert ask(terminal, "/option/list/contracts/quote", symbol="SPXW", date="20210106").status == 472
        assert ask(terminal, "/option/list/expirations", symbol="SPX").status == 472
        assert ask(terminal, QUOTE, **{**asked("20210104"), "expiration": "20210108"}).status == 472


def test_greeks_are_computed_where_the_index_is_known(recorded: Path, ask: Ask) -> None:
    with Emulator(replay=recorded) as terminal:
        rows = ask(terminal, GREEKS, **asked("20210104")).rows
        assert [(row["timestamp"][11:16], row["strike"]) for row in rows] == [
            ("09:31", "3700.000"),
            ("09:31", "3702.500"),
        ]
        assert rows[0]["underlying_price"] == "3701.1200"
        assert 0.4 < float(rows[0]["delta"]) < 0.6
        assert ask(terminal, GREEKS, **asked("20210105")).status == 472


def test_drop_rules_work_on_recorded_rows(recorded: Path, ask: Ask) -> None:
    with Emulator(replay=recorded, drop=["strike=3700,right=CALL,from=09:32"]) as terminal:
        rows = ask(terminal, QUOTE, **asked("20210104")).rows
        assert [(row["right"], row["timestamp"][11:16]) for row in rows] == [("CALL", "09:31"), ("PUT", "09:31")]


def test_a_file_without_a_needed_column_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "SPXW_20210104_20210106.csv").write_text("root,strike\nSPXW,3700000\n")
    with pytest.raises(ConfigError, match="lacks the columns right, ms_of_day"):
        Emulator(replay=tmp_path)


@pytest.mark.parametrize(
    ("bid", "text"),
    [("27.105", "has prices with more than two decimals"), ("cheap", "cannot be read")],
)
def test_a_file_that_cannot_be_served_exactly_is_answered_with_500(
    tmp_path: Path, ask: Ask, bid: str, text: str
) -> None:
    line = f"SPXW,20210106,3700000,C,34260000,3,5,{bid},50,4,5,27.5,50,20210104\n"
    (tmp_path / "SPXW_20210104_20210106.csv").write_text(HEADER + line)
    with Emulator(replay=tmp_path) as terminal:
        answer = ask(terminal, QUOTE, **asked("20210104"))
    assert answer.status == 500
    assert text in answer.text


@pytest.mark.reference
def test_every_recorded_row_is_served_exactly(reference: Path, ask: Ask) -> None:
    source = reference / "realdata/theta_v2_quote"
    served_rows = 0
    with Emulator(replay=source) as terminal:
        for path in sorted(source.glob("*.csv")):
            root, day, expiration = path.stem.split("_")
            with path.open() as file:
                recorded = list(csv.DictReader(file))
            answer = ask(terminal, QUOTE, **{**asked(day), "symbol": root, "expiration": expiration})
            served = {(row["strike"], row["right"], row["timestamp"]): tuple(row.values())[5:] for row in answer.rows}
            assert len(served) == len(answer.rows) == len(recorded)
            for row in recorded:
                clock = int(row["ms_of_day"]) // 60000
                key = (
                    f"{int(row['strike']) / 1000:.3f}",
                    {"C": "CALL", "P": "PUT"}[row["right"]],
                    f"{day[:4]}-{day[4:6]}-{day[6:]}T{clock // 60:02d}:{clock % 60:02d}:00.000",
                )
                bid, ask_price = f"{float(row['bid']):.2f}", f"{float(row['ask']):.2f}"
                assert (float(bid), float(ask_price)) == (float(row["bid"]), float(row["ask"]))
                assert served[key] == (row["bid_size"], "5", bid, "50", row["ask_size"], "5", ask_price, "50")
            served_rows += len(served)
    assert served_rows > 18_000


@pytest.mark.reference
def test_greeks_of_recorded_quotes_are_plausible(reference: Path, ask: Ask) -> None:
    with Emulator(replay=reference / "realdata/theta_v2_quote") as terminal:
        rows = ask(terminal, GREEKS, **{**asked("20210104"), "expiration": "20210108"}).rows
        assert ask(terminal, GREEKS, **{**asked("20210105"), "expiration": "20210108"}).status == 472
    solved = [row for row in rows if float(row["implied_vol"]) > 0]
    assert len(solved) > 0.9 * len(rows)
    volatilities = sorted(float(row["implied_vol"]) for row in solved)
    assert 0.1 < volatilities[len(volatilities) // 2] < 0.5


@pytest.mark.reference
def test_v2_serves_every_recorded_row_as_it_stands_in_the_file(reference: Path) -> None:
    source = reference / "realdata/theta_v2_quote"
    served_rows = 0
    with Emulator(dialect="v2", replay=source, page_rows=500) as terminal:
        for path in sorted(source.glob("*.csv")):
            root, day, expiration = path.stem.split("_")
            with path.open() as file:
                recorded = list(csv.DictReader(file))
            asked = {"root": root, "exp": expiration, "start_date": day, "end_date": day, "ivl": "60000"}
            hours = {"rth": "false", "use_csv": "true"}
            pages = read_pages(terminal.url, "/bulk_hist/option/quote", **asked, **hours)
            served = [row for page in pages for row in page.rows]
            assert sorted(values(row) for row in served) == sorted(values(row) for row in recorded)
            assert list(served[0]) == list(recorded[0])
            served_rows += len(served)
    assert served_rows > 18_000


def values(row: dict[str, str]) -> tuple[str, ...]:
    """Give a row's values; only prices are written differently in the file, with as few decimals as they need."""
    return tuple(f"{float(text):.4f}" if name in ("bid", "ask") else text for name, text in row.items())


def v2_asked(day: str) -> dict[str, str]:
    return {"root": "SPXW", "exp": "20210106", "start_date": day, "end_date": day, "ivl": "60000", "use_csv": "true"}


def test_recorded_rows_come_in_v2_form_too(recorded: Path) -> None:
    with Emulator(dialect="v2", replay=recorded) as terminal:
        assert ask(terminal, "/bulk_hist/option/quote", **v2_asked("20210104")).text.split("\r\n")[1:-1] == [
            "SPXW,20210106,3700000,C,34260000,3,5,27.1000,50,4,5,27.5000,50,20210104",
            "SPXW,20210106,3700000,C,34320000,5,5,27.3000,50,6,5,27.7500,50,20210104",
            "SPXW,20210106,3702500,P,34260000,0,5,0.0000,50,9,5,0.0500,50,20210104",
        ]
        assert ask(terminal, "/bulk_hist/option/greeks", **v2_asked("20210105")).status == 472
        dates = ask(terminal, "/list/dates/option/quote", root="SPXW", use_csv="true")
        assert dates.text == "date\r\n20210104\r\n20210105\r\n"


def test_drop_rules_work_in_v2_too(recorded: Path) -> None:
    with Emulator(dialect="v2", replay=recorded, drop=["strike=3700"]) as terminal:
        rows = ask(terminal, "/bulk_hist/option/quote", **v2_asked("20210104")).rows
        assert [row["strike"] for row in rows] == ["3702500"]
    with Emulator(dialect="v2", replay=recorded, drop=["root=SPXW"]) as terminal:
        assert ask(terminal, "/bulk_hist/option/quote", **v2_asked("20210104")).status == 472
