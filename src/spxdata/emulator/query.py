"""What a history request asks for, whichever dialect it came in."""

from dataclasses import dataclass
from datetime import date

from spxdata.emulator.rows import Contract


@dataclass(frozen=True, slots=True)
class Query:
    """What a history request asks for.

    Attributes:
        root: Option root, or the symbol of an index or an interest rate.
        expiration: None for every expiration.
        strike: In thousandths, or None for all.
        right: `C`, `P`, or None for both.
        day: Trade date.
        until: Last trade date; only interest rates have more than one.
        step: Milliseconds from row to row; 0 for every tick.
        first: First time, in milliseconds since midnight.
        last: Last time; belongs to the answer.
        max_dte: Farthest expiration in calendar days, or None.
        version: How greeks count the last day.
        rate_type: Which interest rate greeks use.
        exclusive: Whether the quote beside a trade must be older than the trade, not as old.
    """

    root: str
    expiration: date | None
    strike: int | None
    right: str | None
    day: date
    until: date
    step: int
    first: int
    last: int
    max_dte: int | None
    version: str
    rate_type: str
    exclusive: bool

    def asks(self, contract: Contract) -> bool:
        """Tell whether a contract is among those asked for."""
        return self.strike in (None, contract.strike) and self.right in (None, contract.right)
