"""`spxdata update`: what it says, keeps and fetches, and how it goes on by itself."""

import json
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from spxdata.cli.errors import INTERRUPTED
from spxdata.cli.update import as_command, watched
from spxdata.emulator import Emulator
from spxdata.integrity.rule import DatasetAt, Rule
from tests.builders import TRADE_DATE, FakeClock
from tests.cli.screens import Compare, Run, Screen, environment
from tests.cli.test_messages import somebody_writing

#: Three trading days, a small part of each.
RULE = ("update", "--start-date", "2024-01-11", "--dataset", "quote", "--max-dte", "0")
#: When the last of them, a Tuesday after a holiday, has been published.
WEDNESDAY = "2024-01-17T03:00"


def at(emulator: Emulator | str, now: str = WEDNESDAY) -> dict[str, str]:
    """Return the environment in which it is now, and this is the Terminal."""
    return {
        "SPXDATA_NOW": now,
        "SPXDATA_TERMINAL__URL": emulator if isinstance(emulator, str) else emulator.url,
        "SPXDATA_TERMINAL__PACING": "0",
        "SPXDATA_DOWNLOAD__CONCURRENCY": "1",
        "SPXDATA_DOWNLOAD__RETRIES": "0",
        "SPXDATA_DOWNLOAD__RETRY_WAIT": "0.01",
        "SPXDATA_UPDATE__PATIENCE": "0",
    }


def records(screen: Screen) -> list[dict[str, object]]:
    """Return stdout as JSON objects."""
    return [json.loads(line) for line in screen.out.splitlines()]


def test_the_rule_is_set_changed_and_shown(run: Run, golden: Compare, emulator: Emulator) -> None:
    """It says what it was and is; --show changes nothing; without a rule it says how to set one."""
    night = at(emulator, "2024-01-12T03:00")
    screens = [
        run("update", **night),
        run(*RULE, "--show", **night),
        run("update", "--max-dte", "1", **night),
        run("download", "--date", "2024-01-11", "--dataset", "quote", "--max-dte", "0", **night),
        run("update", "--show", **night),
        run(*RULE, **night),
        run("update", "--root", "SPXW", "--root", "SPX", "--show", **night),
        run("update", "--max-dte", "1", **night),
        run("update", "--max-dte", "1", **night),
        run("update", "--show", **night),
    ]
    golden("update_rule", *screens)


def test_what_cannot_be_a_rule(run: Run, golden: Compare, folder: Path, emulator: Emulator) -> None:
    """Nothing is kept of it, and no archive begun."""
    golden(
        "update_wrong",
        run("update", "--start-date", "2024-01-18", **at(emulator)),
        run("update", "--start-date", "2012-05-31", **at(emulator)),
        run("update", "--start-date", "soon", **at(emulator)),
        run(*RULE, "--dataset", "greek", **at(emulator)),
        run(*RULE, "--interval", "2m", **at(emulator)),
        run(*RULE, "--max-dte", "many", **at(emulator)),
        run(*RULE, "--root", "S&P", **at(emulator)),
    )
    assert not list(folder.iterdir())


def test_days_come_as_they_are_published(run: Run, golden: Compare, emulator: Emulator, folder: Path) -> None:
    """Newest first, holes too; what is not published is noted once, what is there is not asked for again."""
    screens = [
        run(*RULE, **at(emulator, "2024-01-11T12:00")),
        run("update", **at(emulator, "2024-01-11T13:00")),
        run("update", **at(emulator, "2024-01-12T03:00")),
        run("update", **at(emulator)),
        run("update", "--quiet", **at(emulator)),
    ]
    shutil.rmtree(folder / "data" / "20240112")
    asked = len(emulator.requests)
    screens += [run("update", **at(emulator)), run("status", **at(emulator))]
    assert len([path for path, _ in emulator.requests[asked:] if path.endswith("history/quote")]) == 1
    asked = len(emulator.requests)
    screens.append(run("update", "--oldest-first", **at(emulator)))
    assert len(emulator.requests) == asked
    golden("update_days", *screens)


def test_oldest_first(run: Run, emulator: Emulator) -> None:
    """When asked for."""
    lines = run(*RULE, "--oldest-first", **at(emulator)).out.splitlines()
    assert [line.split()[2] for line in lines if line.startswith("✓ Downloaded 2024")] == [
        "2024-01-11",
        "2024-01-12",
        "2024-01-16",
    ]


