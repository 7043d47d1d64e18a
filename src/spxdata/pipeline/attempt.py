"""One try at one unit: fetch, parse, validate, write. Nothing of a failed attempt reaches the archive."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from spxdata.completeness import expected
from spxdata.errors import DataError, NoData, TooLarge
from spxdata.events import Emit, FileRenamed, Quarantined, Received
from spxdata.model import Contract, ContractList, Outcome, Right, State, Unit
from spxdata.pipeline.order import Order, Sorter, SortMemory
from spxdata.pipeline.parse import Batch, parse
from spxdata.pipeline.quarantine import keep
from spxdata.pipeline.read import Adopted
from spxdata.pipeline.validate import validate
from spxdata.pipeline.write import Encoding, write
from spxdata.protocols import Clock, Reply, Storage, Terminal
from spxdata.schema import DATASETS

#: Contracts of a unit that are asked for one by one; if more are missing, the reply is short for another reason.
_MOST_SINGLES: Final = 20
#: Bytes between two words on what arrived.
_TOLD_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Edges:
    """What an attempt reaches the world through, and what all attempts of a process share."""

    terminal: Terminal
    storage: Storage
    clock: Clock
    emit: Emit
    encoding: Encoding
    memory: SortMemory


def attempt(
    unit: Unit,
    listed: ContractList | None,
    edges: Edges,
    *,
    accept_holes: bool = False,
    accept_unlisted: bool = False,
    replacing: Callable[[], None] = lambda: None,
) -> Outcome:
    """Fetch, validate and commit one unit, or raise and leave no trace but a quarantine entry.

    Args:
        unit: What to fetch.
        listed: The day's contract list, None if the account may not have it.
        edges: Terminal, storage, clock and what attempts share.
        accept_holes: Whether a clean reply that lacks something is committed with its holes; a few contracts that it
            lacks whole are asked for one by one first.
        accept_unlisted: Whether a reply that proves the list short is committed; it is not verified then.
        replacing: Called right before the file gets its final name.

    Raises:
        Declined: There is no data, or not yet.
        TerminalError: The Terminal could not or would not answer.
        DataError: The reply is wrong.
        StorageError: The file could not be written.
    """
    contracts = listed.of(unit.expiration) if listed else None
    empty: set[Contract] = set()
    with Sorter(Order.of(unit), edges.memory) as sorter:
        try:
            with (
                edges.terminal.fetch(unit) as reply,
                write(unit, edges.storage, edges.encoding, reply.provenance, edges.clock, edges.emit) as sink,
            ):
                batches = _parsed(reply, unit, edges)
                if accept_holes:  # what a second reply lacks too is asked for contract by contract
                    batches = _completed(batches, unit, expected(unit, contracts), edges, empty)
                checked = validate(batches, unit, contracts, sorter, empty)
                artifact = sink.commit(
                    checked, accept_holes=accept_holes, accept_unlisted=accept_unlisted, replacing=replacing
                )
        except DataError as error:
            folder = keep(edges.storage, unit, error, sorter.held(), edges.clock.now())
            if folder:
                edges.emit(Quarantined(unit, folder))
            raise
    edges.emit(FileRenamed(unit, artifact.path))
    return stored(Adopted(artifact, checked.holes, tuple(empty), checked.unlisted), unit, listed)


def stored(found: Adopted, unit: Unit, listed: ContractList | None) -> Outcome:
    """Return the outcome of a committed file: what matters and contracts known to be empty by name, notes counted.

    It is verified if there was something to compare its rows with, and they did not prove that short; an index is
    compared with its session alone.
    """
    artifact, holes, empty, unlisted = found
    named = tuple(hole for hole in holes if hole.partial or hole.contract in empty)
    return Outcome(
        unit,
        State.STORED,
        artifact=artifact,
        holes=named,
        notes=len(holes) - len(named),
        verified=not unlisted and (listed is not None or DATASETS[unit.dataset].contract_list is None),
    )


def _parsed(reply: Reply, unit: Unit, edges: Edges) -> Iterator[Batch]:
    return parse(_counted(reply.chunks(), unit, edges.emit), unit, reply.provenance.dialect)


def _completed(
    batches: Iterator[Batch], unit: Unit, wanted: frozenset[Contract] | None, edges: Edges, empty: set[Contract]
) -> Iterator[Batch]:
    """Pass batches on, then those of contracts that did not come, each asked for alone.

    Args:
        batches: The reply.
        unit: What was asked for.
        wanted: The contracts that it should have.
        edges: The Terminal, and who is told of what arrives.
        empty: Takes the contracts of which the Terminal says that they have no rows.
    """
    missing = set(wanted or ()) if DATASETS[unit.dataset].absent == "gap" else set()
    for batch in batches:
        if missing:
            missing.difference_update(_contracts(batch))
        yield batch
    if len(missing) > _MOST_SINGLES:
        return
    for contract in sorted(missing):
        try:
            with edges.terminal.single(unit, contract) as reply:
                yield from _parsed(reply, unit, edges)
        except NoData:
            empty.add(contract)
        except TooLarge:  # this Terminal gives no single contracts of the dataset: what is missing stays a gap
            return


def _contracts(batch: Batch) -> Iterator[Contract]:
    for expiration, strike, right in batch.frame.select("expiration", "strike", "right").unique().iter_rows():
        yield Contract(expiration, strike, Right(right))


def _counted(chunks: Iterator[bytes], unit: Unit, emit: Emit) -> Iterator[bytes]:
    """Pass chunks on and tell of them, a mebibyte at a time."""
    told = received = 0
    for chunk in chunks:
        received += len(chunk)
        if received - told >= _TOLD_BYTES:
            emit(Received(unit, received - told))
            told = received
        yield chunk
    emit(Received(unit, received - told))
