"""`spxdata convert`: all that is stored in another encoding, each file proved before the old one goes."""

from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Final

import click

from spxdata.cli import options
from spxdata.cli.errors import interrupted, tell
from spxdata.cli.gauge import gauge
from spxdata.cli.signals import stoppable
from spxdata.cli.text import counted, echo, printable, size
from spxdata.cli.verify import require_archive
from spxdata.clock import SystemClock
from spxdata.config import SETTINGS, Settings
from spxdata.errors import CatalogCorrupt
from spxdata.events import plain

if TYPE_CHECKING:
    from spxdata.integrity.convert import Conversion

#: The settings that say how files are encoded.
_KEYS: Final = ("storage.format", "storage.numbers")
_EPILOG = """\
\b
Exit codes:
    0  all files are encoded as wanted; or they were
    1  files with columns of an older version were left as they are
    2  a wrong option or setting, or no archive
    5  a file is missing or damaged, and was left as it is;
       or the disk or the catalog failed
    6  another process writes this archive
  130  stopped by Ctrl-C or SIGTERM; the same command goes on
\b
What to do about a damaged file: spxdata repair.
"""


@click.command(epilog=_EPILOG)
@options.setting("storage.format", "parquet|csv")
@click.option(
    "--numbers",
    "storage__numbers",
    metavar="float64|decimal",
    help="How Parquet stores numbers, exactly either way.  [default: float64]",
)
@options.data_dir
@options.as_json
@click.pass_context
def command(ctx: click.Context, /, *, as_json: bool, **flags: str | None) -> None:
    """Encode the stored files anew: Parquet or CSV.

    Without options, as the settings say that new files are. Each new file is read back: its content hash, which is the
    same in every encoding, must be the recorded one before the old file goes. Earlier files stay as they are.
    """
    settings = options.settings(flags)
    require_archive(settings)
    _require_catalog(settings)
    found: list[Conversion] = []
    try:
        with stoppable():
            _convert(settings, options.clock(), found, as_json=as_json)
    except KeyboardInterrupt:
        ctx.exit(interrupted(ctx, "every row is still there"))
    later = {key: value for key, value in flags.items() if key.replace("__", ".") not in _KEYS}
    unlike = _unlike(settings, options.settings(later))
    ctx.exit(_conclude(settings, found, unlike, as_json=as_json))


def _require_catalog(settings: Settings) -> None:
    """Refuse an archive without its catalog: a new one would say that nothing is stored.

    Raises:
        CatalogCorrupt: It is gone.
    """
    from spxdata.opening import missing_files

    for path in missing_files(settings):
        raise CatalogCorrupt(f"{settings.storage.data_directory / path}, the archive's catalog, is not there.")


def _convert(settings: Settings, clock: SystemClock, found: list["Conversion"], *, as_json: bool) -> None:
    """Convert, telling what was left as it is."""
    from spxdata.integrity.convert import Change, convert
    from spxdata.opening import make_catalog, make_storage
    from spxdata.pipeline.edges import Encoding

    encoding = Encoding(settings.storage.format, settings.storage.numbers)
    with closing(make_catalog(settings)) as catalog, gauge(clock.monotonic, silent=as_json, what="Converting") as shown:
        for one in convert(catalog, make_storage(settings), encoding, clock, shown):
            found.append(one)
            if as_json:
                _tell(one)
            elif one.change in {Change.DAMAGED, Change.OLDER}:
                mark = "✗" if one.change is Change.DAMAGED else "!"
                shown.say(f"{mark} {printable(one.path)} stays: {printable(one.reason or '')}")


def _unlike(wanted: Settings, later: Settings) -> list[str]:
    """Return the settings, as a spxdata.toml has them, without which later files are encoded in another way."""
    pairs = [(key, getattr(wanted.storage, key.partition(".")[2])) for key in _KEYS]
    if wanted.storage.format == "csv":  # which knows no decimals
        pairs = pairs[:1]
    return [f'{key} = "{value}"' for key, value in pairs if getattr(later.storage, key.partition(".")[2]) != value]


def _tell(one: "Conversion") -> None:
    tell(
        "file",
        change=one.change.value,
        path=printable(one.path),
        bytes=one.bytes,
        to=one.to and one.to.path,
        to_bytes=one.to and one.to.bytes,
        content_hash=one.to and one.to.content_hash,
        reason=one.reason,
        unit=plain(one.unit),
    )


def _conclude(settings: Settings, found: list["Conversion"], unlike: list[str], *, as_json: bool) -> int:
    """Say how it ended; return the exit code."""
    from spxdata.integrity.convert import Change, exit_code

    changes = Counter(one.change for one in found)
    before = sum(one.bytes for one in found if one.to)
    after = sum(one.to.bytes for one in found if one.to)
    code = exit_code(set(changes))
    if as_json:
        counts = {change.value: changes[change] for change in Change}
        tell("summary", **counts, bytes_before=before, bytes_after=after, settings=unlike, exit_code=code)
        return code
    form = "CSV" if settings.storage.format == "csv" else f"Parquet, numbers as {settings.storage.numbers}"
    parts = [
        f"{counted(changes[Change.CONVERTED], 'file')} converted, {size(after)} instead of {size(before)}"
        if changes[Change.CONVERTED]
        else "",
        f"{changes[Change.KEPT]:,} already so" if changes[Change.KEPT] else "",
        f"{changes[Change.DAMAGED]:,} damaged" if changes[Change.DAMAGED] else "",
        f"{changes[Change.OLDER]:,} of an older version" if changes[Change.OLDER] else "",
    ]
    echo(f"{'✗' if code > 1 else '!' if code else '✓'} {form}: {', '.join(filter(None, parts)) or 'nothing is stored'}")
    if changes[Change.DAMAGED]:
        echo("Hint: Run spxdata repair: it sets damaged files aside and fetches their units again.")
    if unlike:
        names = " and ".join(unlike)
        variables = " and ".join(f"{SETTINGS[line.split(' ', 1)[0]].variable}" for line in unlike)
        echo(f"Hint: Later downloads write otherwise, unless spxdata.toml says {names} (or {variables} does).")
    return code
