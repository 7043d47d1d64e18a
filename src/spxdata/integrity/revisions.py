"""What the vendor has changed: stored units are fetched again, aside, and compared with what is stored.

The stored file is not touched before the verdict. What is done after it is safe at any point: an earlier file is copied
to its new name and recorded before the unit's own is replaced, and that is withdrawn right before the rename, as in any
download. A kill leaves the old file, or both.
"""

import itertools
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol
from urllib.parse import parse_qsl, urlsplit

from spxdata.completeness import describe, verdict
from spxdata.downloader.days import STOPS_THE_RUN
from spxdata.downloader.flow import Flow
from spxdata.errors import ChecksumMismatch, DataError, NoData, ShortReply, SpxDataError, TerminalError, TransientError
from spxdata.events import Event, plain
from spxdata.integrity.coverage import Wanted
from spxdata.integrity.row_changes import RowChanges, row_changes, with_values
from spxdata.layout import REFETCHED
from spxdata.model import Artifact, Outcome, Provenance, Unit
from spxdata.pipeline.attempt import attempt
from spxdata.pipeline.earlier import adopt_earlier, copy, keep_earlier
from spxdata.pipeline.edges import Edges
from spxdata.pipeline.read import confirmed, frames
from spxdata.plan import dated
from spxdata.protocols import Catalog, Terminal
from spxdata.retry import Patience
from spxdata.schema import DATASETS
from spxdata.sessions import NEW_YORK
from spxdata.storage.aside import Aside
from spxdata.terminal.breaker import UNUSABLE, Breaker
from spxdata.terminal.gate import Gate

#: Kind under which the catalog keeps findings, by unit.
KIND: Final = "revision"
#: Version of these documents.
VERSION: Final = 1

#: Seconds between two renewals of the lease.
_BEAT: Final = 10.0


class Keep(StrEnum):
    """Which rows of a revised unit stay: those stored, those fetched now, or both, the latter in the unit's place."""

    OLD = "old"
    NEW = "new"
    BOTH = "both"


class Change(StrEnum):
    """What came of fetching a stored unit again."""

    UNCHANGED = "unchanged"
    REVISED = "revised"
    GONE = "gone"
    INCOMPARABLE = "incomparable"
    FAILED = "failed"


#: What tells of the vendor, and so is kept in the catalog; the rest says that nothing is known.
_TELLING: Final = frozenset({Change.UNCHANGED, Change.REVISED, Change.GONE})


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of fetching a stored unit again.

    Attributes:
        unit: The unit.
        change: In a word.
        checked_at: When it was asked for again (aware).
        stored_fetched_at: When the stored rows were fetched (aware).
        stored_hash: Their content hash.
        found_hash: The content hash of the rows that came now.
        found_rows: How many came.
        difference: What differs, of a revised unit.
        lacks: Outages and gaps of the rows that came now, in words.
        reason: Why it is gone, not comparable or failed.
        code: The error's code, of one that failed.
        kept: What was done with a revised unit; None where nothing was.
    """

    unit: Unit
    change: Change
    checked_at: datetime
    stored_fetched_at: datetime
    stored_hash: str
    found_hash: str | None = None
    found_rows: int | None = None
    difference: RowChanges | None = None
    lacks: str | None = None
    reason: str | None = None
    code: str | None = None
    kept: Keep | None = None


class Sources(Protocol):
    """Where rows are asked for once more."""

    def status(self) -> str:
        """Return the Terminal's word on its own connection."""
        ...

    def of(self, provenance: Provenance) -> Terminal | None:
        """Return the Terminal to ask for rows in the manner of their provenance; None if none there speaks so."""
        ...


def is_wanted(unit: Unit, wanted: Wanted) -> bool:
    """Tell whether a unit is among those in question."""
    of = DATASETS[unit.dataset]
    return (
        (wanted.start is None or unit.trade_date >= wanted.start)
        and (wanted.end is None or unit.trade_date <= wanted.end)
        and (not wanted.datasets or of.name in wanted.datasets)
        and (not wanted.roots or unit.root in {of.root(root) for root in wanted.roots})
    )


def stored_units(catalog: Catalog, wanted: Wanted) -> list[Outcome]:
    """Return the stored units in question, sorted."""
    outcomes = (
        outcome for status in catalog.days(wanted.start, wanted.end) for outcome in catalog.outcomes(status.day)
    )
    return [outcome for outcome in outcomes if outcome.artifact and is_wanted(outcome.unit, wanted)]


