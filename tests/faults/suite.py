"""The suite: a small archive, what may happen to it, and the three assertions that every case ends with.

No partial file has a final name; the catalog names only what is on the disk; the next run ends with the content hashes
of a run that nothing disturbed.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

from spxdata import Emulator
from spxdata.catalog.jsonfile import JsonCatalog
from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.layout import CATALOG, INVENTORY, PARTIAL, PRIVATE, STATUS, unit_of
from spxdata.model import Artifact
from spxdata.pipeline.read import adopt, checksum
from spxdata.protocols import Catalog
from spxdata.storage.local import LocalStorage
from tests.conftest import ROOT
from tests.faults.market import write_market

DAYS: Final = (date(2024, 1, 16), date(2024, 1, 17))
EXPIRATIONS: Final = (date(2024, 1, 17), date(2024, 1, 19), date(2024, 1, 22))
CHILD: Final = Path(__file__).parent / "child.py"
#: Seconds after which a process hangs.
HANGS: Final = 120.0


class Skipped(Exception):  # noqa: N818 - no error
    """This case cannot be tried here; says why."""


@dataclass(frozen=True, slots=True)
class World:
    """A market, and what a run that nothing disturbs makes of it.

    Attributes:
        market: The folder that the emulator replays.
        hashes: Content hashes by path.
        rows: Rows by path.
        archives: Where its archive lies, by the form of the catalog.
    """

    market: Path
    hashes: Mapping[str, str]
    rows: Mapping[str, int]
    archives: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that goes wrong.

    Attributes:
        kind: Its class, as the table of figures has it.
        name: What happens.
        run: Lets it happen to an archive in a folder, and asserts; returns the rows that were lost.
        sampled: Whether it is among the few that every test run tries.
        counts: How many faults strike in it.
    """

    kind: str
    name: str
    run: Callable[[World, Path], int]
    sampled: bool = False
    counts: int = 1


def make_world(folder: Path) -> World:
    """Write the market, and download it undisturbed."""
    market = write_market(folder / "market", [(day, EXPIRATIONS) for day in DAYS], strikes=(4700,))
    archives = {catalog: folder / f"undisturbed-{catalog}" for catalog in ("sqlite", "json")}
    with Emulator(replay=market) as terminal:
        for catalog, archive in archives.items():
            done = download(terminal.url, archive, catalog=catalog)
            assert done.returncode == 0, done.stderr
    found = recorded(archives["sqlite"])
    assert len(found) == len(DAYS) * len(EXPIRATIONS)
    hashes = {path: artifact.content_hash for path, artifact in found.items()}
    assert {path: artifact.content_hash for path, artifact in recorded(archives["json"]).items()} == hashes
    return World(market, hashes, {path: artifact.rows for path, artifact in found.items()}, archives)


def address(url: str) -> str:
    """Return where a Terminal is, without its path."""
    return url.rsplit("/", 1)[0]


def order(url: str, folder: Path, **changes: Any) -> str:
    """Return what `child.py` is to do."""
    days = [day.isoformat() for day in DAYS]
    return json.dumps({"url": address(url), "folder": str(folder), "days": days, **changes})


