"""The requests that are sent for each dataset in each dialect, and the columns that come back: docs/api-examples.md."""

from datetime import date

from spxdata.clock import SystemClock
from spxdata.errors import NotInDialect
from spxdata.model import Right, Unit
from spxdata.schema import DATASETS, DIALECTS, Dataset, wire
from spxdata.terminal.asking import Line
from spxdata.terminal.client import Client
from spxdata.terminal.probe import DEFAULT_ADDRESSES
from spxdata.terminal.split import Part, is_chain_refused, whole_of
from spxdata.terminal.v2 import V2Terminal
from spxdata.terminal.v3 import V3Terminal

DAY, EXPIRATION, STRIKE = date(2024, 1, 16), date(2024, 1, 19), 4750.0
CLIENTS: dict[str, type[Client]] = {"v3": V3Terminal, "v2": V2Terminal}


def client(dialect: str) -> Client:
    """Return a client that is never asked anything."""
    return CLIENTS[dialect](Line(DEFAULT_ADDRESSES[dialect], dialect), SystemClock())


def unit_of(dataset: Dataset, interval: str) -> Unit:
    """Return the unit that is asked for in the examples."""
    expiration = EXPIRATION if dataset.unit_of == "expiration" else None
    return Unit(DAY, dataset.root("SPXW"), dataset.name, interval, expiration)


def curl(dialect: str, part: Part) -> str:
    """Return a request as one would type it."""
    return f"curl -s '{DEFAULT_ADDRESSES[dialect]}{client(dialect).request(part)}'"


def example(dataset: Dataset, dialect: str) -> str:
    """Return what is sent for a dataset and what comes."""
    try:
        sent = wire(dataset, dialect)
    except NotInDialect as error:
        return f"**{dialect}**: {error.message}"
    part = whole_of(unit_of(dataset, dataset.interval))
    if sent.path is None:
        part = part._replace(contract=(STRIKE, Right.CALL))
    lines = [curl(dialect, part)]
    ticks = unit_of(dataset, "tick")
    if is_chain_refused(ticks) and "tick" in dataset.intervals:
        single = whole_of(ticks)._replace(contract=(STRIKE, Right.CALL))
        lines += ["# every tick, contract by contract", curl(dialect, single)]
    named = sent.names if not (part.contract and sent.unnamed) else sent.names[4:]
    shell = "\n".join(lines)
    return f"**{dialect}**\n\n```sh\n{shell}\n```\n\nColumns: `{','.join(named)}`"


def text() -> str:
    """Return the examples of all datasets."""
    parts = []
    for dataset in DATASETS.values():
        examples = "\n\n".join(example(dataset, dialect) for dialect in DIALECTS)
        parts.append(f"## {dataset.name}\n\n{dataset.what[0].upper()}{dataset.what[1:]}.\n\n{examples}")
    return "\n\n".join(parts)
