"""The SQLite catalog's schema, as an append-only list of migrations, each applied whole or not at all.

Tables and columns named as in the brief mean what the brief says: its times are Unix seconds, its days
YYYY-MM-DD, its status words its own. What this product adds stands beside them. Columns ending in `_us` hold
microseconds since 1970 (UTC) and are the truth; the brief's seconds are generated from them. An expiration that
a unit does not have is NULL.
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from spxdata.catalog.connection import Connection
from spxdata.errors import NewerVersion, StorageError


class Migration(NamedTuple):
    """One change of the schema."""

    name: str
    statements: tuple[str, ...]


_SCHEMA_MIGRATIONS = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version    INTEGER PRIMARY KEY,
        name       TEXT NOT NULL,
        applied_at INTEGER NOT NULL DEFAULT (CAST(strftime('%s', 'now') AS INTEGER))
    ) STRICT
"""

_FIRST_SCHEMA = Migration(
    "first schema",
    (
        """
        CREATE TABLE download_status (
            trade_date         TEXT NOT NULL,
            root               TEXT NOT NULL,
            dataset            TEXT NOT NULL,
            interval           TEXT NOT NULL,
            status             TEXT NOT NULL CHECK (status IN ('queued', 'in-progress', 'success', 'failed')),
            verdict            TEXT,
            scope_max_dte      INTEGER NOT NULL,
            scope_expirations  TEXT NOT NULL,             -- JSON list of days; empty: all within scope_max_dte
            start_us           INTEGER,
            end_us             INTEGER,
            start_time         INTEGER GENERATED ALWAYS AS (start_us / 1000000) VIRTUAL,
            end_time           INTEGER GENERATED ALWAYS AS (end_us / 1000000) VIRTUAL,
            processing_time_ms INTEGER GENERATED ALWAYS AS ((end_us - start_us) / 1000) VIRTUAL,
            error              TEXT,
            -- Sums over the day's units, taken anew in every transaction that changes one of them.
            attempts           INTEGER NOT NULL DEFAULT 0,
            total_files        INTEGER NOT NULL DEFAULT 0,
            total_size         INTEGER NOT NULL DEFAULT 0,
            total_records      INTEGER NOT NULL DEFAULT 0,
            checksum           TEXT,                      -- SHA-256 over the sorted lines "path sha256"
            downloaded_us      INTEGER,
            created_at         INTEGER NOT NULL DEFAULT (CAST(strftime('%s', 'now') AS INTEGER)),
            updated_at         INTEGER NOT NULL DEFAULT (CAST(strftime('%s', 'now') AS INTEGER)),
            PRIMARY KEY (trade_date, root, dataset, interval)
        ) STRICT
        """,
        """
        CREATE TABLE expiration_status (
            id              INTEGER PRIMARY KEY,
            trade_date      TEXT NOT NULL,
            root            TEXT NOT NULL,
            dataset         TEXT NOT NULL,
            interval        TEXT NOT NULL,
            expiration_date TEXT,
            outcome         TEXT NOT NULL CHECK (outcome IN
                ('stored', 'empty', 'not_published', 'refused', 'failed', 'pending', 'downloading')),
            status          TEXT GENERATED ALWAYS AS (CASE outcome
                WHEN 'downloading' THEN 'downloading'
                WHEN 'stored' THEN 'complete'
                WHEN 'empty' THEN 'complete'
                WHEN 'refused' THEN 'failed'
                WHEN 'failed' THEN 'failed'
                ELSE 'pending' END) VIRTUAL,
            reason          TEXT,
            error           TEXT GENERATED ALWAYS AS
                (CASE WHEN outcome IN ('refused', 'failed') THEN reason END) VIRTUAL,
            code            TEXT,
            ask_again       TEXT,
            attempts        INTEGER NOT NULL,
            retry_count     INTEGER GENERATED ALWAYS AS (max(attempts - 1, 0)) VIRTUAL,
            notes           INTEGER NOT NULL,             -- lesser holes, counted
            verified        INTEGER NOT NULL CHECK (verified IN (0, 1)),
            record_count    INTEGER,
            file_size       INTEGER,
            started_us      INTEGER,
            created_at      INTEGER NOT NULL DEFAULT (CAST(strftime('%s', 'now') AS INTEGER)),
            FOREIGN KEY (trade_date, root, dataset, interval) REFERENCES download_status
        ) STRICT
        """,
        """
        -- A plain UNIQUE would let a unit without expiration in twice: NULLs differ from each other.
        CREATE UNIQUE INDEX idx_unit
            ON expiration_status (trade_date, root, dataset, interval, ifnull(expiration_date, ''))
        """,
        """
        CREATE TABLE file_inventory (
            id              INTEGER PRIMARY KEY,
            unit_id         INTEGER NOT NULL UNIQUE REFERENCES expiration_status (id),
            trade_date      TEXT NOT NULL,
            root            TEXT NOT NULL,
            dataset         TEXT NOT NULL,
            interval        TEXT NOT NULL,
            expiration_date TEXT,
            filename        TEXT NOT NULL,
            relative_path   TEXT NOT NULL UNIQUE,
            size            INTEGER NOT NULL,
            checksum        TEXT NOT NULL,                -- SHA-256 of the file
            content_hash    TEXT NOT NULL,
            record_count    INTEGER NOT NULL,
            schema_version  INTEGER NOT NULL,
            format          TEXT NOT NULL,
            compression     TEXT NOT NULL,
            request         TEXT NOT NULL,
            dialect         TEXT NOT NULL,
            greeks_version  TEXT,
            rate_type       TEXT,
            fetched_us      INTEGER NOT NULL,
            spxdata_version TEXT NOT NULL,
            created_us      INTEGER NOT NULL,
            created_at      INTEGER GENERATED ALWAYS AS (created_us / 1000000) VIRTUAL,
            last_modified   INTEGER GENERATED ALWAYS AS (created_us / 1000000) VIRTUAL  -- files are never changed
        ) STRICT
        """,
        "CREATE INDEX idx_trade_date ON file_inventory (trade_date, root, dataset, interval)",
        "CREATE INDEX idx_expiration ON file_inventory (expiration_date)",
        """
        CREATE TABLE holes (
            unit_id      INTEGER NOT NULL REFERENCES expiration_status (id),
            position     INTEGER NOT NULL,
            kind         TEXT NOT NULL CHECK (kind IN ('outage', 'gap', 'note')),
            expiration   TEXT,                            -- the contract; NULL: missing in all of the unit
            strike       REAL,
            "right"      TEXT,
            first_minute INTEGER,                         -- of the day, New York; NULL: missing all day
            last_minute  INTEGER,
            PRIMARY KEY (unit_id, position)
        ) STRICT, WITHOUT ROWID
        """,
        """
        -- History: one line per recorded outcome, those of failed refetches and forgotten units too.
        CREATE TABLE attempts (
            id              INTEGER PRIMARY KEY,
            trade_date      TEXT NOT NULL,
            root            TEXT NOT NULL,
            dataset         TEXT NOT NULL,
            interval        TEXT NOT NULL,
            expiration_date TEXT,
            at_us           INTEGER NOT NULL,
            outcome         TEXT NOT NULL,
            code            TEXT,
            reason          TEXT,
            attempts        INTEGER NOT NULL
        ) STRICT
        """,
        "CREATE INDEX idx_attempts ON attempts (trade_date, root, dataset, interval, expiration_date)",
        """
        CREATE TABLE contract_lists (
            id         INTEGER PRIMARY KEY,
            root       TEXT NOT NULL,
            trade_date TEXT NOT NULL,
            kind       TEXT NOT NULL,
            fetched_us INTEGER NOT NULL,
            UNIQUE (trade_date, root, kind)
        ) STRICT
        """,
        """
        -- A line per expiration and right, not per contract: a day lists some 20,000.
        CREATE TABLE contract_strikes (
            list_id    INTEGER NOT NULL REFERENCES contract_lists (id) ON DELETE CASCADE,
            expiration TEXT NOT NULL,
            "right"    TEXT NOT NULL,
            strikes    TEXT NOT NULL,                     -- JSON list of dollars
            PRIMARY KEY (list_id, expiration, "right")
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE lease (
            id              INTEGER PRIMARY KEY CHECK (id = 1),
            token           TEXT NOT NULL,
            host            TEXT NOT NULL,
            pid_namespace   TEXT NOT NULL,
            pid             INTEGER NOT NULL,
            process_started REAL NOT NULL,
            command         TEXT NOT NULL,
            acquired_us     INTEGER NOT NULL,
            heartbeat_us    INTEGER NOT NULL
        ) STRICT
        """,
        """
        CREATE VIEW inventory_summary AS
        SELECT
            count(*)             AS total_files,
            sum(size)            AS total_size,
            min(trade_date)      AS earliest_trade_date,
            max(trade_date)      AS latest_trade_date,
            min(expiration_date) AS earliest_expiration,
            max(expiration_date) AS latest_expiration
        FROM file_inventory
        """,
        """
        CREATE VIEW daily_options_dataset AS
        SELECT
            trade_date              AS date,
            root,
            dataset,
            interval,
            total_records           AS record_count,
            total_size              AS file_size,
            downloaded_us / 1000000 AS downloaded_at,
            checksum
        FROM download_status
        WHERE total_files > 0
        """,
    ),
)

