"""`spxdata datasets`: every kind of data, who may have it, and what it consists of."""

from collections.abc import Mapping
from typing import Final

import click

from spxdata.cli import options
from spxdata.cli.errors import tell
from spxdata.cli.text import echo, table
from spxdata.config import Settings
from spxdata.events import plain
from spxdata.model import Outcome
from spxdata.schema import DATASETS, FLAGS, TRADE_DATE, Column, Dataset, Rows, dataset

_HEAD: Final = ("dataset", "tier (v3, v2)", "a file is", "intervals", "since", "what it is")


def _names(_: click.Context, __: click.Parameter, typed: str) -> list[str]:
    return [name for name in DATASETS if name.startswith(typed)]


@click.command()
@click.argument("name", required=False, metavar="[NAME]", shell_complete=_names)
@options.data_dir
@options.as_json
def command(*, name: str | None, as_json: bool, **flags: str | None) -> None:
    """Show the kinds of data there are.

    With a NAME, that one's columns and their units. A dataset that the account of this archive was refused is marked
    with a !.
    """
    chosen = [dataset(name, "NAME")] if name else list(DATASETS.values())
    refused = _refused(options.settings(flags))
    if as_json:
        for one in chosen:
            tell("dataset", **_record(one, refused.get(one.name)))
        return
    rows = [_HEAD, *(_line(one, refused.get(one.name)) for one in chosen)]
    for line in table(rows):
        echo(line)
    for outcome in refused.values():
        if outcome.unit.dataset in {one.name for one in chosen}:
            echo()
            echo(f"! {outcome.unit.dataset} was refused for {outcome.unit.trade_date}: {outcome.reason}")
            echo(f"Hint: It is asked for again from {outcome.ask_again} on, or now with --force.")
    if name:
        echo()
        for line in table([("column", "holds", "unit"), *(_column(column) for column in _columns(chosen[0]))]):
            echo(line)


def _refused(settings: Settings) -> Mapping[str, Outcome]:
    """Return what the account was refused, by dataset; nothing where there is no archive yet."""
    from spxdata.opening import existing_catalog

    with existing_catalog(settings) as catalog:
        return {outcome.unit.dataset: outcome for outcome in catalog.refusals()} if catalog else {}


def _columns(of: Dataset) -> tuple[Column, ...]:
    return (TRADE_DATE, *of.columns, FLAGS)


def _column(column: Column) -> tuple[str, ...]:
    return column.name, column.kind.value, column.unit


def _line(of: Dataset, refused: Outcome | None) -> tuple[str, ...]:
    tiers = f"{of.tier}, {of.v2.tier}" if of.v2 else f"{of.tier}, not in v2"
    about = "" if of.subject.value == "option" else f" ({of.subject})"
    mark = "! " if refused else ""
    each = "an expiration" if of.unit_of == "expiration" else "a day"
    return f"{mark}{of.name}", tiers + about, each, _intervals(of), of.since.isoformat(), of.what


def _intervals(of: Dataset) -> str:
    """Return the intervals in few words: the default, and how far the others reach."""
    if len(of.intervals) == 1:
        return "a day" if of.rows is Rows.DAILY else of.interval
    others = [interval for interval in of.intervals if interval != of.interval]
    return f"{of.interval} (or {others[0]} to {others[-1]})"


def _record(of: Dataset, refused: Outcome | None) -> dict[str, object]:
    return {
        "name": of.name,
        "what": of.what,
        "subscription": of.subject.value,
        "tier": of.tier,
        "v2_tier": of.v2.tier if of.v2 else None,
        "unit": of.unit_of,
        "intervals": list(of.intervals),
        "since": of.since.isoformat(),
        "publication": of.publication,
        "contract_list": of.contract_list,
        "path": of.path,
        "v2_path": (of.v2.path or of.v2.single) if of.v2 else None,
        "sorted_by": list(of.order_at(of.interval)),
        "columns": [{"name": c.name, "kind": c.kind.value, "unit": c.unit} for c in _columns(of)],
        "refused": plain(refused) if refused else None,
    }
