import io
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from spxdata.emulator import walk
from spxdata.emulator.rows import Contract
from spxdata.emulator.synthetic import SyntheticMarket

COLUMNS = ["bid", "ask", "bid_size", "ask_size"]


def bytes_a_row(table: pl.DataFrame) -> float:
    """What the four columns cost as zstd Parquet."""
    file = io.BytesIO()
    table.select(COLUMNS).write_parquet(file, compression="zstd")
    return len(file.getvalue()) / len(table)


def recorded(folder: Path) -> dict[tuple[date, date], pl.DataFrame]:
    """The recorded SPXW files by trade date and expiration."""
    tables = {}
    for path in sorted(folder.glob("SPXW_*.csv")):
        _, day, expiration = path.stem.split("_")
        types = {"bid": pl.Float64, "ask": pl.Float64, "bid_size": pl.Int32, "ask_size": pl.Int32}
        table = pl.read_csv(path, schema_overrides=types).sort("strike", "right", "ms_of_day")
        tables[date.fromisoformat(day), date.fromisoformat(expiration)] = table
    return tables


def emulated(market: SyntheticMarket, day: date, expiration: date, contracts: list[Contract]) -> pl.DataFrame:
    """Emulated rows in the same form, without the empty row of 09:30 that recorded files lack."""
    parts = []
    for rows in market.quotes("SPXW", day, expiration, contracts):
        strikes = np.array([contract.strike for contract in rows.contracts])
        rights = np.array([contract.right for contract in rows.contracts])
        parts.append(
            pl.DataFrame(
                {
                    "strike": strikes[rows.which],
                    "right": rights[rows.which],
                    "minute": rows.minute,
                    "bid": rows.bid / 100,
                    "ask": rows.ask / 100,
                    "bid_size": rows.bid_size,
                    "ask_size": rows.ask_size,
                }
            )
        )
    return pl.concat(parts).filter(pl.col("minute") > 570).sort("strike", "right", "minute")


@pytest.mark.reference
@pytest.mark.parametrize("seed", [1, 2])
def test_emulated_quotes_cost_what_recorded_ones_do_for_like_contracts(reference: Path, seed: int) -> None:
    """Same days and expirations, two strikes 100 points apart around the index, as the recorded files have them."""
    real = recorded(reference / "realdata/theta_v2_quote")
    market = SyntheticMarket(seed, "full")
    made = []
    for day, expiration in real:
        middle = round(walk.minutes(seed, day).spot[200] / 50) * 50
        four = [Contract((middle + offset) * 1000, right) for offset in (-50, 50) for right in "CP"]
        made.append(emulated(market, day, expiration, four))
    assert bytes_a_row(pl.concat(made)) == pytest.approx(bytes_a_row(pl.concat(real.values())), rel=0.20)


@pytest.mark.reference
@pytest.mark.parametrize("seed", [1, 2])
def test_the_whole_small_chain_costs_what_recorded_quotes_do(reference: Path, seed: int) -> None:
    real = recorded(reference / "realdata/theta_v2_quote")
    market = SyntheticMarket(seed, "small")
    made = [
        emulated(market, day, expiration, market.contracts("SPXW", day, expiration))
        for day in sorted({day for day, _ in real})
        for expiration in market.live("SPXW", day)
    ]
    assert bytes_a_row(pl.concat(made)) == pytest.approx(bytes_a_row(pl.concat(real.values())), rel=0.20)
