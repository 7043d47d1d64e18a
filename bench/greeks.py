"""Compares our own greeks with fifty digits and with the vendor's rows, and times them (docs/greeks.md).

COUNT options are drawn at random (default 100,000), a million are timed. The rows of the vendor are looked for in the
folder SPXDATA_REFERENCE. Last comes the audit of an emulated day, whose greeks other code has computed: CHAIN is full
(the default) or small.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from tests.analysis import vendor
from tests.analysis.truth import Random, exact, random_options
from tests.analysis.vendor import Some, numbers

from bench.command import COMMAND, DATE, downloaded, emulated
from spxdata.analysis.black_scholes import DERIVATIVES, price
from spxdata.analysis.greeks import COLUMNS, Conventions, greeks
from spxdata.analysis.implied_vol import implied_volatility
from spxdata.analysis.normal import Floats

ROOT = Path(__file__).parent.parent
CORES = 2
#: Options timed at once, and how often: the best time counts, for the machine may be busy.
TIMED, TIMES = 1_000_000, 9
#: A volatility is right within 1e-8, or within so many units in the last place of the price divided by vega.
ULPS = 4
#: Options that a process computes to fifty digits at a time.
PIECE = 2_500
#: Standard deviations between spot and the farthest strike.
WIDEST = 7.0


def row(*cells: object) -> None:
    """Print a row of a table."""
    print("|", " | ".join(map(str, cells)), "|", flush=True)


def heading(*cells: str) -> None:
    """Print the head of a table."""
    row(*cells)
    row(*["---"] * len(cells))


def truth(options: Random) -> tuple[Floats, Floats, Floats]:
    """Return prices and vegas, rounded once, and the errors of our own prices."""
    prices, vegas = exact(options)
    ours = price(options.sigma, **options.terms).tolist()
    errors = [float(abs(found - right)) for found, right in zip(ours, prices, strict=True)]
    return np.array([float(p) for p in prices]), np.array([float(v) for v in vegas]), np.array(errors)


def accuracy(count: int) -> bool:
    """Print how far prices and volatilities are from the truth; return whether every volatility is within its limit."""
    options = random_options(count, seed=2024, widest=WIDEST)
    with ProcessPoolExecutor(CORES, get_context("forkserver")) as pool:
        parts = list(pool.map(truth, [options.part(slice(at, at + PIECE)) for at in range(0, count, PIECE)]))
    prices, vegas, errors = (np.concatenate(column) for column in zip(*parts, strict=True))
    found = implied_volatility(prices, **options.terms)
    off = np.abs(found - options.sigma)
    with np.errstate(all="ignore"):
        unit = np.spacing(prices) / vegas
        total = options.sigma * np.sqrt(options.years)
        away = np.abs(np.log(options.spot / options.strike) + options.rate * options.years) / total
        inside = np.where(options.call, options.strike < options.spot, options.strike > options.spot)
    told = ULPS * unit <= 1e-8
    # Elsewhere a volatility is judged where two digits of it are left; where none is, there may not even be one.
    judged = told | (ULPS * unit < 0.01 * options.sigma)
    right = off <= np.maximum(1e-8, ULPS * unit)
    regions: list[tuple[str, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]] = [
        ("all", np.ones(count, bool)),
        ("1 hour to 1 day", options.years < 1 / 365),
        ("1 day to 30 days", (options.years >= 1 / 365) & (options.years < 30 / 365)),
        ("30 days to 1 year", (options.years >= 30 / 365) & (options.years < 1)),
        ("1 year to 5 years", options.years >= 1),
        ("volatility 1 % to 10 %", options.sigma < 0.1),
        ("volatility 10 % to 100 %", (options.sigma >= 0.1) & (options.sigma < 1)),
        ("volatility 100 % to 500 %", options.sigma >= 1),
        ("within 1 standard deviation", away < 1),
        ("1 to 3 out of the money", (away >= 1) & (away < 3) & ~inside),
        ("beyond 3 out of the money", (away >= 3) & ~inside),
        ("1 to 3 in the money", (away >= 1) & (away < 3) & inside),
        ("beyond 3 in the money", (away >= 3) & inside),
    ]
    print(f"\n{count:,} random options against 50 digits\n")
    heading(
        "region",
        "options",
        "vega tells 1e-8",
        "worst error there",
        "elsewhere, worst in ulp of price / vega",
        "outside the limit",
        "price, worst by the larger of spot and strike",
    )
    for name, inner in regions:
        there, elsewhere = inner & told, inner & judged & ~told
        row(
            name,
            f"{inner.sum():,}",
            f"{there.sum() / inner.sum():.1%}",
            f"{off[there].max():.1e}",
            f"{(off[elsewhere] / unit[elsewhere]).max():.2f}" if elsewhere.any() else "none",
            int((inner & judged & ~right).sum()),
            f"{(errors[inner] / np.maximum(options.spot, options.strike)[inner]).max():.1e}",
        )
    return bool(right[judged].all())


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the least wall time and the least CPU time that something took, in seconds."""
    walls, cpus = [], []
    for _ in range(TIMES):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus)


