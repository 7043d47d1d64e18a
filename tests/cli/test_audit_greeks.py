"""`spxdata audit-greeks` says how many rows agree, names those that do not, and its exit code tells."""

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from spxdata import Emulator, download
from spxdata.cli.group import cli

FILE = "20240116/spxw_exp_20240116.csv"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an archive of one small day, as CSV."""
    folder = tmp_path_factory.mktemp("audit")
    environ = {"SPXDATA_TERMINAL__PACING": "0", "SPXDATA_STORAGE__FORMAT": "csv"}
    with Emulator(seed=1) as terminal:
        download("2024-01-16", max_dte=0, data_dir=folder, terminal=terminal.url, environ=environ)
    return folder


#: The first digit of delta of a contract's hour, and of a volatility beside it.
DELTA = re.compile(r"^(2024-01-16,SPXW,2024-01-16,4760,CALL,2024-01-16T15:(?:[^,]*,){3}0[.])[0-8]", re.MULTILINE)
VOLATILITY = re.compile(r"^(2024-01-16,SPXW,2024-01-16,4750,PUT,2024-01-16T14:00(?:[^,]*,){9}0[.])[0-8]", re.MULTILINE)


@pytest.fixture
def harmed(folder: Path, tmp_path: Path) -> Path:
    """Return a copy in which some deltas and a volatility are wrong."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    file = copy / "20240116/spxw_exp_20240116.csv"
    text, deltas = DELTA.subn(r"\g<1>9", file.read_text())
    text, volatilities = VOLATILITY.subn(r"\g<1>9", text)
    assert (deltas, volatilities) > (40, 1)
    file.write_text(text)  # as long as it was: a CSV file has no footer
    return copy


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Run the command; return its exit code, what it wrote, and what it said."""
    result = CliRunner().invoke(cli, ["audit-greeks", *arguments, "--data-dir", str(folder)], prog_name="spxdata")
    return result.exit_code, result.stdout, result.stderr


def test_an_emulated_day_agrees(folder: Path) -> None:
    code, out, err = run(folder)
    assert (code, err) == (0, "")
    assert "greeks: 2024-01-16, interest rate 5.15" in out
    assert "(fitted to the rows)" in out
    assert re.search(r"✓  delta +16,537  16,537  100.000%", out)
    assert out.splitlines()[-1] == "✓ Every greek that is judged agrees in 100.000% of its rows or more."


def test_rows_that_are_wrong_are_named_and_end_with_1(harmed: Path) -> None:
    code, out, _ = run(harmed, "--date", "2024-01-16", "--worst", "3")
    assert code == 1
    assert "✗ delta of greeks agrees in 99." in out
    assert "✓  rho" in out
    worst, unsound = out.split("Farthest off, by what is allowed:")[1].split("Volatilities that cannot be right:")
    assert worst.count("SPXW 2024-01-16 4760 CALL  2024-01-16 15:") + worst.count("4750 PUT") == 3
    assert unsound.count("SPXW 2024-01-16 4750 PUT  2024-01-16 14:00:00") == 1
    assert unsound.count("SPXW") == 1


def test_json_is_one_object_a_line(harmed: Path) -> None:
    code, out, err = run(harmed, "--json", "--worst", "1000")
    assert (code, err) == (1, "")
    records = [json.loads(line) for line in out.splitlines()]
    assert {record["event"] for record in records} == {
        *("greeks_rate", "greeks_rows", "greeks_agreement", "greeks_worst", "greeks_unsound", "summary")
    }
    assert records[-1] == {"schema_version": 1, "event": "summary", "sound": False}
    wrong = [one for one in records if one["event"] == "greeks_worst" and one["times"] > 1]
    assert {(one["strike"], one["right"]) for one in wrong} == {(4760.0, "CALL"), (4750.0, "PUT")}
    short = {one["greek"]: one["rows"] - one["agreeing"] for one in records if one["event"] == "greeks_agreement"}
    named = [one for one in wrong if one["greek"] == "delta"]
    assert short["delta"] == len(named) > 40


def test_no_number_of_json_is_infinite(folder: Path) -> None:
    """Where a rate leaves no volatility, the difference is null."""
    code, out, _ = run(folder, "--json", "--rate", "0.5")
    assert code == 1
    assert "Infinity" not in out
    assert "NaN" not in out


def test_greeks_that_are_not_judged_are_marked_and_expirations_told_apart(tmp_path: Path) -> None:
    with Emulator(seed=1, tier="professional") as terminal:
        environ = {"SPXDATA_TERMINAL__PACING": "0"}
        datasets = ["greeks_eod", "implied_volatility"]
        download("2024-01-16", datasets=datasets, max_dte=0, data_dir=tmp_path, terminal=terminal.url, environ=environ)
    code, out, _ = run(tmp_path, "--by-expiration", "--worst", "0")
    assert code == 0
    assert re.search(r"∅  2024-01-16  veta, recorded", out)
    assert "∅ not judged" in out
    assert "\n\nimplied_volatility: 2024-01-16" in out
    assert "Farthest" not in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--dataset", "quote"), "no greeks to audit"),
        (("--date", "2024-01-17"), "no greeks of what is asked for"),
        (("--date", "2024-01-16", "--end-date", "2024-01-17"), "beside a range"),
        (("--date", "Tuesday"), "Tuesday"),
    ],
)
def test_what_cannot_be_audited_is_said(arguments: tuple[str, ...], words: str, folder: Path) -> None:
    code, out, err = run(folder, *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert "Hint: " in err
