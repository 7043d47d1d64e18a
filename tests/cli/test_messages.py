"""Every message a user may meet, word for word: it says what happened and what to do."""

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from spxdata.emulator import Emulator
from tests.cli.screens import Compare, Run, Screen, environment

DAY = ("download", "--date", "2024-01-16")
RANGE = ("download", "--start-date", "2024-01-12", "--end-date", "2024-01-17")
#: A minute's patience is for users.
QUICK = {
    "SPXDATA_DOWNLOAD__RETRIES": "0",
    "SPXDATA_DOWNLOAD__RETRY_WAIT": "0.01",
    "SPXDATA_TERMINAL__PATIENCE": "0",
    "SPXDATA_TERMINAL__PACING": "0",
}


def at(emulator: Emulator) -> dict[str, str]:
    """Return the environment in which the Terminal is this one."""
    return {**QUICK, "SPXDATA_TERMINAL__URL": emulator.url}


def test_no_terminal(process: Run, golden: Compare, closed_port: str) -> None:
    """Nothing listens at the Terminal's address."""
    golden("no_terminal", process(*DAY, SPXDATA_TERMINAL__URL=closed_port, **QUICK))


def test_terminal_is_waited_for(run: Run, golden: Compare, closed_port: str) -> None:
    """While a run waits for a Terminal it says so; a dry run too, and both give up in the end."""
    where = {**QUICK, "SPXDATA_TERMINAL__URL": closed_port, "SPXDATA_TERMINAL__PATIENCE": "5"}
    golden("terminal_waited_for", run(*DAY, **where))


def test_terminal_that_comes_back(run: Run, golden: Compare) -> None:
    """A Terminal that is still starting is waited for, and the day is whole all the same."""
    with Emulator(faults=[{"do": "starting", "seconds": 2}]) as emulator:
        where = {**at(emulator), "SPXDATA_TERMINAL__PATIENCE": "60"}
        golden("terminal_comes_back", run(*DAY, **where), run(*DAY, "--dry-run", **where))


def test_no_terminal_for_a_dry_run(run: Run, golden: Compare, closed_port: str, folder: Path) -> None:
    """A dry run asks the Terminal for its lists, and leaves nothing behind either."""
    golden("no_terminal_dry", run(*DAY, "--dry-run", SPXDATA_TERMINAL__URL=closed_port, **QUICK))
    assert not list(folder.iterdir())


def test_refused_for_tier(run: Run, golden: Compare) -> None:
    """Greeks need a standard subscription; a day that was refused is not asked for again at once."""
    with Emulator(tier="value") as emulator:
        one_by_one = {**at(emulator), "SPXDATA_DOWNLOAD__CONCURRENCY": "1"}
        screens = [run(*arguments, **one_by_one) for arguments in (DAY, ("status",), DAY, RANGE)]
    golden("refused_for_tier", *screens)


def test_disk_full(folder: Path, golden: Compare, emulator: Emulator) -> None:
    """The disk takes no more: here a limit on the size of files, as a file system may have one."""
    code = (
        "import resource, sys; from spxdata.__main__ import main;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000,) * 2); sys.argv[0] = 'spxdata'; main()"
    )
    arguments = (*DAY, "--max-dte", "0", "--concurrency", "1")
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment(**at(emulator)),
    )
    golden("disk_full", Screen(" ".join(("spxdata", *arguments)), done.returncode, done.stdout, done.stderr))
    assert not list(folder.rglob("*.parquet*"))


def test_unwritable_directory(run: Run, golden: Compare, folder: Path, emulator: Emulator) -> None:
    """The archive would have to lie below a file."""
    (folder / "notes.txt").write_text("not a folder")
    golden("unwritable_directory", run(*DAY, "--data-dir", "notes.txt/data", **at(emulator)))


def test_bad_settings(run: Run, golden: Compare, folder: Path) -> None:
    """A bad value names the key, the value, where it came from and what is allowed."""
    screens = [
        run(*DAY, "--max-dte", "many"),
        run(*DAY, "--terminal", "ftp://somewhere"),
        run(*DAY, "--dialect", "v4"),
        run(*DAY, SPXDATA_TERMINAL__TIER="gold"),
        run(*DAY, SPXDATA_DOWNLOAD__MAX_DET="3"),
        run(*DAY, SPXDATA_NOW="noon"),
    ]
    (folder / "spxdata.toml").write_text("[download]\nretries = 99\n")
    golden("bad_settings", *screens, run("config"))


def test_bad_options(run: Run, golden: Compare) -> None:
    """Which days, which dataset: what cannot be meant is refused before anything is asked."""
    golden(
        "bad_options",
        run("download"),
        run(*DAY, "--end-date", "2024-01-17"),
        run("download", "--start-date", "2024-01-16"),
        run("download", "--end-date", "2024-01-16"),
        run("download", "--start-date", "2024-01-17", "--end-date", "2024-01-16"),
        run("download", "--date", "2024-02-31"),
        run(*DAY, "--dataset", "greek"),
        run(*DAY, "--expiration", "friday"),
        run("download", "--dates", "2024-01-16"),
        run("downlod"),
    )


