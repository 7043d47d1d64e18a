"""The documentation is true: its generated parts are up to date, its links lead somewhere; its code: tests/docs."""

import re
import subprocess
import sys

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_make_targets_that_are_named_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for shown, said in re.findall(r"^make ([\w-]+)|`make ([\w-]+)`", README + CONTRIBUTING, re.MULTILINE):
        assert re.search(rf"^{shown or said}:", makefile, re.MULTILINE)


def test_generated_parts_are_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "make_docs.py"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_links_between_documents_lead_somewhere() -> None:
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
            if not link.startswith("src/"):  # generated from the modules that are there
                assert (path.parent / link).exists(), f"{path}: {link}"
