"""Archives for all tests, of which each gets a copy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from spxdata import Emulator
from tests.faults.market import write_market
from tests.integrity.archives import DATES, Archive, chains, request


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Return an emulated Terminal with six weeks of tiny chains."""
    folder = write_market(tmp_path_factory.mktemp("market"), chains(), (4700,))
    with Emulator(replay=folder) as terminal:
        yield terminal


@pytest.fixture(scope="session")
def whole(market: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Return the archive of all days as it was downloaded; to be looked at only."""
    archive = Archive(tmp_path_factory.mktemp("whole") / "data", market)
    assert archive.fetch(request()) == 0
    return archive


@pytest.fixture(scope="session")
def pristine(market: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Return an archive of a few days as it was downloaded; to be looked at only."""
    archive = Archive(tmp_path_factory.mktemp("pristine") / "data", market)
    assert archive.fetch(request(*DATES[:3])) == 0
    return archive


@pytest.fixture
def archive(pristine: Archive, tmp_path: Path) -> Archive:
    """Return a copy of the archive of a few days, to do harm to."""
    return pristine.copy(tmp_path / "data")
