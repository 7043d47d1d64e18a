import csv
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import pytest

from spxdata.errors import BrokenRule, Evidence
from spxdata.flags import Flag, names
from spxdata.model import Unit
from spxdata.pipeline.order import Order, sorted_run
from spxdata.pipeline.parse import parse
from spxdata.pipeline.rules import RULES, Facts, Rule, enforce, expressions, flagged
from spxdata.schema import DATASETS, Dataset
from tests.builders import EXPIRATION, TRADE_DATE, a_unit

from .builders import (
    CALL,
    CONTRACTS,
    GREEKS,
    HIGH_CALL,
    PUT,
    QUOTE,
    a_row,
    frame_of,
    rows_of,
    unit_for,
)

T = TypeVar("T")

EOD, OHLC, TRADE, TRADE_QUOTE, INDEX = (
    DATASETS[name] for name in ("eod", "ohlc", "trade", "trade_quote", "index_price")
)


@dataclass(frozen=True)
class Example:
    """A row that breaks a rule, beside one that breaks none.

    Attributes:
        changes: What differs from the clean row.
        dataset: Whose row it is.
        also: Other rules that such a row cannot help breaking.
        before: Whether it is sorted before the clean one.
    """

    changes: Mapping[str, Any]
    dataset: Dataset = QUOTE
    also: frozenset[str] = frozenset()
    before: bool = False

    def places(self, clean: T, broken: T) -> list[T]:
        """Return what is said of both rows in their stored order."""
        return [broken, clean] if self.before else [clean, broken]


#: A quote of nothing at all.
_NO_QUOTE: dict[str, Any] = {"bid": "0.00", "ask": "0.00", "bid_size": 0, "ask_size": 0}

#: A failing example of each rule.
EXAMPLES: dict[str, Example] = {
    "another_root": Example({"symbol": "SPX"}),
    "another_expiration": Example({"expiration": "2024-01-26"}, also=frozenset({"unlisted"})),
    "another_day": Example({"timestamp": "2024-01-17T09:31:00"}, also=frozenset({"out_of_session"})),
    "off_grid": Example({"timestamp": "2024-01-16T09:31:00.001"}),
    "no_strike": Example({"strike": "nan"}, also=frozenset({"not_finite", "unlisted"})),
    "negative": Example({"ask_size": -1}),
    "two_values": Example({"ask": "67.80"}),
    "repeated": Example({}),
    "superseded": Example({"created": "2024-01-16T17:14:59.999"}, EOD, before=True),
    "zero_bid": Example({"bid": "0.00", "bid_size": 0}),
    "zero_ask": Example({"ask": "0.00", "ask_size": 0}),
    "size_without_bid": Example({"bid_size": 0}),
    "size_without_ask": Example({"ask_size": 0}),
    "no_quote": Example(_NO_QUOTE),
    "no_model": Example({"iv_error": "100.0"}, GREEKS, also=frozenset({"iv_error"})),
    "no_underlying": Example({"underlying_price": "0.00"}, GREEKS),
    "no_index": Example({"price": "0.00"}, INDEX),
    "trade_without_quote": Example(_NO_QUOTE, TRADE_QUOTE),
    "report_without_quote": Example(_NO_QUOTE | {"strike": "4750.000"}, EOD),
    "untraded": Example({"volume": 0}, OHLC),
    "misshapen": Example({"high": "63.60"}, OHLC),
    "locked": Example({"bid": "67.90"}),
    "crossed": Example({"bid": "68.00"}),
    "off_tick": Example({"bid": "64.95"}),
    "out_of_session": Example({"timestamp": "2024-01-16T16:16:00"}),
    "unlisted": Example({"right": "PUT"}),
    "unsolved_iv": Example({"implied_vol": "0.0000"}, GREEKS),
    "iv_error": Example({"iv_error": "-0.5001"}, GREEKS),
    "delta_range": Example({"delta": "-1.0001"}, GREEKS),
    "not_finite": Example({"epsilon": "-inf"}, GREEKS),
}

every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


