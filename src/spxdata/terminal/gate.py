"""How many requests at once: launch pacing, step-down on 429, slow recovery. Pure."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Gate:
    """How many requests may run, and when the next may start; every change gives a new gate.

    Attributes:
        widest: As many as there may ever be at once.
        width: As many as there may be now.
        pacing: Least seconds between two launches.
        recovery: Seconds without a 429 after which one more is allowed again.
        launched_at: When the last request was launched (monotonic seconds).
        changed_at: When the width last changed, or a 429 last came (monotonic seconds).
    """

    widest: int
    width: int
    pacing: float = 0.1
    recovery: float = 60.0
    launched_at: float = float("-inf")
    changed_at: float = float("-inf")

    @classmethod
    def of(cls, widest: int, pacing: float = 0.1, recovery: float = 60.0) -> "Gate":
        """Return a gate that is open as wide as it may be."""
        return cls(widest, widest, pacing, recovery)

    def wait(self, running: int, now: float) -> float | None:
        """Return the seconds until the next launch, None while as many run as may."""
        if running >= self.width:
            return None
        return max(0.0, self.launched_at + self.pacing - now)

    def launched(self, now: float) -> "Gate":
        """Return the gate after a launch."""
        return replace(self, launched_at=now)

    def limited(self, now: float) -> "Gate":
        """Return the gate after a 429: one less at once, the first step of a burst counting for all of it."""
        if now - self.changed_at < self.pacing * self.widest:
            return replace(self, changed_at=now)
        return replace(self, width=max(1, self.width - 1), changed_at=now)

    def succeeded(self, now: float) -> "Gate":
        """Return the gate after a success: one more at once if the last 429 is long ago."""
        if self.width < self.widest and now - self.changed_at >= self.recovery:
            return replace(self, width=self.width + 1, changed_at=now)
        return self
