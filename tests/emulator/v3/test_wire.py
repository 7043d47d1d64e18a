from datetime import date

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from spxdata.emulator.rows import Contract
from spxdata.emulator.v3 import wire


@given(st.lists(st.floats(-1e5, 1e5), min_size=1, max_size=50), st.sampled_from([2, 4]))
def test_numbers_print_rounded_with_all_their_decimals(values: list[float], decimals: int) -> None:
    rounded = np.round(np.array(values), decimals) + 0.0
    printed = pl.DataFrame({"x": wire.fixed(rounded, decimals)}).write_csv(include_header=False).splitlines()
    assert printed == [f"{value:.{decimals}f}" for value in rounded.tolist()]


def test_a_strike_has_three_decimals() -> None:
    assert [wire.strike_text(strike) for strike in (4750000, 4752500, 500)] == ["4750.000", "4752.500", "0.500"]


def test_strings_are_quoted_or_bare() -> None:
    contract = Contract(4750000, "P")
    quoted = wire.contract_fields("SPXW", date(2024, 1, 19), contract, wire.Style())
    bare = wire.contract_fields("SPXW", date(2024, 1, 19), contract, wire.Style(quoted=False))
    assert quoted == ('"SPXW"', '"2024-01-19"', "4750.000", '"PUT"')
    assert bare == ("SPXW", "2024-01-19", "4750.000", "PUT")
