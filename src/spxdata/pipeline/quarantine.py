"""Refused replies, kept for inspection: raw bytes with the header, the rows before them, and the reason."""

import io
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import polars as pl

from spxdata.errors import DataError
from spxdata.events import plain
from spxdata.layout import QUARANTINE
from spxdata.model import Unit
from spxdata.protocols import Storage

#: How long entries are kept, and how many bytes of them at most.
KEPT: Final = timedelta(days=30)
LIMIT: Final = 1024**3

_STAMP = "%Y%m%dT%H%M%S%f"
_STAMPED = re.compile(r"[0-9]{8}T[0-9]{12}_")


def keep(storage: Storage, unit: Unit, error: DataError, rows: Iterable[pl.DataFrame], at: datetime) -> str | None:
    """Keep what a reply was refused for; return the entry's folder, None if the error carries no bytes.

    An entry is a folder of three files: `reason.json`, `reply.csv` (header and offending batch as received) and, if
    rows had passed before, `rows.parquet`.

    Args:
        storage: The archive's storage.
        unit: What was asked for.
        error: Why it was refused.
        rows: The rows that had passed, as parsed.
        at: The current moment (aware).
    """
    if error.evidence is None:
        return None
    expires = f"_{unit.expiration:%Y%m%d}" if unit.expiration else ""
    name = f"{unit.trade_date:%Y%m%d}_{unit.root.lower()}_{unit.dataset}{expires}"
    folder = f"{QUARANTINE}/{at.astimezone(UTC):{_STAMP}}_{name}"
    reason = {
        "at": plain(at),
        "unit": plain(unit),
        "code": error.code,
        "error": type(error).__name__,
        "message": error.message,
        "first_row": error.evidence.first_row,
    }
    _put(storage, f"{folder}/reason.json", json.dumps(reason, indent=2).encode() + b"\n")
    _put(storage, f"{folder}/reply.csv", error.evidence.header + error.evidence.batch)
    before = list(rows)
    if before:
        buffer = io.BytesIO()
        pl.concat(before).write_parquet(buffer)
        _put(storage, f"{folder}/rows.parquet", buffer.getvalue())
    prune(storage, at)
    return folder


def prune(storage: Storage, at: datetime, kept: timedelta = KEPT, limit: int = LIMIT) -> None:
    """Remove entries that are too old, and the oldest ones of too many; what is no entry is left alone.

    Args:
        storage: The archive's storage.
        at: The current moment (aware).
        kept: How long entries are kept.
        limit: How many bytes of them; whole entries go, the newest stays.
    """
    for entry in outdated(storage, at, kept, limit):
        for path in entry.files:
            storage.remove(path)


@dataclass(frozen=True, slots=True)
class Entry:
    """A reply that was refused, as it lies in quarantine.

    Attributes:
        name: Its folder's name.
        at: When it was refused (UTC).
        files: Paths of its files.
        bytes: Their size.
    """

    name: str
    at: datetime
    files: tuple[str, ...]
    bytes: int


def entries(storage: Storage) -> tuple[Entry, ...]:
    """Return what lies in quarantine, the newest first; what is no entry is left out."""
    found: dict[str, list[str]] = {}
    for path in storage.names(QUARANTINE):
        found.setdefault(path.removeprefix(f"{QUARANTINE}/").split("/", 1)[0], []).append(path)
    return tuple(
        Entry(
            name,
            datetime.strptime(name.split("_", 1)[0], _STAMP).replace(tzinfo=UTC),
            tuple(found[name]),
            sum(storage.size(path) or 0 for path in found[name]),
        )
        for name in sorted(filter(_STAMPED.match, found), reverse=True)
    )


def outdated(storage: Storage, at: datetime, kept: timedelta = KEPT, limit: int = LIMIT) -> tuple[Entry, ...]:
    """Return the entries that `prune` removes, by the same arguments."""
    size, found = 0, []
    for number, entry in enumerate(entries(storage)):
        size += entry.bytes
        if (number and size > limit) or at - entry.at > kept:
            found.append(entry)
    return tuple(found)


def reason_of(storage: Storage, entry: Entry) -> dict[str, Any]:
    """Return why a reply was refused: at, unit, code, error, message, first_row; empty if that cannot be read."""
    try:
        with storage.open(f"{QUARANTINE}/{entry.name}/reason.json") as file:
            said = json.load(file)
    except (FileNotFoundError, ValueError):  # a kill while it was kept
        return {}
    return said if isinstance(said, dict) else {}


def reply_of(storage: Storage, entry: Entry, most: int) -> bytes:
    """Return the beginning of a refused reply: its header, and the offending batch as received.

    Args:
        storage: The archive's storage.
        entry: Which.
        most: Bytes to return at most.
    """
    try:
        with storage.open(f"{QUARANTINE}/{entry.name}/reply.csv") as file:
            return file.read(most)
    except FileNotFoundError:
        return b""


def _put(storage: Storage, path: str, data: bytes) -> None:
    with storage.create(path) as pending:
        pending.write(data)
        pending.commit()
