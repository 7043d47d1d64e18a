"""Downloads a full emulated day with the real command, and prints what it cost: time, CPU, peak memory, bytes."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DATE = "2024-01-16"
COMMAND = [sys.executable, "-m", "spxdata"]


def start_emulator(folder: Path, dialect: str = "v3", chain: str = "full") -> tuple[subprocess.Popen[bytes], str]:
    """Start an emulated Terminal of its own process, and return it with its address."""
    port_file = folder / "port"
    market = ["--dialect", dialect, "--chain", chain, "--seed", "1"]
    command = [*COMMAND, "emulator", *market, "--port", "0", "--port-file", str(port_file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    if process.stdout is None or not process.stdout.readline():  # its first line comes once it listens
        raise SystemExit("the emulator did not start")
    return process, f"http://127.0.0.1:{port_file.read_text().strip()}/{dialect}"


def main() -> int:
    """Measure one download."""
    with tempfile.TemporaryDirectory(prefix="spxdata-full-day-") as name:
        folder = Path(name)
        emulator, url = start_emulator(folder)
        try:
            started = time.perf_counter()
            arguments = ["download", "--date", DATE, "--terminal", url, "--data-dir", str(folder / "data"), "--json"]
            download = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True)
            lines = download.stdout.read().splitlines() if download.stdout else []
            _, status, usage = os.wait4(download.pid, 0)
            seconds = time.perf_counter() - started
        finally:
            emulator.terminate()
            emulator.wait()
    run = next(record for record in map(json.loads, lines) if record["event"] == "run_finished")
    cpu = usage.ru_utime + usage.ru_stime
    figures = {
        "exit code": os.waitstatus_to_exitcode(status),
        "rows": f"{run['rows']:,}",
        "bytes received": f"{run['received'] / 1e6:,.0f} MB",
        "bytes stored": f"{run['bytes'] / 1e6:,.0f} MB ({run['received'] / run['bytes']:.1f} : 1 against the v3 CSV)",
        "wall time": f"{seconds:.1f} s",
        "CPU of the downloader": f"{cpu:.1f} s",
        "rows per second": f"{run['rows'] / seconds:,.0f} of wall time, {run['rows'] / cpu:,.0f} of CPU time",
        "peak memory of the downloader": f"{usage.ru_maxrss / 1024:,.0f} MiB",
    }
    print("| figure | value |\n| --- | --- |")
    print("\n".join(f"| {key} | {value} |" for key, value in figures.items()))
    return run["exit_code"] or 0


if __name__ == "__main__":
    sys.exit(main())
