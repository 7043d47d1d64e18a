"""How commands grow with the archive: with 1, 10 and 100 thousand units, which are ten years of trading days.

The archives are made through the real catalogs. Of each day they hold greeks of 40 expirations, all stored and
complete, the contract list of 17,520 contracts, and the day's certificate as `spxdata coverage` keeps it. Data files
are sparse: each has the recorded size and not one byte of ours, so that a command that opened one would fail. Those of
the last day and of each day's own expiration are real, with one row: scans of a few files look at these.

Run it with `python bench/growth.py`; `--catalog json` measures archives whose catalog is kept in JSON.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from hashlib import sha256
from math import ceil
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from spxdata.catalog.jsonfile import JsonCatalog
    from spxdata.catalog.sqlite import SqliteCatalog
    from spxdata.model import Contract, ContractList, Outcome, Provenance, Unit

#: Units of the archives that are compared; the last are ten years.
UNITS: Final = (1_000, 10_000, 100_000)
#: Expirations of each day: its own and those of the next 39 trading days, all within 60 calendar days.
EXPIRATIONS: Final = 40
#: Strikes of each expiration, each of them a call and a put.
STRIKES: Final = 219
#: How often each command is run; the table has medians.
RUNS: Final = 3
#: The last trade date of every archive.
LAST: Final = date(2025, 12, 31)

_ROOT: Final = "SPXW"
_ROWS: Final = 171_258
_BYTES: Final = 3_800_000

#: What is measured: a name, the command, and what it says of an archive that lacks nothing.
_COMMANDS: Final[Mapping[str, tuple[Sequence[str], str]]] = {
    "status": (("status",), "{days:,}/{days:,} days complete"),
    "status of a week": (("status", "--start-date", str(LAST - timedelta(days=7))), "5/5 days complete"),
    "coverage": (("coverage",), "{days:,}/{days:,} days complete"),
    "download --dry-run": (
        ("download", "--start-date", "{first}", "--end-date", str(LAST), "--dry-run"),
        "Would fetch 0 units",
    ),
    "update --show": (("update", "--show", "--start-date", "{first}"), " days settled"),
}
_SCANS: Final[Mapping[str, str]] = {
    "scan of a day": f'archive.scan("greeks", start="{LAST}", end="{LAST}")',
    "scan of all 0DTE": 'archive.scan("greeks", dte=0)',
    "scan of all": 'archive.scan("greeks")',
}
_SCAN: Final = """
import resource, sys, time
import spxdata
archive = spxdata.open(sys.argv[1])
cpu, started = time.process_time(), time.perf_counter()
found = {scan}
seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
print(seconds, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
#: What starting costs: a name, and what Python is told.
_STARTS: Final[Mapping[str, Sequence[str]]] = {
    "bare Python": ("-c", "pass"),
    "import spxdata": ("-c", "import spxdata"),
    "--version": ("-m", "spxdata", "--version"),
    "--help": ("-m", "spxdata", "--help"),
}


class Made(NamedTuple):
    """An archive that was made.

    Attributes:
        folder: Where it lies.
        units: How many units it has.
        first: Its first trade date.
        record: Milliseconds that each of the last thousand records took, a transaction each, without waiting for the
            disk; None where all were one.
    """

    folder: Path
    units: int
    first: date
    record: float | None


class Took(NamedTuple):
    """What a command took: seconds by the clock, seconds of CPU, MiB of memory at most."""

    seconds: float
    cpu: float
    mib: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the archives, measure, and print tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("units", nargs="*", type=int, default=UNITS, help="units of the archives")
    parser.add_argument("--catalog", choices=("sqlite", "json"), default="sqlite", help="how their record is kept")
    parser.add_argument("--runs", type=int, default=RUNS, help="how often each command is run")
    parser.add_argument("--only", default="", help="measure only what has this in its name")
    parser.add_argument("--folder", type=Path, help="keep the archives here, and use those that are there")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="growth-") as temporary:
        folder = given.folder or Path(temporary)
        archives = [_made(folder / f"{given.catalog}-{units}", units, given.catalog) for units in given.units]
        found = dict(measure(archives, given.runs, given.only))
    print(table([f"{made.units:,}" for made in archives], found))
    for made in archives:
        if made.record is not None:
            print(f"record with {made.units:,} units: {made.record:.2f} ms")
    print()
    print(starts_table(starts(max(given.runs, 7))))
    return 0


