"""The real command in a process of its own, what that cost, and the emulated Terminal that it is given."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

COMMAND: Final = (sys.executable, "-m", "spxdata")
#: The trade date that is measured where one is enough.
DATE: Final = "2024-01-16"


@dataclass(frozen=True, slots=True)
class Spent:
    """What a process cost.

    Attributes:
        cpu: Seconds, user and system, of all its threads.
        seconds: Of wall time.
        peak: Bytes of memory.
        out: What it wrote to stdout.
    """

    cpu: float
    seconds: float
    peak: int
    out: str

    @property
    def run(self) -> Mapping[str, Any]:
        """The summary of a download that was told as JSON."""
        records = map(json.loads, self.out.splitlines())
        found: Mapping[str, Any] = next(record for record in records if record["event"] == "run_finished")
        return found


def spent(command: Sequence[str], *, environ: Mapping[str, str] = os.environ, cwd: Path | None = None) -> Spent:
    """Run a command to its end and return what it cost; one that fails ends the bench."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=compiled(environ), cwd=cwd)
    out = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if code := os.waitstatus_to_exitcode(status):
        raise SystemExit("\n".join([f"{' '.join(command[:4])} … ended with {code}", *out.splitlines()[-5:]]))
    return Spent(usage.ru_utime + usage.ru_stime, seconds, usage.ru_maxrss * 1024, out)


def downloaded(url: str, folder: Path, *options: str, environ: Mapping[str, str] = os.environ) -> Spent:
    """Download into an archive from a Terminal; the options say what."""
    where = ("--terminal", url, "--data-dir", str(folder))
    return spent([*COMMAND, "download", *where, *options, "--json"], environ=environ)


@contextmanager
def emulated(*options: str, dialect: str = "v3") -> Iterator[str]:
    """Start an emulated Terminal; yields its address."""
    with tempfile.TemporaryDirectory(prefix="spxdata-bench-") as folder:
        port_file = Path(folder) / "port"
        listening = ("--dialect", dialect, "--port", "0", "--port-file", str(port_file))
        process = subprocess.Popen([*COMMAND, "emulator", *listening, *options], stdout=subprocess.PIPE)
        try:
            if process.stdout is None or not process.stdout.readline():  # its first line comes once it listens
                raise SystemExit("the emulator did not start")
            yield f"http://127.0.0.1:{port_file.read_text().strip()}/{dialect}"
        finally:
            process.terminate()
            process.wait()


def compiled(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return an environment in which modules are compiled once, as they are where the product is installed."""
    return {name: value for name, value in environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
