from concurrent.futures import ThreadPoolExecutor
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.emulator import expirations, ladders, quoting, walk
from spxdata.emulator.rows import Contract
from spxdata.emulator.synthetic import SyntheticMarket

DAY = date(2024, 1, 16)
FRIDAY = date(2024, 1, 19)


def quotes(market: SyntheticMarket, expiration: date, day: date = DAY, root: str = "SPXW") -> pl.DataFrame:
    """All rows of an expiration as a table."""
    parts = []
    for rows in market.quotes(root, day, expiration, market.contracts(root, day, expiration)):
        strikes = np.array([contract.strike for contract in rows.contracts])
        rights = np.array([contract.right for contract in rows.contracts])
        columns = {name: getattr(rows, name) for name in ("minute", "bid", "ask", "bid_size", "ask_size", "spot")}
        parts.append(pl.DataFrame({"strike": strikes[rows.which], "right": rights[rows.which], **columns}))
    return pl.concat(parts)


@pytest.fixture(scope="module")
def friday() -> pl.DataFrame:
    return quotes(SyntheticMarket(1, "small"), FRIDAY)


def test_the_same_seed_gives_the_same_market_in_any_order_and_from_any_thread() -> None:
    asked = [(DAY, DAY), (DAY, FRIDAY), (date(2024, 1, 17), FRIDAY)]
    walk.minutes.cache_clear()
    forward = [quotes(SyntheticMarket(3, "small"), expiration, day) for day, expiration in asked]
    walk.minutes.cache_clear()
    backward = [quotes(SyntheticMarket(3, "small"), expiration, day) for day, expiration in reversed(asked)]
    with ThreadPoolExecutor(4) as pool:
        market = SyntheticMarket(3, "small")
        threaded = list(pool.map(lambda pair: quotes(market, pair[1], pair[0]), asked * 2))
    for i, table in enumerate(forward):
        assert table.equals(backward[2 - i])
        assert table.equals(threaded[i])
        assert table.equals(threaded[i + 3])


def test_another_seed_gives_another_market(friday: pl.DataFrame) -> None:
    assert not quotes(SyntheticMarket(2, "small"), FRIDAY).equals(friday)


def test_one_contract_asked_alone_has_the_rows_it_has_among_all(friday: pl.DataFrame) -> None:
    market = SyntheticMarket(1, "small")
    (alone,) = market.quotes("SPXW", DAY, FRIDAY, [Contract(4800000, "P")])
    among = friday.filter(strike=4800000, right="P")
    assert alone.bid.tolist() == among["bid"].to_list()
    assert alone.ask_size.tolist() == among["ask_size"].to_list()


@pytest.mark.parametrize(
    ("day", "expiration", "root", "minutes"),
    [
        ("2024-01-16", "2024-01-16", "SPXW", 391),
        ("2024-01-16", "2024-01-19", "SPXW", 406),
        ("2023-07-03", "2023-07-03", "SPXW", 211),
        ("2023-07-03", "2023-07-05", "SPXW", 226),
        ("2024-01-18", "2024-01-19", "SPX", 406),
    ],
)
def test_every_contract_has_every_minute_of_its_session(day: str, expiration: str, root: str, minutes: int) -> None:
    table = quotes(SyntheticMarket(1, "small"), date.fromisoformat(expiration), date.fromisoformat(day), root)
    counts = table.group_by("strike", "right").agg(pl.len(), pl.col("minute").n_unique().alias("minutes"))
    assert counts["len"].unique().to_list() == [minutes]
    assert counts["minutes"].unique().to_list() == [minutes]


def test_an_am_settled_expiration_is_not_quoted_on_its_day() -> None:
    market = SyntheticMarket(1, "small")
    assert FRIDAY not in market.live("SPX", FRIDAY)
    assert FRIDAY in market.live("SPXW", FRIDAY)


def test_prices_are_on_the_exchanges_grid(friday: pl.DataFrame) -> None:
    for side in ("bid", "ask"):
        cents = friday[side]
        assert (cents % 5 == 0).all()
        assert (cents.filter(cents >= 300) % 10 == 0).all()


def test_a_bid_is_zero_if_and_only_if_its_size_is(friday: pl.DataFrame) -> None:
    assert ((friday["bid"] == 0) == (friday["bid_size"] == 0)).all()
    quoted = friday.filter(pl.col("minute") > 570)
    assert (quoted["bid"] == 0).any()
    assert (quoted["ask"] > 0).all()
    assert (quoted["ask_size"] > 0).all()


def test_the_first_row_of_every_contract_is_empty(friday: pl.DataFrame) -> None:
    first = friday.filter(minute=570).select("bid", "ask", "bid_size", "ask_size")
    assert first.sum().row(0) == (0, 0, 0, 0)
    assert len(first) == len(friday) / 406


def test_crossed_quotes_are_rare_and_cross_by_ten_cents_at_most() -> None:
    market = SyntheticMarket(1, "small")
    table = pl.concat([quotes(market, expiration) for expiration in market.live("SPXW", DAY)])
    crossed = table.filter(pl.col("bid") > pl.col("ask"))
    assert 0 < len(crossed) < 0.004 * len(table)
    assert (crossed["bid"] - crossed["ask"]).max() <= 10  # type: ignore[operator]


