"""Two processes that want one archive: one wins, the other says so, and nothing is done twice."""

import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

from spxdata import Emulator
from spxdata.errors import ArchiveBusy
from spxdata.layout import CATALOG
from tests.faults.killed import data_requests, until
from tests.faults.suite import (
    CHILD,
    HANGS,
    Case,
    World,
    command,
    download,
    environment,
    lost,
    order,
    survived,
)

BUSY: Final = ArchiveBusy.exit_code
#: Microseconds of a second.
_SECOND: Final = 1_000_000


def beside(world: World, folder: Path) -> int:
    """Start a second command while the first is at work."""
    with Emulator(replay=world.market, min_seconds=1.0) as terminal:
        first = subprocess.Popen(
            command(terminal.url, folder),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        until(lambda: bool(data_requests(terminal)), first)
        second = subprocess.run(
            command(terminal.url, folder), check=False, capture_output=True, text=True, timeout=HANGS, env=environment()
        )
        _, stderr = first.communicate(timeout=HANGS)
        assert (first.returncode, second.returncode) == (0, BUSY), stderr + second.stderr
        assert str(first.pid) in second.stderr, "it says which process has it"
        assert_once(terminal, world)
        return lost(folder, world)


def at_once(several: int, world: World, folder: Path) -> int:
    """Start some commands in one moment."""
    with Emulator(replay=world.market, min_seconds=1.0) as terminal:
        processes = [
            subprocess.Popen(
                command(terminal.url, folder),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                env=environment(),
            )
            for _ in range(several)
        ]
        said = [process.communicate(timeout=HANGS)[1] for process in processes]
        ends = [process.returncode for process in processes]
        # One that comes so late that the first is done finds nothing left to do.
        assert 0 in ends, said
        assert set(ends) <= {0, BUSY}, list(zip(ends, said, strict=True))
        assert_once(terminal, world)
        return lost(folder, world)


def assert_once(terminal: Emulator, world: World) -> None:
    """Assert that every unit was asked for once."""
    asked = Counter(str(sorted(asked.items())) for path, asked in terminal.requests if "/history/" in path)
    assert len(asked) == len(world.hashes)
    assert set(asked.values()) == {1}


def held(host: str, age: float, expected: int, world: World, folder: Path) -> int:
    """Find a lease of another host that was last heard of so many seconds ago; a negative age is a clock ahead."""
    with Emulator(replay=world.market) as terminal:
        assert download(terminal.url, folder, fate={"moment": "after record", "nth": 2}).returncode != 0
        disown(folder, host, age)
        second = download(terminal.url, folder)
        assert second.returncode == expected, second.stderr
        if expected:
            assert host in second.stderr
            release(folder)
        return survived(terminal.url, folder, world)


def skewed(world: World, folder: Path) -> int:
    """Take a lease over from a living process of another host whose clock is an hour behind: it must notice."""
    with Emulator(replay=world.market, min_seconds=2.0) as terminal:
        arguments = command(terminal.url, folder)
        first = subprocess.Popen(
            [arguments[0], str(CHILD), order(terminal.url, folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        until(lambda: bool(data_requests(terminal)), first)
        disown(folder, "elsewhere", 3600.0)
        with Emulator(replay=world.market) as quick:
            second = download(quick.url, folder)
        _, stderr = first.communicate(timeout=HANGS)
        assert second.returncode == 0, second.stderr
        assert first.returncode == BUSY, f"{first.returncode}: {stderr}"
        rows = lost(folder, world)
        return rows or survived(terminal.url, folder, world)


def own_clock(seconds: float, world: World, folder: Path) -> int:
    """Start while our own clock goes wrong, and go on when it is right again."""
    with Emulator(replay=world.market) as terminal:
        killed = download(terminal.url, folder, fate={"moment": "after record", "nth": 2}, skew=seconds)
        assert killed.returncode not in (0, BUSY), killed.stderr
        return survived(terminal.url, folder, world)


def disown(folder: Path, host: str, age: float) -> None:
    """Make the lease one of another host."""
    with closing(sqlite3.connect(folder / CATALOG, timeout=30)) as catalog, catalog:
        heard = int((time.time() - age) * _SECOND)
        changed = catalog.execute("UPDATE lease SET host = ?, heartbeat_us = ?", (host, heard)).rowcount
        assert changed == 1


def release(folder: Path) -> None:
    """Let the other host end."""
    with closing(sqlite3.connect(folder / CATALOG, timeout=30)) as catalog, catalog:
        catalog.execute("DELETE FROM lease")


CASES: Final = (
    Case("two at once", "a second command", beside, sampled=True, counts=2),
    *(
        Case("two at once", f"{several} commands in one moment", partial(at_once, several), counts=several)
        for several in (2, 3, 4)
    ),
    *(
        Case(
            "lease of another host",
            f"last heard of {age:g} s ago",
            partial(held, "elsewhere", age, expected),
            sampled=age == 180,
        )
        for age, expected in ((1, BUSY), (100, BUSY), (180, 0), (86_400, 0), (-60, BUSY), (-86_400, BUSY))
    ),
    Case("lease of another host", "it lives, and its clock is an hour behind", skewed, counts=2),
    *(
        Case("clock is wrong", f"by {seconds / 3600:g} hours", partial(own_clock, seconds), sampled=seconds == 3600)
        for seconds in (-3600.0, 3600.0, 86_400.0 * 400)
    ),
)
