import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.flags import MEANING, Flag, names
from spxdata.pipeline.rules import RULES


def test_every_flag_is_one_bit() -> None:
    """All different, and small enough for the column."""
    values = [flag.value for flag in Flag]
    assert all(value.bit_count() == 1 for value in values)
    assert len(set(values)) == len(values)
    assert sum(values) < 2**31


def test_bits_never_move() -> None:
    """Stored files hold them: a new flag goes to the end."""
    assert [flag.name for flag in Flag][:13] == [
        "ZERO_BID",
        "ZERO_SIDE",
        "SENTINEL",
        "LOCKED",
        "CROSSED",
        "OFF_TICK",
        "OUT_OF_SESSION",
        "UNLISTED",
        "REPEATED",
        "UNSOLVED_IV",
        "IV_ERROR",
        "DELTA_RANGE",
        "NOT_FINITE",
    ]
    assert [flag.value for flag in Flag] == [1 << position for position in range(len(Flag))]


def test_every_flag_has_a_meaning() -> None:
    """And no meaning lacks its flag."""
    assert set(MEANING) == set(Flag)
    assert all(MEANING.values())


def test_every_flag_has_a_rule() -> None:
    """A flag that nothing sets would be a promise nobody keeps."""
    assert {rule.flag for rule in RULES if rule.severity == "flag"} == set(Flag)


@pytest.mark.parametrize(("flags", "expected"), [(0, ()), (3, ("zero_bid", "zero_side")), (1 << 12, ("not_finite",))])
def test_names_are_lower_case_in_bit_order(flags: int, expected: tuple[str, ...]) -> None:
    """As people write them in a query."""
    assert names(flags) == expected


@given(st.sets(st.sampled_from(list(Flag))))
def test_names_tell_exactly_the_bits_that_are_set(flags: set[Flag]) -> None:
    """Whatever the combination."""
    assert set(names(sum(flags))) == {(flag.name or "").lower() for flag in flags}
