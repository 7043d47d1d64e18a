"""What a run will take: bytes from what is alike, time from how fast the Terminal was last."""

from collections.abc import Sequence
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.downloader.forecast import Due, Forecast, Rates, duration, forecast, typical
from spxdata.downloader.measures import Measure
from spxdata.model import Day

TUESDAY, WEDNESDAY = date(2024, 1, 16), date(2024, 1, 17)
EARLY = date(2024, 7, 3)  # closes at 13:00
SECONDS = st.floats(0.0, 100.0)


def measures(
    day: date = TUESDAY, wait: float = 3.0, rate: float = 15e6, dtes: Sequence[int] = (1, 2, 3, 6)
) -> list[Measure]:
    """Return what the units of a day took: 100 contracts of 100 kB each, a tenth of them stored."""
    return [
        Measure(day, day + timedelta(days=n), 100, 1, 10_000_000, 1_000_000, 39_100, wait, 10e6 / rate, 0.1)
        for n in dtes
    ]


def due(
    day: date = WEDNESDAY, dataset: str = "greeks", contracts: int | None = 100, count: int = 4, planning: float = 0.0
) -> Due:
    """Return what is due of a day."""
    of = Day(day, "SPXW", dataset, "1m")
    return Due(of, tuple((of.unit(day + timedelta(days=n)), contracts) for n in range(1, count + 1)), planning)


def told(day: Due, known: Sequence[Measure], at_once: int = 4, pacing: float = 0.0) -> Forecast:
    """Return the forecast of a day."""
    return forecast([day], lambda _: Rates.of("v3", known), at_once, pacing)


class TestBytes:
    """How much comes, and is stored."""

    def test_it_follows_the_number_of_contracts(self) -> None:
        """Half again as many contracts are half again as many bytes."""
        found = told(due(contracts=150), measures())
        assert (found.requests, found.received, found.stored) == (4, 60_000_000, 6_000_000)

    def test_without_a_list_it_is_what_it_was(self) -> None:
        """Then the neighbouring day says how many there are."""
        assert told(due(contracts=None), measures()).received == 40_000_000

    def test_the_nearest_in_days_to_expiration_is_alike(self) -> None:
        """Of trades the nearest expiration has most."""
        near, far = measures(dtes=(1, 30))
        known = [near._replace(received=90_000_000), far]
        assert told(due(count=1), known).received == 90_000_000

    def test_a_short_session_has_fewer_rows(self) -> None:
        """From 09:30 to 13:15 instead of 16:15."""
        of = Day(EARLY, "SPXW", "greeks", "1m")
        found = told(Due(of, ((of.unit(EARLY + timedelta(days=2)), 100),)), measures())
        assert found.received == round(10_000_000 * 225 / 405)

    def test_pages_grow_with_the_rows(self) -> None:
        """Of v2 each is a request."""
        known = [one._replace(requests=4) for one in measures()]
        assert told(due(contracts=150), known).requests == 24


class TestTime:
    """How long it takes."""

    def test_it_is_thinking_and_bytes_by_the_places_there_are(self) -> None:
        """Three seconds and 10 MB at 15 MB/s, two one after the other in each place; then the last is stored."""
        found = told(due(count=8), measures())
        assert found.seconds == pytest.approx(2 * (3 + 10 / 15) + 0.1)

    def test_the_newest_speed_counts(self) -> None:
        """After a week at another one, a day is enough to know."""
        week = [one for n in range(7, 0, -1) for one in measures(TUESDAY - timedelta(days=n), wait=9.0, rate=1e6)]
        assert told(due(), [*week, *measures()]).seconds == told(due(), measures()).seconds

    def test_a_stalled_reply_hardly_counts(self) -> None:
        """One in twenty that took ten minutes is no measure of the rest."""
        known = measures(dtes=range(1, 21))
        known[7] = known[7]._replace(wait=600.0, seconds=600.0)
        assert told(due(), known).seconds == pytest.approx(told(due(), measures()).seconds)

    def test_finding_out_what_is_due_takes_time_too(self) -> None:
        """Nothing is asked for until then."""
        assert told(due(planning=2.0), measures()).seconds == pytest.approx(2 + 3 + 10 / 15 + 0.1)

    @given(st.lists(SECONDS, max_size=50), st.integers(1, 8), st.floats(0.0, 1.0))
    def test_no_schedule_is_faster_than_its_places(self, seconds: list[float], at_once: int, pacing: float) -> None:
        """Nor slower than one after the other with all the pauses."""
        found = duration([(0.0, seconds)], at_once, pacing)
        assert found >= max([sum(seconds) / at_once, *seconds]) - 1e-6
        assert found <= sum(seconds) + pacing * len(seconds) + 1e-6

    @given(st.lists(SECONDS, max_size=50), st.integers(1, 7), st.floats(0.0, 1.0))
    def test_days_without_planning_are_one(self, seconds: list[float], at_once: int, pacing: float) -> None:
        """Places are not left empty between them."""
        middle = len(seconds) // 2
        parted = [(0.0, seconds[:middle]), (0.0, seconds[middle:])]
        assert duration(parted, at_once, pacing) == duration([(0.0, seconds)], at_once, pacing)

    @given(st.lists(st.tuples(SECONDS, st.floats(0.1, 10.0)), min_size=1, max_size=50))
    def test_what_is_typical_lies_within(self, pairs: list[tuple[float, float]]) -> None:
        """Whatever the weights."""
        values, weights = [value for value, _ in pairs], [weight for _, weight in pairs]
        assert min(values) - 1e-9 <= typical(values, weights) <= max(values) + 1e-9


class TestUnknown:
    """Nothing is guessed."""

    def test_of_what_was_not_measured_only_requests_are_told(self) -> None:
        """One for each unit, whatever is known of others."""
        rates = {"greeks": Rates.of("v3", measures())}
        found = forecast([due(), due(dataset="quote")], lambda day: rates.get(day.dataset), 4, 0.1)
        assert (found.requests, found.received, found.stored, found.seconds) == (8, None, None, None)
        assert [(share.dataset, share.received) for share in found.shares] == [("greeks", 40_000_000), ("quote", None)]
        assert found.shares[1].basis is None

    def test_where_nothing_is_due_nothing_is_taken(self) -> None:
        """No time either."""
        found = forecast([due(count=0)], lambda _: None, 4, 0.1)
        assert (found.requests, found.received, found.seconds, found.shares) == (0, 0, 0.0, ())

    def test_it_says_what_it_is_from(self) -> None:
        """Requests, days, and how fast they were."""
        basis = told(due(), measures()).shares[0].basis
        assert basis is not None
        assert (basis.dialect, basis.requests, basis.trade_dates, basis.wait) == ("v3", 4, (TUESDAY,), 3.0)
        assert basis.bytes_per_second == pytest.approx(15e6)
