"""What `spxdata quarantine` shows."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from spxdata.errors import BrokenRule, Evidence, MalformedReply
from spxdata.pipeline.quarantine import keep
from spxdata.storage.local import LocalStorage
from tests.builders import NOW, a_unit
from tests.cli.screens import Compare, Run


@pytest.fixture
def storage(folder: Path) -> LocalStorage:
    """Return an archive with two refused replies: one of hostile bytes, and a long one."""
    storage = LocalStorage(folder / "data")
    hostile = Evidence(b"symbol,bid\r\n", b"SPXW,\x1b[31m\xff\x00\r\n" + b"x" * 5000 + b"\r\n", 41)
    keep(storage, a_unit(), MalformedReply("line 42 is cut", evidence=hostile), [], NOW)
    long = Evidence(b"symbol,bid\n", b"".join(b"SPXW,%d\n" % n for n in range(100)), 990)
    error = BrokenRule("keys", "two values\x1b for one key", evidence=long)
    keep(storage, a_unit(dataset="eod", interval="1d", expiration=None), error, [], NOW + timedelta(hours=1))
    return storage


def test_what_it_shows(run: Run, storage: LocalStorage, golden: Compare) -> None:
    """The list, the newest first, and either entry by the beginning of its name; nothing acts on the terminal."""
    assert storage.names()
    screens = [run("quarantine"), run("quarantine", "20240117T13"), run("quarantine", "20240117T12")]
    assert not any(sign in screen.out for screen in screens for sign in "\x1b\x00\r")
    golden("quarantine", *screens, run("quarantine", "2024"), run("quarantine", "--data-dir", "nowhere"))


def test_json(run: Run, storage: LocalStorage) -> None:
    """Lines with their reasons, and the first rows of one entry."""
    assert storage.names()
    first, _, summary = (json.loads(line) for line in run("quarantine", "--json").out.splitlines())
    assert (first["code"], first["unit"]["dataset"], first["first_row"]) == ("SPX-D003", "eod", 990)
    assert summary["entries"] == 2
    (entry,) = (json.loads(line) for line in run("quarantine", "--json", first["entry"]).out.splitlines())
    assert (entry["header"], entry["rows"][0], len(entry["rows"])) == ("symbol,bid", "SPXW,0", 20)
    assert not entry["rows_are_all"]


def test_an_entry_without_its_reason_is_listed_all_the_same(run: Run, storage: LocalStorage) -> None:
    """A kill while it was kept."""
    name = next(path for path in storage.names() if path.endswith("reason.json"))
    storage.remove(name)
    assert "its reason cannot be read" in run("quarantine").out
    assert run("quarantine", name.split("/")[2]).code == 0