def facts_of(dataset: Dataset, *, listed: bool = True) -> Facts:
    """Return what is known of the unit of all examples: two listed contracts."""
    contracts = frozenset({CALL, HIGH_CALL}) if dataset.unit_of == "day" else frozenset({CALL})
    return Facts.of(unit_for(dataset), contracts if listed else None)


def broken_by(frame: pl.DataFrame, facts: Facts) -> list[set[str]]:
    """Return the rules that each row breaks, of both scopes and severities."""
    found: list[set[str]] = [set() for _ in range(frame.height)]
    for scope in ("row", "key"):
        for severity in ("flag", "fail"):
            for rule, expression in expressions(facts, scope, severity):
                for position, broken in enumerate(frame.select(expression.fill_null(value=False)).to_series()):
                    if broken:
                        found[position].add(rule.name)
    return found


def example_frame(rule: Rule) -> pl.DataFrame:
    """Return a clean row and the one that breaks a rule, in stored order; of key rules, of the same minute."""
    example = EXAMPLES[rule.name]
    minute = 571 if rule.scope == "key" else 572
    clean, broken = a_row(example.dataset), a_row(example.dataset, minute=minute, **example.changes)
    return frame_of(example.places(clean, broken), unit_for(example.dataset))


class TestTable:
    """The table as a whole."""

    def test_names_are_unique(self) -> None:
        """Messages and documentation speak of them."""
        assert max(Counter(rule.name for rule in RULES).values()) == 1

    def test_every_rule_has_a_failing_example(self) -> None:
        """A new rule needs one above."""
        assert [rule.name for rule in RULES] == list(EXAMPLES)

    @every_rule
    def test_rules_that_flag_have_a_flag_and_those_that_fail_have_none(self, rule: Rule) -> None:
        """It is one or the other."""
        assert (rule.flag is not None) == (rule.severity == "flag")

    @every_rule
    def test_every_rule_applies_to_some_dataset(self, rule: Rule) -> None:
        """Else its columns are misspelled."""
        assert any(rule.applies(dataset) for dataset in DATASETS.values())


class TestExamples:
    """Each rule on a clean row and on one that breaks it."""

    @every_rule
    def test_the_example_breaks_its_rule_and_the_clean_row_none(self, rule: Rule) -> None:
        """And no other rule than it must."""
        example = EXAMPLES[rule.name]
        assert broken_by(example_frame(rule), facts_of(example.dataset)) == example.places(
            set(), {rule.name} | example.also
        )

    @every_rule
    def test_a_rule_that_flags_sets_its_bit_on_that_row_alone(self, rule: Rule) -> None:
        """And exactly that one, but for those of the rules it cannot help breaking."""
        if rule.flag is None:
            return
        example = EXAMPLES[rule.name]
        expected = rule.flag
        for other in RULES:
            if other.name in example.also and other.flag:
                expected |= other.flag
        frame, facts = example_frame(rule), facts_of(example.dataset)
        flags = (flagged(frame, facts, "row") | flagged(frame, facts, "key")).to_list()
        assert flags == example.places(0, expected.value)
        enforce(frame, facts, "row", None)
        enforce(frame, facts, "key", None)

    @every_rule
    def test_a_rule_that_fails_names_itself_the_count_and_the_row(self, rule: Rule) -> None:
        """With the offending rows as evidence where no raw bytes are at hand."""
        if rule.severity == "flag":
            return
        example = EXAMPLES[rule.name]
        frame, facts = example_frame(rule), facts_of(example.dataset)
        with pytest.raises(BrokenRule, match=f"^{rule.name}: 1 of 2 rows, first .") as caught:
            enforce(frame, facts, rule.scope, None)
        assert caught.value.rule == rule.name
        assert caught.value.evidence
        assert caught.value.evidence.first_row == (0 if rule.scope == "key" else 1)
        assert caught.value.evidence.batch.count(b"\n") == (2 if rule.scope == "key" else 1)
        assert caught.value.evidence.header == (",".join(example.dataset.names) + "\n").encode()

    @every_rule
    def test_raw_bytes_are_the_better_evidence(self, rule: Rule) -> None:
        """They are kept as they are."""
        if rule.severity == "flag":
            return
        raw = Evidence(b"header\n", b"bytes\n", 17)
        with pytest.raises(BrokenRule) as caught:
            enforce(example_frame(rule), facts_of(EXAMPLES[rule.name].dataset), rule.scope, raw)
        assert caught.value.evidence is raw

    def test_every_broken_row_is_counted(self) -> None:
        """And the first one shown."""
        rows = [a_row(), *(a_row(minute=600 + n, bid_size=-n) for n in range(1, 4))]
        with pytest.raises(BrokenRule, match=r"negative: 3 of 4 rows, first .*-1"):
            enforce(frame_of(rows), facts_of(QUOTE), "row", None)


