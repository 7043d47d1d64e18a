"""The model's values as entries of the JSON catalog's files, and back, exactly.

The original brief's keys keep its spelling and meaning: ISO moments, trade dates as YYYY-MM-DD, expirations of a
status as YYYYMMDD, its words for how things stand. A day-wide unit's expiration is its trade date, and the key
`dayWide` tells. The other keys beside the brief's carry what it has no words for. A key without a value is left out.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from hashlib import sha256
from itertools import groupby
from typing import Any, TypeVar

from spxdata.catalog.rules import in_utc
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

Entry = dict[str, Any]

_T = TypeVar("_T")

#: The brief's words for how an expiration stands.
EXPIRATION_WORDS = {
    State.STORED: "complete",
    State.EMPTY: "complete",
    State.NOT_PUBLISHED: "pending",
    State.REFUSED: "failed",
    State.FAILED: "failed",
    State.PENDING: "pending",
    State.DOWNLOADING: "downloading",
}

#: The brief's words for how a day stands, the worst first: a trade date stands as the worst of its days.
DAY_WORDS = ("failed", "in-progress", "queued", "success")

_MILLISECOND = timedelta(milliseconds=1)


def dumped(value: object) -> str:
    """Return a value as JSON on one line, in ASCII."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def moment_text(moment: datetime) -> str:
    """Return an aware moment in ISO form, in UTC, to the microsecond; a naive one is a TypeError."""
    return in_utc(moment).isoformat(timespec="microseconds").replace("+00:00", "Z")


def moment_of(text: str) -> datetime:
    """Return the moment of a text in ISO form."""
    return in_utc(datetime.fromisoformat(text))


def date_entry(statuses: Sequence[DayStatus]) -> Entry:
    """Return the brief's entry of a trade date, made of all its days, without its expirations and days.

    Args:
        statuses: The days of one trade date, of whatever root, dataset and interval; one at least.
    """
    starts = [status.started_at for status in statuses if status.started_at]
    ends = [status.ended_at for status in statuses if status.ended_at]
    word = min((status.status for status in statuses), key=DAY_WORDS.index)
    return _given(
        status=word,
        startTime=_moment_text(min(starts, default=None)),
        endTime=_moment_text(max(ends, default=None)) if word != "in-progress" else None,
        attempts=sum(status.attempts for status in statuses),
        error=next((status.error for status in statuses if status.error is not None), None),
        summary=_summary(statuses),
        partial=True if any(status.verdict is Verdict.PARTIAL for status in statuses) else None,
    )


def day_entry(status: DayStatus) -> Entry:
    """Return the entry of one day among those of its trade date."""
    day = status.day
    return _given(
        root=day.root,
        dataset=day.dataset,
        interval=day.interval,
        status=status.status,
        verdict=status.verdict and status.verdict.value,
        scope={"maxDte": status.scope.max_dte, "expirations": [day.isoformat() for day in status.scope.expirations]},
        startTime=_moment_text(status.started_at),
        endTime=_moment_text(status.ended_at),
        error=status.error,
        attempts=status.attempts,
        summary=_summary([status]),
        checksum=status.checksum,
        downloadedAt=_moment_text(status.downloaded_at),
    )


def day_of(trade_date: date, entry: Entry) -> DayStatus:
    """Return the day of an entry; its sums are left to be taken from its units."""
    verdict, scope = entry.get("verdict"), entry["scope"]
    if entry["status"] not in DAY_WORDS:
        raise ValueError(f"{entry['status']!r} is no day's status.")
    return DayStatus(
        day=Day(trade_date, entry["root"], entry["dataset"], entry["interval"]),
        status=entry["status"],
        verdict=None if verdict is None else Verdict(verdict),
        scope=Scope(scope["maxDte"], tuple(date.fromisoformat(day) for day in scope["expirations"])),
        started_at=_moment_of(entry.get("startTime")),
        ended_at=_moment_of(entry.get("endTime")),
        error=entry.get("error"),
    )


