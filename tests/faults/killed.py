"""Processes that end before their work does: killed at every step of a commit, told to stop, killed at random."""

import os
import pty
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from spxdata import Emulator
from tests.faults.suite import (
    CHILD,
    HANGS,
    Case,
    Skipped,
    World,
    assert_sound,
    command,
    download,
    environment,
    lost,
    order,
    strace,
    survived,
)

STEPS: Final = ("write", "fsync", "rename", "folder fsync", "withdraw", "record", "end of day")
CALLS: Final = ("write", "pwrite64", "fsync", "fdatasync", "rename", "mkdir", "unlink", "ftruncate")
KILLED: Final = -signal.SIGKILL
#: Random kills of one archive, all from this seed.
KILLS: Final = 200
KILLS_JSON: Final = 50
SEED: Final = 5


def at_a_step(
    moment: str, nth: int, world: World, folder: Path, *, replacing: bool = False, catalog: str = "sqlite"
) -> int:
    """Kill a download before or after a step, in a new archive or while it replaces what is there."""
    with Emulator(replay=world.market) as terminal:
        if replacing:
            shutil.copytree(world.archives[catalog], folder)
        fate = {"moment": moment, "nth": nth}
        killed = download(terminal.url, folder, fate=fate, force=replacing, catalog=catalog)
        assert killed.returncode == KILLED, f"it lived to {killed.returncode}: {killed.stderr}"
        return survived(terminal.url, folder, world, catalog=catalog)


def at_a_call(call: str, nth: int, world: World, folder: Path) -> int:
    """Kill a download as it enters a system call, whatever that was for."""
    prefix = strace(f"{call}:signal=SIGKILL:when={nth}")
    with Emulator(replay=world.market) as terminal:
        done = download(terminal.url, folder, prefix=prefix)
        assert done.returncode in (KILLED, 0), done.stderr  # a thread may never come to its nth call
        return survived(terminal.url, folder, world)


@contextmanager
def heard(number: signal.Signals) -> Iterator[None]:
    """Let processes that start meanwhile hear a signal, also where this suite itself runs under nohup."""
    before = signal.getsignal(number)
    if before is signal.SIG_IGN:  # which children would inherit
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(number, before)


def told(number: signal.Signals, answers: int, world: World, folder: Path) -> int:
    """Stop the real command by a signal, while a reply is awaited: it ends as it says, and at once."""
    with Emulator(replay=world.market, min_seconds=1.0) as terminal, heard(number):
        process = subprocess.Popen(
            command(terminal.url, folder), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
        )
        until(lambda: len(data_requests(terminal)) >= answers, process)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=HANGS)
        assert process.returncode == 130, (process.returncode, stderr)
        assert "Interrupted" in stderr
    with Emulator(replay=world.market) as terminal:
        return survived(terminal.url, folder, world)


def hung_up(world: World, folder: Path) -> int:
    """Close the terminal window in which the real command shows its bar."""
    setsid = shutil.which("setsid")
    if setsid is None:
        raise Skipped("needs setsid")
    with Emulator(replay=world.market, min_seconds=1.0) as terminal:
        screen, end = pty.openpty()
        process = subprocess.Popen(
            [setsid, "--ctty", *command(terminal.url, folder)], stdin=end, stdout=end, stderr=end, env=environment()
        )
        os.close(end)
        until(lambda: len(data_requests(terminal)) >= 2, process)
        os.close(screen)
        process.wait(timeout=HANGS)  # it does not outlive its terminal
    with Emulator(replay=world.market) as terminal:
        return survived(terminal.url, folder, world)


