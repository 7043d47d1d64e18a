"""Smiles, term structure and surface: what was quoted comes back, nothing is invented outside of it."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from spxdata.analysis.archive import Archive
from spxdata.analysis.smile import butterflies, smile, surface, term_structure
from spxdata.errors import ConfigError

DAY = date(2024, 1, 16)


def flat(volatility: float = 0.2, days: tuple[int, ...] = (10, 20, 30), skew: float = 0.0) -> pl.DataFrame:
    """Return smiles that are straight lines in log-moneyness."""
    points = np.linspace(-0.2, 0.1, 31)
    parts = []
    for dte in days:
        implied = volatility + skew * points
        parts.append(
            pl.DataFrame(
                {
                    "expiration": [DAY + timedelta(days=dte)] * len(points),
                    "years": dte / 365,
                    "forward": 4750.0,
                    "log_moneyness": points,
                    "total_variance": implied**2 * dte / 365,
                }
            )
        )
    return pl.concat(parts)


NO_QUOTES = pl.DataFrame(
    schema={"expiration": pl.Date, "right": pl.String, "strike": pl.Float64, "bid": pl.Float64, "ask": pl.Float64}
).with_columns(pl.lit(None, pl.Float64).alias("mid"))


def test_the_term_structure_is_the_volatility_at_the_forward() -> None:
    found = term_structure(flat(0.2, skew=-0.5))
    assert found["implied_vol"].to_list() == pytest.approx([0.2] * 3, rel=1e-3)
    one_sided = flat().filter(pl.col("log_moneyness") < -0.01)
    assert term_structure(one_sided).is_empty()


def test_a_grid_point_between_expirations_is_linear_in_total_variance() -> None:
    """And one that is an expiration's own is just that."""
    found = surface(flat(0.2), NO_QUOTES, DAY, [-0.1, 0.0], [10, 15, 20])
    assert found.grid["implied_vol"].to_list() == pytest.approx([0.2] * 6, rel=1e-9)
    assert found.grid["years"].to_list() == pytest.approx([days / 365 for days in (10, 10, 15, 15, 20, 20)])
    assert found.is_free_of_arbitrage


def test_nothing_is_extrapolated() -> None:
    """Neither in strike nor in time: such points are null."""
    found = surface(flat(days=(10, 20)), NO_QUOTES, DAY, [-0.3, 0.0, 0.2], [5, 10, 25]).grid
    filled = found.filter(pl.col("implied_vol").is_not_null())
    assert filled.select("dte", "log_moneyness").rows() == [(10, 0.0)]


def test_crossing_expirations_are_calendar_arbitrage() -> None:
    low = flat(0.4, days=(10,)).vstack(flat(0.1, days=(20,)))
    found = surface(low, NO_QUOTES, DAY, [-0.1, 0.0], [])
    assert found.calendar.select("expiration", "log_moneyness").rows() == [
        (DAY + timedelta(days=10), -0.1),
        (DAY + timedelta(days=10), 0.0),
    ]
    assert found.calendar["amount"].to_list() == pytest.approx([0.4**2 * 10 / 365 - 0.1**2 * 20 / 365] * 2, rel=1e-6)
    assert not found.is_free_of_arbitrage


@pytest.mark.parametrize(("middle", "executable"), [(17.0, True), (15.3, False), (12.5, None)])
def test_a_middle_above_its_wings_is_a_butterfly(middle: float, executable: bool | None) -> None:
    """It can be executed only if bids and asks allow it."""
    mids = {4700.0: 20.0, 4725.0: middle, 4775.0: 5.0}
    chain = pl.DataFrame(
        {
            "expiration": [DAY] * 3,
            "right": ["CALL"] * 3,
            "strike": list(mids),
            "bid": [mid - 0.5 for mid in mids.values()],
            "ask": [mid + 0.5 for mid in mids.values()],
            "mid": list(mids.values()),
        }
    )
    found = butterflies(chain)
    assert found["executable"].to_list() == ([] if executable is None else [executable])
    if executable is not None:
        line = 20.0 * 2 / 3 + 5.0 / 3
        assert found["amount"].item() == pytest.approx(middle - line)
        assert found["strike"].item() == 4725.0


class TestOfAnArchive:
    """By way of the archive."""

    def test_a_smile_has_the_half_out_of_the_money(self, archive: Archive) -> None:
        found = archive.smile("2024-01-16 10:30", expiration="2024-01-18")
        puts, calls = (found.filter(pl.col("right") == right) for right in ("PUT", "CALL"))
        assert (puts["strike"] < puts["forward"]).all()
        assert (calls["strike"] >= calls["forward"]).all()
        assert puts.height > 10
        assert calls.height > 3
        assert found["strike"].is_sorted()
        assert archive.smile("2024-01-16 10:30", expiration="2024-01-18", axis="delta")["delta"].is_sorted()
        with pytest.raises(ConfigError, match="axis"):
            archive.smile("2024-01-16 10:30", axis="gamma")

    def test_forward_and_term_structure_have_a_row_for_each_expiration(self, archive: Archive) -> None:
        forwards = archive.forward("2024-01-16 10:30")
        terms = archive.term_structure("2024-01-16 10:30")
        assert forwards["expiration"].to_list() == terms["expiration"].to_list()
        assert forwards.height == 4
        assert terms["implied_vol"].is_between(0.05, 0.6).all()
        index = archive.chain("2024-01-16 10:30")["underlying"][0]
        assert (forwards["spot"] - index).abs().max() < 3.0

    def test_the_emulated_market_has_no_arbitrage_that_can_be_executed(self, archive: Archive) -> None:
        found = archive.surface("2024-01-16 10:30")
        assert found.is_free_of_arbitrage
        assert found.grid["implied_vol"].drop_nulls().len() > 30


def test_a_smile_is_not_mixed_across_expirations() -> None:
    """Each one has its own forward."""
    chain = pl.DataFrame(
        {
            "expiration": [DAY, DAY + timedelta(days=1)],
            "strike": [4750.0, 4750.0],
            "right": ["CALL", "CALL"],
            "delta": [0.5, 0.5],
            "bid": [1.0, 1.0],
            "ask": [1.2, 1.2],
            "mid": [1.1, 1.1],
            "implied_vol": [0.2, 0.2],
            "implied_vol_source": ["ours", "ours"],
        }
    )
    forwards = pl.DataFrame({"expiration": chain["expiration"], "years": [0.001, 0.004], "forward": [4740.0, 4760.0]})
    assert smile(chain, forwards)["expiration"].to_list() == [DAY]
