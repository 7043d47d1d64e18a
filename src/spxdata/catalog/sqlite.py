"""The catalog as one SQLite database: every call is one transaction, readable while another process writes."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, overload

from spxdata.catalog import rows, rules
from spxdata.catalog.connection import PATIENCE, Connection
from spxdata.catalog.holder import Hand
from spxdata.catalog.lease import Lease
from spxdata.catalog.migrations import migrate, require_current
from spxdata.errors import CatalogCorrupt
from spxdata.model import ContractList, Day, DayStatus, Filed, Hole, Outcome, Scope, Stored, Unit, Verdict
from spxdata.protocols import Clock, MayMatter


class SqliteCatalog:
    """A `Catalog` in one file.

    An attempt that ends without a file while an older one is on record leaves the unit stored with that file:
    see `spxdata.catalog.rules.settled`. Every recorded outcome stays in the table `attempts`.

    Args:
        path: The database file; its folder is created if need be.
        read_only: Never create or change anything; for looking on while another process writes.
        patience: Seconds to wait for another process's transaction.

    Raises:
        CatalogCorrupt: The file is no catalog.
        StorageError: It cannot be opened, a newer version wrote it, or with read_only there is none.
    """

    def __init__(self, path: Path, *, read_only: bool = False, patience: float = PATIENCE) -> None:
        self._connection = Connection(path, read_only=read_only, patience=patience)
        self._hand: Hand[Lease] = Hand()
        try:
            if read_only:
                require_current(self._connection)
            else:
                migrate(self._connection)
        except BaseException:
            self._connection.close()
            raise

    def lease(self, clock: Clock) -> AbstractContextManager[None]:
        """Hold the right to write this archive.

        Raises:
            ArchiveBusy: A living process holds it, be it this one.
        """
        return self._hand.holding(lambda: Lease(self._connection, clock.now()))

    def beat(self, at: datetime) -> None:
        """Renew the lease.

        Raises:
            ArchiveBusy: It is not held, or not any more.
        """
        self._hand.beat(at)

    def begin_day(self, day: Day, scope: Scope, at: datetime) -> None:
        """Note that a day's download begins; its verdict is open from now on."""
        with self._write() as catalog:
            _know_day(catalog, day, at)
            values = {**rows.day_key(day), **rows.scope_values(scope), "at": rows.micros(at)}
            catalog.execute(_BEGIN_DAY, values)

    def queue_days(self, days: Iterable[Day], scope: Scope, at: datetime) -> None:
        """Note that days are asked for whose turn has not come; days that are known stay as they are."""
        with self._write() as catalog:
            for day in days:
                _know_day(catalog, day, at, scope)

    def interrupt_day(self, day: Day, error: str | None, at: datetime) -> None:
        """Note that a day's download stopped early: failed if an error says why, else queued again."""
        self._end_day(day, rules.stopped_word(error), None, error, at)

    def end_day(self, day: Day, verdict: Verdict | None, error: str | None, at: datetime) -> None:
        """Note how a day's download ended."""
        self._end_day(day, rules.day_word(verdict, error), verdict, error, at)

    def begin(self, unit: Unit, at: datetime) -> None:
        """Note that a unit is being downloaded; a file on record stays there."""
        with self._write() as catalog:
            _know_day(catalog, unit.day, at)
            unit_id = _put(catalog, rules.begun(unit, _get(catalog, unit)))
            catalog.execute("UPDATE expiration_status SET started_us = ? WHERE id = ?", (rows.micros(at), unit_id))

    def withdraw(self, unit: Unit) -> None:
        """Forget a unit's file and holes; it is no error if there is none."""
        with self._write() as catalog:
            known = _get(catalog, unit)
            if known is not None:
                _put(catalog, rules.withdrawn(known))

    def record(self, outcome: Outcome, at: datetime) -> None:
        """Note how a unit stands, with its file and holes, and keep the attempt as history."""
        with self._write() as catalog:
            _know_day(catalog, outcome.unit.day, at)
            _put(catalog, rules.settled(_get(catalog, outcome.unit), outcome))
            catalog.execute(_PUT_ATTEMPT, {**rows.outcome_values(outcome), "at": rows.micros(at)})

    def forget(self, unit: Unit) -> None:
        """Remove a unit that turned out not to be one; its history stays."""
        with self._write() as catalog:
            found = catalog.execute(_GET_UNITS, {**rows.unit_key(unit), "every": False}).fetchone()
            if found is not None:
                _clear(catalog, found["id"])
                catalog.execute("DELETE FROM expiration_status WHERE id = ?", (found["id"],))
                _sum_up(catalog, unit.day)

    def outcome(self, unit: Unit) -> Outcome | None:
        """Return how a unit stands, None if it was never asked for."""
        with self._connection.read() as catalog:
            return _get(catalog, unit)

    def outcomes(self, day: Day) -> tuple[Outcome, ...]:
        """Return how all known units of a day stand, by expiration, the one without first."""
        with self._connection.read() as catalog:
            return _outcomes(catalog, _GET_UNITS, {**rows.day_key(day), "every": True, "expiration_date": None})

    def days(self, start: date | None = None, end: date | None = None) -> tuple[DayStatus, ...]:
        """Return the known days between two trade dates, both included, sorted."""
        with self._connection.read() as catalog, _decoded():
            return tuple(map(rows.status_of, catalog.execute(_DAYS, _range(start, end))))

    def blemished(self, start: date | None = None, end: date | None = None) -> tuple[Outcome, ...]:
        """Return how the units stand that are not simply there, between two trade dates, both included, sorted."""
        with self._connection.read() as catalog:
            return _outcomes(catalog, _GET_BLEMISHED, _range(start, end))

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
        """Return the files of a dataset at an interval, sorted by trade date, root and expiration."""
        values = {**_range(start, end), "root": root, "dataset": dataset, "interval": interval}
        with self._connection.read() as catalog:
            lines = map(tuple, catalog.execute(_GET_STORED, values))
            if may_matter is None:
                return Files(tuple(lines))
            return Files(tuple(line for line, said in _sketched(lines) if may_matter(*said)))

    def filed(self, day: Day) -> tuple[Filed, ...]:
        """Return the files of a day, by expiration, the one without first."""
        with self._connection.read() as catalog, _decoded():
            return tuple(
                Filed(None if expiration is None else date.fromisoformat(expiration), path, size)
                for expiration, path, size in catalog.execute(_GET_FILED, rows.day_key(day))
            )

    def origins(self, start: date | None = None, end: date | None = None) -> Counter[tuple[str, str | None]]:
        """Return how many files between two trade dates, both included, are of each dialect and greeks version."""
        with self._connection.read() as catalog:
            counted = catalog.execute(_COUNT_ORIGINS, _range(start, end))
            return Counter({(dialect, version): files for dialect, version, files in counted})

    def refusals(self) -> tuple[Outcome, ...]:
        """Return each dataset's newest outcome that is still refused, sorted by dataset."""
        with self._connection.read() as catalog:
            refused = [
                (rows.moment(unit["recorded_us"]), rows.outcome_of(unit, _holes(catalog, unit["id"])))
                for unit in catalog.execute(_GET_REFUSED)
            ]
        return rules.refusals(refused)

    def keep_contracts(self, contracts: ContractList, kind: str) -> None:
        """Keep a day's contract list, replacing an older one."""
        lines = tuple(rows.strikes_values(contracts))
        values = {
            **_list_key(contracts.root, contracts.trade_date, kind),
            "fetched_us": rows.micros(contracts.fetched_at),
            "digest": rows.lines_digest(lines),
        }
        with self._write() as catalog:
            (list_id,) = catalog.execute(_PUT_LIST, values).fetchone()
            catalog.execute("DELETE FROM contract_strikes WHERE list_id = ?", (list_id,))
            catalog.executemany(_PUT_STRIKES, [{**line, "list_id": list_id} for line in lines])

    def contracts(self, root: str, trade_date: date, kind: str) -> ContractList | None:
        """Return a day's contract list, None if it was never fetched."""
        with self._connection.read() as catalog:
            found = catalog.execute(_GET_LIST, _list_key(root, trade_date, kind)).fetchone()
            if found is None:
                return None
            lines = catalog.execute(_GET_STRIKES, (found["id"],))
            with _decoded():
                return ContractList(root, trade_date, rows.contracts_of(lines), rows.moment(found["fetched_us"]))

    def contracts_digest(self, root: str, trade_date: date, kind: str) -> str | None:
        """Return a digest of a day's contract list, None if it was never fetched."""
        with self._connection.read() as catalog:
            found = catalog.execute(_GET_LIST, _list_key(root, trade_date, kind)).fetchone()
            if found is None:
                return None
            if found["digest"] is not None:
                return str(found["digest"])
            return rows.lines_digest(catalog.execute(_GET_STRIKES, (found["id"],)))  # of a list kept before digests

    def keep_documents(self, kind: str, documents: Mapping[str, str]) -> None:
        """Keep JSON documents about the archive, each replacing an older one of its key."""
        values = [{"kind": kind, "key": key, "document": text} for key, text in documents.items()]
        with self._write() as catalog:
            catalog.executemany(_PUT_DOCUMENT, values)

    def documents(self, kind: str) -> dict[str, str]:
        """Return all documents of a kind by their keys."""
        with self._connection.read() as catalog:
            found = catalog.execute("SELECT key, document FROM documents WHERE kind = ? ORDER BY key", (kind,))
            return {row["key"]: row["document"] for row in found}

    def check(self) -> None:
        """Read all of the record: SQLite's own pages, and what is written in them.

        Raises:
            CatalogCorrupt: Some of it is damaged.
        """
        path = self._connection.path
        with self._connection.read() as catalog:
            (said,) = catalog.execute("PRAGMA integrity_check(1)").fetchone()
        if said != "ok":
            raise CatalogCorrupt(f"the catalog is damaged: {path} ({said})")
        for status in self.days():  # damage within a cell is seen by no SQLite
            self.outcomes(status.day)
        with self._connection.read() as catalog, _decoded():
            lists = catalog.execute("SELECT root, trade_date, kind FROM contract_lists").fetchall()
            keys = [(root, date.fromisoformat(trade_date), kind) for root, trade_date, kind in lists]
        for key in keys:
            self.contracts(*key)
        with self._connection.read() as catalog, _decoded():
            for (text,) in catalog.execute("SELECT document FROM documents"):
                json.loads(text)

    def drop_documents(self, kind: str, keys: Iterable[str]) -> None:
        """Remove documents; it is no error if there are none of these keys."""
        with self._write() as catalog:
            catalog.executemany("DELETE FROM documents WHERE kind = ? AND key = ?", [(kind, key) for key in keys])

    def close(self) -> None:
        """Close the database; twice is no error."""
        self._connection.close()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """Change the catalog, in one transaction with a look at the lease: one that was taken over ends here."""
        with self._connection.write() as catalog:
            if self._hand.lease is not None:
                self._hand.lease.require(catalog)
            yield catalog

    def _end_day(self, day: Day, word: str, verdict: Verdict | None, error: str | None, at: datetime) -> None:
        values = {**rows.day_key(day), "status": word, "verdict": verdict, "error": error, "at": rows.micros(at)}
        with self._write() as catalog:
            _know_day(catalog, day, at)
            catalog.execute(_END_DAY, values)


