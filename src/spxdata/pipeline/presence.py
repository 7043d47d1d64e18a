"""Which minutes of which contract are there, taken from sorted rows group by group."""

from datetime import datetime, time

import polars as pl

from spxdata.completeness import Presence
from spxdata.model import Contract, Right, Unit
from spxdata.schema import STEP_MINUTES
from spxdata.sessions import NEW_YORK

_Runs = tuple[tuple[int, int], ...]


class PresenceTaker:
    """Takes rows in stored order, piece by piece, and gives each contract's stretches of minutes.

    Args:
        unit: Whose rows they are.
        required_close: Last required minute of the day: the last ask is taken up to there.
    """

    def __init__(self, unit: Unit, required_close: int) -> None:
        self._step = STEP_MINUTES[unit.interval]
        self._midnight = datetime.combine(unit.trade_date, time(), NEW_YORK)
        self._required_close = required_close
        self.present: dict[Contract, Presence] = {}

    def update(self, frame: pl.DataFrame) -> None:
        """Take some rows."""
        contract = ("expiration", "strike", "right")
        minute = ((pl.col("timestamp") - pl.lit(self._midnight)).dt.total_minutes()).alias("minute")
        rows = frame.lazy().select(*contract, minute, "ask")
        asks = (
            rows.filter((pl.col("ask") > 0) & (pl.col("minute") <= self._required_close))
            .group_by(contract)
            .agg(pl.col("ask").last())
        )
        # a new stretch begins where the minute is neither the next one nor a repeat of the one before
        begins = (pl.col("minute").diff().over(contract).is_between(0, self._step)).fill_null(value=False).not_()
        runs = (
            rows.with_columns(run=begins.cum_sum())
            .group_by("run", maintain_order=True)
            .agg(
                *(pl.col(name).first() for name in contract),
                pl.col("minute").first().alias("first"),
                pl.col("minute").last().alias("last"),
            )
            .group_by(contract, maintain_order=True)
            .agg("first", "last")
            .join(asks, on=contract, how="left")
            .collect()
        )
        for expiration, strike, right, firsts, lasts, asked in runs.iter_rows():
            key = Contract(expiration, strike, Right(right))
            runs_here, ask = tuple(zip(firsts, lasts, strict=True)), asked or 0.0
            before = self.present.get(key)
            if before is not None:  # a contract that goes on from the rows taken last
                runs_here, ask = self._joined(before.runs, runs_here), ask or before.last_ask
            self.present[key] = Presence(runs_here, ask)

    def _joined(self, before: _Runs, after: _Runs) -> _Runs:
        """Return the stretches of two pieces, those that touch as one."""
        (first, last), (begin, end) = before[-1], after[0]
        if 0 <= begin - last <= self._step:
            return (*before[:-1], (first, end), *after[1:])
        return before + after
