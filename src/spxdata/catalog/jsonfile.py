"""The catalog as the original brief's two JSON files, for tools and people that read those.

`status.json` says how trade dates and their expirations stand, `inventory.json` which files there are; both have the
brief's keys and, beside them, what else the model knows (see `spxdata.catalog.entries` and the schemas in
docs/schemas). Contract lists are files of their own, `.spxdata/contracts/<YYYYMMDD>_<root>_<kind>.json`. It keeps no
history of attempts: a run's log does.

A change rewrites what it changes, whole or not at all, through `Storage.create` and `commit`; a file whose content
stays the same is left alone. Two files cannot be replaced at once, so that a kill may leave one new and one old. What
makes that harmless:

1. **A unit has a file only if both say so.** Its entry in `status.json` carries a digest of its entry in
   `inventory.json`. Where they do not agree, the unit is loaded as one whose file was withdrawn, and the next change
   makes both files say so.
2. **The inventory is written first.** Killed between the two while a file is recorded, the unit stands as before the
   call, "downloading", and the next run finds the file in its place and adopts it. Killed while a file is withdrawn,
   it stands as after the call; its file is neither replaced nor removed before the call returns.

So neither the catalog nor the inventory read by itself ever names a file that is not there. Two calls that the
downloader has no use for are killed less neatly: when a file is recorded over one that was not withdrawn, and when a
unit that has a file is forgotten, the unit may be left pending. Every other change concerns `status.json` alone, so
that it happens whole or not at all.

Each writing of a file puts a new random revision into its first line. Every call compares these lines with those it
knows and reads the files again if they differ: one process sees what another wrote. A look that comes between the
two writes of a change sees that unit without its file, as after a kill.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Final
from uuid import uuid4

from spxdata.catalog import entries, rules
from spxdata.catalog.entries import Entry, dumped
from spxdata.catalog.holder import Hand
from spxdata.catalog.leasefile import FileLease
from spxdata.catalog.ledger import Ledger, LedgerCatalog
from spxdata.errors import CatalogCorrupt, NewerVersion, NotWritable, StorageError
from spxdata.layout import INVENTORY, PRIVATE, STATUS
from spxdata.model import Artifact, ContractList, Outcome, Unit
from spxdata.protocols import Clock, Storage

#: The version of both files and of contract lists; a newer one is refused.
VERSION: Final = 1

# How often to look for a moment at which the two files belong together; whatever is found then is safe all the same.
_LOOKS: Final = 20


class JsonCatalog(LedgerCatalog):
    """A `Catalog` in two JSON files.

    An attempt that ends without a file while an older one is on record leaves the unit stored with that file:
    see `spxdata.catalog.rules.settled`.

    Args:
        storage: The archive, where the files are read and written.
        directory: The archive's folder, where its lease lies.
        clock: What time it is when a file is written; the system's when left out.
        read_only: Never create or change anything; for looking on while another process writes.

    Raises:
        CatalogCorrupt: A file is none of ours, or damaged.
        NewerVersion: A newer program wrote a file.
        StorageError: A file cannot be read, or with read_only there is none.
    """

    def __init__(
        self, storage: Storage, directory: Path, clock: Clock | None = None, *, read_only: bool = False
    ) -> None:
        self._storage = storage
        self._directory = directory.absolute()
        self._clock = clock
        self._read_only = read_only
        self._lock = Lock()
        self._hand: Hand[FileLease] = Hand()
        self._book: _Book | None = None
        with self._reading():
            pass  # what is wrong with the files is said at once

    @contextmanager
    def lease(self, clock: Clock) -> Iterator[None]:
        """Hold the right to write this archive.

        Raises:
            ArchiveBusy: A living process holds it, be it this one.
            StorageError: The lease cannot be written.
        """
        self._require_writable()
        with self._hand.holding(lambda: FileLease(self._directory, clock.now())):
            yield

    def beat(self, at: datetime) -> None:
        """Renew the lease.

        Raises:
            ArchiveBusy: It is not held, or not any more.
        """
        self._hand.beat(at)

    def keep_contracts(self, contracts: ContractList, kind: str) -> None:
        """Keep a day's contract list, replacing an older one."""
        self._require_writable()
        path = _contracts_path(contracts.root, contracts.trade_date, kind)
        text = dumped({"version": str(VERSION), **entries.contracts_entry(contracts, kind)}).encode() + b"\n"
        with self._lock:
            if self._read(path) != text:
                self._write(path, text)

    def contracts(self, root: str, trade_date: date, kind: str) -> ContractList | None:
        """Return a day's contract list, None if it was never fetched.

        Raises:
            CatalogCorrupt: Its file is none of ours, or damaged.
        """
        path = _contracts_path(root, trade_date, kind)
        text = self._read(path)
        if text is None:
            return None
        document = self._document(path, text)
        with self._understanding(path):
            return entries.contracts_of(document)

    def contracts_digest(self, root: str, trade_date: date, kind: str) -> str | None:
        """Return a digest of a day's contract list, None if it was never fetched; its file is not parsed."""
        text = self._read(_contracts_path(root, trade_date, kind))
        return None if text is None else sha256(text.partition(_CONTRACTS_KEY)[2]).hexdigest()

    def keep_documents(self, kind: str, documents: Mapping[str, str]) -> None:
        """Keep JSON documents about the archive, each replacing an older one of its key."""
        self._require_writable()
        with self._lock:
            self._put_documents(kind, {**self._documents(kind), **documents})

    def documents(self, kind: str) -> dict[str, str]:
        """Return all documents of a kind by their keys.

        Raises:
            CatalogCorrupt: Their file is none of ours, or damaged.
        """
        with self._lock:
            return self._documents(kind)

    def drop_documents(self, kind: str, keys: Iterable[str]) -> None:
        """Remove documents; it is no error if there are none of these keys."""
        self._require_writable()
        dropped = set(keys)
        with self._lock:
            kept = self._documents(kind)
            if dropped & kept.keys():
                self._put_documents(kind, {key: text for key, text in kept.items() if key not in dropped})

    def _put_documents(self, kind: str, kept: Mapping[str, str]) -> None:
        found = {key: json.loads(kept[key]) for key in sorted(kept)}
        text = dumped({"version": str(VERSION), "kind": kind, "documents": found}).encode() + b"\n"
        if self._read(_documents_path(kind)) != text:
            self._write(_documents_path(kind), text)

    def _documents(self, kind: str) -> dict[str, str]:
        path = _documents_path(kind)
        text = self._read(path)
        if text is None:
            return {}
        document = self._document(path, text)
        with self._understanding(path):
            return _documents_of(document)

    def check(self) -> None:
        """Read all files of the record.

        Raises:
            CatalogCorrupt: One is none of ours, or damaged.
        """
        with self._lock:
            self._book = None
            self._current()
            for path in filter(_KEPT.fullmatch, self._storage.names(PRIVATE)):
                document = self._document(path, self._read(path) or b"")
                with self._understanding(path):
                    (entries.contracts_of if path.startswith(_CONTRACTS) else _documents_of)(document)

    def close(self) -> None:
        """Do nothing: no file stays open."""

    @contextmanager
    def _reading(self) -> Iterator[Ledger]:
        with self._lock:
            yield self._current().ledger

    @contextmanager
    def _changing(self, *trade_dates: date) -> Iterator[Ledger]:
        self._require_writable()
        with self._lock:
            book = self._current()
            try:
                yield book.ledger
                self._save(book, trade_dates)
            except BaseException:
                self._book = None  # whatever of it came to lie on the disk: the next call reads that
                raise

    def _current(self) -> "_Book":
        """Return what the files say now."""
        book = self._book
        if book is None or (book.status.head, book.inventory.head) != (self._head(STATUS), self._head(INVENTORY)):
            book = self._book = self._load()
        return book

    def _load(self) -> "_Book":
        for _ in range(_LOOKS):
            status, inventory = self._read(STATUS), self._read(INVENTORY)
            if self._head(STATUS) == _head_of(status):
                break
        if status is None and inventory is None and self._read_only:
            raise StorageError(
                f"there is no catalog at {self._directory / STATUS}.",
                hint="Nothing was downloaded into this archive yet. Name another one with --data-dir.",
            )
        files: dict[Unit, Artifact] = {}
        if inventory is not None:
            document = self._document(INVENTORY, inventory)
            with self._understanding(INVENTORY):
                files = _files_of(document)
        ledger = Ledger()
        if status is not None:
            document = self._document(STATUS, status)
            with self._understanding(STATUS):
                _restore(ledger, document, files)
        return _Book(ledger, _Page(_head_of(status), _body_of(status)), _Page(_head_of(inventory), _body_of(inventory)))

    def _save(self, book: "_Book", trade_dates: Iterable[date]) -> None:
        """Write what has changed, the inventory first."""
        for trade_date in trade_dates:
            book.texts.pop(trade_date, None)
        now = self._clock.now() if self._clock else datetime.now(UTC)
        updated = f'"lastUpdated":{dumped(entries.moment_text(now))},'
        body = book.inventory_body(str(self._directory))
        if body != book.inventory.body:
            summary = dumped(entries.inventory_summary(tuple(book.files()), now))
            book.inventory = self._write_page(INVENTORY, f'{updated}"summary":{summary},', body)
        body = book.status_body()
        if body != book.status.body:
            book.status = self._write_page(STATUS, updated, body)

    def _write_page(self, path: str, second_line: str, body: bytes) -> "_Page":
        first_line = f'{{"version":"{VERSION}","revision":"{uuid4().hex}",\n'.encode()
        text = first_line + second_line.encode() + b"\n" + body
        self._write(path, text)
        return _Page(_head_of(text), body)

    def _write(self, path: str, text: bytes) -> None:
        with self._storage.create(path) as pending:
            pending.write(text)
            pending.commit()

    def _read(self, path: str, most: int = -1) -> bytes | None:
        """Return a file's bytes, or its first ones; None if there is none."""
        try:
            with self._storage.open(path) as file:
                return file.read(most)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"{self._directory / path} cannot be read ({error.strerror or error})") from error

    def _head(self, path: str) -> bytes | None:
        return self._read(path, _HEAD)

    def _document(self, path: str, text: bytes) -> Entry:
        """Return a file's JSON object.

        Raises:
            CatalogCorrupt: It is none of ours, or damaged.
            NewerVersion: A newer version wrote it.
        """
        with self._understanding(path):
            document: Entry = json.loads(text)
            version = int(document["version"])
        if version > VERSION:
            raise NewerVersion(f"{self._directory / path} has version {version}, this spxdata knows {VERSION} at most.")
        return document

    @contextmanager
    def _understanding(self, path: str) -> Iterator[None]:
        """Turn what reading a file that is not as we write it runs into, into an error that names it."""
        try:
            yield
        except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            raise CatalogCorrupt(
                f"{self._directory / path} is no file of the catalog, or damaged ({type(error).__name__}: {error})"
            ) from error

    def _require_writable(self) -> None:
        if self._read_only:
            raise NotWritable(f"the catalog of {self._directory} was opened for looking on only")
        if self._hand.lease is not None:  # which another may have taken over since the last heartbeat
            self._hand.lease.require()


