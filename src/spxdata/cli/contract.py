"""`spxdata contract`: a contract's history."""

from pathlib import Path

import click

from spxdata.cli import answer, options


@click.command()
@click.argument("name", nargs=-1, required=True, metavar="ROOT EXPIRATION STRIKE RIGHT")
@click.option("--start-date", metavar="DAY", help="First trade date.")
@click.option("--end-date", metavar="DAY", help="Last trade date, included.")
@click.option(
    "--all-rows", is_flag=True, help="With rows that say nothing: sentinels, repeats, rows outside of the session."
)
@options.data_dir
@answer.options
def command(
    *,
    name: tuple[str, ...],
    start_date: str | None,
    end_date: str | None,
    all_rows: bool,
    form: str | None,
    output: Path | None,
    **flags: str | None,
) -> None:
    """Show a contract's history.

    All that the archive has of it, joined in time:

    spxdata contract SPXW 2024-01-19 4750 C --start-date 2024-01-16
    """
    from spxdata.analysis.archive import open_archive

    with open_archive(options.settings(flags).storage.data_directory) as archive:
        found = archive.contract(" ".join(name), start=start_date, end=end_date, flags="all" if all_rows else "clean")
    answer.give(found, form, output)