def test_closed_days(run: Run, golden: Compare) -> None:
    """A holiday and a weekend are named, no Terminal is asked, and that is no error."""
    golden(
        "closed_days",
        run("download", "--date", "2024-01-15"),
        run("download", "--date", "20240113"),
        run("download", "--start-date", "2024-01-13", "--end-date", "2024-01-15"),
        run("download", "--date", "2024-01-15", "--dry-run"),
    )


def test_future_date(run: Run, golden: Compare) -> None:
    """A day that has not been traded is refused; New York's date counts."""
    late = "2024-01-17T03:00+00:00"  # it is still the 16th in New York
    golden("future_date", run("download", "--date", "2024-01-17", SPXDATA_NOW=late))


def test_not_published_yet(run: Run, golden: Compare, emulator: Emulator) -> None:
    """On the day itself there is nothing to fetch, and it says since when there will be."""
    evening = {**at(emulator), "SPXDATA_NOW": "2024-01-16T18:00"}
    golden("not_published", run(*DAY, **evening), run("status", **evening), run(*DAY, "--dry-run", **evening))


@contextmanager
def somebody_writing(archive: Path) -> Iterator[None]:
    """Have another process hold the archive's lease."""
    code = (
        "import sys; from pathlib import Path; from spxdata.catalog.sqlite import SqliteCatalog;"
        "from spxdata.clock import SystemClock; lease = SqliteCatalog(Path(sys.argv[1])).lease(SystemClock());"
        "lease.__enter__(); print('held', flush=True); sys.stdin.read()"
    )
    catalog = archive / ".spxdata" / "catalog.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(catalog)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        yield
        holder.communicate()


def test_busy_archive(run: Run, golden: Compare, folder: Path, emulator: Emulator) -> None:
    """Another process writes the archive: it is named; looking at the archive goes on."""
    with somebody_writing(folder / "data"):
        golden("busy_archive", run(*DAY, **at(emulator)), run("status"))


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(folder: Path, golden: Compare, sent: signal.Signals, process: Run) -> None:
    """Ctrl-C and SIGTERM tell what is safe and how to go on; nothing half-written stays, and it does go on."""
    arguments = (*DAY, "--max-dte", "7", "--concurrency", "1")
    with Emulator(chain="full") as emulator:
        with subprocess.Popen(
            [sys.executable, "-m", "spxdata", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=environment(**at(emulator)),
        ) as child:
            while not list(folder.rglob("*.parquet")):
                assert child.poll() is None
                time.sleep(0.01)
            child.send_signal(sent)
            out, err = child.communicate(timeout=60)
        assert not list(folder.rglob("*.partial"))
        again = process(*arguments, **at(emulator))
    golden("interrupted", Screen(" ".join(("spxdata", *arguments)), child.returncode, out, err), again)


def test_terminal_goes_away(run: Run, folder: Path) -> None:
    """A Terminal that dies on the way ends the run; what came before is safe, and said to be."""
    with Emulator(chain="full") as emulator:
        where = at(emulator)

        def pull_the_plug() -> None:
            while not list(folder.rglob("*.parquet")):
                time.sleep(0.01)
            emulator.stop()

        plug = threading.Thread(target=pull_the_plug)
        plug.start()
        screen = run(*DAY, "--concurrency", "1", "--max-dte", "7", **where)
        plug.join()
    stopped, error, hint = screen.err.splitlines()[-3:]
    assert re.fullmatch(r"Stopped: \d files? \(.* records\) of this run (is|are) safe in data\.", stopped)
    assert error.endswith("[SPX-T001]")
    assert hint.startswith("Hint: Start Theta Terminal")
    assert screen.code == 1
    assert not list(folder.rglob("*.partial"))


def test_partial_day(run: Run, golden: Compare) -> None:
    """What is missing is named; asked again it is skipped, and the status tells it too."""
    rules = ("expiration=2024-01-17,from=10:30,to=11:39", "strike=4750,right=C")
    with Emulator(drop=[f"date=2024-01-16,{rule}" for rule in rules]) as emulator:
        where = {**at(emulator), "SPXDATA_NOW": "2024-02-01T12:00"}
        one_by_one = (*DAY, "--concurrency", "1")
        golden(
            "partial_day",
            run(*one_by_one, **where),
            run(*one_by_one, **where),
            run("status", **where),
            run(*RANGE, "--quiet", **where),
        )


def test_empty_day(run: Run, golden: Compare, folder: Path, reference: Path) -> None:
    """The Terminal has no data of a trading day: said, recorded, not an error."""
    source = folder / "recorded"
    source.mkdir()
    (source / "theta_v2_quote").symlink_to(reference / "realdata" / "theta_v2_quote")
    with Emulator(replay=source / "theta_v2_quote") as emulator:
        day = ("download", "--date", "2021-01-06", "--dataset", "quote")
        golden("empty_day", *(run(*arguments, **at(emulator)) for arguments in (day, day, ("status",))))


def test_emulator_that_cannot_start(run: Run, golden: Compare) -> None:
    """A taken port, a rule that cannot be read."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        screen = run("emulator", "--port", port)
    golden(
        "emulator_errors",
        screen._replace(command="spxdata emulator --port PORT"),
        run("emulator", "--drop", "x=1"),
        run("emulator", "--faults", "nowhere.toml"),
    )
