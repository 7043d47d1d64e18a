"""What the commands do: streams, JSON, exit codes, files; the words stand in test_messages."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import polars as pl
import pytest
from click.testing import CliRunner

import spxdata
from spxdata.cli.errors import EXIT_CODES, advice
from spxdata.cli.group import SUMMARIES, LazyGroup, cli
from spxdata.emulator import Emulator
from spxdata.errors import SpxDataError
from tests.cli.screens import Compare, Run, Screen, environment

DAY = ("download", "--date", "2024-01-16")
RANGE = ("download", "--start-date", "2024-01-12", "--end-date", "2024-01-17")
PARQUET = "data/*/*.parquet"


def records(screen: Screen) -> list[dict[str, object]]:
    """Return stdout as JSON objects, one a line; all of them carry the version of their form."""
    found = [json.loads(line) for line in screen.out.splitlines()]
    assert all(record["schema_version"] == 1 for record in found)
    return found


@pytest.fixture
def terminal(emulator: Emulator) -> dict[str, str]:
    """Return the environment in which the emulated Terminal is the Terminal."""
    return {
        "SPXDATA_TERMINAL__URL": emulator.url,
        "SPXDATA_TERMINAL__PACING": "0",
        "SPXDATA_DOWNLOAD__RETRY_WAIT": "0.01",
    }


def commands(group: click.Group) -> Iterator[tuple[str, click.Command]]:
    """Yield every command below a group with its name."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield name, command


@pytest.mark.parametrize(("name", "command"), list(commands(cli)))
def test_everything_has_help(name: str, command: click.Command) -> None:
    """Every command and every option explains itself; every command takes --data-dir."""
    assert command.help, name
    assert len(command.get_short_help_str(100)) <= 60, "too long for the list of commands"
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert [option.name for option in options if not option.help] == []
    assert "--data-dir" in {flag for option in options for flag in option.opts}


def test_the_list_of_commands_says_of_each_what_its_own_help_says_first() -> None:
    """It is shown without loading them; a new command has its line in `SUMMARIES`."""
    context = click.Context(cli)
    found = {name: cli.get_command(context, name) for name in cli.list_commands(context)}
    assert {name: command.get_short_help_str(100) for name, command in found.items() if command} == SUMMARIES


def test_help_lists_the_exit_codes(run: Run) -> None:
    """`download --help` says what each exit code means; every error's own is among them."""
    out = run("download", "--help").out
    for code, words in EXIT_CODES.items():
        assert f"{code:>3}  {words}" in out
    assert {kind.exit_code for kind in SpxDataError.__subclasses__()} <= EXIT_CODES.keys()


def test_version(run: Run) -> None:
    """`spxdata --version` is the package's."""
    assert run("--version").out == f"spxdata {spxdata.__version__}\n"


def test_download_into_a_new_archive(run: Run, golden: Compare, terminal: dict[str, str]) -> None:
    """A range, again, one more dataset with --dry-run before and after it, and the status before and after."""
    with_quotes = (*DAY, "--dataset", "greeks", "--dataset", "quote")
    golden(
        "download",
        *(
            run(*arguments, **terminal)
            for arguments in (
                ("status",),
                RANGE,
                RANGE,
                ("status",),
                (*with_quotes, "--dry-run"),
                with_quotes,
                (*DAY, "--dataset", "quote", "--force", "--dry-run"),
                (*DAY, "--expiration", "20240116", "--force"),
                (*DAY, "--expiration", "20240116", "--force", "--quiet"),
                ("status", "--start-date", "20240116", "--end-date", "2024-01-16"),
                ("status", "--start-date", "2024-02-01"),
            )
        ),
    )


def test_file_that_the_catalog_does_not_know(run: Run, terminal: dict[str, str], folder: Path) -> None:
    """A lost catalog is no lost archive: whole files are found and recorded."""
    run(*DAY, **terminal)
    shutil.rmtree(folder / "data" / ".spxdata")
    screen = run(*DAY, **terminal)
    assert "already complete, 132,720 records; 4 files found and recorded" in screen.out
    assert screen.code == 0


def test_dry_run_writes_nothing(run: Run, terminal: dict[str, str], folder: Path) -> None:
    """Not even the archive's folder."""
    screen = run(*RANGE, "--dry-run", **terminal)
    assert "Would fetch 12 units of 3 days. Nothing was fetched or written." in screen.out
    assert not list(folder.iterdir())


def test_dry_run_of_a_dataset_that_is_a_file_a_day_says_so(run: Run, terminal: dict[str, str]) -> None:
    screen = run(*DAY, "--dataset", "open_interest", "--dry-run", **terminal)
    assert "✓ Would fetch 2024-01-16 SPXW open_interest: one file of the day\n" in screen.out


