"""What a fault may say; each action on the wire is in test_fault_effects.py."""

from datetime import date

import pytest

from spxdata.emulator import Emulator, Fault
from spxdata.emulator.faults import ACTIONS, parse_fault
from spxdata.errors import ConfigError


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"nth": 1}, "do is missing: must be one of status, delay"),
        ({"do": "explode"}, "do = 'explode': must be one of status, delay"),
        ({"do": "delay", "second": 1}, "second: no such key; allowed are do, dialect"),
        ({"do": "delay"}, "seconds is missing: do = 'delay' needs seconds"),
        ({"do": "delay", "seconds": -1}, "seconds = -1: must be seconds, 0 or more"),
        ({"do": "delay", "seconds": True}, "seconds = True: must be seconds, 0 or more"),
        ({"do": "delay", "seconds": 1, "rows": 2}, "rows does not belong to do = 'delay': it takes seconds"),
        ({"do": "cut_last_row", "rows": 2}, "rows does not belong to do = 'cut_last_row': it takes no options"),
        ({"do": "short"}, "do = 'short' needs one of rows, contracts"),
        ({"do": "drift"}, "do = 'drift' needs one of rename, drop, add"),
        ({"do": "drift", "rename": {}}, "rename = {}: must be a table of new names by old names"),
        ({"do": "drift", "drop": "bid"}, "drop = 'bid': must be a list of column names"),
        ({"do": "status", "status": 999}, "status = 999: must be an HTTP status from 200 to 599"),
        ({"do": "status", "status": "500"}, "status = '500': must be an HTTP status"),
        ({"do": "status", "status": 500, "body": 1}, "body = 1: must be a text"),
        ({"do": "status", "status": 500, "headers": {"a": 1}}, "headers = {'a': 1}: must be a table of texts"),
        ({"do": "zero_bytes", "dialect": "v4"}, "dialect = 'v4': must be v2 or v3"),
        ({"do": "zero_bytes", "dataset": "trades"}, "dataset = 'trades': must be one of quote, trade"),
        ({"do": "zero_bytes", "date": "soon"}, "date = 'soon': must be a date such as 2024-01-16"),
        ({"do": "zero_bytes", "strike": 0}, "strike = 0: must be dollars such as 4750"),
        ({"do": "zero_bytes", "strike": "high"}, "strike = 'high': must be dollars such as 4750"),
        ({"do": "zero_bytes", "right": "CALL"}, "right = 'CALL': must be C or P"),
        ({"do": "zero_bytes", "nth": 0}, "nth = 0: must be a whole number from 1 on, a list"),
        ({"do": "zero_bytes", "nth": []}, "nth = []: must be a whole number"),
        ({"do": "zero_bytes", "nth": "4-2"}, "nth = '4-2': must be a whole number"),
        ({"do": "zero_bytes", "nth": 1, "every": 2}, "every is given beside nth: at most one of"),
        ({"do": "zero_bytes", "share": 1.5}, "share = 1.5: must be a number between 0 and 1"),
        ({"do": "zero_bytes", "seed": 1}, "seed is given without share"),
        ({"do": "no_data_200", "colon": "yes"}, "colon = 'yes': must be true or false"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_is_allowed(table: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_fault(table)
    assert str(caught.value).startswith(message)


def test_values_are_brought_to_one_form() -> None:
    made = parse_fault({"do": "zero_bytes", "date": "20240116", "expiration": date(2024, 1, 19), "root": "spxw"})
    assert made == Fault("zero_bytes", date="2024-01-16", expiration=20240119, root="SPXW")
    assert Fault("zero_bytes", nth="2-4").nth == Fault("zero_bytes", nth=[2, 3, 4]).nth == frozenset({2, 3, 4})
    assert Fault("zero_bytes", strike=4752.5) == Fault("zero_bytes", strike="4752.5")


def test_a_wrong_fault_is_refused_when_the_emulator_is_made() -> None:
    with pytest.raises(ConfigError, match="emulator faults: fault 2: seconds is missing") as caught:
        Emulator(faults=[Fault("zero_bytes"), {"do": "delay"}])
    assert "docs/faults.md" in caught.value.hint


def test_every_action_says_what_it_means() -> None:
    assert all(action.meaning.endswith(".") for action in ACTIONS.values())
