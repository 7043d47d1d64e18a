"""Ticks come contract by contract: one that comes again, with times that it has had, was sent twice.

On a grid, and of reports, the rules of a key find what came twice. Ticks have no key: of a page that is repeated with
other borders, or other values, all would be stored once more. The parts of a unit that is split by time bring each
contract again too, but with later times.
"""

from collections.abc import Iterator
from datetime import datetime

import polars as pl

from spxdata.errors import MalformedReply
from spxdata.model import Unit
from spxdata.pipeline.parse import Batch
from spxdata.schema import DATASETS, Rows


def in_blocks(batches: Iterator[Batch], unit: Unit) -> Iterator[Batch]:
    """Pass batches on, as long as no ticks of a contract come a second time.

    Args:
        batches: One reply.
        unit: What was asked for.

    Raises:
        MalformedReply: A contract that others have followed comes again with times that it had before.
    """
    dataset = DATASETS[unit.dataset]
    if dataset.rows_at(unit.interval) is not Rows.TICKS or not dataset.series:
        yield from batches
        return
    current: tuple[object, ...] = ()
    latest: dict[tuple[object, ...], datetime] = {}
    for batch in batches:
        for *key, first, last in _blocks(batch.frame, dataset.series, dataset.time[0]).iter_rows():
            series = tuple(key)
            before = latest.get(series)
            if before and series != current and first <= before:
                named = " ".join(map(str, key))
                raise MalformedReply(
                    f"{named} comes a second time: there are rows from {first:%H:%M:%S.%f} on, though others have come "
                    f"since its rows up to {before:%H:%M:%S.%f}.",
                    evidence=batch.evidence,
                )
            latest[series] = max(before or last, last)
            current = series
        yield batch


def _blocks(frame: pl.DataFrame, series: tuple[str, ...], time: str) -> pl.DataFrame:
    """Return each stretch of rows of one series: which one, its first time and its last."""
    begins = pl.any_horizontal(pl.col(name) != pl.col(name).shift(1) for name in series)
    return (
        frame.lazy()
        .select(*series, time, block=begins.cum_sum())
        .group_by("block", maintain_order=True)
        .agg(
            *(pl.col(name).first() for name in series),
            pl.col(time).min().alias("first"),
            pl.col(time).max().alias("last"),
        )
        .drop("block")
        .collect()
    )
