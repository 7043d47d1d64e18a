"""What an archive does not need: leftovers of interrupted writers, old refused replies, old logs; never an artifact."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from spxdata.layout import ASIDE, CONVERTED, PARTIAL, REFETCHED, RUNS
from spxdata.observe.log import KEPT as KEPT_LOGS
from spxdata.pipeline import quarantine
from spxdata.protocols import Storage

_STAMP: Final = "%Y%m%dT%H%M%S%f"
_ASIDE: Final = re.compile(rf"{re.escape(ASIDE)}/([0-9]{{8}}T[0-9]{{12}})/.+", re.DOTALL)  # a name may hold a line feed


class Kind(StrEnum):
    """What something is left over from."""

    UNFINISHED = "unfinished file"
    REFETCHED = "file of an unfinished check"
    CONVERTED = "file of an unfinished conversion"
    QUARANTINE = "refused reply"
    ASIDE = "file set aside"
    LOG = "run log"


@dataclass(frozen=True, slots=True)
class Leftover:
    """A file that nobody needs.

    Attributes:
        kind: What it is left over from.
        path: Its path below the archive.
        bytes: Its size.
    """

    kind: Kind
    path: str
    bytes: int


def leftovers(storage: Storage, at: datetime, older_than: timedelta | None = None) -> tuple[Leftover, ...]:
    """Return what may be removed, by kind and path.

    Args:
        storage: The archive's files.
        at: The current moment (aware).
        older_than: The age from which refused replies go, and what repair set aside too; for None replies go after
            30 days, and what was set aside stays.
    """
    kept = quarantine.KEPT if older_than is None else older_than
    refused = sorted(path for entry in quarantine.outdated(storage, at, kept) for path in entry.files)
    aside = [] if older_than is None else [path for path in storage.names(ASIDE) if _is_old(path, at, older_than)]
    logs = [path for path in storage.names(RUNS) if path.endswith(".ndjson")][:-KEPT_LOGS]  # named after their moment
    return (
        *(Leftover(Kind.UNFINISHED, path, size) for path, size in storage.unfinished().items()),
        *_sized(storage, Kind.REFETCHED, storage.names(REFETCHED)),
        *_sized(storage, Kind.CONVERTED, storage.names(CONVERTED)),
        *_sized(storage, Kind.QUARANTINE, refused),
        *_sized(storage, Kind.ASIDE, aside),
        *_sized(storage, Kind.LOG, logs),
    )


def clean(storage: Storage, found: Iterable[Leftover]) -> None:
    """Remove leftovers; only for the lease's holder, because what is unfinished may be another's at work.

    Raises:
        StorageError: The archive's folder is not writable.
    """
    storage.sweep()
    for one in found:
        if not one.path.endswith(PARTIAL):
            storage.remove(one.path)


def _is_old(path: str, at: datetime, older_than: timedelta) -> bool:
    match = _ASIDE.fullmatch(path)
    return match is not None and at - datetime.strptime(match[1], _STAMP).replace(tzinfo=UTC) > older_than


def _sized(storage: Storage, kind: Kind, paths: Iterable[str]) -> Iterable[Leftover]:
    return (Leftover(kind, path, storage.size(path) or 0) for path in paths)
