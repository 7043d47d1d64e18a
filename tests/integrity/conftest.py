"""Archives for all tests, of which each gets a copy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from spxdata import Emulator
from spxdata.pipeline.edges import Encoding
from tests.faults.market import write_market
from tests.integrity.archives import DATES, MIXED, Archive, chains
from tests.integrity.archives import request as request_of


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Return an emulated Terminal with six weeks of tiny chains."""
    folder = write_market(tmp_path_factory.mktemp("market"), chains(), (4700,))
    with Emulator(replay=folder) as terminal:
        yield terminal


@pytest.fixture(scope="session")
def pristine(market: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Return an archive of a few days as it was downloaded; to be looked at only."""
    archive = Archive(tmp_path_factory.mktemp("pristine") / "data", market)
    assert archive.fetch(request_of(*DATES[:3])) == 0
    return archive


@pytest.fixture(scope="session")
def mixed(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Return an archive of a day's files of many kinds, numbers as decimals; to be looked at only."""
    archive = Archive(tmp_path_factory.mktemp("mixed") / "data", emulator, encoding=Encoding(numbers="decimal"))
    assert archive.fetch(MIXED) == 0
    return archive


@pytest.fixture(scope="session")
def csv(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Return the same as CSV files."""
    archive = Archive(tmp_path_factory.mktemp("csv") / "data", emulator, encoding=Encoding(format="csv"))
    assert archive.fetch(MIXED) == 0
    return archive


@pytest.fixture
def archive(pristine: Archive, tmp_path: Path) -> Archive:
    """Return a copy of the archive of a few days, to do harm to."""
    return pristine.copy(tmp_path / "data")


@pytest.fixture(scope="session")
def pristine_json(market: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Return the archive of a few days with its catalog in JSON; to be looked at only."""
    archive = Archive(tmp_path_factory.mktemp("json") / "data", market, "json")
    assert archive.fetch(request_of(*DATES[:3])) == 0
    return archive


@pytest.fixture
def in_json(pristine_json: Archive, tmp_path: Path) -> Archive:
    """Return a copy of that, to do harm to."""
    return pristine_json.copy(tmp_path / "data")


@pytest.fixture(params=["archive", "in_json"])
def kept(request: pytest.FixtureRequest) -> Archive:
    """Return an archive to do harm to, with its catalog in each form that outlives its process."""
    archive: Archive = request.getfixturevalue(request.param)
    return archive
