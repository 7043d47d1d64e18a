"""Asks the year of bench/year.py for the same with a file a unit and with a file a month, to see which pays."""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from datetime import time as clock
from itertools import groupby
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq

from bench.year import FOLDER

EXPIRATION = date(2023, 12, 15)
OURS = (pl.col("expiration") == EXPIRATION) & (pl.col("strike") == 4000) & (pl.col("right").cast(pl.String) == "PUT")
SQL = """select * from read_parquet({}) where expiration = '2023-12-15' and strike = 4000 and "right" = 'PUT'"""

QUESTIONS: Mapping[str, Callable[[list[Path]], pl.DataFrame]] = {
    "one contract, polars": lambda files: pl.scan_parquet(files, glob=False).filter(OURS).collect(),
    "one contract, DuckDB": lambda files: pl.DataFrame(
        duckdb.execute(SQL.format([str(file) for file in files])).to_arrow_table()
    ),
    "10:00 of every day": lambda files: (
        pl.scan_parquet(files, glob=False)
        .filter(pl.col("timestamp").dt.time() == clock(10))
        .select("strike", "implied_vol")
        .collect()
    ),
    "average implied_vol by expiration": lambda files: (
        pl.scan_parquet(files, glob=False).group_by("expiration").agg(pl.col("implied_vol").mean()).collect()
    ),
}


def by_month(files: Sequence[Path], folder: Path) -> Iterator[Path]:
    """Yield one file a month with the same rows in the same order, a row group for each unit at least."""
    for month, group in groupby(files, key=lambda file: file.parent.name[:6]):
        written = folder / f"{month}.parquet"
        tables = (pq.read_table(file).replace_schema_metadata(None) for file in group)
        first = next(tables)
        names = ["symbol", "right"]
        with pq.ParquetWriter(
            written, first.schema, compression="zstd", compression_level=3, use_dictionary=names
        ) as out:
            out.write_table(first)
            for table in tables:
                out.write_table(table)
        yield written


def main() -> int:
    """Print what each question took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="Where bench/year.py keeps the archive.")
    units = sorted((parser.parse_args().folder / "parquet").glob("*/spx_exp_*.parquet"))
    with tempfile.TemporaryDirectory(prefix="spxdata-bench-") as name:
        ways: dict[str, list[Path]] = {f"{len(units)} files": units}
        months = list(by_month(units, Path(name)))
        ways[f"{len(months)} files"] = months
        print("| question | " + " | ".join(f"{way}, ms" for way in ways) + " |\n| --- | ---: | ---: |")
        for words, question in QUESTIONS.items():
            seconds: dict[str, list[float]] = {way: [] for way in ways}
            for _ in range(5):
                for way, files in ways.items():
                    started = time.perf_counter()
                    question(files)
                    seconds[way].append(time.perf_counter() - started)
            medians = [f"{statistics.median(found) * 1e3:,.0f}" for found in seconds.values()]
            print(f"| {words} | {' | '.join(medians)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