def unit_entry(outcome: Outcome, recorded_at: datetime | None) -> Entry:
    """Return the entry of a unit among the expirations of its trade date."""
    unit, artifact, state = outcome.unit, outcome.artifact, outcome.state
    nothing = 0 if state is State.EMPTY else None
    return _given(
        expiration=f"{unit.expiration or unit.trade_date:%Y%m%d}",
        status=EXPIRATION_WORDS[state],
        recordCount=artifact.rows if artifact else nothing,
        fileSize=artifact.bytes if artifact else nothing,
        retryCount=max(outcome.attempts - 1, 0),
        error=outcome.reason if EXPIRATION_WORDS[state] == "failed" else None,
        root=unit.root,
        dataset=unit.dataset,
        interval=unit.interval,
        dayWide=unit.expiration is None,
        outcome=state.value,
        reason=outcome.reason,
        code=outcome.code,
        askAgain=outcome.ask_again and outcome.ask_again.isoformat(),
        attempts=outcome.attempts,
        verified=outcome.verified,
        notes=outcome.notes,
        holes=[_hole_entry(hole) for hole in outcome.holes],
        recordedAt=_moment_text(recorded_at),
        fileDigest=file_digest(unit, artifact) if artifact else None,
    )


def unit_of(trade_date: date, entry: Entry) -> tuple[Outcome, datetime | None, str | None]:
    """Return the outcome of a unit's entry without its file, when it was recorded, and its file's digest."""
    expiration = None if entry["dayWide"] else datetime.strptime(entry["expiration"], "%Y%m%d").date()  # noqa: DTZ007 - a day has no time zone
    ask_again = entry.get("askAgain")
    outcome = Outcome(
        unit=Unit(trade_date, entry["root"], entry["dataset"], entry["interval"], expiration),
        state=State(entry["outcome"]),
        holes=tuple(_hole_of(hole) for hole in entry["holes"]),
        notes=entry["notes"],
        reason=entry.get("reason"),
        code=entry.get("code"),
        ask_again=None if ask_again is None else date.fromisoformat(ask_again),
        attempts=entry["attempts"],
        verified=entry["verified"],
    )
    digest = entry.get("fileDigest")
    if outcome.state is State.STORED and digest is None:
        raise ValueError(f"{outcome.unit} is stored without a file.")
    return outcome, _moment_of(entry.get("recordedAt")), digest


def file_entry(unit: Unit, artifact: Artifact) -> Entry:
    """Return the entry of a file in the inventory."""
    origin = artifact.provenance
    return _given(
        tradeDate=unit.trade_date.isoformat(),
        expirationDate=(unit.expiration or unit.trade_date).isoformat(),
        filename=artifact.path.rpartition("/")[2],
        relativePath=artifact.path,
        size=artifact.bytes,
        checksum=artifact.sha256,
        createdAt=moment_text(artifact.created_at),
        lastModified=moment_text(artifact.created_at),  # files are never changed
        recordCount=artifact.rows,
        format=artifact.format,
        compression=artifact.compression,
        root=unit.root,
        dataset=unit.dataset,
        interval=unit.interval,
        dayWide=unit.expiration is None,
        contentHash=artifact.content_hash,
        schemaVersion=artifact.schema_version,
        strikeRange=artifact.strikes,
        timeRange=artifact.times and tuple(at.isoformat() for at in artifact.times),
        provenance=_given(
            request=origin.request,
            dialect=origin.dialect,
            greeksVersion=origin.greeks_version,
            rateType=origin.rate_type,
            fetchedAt=moment_text(origin.fetched_at),
            spxdataVersion=origin.spxdata_version,
        ),
    )


def file_of(entry: Entry) -> tuple[Unit, Artifact]:
    """Return the file of an entry in the inventory, and whose it is."""
    origin = entry["provenance"]
    expiration = None if entry["dayWide"] else date.fromisoformat(entry["expirationDate"])
    unit = Unit(date.fromisoformat(entry["tradeDate"]), entry["root"], entry["dataset"], entry["interval"], expiration)
    artifact = Artifact(
        path=entry["relativePath"],
        rows=entry["recordCount"],
        bytes=entry["size"],
        sha256=entry["checksum"],
        content_hash=entry["contentHash"],
        schema_version=entry["schemaVersion"],
        format=entry["format"],
        compression=entry["compression"],
        created_at=moment_of(entry["createdAt"]),
        provenance=Provenance(
            request=origin["request"],
            dialect=origin["dialect"],
            greeks_version=origin.get("greeksVersion"),
            rate_type=origin.get("rateType"),
            fetched_at=moment_of(origin["fetchedAt"]),
            spxdata_version=origin["spxdataVersion"],
        ),
        strikes=_pair(entry.get("strikeRange"), float),
        times=_pair(entry.get("timeRange"), time.fromisoformat),
    )
    return unit, artifact


