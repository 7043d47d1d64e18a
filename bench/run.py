"""Runs the bench: prints its tables, writes bench/results/<date>.json, and compares with what was written before.

python -m bench.run              all of it, some minutes; `make docs` brings it into docs/performance.md
python -m bench.run --quick      what a change of ours can move, under a minute, against the newest results
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench import against, start
from bench.command import spent
from bench.figures import Figure, Section, machine

ROOT: Final = Path(__file__).parent.parent
RESULTS: Final = ROOT / "bench" / "results"
#: How far a ratio may move before it is worth a look.
MOVED: Final = 0.15


def _printed(title: str, *command: str) -> Callable[[], Section]:
    """Return a section that a command of the bench prints as Markdown."""

    def measure() -> Section:
        cost = spent([sys.executable, *command], cwd=ROOT)
        return Section(title, cost.out.strip())

    return measure


#: What is measured, in the order in which it is printed.
SECTIONS: Final[Mapping[str, Callable[[], Section]]] = {
    "day": _printed(
        "A full day against its floor (emulated)", "-m", "bench.pipeline", "--max-dte", "60", "--runs", "2"
    ),
    "pipeline": against.measure,
    "v2": _printed(
        "A million rows of v2 against their floor (emulated)", "-m", "bench.pipeline", "--dialect", "v2", "--runs", "3"
    ),
    "start": start.measure,
    "memory": _printed("Memory by size of a reply and requests in flight (emulated)", "-m", "bench.memory"),
    "sizes": _printed("Sizes of a full day against its v2 CSV (emulated)", "-m", "bench.sizes"),
    "growth": _printed("Growth with the archive (synthetic)", "-m", "bench.growth"),
    "slow": _printed("Against a slow Terminal (emulated)", "-m", "bench.slow", "--max-dte", "14"),
}
#: What a change of ours can move, in little time.
QUICK: Final[Mapping[str, Callable[..., Section]]] = {"pipeline": against.measure, "start": start.measure}


def show(section: Section) -> Section:
    """Print a section, and return it."""
    print(f"## {section.title}\n\n{section.markdown}\n", flush=True)
    return section


def newest() -> dict[str, Any] | None:
    """Return the newest results that were written, None if there are none."""
    files = sorted(RESULTS.glob("*.json"))
    found: dict[str, Any] | None = json.loads(files[-1].read_text(encoding="utf-8")) if files else None
    return found


def moved(before: Mapping[str, float], now: Mapping[str, Figure]) -> list[str]:
    """Return what moved by more than it may, a line each."""
    changes = {name: figure.median / before[name] - 1 for name, figure in now.items() if name in before}
    return [
        f"{name}: {before[name]:.2f} before, {now[name]} now ({change:+.0%})"
        for name, change in changes.items()
        if abs(change) > MOVED
    ]


def main() -> int:
    """Measure, print, and write or compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="compare a few ratios with the newest results")
    parser.add_argument("--only", choices=SECTIONS, help="only this section, in place of the newest results' own")
    asked = parser.parse_args()
    if asked.only:
        return again(asked.only)
    on = machine()
    quick = [show(measure(quick=True)) for measure in QUICK.values()]
    ratios = {name: figure for section in quick for name, figure in section.ratios.items()}
    if asked.quick:
        before = newest()
        if before is None:
            print("There are no results to compare with: run `make bench` once.")
            return 0
        lines = moved(before["quick"], ratios)
        print("\n".join(["Moved by more than 15 %:", *lines] if lines else ["No ratio moved by more than 15 %."]))
        return 0
    today = datetime.now(UTC).date().isoformat()
    document = {
        "date": today,
        "machine": on,
        "sections": {name: asdict(show(measure())) for name, measure in SECTIONS.items()},
        "quick": {name: figure.median for name, figure in ratios.items()},
    }
    keep(document)
    return 0


def again(name: str) -> int:
    """Measure one section anew, and put it into the newest results."""
    section = asdict(show(SECTIONS[name]()))
    document = newest()
    if document is not None:
        document["sections"][name] = section
        keep(document)
    return 0


def keep(document: Mapping[str, Any]) -> None:
    """Write results to the file of their day."""
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{document['date']}.json"
    file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(f"Written to {file}. `make docs` brings it into docs/performance.md.")


if __name__ == "__main__":
    sys.exit(main())
