"""What `spxdata coverage` says, and its exit code."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from spxdata.certificate import Figure, Lack, Missing
from spxdata.cli.coverage import calendar, holidays, lacking, unusual
from spxdata.cli.group import cli
from spxdata.emulator import Emulator, Fault
from spxdata.model import State, Verdict
from spxdata.sessions import trading_days
from tests.builders import a_day, a_gap, an_outage
from tests.cli.screens import Compare, Run, Screen, environment
from tests.cli.test_messages import somebody_writing
from tests.integrity.stock import a_certificate

#: Two trading days with a holiday's weekend before them, and one that is left out between them.
FRIDAY, TUESDAY, WEDNESDAY, THURSDAY = "2024-01-12", "2024-01-16", "2024-01-17", "2024-01-18"
#: What is downloaded of a day, a unit each.
WHAT = ("--dataset", "quote", "--dataset", "eod", "--max-dte", "0", "--quiet")
#: What the Terminal leaves out: 70 minutes of all contracts, and one contract's tail.
HOLED = (
    f"dataset=quote,date={TUESDAY},from=10:30,to=11:39",
    f"dataset=quote,date={THURSDAY},strike=4750,right=C,from=15:30",
)
#: When the archive is made, when it is looked at, and 31 days after it was made.
MADE, LOOKED_AT, IN_31_DAYS = "2024-01-20T12:00", "2024-01-22T12:00", "2024-02-20T12:00"
QUICK = {"SPXDATA_TERMINAL__PACING": "0", "SPXDATA_DOWNLOAD__RETRY_WAIT": "0.01", "SPXDATA_TERMINAL__PATIENCE": "0"}


def at(now: str = LOOKED_AT, terminal: Emulator | str = "http://127.0.0.1:1/v3", **more: str) -> dict[str, str]:
    """Return the environment in which it is now, and this is the Terminal: nobody's by default."""
    url = terminal if isinstance(terminal, str) else terminal.url
    return {**QUICK, "SPXDATA_NOW": now, "SPXDATA_TERMINAL__URL": url, **more}


def records(screen: Screen) -> list[dict[str, Any]]:
    """Return stdout as JSON objects."""
    return [json.loads(line) for line in screen.out.splitlines()]


def download(run: Run, terminal: Emulator, *dates: str, now: str = MADE, **more: str) -> None:
    """Download some days."""
    for day in dates:
        run("download", "--date", day, *WHAT, **at(now, terminal, **more))


def made(folder: Path, terminal: Emulator, *dates: str) -> Path:
    """Return an archive of some days in a new folder."""
    for day in dates:
        CliRunner().invoke(cli, ["download", "--date", day, *WHAT, "--data-dir", str(folder)], env=at(MADE, terminal))
    return folder


