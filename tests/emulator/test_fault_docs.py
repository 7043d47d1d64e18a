"""docs/faults.md: complete, and every example does something."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from spxdata.emulator import Emulator, Fault
from spxdata.emulator.fault_file import parse_document
from spxdata.emulator.faults import ACTIONS, MATCH_KEYS, WHEN_KEYS

from .terminal_client import GREEKS, HOURLY, QUOTE, V2_GREEKS, V2_HOURLY, V2_QUOTE, FakeClock, raw

DOCS = (Path(__file__).parents[2] / "docs/faults.md").read_text()
EXAMPLES = [parse_document(tomllib.loads(text), "docs") for text in re.findall(r"```toml\n(.*?)```", DOCS, re.DOTALL)]
#: Rows of the tables: the first cell's names, and the other cells.
ROWS = {
    name: cells
    for first, *cells in (
        [cell.strip() for cell in line.strip("|").split("|")] for line in DOCS.splitlines() if line.startswith("| `")
    )
    for name in re.findall(r"`(\w+)`", first)
}


@pytest.mark.parametrize("name", ACTIONS)
def test_every_fault_has_its_line(name: str) -> None:
    action = ACTIONS[name]
    meaning, needs, takes = ROWS[name]
    assert meaning == action.meaning
    assert tuple(re.findall(r"`(\w+)`", needs)) == (*action.needs, *action.one_of)
    assert tuple(re.findall(r"`(\w+)`", takes)) == action.takes


def test_every_key_has_its_line() -> None:
    assert set(MATCH_KEYS) | set(WHEN_KEYS) <= set(ROWS)
    assert set(ROWS) == set(MATCH_KEYS) | set(WHEN_KEYS) | set(ACTIONS) | {"do"}


@pytest.mark.parametrize("name", ACTIONS)
def test_every_fault_has_an_example(name: str) -> None:
    assert any(fault.do == name for faults in EXAMPLES for fault in faults)


def seen(faults: tuple[Fault, ...]) -> Iterator[object]:
    """Ask for everything twice, and give what comes and how long it took."""
    clock = FakeClock()
    with Emulator(
        dialect="both", page_rows=200, faults=faults, monotonic=clock.monotonic, sleep=clock.sleep
    ) as terminal:
        addresses = [f"{terminal.url}/terminal/mdds/status"]
        addresses += [f"{terminal.url}{path}?{urlencode(HOURLY)}" for path in (QUOTE, GREEKS)]
        addresses += [f"{terminal.v2_url}{path}?{urlencode(V2_HOURLY)}" for path in (V2_QUOTE, V2_GREEKS)]
        for address in [*addresses, *addresses]:
            following = address
            while following:
                received, ended = raw(following, patience=1)
                head, _, body = received.partition(b"\r\n\r\n")
                yield head.partition(b"\r\n")[0], body, ended, clock.slept
                found = re.search(rb"\nnext-page: (http\S+)", head)
                following = found[1].decode() if found else ""


@pytest.fixture(scope="module")
def healthy() -> list[object]:
    return list(seen(()))


def test_without_faults_everything_is_the_same_again(healthy: list[object]) -> None:
    assert list(seen(())) == healthy


@pytest.mark.parametrize("faults", EXAMPLES, ids=lambda faults: faults[0].do)
def test_every_example_is_seen_by_a_client(faults: tuple[Fault, ...], healthy: list[object]) -> None:
    assert list(seen(faults)) != healthy
