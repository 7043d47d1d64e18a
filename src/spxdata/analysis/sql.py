"""SQL over an archive, by DuckDB: one view per dataset, and nothing but reading."""

import re
from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING, Final

import polars as pl

from spxdata.analysis.files import Form, Kind, Part, Shelf, columns_of
from spxdata.analysis.wanted import UNCLEAN, wanted
from spxdata.errors import ConfigError
from spxdata.schema import DATASETS, Column, Dataset
from spxdata.schema import Kind as Holds

if TYPE_CHECKING:
    import duckdb

#: Ending of the views that leave out no row.
EVERY: Final = "_raw"

_TYPES: Final = {
    Holds.TEXT: "VARCHAR",
    Holds.DATE: "DATE",
    Holds.TIME: "TIMESTAMP",
    Holds.INTEGER: "INTEGER",
    Holds.NUMBER: "DOUBLE",
}
_READING: Final = frozenset({"SELECT", "EXPLAIN", "RELATION"})


def ask(shelf: Shelf, query: str) -> "duckdb.DuckDBPyRelation":
    """Return what a query gives; see `spxdata.analysis.archive.Archive.sql`.

    Raises:
        ConfigError: DuckDB is not there, or the query is wrong or does more than read.
    """
    try:
        import duckdb
    except ImportError as error:
        raise ConfigError("SQL needs DuckDB, which is not installed.", hint="pip install 'spxdata[duckdb]'") from error
    connection = duckdb.connect(":memory:")
    try:
        _require_reading(connection, query)
        read: list[str] = []
        for name in DATASETS:
            for view, rest in ((name, f" WHERE (flags & {int(UNCLEAN)}) = 0"), (f"{name}{EVERY}", "")):
                if re.search(rf"\b{view}\b", query, re.IGNORECASE):
                    read += _make_view(connection, shelf, name, view, rest)
        connection.execute("SET TimeZone = 'America/New_York'")
        connection.execute(f"SET allowed_paths = {_listed(read)}")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        return connection.sql(query)
    except duckdb.Error as error:
        raise ConfigError(f"The query cannot be answered: {error}", hint="Views: " + ", ".join(DATASETS)) from error


def _require_reading(connection: "duckdb.DuckDBPyConnection", query: str) -> None:
    """Refuse a query that is none, several, or more than a look.

    Raises:
        ConfigError: It is.
    """
    statements = connection.extract_statements(query)
    if len(statements) != 1:
        raise ConfigError(f"A query is one statement, not {len(statements)}.", hint="Ask one question at a time.")
    kind = statements[0].type.name
    if kind not in _READING:
        raise ConfigError(
            f"A query may only read; {kind} does more.", hint="To store a result: spxdata query ... -o FILE."
        )


def _make_view(connection: "duckdb.DuckDBPyConnection", shelf: Shelf, name: str, view: str, rest: str) -> list[str]:
    """Make the view of all of a dataset's rows; return the files it reads.

    Raises:
        ConfigError: There are none.
    """
    selects: list[str] = []
    read: list[str] = []
    for day in sorted({status.day._replace(trade_date=date.min) for status in shelf.catalog.days()}):
        if day.dataset != name:
            continue
        asked = wanted(name, interval=day.interval, root=day.root, flags="all")
        for part in shelf.parts(asked):
            columns = ", ".join(_column(column, part.form) for column in columns_of(DATASETS[name]))
            read += shelf.addresses(part)
            source = _source(connection, shelf, part, DATASETS[name], f"{view}_{len(selects)}")
            selects.append(
                f"SELECT {columns}, {_quoted(day.root)} AS root, {_quoted(day.interval)} AS interval "  # noqa: S608 - quoted
                f"FROM {source}"
            )
    if not selects:
        raise ConfigError(f"The archive has no {name}.", hint="See what it has: spxdata status.")
    rows = " UNION ALL ".join(selects)
    connection.execute(f"CREATE VIEW {view} AS SELECT * FROM ({rows}){rest}")  # noqa: S608 - names of our own
    return read


def _column(column: Column, form: Form) -> str:
    """Return how a column is selected, so that its type is the same from every form of file."""
    if column.name in form.decimals:
        return f'"{column.name}"::DOUBLE AS "{column.name}"'
    if form.kind is Kind.CSV and column.kind is Holds.TIME:
        return f'timezone(\'America/New_York\', "{column.name}") AS "{column.name}"'
    return f'"{column.name}"'


def _source(connection: "duckdb.DuckDBPyConnection", shelf: Shelf, part: Part, dataset: Dataset, name: str) -> str:
    """Return what a part's rows are selected from."""
    if part.form.kind is Kind.OLDER:
        connection.register(name, pl.concat([shelf.older(path) for path in part.paths]))
        return name
    files = _listed(shelf.addresses(part))
    if part.form.kind is Kind.PARQUET:
        return f"read_parquet({files})"
    types = ", ".join(f"{_quoted(column.name)}: {_quoted(_TYPES[column.kind])}" for column in columns_of(dataset))
    return f"read_csv({files}, header = true, auto_detect = false, columns = {{{types}}})"


def _listed(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
