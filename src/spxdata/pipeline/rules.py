"""The rules a reply is held to, as a table: name, scope, severity, check.

Thresholds suit what real quotes look like: crossed and locked quotes, zero bids and off-session rows occur and are
flagged; what never occurs in real data (another day, a negative price, one key with two values) fails the attempt.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Literal

import numpy as np
import polars as pl

from spxdata.completeness import expected
from spxdata.errors import BrokenRule, Evidence
from spxdata.flags import Flag
from spxdata.model import Contract, Right, Unit
from spxdata.schema import DATASETS, STEP_MS, Dataset, Kind, Rows, Subject
from spxdata.sessions import NEW_YORK, session

#: Tick grid of quoted prices in cents, by root: below 3.00 dollars, and from there on.
TICKS: dict[str, tuple[int, int]] = {"SPX": (5, 10), "SPXW": (5, 10)}
_TICK_BORDER = 3.0
#: Less than this part of a tick is none: what is left of a price's decimals in its float.
_TICK_PART = 1e-7

Severity = Literal["flag", "fail"]
#: `row`: looks at one row. `key`: looks at a row and the one before it, once rows are sorted by their key.
RowScope = Literal["row", "key"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a rule may know beside the row."""

    unit: Unit
    dataset: Dataset
    opens: datetime
    closes: datetime
    listed: frozenset[Contract] | None
    expected: frozenset[Contract] | None
    #: The expressions of rules that were asked for, by scope and severity: a reply has many batches.
    built: dict[tuple[str, str], list[tuple["Rule", pl.Expr]]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def rows(self) -> Rows:
        """What a row stands for."""
        return self.dataset.rows_at(self.unit.interval)

    @classmethod
    def of(cls, unit: Unit, listed: frozenset[Contract] | None) -> "Facts":
        """Gather the facts of a unit.

        Args:
            unit: What was asked for; its session must exist.
            listed: The unit's contracts on the day's contract list, None if there is no list.
        """
        hours = session(unit.root, unit.trade_date, unit.expiration)
        open_minute, close_minute = (hours.open, hours.close) if hours else (0, 0)
        midnight = datetime.combine(unit.trade_date, time(), NEW_YORK)
        return cls(
            unit,
            DATASETS[unit.dataset],
            midnight + timedelta(minutes=open_minute),
            midnight + timedelta(minutes=close_minute),
            listed,
            expected(unit, listed),
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table.

    Attributes:
        name: What it is called in messages and in the documentation.
        scope: What it looks at.
        severity: Whether a row that breaks it is flagged or fails the attempt.
        needs: Columns it reads; datasets that lack one are not held to it.
        broken: From the facts to an expression that is true where the rule is broken; None if it cannot apply.
        flag: The bit it sets, of rules that flag.
        twins: Whether only a row with the key of the one before it can break it.
    """

    name: str
    scope: RowScope
    severity: Severity
    needs: tuple[str, ...]
    broken: Callable[[Facts], pl.Expr | None]
    flag: Flag | None = None
    twins: bool = False

    def applies(self, dataset: Dataset) -> bool:
        """Tell whether a dataset has the columns this rule reads."""
        return set(self.needs) <= set(dataset.names)


_bid, _ask = pl.col("bid"), pl.col("ask")
_no_quote = (_bid == 0) & (_ask == 0)
_no_underlying = pl.col("underlying_price") == 0
#: What cannot be less than nothing.
_COUNTED = (
    *("bid", "ask", "bid_size", "ask_size", "price", "size", "open", "high", "low", "close", "vwap"),
    *("volume", "count", "open_interest"),
)


def _another_day(facts: Facts) -> pl.Expr:
    name, day = facts.dataset.dated, facts.unit.trade_date
    if name not in facts.dataset.of(Kind.TIME):
        return pl.col(name) != day
    midnight, next_midnight = (datetime.combine(one, time(), NEW_YORK) for one in (day, day + timedelta(days=1)))
    return pl.col(name).is_between(pl.lit(midnight), pl.lit(next_midnight), closed="left").not_()


def _off_grid(facts: Facts) -> pl.Expr | None:
    if facts.rows is not Rows.GRID:
        return None
    since = pl.col("timestamp") - pl.lit(facts.opens)
    return since.dt.total_microseconds() % (STEP_MS[facts.unit.interval] * 1000) != 0


def _out_of_session(facts: Facts) -> pl.Expr | None:
    if facts.rows is Rows.DAILY:
        return None
    return pl.col(facts.dataset.time[0]).is_between(pl.lit(facts.opens), pl.lit(facts.closes)).not_()


def _of(rows: Rows, broken: pl.Expr) -> Callable[[Facts], pl.Expr | None]:
    """Return a check of rows of one kind alone."""
    return lambda facts: broken if facts.rows is rows else None


def _quoted(broken: pl.Expr) -> Callable[[Facts], pl.Expr | None]:
    """Return a check of rows that are quotes or come from one: a trade or a bar without a quote is no empty row."""
    return lambda facts: broken if facts.rows is not Rows.DAILY and "price" not in facts.dataset.names else None


def _index_only(broken: pl.Expr) -> Callable[[Facts], pl.Expr | None]:
    """Return a check of an index alone."""
    return lambda facts: broken if facts.dataset.subject is Subject.INDEX else None


def _two_values(facts: Facts) -> pl.Expr | None:
    order = facts.dataset.order_at(facts.unit.interval)
    return None if facts.rows is Rows.TICKS else _same(order) & _same(facts.dataset.names).not_()


def _repeated(facts: Facts) -> pl.Expr | None:
    return None if facts.rows is Rows.TICKS else _same(facts.dataset.names)


def _superseded(facts: Facts) -> pl.Expr | None:
    if facts.rows is not Rows.DAILY or not facts.dataset.series:
        return None
    reported = pl.col(facts.dataset.time[0])
    return reported < reported.max().over(facts.dataset.series)


def _misshapen(_: Facts) -> pl.Expr:
    low, high = pl.col("low"), pl.col("high")
    return (low > high) | pl.any_horizontal(pl.col("open", "close").is_between(low, high).not_())


def _no_strike(_: Facts) -> pl.Expr:
    return ((pl.col("strike") > 0) & pl.col("strike").is_finite()).not_()  # nan > 0 is true in polars


def _off_tick(facts: Facts) -> pl.Expr | None:
    ticks = TICKS.get(facts.unit.root)
    if ticks is None:
        return None
    below, above = (100 / cents for cents in ticks)  # ticks of a dollar

    def off(price: pl.Expr) -> pl.Expr:
        counted = price * pl.when(price < _TICK_BORDER).then(below).otherwise(above)
        return (counted - counted.round()).abs() > _TICK_PART

    return off(_bid) | off(_ask)


def _unlisted(facts: Facts) -> pl.Expr | None:
    if facts.listed is None:
        return None
    by_expiration: dict[date, dict[Right, list[float]]] = {}
    for expiration, strike, right in facts.listed:
        by_expiration.setdefault(expiration, {one: [] for one in Right})[right].append(strike)

    def among(strikes: list[float]) -> pl.Expr:
        return pl.col("strike").is_in(pl.lit(pl.Series(strikes, dtype=pl.Float64)).implode())

    found = pl.lit(value=False)
    for expiration, strikes in by_expiration.items():
        is_call = pl.col("right") == Right.CALL.value
        here = pl.when(is_call).then(among(strikes[Right.CALL])).otherwise(among(strikes[Right.PUT]))
        found = found | ((pl.col("expiration") == expiration) & here)
    return found.not_()


def _negative(facts: Facts) -> pl.Expr | None:
    names = [name for name in _COUNTED if name in facts.dataset.names]
    return pl.any_horizontal(pl.col(names) < 0) if names else None


def _not_finite(facts: Facts) -> pl.Expr:
    return pl.any_horizontal(pl.col(name).is_finite().not_() for name in facts.dataset.of(Kind.NUMBER))


def _same(names: tuple[str, ...]) -> pl.Expr:
    return pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift(1)) for name in names)


def _one_zero(price: str, size: str) -> pl.Expr:
    return (pl.col(price) == 0) != (pl.col(size) == 0)


RULES: tuple[Rule, ...] = (
    Rule("another_root", "row", "fail", ("symbol",), lambda f: pl.col("symbol") != f.unit.root),
    Rule(
        "another_expiration",
        "row",
        "fail",
        ("expiration",),
        lambda f: None if f.unit.expiration is None else pl.col("expiration") != f.unit.expiration,
    ),
    Rule("another_day", "row", "fail", (), _another_day),
    Rule("off_grid", "row", "fail", ("timestamp",), _off_grid),
    Rule("no_strike", "row", "fail", ("strike",), _no_strike),
    Rule("negative", "row", "fail", (), _negative),
    Rule("two_values", "key", "fail", (), _two_values, twins=True),
    Rule("repeated", "key", "flag", (), _repeated, Flag.REPEATED, twins=True),
    Rule("superseded", "key", "flag", (), _superseded, Flag.SUPERSEDED),
    Rule("zero_bid", "row", "flag", ("bid", "ask"), lambda _: (_bid == 0) & (_ask > 0), Flag.ZERO_BID),
    Rule("zero_ask", "row", "flag", ("bid", "ask"), lambda _: (_ask == 0) & (_bid > 0), Flag.ZERO_SIDE),
    Rule(
        "size_without_bid", "row", "flag", ("bid", "bid_size"), lambda _: _one_zero("bid", "bid_size"), Flag.ZERO_SIDE
    ),
    Rule(
        "size_without_ask", "row", "flag", ("ask", "ask_size"), lambda _: _one_zero("ask", "ask_size"), Flag.ZERO_SIDE
    ),
    Rule("no_quote", "row", "flag", ("bid", "ask"), _quoted(_no_quote), Flag.SENTINEL),
    Rule("no_model", "row", "flag", ("iv_error",), _quoted(pl.col("iv_error") >= 100), Flag.SENTINEL),
    Rule("no_underlying", "row", "flag", ("underlying_price",), _quoted(_no_underlying), Flag.SENTINEL),
    Rule("no_index", "row", "flag", ("price",), _index_only(pl.col("price") == 0), Flag.SENTINEL),
    Rule("trade_without_quote", "row", "flag", ("price", "bid", "ask"), lambda _: _no_quote, Flag.NO_QUOTE),
    Rule("report_without_quote", "row", "flag", ("bid", "ask"), _of(Rows.DAILY, _no_quote), Flag.NO_QUOTE),
    Rule("untraded", "row", "flag", ("volume",), lambda _: pl.col("volume") == 0, Flag.UNTRADED),
    Rule("misshapen", "row", "flag", ("open", "high", "low", "close"), _misshapen, Flag.MISSHAPEN),
    Rule("locked", "row", "flag", ("bid", "ask"), lambda _: (_bid == _ask) & (_ask > 0), Flag.LOCKED),
    Rule("crossed", "row", "flag", ("bid", "ask"), lambda _: (_bid > _ask) & (_ask > 0), Flag.CROSSED),
    Rule("off_tick", "row", "flag", ("bid", "ask"), _off_tick, Flag.OFF_TICK),
    Rule("out_of_session", "row", "flag", (), _out_of_session, Flag.OUT_OF_SESSION),
    Rule("unlisted", "row", "flag", ("strike", "right"), _unlisted, Flag.UNLISTED),
    Rule("unsolved_iv", "row", "flag", ("implied_vol",), lambda _: pl.col("implied_vol") == 0, Flag.UNSOLVED_IV),
    Rule("iv_error", "row", "flag", ("iv_error",), lambda _: pl.col("iv_error").abs() > 0.5, Flag.IV_ERROR),
    Rule("delta_range", "row", "flag", ("delta",), lambda _: pl.col("delta").abs() > 1, Flag.DELTA_RANGE),
    Rule("not_finite", "row", "flag", (), _not_finite, Flag.NOT_FINITE),
)


def expressions(facts: Facts, scope: RowScope, severity: Severity) -> list[tuple[Rule, pl.Expr]]:
    """Return the rules of a scope and severity that apply, each with its expression."""
    if (scope, severity) not in facts.built:
        chosen = (rule for rule in RULES if (rule.scope, rule.severity) == (scope, severity))
        found = ((rule, rule.broken(facts)) for rule in chosen if rule.applies(facts.dataset))
        facts.built[scope, severity] = [(rule, broken) for rule, broken in found if broken is not None]
    return facts.built[scope, severity]


def _breakable(frame: pl.DataFrame, facts: Facts, scope: RowScope, severity: Severity) -> list[tuple[Rule, pl.Expr]]:
    """Return the rules of a scope and severity that rows of a frame may break: hardly ever has a key two rows."""
    rules = expressions(facts, scope, severity)
    if not any(rule.twins for rule, _ in rules):
        return rules
    has_twins = frame.select(_same(facts.dataset.order_at(facts.unit.interval)).any()).item()
    return rules if has_twins else [(rule, broken) for rule, broken in rules if not rule.twins]


def flagged(frame: pl.DataFrame, facts: Facts, scope: RowScope) -> pl.Series:
    """Return the bits that the rules of a scope set on each row."""
    rules = _breakable(frame, facts, scope, "flag")
    total = np.zeros(frame.height, np.int32)
    by_rule = frame.select(broken.alias(rule.name) for rule, broken in rules)
    for (rule, _), broken in zip(rules, by_rule.iter_columns(), strict=True):
        if broken.any():
            known = broken.fill_null(value=False) if broken.null_count() else broken
            total |= np.multiply(known.to_numpy(), int(rule.flag or 0), dtype=np.int32)
    return pl.Series("flags", total)


def enforce(frame: pl.DataFrame, facts: Facts, scope: RowScope, evidence: Evidence | None) -> None:
    """Fail if a structural rule is broken anywhere in a frame.

    Args:
        frame: Canonical rows; sorted by their key for the scope `key`.
        facts: What is known of the unit.
        scope: Which rules to check.
        evidence: What quarantine keeps; the offending rows themselves when None.

    Raises:
        BrokenRule: Names the rule, the number of rows and the first of them.
    """
    rules = _breakable(frame, facts, scope, "fail")
    if not rules:
        return
    counts = frame.select(broken.fill_null(value=False).sum().alias(rule.name) for rule, broken in rules).row(0)
    for (rule, broken), count in zip(rules, counts, strict=True):
        if not count:
            continue
        at = frame.select(broken.fill_null(value=False).arg_max()).item()
        first = at - (1 if rule.scope == "key" else 0)
        shown = frame.select(facts.dataset.names).slice(first, at - first + 1)
        lines = shown.write_csv(include_header=False)  # Python has no days before the year 1 or after 9999
        kept = evidence or Evidence(
            header=(",".join(shown.columns) + "\n").encode(),
            batch=lines.encode(),
            first_row=first,
        )
        raise BrokenRule(
            rule.name, f"{count:,} of {frame.height:,} rows, first {'; '.join(lines.splitlines())}", evidence=kept
        )
