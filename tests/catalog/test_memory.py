"""What is the catalog in memory's own."""

from spxdata.catalog.memory import MemoryCatalog
from tests.builders import NOW, stored


def test_two_of_them_know_nothing_of_each_other() -> None:
    """Each is its own archive's, and ends with it."""
    one, other = MemoryCatalog(), MemoryCatalog()
    one.record(stored(), NOW)
    one.close()
    assert len(one.days()) == 1
    assert other.days() == ()
