"""`spxdata coverage` over a month with all that can be missing planted in it: it says just that, and mends it."""

import json
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest
from click.testing import CliRunner, Result

from spxdata.cli.group import cli
from spxdata.emulator import Emulator, Fault
from spxdata.flags import Flag

#: July 3rd closes at 13:00, July 4th is a holiday.
MONTH: Final = ("--start-date", "2024-07-01", "--end-date", "2024-07-31")
#: What is downloaded, and how far: of quotes two expirations a day, of which holes concern one.
DATASETS: Final = {"0": ("trade", "greeks", "eod"), "1": ("quote",)}
#: When it is downloaded, the day after, and 31 days after.
DOWNLOADED, NEXT_DAY, IN_31_DAYS = "2024-08-05T12:00", "2024-08-06T12:00", "2024-09-05T12:00"

#: What the Terminal leaves out of clean replies: 70 minutes of a chain, a contract, another one, a tail, a report.
DROPPED: Final = (
    "dataset=quote,date=2024-07-09,expiration=2024-07-09,from=10:30,to=11:39",
    "dataset=quote,date=2024-07-11,expiration=2024-07-12,strike=5300,right=C",
    "dataset=quote,date=2024-07-16,expiration=2024-07-16,strike=5300,right=P",
    "dataset=greeks,date=2024-07-18,strike=5200,right=C,from=15:00",
    "dataset=eod,date=2024-07-25,expiration=2024-07-26,strike=5300,right=P",
)
#: Of one contract it says, asked for it alone, that there is nothing.
NO_DATA: Final = Fault(
    do="status", status=472, dataset="quote", date="2024-07-16", expiration="2024-07-16", strike=5300, right="P"
)
#: A file that is deleted by hand.
DELETED: Final = "20240723/spxw_trade_exp_20240723.parquet"
#: The days and expirations that lack something, as they are asked for; reports are asked for by the day.
DELETED_UNIT: Final = ("trade", "2024-07-23", "2024-07-23")
HOLED_UNITS: Final = (
    ("eod", "2024-07-25", "*"),
    ("first_order", "2024-07-18", "2024-07-18"),
    ("quote", "2024-07-09", "2024-07-09"),
    ("quote", "2024-07-11", "2024-07-12"),
)

