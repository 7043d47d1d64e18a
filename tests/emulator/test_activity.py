from datetime import date

import numpy as np
import pytest

from spxdata.emulator import activity, ladders
from spxdata.emulator.synthetic import SyntheticMarket

DAY, FRIDAY = date(2024, 1, 16), date(2024, 1, 19)


def test_much_is_traded_near_the_money_and_nothing_in_many_far_contracts() -> None:
    traded = activity.of_day(1, "full", "SPXW", DAY, FRIDAY)
    strikes = np.array([contract.strike for contract in ladders.contracts(1, "full", "SPXW", FRIDAY)]) / 1000
    near, far = np.abs(strikes / 4737 - 1) < 0.01, np.abs(strikes / 4737 - 1) > 0.08
    assert np.median(traded.count[near]) > 20
    assert np.mean(traded.count[far] == 0) > 0.9
    assert np.median(traded.size) <= 3
    assert traded.size.min() >= 1


def test_less_is_traded_the_farther_the_expiration_is() -> None:
    market = SyntheticMarket(1, "full")
    counts = [
        int(activity.of_day(1, "full", "SPXW", DAY, expiration).count.sum())
        for expiration in market.live("SPXW", DAY)[::10]
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 5 * counts[-1]


def test_a_full_day_has_a_few_hundred_thousand_trades_at_most() -> None:
    market = SyntheticMarket(1, "full")
    total = sum(
        int(activity.of_day(1, "full", root, DAY, expiration).count.sum())
        for root in market.roots()
        for expiration in market.live(root, DAY)
    )
    assert 100_000 < total < 400_000


def test_lively_contracts_of_the_small_chain_have_tens_of_trades() -> None:
    count = activity.of_day(1, "small", "SPXW", DAY, DAY).count
    assert 20 <= np.sort(count)[-5] <= 300


@pytest.mark.parametrize(("chain", "expiration"), [("small", FRIDAY), ("full", date(2024, 2, 16))])
def test_open_interest_changes_by_no_more_than_the_volume_and_is_never_negative(chain: str, expiration: date) -> None:
    days = tuple(SyntheticMarket(1, chain).days("SPXW", expiration))
    held = activity.open_interest(1, chain, "SPXW", expiration, days)
    assert list(held)[: len(days)] == list(days)
    values = list(held.values())
    for day, before, after in zip(days, values[:-1], values[1:], strict=True):
        volume = activity.of_day(1, chain, "SPXW", day, expiration).volume()
        assert (np.abs(after - before) <= volume).all()
        assert (after >= 0).all()
        assert (after != before).any()
    assert (values[0] == 0).any()
    assert (values[0] > 0).any()


def test_volume_adds_up_the_sizes_of_each_contract() -> None:
    traded = activity.Activity(np.array([2, 0, 1], dtype=np.int32), np.array([3, 4, 5], dtype=np.int32))
    assert traded.volume().tolist() == [7, 0, 5]
