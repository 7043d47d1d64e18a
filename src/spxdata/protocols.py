"""The four edges as small protocols: Terminal, Storage, Catalog, Clock."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime, time
from typing import BinaryIO, Protocol

from spxdata.model import (
    Contract,
    ContractList,
    Day,
    DayStatus,
    Filed,
    Outcome,
    Provenance,
    Scope,
    Stored,
    Unit,
    Verdict,
)

#: Tells whether a unit's file may matter, by its least and greatest strike and its first and last time of the day.
MayMatter = Callable[[Unit, tuple[float, float] | None, tuple[time, time] | None], bool]


class Clock(Protocol):
    """Time, as everything that needs time gets it."""

    def now(self) -> datetime:
        """Return the current moment, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start, never going back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait so many seconds; less than nothing is no wait."""
        ...


class Reply(Protocol):
    """A data reply that has begun: its origin, and its body piece by piece."""

    @property
    def provenance(self) -> Provenance:
        """Where the rows come from; in how many requests, is known once all have come."""
        ...

    @property
    def requests(self) -> int:
        """How many requests were answered so far, pages among them."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it arrives, once: CSV in the columns and units of the Terminal's dialect.

        Raises:
            TransientError: The body ended before its framing said it would, or stalled, or was aborted.
            ValueError: The reply's context was left before all of the body had come.
        """
        ...


class Terminal(Protocol):
    """A Theta Terminal."""

    @property
    def dialect(self) -> str:
        """How it is spoken to: v2 or v3.

        Raises:
            TransientError: It must be found first, and is not there.
        """
        ...

    def status(self) -> str:
        """Return the Terminal's word on its own connection, such as CONNECTED."""
        ...

    def expirations(self, root: str) -> tuple[date, ...]:
        """Return all expirations of a root, of whatever day, each once and sorted.

        Some days of v3's list are nobody's expiration; the 0 that v2's may have is no day, and is left out.

        Raises:
            NoData: None is known.
        """
        ...

    def strikes(self, root: str, expiration: date) -> tuple[float, ...]:
        """Return the strikes of an expiration in dollars, of whatever day, each once and sorted.

        Raises:
            NoData: None is known.
        """
        ...

    def contracts(self, root: str, trade_date: date, kind: str) -> ContractList:
        """Return the contracts quoted or traded on a day, sorted.

        Args:
            root: Option root.
            trade_date: The day (New York).
            kind: quote or trade.

        Raises:
            NoData: None was.
            NotSubscribed: The account may not ask.
        """
        ...

    def abort(self) -> None:
        """End all replies that are being read and all that would be, once and for all; they raise a `TransientError`.

        Any thread may call it. Lists are small and may still come.
        """
        ...

    def fetch(self, unit: Unit) -> AbstractContextManager[Reply]:
        """Ask for a unit's rows; leaving the context ends the reply, read to its end or not.

        The order of contracts is the Terminal's own. With the reply ends what it takes of the account's limit of
        requests at a time, where there is one.

        Raises:
            Declined: There are none, or not yet.
            TerminalError: It could not or would not answer.
        """
        ...

    def single(self, unit: Unit, contract: Contract) -> AbstractContextManager[Reply]:
        """Ask for the rows of one contract of a unit and no others, in the columns of the unit; else like `fetch`.

        Raises:
            NoData: There are none.
            TooLarge: This Terminal does not give single contracts of the dataset.
            TerminalError: It could not or would not answer.
        """
        ...


class Pending(Protocol):
    """A file that is being written and has no final name yet."""

    def write(self, data: bytes) -> int:
        """Append bytes."""
        ...

    def commit(self) -> None:
        """Make the bytes durable under the final name, replacing what was there."""
        ...


class Storage(Protocol):
    """Bytes and names; knows no Parquet. Paths are relative, with forward slashes."""

    def create(self, path: str) -> AbstractContextManager[Pending]:
        """Begin a file; leaving the context without `commit` leaves nothing behind.

        Raises:
            StorageError: The disk is full or not writable.
        """
        ...

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading; seekable.

        Raises:
            FileNotFoundError: There is none.
        """
        ...

    def size(self, path: str) -> int | None:
        """Return a file's size in bytes, None if there is none."""
        ...

    def names(self, folder: str = "") -> tuple[str, ...]:
        """Return the paths of all files below a folder, sorted, without unfinished ones."""
        ...

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the paths of all files below a folder with their bytes, without unfinished ones and symbolic links."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file; it is no error if there is none."""
        ...

    def move(self, path: str, to: str) -> None:
        """Give a file another name, durably; a file that had it is replaced.

        Raises:
            FileNotFoundError: There is none.
            StorageError: The disk is full or not writable.
        """
        ...

    def unfinished(self) -> dict[str, int]:
        """Return what interrupted writers left unfinished, or others are writing right now: name to bytes, sorted."""
        ...

    def address(self, path: str) -> str:
        """Return where other programs find a file: what polars or DuckDB is told to read."""
        ...

    def free(self) -> int:
        """Return how many bytes are free where files lie."""
        ...

    def sweep(self) -> tuple[str, ...]:
        """Remove what interrupted writers left unfinished; return the names."""
        ...


