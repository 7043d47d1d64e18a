"""Every dataset, downloaded from both generations of the Terminal: equal tables in the columns both have."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from spxdata import Emulator, Summary, download
from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.completeness import describe
from spxdata.emulator import Fault
from spxdata.layout import CATALOG
from spxdata.model import Verdict
from spxdata.pipeline.read import frames
from spxdata.schema import DATASETS
from spxdata.storage.local import LocalStorage

DAY, EXPIRATION = date(2024, 1, 16), date(2024, 1, 19)
#: Greeks of one version: v2 knows no other.
SAME_GREEKS = {"SPXDATA_GREEKS__VERSION": "1", "SPXDATA_TERMINAL__PACING": "0"}


@pytest.fixture(scope="module")
def terminal() -> Iterator[Emulator]:
    """Both generations on one market; greeks of both begin at 09:30."""
    with Emulator(dialect="both", v2_greeks_rows=391) as emulator:
        yield emulator


def fetched(terminal: Emulator, folder: Path, dialect: str, name: str, **environ: str) -> Summary:
    """Download a day of a dataset."""
    return download(
        DAY,
        datasets=[name],
        expirations=[EXPIRATION],
        data_dir=folder,
        terminal=terminal.url if dialect == "v3" else terminal.v2_url,
        environ={**SAME_GREEKS, "SPXDATA_TERMINAL__DIALECT": dialect, **environ},
    )


def table(folder: Path) -> pl.DataFrame:
    """Return all rows of an archive of one day and dataset."""
    storage = LocalStorage(folder)
    paths = [path for path in storage.names() if not path.startswith(".")]
    return pl.concat(frame for path in paths for frame in frames(storage, path))


@pytest.mark.parametrize("name", [name for name, dataset in DATASETS.items() if dataset.v2])
def test_both_dialects_give_equal_tables(name: str, terminal: Emulator, tmp_path: Path) -> None:
    """What v2 lacks is null there; in all other columns not a value differs."""
    tables = {}
    for dialect in ("v3", "v2"):
        summary = fetched(terminal, tmp_path / dialect, dialect, name)
        assert [day.verdict for day in summary.days] == [Verdict.COMPLETE]
        tables[dialect] = table(tmp_path / dialect)
    v2 = DATASETS[name].v2
    assert v2 is not None
    lacking = list(v2.lacks)
    assert tables["v2"].select(lacking).null_count().row(0) == (tables["v2"].height,) * len(lacking)
    assert tables["v3"].null_count().sum_horizontal().item() == 0
    assert tables["v3"].height > 0
    assert tables["v3"].drop(lacking).equals(tables["v2"].drop(lacking))


def test_what_v2_does_not_have_fails_with_a_word_on_where_to_get_it(terminal: Emulator, tmp_path: Path) -> None:
    """Interest rates came with v3."""
    assert [day.verdict for day in fetched(terminal, tmp_path / "v3", "v3", "interest_rate").days] == [Verdict.COMPLETE]
    summary = fetched(terminal, tmp_path / "v2", "v2", "interest_rate")
    assert summary.finished.exit_code == 3
    assert summary.days[0].error == "A v2 Terminal does not have interest_rate."


@pytest.mark.parametrize("dialect", ["v3", "v2"])
@pytest.mark.parametrize(
    ("name", "interval", "points"),
    [
        ("quote", "5m", 82),
        ("greeks", "1h", 7),
        ("ohlc", "15m", 28),
        ("index_price", "30s", 781),
    ],
)
def test_an_interval_has_its_own_grid_and_its_own_file(
    name: str, interval: str, points: int, dialect: str, terminal: Emulator, tmp_path: Path
) -> None:
    """To 16:15 of options; the index stands still after 16:00, and the Terminal sends no more of it."""
    summary = fetched(terminal, tmp_path, dialect, name, SPXDATA_DOWNLOAD__INTERVAL=interval)
    assert [(day.day.interval, day.verdict) for day in summary.days] == [(interval, Verdict.COMPLETE)]
    rows = table(tmp_path)
    assert rows["timestamp"].n_unique() == points
    (path,) = (path for path in LocalStorage(tmp_path).names() if not path.startswith("."))
    assert f"_{interval}" in path


@pytest.mark.parametrize("dialect", ["v3", "v2"])
def test_every_tick_of_a_chain_comes_contract_by_contract(dialect: str, terminal: Emulator, tmp_path: Path) -> None:
    """The Terminal gives no chain below a minute; what is stored is one file all the same."""
    summary = fetched(terminal, tmp_path, dialect, "quote", SPXDATA_DOWNLOAD__INTERVAL="tick")
    assert [day.verdict for day in summary.days] == [Verdict.COMPLETE]
    rows = table(tmp_path)
    assert rows.select("strike", "right").n_unique() > 60
    series = rows.select(pl.col("timestamp").diff().over("strike", "right").min()).item()
    assert series.total_seconds() >= 0


@pytest.mark.parametrize(
    ("name", "rows", "words"),
    [("quote", 1000, "-16:14"), ("index_price", 5000, "all rows: 14:")],
)
def test_ticks_that_are_cut_off_every_reply_leave_a_partial_day(
    name: str, rows: int, words: str, tmp_path: Path
) -> None:
    """Each reply ends cleanly, and nobody quotes or computes any more: that is no silence of a market."""
    with Emulator(faults=[Fault(do="short", dataset=name, rows=rows)]) as terminal:
        summary = fetched(terminal, tmp_path, "v3", name, SPXDATA_DOWNLOAD__INTERVAL="tick")
    assert [day.verdict for day in summary.days] == [Verdict.PARTIAL]
    assert summary.finished.exit_code == 1
    catalog = SqliteCatalog(tmp_path / CATALOG, read_only=True)
    (outcome,) = catalog.outcomes(summary.days[0].day)
    catalog.close()
    assert words in describe([hole for hole in outcome.holes if hole.partial])


def test_a_dataset_the_account_lacks_is_refused_not_failed_and_left_alone(tmp_path: Path) -> None:
    """It is asked for again after a month; beside stored datasets it is no failure."""
    with Emulator(tier="value", index_tier="free") as terminal:
        summaries = [
            download(
                DAY,
                datasets=["quote", "greeks_all", "index_price"],
                data_dir=tmp_path,
                terminal=terminal.url,
                expirations=[EXPIRATION],
                environ={"SPXDATA_TERMINAL__DIALECT": "v3"},
            )
            for _ in range(2)
        ]
        asked = [path for path, _ in terminal.requests]
    assert [summary.finished.exit_code for summary in summaries] == [0, 0]
    assert asked.count("/v3/option/history/greeks/all") == 1
    assert asked.count("/v3/index/history/price") == 1
