"""What `spxdata export` says and does, and its exit code."""

import json
from pathlib import Path

import pytest

from spxdata.analysis.export import FORMATS
from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.cli.export import _FORMATS
from spxdata.model import Verdict
from tests.builders import NOW
from tests.cli.screens import Compare, Run
from tests.cli.test_verify import FILES, archive

__all__ = ["archive"]


def partial(archive: Path) -> None:
    """Make the archive's day one that is not complete."""
    catalog = SqliteCatalog(archive / "data" / ".spxdata" / "catalog.sqlite")
    (status,) = catalog.days()
    catalog.end_day(status.day, Verdict.PARTIAL, None, NOW)
    catalog.close()


def test_what_it_says(run: Run, archive: Path, golden: Compare) -> None:
    """What was written, that it is there; a day that is not complete; another choice; a file that is damaged."""
    whole = run("export", "out"), run("export", "out")
    other = run("export", "out", "--max-dte", "1"), run("export", "data/out"), run("export", "x", "--dataset", "trade")
    partial(archive)
    less = run("export", "out"), run("export", "out", "--complete-only", "--force")
    (archive / FILES[0]).unlink()
    damaged = run("export", "out.duckdb")
    assert [screen.code for screen in (*whole, *other, *less, damaged)] == [0, 0, 2, 2, 2, 1, 1, 5]
    golden("export", *whole, *other, *less, damaged)


@pytest.mark.usefixtures("archive")
def test_options_choose_rows(run: Run) -> None:
    """As those of other commands do."""
    every = json.loads(run("export", "every", "--all-rows", "--json").out.splitlines()[-1])
    one_day = ("--start-date", "2024-01-16", "--end-date", "20240116", "--root", "spxw", "--interval", "1m")
    some = json.loads(
        run("export", "some", *one_day, "--right", "put", "--max-dte", "1", "--json").out.splitlines()[-1]
    )
    one = json.loads(run("export", "one", "--expiration", "2024-01-19", "--json").out.splitlines()[-1])
    assert 0 < some["rows"] < every["rows"]
    assert 0 < one["rows"] < every["rows"]


@pytest.mark.usefixtures("archive")
def test_nothing_of_what_is_chosen_is_no_success(run: Run) -> None:
    screen = run("export", "none", "--expiration", "2024-02-16")
    assert screen.code == 1
    assert "nothing to export" in screen.out


def test_json(run: Run, archive: Path) -> None:
    """A record a day, then the sum."""
    partial(archive)
    screen = run("export", "out", "--format", "hive", "--json")
    day, summary = (json.loads(line) for line in screen.out.splitlines())
    assert (day["change"], day["verdict"], day["dataset"], day["trade_date"]) == (
        "written",
        "partial",
        "greeks",
        "2024-01-16",
    )
    assert (summary["written"], summary["kept"], summary["partial"]) == (1, 0, 1)
    assert summary["rows"] == day["rows"] > 0
    assert summary["exit_code"] == screen.code == 1


def test_the_command_knows_every_format() -> None:
    """It names them without loading what writes them."""
    assert _FORMATS == FORMATS
