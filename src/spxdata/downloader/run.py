"""The run: days in order, units in parallel, retries, cancellation; records outcomes.

The main loop alone plans, waits between tries and writes outcomes to the catalog; worker threads only run `attempt`.
"""

import heapq
import itertools
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final

from spxdata.completeness import verdict
from spxdata.downloader.days import STOPS_THE_RUN, DayPlan, Planner, list_key
from spxdata.downloader.flow import Flow
from spxdata.downloader.forecast import Due, Forecast, Rates, forecast
from spxdata.downloader.measures import Kind, Measure, Measures
from spxdata.downloader.summary import Summary, Tally
from spxdata.errors import (
    ArchiveBusy,
    DiskFull,
    NoData,
    NotSubscribed,
    ShortList,
    ShortReply,
    SpxDataError,
    TerminalError,
    TooEarly,
    TransientError,
)
from spxdata.events import (
    AttemptFailed,
    AttemptStarted,
    DayClosed,
    DayFinished,
    DayPlanned,
    Event,
    FileAdopted,
    FileRemoved,
    Received,
    RunStarted,
    UnitRecorded,
)
from spxdata.layout import paths_of, unit_of
from spxdata.model import ContractList, Day, Outcome, State, Unit, Verdict
from spxdata.pipeline.edges import Edges, Replied
from spxdata.plan import Request, dated, smallest, space_needed
from spxdata.protocols import Catalog
from spxdata.retry import Patience
from spxdata.schema import DATASETS, DIALECTS
from spxdata.sessions import closed_because
from spxdata.terminal.breaker import UNUSABLE, Breaker
from spxdata.terminal.gate import Gate

#: Seconds between two renewals of the lease.
_BEAT: Final = 10.0

#: Bytes of a reply from which on it keeps its place until it is stored: its rows do not fit in memory as it is.
LARGE: Final = 100_000_000

#: How far back a day is looked for that tells how much space another one takes.
_LOOK_BACK: Final = timedelta(days=14)

#: What the Terminal may answer without rows or fault: the state of the unit, and the code recorded with it.
_MEANS: Final[dict[type[TerminalError], tuple[State, str | None]]] = {
    NoData: (State.EMPTY, None),
    TooEarly: (State.NOT_PUBLISHED, None),
    NotSubscribed: (State.REFUSED, NotSubscribed.code),
}
_ANSWERS: Final = tuple(_MEANS)


@dataclass(slots=True)
class _Job:
    """A unit on its way through tries; the contract list is the one that the last of them went by."""

    unit: Unit
    listed: ContractList | None = None
    tries: int = 0
    failures: Counter[int | None] = field(default_factory=Counter)  # by how often their class is repeated
    accept_holes: bool = False
    declined: bool = False
    replied: "Future[Replied]" = field(default_factory=Future)  # of the last of them
    in_flight: bool = False  # so far as the main loop knows

    def holds_place(self, large: int) -> bool:
        """Tell whether no other request may take its place: it is being answered, or its reply was large."""
        return self.in_flight or self.replied.result().bytes >= large


class _Queue:
    """The jobs of a run, day by day, nearest expiration first; a day is planned when its turn comes.

    Args:
        jobs_of: Plans a day, and returns its jobs.
        days: Days in order.
        jobs: Jobs that go before them.
    """

    def __init__(
        self, jobs_of: Callable[[Day], Iterable[_Job]], days: Iterable[Day], jobs: Iterable[_Job] = ()
    ) -> None:
        self._jobs_of = jobs_of
        self._days = deque(days)
        self._jobs = deque(jobs)

    def __bool__(self) -> bool:
        """Tell whether there may be another job: only planning, which needs the Terminal, can know."""
        return bool(self._jobs or self._days)

    def take(self) -> _Job | None:
        """Return the next job, None if there is none left."""
        while not self._jobs and self._days:
            self._jobs.extend(self._jobs_of(self._days.popleft()))
        return self._jobs.popleft() if self._jobs else None


