"""What a caller wants to read: his words become days, moments, ranges and an expression to filter rows by."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Final, Generic, TypeVar

import polars as pl

from spxdata.errors import ConfigError
from spxdata.flags import Flag
from spxdata.model import Right, Unit, parse_day
from spxdata.schema import DATASETS, Dataset, dataset
from spxdata.sessions import NEW_YORK

#: Rows that are left out unless a caller wants them: they are there because the vendor sent them, and say nothing.
UNCLEAN: Final = Flag.SENTINEL | Flag.REPEATED | Flag.SUPERSEDED | Flag.OUT_OF_SESSION

#: The column of the underlying's price in datasets that have one.
UNDERLYING: Final = "underlying_price"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Chosen(Generic[_T]):
    """Values that are wanted: those between two, or those of a list.

    Attributes:
        low: The least; None for no limit.
        high: The greatest; None for no limit.
        among: The only ones; None for all between the limits.
    """

    low: _T | None = None
    high: _T | None = None
    among: frozenset[_T] | None = None

    def __contains__(self, value: Any) -> bool:  # noqa: ANN401 - of the values' own type
        """Tell whether a value is wanted."""
        if self.among is not None:
            return value in self.among
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def meets(self, low: _T, high: _T) -> bool:
        """Tell whether values between two, both included, may be wanted; where one cannot be compared, they may."""
        if self.among is not None:
            return any(not (one < low or one > high) for one in self.among)  # type: ignore[operator]  # of one type
        below = self.low is not None and high < self.low  # type: ignore[operator]  # of one type
        above = self.high is not None and low > self.high  # type: ignore[operator]  # of one type
        return not (below or above)

    def of(self, column: pl.Expr) -> pl.Expr:
        """Return the expression of rows whose column is wanted."""
        if self.among is not None:
            return column.is_in(list(self.among))
        found = pl.lit(value=True)
        if self.low is not None:
            found &= column >= pl.lit(self.low)
        if self.high is not None:
            found &= column <= pl.lit(self.high)
        return found


def chosen(name: str, choice: Any, read: Callable[[str, Any], _T]) -> Chosen[_T] | None:  # noqa: ANN401 - as in `chosen`
    """Read a choice; None stands for all.

    Args:
        name: What it is called, for messages.
        choice: A value; a tuple of two, the ends of a range; or a list of values.
        read: From name and value to the value in its own type.

    Raises:
        ConfigError: It is none of these, or the range is backwards.
    """
    if choice is None:
        return None
    if isinstance(choice, tuple):
        if len(choice) != 2:
            raise ConfigError(
                f"{name}: a range has two ends, not {len(choice)}.", hint="Give (low, high), or a list of values."
            )
        low, high = (None if end is None else read(name, end) for end in choice)
        if low is not None and high is not None and low > high:  # type: ignore[operator]  # of one type
            raise ConfigError(f"{name}: {choice[0]} comes after {choice[1]}.", hint="Give the lower end first.")
        return Chosen(low, high)
    if isinstance(choice, Iterable) and not isinstance(choice, str):
        return Chosen(among=frozenset(read(name, one) for one in choice))
    return Chosen(among=frozenset({read(name, choice)}))


def as_day(name: str, value: date | str) -> date:
    """Read a day.

    Raises:
        ConfigError: It is none.
    """
    if isinstance(value, str):
        return parse_day(value, name, "call")
    if isinstance(value, datetime):
        raise ConfigError(f"{name}: {value} is a moment, not a day.", hint="Give its date.")
    return value


def as_time(name: str, value: time | str) -> time:
    """Read a time of the day, New York, as 10:00 or 09:31:30.

    Raises:
        ConfigError: It is none.
    """
    try:
        read = value if isinstance(value, time) else time.fromisoformat(value)
    except ValueError:
        raise ConfigError(f"{name}: {value!r} is not a time of the day.", hint="Write it as 10:00.") from None
    if read.tzinfo is not None:
        raise ConfigError(f"{name}: {value} has an offset.", hint="Times are New York's: write it as 10:00.")
    return read


def as_number(name: str, value: float) -> float:
    """Read a number.

    Raises:
        ConfigError: It is none.
    """
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ConfigError(f"{name}: {value!r} is not a number.", hint="Give a number, or (low, high).") from None


def as_right(name: str, value: Right | str) -> Right:
    """Read a right: CALL or PUT, C or P, in either case.

    Raises:
        ConfigError: It is none.
    """
    word = str(value).upper()
    found = {"C": Right.CALL, "P": Right.PUT}.get(word) or next((right for right in Right if right == word), None)
    if found is None:
        raise ConfigError(f"{name}: {value!r} is neither CALL nor PUT.", hint="Write CALL or PUT.")
    return found


def as_moment(name: str, value: datetime | str) -> datetime:
    """Read a moment; one without an offset is New York's wall clock, as 2024-01-16 10:30.

    Raises:
        ConfigError: It is none.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ConfigError(
                f"{name}: {value!r} is not a moment.", hint="Write it as 2024-01-16 10:30, New York time."
            ) from None
    return value.replace(tzinfo=NEW_YORK) if value.tzinfo is None else value.astimezone(NEW_YORK)


