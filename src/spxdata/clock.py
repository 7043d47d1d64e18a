"""The system's clock: the real one of the four edges; and the same with another beginning."""

import time
from datetime import UTC, datetime, timedelta

from spxdata.errors import ConfigError
from spxdata.sessions import NEW_YORK


class SystemClock:
    """Real time."""

    def now(self) -> datetime:
        """Return the current moment, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start, never going back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait so many seconds; less than nothing is no wait."""
        time.sleep(max(0.0, seconds))


class ShiftedClock(SystemClock):
    """Real time, but for its beginning.

    Args:
        start: The moment to take as now (aware).
    """

    def __init__(self, start: datetime) -> None:
        self._shift: timedelta = start - super().now()

    def now(self) -> datetime:
        """Return the moment to take as the current one, in UTC."""
        return super().now() + self._shift


def clock_from(text: str | None) -> SystemClock:
    """Return the system's clock, or one that starts at a moment.

    Args:
        text: What SPXDATA_NOW says: a moment, in New York time where it names no zone; nothing for the real one.

    Raises:
        ConfigError: It is no moment.
    """
    if not text:
        return SystemClock()
    try:
        start = datetime.fromisoformat(text)
        return ShiftedClock((start if start.tzinfo else start.replace(tzinfo=NEW_YORK)).astimezone(UTC))
    except (ValueError, OverflowError):  # the latter: the first or last day there is, in another zone
        raise ConfigError(
            f"SPXDATA_NOW: {text!r} (from environment) is not a moment.", hint="Write it as 2024-01-17T12:00-05:00."
        ) from None
