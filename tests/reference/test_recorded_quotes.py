"""Recorded SPX and SPXW quotes, replayed by the emulator and downloaded by the command, against their source files."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from spxdata import Emulator

WEEK = ("2021-01-04", "2021-01-08")
VALUES = ("bid_size", "bid_exchange", "bid", "bid_condition", "ask_size", "ask_exchange", "ask", "ask_condition")
KEY = ("trade_date", "expiration", "strike", "right", "minute")


def source_rows(folder: Path, root: str, first: str, last: str) -> pl.DataFrame:
    """Read the recorded files of some days, in their own (v2) form, as key and values."""
    days = {f"{day:%Y%m%d}" for day in (date.fromisoformat(first), date.fromisoformat(last))}
    files = [
        path
        for path in sorted((folder / "realdata" / "theta_v2_quote").glob(f"{root}_*.csv"))
        if min(days) <= path.name.split("_")[1] <= max(days)
    ]
    return pl.concat(
        pl.read_csv(path, infer_schema_length=None).select(
            trade_date=pl.col("date").cast(pl.String).str.to_date("%Y%m%d"),
            expiration=pl.col("expiration").cast(pl.String).str.to_date("%Y%m%d"),
            strike=pl.col("strike") / 1000,
            right=pl.col("right").replace_strict({"C": "CALL", "P": "PUT"}),
            minute=(pl.col("ms_of_day") / 60_000).cast(pl.Int32),
            **{name: pl.col(name).cast(pl.Float64) for name in VALUES},
        )
        for path in files
    )


def archived_rows(folder: Path) -> pl.DataFrame:
    """Read what was stored, as any tool would: nothing but Parquet."""
    hour, minute = pl.col("timestamp").dt.hour(), pl.col("timestamp").dt.minute()
    return pl.concat(
        pl.read_parquet(path).select(
            "trade_date",
            "expiration",
            "strike",
            "right",
            minute=hour.cast(pl.Int32) * 60 + minute.cast(pl.Int32),
            **{name: pl.col(name).cast(pl.Float64) for name in VALUES},
        )
        for path in sorted(folder.glob("20*/*_quote_exp_*.parquet"))
    )


def differences(source: pl.DataFrame, stored: pl.DataFrame) -> int:
    """Count rows that only one side has, and values that differ."""
    both = source.join(stored, on=KEY, how="full", suffix="_stored", coalesce=True)
    unequal = [pl.col(name).ne_missing(pl.col(f"{name}_stored")) for name in VALUES]
    doubled = abs(source.height - stored.height)
    return doubled + int(both.select(pl.sum_horizontal(column.sum() for column in unequal)).item())


def spxdata(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, "-m", "spxdata", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def download(url: str, folder: Path, first: str, last: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Download recorded quotes."""
    dates = ("--start-date", first, "--end-date", last, "--dataset", "quote")
    return spxdata("download", *dates, "--terminal", url, "--data-dir", str(folder), *more)


def days(folder: Path) -> dict[str, dict[str, object]]:
    """Return the days' lines of `status --json`, by trade date."""
    lines = [json.loads(line) for line in spxdata("status", "--json", "--data-dir", str(folder)).stdout.splitlines()]
    return {line["day"]["trade_date"]: line for line in lines if "day" in line}


@pytest.fixture(scope="module")
def replay(reference: Path) -> Iterator[Emulator]:
    """Return a Terminal that serves the recorded quotes."""
    with Emulator(replay=reference / "realdata" / "theta_v2_quote") as terminal:
        yield terminal


@pytest.mark.parametrize(
    ("root", "first", "last", "rows"),
    [("SPXW", *WEEK, 14_111), ("SPX", "2021-01-04", "2021-01-04", 2_428), ("SPX", "2021-01-14", "2021-01-14", 2_045)],
)
def test_recorded_quotes_are_stored_row_for_row(
    root: str,
    first: str,
    last: str,
    rows: int,
    replay: Emulator,
    reference: Path,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Every row and value of the source files is there, and no other."""
    result = download(replay.url, tmp_path, first, last, "--root", root)
    assert result.returncode == 0, result.stdout + result.stderr
    source, stored = source_rows(reference, root, first, last), archived_rows(tmp_path)
    found = differences(source, stored)
    record_property("figure", f"recorded {root} quotes {first}..{last}: {source.height:,} rows, {found} differences")
    assert source.height == rows
    assert found == 0


def test_days_without_files_are_empty_and_no_recorded_day_is_partial(replay: Emulator, tmp_path: Path) -> None:
    """The week has three recorded days."""
    assert download(replay.url, tmp_path, *WEEK).returncode == 0
    verdicts = {day: line["verdict"] for day, line in days(tmp_path).items()}
    assert verdicts == {
        "2021-01-04": "complete",
        "2021-01-05": "complete",
        "2021-01-06": "absent",
        "2021-01-07": "absent",
        "2021-01-08": "complete",
    }


@pytest.mark.parametrize(
    ("drop", "day", "words"),
    [
        (
            "date=2021-01-05,expiration=2021-01-08,strike=3700,right=C",
            "2021-01-05",
            "exp 2021-01-08: 1 gap (3700 CALL: the whole day)",
        ),
        (
            "date=2021-01-04,expiration=2021-01-06,from=11:00,to=11:59",
            "2021-01-04",
            "exp 2021-01-06: 1 outage (all contracts: 11:00-11:59)",
        ),
        (
            "date=2021-01-05,expiration=2021-01-06,strike=3800,right=P,from=12:00,to=12:30",
            "2021-01-05",
            "exp 2021-01-06: 1 gap (3800 PUT: 12:00-12:30)",
        ),
        (
            "date=2021-01-08,expiration=2021-01-15,strike=3800,right=C,from=15:30",
            "2021-01-08",
            "exp 2021-01-15: 1 gap (3800 CALL: 15:30-16:15)",
        ),
    ],
    ids=["a contract", "an hour of all contracts", "31 minutes inside a contract", "the tail of a contract with worth"],
)
def test_every_planted_hole_is_found_stored_and_printed(
    drop: str, day: str, words: str, reference: Path, tmp_path: Path
) -> None:
    """A reply that is clean and short is asked for twice, stored with its hole, and the exit code says so."""
    with Emulator(replay=reference / "realdata" / "theta_v2_quote", drop=(drop,)) as terminal:
        result = download(terminal.url, tmp_path, *WEEK)
        expiration = drop.split("expiration=")[1][:10]
        asked = [
            path
            for path, query in terminal.requests
            if path.endswith("/quote") and (query.get("date"), query.get("expiration")) == (day, expiration)
            if query["strike"] == "*"
        ]
    assert result.returncode == 1
    assert words in result.stdout
    assert len(asked) == 2
    lines = days(tmp_path)
    assert {date for date, line in lines.items() if line["verdict"] == "partial"} == {day}
    assert words in spxdata("status", "--data-dir", str(tmp_path)).stdout


def test_thirty_missing_minutes_inside_a_contract_are_no_alarm(reference: Path, tmp_path: Path) -> None:
    """Real contracts lack up to 24 minutes in a row."""
    drop = "date=2021-01-05,expiration=2021-01-06,strike=3800,right=P,from=12:00,to=12:29"
    with Emulator(replay=reference / "realdata" / "theta_v2_quote", drop=(drop,)) as terminal:
        assert download(terminal.url, tmp_path, *WEEK).returncode == 0
