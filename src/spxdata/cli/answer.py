"""A table of rows as an answer: on a terminal as much as fits, into a pipe or a file as plain data."""

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from spxdata.cli.text import counted, echo, printable, table
from spxdata.errors import ConfigError
from spxdata.sessions import NEW_YORK

if TYPE_CHECKING:
    import polars as pl

_F = TypeVar("_F", bound=Callable[..., Any])

#: How an answer may be written.
FORMATS: Final = ("table", "csv", "json", "parquet")
#: Rows that are shown on a terminal; files and pipes get all.
_SHOWN: Final = 40
_GAP: Final = 2


def options(command: _F) -> _F:
    """Give a command the options of an answer."""
    for decorate in (
        click.option(
            "--output",
            "-o",
            "output",
            metavar="FILE",
            type=click.Path(dir_okay=False, path_type=Path),
            help="Write to a file, whole or not at all.",
        ),
        click.option(
            "--format",
            "form",
            metavar="|".join(FORMATS),
            type=click.Choice(FORMATS),
            help="How to write it.  [default: table on a terminal, else csv; of a file its ending]",
        ),
    ):
        command = decorate(command)
    return command


def give(frame: "pl.DataFrame", form: str | None, output: Path | None) -> None:
    """Write an answer.

    Args:
        frame: The rows.
        form: One of `FORMATS`; found by where it goes when None.
        output: The file; stdout when None.

    Raises:
        ConfigError: Parquet cannot go to a terminal, or a table to a file.
        StorageError: The file cannot be written.
    """
    form = form or _fitting(output)
    if output is None:
        if form == "table":
            _show(frame)
        elif form == "parquet" and sys.stdout.isatty():
            raise ConfigError("Parquet is no text for a terminal.", hint="Name a file: -o FILE.")
        else:
            sys.stdout.buffer.write(_written(frame, form))
        return
    if form == "table":
        raise ConfigError("A table is for people; a file takes data.", hint="Say --format csv, json or parquet.")
    from spxdata.storage.local import LocalStorage

    storage = LocalStorage(output.absolute().parent)
    with storage.create(output.name) as pending:
        pending.write(_written(frame, form))
        pending.commit()
    echo(f"✓ {output}: {counted(frame.height, 'row')}", err=True)


def _fitting(output: Path | None) -> str:
    if output is None:
        return "table" if sys.stdout.isatty() else "csv"
    ending = output.suffix.removeprefix(".")
    if ending not in FORMATS[1:]:
        raise ConfigError(f"{output} does not tell how to write it.", hint="Say --format csv, json or parquet.")
    return ending


def _written(frame: "pl.DataFrame", form: str) -> bytes:
    """Return rows as data: times with New York's offset."""
    import io

    import polars as pl

    if form == "parquet":
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        return buffer.getvalue()
    moments = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    told = frame.with_columns(_moment(pl.col(name), frame.schema[name]) for name in moments)
    return (told.write_csv() if form == "csv" else told.write_ndjson()).encode()


def _moment(column: "pl.Expr", kind: Any) -> "pl.Expr":  # noqa: ANN401 - a polars type
    zoned = column.dt.convert_time_zone(str(NEW_YORK)) if kind.time_zone else column
    return zoned.dt.to_string("%Y-%m-%dT%H:%M:%S%.3f%:z" if kind.time_zone else "%Y-%m-%dT%H:%M:%S%.3f")


def _show(frame: "pl.DataFrame") -> None:
    """Write as many rows and columns as people can look at, and say what was left out."""
    head = frame.head(_SHOWN)
    columns = {name: [name, *(_cell(value) for value in head[name].to_list())] for name in head.columns}
    widths = {name: max(map(len, cells)) for name, cells in columns.items()}
    room = shutil.get_terminal_size().columns
    shown = _as_many_as_fit(widths, room)
    numbers = [place for place, name in enumerate(shown) if frame.schema[name].is_numeric()]
    if shown:
        for line in table(list(zip(*(columns[name] for name in shown), strict=True)), right=numbers):
            echo(line)
    if frame.height > head.height:
        echo(f"… {counted(frame.height - head.height, 'more row')}", err=True)
    rest = [name for name in frame.columns if name not in shown]
    if rest:
        echo(f"… {counted(len(rest), 'more column')} that do not fit: {', '.join(rest)}", err=True)
        echo("Hint: All of them go into a file (-o FILE) or a pipe.", err=True)


def _as_many_as_fit(widths: Mapping[str, int], room: int) -> Sequence[str]:
    shown: list[str] = []
    taken = 0
    for name, width in widths.items():
        taken += width + (_GAP if shown else 0)
        if shown and taken > room:
            break
        shown.append(name)
    return shown


def _cell(value: Any) -> str:  # noqa: ANN401 - of whatever type a column has
    from datetime import datetime

    if value is None:
        return "–"  # noqa: RUF001 - a dash is meant
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.6g}" if abs(value) < _LARGE else f"{value:,.2f}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        return f"{value.astimezone(NEW_YORK) if value.tzinfo else value:%Y-%m-%d %H:%M:%S}"
    return printable(str(value))


#: Numbers from here on are written out: six digits would not tell their cents.
_LARGE: Final = 1000.0
