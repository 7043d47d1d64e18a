"""`spxdata coverage`: a calendar of what is complete, what is missing below it, and the way to fetch just that."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from datetime import date, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Final

import click

from spxdata.certificate import Certificate, Missing, key_of
from spxdata.cli import options
from spxdata.cli.errors import INTERRUPTED, tell
from spxdata.cli.text import CLOSED, counted, echo
from spxdata.clock import SystemClock
from spxdata.completeness import describe
from spxdata.config import Settings
from spxdata.errors import ArchiveBusy, ConfigError
from spxdata.events import plain
from spxdata.model import State, Verdict, parse_day, parse_root
from spxdata.plan import Request, date_range, request_of
from spxdata.schema import dataset
from spxdata.sessions import NEW_YORK, closed_because

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
#: Expirations that the lines below a day name before they only count; --json has them all.
_NAMED: Final = 10
#: Months of a calendar up to which each has its weeks; of more, months without a hole take a line.
_MONTHS: Final = 3
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri")
_MARGIN: Final = " " * 11
#: Exit codes of a run after which no other would fare better.
_STOPPED: Final = frozenset({2, 5, 6, 75, INTERRUPTED})
_EPILOG = """\
\b
Exit codes:
    0  all complete: nothing is missing that the vendor has
    1  something is missing, or cannot be compared with a contract list;
       or the archive holds nothing of these days
    2  a wrong option or setting
    5  the disk or the catalog failed
    6  with --fix: another process writes this archive
   75  with --fix: no usable Terminal
  130  stopped by Ctrl-C or SIGTERM
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

    Every day is measured against contract lists, trading hours and the stored files, again whenever one of these has
    changed; what the archive holds of a dataset is expected of all trading days between its first and its last one.
    """
    settings = options.settings(flags)
    clock = options.clock()
    if force and not fix:
        raise ConfigError("--force stands without --fix.", hint="Give both, or leave it out: it is about fetching.")
    wanted = _wanted(start_date, end_date, roots, datasets, clock)
    found = _certified(settings, wanted, clock)
    code = 0
    if fix and found and not all(one.is_sound for one in found):
        code = _fix(ctx, settings, found, clock, force=force, as_json=as_json, quiet=quiet)
        if code == INTERRUPTED:
            ctx.exit(code)
        found = _certified(settings, wanted, clock)
    if as_json:
        _tell(found or ())
    elif found:
        _show(found, clock.now().astimezone(NEW_YORK).date(), quiet=quiet)
    else:
        _nothing(settings, is_there=found is not None)
    ctx.exit(code or (0 if found and all(one.is_sound for one in found) else 1))


def _wanted(
    start: str | None, end: str | None, roots: Sequence[str], datasets: Sequence[str], clock: SystemClock
) -> "Wanted":
    """Return the days in question.

    Raises:
        ConfigError: One of them, or a name, is wrong.
    """
    from spxdata.integrity.coverage import Wanted

    first = parse_day(start, "--start-date") if start else None
    last = parse_day(end, "--end-date") if end else None
    given = [day for day in (first, last) if day]
    if given:
        date_range(given[0], given[-1], clock.now())
    return Wanted(
        first,
        last,
        tuple(parse_root(root, "--root") for root in roots),
        tuple(dataset(name, "--dataset").name for name in datasets),
    )


def _certified(settings: Settings, wanted: "Wanted", clock: SystemClock) -> Sequence[Certificate] | None:
    """Return the certificates of the days in question, and keep them; None if there is no archive yet."""
    from spxdata.integrity.coverage import issued, keep, kept_certificates
    from spxdata.opening import kept_as, make_catalog, make_storage

    if not kept_as(settings):
        return None
    with closing(make_catalog(settings)) as catalog:
        kept = kept_certificates(catalog)
        found = issued(catalog, make_storage(settings), clock, wanted, kept)
        new = [one for one in found if kept.get(one.day) != one]
        if new:
            with suppress(ArchiveBusy), catalog.lease(clock):  # who writes the archive makes them stale anyway
                keep(new, catalog)
    return found


def _fix(
    ctx: click.Context,
    settings: Settings,
    found: Sequence[Certificate],
    clock: SystemClock,
    *,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Download what the certificates lack; return the exit code of a run that could not go on, else 0."""
    from spxdata.cli.download import run

    for request in _requests([one for one in found if not one.is_sound], settings, force=force):
        code = run(ctx, settings, request, clock, as_json=as_json, quiet=quiet)
        if code in _STOPPED:
            return code
    if not (as_json or quiet):
        echo()
    return 0


