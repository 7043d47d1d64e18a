"""What a day consists of and what of it is due: asks the catalog, the disk and the Terminal's lists; writes nothing."""

import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final, TypeVar

from spxdata.downloader.flow import Flow
from spxdata.errors import (
    ConfigError,
    DataError,
    NoData,
    NotSubscribed,
    OtherTerminal,
    RefusedError,
    SpxDataError,
    StorageError,
    TooEarly,
    TransientError,
)
from spxdata.events import ListsDiffer
from spxdata.layout import path_of, paths_of, stem_of
from spxdata.model import ContractList, Day, DayStatus, Outcome, Scope, State, Unit, Verdict
from spxdata.pipeline.edges import Edges
from spxdata.plan import Request, ask_again, dated, expirations, is_day_wide, is_due, is_listed, is_published
from spxdata.protocols import Catalog
from spxdata.retry import Patience
from spxdata.schema import DATASETS
from spxdata.sessions import NEW_YORK, session
from spxdata.terminal.breaker import UNUSABLE

#: What no other unit would fare better with. A Terminal that is not usable is waited for before it is raised.
STOPS_THE_RUN: Final = (*UNUSABLE, OtherTerminal, StorageError, ConfigError)

#: A scope of all expirations there are.
_EVER: Final = Scope(100 * 366)

#: Expirations that are named where one that was asked for is none.
_NAMED: Final = 3

_T = TypeVar("_T")

#: What tells one contract list from another: root, trade date, kind; the last is None for what goes by none.
ListKey = tuple[str, date, str | None]


def list_key(day: Day) -> ListKey:
    """Return which contract list a day goes by."""
    return day.root, day.trade_date, DATASETS[day.dataset].contract_list


@dataclass(slots=True)
class DayPlan:
    """A day's units, and what was found out about them.

    Attributes:
        day: The day.
        units: What was asked for; the day itself, without expiration, where a fact settles all of it.
        listed: The day's contract list, None without one.
        scope: What its verdict will speak of: what was asked for before, if that is more than now.
        judged: The units of that scope.
        open: Units still to be settled; the downloader takes them out one by one.
        settled: A fact that settles the whole day.
        error: What the fact is due to, of a failed day.
        adopted: Whole files that the catalog does not know.
        lost: Units whose recorded file is missing or different.
        leftover: Files beside recorded ones in another format: a run was killed between record and removal.
        superseded: Whether an earlier fact about the whole day no longer holds.
        fetched: A contract list that the catalog does not have yet.
        refused: The outcome that tells that the subscription lacks the dataset.
        failed: The first unit that failed in this run, even if an older file of it is still there.
    """

    day: Day
    units: tuple[Unit, ...]
    listed: ContractList | None
    scope: Scope
    judged: tuple[Unit, ...]
    open: set[Unit] = field(default_factory=set)
    settled: Outcome | None = None
    error: type[SpxDataError] | None = None
    adopted: list[Outcome] = field(default_factory=list)
    lost: list[Unit] = field(default_factory=list)
    leftover: list[str] = field(default_factory=list)
    superseded: bool = False
    fetched: ContractList | None = None
    refused: Outcome | None = None
    failed: Outcome | None = None

    @property
    def changes_nothing(self) -> bool:
        """Whether the archive already stands as this plan wants it."""
        return not (self.open or self.settled or self.adopted or self.lost or self.leftover)

    def due(self) -> tuple[Unit, ...]:
        """Return the units still to be fetched, nearest expiration first."""
        return tuple(unit for unit in self.units if unit in self.open) if self.open else ()

    def let_go(self) -> None:
        """Forget the contract list, of which there may be thousands in a run, each of some megabytes."""
        self.listed = self.fetched = None

    def skipped(self) -> int:
        """Return how many units are there already."""
        return len(self.units) - len(self.open)


