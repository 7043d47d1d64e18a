"""`spxdata config`: every setting, its value, where that came from, and what is allowed; or a file to begin with."""

import os
from pathlib import Path

import click

from spxdata.cli import options
from spxdata.cli.errors import tell
from spxdata.cli.templates import toml
from spxdata.cli.text import echo, table
from spxdata.config import describe, settings_file
from spxdata.errors import ConfigError, StorageError

_EPILOG = """\
\b
Precedence: option, environment, .env, spxdata.toml, default.
A setting such as storage.data_directory is the variable
SPXDATA_STORAGE__DATA_DIRECTORY, and in spxdata.toml the key
data_directory of the section [storage].
"""


@click.command(epilog=_EPILOG)
@click.option("--init", is_flag=True, help="Write a spxdata.toml to begin with: every setting, commented out.")
@click.option("--force", is_flag=True, help="With --init: replace the file that is there.")
@options.data_dir
@options.as_json
def command(*, init: bool, force: bool, as_json: bool, **flags: str | None) -> None:
    """Show every setting and where its value came from."""
    if init:
        _init(flags, force=force, as_json=as_json)
        return
    if force:
        raise ConfigError("--force stands without --init.", hint="To write a settings file: spxdata config --init.")
    rows = describe(options.settings(flags))
    if as_json:
        for row in rows:
            tell("setting", **row._asdict())
        return
    lines = [("SETTING", "VALUE", "FROM", "ALLOWED")]
    lines += [(row.key, row.value, row.origin, row.allowed) for row in rows]
    for line in table(lines):
        echo(line)


def _init(flags: dict[str, str | None], *, force: bool, as_json: bool) -> None:
    """Write the settings file: whole or not at all, and not over another one unasked."""
    from spxdata.storage.local import LocalStorage

    if any(flags.values()):
        raise ConfigError("--data-dir stands beside --init.", hint="Leave it out, and set it in the file.")
    path = settings_file(os.environ, Path.cwd())
    if not force and os.path.lexists(path):
        raise ConfigError(
            f"{path} is there already.", hint="Move it aside, or say --force to replace it with a new one."
        )
    try:
        with LocalStorage(path.parent).create(path.name) as file:
            file.write(toml().encode())
            file.commit()
    except StorageError as error:
        raise type(error)(error.message, hint="Choose another folder, or check its permissions.") from error
    if as_json:
        tell("settings_file", path=str(path))
    else:
        echo(f"Wrote {path}: every setting, commented out at its default.")
