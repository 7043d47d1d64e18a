"""A run whose lease was taken over changes nothing any more, not even in the seconds before its next heartbeat."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.errors import ArchiveBusy
from tests.builders import NOW, FakeClock, a_contract_list, a_day, a_scope, a_unit, stored


@pytest.fixture
def catalogs(tmp_path: Path) -> Iterator[tuple[SqliteCatalog, SqliteCatalog]]:
    """Return two connections to one catalog."""
    one, other = SqliteCatalog(tmp_path / "catalog.sqlite"), SqliteCatalog(tmp_path / "catalog.sqlite")
    yield one, other
    one.close()
    other.close()


def test_who_lost_the_lease_can_change_nothing(catalogs: tuple[SqliteCatalog, SqliteCatalog]) -> None:
    """Each change says who has it now; the new holder's go on."""
    late, quick = catalogs
    clock = FakeClock()
    changes: tuple[Callable[[], None], ...] = (
        lambda: late.record(stored(), NOW),
        lambda: late.withdraw(a_unit()),
        lambda: late.begin(a_unit(), NOW),
        lambda: late.begin_day(a_day(), a_scope(), NOW),
        lambda: late.end_day(a_day(), None, None, NOW),
        lambda: late.keep_contracts(a_contract_list(), "quote"),
        lambda: late.beat(NOW),
    )
    with late.lease(clock):
        late.record(stored(), NOW)
        with quick._connection.write() as database:  # as another host that takes us for dead
            database.execute("DELETE FROM lease")
        with quick.lease(clock):
            for change in changes:
                with pytest.raises(ArchiveBusy, match="no longer ours to write: it is now written by process"):
                    change()
            quick.begin(a_unit(), NOW + timedelta(seconds=1))
            assert late.outcome(a_unit()) == quick.outcome(a_unit()), "looking on is anybody's right"


def test_without_a_lease_nothing_is_asked(catalogs: tuple[SqliteCatalog, SqliteCatalog]) -> None:
    """Who repairs or tests a catalog by itself may change it."""
    one, other = catalogs
    one.record(stored(), NOW)
    assert other.outcome(a_unit()) == stored()
