"""Asks a year's archive what a researcher asks, and asks the same of its CSV form with plain Polars.

The archive is made by the real command from an emulated Terminal, once, and kept: SPX greeks of every minute of 2023,
the expiration of December among them, and SPXW's expiring ones.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import polars as pl

import spxdata
from bench.command import downloaded, emulated
from spxdata.schema import DATASETS, Kind

FOLDER = Path(__file__).parent.parent / "build" / "year"
YEAR = ("--start-date", "2023-01-03", "--end-date", "2023-12-29")
#: Root and days to expiration of what is downloaded.
SCOPES = (("SPX", 400), ("SPXW", 0))
MOMENT, EXPIRATION = "2023-06-15 10:30", "2023-12-15"
CONTRACT = "SPX 2023-12-15 4000 P"
#: Answers that are timed after a first one: so many, or as many as take so long.
WARM, SECONDS = 7, 5.0
#: Columns whose first rows may look like whole numbers.
NUMBERS = {column.name: pl.Float64 for column in DATASETS["greeks"].columns if column.kind is Kind.NUMBER}

Question = Callable[[], pl.DataFrame]


def make(folder: Path) -> None:
    """Download the year in both forms, of which what is there already stays."""
    with emulated() as url:
        for form in ("parquet", "csv"):
            for root, dte in SCOPES:
                scope = ("--dataset", "greeks", "--root", root, "--max-dte", str(dte), "--format", form)
                downloaded(url, folder / form, *YEAR, *scope)


def questions(folder: Path) -> Mapping[str, Mapping[str, Question]]:
    """Return the questions, and who answers each: the archive, Polars on all CSV files, Polars on the right ones."""
    archive = spxdata.open(folder / "parquet")
    day = MOMENT[:10].replace("-", "")
    csv = folder / "csv"
    chosen = f"spx_exp_{EXPIRATION.replace('-', '')}.csv"
    minute = (pl.col("timestamp").str.slice(0, 16) == MOMENT.replace(" ", "T")) & (pl.col("expiration") == EXPIRATION)
    ours = (pl.col("expiration") == EXPIRATION) & (pl.col("strike") == 4000) & (pl.col("right") == "PUT")

    def plain(files: str, rows: pl.Expr) -> Question:
        return lambda: pl.scan_csv(csv / files, schema_overrides=NUMBERS).filter(rows).collect()

    return {
        "a smile at one minute": {
            "archive": lambda: archive.smile(MOMENT, root="SPX", expiration=EXPIRATION),
            "CSV, all files": plain("*/*.csv", minute & (pl.col("symbol") == "SPX")),
            "CSV, the right file": plain(f"{day}/{chosen}", minute),
        },
        "the chain at one minute": {
            "archive": lambda: archive.chain(MOMENT, root="SPX", expiration=EXPIRATION),
            "CSV, all files": plain("*/*.csv", minute & (pl.col("symbol") == "SPX")),
            "CSV, the right file": plain(f"{day}/{chosen}", minute),
        },
        "one contract through the year": {
            "archive": lambda: archive.contract(CONTRACT),
            "CSV, all files": plain("*/*.csv", ours & (pl.col("symbol") == "SPX")),
            "CSV, the right files": plain(f"*/{chosen}", ours),
        },
        "10:00 of every expiring chain": {
            "archive": lambda: archive.scan("greeks", root="SPXW", dte=0, times="10:00").collect(),
            "CSV, all files": plain(
                "*/*.csv",
                (pl.col("symbol") == "SPXW") & (pl.col("timestamp").str.slice(10, 6) == "T10:00"),
            ),
        },
    }


def timed(question: Question) -> tuple[float, float, int]:
    """Return the seconds of the first answer, the median of later ones, and the rows of each."""
    started = time.perf_counter()
    rows = question().height
    first = time.perf_counter() - started
    found: list[float] = []
    while len(found) < WARM and sum(found) < SECONDS:
        started = time.perf_counter()
        question()
        found.append(time.perf_counter() - started)
    return first, statistics.median(found), rows


def main() -> int:
    """Print what each question took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="Where the archives are kept.")
    folder = parser.parse_args().folder
    make(folder)
    for form in ("parquet", "csv"):
        files = list((folder / form).glob(f"*/*.{form}"))
        days = {date.fromisoformat(file.parent.name) for file in files}
        print(
            f"{form}: {len(days)} days, {len(files)} files, {sum(file.stat().st_size for file in files) / 1e6:,.0f} MB"
        )
    print("\n| question | who answers | rows | first, ms | warm, ms | times the archive |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for question, answers in questions(folder).items():
        base = None
        for name, answer in answers.items():
            first, warm, rows = timed(answer)
            base = base or warm
            print(f"| {question} | {name} | {rows:,} | {first * 1e3:,.0f} | {warm * 1e3:,.0f} | {warm / base:,.1f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
