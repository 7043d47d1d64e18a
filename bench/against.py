"""The real command against its floor, and against what others would write, on the same recorded replies."""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from bench.command import spent
from bench.figures import Figure, Section, table
from bench.pipeline import LEGS, Replies, download, floor, replies

HERE: Final = Path(__file__).parent
#: Where `npm install bun csv-parse effect` was run, for the brief's stack.
BRIEF: Final = HERE.parent / "build" / "brief"

_NOTE: Final = """\
Medians of turns in which each way runs once after the other, with the least and the most; those that take long run in
the first turn only. CPU is that of all threads of the process that does it; the replies were rendered and recorded
beforehand, and another process sends them. Only the download checks what it gets."""


class Cost(NamedTuple):
    """What a way cost: CPU seconds a million rows, MiB of memory, and rows."""

    cpu: float
    peak: float
    rows: int


class Way(NamedTuple):
    """A way to bring replies into files.

    Attributes:
        words: What it is.
        run: Brings some replies into a folder that is there.
        replies: How many of the replies it is given; None for all of them, in every turn.
    """

    words: str
    run: Callable[[Replies, Path], Cost]
    replies: int | None = None


def _floor(what: Replies, folder: Path) -> Cost:
    told = floor(what, folder)
    return Cost(sum(told[leg] for leg in LEGS) / told["rows"] * 1e6, 0.0, int(told["rows"]))


def _download(what: Replies, folder: Path) -> Cost:
    cost = download(what, folder / "archive")
    rows = cost.run["rows"]
    return Cost(cost.cpu / rows * 1e6, cost.peak / 2**20, rows)


def _script(*command: str) -> Callable[[Replies, Path], Cost]:
    def run(what: Replies, folder: Path) -> Cost:
        base = what.url.removesuffix(f"/{what.dialect}")
        urls = [f"{base}/{what.dialect}{target}" for target in what.targets]
        cost = spent([*command, str(folder), *urls], cwd=HERE.parent)
        rows = int(json.loads(cost.out)["rows"])
        return Cost(cost.cpu / rows * 1e6, cost.peak / 2**20, rows)

    return run


def _other(name: str) -> Callable[[Replies, Path], Cost]:
    return _script(sys.executable, "-m", "bench.others", name)


_WAYS: Final[Mapping[str, Way]] = {
    "floor": Way("floor: receive and discard; polars' read_csv; polars' Parquet", _floor),
    "download": Way("**`spxdata download`**: every check, flags, both hashes, fsync, catalog", _download),
    "sink": Way("urllib to a file, polars' scan_csv().sink_parquet()", _other("sink")),
    "duckdb": Way("urllib to a file, DuckDB's COPY to Parquet", _other("duckdb")),
    "pandas": Way("pandas' read_csv, then to_parquet", _other("pandas"), replies=1),
    "cells": Way("cell by cell, as the vendor's own client does", _other("cells"), replies=1),
}


def _ways(*, quick: bool) -> dict[str, Way]:
    """Return the ways to be run: all that can be, or those that a change of ours can move."""
    if quick:
        return {name: _WAYS[name] for name in ("floor", "download")}
    bun = BRIEF / "node_modules" / ".bin" / "bun"
    if not bun.exists():
        return dict(_WAYS)
    shutil.copy(HERE / "brief.mjs", BRIEF)
    brief = Way(
        "the brief's stack: Bun, csv-parse, Effect's schema a record, CSV",
        _script(str(bun), "run", str(BRIEF / "brief.mjs")),
        1,
    )
    return {**_WAYS, "brief": brief}


def measure(*, quick: bool = False) -> Section:
    """Run all ways in turn, and compare their CPU a row with the floor's of the same turn.

    Args:
        quick: Fewer rows and turns, and only what a change of ours can move.
    """
    ways = _ways(quick=quick)
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory(prefix="spxdata-bench-") as name:
        folder = Path(name)
        with replies(folder, max_dte=1 if quick else 7) as what:
            for turn in range(3):
                for way, cost in _turn(ways, what, folder / f"turn-{turn}", everything=turn == 0):
                    costs[way].append(cost)
    return _section(ways, costs)


def _turn(ways: Mapping[str, Way], what: Replies, folder: Path, *, everything: bool) -> Iterator[tuple[str, Cost]]:
    """Run each way once; the slow ones only in the turn that has everything."""
    for name, way in ways.items():
        if way.replies is None or everything:
            own = folder / name
            own.mkdir(parents=True)
            yield name, way.run(replace(what, targets=what.targets[: way.replies]), own)
            shutil.rmtree(own)


def _section(ways: Mapping[str, Way], costs: Mapping[str, list[Cost]]) -> Section:
    ratios = {
        name: Figure.of([cost.cpu / base.cpu for cost, base in zip(found, costs["floor"], strict=False)])
        for name, found in costs.items()
    }
    rows = [
        (
            way.words,
            f"{costs[name][0].rows:,}",
            str(Figure.of([cost.cpu for cost in costs[name]])),
            str(ratios[name]),
            f"{max(cost.peak for cost in costs[name]):,.0f}" if name != "floor" else "",
        )
        for name, way in ways.items()
    ]
    head = ("v3 greeks, by the minute", "rows", "CPU s a million rows", "of the floor", "peak MiB")
    without = (
        "" if "brief" in ways else "\n\nThe brief's stack was not run: build/brief has no bun, csv-parse and effect."
    )
    return Section(
        "A million rows against their floor, and what others write (emulated)",
        f"{table(head, rows)}\n\n{_NOTE}{without}",
        {f"CPU of {name} : floor": ratio for name, ratio in ratios.items() if name != "floor"},
    )
