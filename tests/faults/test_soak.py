"""Several hundred small units of which every fifth try fails: what is stored in the end is what was there."""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from spxdata import Emulator
from spxdata.emulator import Fault
from spxdata.model import Verdict
from spxdata.sessions import closed_because
from tests.faults.harness import Ran, fake_clock, run
from tests.faults.market import TUESDAY, write_market

DAYS, EXPIRATIONS_A_DAY = 60, 5
#: Two contracts a unit, which are one page and a half of v2.
STRIKES, PAGE_ROWS = (4700,), 500
#: How often a try fails: by failures that pass, repeated as often as chance has it, and by wrong replies, which are
#: asked for once more only, and so strike a unit once.
PASSING, WRONG = 0.17, 0.1
#: Which ones follows from it.
SEED = 1
#: Requests of one try.
REQUESTS: Final = {"v3": 1, "v2": 2}

PASSES: tuple[Mapping[str, Any], ...] = (
    *({"do": "status", "status": status} for status in (429, 474, 477, 500, 503, 571)),
    {"do": "status", "status": 429, "retry_after": 2},
    {"do": "close_after", "bytes": 5_000},
    {"do": "reset_after", "bytes": 5_000},
    {"do": "not_http"},
    {"do": "trickle", "bytes": 10_000, "seconds": 0.001},
)
IS_WRONG: tuple[Mapping[str, Any], ...] = (
    {"do": "status", "status": 470},
    {"do": "status", "status": 572},
    {"do": "cut_last_row"},
    {"do": "duplicate_with_other_values", "rows": 3},
    {"do": "header_only"},
    {"do": "zero_bytes"},
    {"do": "short", "contracts": 1},
    {"do": "short", "rows": 200},
    {"do": "endless_line", "bytes": 2_000_000},
    {"do": "disconnect", "seconds": 3},
    {"do": "delay", "seconds": 0.05},
)
PAGED: tuple[Mapping[str, Any], ...] = (
    {"do": "repeat_page"},
    {"do": "repeat_page", "other_values": True},
    {"do": "skip_page"},
    {"do": "expire_page"},
)


def trading_days(start: date, count: int) -> tuple[date, ...]:
    """Return so many trading days from a day on."""
    found: list[date] = []
    while len(found) < count:
        if closed_because(start) is None:
            found.append(start)
        start += timedelta(days=1)
    return tuple(found)


def chains() -> list[tuple[date, tuple[date, ...]]]:
    """Return the days, each with its expirations."""
    days = trading_days(TUESDAY, DAYS + EXPIRATIONS_A_DAY)
    return [(day, days[number : number + EXPIRATIONS_A_DAY]) for number, day in enumerate(days[:DAYS])]


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with many days of a few expirations."""
    return write_market(tmp_path_factory.mktemp("market"), chains(), STRIKES)


def faults(dialect: str) -> list[Fault]:
    """Return faults that together strike a good fifth of all tries, and as many of the lists."""
    dice = random.Random(SEED)  # noqa: S311 - the same numbers every time are the point
    units = [(day, expiration) for day, expirations in chains() for expiration in expirations]
    kinds = [*IS_WRONG, *(PAGED if dialect == "v2" else ())]
    wrong = [
        Fault(dataset="quote", date=day, expiration=expiration, nth=1, **kinds[number % len(kinds)])
        for number, (day, expiration) in enumerate(dice.sample(units, round(WRONG * len(units))))
    ]
    share = 1 - (1 - PASSING) ** (1 / REQUESTS[dialect] / len(PASSES))
    passing = [Fault(dataset="quote", share=share, seed=SEED, **kind) for kind in PASSES]
    lists = [Fault(dataset="contracts", share=0.02, seed=SEED, **kind) for kind in PASSES]
    return [*wrong, *passing, *lists]


def fetched(market: Path, folder: Path, dialect: str, script: list[Fault]) -> tuple[Ran, Emulator]:
    """Download all days, three units at a time."""
    clock = fake_clock()
    dates = trading_days(TUESDAY, DAYS)
    with Emulator(
        dialect=dialect, replay=market, page_rows=PAGE_ROWS, faults=script, monotonic=clock.monotonic
    ) as terminal:
        return run(terminal, dialect, folder, clock, dates=dates, widths=lambda _: 3), terminal


@pytest.fixture(scope="module")
def undisturbed(market: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Return a run that nothing disturbs."""
    ran, _ = fetched(market, tmp_path_factory.mktemp("undisturbed"), "v3", [])
    assert ran.finished.exit_code == 0
    assert len(ran.hashes) == DAYS * EXPIRATIONS_A_DAY
    return ran


def rows(ran: Ran) -> int:
    """Return how many rows an archive has."""
    return sum(outcome.artifact.rows for outcome in ran.outcomes.values() if outcome.artifact)


@pytest.mark.parametrize("dialect", ["v3", "v2"])
def test_a_download_of_which_every_fifth_try_fails_loses_nothing(
    dialect: str, market: Path, undisturbed: Ran, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """In one run, without a hand: every unit's content is that of a run that nothing disturbed."""
    ran, terminal = fetched(market, tmp_path, dialect, faults(dialect))
    codes = Counter(event.code for event in ran.failures)
    tries = len(ran.failures) + len(ran.hashes)
    lost = rows(undisturbed) - rows(ran)
    record_property(
        "figure",
        f"soak {dialect}: {len(ran.outcomes)} units of {DAYS} days, {len(terminal.requests):,} requests, "
        f"{len(ran.failures)} of {tries} tries failed ({len(ran.failures) / tries:.0%}), {rows(ran):,} rows stored, "
        f"{lost} lost; {', '.join(f'{code} {count}' for code, count in sorted(codes.items()))}",
    )
    differing = [unit for unit, digest in undisturbed.hashes.items() if ran.hashes.get(unit) != digest]
    assert [(str(unit), ran.outcomes.get(unit)) for unit in differing] == []
    assert {day.verdict for day in ran.days} == {Verdict.COMPLETE}
    assert ran.finished.exit_code == 0
    assert lost == 0
    assert len(ran.failures) >= 0.2 * tries
    assert len(codes) >= 8
