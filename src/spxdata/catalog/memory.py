"""The catalog in memory: for tests, dry runs and anything that needs no record afterwards."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import date, datetime
from hashlib import sha256
from threading import Lock

from spxdata.catalog import rules
from spxdata.catalog.holder import Hand
from spxdata.catalog.ledger import Ledger, LedgerCatalog
from spxdata.errors import ArchiveBusy
from spxdata.model import ContractList
from spxdata.protocols import Clock


class MemoryCatalog(LedgerCatalog):
    """A `Catalog` that ends with its process, and is its own archive's only one. It keeps no history of attempts."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._ledger = Ledger()
        self._contracts: dict[tuple[str, date, str], ContractList] = {}
        self._documents: dict[str, dict[str, str]] = {}
        self._right = Lock()
        self._hand: Hand[_Lease] = Hand()

    def lease(self, clock: Clock) -> AbstractContextManager[None]:  # noqa: ARG002 - no holder ever grows stale here
        """Hold the right to write this archive.

        Raises:
            ArchiveBusy: Somebody in this process holds it.
        """
        return self._hand.holding(lambda: _Lease(self._right))

    def beat(self, at: datetime) -> None:
        """Renew the lease.

        Raises:
            ArchiveBusy: It is not held.
        """
        self._hand.beat(at)

    def keep_contracts(self, contracts: ContractList, kind: str) -> None:
        """Keep a day's contract list, replacing an older one."""
        kept = replace(
            contracts, contracts=tuple(sorted(contracts.contracts)), fetched_at=rules.in_utc(contracts.fetched_at)
        )
        with self._lock:
            self._contracts[contracts.root, contracts.trade_date, kind] = kept

    def contracts(self, root: str, trade_date: date, kind: str) -> ContractList | None:
        """Return a day's contract list, None if it was never fetched."""
        with self._lock:
            return self._contracts.get((root, trade_date, kind))

    def contracts_digest(self, root: str, trade_date: date, kind: str) -> str | None:
        """Return a digest of a day's contract list, None if it was never fetched."""
        kept = self.contracts(root, trade_date, kind)
        return None if kept is None else sha256(repr(kept.contracts).encode()).hexdigest()

    def keep_documents(self, kind: str, documents: Mapping[str, str]) -> None:
        """Keep JSON documents about the archive, each replacing an older one of its key."""
        with self._lock:
            self._documents.setdefault(kind, {}).update(documents)

    def documents(self, kind: str) -> dict[str, str]:
        """Return all documents of a kind by their keys."""
        with self._lock:
            return dict(sorted(self._documents.get(kind, {}).items()))

    def check(self) -> None:
        """Do nothing: what this process holds in memory is what it put there."""

    def drop_documents(self, kind: str, keys: Iterable[str]) -> None:
        """Remove documents; it is no error if there are none of these keys."""
        with self._lock:
            for key in keys:
                self._documents.get(kind, {}).pop(key, None)

    @contextmanager
    def _reading(self) -> Iterator[Ledger]:
        with self._lock:
            yield self._ledger

    @contextmanager
    def _changing(self, *trade_dates: date) -> Iterator[Ledger]:  # noqa: ARG002 - all of it is kept anyway
        with self._lock:
            yield self._ledger

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


class _Lease:
    """The right to write, held within one process."""

    def __init__(self, right: Lock) -> None:
        if not right.acquire(blocking=False):
            raise ArchiveBusy("This process writes the archive already.")
        self._right = right

    def beat(self, at: datetime) -> None:
        """Do nothing: nobody can doubt that this process lives."""

    def release(self) -> None:
        """Give the lease back."""
        self._right.release()