class TestBorders:
    """Values right beside what breaks a rule."""

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"timestamp": "2024-01-16T09:30:00"}, ()),
            ({"timestamp": "2024-01-16T09:29:00"}, ("out_of_session",)),
            ({"timestamp": "2024-01-16T16:15:00"}, ()),
            ({"bid": "0.05", "ask": "2.95"}, ()),
            ({"bid": "2.95", "ask": "3.00"}, ()),
            ({"bid": "2.95", "ask": "3.05"}, ("off_tick",)),
            ({"bid": "2.93", "ask": "3.10"}, ("off_tick",)),
            ({"bid": "0.05", "ask": "0.07"}, ("off_tick",)),
            ({"bid": "1999.90", "ask": "4700.10"}, ()),
            ({"bid": "64.9000001"}, ("off_tick",)),
            ({"bid": "0.05", "ask": "0.05"}, ("locked",)),
            ({"bid": "0.10", "ask": "0.05"}, ("crossed",)),
            ({"bid": "0.00", "bid_size": 7, "ask": "0.05"}, ("zero_bid", "zero_side")),
            ({"bid": "0.00", "bid_size": 0, "ask": "0.00", "ask_size": 1}, ("zero_side", "sentinel")),
        ],
        ids=str,
    )
    def test_quotes(self, changes: dict[str, Any], expected: tuple[str, ...]) -> None:
        """The tick is 0.05 below 3.00 and 0.10 from there on; the session includes both ends."""
        flags = flagged(frame_of([a_row(QUOTE, **changes)]), facts_of(QUOTE), "row")
        assert names(flags.item()) == expected

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"delta": "1.0000"}, ()),
            ({"delta": "-1.0000"}, ()),
            ({"iv_error": "0.5"}, ()),
            ({"iv_error": "99.9"}, ("iv_error",)),
            ({"implied_vol": "0.0001"}, ()),
            ({"implied_vol": "5.5"}, ()),
        ],
        ids=str,
    )
    def test_greeks(self, changes: dict[str, Any], expected: tuple[str, ...]) -> None:
        """What the vendor's solver gives at its limits is no fault."""
        frame = frame_of([a_row(GREEKS, **changes)], a_unit())
        assert names(flagged(frame, facts_of(GREEKS), "row").item()) == expected

    def test_on_its_last_day_a_contract_stops_at_sixteen_o_clock(self) -> None:
        """16:00 itself is in the session; the minute after it is flagged."""
        unit = a_unit(dataset="quote", expiration=TRADE_DATE)
        contract = CALL._replace(expiration=TRADE_DATE)
        frame = frame_of([a_row(QUOTE, contract, minute) for minute in (960, 961)], unit)
        assert flagged(frame, Facts.of(unit, None), "row").to_list() == [0, Flag.OUT_OF_SESSION]

    def test_without_a_list_no_contract_is_unlisted(self) -> None:
        """Nor without a rule for its root is a price off the grid."""
        frame = frame_of([a_row(QUOTE, HIGH_CALL)])
        assert flagged(frame, facts_of(QUOTE), "row").item() == Flag.UNLISTED
        assert flagged(frame, facts_of(QUOTE, listed=False), "row").item() == 0
        aapl = Facts.of(a_unit(root="AAPL", dataset="quote"), None)
        assert flagged(frame_of([a_row(QUOTE, bid="64.93")]), aapl, "row").item() == 0

    @pytest.mark.parametrize("strike", ["0", "-5", "inf", "nan"])
    def test_a_strike_is_a_positive_number(self, strike: str) -> None:
        """A contract that could not even be named fails the attempt."""
        with pytest.raises(BrokenRule, match="no_strike"):
            enforce(frame_of([a_row(strike=strike)]), facts_of(QUOTE), "row", None)

    def test_a_unit_of_all_expirations_takes_any(self) -> None:
        """A rule that cannot apply is left out."""
        facts = Facts.of(a_unit(dataset="quote", expiration=None), None)
        assert "another_expiration" not in [rule.name for rule, _ in expressions(facts, "row", "fail")]

    def test_clean_rows_of_a_whole_reply_have_no_flag(self) -> None:
        """Three contracts, every minute."""
        frame, facts = frame_of(rows_of()), Facts.of(a_unit(dataset="quote"), frozenset(CONTRACTS))
        assert set(flagged(frame, facts, "row")) == {0}
        assert broken_by(frame.head(3), facts) == [set()] * 3


