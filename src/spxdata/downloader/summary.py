"""How a run went: what happened in it, its figures, its exit code."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple

from spxdata.errors import RefusedError, SpxDataError, TransientError
from spxdata.events import RunFinished
from spxdata.model import Day, DayStatus, Outcome, State, Unit

_INTERRUPTED: Final = 130


class Summary(NamedTuple):
    """How a run ended: its figures, and every open day it was asked for."""

    finished: RunFinished
    days: tuple[DayStatus, ...]


class Ended(NamedTuple):
    """How a unit ended, as far as a run's figures tell: an outcome has kilobytes, and a run a hundred thousand.

    Attributes:
        unit: Which.
        state: How.
        partial: Whether the file that was stored lacks something that matters.
        bytes: Of that file.
        rows: In it.
        reason: Why there is none.
    """

    unit: Unit
    state: State
    partial: bool = False
    bytes: int = 0
    rows: int = 0
    reason: str | None = None

    @classmethod
    def of(cls, outcome: Outcome) -> "Ended":
        """Return what of an outcome is told."""
        file = outcome.artifact
        sizes = (file.bytes, file.rows) if file else (0, 0)
        return cls(outcome.unit, outcome.state, outcome.partial, *sizes, outcome.reason)


@dataclass(slots=True)
class Tally:
    """What happened in a run.

    Attributes:
        ended: How units ended, in order.
        errors: What units failed with, for good.
        received: Bytes received from the Terminal.
        vacant: Trade dates on which no expiration lies within the scope.
    """

    ended: list[Ended] = field(default_factory=list)
    errors: list[type[SpxDataError]] = field(default_factory=list)
    received: int = 0
    vacant: set[date] = field(default_factory=set)

    def add(self, outcome: Outcome) -> None:
        """Note how a unit ended."""
        self.ended.append(Ended.of(outcome))

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
        touched = {one.unit.trade_date for one in self.ended} | self.vacant
        failed = {one.unit.trade_date for one in self.ended if one.state is State.FAILED}
        latest = {one.unit: one for one in self.ended}  # a longer contract list asks for some again
        stored = [one for one in latest.values() if one.state is State.STORED]
        with_rows = {one.unit.trade_date for one in stored} - failed
        return RunFinished(
            downloaded=len(with_rows),
            failed=len(failed),
            skipped=len({day.trade_date for day in planned} - touched),
            bytes=sum(one.bytes for one in stored),
            rows=sum(one.rows for one in stored),
            received=self.received,
            seconds=seconds,
            exit_code=exit_code(self.ended, self.errors, stopped, partial=partial),
            without_rows=len(touched - with_rows - failed),
        )


def exit_code(
    ended: Iterable[Ended],
    errors: Iterable[type[SpxDataError]],
    stopped: BaseException | None,
    *,
    partial: bool = False,
) -> int:
    """Return a run's exit code.

    Args:
        ended: How units ended in it.
        errors: What units failed with, for good.
        stopped: What ended it early.
        partial: Whether any of its days lacks something, be it from earlier runs.
    """
    ended, failures = list(ended), list(errors)
    usable = any(one.state is not State.FAILED for one in ended)
    if isinstance(stopped, KeyboardInterrupt):
        return _INTERRUPTED
    if isinstance(stopped, SpxDataError) and not (isinstance(stopped, TransientError) and usable):
        return stopped.exit_code
    if failures and not usable:
        codes = {error.exit_code for error in failures}
        if len(codes) == 1:
            return codes.pop()
    if ended and all(one.state is State.REFUSED for one in ended):
        return RefusedError.exit_code
    if stopped or failures or partial or any(one.partial for one in ended):
        return 1
    return 0
