"""What a download costs against the floor: CPU seconds of both, interleaved, on the same recorded replies.

`python -m bench.pipeline` takes about a million rows and runs both five times; `--max-dte 60` takes a full day.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.command import DATE, Spent, downloaded, emulated, spent
from bench.recorded import recorded

#: What the floor consists of.
LEGS = ("start", "receive", "read_csv", "write_parquet")


@dataclass(frozen=True, slots=True)
class Replies:
    """Recorded replies of one day.

    Attributes:
        url: The Terminal that repeats them.
        dialect: v2 or v3.
        dataset: Of what.
        max_dte: Of which expirations.
        targets: Path and query of every unit's reply.
    """

    url: str
    dialect: str
    dataset: str
    max_dte: int
    targets: tuple[str, ...]


@contextmanager
def replies(folder: Path, dialect: str = "v3", dataset: str = "greeks", max_dte: int = 7) -> Iterator[Replies]:
    """Render the replies of a day, and serve them from a process of its own.

    Args:
        folder: Where they are kept while they are needed.
        dialect: v2 or v3.
        dataset: Of what.
        max_dte: Most days to expiration: 7 for a million rows of greeks, 60 for a full day.
    """
    kept = folder / "replies"
    kept.mkdir()
    market = ("--chain", "full", "--seed", "1", "--tier", "professional")
    with emulated(*market, dialect=dialect) as upstream, recorded(kept, upstream) as url:
        found = Replies(url, dialect, dataset, max_dte, ())
        archive = folder / "first"
        download(found, archive)
        yield Replies(url, dialect, dataset, max_dte, tuple(_requests(archive)))


def _requests(archive: Path) -> Iterator[str]:
    """Yield what was asked for to fill an archive, by its files' own word."""
    import pyarrow.parquet as pq

    for file in sorted(archive.rglob("*.parquet")):
        yield json.loads(pq.read_metadata(file).metadata[b"spxdata"])["provenance"]["request"]


def download(what: Replies, archive: Path, *options: str) -> Spent:
    """Download recorded replies into a new archive with the real command."""
    asked = ("--date", DATE, "--dataset", what.dataset, "--max-dte", str(what.max_dte), "--dialect", what.dialect)
    return downloaded(what.url, archive, *asked, *options)


def floor(what: Replies, folder: Path) -> dict[str, float]:
    """Return the CPU seconds of the floor's legs, and its rows."""
    folder.mkdir(exist_ok=True)
    base = what.url.removesuffix(f"/{what.dialect}")
    targets = [f"/{what.dialect}{target}" for target in what.targets]
    command = [sys.executable, "-m", "bench.floor", base, what.dialect, what.dataset, str(folder), *targets]
    found: dict[str, float] = json.loads(spent(command).out)
    return found


def measured(what: Replies, folder: Path, runs: int) -> tuple[list[dict[str, float]], list[Spent]]:
    """Run floor and download in turn, so many times each."""
    floors, costs = [], []
    for run in range(runs):
        floors.append(floor(what, folder / "floor"))
        costs.append(download(what, folder / f"archive-{run}"))
        shutil.rmtree(folder / f"archive-{run}")
        read, stored = floors[-1]["rows"], costs[-1].run["rows"]
        if read != stored:
            raise SystemExit(f"{read:,} rows under the floor, {stored:,} stored")
    return floors, costs


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--dialect", choices=("v2", "v3"), default="v3")
    parser.add_argument("--dataset", default="greeks")
    parser.add_argument("--max-dte", type=int, default=7)
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spxdata-bench-") as name:
        folder = Path(name)
        with replies(folder, asked.dialect, asked.dataset, asked.max_dte) as what:
            floors, costs = measured(what, folder, asked.runs)
    totals = [sum(one[leg] for leg in LEGS) for one in floors]
    ratios = sorted(cost.cpu / total for cost, total in zip(costs, totals, strict=True))
    run = costs[0].run
    print(f"{run['rows']:,} rows, {run['received'] / 1e6:,.1f} MB of {asked.dialect} {asked.dataset}\n")
    print("| CPU seconds | median | least | most |\n| --- | ---: | ---: | ---: |")
    for leg in LEGS:
        print(_line(f"floor: {leg}", [one[leg] for one in floors]))
    print(_line("floor", totals))
    print(_line("download", [cost.cpu for cost in costs]))
    print(_line("download : floor", ratios))
    print(_line("peak memory, MiB", [cost.peak / 2**20 for cost in costs]))
    return 0


def _line(name: str, values: list[float]) -> str:
    return f"| {name} | {statistics.median(values):.2f} | {min(values):.2f} | {max(values):.2f} |"


if __name__ == "__main__":
    sys.exit(main())
