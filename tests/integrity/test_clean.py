"""Cleaning removes what nobody needs, and no artifact."""

from datetime import timedelta
from pathlib import Path

import pytest

from spxdata.errors import BrokenRule, Evidence
from spxdata.integrity.clean import Kind, Leftover, clean, leftovers
from spxdata.layout import ASIDE, CONVERTED, QUARANTINE, REFETCHED, RUNS
from spxdata.observe.log import KEPT
from spxdata.pipeline.quarantine import keep
from spxdata.storage.local import LocalStorage
from tests.builders import NOW, a_unit

ARTIFACT = "20240116/spxw_exp_20240119.parquet"


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    """Return an archive with one file, and something of each kind that is left over."""
    for path in (
        ARTIFACT,
        f"{ARTIFACT}.0f.partial",
        f".revisions/{ARTIFACT}~20240117T000000000000Z",
        f"{REFETCHED}/{ARTIFACT}",
        f"{CONVERTED}/{ARTIFACT}",
        f"{ASIDE}/20240101T000000000000/{ARTIFACT}",
        f"{ASIDE}/20240117T000000000000/a\nb",
        f"{ASIDE}/of a user",
        *(f"{RUNS}/{number:03}.ndjson" for number in range(KEPT + 2)),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"12345")
    archive = LocalStorage(tmp_path)
    for age in (timedelta(days=29), timedelta(days=10)):
        keep(archive, a_unit(), BrokenRule("keys", "twice", evidence=Evidence(b"a\n", b"1\n", 0)), [], NOW - age)
    return archive


def test_what_is_left_over_is_told_by_kind_path_and_size(storage: LocalStorage) -> None:
    """What repair set aside stays, unless it is asked for; refusals of the last 30 days too."""
    assert leftovers(storage, NOW) == (
        Leftover(Kind.UNFINISHED, f"{ARTIFACT}.0f.partial", 5),
        Leftover(Kind.REFETCHED, f"{REFETCHED}/{ARTIFACT}", 5),
        Leftover(Kind.CONVERTED, f"{CONVERTED}/{ARTIFACT}", 5),
        Leftover(Kind.LOG, f"{RUNS}/000.ndjson", 5),
        Leftover(Kind.LOG, f"{RUNS}/001.ndjson", 5),
    )


def test_with_an_age_refusals_and_what_was_set_aside_go(storage: LocalStorage) -> None:
    """Each by its own moment; what is not in a folder of repair's stays."""
    found = leftovers(storage, NOW, timedelta(days=12))
    assert [one.path for one in found if one.kind is Kind.ASIDE] == [f"{ASIDE}/20240101T000000000000/{ARTIFACT}"]
    assert {one.path.split("/")[2][:8] for one in found if one.kind is Kind.QUARANTINE} == {"20231219"}
    everything = leftovers(storage, NOW, timedelta(0))
    assert [one.path for one in everything if one.kind is Kind.ASIDE] == [
        f"{ASIDE}/20240101T000000000000/{ARTIFACT}",
        f"{ASIDE}/20240117T000000000000/a\nb",
    ]


def test_only_what_was_found_is_removed(storage: LocalStorage) -> None:
    """The artifact stays, and so does what is young."""
    found = leftovers(storage, NOW + timedelta(days=2))
    before = set(storage.names())
    clean(storage, found)
    assert before - set(storage.names()) == {one.path for one in found if one.kind is not Kind.UNFINISHED}
    assert storage.unfinished() == {}
    assert storage.size(ARTIFACT) == 5
    assert leftovers(storage, NOW + timedelta(days=2)) == ()
    assert any(path.startswith(QUARANTINE) for path in storage.names())
