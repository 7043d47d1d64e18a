"""Which files are opened, when they are looked at, and that this changes no row."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, time, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from spxdata.analysis.files import Kind, Shelf
from spxdata.analysis.wanted import wanted
from spxdata.catalog.memory import MemoryCatalog
from spxdata.errors import ChecksumMismatch
from spxdata.layout import path_of
from spxdata.model import Contract, Outcome, Right, State
from spxdata.pipeline.read import adopt
from spxdata.storage.local import LocalStorage
from tests.builders import NOW, a_unit
from tests.pipeline.builders import QUOTE, QUOTE_UNIT, frame_of, rows_of, stored_frame
from tests.pipeline.test_versions import FORM_0, LISTED, MADE_UP, parquet, put, to_0


def test_an_older_file_has_today_s_columns(tmp_path: Path) -> None:
    """What it did not have is null; without its version it is none of ours."""
    storage, catalog = LocalStorage(tmp_path), MemoryCatalog()
    today = stored_frame(frame_of(rows_of()))
    put(storage, parquet(to_0(today), FORM_0)[0])
    found = adopt(storage, QUOTE_UNIT, LISTED, older=MADE_UP)
    assert found
    catalog.record(Outcome(QUOTE_UNIT, State.STORED, artifact=found.artifact), NOW)
    asked = wanted("quote", flags="all")
    shelf = Shelf(catalog, storage, older=MADE_UP)
    (part,) = shelf.parts(asked)
    assert part.form.kind is Kind.OLDER
    rows = shelf.scan(asked).collect()
    assert rows.columns == today.columns
    assert rows["ask_size"].to_list() == today["ask_size"].to_list()
    assert rows["ask_condition"].null_count() == rows.height
    assert rows.filter(pl.col("strike") == 4750).height > 0
    with pytest.raises(ChecksumMismatch):
        Shelf(catalog, storage).parts(asked)


#: Strikes and minutes of the rows of each expiration; those of the last two overlap with nothing but their own.
LADDERS = {
    date(2024, 1, 16): ((4700.0, 4750.0), range(570, 600)),
    date(2024, 1, 17): ((4750.0, 4800.0, 4812.5), range(590, 640)),
    date(2024, 1, 18): ((4700.0,), range(955, 976)),
    date(2024, 1, 19): ((4900.0, 4950.0), range(570, 572)),
    date(2024, 1, 22): ((100.0,), range(700, 701)),
}


@pytest.fixture(scope="module")
def quotes(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalStorage, MemoryCatalog]:
    """Quotes of a day, a file for each expiration."""
    storage, catalog = LocalStorage(tmp_path_factory.mktemp("quotes")), MemoryCatalog()
    for expiration, (strikes, minutes) in LADDERS.items():
        unit = a_unit(dataset="quote", expiration=expiration)
        contracts = [Contract(expiration, strike, right) for strike in strikes for right in Right]
        frame = stored_frame(frame_of(rows_of(contracts, minutes), unit))
        put(storage, parquet(frame, QUOTE, unit)[0], path_of(unit))
        found = adopt(storage, unit, None)
        assert found
        assert found.artifact.strikes == (strikes[0], strikes[-1])
        assert found.artifact.times == tuple(time(minute // 60, minute % 60) for minute in (minutes[0], minutes[-1]))
        catalog.record(Outcome(unit, State.STORED, artifact=found.artifact), NOW)
    return storage, catalog


def without_ranges(catalog: MemoryCatalog) -> MemoryCatalog:
    """Return the same catalog as an older version would have written it."""
    older = MemoryCatalog()
    for unit, artifact in catalog.stored("quote", "1m"):
        older.record(Outcome(unit, State.STORED, artifact=replace(artifact, strikes=None, times=None)), NOW)
    return older


def of_kind(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return choices as callers make them: none, one value, a range with or without ends, a list."""
    ranges = st.tuples(values, values).map(lambda ends: tuple(sorted(ends)))
    opened = st.one_of(values.map(lambda low: (low, None)), values.map(lambda high: (None, high)))
    return st.one_of(st.none(), values, ranges, opened, st.lists(values, min_size=1, max_size=3))