class Download:
    """One run over one archive.

    Args:
        request: What to have in the archive at the end.
        edges: Terminal, storage, clock, subscriber to events, and what attempts share.
        catalog: The archive's record.
        widths: From the Terminal's dialect to how many requests may run at once.
        patience: How often to try again.
        chance: A source of random numbers in [0, 1), for jitter.
        terminal_patience: Most seconds to wait for a Terminal that is not usable, each time.
        pacing: Least seconds between the starts of two requests.
        large: Bytes of a reply that keeps its place until it is stored.
    """

    def __init__(
        self,
        request: Request,
        edges: Edges,
        catalog: Catalog,
        *,
        widths: Callable[[str], int],
        patience: Patience,
        chance: Callable[[], float],
        terminal_patience: float = 60.0,
        pacing: float = 0.1,
        large: int = LARGE,
    ) -> None:
        self._request = request
        self._edges = replace(edges, emit=self._emit)
        self._subscriber = edges.emit
        self._clock = edges.clock
        self._catalog = catalog
        self._widths = widths
        self._narrowed = False
        self._workers = max(map(widths, DIALECTS))
        self._settling = -(-self._workers // 4)  # more keep places busy on a busy machine, and cost memory
        self._pacing = pacing
        self._large = large
        self._measures = Measures(catalog)
        self._due: list[Due] = []
        self._patience = patience
        self._chance = chance
        gate = Gate.of(self._workers, pacing)
        self._flow = Flow(gate, Breaker(), terminal_patience, self._clock, self._emit, self._edges.terminal.status)
        self._planner = Planner(request, self._edges, catalog, patience, chance, self._flow)
        self._lock = threading.Lock()
        self._tally = Tally()
        self._plans: dict[Day, DayPlan] = {}
        self._running: dict[Future[Outcome], _Job] = {}
        self._waiting: list[tuple[float, int, _Job]] = []  # when, a number that breaks ties, which
        self._numbers = itertools.count()
        self._next_beat = 0.0

    def run(self) -> Summary:
        """Bring the archive to what was asked for.

        Raises:
            ArchiveBusy: Another process writes this archive.
            ConfigError: An expiration was asked for that is none.
            StorageError: The disk or the catalog failed; what was committed is safe.
            Unreachable: No Terminal answers any more.
            RefusedError: Both ends of the range were refused, or another Terminal uses the account.
            KeyboardInterrupt: The user stopped it; what was committed is safe and recorded.
        """
        started = self._clock.monotonic()
        self._emit(RunStarted(self._request.trade_dates))
        for trade_date in self._request.trade_dates:
            reason = closed_because(trade_date)
            if reason:
                self._emit(DayClosed(trade_date, reason))
        if not self._request.open_dates():
            return self._finish(started)
        with self._catalog.lease(self._clock):
            self._edges.storage.sweep()
            with ThreadPoolExecutor(self._workers + self._settling, thread_name_prefix="spxdata") as pool:
                try:
                    self._planner.refuse_unlisted()
                    self._catalog.queue_days(self._days(), self._request.scope, self._clock.now())
                    self._look_first(pool)
                    self._drain(pool, _Queue(self._jobs_of, self._days()))
                except BaseException as error:
                    self._halt(error)
                    self._finish(started, error)
                    raise
            return self._finish(started)

    def plans(self) -> Iterator[DayPlanned]:
        """Yield what a run would fetch, day by day, without fetching or writing anything.

        Raises:
            ConfigError: An expiration was asked for that is none.
        """
        self._planner.refuse_unlisted()
        self._due = []
        for day in self._days():
            began = self._clock.monotonic()
            plan = self._planner.plan(day, quick=True)
            took = self._clock.monotonic() - began
            self._due.append(Due(day, _sized(plan.due(), plan.listed), took))
            plan.let_go()
            yield DayPlanned(day, plan.due(), plan.skipped())

    def forecast(self) -> Forecast:
        """Return what a run will take that fetches what `plans` has yielded, from what units took before.

        Raises:
            CatalogCorrupt: What the catalog says of that cannot be read.
        """
        try:
            dialect = self._edges.terminal.dialect if any(due.units for due in self._due) else None
        except TransientError:  # all lists were there: nothing was asked of a Terminal until now
            dialect = None

        def rates(day: Day) -> Rates | None:
            found = self._measures.of(day, dialect)
            return Rates.of(*found) if found else None

        return forecast(self._due, rates, self._widths(dialect or DIALECTS[0]), self._pacing)

    def _look_first(self, pool: ThreadPoolExecutor) -> None:
        """Fetch the smallest unit of both ends of a range, so that a wrong one fails in seconds."""
        dates = self._request.open_dates()
        if len(dates) < 2:
            return
        plans = [self._begin(day) for trade_date in (dates[0], dates[-1]) for day in self._request.days(trade_date)]
        looks = [_Job(unit) for plan in plans if (unit := smallest(plan.due(), plan.listed))]
        self._drain(pool, _Queue(self._jobs_of, (), looks))
        refused = [one for one in self._tally.ended if one.state is State.REFUSED]
        if looks and len(refused) == len(looks):
            raise NotSubscribed(f"Both ends of the range were refused: {refused[0].reason}")

    def _days(self) -> list[Day]:
        return [day for trade_date in self._request.open_dates() for day in self._request.days(trade_date)]

    def _begin(self, day: Day) -> DayPlan:
        """Plan a day, once; a day that stands as it should keeps its line in the catalog as it is."""
        if day in self._plans:
            return self._plans[day]
        plan = self._plans[day] = self._planner.plan(day)
        kind = DATASETS[day.dataset].contract_list
        if plan.fetched and kind:
            self._catalog.keep_contracts(plan.fetched, kind)
        if not plan.judged:
            self._tally.vacant.add(day.trade_date)
        self._require_space(plan)
        self._emit(DayPlanned(day, plan.due(), plan.skipped()))
        known = self._planner.status(day)
        if plan.changes_nothing and known and known.verdict and known.scope == plan.scope:
            plan.let_go()
            self._emit(DayFinished(known))
        else:
            self._record_plan(plan)
        return plan

    def _jobs_of(self, day: Day) -> Iterator[_Job]:
        """Plan a day, and yield a job for each unit that is due and has none: a longer contract list may have made one.

        Two at once would write one file, and the second could outlive the day, whose contract list is let go.
        """
        units = self._begin(day).due()
        busy = {job.unit for _, _, job in self._waiting} | {job.unit for job in self._running.values()}
        return (_Job(unit) for unit in units if unit not in busy)

    def _require_space(self, plan: DayPlan) -> None:
        """Refuse a day for which there is clearly too little space: a full disk would show in the midst of it only."""
        if not plan.open:
            return
        day, free = plan.day, self._edges.storage.free()
        before = self._catalog.days(day.trade_date - _LOOK_BACK, day.trade_date)
        largest = max(
            (known.bytes for known in before if known.day._replace(trade_date=day.trade_date) == day), default=0
        )
        needed = space_needed(largest, len(plan.open), len(plan.units))
        if free < needed:
            raise DiskFull(
                f"{free / 1e6:,.0f} MB are free where the archive lies, and "
                f"{day.trade_date} {day.root} {day.dataset} may need {needed / 1e6:,.0f} MB."
            )

    def _record_plan(self, plan: DayPlan) -> None:
        """Record what planning found out, and end the day if nothing is to be fetched."""
        now = self._clock.now()
        self._catalog.begin_day(plan.day, plan.scope, now)
        if plan.superseded:
            self._catalog.forget(plan.day.unit(None))
        for unit in plan.lost:
            self._catalog.withdraw(unit)
        for path in plan.leftover:
            self._edges.storage.remove(path)
            self._emit(FileRemoved(unit_of(path), path))
        for outcome in plan.adopted:
            self._catalog.record(outcome, now)
            if outcome.artifact:
                self._emit(FileAdopted(outcome.unit, outcome.artifact.path))
        if plan.error:
            self._tally.errors.append(plan.error)
        if plan.settled:
            self._record(plan.settled)
        elif not plan.open:
            self._end(plan)

    def _drain(self, pool: ThreadPoolExecutor, jobs: _Queue) -> None:
        """Run jobs until none is left, a few at once; those that wait for another try do not hold up the rest."""
        while True:
            self._beat()
            if jobs or self._waiting or self._running:
                self._flow.probe()
            self._launch(pool, jobs)
            if self._running:
                soonest = self._soonest(_BEAT)
                replies: list[Future[Any]] = [job.replied for job in self._running.values() if job.in_flight]
                wait([*self._running, *replies], timeout=min(soonest, _BEAT), return_when=FIRST_COMPLETED)
                for job in self._running.values():
                    job.in_flight = not job.replied.done()
                for future in [future for future in self._running if future.done()]:
                    self._take(future)
            elif jobs or self._waiting:
                self._clock.sleep(self._soonest(0.0))
            else:
                return

    def _launch(self, pool: ThreadPoolExecutor, jobs: _Queue) -> None:
        """Start what may start now."""
        while (pause := self._flow.until_launch(self._in_flight())) is not None:
            if self._waiting and self._waiting[0][0] <= self._clock.monotonic():
                job: _Job | None = heapq.heappop(self._waiting)[2]
            else:
                job = jobs.take()
            if job is None:
                return
            self._clock.sleep(pause)
            self._start(pool, job)

    def _in_flight(self) -> int:
        """Return how many requests count as in flight: a reply that has come whole leaves its place to another.

        A quarter as many units as there are places, at least one, may be on their way to the disk meanwhile; after a
        large reply none.
        """
        holding = sum(job.holds_place(self._large) for job in self._running.values())
        return max(holding, len(self._running) - self._settling)

    def _soonest(self, otherwise: float) -> float:
        """Return the seconds until something waits for us."""
        probe = self._flow.until_probe()
        if probe is not None:  # until then nothing starts
            return probe
        if not self._waiting or self._flow.until_launch(self._in_flight()) is None:  # only an end makes room
            return otherwise
        return max(0.0, self._waiting[0][0] - self._clock.monotonic())

    def _take(self, future: Future[Outcome]) -> None:
        """Settle an attempt that has ended."""
        job = self._running[future]
        pause = self._settle(job, future)
        del self._running[future]  # not before: what stops the run here leaves the unit to `_halt`
        if pause is not None:
            heapq.heappush(self._waiting, (self._clock.monotonic() + pause, next(self._numbers), job))

    def _start(self, pool: ThreadPoolExecutor, job: _Job) -> None:
        from spxdata.pipeline.attempt import attempt

        plan = self._plans[job.unit.day]
        refused = plan.refused
        if refused:  # the subscription lacks the dataset: the rest of the day would only hear the same
            self._record(replace(refused, unit=job.unit, attempts=0))
            return
        if not self._narrowed:  # which Terminal it is is known only once there is something to ask
            self._flow.narrowed(self._widths(self._flow.endured(lambda: self._edges.terminal.dialect)))
            self._narrowed = True
        job.tries, job.listed = job.tries + 1, plan.listed
        job.replied, job.in_flight = Future(), True
        self._flow.launched()
        self._catalog.begin(job.unit, self._clock.now())
        self._emit(AttemptStarted(job.unit, job.tries))
        future = pool.submit(
            attempt,
            job.unit,
            job.listed,
            self._edges,
            accept_holes=job.accept_holes,
            accept_unlisted=self._planner.is_relisted(job.unit.day),
            replacing=lambda: self._catalog.withdraw(job.unit),
            replied=job.replied.set_result,
        )
        self._running[future] = job

    def _settle(self, job: _Job, future: Future[Outcome]) -> float | None:
        """Record how an attempt ended, or return the seconds after which it is tried again."""
        unit = job.unit
        try:
            outcome = future.result()
        except _ANSWERS as error:
            if isinstance(error, NoData) and (pause := self._doubted(job, error)) is not None:
                return pause
            self._flow.succeeded()
            state, code = _MEANS[type(error)]
            outcome = Outcome(unit, state, reason=error.message, code=code)
        except UNUSABLE as error:  # it costs the unit none of its tries
            self._emit(AttemptFailed(unit, job.tries, error.code, error.message, 0.0))
            self._flow.failed(error)
            return 0.0
        except STOPS_THE_RUN:
            raise
        except SpxDataError as error:
            self._flow.failed(error)
            pause = self._again(job, error)
            if pause is not None:
                return pause
            self._tally.errors.append(type(error))
            outcome = Outcome(unit, State.FAILED, reason=error.message, code=error.code)
        else:
            self._flow.succeeded()
            if self._is_outdated(job):
                job.accept_holes = False
                return 0.0
            self._measured(job, outcome)
        self._conclude(job, outcome)
        return None

    def _measured(self, job: _Job, outcome: Outcome) -> None:
        """Note what a unit took."""
        ((_, contracts),) = _sized((job.unit,), job.listed)
        measure = Measure.of(outcome, contracts, job.replied.result(), self._clock.monotonic())
        if measure and outcome.artifact:
            self._measures.note(Kind.of(outcome.artifact.provenance.dialect, job.unit.day), measure)

    def _conclude(self, job: _Job, outcome: Outcome) -> None:
        """Record how the tries at a unit ended, with their number and the day to ask again."""
        found = replace(outcome, attempts=job.tries)
        self._record(dated(found, self._planner.today(), listed=job.listed is not None))

    def _is_outdated(self, job: _Job) -> bool:
        """Tell whether a try went by a contract list that has proved short of the unit's contracts meanwhile."""
        was, now = job.listed, self._plans[job.unit.day].listed
        if was is None or now is None or was is now:
            return False
        return was.of(job.unit.expiration) != now.of(job.unit.expiration)

    def _doubted(self, job: _Job, error: NoData) -> float | None:
        """Return the seconds after which a unit that should have rows and has none is asked for again: once."""
        believed = job.listed is None and DATASETS[job.unit.dataset].contract_list is not None
        if believed or job.declined:
            return None
        job.declined = True
        self._emit(AttemptFailed(job.unit, job.tries, error.code, error.message, self._patience.first_wait))
        return self._patience.first_wait

    def _again(self, job: _Job, error: SpxDataError) -> float | None:
        """Return the seconds after which a unit is tried again, None to give up."""
        pause: float | None
        if isinstance(error, ShortReply):  # never twice: the next try accepts what is there
            job.accept_holes = True
            pause = self._patience.first_wait
        elif isinstance(error, ShortList):  # nor this: the next try goes by a list that was asked for again
            pause = 0.0 if self._relisted(job) else None
        else:
            job.failures[error.retries] += 1
            pause = self._patience.wait(error, job.failures[error.retries], self._chance())
        self._emit(AttemptFailed(job.unit, job.tries, error.code, error.message, pause))
        return pause

    def _relisted(self, job: _Job) -> bool:
        """Ask for the contract list that a unit has proved short once more; tell whether it came.

        What it lacked concerns every day that goes by it: units are fetched that were left out, or measured against
        too little. Days that this run has not planned lose their verdict until they are compared.
        """
        plan = self._plans[job.unit.day]
        try:
            longer = self._planner.relist(plan)
        except STOPS_THE_RUN:
            raise
        except SpxDataError as error:
            self._emit(AttemptFailed(job.unit, job.tries, error.code, error.message, None))
            return False
        if longer and plan.listed and longer.contracts != plan.listed.contracts:
            key, now = list_key(plan.day), self._clock.now()
            by_it = [status.day for status in self._catalog.days(key[1], key[1]) if list_key(status.day) == key]
            for day in by_it:
                other = self._plans.get(day)
                units = self._planner.grow(other, longer) if other else ()
                if other is None:
                    self._catalog.interrupt_day(day, None, now)
                elif units:
                    self._catalog.begin_day(day, other.scope, now)
                for outcome in self._catalog.outcomes(day):
                    # before the list is kept: a run that is killed here must not leave them compared with it
                    if outcome.state is State.STORED and outcome.verified and (outcome.unit in units or not other):
                        self._catalog.record(replace(outcome, verified=False), now)
                for unit in units:
                    heapq.heappush(self._waiting, (self._clock.monotonic(), next(self._numbers), _Job(unit)))
            self._catalog.keep_contracts(longer, str(key[-1]))
        return True

    def _record(self, outcome: Outcome) -> None:
        """Write an outcome to the catalog; end its day if it was the last one."""
        self._catalog.record(outcome, self._clock.now())
        if outcome.artifact:  # before the day ends: of one that has ended no later run would look for it
            for path in set(paths_of(outcome.unit)) - {outcome.artifact.path}:
                self._edges.storage.remove(path)  # a unit has one format
        self._emit(UnitRecorded(outcome))
        self._tally.add(outcome)
        plan = self._plans[outcome.unit.day]
        if outcome.state is State.REFUSED:
            plan.refused = outcome
        if outcome.state is State.FAILED:
            plan.failed = plan.failed or outcome
        plan.open.discard(outcome.unit)
        if not plan.open:
            self._end(plan)

    def _end(self, plan: DayPlan) -> None:
        """Give a day its verdict."""
        outcomes = [outcome for outcome in self._catalog.outcomes(plan.day) if outcome.unit in set(plan.judged)]
        listed = all(outcome.verified for outcome in outcomes) if outcomes else plan.listed is not None
        found = verdict(outcomes, len(plan.judged), listed=listed)
        states = [State.FAILED] if any(outcome.artifact for outcome in outcomes) else [State.FAILED, State.REFUSED]
        failed = plan.failed or next((outcome for outcome in outcomes if outcome.state in states), None)
        self._catalog.end_day(plan.day, found, failed.reason if failed else None, self._clock.now())
        self._measures.keep()
        plan.let_go()
        status = self._planner.status(plan.day)
        if status:
            self._emit(DayFinished(status))

    def _halt(self, error: BaseException) -> None:
        """Stop what is running, and record what was committed all the same."""
        self._edges.terminal.abort()
        wait(self._running)
        if isinstance(error, ArchiveBusy):  # the archive is another's now, and so is its catalog
            return
        unfinished = [job for _, _, job in self._waiting]
        for future, job in self._running.items():
            if future.exception() is None and not self._is_outdated(job):
                self._conclude(job, future.result())
            else:
                unfinished.append(job)
        for job in unfinished:
            self._catalog.record(Outcome(job.unit, State.PENDING, attempts=job.tries), self._clock.now())
        self._running.clear()
        words = error.message if isinstance(error, SpxDataError) else None
        for plan in self._plans.values():
            if plan.open:
                self._catalog.interrupt_day(plan.day, words, self._clock.now())
        self._measures.keep()

    def _finish(self, started: float, error: BaseException | None = None) -> Summary:
        """Tell how the run went; of one that cannot go on, the catalog may not even be readable."""
        known = (self._planner.status(day) for day in (() if error else sorted(self._plans)))
        statuses = tuple(status for status in known if status)
        # of units that are asked for by name, only how these ended counts
        partial = self._request.units is None and any(status.verdict is Verdict.PARTIAL for status in statuses)
        finished = self._tally.finished(self._plans, self._clock.monotonic() - started, error, partial=partial)
        self._emit(finished)
        return Summary(finished, statuses)

    def _beat(self) -> None:
        if self._clock.monotonic() >= self._next_beat:
            self._catalog.beat(self._clock.now())
            self._next_beat = self._clock.monotonic() + _BEAT

    def _emit(self, event: Event) -> None:
        """Pass an event on, one at a time: attempts speak from their own threads."""
        with self._lock:
            if isinstance(event, Received):
                self._tally.received += event.bytes
            self._subscriber(event)


def _sized(units: Iterable[Unit], listed: ContractList | None) -> tuple[tuple[Unit, int | None], ...]:
    """Return units with how many contracts of each are listed, None without a list."""
    if listed is None:
        return tuple((unit, None) for unit in units)
    sizes = Counter(contract.expiration for contract in listed.contracts)
    return tuple((unit, sizes[unit.expiration] if unit.expiration else sizes.total()) for unit in units)
