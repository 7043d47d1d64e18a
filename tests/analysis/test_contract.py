"""A contract's history: every dataset's rows of it, joined in time without looking ahead."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from spxdata.analysis.archive import Archive
from spxdata.analysis.contract import named
from spxdata.errors import ConfigError
from spxdata.model import Right
from tests.analysis.test_archive import held

NAME = "SPXW 2024-01-18 4750 C"
IT = (pl.col("strike") == 4750) & (pl.col("right") == "CALL")


@pytest.mark.parametrize("text", [NAME, "spxw 20240118 4750.0 call", "  SPXW 2024-01-18 4750C "])
def test_a_name_is_read_in_every_spelling(text: str) -> None:
    assert named(text) == ("SPXW", date(2024, 1, 18), 4750.0, Right.CALL)


@pytest.mark.parametrize("text", ["SPXW", "SPXW 2024-01-18 4750 X", "SPXW 2024-13-18 4750 C", "4750 C"])
def test_what_is_no_contract_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        named(text)


def test_it_has_a_row_for_each_time_that_quotes_or_greeks_have(archive: Archive, folder: Path) -> None:
    """Both days of it, with the numbers of each."""
    found = archive.contract(NAME, flags="all")
    quotes = held(folder, "2*/spxw_quote_exp_20240118*").filter(IT)
    greeks = held(folder, "2*/spxw_exp_20240118*").filter(IT)
    times = sorted({*quotes["timestamp"], *greeks["timestamp"]})
    assert found["timestamp"].to_list() == times
    joined = found.join(quotes.select("timestamp", pl.col("bid").alias("quoted")), on="timestamp")
    assert (joined["bid"] == joined["quoted"]).all()
    joined = found.join(greeks.select("timestamp", pl.col("delta").alias("told")), on="timestamp")
    assert (joined["delta"] == joined["told"]).all()
    assert set(found["trade_date"]) == {date(2024, 1, 16), date(2024, 1, 17)}


def test_last_and_volume_are_those_of_the_day_so_far(archive: Archive, folder: Path) -> None:
    found = archive.contract(NAME, start="2024-01-16", end="2024-01-16")
    trades = held(folder, "20240116/spxw_trade_exp_20240118*").filter(IT).sort("timestamp", maintain_order=True)
    for row in found.sample(25, seed=1).iter_rows(named=True):
        past = trades.filter(pl.col("timestamp") <= row["timestamp"])
        assert row["volume"] == (past["size"].sum() if past.height else None)
        assert row["last"] == (past["price"][-1] if past.height else None)
    assert found["volume"].drop_nulls().is_sorted()


def test_open_interest_and_index_stand_beside_it(archive: Archive, folder: Path) -> None:
    found = archive.contract(NAME, start="2024-01-16", end="2024-01-16")
    index = held(folder, "20240116/spx_index_price*").select("timestamp", pl.col("price").alias("told"))
    joined = found.join(index, on="timestamp")
    assert joined.height > 300
    assert (joined["index_price"] == joined["told"]).all()
    interest = held(folder, "20240116/spxw_open_interest*").filter(IT, pl.col("expiration") == date(2024, 1, 18))
    assert set(found["open_interest"]) == set(interest["open_interest"]) or interest.is_empty()


def test_what_the_archive_does_not_have_is_named(archive: Archive) -> None:
    with pytest.raises(ConfigError, match="nothing of SPXW 2030-01-18 4750 CALL"):
        archive.contract("SPXW 2030-01-18 4750 C")