@pytest.fixture(scope="module")
def whole_once(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an archive of two complete days, to be copied."""
    return made(tmp_path_factory.mktemp("whole") / "data", emulator, TUESDAY, WEDNESDAY)


@pytest.fixture(scope="module")
def holed_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an archive that lacks something of everything, to be copied."""
    with Emulator(drop=HOLED) as terminal:
        folder = made(tmp_path_factory.mktemp("holed") / "data", terminal, FRIDAY, TUESDAY, THURSDAY)
    (folder / "20240112" / "spxw_eod.parquet").unlink()
    return folder


@pytest.fixture
def archive(whole_once: Path, folder: Path) -> Path:
    """Return a copy of an archive of two complete days, in the folder that commands run in."""
    return shutil.copytree(whole_once, folder / "data")


@pytest.fixture
def holed(holed_once: Path, folder: Path) -> Path:
    """Return a copy of an archive that lacks something of everything, in the folder that commands run in."""
    return shutil.copytree(holed_once, folder / "data")


def test_what_it_says_of_a_complete_archive(run: Run, archive: Path, golden: Compare) -> None:
    """A calendar; with --quiet nothing at all."""
    screens = [run("coverage", **at()), run("coverage", "--quiet", **at()), run("coverage", "--fix", **at())]
    assert archive.exists()
    assert [screen.code for screen in screens] == [0, 0, 0]
    assert screens[1].out == ""
    golden("coverage", *screens)


def test_what_it_says_of_what_is_missing(run: Run, holed: Path, golden: Compare) -> None:
    """Holes, a file that is gone, an interior day that was never downloaded; all of it or a part."""
    screens = [
        run("coverage", **at()),
        run("coverage", "--quiet", **at()),
        run("coverage", "--dataset", "eod", "--start-date", TUESDAY, **at()),
        run("coverage", "--root", "SPX", **at()),
        run("coverage", "--dataset", "eod", "--start-date", THURSDAY, "--end-date", THURSDAY, **at()),
    ]
    assert holed.exists()
    assert [screen.code for screen in screens] == [1, 1, 1, 1, 0]
    golden("coverage_missing", *screens)


def test_what_fix_says_and_fetches(run: Run, holed: Path, golden: Compare) -> None:
    """What is due, and only that; the rest with --force, or once its time has come."""
    with Emulator() as terminal:
        first = run("coverage", "--fix", **at(terminal=terminal))
        assert sorted(_asked(terminal)) == [("eod", FRIDAY), ("eod", WEDNESDAY), ("quote", WEDNESDAY)]
        waits = run("coverage", "--fix", "--quiet", **at(terminal=terminal))
        assert len(_asked(terminal)) == 3
        forced = run("coverage", "--fix", "--force", **at(terminal=terminal))
        assert sorted(_asked(terminal)[3:]) == [("quote", TUESDAY), ("quote", THURSDAY)]
    assert [screen.code for screen in (first, waits, forced)] == [1, 1, 0]
    assert holed.exists()
    golden("coverage_fix", first, waits, forced)


def _asked(terminal: Emulator) -> list[tuple[str, str]]:
    """Return the requests for rows so far: dataset and day, in order."""
    return [
        (path.rpartition("/")[2], query.get("date") or query["start_date"])
        for path, query in terminal.requests
        if "/history/" in path
    ]


def test_after_30_days_fix_asks_by_itself_and_waits_again_if_in_vain(run: Run, holed: Path) -> None:
    """Twice in a row, then the day after that moves on."""
    assert holed.exists()
    with Emulator(drop=HOLED) as terminal:
        vain = run("coverage", "--fix", "--dataset", "quote", "--end-date", TUESDAY, **at(IN_31_DAYS, terminal))
        assert _asked(terminal) == [("quote", TUESDAY)] * 2
    assert vain.code == 1
    assert "Hint: Asked for in vain: 1 file. --fix asks again from 2024-03-21 on.\n" in vain.out
    later = run("coverage", "--dataset", "quote", **at(IN_31_DAYS))
    assert "Hint: To fetch what is missing, and nothing else: spxdata coverage --fix\n" in later.out
    both = run("coverage", "--dataset", "quote", **at(LOOKED_AT))
    assert "2 files. --fix asks again from 2024-02-19 on, for the last of them from 2024-03-21 on.\n" in both.out


def test_no_archive(run: Run, golden: Compare) -> None:
    """It says how to begin one; nothing is made, and nothing is complete."""
    golden("coverage_no_archive", run("coverage", **at()), run("coverage", "--json", **at()))
    assert not list(Path.cwd().iterdir())


def test_wrong_input(run: Run, archive: Path, golden: Compare) -> None:
    """Dates, names and options that make no sense together."""
    screens = [
        run("coverage", "--force", **at()),
        run("coverage", "--dataset", "qoute", **at()),
        run("coverage", "--root", "S&P", **at()),
        run("coverage", "--start-date", "2024-02-31", **at()),
        run("coverage", "--end-date", "2030-01-01", **at()),
        run("coverage", "--start-date", WEDNESDAY, "--end-date", TUESDAY, **at()),
        run("coverage", "--start-date", "2011-01-03", **at()),
    ]
    assert archive.exists()
    assert {screen.code for screen in screens} == {2}
    golden("coverage_wrong", *screens)


def test_json(run: Run, holed: Path) -> None:
    """A certificate of each day, the holidays between them, and the sum."""
    screen = run("coverage", "--json", **at())
    told = records(screen)
    assert (screen.code, screen.err, holed.exists()) == (1, "", True)
    assert {line["schema_version"] for line in told} == {1}
    assert Counter(line["event"] for line in told) == {"certificate": 8, "day_closed": 1, "summary": 1}
    assert {
        (line["day"]["dataset"], line["day"]["trade_date"]): (line["verdict"], line["complete"], line["sound"])
        for line in told
        if line["event"] == "certificate"
    } == {
        ("eod", FRIDAY): (None, False, False),
        ("eod", TUESDAY): ("complete", True, True),
        ("eod", WEDNESDAY): (None, False, False),
        ("eod", THURSDAY): ("complete", True, True),
        ("quote", FRIDAY): ("complete", True, True),
        ("quote", TUESDAY): ("partial", False, False),
        ("quote", WEDNESDAY): (None, False, False),
        ("quote", THURSDAY): ("partial", False, False),
    }
    (closed,) = (line for line in told if line["event"] == "day_closed")
    assert (closed["trade_date"], closed["verdict"]) == ("2024-01-15", "closed")
    assert closed["reason"] == "Martin Luther King Jr. Day"
    assert told[-1] == {"schema_version": 1, "event": "summary", "days": 8, "complete": 3, "sound": 3}
    lacks = {lack["kind"]: lack for line in told for lack in line.get("lacks", ())}
    assert lacks["outage"] == {
        "expiration": TUESDAY,
        "kind": "outage",
        "contract": None,
        "first": 630,
        "last": 699,
        "ask_again": "2024-02-19",
    }
    assert lacks["gap"]["contract"] == {"expiration": THURSDAY, "strike": 4750.0, "right": "CALL"}


def test_json_with_fix_tells_the_download_then_the_certificates(run: Run, holed: Path) -> None:
    """Records only."""
    assert holed.exists()
    with Emulator() as terminal:
        events = [line["event"] for line in records(run("coverage", "--fix", "--json", **at(terminal=terminal)))]
    last_run = len(events) - events[::-1].index("run_finished")
    assert Counter(events[last_run:]) == {"certificate": 8, "day_closed": 1, "summary": 1}
    assert "certificate" not in events[:last_run]


def test_an_archive_that_keeps_its_catalog_in_json(run: Run, folder: Path, emulator: Emulator) -> None:
    """The same, and the certificates are a file."""
    download(run, emulator, TUESDAY, SPXDATA_STORAGE__CATALOG="json")
    assert run("coverage", **at()).code == 0
    kept = json.loads((folder / "data" / ".spxdata" / "certificate.json").read_text(encoding="utf-8"))
    assert list(kept["documents"]) == ["2024-01-16 SPXW eod 1d", "2024-01-16 SPXW quote 1m"]


def test_what_is_not_published_and_what_has_no_list(run: Run, folder: Path, golden: Compare) -> None:
    """The first lacks nothing until it is published; the second is not verified, and says so."""
    evening = f"{WEDNESDAY}T18:00"
    with Emulator() as terminal:
        download(run, terminal, TUESDAY, WEDNESDAY, now=evening)
        screens = [
            run("coverage", "--dataset", "quote", **at(evening)),
            run("coverage", **at(evening)),
            run("coverage", **at()),
            run("coverage", "--fix", **at(terminal=terminal)),
        ]
    assert folder.exists()
    assert [screen.code for screen in screens] == [0, 1, 1, 0]
    golden("coverage_unpublished", *screens)


def test_days_without_data_lack_nothing(run: Run, folder: Path, golden: Compare) -> None:
    """The Terminal said so."""
    with Emulator(faults=[Fault(do="status", status=472)]) as terminal:
        download(run, terminal, TUESDAY)
    assert folder.exists()
    golden("coverage_absent", run("coverage", **at()))


def test_what_was_refused_waits(run: Run, folder: Path, golden: Compare) -> None:
    """A subscription may grow: asked for again after a month, or with --force."""
    with Emulator(tier="free") as terminal:
        download(run, terminal, TUESDAY)
    assert folder.exists()
    with Emulator(tier="free") as terminal:
        screens = run("coverage", "--dataset", "quote", **at()), run("coverage", "--fix", **at(terminal=terminal))
        assert _asked(terminal) == []
    golden("coverage_refused", *screens)


def test_a_reply_that_was_cut_where_nothing_shows_it_has_an_unusual_figure(
    run: Run, folder: Path, golden: Compare
) -> None:
    """Trades are due at no minute; the day's report knows how many there were."""
    cut = [f"dataset=trade,strike={strike},from=10:30" for strike in (4760, 4765, 4770)]
    with Emulator(drop=cut) as terminal:
        run("download", "--date", WEDNESDAY, "--dataset", "trade", *WHAT[2:], **at(MADE, terminal))
    assert folder.exists()
    screens = run("coverage", **at()), run("coverage", "--quiet", **at())
    assert [screen.code for screen in screens] == [0, 0]
    golden("coverage_unusual", *screens)


def test_while_another_process_writes_one_may_look_but_not_fix(run: Run, holed: Path) -> None:
    """What was found is not kept then: it is the other one's turn."""
    with somebody_writing(holed):
        assert run("coverage", **at()).code == 1
        busy = run("coverage", "--fix", **at())
    assert busy.code == 6
    assert "[SPX-A001]" in busy.err
    assert "Total: 3/8 days complete" in busy.out


def test_fix_without_a_terminal(run: Run, holed: Path, closed_port: str) -> None:
    """It says so, and shows what is missing all the same."""
    assert holed.exists()
    screen = run("coverage", "--fix", **at(terminal=closed_port))
    assert screen.code == 75
    assert "[SPX-T001]" in screen.err
    assert "Total: 3/8 days complete" in screen.out


def test_fix_interrupted(holed: Path, folder: Path) -> None:
    """Ctrl-C ends it at once, with the download's own words."""
    assert holed.exists()
    with (
        Emulator(min_seconds=30.0) as terminal,
        subprocess.Popen(
            [sys.executable, "-m", "spxdata", "coverage", "--fix"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=environment(**at(terminal=terminal)),
        ) as child,
    ):
        while not _asked(terminal):
            assert child.poll() is None
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "Interrupted" in err


class TestCalendar:
    """calendar."""

    def test_of_a_long_time_a_month_without_a_hole_is_a_line(self) -> None:
        """One with a hole has its weeks."""
        days = [
            a_certificate(
                day=a_day(trade_date=day), verdict=Verdict.PARTIAL if day == date(2024, 2, 7) else Verdict.COMPLETE
            )
            for day in trading_days(date(2024, 1, 1), date(2024, 4, 30))
        ]
        assert list(calendar(days)) == [
            "           Mon   Tue   Wed   Thu   Fri",
            "  2024-01  ✓ 21 days complete",
            "  2024-02                     1 ✓   2 ✓",
            "            5 ✓   6 ✓   7 !   8 ✓   9 ✓",
            "           12 ✓  13 ✓  14 ✓  15 ✓  16 ✓",
            "           19 –  20 ✓  21 ✓  22 ✓  23 ✓",  # noqa: RUF001 - a holiday
            "           26 ✓  27 ✓  28 ✓  29 ✓",
            "  2024-03  ✓ 20 days complete",
            "  2024-04  ✓ 22 days complete",
        ]

    @pytest.mark.parametrize("verdict", [*Verdict, None])
    def test_every_verdict_has_a_mark(self, verdict: Verdict | None) -> None:
        """No day of a calendar is closed: those have no certificate."""
        if verdict is not Verdict.CLOSED:
            (_, week) = calendar([a_certificate(verdict=verdict)])
            assert week.split()[:2] == ["2024-01", "16"]
            assert len(week.split()) == 3

    def test_holidays_are_named_or_counted_if_they_are_many(self) -> None:
        """A year has about ten."""
        ends = [date(2024, 1, 2), date(2024, 2, 1), date(2025, 3, 3)]
        first, second, last = (a_certificate(day=a_day(trade_date=day)) for day in ends)
        assert list(holidays([first, second])) == ["– Closed 2024-01-15: Martin Luther King Jr. Day"]  # noqa: RUF001
        assert list(holidays([first, last])) == [
            "– Closed on 13 holidays; spxdata sessions names them"  # noqa: RUF001 - a dash stands for closed
        ]
        assert list(holidays([first])) == []


class TestLacking:
    """lacking, unusual."""

    def test_days_in_a_row_of_which_all_is_missing_are_a_line(self) -> None:
        """Those that are missing for another reason are another one."""
        days = trading_days(date(2024, 1, 16), date(2024, 1, 19))
        states = [None, None, State.FAILED, None]
        found = [
            a_certificate(
                day=a_day(trade_date=day), verdict=None, units=1, stored=0, missing=(Missing(None, state, None),)
            )
            for day, state in zip(days, states, strict=True)
        ]
        assert list(lacking(found)) == [
            "✗ 2024-01-16 to 2024-01-17 (2 days) SPXW greeks 1m: never asked for",
            "✗ 2024-01-18 SPXW greeks 1m: failed",
            "✗ 2024-01-19 SPXW greeks 1m: never asked for",
        ]

    def test_many_expirations_are_counted(self) -> None:
        """The first ten are named."""
        days = trading_days(date(2024, 1, 16), date(2024, 2, 6))[:14]
        one = a_certificate(
            verdict=Verdict.PARTIAL,
            units=40,
            stored=15,
            missing=(*(Missing(day, State.EMPTY, "no data") for day in days), Missing(None, None)),
            lacks=tuple(Lack(day, an_outage()) for day in days[:12]),
        )
        first, empty, never, *named, rest = lacking([one])
        assert first == "! 2024-01-16 SPXW greeks 1m: 12 outages, 15 of 40 files missing"
        assert empty.startswith("    exp 2024-01-16, 2024-01-17, ")
        assert empty.endswith(" and 4 more: empty (no data)")
        assert never == "    exp all others: never asked for"
        assert named[0] == "    exp 2024-01-16: 1 outage (all contracts: 11:00-11:59)"
        assert (len(named), rest) == (10, "    and 2 more expirations; --json tells all")

    def test_a_day_that_lacks_nothing_has_no_line(self) -> None:
        """Whatever its verdict."""
        verdicts = (Verdict.COMPLETE, Verdict.ABSENT, Verdict.NOT_PUBLISHED)
        assert not list(lacking([a_certificate(verdict=verdict) for verdict in verdicts]))

    def test_a_gap_of_a_day_wide_unit_has_no_expiration(self) -> None:
        """The contract names its own."""
        eod = a_certificate(
            day=a_day(dataset="eod", interval="1d"), verdict=Verdict.PARTIAL, units=1, lacks=(Lack(None, a_gap()),)
        )
        assert list(lacking([eod])) == [
            "! 2024-01-16 SPXW eod 1d: 1 gap",
            "    1 gap (2024-01-19 4750 CALL: the whole day)",
        ]

    def test_an_unusual_figure_says_why(self) -> None:
        """Outside its range, or within it and far from other days."""
        outside = Figure("volume_as_reported", 0.5, 0.95, 1.05, unusual=True)
        far = Figure("volume_as_reported", 0.97, 0.95, 1.05, unusual=True)
        usual = Figure("volume_as_reported", 1.0, 0.95, 1.05, unusual=False)
        what = "(volume of the trades by that of the end-of-day report)"
        assert list(unusual([a_certificate(figures=(outside, usual)), a_certificate(figures=(far,))])) == [
            f"! 2024-01-16 SPXW greeks 1m: volume_as_reported is 0.5, normal is 0.95 to 1.05 {what}",
            f"! 2024-01-16 SPXW greeks 1m: volume_as_reported is 0.97, other days show otherwise {what}",
        ]
