"""What a dry run foretells of the next day is what the next day then takes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from spxdata.cli.group import cli
from spxdata.emulator import Emulator
from tests.cli.screens import environment

DATASETS = ("greeks", "trade", "eod", "open_interest")


def run(folder: Path, url: str, day: str, *options: str) -> list[dict[str, Any]]:
    """Download a day; return what is told of it."""
    where = ("--data-dir", str(folder / "archive"), "--terminal", url, "--json")
    what = [word for name in DATASETS for word in ("--dataset", name)]
    result = CliRunner().invoke(cli, ["download", "--date", day, *what, *where, *options], env=environment())
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def foretold(folder: Path, url: str, day: str, *options: str) -> dict[str, Any]:
    """Return the forecast of a day."""
    *_, told = run(folder, url, day, "--dry-run", *options)
    assert told["event"] == "forecast"
    return dict(told)


def data_requests(terminal: Emulator) -> int:
    """Return how many data requests held a place so far."""
    return len(terminal.served)


@pytest.fixture(params=["v3", "v2"])
def terminal(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """Return a Terminal; v2's pages are small, so that a unit has several."""
    with Emulator(dialect=request.param, page_rows=20_000) as emulator:
        yield emulator


def test_the_next_days_requests_and_bytes_are_foretold(tmp_path: Path, terminal: Emulator) -> None:
    """After one day the next one's are within 15 %; before it, only the units can be counted."""
    before = foretold(tmp_path, terminal.url, "2024-01-16")
    assert before["requests"] > 0
    assert (before["received"], before["stored"], before["seconds"]) == (None, None, None)
    assert {share["basis"] for share in before["shares"]} == {None}
    run(tmp_path, terminal.url, "2024-01-16")
    told, asked = foretold(tmp_path, terminal.url, "2024-01-17"), data_requests(terminal)
    *_, finished = run(tmp_path, terminal.url, "2024-01-17")
    assert told["requests"] == pytest.approx(data_requests(terminal) - asked, rel=0.15)
    assert told["received"] == pytest.approx(finished["received"], rel=0.15)
    assert told["stored"] == pytest.approx(finished["bytes"], rel=0.15)
    assert told["seconds"] > 0


def test_without_a_terminal_it_is_told_from_the_archive_alone(tmp_path: Path) -> None:
    """Where contract lists are kept nothing has to be asked."""
    with Emulator() as terminal:
        url = terminal.url
        run(tmp_path, url, "2024-01-16")
        told = foretold(tmp_path, url, "2024-01-16", "--force")
    assert foretold(tmp_path, url, "2024-01-16", "--force")["received"] == told["received"] > 0
