"""`spxdata clean`: remove what failed downloads left, old refused replies and old logs."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Final

import click

from spxdata.cli import options
from spxdata.cli.errors import tell
from spxdata.cli.text import counted, echo, printable, size
from spxdata.cli.verify import require_archive

if TYPE_CHECKING:
    from spxdata.integrity.clean import Leftover

#: How several of a kind are called, where that is not the word with an s.
_WORDS: Final[dict[str, tuple[str, str]]] = {
    "file of an unfinished check": ("file of an unfinished check", "files of unfinished checks"),
    "file of an unfinished conversion": ("file of an unfinished conversion", "files of unfinished conversions"),
    "refused reply": ("file of refused replies", "files of refused replies"),
    "file set aside": ("file set aside", "files set aside"),
}

_EPILOG = """\
\b
What goes: unfinished files, those that a killed check for revisions had fetched or a killed conversion had written,
refused replies older than 30 days (or DAYS) or beyond 1 GB, all but the newest 100 run logs; with --older-than also
what repair set aside. Files of the catalog and earlier files are never touched.
\b
Exit codes: 0 done, 2 a wrong option or no archive, 5 the disk or the catalog failed, 6 another process writes.
"""


@click.command(epilog=_EPILOG)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option(
    "--older-than",
    type=click.IntRange(0, 36_500),
    metavar="DAYS",
    help="Refused replies and files that repair set aside, if they are older than this.",
)
@options.data_dir
@options.as_json
def command(*, dry_run: bool, older_than: int | None, as_json: bool, **flags: str | None) -> None:
    """Remove what failed downloads and old refusals left.

    No file that the catalog knows is touched.
    """
    from spxdata.integrity.clean import clean, leftovers
    from spxdata.opening import make_catalog, make_storage

    settings = options.settings(flags)
    clock = options.clock()
    require_archive(settings)
    storage = make_storage(settings)
    age = None if older_than is None else timedelta(days=older_than)
    if dry_run:
        found = leftovers(storage, clock.now(), age)
    else:
        catalog = make_catalog(settings)
        try:
            with catalog.lease(clock):
                found = leftovers(storage, clock.now(), age)
                clean(storage, found)
        finally:
            catalog.close()
    if as_json:
        _tell(found, dry_run=dry_run)
    else:
        _show(found, dry_run=dry_run)


def _show(found: Sequence["Leftover"], *, dry_run: bool) -> None:
    would = "Would remove" if dry_run else "Removed"
    for one in found:
        echo(f"{would} {printable(one.path)} ({one.kind}, {size(one.bytes)})")
    if not found:
        echo("✓ Nothing to remove")
        return
    each = []
    for kind, group in groupby(found, lambda one: one.kind):
        files = list(group)
        each.append(f"{_counted(kind, len(files))} ({size(sum(one.bytes for one in files))})")
    total = size(sum(one.bytes for one in found))
    echo(f"{'→' if dry_run else '✓'} {would} {', '.join(each)}: {total} in all")


def _counted(kind: str, count: int) -> str:
    words, many = _WORDS.get(kind, (kind, ""))
    return counted(count, words, many)


def _tell(found: Sequence["Leftover"], *, dry_run: bool) -> None:
    for one in found:
        tell("leftover", kind=one.kind.name.lower(), path=printable(one.path), bytes=one.bytes, removed=not dry_run)
    tell("summary", files=len(found), bytes=sum(one.bytes for one in found), removed=not dry_run)
