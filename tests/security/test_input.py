"""What comes from outside is checked at the boundary, before anything is asked, made or removed."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata import download
from spxdata.errors import ConfigError
from spxdata.model import parse_day, parse_root
from tests.cli.screens import environment

LONG = "X" * 100_000

#: Nothing of this is a root; some of it would be a path, a query, a name of SQL or of a shell.
ROOTS = (
    "../x",
    "..",
    ".",
    "/etc",
    "a/b",
    "a\\b",
    "C:",
    "SPX\0W",
    "SPX W",
    "SPX&date=20240116",
    "SPX?x",
    "SPX%2e",
    "SPX'--",
    "$(id)",
    "-rf",
    "~",
    "*",
    "SPX\n",
    "",
    LONG,
    "ＳＰＸ",  # noqa: RUF001 - full-width letters are meant
)
DAYS = ("", "../..", "2024-13-01", "2024-02-30", "20240116\0", "2024-01-16; x", "1e9", LONG, "9" * 40)
ADDRESSES = (
    "file:///etc/passwd",
    "ftp://127.0.0.1",
    "gopher://127.0.0.1",
    "javascript:alert(1)",
    "//127.0.0.1",
    "http:127.0.0.1",
    "http://127.0.0.1\r\nHost: other",
    "http://127.0.0.1\0",
    "http://127.0.0.1/%2e%2e",
    "http://127.0.0.1:99999",
    "http://127.0.0.1\\@other",
    "unix:/var/run/x",
    f"http://{LONG}",
)


@pytest.mark.parametrize("root", ROOTS, ids=lambda text: ascii(text)[:20])
def test_a_root_is_letters_and_digits(root: str, tmp_path: Path) -> None:
    """In code, and in a call; nothing is made of what is none."""
    stripped = root.strip()
    if stripped.isascii() and stripped.isalnum() and len(stripped) <= 10:
        assert parse_root(root) == stripped.upper()  # what stands around it is no part of it
        return
    with pytest.raises(ConfigError):
        parse_root(root)
    if root:  # an empty one stands for "not given"
        with pytest.raises(ConfigError):
            download("2024-01-16", root=root, data_dir=tmp_path / "data", environ={})
    assert not list(tmp_path.iterdir())


@given(st.text())
def test_no_text_becomes_a_root_that_leaves_its_folder(text: str) -> None:
    """A root is part of file names."""
    try:
        root = parse_root(text)
    except ConfigError:
        return
    assert root.isascii()
    assert root[0].isalpha()
    assert Path(f"{root.lower()}.parquet").name == f"{root.lower()}.parquet"
    assert {"/", "\\", "\0", os.sep, "%", "&"}.isdisjoint(root)
    assert len(root) <= 10


@pytest.mark.parametrize("day", DAYS, ids=lambda text: ascii(text)[:20])
def test_a_day_is_a_day_of_the_calendar(day: str) -> None:
    with pytest.raises(ConfigError):
        parse_day(day)


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda text: ascii(text)[:30])
def test_an_address_is_http_or_https(address: str, tmp_path: Path) -> None:
    """Nothing else is opened, and no header is smuggled in."""
    with pytest.raises(ConfigError) as caught:
        download("2024-01-16", terminal=address, data_dir=tmp_path / "data", environ={})
    assert len(caught.value.message) < 400
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("folder", ["", " ", "a\0b", "x" * 5000])
def test_a_folder_is_a_path(folder: str) -> None:
    with pytest.raises(ConfigError):
        download("2024-01-16", data_dir=folder, environ={})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SPXDATA_DOWNLOAD__ROOT", "../x"),
        ("SPXDATA_TERMINAL__URL", "file:///etc/passwd"),
        ("SPXDATA_STORAGE__FORMAT", "exe"),
        ("SPXDATA_LOG__LEVEL", "loud"),
        ("SPXDATA_DOWNLOAD__INTERVAL", "1m&x=1"),
        ("SPXDATA_DOWNLOAD__RETRIES", "1e400"),
        ("SPXDATA_NO__SUCH", "x"),
    ],
)
def test_a_setting_is_checked_wherever_it_comes_from(variable: str, value: str, tmp_path: Path) -> None:
    """Before an archive is made."""
    with pytest.raises(ConfigError):
        download("2024-01-15", data_dir=tmp_path / "data", environ={variable: value})
    assert not list(tmp_path.iterdir())
    assert variable not in environment()  # and it stayed there
