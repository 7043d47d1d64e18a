"""`spxdata coverage`: a calendar of what is complete, what is missing below it, and the way to fetch just that."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Final

import click

from spxdata.cli import options
from spxdata.cli.errors import tell
from spxdata.cli.text import CLOSED, counted, echo
from spxdata.clock import SystemClock
from spxdata.completeness import describe
from spxdata.config import Settings
from spxdata.errors import ArchiveBusy
from spxdata.events import plain
from spxdata.integrity.certificate import SOUND, Certificate, Figure, Lack
from spxdata.model import Verdict, parse_day, parse_root
from spxdata.schema import dataset
from spxdata.sessions import closed_because

if TYPE_CHECKING:
    from spxdata.integrity.coverage import Wanted

#: The mark of each verdict in the calendar; a day without any has nothing stored.
MARKS: Final[dict[Verdict | None, str]] = {
    Verdict.COMPLETE: "✓",
    Verdict.PARTIAL: "!",
    Verdict.ABSENT: "∅",
    Verdict.NOT_PUBLISHED: "⏳",
    Verdict.UNVERIFIED: "?",
    None: "✗",
}
_WORDS: Final[dict[Verdict | None, str]] = {None: "missing"}
_EPILOG = """\
\b
Exit codes:
    0  all complete: nothing is missing that the vendor has
    1  something is missing, or cannot be compared with a contract list
    2  a wrong option or setting
    5  the disk or the catalog failed
    6  with --fix: another process writes this archive
