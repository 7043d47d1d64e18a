"""A chain is what was known at its moment, and says of every number where it comes from."""

from datetime import date, datetime, time, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from spxdata import Emulator, download
from spxdata.analysis.archive import Archive, open_archive
from spxdata.analysis.chain import COLUMNS
from spxdata.errors import ConfigError
from spxdata.sessions import NEW_YORK
from tests.analysis.conftest import QUICK, START
from tests.analysis.test_archive import DAY, held

CONTRACT = ["expiration", "strike", "right"]
EXPIRATION = date(2024, 1, 18)
UNCLEAN = 1 << 2 | 1 << 8 | 1 << 13 | 1 << 6


def moment(minute: int) -> datetime:
    """Return a minute of the day as a moment."""
    return datetime.combine(DAY, time(minute // 60, minute % 60), NEW_YORK)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(minute=st.integers(571, 975), seconds=st.integers(0, 59))
def test_nothing_in_it_is_later_than_its_moment(minute: int, seconds: int, archive: Archive, folder: Path) -> None:
    """Computed from the rows up to the moment alone, it is the same."""
    at = moment(minute) + timedelta(seconds=seconds)
    found = archive.chain(at, expiration=EXPIRATION)
    past = pl.col("timestamp") <= at
    clean = (pl.col("flags") & UNCLEAN) == 0

    def last(pattern: str) -> pl.DataFrame:
        rows = held(folder, pattern).filter(past, clean).sort("timestamp", maintain_order=True)
        return rows.group_by(CONTRACT).last().sort(CONTRACT)

    quotes = last("20240116/spxw_quote_exp_20240118*")
    assert_frame_equal(
        found.select(*CONTRACT, "timestamp", "bid", "ask"), quotes.select(*CONTRACT, "timestamp", "bid", "ask")
    )
    greeks = last("20240116/spxw_exp_20240118*").filter(pl.col("implied_vol") > 0)
    ours = found.filter(pl.col("implied_vol_source") == "greeks")
    names = [*CONTRACT, "implied_vol", "delta", "theta", "vega", "rho"]
    assert_frame_equal(ours.select(names), greeks.select(names))
    trades = (
        held(folder, "20240116/spxw_trade_exp_20240118*").filter(past, clean).sort("timestamp", maintain_order=True)
    )
    sums = trades.group_by(CONTRACT).agg(pl.col("price").last(), pl.col("size").sum()).sort(CONTRACT)
    traded = found.filter(pl.col("volume").is_not_null())
    assert traded.select(*CONTRACT, "last", "volume").rows() == sums.select(*CONTRACT, "price", "size").rows()
    index = held(folder, "20240116/spx_index_price*").filter(past)["price"]
    assert set(found["underlying"]) == {index[-1]}


def test_it_has_one_row_for_each_contract_in_the_documented_columns(archive: Archive) -> None:
    found = archive.chain("2024-01-16 10:30")
    assert found.select(CONTRACT).is_duplicated().sum() == 0
    assert dict(found.schema) == COLUMNS
    assert found.select(CONTRACT).rows() == sorted(found.select(CONTRACT).rows())
    assert (found["dte"] == (found["expiration"] - DAY).dt.total_days()).all()
    assert found["moneyness"].to_list() == pytest.approx((found["strike"] / found["underlying"]).to_list())


def test_contracts_are_chosen_as_in_a_scan(archive: Archive) -> None:
    found = archive.chain("2024-01-16 10:30", dte=(1, 2), right="put", moneyness=(0.98, 1.0))
    assert set(found["dte"]) == {1, 2}
    assert set(found["right"]) == {"PUT"}
    assert found["moneyness"].is_between(0.98, 1.0).all()


def test_a_bar_counts_once_it_is_over(tmp_path: Path, terminal: Emulator) -> None:
    """Its time is its beginning: at 10:30 the bar of 10:30 is not known."""
    download(START, datasets=["quote", "ohlc"], max_dte=0, data_dir=tmp_path, terminal=terminal.url, environ=QUICK)
    bars = held(tmp_path, "2*/spxw_ohlc_*").filter(pl.col("timestamp") < moment(630), pl.col("volume") > 0)
    sums = bars.sort("timestamp").group_by(CONTRACT).agg(pl.col("close").last(), pl.col("volume").sum()).sort(CONTRACT)
    with open_archive(tmp_path) as archive:
        found = archive.chain("2024-01-16 10:30").filter(pl.col("volume").is_not_null())
    assert set(found["last_source"]) == {"ohlc"}
    assert found.select(*CONTRACT, "last", "volume").rows() == sums.rows()


def test_open_interest_is_the_evening_before_s_from_a_quarter_to_seven(archive: Archive, folder: Path) -> None:
    """Known from 06:45; a chain of the day after's morning session has that day's."""
    for day, pattern in (("2024-01-16", "20240116"), ("2024-01-17", "20240117")):
        rows = held(folder, f"{pattern}/spxw_open_interest*").sort("timestamp").group_by(CONTRACT).last()
        told = {row[:3]: row[3] for row in rows.select(*CONTRACT, "open_interest").rows()}
        found = archive.chain(f"{day} 10:30").select(*CONTRACT, "open_interest").rows()
        assert {row[:3]: row[3] for row in found} == {row[:3]: told.get(row[:3]) for row in found}


def farthest(both: pl.DataFrame, name: str) -> float:
    """Return how far a number of two chains that were joined lies apart at most."""
    return float(both.select((pl.col(name) - pl.col(f"{name}_right")).abs().max()).item())


class TestOwnNumbers:
    """What the vendor's datasets lack is computed, and marked."""

    def test_gamma_is_that_of_the_vendor_s_own_dataset(
        self, terminal: Emulator, archive: Archive, tmp_path: Path
    ) -> None:
        """From first-order greeks, compared with all greeks of the same market."""
        download(START, datasets=["greeks_all"], max_dte=2, data_dir=tmp_path, terminal=terminal.url, environ=QUICK)
        own = archive.chain("2024-01-16 10:30", dte=(1, 2))
        with open_archive(tmp_path) as other:
            vendors = other.chain("2024-01-16 10:30", dte=(1, 2))
        assert set(own["gamma_source"].drop_nulls()) == {"ours"}
        both = own.join(vendors.filter(pl.col("gamma_source") == "greeks_all"), on=CONTRACT)
        assert both.height > 100
        assert farthest(both, "gamma") < 2e-4  # the vendor's have four digits, and another underlying's price

    def test_from_quotes_alone_come_volatility_greeks_and_the_underlying(
        self, terminal: Emulator, archive: Archive, tmp_path: Path
    ) -> None:
        """By parity, near what the vendor says wherever a bid tells something."""
        download(START, datasets=["quote"], max_dte=2, data_dir=tmp_path, terminal=terminal.url, environ=QUICK)
        with open_archive(tmp_path) as quotes:
            own = quotes.chain("2024-01-16 10:30", dte=(1, 2), rate=0.0531)
        assert set(own["underlying_source"]) == {"parity"}
        assert set(own["implied_vol_source"].drop_nulls()) == {"ours"}
        vendors = archive.chain("2024-01-16 10:30", dte=(1, 2)).filter(pl.col("implied_vol_source") == "greeks")
        both = own.join(vendors, on=CONTRACT).filter(
            pl.col("bid") > 0.5, pl.col("delta_right").abs().is_between(0.05, 0.95)
        )
        assert both.height > 50
        assert farthest(both, "underlying") < 1.0
        assert farthest(both, "implied_vol") < 0.01
        assert farthest(both, "delta") < 0.02

    def test_an_offer_without_a_bid_gives_no_volatility(self, terminal: Emulator, tmp_path: Path) -> None:
        download(START, datasets=["quote"], max_dte=1, data_dir=tmp_path, terminal=terminal.url, environ=QUICK)
        with open_archive(tmp_path) as quotes:
            found = quotes.chain("2024-01-16 15:30").filter(pl.col("bid") == 0)
        assert found.height > 0
        assert found["implied_vol"].null_count() == found.height
        assert found["greeks_source"].null_count() == found.height


def test_the_rate_of_a_day_is_not_known_on_that_day(archive: Archive) -> None:
    """It comes out at ten the day after: greeks of our own use the newest that was out."""
    from spxdata.analysis import asof
    from spxdata.analysis.asof import Moment

    shelf = archive._shelf
    assert asof.rate(shelf, Moment(moment(960), "SPXW", {})) is None
    known = datetime(2024, 1, 17, 10, 30, tzinfo=NEW_YORK)
    assert asof.rate(shelf, Moment(known, "SPXW", {})) == pytest.approx(0.0531, abs=0.005)
    assert asof.rate(shelf, Moment(known - timedelta(hours=1), "SPXW", {})) is None


def test_a_day_without_quotes_and_greeks_is_named(archive: Archive) -> None:
    with pytest.raises(ConfigError, match="neither quotes nor greeks"):
        archive.chain("2024-01-18 10:30")
