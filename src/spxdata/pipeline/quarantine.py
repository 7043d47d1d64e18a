"""Refused replies, kept for inspection: raw bytes with the header, the rows before them, and the reason."""

import io
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

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
    entries: dict[str, list[str]] = {}
    for path in storage.names(QUARANTINE):
        entries.setdefault(path.removeprefix(f"{QUARANTINE}/").split("/", 1)[0], []).append(path)
    size = 0
    for number, entry in enumerate(sorted(filter(_STAMPED.match, entries), reverse=True)):
        kept_since = datetime.strptime(entry.split("_", 1)[0], _STAMP).replace(tzinfo=UTC)
        size += sum(storage.size(path) or 0 for path in entries[entry])
        if (number and size > limit) or at - kept_since > kept:
            for path in entries[entry]:
                storage.remove(path)


def _put(storage: Storage, path: str, data: bytes) -> None:
    with storage.create(path) as pending:
        pending.write(data)
        pending.commit()