def left_out(flags: str | Flag | Iterable[str]) -> Flag:
    """Return the flags whose rows are left out.

    Args:
        flags: "clean" for the usual ones, "all" for all rows, or the flags (or names of flags) to leave out.

    Raises:
        ConfigError: A flag has another name.
    """
    if isinstance(flags, Flag):
        return flags
    if isinstance(flags, str) and flags in {"clean", "all"}:
        return UNCLEAN if flags == "clean" else Flag(0)
    found = Flag(0)
    for name in [flags] if isinstance(flags, str) else flags:
        bit = Flag.__members__.get(str(name).upper())
        if bit is None:
            known = ", ".join(str(flag.name).lower() for flag in Flag)
            raise ConfigError(f"flags: {name!r} is no flag.", hint=f'Say "clean", "all", or some of: {known}.')
        found |= bit
    return found


@dataclass(frozen=True, slots=True)
class Wanted:
    """Rows of a dataset that are wanted.

    Attributes:
        dataset: Which kind of data.
        interval: At which interval.
        root: The symbol; None for all.
        start: First trade date; None for the first there is.
        end: Last trade date, included; None for the last there is.
        expiration: Expirations.
        dte: Calendar days to expiration.
        right: CALL or PUT.
        strike: Strikes, in dollars.
        delta: Deltas.
        moneyness: Strike divided by the underlying's price.
        times: Times of the day, New York.
        without: Flags whose rows are left out.
        complete_only: Whether to leave out days that are not complete.
    """

    dataset: Dataset
    interval: str
    root: str | None = None
    start: date | None = None
    end: date | None = None
    expiration: Chosen[date] | None = None
    dte: Chosen[float] | None = None
    right: Chosen[Right] | None = None
    strike: Chosen[float] | None = None
    delta: Chosen[float] | None = None
    moneyness: Chosen[float] | None = None
    times: Chosen[time] | None = None
    without: Flag = UNCLEAN
    complete_only: bool = False

    def has(self, trade_date: date, expiration: date | None) -> bool:
        """Tell whether a unit may hold any of it."""
        if expiration is None:
            return True
        return (self.expiration is None or expiration in self.expiration) and (
            self.dte is None or (expiration - trade_date).days in self.dte
        )

    def speaks_of(self, unit: Unit) -> bool:
        """Tell whether a unit is of the dataset, root and days that are wanted, and may hold any of it."""
        return (
            (unit.dataset, unit.interval) == (self.dataset.name, self.interval)
            and self.root in {None, unit.root}
            and (self.start is None or unit.trade_date >= self.start)
            and (self.end is None or unit.trade_date <= self.end)
            and self.has(unit.trade_date, unit.expiration)
        )

    def reaches(self, unit: Unit, strikes: tuple[float, float] | None, times: tuple[time, time] | None) -> bool:
        """Tell whether a unit's file may hold any of it; where nobody noted between what its rows lie, it may."""
        if not self.has(unit.trade_date, unit.expiration):
            return False
        by_strike = self.strike is None or strikes is None or self.strike.meets(*strikes)
        by_time = self.times is None or times is None or self.times.meets(*times)
        return by_strike and by_time

    def rows(self) -> pl.Expr:
        """Return the expression of the rows that are wanted, of files that may hold some."""
        days = (pl.col("expiration") - pl.col("trade_date")).dt.total_days().cast(pl.Float64)  # as choices are
        parts: list[tuple[Chosen[Any] | None, pl.Expr]] = [
            (self.expiration, pl.col("expiration")),
            (self.dte, days),
            (self.right, pl.col("right").cast(pl.String)),
            (self.strike, pl.col("strike")),
            (self.delta, pl.col("delta")),
            (self.moneyness, pl.col("strike") / pl.col(UNDERLYING)),
            (self.times, pl.col(self.dataset.time[0]).dt.time()),
        ]
        found = pl.lit(value=True)
        for choice, column in parts:
            if choice is not None:
                found &= choice.of(column)
        if self.without:
            found &= (pl.col("flags") & int(self.without)) == 0
        return found