def measure(archives: Sequence[Made], runs: int = RUNS, only: str = "") -> Iterator[tuple[str, list[Took]]]:
    """Yield what each command takes on each archive.

    Args:
        archives: The archives.
        runs: How often each is run.
        only: Part of the names of those that are measured; all for none.
    """
    for name, (command, expected) in _COMMANDS.items():
        if only in name:
            yield name, [_median(_command(command, expected, made), runs) for made in archives]
    for name, scan in _SCANS.items():
        if only in name:
            code = _SCAN.format(scan=scan)
            yield name, [_median(_scan(code, made), runs) for made in archives]


def starts(runs: int) -> dict[str, Took]:
    """Return what starting takes, interleaved so that the machine's moods meet all alike."""
    found: dict[str, list[Took]] = {name: [] for name in _STARTS}
    for _ in range(runs + 1):
        for name, words in _STARTS.items():
            found[name].append(next(_process([sys.executable, *words], Path.cwd())))
    return {name: _median(iter(took), runs) for name, took in found.items()}


def table(heads: Sequence[str], found: Mapping[str, Sequence[Took]]) -> str:
    """Return what commands took as Markdown: CPU seconds on each archive, seconds and memory on the last one."""
    lines = [["CPU s", *(f"{head} units" for head in heads), "s", "MiB"]]
    lines += [["---", *("---:" for _ in heads), "---:", "---:"]]
    for name, took in found.items():
        lines.append([name, *(f"{one.cpu:.2f}" for one in took), f"{took[-1].seconds:.2f}", f"{took[-1].mib:.0f}"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def starts_table(found: Mapping[str, Took]) -> str:
    """Return what starting took as Markdown."""
    bare = found["bare Python"]
    lines = ["| | s | CPU s | CPU s above bare Python |", "| --- | ---: | ---: | ---: |"]
    for name, took in found.items():
        lines.append(f"| {name} | {took.seconds:.3f} | {took.cpu:.3f} | {took.cpu - bare.cpu:.3f} |")
    return "\n".join(lines)


def make(folder: Path, units: int, form: str = "sqlite") -> Made:
    """Make an archive of whole days.

    Args:
        folder: Where; it does not exist yet.
        units: How many units, at least.
        form: How its catalog is kept, sqlite or json.
    """
    from spxdata.catalog.jsonfile import JsonCatalog
    from spxdata.catalog.sqlite import SqliteCatalog
    from spxdata.layout import CATALOG
    from spxdata.sessions import trading_days
    from spxdata.storage.local import LocalStorage

    days = trading_days(date(2013, 1, 2), LAST)[-ceil(units / EXPIRATIONS) :]
    following = trading_days(days[0], LAST + timedelta(days=90))
    stock = [
        [_outcome(folder, day, expiration) for expiration in following[place : place + EXPIRATIONS]]
        for place, day in enumerate(days)
    ]
    record = None
    catalog: SqliteCatalog | JsonCatalog
    if form == "json":
        catalog = JsonCatalog(LocalStorage(folder), folder)
        _fill_json(catalog, stock)
    else:
        catalog = SqliteCatalog(folder / CATALOG)
        record = _fill(catalog, stock)
    with closing(catalog):
        for place, trade_date in enumerate(days):
            catalog.keep_contracts(_listed(trade_date, tuple(following[place : place + EXPIRATIONS])), "quote")
        _keep_rule(catalog, days[0])
        _keep_certificates(catalog, folder)
    return Made(folder, len(days) * EXPIRATIONS, days[0], record)


def _made(folder: Path, units: int, form: str) -> Made:
    """Make an archive, or take the one that was made before."""
    said = folder / "made.json"
    if said.exists():
        first, record, found = json.loads(said.read_text())
        return Made(folder, found, date.fromisoformat(first), record)
    # elsewhere: what this process has taken of memory, those it starts would be said to have taken
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        made = pool.submit(make, folder, units, form).result()
    said.write_text(json.dumps([made.first.isoformat(), made.record, made.units]))
    return made


def _fill(catalog: "SqliteCatalog", stock: Sequence[Sequence["Outcome"]]) -> float:
    """Record all units, each in a transaction of its own; return the milliseconds of each of the last thousand."""
    from spxdata.model import Scope, Verdict

    catalog._connection._sqlite.execute("PRAGMA synchronous = OFF")  # noqa: SLF001 - of the making only
    took: list[float] = []
    for outcomes in stock:
        day, at = outcomes[0].unit.day, _at(outcomes[0].unit.trade_date)
        catalog.begin_day(day, Scope(60), at)
        for outcome in outcomes:
            started = perf_counter()
            catalog.record(outcome, at)
            took.append(perf_counter() - started)
        catalog.end_day(day, Verdict.COMPLETE, None, at)
    return median(took[-1_000:]) * 1_000


def _fill_json(catalog: "JsonCatalog", stock: Sequence[Sequence["Outcome"]]) -> None:
    """Record all units as one change: each change writes both files whole."""
    from spxdata.model import Scope, Verdict

    dates = [outcomes[0].unit.trade_date for outcomes in stock]
    with catalog._changing(*dates) as ledger:  # noqa: SLF001 - as above
        for outcomes in stock:
            day, at = outcomes[0].unit.day, _at(outcomes[0].unit.trade_date)
            ledger.begin_day(day, Scope(60), at)
            for outcome in outcomes:
                ledger.record(outcome, at)
            ledger.end_day(day, Verdict.COMPLETE, None, at)


def _keep_rule(catalog: "SqliteCatalog | JsonCatalog", first: date) -> None:
    from spxdata.integrity.rule import DatasetAt, Rule, keep

    keep(Rule(first, (_ROOT,), (DatasetAt("greeks", "1m"),), 60), catalog)


def _keep_certificates(catalog: "SqliteCatalog | JsonCatalog", folder: Path) -> None:
    """Keep the certificates that `spxdata coverage` would issue if the files were real."""
    from spxdata.certificate import Certificate, Figure
    from spxdata.clock import SystemClock
    from spxdata.integrity.coverage import Certifier, Wanted, days_of, keep
    from spxdata.model import Verdict
    from spxdata.storage.local import LocalStorage

    certifier = Certifier(catalog, LocalStorage(folder), SystemClock())
    found = []
    for place, asked in enumerate(days_of(catalog, Wanted())):
        figure = Figure("parity_forward", 0.001 + place % 17 * 1e-5, -0.01, 0.02, unusual=False)
        found.append(
            Certificate(
                day=asked.day,
                scope=asked.scope,
                verdict=Verdict.COMPLETE,
                units=EXPIRATIONS,
                stored=EXPIRATIONS,
                rows=EXPIRATIONS * _ROWS,
                missing=(),
                lacks=(),
                empty=(),
                notes=12,
                issued_at=_at(LAST),
                basis=certifier.basis(asked),
                figures=(figure,),
            )
        )
    keep(found, catalog)


def _outcome(folder: Path, trade_date: date, expiration: date) -> "Outcome":
    """Make the file of a unit, and return what is to be recorded of it."""
    from spxdata import __version__
    from spxdata.layout import path_of
    from spxdata.model import Artifact, Outcome, Provenance, State, Unit
    from spxdata.schema import DATASETS

    unit = Unit(trade_date, _ROOT, "greeks", "1m", expiration)
    path = path_of(unit)
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    digest = sha256(path.encode()).hexdigest()
    at = _at(trade_date)
    request = f"/v3/option/history/greeks/first_order?symbol={_ROOT}&expiration={expiration:%Y%m%d}&interval=1m"
    origin = Provenance(request, "v3", "latest", "sofr", at, __version__)
    if trade_date in {LAST, expiration}:
        rows, size = 1, _make_real(folder / path, unit, digest, origin)
    else:
        rows, size = _ROWS, _BYTES + expiration.toordinal() % 1_000
        with (folder / path).open("xb") as file:
            os.truncate(file.fileno(), size)
    version = DATASETS["greeks"].version
    artifact = Artifact(
        path,
        rows,
        size,
        digest,
        digest[::-1],
        version,
        "parquet",
        "zstd",
        at,
        origin,
        strikes=(3_000.0, 4_100.0),
        times=(time(9, 30), time(16, 15)),
    )
    return Outcome(unit, State.STORED, artifact=artifact, notes=expiration.toordinal() % 3)


def _make_real(path: Path, unit: "Unit", digest: str, origin: "Provenance") -> int:
    """Write a file of one row, whose footer says what the catalog will; return its bytes."""
    import polars as pl

    from spxdata.analysis.files import row_types
    from spxdata.events import plain
    from spxdata.pipeline.hashing import HashingFile
    from spxdata.pipeline.parquet_file import ParquetFile
    from spxdata.schema import DATASETS
    from spxdata.storage.local import LocalStorage

    dataset = DATASETS[unit.dataset]
    values = {"symbol": _ROOT, "right": "CALL", "trade_date": unit.trade_date, "expiration": unit.expiration}
    moment = datetime(unit.trade_date.year, unit.trade_date.month, unit.trade_date.day, 15, tzinfo=UTC)
    types = row_types(dataset)
    row = {name: values.get(name, moment if isinstance(kind, pl.Datetime) else 0) for name, kind in types.items()}
    frame = pl.DataFrame([{name: row[name] for name in types}], schema=types)
    with LocalStorage(path.parent).create(path.name) as pending:
        hashed = HashingFile(pending)
        rows = ParquetFile(hashed, unit, ("zstd", 3), decimals=False)
        rows.see(frame)
        rows.write(frame)
        rows.finish(
            {
                "unit": plain(unit),
                "schema_version": dataset.version,
                "content_hash": digest[::-1],
                "empty": [],
                "created_at": plain(origin.fetched_at),
                "provenance": plain(origin),
            }
        )
        pending.commit()
    return hashed.bytes


def _listed(trade_date: date, expirations: tuple[date, ...]) -> "ContractList":
    from spxdata.model import ContractList

    contracts = tuple(contract for expiration in expirations for contract in _chain(expiration))
    return ContractList(_ROOT, trade_date, contracts, _at(trade_date))


@cache
def _chain(expiration: date) -> tuple["Contract", ...]:
    from spxdata.model import Contract, Right

    strikes = [3_000.0 + 5 * number + expiration.day for number in range(STRIKES)]
    return tuple(Contract(expiration, strike, right) for strike in strikes for right in Right)


def _at(trade_date: date) -> datetime:
    """Return a moment after a day's rows and contract lists are final."""
    return datetime(trade_date.year, trade_date.month, trade_date.day, 15, tzinfo=UTC) + timedelta(days=2)


def _command(command: Sequence[str], expected: str, made: Made) -> Iterator[Took]:
    """Yield what a command takes on an archive, again and again."""
    said = [word.format(first=made.first) for word in command]
    words = [sys.executable, "-m", "spxdata", *said, "--data-dir", str(made.folder)]
    return _process(words, made.folder, expected.format(days=made.units // EXPIRATIONS))


def _process(words: Sequence[str], folder: Path, expected: str = "") -> Iterator[Took]:
    """Yield what a process takes, again and again; it must end well, and say what is expected."""
    while True:
        started = perf_counter()
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(words, cwd=folder, stdout=said, stderr=said, env=_compiled())
            _, status, used = os.wait4(process.pid, 0)
            seconds = perf_counter() - started
            process.returncode = os.waitstatus_to_exitcode(status)
            said.seek(0)
            text = said.read().decode()
        if process.returncode or expected not in text:
            raise SystemExit(f"{' '.join(words)} ended with {process.returncode}, not {expected!r}: {text[-2000:]}")
        yield Took(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def _scan(code: str, made: Made) -> Iterator[Took]:
    """Yield what planning a scan takes, again and again; opening the archive and importing are not counted."""
    while True:
        words = [sys.executable, "-c", code, str(made.folder)]
        said = subprocess.run(words, check=True, capture_output=True, text=True, env=_compiled()).stdout
        yield Took(*map(float, said.split()))


def _compiled() -> dict[str, str]:
    """Return the environment of a process that keeps compiled modules, as packages that pip installed have them."""
    rest = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**rest, "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "growth-compiled")}


def _median(took: Iterator[Took], runs: int) -> Took:
    """Return the medians of some runs."""
    next(took)  # what is compiled and cached once does not count
    found = [next(took) for _ in range(runs)]
    return Took(*(median(values) for values in zip(*found, strict=True)))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
