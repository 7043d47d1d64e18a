from pathlib import Path

import pytest

from spxdata.emulator import Emulator, Fault
from spxdata.emulator.fault_file import read_faults
from spxdata.errors import ConfigError


def test_a_file_gives_the_same_faults_as_python(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(
        """
        [[fault]]
        dataset = "quote"
        date = 2024-01-16
        nth = [1, 3]
        do = "status"
        status = 500
        headers = { x = "y" }

        [[fault]]
        do = "trickle"
        bytes = 10
        seconds = 0.5
        share = 0.2
        seed = 3
        """
    )
    expected = (
        Fault("status", dataset="quote", date="2024-01-16", nth=[1, 3], status=500, headers={"x": "y"}),
        Fault("trickle", bytes=10, seconds=0.5, share=0.2, seed=3),
    )
    assert read_faults(path) == read_faults(str(path)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[fault]]\ndo = 'zero_bytes'\n[[fault]]\ndo = 'delay'", "fault 2: seconds is missing"),
        ("[[fault]]\ndo = 'delay'\nseconds = 'long'", "fault 1: seconds = 'long': must be seconds, 0 or more"),
        ("[[faults]]\ndo = 'delay'", "faults: no such key; only [[fault]] tables are allowed"),
        ("[fault]\ndo = 'delay'", "fault must be written as [[fault]] tables"),
        ("[[fault", "is not TOML"),
    ],
)
def test_a_bad_file_is_refused_naming_file_fault_and_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        Emulator(faults=path)
    assert str(caught.value).startswith(f"emulator fault file {str(path)!r}")
    assert message in str(caught.value)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"emulator fault file '/nowhere/faults.toml' cannot be read"):
        Emulator(faults="/nowhere/faults.toml")


def test_an_empty_file_is_no_faults(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text("")
    assert read_faults(path) == ()
