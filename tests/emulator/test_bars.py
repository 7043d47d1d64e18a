import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spxdata.emulator import bars
from spxdata.emulator.rows import Contract, Trades

#: A trade: its bar, its price in cents, its size.
TRADES = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 100_000), st.integers(1, 500)), max_size=40)


def made(found: list[tuple[int, int, int]]) -> Trades:
    """Trades of one contract, a second apart."""
    numbers = np.array(found, dtype=np.int32).reshape(len(found), 3).T
    which = np.zeros(len(found), dtype=np.int32)
    time = 34_200_000 + 1000 * np.arange(len(found), dtype=np.int32)
    return Trades((Contract(4_750_000, "C"),), which, time, which, which, numbers[2], which, numbers[1])


@given(TRADES)
def test_a_bar_is_what_its_trades_add_up_to(found: list[tuple[int, int, int]]) -> None:
    found.sort(key=lambda trade: trade[0])
    trades = made(found)
    sums = bars.summed(trades, np.array([place for place, _, _ in found], dtype=np.int32), 10)
    for bar in range(10):
        prices = [price for place, price, _ in found if place == bar]
        sizes = [size for place, _, size in found if place == bar]
        expected = (prices[0], max(prices), min(prices), prices[-1]) if prices else (0, 0, 0, 0)
        assert (sums.open[bar], sums.high[bar], sums.low[bar], sums.close[bar]) == expected
        assert (sums.count[bar], sums.volume[bar]) == (len(prices), sum(sizes))
        assert sums.worth[bar] == sum(price * size for price, size in zip(prices, sizes, strict=True))
    assert sums.count.sum() == len(found)


@given(TRADES)
def test_the_average_is_that_of_the_day_so_far(found: list[tuple[int, int, int]]) -> None:
    found.sort(key=lambda trade: trade[0])
    sums = bars.summed(made(found), np.array([place for place, _, _ in found], dtype=np.int32), 10)
    averages = bars.average(sums, 1)
    for bar in range(10):
        so_far = [(price, size) for place, price, size in found if place <= bar]
        volume = sum(size for _, size in so_far)
        worth = sum(price * size for price, size in so_far)
        assert abs(averages[bar] - (worth / volume / 100 if volume else 0.0)) <= 0.0051
