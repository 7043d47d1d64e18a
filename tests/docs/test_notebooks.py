"""Every notebook in examples/ runs from top to bottom, and has the outputs that it is stored with.

`UPDATE_DOCS=1 python -m pytest tests/docs` stores them anew.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
UPDATE = bool(os.environ.get("UPDATE_DOCS"))

#: Runs a notebook with a kernel of this environment; in a process of its own, for its libraries warn as they please.
RUN = """
import sys, nbformat
from nbclient import NotebookClient
name, done = sys.argv[1:]
notebook = nbformat.read(name, as_version=4)
NotebookClient(notebook, timeout=120, kernel_name="python3", record_timing=False).execute()
nbformat.write(notebook, done)
"""


def outputs(notebook: Any) -> list[Any]:
    """Return each cell's outputs, without what tells when they came."""
    return [cell.get("outputs") for cell in notebook["cells"]]


def executed(path: Path, folder: Path) -> Any:
    """Run a notebook in an empty folder."""
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("SPXDATA_", "POLARS_"))},
        **dict.fromkeys(("HOME", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"), str(folder)),
        "SPXDATA_TERMINAL__PACING": "0",
    }
    done = folder / path.name
    subprocess.run([sys.executable, "-c", RUN, str(path), str(done)], cwd=folder, env=environ, check=True, timeout=200)
    return json.loads(done.read_text(encoding="utf-8"))


def test_there_is_a_notebook() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_has_the_outputs_that_it_is_stored_with(path: Path, tmp_path: Path) -> None:
    stored = json.loads(path.read_text(encoding="utf-8"))
    found = executed(path, tmp_path)
    if UPDATE:
        stored["cells"] = found["cells"]
        path.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert outputs(found) == outputs(stored)


def test_a_notebook_that_fails_is_found(tmp_path: Path) -> None:
    broken = json.loads(NOTEBOOKS[0].read_text(encoding="utf-8"))
    broken["cells"] = [cell for cell in broken["cells"] if cell["cell_type"] == "code"][1:]  # without its data
    path = tmp_path / "broken.ipynb"
    path.write_text(json.dumps(broken), encoding="utf-8")
    with pytest.raises(subprocess.CalledProcessError):
        executed(path, tmp_path)