@dataclass(frozen=True, slots=True)
class _Page:
    """A file as it lies on the disk: where its revision stands, and what comes after the first two lines."""

    head: bytes | None
    body: bytes | None


@dataclass(slots=True)
class _Book:
    """What both files say, and the text of each trade date in them."""

    ledger: Ledger
    status: _Page
    inventory: _Page
    texts: dict[date, tuple[str, str]] = field(default_factory=dict)

    def files(self) -> Iterator[tuple[Unit, Artifact]]:
        """Yield the files on record."""
        return ((one.unit, one.artifact) for one in self.ledger.files() if one.artifact is not None)

    def status_body(self) -> bytes:
        """Return the text of `status.json` after its first two lines: a line for each expiration and day."""
        dates = ",\n".join(f"{dumped(day.isoformat())}:{self._texts(day)[0]}" for day in self.ledger.trade_dates())
        return f'"downloads":{{\n{dates}\n}}\n}}\n'.encode()

    def inventory_body(self, directory: str) -> bytes:
        """Return the text of `inventory.json` after its first two lines: a line for each file."""
        dates = (self._texts(day)[1] for day in self.ledger.trade_dates())
        files = ",\n".join(text for text in dates if text)
        return f'"dataDirectory":{dumped(directory)},\n"files":[\n{files}\n]\n}}\n'.encode()

    def _texts(self, trade_date: date) -> tuple[str, str]:
        """Return what both files say of a trade date; worked out once, until it changes."""
        if trade_date not in self.texts:
            statuses = self.ledger.days(trade_date, trade_date)
            outcomes = [outcome for status in statuses for outcome in self.ledger.outcomes(status.day)]
            units = [entries.unit_entry(outcome, self.ledger.recorded_at(outcome.unit)) for outcome in outcomes]
            date_text = dumped(entries.date_entry(statuses)).removesuffix("}")
            days = [entries.day_entry(status) for status in statuses]
            files = [entries.file_entry(one.unit, one.artifact) for one in outcomes if one.artifact is not None]
            status = f'{date_text},\n"expirations":{_lines(units)},\n"days":{_lines(days)}}}'
            self.texts[trade_date] = status, ",\n".join(map(dumped, files))
        return self.texts[trade_date]


