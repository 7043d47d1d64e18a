"""A log on request: on stderr instead of progress, or in a file beside it; run as a process, as a user does."""

import json
from pathlib import Path
from typing import Any

import pytest

from spxdata.emulator import Emulator
from tests.cli.screens import Run, Screen

DAY = ("download", "--date", "2024-01-16", "--dataset", "quote")
CLOSED = ("download", "--date", "2024-01-15")


@pytest.fixture
def terminal(emulator: Emulator) -> dict[str, str]:
    """Return the environment in which the emulated Terminal is the Terminal."""
    return {"SPXDATA_TERMINAL__URL": emulator.url, "SPXDATA_TERMINAL__PACING": "0"}


def records(text: str) -> list[dict[str, Any]]:
    """Return lines as JSON."""
    return [json.loads(line) for line in text.splitlines()]


def names(screen: Screen) -> list[str]:
    """Return the events on stderr, all of whose lines are records."""
    return [record["event"] for record in records(screen.err)]


def test_stderr_is_the_logs_alone(process: Run, terminal: dict[str, str]) -> None:
    """Every line is a record that says all of the run, and stdout says what it always says."""
    screen = process(*DAY, "--log-format", "json", **terminal)
    assert screen.code == 0
    assert screen.out.startswith("✓ Downloaded 2024-01-16 SPXW quote")
    found = records(screen.err)
    assert [found[0]["event"], found[-1]["event"]] == ["run", "run_finished"]
    assert {record["level"] for record in found} == {"info"}
    assert len({record["run_id"] for record in found}) == 1
    for record in found:
        assert record["command"] == "download"
        assert record["parameters"] == [*DAY[1:], "--log-format", "json"]
    units = [record for record in found if record["event"] == "unit_recorded"]
    assert units
    assert all(record["correlation_id"].startswith("20240116-") for record in units)


def test_a_file_takes_the_log_and_stderr_keeps_its_words(process: Run, folder: Path, closed_port: str) -> None:
    """In both, the error that ended the run, with its code."""
    quick = {"SPXDATA_TERMINAL__URL": closed_port, "SPXDATA_TERMINAL__PATIENCE": "0"}
    screen = process(*DAY, "--log-file", "run.log", "--log-format", "json", **quick)
    assert screen.code == 75
    assert "Error: No Theta Terminal" in screen.err
    assert "[SPX-T001]" in screen.err
    last = records((folder / "run.log").read_text())[-1]
    assert (last["event"], last["level"], last["code"]) == ("run_failed", "error", "SPX-T001")
    assert last["hint"] in screen.err


def test_a_run_that_fails_is_told_once(process: Run, closed_port: str) -> None:
    """By the log, where that has stderr; in JSON on stdout too, if that is asked for."""
    quick = {"SPXDATA_TERMINAL__URL": closed_port, "SPXDATA_TERMINAL__PATIENCE": "0"}
    screen = process(*DAY, "--log-format", "json", "--json", **quick)
    assert screen.code == 75
    assert names(screen)[-1] == "run_failed"
    assert records(screen.out)[-1]["code"] == records(screen.err)[-1]["code"] == "SPX-T001"


def test_the_options_are_settings(run: Run, folder: Path) -> None:
    """So they may stand in the environment, and an option goes before it."""
    run(*CLOSED, SPXDATA_LOG__FILE="one.log", SPXDATA_LOG__FORMAT="json")
    run(*CLOSED, "--log-file", "two.log", SPXDATA_LOG__FILE="one.log")
    assert [record["event"] for record in records((folder / "one.log").read_text())] == [
        "run",
        "run_started",
        "day_closed",
        "run_finished",
    ]
    assert "2024-01-15: closed, Martin Luther King Jr. Day" in (folder / "two.log").read_text()


def test_a_level_alone_asks_for_a_log(run: Run) -> None:
    """As text, on stderr; what is less urgent is left out."""
    assert run(*CLOSED, "--log-level", "info").err.count("\n") == 4
    assert run(*CLOSED, "--log-level", "warn").err == ""


def test_what_is_wrong_before_a_run_is_told_in_words(run: Run) -> None:
    """There is no log yet."""
    screen = run("download", "--date", "noon", "--log-format", "json")
    assert (screen.code, screen.err.startswith("Error: ")) == (2, True)
    screen = run(*CLOSED, "--log-level", "loud")
    assert (screen.code, "trace, debug, info, warn, error, fatal" in screen.err) == (2, True)


def test_a_log_that_cannot_be_written_stops_the_run_before_it_begins(run: Run, folder: Path) -> None:
    """With words about the log, and nothing in the archive."""
    screen = run(*CLOSED, "--log-file", "nowhere/run.log")
    assert screen.code == 5
    assert "nowhere/run.log" in screen.err
    assert "--log-file" in screen.err
    assert not list(folder.iterdir())


def test_a_dry_run_leaves_no_log(run: Run, folder: Path) -> None:
    """It leaves nothing."""
    run(*CLOSED, "--dry-run", "--log-file", "run.log")
    assert not list(folder.iterdir())
