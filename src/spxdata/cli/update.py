"""`spxdata update`: bring the archive to what its rule says, once or after every publication."""

import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

import click

from spxdata.cli import options
from spxdata.cli.errors import EXIT_CODES, INTERRUPTED, report, tell
from spxdata.cli.report import day_name
from spxdata.cli.signals import stoppable
from spxdata.cli.text import counted, echo
from spxdata.clock import SystemClock
from spxdata.config import Settings
from spxdata.errors import ArchiveBusy, ConfigError, SpxDataError, StorageError, TransientError
from spxdata.events import plain
from spxdata.integrity.rule import (
    SOON,
    Change,
    Resolved,
    Rule,
    as_values,
    changed,
    keep,
    kept,
    next_publication,
    resolved,
    suggested,
)
from spxdata.model import Day, DayStatus, parse_day, parse_root
from spxdata.plan import request_of
from spxdata.protocols import Clock
from spxdata.schema import dataset
from spxdata.sessions import NEW_YORK, closed_because

_EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:>3}  {words}" for code, words in EXIT_CODES.items())

#: Days due that `--show` names one by one.
_NAMED: Final = 10
#: Longest sleep in one piece: a machine that was suspended, or whose clock was set, is noticed after so many seconds.
_NAP: Final = 60.0
#: Exit codes of runs that were kept away by something that passes, by itself or by somebody's doing.
_PASSES: Final = frozenset({ArchiveBusy.exit_code, StorageError.exit_code, TransientError.exit_code})

_EXAMPLE: Final = "spxdata update --start-date 2024-01-02"


@click.command(epilog=_EPILOG)
@click.option("--start-date", metavar="DAY", help="Rule: the first trade date.")
@click.option("--root", "roots", multiple=True, metavar="ROOT", help="Rule: option root, may be repeated.")
@click.option("--dataset", "datasets", multiple=True, metavar="NAME", help="Rule: kind of data, may be repeated.")
@click.option("--interval", metavar="INTERVAL", help="Rule: interval of all datasets that have a choice.")
@click.option("--max-dte", "download__max_dte", metavar="DAYS", help="Rule: most days to expiration.")
@click.option("--show", is_flag=True, help="Only say what the rule is and what is due; change nothing.")
@click.option("--oldest-first", is_flag=True, help="Begin with the oldest day, not with the newest.")
@click.option("--watch", is_flag=True, help="Go on: run again after each publication, until Ctrl-C or SIGTERM.")
@options.setting("download.concurrency", "N")
@options.setting("terminal.url", "URL")
@options.setting("terminal.dialect", "auto|v2|v3")
@options.data_dir
@options.setting("storage.format", "parquet|csv")
@options.log
@options.as_json
@click.option("--quiet", is_flag=True, help="Say only what went wrong.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    start_date: str | None,
    roots: Sequence[str],
    datasets: Sequence[str],
    interval: str | None,
    show: bool,
    oldest_first: bool,
    watch: bool,
    as_json: bool,
    quiet: bool,
    **flags: str | None,
) -> None:
    """Fetch everything that the archive's rule wants and lacks.

    The rule is kept in the archive; its options set or change it. Days that are complete cost nothing, holes in
    between are filled like new days.
    """
    settings = options.settings(flags)
    clock = options.clock()
    change = Change(
        parse_day(start_date, "--start-date") if start_date else None,
        tuple(parse_root(root, "--root") for root in roots),
        tuple(dataset(name, "--dataset").name for name in datasets),
        interval,
        settings.download.max_dte if flags["download__max_dte"] is not None else None,
    )
    update = Update(ctx, settings, clock, as_json=as_json, quiet=quiet, oldest_first=oldest_first)
    if show:
        update.show(change)
        return
    update.settle(change)
    if not watch:
        ctx.exit(update.run())
    try:
        with stoppable():
            ctx.exit(watched(update.tried, update.next_look, clock, update.say_asleep))
    except KeyboardInterrupt:
        if not quiet:
            echo("Stopped; nothing was under way.", err=True)


