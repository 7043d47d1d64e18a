"""Downloads a full emulated day in every form it can be stored in, reads all back, and prints sizes and times.

Every value and every content hash must be equal, whatever the form; sizes are held against the v2 Terminal's own CSV.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path
from typing import Final

import duckdb
import polars as pl

from bench.command import DATE, downloaded, emulated
from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.layout import CATALOG, unit_of
from spxdata.model import Artifact
from spxdata.pipeline.edges import Encoding
from spxdata.pipeline.hashing import HashingFile
from spxdata.pipeline.read import frames
from spxdata.pipeline.write import open_rows
from spxdata.storage.local import LocalStorage

FORMS: Final = {
    "Parquet, float64": Encoding("parquet", "float64"),
    "Parquet, decimal": Encoding("parquet", "decimal"),
    "CSV": Encoding("csv"),
}
SCANNED: Final = "implied_vol"


class Nowhere:
    """A file that takes bytes and forgets them."""

    def write(self, data: bytes) -> int:
        """Take bytes."""
        return len(data)

    def commit(self) -> None:
        """Do nothing."""


def download(folder: Path, encoding: Encoding) -> int:
    """Download the day in one form, from a Terminal of its own; return the bytes that this one sent."""
    settings = {"SPXDATA_STORAGE__FORMAT": encoding.format, "SPXDATA_STORAGE__NUMBERS": encoding.numbers}
    with emulated("--chain", "full", dialect="v2") as url:
        cost = downloaded(url, folder, "--date", DATE, environ={**os.environ, **settings})
    return int(cost.run["received"])


def artifacts(folder: Path) -> list[Artifact]:
    """Return what the catalog says of the day's files, in the order of their names."""
    catalog = SqliteCatalog(folder / CATALOG, read_only=True)
    try:
        outcomes = [outcome for status in catalog.days() for outcome in catalog.outcomes(status.day)]
    finally:
        catalog.close()
    return sorted((outcome.artifact for outcome in outcomes if outcome.artifact), key=lambda found: found.path)


def compare(one: Path, other: Path) -> None:
    """Hold two archives against each other, value for value.

    Raises:
        SystemExit: They differ.
    """
    for mine, its in zip_longest(artifacts(one), artifacts(other)):
        if mine.content_hash != its.content_hash:
            raise SystemExit(f"{mine.path} and {its.path} differ in their content hash")
        rows, same = (pl.concat(frames(LocalStorage(a), b.path)) for a, b in ((one, mine), (other, its)))
        if not rows.equals(same):
            raise SystemExit(f"{mine.path} and {its.path} differ in their values")


def writing(folder: Path, encoding: Encoding) -> float:
    """Return the CPU seconds that encoding, compressing and hashing a day's rows takes, without any disk."""
    storage = LocalStorage(folder)
    seconds = 0.0
    for artifact in artifacts(folder):
        pieces = list(frames(storage, artifact.path))
        unit = unit_of(artifact.path)
        started = time.process_time()
        rows = open_rows(HashingFile(Nowhere()), unit, encoding)
        for piece in pieces:
            rows.see(piece)
        for piece in pieces:
            rows.write(piece)
        rows.finish({})
        seconds += time.process_time() - started
    return seconds


def scanning(folder: Path, encoding: Encoding) -> tuple[float, float]:
    """Return the seconds that polars and DuckDB take for the sum of one column over the day, files in the cache."""
    files = str(folder / DATE.replace("-", "") / f"*.{encoding.format}")
    scan = pl.scan_csv if encoding.format == "csv" else pl.scan_parquet
    sql = f"SELECT sum({SCANNED}) FROM '{files}'"  # noqa: S608 - names of our own
    ways = (lambda: scan(files).select(pl.col(SCANNED).sum()).collect(), lambda: duckdb.execute(sql).fetchall())
    polars, duck = (_timed(way) for way in ways)
    return polars, duck


def _timed(way: Callable[[], object]) -> float:
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        way()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def main() -> int:
    """Measure every form."""
    with tempfile.TemporaryDirectory(prefix="spxdata-sizes-") as name:
        folder = Path(name)
        sent = [download(folder / form, encoding) for form, encoding in FORMS.items()]
        first, *others = (folder / form for form in FORMS)
        for other in others:
            compare(first, other)
        rows = sum(artifact.rows for artifact in artifacts(first))
        print(f"{rows:,} rows; v2 CSV: {sent[0] / 1e6:,.1f} MB\n")
        print(f"| form | MB | v2 CSV : form | CPU s to write | s to scan {SCANNED}: polars | DuckDB |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        for (form, encoding), received in zip(FORMS.items(), sent, strict=True):
            size = sum(artifact.bytes for artifact in artifacts(folder / form))
            figures = f"{size / 1e6:,.1f} | {received / size:.2f} : 1 | {writing(first, encoding):.1f}"
            polars, duck = scanning(folder / form, encoding)
            print(f"| {form} | {figures} | {polars:.2f} | {duck:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
