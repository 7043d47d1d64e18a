from datetime import date

import numpy as np
import pytest

from spxdata.emulator import trading
from spxdata.emulator.rows import Tape
from spxdata.emulator.synthetic import SyntheticMarket
from spxdata.emulator.ticking import in_force

DAY = date(2024, 1, 16)


@pytest.fixture(scope="module")
def tapes() -> list[Tape]:
    """All that happens in the front expiration of a full chain."""
    market = SyntheticMarket(1, "full")
    return list(market.tapes("SPXW", DAY, DAY, market.contracts("SPXW", DAY, DAY)))


def joined(tapes: list[Tape], name: str) -> "np.ndarray[tuple[int], np.dtype[np.int32]]":
    return np.concatenate([getattr(tape.trades, name) for tape in tapes])


def test_most_trades_are_inside_the_quote_before_them(tapes: list[Tape]) -> None:
    inside = []
    for tape in tapes:
        trades = tape.trades
        quote = in_force(tape.ticks, trades.which, trades.time, exclusive=True)
        assert (quote >= 0).all()
        inside.append((tape.ticks.bid[quote] <= trades.price) & (trades.price <= tape.ticks.ask[quote]))
    assert 0.88 < np.mean(np.concatenate(inside)) < 0.96


def test_trades_happen_in_the_session_and_most_at_its_ends(tapes: list[Tape]) -> None:
    time = joined(tapes, "time")
    assert time.min() > 34_200_000
    assert time.max() < 57_600_000
    hour = (time - 34_200_000) // 3_600_000
    assert np.mean(hour == 0) > 1.4 * np.mean(hour == 3)


def test_single_trades_are_on_the_grid_and_packages_on_cents(tapes: list[Tape]) -> None:
    price, condition = joined(tapes, "price"), joined(tapes, "condition")
    package = np.isin(condition, (130, 131))
    assert set(np.unique(condition)) == {18, 125, 126, 130, 131}
    assert (price[~package] % 5 == 0).all()
    assert np.mean(price[package] % 5 != 0) > 0.5
    assert price.min() > 0


def test_exchanges_are_a_handful_and_mostly_one(tapes: list[Tape]) -> None:
    exchange = joined(tapes, "exchange")
    assert 3 <= len(np.unique(exchange)) <= 6
    assert np.mean(exchange == 5) > 0.7


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("day", [date(2020, 3, 16), DAY, date(2025, 6, 20)])
def test_sequences_turn_negative_within_every_full_session(seed: int, day: date) -> None:
    base = trading.base_sequence(seed, day.toordinal())
    opening, close = (base + minute * 60_000 * 64 for minute in (570, 960))
    assert 0 < opening < 2**31 < close < 2**32


def test_trades_are_the_same_whichever_contracts_are_asked_for(tapes: list[Tape]) -> None:
    market = SyntheticMarket(1, "full")
    contract = market.traded("SPXW", DAY, DAY)[5]
    (alone,) = market.tapes("SPXW", DAY, DAY, [contract])
    (among,) = (tape for tape in tapes if contract in tape.quotes.contracts)
    keep = among.trades.which == among.trades.contracts.index(contract)
    for name in ("time", "sequence", "price", "size", "condition", "exchange"):
        assert (getattr(alone.trades, name) == getattr(among.trades, name)[keep]).all()
