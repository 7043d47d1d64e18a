"""`spxdata revisions`: what the vendor has changed since it was stored, and which units are kept in two states."""

import random
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Final

import click

from spxdata.cli import options
from spxdata.cli.errors import interrupted, tell
from spxdata.cli.signals import stoppable
from spxdata.cli.text import counted, duration, echo, size
from spxdata.clock import SystemClock
from spxdata.config import Settings
from spxdata.errors import ConfigError
from spxdata.events import plain
from spxdata.model import Artifact, Unit, parse_day, parse_root
from spxdata.schema import dataset

if TYPE_CHECKING:
    from spxdata.integrity.coverage import Wanted
    from spxdata.integrity.revisions import Finding
    from spxdata.integrity.row_changes import Example, RowChanges

_MARKS: Final = {"unchanged": "✓", "revised": "!", "gone": "∅", "incomparable": "?", "failed": "✗"}
_WORDS: Final = {"gone": "no longer there", "incomparable": "not comparable"}
#: Seconds between two lines on how far it is.
_PAUSE: Final = 10.0
#: Values of a row that came or went that are shown.
_SHOWN: Final = 6
#: What is in the names of columns that hold the vendor's codes: they say little of a row.
_CODES: Final = ("condition", "exchange")
_EPILOG = """\
\b
Exit codes:
    0  nothing revised: all that was fetched again is as it is stored
    1  something is revised, or no longer there
    2  a wrong option or setting
    3  another Terminal uses the account
    4  nothing revised was found, but some units could not be compared
    5  the disk or the catalog failed
    6  another process writes this archive
   75  no usable Terminal: try again later
  130  stopped by Ctrl-C or SIGTERM; the archive is whole
"""


@click.command(epilog=_EPILOG)
@click.option("--sample", "number", type=click.IntRange(min=1), metavar="N", help="Fetch N stored units again.")
@click.option("--list", "as_list", is_flag=True, help="Only show which units are kept in several states.")
@click.option("--start-date", metavar="DAY", help="First trade date.  [default: the archive's first]")
@click.option("--end-date", metavar="DAY", help="Last trade date, included.  [default: the archive's last]")
@click.option("--root", "roots", multiple=True, metavar="ROOT", help="Only this option root; may be repeated.")
@click.option("--dataset", "datasets", multiple=True, metavar="NAME", help="Only this dataset; may be repeated.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    metavar="S",
    help="Chooses the same units again.  [default: another each time]",
)
@click.option(
    "--keep",
    type=click.Choice(["old", "new", "both"]),
    default="old",
    show_default=True,
    help="Rows to keep of a revised unit: the stored ones, those fetched now, or both.",
)
@options.setting("terminal.url", "URL")
@options.setting("terminal.dialect", "auto|v2|v3")
@options.data_dir
@options.as_json
@click.option("--quiet", is_flag=True, help="Say only what has changed.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    number: int | None,
    as_list: bool,
    start_date: str | None,
    end_date: str | None,
    roots: Sequence[str],
    datasets: Sequence[str],
    seed: int | None,
    keep: str,
    as_json: bool,
    quiet: bool,
    **flags: str | None,
) -> None:
    """Find out what the vendor has changed.

    Some stored units, chosen at random, are fetched again in the way they once were, and compared value by value.
    Stored files stay as they are unless --keep says otherwise.
    """
    if as_list == (number is not None):
        raise ConfigError(
            "--sample N or --list: one of them is needed." if number is None else "--list stands beside --sample.",
            hint="Give --sample 20 to check 20 units, or --list to see what is kept.",
        )
    settings = options.settings(flags)
    clock = options.clock()
    first = parse_day(start_date, "--start-date") if start_date else None
    last = parse_day(end_date, "--end-date") if end_date else None
    of_roots = tuple(parse_root(root, "--root") for root in roots)
    of_datasets = tuple(dataset(name, "--dataset").name for name in datasets)

    from spxdata.opening import kept_as

    if kept_as(settings) is None:
        _no_archive(settings, as_list=as_list, as_json=as_json)
        ctx.exit(0)
    from spxdata.integrity.coverage import Wanted

    wanted = Wanted(first, last, of_roots, of_datasets)
    if as_list:
        _list(settings, wanted, as_json=as_json)
        return
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    findings: list[Finding] = []
    try:
        with stoppable():
            for finding in _check(settings, wanted, clock, number or 0, seed, keep, as_json=as_json, quiet=quiet):
                findings.append(finding)  # noqa: PERF402 - what there is counts when Ctrl-C ends it, too
    except KeyboardInterrupt:
        ctx.exit(interrupted(ctx, f"{counted(len(findings), 'unit')} compared; the archive is whole"))
    ctx.exit(_exit_code(findings))