_DOCUMENTS = Migration(
    "documents about the archive",
    (
        """
        CREATE TABLE documents (
            kind     TEXT NOT NULL,
            key      TEXT NOT NULL,
            document TEXT NOT NULL,                       -- JSON
            PRIMARY KEY (kind, key)
        ) STRICT, WITHOUT ROWID
        """,
        """
        -- What `spxdata coverage` certified, for research: SELECT trade_date FROM certificates WHERE complete.
        CREATE VIEW certificates AS
        SELECT
            json_extract(document, '$.day.trade_date') AS trade_date,
            json_extract(document, '$.day.root')       AS root,
            json_extract(document, '$.day.dataset')    AS dataset,
            json_extract(document, '$.day.interval')   AS interval,
            json_extract(document, '$.verdict')        AS verdict,
            json_extract(document, '$.complete')       AS complete,
            json_extract(document, '$.scope.max_dte')  AS scope_max_dte,
            json_extract(document, '$.units')          AS units,
            json_extract(document, '$.stored')         AS stored,
            json_extract(document, '$.rows')           AS record_count,
            json_extract(document, '$.issued_at')      AS issued_at
        FROM documents
        WHERE kind = 'certificate'
        """,
    ),
)

_RANGES = Migration(
    "ranges of files, digests of contract lists",
    (
        # NULL: nobody noted them, or rows have none. What the catalog knows need not be looked up in the file.
        "ALTER TABLE file_inventory ADD COLUMN strike_min REAL",  # dollars
        "ALTER TABLE file_inventory ADD COLUMN strike_max REAL",
        "ALTER TABLE file_inventory ADD COLUMN time_min TEXT",  # of the day, New York
        "ALTER TABLE file_inventory ADD COLUMN time_max TEXT",
        "ALTER TABLE contract_lists ADD COLUMN digest TEXT",  # of its lines; NULL: to be taken from them
    ),
)

