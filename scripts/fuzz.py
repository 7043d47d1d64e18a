"""Damages replies of both dialects and holds what the product makes of them to the oracle (docs/reliability.md)."""

import os
import resource
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("POLARS_MAX_THREADS", "1")  # two processes on two cores

CORES = 2
#: Mutations of one task.
TASK = 2_500
#: Bytes by which a process may grow while it tries mutations.
GROWTH = 400 * 1024 * 1024


def peak() -> int:
    """Return the most memory this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def task(
    dialect: str, seed: int, first: int, count: int, reference: str | None
) -> tuple[str, Counter[str], list[str], int]:
    """Try some mutations: how often what came of them, what was wrong, and by how much the process grew."""
    from tests.fuzz.corpus import samples
    from tests.fuzz.target import fuzzed

    known = samples(dialect, Path(reference) if reference else None)
    before = peak()
    came: Counter[str] = Counter()
    wrong = []
    for number in range(first, first + count):
        found = fuzzed(dialect, seed, number, known)
        came[found.what] += 1
        came["readable"] += found.readable
        if found.what == "WRONG":
            wrong.append(f"{dialect} seed {seed} number {number}: {found.done}: {found.why}")
    return dialect, came, wrong, peak() - before


def over_http(dialect: str, seed: int, count: int) -> tuple[str, Counter[str], list[str], int]:
    """Try some mutations of whole responses through sockets."""
    from tests.fuzz.http import responses

    before = peak()
    came: Counter[str] = Counter()
    wrong = []
    for number, found in responses(dialect, seed, count):
        came[found.what] += 1
        if found.what == "WRONG":
            wrong.append(f"{dialect} over HTTP, seed {seed} number {number}: {found.done}: {found.why}")
    return f"{dialect} over HTTP", came, wrong, peak() - before


def main() -> int:
    """Try them all; 1 if any went wrong. COUNT and SEED are variables of the environment."""
    count, seed = int(os.environ.get("COUNT", "100000")), int(os.environ.get("SEED", "1"))
    folder = (ROOT / os.environ.get("SPXDATA_REFERENCE", "../shared")).resolve()
    reference = str(folder) if (folder / "realdata").is_dir() else None
    began = time.monotonic()
    came: dict[str, Counter[str]] = {}
    grown: Counter[str] = Counter()
    wrong: list[str] = []
    with ProcessPoolExecutor(CORES, mp_context=get_context("spawn")) as pool:
        tasks = [
            pool.submit(task, dialect, seed, first, min(TASK, count - first), reference)
            for first in range(0, count, TASK)
            for dialect in ("v3", "v2")
        ]
        tasks += [pool.submit(over_http, dialect, seed, max(1, count // 50)) for dialect in ("v3", "v2")]
        for done in as_completed(tasks):
            name, outcomes, mistakes, growth = done.result()
            came.setdefault(name, Counter()).update(outcomes)
            grown[name] = max(grown[name], growth)
            wrong += mistakes
            for mistake in mistakes:
                print(f"WRONG {mistake}", file=sys.stderr, flush=True)
    print(
        f"Seed {seed}, recorded replies: {'with' if reference else 'none at hand'}, {time.monotonic() - began:,.0f} s\n"
    )
    print("| dialect | mutations | exactly their rows | refused | wrong | memory grew by at most |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, outcomes in sorted(came.items(), reverse=True):
        total = sum(times for what, times in outcomes.items() if what != "readable")
        rows, mistaken = outcomes["rows"], outcomes["WRONG"]
        refused = total - rows - mistaken
        print(f"| {name} | {total:,} | {rows:,} | {refused:,} | {mistaken} | {grown[name] / 1e6:,.0f} MB |")
    print(
        "\nRefused by code: "
        + ", ".join(
            f"{code} {times:,}"
            for code, times in sorted(sum(came.values(), Counter[str]()).items())
            if code not in ("rows", "WRONG", "readable")
        )
    )
    if any(growth > GROWTH for growth in grown.values()):
        print("WRONG memory is not bounded", file=sys.stderr)
        return 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
