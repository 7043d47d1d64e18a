import numpy as np
import polars as pl
import pytest

from spxdata.analysis.options import PIECE, Batch, Options, sign_of
from spxdata.model import Right


@pytest.mark.parametrize(
    "right",
    [
        ["CALL", "PUT"],
        ["C", "P"],
        [True, False],
        [Right.CALL, Right.PUT],
        np.array(["CALL", "PUT"]),
        pl.Series(["CALL", "PUT"]),
        pl.Series(["CALL", "PUT"], dtype=pl.Categorical),
        pl.Series([True, False]),
    ],
    ids=lambda right: f"{type(right).__name__} {right[0]}",
)
def test_a_right_may_be_spelled_in_many_ways(right: list[str]) -> None:
    assert sign_of(right).tolist() == [1.0, -1.0]


def test_what_is_no_right_is_refused() -> None:
    with pytest.raises(ValueError, match="not both"):
        sign_of(["CALL", "both"])


@pytest.mark.parametrize("prices", [{}, {"spot": 100.0, "forward": 101.0}], ids=["neither", "both"])
def test_either_spot_or_forward_must_be_given(prices: dict[str, float]) -> None:
    given = {"spot": None, "forward": None, **prices}
    with pytest.raises(TypeError, match="either spot or forward"):
        Batch.of(100.0, "CALL", 1.0, 0.0, given["spot"], given["forward"])


def test_pieces_hold_every_option_once_and_in_order() -> None:
    strikes = np.arange(1.0, 2.5 * PIECE)
    batch = Batch.of(strikes, "PUT", 1.0, 0.0, 100.0, None, strikes * 2)
    pieces = list(batch.pieces())
    assert [len(options.strike) for _, options, _ in pieces] == [PIECE, PIECE, len(strikes) - 2 * PIECE]
    for where, options, (doubled,) in pieces:
        np.testing.assert_array_equal(options.strike, strikes[where])
        np.testing.assert_array_equal(doubled, strikes[where] * 2)


def test_spot_less_discounted_strike_keeps_its_digits_where_they_are_close() -> None:
    one = np.array([1.0])
    options = Options.at_spot(one, one * 5000.0, one * 5000.0, one / 24 / 365, one * 0.05)
    assert options.exercise[0] == pytest.approx(5000.0 * 0.05 / 24 / 365, rel=1e-5)
    assert options.exercise[0] == pytest.approx(-5000.0 * np.expm1(-0.05 / 24 / 365), rel=1e-15)


def test_a_forward_is_the_spot_it_grows_from() -> None:
    one = np.array([1.0])
    spot = Options.at_spot(one, one * 5000.0, one * 5100.0, one * 0.5, one * 0.05)
    forward = Options.at_forward(one, one * 5000.0 * np.exp(0.025), one * 5100.0, one * 0.5, one * 0.05)
    for name in ("spot", "strike", "discounted", "moneyness", "exercise"):
        np.testing.assert_allclose(getattr(forward, name), getattr(spot, name), rtol=1e-13, err_msg=name)
