"""Every dataset in both dialects: its columns, its rows, and one market behind them all."""

import json
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from spxdata.emulator import Emulator
from spxdata.emulator.datasets import DATASETS, NAMES
from spxdata.emulator.v2.routes import ROUTES as V2_ROUTES
from spxdata.emulator.v3.routes import ROUTES

from .terminal_client import DAY, DAY_INT, Answer, Ask, ask, ask_at, read_pages

FRIDAY = "2024-01-19"
CONTRACT = ["expiration", "strike", "right"]
FIRST = "delta,theta,vega,rho,epsilon,lambda"
SECOND = "gamma,vanna,charm,vomma,veta"
THIRD = "speed,zomma,color,ultima"
TRADE = (
    "ms_of_day,sequence,ext_condition1,ext_condition2,ext_condition3,ext_condition4,condition,size,exchange,price,"
    "condition_flags,price_flags,volume_type,records_back"
)
QUOTE = "bid_size,bid_exchange,bid,bid_condition,ask_size,ask_exchange,ask,ask_condition"
TAIL = "implied_vol,iv_error,ms_of_day2,underlying_price,date"
#: v2's word for each dataset, and its columns after the contract.
V2 = {
    "quote": ("quote", f"ms_of_day,{QUOTE},date"),
    "trade": ("trade", f"{TRADE},date"),
    "trade_quote": ("trade_quote", f"{TRADE},ms_of_day2,{QUOTE},date"),
    "ohlc": ("ohlc", "ms_of_day,open,high,low,close,volume,count,date"),
    "open_interest": ("open_interest", "ms_of_day,open_interest,date"),
    "eod": ("eod", f"ms_of_day,ms_of_day2,open,high,low,close,volume,count,{QUOTE},date"),
    "greeks": ("greeks", f"ms_of_day,bid,ask,{FIRST},{TAIL}"),
    "greeks_second_order": ("greeks_second_order", f"ms_of_day,bid,ask,{SECOND},{TAIL}"),
    "greeks_third_order": ("greeks_third_order", f"ms_of_day,bid,ask,{THIRD},{TAIL}"),
    "greeks_all": (
        "all_greeks",
        f"ms_of_day,bid,ask,{FIRST},{SECOND},vera,{THIRD},d1,d2,dual_delta,dual_gamma,{TAIL}",
    ),
    "greeks_eod": (
        "eod_greeks",
        f"ms_of_day,open,high,low,close,volume,count,{QUOTE},{FIRST},{SECOND},vera,{THIRD},d1,d2,{TAIL}",
    ),
    "implied_volatility": (
        "implied_volatility",
        f"ms_of_day,bid,bid_implied_vol,midpoint,implied_vol,ask,ask_implied_vol,{TAIL.partition(',')[2]}",
    ),
    "index_price": ("index/price", "ms_of_day,price,date"),
}
#: v3's path of each dataset.
PATHS = {route.name: path for path, route in ROUTES.items() if route.streamed}
SYMBOLS = {"index_price": "SPX", "interest_rate": "SOFR"}


def v3(terminal: Emulator, name: str, **more: object) -> Answer:
    """Ask for a dataset of Friday's chain, to 16:15, one row a minute."""
    days = {"date": DAY, "start_date": DAY, "end_date": DAY}
    asked = {"symbol": SYMBOLS.get(name, "SPXW"), "expiration": FRIDAY, "interval": "1m", "end_time": "16:15:00"}
    return ask(terminal, PATHS[name], **{**asked, **days, **more})


def v2_path(name: str, *, bulk: bool) -> str:
    word = V2[name][0]
    return f"/hist/{word}" if "/" in word else f"/{'bulk_hist' if bulk else 'hist'}/option/{word}"


def v2(terminal: Emulator, name: str, *, bulk: bool = True, **more: object) -> list[Answer]:
    """Ask v2 for the same."""
    asked = {"root": SYMBOLS.get(name, "SPXW"), "exp": "20240119", "ivl": 60_000, "rth": "false", "use_csv": "true"}
    one = {} if bulk else {"strike": 4_800_000, "right": "C"}
    days = {"start_date": DAY_INT, "end_date": DAY_INT}
    return read_pages(terminal.v2_url, v2_path(name, bulk=bulk), **{**asked, **days, **one, **more})


