"""Batches held to the rules, flagged, put into stored order, and measured against what was expected."""

from collections.abc import Callable, Collection, Iterator

import polars as pl

from spxdata.completeness import Grid, holes, unlisted
from spxdata.errors import BrokenRule, MalformedReply
from spxdata.model import Contract, Hole, Unit
from spxdata.pipeline.order import Sorter
from spxdata.pipeline.parse import Batch
from spxdata.pipeline.presence import PresenceTaker
from spxdata.pipeline.rules import Facts, enforce, flagged
from spxdata.schema import FLAGS, TRADE_DATE
from spxdata.sessions import session


class Checked:
    """A reply's rows as they are stored: iterate once; then `holes` tells what is missing.

    Args:
        batches: The parsed reply.
        facts: What is known of the unit beside its rows.
        sorter: Takes rows as they come, gives them back in stored order.
        empty: Contracts known to have no rows; looked at once all rows have passed.
    """

    def __init__(
        self, batches: Iterator[Batch], facts: Facts, sorter: Sorter, empty: Collection[Contract] = ()
    ) -> None:
        self.empty = empty
        self._batches = batches
        self._facts = facts
        self._sorter = sorter
        self._holes: tuple[Hole, ...] | None = None
        self._unlisted: frozenset[Contract] = frozenset()

    @property
    def holes(self) -> tuple[Hole, ...]:
        """What is missing; known once all rows have passed."""
        if self._holes is None:
            raise RuntimeError("holes are known only after the last row")
        return self._holes

    @property
    def unlisted(self) -> frozenset[Contract]:
        """Contracts that prove the contract list short (see `spxdata.completeness.unlisted`); known with the holes."""
        return self._unlisted

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Yield rows as `rows` does."""
        return self.rows(lambda _: None)

    def rows(self, see: Callable[[pl.DataFrame], None]) -> Iterator[pl.DataFrame]:
        """Yield rows in stored order: trade date, the vendor's columns, flags.

        Args:
            see: Called with rows as they arrive, with all of them before the first are yielded.

        Raises:
            DataError: The reply is wrong.
            TransientError: It ended early.
        """
        facts = self._facts
        hours = session(facts.unit.root, facts.unit.trade_date, facts.unit.expiration)
        if hours is None:
            raise MalformedReply(f"Rows arrived for {facts.unit}, which has no session.")
        for batch in self._batches:
            enforce(batch.frame, facts, "row", batch.evidence)
            see(batch.frame)
            self._sorter.add(batch.frame.with_columns(flagged(batch.frame, facts, "row")))
        grid = Grid.of(facts.unit, hours)
        presence = PresenceTaker(facts.unit, grid.last_required())
        for group in self._sorter.groups():
            enforce(group, facts, "key", None)
            presence.update(group)
            yield group.select(
                pl.lit(facts.unit.trade_date).alias(TRADE_DATE.name),
                *facts.dataset.names,
                (pl.col(FLAGS.name) | flagged(group, facts, "key")).alias(FLAGS.name),
            )
        if not presence.present:
            raise BrokenRule("no_rows", "a header line without rows, though contracts are listed for the day")
        self._unlisted = unlisted(grid, facts.listed, presence.present)
        self._holes = holes(grid, facts.expected, presence.present, self.empty)


def validate(
    batches: Iterator[Batch],
    unit: Unit,
    listed: frozenset[Contract] | None,
    sorter: Sorter,
    empty: Collection[Contract] = (),
) -> Checked:
    """Return a reply's rows, checked as they are drawn.

    Args:
        batches: The parsed reply.
        unit: What was asked for.
        listed: The unit's contracts on the day's contract list, None if there is no list.
        sorter: Takes rows as they come, gives them back in stored order.
        empty: Contracts known to have no rows; may still grow while rows are drawn.
    """
    return Checked(batches, Facts.of(unit, listed), sorter, empty)
