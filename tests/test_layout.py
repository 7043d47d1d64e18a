from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.errors import ConfigError
from spxdata.layout import is_revision, original_of, path_of, revision_path, unit_of
from spxdata.model import Unit
from spxdata.schema import DATASETS
from tests.builders import a_unit

dates = st.dates(date(2000, 1, 1), date(2100, 1, 1))
#: Some roots are spelled like words of a path.
roots = st.from_regex(r"[A-Z][A-Z0-9.]{0,9}", fullmatch=True) | st.sampled_from(
    ["QUOTE", "TICK", "EXP", "EOD", "GREEKS"]
)
units = st.sampled_from([(d.name, interval) for d in DATASETS.values() for interval in d.intervals]).flatmap(
    lambda pair: st.builds(Unit, dates, roots, st.just(pair[0]), st.just(pair[1]), st.none() | dates)
)


@given(units, st.sampled_from(["parquet", "csv"]))
def test_a_path_means_its_unit(unit: Unit, file_format: str) -> None:
    """Both directions, for every root, dataset, interval and day, in both formats."""
    assert unit_of(path_of(unit, file_format)) == unit


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_dataset_at_every_interval_has_a_path_of_its_own(dataset: str) -> None:
    """Without expiration, too: the interval is left out where it is the usual one."""
    of = DATASETS[dataset]
    for expiration in (None, date(2024, 1, 19)):
        units = [a_unit(dataset=dataset, interval=interval, expiration=expiration) for interval in of.intervals]
        paths = [path_of(unit) for unit in units]
        assert [unit_of(path) for path in paths] == units
        assert len(set(paths)) == len(paths)
        assert [interval for interval, path in zip(of.intervals, paths, strict=True) if f"_{interval}" not in path] == [
            of.interval
        ]


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
        (a_unit(dataset="greeks_eod", interval="1d", expiration=None), "20240116/spxw_greeks_eod.parquet"),
        (a_unit(dataset="trade", interval="tick"), "20240116/spxw_trade_exp_20240119.parquet"),
        (a_unit(dataset="quote", interval="tick"), "20240116/spxw_quote_tick_exp_20240119.parquet"),
        (a_unit(dataset="index_price", root="SPX", expiration=None), "20240116/spx_index_price.parquet"),
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
        "20240116/spxw_exp_20240119.json",
        "20240116/spxw_exp_20240119.parquet.0123abcd.partial",
        "20240116/spxw_exp_2024-01-19.parquet",
        "20240116/spxw_exp_20240231.parquet",
        "20241316/spxw_exp_20240119.parquet",
        "20240116/spxw_nbbo_exp_20240119.parquet",
        "20240116/spxw_greeks_exp_20240119.parquet",
        "20240116/spxw_quote_1m_exp_20240119.parquet",
        "20240116/spxw_eod_1d.parquet",
        "20240116/spxw_trade_tick_exp_20240119.csv",
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
    assert text in {path_of(unit), path_of(unit, "csv")}


moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone follows


@given(units, st.sampled_from(["parquet", "csv"]), moments)
def test_an_earlier_files_path_means_the_units_and_its_moment(unit: Unit, file_format: str, at: datetime) -> None:
    """Both directions, to the microsecond; no glob of the usual endings leads to it, nor any day's folder."""
    path = revision_path(path_of(unit, file_format), at)
    assert original_of(path) == (path_of(unit, file_format), at)
    assert is_revision(path)
    assert not path.endswith((".parquet", ".csv"))
    with pytest.raises(ConfigError):
        unit_of(path)


def test_an_earlier_file_is_stamped_in_utc() -> None:
    at = datetime(2024, 1, 17, 7, 30, 15, 250_001, tzinfo=timezone(timedelta(hours=-5)))
    path = revision_path("20240116/spxw_exp_20240119.parquet", at)
    assert path == ".revisions/20240116/spxw_exp_20240119.parquet~20240117T123015250001Z"


@pytest.mark.parametrize(
    "path",
    [
        "20240116/spxw.parquet",
        ".revisions/20240116/spxw.parquet",
        ".revisions/20240116/spxw.parquet~20240117",
        ".revisions/20240116/spxw.parquet~20240231T123015250001Z",
        ".revisions/20240116/spxw.txt~20240117T123015250001Z",
        ".revisions/20240116/spxw.parquet~20240117T123015250001Z~20240117T123015250001Z",
        ".revisions/20240116/spxw.parquet~２０２４０１１７T123015250001Z",  # noqa: RUF001 - digits of another script
        ".revisions/.spxdata/catalog.sqlite~20240117T123015250001Z",
    ],
)
def test_a_foreign_path_is_no_earlier_file(path: str) -> None:
    with pytest.raises(ConfigError):
        original_of(path)
