"""Tries every case of the fault suite on two cores, and prints what survived (docs/reliability.md)."""

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.suite import World

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

CORES = 2


@dataclass
class Line:
    """A line of the table."""

    faults: int = 0
    cases: int = 0
    survived: int = 0
    lost: int = 0
    seconds: float = 0.0
    skipped: dict[str, int] = field(default_factory=dict)


def one(number: int, world: "World", folder: str) -> tuple[int, int | str | None, str | None, float]:
    """Try a case in a folder of its own: the rows lost, or why it was skipped, or how it failed."""
    from tests.faults.cases import CASES
    from tests.faults.suite import Skipped

    case = CASES[number]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="case-", dir=folder) as own:
        try:
            rows: int | str | None = case.run(world, Path(own) / "archive")
            failure = None
        except Skipped as reason:
            rows, failure = str(reason), None
        except Exception as error:  # noqa: BLE001 - whatever a case ends with is what is to be reported
            rows, failure = None, "".join(traceback.format_exception(error)[-3:])
    return number, rows, failure, time.monotonic() - began


def table(lines: dict[str, Line], seconds: float) -> Iterable[str]:
    """Yield the table, as Markdown."""
    yield "| fault class | cases | faults | survived | rows lost | time |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    total = Line()
    for name, line in lines.items():
        yield f"| {name} | {line.cases} | {line.faults} | {line.survived} | {line.lost} | {line.seconds:,.0f} s |"
        for key in ("faults", "cases", "survived", "lost"):
            setattr(total, key, getattr(total, key) + getattr(line, key))
    yield f"| all | {total.cases} | {total.faults} | {total.survived} | {total.lost} | {seconds:,.0f} s |"
    for name, line in lines.items():
        for reason, count in line.skipped.items():
            yield f"Skipped: {count} of {name}: {reason}"


def main() -> int:
    """Try them all; 1 if any failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="Cases whose class and name contain this.")
    wanted = parser.parse_args().only

    from tests.faults.cases import CASES
    from tests.faults.suite import make_world

    began = time.monotonic()
    lines: dict[str, Line] = {}
    failures = []
    with tempfile.TemporaryDirectory(prefix="spxdata-faults-") as folder:
        world = make_world(Path(folder))
        with ProcessPoolExecutor(CORES, mp_context=get_context("spawn")) as pool:
            numbers = [n for n, case in enumerate(CASES) if wanted in f"{case.kind}: {case.name}"]
            numbers.sort(key=lambda n: -CASES[n].counts)  # the long ones first
            for case in CASES:
                lines.setdefault(case.kind, Line())
            for done in as_completed([pool.submit(one, n, world, folder) for n in numbers]):
                number, rows, failure, seconds = done.result()
                case = CASES[number]
                line = lines[case.kind]
                line.seconds += seconds
                if isinstance(rows, str):
                    line.skipped[rows] = line.skipped.get(rows, 0) + 1
                    continue
                line.cases += 1
                line.faults += case.counts
                line.survived += rows == 0
                line.lost += rows or 0
                if failure or rows:
                    failures.append(f"{case.kind}: {case.name}: {failure or f'{rows} rows lost'}")
                    print(f"FAILED {failures[-1]}", file=sys.stderr, flush=True)
    for text in table(
        {name: line for name, line in lines.items() if line.cases or line.skipped}, time.monotonic() - began
    ):
        print(text)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