class TestKeyRules:
    """What is seen only once rows lie beside each other."""

    def flags(self, *rows: dict[str, str]) -> list[int]:
        """Return what the key rules flag on sorted rows."""
        frame = sorted_run(frame_of(list(rows)), Order.of(a_unit()))
        enforce(frame, facts_of(QUOTE), "key", None)
        return flagged(frame, facts_of(QUOTE), "key").to_list()

    def test_every_repeat_but_the_first_is_flagged(self) -> None:
        """However often it comes."""
        assert self.flags(a_row(), a_row(), a_row(), a_row(minute=572)) == [0, Flag.REPEATED, Flag.REPEATED, 0]

    def test_the_same_values_elsewhere_are_no_repeat(self) -> None:
        """Of another contract or minute."""
        assert self.flags(a_row(), a_row(minute=572), a_row(QUOTE, PUT), a_row(QUOTE, HIGH_CALL)) == [0] * 4

    def test_two_values_are_found_among_repeats(self) -> None:
        """One that agrees does not excuse one that does not."""
        with pytest.raises(BrokenRule, match="two_values: 1 of 3"):
            self.flags(a_row(), a_row(), a_row(bid="64.80"))


class TestTrades:
    """Ticks: nothing tells two of them apart, and zeros mean something else."""

    @pytest.mark.parametrize("dataset", [TRADE, TRADE_QUOTE], ids=lambda d: d.name)
    @pytest.mark.parametrize("sequence", [-(2**31), -1, 0, 2**31 - 1])
    def test_any_sequence_number_passes(self, dataset: Dataset, sequence: int) -> None:
        """It is signed and wraps around."""
        frame = frame_of([a_row(dataset, sequence=sequence)], unit_for(dataset))
        assert broken_by(frame, facts_of(dataset)) == [set()]

    @pytest.mark.parametrize("dataset", [TRADE, TRADE_QUOTE], ids=lambda d: d.name)
    def test_equal_trades_are_no_repeats(self, dataset: Dataset) -> None:
        """Two trades of one moment, price and size are two trades; so are two of one moment and two prices."""
        rows = [a_row(dataset), a_row(dataset), a_row(dataset, price="66.50")]
        assert broken_by(frame_of(rows, unit_for(dataset)), facts_of(dataset)) == [set()] * 3

    @pytest.mark.parametrize(("time", "out"), [("09:29:59.999", True), ("16:15:00.000", False), ("16:15:00.001", True)])
    def test_the_session_of_a_trade_is_told_by_its_own_time(self, time: str, out: bool) -> None:
        """Not by that of the quote before it."""
        frame = frame_of(
            [a_row(TRADE_QUOTE, trade_timestamp=f"2024-01-16T{time}", quote_timestamp="2024-01-12T16:15:00")],
            unit_for(TRADE_QUOTE),
        )
        assert broken_by(frame, facts_of(TRADE_QUOTE)) == [{"out_of_session"} if out else set()]

    def test_ticks_are_on_no_grid(self) -> None:
        """A quote of any millisecond; the same two values of one moment are two quotes."""
        unit = a_unit(dataset="quote", interval="tick")
        rows = [a_row(timestamp="2024-01-16T09:31:00.017", bid_size=n) for n in (1, 1, 2)]
        assert broken_by(frame_of(rows, unit), Facts.of(unit, frozenset({CALL}))) == [set()] * 3

    @pytest.mark.parametrize(
        ("interval", "time", "off"),
        [
            ("1s", "09:31:01", False),
            ("1s", "09:31:01.500", True),
            ("500ms", "09:31:01.500", False),
            ("5m", "09:31", True),
        ],
    )
    def test_a_grid_is_as_fine_as_its_interval(self, interval: str, time: str, off: bool) -> None:
        """Counted from the open."""
        unit = a_unit(dataset="quote", interval=interval)
        moment = f"2024-01-16T{time}" + (":00" if time.count(":") == 1 else "")
        frame = frame_of([a_row(timestamp=moment)], unit)
        assert broken_by(frame, Facts.of(unit, None)) == [{"off_grid"} if off else set()]


