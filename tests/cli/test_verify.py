"""What `spxdata verify` says, and its exit code."""

import json
from pathlib import Path

import pytest

from spxdata.emulator import Emulator
from tests.cli.screens import Compare, Run

DOWNLOAD = ("download", "--date", "2024-01-16", "--max-dte", "3", "--quiet")
FILES = [f"data/20240116/spxw_exp_202401{day}.parquet" for day in (16, 17, 18, 19)]


@pytest.fixture
def archive(run: Run, emulator: Emulator, folder: Path) -> Path:
    """Return the folder in which there is a fresh archive of four files."""
    screen = run(*DOWNLOAD, SPXDATA_TERMINAL__URL=emulator.url, SPXDATA_TERMINAL__PACING="0")
    assert screen.code == 0
    return folder


def flip(file: Path) -> None:
    """Change a byte in the middle of a file."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def test_what_it_says(run: Run, archive: Path, golden: Compare) -> None:
    """Nothing but the summary when all is well; else a line for each difference, and what to do."""
    well = run("verify"), run("verify", "--quick")
    (archive / "data" / "unknown\n\x1b[31m.bin").write_bytes(b"?")
    unknown = run("verify")
    flip(archive / FILES[0])
    (archive / FILES[1]).unlink()
    (archive / FILES[2]).rename(archive / "data" / "20240116" / "spxw.parquet")
    worse = run("verify"), run("verify", "--quick"), run("verify", "--start-date", "2024-01-17")
    assert [screen.code for screen in (*well, unknown, *worse)] == [0, 0, 1, 5, 5, 0]
    golden("verify", *well, unknown, *worse)


def test_a_catalog_that_is_gone_or_damaged(run: Run, archive: Path, golden: Compare) -> None:
    """Both are damage; nothing is made or changed."""
    catalog = archive / "data" / ".spxdata" / "catalog.sqlite"
    catalog.write_bytes(catalog.read_bytes()[:20_000])
    damaged = run("verify")
    assert len(catalog.read_bytes()) == 20_000
    for file in catalog.parent.glob("catalog.sqlite*"):
        file.unlink()
    golden("verify_without_catalog", damaged, run("verify"))
    assert not catalog.exists()


def test_a_catalog_in_json_that_is_gone_or_damaged(run: Run, emulator: Emulator, folder: Path, golden: Compare) -> None:
    """Each of its files is named; none is made or changed."""
    terminal = {"SPXDATA_TERMINAL__URL": emulator.url, "SPXDATA_TERMINAL__PACING": "0"}
    assert run(*DOWNLOAD, SPXDATA_STORAGE__CATALOG="json", **terminal).code == 0
    well = run("verify")
    status, inventory = folder / "data" / "status.json", folder / "data" / "inventory.json"
    # cut before the first path, whose length would show in where the damage is
    inventory.write_bytes(inventory.read_bytes()[:20])
    damaged = run("verify")
    inventory.unlink()
    without_one = run("verify")
    status.unlink()
    without = run("verify", "--quick", SPXDATA_STORAGE__CATALOG="json")
    assert [screen.code for screen in (well, damaged, without_one, without)] == [0, 5, 5, 5]
    golden("verify_json_catalog", well, damaged, without_one, without)
    assert not status.exists()
    assert not inventory.exists()


def test_no_archive(run: Run, folder: Path) -> None:
    """A folder of something else is refused, and so is one that is not there."""
    (folder / "data").mkdir()
    (folder / "data" / "photo.jpg").write_bytes(b"?")
    assert (run("verify").code, run("verify", "--data-dir", "nowhere").code) == (2, 2)


def test_json(run: Run, archive: Path) -> None:
    """A record a difference and one for the sum, each with its form's version."""
    flip(archive / FILES[0])
    screen = run("verify", "--json")
    difference, summary = (json.loads(line) for line in screen.out.splitlines())
    assert (difference["event"], difference["sign"], difference["fault"]) == ("difference", "*", "sha256")
    assert difference["path"] == FILES[0].removeprefix("data/")
    assert difference["unit"]["expiration"] == "2024-01-16"
    assert {key: summary[key] for key in ("schema_version", "event", "files", "differs", "missing", "exit_code")} == {
        "schema_version": 1,
        "event": "summary",
        "files": 4,
        "differs": 1,
        "missing": 0,
        "exit_code": 5,
    }
    assert screen.err == ""
