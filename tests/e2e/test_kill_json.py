"""`kill -9` of a download whose catalog is in JSON: the archive stays sound, and the next run completes it."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spxdata import Emulator, Summary, download
from spxdata.catalog.jsonfile import JsonCatalog
from spxdata.layout import PARTIAL, PRIVATE, STATUS, unit_of
from spxdata.model import Artifact
from spxdata.pipeline.read import adopt, checksum
from spxdata.storage.local import LocalStorage
from tests.e2e.test_kill import DATASET, DAYS, SCRIPT, UNITS

JSON = {"SPXDATA_STORAGE__CATALOG": "json"}
#: How often each kind of event comes in a download of the two days.
EVENTS = {"attempt_started": UNITS, "received": 2 * UNITS, "file_renamed": UNITS, "unit_recorded": UNITS}
DICE = random.Random(4)  # noqa: S311 - moments, not secrets
#: Twenty moments at random, no two the same.
MOMENTS = sorted(DICE.sample([(kind, n) for kind, most in EVENTS.items() for n in range(1, most + 1)], 20))
#: What a run writes beside its files.
BOOKS = (STATUS, "inventory.json")


def fetch(url: str, folder: Path) -> Summary:
    """Download the two days."""
    return download(*DAYS, terminal=url, data_dir=folder, datasets=(DATASET,), environ=JSON)


def recorded(folder: Path) -> dict[str, Artifact]:
    """Return what the catalog says is there, by path."""
    if not (folder / STATUS).exists():
        return {}
    catalog = JsonCatalog(LocalStorage(folder), folder, read_only=True)
    outcomes = [outcome for status in catalog.days() for outcome in catalog.outcomes(status.day)]
    return {outcome.artifact.path: outcome.artifact for outcome in outcomes if outcome.artifact}


@pytest.fixture(scope="module")
def undisturbed(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the content hashes of a run that nobody disturbs, by path."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert fetch(emulator.url, folder).finished.exit_code == 0
    return {path: artifact.content_hash for path, artifact in recorded(folder).items()}


@pytest.mark.parametrize(("kind", "number"), MOMENTS)
def test_a_killed_download_leaves_a_sound_archive_and_the_next_run_completes_it(
    kind: str, number: int, emulator: Emulator, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    """No partial file has a final name, the catalog names only what is there, and the re-run ends as undisturbed."""
    arguments = [emulator.url, str(tmp_path), DATASET, *DAYS, kind, str(number)]
    killed = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **JSON},
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr

    storage = LocalStorage(tmp_path)
    for path in (name for name in storage.names() if not name.startswith(PRIVATE) and name not in BOOKS):
        found = adopt(storage, unit_of(path), None)  # reads every row
        assert found is not None, f"{path} has a final name and is not whole"
        assert found[0].content_hash == undisturbed[path]
    for path, artifact in recorded(tmp_path).items():
        assert checksum(storage, path) == (artifact.bytes, artifact.sha256)

    assert fetch(emulator.url, tmp_path).finished.exit_code == 0
    assert {path: artifact.content_hash for path, artifact in recorded(tmp_path).items()} == undisturbed
    assert not list(tmp_path.rglob(f"*{PARTIAL}"))
