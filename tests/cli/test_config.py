"""`spxdata config --init`: a file to begin with, written whole, never over another one unasked."""

import json
from pathlib import Path

from spxdata.cli import templates
from tests.cli.screens import Compare, Run


def test_init_in_words(run: Run, golden: Compare, folder: Path) -> None:
    """Written, refused, replaced; and what cannot be meant."""
    golden(
        "config_init",
        run("config", "--init"),
        run("config", "--init"),
        run("config", "--init", "--force"),
        run("config", "--force"),
        run("config", "--init", "--data-dir", "x"),
        run("config", "--init", SPXDATA_CONFIG="nowhere/mine.toml"),
    )
    assert (folder / "nowhere" / "mine.toml").exists()


def test_what_is_there_is_left_as_it_is(run: Run, folder: Path) -> None:
    """Somebody's settings are worth more than ours; a broken one can be replaced all the same."""
    path = folder / "spxdata.toml"
    path.write_text("[terminal]\ntier = gold\n")
    assert run("config", "--init").code == 2
    assert path.read_text() == "[terminal]\ntier = gold\n"
    assert run("config", "--init", "--force").code == 0
    assert path.read_text() == templates.toml()
    assert run("config").code == 0


def test_a_link_to_nowhere_is_there_too(run: Run, folder: Path) -> None:
    """It would lead the file to another place."""
    (folder / "spxdata.toml").symlink_to("elsewhere.toml")
    assert run("config", "--init").code == 2
    assert not (folder / "elsewhere.toml").exists()


def test_nothing_but_the_file_is_left(run: Run, folder: Path) -> None:
    """No temporary one beside it."""
    run("config", "--init")
    assert [path.name for path in folder.iterdir()] == ["spxdata.toml"]


def test_a_folder_that_takes_no_file_is_told(run: Run, folder: Path) -> None:
    (folder / "file").write_text("")
    screen = run("config", "--init", SPXDATA_CONFIG="file/mine.toml")
    assert screen.code == 5
    assert "SPX-S002" in screen.err


def test_json_says_where(run: Run, folder: Path) -> None:
    record = json.loads(run("config", "--init", "--json").out)
    assert (record["event"], record["schema_version"]) == ("settings_file", 1)
    assert Path(record["path"]) == folder / "spxdata.toml"
