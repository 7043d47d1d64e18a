"""The model's values as rows of the SQLite catalog, and back, exactly."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from itertools import groupby
from typing import Any

from spxdata.model import (
    Artifact,
    Contract,
    ContractList,
    Day,
    DayStatus,
    Hole,
    HoleKind,
    Outcome,
    Provenance,
    Right,
    Scope,
    State,
    Unit,
    Verdict,
)

Values = dict[str, Any]
Ranges = tuple[tuple[float, float] | None, tuple[time, time] | None]
Sketch = tuple[Unit, tuple[float, float] | None, tuple[time, time] | None]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """Return an aware moment as microseconds since 1970; a naive one is a TypeError."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(stamp: int) -> datetime:
    """Return the moment of a number of microseconds since 1970."""
    return _EPOCH + stamp * _MICROSECOND


def day_key(day: Day) -> Values:
    """Return what identifies a day."""
    return {**day._asdict(), "trade_date": day.trade_date.isoformat()}


def unit_key(unit: Unit) -> Values:
    """Return what identifies a unit."""
    return {**day_key(unit.day), "expiration_date": _iso(unit.expiration)}


def scope_values(scope: Scope) -> Values:
    """Return a scope's columns."""
    days = [day.isoformat() for day in scope.expirations]
    return {"scope_max_dte": scope.max_dte, "scope_expirations": json.dumps(days)}


def outcome_values(outcome: Outcome) -> Values:
    """Return an outcome's columns without its file and holes."""
    artifact = outcome.artifact
    return {
        **unit_key(outcome.unit),
        "outcome": outcome.state.value,
        "reason": outcome.reason,
        "code": outcome.code,
        "ask_again": _iso(outcome.ask_again),
        "attempts": outcome.attempts,
        "notes": outcome.notes,
        "verified": outcome.verified,
        "record_count": artifact and artifact.rows,
        "file_size": artifact and artifact.bytes,
    }


def artifact_values(unit: Unit, artifact: Artifact) -> Values:
    """Return a file's columns."""
    origin = artifact.provenance
    return {
        **unit_key(unit),
        "filename": artifact.path.rpartition("/")[2],
        "relative_path": artifact.path,
        "size": artifact.bytes,
        "checksum": artifact.sha256,
        "content_hash": artifact.content_hash,
        "record_count": artifact.rows,
        "schema_version": artifact.schema_version,
        "format": artifact.format,
        "compression": artifact.compression,
        "request": origin.request,
        "dialect": origin.dialect,
        "greeks_version": origin.greeks_version,
        "rate_type": origin.rate_type,
        "fetched_us": micros(origin.fetched_at),
        "spxdata_version": origin.spxdata_version,
        "created_us": micros(artifact.created_at),
        "strike_min": artifact.strikes and artifact.strikes[0],
        "strike_max": artifact.strikes and artifact.strikes[1],
        "time_min": artifact.times and artifact.times[0].isoformat(),
        "time_max": artifact.times and artifact.times[1].isoformat(),
    }


def hole_values(unit_id: int, holes: Iterable[Hole]) -> Iterable[Values]:
    """Yield the columns of a unit's holes, in their order."""
    for position, hole in enumerate(holes):
        contract = hole.contract
        yield {
            "unit_id": unit_id,
            "position": position,
            "kind": hole.kind.value,
            "expiration": contract and contract.expiration.isoformat(),
            "strike": contract and contract.strike,
            "right": contract and contract.right.value,
            "first_minute": hole.first,
            "last_minute": hole.last,
        }


def strikes_values(contracts: ContractList) -> Iterable[Values]:
    """Yield the columns of a contract list: a row for each expiration and right, with its strikes."""
    ordered = sorted(contracts.contracts, key=_line)
    for (expiration, right), group in groupby(ordered, key=_line):
        strikes = [contract.strike for contract in group]
        yield {
            "expiration": expiration.isoformat(),
            "right": right.value,
            "strikes": json.dumps(strikes, separators=(",", ":")),
        }


def lines_digest(lines: Iterable[Values | sqlite3.Row]) -> str:
    """Return a digest of a contract list's rows, sorted by expiration and right."""
    digest = sha256()
    for line in lines:
        digest.update(f"{line['expiration']} {line['right']} {line['strikes']}\n".encode())
    return digest.hexdigest()