def _requests(unsound: Sequence[Certificate], settings: Settings, *, force: bool) -> Iterator[Request]:
    """Yield what fetches all that certificates lack: first what the catalog takes for there, by name."""
    from spxdata.integrity.coverage import overlooked
    from spxdata.opening import existing_catalog

    with existing_catalog(settings) as catalog:
        lost = [(one, overlooked(one, catalog)) for one in unsound] if catalog else []
    forced = [one for one, units in lost if units]
    if forced:
        units = frozenset(unit for _, several in lost for unit in several)
        yield replace(request_of((one.day for one in forced), forced[0].scope), force=True, units=units)
    rest = [one for one, units in lost if not units or set(one.units_to_fetch()) - set(units)]

    def scope(one: Certificate) -> tuple[int, tuple[date, ...]]:
        return one.scope.max_dte, one.scope.expirations

    for _, group in groupby(sorted(rest, key=lambda one: (scope(one), one.day)), scope):
        days = list(group)
        yield replace(request_of((one.day for one in days), days[0].scope), holes=force)


def _nothing(settings: Settings, *, is_there: bool) -> None:
    directory = settings.storage.data_directory
    if is_there:
        echo(f"The archive {directory} holds nothing of these days.")
        return
    echo(f"There is no archive in {directory} yet.")
    echo("Hint: Begin one with spxdata download --date 2024-01-16, or name another with --data-dir.")


def _show(found: Sequence[Certificate], today: date, *, quiet: bool) -> None:
    """Write the calendars, what is missing below them, and what is unusual."""
    lacks, odd = list(lacking(found)), list(unusual(found))
    if quiet:
        for line in (*lacks, *odd):
            echo(line)
        return
    for block in (*_calendars(found), lacks, odd):
        for line in block:
            echo(line)
        if block:
            echo()
    echo(_total(found))
    for line in _hints(found, today):
        echo(f"Hint: {line}")


def _hints(found: Sequence[Certificate], today: date) -> Iterator[str]:
    """Yield what may be done: what --fix would fetch now, and from when on it asks for the rest."""
    waiting = {unit: day for one in found for unit, day in one.waiting(today).items()}
    unsound = [one for one in found if not one.is_sound]
    if any(one.verdict is Verdict.UNVERIFIED or set(one.units_to_fetch()) - set(waiting) for one in unsound):
        yield "To fetch what is missing, and nothing else: spxdata coverage --fix"
    if waiting:
        first, last = min(waiting.values()), max(waiting.values())
        rest = "" if first == last else f", for the last of them from {last} on"
        yield f"Asked for in vain: {counted(len(waiting), 'file')}. --fix asks again from {first} on{rest}."
        yield "To ask again now: spxdata coverage --fix --force"


def _calendars(found: Sequence[Certificate]) -> Iterator[list[str]]:
    """Yield a calendar of each dataset, then the meaning of the marks in them where they differ, and the holidays."""
    for name, group in groupby(sorted(found, key=_series), _series):
        yield [" ".join(name), *calendar(list(group))]
    marks = {MARKS[one.verdict]: _words(one.verdict) for one in found}
    if set(marks) - {MARKS[Verdict.COMPLETE]}:
        yield ["  ".join(f"{mark} {word}" for mark, word in sorted(marks.items(), key=lambda pair: pair[1]))]
    yield list(holidays(found))


def holidays(found: Sequence[Certificate]) -> Iterator[str]:
    """Yield the holidays between the first and the last day, or only their number if they are many."""
    closed = list(_holidays(found))
    if len(closed) > _NAMED:
        yield f"{CLOSED} Closed on {counted(len(closed), 'holiday')}; spxdata sessions names them"
        return
    for day, reason in closed:
        yield f"{CLOSED} Closed {day}: {reason}"


def _holidays(found: Sequence[Certificate]) -> Iterator[tuple[date, str]]:
    """Yield the days between the first and the last one that are no trading days though no weekend, and why."""
    days = [one.day.trade_date for one in found]
    first, last = min(days, default=date.max), max(days, default=date.min)
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        reason = closed_because(day)
        if reason and day.weekday() < len(_WEEKDAYS):
            yield day, reason


def _series(one: Certificate) -> tuple[str, str, str]:
    return one.day[1:]


def _words(verdict: Verdict | None) -> str:
    return _WORDS.get(verdict, str(verdict)).replace("_", " ")


def calendar(days: Sequence[Certificate]) -> Iterator[str]:
    """Yield the months of some days of one dataset, a line for each week, Monday to Friday.

    Of a long time, a month without a hole is one line.
    """
    by_date = {one.day.trade_date: one for one in days}
    first, last = min(by_date), max(by_date)
    months: dict[tuple[int, int], list[date]] = {}
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        months.setdefault((day.year, day.month), []).append(day)
    long = len(months) > _MONTHS
    yield f"{_MARGIN}{'   '.join(_WEEKDAYS)}"
    for month in months.values():
        mine = [by_date[day] for day in month if day in by_date]
        verdicts = {one.verdict for one in mine}
        if long and verdicts <= {Verdict.COMPLETE}:
            yield f"  {month[0]:%Y-%m}  {MARKS[Verdict.COMPLETE]} {counted(len(mine), 'day')} complete"
            continue
        head = f"  {month[0]:%Y-%m}"
        for _, week in groupby(month, lambda day: day.isocalendar().week):
            weekdays = [day for day in week if day.weekday() < len(_WEEKDAYS)]
            if weekdays:
                blank = "      " * weekdays[0].weekday()
                cells = "".join(_cell(day, by_date.get(day)) for day in weekdays)
                yield f"{head:{len(_MARGIN) - 1}}{blank}{cells}".rstrip()
                head = ""