def frame(answer: Answer) -> pl.DataFrame:
    assert answer.status == 200, answer.text
    return pl.read_csv(answer.body, infer_schema_length=None)


@pytest.fixture(scope="module")
def both() -> Iterator[Emulator]:
    with Emulator(dialect="both", v2_greeks_rows=391) as terminal:
        yield terminal


@pytest.fixture(scope="module")
def tape(both: Emulator) -> pl.DataFrame:
    """Friday's trades beside the quotes in force, times in milliseconds."""
    return frame(v3(both, "trade_quote")).with_columns(
        time=pl.col("trade_timestamp").str.to_datetime(), quoted=pl.col("quote_timestamp").str.to_datetime()
    )


def test_every_dataset_has_a_path_in_each_dialect_that_knows_it() -> None:
    assert set(PATHS) == set(NAMES)
    assert set(V2) == set(NAMES) - {"interest_rate"}
    assert {route.name for route in V2_ROUTES.values() if route.counted} == set(V2)


@pytest.mark.reference
@pytest.mark.parametrize("name", NAMES)
def test_v3_columns_are_the_vendors(reference: Path, both: Emulator, name: str) -> None:
    endpoint = json.loads((reference / "thetadata/v3-endpoints.json").read_text())["endpoints"][PATHS[name]]
    assert v3(both, name).text.split("\r\n")[0] == ",".join(endpoint["columns"])


@pytest.mark.parametrize("name", V2)
def test_v2_columns_are_those_of_its_documentation(both: Emulator, name: str) -> None:
    columns = V2[name][1]
    bulk, single = (v2_path(name, bulk=bulk) in V2_ROUTES for bulk in (True, False))
    assert single is (name != "greeks_eod")
    assert bulk is (name != "implied_volatility") or name == "index_price"
    if bulk and name != "index_price":
        assert v2(both, name)[0].text.split("\r\n")[0] == f"root,expiration,strike,right,{columns}"
    if single:
        assert v2(both, name, bulk=False)[0].text.split("\r\n")[0] == columns


def shared(table: pl.DataFrame, renamed: dict[str, str]) -> pl.DataFrame:
    """Give v3's rows in v2's units."""
    clock = {
        name: pl.col(name).str.slice(11).str.to_time("%H:%M:%S%.3f").cast(pl.Int64) // 1_000_000 for name in renamed
    }
    contract = {}
    if "strike" in table.columns:
        contract = {
            "expiration": pl.col("expiration").str.replace_all("-", "").cast(pl.Int64),
            "strike": (pl.col("strike") * 1000).round().cast(pl.Int64),
            "right": pl.col("right").str.slice(0, 1),
        }
    return table.with_columns(**clock, **contract).rename({"symbol": "root"}, strict=False).rename(renamed)


@pytest.mark.parametrize("name", V2)
def test_both_dialects_tell_the_same(both: Emulator, name: str) -> None:
    bulk = name not in ("implied_volatility", "index_price")
    more = {"strike": "4800", "right": "call"} if name == "implied_volatility" else {}
    new = frame(v3(both, name, version="1", exclusive="false", **more))
    old = pl.concat(frame(page) for page in v2(both, name, bulk=bulk))
    times = [form for form in new.columns if form.endswith("timestamp") or form in ("created", "last_trade")]
    renamed = {time: f"ms_of_day{'2' if i else ''}" for i, time in enumerate(times)}
    new = shared(new, renamed)
    common = [column for column in old.columns if column in new.columns]
    added = {"date", "condition_flags", "price_flags", "volume_type", "records_back"}
    assert set(old.columns) - set(common) == added & set(old.columns)
    assert len(old) > 0
    for column in common:
        assert new[column].cast(old[column].dtype).to_list() == old[column].to_list(), column