def file_digest(unit: Unit, artifact: Artifact) -> str:
    """Return what a unit's status and its inventory entry agree by: 64 bits over all that is known of the file."""
    return sha256(dumped(file_entry(unit, artifact)).encode()).hexdigest()[:16]


def inventory_summary(files: Sequence[tuple[Unit, Artifact]], now: datetime) -> Entry:
    """Return the brief's summary of all files; its ranges are empty texts where there is no file.

    Args:
        files: The files on record, with their units.
        now: When the inventory is written (aware).
    """
    trade_dates = sorted({unit.trade_date for unit, _ in files})
    expirations = sorted({unit.expiration or unit.trade_date for unit, _ in files})
    return {
        "totalFiles": len(files),
        "totalSize": sum(artifact.bytes for _, artifact in files),
        "tradeDateRange": dict(zip(("start", "end"), _ends(trade_dates), strict=True)),
        "expirationRange": dict(zip(("earliest", "latest"), _ends(expirations), strict=True)),
        "lastUpdate": moment_text(now),
    }


def contracts_entry(contracts: ContractList, kind: str) -> Entry:
    """Return a contract list's document: the strikes of each expiration and right."""
    ordered = sorted(contracts.contracts, key=lambda contract: (contract.expiration, contract.right, contract.strike))
    return {
        "root": contracts.root,
        "tradeDate": contracts.trade_date.isoformat(),
        "kind": kind,
        "fetchedAt": moment_text(contracts.fetched_at),
        "contracts": [
            {"expiration": expiration.isoformat(), "right": right.value, "strikes": [one.strike for one in group]}
            for (expiration, right), group in groupby(ordered, key=lambda one: (one.expiration, one.right))
        ],
    }


def contracts_of(entry: Entry) -> ContractList:
    """Return the contract list of a document, sorted."""
    contracts = (
        Contract(date.fromisoformat(line["expiration"]), float(strike), Right(line["right"]))
        for line in entry["contracts"]
        for strike in line["strikes"]
    )
    return ContractList(
        root=entry["root"],
        trade_date=date.fromisoformat(entry["tradeDate"]),
        contracts=tuple(sorted(contracts)),
        fetched_at=moment_of(entry["fetchedAt"]),
    )


def _summary(statuses: Iterable[DayStatus]) -> Entry:
    """Return the sums over days; the time is what each took, added up."""
    known = tuple(statuses)
    took = (
        (status.ended_at - status.started_at) // _MILLISECOND
        for status in known
        if status.started_at is not None and status.ended_at is not None
    )
    return {
        "totalFiles": sum(status.files for status in known),
        "totalSize": sum(status.bytes for status in known),
        "totalRecords": sum(status.rows for status in known),
        "processingTimeMs": sum(max(spent, 0) for spent in took),  # a clock may have been set back
    }


def _hole_entry(hole: Hole) -> Entry:
    contract = hole.contract
    return _given(
        kind=hole.kind.value,
        expiration=contract and contract.expiration.isoformat(),
        strike=contract and contract.strike,
        right=contract and contract.right.value,
        firstMinute=hole.first,
        lastMinute=hole.last,
    )


def _hole_of(entry: Entry) -> Hole:
    contract = None
    if "expiration" in entry:
        contract = Contract(date.fromisoformat(entry["expiration"]), float(entry["strike"]), Right(entry["right"]))
    return Hole(HoleKind(entry["kind"]), contract, entry.get("firstMinute"), entry.get("lastMinute"))


def _given(**values: object) -> Entry:
    return {key: value for key, value in values.items() if value is not None}


def _pair(values: Sequence[Any] | None, read: Callable[[Any], _T]) -> tuple[_T, _T] | None:
    if values is None:
        return None
    low, high = values
    return read(low), read(high)


def _ends(days: Sequence[date]) -> tuple[str, str]:
    return (days[0].isoformat(), days[-1].isoformat()) if days else ("", "")


def _moment_text(moment: datetime | None) -> str | None:
    return None if moment is None else moment_text(moment)


def _moment_of(text: str | None) -> datetime | None:
    return None if text is None else moment_of(text)
