"""`spxdata revisions`: words, JSON, exit codes; what it finds is tested in tests/integrity."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spxdata.cli.revisions import _Progress, lines
from spxdata.emulator import Emulator
from spxdata.integrity.revisions import Change, Finding
from spxdata.integrity.row_changes import RowChanges
from tests.builders import NOW, a_unit
from tests.cli.screens import Compare, Run, Screen, environment

DAY = ("download", "--date", "2024-01-16", "--dataset", "quote", "--dataset", "trade", "--dataset", "open_interest")
ALL = ("revisions", "--sample", "100", "--seed", "1")


def settings(emulator: Emulator) -> dict[str, str]:
    """Return the environment in which an emulated Terminal is the Terminal."""
    return {
        "SPXDATA_TERMINAL__URL": emulator.url,
        "SPXDATA_TERMINAL__PACING": "0",
        "SPXDATA_DOWNLOAD__RETRY_WAIT": "0.01",
    }


@pytest.fixture(scope="module")
def changed() -> Iterator[Emulator]:
    """A Terminal with the same market but for some minutes, two trades, and one unit that is gone."""
    faults: list[dict[str, object]] = [
        {"do": "duplicate_with_other_values", "dataset": "trade", "expiration": "2024-01-19", "rows": 2},
        {"do": "status", "status": 472, "dataset": "trade", "expiration": "2024-01-17"},
        {"do": "status", "status": 403, "dataset": "open_interest"},
    ]
    drop = ["dataset=quote,expiration=2024-01-16,strike=4700,right=C,from=12:00,to=12:40"]
    with Emulator(chain="small", seed=1, drop=drop, faults=faults) as terminal:
        yield terminal


@pytest.fixture
def archive(run: Run, emulator: Emulator) -> None:
    """An archive of the market as it was."""
    assert run(*DAY, **settings(emulator)).code == 0


def objects(screen: Screen) -> list[dict[str, Any]]:
    """Return stdout as JSON objects, one a line; all of them carry the version of their form."""
    found = [json.loads(line) for line in screen.out.splitlines()]
    assert all(one["schema_version"] == 1 for one in found)
    return found


@pytest.mark.usefixtures("archive")
def test_words(run: Run, golden: Compare, emulator: Emulator, changed: Emulator) -> None:
    """Nothing revised; what has changed; both kept and shown; nothing more to find; the new rows only."""
    same, other = settings(emulator), settings(changed)
    golden(
        "revisions",
        run("revisions", "--list", **same),
        run(*ALL, **same),
        run("revisions", "--sample", "2", "--seed", "7", "--dataset", "quote", **same),
        run(*ALL, **other),
        run(*ALL, "--keep", "both", "--quiet", **other),
        run("revisions", "--list", **other),
        run("revisions", "--list", "--dataset", "trade", **other),
        run(*ALL, "--dataset", "quote", **other),
        run(*ALL, "--dataset", "quote", "--keep", "new", "--quiet", **same),
        run(*ALL, "--start-date", "2024-02-01", **same),
    )


def test_wrong_use(run: Run, golden: Compare) -> None:
    """Neither or both forms; no archive."""
    golden(
        "revisions_misuse",
        run("revisions"),
        run("revisions", "--list", "--sample", "3"),
        run("revisions", "--sample", "3", "--start-date", "yesterday"),
        run("revisions", "--sample", "3"),
        run("revisions", "--sample", "0"),
    )


@pytest.mark.usefixtures("archive")
def test_json(run: Run, emulator: Emulator, changed: Emulator) -> None:
    """An object a unit and one for all, and nothing else on either stream."""
    screen = run(*ALL, "--json", "--keep", "both", **settings(changed))
    *found, summary = objects(screen)
    assert (screen.code, screen.err) == (1, "")
    assert {one["event"] for one in found} == {"revision"}
    by_change = {one["change"]: one for one in found}
    assert by_change.keys() == {"unchanged", "revised", "gone", "failed"}
    trades = next(one for one in found if one["change"] == "revised" and one["unit"]["dataset"] == "trade")
    assert trades["difference"]["added"] == 2
    assert len(trades["difference"]["examples"]) == 2
    assert trades["kept"] == "both"
    assert summary == {
        "schema_version": 1,
        "event": "summary",
        "units": 9,
        "checked": 9,
        "seed": 1,
        "unchanged": 5,
        "revised": 2,
        "gone": 1,
        "incomparable": 0,
        "failed": 1,
    }
    *kept, summary = objects(run("revisions", "--list", "--json", **settings(emulator)))
    assert [len(one["earlier"]) for one in kept] == [1, 1]
    assert kept[0]["current"]["provenance"]["fetched_at"] > kept[0]["earlier"][0]["provenance"]["fetched_at"]
    assert summary == {"schema_version": 1, "event": "summary", "units": 2, "earlier": 2}


@pytest.mark.usefixtures("archive")
def test_a_seed_is_told_and_chooses_the_same_units_again(run: Run, emulator: Emulator) -> None:
    sample = ("revisions", "--sample", "3", "--json")
    first = objects(run(*sample, **settings(emulator)))
    again = objects(run(*sample, "--seed", str(first[-1]["seed"]), **settings(emulator)))
    assert [one["unit"] for one in again[:-1]] == [one["unit"] for one in first[:-1]]
    assert len(first) == 4


@pytest.mark.usefixtures("archive")
def test_what_could_not_be_compared_is_no_all_clear(run: Run, changed: Emulator) -> None:
    """Nothing revised was found, but not of every unit."""
    assert run(*ALL, "--dataset", "open_interest", **settings(changed)).code == 4


@pytest.mark.usefixtures("archive")
def test_without_a_terminal_it_is_said_to_try_later(run: Run, closed_port: str) -> None:
    screen = run(*ALL, SPXDATA_TERMINAL__URL=closed_port, SPXDATA_TERMINAL__PATIENCE="0")
    assert screen.code == 75
    assert "[SPX-T001]" in screen.err


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_says_that_the_archive_is_whole(number: int, folder: Path) -> None:
    """While a reply is read."""
    stall = {"do": "stall_after", "dataset": "quote", "bytes": 1000}
    with Emulator(chain="small", seed=1, faults=[stall]) as terminal:
        process = subprocess.Popen(
            [sys.executable, "-m", "spxdata", *ALL, "--dataset", "quote", "--keep", "new"],
            cwd=folder,
            env=environment(**settings(terminal)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 20
        refetched = folder / "data" / ".spxdata" / "refetched"
        while not list(refetched.rglob("*.partial")) and time.monotonic() < deadline:
            os.sched_yield()
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "0 units compared; the archive is whole" in err
    assert not list(refetched.rglob("*.*"))


def a_finding(**changes: Any) -> Finding:
    """Return what came of a unit."""
    values: dict[str, Any] = {
        "unit": a_unit(),
        "change": Change.UNCHANGED,
        "checked_at": NOW,
        "stored_fetched_at": NOW,
        "stored_hash": "1:x",
    }
    return Finding(**{**values, **changes})


def test_a_new_order_is_put_in_words() -> None:
    finding = a_finding(change=Change.REVISED, difference=RowChanges(reordered=True))
    assert list(lines(finding)) == [f"! {a_unit()}: revised: the same rows in another order"]


def test_quiet_says_nothing_of_what_is_unchanged() -> None:
    assert list(lines(a_finding(), quiet=True)) == []
    assert list(lines(a_finding(change=Change.GONE, reason="nothing"), quiet=True)) == [
        f"∅ {a_unit()}: no longer there (nothing)"
    ]


def test_progress_is_told_from_time_to_time() -> None:
    """Every ten seconds, with what is left; not after the last unit."""
    now = 0.0
    how_far = _Progress(4, lambda: now)
    told = []
    for done, now in enumerate((6.0, 12.0, 18.0, 40.0), 1):  # noqa: B007 - the clock reads it
        told.append(how_far(done))
    assert told == [None, "Progress: 2 of 4 units, about 12.0 s left", None, None]
