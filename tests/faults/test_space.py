"""Free space is looked at before a day begins: a disk that is clearly too small is said to be, and nothing is begun."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata import Emulator
from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.downloader import Download, Summary
from spxdata.errors import DiskFull
from spxdata.layout import CATALOG
from spxdata.model import Scope, Verdict
from spxdata.pipeline.edges import Edges, Encoding, SortMemory
from spxdata.plan import LEAST_SPACE, Request, space_needed
from spxdata.retry import Patience
from spxdata.storage.local import LocalStorage
from spxdata.terminal.probe import FoundTerminal
from tests.faults.harness import fake_clock
from tests.faults.market import EXPIRATIONS, TUESDAY, write_market

WEDNESDAY = date(2024, 1, 17)


class Disk(LocalStorage):
    """A storage on a disk of which a test says how much is free.

    Args:
        root: The folder.
        left: Returns the free bytes.
    """

    def __init__(self, root: Path, left: Callable[[], int]) -> None:
        super().__init__(root)
        self._left = left

    def free(self) -> int:
        """Return what the test says."""
        return self._left()


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two days of a few expirations."""
    chains = [(TUESDAY, EXPIRATIONS), (WEDNESDAY, EXPIRATIONS[1:])]
    return write_market(tmp_path_factory.mktemp("market"), chains)


def downloaded(terminal: Emulator, folder: Path, left: int, *dates: date) -> Summary:
    """Download some days onto a disk that has so many bytes left."""
    clock = fake_clock()
    found = FoundTerminal(clock, "v3", terminal.url.rsplit("/", 1)[0])
    edges = Edges(found, Disk(folder, lambda: left), clock, lambda _: None, Encoding(), SortMemory())
    catalog = SqliteCatalog(folder / CATALOG)
    try:
        request = Request(dates, "SPXW", ("quote",), Scope(60))
        return Download(
            request, edges, catalog, widths=lambda _: 1, patience=Patience(), chance=lambda: 0.0, pacing=0.0
        ).run()
    finally:
        catalog.close()


def test_a_day_is_not_begun_on_a_disk_that_is_almost_full(market: Path, tmp_path: Path) -> None:
    """Not a unit is asked for; the message names what is free, what may be needed, and the day."""
    with Emulator(replay=market) as terminal:
        with pytest.raises(DiskFull, match=r"200 MB are free .* 2024-01-16 SPXW quote may need 200 MB"):
            downloaded(terminal, tmp_path, LEAST_SPACE - 1, TUESDAY)
        assert not [path for path, _ in terminal.requests if "/history/" in path]
        assert not list(tmp_path.glob("20*"))
        done = downloaded(terminal, tmp_path, LEAST_SPACE, TUESDAY)
    assert [day.verdict for day in done.days] == [Verdict.COMPLETE]


def test_a_disk_that_is_full_harms_nobody_who_needs_nothing(market: Path, tmp_path: Path) -> None:
    """What is there already is skipped as ever."""
    with Emulator(replay=market) as terminal:
        downloaded(terminal, tmp_path, LEAST_SPACE, TUESDAY)
        again = downloaded(terminal, tmp_path, 0, TUESDAY)
    assert again.finished.exit_code == 0


def test_a_day_is_measured_by_the_largest_of_its_kind_before_it(market: Path, tmp_path: Path) -> None:
    """Twice as much must be free."""
    with Emulator(replay=market) as terminal:
        downloaded(terminal, tmp_path, LEAST_SPACE, TUESDAY)
        catalog = SqliteCatalog(tmp_path / CATALOG)
        with catalog._connection.write() as database:
            database.execute("UPDATE download_status SET total_size = 300000000")
        catalog.close()
        with pytest.raises(DiskFull, match="may need 600 MB"):
            downloaded(terminal, tmp_path, 599_999_999, TUESDAY, WEDNESDAY)
        assert downloaded(terminal, tmp_path, 600_000_000, TUESDAY, WEDNESDAY).finished.exit_code == 0


@given(st.integers(0, 10**12), st.integers(0, 100), st.integers(1, 100))
def test_a_part_of_a_day_needs_no_more_than_all_of_it(largest: int, due: int, units: int) -> None:
    """And never less than the catalog needs."""
    part = space_needed(largest, min(due, units), units)
    assert LEAST_SPACE <= part <= space_needed(largest, units, units) <= max(LEAST_SPACE, 2 * largest)


def test_free_space_is_that_of_the_disk_even_before_the_folder_is_there(tmp_path: Path) -> None:
    """An archive that is yet to be made lies where its nearest folder does."""
    assert LocalStorage(tmp_path / "not" / "there" / "yet").free() > 0
    assert not (tmp_path / "not").exists()
