"""What `spxdata repair` says and does, and its exit code."""

import json
from pathlib import Path

from spxdata.emulator import Emulator
from spxdata.integrity.earlier import forget_earlier
from tests.cli.screens import Compare, Run
from tests.cli.test_verify import DOWNLOAD, FILES, archive, flip
from tests.integrity.archives import Archive, kept_earlier

__all__ = ["archive"]


def test_what_it_says(run: Run, archive: Path, golden: Compare, emulator: Emulator) -> None:
    """Before, with --dry-run; while it repairs; when there is nothing to do; of a catalog that is gone."""
    terminal = {"SPXDATA_TERMINAL__URL": emulator.url, "SPXDATA_TERMINAL__PACING": "0"}
    flip(archive / FILES[0])
    (archive / FILES[1]).unlink()
    (archive / "data" / "unknown.bin").write_bytes(b"?")
    before = sorted(path for path in archive.rglob("*") if path.is_file())
    preview = run("repair", "--dry-run")
    assert sorted(path for path in archive.rglob("*") if path.is_file()) == before
    repaired = run("repair", **terminal)
    again = run("repair", **terminal)
    (archive / "data" / ".spxdata" / "catalog.sqlite").unlink()
    rebuilt = run("repair", **terminal)
    catalog = archive / "data" / ".spxdata" / "catalog.sqlite"
    catalog.write_bytes(b"no database" + catalog.read_bytes()[11:])
    damaged = run("repair", "--dry-run"), run("repair", **terminal)
    golden("repair", preview, repaired, again, rebuilt, *damaged, run("verify"))


def test_without_a_terminal(run: Run, archive: Path, golden: Compare, closed_port: str, emulator: Emulator) -> None:
    """What needs none is done, the rest is done by the next one, and the exit code says so."""
    (archive / FILES[1]).unlink()
    (archive / "data" / "unknown.bin").write_bytes(b"?")
    absent = run("repair", SPXDATA_TERMINAL__URL=closed_port, SPXDATA_TERMINAL__PATIENCE="0")
    golden("repair_without_terminal", absent, run("repair", SPXDATA_TERMINAL__URL=emulator.url))
    assert run("verify").code == 0


def test_a_catalog_in_json_is_made_anew_in_json(run: Run, emulator: Emulator, folder: Path, golden: Compare) -> None:
    """Whatever the settings say by then; of a file that is gone nothing is to be set aside."""
    terminal = {"SPXDATA_TERMINAL__URL": emulator.url, "SPXDATA_TERMINAL__PACING": "0"}
    assert run(*DOWNLOAD, SPXDATA_STORAGE__CATALOG="json", **terminal).code == 0
    status = folder / "data" / "status.json"
    status.write_bytes(b"{")
    damaged = run("repair", **terminal)
    status.unlink()
    golden("repair_json_catalog", damaged, run("repair", **terminal), run("verify"))
    assert not (folder / "data" / ".spxdata" / "catalog.sqlite").exists()


def test_earlier_files(run: Run, archive: Path, golden: Compare, emulator: Emulator) -> None:
    """Lost ones are named, and those of which nobody can tell."""
    data = Archive(archive / "data", emulator)
    lost, forgotten, csv = (archive / "data" / kept_earlier(data, path) for path in data.files()[:3])
    flip(lost)
    csv.rename(csv.with_name(csv.name.replace(".parquet", ".csv")))
    with data.catalog() as catalog:
        paths = [file.relative_to(archive / "data").as_posix() for file in (forgotten, csv)]
        forget_earlier(catalog, paths)
    preview = run("repair", "--dry-run")
    repaired = run("repair")
    golden("repair_earlier", preview, repaired, run("repair"), run("verify"))
    records = [json.loads(line) for line in run("repair", "--json").out.splitlines()]
    assert [record["event"] for record in records] == ["difference", "summary"]
    assert records[-1]["mute"] == [records[0]["path"]]


def test_json(run: Run, archive: Path, emulator: Emulator) -> None:
    """Records only: differences, what was taken out, the download's own, and the sum."""
    flip(archive / FILES[0])
    records = [
        json.loads(line)
        for line in run("repair", "--json", "--delete", SPXDATA_TERMINAL__URL=emulator.url).out.splitlines()
    ]
    events = [record["event"] for record in records]
    assert events[:3] == ["difference", "taken", "run_started"]
    assert events[-2:] == ["run_finished", "summary"]
    assert [unit["expiration"] for unit in records[-1]["restored"]] == ["2024-01-16"]
    assert records[1]["to"] is None
    assert records[-1]["exit_code"] == 0
    plan = [json.loads(line) for line in run("repair", "--json", "--dry-run").out.splitlines()]
    assert [(record["event"], record["fetch"]) for record in plan] == [("plan", [])]


def test_a_folder_of_something_else_is_left_alone(run: Run, folder: Path) -> None:
    """Nothing is moved, and no catalog is made."""
    (folder / "photo.jpg").write_bytes(b"?")
    assert run("repair", "--data-dir", ".").code == 2
    assert [path.name for path in folder.iterdir()] == ["photo.jpg"]
