"""`spxdata repair`: bring an archive into order, fetching only what is lost."""

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import click

from spxdata.cli import options
from spxdata.cli.errors import interrupted, tell
from spxdata.cli.gauge import gauge
from spxdata.cli.signals import stoppable
from spxdata.cli.text import counted, echo, printable
from spxdata.cli.verify import require_archive, show, tell_difference
from spxdata.clock import SystemClock
from spxdata.config import Settings
from spxdata.errors import CatalogCorrupt
from spxdata.events import plain
from spxdata.layout import ASIDE
from spxdata.pipeline.difference import Difference
from spxdata.plan import Request

if TYPE_CHECKING:
    from spxdata.integrity.repair import Format, Repaired, Taken

#: Units that are named before the rest is only counted.
_NAMED: Final = 10

_EPILOG = """\
\b
Exit codes:
    0  all is in order again; or it was
    1  something could not be brought into order, or what was fetched is partial
    2  a wrong option or setting, or no archive
    3  the Terminal refused everything
    4  every reply was wrong, and nothing of it was kept
    5  the disk or the catalog failed
    6  another process writes this archive
   75  no usable Terminal: what needs none was done; run it again later
  130  stopped by Ctrl-C or SIGTERM; the same command goes on
"""


@click.command(epilog=_EPILOG)
@options.setting("terminal.url", "URL")
@options.setting("terminal.dialect", "auto|v2|v3")
@options.setting("download.concurrency", "N")
@options.data_dir
@click.option("--delete", is_flag=True, help=f"Delete damaged and unknown files; else they go to {ASIDE}.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done; change nothing.")
@options.as_json
@click.pass_context
def command(ctx: click.Context, /, *, delete: bool, dry_run: bool, as_json: bool, **flags: str | None) -> None:
    """Fetch again what is damaged or missing, and only that.

    Every file is verified first. Whole files that the catalog does not know are recorded; a catalog that is damaged or
    gone is made anew from the files themselves. Damaged and unknown files are set aside, not deleted. Earlier files
    cannot be fetched again: lost ones are named.
    """
    settings = options.settings(flags)
    clock = options.clock()
    require_archive(settings)
    if dry_run:
        with stoppable():
            _preview(settings, clock, delete=delete, as_json=as_json)
        return
    taken: list[Taken] = []
    try:
        with stoppable():
            ctx.exit(_repair(ctx, settings, clock, taken, delete=delete, as_json=as_json))
    except KeyboardInterrupt:
        ctx.exit(interrupted(ctx, f"{counted(len(taken), 'file')} set aside; nothing is lost"))


def _repair(
    ctx: click.Context, settings: Settings, clock: SystemClock, taken: list["Taken"], *, delete: bool, as_json: bool
) -> int:
    """Repair, telling what is done; return the exit code."""
    from spxdata.bootstrap import sound_catalog
    from spxdata.cli.download import run
    from spxdata.integrity.repair import prepare, restore
    from spxdata.opening import make_storage

    def fetch(request: Request, file_format: "Format") -> int:
        if not as_json:
            echo(f"Restoring {counted(len(request.units or ()), 'unit')} of {request.root} {request.datasets[0]}")
        storage = replace(settings.storage, format=file_format or settings.storage.format)
        return run(ctx, replace(settings, storage=storage), request, clock, as_json=as_json, quiet=False)

    def take(one: "Taken") -> None:
        taken.append(one)
        if as_json:
            tell("taken", path=printable(one.difference.path), to=one.to and printable(one.to), problem=one.problem)

    with sound_catalog(settings, clock) as (catalog, aside):
        _say_catalog(aside, as_json=as_json)
        with gauge(clock.monotonic, silent=as_json) as shown:
            found = tell_difference if as_json else lambda one: shown.say(show(one))
            done = prepare(
                catalog, make_storage(settings), clock, delete=delete, checked=shown, found=found, taken=take
            )
        if not as_json:
            _say_taken(done)
        restore(done, catalog, fetch)
    if as_json:
        _tell(done)
    else:
        _say(done)
    return done.exit_code


def _say_catalog(aside: tuple[str, ...], *, as_json: bool) -> None:
    if aside and as_json:
        tell("catalog_set_aside", to=list(aside))
    elif aside:
        folder = "/".join(aside[0].split("/")[:3])
        echo(f"! The catalog was damaged: it lies in {folder} now, and a new one is made from the files")


def _say_taken(done: "Repaired") -> None:
    """Say where files went, and which days the catalog did not know."""
    folders = {"/".join(one.to.split("/")[:3]) for one in done.taken if one.to}
    gone = sum(one.to is None and one.problem is None for one in done.taken)
    for folder in sorted(folders):
        echo(f"→ {counted(sum(bool(one.to) for one in done.taken), 'file')} set aside in {folder}")
    if gone:
        echo(f"→ {counted(gone, 'file')} deleted")
    for one in done.taken:
        if one.problem:
            echo(f"✗ {printable(one.difference.path)} stays: {printable(one.problem)}")
    if done.rebuilt:
        farthest = max(scope.max_dte for scope in done.rebuilt.values())
        echo(
            f"! {counted(len(done.rebuilt), 'day')} that the catalog does not know: how many days to expiration were "
            f"asked for is taken from the files that are there, {farthest} at most"
        )


