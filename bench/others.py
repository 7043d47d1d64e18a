"""What others would write to bring the same replies into files, each in a process of its own.

None of them checks anything: a reply that ends early is a short file to all of them.
"""

import csv
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from urllib.request import urlopen

from spxdata.schema import DATASETS, Kind


def _received(url: str, file: Path) -> Path:
    """Receive a reply into a file beside the one that is wanted."""
    text = file.with_suffix(".csv")
    with urlopen(url) as reply, text.open("wb") as kept:  # noqa: S310 - our own server
        shutil.copyfileobj(reply, kept, 1 << 20)
    return text


def sink(replies: Iterator[tuple[str, Path]]) -> int:
    """Receive into a file, and let polars stream that into Parquet: the shortest script that works."""
    import polars as pl

    rows = 0
    for url, file in replies:
        text = _received(url, file)
        pl.scan_csv(text, try_parse_dates=True, infer_schema_length=10_000).sink_parquet(file)
        rows += pl.scan_parquet(file).select(pl.len()).collect().item()
        text.unlink()
    return rows


def pandas(replies: Iterator[tuple[str, Path]]) -> int:
    """`read_csv`, then `to_parquet`."""
    import pandas as pd

    rows = 0
    for url, file in replies:
        frame = pd.read_csv(url, parse_dates=["expiration", "timestamp", "underlying_timestamp"])
        frame.to_parquet(file)
        rows += len(frame)
    return rows


def duckdb(replies: Iterator[tuple[str, Path]]) -> int:
    """Receive into a file, and let DuckDB copy that into Parquet."""
    import duckdb as duck

    rows = 0
    for url, file in replies:
        text = _received(url, file)
        duck.execute(f"COPY (FROM read_csv('{text}')) TO '{file}' (FORMAT parquet, COMPRESSION zstd)")
        (found,) = duck.execute(f"SELECT count(*) FROM '{file}'").fetchone() or (0,)  # noqa: S608 - a path of ours
        rows += found
        text.unlink()
    return rows


def cells(replies: Iterator[tuple[str, Path]]) -> int:
    """Turn cell after cell into a Python value, as the vendor's own Python client does, then into a data frame."""
    import pandas as pd

    read: Mapping[Kind, Callable[[str], object]] = {
        Kind.TEXT: str,
        Kind.DATE: date.fromisoformat,
        Kind.TIME: datetime.fromisoformat,
        Kind.INTEGER: int,
        Kind.NUMBER: float,
    }
    kinds = {column.name: column.kind for column in DATASETS["greeks"].columns}
    rows = 0
    for url, file in replies:
        with urlopen(url) as reply:  # noqa: S310 - our own server
            lines = csv.reader(reply.read().decode().splitlines())
        names = next(lines)
        found: list[dict[str, object]] = []
        for line in lines:
            row: dict[str, object] = {}
            for name, cell in zip(names, line, strict=True):
                row[name] = read[kinds[name]](cell)
            found.append(row)
        frame = pd.DataFrame(found)
        frame.to_parquet(file)
        rows += len(frame)
    return rows


WAYS: Mapping[str, Callable[[Iterator[tuple[str, Path]]], int]] = {
    "sink": sink,
    "pandas": pandas,
    "duckdb": duckdb,
    "cells": cells,
}


def main() -> int:
    """Bring replies into files in one way, and print how many rows there were as JSON."""
    way, folder, *urls = sys.argv[1:]
    replies = ((url, Path(folder) / f"{number}.parquet") for number, url in enumerate(urls))
    sys.stdout.write(json.dumps({"rows": WAYS[way](replies)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
