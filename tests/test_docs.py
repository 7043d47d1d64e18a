"""The documentation is true: its examples run, its generated parts are up to date, everything is named."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from spxdata import Emulator
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the README's code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def run(command: list[str], folder: Path, emulator: Emulator) -> subprocess.CompletedProcess[str]:
    """Run something as a reader of the README would, with an emulated Terminal."""
    environment = {**os.environ, "SPXDATA_TERMINAL__URL": emulator.url}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_the_python_example_of_the_readme_runs(emulator: Emulator, tmp_path: Path) -> None:
    (example,) = blocks("python")
    result = run([sys.executable, "-c", example + "\nprint(chain.shape)"], tmp_path, emulator)
    assert result.returncode == 0, result.stderr
    verdict, shape = result.stdout.splitlines()
    assert verdict == "complete"
    rows, columns = map(int, shape.strip("()").split(","))
    assert rows > 50
    assert columns == 6


@pytest.mark.parametrize("line", [line for line in "".join(blocks("sh")).splitlines() if line.startswith("spxdata")])
def test_the_command_lines_of_the_readme_run(line: str, emulator: Emulator, tmp_path: Path) -> None:
    words = line.split("#", maxsplit=1)[0].split()
    if "--end-date" in words:  # a month of them would take its time; the shape is the same
        words[words.index("--end-date") + 1] = "2024-01-03"
    if words[1] == "coverage":  # of an archive that is there: nothing is complete where there is none
        day = ["download", "--date", "2024-01-16", "--max-dte", "0"]
        assert run([sys.executable, "-m", "spxdata", *day], tmp_path, emulator).returncode == 0
    result = run([sys.executable, "-m", *words], tmp_path, emulator)
    assert result.returncode == 0, result.stdout + result.stderr


def test_make_targets_in_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", "".join(blocks("sh")), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_generated_parts_are_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "make_docs.py"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_links_between_documents_lead_somewhere() -> None:
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
            if not link.startswith("src/"):  # generated from the modules that are there
                assert (path.parent / link).exists(), f"{path.name}: {link}"