def outcome_of(row: sqlite3.Row, holes: tuple[Hole, ...]) -> Outcome:
    """Return the outcome of a unit's row, joined with its file's."""
    return Outcome(
        unit=unit_of([row[name] for name in UNIT]),
        state=State(row["outcome"]),
        artifact=None if row["relative_path"] is None else artifact_of([row[name] for name in FILE]),
        holes=holes,
        notes=row["notes"],
        reason=row["reason"],
        code=row["code"],
        ask_again=_day(row["ask_again"]),
        attempts=row["attempts"],
        verified=bool(row["verified"]),
    )


def hole_of(row: sqlite3.Row) -> Hole:
    """Return the hole of a row."""
    contract = None
    if row["expiration"] is not None:
        contract = Contract(date.fromisoformat(row["expiration"]), row["strike"], Right(row["right"]))
    return Hole(HoleKind(row["kind"]), contract, row["first_minute"], row["last_minute"])


def status_of(row: sqlite3.Row) -> DayStatus:
    """Return the status of a day's row."""
    return DayStatus(
        day=Day(date.fromisoformat(row["trade_date"]), row["root"], row["dataset"], row["interval"]),
        status=row["status"],
        verdict=None if row["verdict"] is None else Verdict(row["verdict"]),
        scope=Scope(
            row["scope_max_dte"],
            tuple(date.fromisoformat(day) for day in json.loads(row["scope_expirations"])),
        ),
        started_at=_moment(row["start_us"]),
        ended_at=_moment(row["end_us"]),
        error=row["error"],
        attempts=row["attempts"],
        files=row["total_files"],
        bytes=row["total_size"],
        rows=row["total_records"],
        checksum=row["checksum"],
        downloaded_at=_moment(row["downloaded_us"]),
    )


def contracts_of(rows: Iterable[sqlite3.Row]) -> tuple[Contract, ...]:
    """Return the contracts of a list's rows, sorted."""
    return tuple(
        sorted(
            Contract(date.fromisoformat(row["expiration"]), strike, Right(row["right"]))
            for row in rows
            for strike in json.loads(row["strikes"])
        )
    )


#: The columns of a unit, in the order in which `unit_of` takes their values.
UNIT = ("trade_date", "root", "dataset", "interval", "expiration_date")


def unit_of(values: Sequence[Any]) -> Unit:
    """Return the unit of the values that begin with those of its columns."""
    trade_date, root, dataset, interval, expiration = values[:5]
    return Unit(date.fromisoformat(trade_date), root, dataset, interval, _day(expiration))


#: The columns of a file, in the order in which `artifact_of` takes their values.
FILE = (
    "relative_path",
    "record_count",
    "size",
    "checksum",
    "content_hash",
    "schema_version",
    "format",
    "compression",
    "created_us",
    "request",
    "dialect",
    "greeks_version",
    "rate_type",
    "fetched_us",
    "spxdata_version",
    "strike_min",
    "strike_max",
    "time_min",
    "time_max",
)


def sketch_of(values: Sequence[Any]) -> Sketch:
    """Return the unit, the strikes and the times of the values of a unit's and a file's columns."""
    return unit_of(values), *_ranges(*values[-4:])


def artifact_of(values: Sequence[Any]) -> Artifact:
    """Return the file of the values of its columns: by place, for a hundred thousand are made in a second."""
    path, count, size, digest, content, version, form, codec, created, *origin, low, high, first, last = values
    request, dialect, greeks, rate, fetched, by = origin
    return Artifact(
        path,
        count,
        size,
        digest,
        content,
        version,
        form,
        codec,
        moment(created),
        Provenance(request, dialect, greeks, rate, moment(fetched), by),
        *_ranges(low, high, first, last),
    )


def _ranges(low: float | None, high: float | None, first: str | None, last: str | None) -> Ranges:
    strikes = None if low is None or high is None else (low, high)
    times = None if first is None or last is None else (time.fromisoformat(first), time.fromisoformat(last))
    return strikes, times


def _line(contract: Contract) -> tuple[date, Right]:
    return contract.expiration, contract.right


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _moment(stamp: int | None) -> datetime | None:
    return None if stamp is None else moment(stamp)