def test_json_of_a_download(run: Run, terminal: dict[str, str]) -> None:
    """With --json stdout is one object a line and nothing else, without the noise of bytes and attempts."""
    screen = run(*RANGE, "--json", **terminal)
    events = [record["event"] for record in records(screen)]
    assert screen.err == ""
    assert events[0] == "run_started"
    assert events[-1] == "run_finished"
    assert events.count("unit_recorded") == 12
    assert {"received", "attempt_started"}.isdisjoint(events)
    dry = records(run(*RANGE, "--json", "--dry-run", **terminal))
    assert [record["event"] for record in dry] == ["day_closed"] * 3 + ["day_planned"] * 3 + ["forecast"]


def test_json_of_an_error(run: Run) -> None:
    """An error is an object on stdout as well, with what its words have: code, hint, exit code."""
    screen = run(*DAY, "--json", "--max-dte", "-1")
    (error,) = records(screen)
    assert error == {
        "schema_version": 1,
        "event": "error",
        "code": "SPX-C001",
        "message": "download.max_dte: '-1' (from command line --max-dte) is not allowed.",
        "hint": "Allowed: a whole number from 0 to 3650.",
        "exit_code": 2,
    }
    assert screen.code == 2
    assert "Error: download.max_dte" in screen.err


def test_json_of_the_status(run: Run, terminal: dict[str, str]) -> None:
    """An object a day, and a last one with the sums; without an archive just the sums."""
    (nothing,) = records(run("status", "--json"))
    assert (nothing["event"], nothing["days"]) == ("summary", 0)
    run(*RANGE, **terminal)
    *days, summary = records(run("status", "--json"))
    assert [day["status"] for day in days] == ["success"] * 3
    assert [day["verdict"] for day in days] == ["complete"] * 3
    assert days[0]["holes"] == days[0]["not_stored"] == []
    assert (summary["complete"], summary["days"], summary["files"]) == (3, 3, 12)


def test_holes_in_json(run: Run, terminal: dict[str, str]) -> None:
    """A partial day's holes are told in full, and the exit code says that something is missing."""
    with Emulator(drop=["from=10:30,to=11:39,expiration=2024-01-17"]) as emulator:
        screen = run(*DAY, "--json", **{**terminal, "SPXDATA_TERMINAL__URL": emulator.url})
    assert screen.code == 1
    assert "attempt_failed" in {record["event"] for record in records(screen)}
    day, _ = records(run("status", "--json"))
    assert day["verdict"] == "partial"
    assert day["holes"] == [{"kind": "outage", "contract": None, "first": 630, "last": 699}]


def test_config_tells_origins(run: Run, folder: Path) -> None:
    """Option before environment before .env before file before default, and it says which."""
    (folder / "spxdata.toml").write_text('[download]\nroot = "SPX"\nmax_dte = 10\n[storage]\ndata_directory = "f"\n')
    (folder / ".env").write_text("SPXDATA_DOWNLOAD__MAX_DTE=20\nSPXDATA_STORAGE__DATA_DIRECTORY=e\n")
    environ = {"SPXDATA_STORAGE__DATA_DIRECTORY": "environment", "SPXDATA_TERMINAL__URL": "http://127.0.0.1:1"}
    arguments = ("config", "--data-dir", "flag")
    found = {str(row["key"]): (row["value"], row["origin"]) for row in records(run(*arguments, "--json", **environ))}
    assert found["storage.data_directory"] == ("flag", "command line --data-dir")
    assert found["terminal.url"] == ("http://127.0.0.1:1", "environment SPXDATA_TERMINAL__URL")
    assert found["download.max_dte"] == ("20", ".env")
    assert found["download.root"] == ("SPX", "spxdata.toml")
    assert found["greeks.version"] == ("latest", "default")
    lines = run(*arguments, **environ).out.splitlines()
    assert lines[0].split() == ["SETTING", "VALUE", "FROM", "ALLOWED"]
    assert len(lines) == len(found) + 1


def test_options_are_settings(run: Run, terminal: dict[str, str], folder: Path) -> None:
    """What is asked for on the command line is what is fetched, from the Terminal named there, with or without /v3."""
    where = ("--terminal", terminal["SPXDATA_TERMINAL__URL"].removesuffix("/v3"), "--data-dir", "elsewhere")
    screen = run(*DAY, *where, "--root", "spx", "--max-dte", "40", "--dataset", "quote", "--concurrency", "1")
    assert screen.code == 0, screen
    (file,) = (folder / "elsewhere").rglob("*.parquet")
    assert file.name.startswith("spx_quote_exp_")


