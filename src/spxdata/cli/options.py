"""Options that several commands share, the settings they lead to, and the clock."""

import os
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from spxdata.clock import SystemClock
from spxdata.config import SETTINGS, Settings, load
from spxdata.errors import ConfigError
from spxdata.sessions import NEW_YORK

_F = TypeVar("_F", bound=Callable[..., Any])

_NOW: Final = "SPXDATA_NOW"


def setting(key: str, metavar: str) -> Callable[[_F], _F]:
    """Return the option of a setting; its text is read by `spxdata.config`, so that one message fits all origins."""
    line = SETTINGS[key]
    default = "auto" if line.default is None else str(line.default)
    return click.option(
        line.flag, key.replace(".", "__"), metavar=metavar, help=f"{line.help.capitalize()}.  [default: {default}]"
    )


data_dir = setting("storage.data_directory", "PATH")

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


class ShiftedClock(SystemClock):
    """Real time, but for its beginning.

    Args:
        start: The moment to take as now (aware).
    """

    def __init__(self, start: datetime) -> None:
        self._shift: timedelta = start - super().now()

    def now(self) -> datetime:
        """Return the moment to take as the current one."""
        return super().now() + self._shift


def clock() -> SystemClock:
    """Return the clock: the system's, or one that starts at SPXDATA_NOW.

    Raises:
        ConfigError: SPXDATA_NOW is no moment.
    """
    text = os.environ.get(_NOW)
    if not text:
        return SystemClock()
    try:
        start = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"{_NOW}: {text!r} (from environment) is not a moment.", hint="Write it as 2024-01-17T12:00-05:00."
        ) from None
    return ShiftedClock(start if start.tzinfo else start.replace(tzinfo=NEW_YORK))
