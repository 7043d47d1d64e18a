"""A week of unattended updates, with all that may go wrong in it, ends as one undisturbed download."""

import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner, Result

from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.cli.group import cli
from spxdata.emulator import Emulator
from spxdata.layout import CATALOG, PARTIAL
from spxdata.model import Day, Verdict
from tests.cli.screens import environment

#: Wednesday to Wednesday, with a weekend and a holiday between: five trading days.
START, END = "2024-01-10", "2024-01-17"
WHAT = ("--dataset", "quote", "--dataset", "greeks", "--dataset", "eod", "--dataset", "open_interest", "--max-dte", "1")
#: What a timer types every night, and the nights; each comes when the day before has been published.
UPDATE = ("update", "--quiet")
THURSDAY, FRIDAY, SATURDAY = "2024-01-11T02:10", "2024-01-12T02:10", "2024-01-13T02:10"
TUESDAY_NOON, WEDNESDAY, THURSDAY_AFTER = "2024-01-16T12:00", "2024-01-17T02:10", "2024-01-18T02:10"
#: The interior day that somebody deletes.
DELETED = "2024-01-11"
DATA = "history/"


class Held(NamedTuple):
    """What an archive holds: the content of every file by path, and every day's verdict and rows."""

    files: dict[str, str]
    days: dict[Day, tuple[Verdict | None, int]]


def held(archive: Path) -> Held:
    """Return what the catalog says, having looked that its files are there and no others."""
    catalog = SqliteCatalog(archive / CATALOG, read_only=True)
    try:
        days = catalog.days()
        outcomes = [outcome for status in days for outcome in catalog.outcomes(status.day)]
    finally:
        catalog.close()
    files = {outcome.artifact.path: outcome.artifact.content_hash for outcome in outcomes if outcome.artifact}
    on_disk = {file.relative_to(archive).as_posix() for file in archive.glob("2*/*")}
    assert on_disk == set(files)
    return Held(files, {status.day: (status.verdict, status.rows) for status in days})


@pytest.fixture(scope="module")
def terminal() -> Iterator[Emulator]:
    """Return a Terminal that takes its time, so that a run can be killed in its midst."""
    with Emulator(seed=1, min_seconds=0.05) as emulator:
        yield emulator


def settings(terminal: Emulator, archive: Path, now: str) -> dict[str, str]:
    """Return the environment of a command."""
    return {
        "SPXDATA_NOW": now,
        "SPXDATA_TERMINAL__URL": terminal.url,
        "SPXDATA_TERMINAL__PACING": "0",
        "SPXDATA_DOWNLOAD__CONCURRENCY": "1",
        "SPXDATA_UPDATE__PATIENCE": "0",
        "SPXDATA_STORAGE__DATA_DIRECTORY": str(archive),
    }


def run(terminal: Emulator, archive: Path, now: str, *arguments: str) -> Result:
    """Run a command at a moment."""
    return CliRunner().invoke(cli, arguments, prog_name="spxdata", env=settings(terminal, archive, now))


@pytest.fixture(scope="module")
def undisturbed(terminal: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Held:
    """Return what one download at the end of the week holds."""
    archive = tmp_path_factory.mktemp("undisturbed")
    done = run(terminal, archive, THURSDAY_AFTER, "download", "--start-date", START, "--end-date", END, *WHAT)
    assert done.exit_code == 0, done.output
    found = held(archive)
    assert {verdict for verdict, _ in found.days.values()} == {Verdict.COMPLETE}
    assert len(found.days) == 5 * 4  # trading days, datasets
    return found


def kill_midway(terminal: Emulator, archive: Path, now: str) -> None:
    """Start an update and kill it once it has stored a file."""
    before = set(archive.glob("2*/*.parquet"))
    with subprocess.Popen(
        [sys.executable, "-m", "spxdata", *UPDATE], env=environment(**settings(terminal, archive, now))
    ) as child:
        while not set(archive.glob("2*/*.parquet")) - before:
            assert child.poll() is None
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL


def delete_files(archive: Path) -> None:
    """Delete a day's folder."""
    shutil.rmtree(archive / DELETED.replace("-", ""))


def delete_files_and_lines(archive: Path) -> None:
    """Delete a day's folder, and all that the catalog knows of the day."""
    delete_files(archive)
    connection = sqlite3.connect(archive / CATALOG)
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        for table in ("file_inventory", "expiration_status", "attempts", "contract_lists", "download_status"):
            connection.execute(f"DELETE FROM {table} WHERE trade_date = ?", (DELETED,))  # noqa: S608 - names from here
        connection.commit()
    finally:
        connection.close()


def delete_one_file(archive: Path) -> None:
    """Delete one of a day's files."""
    min((archive / DELETED.replace("-", "")).iterdir()).unlink()


@pytest.mark.parametrize("delete", [delete_files, delete_files_and_lines, delete_one_file])
def test_a_disturbed_week_ends_as_an_undisturbed_download(
    delete: Callable[[Path], None], terminal: Emulator, undisturbed: Held, tmp_path: Path
) -> None:
    """The Terminal is absent one night, the process is killed in another, an interior day is deleted by hand."""
    archive = tmp_path / "archive"

    def night(now: str, *more: str) -> Result:
        return run(terminal, archive, now, *UPDATE, *more)

    def asked_of() -> set[str]:
        asked = (parameters for path, parameters in terminal.requests[seen:] if DATA in path)
        return {parameters.get("date") or parameters["start_date"] for parameters in asked}

    assert night(THURSDAY, "--start-date", START, *WHAT).exit_code == 0

    terminal.stop()
    try:
        absent = night(FRIDAY)
    finally:
        terminal.start()
    assert (absent.exit_code, absent.stdout) == (75, "")
    assert "[SPX-T001]" in absent.stderr

    kill_midway(terminal, archive, SATURDAY)

    assert night(TUESDAY_NOON).exit_code == 0  # also notes that the day itself is not published
    verdicts = {day: verdict for day, (verdict, _) in held(archive).days.items()}
    assert {str(day.trade_date) for day, verdict in verdicts.items() if verdict is Verdict.COMPLETE} == {
        "2024-01-10",
        "2024-01-11",
        "2024-01-12",
    }
    assert {day.dataset: verdict for day, verdict in verdicts.items() if str(day.trade_date) == "2024-01-16"} == {
        "quote": Verdict.NOT_PUBLISHED,
        "greeks": Verdict.NOT_PUBLISHED,
        "eod": Verdict.NOT_PUBLISHED,
        "open_interest": Verdict.UNVERIFIED,  # out since the morning, and the list of contracts is not
    }

    delete(archive)
    seen = len(terminal.requests)
    assert night(WEDNESDAY).exit_code == 0
    assert asked_of() == {DELETED, "2024-01-16"}

    assert night(THURSDAY_AFTER).exit_code == 0
    assert held(archive) == undisturbed

    seen = len(terminal.requests)
    again = night(THURSDAY_AFTER)
    assert (again.exit_code, again.output) == (0, "")
    assert len(terminal.requests) == seen
    assert not list(archive.rglob(f"*{PARTIAL}"))
