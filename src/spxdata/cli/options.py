"""Options that several commands share, the settings they lead to, and the clock."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from spxdata.clock import SystemClock, clock_from
from spxdata.config import LEVELS, SETTINGS, Settings, load

_F = TypeVar("_F", bound=Callable[..., Any])


def setting(key: str, metavar: str) -> Callable[[_F], _F]:
    """Return the option of a setting; its text is read by `spxdata.config`, so that one message fits all origins."""
    line = SETTINGS[key]
    default = "auto" if line.default is None else str(line.default)
    return click.option(
        line.flag, key.replace(".", "__"), metavar=metavar, help=f"{line.help.capitalize()}.  [default: {default}]"
    )


data_dir = setting("storage.data_directory", "PATH")


def log(command: _F) -> _F:
    """Give a command the options of the log."""
    for decorate in (
        setting("log.level", "|".join(LEVELS)),
        setting("log.file", "PATH"),
        setting("log.format", "text|json"),
    ):
        command = decorate(command)
    return command


as_json = click.option(
    "--json",
    "as_json",
    is_flag=True,
    is_eager=True,
    callback=lambda ctx, _, value: ctx.meta.update({"spxdata.json": value}) or value,
    help="Write JSON, one object a line, and nothing else to stdout.",
)


def settings(flags: Mapping[str, str | None]) -> Settings:
    """Read the settings, with what the command line gave for some of them.

    Args:
        flags: By the option's parameter name, such as storage__data_directory.

    Raises:
        ConfigError: A setting is wrong.
    """
    given = {name.replace("__", "."): value for name, value in flags.items()}
    return load(flags=given, environ=os.environ, directory=Path.cwd())


def clock() -> SystemClock:
    """Return the clock: the system's, or one that starts at SPXDATA_NOW.

    Raises:
        ConfigError: SPXDATA_NOW is no moment.
    """
    return clock_from(os.environ.get("SPXDATA_NOW"))