def _files_of(document: Entry) -> dict[Unit, Artifact]:
    """Return the files of an inventory by unit."""
    found = [entries.file_of(entry) for entry in document["files"]]
    if len({artifact.path for _, artifact in found}) != len(found):
        raise ValueError("a file is there twice")
    return dict(found)


def _restore(ledger: Ledger, document: Entry, files: dict[Unit, Artifact]) -> None:
    """Enter the days and units of a status; a unit has its file only if the inventory has the same."""
    statuses, outcomes = [], []
    for name, entry in document["downloads"].items():
        trade_date = date.fromisoformat(name)
        statuses += [entries.day_of(trade_date, day) for day in entry["days"]]
        for unit in entry["expirations"]:
            outcome, recorded_at, digest = entries.unit_of(trade_date, unit)
            if digest is not None:
                outcome = _with_file(outcome, digest, files.get(outcome.unit))
            outcomes.append((outcome, recorded_at))
    ledger.restore(statuses, outcomes)


def _with_file(outcome: Outcome, digest: str, file: Artifact | None) -> Outcome:
    if file is not None and entries.file_digest(outcome.unit, file) == digest:
        return replace(outcome, artifact=file)
    return rules.bare(outcome.unit, outcome.state)


def _documents_of(document: Entry) -> dict[str, str]:
    return {key: dumped(value) for key, value in document["documents"].items()}