def sample(stored: list[Outcome], number: int, dice: random.Random) -> list[Outcome]:
    """Return some of the stored units at random, in their order; all if there are not more."""
    chosen = sorted(dice.sample(range(len(stored)), min(number, len(stored))))
    return [stored[place] for place in chosen]


class Revisions:
    """Fetches stored units again and says what has changed.

    Args:
        catalog: The archive's record; its lease is held while `check` goes on.
        edges: Storage, clock, events and what attempts share; its Terminal is not asked.
        sources: Who is asked.
        keep: What to do with units that have changed.
        patience: How often to try again.
        chance: A source of random numbers in [0, 1), for jitter.
        terminal_patience: Most seconds to wait for a Terminal that is not usable, each time.
        pacing: Least seconds between the starts of two requests.
    """

    def __init__(
        self,
        catalog: Catalog,
        edges: Edges,
        sources: Sources,
        *,
        keep: Keep,
        patience: Patience,
        chance: Callable[[], float],
        terminal_patience: float = 60.0,
        pacing: float = 0.1,
    ) -> None:
        self._catalog = catalog
        self._storage = edges.storage
        self._aside = Aside(edges.storage, REFETCHED)
        self._edges = replace(edges, storage=self._aside, emit=self._emit)
        self._subscriber = edges.emit
        self._clock = edges.clock
        self._sources = sources
        self._keep = keep
        self._patience = patience
        self._chance = chance
        self._flow = Flow(Gate.of(1, pacing), Breaker(), terminal_patience, edges.clock, self._emit, sources.status)
        self._next_beat = 0.0

    def check(self, outcomes: list[Outcome]) -> Iterator[Finding]:
        """Fetch stored units again, one after the other, and yield what came of each.

        Raises:
            ArchiveBusy: Another process writes this archive.
            StorageError: The disk or the catalog failed.
            Unreachable: No Terminal answers.
            RefusedError: Another Terminal uses the account.
        """
        with self._catalog.lease(self._clock):
            self._storage.sweep()
            for path in self._storage.names(REFETCHED):  # what a run that was killed has left
                self._storage.remove(path)
            adopt_earlier(self._catalog, self._storage)
            for outcome in outcomes:
                if outcome.artifact is None:
                    raise ValueError(f"{outcome.unit} is not stored.")
                finding = self._checked(outcome, outcome.artifact)
                if finding.change in _TELLING:
                    self._catalog.keep_documents(KIND, {str(finding.unit): written(finding)})
                yield finding

    def _checked(self, outcome: Outcome, artifact: Artifact) -> Finding:
        unit, provenance = outcome.unit, artifact.provenance
        finding = Finding(unit, Change.FAILED, self._clock.now(), provenance.fetched_at, artifact.content_hash)
        if not confirmed(self._storage, artifact):
            return replace(
                finding, reason="its stored file is missing or damaged: see spxdata verify", code=ChecksumMismatch.code
            )
        terminal = self._flow.endured(lambda: self._sources.of(provenance))
        if terminal is None:
            reason = f"its rows come from a {provenance.dialect} Terminal, and there is none"
            return replace(finding, change=Change.INCOMPARABLE, reason=reason)
        encoding = replace(self._edges.encoding, format="csv" if artifact.format == "csv" else "parquet")
        edges = replace(self._edges, terminal=terminal, encoding=encoding)
        try:
            found = self._fetched(unit, edges)
        except NoData as error:
            return replace(finding, change=Change.GONE, reason=error.message)
        except STOPS_THE_RUN:
            raise
        except (TerminalError, DataError) as error:
            return replace(finding, reason=error.message, code=error.code)
        try:
            return self._judged(finding, outcome, artifact, found)
        except ChecksumMismatch as error:
            return replace(finding, reason=error.message, code=error.code)
        finally:
            if found.artifact:
                self._aside.remove(found.artifact.path)

    def _fetched(self, unit: Unit, edges: Edges) -> Outcome:
        """Fetch a unit as a download does: what is short or empty is asked for twice."""
        kind = DATASETS[unit.dataset].contract_list
        listed = self._catalog.contracts(unit.root, unit.trade_date, kind) if kind else None
        failures: Counter[int | None] = Counter()
        accept_holes = declined = False
        for tries in itertools.count(1):
            self._flow.until_usable()
            self._clock.sleep(self._flow.until_launch(0) or 0.0)
            self._flow.launched()
            try:
                found = attempt(unit, listed, edges, accept_holes=accept_holes, accept_unlisted=True)
            except UNUSABLE as error:  # it costs the unit none of its tries
                self._flow.failed(error)
                continue
            except NoData:
                self._flow.succeeded()
                if declined:
                    raise
                declined = True
                pause = self._patience.first_wait
            except ShortReply:
                self._flow.succeeded()
                accept_holes = True
                pause = self._patience.first_wait
            except STOPS_THE_RUN:
                raise
            except (TransientError, DataError) as error:
                self._flow.failed(error)
                failures[error.retries] += 1
                again = self._patience.wait(error, failures[error.retries], self._chance())
                if again is None:
                    raise
                pause = again
            else:
                self._flow.succeeded()
                today = self._clock.now().astimezone(NEW_YORK).date()
                return dated(replace(found, attempts=tries), today, listed=listed is not None)
            self._clock.sleep(pause)
        raise AssertionError  # count() has no end

    def _judged(self, finding: Finding, outcome: Outcome, artifact: Artifact, found: Outcome) -> Finding:
        """Compare, and do with a revised unit what is to be done."""
        new = found.artifact
        if new is None:
            raise ValueError(f"{found.unit} came without a file.")
        finding = replace(finding, found_hash=new.content_hash, found_rows=new.rows)
        if new.content_hash == artifact.content_hash:
            return replace(finding, change=Change.UNCHANGED)
        differs = self._difference(artifact, new, outcome.unit)
        if not differs:  # an older definition of the hash, or of the columns
            return replace(finding, change=Change.UNCHANGED)
        if way_of_asking(new.provenance.request) != way_of_asking(artifact.provenance.request):
            reason = f"it is asked for in another way now; then it was {artifact.provenance.request}"
            return replace(finding, change=Change.INCOMPARABLE, reason=reason)
        holes = [hole for hole in found.holes if hole.partial]
        revised = replace(
            finding,
            change=Change.REVISED,
            difference=differs,
            lacks=describe(holes) if holes else None,
            kept=self._keep,
        )
        if self._keep is Keep.BOTH:
            keep_earlier(self._catalog, self._storage, outcome.unit, artifact)
        if self._keep is not Keep.OLD:
            self._replace(found, new)
        return revised

    def _difference(self, artifact: Artifact, new: Artifact, unit: Unit) -> RowChanges:
        of = DATASETS[unit.dataset]
        columns = None
        if artifact.schema_version != new.schema_version:  # what older columns cannot tell is no revision
            columns = with_values(frames(self._storage, artifact.path), of)
        old, now = frames(self._storage, artifact.path), frames(self._aside, new.path)
        return row_changes(old, now, of, unit.interval, columns)

    def _replace(self, found: Outcome, new: Artifact) -> None:
        """Give a unit the rows that came now, and its day the verdict that follows."""
        unit = found.unit
        status = next((s for s in self._catalog.days(unit.trade_date, unit.trade_date) if s.day == unit.day), None)
        ended = status and status.verdict is not None
        if status and ended:
            self._catalog.begin_day(unit.day, status.scope, self._clock.now())
        try:
            artifact = copy(self._aside, new, self._storage, new.path, lambda: self._catalog.withdraw(unit))
            self._catalog.record(replace(found, artifact=artifact), self._clock.now())
        except BaseException as error:
            if ended:
                words = error.message if isinstance(error, SpxDataError) else None
                self._catalog.interrupt_day(unit.day, words, self._clock.now())
            raise
        if status and ended:
            outcomes = [
                outcome
                for outcome in self._catalog.outcomes(unit.day)
                if outcome.unit.expiration is None or status.scope.covers(unit.trade_date, outcome.unit.expiration)
            ]
            word = verdict(outcomes, len(outcomes), listed=all(outcome.verified for outcome in outcomes))
            self._catalog.end_day(unit.day, word, status.error, self._clock.now())

    def _emit(self, event: Event) -> None:
        """Pass an event on, and renew the lease in time: an attempt may take minutes."""
        if self._clock.monotonic() >= self._next_beat:
            self._catalog.beat(self._clock.now())
            self._next_beat = self._clock.monotonic() + _BEAT
        self._subscriber(event)


def way_of_asking(request: str) -> tuple[str, dict[str, str]]:
    """Return a request's path and parameters, without which contract it is for and how its unit was split.

    A unit that is asked for contract by contract begins with another one once the vendor lists a lower strike, and what
    was too large for one reply may not be so today.
    """
    asked = urlsplit(request.partition(" ")[0])
    parameters = parse_qsl(asked.query, keep_blank_values=True)
    return asked.path, {name: value for name, value in parameters if name not in {"strike", "right"}}


def written(finding: Finding) -> str:
    """Return a finding as the JSON document that the catalog keeps."""
    return json.dumps({"version": VERSION, **plain(finding)})
