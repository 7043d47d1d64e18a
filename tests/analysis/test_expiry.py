from datetime import UTC, date, datetime
from typing import cast

import numpy as np
import polars as pl
import pytest

from spxdata.analysis.expiry import Version, years_to_expiration

HOURS = 24 * 365.0


def years(timestamp: str, expiration: str, root: str, version: Version) -> float:
    return float(years_to_expiration(timestamp, expiration, root=root, version=version))


@pytest.mark.parametrize("version", ["1", "latest"])
def test_before_the_last_day_the_vendor_counts_whole_calendar_days(version: Version) -> None:
    for minute in ("09:31", "16:00"):
        assert years(f"2025-09-19T{minute}", "2025-10-17", "SPXW", version) == 28 / 365


@pytest.mark.parametrize(
    ("moment", "root", "version", "hours"),
    [
        ("2024-01-16T09:31", "SPXW", "1", 0.15 * 24),
        ("2024-01-16T15:59", "SPXW", "1", 0.15 * 24),
        ("2024-01-16T09:30", "SPXW", "latest", 6.5),
        ("2024-01-16T15:00", "SPXW", "latest", 1.0),
        ("2024-01-16T15:59", "SPXW", "latest", 1.0),  # an hour at least
        ("2024-01-16T16:10", "SPXW", "latest", 1.0),
        ("2024-01-16T08:00", "SPX", "latest", 1.5),  # settled at the open
        ("2024-01-16T12:00", "SPX", "latest", 1.0),
        ("2024-01-16T15:59", "SPXW", "exact", 1 / 60),
    ],
)
def test_the_last_day_is_as_the_version_says(moment: str, root: str, version: Version, hours: float) -> None:
    assert years(moment, "2024-01-16", root, version) * HOURS == pytest.approx(hours)


def test_an_expiration_on_an_early_close_is_settled_at_13_00() -> None:
    assert years("2024-07-03T09:30", "2024-07-03", "SPXW", "latest") * HOURS == pytest.approx(3.5)


@pytest.mark.parametrize(
    ("moment", "expiration", "root", "hours"),
    [
        ("2024-01-12T16:00", "2024-01-16", "SPXW", 4 * 24),
        ("2024-01-18T16:00", "2024-01-19", "SPX", 17.5),
        ("2014-06-20T12:00", "2014-06-21", "SPXW", 4.0),  # a Saturday's is settled on Friday
        ("2024-01-16T16:00", "2040-01-16", "SPXW", 24 * 5844),  # beyond the table of holidays
    ],
)
def test_the_exact_time_runs_to_settlement(moment: str, expiration: str, root: str, hours: float) -> None:
    assert years(moment, expiration, root, "exact") * HOURS == pytest.approx(hours)


@pytest.mark.parametrize("version", ["1", "latest", "exact"])
def test_there_is_no_time_left_after_expiration(version: Version) -> None:
    assert np.isnan(years("2024-01-17T10:00", "2024-01-16", "SPXW", version))
    assert np.isnan(years("NaT", "2024-01-16", "SPXW", version))
    assert np.isnan(years("2024-01-17T10:00", "NaT", "SPXW", version))


def test_columns_of_an_archive_can_be_given_as_they_are() -> None:
    moments = [datetime(2024, 1, 16, 15, 0, tzinfo=UTC), datetime(2024, 1, 16, 20, 0, tzinfo=UTC)]
    frame = pl.DataFrame({"timestamp": moments, "expiration": [date(2024, 1, 16)] * 2, "symbol": ["SPXW", "SPXW"]})
    frame = frame.with_columns(pl.col("timestamp").dt.convert_time_zone("America/New_York"))
    found = years_to_expiration(frame["timestamp"], frame["expiration"], root=frame["symbol"])
    assert (found * HOURS).tolist() == pytest.approx([6.0, 1.0])


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(ValueError, match="1, latest or exact; not '2'"):
        years("2024-01-16T10:00", "2024-01-16", "SPXW", cast("Version", "2"))
