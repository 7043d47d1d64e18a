"""Whether the Terminal is usable: opens on failures, closes by a status probe. Pure."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from spxdata.errors import Disconnected, ServerStarting, SpxDataError, TransientError, Unreachable

#: What says at once that no request would fare better; it costs a unit none of its tries.
UNUSABLE: Final = (Unreachable, ServerStarting, Disconnected)


class Mode(StrEnum):
    """Closed lets requests pass, open holds them back, half-open waits for a probe's answer."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class Breaker:
    """The state; every change gives a new one. Moments are monotonic seconds.

    Attributes:
        threshold: Transient failures in a row that open it.
        rest: Seconds from opening to the probe, after failures in a row.
        glance: Seconds between probes while the Terminal is known to be unusable.
        mode: See `Mode`.
        failures: Transient failures in a row.
        opened_at: When it opened, None while it is closed.
        probe_at: When the next probe is due, None while it is closed.
        reason: What opened it.
    """

    threshold: int = 5
    rest: float = 30.0
    glance: float = 5.0
    mode: Mode = Mode.CLOSED
    failures: int = 0
    opened_at: float | None = None
    probe_at: float | None = None
    reason: TransientError | None = None

    def failed(self, error: SpxDataError, now: float) -> "Breaker":
        """Return the state after an attempt failed; only transient failures count."""
        if not isinstance(error, TransientError):
            return self.succeeded()
        failures = self.failures + 1
        if isinstance(error, UNUSABLE):
            return self._opened(error, failures, now, self.glance)
        if failures >= self.threshold:
            return self._opened(error, failures, now, self.rest)
        return replace(self, failures=failures)

    def succeeded(self) -> "Breaker":
        """Return the state after an answer: what runs may still end well while it is open."""
        return replace(self, failures=0) if self.mode is Mode.CLOSED else self

    def probing(self) -> "Breaker":
        """Return the state while a probe is under way."""
        return replace(self, mode=Mode.HALF_OPEN)

    def probed(self, failure: TransientError | None, now: float) -> "Breaker":
        """Return the state after a probe: closed if the Terminal is connected, else open until the next one."""
        if failure is None:
            return Breaker(self.threshold, self.rest, self.glance)
        return replace(self, mode=Mode.OPEN, reason=failure, probe_at=now + self.glance)

    def _opened(self, error: TransientError, failures: int, now: float, rest: float) -> "Breaker":
        if self.mode is not Mode.CLOSED:
            return replace(self, failures=failures, reason=error)
        return replace(self, mode=Mode.OPEN, failures=failures, opened_at=now, probe_at=now + rest, reason=error)
