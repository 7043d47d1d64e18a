"""`spxdata verify`: whether every file is what was stored, and the catalog and the disk agree."""

from collections import Counter
from datetime import date
from typing import Final

import click

from spxdata.cli import options
from spxdata.cli.errors import tell
from spxdata.cli.gauge import gauge
from spxdata.cli.signals import stoppable
from spxdata.cli.text import counted, echo, printable, size
from spxdata.clock import SystemClock
from spxdata.config import Settings
from spxdata.errors import ConfigError, StorageError
from spxdata.events import plain
from spxdata.model import parse_day
from spxdata.pipeline.difference import Checked, Difference, Fault, Sign

#: Each sign in words.
WORDS: Final[dict[Sign, str]] = {
    Sign.DIFFERS: "differs",
    Sign.MISSING: "missing",
    Sign.UNKNOWN: "unknown",
    Sign.UNREADABLE: "unreadable",
}

_EPILOG = """\
\b
A line for each file that is not as the catalog says:
    *  differs: size, SHA-256, footer, rows, columns, order or content hash
    -  missing
    +  unknown: not in the catalog
    !  unreadable
\b
Exit codes, by the worst of them:
    0  all is well
    1  there are unknown files, and nothing else
    2  a wrong option or setting, or no archive
    5  a file differs, is missing or unreadable; or the catalog is damaged or gone
  130  stopped by Ctrl-C or SIGTERM
\b
What to do: spxdata repair. Not looked at are names that begin with a dot, beside the folders of trade dates, but for
the earlier files in .revisions.
"""


@click.command(epilog=_EPILOG)
@click.option("--quick", is_flag=True, help="Look at existence, size and footer only, not at every byte.")
@click.option("--start-date", metavar="DAY", help="First trade date, as 2024-01-16 or 20240116.")
@click.option("--end-date", metavar="DAY", help="Last trade date, included.")
@options.data_dir
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    quick: bool,
    start_date: str | None,
    end_date: str | None,
    as_json: bool,
    **flags: str | None,
) -> None:
    """Check every file against the catalog, and both ways.

    Nothing is changed. With dates, only the folders of those trade dates are looked at.
    """
    settings = options.settings(flags)
    start = parse_day(start_date, "--start-date") if start_date else None
    end = parse_day(end_date, "--end-date") if end_date else None
    with stoppable():
        found, last = _verified(settings, options.clock(), start, end, quick=quick, as_json=as_json)
    code = exit_code(found)
    signs = Counter(one.sign for one in found)
    if as_json:
        counts = {WORDS[sign]: signs[sign] for sign in Sign}
        tell("summary", files=last.of_files, bytes=last.of_bytes, quick=quick, exit_code=code, **counts)
    else:
        echo(_summary(signs, last, quick=quick))
        if found:
            echo("Hint: Run spxdata repair: it fetches what is lost, records whole files again, sets the others aside.")
    ctx.exit(code)


def exit_code(found: list[Difference]) -> int:
    """Return the exit code by the worst difference."""
    if any(one.is_damage for one in found):
        return StorageError.exit_code
    return 1 if found else 0


def show(one: Difference) -> str:
    """Return a difference as its line.

    Example:
        "* 20240116/spxw_exp_20240119.parquet  1,204 bytes instead of 2,408"
    """
    return f"{one.sign} {printable(one.path)}  {printable(one.what)}"


def tell_difference(one: Difference) -> None:
    """Write a difference as a JSON object."""
    tell(
        "difference",
        sign=one.sign.value,
        fault=one.fault.value,
        path=printable(one.path),
        what=printable(one.what),
        unit=plain(one.unit),
    )


def require_archive(settings: Settings) -> None:
    """Refuse a folder that is no archive.

    Raises:
        ConfigError: There is none.
    """
    from spxdata.integrity.repair import is_archive
    from spxdata.opening import make_storage

    if not is_archive(make_storage(settings)):
        raise ConfigError(
            f"There is no archive in {settings.storage.data_directory}.", hint="Name another one with --data-dir."
        )


def _verified(
    settings: Settings, clock: SystemClock, start: date | None, end: date | None, *, quick: bool, as_json: bool
) -> tuple[list[Difference], Checked]:
    """Tell of every difference; return them, and how much was looked at."""
    from spxdata.integrity.verify import verify
    from spxdata.opening import existing_catalog, make_storage, missing_files

    require_archive(settings)
    found: list[Difference] = []
    last = Checked(0, 0, 0, 0)
    with existing_catalog(settings) as catalog, gauge(clock.monotonic, silent=as_json) as shown:

        def told(checked: Checked) -> None:
            nonlocal last
            last = checked
            shown(checked)

        def take(one: Difference) -> None:
            found.append(one)
            if as_json:
                tell_difference(one)
            else:
                shown.say(show(one))

        for path in missing_files(settings):
            take(Difference(Fault.MISSING, path, "the archive's catalog"))
        if catalog:
            catalog.check()
        for one in verify(catalog, make_storage(settings), quick=quick, start=start, end=end, told=told):
            take(one)
    return found, last


def _summary(signs: Counter[Sign], last: Checked, *, quick: bool) -> str:
    how = "by size and footer" if quick else size(last.of_bytes)
    looked = f"{counted(last.of_files, 'file')} ({how})"
    if not signs:
        return f"✓ All is well: {looked} checked"
    each = ", ".join(f"{signs[sign]:,} {WORDS[sign]}" for sign in Sign if signs[sign])
    mark = "!" if set(signs) == {Sign.UNKNOWN} else "✗"
    return f"{mark} {counted(sum(signs.values()), 'difference')} in {looked}: {each}"
