"""`spxdata coverage` over a month with all that can be missing planted in it: it says just that, and mends it."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from spxdata.emulator import Emulator, Fault
from tests.cli.screens import environment

#: July 3rd closes at 13:00, July 4th is a holiday.
MONTH = ("--start-date", "2024-07-01", "--end-date", "2024-07-31")
DATASETS = ("quote", "trade", "greeks", "eod")

#: What the Terminal leaves out of clean replies.
DROPPED = (
    "dataset=quote,date=2024-07-09,from=10:30,to=11:39",
    "dataset=quote,date=2024-07-11,strike=5300,right=C",
    "dataset=quote,date=2024-07-16,strike=5300,right=P",
    "dataset=greeks,date=2024-07-18,strike=5200,right=C,from=15:00",
    "dataset=eod,date=2024-07-25,expiration=2024-07-26,strike=5300,right=P",
)
#: Of one contract it says, asked for it alone, that there is nothing.
NO_DATA = Fault(do="status", status=472, dataset="quote", date="2024-07-16", strike=5300, right="P")
#: A file that is deleted by hand.
DELETED = "20240723/spxw_trade_exp_20240723.parquet"

CALENDAR = """\
SPXW quote 1m
           Mon   Tue   Wed   Thu   Fri
  2024-07   1 ✓   2 ✓   3 ✓   4 –   5 ✓
            8 ✓   9 !  10 ✓  11 !  12 ✓
           15 ✓  16 ✓  17 ✓  18 ✓  19 ✓
           22 ✓  23 ✓  24 ✓  25 ✓  26 ✓
           29 ✓  30 ✓  31 ✓
"""  # noqa: RUF001 - a dash stands for the holiday
MISSING = """\
! 2024-07-25 SPXW eod 1d: 1 gap
    1 gap (2024-07-26 5300 PUT: the whole day)
! 2024-07-18 SPXW greeks 1m: 1 gap
    exp 2024-07-18: 1 gap (5200 CALL: 15:00-16:00)
! 2024-07-09 SPXW quote 1m: 1 outage
    exp 2024-07-09: 1 outage (all contracts: 10:30-11:39)
! 2024-07-11 SPXW quote 1m: 1 gap
    exp 2024-07-11: 1 gap (5300 CALL: the whole day)
"""
DELETED_LINES = """\
✗ 2024-07-23 SPXW trade tick: its file is not there
"""


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive, and the Terminal that it is filled from."""

    folder: Path
    url: str

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command."""
        return subprocess.run(
            [sys.executable, "-m", "spxdata", *arguments, "--data-dir", str(self.folder)],
            capture_output=True,
            text=True,
            check=False,
            env=environment(
                SPXDATA_TERMINAL__URL=self.url, SPXDATA_TERMINAL__PACING="0", SPXDATA_DOWNLOAD__RETRY_WAIT="0.01"
            ),
        )

    def certificates(self) -> list[dict[str, Any]]:
        """Return what `coverage --json` says of each day."""
        lines = [json.loads(line) for line in self("coverage", "--json").stdout.splitlines()]
        assert all(line["schema_version"] == 1 for line in lines)
        return [line for line in lines if line["event"] == "certificate"]


def asked(terminal: Emulator) -> list[tuple[str, str]]:
    """Return the requests for rows: the dataset's word and the day, in order."""
    return sorted(
        (path.rpartition("/")[2], query.get("date") or query["start_date"])
        for path, query in terminal.requests
        if "/history/" in path
    )


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Archive, list[tuple[str, dict[str, str]]]]:
    """Return an archive downloaded from a Terminal with faults, which is gone, and what was asked of it."""
    with Emulator(drop=DROPPED, faults=[NO_DATA], doubled_eod=True) as terminal:
        archive = Archive(tmp_path_factory.mktemp("archive"), terminal.url)
        datasets = [word for name in DATASETS for word in ("--dataset", name)]
        result = archive("download", *MONTH, "--max-dte", "0", *datasets, "--quiet")
        assert result.returncode == 1, result.stdout + result.stderr
        requests = list(terminal.requests)
    return archive, requests


def test_every_planted_hole_is_found_and_fetched_and_nothing_else(
    planted: tuple[Archive, list[tuple[str, dict[str, str]]]],
) -> None:
    """Table, JSON and exit code; then what --fix asks for, before and after the holes are due."""
    archive, requests = planted
    (archive.folder / DELETED).unlink()
    lone = [query for path, query in requests if path.endswith("/quote") and query.get("strike", "*") != "*"]
    assert [(query["date"], query["right"]) for query in lone] == [("2024-07-11", "call"), ("2024-07-16", "put")]

    table = archive("coverage")
    assert table.returncode == 1, table.stdout + table.stderr
    assert CALENDAR in table.stdout
    assert MISSING + DELETED_LINES in table.stdout
    assert table.stdout.count("!") == 2 * 4 + 1  # the calendar, the lines below, and the meaning of the mark
    assert "Total: 83/88 days complete (4 partial, 1 missing)\n" in table.stdout

    certificates = archive.certificates()
    unsound = {
        (one["day"]["dataset"], one["day"]["trade_date"]): one["verdict"] for one in certificates if not one["sound"]
    }
    assert unsound == {
        ("quote", "2024-07-09"): "partial",
        ("quote", "2024-07-11"): "partial",
        ("greeks", "2024-07-18"): "partial",
        ("trade", "2024-07-23"): None,
        ("eod", "2024-07-25"): "partial",
    }
    assert len(certificates) == 88
    assert [one["empty"] for one in certificates if one["empty"]] == [
        [{"expiration": "2024-07-16", "strike": 5300.0, "right": "PUT"}]
    ]
    assert not [figure for one in certificates for figure in one["figures"] if figure["unusual"]]

    port = int(archive.url.split(":")[2].partition("/")[0])
    with Emulator(port=port, doubled_eod=True) as terminal:
        waits = archive("coverage", "--fix")
        assert asked(terminal) == [("trade", "2024-07-23")]
        assert waits.returncode == 1
        assert MISSING in waits.stdout
        assert DELETED_LINES not in waits.stdout

        mended = archive("coverage", "--fix", "--force")
        assert asked(terminal) == [
            ("eod", "2024-07-25"),
            ("first_order", "2024-07-18"),
            ("quote", "2024-07-09"),
            ("quote", "2024-07-11"),
            ("trade", "2024-07-23"),
        ]
        assert mended.returncode == 0, mended.stdout + mended.stderr
        assert "Total: 88/88 days complete\n" in mended.stdout

    assert {one["verdict"] for one in archive.certificates()} == {"complete"}
