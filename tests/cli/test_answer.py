"""Answers: as much as fits on a terminal, plain data into pipes and files."""

import json
from datetime import datetime
from io import BytesIO
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from spxdata import Emulator, download
from spxdata.cli.answer import _as_many_as_fit, _cell, _show
from spxdata.cli.group import cli
from spxdata.sessions import NEW_YORK

CHAIN = ("chain", "2024-01-16T10:30", "--expiration", "2024-01-16")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an archive of one small day."""
    folder = tmp_path_factory.mktemp("answers")
    with Emulator(seed=1) as terminal:
        quick = {"SPXDATA_TERMINAL__PACING": "0"}
        download("2024-01-16", max_dte=0, data_dir=folder, terminal=terminal.url, environ=quick)
    return folder


def run(folder: Path, *arguments: str) -> tuple[int, bytes, str]:
    """Run a command; return its exit code, what it wrote, and what it said."""
    result = CliRunner().invoke(cli, [*arguments, "--data-dir", str(folder)], prog_name="spxdata")
    return result.exit_code, result.stdout_bytes, result.stderr


def test_a_pipe_gets_csv(folder: Path) -> None:
    """All rows and columns, times with New York's offset, and nothing else."""
    code, out, err = run(folder, *CHAIN)
    frame = pl.read_csv(BytesIO(out))
    assert (code, err) == (0, "")
    assert frame.height > 50
    assert frame["timestamp"][0] == "2024-01-16T10:30:00.000-05:00"
    assert frame.columns[:3] == ["expiration", "strike", "right"]


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_a_file_is_written_in_the_form_of_its_ending(form: str, folder: Path, tmp_path: Path) -> None:
    """The same rows in each."""
    target = tmp_path / f"chain.{form}"
    code, out, err = run(folder, *CHAIN, "-o", str(target))
    assert (code, out) == (0, b"")
    assert "rows" in err
    readers = {"csv": pl.read_csv, "json": pl.read_ndjson, "parquet": pl.read_parquet}
    found: pl.DataFrame = readers[form](target)  # type: ignore[operator]  # of several signatures
    _, plain, _ = run(folder, *CHAIN)
    assert found.select("strike", "bid", "delta").rows() == pl.read_csv(plain).select("strike", "bid", "delta").rows()


def test_json_is_one_object_a_line(folder: Path) -> None:
    code, out, _ = run(folder, "query", "select count(*) n, max(bid) most from greeks", "--format", "json")
    assert code == 0
    assert json.loads(out)["n"] > 10_000


def test_a_contract_s_history_is_an_answer_too(folder: Path) -> None:
    code, out, _ = run(folder, "contract", "SPXW", "2024-01-16", "4750", "C")
    assert code == 0
    assert pl.read_csv(out).height == 390


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("chain", "noon"), "not a moment"),
        (("chain", "2024-01-20T10:30"), "neither quotes nor greeks"),
        (("contract", "SPXW", "4750"), "not a contract"),
        (("query", "drop table quote"), "may only read"),
        (("query", "select 1", "-o", "x.xlsx"), "does not tell how"),
        (("query", "select 1", "-o", "x.csv", "--format", "table"), "for people"),
    ],
)
def test_what_cannot_be_answered_is_said(arguments: tuple[str, ...], words: str, folder: Path) -> None:
    """With exit code 2, a hint, and nothing on stdout."""
    code, out, err = run(folder, *arguments)
    assert (code, out) == (2, b"")
    assert words in err
    assert "Hint: " in err


def test_an_archive_that_is_not_there_is_named(tmp_path: Path) -> None:
    code, _, err = run(tmp_path / "nothing", *CHAIN)
    assert code == 2
    assert "no archive" in err


def test_as_many_columns_as_fit_are_shown_and_the_rest_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "24")
    frame = pl.DataFrame({name: [1.5] * 50 for name in ("first", "second", "third", "fourth")})
    _show(frame)
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == "first  second  third"
    assert len(said.out.splitlines()) == 41
    assert "10 more rows" in said.err
    assert "1 more column" in said.err
    assert "fourth" in said.err
    assert list(_as_many_as_fit({"wide": 100}, 24)) == ["wide"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),  # noqa: RUF001 - a dash is meant
        (True, "yes"),
        (4750.0, "4,750.00"),
        (0.123456789, "0.123457"),
        (1234567, "1,234,567"),
        (datetime(2024, 1, 16, 10, 30, tzinfo=NEW_YORK), "2024-01-16 10:30:00"),
        ("a\x1b[31m", "a\\x1b[31m"),
    ],
)
def test_a_cell_is_written_as_people_read_it(value: object, text: str) -> None:
    assert _cell(value) == text
