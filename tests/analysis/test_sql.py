"""SQL reads all of an archive, in every form, and can do nothing but read."""

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from spxdata.analysis.archive import Archive, open_archive
from spxdata.errors import ConfigError
from tests.analysis.test_archive import forms  # noqa: F401 - a fixture

ORDER = 'order by trade_date, expiration, strike, "right", timestamp'


@pytest.mark.parametrize("name", ["greeks", "quote"])
def test_a_view_has_the_rows_of_a_scan(name: str, archive: Archive) -> None:
    """Clean ones by the dataset's name, all by the name that says so; root and interval beside them."""
    for view, flags in ((name, "clean"), (f"{name}_raw", "all")):
        found = archive.sql(f"select * from {view} {ORDER}").pl()  # noqa: S608 - words of ours
        expected = (
            archive.scan(name, flags=flags).collect().sort("trade_date", "expiration", "strike", "right", "timestamp")
        )
        assert set(found["root"]) == {"SPXW"}
        assert set(found["interval"]) == {"1m"}
        told = found.drop("root", "interval").with_columns(
            pl.col("timestamp").dt.convert_time_zone("America/New_York"), pl.col("right").cast(expected.schema["right"])
        )
        if name == "greeks":
            told = told.with_columns(pl.col("underlying_timestamp").dt.convert_time_zone("America/New_York"))
        assert_frame_equal(told, expected)


@pytest.mark.parametrize("form", ["decimal", "csv"])
def test_every_form_gives_the_same_answer(form: str, forms: dict[str, Path]) -> None:  # noqa: F811 - the fixture
    """To the last bit, times too."""
    query = f"select * from greeks {ORDER}"  # noqa: S608 - words of ours
    with open_archive(forms["float64"]) as plain, open_archive(forms[form]) as other:
        assert_frame_equal(other.sql(query).pl(), plain.sql(query).pl(), check_exact=True)


def test_datasets_can_be_joined(archive: Archive) -> None:
    found = archive.sql(
        "select count(*) n, max(abs(g.bid - q.bid)) apart from greeks g join quote q "
        'using (trade_date, expiration, strike, "right", timestamp)'
    ).pl()
    assert found["n"].item() > 10_000
    assert found["apart"].item() == 0.0


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("drop view quote", "may only read"),
        ("create table x as select 1", "may only read"),
        ("copy (select 1) to 'x.csv'", "may only read"),
        ("attach 'x.db'", "may only read"),
        ("select 1; select 2", "one statement"),
        ("", "one statement"),
        ("select * from read_csv('/etc/passwd')", "cannot be answered"),
        ("select * from '/etc/passwd'", "cannot be answered"),
        ("select * from quotes", "cannot be answered"),
        ("select nothing from quote", "cannot be answered"),
        ("select * frm quote", "cannot be answered"),
        ("select * from eod", "has no eod"),
    ],
)
def test_what_is_no_look_at_the_archive_is_refused(query: str, words: str, archive: Archive) -> None:
    """With what is wrong; nothing outside of the archive can be read."""
    with pytest.raises(ConfigError, match=words):
        archive.sql(query).pl()
