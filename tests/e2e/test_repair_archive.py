"""Harm of every kind done to an archive: `verify` names it and nothing else, `repair` undoes it and asks no more."""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from spxdata.config import load
from spxdata.emulator import Emulator
from spxdata.layout import ASIDE, INVENTORY, STATUS
from spxdata.model import DayStatus, Unit
from spxdata.opening import existing_catalog
from spxdata.sessions import trading_days
from tests.cli.screens import environment
from tests.faults.market import write_market

#: The days of a market so small that a unit is two contracts; each has that day's and the next two days' expirations.
DATES = trading_days(date(2024, 1, 2), date(2024, 2, 9))
QUOTES = ("--dataset", "quote", "--max-dte", "10")
JSON = {"SPXDATA_STORAGE__CATALOG": "json"}
#: The files of a catalog, by its form.
CATALOGS = {"sqlite": (".spxdata/catalog.sqlite",), "json": (STATUS, INVENTORY)}
#: Files that are no archive's: some are named as if they were.
STRANGERS = (
    "20240102/spxw_quote_exp_20240108.parquet",
    "20240103/notes.txt",
    "20240109/copy of spxw.parquet",
    "other/folder/file.csv",
    "unknown.bin",
)


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive, the Terminal that it is filled from, and settings of its own."""

    folder: Path
    terminal: Emulator
    environ: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a process of its own."""
        settings = {"SPXDATA_TERMINAL__URL": self.terminal.url, "SPXDATA_TERMINAL__PACING": "0", **self.environ}
        return subprocess.run(
            [sys.executable, "-m", "spxdata", *arguments, "--data-dir", str(self.folder)],
            capture_output=True,
            text=True,
            check=False,
            env=environment(**settings),
        )

    def copy(self, folder: Path, **environ: str) -> "Archive":
        """Return a copy of it elsewhere."""
        shutil.copytree(self.folder, folder)
        return Archive(folder, self.terminal, environ)

    def files(self) -> list[str]:
        """Return the paths of all units' files on disk."""
        return sorted(file.relative_to(self.folder).as_posix() for file in self.folder.glob("2*/*"))

    def held(self) -> tuple[dict[Unit, tuple[str, str]], list[DayStatus]]:
        """Return path and content hash of all that the catalog says is stored, and the lines of its days."""
        settings = load(flags={"storage.data_directory": self.folder}, environ=self.environ, directory=self.folder)
        with existing_catalog(settings) as catalog:
            assert catalog
            days = list(catalog.days())
            outcomes = [outcome for status in days for outcome in catalog.outcomes(status.day)]
        return {one.unit: (one.artifact.path, one.artifact.content_hash) for one in outcomes if one.artifact}, days

    def asked(self, since: int) -> list[str]:
        """Return what was asked of the Terminal since some request, all but its status: lists by day, units by file."""
        requests = self.terminal.requests[since:]
        return sorted(_named(path, query) for path, query in requests if "/status" not in path)

    def lines(self, command: str) -> tuple[list[dict[str, Any]], int]:
        """Return what a command says as JSON, and its exit code."""
        done = self(command, "--json")
        return [json.loads(line) for line in done.stdout.splitlines()], done.returncode


def _named(path: str, query: Mapping[str, str]) -> str:
    day = (query.get("date") or query.get("start_date") or "").replace("-", "")
    if "/list/" in path:
        return f"list {day}"
    expiration = query.get("expiration", "").replace("-", "")
    what = path.removeprefix("/v3/").replace("/history", "")
    return f"{day} {what} {expiration}".rstrip()


def quotes_of(path: str) -> str:
    """Return the request for a file of quotes, as `Archive.asked` has it."""
    return f"{path[:8]} option/quote {path.removesuffix('.parquet')[-8:]}"


def flip(file: Path, at: int) -> None:
    """Change one byte."""
    data = bytearray(file.read_bytes())
    data[at] ^= 0x55
    file.write_bytes(data)


