"""When the next request may start: gate and breaker at work, probing a Terminal that is not usable."""

from collections.abc import Callable
from typing import TypeVar

from spxdata.errors import RateLimited, SpxDataError, TransientError
from spxdata.events import Emit, GateChanged, TerminalUnusable, TerminalUsable
from spxdata.protocols import Clock
from spxdata.terminal.breaker import UNUSABLE, Breaker, Mode
from spxdata.terminal.gate import Gate
from spxdata.terminal.probe import failure

_T = TypeVar("_T")


class Flow:
    """Gate and breaker of one run; used by its main loop alone.

    Args:
        gate: How many requests may run at once.
        breaker: Whether the Terminal is usable.
        patience: Most seconds to wait for a Terminal that is not usable, each time.
        clock: Time.
        emit: Subscriber to events.
        status: Asks for the Terminal's status.
    """

    def __init__(
        self,
        gate: Gate,
        breaker: Breaker,
        patience: float,
        clock: Clock,
        emit: Emit,
        status: Callable[[], str],
    ) -> None:
        self._gate = gate
        self._breaker = breaker
        self._patience = patience
        self._clock = clock
        self._emit = emit
        self._status = status
        self._unusable_since: float | None = None  # and no request was answered since

    @property
    def is_open(self) -> bool:
        """Whether requests may be sent."""
        return self._breaker.mode is Mode.CLOSED

    def narrowed(self, width: int) -> None:
        """Let at most so many requests run at once."""
        if width < self._gate.widest:
            self._gate = Gate.of(width, self._gate.pacing, self._gate.recovery)

    def until_launch(self, running: int) -> float | None:
        """Return the seconds until the next launch, None while there may be none."""
        return self._gate.wait(running, self._clock.monotonic()) if self.is_open else None

    def until_probe(self) -> float | None:
        """Return the seconds until the Terminal's status is to be asked for, None while it is usable."""
        if self._breaker.probe_at is None:
            return None
        return max(0.0, self._breaker.probe_at - self._clock.monotonic())

    def launched(self) -> None:
        """Note that a request starts."""
        self._gate = self._gate.launched(self._clock.monotonic())

    def succeeded(self) -> None:
        """Note that a request was answered."""
        if self.is_open:
            self._unusable_since = None
        self._breaker = self._breaker.succeeded()
        self._turned(self._gate.succeeded(self._clock.monotonic()))

    def failed(self, error: SpxDataError) -> None:
        """Note that a request failed."""
        now = self._clock.monotonic()
        if isinstance(error, RateLimited):
            self._turned(self._gate.limited(now))
        was_open = self.is_open
        self._breaker = self._breaker.failed(error, now)
        if was_open and not self.is_open:
            if isinstance(error, UNUSABLE) and self._unusable_since is None:
                self._unusable_since = now
            self._tell()

    def probe(self) -> None:
        """Ask for the Terminal's status if that is due, and close the breaker if it is connected.

        Raises:
            TransientError: The Terminal was not usable for longer than patience allows.
            RefusedError: Another Terminal uses the account.
        """
        if self.until_probe() != 0.0:
            return
        self._breaker = self._breaker.probing()
        try:
            reason = failure(self._status())
        except TransientError as error:
            reason = error
        now, opened_at = self._clock.monotonic(), self._breaker.opened_at or 0.0
        self._breaker = self._breaker.probed(reason, now)
        if reason is None:
            self._emit(TerminalUsable(now - opened_at))
        else:
            self._tell()

    def until_usable(self) -> None:
        """Wait until requests may be sent; raises as `probe` does."""
        while (pause := self.until_probe()) is not None:
            self._clock.sleep(pause)
            self.probe()

    def endured(self, ask: Callable[[], _T]) -> _T:
        """Ask for something, waiting for the Terminal as long as it is not usable."""
        while True:
            try:
                answer = ask()
            except UNUSABLE as error:
                self.failed(error)
                self.until_usable()
            else:
                self._unusable_since = None
                return answer

    def _turned(self, gate: Gate) -> None:
        if gate.width != self._gate.width:
            self._emit(GateChanged(gate.width))
        self._gate = gate

    def _tell(self) -> None:
        """Say that the Terminal is not usable; or give up on it."""
        reason, now = self._breaker.reason, self._clock.monotonic()
        if reason is None or self._breaker.opened_at is None:
            return
        # A status of CONNECTED is no answer to a request: a Terminal that says so and refuses all the same is waited
        # for no longer than one that says nothing.
        waited = now - (self._breaker.opened_at if self._unusable_since is None else self._unusable_since)
        pause = self.until_probe() or 0.0
        if waited + pause > self._patience:
            raise reason
        self._emit(TerminalUnusable(reason.code, reason.message, waited, pause))
