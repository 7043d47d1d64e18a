"""Every case of the suite, class by class."""

from typing import Final

from tests.faults import damage, disk, killed, two, wire

CASES: Final = (*killed.CASES, *disk.CASES, *wire.CASES, *two.CASES, *damage.CASES)