#: Everything that may be 0 in a row at once.
_ZEROS: dict[str, Any] = dict.fromkeys(
    (
        *("bid", "ask", "bid_size", "ask_size", "price", "open", "high", "low", "close", "volume", "count"),
        *("implied_vol", "underlying_price", "open_interest", "delta", "vwap"),
    ),
    "0",
)


class TestZeros:
    """Zero means absent: what that says of a row depends on what the row is."""

    @pytest.mark.parametrize(
        "name", ["trade", "trade_quote", "eod", "greeks_eod", "ohlc", "open_interest", "interest_rate"]
    )
    def test_no_trade_bar_or_report_is_ever_a_sentinel(self, name: str) -> None:
        """The empty row of a quote or of greeks is none of theirs."""
        dataset = DATASETS[name]
        frame = frame_of([a_row(dataset, **_ZEROS, iv_error="100.0")], unit_for(dataset))
        facts = facts_of(dataset)
        flags = (flagged(frame, facts, "row") | flagged(frame, facts, "key")).item()
        assert not flags & Flag.SENTINEL

    @pytest.mark.parametrize(
        "name", ["quote", "greeks", "implied_volatility", "greeks_second_order", "greeks_third_order", "greeks_all"]
    )
    def test_an_empty_row_of_what_is_quoted_is_a_sentinel(self, name: str) -> None:
        """By the quote alone."""
        dataset = DATASETS[name]
        frame = frame_of([a_row(dataset, **_NO_QUOTE)], unit_for(dataset))
        assert Flag.SENTINEL in Flag(flagged(frame, facts_of(dataset), "row").item())

    def test_an_untraded_bar_is_all_zero_and_in_shape(self) -> None:
        """Its volume-weighted price may be carried on."""
        zero: dict[str, Any] = dict.fromkeys(("open", "high", "low", "close"), "0.00")
        frame = frame_of([a_row(OHLC, volume=0, count=0, **zero)], unit_for(OHLC))
        assert broken_by(frame, facts_of(OHLC)) == [{"untraded"}]

    def test_an_untraded_report_has_its_last_trade_at_midnight(self) -> None:
        """Which is of the day all the same."""
        frame = frame_of([a_row(EOD, last_trade="2024-01-16T00:00:00", volume=0, count=0)], unit_for(EOD))
        assert broken_by(frame, facts_of(EOD)) == [{"untraded"}]

    @pytest.mark.parametrize("changes", [{"open": "63.69"}, {"close": "68.21"}, {"low": "68.21"}, {"high": "65.00"}])
    @pytest.mark.parametrize("dataset", [OHLC, EOD], ids=lambda d: d.name)
    def test_a_bar_lies_between_its_low_and_its_high(self, dataset: Dataset, changes: dict[str, Any]) -> None:
        """With its open and its close; it is kept and flagged."""
        frame = frame_of([a_row(dataset, **changes)], unit_for(dataset))
        assert broken_by(frame, facts_of(dataset)) == [{"misshapen"}]


