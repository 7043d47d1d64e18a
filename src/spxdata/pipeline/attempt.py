"""One try at one unit: fetch, parse, validate, write. Nothing of a failed attempt reaches the archive."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from spxdata.errors import DataError
from spxdata.events import Emit, FileRenamed, Quarantined, Received
from spxdata.model import Artifact, ContractList, Hole, Outcome, State, Unit
from spxdata.pipeline.order import Order, Sorter, SortMemory
from spxdata.pipeline.parse import parse
from spxdata.pipeline.quarantine import keep
from spxdata.pipeline.validate import validate
from spxdata.pipeline.write import Encoding, write
from spxdata.protocols import Clock, Storage, Terminal
from spxdata.schema import DATASETS

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
    replacing: Callable[[], None] = lambda: None,
) -> Outcome:
    """Fetch, validate and commit one unit, or raise and leave no trace but a quarantine entry.

    Args:
        unit: What to fetch.
        listed: The day's contract list, None if the account may not have it.
        edges: Terminal, storage, clock and what attempts share.
        accept_holes: Whether a clean reply that lacks something is committed with its holes.
        replacing: Called right before the file gets its final name.

    Raises:
        Declined: There is no data, or not yet.
        TerminalError: The Terminal could not or would not answer.
        DataError: The reply is wrong.
        StorageError: The file could not be written.
    """
    contracts = listed.of(unit.expiration) if listed else None
    with Sorter(Order.of(unit), edges.memory) as sorter:
        try:
            with (
                edges.terminal.fetch(unit) as reply,
                write(unit, edges.storage, edges.encoding, reply.provenance, edges.clock, edges.emit) as sink,
            ):
                batches = parse(_counted(reply.chunks(), unit, edges.emit), unit, reply.provenance.dialect)
                checked = validate(batches, unit, contracts, sorter)
                artifact = sink.commit(checked, accept_holes=accept_holes, replacing=replacing)
        except DataError as error:
            folder = keep(edges.storage, unit, error, sorter.held(), edges.clock.now())
            if folder:
                edges.emit(Quarantined(unit, folder))
            raise
    edges.emit(FileRenamed(unit, artifact.path))
    return stored(unit, artifact, checked.holes, verified=is_verified(unit, listed))


def is_verified(unit: Unit, listed: ContractList | None) -> bool:
    """Tell whether there was something to compare a unit's rows with; an index is compared with its session alone."""
    return listed is not None or DATASETS[unit.dataset].contract_list is None


def stored(unit: Unit, artifact: Artifact, holes: tuple[Hole, ...], *, verified: bool) -> Outcome:
    """Return the outcome of a committed file: serious holes by name, the others counted."""
    serious = tuple(hole for hole in holes if hole.partial)
    return Outcome(
        unit,
        State.STORED,
        artifact=artifact,
        holes=serious,
        notes=len(holes) - len(serious),
        verified=verified,
    )


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
