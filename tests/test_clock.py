"""The real clock, and the one with another beginning."""

from datetime import UTC, datetime, timedelta

import pytest

from spxdata.clock import ShiftedClock, SystemClock, clock_from
from spxdata.errors import ConfigError

PLAY = timedelta(seconds=60)  # a loaded machine


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-01-17T12:00-05:00", datetime(2024, 1, 17, 17, tzinfo=UTC)),
        ("2024-01-17T12:00", datetime(2024, 1, 17, 17, tzinfo=UTC)),  # in New York, where no zone is named
        ("2024-07-17T12:00", datetime(2024, 7, 17, 16, tzinfo=UTC)),
        ("2024-01-17", datetime(2024, 1, 17, 5, tzinfo=UTC)),
    ],
)
def test_a_clock_starts_where_it_is_told(text: str, moment: datetime) -> None:
    clock = clock_from(text)
    assert isinstance(clock, ShiftedClock)
    assert moment <= clock.now() < moment + PLAY
    assert clock.now().utcoffset() == timedelta(0)


def test_it_goes_on_from_there() -> None:
    clock = clock_from("2024-01-17T12:00")
    first = clock.now()
    clock.sleep(0.001)
    assert clock.now() > first
    assert clock.monotonic() > 0


@pytest.mark.parametrize("text", [None, ""])
def test_without_a_moment_it_is_the_systems(text: str | None) -> None:
    clock = clock_from(text)
    assert type(clock) is SystemClock
    assert abs(clock.now() - datetime.now(UTC)) < PLAY


@pytest.mark.parametrize("text", ["noon", "2024-02-31", "25:00", "0001-01-01T00:00+14:00", "\0", " "])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="SPXDATA_NOW") as caught:
        clock_from(text)
    assert caught.value.hint
