"""An emulated Terminal for the tests of this folder."""

from collections.abc import Iterator

import pytest

from spxdata.emulator import Emulator

from .terminal_client import DAY, Answer, Ask, ask


@pytest.fixture(scope="session")
def terminal() -> Iterator[Emulator]:
    """A terminal with the small chain and seed 1, shared: ask it, don't change it."""
    with Emulator() as running:
        yield running


@pytest.fixture(scope="session")
def v2() -> Iterator[Emulator]:
    """A v2 terminal on the same market, shared: ask it, don't change it."""
    with Emulator(dialect="v2") as running:
        yield running


@pytest.fixture(name="ask")
def ask_fixture() -> Ask:
    """`ask(terminal, path, **parameters)`."""
    return ask


@pytest.fixture
def history(terminal: Emulator) -> Ask:
    """`history(dataset path, expiration, **more)` on the shared terminal and DAY, one minute, to 16:15."""

    def fetch(path: str, expiration: str = DAY, **more: object) -> Answer:
        asked = {"symbol": "SPXW", "date": DAY, "interval": "1m", "end_time": "16:15:00", **more}
        return ask(terminal, path, expiration=expiration, **asked)

    return fetch
