"""What is missing: contract list + session + the minutes that are there -> holes, and from outcomes a verdict.

The contract list and the session are the only source of what was expected; what arrived never is. Pure.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from spxdata.model import Contract, Hole, HoleKind, Outcome, State, Unit, Verdict
from spxdata.schema import DATASETS, STEP_MS, TICK, Rows, Subject
from spxdata.sessions import Session, clock, session

#: Missing minutes in a row, at the head of or inside a contract, up to which it is only noted: the longest real
#: one is 24.
TOLERATED_MINUTES = 30
#: Minutes for which all contracts of a unit may send no tick: those after the stocks' close may well be so quiet.
SILENT_MINUTES = 15
#: Minutes for which an index may send no tick: it is computed every few seconds.
SILENT_INDEX_MINUTES = 5
#: Holes that a message names before it only counts.
_NAMED = 3
#: Milliseconds of a minute.
MINUTE_MS: Final = 60_000
#: Options whose last ask is not above this just stop being quoted, dollars.
WORTHLESS_ASK = 0.10


@dataclass(frozen=True, slots=True)
class Presence:
    """The points of a series that are there.

    Attributes:
        runs: First and last millisecond of the day of each unbroken stretch on the interval's grid, both included; of
            ticks, of minutes that have any; none where there is no grid.
        last_ask: The last ask above 0 up to the close of the required points, 0.0 if there is none.
    """

    runs: tuple[tuple[int, int], ...] = ()
    last_ask: float = 0.0


#: The points that are there, by contract; of what has no contracts, such as an index, by None.
Present = Mapping[Contract | None, Presence]


@dataclass(frozen=True, slots=True)
class Grid:
    """The points a unit is expected to have, as bits of whole numbers: bit 0 is the open.

    Attributes:
        open: First millisecond of the session.
        step: Milliseconds between two points.
        required: Points every listed contract must have; the first, 09:30, is a sentinel or absent. Of ticks of what
            is quoted, the minutes in which silence is looked for; none of trades.
        wished: Points that are only noted when missing.
        absent: What it is when a listed contract has no rows at all.
        silence: How many milliseconds a whole unit may be silent, of ticks: they come when something changes. None
            where points must be there.
    """

    open: int
    step: int
    required: int
    wished: int
    absent: HoleKind = HoleKind.GAP
    silence: int | None = None

    @classmethod
    def of(cls, unit: Unit, hours: Session) -> "Grid":
        """Return the grid of a unit within its session."""
        dataset = DATASETS[unit.dataset]
        absent = HoleKind(dataset.absent)
        step = presence_step(unit)
        if step is None:
            return cls(hours.open * MINUTE_MS, MINUTE_MS, 0, 0, absent)
        required_close = hours.close if dataset.required_to == "close" else hours.core_close
        last = (min(required_close, hours.close) - hours.open) * MINUTE_MS // step
        if unit.interval == TICK:
            minutes = SILENT_INDEX_MINUTES if dataset.subject is Subject.INDEX else SILENT_MINUTES
            # the minute that begins with the close is none of the session's
            return cls(hours.open * MINUTE_MS, step, _span(1, last - 1), 0, absent, minutes * MINUTE_MS)
        whole, required = _span(1, (hours.close - hours.open) * MINUTE_MS // step), _span(1, last)
        return cls(hours.open * MINUTE_MS, step, required, whole & ~required, absent)

    def outage(self, seen: int) -> int:
        """Return the points at which a whole unit lacks what it must have, from those that any of its series has."""
        unseen = self.required & ~seen
        if self.silence is None:
            return unseen
        spans = ((low, high) for low, high in _stretches(unseen) if (high - low + 1) * self.step > self.silence)
        return sum(_span(low, high) for low, high in spans)

    def kind_of(self, stretch: "Stretch", last_ask: float, *, in_tail: bool) -> HoleKind | None:
        """Return what it is that a contract lacks a stretch of required points, beside outages; None for nothing.

        Args:
            stretch: The points.
            last_ask: The contract's last ask.
            in_tail: Whether nothing comes after them.
        """
        long = stretch.length > TOLERATED_MINUTES * MINUTE_MS
        worth = last_ask > WORTHLESS_ASK
        if self.silence is not None:  # quiet is not missing, but what is worth something is quoted to the end
            return (HoleKind.GAP if worth and in_tail else HoleKind.NOTE) if long else None
        # without any ask there is no saying that it became worthless: its tail counts as any other stretch
        return HoleKind.GAP if (worth if in_tail and last_ask > 0 else long) else HoleKind.NOTE

    def last_required(self) -> int:
        """Return the last required millisecond of the day."""
        return self.open + (self.required.bit_length() - 1) * self.step

    def bits(self, presence: Presence) -> int:
        """Return a contract's points as bits."""
        bits = 0
        for first, last in presence.runs:
            low, high = (first - self.open) // self.step, (last - self.open) // self.step
            if high >= 0:
                bits |= _span(max(low, 0), high)
        return bits

    def stretches(self, bits: int) -> Iterator["Stretch"]:
        """Yield each unbroken stretch of bits."""
        for low, high in _stretches(bits):
            first, last = self.open + low * self.step, self.open + high * self.step
            yield Stretch(low, first // MINUTE_MS, last // MINUTE_MS, (high - low + 1) * self.step)


class Stretch(NamedTuple):
    """An unbroken stretch of points: its first bit, its first and last minute of the day, how long it is in ms."""

    bit: int
    first: int
    last: int
    length: int


def _span(low: int, high: int) -> int:
    """Return the number whose bits low to high are set; nothing if high lies below low."""
    return ((1 << (high - low + 1)) - 1) << low if high >= low else 0


def _stretches(bits: int) -> Iterator[tuple[int, int]]:
    position = 0
    while bits:
        zeros = (bits & -bits).bit_length() - 1
        bits >>= zeros
        position += zeros
        ones = (~bits & (bits + 1)).bit_length() - 1
        yield position, position + ones - 1
        bits >>= ones
        position += ones


def presence_step(unit: Unit) -> int | None:
    """Return the milliseconds between two points at which a unit's series can be present, None where there are none.

    Ticks of what is quoted are looked at minute by minute; when a trade must come, nobody knows.
    """
    dataset = DATASETS[unit.dataset]
    return STEP_MS.get(unit.interval, MINUTE_MS) if dataset.rows is Rows.GRID else None


def unlisted(grid: Grid, listed: frozenset[Contract] | None, present: Present) -> frozenset[Contract]:
    """Return the contracts that were quoted in the session and are not on the day's list of what was quoted.

    They prove that the list is short. Reports and trades prove nothing, nor do rows without any ask.

    Args:
        grid: The points expected.
        listed: The unit's contracts on the list, None without a list.
        present: The points that are there.
    """
    if listed is None:
        return frozenset()
    return frozenset(
        contract
        for contract, presence in present.items()
        if contract and contract not in listed and presence.last_ask > 0 and grid.required & grid.bits(presence)
    )


def expected(unit: Unit, listed: frozenset[Contract] | None) -> frozenset[Contract] | None:
    """Return the contracts that a unit must have: of those listed, the ones that trade on its day.

    Args:
        unit: What is asked for.
        listed: The unit's contracts on the day's contract list; None without a list.
    """
    if listed is None or unit.expiration is not None:
        return listed
    days = {contract.expiration for contract in listed}
    trading = {day for day in days if session(unit.root, unit.trade_date, day)}
    return frozenset(contract for contract in listed if contract.expiration in trading)


def holes(
    grid: Grid,
    listed: frozenset[Contract] | None,
    present: Present,
    empty: Collection[Contract] = (),
) -> tuple[Hole, ...]:
    """Return what a unit lacks: outages, then contract by contract gaps and notes.

    Args:
        grid: The points expected.
        listed: The contracts expected; None without a list: then only the points of what arrived can be judged.
        present: The points that are there.
        empty: Contracts of which the Terminal said, asked for each alone, that they have no rows: only noted.

    Example:
        A chain of two contracts that both lack 10:30 to 11:39 has one outage of those 70 minutes.
    """
    contracts = (listed or frozenset()) | {contract for contract in present if contract is not None}
    wanted: list[Contract | None] = [None] if None in present else [*sorted(contracts)]
    bits = {contract: grid.bits(presence) for contract, presence in present.items()}
    seen = 0
    for points in bits.values():
        seen |= points
    several, index = len(wanted) > 1, None in present
    outage = grid.outage(seen) if several or (index and grid.silence) else 0
    quiet = grid.wished & ~seen if several else 0
    everywhere = HoleKind.GAP if index else HoleKind.OUTAGE  # an index has no contracts
    found = [Hole(everywhere, None, stretch.first, stretch.last) for stretch in grid.stretches(outage)]
    found += [Hole(HoleKind.NOTE, None, stretch.first, stretch.last) for stretch in grid.stretches(quiet)]
    for contract in wanted:
        if contract not in present:
            kind = HoleKind.NOTE if contract in empty else grid.absent
            found.append(Hole(kind, contract, None, None))
            continue
        missing = grid.required & ~bits[contract] & ~outage
        tail = grid.required >> bits[contract].bit_length() << bits[contract].bit_length()
        for stretch in grid.stretches(missing):
            lacks = grid.kind_of(stretch, present[contract].last_ask, in_tail=bool(tail >> stretch.bit & 1))
            if lacks:
                found.append(Hole(lacks, contract, stretch.first, stretch.last))
        wished = grid.wished & ~bits[contract] & ~quiet
        found += [Hole(HoleKind.NOTE, contract, stretch.first, stretch.last) for stretch in grid.stretches(wished)]
    return tuple(found)


def describe(found: Sequence[Hole]) -> str:
    """Return holes in words, the first few by name.

    Example:
        "1 outage (all contracts: 10:30-11:39), 1 gap (2021-01-08 3700 CALL: the whole day)"
    """
    parts = []
    for kind in HoleKind:
        mine = [hole for hole in found if hole.kind is kind]
        if mine:
            shown = ", ".join(hole_text(hole) for hole in mine[:_NAMED])
            more = f" and {len(mine) - _NAMED:,} more" if len(mine) > _NAMED else ""
            parts.append(f"{len(mine):,} {kind}{'s' if len(mine) > 1 else ''} ({shown}{more})")
    return ", ".join(parts)


def hole_text(hole: Hole) -> str:
    """Return one hole in words: where, and which minutes (New York)."""
    everywhere = "all rows" if hole.kind is HoleKind.GAP else "all contracts"  # an index has no contracts
    where = str(hole.contract) if hole.contract else everywhere
    if hole.first is None or hole.last is None:
        return f"{where}: the whole day"
    return f"{where}: {clock(hole.first)}-{clock(hole.last)}"


def verdict(outcomes: Sequence[Outcome], expected: int, *, listed: bool) -> Verdict | None:
    """Return how a day stands from how its units stand.

    Args:
        outcomes: Of the units within the scope.
        expected: How many units the scope has.
        listed: Whether there is a contract list to compare with.

    Returns:
        None while units are missing that may still come. A scope without units is absent, never complete.
    """
    states = {outcome.state for outcome in outcomes}
    if State.NOT_PUBLISHED in states:
        return Verdict.NOT_PUBLISHED
    if not expected or states == {State.EMPTY}:
        return Verdict.ABSENT
    if len(outcomes) < expected or states - {State.STORED}:
        return Verdict.PARTIAL if State.STORED in states else None
    if any(outcome.partial for outcome in outcomes):
        return Verdict.PARTIAL
    return Verdict.COMPLETE if listed else Verdict.UNVERIFIED
