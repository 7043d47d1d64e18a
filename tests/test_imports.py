"""Heavy libraries are loaded by what needs them, and by nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = frozenset({"polars", "pyarrow", "numpy", "rich", "sqlite3", "http", "psutil"})

#: Code to run, and the modules that must not be loaded after it.
TABLE = [
    ("import spxdata", HEAVY | {"click"}),
    ("import spxdata; dir(spxdata); spxdata.__version__", HEAVY | {"click"}),
    ("import spxdata.__main__", HEAVY | {"click"}),
    ("run('--version')", HEAVY),
    ("run('--help')", HEAVY),
    ("run('download', '--help')", HEAVY),
    ("run('status', '--help')", HEAVY),
    ("run('revisions', '--help')", HEAVY),
    ("run('revisions', '--list')", HEAVY),  # no archive here
    ("run('emulator', '--help')", HEAVY),
    ("run('demo', '--help')", HEAVY),
    ("run('doctor', '--help')", HEAVY),
    ("run('doctor', '--dialect', 'v4')", HEAVY),  # a wrong setting
    ("run('config')", HEAVY),
    ("run('config', '--json')", HEAVY),
    ("run('status')", HEAVY),  # no archive here
    ("archive(); run('status')", HEAVY - {"sqlite3"}),
    ("archive(); run('status', '--json')", HEAVY - {"sqlite3"}),
    ("archive(); run('coverage')", HEAVY - {"sqlite3", "psutil"}),  # what is certified is not read again
    ("archive(); run('update', '--show', '--start-date', '2024-01-16')", HEAVY - {"sqlite3"}),
    # a day of which nothing is due
    ("archive(); run('download', '--dry-run', '--date', '2024-01-16')", HEAVY - {"sqlite3", "http"}),
    ("run('download')", HEAVY),  # no date
    ("run('update', '--help')", HEAVY),
    ("run('verify', '--help')", HEAVY),
    ("run('coverage', '--help')", HEAVY),
    ("run('convert', '--help')", HEAVY),
    ("run('export', '--help')", HEAVY),
    ("run('sessions')", HEAVY),
    ("complete('spxdata ')", HEAVY),
    ("complete('spxdata download --dataset ')", HEAVY),
]

PRELUDE = """
import os, sys
def run(*arguments):
    from spxdata.__main__ import main
    sys.argv = ["spxdata", *arguments]
    try:
        main()
    except SystemExit:
        pass
def archive():
    from datetime import UTC, date, datetime
    from pathlib import Path
    from spxdata.catalog.sqlite import SqliteCatalog
    from spxdata.model import Day, Outcome, Scope, State
    day, at = Day(date(2024, 1, 16), "SPXW", "greeks", "1m"), datetime(2024, 1, 17, 12, tzinfo=UTC)
    catalog = SqliteCatalog(Path("data", ".spxdata", "catalog.sqlite"))
    catalog.begin_day(day, Scope(60), at)
    catalog.record(Outcome(day.unit(None), State.EMPTY, reason="nothing"), at)
    catalog.close()
def complete(line):
    os.environ |= {"_SPXDATA_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split()))}
    run()
"""


@pytest.mark.parametrize(("code", "forbidden"), TABLE, ids=[code for code, _ in TABLE])
def test_loads_nothing_heavy(code: str, forbidden: frozenset[str], tmp_path: Path) -> None:
    """A user who only asks for help, settings or completion does not wait for libraries that read data."""
    report = "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", f"{PRELUDE}\n{code}\n{report}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    loaded = set(done.stderr.split())
    assert not forbidden & loaded
    assert "spxdata" in loaded


def test_completion_completes(tmp_path: Path) -> None:
    """Tab after `spxdata download --dataset q` offers quote."""
    code = f"{PRELUDE}\ncomplete('spxdata download --dataset q')"
    code = code.replace("str(len(line.split()))", "'3'")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines() == ["plain,quote"]