class Files(Sequence[Stored]):
    """Files on record, of which only the one that is looked at is made of what SQLite said.

    Args:
        lines: The values of their columns: the unit's, then the file's.
    """

    def __init__(self, lines: Sequence[tuple[Any, ...]]) -> None:
        self._lines = lines

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._lines)

    @overload
    def __getitem__(self, place: int) -> Stored: ...

    @overload
    def __getitem__(self, place: slice) -> "Files": ...

    def __getitem__(self, place: int | slice) -> "Stored | Files":
        """Return one of them, or some.

        Raises:
            CatalogCorrupt: It holds a value that was never written.
        """
        if isinstance(place, slice):
            return Files(self._lines[place])
        with _decoded():
            line = self._lines[place]
            return Stored(rows.unit_of(line), rows.artifact_of(line[len(rows.UNIT) :]))


def _range(start: date | None, end: date | None) -> rows.Values:
    return {"start": (start or date.min).isoformat(), "end": (end or date.max).isoformat()}


def _list_key(root: str, trade_date: date, kind: str) -> rows.Values:
    return {"root": root, "trade_date": trade_date.isoformat(), "kind": kind}


def _get(catalog: sqlite3.Connection, unit: Unit) -> Outcome | None:
    found = _outcomes(catalog, _GET_UNITS, {**rows.unit_key(unit), "every": False})
    return found[0] if found else None


