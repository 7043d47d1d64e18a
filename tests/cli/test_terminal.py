"""What a user at a real terminal sees: the commands run with a pseudo-terminal as their screen."""

import os
import re
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from spxdata.emulator import Emulator
from tests.cli.screens import environment

fcntl = pytest.importorskip("fcntl")
termios = pytest.importorskip("termios")

DAY = ("download", "--date", "2024-01-16")
RANGE = ("download", "--start-date", "2024-01-12", "--end-date", "2024-01-17")
#: The escape sequence of a colour.
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@contextmanager
def terminal(width: int = 100) -> Iterator[tuple[int, int]]:
    """Open a pseudo-terminal: the side of the user, and that of the command."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    try:
        yield ours, theirs
    finally:
        os.close(ours)


def read_all(ours: int) -> str:
    """Return what a command wrote to its terminal until it was gone."""
    pieces = []
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # Linux's word for the end
            break
        if not piece:
            break
        pieces.append(piece)
    return b"".join(pieces).decode()


def show(
    folder: Path,
    arguments: Sequence[str],
    environ: Mapping[str, str],
    *,
    to_file: bool = False,
    interrupt: bool = False,
) -> str:
    """Run a command at a terminal; return what the terminal got.

    Args:
        folder: Where.
        arguments: The command.
        environ: Settings.
        to_file: Whether stdout goes into the file `out`.
        interrupt: Whether to press Ctrl-C once a file is there.
    """
    with terminal() as (ours, theirs), (folder / "out").open("w") as file:
        child = subprocess.Popen(
            [sys.executable, "-m", "spxdata", *arguments],
            stdin=theirs,
            stdout=file if to_file else theirs,
            stderr=theirs,
            cwd=folder,
            env=environment(**{"TERM": "xterm-256color", **environ}),
        )
        os.close(theirs)
        while interrupt and not list(folder.rglob("*.parquet")):
            time.sleep(0.01)
        if interrupt:
            child.send_signal(signal.SIGINT)
        text = read_all(ours)
        child.wait(timeout=60)
    return text


@pytest.fixture
def where(emulator: Emulator) -> dict[str, str]:
    """Return the environment in which the emulated Terminal is the Terminal."""
    return {"SPXDATA_TERMINAL__URL": emulator.url}


def test_bar_and_lines_above_it(folder: Path, where: dict[str, str]) -> None:
    """At a terminal there is a bar, lines scroll away above it, marks have their colour, and the bar is wiped."""
    text = show(folder, RANGE, where)
    plain = COLOUR.sub("", text)
    assert " units" in plain
    assert "━" in plain
    assert "\x1b[32m✓\x1b[0m Downloaded 2024-01-16 SPXW greeks (" in text
    assert plain.rstrip().splitlines()[-1].startswith("✓ Downloaded 3 days")
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1, "the cursor is back"


def test_results_in_a_file_and_the_bar_at_the_terminal(folder: Path, where: dict[str, str]) -> None:
    """`spxdata download > file` shows the bar all the same, and the file gets plain results only."""
    text = show(folder, DAY, where, to_file=True)
    out = (folder / "out").read_text()
    assert "━" in text
    assert "Downloaded" not in text
    assert "\x1b" not in out
    assert out.startswith("✓ Downloaded 2024-01-16 SPXW greeks (")


def test_no_color(folder: Path, where: dict[str, str]) -> None:
    """NO_COLOR takes the colours out of everything; the bar stays."""
    text = show(folder, DAY, {**where, "NO_COLOR": "1"})
    assert "━" in text
    assert "✓ Downloaded 2024-01-16" in text
    assert not [code for code in COLOUR.findall(text) if re.search(r"\b(3[0-7]|38|9[0-7])\b", code)]


@pytest.mark.parametrize(
    ("options", "kind"), [(["--quiet"], "xterm-256color"), (["--json"], "xterm-256color"), ([], "dumb")]
)
def test_no_bar_if_not_wanted(folder: Path, where: dict[str, str], options: list[str], kind: str) -> None:
    """Neither when asked to be quiet, nor for JSON, nor on a terminal that cannot move its cursor."""
    text = show(folder, (*DAY, *options), {**where, "TERM": kind})
    assert "━" not in text
    assert "\x1b[?25l" not in text


def test_ctrl_c_wipes_the_bar(folder: Path) -> None:
    """The last words stand alone at the end, with the cursor back."""
    with Emulator(chain="full") as emulator:
        text = show(folder, (*RANGE, "--max-dte", "7"), {"SPXDATA_TERMINAL__URL": emulator.url}, interrupt=True)
    *_, interrupted, hint = COLOUR.sub("", text).rstrip().splitlines()
    assert re.match(r"Interrupted: \d+ files? \(.* records\) of this run are safe in data\.", interrupted)
    assert hint.startswith("Hint: To go on, run the same command again: spxdata download --start-date 2024-01-12")
    assert text.rindex("\x1b[?25h") > text.rindex("━")
    assert text.rindex("\x1b[2K") > text.rindex("━")
