"""Downloads from a slow Terminal: how busy its places are, what another program costs, how good the prediction is.

The emulated Terminal and the downloader are processes of their own; figures are printed as tables for
docs/performance.md.
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.command import COMMAND, spent
from spxdata import Emulator

#: Trade dates of whole chains, one after another.
DATES: Final = ("2024-01-16", "2024-01-17", "2024-01-18", "2024-01-19")
#: Requests in flight.
PLACES: Final = 4


class Speed(NamedTuple):
    """How slow the Terminal is.

    Attributes:
        thinking: Seconds before the first byte.
        bytes_per_second: Of one reply.
    """

    thinking: float
    bytes_per_second: float

    def __str__(self) -> str:
        return f"{self.thinking:g} s, {self.bytes_per_second / 1e6:g} MB/s"


#: The vendor's slow tenth; and what it changes to.
SLOW: Final = Speed(3.0, 15e6)
CHANGED: Final = Speed(1.5, 8e6)


class Run(NamedTuple):
    """What a download cost.

    Attributes:
        busy: Part of the places that was taken while units were left.
        seconds: How long it took, as the downloader says itself.
        cpu: CPU seconds of the downloader.
        received: Bytes received.
        requests: Data requests.
        rss: Most memory of the downloader, bytes.
    """

    busy: float
    seconds: float
    cpu: float
    received: int
    requests: int
    rss: int


def occupancy(spans: Sequence[tuple[float, float]], width: int) -> float:
    """Return which part of so many places was busy, from when all were first taken until the last request began."""
    starts = sorted(start for start, _ in spans)
    first, last = starts[width - 1], starts[-1]
    busy = sum(max(0.0, min(end, last) - max(start, first)) for start, end in spans)
    return busy / (width * (last - first))


def _serve(pipe: Connection, speed: Speed) -> None:
    """Be a Terminal until told to stop; then say when its places were taken."""
    with Emulator(
        tier="professional", chain="full", min_seconds=speed.thinking, bytes_per_second=speed.bytes_per_second
    ) as terminal:
        pipe.send(terminal.url)
        pipe.recv()
        pipe.send([tuple(span) for span in terminal.served])


class Terminal(NamedTuple):
    """An emulated Terminal in another process."""

    pipe: Connection
    url: str

    def served(self) -> list[tuple[float, float]]:
        """Stop it; return when its places were taken."""
        self.pipe.send(None)
        return list(self.pipe.recv())


@contextmanager
def terminal_of(speed: Speed) -> Iterator[Terminal]:
    """Run a Terminal of some speed."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, speed), daemon=True)
    process.start()
    try:
        yield Terminal(ours, ours.recv())
    finally:
        process.terminate()
        process.join()


@contextmanager
def a_busy_core() -> Iterator[None]:
    """Have another program compute all the time."""
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        other.kill()
        other.wait()


def arguments(dates: Sequence[str], url: str, folder: Path, dte: int) -> list[str]:
    """Return the command that downloads some days."""
    days = ["--start-date", dates[0], "--end-date", dates[-1]] if len(dates) > 1 else ["--date", dates[0]]
    where = ["--terminal", url, "--data-dir", str(folder)]
    return [*COMMAND, "download", *days, *where, "--max-dte", str(dte), "--concurrency", str(PLACES), "--json"]


def downloaded(dates: Sequence[str], speed: Speed, folder: Path, dte: int) -> Run:
    """Download some days with the real command."""
    with terminal_of(speed) as terminal:
        cost = spent(arguments(dates, terminal.url, folder, dte))
        spans = terminal.served()
    run = cost.run
    return Run(occupancy(spans, PLACES), run["seconds"], cost.cpu, run["received"], len(spans), cost.peak)


def foretold(day: str, speed: Speed, folder: Path, dte: int) -> dict[str, Any]:
    """Return what a dry run says that a day will take."""
    with terminal_of(speed) as terminal:
        command = [*arguments([day], terminal.url, folder, dte), "--dry-run"]
        return dict(json.loads(spent(command).out.splitlines()[-1]))


def row(*cells: object) -> None:
    """Print a row of a table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def told_row(day: str, speed: Speed, told: dict[str, Any], run: Run) -> None:
    """Print how good a forecast was."""
    pairs = ((told["requests"], run.requests), (told["received"], run.received), (told["seconds"], run.seconds))
    errors = [f"{foreseen / real - 1:+.1%}" for foreseen, real in pairs]
    row(day, speed, *errors, f"{told['seconds']:.1f} s", f"{run.seconds:.1f} s")


def run_row(what: str, run: Run) -> None:
    """Print what a download cost."""
    rate, busy, cpu = run.received / run.seconds / 1e6, f"{run.busy:.1%}", f"{run.cpu:.1f} s"
    row(what, run.requests, busy, f"{run.seconds:.1f} s", f"{rate:.1f} MB/s", cpu, f"{run.rss / 1e6:,.0f} MB")


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--max-dte", type=int, default=60, help="fewer make it quicker")
    dte = parser.parse_args().max_dte
    first, second, third, fourth = DATES
    with tempfile.TemporaryDirectory(prefix="spxdata-slow-") as name:
        archive, other = Path(name) / "archive", Path(name) / "other"
        row("", "requests", "places busy", "time", "received", "CPU", "peak memory")
        row("---", *["---:"] * 6)
        run_row("a day", downloaded([first], SLOW, archive, dte))
        told = foretold(second, SLOW, archive, dte)
        alone = downloaded([second], SLOW, archive, dte)
        run_row("the next day", alone)
        with a_busy_core():
            beside = downloaded([second], SLOW, other, dte)
        run_row("the same, another program busy on one core", beside)
        print(f"\nThe other program costs {1 - alone.seconds / beside.seconds:.1%} of the throughput.\n")
        row("forecast of", "speed", "requests", "bytes", "time", "foretold", "taken")
        row("---", "---", *["---:"] * 5)
        told_row(second, SLOW, told, alone)
        downloaded([third], CHANGED, archive, dte)
        told = foretold(fourth, CHANGED, archive, dte)
        told_row(fourth, CHANGED, told, downloaded([fourth], CHANGED, archive, dte))
    print(f"\nLoad at the end, this program's included: {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores.")


if __name__ == "__main__":
    main()
