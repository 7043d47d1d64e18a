"""`spxdata query`: SQL over the archive, by DuckDB."""

from pathlib import Path

import click

from spxdata.cli import answer, options


@click.command()
@click.argument("sql", metavar="SQL")
@options.data_dir
@answer.options
def command(*, sql: str, form: str | None, output: Path | None, **flags: str | None) -> None:
    """Ask the archive in SQL, which may only read. Needs the extra `duckdb`.

    There is a view for each dataset, without the rows that say nothing (sentinels, repeats, superseded reports, rows
    outside of the session), and one named <dataset>_raw with them. Both have the columns of docs/data.md, root and
    interval; of the column right, a word of SQL's own, the name stands in double quotes.

    spxdata query "select expiration, avg(implied_vol) from greeks group by 1 order by 1"
    """
    from spxdata.analysis.archive import open_archive

    with open_archive(options.settings(flags).storage.data_directory) as archive:
        answer.give(archive.sql(sql).pl(), form, output)