@dataclass(frozen=True, slots=True)
class Update:
    """The command with its options.

    Attributes:
        ctx: The command's context.
        settings: Where archive and Terminal are.
        clock: Time.
        as_json: Whether to write JSON.
        quiet: Whether to say only what went wrong.
        oldest_first: Whether the oldest day comes first.
    """

    ctx: click.Context
    settings: Settings
    clock: SystemClock
    as_json: bool = False
    quiet: bool = False
    oldest_first: bool = False

    def show(self, change: Change) -> None:
        """Say what the rule is, or would be with a change, and what would be due by it; change nothing."""
        rule = self._wanted(self._kept(), change)
        now = self.clock.now()
        found = self._resolved(rule)
        days, moment = self._in_order(found.due), next_publication(rule, now)
        if self.as_json:
            tell("rule", **as_values(rule))
            for day in days:
                tell("due", day=plain(day))
            tell("summary", due=len(days), settled=len(found.settled), next_publication=plain(moment))
            return
        echo(f"Rule: {rule}")
        echo(f"Due: {counted(len(days), 'day')}; {counted(len(found.settled), 'day')} settled")
        for day in days[:_NAMED]:
            echo(f"  {day_name(day)} {day.interval}")
        if len(days) > _NAMED:
            echo(f"  and {counted(len(days) - _NAMED, 'more day')}")
        echo(f"Next publication: {_in_words(moment)}")

    def settle(self, change: Change) -> None:
        """Keep the rule as it is with a change, and say what it was and is.

        Raises:
            ConfigError: There is no rule, and not enough is said for a new one.
            ArchiveBusy: Another process writes the archive.
        """
        from spxdata.opening import make_catalog

        was = self._kept()
        rule = self._wanted(was, change)
        if rule == was:
            return
        with closing(make_catalog(self.settings)) as catalog, catalog.lease(self.clock):
            keep(rule, catalog)
        if self.as_json:
            tell("rule_changed", was=as_values(was) if was else None, rule=as_values(rule))
        elif not self.quiet:
            if was:
                echo(f"Rule was: {was}")
            echo(f"Rule is:  {rule}" if was else f"Rule: {rule}")

    def run(self) -> int:
        """Fetch what is due by the rule; return the exit code."""
        from spxdata.cli.download import run

        rule = self._wanted(self._kept(), Change())
        found = self._resolved(rule)
        days = self._in_order((*found.due, *found.awaited))
        if not days:
            self._say_settled(rule, found.settled)
            return 0
        patience = self.settings.update.patience
        patient = replace(self.settings, terminal=replace(self.settings.terminal, patience=patience))
        request = request_of(days, rule.scope)
        return run(self.ctx, patient, request, self.clock, as_json=self.as_json, quiet=self.quiet)

    def tried(self) -> int:
        """Fetch what is due by the rule; return the exit code of whatever came of it."""
        try:
            return self.run()
        except ConfigError:
            raise  # what is wrong with rule or settings does not pass
        except SpxDataError as error:
            return report(error, self.ctx)

    def next_look(self, code: int) -> datetime:
        """Return when to run again: after the next publication, or soon where something is late or passes.

        Args:
            code: The exit code of the run that has ended.
        """
        soon = self.clock.now() + SOON
        if code in _PASSES:
            return soon
        rule = self._wanted(self._kept(), Change())
        moment = next_publication(rule, self.clock.now())
        return min(moment, soon) if self._resolved(rule).late else moment

    def say_asleep(self, code: int, moment: datetime) -> None:
        """Say how long nothing will happen; of a failed run, that it goes on all the same."""
        if self.as_json:
            tell("waiting", exit_code=code, until=plain(moment))
            return
        failed = f"This run ended with exit code {code}: {EXIT_CODES[code]}. " if code else ""
        if failed or not self.quiet:
            echo(f"{failed}Next run: {_in_words(moment)}", err=True)

    def _kept(self) -> Rule | None:
        from spxdata.opening import existing_catalog

        with existing_catalog(self.settings) as catalog:
            return kept(catalog) if catalog else None

    def _resolved(self, rule: Rule) -> Resolved:
        from spxdata.opening import existing_catalog, make_storage

        names, now = make_storage(self.settings).names(), self.clock.now()
        with existing_catalog(self.settings) as catalog:
            if catalog is None:
                return resolved(rule, (), lambda _: (), names, now)
            return resolved(rule, catalog.days(), catalog.outcomes, names, now)

    def _in_order(self, days: Sequence[Day]) -> list[Day]:
        """Return days in the order in which they are fetched: by trade date, within one as the rule has them."""
        return sorted(days, key=lambda day: day.trade_date.toordinal() * (1 if self.oldest_first else -1))

    def _wanted(self, was: Rule | None, change: Change) -> Rule:
        """Return the rule with a change, or a new one of it and the settings.

        Raises:
            ConfigError: There is no rule, and not enough is said for a new one; or the start is no day to start on.
        """
        if change.start is not None:
            self._check_start(change.start)
        if was is not None:
            return changed(was, change)
        if change.start is None:
            raise ConfigError(
                f"The archive {self.settings.storage.data_directory} has no rule that says what to fetch.",
                hint=self._proposal(),
            )
        wanted = self.settings.download
        return changed(
            Rule(change.start, (wanted.root,), (), wanted.max_dte),
            change if change.datasets else change._replace(datasets=(wanted.dataset,)),
        )

    def _check_start(self, start: date) -> None:
        today = self.clock.now().astimezone(NEW_YORK).date()
        closed_because(start)  # raises where the table of trading days does not reach
        if start > today:
            raise ConfigError(
                f"{start} is in the future: in New York it is {today}.", hint="Start with a day that has been."
            )

    def _proposal(self) -> str:
        """Return what to do: to go on with what the archive has, if it has anything."""
        from spxdata.opening import existing_catalog

        with existing_catalog(self.settings) as catalog:
            rule = suggested(catalog.days()) if catalog else None
        if rule is None:
            return f"Set one: {_EXAMPLE}, or another first day."
        return f"To go on with what it has: {as_command(rule)}"

    def _say_settled(self, rule: Rule, days: Sequence[DayStatus]) -> None:
        verdicts = Counter(str(status.verdict or "without data").replace("_", " ") for status in days)
        if self.as_json:
            tell("up_to_date", start=plain(rule.start), settled=len(days), verdicts=verdicts)
        elif not self.quiet:
            words = ", ".join(f"{count:,} {word}" for word, count in verdicts.items())
            span = f": {days[0].day.trade_date} to {days[-1].day.trade_date}, {words}" if days else ""
            echo(f"→ Nothing is due{span}")