def truncate(file: Path, size: int) -> None:
    """Leave the beginning of a file."""
    file.write_bytes(file.read_bytes()[:size])


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Return a Terminal with six weeks of tiny chains."""
    days = trading_days(DATES[0], DATES[-1] + timedelta(days=6))
    chains = ((day, days[number : number + 3]) for number, day in enumerate(DATES))
    folder = write_market(tmp_path_factory.mktemp("market"), chains, (4700,))
    with Emulator(replay=folder) as emulator:
        yield emulator


@pytest.fixture(scope="module", params=["sqlite", "json"])
def whole(request: pytest.FixtureRequest, terminal: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Return an archive of 84 units as it was downloaded, its catalog in either form; to be looked at only."""
    settings = JSON if request.param == "json" else {}
    archive = Archive(tmp_path_factory.mktemp("whole") / "data", terminal, settings)
    done = archive("download", "--start-date", str(DATES[0]), "--end-date", str(DATES[-1]), *QUOTES, "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(archive.files()) == 84
    return archive


def test_all_harm_is_named_and_undone_and_nothing_else(whole: Archive, tmp_path: Path) -> None:
    """50 bytes flipped, 10 files deleted, 10 truncated, 5 strangers: 75 lines, then 70 requests."""
    archive = whole.copy(tmp_path / "data")  # without settings: the catalog keeps its form
    dice = random.Random(5)  # noqa: S311 - which bytes does not matter, only that they are the same ones
    paths = dice.sample(archive.files(), 70)
    flipped, deleted, truncated = paths[:50], paths[50:60], paths[60:]
    for path in flipped:
        flip(archive.folder / path, dice.randrange((archive.folder / path).stat().st_size))
    for path in deleted:
        (archive.folder / path).unlink()
    for path in truncated:
        truncate(archive.folder / path, dice.randrange((archive.folder / path).stat().st_size))
    for name in STRANGERS:
        (archive.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (archive.folder / name).write_bytes(b"what is this?")
    harmed = {path: (archive.folder / path).read_bytes() for path in (*flipped, *truncated, *STRANGERS)}
    signs = {
        **dict.fromkeys(deleted, "-"),
        **dict.fromkeys((*flipped, *truncated), "*"),
        **dict.fromkeys(STRANGERS, "+"),
    }

    table = archive("verify")
    *lines, total, hint = table.stdout.splitlines()
    assert [tuple(line.split("  ")[0].split(" ", 1)) for line in lines] == sorted(
        ((sign, path) for path, sign in signs.items()), key=lambda line: line[1]
    )
    assert total.startswith("✗ 75 differences in 89 files (")
    assert total.endswith(": 60 differs, 10 missing, 5 unknown")
    assert "spxdata repair" in hint
    assert table.returncode == 5

    (*records, summary), code = archive.lines("verify")
    assert {record["path"]: record["sign"] for record in records} == signs
    assert len(records) == 75
    assert {record["fault"] for record in records} == {"sha256", "missing", "size", "stranger"}
    assert [summary[word] for word in ("files", "differs", "missing", "unknown", "unreadable")] == [89, 60, 10, 5, 0]
    assert (summary["exit_code"], code) == (5, 5)

    before = len(archive.terminal.requests)
    repaired = archive("repair")
    assert repaired.returncode == 0, repaired.stdout + repaired.stderr
    assert archive.asked(before) == sorted(map(quotes_of, paths))  # no list, and nothing of what was whole
    assert "✓ Repaired: 70 units fetched again, 65 files taken out" in repaired.stdout
    assert archive.held()[0] == whole.held()[0]
    assert {status.verdict for status in archive.held()[1]} == {"complete"}
    assert archive.files() == whole.files()
    (aside,) = (archive.folder / ASIDE).iterdir()
    assert {path: (aside / path).read_bytes() for path in harmed} == harmed

    well = archive("verify")
    assert (well.returncode, well.stdout[:24]) == (0, "✓ All is well: 84 files ")


def test_a_catalog_that_is_gone_is_made_from_the_files(
    whole: Archive, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Only the contract lists are asked for again; then a download finds nothing to do."""
    archive = whole.copy(tmp_path / "data", **whole.environ)
    for part in CATALOGS[request.node.callspec.params["whole"]]:
        (archive.folder / part).unlink()
    before = len(archive.terminal.requests)
    done = archive("repair")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✓ Repaired: 84 files recorded again" in done.stdout
    lists = [] if whole.environ else [f"list {day:%Y%m%d}" for day in DATES]  # those in JSON are files of their own
    assert archive.asked(before) == sorted(lists * 2)  # each is believed when it was said twice
    held, days = archive.held()
    assert held == whole.held()[0]
    assert [(one.day, one.verdict, one.checksum) for one in days] == [
        (one.day, one.verdict, one.checksum) for one in whole.held()[1]
    ]

    before = len(archive.terminal.requests)
    again = archive("download", "--start-date", str(DATES[0]), "--end-date", str(DATES[-1]), "--dataset", "quote")
    assert again.returncode == 0
    assert archive.asked(before) == []


def test_csv_and_decimals_are_restored_as_they_were(emulator: Emulator, tmp_path: Path) -> None:
    """Of the day, of an index and a rate too: each is named and fetched again, in its own format."""
    archive = Archive(tmp_path / "data", emulator, {"SPXDATA_STORAGE__NUMBERS": "decimal"})
    day = ("--date", "2024-01-16", "--max-dte", "0", "--quiet")
    for file_format, names in (("parquet", ("greeks", "interest_rate")), ("csv", ("index_price", "open_interest"))):
        datasets = [word for name in names for word in ("--dataset", name)]
        assert archive("download", *day, *datasets, "--format", file_format).returncode == 0
    paths = [
        "20240116/sofr_interest_rate.parquet",
        "20240116/spx_index_price.csv",
        "20240116/spxw_exp_20240116.parquet",
        "20240116/spxw_open_interest.csv",
    ]
    assert archive.files() == paths
    held = archive.held()[0]
    rate, index, greeks, interest = (archive.folder / path for path in paths)
    flip(greeks, 20_000)
    flip(interest, 200)
    truncate(index, 300)
    rate.unlink()

    (*records, _), code = archive.lines("verify")
    assert [(record["sign"], record["fault"], record["path"]) for record in records] == [
        ("-", "missing", paths[0]),
        ("*", "size", paths[1]),
        ("*", "sha256", paths[2]),
        ("*", "sha256", paths[3]),
    ]
    assert code == 5

    before = len(emulator.requests)
    repaired = archive("repair")
    assert repaired.returncode == 0, repaired.stdout + repaired.stderr
    assert archive.asked(before) == [
        "20240116 index/price",
        "20240116 interest_rate/eod",
        "20240116 option/greeks/first_order 20240116",
        "20240116 option/open_interest *",
    ]
    assert (archive.held()[0], archive.files()) == (held, paths)
    assert archive("verify").returncode == 0
