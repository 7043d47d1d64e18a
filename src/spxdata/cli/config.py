"""`spxdata config`: every setting, its value, where that came from, and what is allowed."""

import click

from spxdata.cli import options
from spxdata.cli.errors import tell
from spxdata.cli.text import echo, table
from spxdata.config import describe

_EPILOG = """\
\b
Precedence: option, environment, .env, spxdata.toml, default.
A setting such as storage.data_directory is the variable
SPXDATA_STORAGE__DATA_DIRECTORY, and in spxdata.toml the key
data_directory of the section [storage].
"""


@click.command(epilog=_EPILOG)
@options.data_dir
@options.as_json
def command(*, as_json: bool, **flags: str | None) -> None:
    """Show every setting and where its value came from."""
    rows = describe(options.settings(flags))
    if as_json:
        for row in rows:
            tell("setting", **row._asdict())
        return
    lines = [("SETTING", "VALUE", "FROM", "ALLOWED")]
    lines += [(row.key, row.value, row.origin, row.allowed) for row in rows]
    for line in table(lines):
        echo(line)