def test_what_a_timer_may_meet(run: Run, golden: Compare, folder: Path, closed_port: str, emulator: Emulator) -> None:
    """No Terminal, a busy archive: said even when quiet, with exit codes of their own."""
    screens = [run(*RULE, "--quiet", **at(closed_port))]
    with somebody_writing(folder / "data"):
        screens += [run("update", "--quiet", **at(emulator)), run("update", "--max-dte", "1", **at(emulator))]
    golden("update_kept_away", *screens)


def test_update_waits_longer_than_download(run: Run) -> None:
    """For half an hour, unless another patience is set."""
    found = {row["key"]: row["value"] for row in records(run("config", "--json"))}
    assert (found["terminal.patience"], found["update.patience"]) == ("60", "1800")
    with Emulator(faults=[{"do": "starting", "requests": 2}]) as emulator:
        where = {**at(emulator), "SPXDATA_UPDATE__PATIENCE": "60", "SPXDATA_TERMINAL__PATIENCE": "0"}
        screen = run(*RULE, **where)
    assert screen.code == 0, screen
    assert "Terminal usable again" in screen.err


def test_a_partial_day_is_one_once(run: Run, golden: Compare) -> None:
    """Confirmed twice, it is asked for again after a month; till then there is nothing to do about it."""
    with Emulator(drop=["date=2024-01-12,from=10:30,to=11:39"]) as emulator:
        screens = [run(*arguments, **at(emulator)) for arguments in (RULE, ("update",))]
    golden("update_partial", *screens)


def test_an_empty_day_is_asked_for_again_while_it_is_recent(run: Run) -> None:
    """The vendor may be late; after a week it is asked for once a month."""
    with Emulator(faults=[{"do": "status", "status": 472, "date": "2024-01-11"}]) as emulator:
        first = run(*RULE, **at(emulator, "2024-01-12T03:00"))
        same_day = run("update", **at(emulator, "2024-01-12T09:00"))
        next_day = run("update", "--show", **at(emulator, "2024-01-13T03:00"))
        assert "∅ Empty 2024-01-11 SPXW quote" in first.out
        assert first.code == same_day.code == 0
        assert "→ Nothing is due" in same_day.out
        assert "  2024-01-11 SPXW quote 1m" in next_day.out.splitlines()


def test_several_roots_and_datasets_in_one_run(run: Run, folder: Path, emulator: Emulator) -> None:
    """Each date's days together, and another root's contract list is not taken for one's own."""
    arguments = (*RULE, "--root", "SPXW", "--root", "SPX", "--dataset", "greeks", "--max-dte", "40")
    screen = run(*arguments, **at(emulator, "2024-01-13T03:00"))
    assert screen.code == 0, screen
    dates = [line.split()[2] for line in screen.out.splitlines() if line.startswith("✓ Downloaded 2024")]
    assert dates == ["2024-01-12"] * 4 + ["2024-01-11"] * 4
    names = {file.name.partition("_exp_")[0] for file in folder.rglob("*.parquet")}
    assert names == {"spx", "spx_quote", "spxw", "spxw_quote"}


def test_update_in_json(run: Run, emulator: Emulator) -> None:
    """What a program reads: the rule, what is due, the run's events, and that there was nothing to do."""
    rule = {
        "start": "2024-01-11",
        "roots": ["SPXW"],
        "datasets": [{"dataset": "quote", "interval": "1m"}],
        "max_dte": 0,
    }
    shown = records(run(*RULE, "--show", "--json", **at(emulator)))
    assert shown[0] == {"schema_version": 1, "event": "rule", **rule}
    assert [record["day"]["trade_date"] for record in shown[1:-1]] == ["2024-01-16", "2024-01-12", "2024-01-11"]  # type: ignore[index]
    assert shown[-1] == {
        "schema_version": 1,
        "event": "summary",
        "due": 3,
        "settled": 0,
        "next_publication": "2024-01-18T02:00:00-05:00",
    }
    events = records(run(*RULE, "--json", **at(emulator)))
    assert events[0] == {"schema_version": 1, "event": "rule_changed", "was": None, "rule": rule}
    assert events[1]["trade_dates"] == ["2024-01-16", "2024-01-12", "2024-01-11"]
    assert events[-1]["event"] == "run_finished"
    assert records(run("update", "--json", **at(emulator))) == [
        {
            "schema_version": 1,
            "event": "up_to_date",
            "start": "2024-01-11",
            "settled": 3,
            "verdicts": {"complete": 3},
        }
    ]


