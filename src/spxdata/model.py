"""The words of the product as small frozen values: unit, contract, artifact, hole, outcome, verdict."""

import re
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from enum import StrEnum
from typing import NamedTuple

from spxdata.errors import ConfigError


class Right(StrEnum):
    """Call or put, spelled as v3 spells it."""

    CALL = "CALL"
    PUT = "PUT"


class Contract(NamedTuple):
    """One listed option of a root and day: expiration, strike in dollars, right."""

    expiration: date
    strike: float
    right: Right

    def __str__(self) -> str:
        return f"{self.expiration} {self.strike:g} {self.right}"


@dataclass(frozen=True, slots=True)
class ContractList:
    """The contracts that the Terminal lists for a root on a trade date: what completeness is measured against.

    Attributes:
        root: Option root.
        trade_date: The day asked about.
        contracts: What was listed, sorted.
        fetched_at: When it was asked for (aware).
    """

    root: str
    trade_date: date
    contracts: tuple[Contract, ...]
    fetched_at: datetime

    def expirations(self) -> tuple[date, ...]:
        """Return the listed expirations, nearest first."""
        return tuple(sorted({contract.expiration for contract in self.contracts}))

    def of(self, expiration: date | None) -> frozenset[Contract]:
        """Return the contracts of one expiration, or all for None."""
        return frozenset(
            contract for contract in self.contracts if expiration is None or contract.expiration == expiration
        )

    def joined(self, newer: "ContractList") -> "ContractList":
        """Return a list of what this one or a newer one has."""
        return replace(newer, contracts=tuple(sorted({*self.contracts, *newer.contracts})))


@dataclass(frozen=True, slots=True)
class Unit:
    """What is fetched, validated, committed and resumed as one.

    Attributes:
        trade_date: New York trading day.
        root: Option root, such as SPXW.
        dataset: Name of an entry of `spxdata.schema.DATASETS`.
        interval: The vendor's interval, such as 1m.
        expiration: Expiration date; None for day-wide datasets and for a day without any contract.
    """

    trade_date: date
    root: str
    dataset: str
    interval: str
    expiration: date | None

    def __str__(self) -> str:
        expires = f" exp {self.expiration}" if self.expiration else ""
        return f"{self.trade_date} {self.root} {self.dataset} {self.interval}{expires}"

    @property
    def day(self) -> "Day":
        """The (trade date, root, dataset, interval) this unit belongs to."""
        return Day(self.trade_date, self.root, self.dataset, self.interval)


class Day(NamedTuple):
    """What a verdict is given on: (trade date, root, dataset, interval)."""

    trade_date: date
    root: str
    dataset: str
    interval: str

    def unit(self, expiration: date | None) -> Unit:
        """Return this day's unit of one expiration."""
        return Unit(self.trade_date, self.root, self.dataset, self.interval, expiration)


@dataclass(frozen=True, slots=True)
class Scope:
    """What was asked for of a day, and so what its verdict speaks of.

    Attributes:
        max_dte: Calendar days to expiration, both ends included.
        expirations: The only expirations wanted; empty means all within max_dte.
    """

    max_dte: int
    expirations: tuple[date, ...] = ()

    def covers(self, trade_date: date, expiration: date) -> bool:
        """Tell whether an expiration is within the scope on a trade date."""
        if self.expirations:
            return expiration in self.expirations
        return 0 <= (expiration - trade_date).days <= self.max_dte

    def within(self, other: "Scope", trade_date: date) -> bool:
        """Tell whether another scope speaks of all that this one speaks of, on a trade date."""
        if self.expirations:
            return all(other.covers(trade_date, expiration) for expiration in self.expirations)
        return not other.expirations and self.max_dte <= other.max_dte


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where an artifact's rows come from.

    Attributes:
        request: Path and query of the first request, without host; if there were more, how many and what they were
            split by follows in words, such as "… (split by contract, 312 requests)".
        dialect: v2 or v3.
        greeks_version: The vendor's greeks version; None for datasets without greeks.
        rate_type: The vendor's interest rate; None for datasets without greeks.
        fetched_at: When the reply began (aware).
        spxdata_version: The version of this product that wrote the file.
    """

    request: str
    dialect: str
    greeks_version: str | None
    rate_type: str | None
    fetched_at: datetime
    spxdata_version: str


@dataclass(frozen=True, slots=True)
class Artifact:
    """A committed file.

    Attributes:
        path: Path below the archive, with forward slashes.
        rows: Number of rows.
        bytes: Size of the file.
        sha256: Digest of the file's bytes, hexadecimal.
        content_hash: Digest of the vendor's values (see `spxdata.pipeline.content`), independent of encoding.
        schema_version: Version of the dataset's columns.
        format: parquet or csv.
        compression: Codec inside the file; none in CSV.
        created_at: When it was written (aware).
        provenance: Where its rows come from.
        strikes: Its least and its greatest strike, in dollars; None where nobody noted them, or rows have none.
        times: Its first and its last time of the day, New York; None likewise, and where rows are of several days.
    """

    path: str
    rows: int
    bytes: int
    sha256: str
    content_hash: str
    schema_version: int
    format: str
    compression: str
    created_at: datetime
    provenance: Provenance
    strikes: tuple[float, float] | None = None
    times: tuple[time, time] | None = None


class Stored(NamedTuple):
    """A unit's file, and whose rows it holds."""

    unit: Unit
    artifact: Artifact