def _no_archive(settings: Settings, *, as_list: bool, as_json: bool) -> None:
    if not as_json:
        echo(f"There is no archive in {settings.storage.data_directory} yet.")
        echo("Hint: Begin one with spxdata download --date 2024-01-16, or name another with --data-dir.")
    elif as_list:
        tell("summary", units=0, earlier=0)
    else:
        tell("summary", units=0, checked=0, seed=None, **dict.fromkeys(_MARKS, 0))


def _check(
    settings: Settings,
    wanted: "Wanted",
    clock: SystemClock,
    number: int,
    seed: int,
    keep: str,
    *,
    as_json: bool,
    quiet: bool,
) -> Iterator["Finding"]:
    """Fetch units again and tell of each, then of all."""
    from spxdata.bootstrap import make_terminal
    from spxdata.events import ignore
    from spxdata.integrity.revisions import Keep, Revisions, sample, stored_units
    from spxdata.integrity.sources import FoundSources
    from spxdata.opening import make_catalog, make_storage
    from spxdata.pipeline.edges import Edges, Encoding, SortMemory
    from spxdata.retry import Patience

    terminal = make_terminal(settings, clock)
    encoding = Encoding(settings.storage.format, settings.storage.numbers)
    memory = SortMemory(settings.storage.sort_memory_mb * 1024 * 1024)
    edges = Edges(terminal, make_storage(settings), clock, ignore, encoding, memory)
    with closing(make_catalog(settings)) as catalog:
        stored = stored_units(catalog, wanted)
        chosen = sample(stored, number, random.Random(seed))  # noqa: S311 - a choice, no secret
        if chosen and not as_json and not quiet:
            echo(f"Fetching {len(chosen):,} of {counted(len(stored), 'stored unit')} again (seed {seed})")
        revisions = Revisions(
            catalog,
            edges,
            FoundSources(terminal),
            keep=Keep(keep),
            patience=Patience(settings.download.retries, settings.download.retry_wait),
            chance=random.SystemRandom().random,
            terminal_patience=settings.terminal.patience,
            pacing=settings.terminal.pacing,
        )
        findings: list[Finding] = []
        how_far = _Progress(len(chosen), clock.monotonic)
        for finding in revisions.check(chosen) if chosen else ():
            findings.append(finding)
            if as_json:
                tell("revision", **plain(finding))
            else:
                for line in lines(finding, quiet=quiet):
                    echo(line)
            if not as_json and not quiet and (progress := how_far(len(findings))):
                echo(progress, err=True)
            yield finding
    if as_json:
        counts = Counter(str(finding.change) for finding in findings)
        tell("summary", units=len(stored), checked=len(findings), seed=seed, **{word: counts[word] for word in _MARKS})
    else:
        for line in _summary(findings, keep):
            echo(line)


class _Progress:
    """Tells from time to time how far it is.

    Args:
        units: Units in all.
        seconds: Seconds from an arbitrary start.
    """

    def __init__(self, units: int, seconds: Callable[[], float]) -> None:
        self._units = units
        self._seconds = seconds
        self._started = self._told = seconds()

    def __call__(self, done: int) -> str | None:
        """Return a line, None where it is not time for one."""
        now = self._seconds()
        if now - self._told < _PAUSE or done == self._units:
            return None
        self._told = now
        left = (now - self._started) / done * (self._units - done)
        return f"Progress: {done:,} of {counted(self._units, 'unit')}, about {duration(left)} left"


def lines(finding: "Finding", *, quiet: bool = False) -> Iterator[str]:
    """Yield what came of a unit; nothing of an unchanged one if only changes are wanted."""
    word = str(finding.change)
    if quiet and word == "unchanged":
        return
    reason = f" ({finding.reason})" if finding.reason else ""
    code = f" [{finding.code}]" if finding.code else ""
    told = f": {_what(finding.difference)}" if finding.difference else ""
    yield f"{_MARKS[word]} {finding.unit}: {_WORDS.get(word, word)}{told}{reason}{code}"
    if finding.difference:
        for example in finding.difference.examples:
            yield f"    {_example(example, finding.unit)}"
    if finding.lacks:
        yield f"    the new rows lack {finding.lacks}"