def environment() -> dict[str, str]:
    """Return what our processes see of ours: nothing of spxdata's settings, no bytecode written on the way."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SPXDATA_", "COV_", "COVERAGE_"))}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT), "POLARS_MAX_THREADS": "1"}


def download(
    url: str,
    folder: Path,
    *,
    prefix: tuple[str, ...] = (),
    **changes: Any,
) -> subprocess.CompletedProcess[str]:
    """Download the market into an archive, by a process that ends as ordered.

    Args:
        url: The Terminal.
        folder: The archive.
        prefix: A command that starts the process.
        changes: More of the order, see `child.py`.
    """
    process = subprocess.Popen(
        [*prefix, sys.executable, str(CHILD), order(url, folder, **changes)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        cwd=folder.parent,
        start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate(timeout=HANGS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # what the prefix started, too
        process.communicate()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def command(url: str, folder: Path, *, first: date = DAYS[0], last: date = DAYS[-1]) -> list[str]:
    """Return the real command that downloads the market."""
    dates = ["--start-date", first.isoformat(), "--end-date", last.isoformat()]
    where = ["--terminal", url, "--data-dir", str(folder)]
    return [sys.executable, "-m", "spxdata", "download", *dates, "--dataset", "quote", *where]


def recorded(folder: Path) -> dict[str, Artifact]:
    """Return what the catalog says is there, by path."""
    catalog: Catalog
    if (folder / CATALOG).exists():
        catalog = SqliteCatalog(folder / CATALOG)
    elif (folder / STATUS).exists():
        catalog = JsonCatalog(LocalStorage(folder), folder, read_only=True)
    else:
        return {}
    try:
        outcomes = [outcome for status in catalog.days() for outcome in catalog.outcomes(status.day)]
    finally:
        catalog.close()
    return {outcome.artifact.path: outcome.artifact for outcome in outcomes if outcome.artifact}


def assert_sound(folder: Path, world: World) -> None:
    """Assert that what has a final name is whole, and that the catalog names only what is there."""
    storage = LocalStorage(folder)
    for path in storage.names():
        if not path.startswith(PRIVATE) and path not in (STATUS, INVENTORY):
            found = adopt(storage, unit_of(path), None)  # reads every row
            assert found is not None, f"{path} has a final name and is not whole"
            assert found[0].content_hash == world.hashes[path], f"{path} has other content"
    for path, artifact in recorded(folder).items():
        assert storage.size(path) is not None, f"{path} is in the catalog and not on the disk"
        assert checksum(storage, path) == (artifact.bytes, artifact.sha256), f"{path} is not what the catalog says"


def assert_healed(url: str, folder: Path, world: World, **changes: Any) -> int:
    """Run once more, assert that the archive is that of an undisturbed run, and return the rows it lacks."""
    done = download(url, folder, **changes)
    assert done.returncode == 0, f"the next run ended with {done.returncode}: {done.stderr}"
    return lost(folder, world)


def lost(folder: Path, world: World) -> int:
    """Assert that an archive is that of an undisturbed run; return the rows that it lacks."""
    assert_sound(folder, world)
    found = recorded(folder)
    assert {path: artifact.content_hash for path, artifact in found.items()} == world.hashes
    assert not list(folder.rglob(f"*{PARTIAL}"))
    return sum(world.rows.values()) - sum(artifact.rows for artifact in found.values())


def survived(url: str, folder: Path, world: World, **changes: Any) -> int:
    """Hold an archive to the three assertions; return the rows that were lost."""
    assert_sound(folder, world)
    return assert_healed(url, folder, world, **changes)


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[None]:
    """Have a file system of its own in a folder; undone on leaving.

    Raises:
        Skipped: Only root may.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remount(folder, f"size={kilobytes}k", new=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, options: str, *, new: bool = False) -> None:
    """Change a small disk's options.

    Raises:
        Skipped: Only root may.
    """
    if os.geteuid() != 0 or shutil.which("mount") is None:
        raise Skipped("needs root: mounts a small disk")
    how = options if new else f"remount,{options}"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", how, "tmpfs", str(folder)], check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise Skipped(f"needs root: mount refuses ({done.stderr.strip()})")


def strace(*injected: str) -> tuple[str, ...]:
    """Return the command that starts a process under faults of its system calls.

    Raises:
        Skipped: There is no strace, or it may not trace.
    """
    found = shutil.which("strace")
    if found is None:
        raise Skipped("needs strace")
    calls = ",".join(sorted({one.partition(":")[0] for one in injected}))
    base = (found, "-f", "-qq", "--seccomp-bpf", "-o", os.devnull, "-e", f"trace={calls}")
    if subprocess.run([*base, "true"], check=False, capture_output=True).returncode != 0:
        raise Skipped("needs strace: it may not trace here")
    return (*base, *(part for one in injected for part in ("-e", f"inject={one}")))
