"""A chain of recorded quotes has the rows that a few lines of pandas find in the source files."""

import random
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from spxdata import Emulator, download
from spxdata.analysis.archive import Archive, open_archive
from spxdata.sessions import NEW_YORK

DAY = date(2021, 1, 4)
#: Five minutes of the day, chosen once and for all by a fixed seed.
MINUTES = sorted(random.Random(20210104).sample(range(571, 961), 5))  # noqa: S311 - a choice, not a secret


@pytest.fixture(scope="module")
def quotes(reference: Path) -> Path:
    """Return the folder of the source files."""
    return reference / "realdata" / "theta_v2_quote"


@pytest.fixture(scope="module")
def archive(quotes: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """Return an archive of the recorded quotes alone, by way of a Terminal that replays them."""
    folder = tmp_path_factory.mktemp("recorded")
    with Emulator(replay=quotes) as terminal:
        download(
            DAY, datasets=["quote"], data_dir=folder, terminal=terminal.url, environ={"SPXDATA_TERMINAL__PACING": "0"}
        )
    with open_archive(folder) as found:
        yield found


def with_pandas(quotes: Path, minute: int) -> list[tuple[object, ...]]:
    """Return each contract's last quote at or before a minute, from the source files."""
    source = pd.concat([pd.read_csv(file) for file in sorted(quotes.glob("SPXW_20210104_*.csv"))])
    past = source[(source.ms_of_day <= minute * 60_000) & ((source.bid != 0) | (source.ask != 0))]
    last = past.sort_values("ms_of_day", kind="stable").groupby(["expiration", "strike", "right"]).last().reset_index()
    last["expiration"] = pd.to_datetime(last.expiration.astype(str), format="%Y%m%d").dt.date
    last["right"] = last.right.map({"C": "CALL", "P": "PUT"})
    last["strike"] = last.strike / 1000
    return list(last[["expiration", "strike", "right", "bid", "ask", "ms_of_day"]].itertuples(index=False, name=None))


@pytest.mark.parametrize("minute", MINUTES)
def test_it_has_the_rows_of_the_source(minute: int, quotes: Path, archive: Archive) -> None:
    """Every contract, with the quote that was known."""
    midnight = datetime.combine(DAY, datetime.min.time(), NEW_YORK)
    found = archive.chain(midnight + timedelta(minutes=minute))
    at = (pl.col("timestamp").dt.hour().cast(pl.Int64) * 60 + pl.col("timestamp").dt.minute()) * 60_000
    told = found.with_columns(pl.col("right").cast(pl.String), at.alias("ms"))
    expected = with_pandas(quotes, minute)
    assert told.select("expiration", "strike", "right", "bid", "ask", "ms").rows() == sorted(expected)
    assert expected


def test_greeks_are_our_own_with_parity_as_the_underlying(
    archive: Archive, reference: Path, record_property: Callable[[str, object], None]
) -> None:
    """There is nothing but quotes: the underlying follows from them, and lies at the recorded index."""
    index = (
        pd.read_csv(reference / "realdata" / "theta_v2_index_price" / "SPX_20210104.csv").set_index("ms_of_day").price
    )
    worst = 0.0
    for minute in MINUTES:
        found = archive.chain(datetime.combine(DAY, datetime.min.time(), NEW_YORK) + timedelta(minutes=minute))
        assert set(found["underlying_source"].drop_nulls()) <= {"parity"}
        solved = found.filter(pl.col("implied_vol").is_not_null())
        assert set(solved["implied_vol_source"]) == {"ours"}
        assert set(solved["gamma_source"]) == {"ours"}
        assert solved["implied_vol"].is_between(0.03, 3.0).all()
        assert (solved["gamma"] > 0).all()
        calls = solved.filter(pl.col("right") == "CALL")["delta"]
        assert calls.is_between(0.0, 1.0).all()
        spots = found["underlying"].drop_nulls()
        worst = max(worst, *((spot / index[minute * 60_000] - 1) for spot in spots), key=abs)
    record_property("figure", f"parity against the recorded index at five minutes of {DAY}: {worst:+.5f} at most")
    assert abs(worst) < 0.002
