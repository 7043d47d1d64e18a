"""Rules that leave rows out of replies, but never out of the lists: replies that are clean and short."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from spxdata.emulator.datasets import NAMES
from spxdata.emulator.rows import Placed
from spxdata.errors import ConfigError

KEYS = ("dataset", "root", "date", "expiration", "strike", "right", "from", "to", "after")
_Rows = TypeVar("_Rows", bound=Placed)
_RIGHTS = {"C": "C", "P": "P", "CALL": "C", "PUT": "P"}


@dataclass(frozen=True, slots=True)
class DropRule:
    """One rule: a row that matches all that is given is left out.

    Attributes:
        dataset: One of `datasets.NAMES`.
        root: Option root, or symbol of an index or a rate.
        day: Trade date.
        expiration: Expiration date.
        strike: In thousandths of a dollar.
        right: `C` or `P`.
        first: First minute left out, since midnight.
        last: Last minute left out.
        after: How many rows of the reply are spared.
    """

    dataset: str | None = None
    root: str | None = None
    day: date | None = None
    expiration: date | None = None
    strike: int | None = None
    right: str | None = None
    first: int | None = None
    last: int | None = None
    after: int | None = None

    def concerns(self, dataset: str, root: str, day: date, expiration: date | None) -> bool:
        """Tell whether a reply's rows of one expiration can match."""
        asked = ((self.dataset, dataset), (self.root, root), (self.day, day), (self.expiration, expiration))
        return all(wanted is None or wanted == given for wanted, given in asked)

    def matches(self, rows: Placed, offset: int) -> npt.NDArray[np.bool_]:
        """Mark the rows to leave out; `offset` is how many rows of the reply came before them."""
        marked = self._contracts(rows)
        if self.first is not None:
            marked &= rows.minute >= self.first
        if self.last is not None:
            marked &= rows.minute <= self.last
        if self.after is not None:
            marked &= np.arange(offset, offset + len(rows)) >= self.after
        return np.asarray(marked, dtype=np.bool_)

    def _contracts(self, rows: Placed) -> npt.NDArray[np.bool_]:
        """Mark the rows of contracts that fit; what belongs to no contract fits if none is named."""
        if not rows.contracts:
            return np.full(len(rows), self.strike is None and self.right is None)
        fits = [
            self.strike in (None, contract.strike) and self.right in (None, contract.right)
            for contract in rows.contracts
        ]
        return np.array(fits, dtype=np.bool_)[rows.which]


class Sieve:
    """The rules as they concern one reply: they count its rows.

    Args:
        rules: All rules there are.
        dataset: What is asked for.
        root: Of what.
    """

    def __init__(self, rules: Sequence[DropRule], dataset: str, root: str) -> None:
        self._rules = rules
        self._dataset = dataset
        self._root = root
        #: Rows of the reply so far, dropped or not.
        self.seen = 0

    def kept(self, rows: _Rows, day: date, expiration: date | None) -> _Rows:
        """Give the rows that no rule leaves out; rows must come in the order of the reply."""
        concerned = [rule for rule in self._rules if rule.concerns(self._dataset, self._root, day, expiration)]
        offset, self.seen = self.seen, self.seen + len(rows)
        return kept(rows, concerned, offset) if concerned else rows


def kept(rows: _Rows, rules: Sequence[DropRule], offset: int) -> _Rows:
    """Give the rows that no rule leaves out."""
    keep = np.ones(len(rows), dtype=np.bool_)
    for rule in rules:
        keep &= ~rule.matches(rows, offset)
    return rows.pick(keep)


def parse_rule(text: str) -> DropRule:
    """Read a rule such as `date=2024-01-16,strike=4750,right=C,from=12:00,to=12:59`.

    Raises:
        ConfigError: A key is unknown or given twice, or a value cannot be read.
    """
    given: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or key not in KEYS:
            raise _bad(text, f"{part.strip()!r} is not one of {', '.join(f'{name}=…' for name in KEYS)}")
        if key in given:
            raise _bad(text, f"{key} is given twice")
        given[key] = value
    return DropRule(
        dataset=_choice(text, given, "dataset", {name: name for name in NAMES}),
        root=given["root"].upper() if "root" in given else None,
        day=_day(text, given, "date"),
        expiration=_day(text, given, "expiration"),
        strike=_strike(text, given),
        right=_choice(
            text, {**given, "right": given.get("right", "").upper()} if "right" in given else given, "right", _RIGHTS
        ),
        first=_minute(text, given, "from"),
        last=_minute(text, given, "to"),
        after=_count(text, given),
    )


def _bad(text: str, reason: str) -> ConfigError:
    return ConfigError(
        f"emulator drop rule {text!r}: {reason}",
        hint="A rule is key=value pairs with commas between them, such as "
        "date=2024-01-16,expiration=2024-01-19,strike=4750,right=C or from=10:00,to=10:59.",
    )


def _choice(text: str, given: dict[str, str], key: str, allowed: dict[str, str]) -> str | None:
    if key not in given:
        return None
    if given[key] not in allowed:
        raise _bad(text, f"{key}={given[key]} must be one of {', '.join(allowed)}")
    return allowed[given[key]]


def _day(text: str, given: dict[str, str], key: str) -> date | None:
    if key not in given:
        return None
    try:
        return date.fromisoformat(given[key])
    except ValueError:
        raise _bad(text, f"{key}={given[key]} must be a date such as 2024-01-16 or 20240116") from None


def _strike(text: str, given: dict[str, str]) -> int | None:
    if "strike" not in given:
        return None
    try:
        thousandths = Decimal(given["strike"]) * 1000
        if thousandths > 0 and thousandths == int(thousandths):
            return int(thousandths)
    except (InvalidOperation, OverflowError, ValueError):
        pass
    raise _bad(text, f"strike={given['strike']} must be dollars such as 4750 or 4752.5")


def _minute(text: str, given: dict[str, str], key: str) -> int | None:
    if key not in given:
        return None
    hour, colon, minute = given[key].partition(":")
    if colon and hour.isdecimal() and minute.isdecimal() and int(hour) < 24 and int(minute) < 60:
        return int(hour) * 60 + int(minute)
    raise _bad(text, f"{key}={given[key]} must be a time such as 10:30")


def _count(text: str, given: dict[str, str]) -> int | None:
    if "after" not in given:
        return None
    if given["after"].isdecimal():
        return int(given["after"])
    raise _bad(text, f"after={given['after']} must be a number of rows such as 1000")
