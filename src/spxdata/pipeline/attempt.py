"""One try at one unit: fetch, parse, validate, write. Nothing of a failed attempt reaches the archive."""

from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from spxdata.completeness import expected
from spxdata.errors import DataError, MalformedReply, NoData, TooLarge
from spxdata.events import Emit, FileRenamed, Quarantined, Received
from spxdata.model import Contract, ContractList, Outcome, Provenance, Right, State, Unit
from spxdata.pipeline.blocks import in_blocks
from spxdata.pipeline.edges import Edges, Replied
from spxdata.pipeline.order import Order, Sorter
from spxdata.pipeline.parse import Batch, parse
from spxdata.pipeline.quarantine import keep
from spxdata.pipeline.read import Adopted
from spxdata.pipeline.validate import validate
from spxdata.pipeline.write import write
from spxdata.protocols import Reply
from spxdata.schema import DATASETS, Rows

_T = TypeVar("_T")

#: Contracts of a unit that are asked for one by one; if more are missing, the reply is short for another reason.
_MOST_SINGLES: Final = 20
#: Bytes between two words on what arrived.
_TOLD_BYTES: Final = 1024 * 1024


@dataclass(slots=True)
class _Reading:
    """The bytes of an attempt, as they come."""

    received: int = 0


@dataclass(slots=True)
class _Singly:
    """What an attempt asks for contract by contract, beside the unit's reply.

    Attributes:
        unit: Whose contracts.
        edges: The Terminal, and who is told of what arrives.
        reading: The bytes that came.
        empty: Contracts of which the Terminal says that they have no rows.
        asked: How many were asked for.
    """

    unit: Unit
    edges: Edges
    reading: _Reading
    empty: set[Contract] = field(default_factory=set)
    asked: int = 0

    def rows(self, contract: Contract) -> Iterator[Batch]:
        """Yield the rows of a contract; raises what `Terminal.single` does."""
        self.asked += 1
        with self.edges.terminal.single(self.unit, contract) as reply:
            yield from _parsed(reply, self.unit, self.edges, self.reading)

    def told(self, origin: Provenance) -> Provenance:
        """Return where the unit's rows come from, these too."""
        if not self.asked:
            return origin
        return replace(origin, request=f"{origin.request} (and {self.asked:,} contracts one by one)")


