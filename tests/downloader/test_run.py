"""Places and rates of a run: a reply that has come whole leaves its place, and what it took is kept."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from spxdata.catalog.memory import MemoryCatalog
from spxdata.downloader import Download
from spxdata.downloader.forecast import Forecast
from spxdata.downloader.measures import KIND, LEAST
from spxdata.downloader.run import LARGE
from spxdata.model import Scope, State, Unit
from spxdata.pipeline.edges import Edges, Encoding, SortMemory
from spxdata.plan import Request
from spxdata.protocols import Storage
from spxdata.retry import Patience
from spxdata.schema import DATASETS
from tests.builders import TRADE_DATE, FakeClock
from tests.memory_storage import MemoryStorage, PendingBytes
from tests.pipeline.builders import ScriptedReply, ScriptedTerminal, rows_of, unit_for, wire_csv

INDEX, RATE = DATASETS["index_price"], DATASETS["interest_rate"]
BODIES = {unit_for(dataset): wire_csv(rows_of(dataset=dataset), dataset) for dataset in (INDEX, RATE)}
#: When all of the day is published.
LATER = datetime(2024, 3, 1, 15, 0, tzinfo=UTC)
#: Longer than anything here takes; who waits so long waits for something that never comes.
LONG = 30.0


@dataclass(slots=True)
class SlowTerminal(ScriptedTerminal):
    """A Terminal that thinks for some seconds of a clock before it answers, and remembers when two were asked for.

    Attributes:
        clock: Moved by its thinking.
        thinking: Seconds.
        both: Set once a second unit is asked for.
    """

    clock: FakeClock = field(default_factory=FakeClock)
    thinking: float = 0.0
    both: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def fetch(self, unit: Unit) -> Iterator[ScriptedReply]:
        """Think, then answer by the script."""
        self.clock.advance(self.thinking)
        with ScriptedTerminal.fetch(self, unit) as reply:
            if len(self.asked) > 1:
                self.both.set()
            yield reply


class PatientStorage(MemoryStorage):
    """A storage in which no file is done before a second unit is asked for."""

    def __init__(self, both: threading.Event) -> None:
        super().__init__()
        self.both = both
        self.waited_in_vain = False

    @contextmanager
    def create(self, path: str) -> Iterator[PendingBytes]:
        """Begin a file."""
        with super().create(path) as pending:

            def rename(data: bytes) -> None:
                self.waited_in_vain |= not self.both.wait(LONG)
                pending.rename(data)

            yield PendingBytes(pending.buffer, rename)


class WatchfulStorage(MemoryStorage):
    """A storage that notes how many units were asked for when a file is done."""

    def __init__(self, terminal: SlowTerminal) -> None:
        super().__init__()
        self.terminal = terminal
        self.asked: list[int] = []

    @contextmanager
    def create(self, path: str) -> Iterator[PendingBytes]:
        """Begin a file."""
        with super().create(path) as pending:

            def rename(data: bytes) -> None:
                self.asked.append(len(self.terminal.asked))
                pending.rename(data)

            yield PendingBytes(pending.buffer, rename)


def a_run(
    terminal: SlowTerminal,
    storage: Storage,
    catalog: MemoryCatalog,
    *datasets: str,
    force: bool = False,
    large: int = LARGE,
) -> Download:
    """Return a run over the usual day, with one request at a time."""
    return Download(
        Request((TRADE_DATE,), "SPXW", datasets, Scope(60), force),
        Edges(terminal, storage, terminal.clock, lambda _: None, Encoding(), SortMemory()),
        catalog,
        widths=lambda _: 1,
        patience=Patience(0, jitter=0),
        chance=lambda: 0.0,
        pacing=0.0,
        large=large,
    )


def test_a_unit_that_is_being_stored_holds_no_place() -> None:
    """With its last byte the Terminal has a place free: the next request begins while rows are on their way to disk."""
    terminal = SlowTerminal(BODIES, clock=FakeClock(LATER))
    storage = PatientStorage(terminal.both)
    summary = a_run(terminal, storage, MemoryCatalog(), "index_price", "interest_rate").run()
    assert summary.finished.exit_code == 0
    assert not storage.waited_in_vain


def test_a_large_reply_keeps_its_place_until_it_is_stored() -> None:
    """Its rows do not fit in memory; those of another would come on top."""
    terminal = SlowTerminal(BODIES, clock=FakeClock(LATER))
    storage = WatchfulStorage(terminal)
    summary = a_run(terminal, storage, MemoryCatalog(), "index_price", "interest_rate", large=1).run()
    assert summary.finished.exit_code == 0
    assert storage.asked == [1, 2]


def foretold(terminal: SlowTerminal, storage: Storage, catalog: MemoryCatalog) -> Forecast:
    """Return what fetching the index again would take."""
    download = a_run(terminal, storage, catalog, "index_price", force=True)
    assert len(list(download.plans())) == 1
    return download.forecast()


def test_the_time_foretold_follows_the_newest_speed() -> None:
    """Once so many were measured at it that older ones do not count; nothing is known before the first."""
    terminal, storage, catalog = (
        SlowTerminal(BODIES, clock=FakeClock(LATER), thinking=9.0),
        MemoryStorage(),
        MemoryCatalog(),
    )
    assert foretold(terminal, storage, catalog).seconds is None
    a_run(terminal, storage, catalog, "index_price").run()
    assert foretold(terminal, storage, catalog).seconds == 9.0
    (outcome,) = catalog.outcomes(unit_for(INDEX).day)
    assert (outcome.state, outcome.artifact is None) == (State.STORED, False)
    terminal.thinking = 2.0
    (key, text), *_ = catalog.documents(KIND).items()
    week_old = text.replace(str(TRADE_DATE), "2024-01-09")
    catalog.keep_documents(KIND, {key: week_old})
    for _ in range(LEAST):
        a_run(terminal, storage, catalog, "index_price", force=True).run()
    told = foretold(terminal, storage, catalog)
    assert told.seconds == 2.0
    assert outcome.artifact is not None
    assert (told.requests, told.received, told.stored) == (1, len(BODIES[outcome.unit]), outcome.artifact.bytes)