class Filed(NamedTuple):
    """What planning needs to know of a unit's file: its expiration, its path, and how many bytes it has."""

    expiration: date | None
    path: str
    bytes: int


class HoleKind(StrEnum):
    """How much is missing: of the whole unit, of a contract, or too little to matter."""

    OUTAGE = "outage"
    GAP = "gap"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Hole:
    """What was expected and is not there.

    Attributes:
        kind: outage, gap or note.
        contract: The contract it is missing in; None when it is missing in all of the unit.
        first: First missing minute of the day (New York); None when the whole contract is missing.
        last: Last missing minute of the day, inclusive; None as above.
    """

    kind: HoleKind
    contract: Contract | None
    first: int | None
    last: int | None

    @property
    def partial(self) -> bool:
        """Whether this hole makes its day partial."""
        return self.kind is not HoleKind.NOTE


class Verdict(StrEnum):
    """How a day stands, relative to the scope asked for."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    ABSENT = "absent"
    CLOSED = "closed"
    NOT_PUBLISHED = "not_published"
    UNVERIFIED = "unverified"


class State(StrEnum):
    """The name of an outcome, as the catalog keeps it."""

    STORED = "stored"
    EMPTY = "empty"
    NOT_PUBLISHED = "not_published"
    REFUSED = "refused"
    FAILED = "failed"
    PENDING = "pending"
    DOWNLOADING = "downloading"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a unit stands.

    Attributes:
        unit: The unit.
        state: Its state.
        artifact: The committed file, of a stored unit.
        holes: What the file lacks and makes its day partial: outages and gaps.
        notes: Number of lesser holes; they can be found again in the file.
        reason: The Terminal's own words, or the error's message.
        code: The error's code, of a failed or refused unit.
        ask_again: The day from which asking again makes sense; None for never by itself.
        attempts: Number of tries it took.
        verified: Whether there was a contract list to compare with.
    """

    unit: Unit
    state: State
    artifact: Artifact | None = None
    holes: tuple[Hole, ...] = ()
    notes: int = 0
    reason: str | None = None
    code: str | None = None
    ask_again: date | None = None
    attempts: int = 1
    verified: bool = True

    @property
    def partial(self) -> bool:
        """Whether the file that was stored lacks something that matters."""
        return any(hole.partial for hole in self.holes)


@dataclass(frozen=True, slots=True)
class DayStatus:
    """A day's line in the catalog: what was asked for, when, and how it stands.

    Attributes:
        day: The (trade date, root, dataset, interval).
        status: queued, in-progress, success or failed (the brief's words).
        verdict: See `Verdict`; None while it is not known.
        scope: What the verdict speaks of.
        started_at: When the day's download began (aware).
        ended_at: When it ended (aware).
        error: The first failed unit's message.
        attempts: Attempts over all units.
        files: Stored files.
        bytes: Their size.
        rows: Their rows.
        checksum: SHA-256 over the sorted lines "path sha256" of the day's files.
        downloaded_at: When the newest file was written (aware).
    """

    day: Day
    status: str
    verdict: Verdict | None
    scope: Scope
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: str | None = None
    attempts: int = 0
    files: int = 0
    bytes: int = 0
    rows: int = 0
    checksum: str | None = None
    downloaded_at: datetime | None = field(default=None)


_DAY = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")
_ROOT = re.compile(r"[A-Z][A-Z0-9.]{0,9}")


def parse_day(text: str, key: str = "date", origin: str = "command line") -> date:
    """Read a day written as 2024-01-16 or 20240116.

    Args:
        text: What was written.
        key: Which option or setting it is, for the message.
        origin: Where it came from, for the message.

    Raises:
        ConfigError: It is no such day.
    """
    match = _DAY.fullmatch(text.strip())
    try:
        if match:
            return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        pass  # a day like 2024-02-31: reported below like any other misspelling
    raise ConfigError(f"{key}: {text!r} (from {origin}) is not a day.", hint="Write it as 2024-01-16 or 20240116.")


def parse_root(text: str, key: str = "root", origin: str = "command line") -> str:
    """Read an option root such as SPXW; case does not matter.

    Raises:
        ConfigError: It cannot be a root.
    """
    root = text.strip().upper()
    if not _ROOT.fullmatch(root):
        raise ConfigError(f"{key}: {text!r} (from {origin}) is not an option root.", hint="Write it as SPXW or SPX.")
    return root
