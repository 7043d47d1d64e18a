"""Whether and when a failed attempt is repeated: arithmetic, without clock or dice of its own."""

from dataclasses import dataclass

from spxdata.errors import SpxDataError, TransientError


@dataclass(frozen=True, slots=True)
class Patience:
    """How often an attempt is repeated, and how long to wait before each.

    Attributes:
        retries: Tries after the first one, for errors whose class sets no number of its own.
        first_wait: Seconds before the second try; doubled for each further one.
        jitter: Largest share of a wait that chance adds.
        longest_asked: Most seconds the Terminal may ask us to wait; more is taken for a mistake.
    """

    retries: int = 3
    first_wait: float = 1.0
    jitter: float = 0.25
    longest_asked: float = 300.0

    def wait(self, error: SpxDataError, attempt: int, chance: float) -> float | None:
        """Return the seconds to wait before the next try, None to give up.

        Args:
            error: What the attempt failed with.
            attempt: Number of the attempt that failed, counted from 1.
            chance: A random number in [0, 1).

        Example:
            >>> from spxdata.errors import RateLimited
            >>> [Patience().wait(RateLimited("busy"), n, 0.0) for n in (1, 2, 3, 4)]
            [1.0, 2.0, 4.0, None]
        """
        allowed = self.retries if error.retries is None else min(error.retries, self.retries)
        if attempt > allowed:
            return None
        pause = self.first_wait * 2.0 ** (attempt - 1) * (1 + self.jitter * chance)
        asked = error.retry_after if isinstance(error, TransientError) else None
        return max(pause, min(asked or 0.0, self.longest_asked))
