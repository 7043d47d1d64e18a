from datetime import date

import numpy as np
import pytest

from spxdata.emulator import Emulator, drop
from spxdata.emulator.drop import DropRule, parse_rule
from spxdata.emulator.rows import Contract, Rows
from spxdata.errors import ConfigError

CALL, PUT = Contract(4750000, "C"), Contract(4750000, "P")


def two_contracts(minutes: int = 10) -> Rows:
    """A call and a put of one strike, from 09:30 on."""
    zeros = np.zeros(2 * minutes, dtype=np.int32)
    which = np.repeat(np.array([0, 1], dtype=np.int32), minutes)
    minute = np.tile(np.arange(570, 570 + minutes, dtype=np.int32), 2)
    return Rows((CALL, PUT), which, minute * 60_000, zeros, zeros, zeros, zeros, zeros.astype(np.float64))


def left(text: str, offset: int = 0) -> list[tuple[str, int]]:
    """Right and minute of the rows that a rule leaves."""
    rows = drop.kept(two_contracts(), [parse_rule(text)], offset)
    return [(rows.contracts[i].right, minute) for i, minute in zip(rows.which, rows.minute, strict=True)]


def test_a_rule_is_read_whole() -> None:
    rule = parse_rule(
        "dataset=quote,root=spxw,date=2024-01-16,expiration=20240119,strike=4752.5,right=call,"
        "from=10:00,to=10:59,after=7"
    )
    assert rule == DropRule(
        dataset="quote",
        root="SPXW",
        day=date(2024, 1, 16),
        expiration=date(2024, 1, 19),
        strike=4752500,
        right="C",
        first=600,
        last=659,
        after=7,
    )


def test_a_contract_is_left_out_whole() -> None:
    assert {right for right, _ in left("right=C")} == {"P"}


def test_minutes_are_left_out_both_ends_included() -> None:
    assert [minute for right, minute in left("from=09:32,to=09:36") if right == "C"] == [570, 571, 577, 578, 579]


def test_a_rule_with_only_a_start_leaves_out_the_tail() -> None:
    assert [minute for right, minute in left("right=P,from=09:33") if right == "P"] == [570, 571, 572]


def test_everything_after_a_row_of_the_reply_is_left_out() -> None:
    assert left("after=12") == [("C", 570 + i) for i in range(10)] + [("P", 570), ("P", 571)]


def test_rows_are_counted_over_the_whole_reply_not_over_a_block() -> None:
    assert len(left("after=12", offset=5)) == 7


def test_a_rule_concerns_only_what_it_names() -> None:
    rule = parse_rule("dataset=greeks,date=2024-01-16")
    assert rule.concerns("greeks", "SPXW", date(2024, 1, 16), date(2024, 1, 19))
    assert not rule.concerns("quote", "SPXW", date(2024, 1, 16), date(2024, 1, 19))
    assert not rule.concerns("greeks", "SPXW", date(2024, 1, 17), date(2024, 1, 19))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("colour=red", "'colour=red' is not one of dataset=…"),
        ("strike", "'strike' is not one of"),
        ("right=C,right=P", "right is given twice"),
        ("right=X", "right=X must be one of C, P, CALL, PUT"),
        ("dataset=trades", "dataset=trades must be one of quote, trade, trade_quote"),
        ("date=16.1.2024", "date=16.1.2024 must be a date such as"),
        ("strike=abc", "strike=abc must be dollars"),
        ("strike=-5", "strike=-5 must be dollars"),
        ("strike=4750.0001", "must be dollars"),
        ("from=25:00", "from=25:00 must be a time"),
        ("to=noon", "to=noon must be a time"),
        ("after=many", "after=many must be a number"),
    ],
)
def test_a_bad_rule_is_refused_with_what_is_allowed(text: str, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Emulator(drop=[text])
    assert f"emulator drop rule {text!r}" in str(caught.value)
    assert named in str(caught.value)
