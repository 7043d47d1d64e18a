from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.errors import ConfigError
from spxdata.layout import path_of, unit_of
from spxdata.model import Unit
from spxdata.schema import DATASETS
from tests.builders import a_unit

dates = st.dates(date(2000, 1, 1), date(2100, 1, 1))
units = st.builds(
    Unit,
    trade_date=dates,
    root=st.from_regex(r"[A-Z][A-Z0-9.]{0,9}", fullmatch=True) | st.sampled_from(["QUOTE", "TICK", "EXP", "GREEKS"]),
    dataset=st.sampled_from(sorted(DATASETS)),
    interval=st.sampled_from(["1m", "5m", "tick", "100ms", "1s", "1h"]),
    expiration=st.none() | dates,
)


@given(units)
def test_a_path_means_its_unit(unit: Unit) -> None:
    """Both directions, for every root, dataset, interval and day."""
    assert unit_of(path_of(unit)) == unit


@given(units, units)
def test_no_two_units_share_a_path(one: Unit, other: Unit) -> None:
    """Else one would overwrite the other."""
    assert (path_of(one) == path_of(other)) == (one == other)


@pytest.mark.parametrize(
    ("unit", "path"),
    [
        (a_unit(), "20240116/spxw_exp_20240119.parquet"),
        (a_unit(dataset="quote"), "20240116/spxw_quote_exp_20240119.parquet"),
        (a_unit(dataset="quote", interval="5m"), "20240116/spxw_quote_5m_exp_20240119.parquet"),
        (a_unit(root="SPX", expiration=None), "20240116/spx.parquet"),
    ],
)
def test_names_are_the_documented_ones(unit: Unit, path: str) -> None:
    """The default dataset keeps the brief's name."""
    assert path_of(unit) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "spxw_exp_20240119.parquet",
        "20240116/",
        "20240116/SPXW_exp_20240119.parquet",
        "20240116/spxw_exp_20240119.csv",
        "20240116/spxw_exp_20240119.parquet.0123abcd.partial",
        "20240116/spxw_exp_2024-01-19.parquet",
        "20240116/spxw_exp_20240231.parquet",
        "20241316/spxw_exp_20240119.parquet",
        "20240116/spxw_nbbo_exp_20240119.parquet",
        "20240116/spxw_greeks_exp_20240119.parquet",
        "20240116/spxw_quote_1m_exp_20240119.parquet",
        "20240116/../20240117/spxw.parquet",
        "/20240116/spxw.parquet",
        "20240116\\spxw.parquet",
        ".spxdata/catalog.sqlite",
        "٢٠٢٤٠١١٦/spxw.parquet",
        "20240116/spxw.parquet\n",
    ],
)
def test_a_foreign_path_is_refused(path: str) -> None:
    """A default spelled out too: each unit has one path."""
    with pytest.raises(ConfigError):
        unit_of(path)


@given(st.text(max_size=40))
def test_no_text_is_taken_for_a_path_that_it_is_not(text: str) -> None:
    """Either refused, or exactly what `path_of` makes."""
    try:
        unit = unit_of(text)
    except ConfigError:
        return
    assert path_of(unit) == text