def _outcomes(catalog: sqlite3.Connection, query: str, values: rows.Values) -> tuple[Outcome, ...]:
    units = catalog.execute(query, values).fetchall()
    with _decoded():
        return tuple(rows.outcome_of(unit, _holes(catalog, unit["id"])) for unit in units)


def _holes(catalog: sqlite3.Connection, unit_id: int) -> tuple[Hole, ...]:
    return tuple(map(rows.hole_of, catalog.execute(_GET_HOLES, (unit_id,))))


def _sketched(lines: Iterable[tuple[Any, ...]]) -> Iterator[tuple[tuple[Any, ...], rows.Sketch]]:
    with _decoded():
        for line in lines:
            yield line, rows.sketch_of(line)


@contextmanager
def _decoded() -> Iterator[None]:
    """Turn what Python says of values that were never written into an error of ours."""
    try:
        yield
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise CatalogCorrupt(f"the catalog holds a value that was never written: {error}") from error


def _put(catalog: sqlite3.Connection, outcome: Outcome) -> int:
    """Make a unit's rows say exactly this, its day's sums too; return the unit's number."""
    (unit_id,) = catalog.execute(_PUT_UNIT, rows.outcome_values(outcome)).fetchone()
    _clear(catalog, unit_id)
    if outcome.artifact is not None:
        values = rows.artifact_values(outcome.unit, outcome.artifact)
        catalog.execute(_PUT_FILE, {**values, "unit_id": unit_id})
    catalog.executemany(_PUT_HOLE, rows.hole_values(unit_id, outcome.holes))
    _sum_up(catalog, outcome.unit.day)
    return int(unit_id)