class Catalog(Protocol):
    """The record of days, units, attempts, artifacts and contract lists.

    Every call is one transaction and may come from any thread. All moments are aware.
    """

    def lease(self, clock: Clock) -> AbstractContextManager[None]:
        """Hold the right to write this archive.

        Raises:
            ArchiveBusy: A living process holds it.
        """
        ...

    def beat(self, at: datetime) -> None:
        """Renew the lease."""
        ...

    def begin_day(self, day: Day, scope: Scope, at: datetime) -> None:
        """Note that a day's download begins."""
        ...

    def queue_days(self, days: Iterable[Day], scope: Scope, at: datetime) -> None:
        """Note that days are asked for whose turn has not come; days that are known keep their status."""
        ...

    def interrupt_day(self, day: Day, error: str | None, at: datetime) -> None:
        """Note that a day's download stopped early: failed if an error says why, else queued again."""
        ...

    def end_day(self, day: Day, verdict: Verdict | None, error: str | None, at: datetime) -> None:
        """Note how a day's download ended; sums and checksum are taken from its units."""
        ...

    def begin(self, unit: Unit, at: datetime) -> None:
        """Note that a unit is being downloaded."""
        ...

    def withdraw(self, unit: Unit) -> None:
        """Forget a unit's artifact, before its file is replaced."""
        ...

    def record(self, outcome: Outcome, at: datetime) -> None:
        """Note how a unit stands, with its artifact and holes.

        Raises:
            ValueError: It is stored without an artifact, or has one without being stored.
            StorageError: The artifact's path is another unit's.
        """
        ...

    def forget(self, unit: Unit) -> None:
        """Remove a unit that turned out not to be one; its history stays."""
        ...

    def outcome(self, unit: Unit) -> Outcome | None:
        """Return how a unit stands, None if it was never asked for."""
        ...

    def outcomes(self, day: Day) -> tuple[Outcome, ...]:
        """Return how all known units of a day stand, by expiration."""
        ...

    def days(self, start: date | None = None, end: date | None = None) -> tuple[DayStatus, ...]:
        """Return the known days between two trade dates, both included, sorted."""
        ...

    def blemished(self, start: date | None = None, end: date | None = None) -> tuple[Outcome, ...]:
        """Return how the units stand that are not simply there, between two trade dates, both included, sorted.

        Those are units that are not stored, not verified, or stored with holes, a reason, or a day to be asked again:
        few of many, so that a long range costs no look at each of its units.
        """
        ...

    def stored(
        self,
        dataset: str,
        interval: str,
        *,
        root: str | None = None,
        start: date | None = None,
        end: date | None = None,
        may_matter: MayMatter | None = None,
    ) -> Sequence[Stored]:
        """Return the files of a dataset at an interval, sorted by trade date, root and expiration.

        Of a hundred thousand files it costs little to have them: what is said of one is read when it is looked at.

        Args:
            dataset: Whose files.
            interval: At which interval.
            root: Of which root; None for all.
            start: First trade date; None for the first there is.
            end: Last trade date, included; None for the last there is.
            may_matter: Asked of each file; None for all files.
        """
        ...

    def filed(self, day: Day) -> tuple[Filed, ...]:
        """Return the files of a day, by expiration, the one without first."""
        ...

    def origins(self, start: date | None = None, end: date | None = None) -> Counter[tuple[str, str | None]]:
        """Return how many files between two trade dates, both included, are of each dialect and greeks version."""
        ...

    def refusals(self) -> tuple[Outcome, ...]:
        """Return each dataset's newest outcome that is still refused, sorted by dataset.

        The newest is the one recorded last; of the same moment, that of the later unit.
        """
        ...

    def keep_contracts(self, contracts: ContractList, kind: str) -> None:
        """Keep a day's contract list, replacing an older one."""
        ...

    def contracts(self, root: str, trade_date: date, kind: str) -> ContractList | None:
        """Return a day's contract list, None if it was never fetched."""
        ...

    def contracts_digest(self, root: str, trade_date: date, kind: str) -> str | None:
        """Return a digest of a day's contract list, None if it was never fetched.

        A list of the same contracts has the same one, whenever it was fetched; the list itself is not read for it.
        """
        ...

    def keep_documents(self, kind: str, documents: Mapping[str, str]) -> None:
        """Keep JSON documents about the archive, such as certificates, each replacing an older one of its key."""
        ...

    def documents(self, kind: str) -> dict[str, str]:
        """Return all documents of a kind by their keys."""
        ...

    def check(self) -> None:
        """Read all of the record.

        Raises:
            CatalogCorrupt: Some of it is damaged.
        """
        ...

    def drop_documents(self, kind: str, keys: Iterable[str]) -> None:
        """Remove documents; it is no error if there are none of these keys."""
        ...

    def close(self) -> None:
        """Release the catalog."""
        ...