"""


@click.command(epilog=_EPILOG)
@click.option("--start-date", metavar="DAY", help="First trade date.  [default: the archive's first]")
@click.option("--end-date", metavar="DAY", help="Last trade date, included.  [default: the archive's last]")
@click.option("--root", "roots", multiple=True, metavar="ROOT", help="Only this option root; may be repeated.")
@click.option("--dataset", "datasets", multiple=True, metavar="NAME", help="Only this dataset; may be repeated.")
@options.setting("terminal.url", "URL")
@options.setting("terminal.dialect", "auto|v2|v3")
@options.data_dir
@click.option("--fix", is_flag=True, help="Download what is missing, and nothing else.")
@click.option("--force", is_flag=True, help="With --fix: ask now for holes that were confirmed twice, too.")
@options.as_json
@click.option("--quiet", is_flag=True, help="Say only what is missing.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    start_date: str | None,
    end_date: str | None,
    roots: Sequence[str],
    datasets: Sequence[str],
    fix: bool,
    force: bool,
    as_json: bool,
    quiet: bool,
    **flags: str | None,
) -> None:
    """Show what is complete, and exactly what is missing.

    Every day is measured anew against contract lists, sessions and the stored files; what the archive holds of a
    dataset is expected of all trading days between its first and its last one.
    """
    from spxdata.integrity.coverage import Wanted

    settings = options.settings(flags)
    clock = options.clock()
    wanted = Wanted(
        parse_day(start_date, "--start-date") if start_date else None,
        parse_day(end_date, "--end-date") if end_date else None,
        tuple(parse_root(root, "--root") for root in roots),
        tuple(dataset(name, "--dataset").name for name in datasets),
    )
    found = _certified(settings, wanted, clock)
    if found is None:
        _no_archive(settings, as_json=as_json)
        ctx.exit(0)
    if fix and any(not one.is_sound for one in found):
        _fix(ctx, settings, [one for one in found if not one.is_sound], clock, force=force, quiet=quiet or as_json)
        found = _certified(settings, wanted, clock) or []
    if as_json:
        _tell(found)
    else:
        _show(found, quiet=quiet)
    ctx.exit(0 if all(one.is_sound for one in found) else 1)


def _certified(settings: Settings, wanted: "Wanted", clock: SystemClock) -> list[Certificate] | None:
    """Return the certificates of the days in question, and keep them unless another process writes the archive."""
    from spxdata.integrity.coverage import coverage, keep
    from spxdata.opening import kept_as, make_catalog, make_storage

    if not kept_as(settings):
        return None
    catalog = make_catalog(settings)
    try:
        found = list(coverage(catalog, make_storage(settings), clock, wanted))
        with suppress(ArchiveBusy), catalog.lease(clock):
            keep(found, catalog)
    finally:
        catalog.close()
    return found


def _fix(
    ctx: click.Context,
    settings: Settings,
    unsound: Sequence[Certificate],
    clock: SystemClock,
    *,
    force: bool,
    quiet: bool,
) -> None:
    """Download what the certificates lack."""
    from spxdata.cli.download import run
    from spxdata.plan import Request

    def same(one: Certificate) -> tuple[object, ...]:
        return (one.day.root, one.day.dataset, one.day.interval, one.scope.max_dte, one.scope.expirations)

    for _, group in groupby(sorted(unsound, key=lambda one: (same(one), one.day)), same):
        days = list(group)
        first = days[0]
        request = Request(
            tuple(one.day.trade_date for one in days),
            first.day.root,
            (first.day.dataset,),
            replace(first.scope),
            interval=first.day.interval,
            holes=force,
        )
        run(ctx, settings, request, clock, as_json=False, quiet=quiet)


def _no_archive(settings: Settings, *, as_json: bool) -> None:
    if as_json:
        _tell([])
        return
    echo(f"There is no archive in {settings.storage.data_directory} yet.")
    echo("Hint: Begin one with spxdata download --date 2024-01-16, or name another with --data-dir.")


def _show(found: Sequence[Certificate], *, quiet: bool) -> None:
    for (root, name, interval), group in groupby(sorted(found, key=_series), _series):
        days = list(group)
        if not quiet:
            echo(f"{root} {name} {interval}")
            for line in calendar(days):
                echo(line)
            echo()
    for one in found:
        for line in lines(one):
            echo(line)
    echo(_total(found))


def _series(one: Certificate) -> tuple[str, str, str]:
    return one.day[1:]


def calendar(days: Sequence[Certificate]) -> Iterator[str]:
    """Yield the months of some days of one dataset, a line for each week, Monday to Friday."""
    by_date = {one.day.trade_date: one for one in days}
    monday = min(by_date) - timedelta(days=min(by_date).weekday())
    last = max(by_date)
    month = ""
    while monday <= last:
        week = [monday + timedelta(days=n) for n in range(5)]
        shown = [_cell(day, by_date.get(day)) for day in week if min(by_date) <= day <= last]
        head = f"{next(day for day in week if min(by_date) <= day <= last):%Y-%m}" if shown else month
        blank = sum(day < min(by_date) for day in week)
        if shown:
            yield f"  {head if head != month else '':7}  " + "      " * blank + "".join(shown).rstrip()
            month = head
        monday += timedelta(days=7)


def _cell(day: date, certificate: Certificate | None) -> str:
    if certificate is None:
        return f"{day.day:3} {CLOSED} " if closed_because(day) else "      "
    mark = MARKS[certificate.verdict]
    return f"{day.day:3} {mark}" + ("" if mark == "⏳" else " ")


def lines(one: Certificate) -> Iterator[str]:
    """Yield what a day lacks, and what is unusual about it; nothing of a day that lacks nothing."""
    day = one.day
    name = f"{day.trade_date} {day.root} {day.dataset} {day.interval}"
    if one.verdict not in SOUND:
        yield f"{MARKS[one.verdict]} {name}: {_what(one)}"
        for missing in one.missing:
            if len(one.missing) < one.units or one.stored:
                state = str(missing.state or "never asked for").replace("_", " ")
                yield f"    exp {missing.expiration}: {state}" + (f" ({missing.reason})" if missing.reason else "")
        for expiration, group in groupby(one.lacks, lambda lack: lack.expiration):
            yield f"    {_of(expiration)}{_holes(list(group))}"
    for figure in one.figures:
        if figure.unusual:
            yield f"! {name}: {_figure(figure)}"


def _of(expiration: date | None) -> str:
    return f"exp {expiration}: " if expiration else ""


def _holes(group: Sequence[Lack]) -> str:
    words = describe([lack.hole for lack in group])
    return words.replace(f"{group[0].expiration} ", "") if group[0].expiration else words


def _figure(figure: Figure) -> str:
    return (
        f"{figure.name.replace('_', ' ')} is {figure.value:.4g}, normal is {figure.low:g} to {figure.high:g} and near "
        "what other days show"
    )


def _what(one: Certificate) -> str:
    if one.verdict is Verdict.UNVERIFIED:
        return "stored, but there is no contract list to compare with"
    if not one.stored:
        reason = next((missing.reason for missing in one.missing if missing.reason), None)
        state = next((missing.state for missing in one.missing if missing.state), None)
        return " ".join(
            filter(None, (str(state or "never asked for").replace("_", " "), f"({reason})" if reason else ""))
        )
    kinds = Counter(lack.hole.kind for lack in one.lacks)
    parts = [counted(count, str(kind)) for kind, count in kinds.items()]
    if one.missing:
        parts.append(f"{len(one.missing):,} of {counted(one.units, 'file')} missing")
    return ", ".join(parts) or "partial"


def _total(found: Sequence[Certificate]) -> str:
    verdicts = Counter(_WORDS.get(one.verdict, str(one.verdict)).replace("_", " ") for one in found)
    complete = verdicts.pop("complete", 0)
    others = [f"{count:,} {word}" for word, count in verdicts.items()]
    return f"Total: {complete:,}/{counted(len(found), 'day')} complete" + (f" ({', '.join(others)})" if others else "")


def _tell(found: Sequence[Certificate]) -> None:
    for one in found:
        record = plain(one)
        record["lacks"] = [{"expiration": plain(lack.expiration), **plain(lack.hole)} for lack in one.lacks]
        tell("certificate", **record, complete=one.verdict is Verdict.COMPLETE, sound=one.is_sound)
    tell(
        "summary",
        days=len(found),
        complete=sum(one.verdict is Verdict.COMPLETE for one in found),
        sound=sum(one.is_sound for one in found),
    )
