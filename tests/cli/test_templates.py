"""Settings files to begin with: complete, true, and without effect until somebody edits them."""

import re
import tomllib
from pathlib import Path

import pytest

from spxdata.cli import templates
from spxdata.config import SECTIONS, SETTINGS, Settings, describe, load

#: A commented-out setting, which a user would take the mark from.
SETTING = re.compile(r"^# (?=\w+ ?=)", re.MULTILINE)


def loaded(folder: Path, name: str, text: str) -> Settings:
    """Return the settings with this file and no other."""
    (folder / name).write_text(text, encoding="utf-8")
    return load(environ={}, directory=folder)


FILES = [("spxdata.toml", templates.toml()), (".env", templates.dotenv())]


@pytest.mark.parametrize(("name", "text"), FILES)
def test_as_it_is_it_changes_nothing(name: str, text: str, tmp_path: Path) -> None:
    settings = loaded(tmp_path, name, text)
    assert settings == Settings()
    assert set(settings.origins.values()) == {"default"}


@pytest.mark.parametrize(("name", "text"), FILES)
def test_with_every_mark_taken_away_it_says_the_defaults(name: str, text: str, tmp_path: Path) -> None:
    settings = loaded(tmp_path, name, SETTING.sub("", text))
    assert settings == Settings()
    assert set(settings.origins.values()) == {name}
    assert settings.origins.keys() == SETTINGS.keys()


def test_every_setting_is_explained_above_it() -> None:
    """What it is for, and what is allowed."""
    for _, text in FILES:
        words = " ".join(re.sub(r"^# ?", "", text, flags=re.MULTILINE).split())
        for setting in SETTINGS.values():
            assert f"{setting.help[:1].upper()}{setting.help[1:]}: {setting.accepts.allowed}." in words


def test_sections_stand_in_the_order_of_the_table() -> None:
    assert list(tomllib.loads(templates.toml())) == list(SECTIONS)


def test_no_line_is_too_long_to_read() -> None:
    for _, text in FILES:
        assert max(map(len, text.splitlines())) <= 110


def test_a_number_stands_without_quotes() -> None:
    text = SETTING.sub("", templates.toml())
    for row in describe(Settings()):
        section, _, name = row.key.partition(".")
        value = tomllib.loads(text)[section][name]
        assert str(value) == row.value
        assert isinstance(value, str) != isinstance(SETTINGS[row.key].default, int | float)
