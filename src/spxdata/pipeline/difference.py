"""How a file may differ from what the catalog says: the words of verification, light enough for any importer."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from spxdata.model import Unit


class Sign(StrEnum):
    """How a difference is marked, as `rclone check` does."""

    DIFFERS = "*"
    MISSING = "-"
    UNKNOWN = "+"
    UNREADABLE = "!"


class Fault(StrEnum):
    """In what a file differs."""

    MISSING = "missing"
    SIZE = "size"
    CHECKSUM = "sha256"
    FOOTER = "footer"
    ROWS = "rows"
    COLUMNS = "columns"
    ORDER = "order"
    CONTENT = "content hash"
    UNREADABLE = "unreadable"
    FORGOTTEN = "forgotten"  # a whole file of ours that is not on record
    MUTE = "mute"  # an earlier CSV file that is not on record: nothing tells what it is, nothing can take its place
    UNFINISHED = "unfinished"
    STRANGER = "stranger"


#: The sign of each fault that is not simply a difference.
SIGNS: Final[Mapping[Fault, Sign]] = {
    Fault.MISSING: Sign.MISSING,
    Fault.UNREADABLE: Sign.UNREADABLE,
    Fault.FORGOTTEN: Sign.UNKNOWN,
    Fault.MUTE: Sign.UNKNOWN,
    Fault.UNFINISHED: Sign.UNKNOWN,
    Fault.STRANGER: Sign.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Difference:
    """A file that is not as the catalog says.

    Attributes:
        fault: In what it differs.
        path: Its path below the archive.
        what: What differs, in words.
        unit: Whose file it is, by the catalog or else by its name; None for a file of no unit.
    """

    fault: Fault
    path: str
    what: str
    unit: Unit | None = None

    @property
    def sign(self) -> Sign:
        """The mark of its line."""
        return SIGNS.get(self.fault, Sign.DIFFERS)

    @property
    def is_damage(self) -> bool:
        """Whether something on record cannot be had as it was stored."""
        return self.sign is not Sign.UNKNOWN


class Checked(NamedTuple):
    """How far verification is: files and bytes looked at, of how many."""

    files: int
    of_files: int
    bytes: int
    of_bytes: int