def deaf(world: World, folder: Path) -> int:
    """Hang up on a command that was started with nohup: it goes on to its end."""
    with Emulator(replay=world.market, min_seconds=0.2) as terminal:
        process = subprocess.Popen(
            ["nohup", *command(terminal.url, folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        until(lambda: len(data_requests(terminal)) >= 1, process)
        process.send_signal(signal.SIGHUP)
        _, stderr = process.communicate(timeout=HANGS)
        assert process.returncode == 0, stderr
        return lost(folder, world)


def at_random(kills: int, seed: int, world: World, folder: Path, *, catalog: str = "sqlite") -> int:
    """Kill one archive's downloads again and again: at moments counted, or after some time; then let one end.

    Once all is there, runs replace it, so that there is always something to kill.
    """
    dice = random.Random(seed)  # noqa: S311 - the same kills every time are the point
    with Emulator(replay=world.market) as terminal:
        done = 0
        while done < kills:
            force = dice.random() < 0.7
            if dice.random() < 0.75:
                fate = {"moment": "any", "nth": dice.randrange(1, 200)}
                returned = download(terminal.url, folder, fate=fate, force=force, catalog=catalog).returncode
            else:
                returned = _killed_after(dice.uniform(0.05, 1.5), terminal.url, folder, force=force, catalog=catalog)
            assert returned in (KILLED, 0), f"after {done} kills a run ended with {returned}"
            done += returned == KILLED
            if done % 10 == 0:
                assert_sound(folder, world)
        return survived(terminal.url, folder, world, catalog=catalog)


def _killed_after(seconds: float, url: str, folder: Path, **changes: Any) -> int:
    """Start a download and kill it after some time, wherever it is then."""
    process = subprocess.Popen(
        [command(url, folder)[0], str(CHILD), order(url, folder, **changes)],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    return process.wait(timeout=HANGS)


def data_requests(terminal: Emulator) -> list[str]:
    """Return the paths of all requests for rows."""
    return [path for path, _ in terminal.requests if "/history/" in path or "/hist/" in path]


def until(reached: Callable[[], bool], process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """Wait for something to be so; a process that ends before is a failure."""
    began = time.monotonic()
    while not reached():
        assert process.poll() is None, "the process ended early"
        assert time.monotonic() - began < HANGS
        time.sleep(0.01)


def _cases() -> list[Case]:
    cases = [
        Case(
            "kill at a step of a commit",
            f"{side} {step} {nth}",
            partial(at_a_step, f"{side} {step}", nth),
            sampled=(side, step, nth) == ("after", "rename", 1),
        )
        for step in STEPS
        for side in ("before", "after")
        for nth in ((1, 2) if step == "end of day" else (1, 3, 6))
    ]
    cases += [
        Case(
            "kill at a step of a replacement",
            f"{side} {step} {nth}",
            partial(at_a_step, f"{side} {step}", nth, replacing=True),
            sampled=(side, step, nth) == ("before", "rename", 2),
        )
        for step in STEPS[:-1]
        for side in ("before", "after")
        for nth in (1, 2)
    ]
    cases += [
        Case(
            "kill at a step, JSON catalog",
            f"{side} {step} {nth}{' of a replacement' if replacing else ''}",
            partial(at_a_step, f"{side} {step}", nth, replacing=replacing, catalog="json"),
            sampled=(side, step, nth, replacing) == ("after", "rename", 7, False),
        )
        for step in STEPS
        for side in ("before", "after")
        for nth, replacing in (((1, False), (2, True)) if step in STEPS[4:] else ((2, False), (7, False), (7, True)))
    ]
    cases += [
        Case(
            "kill at a system call",
            f"{call} {nth}",
            partial(at_a_call, call, nth),
            sampled=(call, nth) == ("fdatasync", 5),
        )
        for call in CALLS
        for nth in (1, 2, 5, 10)
    ]
    cases += [
        Case(
            "signal",
            f"{number.name} at request {answers}",
            partial(told, number, answers),
            sampled=answers == 1 and number is signal.SIGHUP,
        )
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        for answers in (1, 3, 6)
    ]
    cases += [
        Case("signal", "the terminal window is closed", hung_up),
        Case("signal", "SIGHUP under nohup", deaf),
        Case("kill at random", f"{KILLS} in one archive", partial(at_random, KILLS, SEED), counts=KILLS),
        Case(
            "kill at random",
            f"{KILLS_JSON} in one archive with a JSON catalog",
            partial(at_random, KILLS_JSON, SEED, catalog="json"),
            counts=KILLS_JSON,
        ),
    ]
    return cases


CASES: Final = tuple(_cases())