def _clear(catalog: sqlite3.Connection, unit_id: int) -> None:
    catalog.execute("DELETE FROM file_inventory WHERE unit_id = ?", (unit_id,))
    catalog.execute("DELETE FROM holes WHERE unit_id = ?", (unit_id,))


def _know_day(catalog: sqlite3.Connection, day: Day, at: datetime, scope: Scope = rules.UNKNOWN_SCOPE) -> None:
    """Enter a day that is not known yet."""
    values = {**rows.day_key(day), **rows.scope_values(scope), "at": rows.micros(at)}
    catalog.execute(_KNOW_DAY, values)


def _sum_up(catalog: sqlite3.Connection, day: Day) -> None:
    key = rows.day_key(day)
    files = catalog.execute(_GET_FILES, key).fetchall()
    checksum = rules.day_checksum((file["relative_path"], file["checksum"]) for file in files)
    catalog.execute(_SUM_UP, {**key, "checksum_of_day": checksum})


_KNOW_DAY = """
    INSERT INTO download_status
        (trade_date, root, dataset, interval, status, scope_max_dte, scope_expirations, created_at)
    VALUES
        (:trade_date, :root, :dataset, :interval, 'queued', :scope_max_dte, :scope_expirations, :at / 1000000)
    ON CONFLICT DO NOTHING
"""