def _what(difference: "RowChanges") -> str:
    counts = (("changed", difference.changed), ("added", difference.added), ("removed", difference.removed))
    columns = ", ".join(f"{name} in {count:,}" for name, count in difference.columns.items())
    parts = [f"{counted(count, 'row')} {word}" for word, count in counts if count]
    if columns:
        parts[0] += f" ({columns})"
    return ", ".join(parts) or "the same rows in another order"


def _example(example: "Example", unit: Unit) -> str:
    # What all rows of the unit have says nothing of one of them.
    silent = {"symbol", "expiration"} if unit.expiration else {"symbol"}

    def told(value: object) -> str:
        if isinstance(value, float):
            return f"{value:.15g}"
        text = "none" if value is None else str(value).removesuffix("-05:00").removesuffix("-04:00")
        return text.removeprefix(f"{unit.trade_date}T")

    name = " ".join(told(value) for key, value in example.key.items() if key not in silent) or "a row"
    if example.how == "changed":
        pairs = [f"{key} {told(old)} → {told(example.new[key])}" for key, old in example.old.items()]
        return f"{name}: {', '.join(pairs)}"
    row = {**example.old, **example.new}
    shown = [key for key in row if key not in silent and not any(word in key for word in _CODES)]
    values = [f"{key} {told(row[key])}" for key in shown]
    more = ", …" if len(values) > _SHOWN else ""
    return f"{name} {example.how}: {', '.join(values[:_SHOWN])}{more}"


def _summary(findings: Sequence["Finding"], keep: str) -> Iterator[str]:
    if not findings:
        yield "Nothing is stored of these days."
        return
    counts = Counter(str(finding.change) for finding in findings)
    parts = [f"{counts[word]:,} {_WORDS.get(word, word)}" for word in _MARKS if counts[word]]
    yield f"Compared {counted(len(findings), 'unit')}: {', '.join(parts)}"
    if not counts["revised"]:
        return
    if keep == "old":
        yield "The stored rows stay. What was found is on record."
        yield "Hint: Say --keep both to store the new rows beside the old ones, --keep new to store them instead."
    elif keep == "both":
        yield "The new rows are stored; the old ones are kept: spxdata revisions --list"
    else:
        yield "The new rows are stored instead of the old ones."


def _exit_code(findings: Sequence["Finding"]) -> int:
    words = {str(finding.change) for finding in findings}
    if words & {"revised", "gone"}:
        return 1
    return 4 if words & {"incomparable", "failed"} else 0


def _list(settings: Settings, wanted: "Wanted", *, as_json: bool) -> None:
    """Show the units of which several states are kept."""
    from spxdata.integrity.revisions import is_wanted
    from spxdata.opening import existing_catalog
    from spxdata.pipeline.earlier import earlier_files

    states: list[tuple[Unit, Artifact | None, list[Artifact]]] = []
    with existing_catalog(settings) as catalog:
        earlier = [file for file in earlier_files(catalog) if is_wanted(file.unit, wanted)] if catalog else []
        for unit, group in groupby(earlier, lambda file: file.unit):
            outcome = catalog.outcome(unit) if catalog else None
            states.append((unit, outcome.artifact if outcome else None, [file.artifact for file in group]))
    for unit, current, files in states:
        if as_json:
            tell("kept", unit=plain(unit), current=plain(current), earlier=plain(files))
            continue
        echo(str(unit))
        for artifact in files:
            echo(f"    {_file(artifact)}")
        echo(f"    {_file(current)}, current" if current else "    no current file")
    if as_json:
        tell("summary", units=len(states), earlier=len(earlier))
        return
    if states:
        echo(f"{counted(len(states), 'unit')} with {counted(len(earlier), 'earlier file')}")
    else:
        echo("Of each unit one file is kept.")


def _file(artifact: Artifact) -> str:
    return f"{_moment(artifact.provenance.fetched_at)}  {artifact.path}  {counted(artifact.rows, 'record')}, " + size(
        artifact.bytes
    )


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S UTC}"