def attempt(
    unit: Unit,
    listed: ContractList | None,
    edges: Edges,
    *,
    accept_holes: bool = False,
    accept_unlisted: bool = False,
    replacing: Callable[[], None] = lambda: None,
    replied: Callable[[Replied], object] = lambda _: None,
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
        replied: Called once all of the reply has come, and nothing more will be asked for.

    Raises:
        Declined: There is no data, or not yet.
        TerminalError: The Terminal could not or would not answer.
        DataError: The reply is wrong.
        StorageError: The file could not be written.
    """
    contracts = listed.of(unit.expiration) if listed else None
    reading = _Reading()
    singly = _Singly(unit, edges, reading)
    asked_at = edges.clock.monotonic()
    with Sorter(Order.of(unit), edges.memory) as sorter:
        try:
            with (
                edges.terminal.fetch(unit) as reply,
                write(
                    unit,
                    edges.storage,
                    edges.encoding,
                    lambda: singly.told(reply.provenance),
                    edges.clock,
                    edges.emit,
                ) as sink,
            ):
                first_at = edges.clock.monotonic()

                def is_through() -> None:
                    ended, requests = edges.clock.monotonic(), reply.requests + singly.asked
                    replied(Replied(requests, reading.received, first_at - asked_at, ended - first_at, ended))

                batches = _parsed(reply, unit, edges, reading, None if accept_holes else is_through)
                if accept_holes:  # what a second reply lacks too is asked for contract by contract
                    completed = _completed(batches, expected(unit, contracts), singly, sorter)
                    batches = _followed(completed, is_through)
                checked = validate(batches, unit, contracts, sorter, singly.empty)
                artifact = sink.commit(
                    checked, accept_holes=accept_holes, accept_unlisted=accept_unlisted, replacing=replacing
                )
        except DataError as error:
            folder = keep(edges.storage, unit, error, sorter.held(), edges.clock.now())
            if folder:
                edges.emit(Quarantined(unit, folder))
            raise
    edges.emit(FileRenamed(unit, artifact.path))
    return stored(Adopted(artifact, checked.holes, tuple(singly.empty), checked.unlisted), unit, listed)


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


def _parsed(
    reply: Reply, unit: Unit, edges: Edges, reading: _Reading, then: Callable[[], None] | None = None
) -> Iterator[Batch]:
    chunks = _counted(reply.chunks(), unit, edges.emit, reading)
    if then:
        chunks = _followed(chunks, then)
    return in_blocks(parse(chunks, unit, reply.provenance.dialect), unit)


def _followed(items: Iterator[_T], then: Callable[[], None]) -> Iterator[_T]:
    """Pass items on, and do something after the last."""
    yield from items
    then()


def _completed(
    batches: Iterator[Batch], wanted: frozenset[Contract] | None, singly: _Singly, sorter: Sorter
) -> Iterator[Batch]:
    """Pass batches on, then those of contracts that did not come, each asked for alone.

    Args:
        batches: The reply.
        wanted: The contracts that it should have.
        singly: Asks for one.
        sorter: Has all batches by the time that the next one is drawn.

    Raises:
        MalformedReply: A contract has fewer rows alone than it had in the reply.
    """
    looked_for = wanted if wanted and DATASETS[singly.unit.dataset].absent == "gap" else frozenset[Contract]()
    came: Counter[Contract] = Counter()
    for batch in batches:
        if looked_for:
            came.update(_contracts(batch))
        yield batch
    missing = looked_for - came.keys()
    if len(missing) <= _MOST_SINGLES:
        is_replaced = yield from _missed(missing, singly, sorter)
        if is_replaced:
            yield from _again(came, singly)


def _missed(missing: Collection[Contract], singly: _Singly, sorter: Sorter) -> Generator[Batch, None, bool]:
    """Yield the rows of contracts that did not come, and tell whether those that came are to come again.

    A chain of ticks that lacks contracts that have rows has lost a part, and where that begins and ends are contracts
    that came in part. There is no grid to tell which: none of the reply's rows is kept.
    """
    is_of_ticks = DATASETS[singly.unit.dataset].rows is Rows.TICKS
    is_replaced = False
    for contract in sorted(missing):
        try:
            for batch in singly.rows(contract):
                if is_of_ticks and not is_replaced:
                    sorter.clear()
                    is_replaced = True
                yield batch
        except NoData:
            singly.empty.add(contract)
        except TooLarge:  # this Terminal gives no single contracts of the dataset: what is missing stays a gap
            if is_replaced:
                raise
            return False
    return is_replaced


def _again(came: Mapping[Contract, int], singly: _Singly) -> Iterator[Batch]:
    """Yield the rows of contracts that came before, as many as there were or more."""
    for contract, before in sorted(came.items()):
        rows = 0
        with suppress(NoData):
            for batch in singly.rows(contract):
                rows += batch.frame.height
                yield batch
        if rows < before:
            raise MalformedReply(f"{contract} came with {before:,} rows among others, and has {rows:,} alone.")


def _contracts(batch: Batch) -> dict[Contract, int]:
    """Return the rows of each contract of a batch."""
    counted = batch.frame.group_by("expiration", "strike", "right").len()
    return {Contract(expiration, strike, Right(right)): rows for expiration, strike, right, rows in counted.iter_rows()}


def _counted(chunks: Iterator[bytes], unit: Unit, emit: Emit, reading: _Reading) -> Iterator[bytes]:
    """Pass chunks on and tell of them, a mebibyte at a time."""
    told = received = 0
    for chunk in chunks:
        received += len(chunk)
        reading.received += len(chunk)
        if received - told >= _TOLD_BYTES:
            emit(Received(unit, received - told))
            told = received
        yield chunk
    emit(Received(unit, received - told))