_CONTRACTS: Final = f"{PRIVATE}/contracts/"
# Names of contract lists and documents; a lease is neither.
_KEPT: Final = re.compile(rf"{re.escape(_CONTRACTS)}[^/]+\.json|{re.escape(PRIVATE)}/(?!lease\.)\w+\.json")


# What stands before the contracts in a list's file; after it nothing else comes.
_CONTRACTS_KEY: Final = b'"contracts":'


def _documents_path(kind: str) -> str:
    return f"{PRIVATE}/{kind}.json"


def _contracts_path(root: str, trade_date: date, kind: str) -> str:
    return f"{_CONTRACTS}{trade_date:%Y%m%d}_{root}_{kind}.json"


# Bytes of a file that tell whether it is the one we know: its first line, with its revision.
_HEAD: Final = 64


def _head_of(text: bytes | None) -> bytes | None:
    return None if text is None else text[:_HEAD]


def _body_of(text: bytes | None) -> bytes | None:
    """Return a text after its first two lines; None if it has no more than those, and so is not as we write it."""
    lines = (text or b"").split(b"\n", 2)
    return lines[2] if len(lines) > 2 else None


def _lines(items: Iterable[Entry]) -> str:
    return "[\n" + ",\n".join(map(dumped, items)) + "\n]"