def test_the_command_that_sets_a_rule() -> None:
    """As one would type it; an interval is named where it is not the usual one."""
    rule = Rule(TRADE_DATE, ("SPXW", "SPX"), (DatasetAt("greeks", "5m"), DatasetAt("eod", "1d")), 30)
    start = "spxdata update --start-date 2024-01-16 --root SPXW"
    assert as_command(rule) == f"{start} --root SPX --dataset greeks --dataset eod --interval 5m --max-dte 30"
    usual = Rule(TRADE_DATE, ("SPXW",), (DatasetAt("greeks", "1m"),), 60)
    assert as_command(usual) == f"{start} --dataset greeks --max-dte 60"
    several = Rule(TRADE_DATE, ("SPXW",), (DatasetAt("quote", "1m"), DatasetAt("quote", "5m")), 60)
    assert as_command(several) == f"{start} --dataset quote --max-dte 60"


def test_watching_sleeps_until_the_next_look_and_survives_failed_runs() -> None:
    """In naps, so that a machine which was suspended does not oversleep; an interrupted run ends it."""
    clock = FakeClock(datetime(2024, 1, 17, 8, 0, tzinfo=UTC))
    codes = iter([0, 75, 1, INTERRUPTED])
    began: list[datetime] = []
    said: list[tuple[int, datetime]] = []

    def once() -> int:
        began.append(clock.now())
        clock.advance(600)
        return next(codes)

    def next_look(code: int) -> datetime:
        return began[-1] + timedelta(hours=1 if code else 24)

    assert watched(once, next_look, clock, lambda code, moment: said.append((code, moment))) == INTERRUPTED
    hours = [(moment - began[0]) / timedelta(hours=1) for moment in began]
    assert hours == [0, 24, 25, 26]
    assert [code for code, _ in said] == [0, 75, 1]
    assert [moment for _, moment in said] == began[1:]
    assert max(clock.slept) == 60


def test_watching_does_not_sleep_when_the_next_look_has_passed() -> None:
    """A run may take longer than it is to the next publication."""
    clock = FakeClock()
    codes = iter([0, INTERRUPTED])
    watched(lambda: next(codes), lambda _: clock.now() - timedelta(hours=1), clock, lambda _, __: None)
    assert clock.slept == []


def lines_until_asleep(child: "subprocess.Popen[str]") -> list[dict[str, object]]:
    """Return what a watching command says until it sleeps."""
    assert child.stdout
    found: list[dict[str, object]] = []
    while not found or found[-1]["event"] != "waiting":
        found.append(json.loads(child.stdout.readline()))
    return found


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_watching_command_ends_cleanly(folder: Path, emulator: Emulator, sent: signal.Signals) -> None:
    """It runs, sleeps until the next publication, and ends with 0 when it is told to."""
    with watching(folder, *RULE, **at(emulator)) as child:
        *_, last, waiting = lines_until_asleep(child)
        assert last["event"] == "run_finished"
        assert (waiting["exit_code"], waiting["until"]) == (0, "2024-01-18T02:00:00-05:00")
        child.send_signal(sent)
        out, err = child.communicate(timeout=30)
    assert (child.returncode, out, err) == (0, "", "Stopped; nothing was under way.\n")


def test_a_watching_command_goes_on_without_a_terminal(folder: Path, closed_port: str) -> None:
    """It says so, and looks again within the hour."""
    with watching(folder, *RULE, **at(closed_port)) as child:
        *_, error, waiting = lines_until_asleep(child)
        assert (error["event"], error["exit_code"]) == ("error", 75)
        assert waiting["exit_code"] == 75
        until = datetime.fromisoformat(str(waiting["until"]))
        assert (
            timedelta(0) < until - datetime.fromisoformat(f"{WEDNESDAY}-05:00") - timedelta(hours=1) < timedelta(0, 60)
        )
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=30)
    assert child.returncode == 0


def watching(folder: Path, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
    """Start a command that watches."""
    return subprocess.Popen(
        [sys.executable, "-m", "spxdata", *arguments, "--watch", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment(**environ),
    )