#: Of two reports, the older and the newer one.
EARLY: dict[str, Any] = {"created": "2024-01-16T17:15:00"}
LATE: dict[str, Any] = {"created": "2024-01-16T17:33:00"}


class TestReports:
    """A report that came more than once."""

    def flags(self, *rows: dict[str, str], dataset: Dataset = EOD) -> list[Flag]:
        """Return what is flagged on rows in stored order."""
        frame = sorted_run(frame_of(list(rows), unit_for(dataset)), Order.of(unit_for(dataset)))
        enforce(frame, facts_of(dataset), "key", None)
        return [Flag(flags) for flags in flagged(frame, facts_of(dataset), "key")]

    def test_the_newest_counts_and_older_ones_are_flagged(self) -> None:
        """Of each contract; all are kept."""
        assert self.flags(a_row(EOD, **LATE), a_row(EOD, HIGH_CALL, **EARLY), a_row(EOD, **EARLY, volume=1)) == [
            Flag.SUPERSEDED,
            Flag(0),
            Flag(0),
        ]

    def test_a_report_that_came_twice_to_the_byte_is_repeated_and_not_superseded(self) -> None:
        """An older one may be both."""
        new, old = a_row(EOD, **LATE), a_row(EOD, **EARLY)
        assert self.flags(new, new) == [Flag(0), Flag.REPEATED]
        both = Flag.SUPERSEDED | Flag.REPEATED
        assert self.flags(new, old, new, old) == [Flag.SUPERSEDED, both, Flag(0), Flag.REPEATED]

    def test_reports_of_several_expirations_are_told_apart(self) -> None:
        """The same strike and right at another expiration is another contract."""
        nearer = CALL._replace(expiration=TRADE_DATE)
        assert self.flags(a_row(EOD, nearer, **LATE), a_row(EOD, CALL, **EARLY)) == [Flag(0)] * 2

    def test_two_reports_of_one_moment_with_two_values_fail(self) -> None:
        """Nobody could say which of them counts."""
        with pytest.raises(BrokenRule, match="two_values"):
            self.flags(a_row(EOD), a_row(EOD, volume=1))

    def test_greeks_at_the_close_are_told_by_the_moment_of_their_report(self) -> None:
        """Which is that of the underlying's price: the other time is that of the last trade."""
        dataset = DATASETS["greeks_eod"]
        moments = ("2024-01-16T17:15:00", "2024-01-16T17:33:00")
        rows = [a_row(dataset, underlying_timestamp=moment) for moment in moments]
        assert self.flags(*rows, dataset=dataset) == [Flag.SUPERSEDED, Flag(0)]

    def test_a_rate_that_came_twice_is_repeated(self) -> None:
        """It has no contract and one day."""
        dataset = DATASETS["interest_rate"]
        assert self.flags(a_row(dataset), a_row(dataset), dataset=dataset) == [Flag(0), Flag.REPEATED]
        with pytest.raises(BrokenRule, match="two_values"):
            self.flags(a_row(dataset), a_row(dataset, rate="5.32"), dataset=dataset)


class TestUnits:
    """What a row must belong to."""

    @pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
    def test_a_clean_row_of_every_dataset_breaks_no_rule(self, dataset: Dataset) -> None:
        """And every dataset is held to its own day."""
        frame = frame_of([a_row(dataset)], unit_for(dataset))
        assert broken_by(frame, facts_of(dataset)) == [set()]
        (other,) = broken_by(frame, Facts.of(unit_for(dataset, trade_date=date(2024, 1, 17)), None))
        assert "another_day" in other

    def test_a_day_wide_list_is_compared_with_its_expirations(self) -> None:
        """A strike that is listed at another expiration is not listed."""
        nearer = CALL._replace(expiration=TRADE_DATE)
        unit = unit_for(EOD)
        frame = frame_of(rows_of((nearer, CALL, PUT), dataset=EOD), unit)
        facts = Facts.of(unit, frozenset({CALL, nearer._replace(right=PUT.right)}))
        assert broken_by(frame, facts) == [{"unlisted"}, set(), {"unlisted"}]

    def test_only_what_still_trades_is_expected_of_a_day(self) -> None:
        """What is listed is another matter."""
        gone = CALL._replace(expiration=date(2024, 1, 12))
        facts = Facts.of(unit_for(EOD), frozenset({gone, CALL}))
        assert (facts.listed, facts.expected) == (frozenset({gone, CALL}), frozenset({CALL}))


