"""What a day consists of and what of it is due: asks the catalog, the disk and the Terminal's lists; writes nothing."""

import itertools
from collections.abc import Callable
from contextlib import suppress
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
from spxdata.layout import path_of
from spxdata.model import ContractList, Day, DayStatus, Outcome, Scope, State, Unit
from spxdata.pipeline.attempt import Edges, is_verified, stored
from spxdata.pipeline.read import adopt, confirmed
from spxdata.plan import Request, ask_again, expirations, is_day_wide, is_due, is_listed, is_published
from spxdata.protocols import Catalog
from spxdata.retry import Patience
from spxdata.schema import DATASETS
from spxdata.sessions import NEW_YORK
from spxdata.terminal.breaker import UNUSABLE

#: What no other unit would fare better with. A Terminal that is not usable is waited for before it is raised.
STOPS_THE_RUN: Final = (*UNUSABLE, OtherTerminal, StorageError, ConfigError)

_T = TypeVar("_T")


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
    superseded: bool = False
    fetched: ContractList | None = None
    refused: Outcome | None = None
    failed: Outcome | None = None

    @property
    def changes_nothing(self) -> bool:
        """Whether the archive already stands as this plan wants it."""
        return not (self.open or self.settled or self.adopted or self.lost)

    def due(self) -> tuple[Unit, ...]:
        """Return the units still to be fetched, nearest expiration first."""
        return tuple(unit for unit in self.units if unit in self.open)

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
        self._lists: dict[tuple[date, str], ContractList | SpxDataError] = {}
        self._known_expirations: tuple[date, ...] | None = None

    def plan(self, day: Day) -> DayPlan:
        """Find a day's units and which of them are due.

        Raises:
            Unreachable: No Terminal answers.
            OtherTerminal: Another Terminal uses the account.
        """
        whole = day.unit(None)
        if not is_published(day, self._edges.clock.now()):
            return self._settled(whole, State.NOT_PUBLISHED, "The vendor publishes it later.")
        known = self._catalog.outcome(whole)
        if (
            known
            and known.state is State.EMPTY
            and not is_due(known, self.today(), force=self._request.force, holes=self._request.holes)
        ):
            return self._whole(whole)
        try:
            listed, fetched = self._listed(day)
            roots_expirations = () if listed or is_day_wide(day) else self._expirations()
        except NoData as error:
            return self._settled(whole, State.EMPTY, error.message)
        except TooEarly as error:
            return self._settled(whole, State.NOT_PUBLISHED, error.message)
        except STOPS_THE_RUN:
            raise
        except (TransientError, DataError, RefusedError) as error:
            return self._settled(whole, State.FAILED, error.message, error)
        scope = self._scope(day)
        units, judged = (
            (whole,)
            if is_day_wide(day)
            else tuple(day.unit(expiration) for expiration in expirations(day, asked, listed, roots_expirations))
            for asked in (self._request.scope, scope)
        )
        superseded = known is not None and whole not in units
        plan = DayPlan(day, units, listed, scope, judged, fetched=fetched, superseded=superseded)
        plan.open = {unit for unit in units if self._is_due(unit, plan)}
        return plan

    def status(self, day: Day) -> DayStatus | None:
        """Return a day's line in the catalog, None if it is not known."""
        days = self._catalog.days(day.trade_date, day.trade_date)
        return next((status for status in days if status.day == day), None)

    def today(self) -> date:
        """Return the current day in New York."""
        return self._edges.clock.now().astimezone(NEW_YORK).date()

    def _scope(self, day: Day) -> Scope:
        known = self.status(day)
        asked = self._request.scope
        return known.scope if known and asked.within(known.scope, day.trade_date) else asked

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
        known = self._catalog.outcome(unit)
        if known and known.artifact and not confirmed(self._edges.storage, known.artifact):
            plan.lost.append(unit)
            known = None
        if known is None or known.artifact is None:
            found = self._found(unit, plan.listed)
            if found:
                plan.adopted.append(found)
            known = found or known
        return is_due(known, self.today(), force=self._request.force, holes=self._request.holes)

    def _found(self, unit: Unit, listed: ContractList | None) -> Outcome | None:
        """Return the outcome of a whole file that the catalog does not know."""
        if self._edges.storage.size(path_of(unit)) is None:
            return None
        found = adopt(self._edges.storage, unit, listed.of(unit.expiration) if listed else None)
        if found is None:
            return None
        outcome = stored(unit, *found, verified=is_verified(unit, listed))
        again = ask_again(State.STORED, unit.trade_date, self.today()) if outcome.partial else None
        return replace(outcome, attempts=0, ask_again=again)

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
        asked = (day.trade_date, kind)
        if asked not in self._lists:
            try:
                self._lists[asked] = self._contracts(day, kind)
            except (NoData, NotSubscribed) as error:
                self._lists[asked] = error
        answer = self._lists[asked]
        if isinstance(answer, NoData):
            raise answer
        return (answer, answer) if isinstance(answer, ContractList) else (None, None)

    def _contracts(self, day: Day, kind: str) -> ContractList:
        """Ask for a day's contract list; that there is none leaves out the whole day, so it must be said twice."""

        def ask() -> ContractList:
            return self._edges.terminal.contracts(day.root, day.trade_date, kind)

        with suppress(NoData):
            return self._asked(ask)
        self._edges.clock.sleep(self._patience.first_wait)
        return self._asked(ask)

    def _expirations(self) -> tuple[date, ...]:
        """Return all expirations of the root: what is left to plan by without a contract list."""
        if self._known_expirations is None:
            self._known_expirations = self._asked(lambda: self._edges.terminal.expirations(self._request.root))
        return self._known_expirations

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