def _say(done: "Repaired") -> None:
    """Say how it ended."""
    for one in done.remedies.forget_earlier:
        echo(f"✗ An earlier file of {one.unit} is lost and off the record: {printable(one.path)}")
    for one in done.remedies.mute:
        echo(f"! An earlier CSV file of {one.unit} stays off the record: {printable(one.path)}")
    if not done.remedies:
        echo("! Nothing that could be repaired" if done.remedies.mute else "✓ Nothing to repair")
        return
    if done.left:
        named = ", ".join(map(str, done.left[:_NAMED]))
        more = f" and {len(done.left) - _NAMED:,} more" if len(done.left) > _NAMED else ""
        echo(f"✗ {counted(len(done.left), 'unit')} not restored: {named}{more}")
    if done.lacking:
        echo(
            f"! {counted(len(done.lacking), 'unit')} on the contract lists are not in the archive: never asked for, or "
            "empty"
        )
        echo("Hint: spxdata download fetches what is wanted of them; spxdata coverage names them.")
    numbers = [
        counted(len(done.restored), "unit") + " fetched again" if done.restored else "",
        counted(len(done.adopted), "file") + " recorded again" if done.adopted else "",
        counted(len(done.earlier), "earlier file") + " recorded again" if done.earlier else "",
        counted(len(done.taken), "file") + " taken out" if done.taken else "",
        counted(len(done.remedies.unfinished), "unfinished file") + " removed" if done.remedies.unfinished else "",
    ]
    word = "✗ Stopped" if done.exit_code > 1 else "! Repaired in part" if done.exit_code else "✓ Repaired"
    echo(f"{word}: {', '.join(filter(None, numbers)) or 'nothing done'}")


def _tell(done: "Repaired") -> None:
    tell(
        "summary",
        restored=[plain(unit) for unit in done.restored],
        adopted=[plain(unit) for unit in done.adopted],
        adopted_earlier=[earlier.artifact.path for earlier in done.earlier],
        forgotten_earlier=[one.path for one in done.remedies.forget_earlier],
        mute=[one.path for one in done.remedies.mute],
        left=[plain(unit) for unit in done.left],
        lacking=[plain(unit) for unit in done.lacking],
        taken=len(done.taken),
        unfinished=len(done.remedies.unfinished),
        rebuilt=[{**plain(day), "max_dte": scope.max_dte} for day, scope in done.rebuilt.items()],
        exit_code=done.exit_code,
    )


def _preview(settings: Settings, clock: SystemClock, *, delete: bool, as_json: bool) -> None:
    """Say what would be done."""
    from spxdata.integrity.repair import remedies, require_sound
    from spxdata.integrity.verify import verify
    from spxdata.opening import existing_catalog, make_storage

    found: list[Difference] = []
    with ExitStack() as stack, gauge(clock.monotonic, silent=as_json) as shown:
        try:
            catalog = stack.enter_context(existing_catalog(settings))
            if catalog:
                require_sound(catalog)
        except CatalogCorrupt as error:
            catalog = None
            if as_json:
                tell("catalog_damaged", message=error.message)
            else:
                shown.say(f"! Would set the catalog aside and make a new one from the files: {error.message}")
        for one in verify(catalog, make_storage(settings), told=shown):
            found.append(one)
            if as_json:
                tell_difference(one)
            else:
                shown.say(show(one))
        wanted = remedies(found, catalog)
    if as_json:
        tell(
            "plan",
            aside=[printable(one.path) for one in wanted.aside],
            fetch=[plain(unit) for unit in sorted(wanted.fetch, key=str)],
            adopt=[plain(unit) for unit in sorted(wanted.adopt, key=str)],
            unfinished=[printable(one.path) for one in wanted.unfinished],
            adopt_earlier=[one.path for one in wanted.adopt_earlier],
            forget_earlier=[one.path for one in wanted.forget_earlier],
            mute=[one.path for one in wanted.mute],
        )
        return
    numbers = [
        counted(len(wanted.fetch), "unit") + " fetched again" if wanted.fetch else "",
        counted(len(wanted.adopt), "file") + " recorded again" if wanted.adopt else "",
        counted(len(wanted.adopt_earlier), "earlier file") + " recorded again" if wanted.adopt_earlier else "",
        counted(len(wanted.forget_earlier), "earlier file") + " taken off the record" if wanted.forget_earlier else "",
        counted(len(wanted.aside), "file") + (" deleted" if delete else " set aside") if wanted.aside else "",
        counted(len(wanted.unfinished), "unfinished file") + " removed" if wanted.unfinished else "",
    ]
    echo(f"Would be repaired: {', '.join(filter(None, numbers)) or 'nothing'}. Nothing was changed.")
