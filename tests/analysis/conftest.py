"""Archives to read from, downloaded once from one emulated market."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from spxdata import Emulator, download
from spxdata.analysis.archive import Archive, open_archive

#: Two days: the emulated market's usual one, and the next.
START, END = "2024-01-16", "2024-01-17"
DATASETS = ("greeks", "quote", "trade", "ohlc", "open_interest", "index_price", "interest_rate")
QUICK = {"SPXDATA_TERMINAL__PACING": "0"}


@pytest.fixture(scope="session")
def terminal() -> Iterator[Emulator]:
    """An emulated Terminal of an account that has everything."""
    with Emulator(seed=1, tier="professional", index_tier="value") as emulator:
        yield emulator


@pytest.fixture(scope="session")
def folder(terminal: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an archive of two days."""
    folder = tmp_path_factory.mktemp("archive")
    summary = download(START, END, datasets=DATASETS, max_dte=3, data_dir=folder, terminal=terminal.url, environ=QUICK)
    assert {str(day.verdict) for day in summary.days} == {"complete"}
    return folder


@pytest.fixture(scope="session")
def archive(folder: Path) -> Iterator[Archive]:
    """The archive, open."""
    with open_archive(folder) as found:
        yield found
