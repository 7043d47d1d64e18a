"""What `spxdata clean` says and does."""

import json
from pathlib import Path

from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.clock import SystemClock
from tests.cli.screens import Compare, Run
from tests.cli.test_verify import archive

__all__ = ["archive"]


def test_what_it_says(run: Run, archive: Path, golden: Compare) -> None:
    """What would go, what goes, and when there is nothing; what was set aside goes only when that is asked for."""
    unfinished = archive / "data" / "20240116" / "spxw_exp_20240116.parquet.0123abcd.partial"
    unfinished.write_bytes(b"?" * 1000)
    aside = archive / "data" / ".spxdata" / "aside" / "20240101T000000000000" / "a.bin"
    aside.parent.mkdir(parents=True)
    aside.write_bytes(b"?" * 2000)
    screens = [run("clean", "--dry-run"), run("clean"), run("clean"), run("clean", "--older-than", "10")]
    golden("clean", *screens)
    assert not unfinished.exists()
    assert not aside.exists()
    assert run("verify").code == 0


def test_a_busy_archive_is_left_alone(run: Run, archive: Path) -> None:
    """What is unfinished may be what another process writes."""
    unfinished = archive / "data" / "20240116" / "a.partial"
    unfinished.write_bytes(b"?")
    catalog = SqliteCatalog(archive / "data" / ".spxdata" / "catalog.sqlite")
    with catalog.lease(SystemClock()):
        assert run("clean").code == 6
    catalog.close()
    assert unfinished.exists()


def test_json(run: Run, archive: Path) -> None:
    """A record a file, and the sum."""
    (archive / "data" / "20240116" / "a.partial").write_bytes(b"?")
    leftover, summary = (json.loads(line) for line in run("clean", "--json").out.splitlines())
    assert (leftover["kind"], leftover["path"], leftover["bytes"]) == ("unfinished", "20240116/a.partial", 1)
    assert (summary["files"], summary["bytes"], summary["removed"]) == (1, 1, True)
