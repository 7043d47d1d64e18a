"""`spxdata audit-greeks`: the vendor's volatilities and greeks against our own."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from spxdata.cli import options
from spxdata.cli.errors import tell
from spxdata.cli.text import counted, echo, printable, table
from spxdata.errors import ConfigError
from spxdata.events import plain

if TYPE_CHECKING:
    import polars as pl

    from spxdata.analysis.audit import Audit

_EPILOG: Final = """\
\b
Exit codes:
    0  of every greek that is judged at least 99.9 % of the solvable rows agree
    1  of one of them fewer do, or no row is solvable
    2  a wrong option or setting, or the archive has no such greeks
    5  the disk or the catalog failed
"""
#: Columns of the tables of rows, as people see them.
_WORST: Final = ("dataset", "greek", "vendor", "ours", "times")
_UNSOUND: Final = ("dataset", "reason", "implied_vol", "ours", "iv_error", "error_found")
_NUMBER: Final = ".6g"
_UNJUDGED: Final = "∅"


@click.command(epilog=_EPILOG)
@click.option("--dataset", "datasets", multiple=True, metavar="NAME", help="Only this dataset; may be repeated.")
@click.option("--date", "day", metavar="DAY", help="Only this trade date.")
@click.option("--start-date", "start", metavar="DAY", help="First trade date.  [default: the archive's first]")
@click.option("--end-date", "end", metavar="DAY", help="Last trade date, included.  [default: the archive's last]")
@click.option("--root", metavar="ROOT", help="Only this option root.")
@click.option("--interval", metavar="INTERVAL", help="Only this interval.")
@click.option("--expiration", "expirations", multiple=True, metavar="DAY", help="Only this one; may be repeated.")
@click.option(
    "--rate",
    type=float,
    metavar="FRACTION",
    help="Interest rate, such as 0.0531.  [default: the archive's, else what fits the rows]",
)
@click.option(
    "--worst", type=click.IntRange(0, 10_000), default=5, show_default=True, metavar="COUNT", help="Rows to name."
)
@click.option("--by-expiration", is_flag=True, help="Tell every expiration apart.")
@click.option(
    "--all-rows", is_flag=True, help="With rows that say nothing: sentinels, repeats, rows outside of the session."
)
@options.data_dir
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    datasets: Sequence[str],
    day: str | None,
    start: str | None,
    end: str | None,
    root: str | None,
    interval: str | None,
    expirations: Sequence[str],
    rate: float | None,
    worst: int,
    by_expiration: bool,
    all_rows: bool,
    as_json: bool,
    **flags: str | None,
) -> None:
    """Compare the vendor's volatilities and greeks with our own.

    Volatility and delta are computed anew from the mid, cut to cents; every other greek at the volatility of its row.
    Rows are compared that can be: 0 < implied_vol < 5, |iv_error| < 0.005, a bid. docs/greeks.md has the conventions.
    """
    if day is not None and (start is not None or end is not None):
        raise ConfigError("--date stands beside a range.", hint="Give --date, or --start-date and --end-date.")
    from spxdata.analysis.archive import open_archive

    with open_archive(options.settings(flags).storage.data_directory) as archive:
        found = archive.audit_greeks(
            datasets,
            start=day or start,
            end=day or end,
            root=root,
            interval=interval,
            expiration=list(expirations) or None,
            rate=rate,
            worst=worst,
            by_expiration=by_expiration,
            flags="all" if all_rows else "clean",
        )
    (_tell if as_json else _show)(found)
    ctx.exit(0 if found.is_sound else 1)


def _tell(found: "Audit") -> None:
    """Write every row of every table as an object, then whether all is sound."""
    tables = {
        "rate": found.rates,
        "rows": found.rows,
        "agreement": found.agreement,
        "worst": found.worst,
        "unsound": found.unsound,
    }
    for name, frame in tables.items():
        for row in frame.iter_rows(named=True):
            tell(f"greeks_{name}", **{key: None if value == math.inf else plain(value) for key, value in row.items()})
    tell("summary", sound=found.is_sound)


def _show(found: "Audit") -> None:
    """Write what was found for people."""
    for number, name in enumerate(found.rates["dataset"].unique(maintain_order=True)):
        if number:
            echo()
        for line in _dataset(found, name):
            echo(line)
    for title, frame, columns in (
        ("Farthest off, by what is allowed:", found.worst, _WORST),
        ("Volatilities that cannot be right:", found.unsound, _UNSOUND),
    ):
        if frame.height:
            echo()
            echo(title)
            for line in _rows(frame, columns):
                echo(line)
    echo()
    echo("\n".join(_verdict(found)))


def _dataset(found: "Audit", name: str) -> Iterator[str]:
    """Yield what was found in a dataset: days and rates, kinds of rows, agreement of each greek."""
    from spxdata.analysis.audit import KINDS, REASONS

    yield f"{name}: {_rates(found.rates.filter(dataset=name))}"
    counts = {kind: count for _, kind, count in found.rows.filter(dataset=name).rows()}
    total = sum(count for kind, count in counts.items() if kind in KINDS)
    yield f"  {counted(total, 'row')}"
    words = {**KINDS, **{f"unsound_{reason}": words for reason, words in REASONS.items()}}
    lines = [(kind, f"{counts[kind]:,}", words[kind]) for kind in words if counts.get(kind) or kind == "solvable"]
    yield from table(lines, right=[1], indent="    ")
    agreement = found.agreement.filter(dataset=name)
    whole = agreement["expiration"].null_count() == agreement.height
    head = ("", *(() if whole else ("expiration",)), "greek", "rows", "agree", "share", "median", "maximum", "bound")
    lines_ = [head, *(_agreement(one, whole=whole) for one in agreement.iter_rows(named=True))]
    yield from table(lines_, right=range(len(head) - 6, len(head)), indent="  ")
    if not agreement["judged"].all():
        yield f"  {_UNJUDGED} not judged: the vendor has two generations of it, or no iv_error to it"


def _rates(rates: "pl.DataFrame") -> str:
    """Return the days and their rates in words."""
    days = [f"{day}" for day in rates["trade_date"].sort().to_list()]
    values = [f"{value:.3%}" for value in rates["rate"].sort().to_list()]
    span, value = (ends[0] if ends[0] == ends[-1] else f"{ends[0]} to {ends[-1]}" for ends in (days, values))
    origins = {"given": "given", "archive": "of the archive", "fitted": "fitted to the rows", "none": "told by no row"}
    sources = ", ".join(origins[source] for source in rates["source"].unique(maintain_order=True))
    return f"{span}, interest rate {value} ({sources})"


def _agreement(one: dict[str, Any], *, whole: bool) -> tuple[str, ...]:
    from spxdata.analysis.audit import THRESHOLD

    return (
        "✗" if one["rows"] and one["share"] < THRESHOLD and one["judged"] else "✓" if one["judged"] else _UNJUDGED,
        *(() if whole else (f"{one['expiration']}",)),
        one["greek"] + (f", {one['generation']}" if one["generation"] else ""),
        f"{one['rows']:,}",
        f"{one['agreeing']:,}",
        "" if one["share"] is None else f"{one['share']:.3%}",
        "" if one["median"] is None else f"{one['median']:.2g}",
        "" if one["maximum"] is None else f"{one['maximum']:.2g}",
        "digits" if one["bound"] is None else f"{one['bound']:g}",
    )


def _rows(frame: "pl.DataFrame", columns: Sequence[str]) -> list[str]:
    """Return rows as lines: the contract and its minute, then some columns."""
    lines: list[tuple[str, ...]] = [("contract", "time", "bid", "ask", "underlying", *columns)]
    for one in frame.iter_rows(named=True):
        contract = f"{one['symbol']} {one['expiration']} {one['strike']:g} {one['right']}"
        cells = [_cell(one[name]) for name in ("bid", "ask", "underlying_price", *columns)]
        lines.append((contract, f"{one['timestamp']:%Y-%m-%d %H:%M:%S}", *cells))
    numbers = [place for place, name in enumerate(lines[0]) if name not in ("contract", "time", "dataset", "greek")]
    return table(lines, right=numbers, indent="  ")


def _cell(value: object) -> str:
    if value is None:
        return "none"
    return f"{value:{_NUMBER}}" if isinstance(value, float) else printable(str(value))


def _verdict(found: "Audit") -> Iterator[str]:
    from spxdata.analysis.audit import THRESHOLD

    if not found.judged.height:
        yield "✗ No row is solvable: there is nothing to judge by."
    least = 1.0
    for dataset, greek, _, _, share in found.judged.rows():
        least = min(least, share)
        if share < THRESHOLD:
            yield f"✗ {greek} of {dataset} agrees in {share:.3%} of its rows, which is less than {THRESHOLD:.1%}."
    if found.is_sound:
        yield f"✓ Every greek that is judged agrees in {least:.3%} of its rows or more."
