"""How a run went: what happened in it, its figures, its exit code."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple

from spxdata.errors import RefusedError, SpxDataError, TransientError
from spxdata.events import RunFinished
from spxdata.model import Day, DayStatus, Outcome, State

_INTERRUPTED: Final = 130


class Summary(NamedTuple):
    """How a run ended: its figures, and every open day it was asked for."""

    finished: RunFinished
    days: tuple[DayStatus, ...]


@dataclass(slots=True)
class Tally:
    """What happened in a run.

    Attributes:
        outcomes: What was recorded.
        errors: What units failed with, for good.
        received: Bytes received from the Terminal.
        vacant: Trade dates on which no expiration lies within the scope.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    errors: list[type[SpxDataError]] = field(default_factory=list)
    received: int = 0
    vacant: set[date] = field(default_factory=set)

    def finished(
        self, planned: Iterable[Day], seconds: float, stopped: BaseException | None, *, partial: bool
    ) -> RunFinished:
        """Return the run's figures.

        Args:
            planned: The days that were planned.
            seconds: How long the run took.
            stopped: What ended it early.
            partial: Whether any of these days lacks something.
        """
        touched = {outcome.unit.trade_date for outcome in self.outcomes} | self.vacant
        failed = {outcome.unit.trade_date for outcome in self.outcomes if outcome.state is State.FAILED}
        latest = {outcome.unit: outcome for outcome in self.outcomes}  # a longer contract list asks for some again
        stored = [outcome for outcome in latest.values() if outcome.state is State.STORED]
        with_rows = {outcome.unit.trade_date for outcome in stored} - failed
        return RunFinished(
            downloaded=len(with_rows),
            failed=len(failed),
            skipped=len({day.trade_date for day in planned} - touched),
            bytes=sum(outcome.artifact.bytes for outcome in stored if outcome.artifact),
            rows=sum(outcome.artifact.rows for outcome in stored if outcome.artifact),
            received=self.received,
            seconds=seconds,
            exit_code=exit_code(self.outcomes, self.errors, stopped, partial=partial),
            without_rows=len(touched - with_rows - failed),
        )


def exit_code(
    outcomes: Iterable[Outcome],
    errors: Iterable[type[SpxDataError]],
    stopped: BaseException | None,
    *,
    partial: bool = False,
) -> int:
    """Return a run's exit code.

    Args:
        outcomes: What was recorded in it.
        errors: What units failed with, for good.
        stopped: What ended it early.
        partial: Whether any of its days lacks something, be it from earlier runs.
    """
    outcomes, failures = list(outcomes), list(errors)
    usable = any(outcome.state is not State.FAILED for outcome in outcomes)
    if isinstance(stopped, KeyboardInterrupt):
        return _INTERRUPTED
    if isinstance(stopped, SpxDataError) and not (isinstance(stopped, TransientError) and usable):
        return stopped.exit_code
    if failures and not usable:
        codes = {error.exit_code for error in failures}
        if len(codes) == 1:
            return codes.pop()
    if outcomes and all(outcome.state is State.REFUSED for outcome in outcomes):
        return RefusedError.exit_code
    if stopped or failures or partial or any(outcome.partial for outcome in outcomes):
        return 1
    return 0
