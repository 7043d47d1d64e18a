"""What `spxdata convert` says and does, and its exit code."""

import json
from pathlib import Path

import pytest

from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.clock import SystemClock
from tests.cli.screens import Compare, Run
from tests.cli.test_verify import FILES, archive, flip

__all__ = ["archive"]


def test_what_it_says(run: Run, archive: Path, golden: Compare) -> None:
    """What was done, which setting keeps it so, that nothing is left to do; files that are damaged."""
    to_csv = run("convert", "--format", "csv")
    again = run("convert", SPXDATA_STORAGE__FORMAT="csv")
    well = run("verify")
    to_decimals = run("convert", "--numbers", "decimal")
    flip(archive / FILES[0])
    (archive / FILES[1]).unlink()
    damaged = run("convert")
    assert [screen.code for screen in (to_csv, again, well, to_decimals, damaged)] == [0, 0, 0, 0, 5]
    golden("convert", to_csv, again, to_decimals, damaged)


def test_the_settings_say_what_is_wanted(run: Run, archive: Path) -> None:
    """Then nothing is to be said of later downloads."""
    (archive / "spxdata.toml").write_text('[storage]\nformat = "csv"\n')
    assert "Hint" not in run("convert").out
    assert len(list((archive / "data").glob("2*/*.csv"))) == 4
    assert "storage.format" in run("convert", "--format", "parquet").out


def test_json(run: Run, archive: Path) -> None:
    """A record a file, then the sum."""
    flip(archive / FILES[0])
    screen = run("convert", "--format", "csv", "--json")
    *files, summary = (json.loads(line) for line in screen.out.splitlines())
    assert [file["change"] for file in files] == ["damaged", *["converted"] * 3]
    assert files[1]["to"] == files[1]["path"].replace(".parquet", ".csv")
    assert (summary["converted"], summary["damaged"], summary["kept"], summary["older"]) == (3, 1, 0, 0)
    assert summary["settings"] == ['storage.format = "csv"']
    assert summary["exit_code"] == screen.code == 5


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--format", "xlsx"), "storage.format"), (("--numbers", "float"), "storage.numbers")],
)
def test_a_wrong_encoding_is_named(arguments: tuple[str, str], words: str, run: Run) -> None:
    screen = run("convert", *arguments)
    assert screen.code == 2
    assert words in screen.err


def test_a_catalog_that_is_gone_is_not_made_anew(run: Run, archive: Path) -> None:
    """An empty one would say that nothing is stored."""
    for file in (archive / "data" / ".spxdata").glob("catalog.sqlite*"):
        file.unlink()
    screen = run("convert", "--format", "csv")
    assert screen.code == 5
    assert "is not there" in screen.err
    assert "spxdata repair" in screen.err
    assert not (archive / "data" / ".spxdata" / "catalog.sqlite").exists()


def test_without_an_archive_or_beside_a_writer_nothing_is_done(run: Run, archive: Path) -> None:
    assert run("convert", "--data-dir", "elsewhere").code == 2
    catalog = SqliteCatalog(archive / "data" / ".spxdata" / "catalog.sqlite")
    with catalog.lease(SystemClock()):
        assert run("convert", "--format", "csv").code == 6
    catalog.close()
    assert run("verify").code == 0