# --- on recorded data


def recorded(path: Path) -> tuple[Unit, pl.DataFrame]:
    """Return the unit and the rows of a recorded v3 file."""
    root, day, expiration = path.stem.split("_")
    unit = a_unit(
        root=root, trade_date=date.fromisoformat(day), expiration=date.fromisoformat(expiration), dataset="quote"
    )
    return unit, pl.concat(batch.frame for batch in parse(iter([path.read_bytes()]), unit))


def counted(path: Path) -> Counter[str]:
    """Count what is odd in a recorded file with nothing but the csv module and exact decimals."""
    found: Counter[str] = Counter()
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            bid, ask = Decimal(row["bid"]), Decimal(row["ask"])
            found["rows"] += 1
            found["zero_bid"] += bid == 0 < ask
            found["locked"] += bid == ask > 0
            found["crossed"] += bid > ask > 0
            found["off_tick"] += any(
                price % (Decimal("0.05") if price < 3 else Decimal("0.10")) != 0 for price in (bid, ask)
            )
            found["zero_side"] += (bid == 0) != (row["bid_size"] == "0") or (ask == 0) != (row["ask_size"] == "0")
    return found


def test_recorded_quotes_break_no_structural_rule_and_are_flagged_as_counted(reference: Path) -> None:
    """Crossed, locked and zero bids occur as DIRTINESS.md says of their like; prices off the grid do not."""
    total: Counter[str] = Counter()
    for path in sorted((reference / "realdata/theta_v3_quote").glob("*.csv")):
        unit, frame = recorded(path)
        facts = Facts.of(unit, None)
        enforce(frame, facts, "row", None)
        ordered = sorted_run(frame, Order.of(a_unit()))
        enforce(ordered, facts, "key", None)
        flags = flagged(ordered, facts, "row") | flagged(ordered, facts, "key")
        expected = counted(path)
        assert expected["rows"] == frame.height
        for flag in Flag:
            count = flags.filter((flags & flag.value) != 0).len()
            assert (path.name, flag.name, count) == (path.name, flag.name, expected[(flag.name or "").lower()])
        total += expected
    assert total["rows"] > 10_000
    assert (total["off_tick"], total["zero_side"]) == (0, 0)
    assert 0 < total["crossed"] <= 56
    assert 0 < total["locked"] <= 263
    assert 0 < total["zero_bid"] <= 829


def test_recorded_greeks_pass_with_the_sentinel_at_half_past_nine(reference: Path) -> None:
    """The vendor's own example: its first row is empty, all others are clean."""
    unit = a_unit(root="SPY", trade_date=date(2025, 9, 19), expiration=date(2025, 10, 17))
    body = (reference / "thetadata/samples/docs_greeks_first_order_SPY_420C.csv").read_bytes()
    frame = pl.concat(batch.frame for batch in parse(iter([body]), unit))
    facts = Facts.of(unit, None)
    enforce(frame, facts, "row", None)
    enforce(sorted_run(frame, Order.of(a_unit())), facts, "key", None)
    first, *others = flagged(frame, facts, "row")
    assert set(names(first)) == {"sentinel", "unsolved_iv", "iv_error"}
    assert not any(flags & Flag.SENTINEL for flags in others)


def test_the_example_day_is_the_one_of_the_builders() -> None:
    """Examples above spell it out."""
    assert (TRADE_DATE.isoformat(), EXPIRATION.isoformat()) == ("2024-01-16", "2024-01-19")