def test_the_sums_of_trades_are_those_of_bars_and_reports(both: Emulator, tape: pl.DataFrame) -> None:
    sums = tape.group_by(CONTRACT).agg(
        volume=pl.col("size").sum(),
        count=pl.len(),
        high=pl.col("price").max(),
        low=pl.col("price").min(),
        open=pl.col("price").first(),
        close=pl.col("price").last(),
        last=pl.col("trade_timestamp").last(),
    )
    eod = frame(v3(both, "eod"))
    traded = eod.filter(pl.col("count") > 0).join(sums, on=CONTRACT, suffix="_summed")
    assert len(traded) == len(sums)
    for column in ("volume", "count", "high", "low", "open", "close"):
        assert traded[column].to_list() == pytest.approx(traded[f"{column}_summed"].to_list())
    assert traded["last_trade"].to_list() == traded["last"].to_list()
    untraded = eod.filter(pl.col("count") == 0)
    assert len(untraded) > 0
    assert untraded["last_trade"].unique().to_list() == [f"{DAY}T00:00:00.000"]
    assert untraded.select("open", "high", "low", "close", "volume").sum().row(0) == (0, 0, 0, 0, 0)
    for interval in ("1m", "15m", "1h"):
        bars = frame(v3(both, "ohlc", interval=interval))
        found = bars.group_by(CONTRACT, maintain_order=True).agg(pl.col("volume", "count").sum(), pl.col("high").max())
        assert found.drop(CONTRACT).rows() == eod.select("volume", "count", "high").rows()


def test_bars_cover_every_contract_and_minute_and_carry_the_average_on(both: Emulator) -> None:
    quotes, bars = frame(v3(both, "quote")), frame(v3(both, "ohlc"))
    assert bars.select(*CONTRACT, "timestamp").equals(quotes.select(*CONTRACT, "timestamp"))
    empty = bars.filter(pl.col("count") == 0)
    assert empty.select("open", "high", "low", "close", "volume").sum().row(0) == (0, 0, 0, 0, 0)
    carried = bars.with_columns(before=pl.col("vwap").shift(1).over(CONTRACT)).filter(pl.col("count") == 0)
    carried = carried.filter(pl.col("before").is_not_null())
    assert carried["vwap"].to_list() == carried["before"].to_list()
    assert bars.filter((pl.col("count") > 0) & (pl.col("vwap") <= 0)).is_empty()


def test_a_bar_holds_the_trades_from_its_stamp_to_the_next(both: Emulator, tape: pl.DataFrame) -> None:
    bars = frame(v3(both, "ohlc", interval="5m")).filter(pl.col("count") > 0)
    found = tape.with_columns(bar=pl.col("time").dt.truncate("5m").dt.strftime("%Y-%m-%dT%H:%M:%S.000"))
    sums = found.group_by(*CONTRACT, "bar", maintain_order=True).agg(
        pl.col("price").first().alias("open"), pl.col("price").last().alias("close"), pl.col("size").sum()
    )
    assert bars.select(*CONTRACT, "timestamp", "open", "close", "volume").rows() == sums.rows()


def test_trades_are_mostly_inside_the_quote_in_force(tape: pl.DataFrame) -> None:
    inside = tape.filter((pl.col("bid") <= pl.col("price")) & (pl.col("price") <= pl.col("ask")))
    assert 0.85 < len(inside) / len(tape) < 0.98
    assert (tape["price"] > 0).all()
    off_grid = tape.filter((pl.col("price") * 100).round().cast(pl.Int64) % 5 != 0)
    assert set(off_grid["condition"].unique()) <= {130, 131}
    assert 0.15 < len(off_grid) / len(tape) < 0.5
    assert tape["size"].median() <= 3  # type: ignore[operator]


def test_the_quote_beside_a_trade_is_older_unless_asked_otherwise(both: Emulator, tape: pl.DataFrame) -> None:
    assert (tape["quoted"] < tape["time"]).all()
    inclusive = frame(v3(both, "trade_quote", exclusive="false"))
    assert (inclusive["quote_timestamp"] <= inclusive["trade_timestamp"]).all()
    assert inclusive["price"].to_list() == tape["price"].to_list()