_BEGIN_DAY = """
    UPDATE download_status
    SET status = 'in-progress', verdict = NULL, error = NULL, start_us = :at, end_us = NULL,
        scope_max_dte = :scope_max_dte, scope_expirations = :scope_expirations,
        updated_at = CAST(strftime('%s', 'now') AS INTEGER)
    WHERE trade_date = :trade_date AND root = :root AND dataset = :dataset AND interval = :interval
"""

_END_DAY = """
    UPDATE download_status
    SET status = :status, verdict = :verdict, error = :error, end_us = :at,
        updated_at = CAST(strftime('%s', 'now') AS INTEGER)
    WHERE trade_date = :trade_date AND root = :root AND dataset = :dataset AND interval = :interval
"""

_SUM_UP = """
    UPDATE download_status
    SET (total_files, total_size, total_records, downloaded_us) = (
            SELECT count(*), ifnull(sum(size), 0), ifnull(sum(record_count), 0), max(created_us)
            FROM file_inventory
            WHERE trade_date = :trade_date AND root = :root AND dataset = :dataset AND interval = :interval
        ),
        attempts = (
            SELECT ifnull(sum(attempts), 0)
            FROM expiration_status
            WHERE trade_date = :trade_date AND root = :root AND dataset = :dataset AND interval = :interval
        ),
        checksum = :checksum_of_day,
        updated_at = CAST(strftime('%s', 'now') AS INTEGER)
    WHERE trade_date = :trade_date AND root = :root AND dataset = :dataset AND interval = :interval
"""

_DAYS = """
    SELECT *
    FROM download_status
    WHERE trade_date BETWEEN :start AND :end
    ORDER BY trade_date, root, dataset, interval
"""

_UNIT_AND_FILE = f"""
        u.id, u.trade_date, u.root, u.dataset, u.interval, u.expiration_date,
        u.outcome, u.reason, u.code, u.ask_again, u.attempts, u.notes, u.verified,
        {", ".join(f"f.{column}" for column in rows.FILE)}
"""

_GET_UNITS = f"""
    SELECT {_UNIT_AND_FILE}
    FROM expiration_status AS u
    LEFT JOIN file_inventory AS f ON f.unit_id = u.id
    WHERE u.trade_date = :trade_date AND u.root = :root AND u.dataset = :dataset AND u.interval = :interval
        AND (:every OR u.expiration_date IS :expiration_date)
    ORDER BY u.expiration_date NULLS FIRST
"""  # noqa: S608 - made of nothing but constants

_GET_BLEMISHED = f"""
    SELECT {_UNIT_AND_FILE}
    FROM expiration_status AS u
    LEFT JOIN file_inventory AS f ON f.unit_id = u.id
    WHERE u.trade_date BETWEEN :start AND :end
        AND (u.outcome <> 'stored' OR NOT u.verified OR u.reason IS NOT NULL OR u.ask_again IS NOT NULL
             OR u.id IN (SELECT unit_id FROM holes))
    ORDER BY u.trade_date, u.root, u.dataset, u.interval, u.expiration_date NULLS FIRST
"""  # noqa: S608 - made of nothing but constants

_GET_STORED = f"""
    SELECT {", ".join((*rows.UNIT, *rows.FILE))}
    FROM file_inventory
    WHERE trade_date BETWEEN :start AND :end AND dataset = :dataset AND interval = :interval
        AND (:root IS NULL OR root = :root)
    ORDER BY trade_date, root, expiration_date NULLS FIRST
"""  # noqa: S608 - made of nothing but constants

_GET_FILED = """
    SELECT expiration_date, relative_path, size
    FROM file_inventory
    WHERE trade_date = :trade_date AND root = :root AND dataset = :dataset AND interval = :interval
    ORDER BY expiration_date NULLS FIRST
"""

