"""No credential is in a log, an error, a file's metadata or the catalog, wherever it was given."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spxdata import Emulator, download
from spxdata.errors import ConfigError
from tests.cli.screens import environment

SECRET = "correct-horse-battery"  # noqa: S105 - not one that opens anything
#: Credentials that other programs on the machine have in their environment, the Terminal's own among them.
ENVIRONMENT = {
    "THETADATA_API_KEY": SECRET,
    "THETADATA_USERNAME": f"me-{SECRET}",
    "THETADATA_PASSWORD": SECRET,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "HTTP_PROXY": f"http://me:{SECRET}@127.0.0.1:9",
}


def spxdata(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command line in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "spxdata", *arguments],
        cwd=folder,
        env=environment(**environ),
        capture_output=True,
        check=False,
    )


def leaks(folder: Path) -> list[str]:
    """Return the files below a folder that have the secret in their bytes or their name."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files if SECRET.encode() in path.read_bytes() or SECRET in path.name]


def test_the_environments_credentials_are_in_no_file_and_on_no_screen(emulator: Emulator, tmp_path: Path) -> None:
    """The whole archive, its catalog and logs, a log of one's own, and all that is said; a .env beside it included."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / ".env").write_text(f"THETADATA_API_KEY={SECRET}\n")
    arguments = ("download", "--date", "2024-01-16", "--dataset", "quote", "--data-dir", "../archive")
    log = ("--log-file", "../run.log", "--log-format", "json", "--log-level", "trace", "--json")
    done = spxdata(tmp_path / "work", *arguments, *log, "--terminal", emulator.url, **ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    shown = [spxdata(tmp_path / "work", name, **ENVIRONMENT) for name in ("config", "doctor")]
    for screen in (done, *shown):
        assert SECRET.encode() not in screen.stdout + screen.stderr
    assert (tmp_path / "run.log").stat().st_size > 0
    assert leaks(tmp_path) == [str(tmp_path / "work" / ".env")]


@pytest.mark.parametrize(
    "address", [f"http://me:{SECRET}@127.0.0.1:1", f"http://{SECRET}@127.0.0.1:1/v3", f"me:{SECRET}@127.0.0.1"]
)
def test_an_address_with_a_password_is_refused_everywhere_and_never_repeated(address: str, tmp_path: Path) -> None:
    """As an option, a variable, in both files, and from Python; nothing is written at all."""
    by_toml, by_dotenv = tmp_path / "toml", tmp_path / "dotenv"
    for folder in (by_toml, by_dotenv):
        folder.mkdir()
    (by_toml / "spxdata.toml").write_text(f'[terminal]\nurl = "{address}"\n')
    (by_dotenv / ".env").write_text(f"SPXDATA_TERMINAL__URL={address}\n")
    day = ("download", "--date", "2024-01-16", "--log-file", "run.log", "--json")
    screens = [
        spxdata(tmp_path, *day, "--terminal", address),
        spxdata(tmp_path, "doctor", "--terminal", address),
        spxdata(tmp_path, *day, SPXDATA_TERMINAL__URL=address),
        spxdata(by_toml, *day),
        spxdata(by_dotenv, "config"),
    ]
    for screen in screens:
        assert screen.returncode == 2
        assert b"user name or password" in screen.stderr
        assert SECRET.encode() not in screen.stdout + screen.stderr
    with pytest.raises(ConfigError) as caught:
        download("2024-01-16", terminal=address, data_dir=tmp_path / "data", environ={})
    assert SECRET not in f"{caught.value} {caught.value.hint} {caught.value.__cause__} {caught.value.__context__}"
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [".env", "spxdata.toml"]


def test_what_looks_like_a_credential_on_the_command_line_is_masked_in_the_logs(tmp_path: Path) -> None:
    """No option of ours takes one, but a folder may be called anything."""
    folder = f"token={SECRET}"
    log = ("--log-format", "json", "--log-level", "trace")
    done = spxdata(tmp_path, "download", "--date", "2024-01-15", "--data-dir", folder, *log)
    assert done.returncode == 0
    assert SECRET.encode() not in done.stderr
    (path,) = (tmp_path / folder / ".spxdata" / "runs").iterdir()
    assert SECRET not in path.read_text()
    assert "token=***" in path.read_text()


def test_the_environment_of_these_tests_is_no_leak_of_its_own() -> None:
    """The secret is one that nobody has by chance."""
    assert SECRET not in "".join(os.environ.values())