def test_sequences_rise_with_time_and_wrap_to_negative_ones(tape: pl.DataFrame) -> None:
    assert (tape["sequence"] < 0).any()
    assert (tape["sequence"] > 0).any()
    for _, trades in tape.group_by(CONTRACT):
        steps = trades["sequence"].diff().drop_nulls()
        # One step at most falls: from the highest number to the lowest.
        assert (steps <= 0).sum() <= 1
        assert trades["time"].is_sorted()
    assert tape.select(*CONTRACT, "sequence").is_unique().all()
    assert tape.group_by(*CONTRACT, "time").len()["len"].max() > 1  # type: ignore[operator]


def test_the_trades_beside_quotes_are_those_without(both: Emulator, tape: pl.DataFrame) -> None:
    trades = frame(v3(both, "trade")).rename({"timestamp": "trade_timestamp"})
    assert trades.equals(tape.select(trades.columns))


ONE = {"strike": "4750", "right": "call"}


def test_a_minute_quote_is_the_last_tick_at_or_before_it(both: Emulator) -> None:
    ticks, minutes = frame(v3(both, "quote", interval="tick", **ONE)), frame(v3(both, "quote", **ONE))
    assert len(ticks) > 2 * len(minutes)
    found = minutes.with_columns(pl.col("timestamp").str.to_datetime()).join_asof(
        ticks.with_columns(pl.col("timestamp").str.to_datetime()), on="timestamp", suffix="_tick"
    )
    for column in ("bid", "ask", "bid_size", "ask_size"):
        assert found[f"{column}_tick"].fill_null(0).to_list() == found[column].to_list()
    assert ((ticks["bid"] == 0) == (ticks["bid_size"] == 0)).all()
    seconds = frame(v3(both, "quote", interval="1s", **ONE))
    assert seconds.filter(pl.col("timestamp").str.ends_with(":00.000")).equals(minutes)


def test_short_intervals_are_for_single_contracts(both: Emulator) -> None:
    text = "Bulk history requests are limited to intervals of at least 1 minute."
    for interval in ("tick", "10ms", "30s"):
        for name in ("quote", "greeks_all", "ohlc"):
            answer = v3(both, name, interval=interval)
            assert (answer.status, answer.text) == (400, text)
    assert v3(both, "quote", interval="tick", strike="4750").status == 400
    answer = v3(both, "ohlc", interval="tick", **ONE)
    assert (answer.status, answer.text) == (400, "Invalid interval: tick")
    for ivl in ("0", "1000"):
        assert v2(both, "quote", bulk=False, ivl=ivl)[0].status == 200
        path, days = v2_path("quote", bulk=True), {"start_date": DAY_INT, "end_date": DAY_INT}
        assert ask_at(both.v2_url, path, root="SPXW", exp="20240119", ivl=ivl, **days).status == 473


def test_greeks_and_bars_follow_short_intervals_too(both: Emulator) -> None:
    seconds, minutes = (frame(v3(both, "greeks_all", interval=interval, **ONE)) for interval in ("1s", "1m"))
    whole = seconds.filter(pl.col("timestamp").str.ends_with(":00.000"))
    assert whole.drop("underlying_price").columns == minutes.drop("underlying_price").columns
    for column in ("bid", "ask", "underlying_price", "delta", "implied_vol"):
        assert whole[column].to_list() == pytest.approx(minutes[column].to_list(), abs=2e-4)
    ticks = frame(v3(both, "greeks", interval="tick", **ONE))
    assert ticks["timestamp"].to_list() == frame(v3(both, "quote", interval="tick", **ONE))["timestamp"].to_list()
    fine, coarse = (frame(v3(both, "ohlc", interval=interval, **ONE)) for interval in ("1s", "1m"))
    assert fine["volume"].sum() == coarse["volume"].sum() > 0


