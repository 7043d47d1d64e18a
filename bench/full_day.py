"""Downloads a full emulated day with the real command, and prints what it cost: time, CPU, peak memory, bytes."""

import sys
import tempfile
from pathlib import Path

from bench.command import DATE, downloaded, emulated


def main() -> int:
    """Measure one download."""
    with tempfile.TemporaryDirectory(prefix="spxdata-full-day-") as name, emulated("--chain", "full") as url:
        cost = downloaded(url, Path(name) / "data", "--date", DATE)
    run, cpu, seconds = cost.run, cost.cpu, cost.seconds
    figures = {
        "rows": f"{run['rows']:,}",
        "bytes received": f"{run['received'] / 1e6:,.0f} MB",
        "bytes stored": f"{run['bytes'] / 1e6:,.0f} MB ({run['received'] / run['bytes']:.1f} : 1 against the v3 CSV)",
        "wall time": f"{seconds:.1f} s",
        "CPU of the downloader": f"{cpu:.1f} s",
        "rows per second": f"{run['rows'] / seconds:,.0f} of wall time, {run['rows'] / cpu:,.0f} of CPU time",
        "peak memory of the downloader": f"{cost.peak / 2**20:,.0f} MiB",
    }
    print("| figure | value |\n| --- | --- |")
    print("\n".join(f"| {key} | {value} |" for key, value in figures.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