#: Append only: a migration that was ever released is never edited.
MIGRATIONS: tuple[Migration, ...] = (_FIRST_SCHEMA, _DOCUMENTS, _RANGES)


def migrate(connection: Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring a catalog up to date; a migration and the line that records it are one transaction.

    Raises:
        NewerVersion: A newer program wrote the catalog.
    """
    while _version_of(connection, len(migrations)) < len(migrations):
        with connection.write() as catalog:
            version = _version(catalog)  # again: another process may have been quicker
            if version < len(migrations):
                _apply(catalog, version + 1, migrations[version])


def require_current(connection: Connection) -> None:
    """Refuse a catalog that only a writer could bring up to date.

    Raises:
        NewerVersion: A newer program wrote the catalog.
        StorageError: An older one did.
    """
    version = _version_of(connection, len(MIGRATIONS))
    if version < len(MIGRATIONS):
        raise StorageError(
            f"the catalog {connection.path} has schema {version}, this spxdata reads schema {len(MIGRATIONS)}.",
            hint="Download into this archive once: that brings its catalog up to date.",
        )


def _version_of(connection: Connection, known: int) -> int:
    with connection.read() as catalog:
        version = _version(catalog)
    if version > known:
        raise NewerVersion(f"the catalog {connection.path} has schema {version}, this spxdata knows {known} at most.")
    return version


def _version(catalog: sqlite3.Connection) -> int:
    """Return the number of migrations applied; 0 for an empty database."""
    known = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'"
    if catalog.execute(known).fetchone() is None:
        return 0
    (version,) = catalog.execute("SELECT ifnull(max(version), 0) FROM schema_migrations").fetchone()
    return int(version)


def _apply(catalog: sqlite3.Connection, version: int, migration: Migration) -> None:
    catalog.execute(_SCHEMA_MIGRATIONS)
    for statement in migration.statements:
        catalog.execute(statement)
    catalog.execute("INSERT INTO schema_migrations (version, name) VALUES (?, ?)", (version, migration.name))