def test_spreads_are_wide_where_recorded_ones_are() -> None:
    market = SyntheticMarket(1, "full")
    table = quotes(market, FRIDAY).with_columns(spread=pl.col("ask") - pl.col("bid"))
    daytime = table.filter(pl.col("minute").is_between(576, 945))
    near = daytime.filter((pl.col("strike") / 1000 - pl.col("spot")).abs() < 100)
    deep = daytime.filter((pl.col("strike") < 4000000) & (pl.col("right") == "C"))
    assert 10 <= near["spread"].median() <= 80  # type: ignore[operator]
    assert near["spread"].quantile(0.99) < 1000  # type: ignore[operator]
    assert deep["spread"].median() > 3 * near["spread"].median()  # type: ignore[operator]


def test_spreads_blow_up_in_the_last_minutes_of_the_expiring_chain() -> None:
    table = quotes(SyntheticMarket(1, "small"), DAY).with_columns(spread=pl.col("ask") - pl.col("bid"))
    noon = table.filter(pl.col("minute").is_between(720, 780))["spread"].mean()
    end = table.filter(pl.col("minute") >= 955)["spread"].mean()
    assert end > 3 * noon  # type: ignore[operator]


def test_calls_cost_less_and_puts_more_as_the_strike_rises(friday: pl.DataFrame) -> None:
    noon = friday.filter(minute=720).with_columns(mid=(pl.col("bid") + pl.col("ask")) / 2).sort("strike")
    spread = (noon["ask"] - noon["bid"]).to_numpy().max()
    for right, sign in (("C", -1), ("P", 1)):
        steps = noon.filter(right=right)["mid"].diff().drop_nulls().to_numpy() * sign
        assert (steps > -spread).all()
        assert steps.mean() > 0


def test_the_index_goes_on_overnight_where_it_closed() -> None:
    closes = [walk.minutes(1, day).spot[390] for day in (date(2024, 1, 16), date(2024, 1, 17))]
    opening = walk.minutes(1, date(2024, 1, 17)).spot[0]
    assert abs(opening / closes[0] - 1) < 0.02
    assert closes[0] == pytest.approx(walk.close_before(1, date(2024, 1, 17)), abs=0.01)


@pytest.mark.parametrize("seed", [1, 2, 3, 99])
def test_the_index_stands_near_4750_in_january_2024(seed: int) -> None:
    assert walk.minutes(seed, DAY).spot[390] == pytest.approx(4750, rel=0.08)


@pytest.mark.parametrize("seed", [1, 2, 3, 99])
def test_the_strike_4750_is_always_listed_that_week(seed: int) -> None:
    assert Contract(4750000, "C") in SyntheticMarket(seed, "small").contracts("SPXW", DAY, FRIDAY)


def test_the_index_stands_still_after_its_close() -> None:
    for day, close in ((DAY, 390), (date(2023, 7, 3), 210)):
        spot = walk.minutes(1, day).spot
        assert len(set(spot[close:].tolist())) == 1
        assert len(set(spot[:close].tolist())) > close / 2


def test_strikes_are_unsorted_and_irregular() -> None:
    found = ladders.strikes(1, "full", "SPXW", FRIDAY)
    assert list(found) != sorted(found)
    assert {b - a for a, b in zip(sorted(found), sorted(found)[1:], strict=False)} >= {
        5000,
        10000,
        25000,
        50000,
        100000,
    }


def test_contracts_are_unsorted_and_both_rights_of_every_strike() -> None:
    found = ladders.contracts(1, "full", "SPXW", FRIDAY)
    assert list(found) != sorted(found)
    assert sorted(found) == sorted(Contract(k, r) for k in ladders.strikes(1, "full", "SPXW", FRIDAY) for r in "CP")


def test_a_full_day_is_about_forty_expirations_and_eight_million_rows() -> None:
    market = SyntheticMarket(1, "full")
    live = market.live("SPXW", DAY)
    rows = sum(len(market.contracts("SPXW", DAY, item)) * (391 if item == DAY else 406) for item in live)
    assert 38 <= len(live) <= 45
    assert 7.5e6 < rows < 9e6


def test_a_small_day_is_a_few_expirations_of_some_forty_strikes() -> None:
    market = SyntheticMarket(1, "small")
    live = market.live("SPXW", DAY)
    assert live == [date(2024, 1, day) for day in (16, 17, 18, 19)]
    assert all(30 <= len(market.strikes("SPXW", item)) <= 55 for item in live)


def test_nothing_is_known_of_closed_days_and_unknown_roots() -> None:
    market = SyntheticMarket(1, "small")
    assert market.live("SPXW", date(2024, 1, 15)) == []
    assert market.live("XYZ", DAY) == []
    assert market.contracts("SPXW", DAY, date(2024, 1, 20)) == []
    assert market.strikes("SPXW", expirations.BOGUS) == []


@given(st.floats(0, 7000))
def test_the_nearest_price_of_the_grid_is_near(dollars: float) -> None:
    cents = int(quoting.on_grid(np.array([dollars]))[0])
    assert abs(cents / 100 - dollars) <= 0.0501
    assert cents % (10 if cents >= 300 else 5) == 0