class Planner:
    """Plans the days of one request.

    Args:
        request: What to have in the archive at the end.
        edges: Terminal, storage and clock.
        catalog: The archive's record.
        patience: How often to ask for a list again.
        chance: A source of random numbers in [0, 1), for jitter.
        flow: Waits for a Terminal that is not usable.
    """

    def __init__(
        self,
        request: Request,
        edges: Edges,
        catalog: Catalog,
        patience: Patience,
        chance: Callable[[], float],
        flow: Flow,
    ) -> None:
        self._request = request
        self._edges = edges
        self._catalog = catalog
        self._patience = patience
        self._chance = chance
        self._flow = flow
        self._lists: dict[ListKey, ContractList | SpxDataError] = {}
        self._planned: set[date] = set()
        self._relisted: set[ListKey] = set()
        self._known_expirations: dict[str, tuple[date, ...]] = {}

    def plan(self, day: Day, *, quick: bool = False) -> DayPlan:
        """Find a day's units and which of them are due.

        Args:
            day: The day.
            quick: Whether names and sizes will do of the files of a day that is complete; else footers are read.

        Raises:
            Unreachable: No Terminal answers.
            OtherTerminal: Another Terminal uses the account.
        """
        self._let_go(day.trade_date)
        whole = day.unit(None)
        if not is_published(day, self._edges.clock.now()):
            return self._settled(whole, State.NOT_PUBLISHED, "The vendor publishes it later.")
        known_whole = self._complete(day, quick=quick) or (self._whole(whole) if self._is_known_empty(day) else None)
        if known_whole:
            return known_whole
        known = self._catalog.outcome(whole)
        try:
            listed, fetched = self._listed(day)
            roots_expirations = () if listed or is_day_wide(day) else self._expirations(day.root)
        except NoData as error:
            return self._settled(whole, State.EMPTY, error.message)
        except TooEarly as error:
            return self._settled(whole, State.NOT_PUBLISHED, error.message)
        except STOPS_THE_RUN:
            raise
        except (TransientError, DataError, RefusedError) as error:
            return self._settled(whole, State.FAILED, error.message, error)
        scope = self._scope(day)
        units, judged = self._units(day, scope, listed, roots_expirations)
        superseded = known is not None and whole not in units
        plan = DayPlan(day, units, listed, scope, judged, fetched=fetched, superseded=superseded)
        plan.open = {unit for unit in units if self._is_due(unit, plan)}
        return plan

    def _let_go(self, trade_date: date) -> None:
        """Forget lists of other dates that were planned: a run may have thousands, and the catalog has them."""
        self._lists = {
            key: answer for key, answer in self._lists.items() if key[1] == trade_date or key[1] not in self._planned
        }
        self._planned.add(trade_date)

    def refuse_unlisted(self) -> None:
        """Refuse an expiration asked for that is none, before anything is recorded.

        What decides is the list of the last day on which it could trade: what is quoted once is quoted to its end.

        Raises:
            ConfigError: It is not on that list.
        """
        request = self._request
        days = [day for trade_date in request.open_dates() for day in request.days(trade_date)]
        days = [day for day in days if not is_day_wide(day) and DATASETS[day.dataset].contract_list == "quote"]
        if request.units is not None or not days:
            return
        for expiration in request.scope.expirations:
            trading = [day for day in days if session(day.root, day.trade_date, expiration)]
            self._refuse_unlisted(expiration, trading[-1] if trading else days[0])

    def _refuse_unlisted(self, expiration: date, day: Day) -> None:
        if not is_published(day, self._edges.clock.now()) or self._is_known_empty(day):
            return
        try:
            listed, _ = self._listed(day)
        except STOPS_THE_RUN:
            raise
        except (NoData, TooEarly, TransientError, DataError, RefusedError):
            return  # the list is not known: planning asks for it as well, and records what it hears
        known = expirations(day, _EVER, listed, ()) if listed else (expiration,)
        if expiration not in known:
            nearest = sorted(sorted(known, key=lambda other: abs(other - expiration))[:_NAMED])
            raise ConfigError(
                f"{day.root} has no expiration {expiration} on {day.trade_date}.",
                hint=f"Nearest to it are {', '.join(map(str, nearest))}." if nearest else "It has none at all.",
            )

    def relist(self, plan: DayPlan) -> ContractList | None:
        """Return a day's contract list with what it lacked; None if it was proved short before in this run.

        Raises:
            SpxDataError: It could not be had again.
        """
        key, listed = list_key(plan.day), plan.listed
        if key in self._relisted or listed is None:
            return None
        again = self._contracts(plan.day, str(key[-1]))
        self._relisted.add(key)
        return self._all_of((listed, again), str(key[-1]))

    def is_relisted(self, day: Day) -> bool:
        """Tell whether a day's contract list was asked for again, because it was proved short."""
        return list_key(day) in self._relisted

    def grow(self, plan: DayPlan, listed: ContractList) -> tuple[Unit, ...]:
        """Take a longer contract list into a plan; return units that are due by it, and were settled or left out."""
        root, trade_date, kind = list_key(plan.day)
        was = plan.listed
        if was is None and kind is not None:  # none was read of a day that is complete, or it was let go
            was = self._catalog.contracts(root, trade_date, kind)
        if was is None:  # no list decided what it consists of
            return ()
        plan.listed = listed
        plan.units, plan.judged = self._units(plan.day, plan.scope, listed, ())
        longer = tuple(
            unit
            for unit in plan.units
            if unit not in plan.open and listed.of(unit.expiration) != was.of(unit.expiration)
        )
        plan.open.update(longer)
        return longer

    def _units(
        self, day: Day, scope: Scope, listed: ContractList | None, roots_expirations: Iterable[date]
    ) -> tuple[tuple[Unit, ...], tuple[Unit, ...]]:
        """Return the units of a day that are asked for, and those that its verdict speaks of."""
        wanted = self._request.units
        units, judged = (
            (day.unit(None),)
            if is_day_wide(day)
            else tuple(day.unit(expiration) for expiration in expirations(day, asked, listed, roots_expirations))
            for asked in (self._request.scope if wanted is None else _EVER, scope)
        )
        return units if wanted is None else tuple(unit for unit in units if unit in wanted), judged

    def status(self, day: Day) -> DayStatus | None:
        """Return a day's line in the catalog, None if it is not known."""
        days = self._catalog.days(day.trade_date, day.trade_date)
        return next((status for status in days if status.day == day), None)

    def today(self) -> date:
        """Return the current day in New York."""
        return self._edges.clock.now().astimezone(NEW_YORK).date()

    def _complete(self, day: Day, *, quick: bool) -> DayPlan | None:
        """Return the plan of a day that is complete and whose files all lie there; None of any other.

        A verdict is taken back before anything of its day is changed: one that stands has nothing that is due, and no
        list is read for it. By names and sizes alone ten years of complete days take a second.
        """
        request, known = self._request, self.status(day)
        if known is None or known.verdict is not Verdict.COMPLETE or request.force or request.units is not None:
            return None
        if not (is_day_wide(day) or request.scope.within(known.scope, day.trade_date)):
            return None
        files = self._catalog.filed(day)
        if {file.path: file.bytes for file in files} != self._lying(day) or not (quick or self._confirmed(day)):
            return None

        def within(scope: Scope) -> tuple[Unit, ...]:
            expirations = (file.expiration for file in files)
            return tuple(day.unit(one) for one in expirations if one is None or scope.covers(day.trade_date, one))

        judged = within(known.scope)
        return DayPlan(
            day, judged if request.scope == known.scope else within(request.scope), None, known.scope, judged
        )

    def _confirmed(self, day: Day) -> bool:
        from spxdata.pipeline.read import confirmed

        files = (outcome.artifact for outcome in self._catalog.outcomes(day))
        return all(confirmed(self._edges.storage, file) for file in files if file)

    def _lying(self, day: Day) -> dict[str, int]:
        """Return the files that lie where a day's do, with their sizes."""
        trade_date, stem = day.trade_date, stem_of(path_of(day.unit(None)))
        return {
            path: size
            for path, size in self._edges.storage.sizes(f"{trade_date:%Y%m%d}").items()
            if stem_of(path) == stem
        }

    def _is_known_empty(self, day: Day) -> bool:
        """Tell whether all of a day has no data, and is not to be asked for again yet."""
        known = self._catalog.outcome(day.unit(None))
        return (
            known is not None
            and known.state is State.EMPTY
            and not is_due(known, self.today(), force=self._request.force, holes=self._request.holes)
        )

    def _scope(self, day: Day) -> Scope:
        known = self.status(day)
        asked = self._request.scope
        keeps = self._request.units is not None
        return known.scope if known and (keeps or asked.within(known.scope, day.trade_date)) else asked

    def _whole(self, whole: Unit) -> DayPlan:
        """Return the plan of a day that is one unit, and that one settled."""
        return DayPlan(whole.day, (whole,), None, self._scope(whole.day), (whole,))

    def _settled(self, whole: Unit, state: State, reason: str, error: SpxDataError | None = None) -> DayPlan:
        """Return a day that has no units to fetch, because of a fact about all of it."""
        again = ask_again(state, whole.trade_date, self.today())
        plan = self._whole(whole)
        plan.settled = Outcome(whole, state, reason=reason, code=error.code if error else None, ask_again=again)
        plan.error = type(error) if error else None
        return plan

    def _is_due(self, unit: Unit, plan: DayPlan) -> bool:
        """Tell whether a unit must be fetched; note files that are lost, and whole ones that nobody knows."""
        from spxdata.pipeline.read import confirmed

        known = self._catalog.outcome(unit)
        there = [path for path in paths_of(unit) if self._edges.storage.size(path) is not None]
        # of two files that nobody knows none tells which is newer: then neither is the unit's
        path = there[0] if len(there) == 1 else None
        if known and known.artifact:
            path = known.artifact.path
            if confirmed(self._edges.storage, known.artifact):
                plan.leftover += [other for other in there if other != path]
            else:
                plan.lost.append(unit)
                known = None
        # what has proved the list short would only do so again
        comparable = known is not None and not known.verified and not known.ask_again and plan.listed is not None
        if known is None or known.artifact is None or comparable:
            found = self._found(unit, plan.listed) if path == path_of(unit) else None
            if found and comparable and found.partial:
                return True  # it was stored when there was no list that could have said so
            if found and plan.listed and not found.verified:
                return True  # it proves the list short: when it is fetched, so is the list
            if found:
                plan.adopted.append(found)
            known = found or known
        return is_due(known, self.today(), force=self._request.force, holes=self._request.holes)

    def _found(self, unit: Unit, listed: ContractList | None) -> Outcome | None:
        """Return the outcome of a whole file that the catalog does not know."""
        from spxdata.pipeline.attempt import stored
        from spxdata.pipeline.read import adopt

        found = adopt(self._edges.storage, unit, listed.of(unit.expiration) if listed else None)
        if found is None:
            return None
        outcome = replace(stored(found, unit, listed), attempts=0)
        return dated(outcome, self.today(), listed=listed is not None)

    def _listed(self, day: Day) -> tuple[ContractList | None, ContractList | None]:
        """Return a day's contract list, None if the account may not have it; and again if it is a new one.

        It is complete when the day's last quotes are: reports that are published earlier do without.
        """
        kind = DATASETS[day.dataset].contract_list
        if kind is None or not is_listed(day.trade_date, self._edges.clock.now()):
            return None, None
        kept = self._catalog.contracts(day.root, day.trade_date, kind)
        if kept and is_listed(day.trade_date, kept.fetched_at):
            return kept, None
        key = list_key(day)
        if key not in self._lists:
            try:
                self._lists[key] = self._contracts(day, kind)
            except (NoData, NotSubscribed) as error:
                self._lists[key] = error
        answer = self._lists[key]
        if isinstance(answer, NoData):
            raise answer
        return (answer, answer) if isinstance(answer, ContractList) else (None, None)

    def _contracts(self, day: Day, kind: str) -> ContractList:
        """Ask for a day's contract list until it was said twice what it is, or that there is none.

        What it lacks is never asked for, and nothing in it says how long it is: what either answer has is expected.
        """

        def ask() -> ContractList:
            return self._edges.terminal.contracts(day.root, day.trade_date, kind)

        lists: list[ContractList] = []
        declined = 0
        while len(lists) < 2:
            try:
                lists.append(self._asked(ask))
            except NoData:
                declined += 1
                if declined == 2 and not lists:
                    raise
                if declined == 2:
                    break
                self._edges.clock.sleep(self._patience.first_wait)
        return self._all_of(lists, kind)

    def _all_of(self, lists: Sequence[ContractList], kind: str) -> ContractList:
        """Return all that some answers list; say so if they differ."""
        whole = functools.reduce(ContractList.joined, lists)
        if any(one.contracts != whole.contracts for one in lists):
            sizes = tuple(len(one.contracts) for one in lists)
            self._edges.emit(ListsDiffer(whole.root, whole.trade_date, kind, sizes, len(whole.contracts)))
        return whole

    def _expirations(self, root: str) -> tuple[date, ...]:
        """Return all expirations of a root: what is left to plan by without a contract list."""
        if root not in self._known_expirations:
            self._known_expirations[root] = self._asked(lambda: self._edges.terminal.expirations(root))
        return self._known_expirations[root]

    def _asked(self, ask: Callable[[], _T]) -> _T:
        """Ask for a list, again if need be."""
        for failures in itertools.count(1):
            try:
                return self._flow.endured(ask)
            except STOPS_THE_RUN:
                raise
            except (TransientError, DataError) as error:
                self._flow.failed(error)
                pause = self._patience.wait(error, failures, self._chance())
                if pause is None:
                    raise
                self._edges.clock.sleep(pause)
        raise AssertionError  # count() has no end