def test_demo(run: Run, golden: Compare, folder: Path) -> None:
    """Three days, the status, a look at the data, what to type next; again, it skips everything."""
    screens = [run("demo", SPXDATA_DOWNLOAD__ROOT="SPX"), run("demo", "--data-dir", "demo-data")]
    golden("demo", *screens)
    files = sorted(folder.glob("demo-data/*/*.parquet"))
    assert len(files) == 12
    assert pl.read_parquet(files[0])["symbol"].unique().to_list() == ["SPXW"]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_emulator_serves(folder: Path, sent: signal.Signals) -> None:
    """It says where it listens, in words and in a file, serves a download, and ends on Ctrl-C or SIGTERM."""
    arguments = ["emulator", "--port", "0", "--port-file", "port", "--tier", "value"]
    with subprocess.Popen(
        [sys.executable, "-m", "spxdata", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment(),
    ) as child:
        assert child.stdout
        line = child.stdout.readline()
        port = (folder / "port").read_text().strip()
        url = f"http://127.0.0.1:{port}/v3"
        assert line.startswith(f"Emulated Theta Terminal (v3) at {url}: value subscription, ")
        done = CliRunner().invoke(cli, [*DAY, "--dataset", "quote", "--terminal", url])
        child.send_signal(sent)
        assert child.wait(timeout=20) == 0
    assert done.exit_code == 0


def test_emulator_of_both(folder: Path) -> None:
    """It says both addresses, one a line, and the file has both ports; on v2 a request goes wrong as scripted."""
    (folder / "faults.toml").write_text('[[fault]]\ndialect = "v2"\npage = 2\nnth = 1\ndo = "expire_page"\n')
    arguments = ["emulator", "--dialect", "both", "--port", "0", "--v2-port", "0", "--port-file", "ports"]
    arguments += ["--page-rows", "5000", "--page-expire", "60", "--faults", "faults.toml"]
    with subprocess.Popen(
        [sys.executable, "-m", "spxdata", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment(),
    ) as child:
        assert child.stdout
        lines = [child.stdout.readline() for _ in range(2)]
        v3, v2 = (folder / "ports").read_text().split()
        where = ["--terminal", f"http://127.0.0.1:{v2}", "--dialect", "v2", "--expiration", "2024-01-16"]
        done = CliRunner().invoke(cli, [*DAY, *where], env={"SPXDATA_DOWNLOAD__RETRY_WAIT": "0.01"})
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=20) == 0
    assert [line.split(": ")[0] for line in lines] == [
        f"Emulated Theta Terminal (v3) at http://127.0.0.1:{v3}/v3",
        f"Emulated Theta Terminal (v2) at http://127.0.0.1:{v2}/v2",
    ]
    assert done.exit_code == 0, done.output
    assert "[SPX-T477]" in done.stderr


def test_archive_of_two_versions(run: Run, golden: Compare, terminal: dict[str, str]) -> None:
    """Greeks of v3 and v2 in one archive are of two versions, and the status says so; the dialects are a mere fact."""
    run(*DAY, "--expiration", "2024-01-16", "--expiration", "2024-01-17", **terminal)
    with Emulator(dialect="v2") as emulator:
        where = {**terminal, "SPXDATA_TERMINAL__URL": emulator.url}
        run("download", "--date", "2024-01-17", "--expiration", "2024-01-17", **where)
    golden("two_versions", run("status"))
    *_, summary = records(run("status", "--json"))
    assert summary["greeks_versions"] == {"latest": 2, "1": 1}
    assert summary["dialects"] == {"v3": 2, "v2": 1}


def test_waiting_in_json(run: Run) -> None:
    """That a Terminal is not usable, and is again, are events like any other."""
    with Emulator(faults=[{"do": "starting", "requests": 2}]) as emulator:
        screen = run(*DAY, "--json", "--dry-run", "--terminal", emulator.url)
    unusable, usable, planned, _ = records(screen)
    assert (unusable["event"], unusable["code"]) == ("terminal_unusable", "SPX-T571")
    assert usable["event"] == "terminal_usable"
    assert planned["event"] == "day_planned"


def test_emulator_needs_a_place_for_its_port_file(run: Run) -> None:
    """A port file that cannot be written ends it before it says that it listens."""
    screen = run("emulator", "--port", "0", "--port-file", "nowhere/port")
    assert (screen.code, screen.out) == (5, "")
    assert "nowhere/port" in screen.err


def test_pipes_get_no_colours(process: Run, terminal: dict[str, str]) -> None:
    """Nothing but words goes into a pipe."""
    screen = process(*RANGE, **terminal)
    assert screen.code == 0
    assert "\x1b" not in screen.out + screen.err


def test_closed_pipe(folder: Path) -> None:
    """`spxdata config | head -0` is no disaster."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "spxdata", "config"],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
        cwd=folder,
        env=environment(),
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def test_terminal_without_our_marks(process: Run, terminal: dict[str, str]) -> None:
    """An old encoding shows question marks instead of failing."""
    screen = process(*DAY, PYTHONIOENCODING="latin-1", **terminal)
    assert screen.out.startswith("? Downloaded 2024-01-16 SPXW greeks")


@pytest.mark.parametrize(("error", "code"), [(RuntimeError("a bug"), 1), (KeyboardInterrupt(), 130)])
def test_what_no_command_expects(error: BaseException, code: int) -> None:
    """A bug shows itself with its traceback; Ctrl-C at any time ends with words."""

    class Broken(LazyGroup):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
            raise error

    result = CliRunner().invoke(Broken("spxdata"), ["download"])
    assert result.exit_code == code
    assert (result.exception is error) == isinstance(error, RuntimeError)


def test_advice_is_that_of_the_class() -> None:
    """Of a failure in the catalog only the code is left; its hint is found again."""
    assert "subscription" in advice("SPX-R403")
    assert advice("SPX-X999") == advice(None) == ""