CALENDAR: Final = """\
SPXW quote 1m
           Mon   Tue   Wed   Thu   Fri
  2024-07   1 ✓   2 ✓   3 ✓   4 –   5 ✓
            8 ✓   9 !  10 ✓  11 !  12 ✓
           15 ✓  16 ✓  17 ✓  18 ✓  19 ✓
           22 ✓  23 ✓  24 ✓  25 ✓  26 ✓
           29 ✓  30 ✓  31 ✓
"""  # noqa: RUF001 - a dash stands for the holiday
HOLIDAY: Final = "– Closed 2024-07-04: Independence Day\n"  # noqa: RUF001 - as above
MISSING: Final = """\
! 2024-07-25 SPXW eod 1d: 1 gap
    1 gap (2024-07-26 5300 PUT: the whole day)
! 2024-07-18 SPXW greeks 1m: 1 gap
    exp 2024-07-18: 1 gap (5200 CALL: 15:00-16:00)
! 2024-07-09 SPXW quote 1m: 1 outage
    exp 2024-07-09: 1 outage (all contracts: 10:30-11:39)
! 2024-07-11 SPXW quote 1m: 1 gap
    exp 2024-07-12: 1 gap (5300 CALL: the whole day)
"""
LOST: Final = "✗ 2024-07-23 SPXW trade tick: its file is not there\n"
FIX: Final = "Hint: To fetch what is missing, and nothing else: spxdata coverage --fix\n"
WAIT: Final = """\
Hint: Asked for in vain: 4 files. --fix asks again from 2024-09-04 on.
Hint: To ask again now: spxdata coverage --fix --force
"""


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive in a folder."""

    folder: Path

    def __call__(self, now: str, *arguments: str, url: str = "http://127.0.0.1:1/v3") -> Result:
        """Run the command at a moment, with a Terminal that is there or not."""
        environment = {
            "SPXDATA_NOW": now,
            "SPXDATA_TERMINAL__URL": url,
            "SPXDATA_TERMINAL__PACING": "0",
            "SPXDATA_DOWNLOAD__RETRY_WAIT": "0.01",
            "SPXDATA_STORAGE__DATA_DIRECTORY": str(self.folder),
        }
        return CliRunner().invoke(cli, arguments, prog_name="spxdata", env=environment)

    def told(self, now: str) -> list[dict[str, Any]]:
        """Return what `coverage --json` says."""
        return [json.loads(line) for line in self(now, "coverage", "--json").stdout.splitlines()]


def asked(terminal: Emulator) -> list[tuple[str, str, str]]:
    """Return the requests for rows: the dataset's word, day and expiration; all else is the Terminal's status."""
    rows = [(path, query) for path, query in terminal.requests if "/history/" in path]
    assert {path for path, _ in terminal.requests} - {path for path, _ in rows} == {"/v3/terminal/mdds/status"}
    return sorted(
        (path.rpartition("/")[2], query.get("date") or query["start_date"], query["expiration"]) for path, query in rows
    )


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Archive, list[tuple[str, dict[str, str]]]]:
    """Return an archive downloaded from a Terminal with faults, and what was asked of that; a file was deleted."""
    archive = Archive(tmp_path_factory.mktemp("archive") / "data")
    with Emulator(drop=DROPPED, faults=[NO_DATA], doubled_eod=True) as terminal:
        for max_dte, names in DATASETS.items():
            datasets = [word for name in names for word in ("--dataset", name)]
            result = archive(
                DOWNLOADED, "download", *MONTH, "--max-dte", max_dte, *datasets, "--quiet", url=terminal.url
            )
            assert result.exit_code == 1, result.output
        requests = list(terminal.requests)
    (archive.folder / DELETED).unlink()
    return archive, requests


@pytest.fixture
def archive(planted: tuple[Archive, list[tuple[str, dict[str, str]]]], tmp_path: Path) -> Archive:
    """Return a copy of that archive."""
    shutil.copytree(planted[0].folder, tmp_path / "data")
    return Archive(tmp_path / "data")


def test_a_contract_that_is_missing_twice_is_asked_for_alone(
    planted: tuple[Archive, list[tuple[str, dict[str, str]]]],
) -> None:
    """Each once, in the second attempt."""
    lone = [query for path, query in planted[1] if path.endswith("/quote") and query.get("strike", "*") != "*"]
    assert [(query["date"], query["expiration"], query["strike"], query["right"]) for query in lone] == [
        ("2024-07-11", "2024-07-12", "5300", "call"),
        ("2024-07-16", "2024-07-16", "5300", "put"),
    ]


def test_the_table_shows_every_planted_hole_and_nothing_else(archive: Archive) -> None:
    """No Terminal is needed for it."""
    table = archive(NEXT_DAY, "coverage")
    assert table.exit_code == 1
    assert CALENDAR in table.stdout
    assert HOLIDAY in table.stdout
    assert f"\n{MISSING}{LOST}\n" in table.stdout
    assert table.stdout.count("!") == 2 * 4 + 1  # the calendar, the lines below, and the meaning of the mark
    assert table.stdout.count("✗") == 2 + 1
    assert table.stdout.endswith(f"Total: 83/88 days complete (4 partial, 1 missing)\n{FIX}{WAIT}")


def test_json_shows_every_planted_hole_and_nothing_else(archive: Archive) -> None:
    """A certificate of each day, the exact holes in them; the holiday, the early close, the report that came twice."""
    told = archive.told(NEXT_DAY)
    assert {line["schema_version"] for line in told} == {1}
    assert Counter(line["event"] for line in told) == {"certificate": 88, "day_closed": 1, "summary": 1}
    by_day = {(one["day"]["dataset"], one["day"]["trade_date"]): one for one in told if one["event"] == "certificate"}
    unsound = {key: one["verdict"] for key, one in by_day.items() if not one["sound"]}
    assert unsound == {
        ("quote", "2024-07-09"): "partial",
        ("quote", "2024-07-11"): "partial",
        ("greeks", "2024-07-18"): "partial",
        ("trade", "2024-07-23"): None,
        ("eod", "2024-07-25"): "partial",
    }
    assert {one["verdict"] for key, one in by_day.items() if key not in unsound} == {"complete"}
    assert all(one["complete"] == (one["verdict"] == "complete") for one in by_day.values())

    def hole(
        kind: str, strike: float | None, right: str | None, expiration: str, first: int | None, last: int | None
    ) -> dict[str, Any]:
        contract = {"expiration": expiration, "strike": strike, "right": right} if strike else None
        return {"kind": kind, "contract": contract, "first": first, "last": last, "ask_again": "2024-09-04"}

    assert {key: one["lacks"] for key, one in by_day.items() if one["lacks"]} == {
        ("quote", "2024-07-09"): [
            {"expiration": "2024-07-09", **hole("outage", None, None, "", 10 * 60 + 30, 11 * 60 + 39)}
        ],
        ("quote", "2024-07-11"): [
            {"expiration": "2024-07-12", **hole("gap", 5300.0, "CALL", "2024-07-12", None, None)}
        ],
        ("greeks", "2024-07-18"): [
            {"expiration": "2024-07-18", **hole("gap", 5200.0, "CALL", "2024-07-18", 15 * 60, 16 * 60)}
        ],
        ("eod", "2024-07-25"): [{"expiration": None, **hole("gap", 5300.0, "PUT", "2024-07-26", None, None)}],
    }
    assert {key: one["missing"] for key, one in by_day.items() if one["missing"]} == {
        ("trade", "2024-07-23"): [
            {"expiration": "2024-07-23", "state": "stored", "reason": "its file is not there", "ask_again": None}
        ]
    }
    assert {key: one["empty"] for key, one in by_day.items() if one["empty"]} == {
        ("quote", "2024-07-16"): [{"expiration": "2024-07-16", "strike": 5300.0, "right": "PUT"}]
    }
    figures = [figure for one in by_day.values() for figure in one["figures"]]
    assert {figure["name"] for figure in figures} == {"bid_ask_as_quoted", "parity_forward", "volume_as_reported"}
    assert not [figure for figure in figures if figure["unusual"]]
    assert [line for line in told if line["event"] == "day_closed"] == [
        {
            "schema_version": 1,
            "event": "day_closed",
            "trade_date": "2024-07-04",
            "reason": "Independence Day",
            "verdict": "closed",
        }
    ]
    assert told[-1] == {"schema_version": 1, "event": "summary", "days": 88, "complete": 83, "sound": 83}
    early = pl.read_parquet(archive.folder / "20240703/spxw_quote_exp_20240703.parquet", columns=["timestamp"])
    assert str(early["timestamp"].max())[11:16] == "13:00"
    report = pl.read_parquet(archive.folder / "20240702/spxw_eod.parquet", columns=["flags"])
    assert report.filter(pl.col("flags") & Flag.SUPERSEDED != 0).height * 2 == report.height


def test_fix_asks_for_what_is_due_and_force_for_the_rest(archive: Archive) -> None:
    """Once the faults are lifted; holes that were confirmed twice wait, and it says until when."""
    with Emulator(doubled_eod=True) as terminal:
        waits = archive(NEXT_DAY, "coverage", "--fix", url=terminal.url)
        assert asked(terminal) == [DELETED_UNIT]
        assert waits.exit_code == 1
        assert f"\n{MISSING}\n" in waits.stdout
        assert waits.stdout.endswith(f"Total: 84/88 days complete (4 partial)\n{WAIT}")

        mended = archive(NEXT_DAY, "coverage", "--fix", "--force", url=terminal.url)
        assert asked(terminal) == [*HOLED_UNITS, DELETED_UNIT]
        assert mended.exit_code == 0, mended.output
        assert mended.stdout.endswith("Total: 88/88 days complete\n")
        requests = len(terminal.requests)
        assert archive(NEXT_DAY, "coverage", "--fix", "--force", url=terminal.url).exit_code == 0
        assert len(terminal.requests) == requests

    assert {one["verdict"] for one in archive.told(NEXT_DAY) if one["event"] == "certificate"} == {"complete"}


def test_fix_31_days_later_needs_no_force(archive: Archive) -> None:
    """All is due then: it makes all complete, with no request beyond the holed units and the lists."""
    before = archive(IN_31_DAYS, "coverage").stdout
    assert before.endswith(f"Total: 83/88 days complete (4 partial, 1 missing)\n{FIX}")
    with Emulator(doubled_eod=True) as terminal:
        mended = archive(IN_31_DAYS, "coverage", "--fix", url=terminal.url)
        assert asked(terminal) == [*HOLED_UNITS, DELETED_UNIT]
    assert mended.exit_code == 0, mended.output
    assert mended.stdout.endswith("Total: 88/88 days complete\n")
    assert {one["verdict"] for one in archive.told(IN_31_DAYS) if one["event"] == "certificate"} == {"complete"}
