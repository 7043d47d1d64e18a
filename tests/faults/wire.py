"""The wire: faults of the table at random, for hundreds of units, until nothing is left to fetch."""

import random
from collections.abc import Mapping
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from spxdata import Emulator
from spxdata.emulator import Fault
from spxdata.sessions import closed_because
from spxdata.terminal.asking import Patience
from tests.builders import FakeClock
from tests.faults.harness import LATER, run
from tests.faults.market import write_market
from tests.faults.suite import Case, World, assert_sound
from tests.faults.table import TABLE, Row

DIALECTS: Final = ("v3", "v2")
DAYS, EXPIRATIONS_A_DAY = 40, 5
#: The part of units that a fault strikes.
STRUCK: Final = 0.6
#: Runs after which a download should have come to an end; a fault that stops a run strikes once.
MOST_RUNS: Final = 60
#: Rows that come twice are kept and flagged, and a reply that is nothing but late is none of a suite's business.
LEFT_OUT: Final = frozenset({"duplicate_rows", "starting"})
#: By this much later nothing waits any more to be asked for again: refusals, and holes that were confirmed.
MUCH_LATER: Final = timedelta(days=90)


def trading_days(count: int) -> tuple[date, ...]:
    """Return so many trading days."""
    day, found = date(2024, 1, 16), list[date]()
    while len(found) < count:
        if closed_because(day) is None:
            found.append(day)
        day += timedelta(days=1)
    return tuple(found)


def faults(dialect: str, dice: random.Random, units: list[tuple[date, date]]) -> list[Fault]:
    """Return faults of all kinds, each striking one unit once, twice, or in every try of one run."""
    rows = [row for row in TABLE if dialect in row.dialects and row.do not in LEFT_OUT]
    struck = dice.sample(units, round(STRUCK * len(units)))
    return [
        Fault(
            dataset="quote", date=day, expiration=expiration, nth=dice.choice((1, 1, 2, "1-2", "1-4")), **options(row)
        )
        for (day, expiration), row in zip(struck, dice.choices(rows, k=len(struck)), strict=True)
    ]


def options(row: Row) -> Mapping[str, Any]:
    """Return what a row's fault does; times are short."""
    given = dict(row.options)
    if row.do == "disconnect":
        given["seconds"] = min(given["seconds"], 28)
    return {"do": row.do, **given}


def at_random(dialect: str, seed: int, days: int, world: World, folder: Path) -> int:
    """Strike most units of many days, and run until all is there."""
    del world  # it has too few units
    dice = random.Random(f"{seed} {dialect}")  # noqa: S311 - the same faults every time are the point
    dates = trading_days(days + EXPIRATIONS_A_DAY)
    chains = [(day, dates[number : number + EXPIRATIONS_A_DAY]) for number, day in enumerate(dates[:days])]
    market = write_market(folder.parent / "market", chains, strikes=(4700,), rights="C")
    with Emulator(replay=market) as terminal:
        whole = run(terminal, "v3", folder.parent / "whole", FakeClock(LATER), dates=dates[:days])
    assert whole.finished.exit_code == 0
    rows = {o.artifact.path: o.artifact.rows for o in whole.outcomes.values() if o.artifact}
    hashes = {o.artifact.path: o.artifact.content_hash for o in whole.outcomes.values() if o.artifact}
    many = World(market, hashes, rows)
    script = faults(dialect, dice, [(day, expiration) for day, some in chains for expiration in some])
    clock = FakeClock(LATER)
    patience = Patience(5.0, 0.5, 0.5, 0.5)
    with Emulator(dialect=dialect, replay=market, page_rows=200, faults=script, monotonic=clock.monotonic) as terminal:
        for _ in range(MOST_RUNS):
            ran = run(terminal, dialect, folder, clock, dates=dates[:days], widths=lambda _: 2, patience=patience)
            if ran.hashes == whole.hashes:
                break
            assert_sound(folder, World(market, {**hashes, **partial_ones(ran.outcomes)}, rows))
            clock.advance(MUCH_LATER.total_seconds())
    assert_sound(folder, many)
    assert ran.hashes == whole.hashes
    return sum(rows.values()) - sum(o.artifact.rows for o in ran.outcomes.values() if o.artifact)


def partial_ones(outcomes: Mapping[Any, Any]) -> dict[str, str]:
    """Return the hashes of what is stored with holes that it tells of."""
    return {o.artifact.path: o.artifact.content_hash for o in outcomes.values() if o.artifact and o.partial}


CASES: Final = (
    *(
        Case(
            "fault on the wire",
            f"{round(STRUCK * DAYS * EXPIRATIONS_A_DAY)} of {DAYS * EXPIRATIONS_A_DAY} units, {dialect}, seed {seed}",
            partial(at_random, dialect, seed, DAYS),
            counts=round(STRUCK * DAYS * EXPIRATIONS_A_DAY),
        )
        for dialect in DIALECTS
        for seed in (1, 2, 3)
    ),
    *(
        Case(
            "fault on the wire",
            f"18 of 30 units, {dialect}, seed 4",
            partial(at_random, dialect, 4, 6),
            sampled=True,
            counts=18,
        )
        for dialect in DIALECTS
    ),
)
