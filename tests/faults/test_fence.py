"""A run whose lease was taken over changes nothing any more, not even in the seconds before its next heartbeat."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from spxdata.errors import ArchiveBusy
from spxdata.protocols import Catalog
from tests.builders import NOW, FakeClock, a_contract_list, a_day, a_scope, a_unit, stored
from tests.catalog.places import PLACES, Place

#: Everything that changes a catalog.
CHANGES: dict[str, Callable[[Catalog], None]] = {
    "record": lambda catalog: catalog.record(stored(), NOW),
    "withdraw": lambda catalog: catalog.withdraw(a_unit()),
    "begin": lambda catalog: catalog.begin(a_unit(), NOW),
    "forget": lambda catalog: catalog.forget(a_unit()),
    "begin_day": lambda catalog: catalog.begin_day(a_day(), a_scope(), NOW),
    "queue_days": lambda catalog: catalog.queue_days([a_day()], a_scope(), NOW),
    "interrupt_day": lambda catalog: catalog.interrupt_day(a_day(), None, NOW),
    "end_day": lambda catalog: catalog.end_day(a_day(), None, None, NOW),
    "keep_contracts": lambda catalog: catalog.keep_contracts(a_contract_list(), "quote"),
    "keep_documents": lambda catalog: catalog.keep_documents("rule", {"key": "{}"}),
    "drop_documents": lambda catalog: catalog.drop_documents("rule", ["key"]),
    "beat": lambda catalog: catalog.beat(NOW),
}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Return an archive of each kind."""
    return PLACES[request.param](tmp_path)


@pytest.fixture
def catalogs(place: Place) -> Iterator[tuple[Catalog, Catalog]]:
    """Return one catalog as two processes have it open."""
    with closing(place.open()) as one, closing(place.open()) as other:
        yield one, other


@pytest.mark.parametrize("name", CHANGES)
def test_who_lost_the_lease_can_change_nothing(place: Place, catalogs: tuple[Catalog, Catalog], name: str) -> None:
    """Each change says who has it now; the new holder's go on, and looking on is anybody's right."""
    late, quick = catalogs
    clock = FakeClock()
    with late.lease(clock):
        late.record(stored(), NOW)
        place.remove()  # as another host that takes us for dead
        with quick.lease(clock):
            before = quick.outcome(a_unit()), quick.days()
            with pytest.raises(ArchiveBusy, match="no longer ours to write: it is now written by process"):
                CHANGES[name](late)
            assert (quick.outcome(a_unit()), quick.days()) == before
            quick.begin(a_unit(), NOW + timedelta(seconds=1))
            assert late.outcome(a_unit()) == quick.outcome(a_unit())


def test_without_a_lease_nothing_is_asked(catalogs: tuple[Catalog, Catalog]) -> None:
    """Who repairs or tests a catalog by itself may change it."""
    one, other = catalogs
    one.record(stored(), NOW)
    assert other.outcome(a_unit()) == stored()