def _cell(day: date, certificate: Certificate | None) -> str:
    mark = MARKS[certificate.verdict] if certificate else CLOSED
    return f"{day.day:3} {mark}" + (" " if mark != MARKS[Verdict.NOT_PUBLISHED] else "")  # that one takes two places


def lacking(found: Sequence[Certificate]) -> Iterator[str]:
    """Yield what days lack, nothing of those that lack nothing; days in a row of which all is missing as one."""
    for name, group in groupby(sorted(found, key=_series), _series):
        in_order = sorted(group, key=lambda one: one.day)
        for (sound, nothing, what), alike in groupby(in_order, lambda one: (one.is_sound, not one.stored, _what(one))):
            days = list(alike)
            if sound:
                continue
            for run in [days] if nothing else [[one] for one in days]:
                first, last = run[0].day.trade_date, run[-1].day.trade_date
                span = str(first) if first == last else f"{first} to {last} ({counted(len(run), 'day')})"
                yield f"{MARKS[run[0].verdict]} {span} {' '.join(name)}: {what}"
                yield from () if nothing else (f"    {line}" for line in _details(run[0]))


def _details(one: Certificate) -> Iterator[str]:
    """Yield the units that are missing, alike ones together, and what those that are stored lack."""
    same = sorted(one.missing, key=lambda unit: (_standing(unit), unit.expiration or date.max))
    for words, group in groupby(same, _standing):
        expirations = [f"{unit.expiration}" if unit.expiration else "all others" for unit in group]
        yield f"exp {_listed(expirations)}: {words}" if one.units > 1 else words
    lacks = [(expiration, list(found)) for expiration, found in groupby(one.lacks, lambda lack: lack.expiration)]
    for expiration, found in lacks[:_NAMED]:
        words = describe([lack.hole for lack in found])
        yield f"exp {expiration}: {words.replace(f'{expiration} ', '')}" if expiration else words
    if len(lacks) > _NAMED:
        yield f"and {counted(len(lacks) - _NAMED, 'more expiration')}; --json tells all"


def _standing(unit: Missing) -> str:
    """Return how a unit that is missing stands, in words."""
    if unit.state is State.STORED:  # on record, but not on the disk as it was
        return str(unit.reason)
    if unit.state is State.NOT_PUBLISHED:  # it has been by now, or nothing would be missing
        return "was not published yet when it was asked for"
    words = (unit.state or "never asked for").replace("_", " ")
    return f"{words} ({unit.reason})" if unit.reason else words


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _what(one: Certificate) -> str:
    """Return what a day lacks, in a few words."""
    if one.verdict is Verdict.UNVERIFIED:
        return "stored, but there is no whole contract list to compare with"
    if not one.stored:
        return " / ".join(dict.fromkeys(map(_standing, one.missing)))
    kinds = Counter(lack.hole.kind for lack in one.lacks)
    parts = [counted(count, str(kind)) for kind, count in kinds.items()]
    if one.missing:
        parts.append(f"{len(one.missing):,} of {counted(one.units, 'file')} missing")
    return ", ".join(parts)


def unusual(found: Sequence[Certificate]) -> Iterator[str]:
    """Yield the cross-checks that are unusual."""
    from spxdata.integrity.crosscheck import CHECKS

    for one in found:
        for figure in one.figures:
            if figure.unusual:
                normal = f"normal is {figure.low:g} to {figure.high:g}"
                why = "other days show otherwise" if figure.low <= figure.value <= figure.high else normal
                yield f"! {key_of(one.day)}: {figure.name} is {figure.value:.4g}, {why} ({CHECKS[figure.name].what})"


def _total(found: Sequence[Certificate]) -> str:
    verdicts = Counter(_words(one.verdict) for one in found)
    complete = verdicts.pop("complete", 0)
    others = [f"{count:,} {word}" for word, count in verdicts.items()]
    return f"Total: {complete:,}/{counted(len(found), 'day')} complete" + (f" ({', '.join(others)})" if others else "")


def _tell(found: Sequence[Certificate]) -> None:
    for one in found:
        record = plain(one)
        record["lacks"] = [
            {"expiration": plain(lack.expiration), **plain(lack.hole), "ask_again": plain(lack.ask_again)}
            for lack in one.lacks
        ]
        tell("certificate", **record, complete=one.verdict is Verdict.COMPLETE, sound=one.is_sound)
    for day, reason in _holidays(found):
        tell("day_closed", trade_date=plain(day), reason=reason, verdict=Verdict.CLOSED)
    tell(
        "summary",
        days=len(found),
        complete=sum(one.verdict is Verdict.COMPLETE for one in found),
        sound=sum(one.is_sound for one in found),
    )