def speed() -> None:
    """Print how many options a second are done."""
    options = random_options(TIMED, seed=1, widest=2)
    prices = price(options.sigma, **options.terms)
    print(f"\n{TIMED:,} options in one batch, one thread, best of {TIMES}\n")
    heading("work", "options a second", "options a second of CPU")
    works: dict[str, Callable[[], object]] = {
        "price": partial(price, options.sigma, **options.terms),
        "implied volatility": partial(implied_volatility, prices, **options.terms),
        "all greeks at a volatility": partial(greeks, **options.terms, volatility=options.sigma),
        "implied volatility and all greeks": partial(greeks, **options.terms, price=prices),
        "the same in the vendor's conventions": partial(
            greeks, **options.terms, price=prices, conventions="vendor", digits=4
        ),
    }
    for name, work in works.items():
        wall, cpu = timed(work)
        row(name, f"{TIMED / wall:,.0f}", f"{TIMED / cpu:,.0f}")


def agreement(reference: Path) -> None:
    """Print how well the vendor's rows are reproduced."""
    documented = [vendor.Some("SPY, first order", vendor.spy(reference), vendor.SPY_RATE), *vendor.examples(reference)]
    trade = vendor.Some("SPY, a trade", vendor.recorded(reference, "trade_greeks_all"), vendor.TRADE_RATE)
    print("\nOur own volatilities and the vendor's\n")
    heading("rows", "how many", "volatility, worst", "delta, worst")
    for some in (*documented, trade):
        if {"price", "bid"} & some.rows[0].keys():
            own = greeks(**some.terms, price=vendor.price_used(some.rows))
            volatility = vendor.volatility_differences(some.rows, own).max()
            delta = np.abs(own["delta"] - vendor.numbers(some.rows, "delta")).max() if "delta" in some.rows[0] else None
            shown = "not there" if delta is None else f"{delta:.1e}"
            row(some.name, len(some.rows), f"{volatility:.1e}", shown)
    print("\nGreeks at the vendor's volatility: the worst of its rows\n")
    heading("greek", "documented rows", "worst", "where it is", "recorded rows", "worst", "where it is")
    for name in DERIVATIVES:
        row(name, *worst(documented, name, "vendor"), *worst([trade], name, "vendor_recorded"))
    unsolved(reference)


def worst(of: Sequence[Some], name: str, conventions: Conventions) -> tuple[int, str, str]:
    """Return how many rows have a greek, the difference that is worst by its size, and the vendor's number there."""
    theirs, ours = [], []
    for some in of:
        if name in some.rows[0]:
            sigma = numbers(some.rows, "implied_vol")
            theirs.append(numbers(some.rows, name))
            ours.append(greeks(**some.terms, volatility=sigma, conventions=conventions, digits=4, columns=[name])[name])
    printed = np.concatenate(theirs)
    differences = np.abs(np.concatenate(ours) - printed)
    at = int((differences / (np.abs(printed) + 0.1)).argmax())
    return len(printed), f"{differences[at]:.4f}", f"{printed[at]:.4f}"


def unsolved(reference: Path) -> None:
    """Print how the recorded rows without a volatility are reproduced."""
    rows = vendor.recorded(reference, "greeks_all")
    terms = vendor.terms_of(rows, vendor.UNSOLVED_RATE)
    found = greeks(**terms, price=vendor.price_used(rows), conventions="vendor", digits=4)
    names = COLUMNS[1:]  # the model's price is no column of the vendor's
    equal = {name: int((found[name] == vendor.numbers(rows, name)).sum()) for name in names}
    different = ", ".join(f"{name} in {len(rows) - count}" for name, count in equal.items() if count < len(rows))
    print(f"\nOf {len(rows)} recorded rows without a volatility {equal['implied_vol']} have none here.")
    print(f"Of the {len(names)} columns of those rows there differ: {different or 'none'}.")


def audit(chain: str) -> bool:
    """Print the audit of an emulated day; return whether its greeks agree with ours."""
    print(f"\nspxdata audit-greeks of an emulated day, {chain} chain\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="spxdata-audit-") as name:
        folder = Path(name)
        archive = ["--data-dir", str(folder / "data")]
        with emulated("--chain", chain) as url:
            downloaded(url, folder / "data", "--date", DATE, "--dataset", "greeks", "--dataset", "interest_rate")
        started = time.perf_counter()
        code = subprocess.run([*COMMAND, "audit-greeks", *archive], check=False).returncode
        print(f"\nIn {time.perf_counter() - started:.1f} s.")
    return code == 0


def main() -> int:
    """Print all tables; fail if a volatility is outside its limit, or a day does not agree."""
    right = accuracy(int(os.environ.get("COUNT", "100000")))
    speed()
    reference = (ROOT / os.environ.get("SPXDATA_REFERENCE", "../shared")).resolve()
    if (reference / "realdata").is_dir():
        agreement(reference)
    else:
        print(f"\nNo rows of the vendor at {reference}: set SPXDATA_REFERENCE to their folder.")
    agrees = audit(os.environ.get("CHAIN", "full"))
    return int(not (right and agrees))


if __name__ == "__main__":
    sys.exit(main())
