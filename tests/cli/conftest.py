"""Runs the command line as a user would, and compares what it says with files in golden/.

`UPDATE_GOLDEN=1 pytest tests/cli` writes those files anew; look at the difference before you keep it.
"""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from spxdata.cli.group import cli
from tests.cli.screens import GOLDEN, Compare, Run, Screen, environment


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return the empty folder that commands run in."""
    inside = tmp_path / "folder"
    inside.mkdir()
    with contextlib.chdir(inside):
        yield inside


@pytest.fixture
def closed_port() -> str:
    """Return an address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def run(folder: Path) -> Run:
    """Return a runner within this process, which stands in the folder."""

    def runner(*arguments: str, **environ: str) -> Screen:
        assert Path.cwd() == folder
        result = CliRunner().invoke(cli, arguments, prog_name="spxdata", env=environ)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Screen(" ".join(("spxdata", *arguments)), result.exit_code, result.stdout, result.stderr)

    return runner


@pytest.fixture
def process(folder: Path) -> Run:
    """Return a runner in a process of its own."""

    def runner(*arguments: str, **environ: str) -> Screen:
        done = subprocess.run(
            [sys.executable, "-m", "spxdata", *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env=environment(**environ),
            timeout=120,
        )
        return Screen(" ".join(("spxdata", *arguments)), done.returncode, done.stdout, done.stderr)

    return runner


@pytest.fixture
def golden(folder: Path) -> Compare:
    """Return a comparison of screens with a golden file."""

    def compare(name: str, *screens: Screen) -> None:
        text = "\n".join(screen.text(folder) for screen in screens)
        file = GOLDEN / f"{name}.txt"
        if os.environ.get("UPDATE_GOLDEN"):
            file.write_text(text, encoding="utf-8")
        assert text == file.read_text(encoding="utf-8"), f"{file} says otherwise; UPDATE_GOLDEN=1 writes it anew"

    return compare