def watched(
    once: Callable[[], int],
    next_look: Callable[[int], datetime],
    clock: Clock,
    say_asleep: Callable[[int, datetime], None],
) -> int:
    """Run again and again, asleep in between, until a run is interrupted; return its exit code.

    Args:
        once: Runs; returns the exit code.
        next_look: From a run's exit code to when the next one begins.
        clock: Time.
        say_asleep: Told of the exit code and the moment before each sleep.
    """
    while (code := once()) != INTERRUPTED:
        moment = next_look(code)
        say_asleep(code, moment)
        while (left := (moment - clock.now()).total_seconds()) > 0:
            clock.sleep(min(left, _NAP))
    return code


def as_command(rule: Rule) -> str:
    """Return the command that sets a rule, as one would type it.

    Several intervals of one dataset cannot be typed; the command then has the dataset's usual one.
    """
    words = ["spxdata", "update", "--start-date", str(rule.start)]
    for root in rule.roots:
        words += ["--root", root]
    for name in dict.fromkeys(one.dataset for one in rule.datasets):
        words += ["--dataset", name]
    chosen = {one.interval for one in rule.datasets if len(dataset(one.dataset).intervals) > 1}
    usual = all(one.interval == dataset(one.dataset).interval for one in rule.datasets)
    if len(chosen) == 1 and not usual:
        words += ["--interval", *chosen]
    return shlex.join([*words, "--max-dte", str(rule.max_dte)])


def _in_words(moment: datetime) -> str:
    return f"{moment.astimezone(NEW_YORK):%Y-%m-%d %H:%M} New York time"
