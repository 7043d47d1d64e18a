from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from spxdata.emulator import ticking
from spxdata.emulator.rows import MS_A_MINUTE, Rows
from spxdata.emulator.synthetic import SyntheticMarket
from spxdata.emulator.walk import generator

DAY, FRIDAY = date(2024, 1, 16), date(2024, 1, 19)


@pytest.fixture(scope="module")
def minutes() -> Rows:
    """The quotes of one block, minute by minute."""
    market = SyntheticMarket(1, "small")
    return next(market.quotes("SPXW", DAY, FRIDAY, market.contracts("SPXW", DAY, FRIDAY)))


@pytest.fixture(scope="module")
def ticks(minutes: Rows) -> Rows:
    count = len(minutes.contracts)
    return ticking.ticks(generator(1), minutes, count, np.arange(count, dtype=np.int32))


def test_every_minute_is_the_last_tick_at_or_before_it(minutes: Rows, ticks: Rows) -> None:
    places = ticking.in_force(ticks, minutes.which, minutes.time, exclusive=False)
    opening = minutes.time == minutes.time[0]
    assert (places[opening] == -1).all()
    for name in ("bid", "ask", "bid_size", "ask_size"):
        assert (getattr(ticks, name)[places[~opening]] == getattr(minutes, name)[~opening]).all()


def test_sampling_at_minutes_gives_the_minutes_back(minutes: Rows, ticks: Rows) -> None:
    chosen = np.arange(len(minutes.contracts), dtype=np.int32)
    grid = minutes.time[: len(minutes) // len(chosen)]
    sampled = ticking.sampled(ticks, grid, chosen)
    for name in ("which", "time", "bid", "ask", "bid_size", "ask_size"):
        assert (getattr(sampled, name) == getattr(minutes, name)).all()


def test_ticks_are_quotes_of_the_grid_with_a_size_for_every_price(ticks: Rows) -> None:
    assert ((ticks.bid == 0) == (ticks.bid_size == 0)).all()
    assert (ticks.ask > 0).all()
    assert (ticks.ask_size > 0).all()
    for side in (ticks.bid, ticks.ask):
        assert (side % 5 == 0).all()
        assert (side[side >= 300] % 10 == 0).all()
    assert np.mean(ticks.bid > ticks.ask) < 0.005


def test_ticks_rise_in_time_within_each_contract(ticks: Rows) -> None:
    same = np.diff(ticks.which) == 0
    assert (np.diff(ticks.which) >= 0).all()
    assert (np.diff(ticks.time)[same] >= 0).all()
    assert np.mean(ticks.time % MS_A_MINUTE == 0) < 0.01


def test_one_contract_has_the_ticks_it_has_among_all(minutes: Rows, ticks: Rows) -> None:
    alone = ticking.ticks(generator(1), minutes, len(minutes.contracts), np.array([3], dtype=np.int32))
    among = ticks.pick(ticks.which == 3)
    for name in ("which", "time", "bid", "ask", "bid_size", "ask_size"):
        assert (getattr(alone, name) == getattr(among, name)).all()


def test_the_quote_in_force_is_never_another_contracts(minutes: Rows, ticks: Rows) -> None:
    which = np.array([0, 1, 1, 1], dtype=np.int32)
    first = int(ticks.time[ticks.which == 1][0])
    time = np.array([80_000_000, first - 1, first, first], dtype=np.int32)
    found = ticking.in_force(ticks, which, time, exclusive=False)
    assert ticks.which[found[0]] == 0
    assert found[1] == -1
    assert ticks.time[found[2]] == first
    assert ticking.in_force(ticks, which, time, exclusive=True)[3] == -1
    nothing = replace(ticks, which=ticks.which[:0], time=ticks.time[:0])
    assert ticking.in_force(nothing, which[:0], time[:0], exclusive=True).tolist() == []
    assert len(minutes) > 0