def wanted(
    name: str,
    *,
    interval: str | None = None,
    root: str | None = None,
    start: date | str | None = None,
    end: date | str | None = None,
    expiration: Any = None,  # noqa: ANN401 - as in `chosen`
    dte: Any = None,  # noqa: ANN401 - as in `chosen`
    right: str | None = None,
    strike: Any = None,  # noqa: ANN401 - as in `chosen`
    delta: Any = None,  # noqa: ANN401 - as in `chosen`
    moneyness: Any = None,  # noqa: ANN401 - as in `chosen`
    times: Any = None,  # noqa: ANN401 - as in `chosen`
    flags: str | Flag | Iterable[str] = "clean",
    complete_only: bool = False,
) -> Wanted:
    """Read what a caller wants of a dataset; see `spxdata.analysis.archive.Archive.scan`.

    Raises:
        ConfigError: Something of it is wrong, or the dataset has no column that tells it.
    """
    kind = dataset(name, "dataset", "call")
    if interval is not None and interval not in kind.intervals:
        raise ConfigError(
            f"{name} cannot be had at the interval {interval}.", hint=f"Allowed: {', '.join(kind.intervals)}."
        )
    first = None if start is None else as_day("start", start)
    last = None if end is None else as_day("end", end)
    if first and last and first > last:
        raise ConfigError(f"The range goes backwards: {first} to {last}.", hint="Exchange start and end.")
    found = Wanted(
        kind,
        interval or kind.interval,
        None if root is None else kind.root(root.upper()),
        first,
        last,
        chosen("expiration", expiration, as_day),
        chosen("dte", dte, as_number),
        chosen("right", right, as_right),
        chosen("strike", strike, as_number),
        chosen("delta", delta, as_number),
        chosen("moneyness", moneyness, as_number),
        chosen("times", times, as_time),
        left_out(flags),
        complete_only,
    )
    _require_columns(found)
    return found


def _require_columns(found: Wanted) -> None:
    """Refuse to filter by what a dataset does not have.

    Raises:
        ConfigError: It has not.
    """
    names = found.dataset.names
    needs = {
        "expiration": ("expiration",),
        "dte": ("expiration",),
        "right": ("right",),
        "strike": ("strike",),
        "delta": ("delta",),
        "moneyness": ("strike", UNDERLYING),
    }
    for asked, columns in needs.items():
        lacking = [name for name in columns if name not in names]
        if getattr(found, asked) is not None and lacking:
            others = [one.name for one in DATASETS.values() if set(columns) <= set(one.names)]
            raise ConfigError(
                f"{found.dataset.name} has no {lacking[0]}, which {asked} needs.",
                hint=f"These have: {', '.join(others)}.",
            )
