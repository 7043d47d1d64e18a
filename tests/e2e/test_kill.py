"""`kill -9` at any moment loses at most the units in flight, and the next run heals the rest."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spxdata import Emulator, Summary, download
from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.layout import CATALOG, PARTIAL, PRIVATE, unit_of
from spxdata.model import Artifact
from spxdata.pipeline.read import adopt, checksum
from spxdata.storage.local import LocalStorage

SCRIPT = Path(__file__).parent / "killed_download.py"
DAYS = ("2024-01-12", "2024-01-16")
DATASET = "quote"
#: Units of the two days in the small chain.
UNITS = 8

#: Kind and number of the event at which the process dies. A file_renamed comes between a file's rename and its record,
#: so all from the first file_renamed to the last unit_recorded lie between the first rename and the last record.
MOMENTS = (
    ("run_started", 1),
    ("attempt_started", 1),
    ("attempt_started", 3),
    ("attempt_started", UNITS),
    ("received", 1),
    ("received", 4),
    ("received", 9),
    ("received", 14),
    ("day_planned", 2),
    *(("file_renamed", number) for number in range(1, UNITS + 1, 2)),
    *(("unit_recorded", number) for number in (1, 2, 4, 7, UNITS)),
    ("day_finished", 1),
    ("day_finished", 2),
)


def fetch(url: str, folder: Path) -> Summary:
    """Download the two days."""
    return download(*DAYS, terminal=url, data_dir=folder, datasets=(DATASET,), environ={})


def recorded(folder: Path) -> dict[str, Artifact]:
    """Return what the catalog says is there, by path."""
    if not (folder / CATALOG).exists():
        return {}
    catalog = SqliteCatalog(folder / CATALOG, read_only=True)
    try:
        outcomes = [outcome for status in catalog.days() for outcome in catalog.outcomes(status.day)]
    finally:
        catalog.close()
    return {outcome.artifact.path: outcome.artifact for outcome in outcomes if outcome.artifact}


@pytest.fixture(scope="module")
def undisturbed(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the content hashes of a run that nobody disturbs, by path."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert fetch(emulator.url, folder).finished.exit_code == 0
    return {path: artifact.content_hash for path, artifact in recorded(folder).items()}


def test_there_are_twenty_moments_and_five_of_them_between_first_rename_and_last_record() -> None:
    """The list of moments is what it is meant to be."""
    between = [m for m in MOMENTS if m[0] == "file_renamed" or (m[0] == "unit_recorded" and m[1] < UNITS)]
    assert len(set(MOMENTS)) >= 20
    assert len(between) >= 5


@pytest.mark.parametrize(("kind", "number"), MOMENTS)
def test_a_killed_download_leaves_a_sound_archive_and_the_next_run_completes_it(
    kind: str, number: int, emulator: Emulator, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    """No partial file has a final name, the catalog names only what is there, and the re-run ends as undisturbed."""
    arguments = [emulator.url, str(tmp_path), DATASET, *DAYS, kind, str(number)]
    killed = subprocess.run([sys.executable, str(SCRIPT), *arguments], check=False, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr

    storage = LocalStorage(tmp_path)
    files = [name for name in storage.names() if not name.startswith(PRIVATE)]
    for path in files:
        found = adopt(storage, unit_of(path), None)  # reads every row
        assert found is not None, f"{path} has a final name and is not whole"
        assert found[0].content_hash == undisturbed[path]
    for path, artifact in recorded(tmp_path).items():
        assert checksum(storage, path) == (artifact.bytes, artifact.sha256)

    summary = fetch(emulator.url, tmp_path)
    assert summary.finished.exit_code == 0
    assert {path: artifact.content_hash for path, artifact in recorded(tmp_path).items()} == undisturbed
    assert not list(tmp_path.rglob(f"*{PARTIAL}"))
    if kind == "file_renamed":
        assert summary.finished.rows < sum(day.rows for day in summary.days), (
            "the renamed file was adopted, not fetched"
        )