STRIKES = st.sampled_from([strike for strikes, _ in LADDERS.values() for strike in strikes]) | st.floats(50, 5_000)
TIMES = st.integers(560, 990).map(lambda minute: time(minute // 60, minute % 60)) | st.times()


@given(strike=of_kind(STRIKES), times=of_kind(TIMES))
@settings(max_examples=60, deadline=timedelta(seconds=5))
def test_what_the_catalog_knows_of_strikes_and_times_changes_no_row(
    quotes: tuple[LocalStorage, MemoryCatalog], strike: Any, times: Any
) -> None:
    """It only leaves files closed that have none of the rows; without it all are read."""
    storage, catalog = quotes
    asked = wanted("quote", strike=strike, times=times, flags="all")
    by_ranges, by_rows = Shelf(catalog, storage), Shelf(without_ranges(catalog), storage)
    assert len(by_rows.reached(asked)) == len(LADDERS)
    found = by_ranges.scan(asked).collect()
    assert_frame_equal(found, by_rows.scan(asked).collect())
    assert found["expiration"].n_unique() <= len(by_ranges.reached(asked))


@pytest.mark.parametrize(
    ("choice", "days"),
    [
        ({"strike": 4700}, [16, 18]),
        ({"strike": (4760, 4890)}, [17]),
        ({"strike": [100, 4950]}, [19, 22]),
        ({"strike": (None, 99.9)}, []),
        ({"times": ("15:00", None)}, [18]),
        ({"times": "09:31"}, [16, 19]),
        ({"strike": (4900, None), "times": ("15:00", "16:15")}, []),
    ],
)
def test_only_files_are_opened_whose_strikes_and_times_reach_what_is_wanted(
    choice: dict[str, Any], days: list[int], quotes: tuple[LocalStorage, MemoryCatalog]
) -> None:
    """The archive has the day all the same: that is no matter of what is chosen of it."""
    storage, catalog = quotes
    shelf, asked = Shelf(catalog, storage), wanted("quote", **choice)
    assert [file.unit.expiration.day for file in shelf.reached(asked) if file.unit.expiration] == days
    assert len(shelf.holding(asked)) == len(LADDERS)
    assert shelf.scan(asked).collect().columns == shelf.scan(wanted("quote")).collect_schema().names()


#: What people do with a scan.
QUERIES: dict[str, Callable[[pl.LazyFrame], pl.LazyFrame]] = {
    "all": lambda rows: rows,
    "some columns": lambda rows: rows.select("strike", "bid"),
    "a filter": lambda rows: rows.filter(pl.col("strike") > 4750),
    "a filter of a column left out": lambda rows: rows.filter(pl.col("right") == "PUT").select("timestamp"),
    "the first": lambda rows: rows.head(70),
    "the first of some": lambda rows: rows.filter(pl.col("right") == "PUT").head(3),
    "some of the first": lambda rows: rows.head(70).filter(pl.col("right") == "PUT").select("strike"),
    "the last": lambda rows: rows.tail(5),
    "a number": lambda rows: rows.select(pl.len()),
    "a sum": lambda rows: rows.group_by("expiration", maintain_order=True).agg(pl.col("bid_size").sum()),
    "itself": lambda rows: rows.join(rows.select("timestamp", "expiration").unique(), on="timestamp").sort(pl.all()),
}


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
@pytest.mark.parametrize("name", QUERIES)
def test_many_files_give_the_same_rows_part_after_part(
    name: str, engine: Any, quotes: tuple[LocalStorage, MemoryCatalog]
) -> None:
    """Whatever is asked of them, in the same order."""
    storage, catalog = quotes
    asked = wanted("quote", times=("09:31", "16:14"))
    at_once, in_parts = Shelf(catalog, storage).scan(asked), Shelf(catalog, storage, at_once=2).scan(asked)
    found = QUERIES[name](in_parts).collect(engine=engine)
    assert_frame_equal(found, QUERIES[name](at_once).collect(engine=engine))
    assert found.height > 0


class TestWhenFilesAreLookedAt:
    """Few of them by planning, many when it is their turn."""

    @pytest.fixture
    def harmed(self, quotes: tuple[LocalStorage, MemoryCatalog]) -> MemoryCatalog:
        """Return a catalog that says another size of the last file."""
        harmed = MemoryCatalog()
        for unit, artifact in quotes[1].stored("quote", "1m"):
            is_last = unit.expiration == max(LADDERS)
            known = replace(artifact, bytes=artifact.bytes + 1) if is_last else artifact
            harmed.record(Outcome(unit, State.STORED, artifact=known), NOW)
        return harmed

    def test_of_few_a_wrong_one_is_refused_at_once(
        self, quotes: tuple[LocalStorage, MemoryCatalog], harmed: MemoryCatalog
    ) -> None:
        """Before a row is asked for."""
        with pytest.raises(ChecksumMismatch, match="bytes instead of"):
            Shelf(harmed, quotes[0]).scan(wanted("quote"))

    @pytest.mark.parametrize("engine", ["in-memory", "streaming"])
    def test_of_many_a_wrong_one_is_refused_when_it_is_read(
        self, engine: Any, quotes: tuple[LocalStorage, MemoryCatalog], harmed: MemoryCatalog
    ) -> None:
        """The first rows can be had without it; all cannot."""
        rows = Shelf(harmed, quotes[0], at_once=2).scan(wanted("quote", flags="all"))
        assert rows.head(5).collect(engine=engine).height == 5
        with pytest.raises(ChecksumMismatch, match="bytes instead of"):
            rows.collect(engine=engine)

    def test_what_planning_does_not_want_is_never_looked_at(
        self, quotes: tuple[LocalStorage, MemoryCatalog], harmed: MemoryCatalog
    ) -> None:
        """By its expiration, or by its strikes."""
        shelf = Shelf(harmed, quotes[0], at_once=2)
        assert shelf.scan(wanted("quote", dte=(0, 3))).collect().height > 0
        assert shelf.scan(wanted("quote", strike=(4700, None))).collect().height > 0