@pytest.mark.parametrize(("name", "more"), [("trade", {}), ("trade_quote", {}), ("quote", {**ONE, "interval": "tick"})])
def test_windows_side_by_side_hold_every_tick_once(both: Emulator, name: str, more: dict[str, str]) -> None:
    stamp = "trade_timestamp" if name == "trade_quote" else "timestamp"
    whole = frame(v3(both, name, **more))
    cut = str(sorted(whole[stamp].to_list())[len(whole) // 2])[11:]
    before = frame(v3(both, name, **more, end_time=cut))
    hour, minute, second = cut.split(":")
    after = v3(both, name, **more, start_time=f"{hour}:{minute}:{float(second) + 0.001:06.3f}", end_time="16:15:00")
    together = pl.concat([before, frame(after)]).sort([*CONTRACT, stamp], maintain_order=True)
    assert together.equals(whole.sort([*CONTRACT, stamp], maintain_order=True))
    exact = frame(v3(both, name, **more, start_time=cut, end_time=cut))
    assert exact[stamp].unique().to_list() == [f"{DAY}T{cut}"]


def test_ticks_default_to_regular_hours_in_v3_and_to_the_day_in_v2(both: Emulator) -> None:
    days = {"date": DAY, "symbol": "SPXW", "expiration": FRIDAY}
    regular = frame(ask(both, PATHS["trade"], **days))
    assert regular["timestamp"].max() <= f"{DAY}T16:00:00.000"  # type: ignore[operator]
    assert frame(v2(both, "trade")[0])["ms_of_day"].max() > 16 * 3_600_000  # type: ignore[operator]


def test_every_expiration_of_a_day_comes_at_once_where_the_terminal_allows_it(both: Emulator) -> None:
    for name, dataset in DATASETS.items():
        answer = v3(both, name, expiration="*", interval="1h")
        if dataset.every_expiration:
            assert frame(answer)["expiration"].n_unique() == 4
            pages = v2(both, name, exp=0)
            assert pl.concat(frame(page) for page in pages)["expiration"].n_unique() == 4
        elif name not in SYMBOLS:
            assert (answer.status, answer.text) == (400, "Cannot specify '*' for the date")


@pytest.mark.parametrize("name", ["eod", "greeks_eod", "interest_rate"])
def test_reports_are_asked_for_by_their_first_and_last_day(both: Emulator, name: str) -> None:
    asked = {"symbol": SYMBOLS.get(name, "SPXW"), "expiration": "*"}
    missing = ask(both, PATHS[name], **asked, date=DAY)
    assert (missing.status, missing.text) == (400, "Missing required parameter: start_date")
    if name != "interest_rate":
        several = ask(both, PATHS[name], **asked, start_date=DAY, end_date="2024-01-17")
        assert (several.status, several.text) == (400, "When expiration=*, you must request data a day-at-a-time")


def test_the_rate_of_every_business_day_is_in_percent(both: Emulator) -> None:
    path = PATHS["interest_rate"]
    answer = ask(both, path, symbol="SOFR", start_date="2024-01-12", end_date="2024-01-17")
    assert answer.text == "created,rate\r\n2024-01-12,5.1500\r\n2024-01-16,5.1500\r\n2024-01-17,5.1500\r\n"
    assert ask(both, path, symbol="SOFR", start_date="2024-01-13", end_date="2024-01-14").status == 472
    assert ask(both, path, symbol="LIBOR", start_date=DAY, end_date=DAY).status == 472


def test_the_index_is_published_from_09_30_to_its_close(both: Emulator) -> None:
    minutes = frame(v3(both, "index_price"))
    assert len(minutes) == 391
    assert v3(both, "index_price").text.split("\r\n")[1] == f"{DAY}T09:30:00.000,0.0"
    spot = frame(v3(both, "greeks", end_time="16:00:00", **ONE))["underlying_price"]
    assert minutes["price"].to_list()[1:] == spot.to_list()[1:]
    ticks = frame(v3(both, "index_price", interval="tick"))
    assert (ticks["price"].diff().drop_nulls() != 0).all()
    assert len(ticks) > 10_000
    assert (
        frame(v3(both, "index_price", interval="1s"))
        .filter(pl.col("timestamp").str.ends_with(":00.000"))
        .equals(minutes)
    )
    assert v3(both, "index_price", symbol="SPXW").status == 472
    early = ask(both, PATHS["index_price"], symbol="SPX", date="2023-07-03", interval="1m")
    assert len(early.rows) == 211


def test_open_interest_follows_volume(both: Emulator) -> None:
    def of(day: str, name: str) -> pl.DataFrame:
        table = frame(v3(both, name, date=day, start_date=day, end_date=day))
        return table.select(*CONTRACT, pl.col("open_interest" if name == "open_interest" else "volume").alias("value"))

    days = [DAY, "2024-01-17", "2024-01-18", FRIDAY]
    for before, after in pairwise(days):
        volume = of(before, "eod").rename({"value": "volume"})
        joined = volume.join(of(before, "open_interest"), on=CONTRACT, how="left").join(
            of(after, "open_interest"), on=CONTRACT, how="left", suffix="_after"
        )
        change = joined["value_after"].fill_null(0) - joined["value"].fill_null(0)
        assert (change.abs() <= joined["volume"]).all()
        assert (change != 0).any()
    held = frame(v3(both, "open_interest"))
    assert held["timestamp"].str.starts_with(f"{DAY}T06:30:0").all()
    assert held["open_interest"].min() > 0  # type: ignore[operator]
    assert len(held) < len(frame(v3(both, "eod")))


def test_reports_close_on_the_last_quote(both: Emulator) -> None:
    eod = frame(v3(both, "eod"))
    last = frame(v3(both, "quote")).filter(pl.col("timestamp") == f"{DAY}T16:15:00.000")
    columns = [*CONTRACT, "bid_size", "bid", "ask_size", "ask"]
    assert eod.select(columns).equals(last.select(columns))
    assert eod["created"].str.slice(11, 5).is_between(pl.lit("17:15"), pl.lit("17:33")).all()
    greeks = frame(v3(both, "greeks_eod"))
    shared_columns = [name for name in eod.columns if name in greeks.columns]
    assert greeks.select(shared_columns).equals(eod.select(shared_columns))
    assert greeks["underlying_timestamp"].to_list() == eod["created"].to_list()
    assert greeks["timestamp"].to_list() == eod["last_trade"].to_list()
    intraday = frame(v3(both, "greeks_all")).filter(pl.col("timestamp") == f"{DAY}T16:15:00.000")
    assert greeks["delta"].to_list() == intraday["delta"].to_list()


def test_reports_can_come_twice() -> None:
    with Emulator(doubled_eod=True) as doubled, Emulator() as once:
        for name, created in (("eod", "created"), ("greeks_eod", "underlying_timestamp")):
            twice, single = frame(v3(doubled, name)), frame(v3(once, name))
            assert len(twice) == 2 * len(single)
            latest = twice.filter(pl.col(created) == pl.col(created).max().over(CONTRACT))
            assert latest.equals(single)
            earlier = twice.filter(pl.col(created) < pl.col(created).max().over(CONTRACT))
            assert earlier.drop(created, "ask_size").equals(single.drop(created, "ask_size"))
            assert not earlier.drop(created).equals(single.drop(created))


def test_the_contracts_with_trades_are_fewer_than_those_with_quotes(both: Emulator) -> None:
    lists = {
        kind: {tuple(row.values()) for row in ask(both, f"/option/list/contracts/{kind}", date=DAY).rows}
        for kind in ("quote", "trade")
    }
    assert lists["trade"] < lists["quote"]
    trades = frame(v3(both, "trade", expiration="*"))
    assert trades.select(CONTRACT).n_unique() == sum(1 for contract in lists["trade"] if contract[0] == "SPXW")
    dates = ask(both, "/option/list/dates/trade", symbol="SPXW", expiration=FRIDAY).rows
    assert [row["date"] for row in dates] == [DAY, "2024-01-17", "2024-01-18", FRIDAY]


def test_the_order_of_requests_changes_nothing() -> None:
    names = ["trade", "eod", "open_interest", "ohlc", "trade_quote", "greeks_eod", "index_price"]
    with Emulator(seed=5) as first:
        forward = {name: v3(first, name).body for name in names}
    with Emulator(seed=5) as second:
        alone = v3(second, "trade", **ONE)
        backward = {name: v3(second, name).body for name in reversed(names)}
    assert forward == backward
    lines = forward["trade"].decode().split("\r\n")
    assert alone.text.split("\r\n")[1:] == [*(line for line in lines if ',4750.000,"CALL"' in line), ""]
    with Emulator(seed=6) as other:
        assert v3(other, "trade").body != forward["trade"]


def test_drop_rules_leave_rows_of_any_dataset_out() -> None:
    rules = [
        "dataset=trade,from=10:00,to=10:59",
        "dataset=eod,expiration=2024-01-17",
        "dataset=index_price,after=100",
        "dataset=open_interest,right=C",
        "strike=4750",
    ]
    with Emulator(drop=rules) as short, Emulator() as whole:
        trades, left = frame(v3(whole, "trade")), frame(v3(short, "trade"))
        kept = ~trades["timestamp"].str.slice(11, 2).is_in(["10"]) & (trades["strike"] != 4750)
        assert 0 < len(left) < len(trades)
        assert left.equals(trades.filter(kept))
        everything = frame(v3(whole, "eod", expiration="*"))
        left = frame(v3(short, "eod", expiration="*"))
        assert left.equals(everything.filter((pl.col("expiration") != "2024-01-17") & (pl.col("strike") != 4750)))
        assert len(frame(v3(short, "index_price"))) == 100
        assert frame(v3(short, "open_interest"))["right"].unique().to_list() == ["PUT"]


def test_faults_concern_the_datasets_they_name() -> None:
    faults: list[dict[str, object]] = [
        {"do": "short", "contracts": 1, "dataset": "trade"},
        {"do": "duplicate_with_other_values", "dataset": "open_interest"},
        {"do": "status", "status": 500, "dataset": "index_price"},
    ]
    with Emulator(faults=faults) as spoiled, Emulator() as whole:
        assert frame(v3(spoiled, "trade")).select(CONTRACT).n_unique() + 1 == (
            frame(v3(whole, "trade")).select(CONTRACT).n_unique()
        )
        rows = v3(spoiled, "open_interest").text.split("\r\n")
        assert rows[1].rpartition(",")[0] == rows[2].rpartition(",")[0]
        assert rows[1] != rows[2]
        assert v3(spoiled, "index_price").status == 500
        assert v3(spoiled, "eod").body == v3(whole, "eod").body


def test_indices_are_a_subscription_of_their_own() -> None:
    with Emulator(dialect="both", index_tier="free") as terminal:
        answer = v3(terminal, "index_price")
        assert (answer.status, answer.text) == (
            403,
            "Requesting an index endpoint requiring a value subscription, but you only have a FREE subscription.",
        )
        days = {"root": "SPX", "start_date": DAY_INT, "end_date": DAY_INT, "ivl": 60_000}
        assert ask_at(terminal.v2_url, "/hist/index/price", **days).status == 471
        assert v3(terminal, "greeks_all").status == 200
    with Emulator(tier="free") as terminal:
        assert [v3(terminal, name).status for name in ("eod", "interest_rate", "index_price")] == [200, 200, 403]


@pytest.mark.parametrize(("name", "single", "bulk"), [("open_interest", "value", "standard"), ("eod", "free", "value")])
def test_chains_can_need_more_than_single_contracts_in_v2(name: str, single: str, bulk: str) -> None:
    assert V2_ROUTES[v2_path(name, bulk=False)].tier == single
    assert V2_ROUTES[v2_path(name, bulk=True)].tier == bulk


@pytest.mark.parametrize("name", NAMES)
def test_json_holds_what_csv_does(both: Emulator, name: str) -> None:
    table = v3(both, name, interval="30m").rows
    response = json.loads(v3(both, name, interval="30m", format="json").text)["response"]
    grouped = name not in SYMBOLS
    rows = [row for group in response for row in group["data"]] if grouped else response
    assert len(rows) == len(table)
    last = {key: value for key, value in table[-1].items() if not grouped or key not in ("symbol", *CONTRACT)}
    assert list(rows[-1]) == list(last)
    for key, value in rows[-1].items():
        assert str(value) == last[key].removesuffix(".000") if isinstance(value, str) else value == float(last[key])


def test_v2_json_is_flat_for_an_index_and_grouped_for_a_chain(both: Emulator) -> None:
    days = {"start_date": DAY_INT, "end_date": DAY_INT, "ivl": 60_000}
    index = json.loads(ask_at(both.v2_url, "/hist/index/price", root="SPX", **days).text)
    assert index["header"]["format"] == ["ms_of_day", "price", "date"]
    assert index["response"][0] == [34_200_000, 0.0, 20240116]
    chain = json.loads(ask_at(both.v2_url, "/bulk_hist/option/trade", root="SPXW", exp="20240119", **days).text)
    assert chain["header"]["format"] == V2["trade"][1].split(",")
    assert set(chain["response"][0]["contract"]) == {"root", "expiration", "strike", "right"}


def test_expiring_contracts_trade_to_the_close_of_an_early_day(both: Emulator) -> None:
    day = {"date": "2023-07-03", "start_date": "2023-07-03", "end_date": "2023-07-03", "expiration": "2023-07-03"}
    trades = frame(v3(both, "trade", **day))
    assert "T12" < str(trades["timestamp"].max())[10:] < "T13:00:00"
    assert str(frame(v3(both, "ohlc", **day))["timestamp"].max())[11:] == "13:00:00.000"


@pytest.mark.reference
def test_recorded_index_and_open_interest_are_served_beside_recorded_quotes(reference: Path, ask: Ask) -> None:
    with Emulator(dialect="both", replay=reference / "realdata/theta_v2_quote") as terminal:
        asked = {"symbol": "SPXW", "expiration": "2021-01-08", "date": "2021-01-04"}
        held = frame(ask(terminal, PATHS["open_interest"], **asked))
        recorded = pl.read_csv(reference / "realdata/theta_v2_open_interest/SPXW_20210104_20210108.csv")
        assert held["open_interest"].to_list() == recorded["open_interest"].to_list()
        index = pl.read_csv(reference / "realdata/theta_v2_index_price/SPX_20210104.csv")
        days = {"root": "SPX", "start_date": 20210104, "end_date": 20210104, "ivl": 60_000, "rth": "false"}
        served = frame(ask_at(terminal.v2_url, "/hist/index/price", **days, use_csv="true"))
        assert served.equals(index)
        for name in ("trade", "trade_quote", "ohlc", "eod", "greeks_eod"):
            day = {"start_date": "2021-01-04", "end_date": "2021-01-04", "interval": "1m"}
            assert ask(terminal, PATHS[name], **asked, **day).status == 472
        assert ask(terminal, "/option/list/contracts/trade", date="2021-01-04").status == 472
        assert ask(terminal, PATHS["greeks_all"], **asked, interval="1m").status == 200


def test_the_trades_of_a_full_front_expiration_are_made_in_a_moment(
    record_property: Callable[[str, object], None],
) -> None:
    with Emulator(chain="full") as terminal:
        began = time.perf_counter()
        trades = frame(v3(terminal, "trade", expiration=DAY))
        seconds = time.perf_counter() - began
        chain = frame(v3(terminal, "quote", expiration=DAY, interval="1h"))
    assert len(trades) > 10_000
    assert trades.select(CONTRACT).n_unique() < 0.8 * chain.select(CONTRACT).n_unique()
    # A few tenths of a second; the rest is for busy machines.
    assert seconds < 10
    record_property("figure", f"Emulated trades of a full front expiration: {len(trades):,} rows in {seconds:.2f} s")