_COUNT_ORIGINS = """
    SELECT dialect, greeks_version, count(*)
    FROM file_inventory
    WHERE trade_date BETWEEN :start AND :end
    GROUP BY dialect, greeks_version
"""

# A unit is refused only by its last recorded outcome, which is its last line of history.
_GET_REFUSED = f"""
    SELECT {_UNIT_AND_FILE}, (
        SELECT a.at_us
        FROM attempts AS a
        WHERE a.trade_date = u.trade_date AND a.root = u.root AND a.dataset = u.dataset AND a.interval = u.interval
            AND a.expiration_date IS u.expiration_date
        ORDER BY a.id DESC
        LIMIT 1
    ) AS recorded_us
    FROM expiration_status AS u
    LEFT JOIN file_inventory AS f ON f.unit_id = u.id
    WHERE u.outcome = 'refused'
"""  # noqa: S608 - made of nothing but constants

_GET_FILES = """
    SELECT relative_path, checksum
    FROM file_inventory
    WHERE trade_date = :trade_date AND root = :root AND dataset = :dataset AND interval = :interval
"""

_GET_HOLES = "SELECT * FROM holes WHERE unit_id = ? ORDER BY position"

_PUT_UNIT = """
    INSERT INTO expiration_status
        (trade_date, root, dataset, interval, expiration_date,
         outcome, reason, code, ask_again, attempts, notes, verified, record_count, file_size)
    VALUES
        (:trade_date, :root, :dataset, :interval, :expiration_date,
         :outcome, :reason, :code, :ask_again, :attempts, :notes, :verified, :record_count, :file_size)
    ON CONFLICT (trade_date, root, dataset, interval, ifnull(expiration_date, '')) DO UPDATE
    SET outcome = excluded.outcome, reason = excluded.reason, code = excluded.code,
        ask_again = excluded.ask_again, attempts = excluded.attempts,
        notes = excluded.notes, verified = excluded.verified,
        record_count = excluded.record_count, file_size = excluded.file_size
    RETURNING id
"""

_PUT_FILE = f"""
    INSERT INTO file_inventory
        (unit_id, trade_date, root, dataset, interval, expiration_date, filename, {", ".join(rows.FILE)})
    VALUES
        (:unit_id, :trade_date, :root, :dataset, :interval, :expiration_date, :filename,
         {", ".join(f":{column}" for column in rows.FILE)})
"""  # noqa: S608 - made of nothing but constants

_PUT_HOLE = """
    INSERT INTO holes (unit_id, position, kind, expiration, strike, "right", first_minute, last_minute)
    VALUES (:unit_id, :position, :kind, :expiration, :strike, :right, :first_minute, :last_minute)
"""

_PUT_ATTEMPT = """
    INSERT INTO attempts
        (trade_date, root, dataset, interval, expiration_date, at_us, outcome, code, reason, attempts)
    VALUES
        (:trade_date, :root, :dataset, :interval, :expiration_date, :at, :outcome, :code, :reason, :attempts)
"""

_PUT_DOCUMENT = """
    INSERT INTO documents (kind, key, document) VALUES (:kind, :key, :document)
    ON CONFLICT (kind, key) DO UPDATE SET document = excluded.document
"""

_PUT_LIST = """
    INSERT INTO contract_lists (root, trade_date, kind, fetched_us, digest)
    VALUES (:root, :trade_date, :kind, :fetched_us, :digest)
    ON CONFLICT (trade_date, root, kind) DO UPDATE SET fetched_us = excluded.fetched_us, digest = excluded.digest
    RETURNING id
"""

_GET_LIST = """
    SELECT id, fetched_us, digest FROM contract_lists WHERE root = :root AND trade_date = :trade_date AND kind = :kind
"""

_GET_STRIKES = 'SELECT * FROM contract_strikes WHERE list_id = ? ORDER BY expiration, "right"'

_PUT_STRIKES = """
    INSERT INTO contract_strikes (list_id, expiration, "right", strikes)
    VALUES (:list_id, :expiration, :right, :strikes)
"""
