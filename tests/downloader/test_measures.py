"""What units took: which of it counts, and how it is kept."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.catalog.memory import MemoryCatalog
from spxdata.downloader.measures import KIND, LEAST, MOST, Kind, Measure, Measures, newest
from spxdata.errors import CatalogCorrupt
from spxdata.model import Day, State
from spxdata.pipeline.edges import Replied
from tests.builders import a_day, stored

TUESDAY = date(2024, 1, 16)
DAY = Day(TUESDAY, "SPXW", "greeks", "1m")
KIND_OF_DAY = Kind.of("v3", DAY)


def measure(day: date = TUESDAY, wait: float = 3.0, number: int = 0) -> Measure:
    """Return what a unit took."""
    return Measure(day, day + timedelta(days=number), 100, 1, 1_000_000, 100_000, 39_100, wait, 0.5, 0.1)


class TestWhatCounts:
    """`newest`."""

    def test_a_whole_day_leaves_all_before_it_out(self) -> None:
        """How fast the Terminal was a week ago says nothing of how fast it is."""
        old = [measure(TUESDAY - timedelta(days=7), wait=30.0, number=n) for n in range(40)]
        new = [measure(number=n) for n in range(LEAST)]
        assert newest([*old, *new]) == tuple(new)

    def test_a_single_unit_is_taken_together_with_the_day_before(self) -> None:
        """One that was repaired is no day."""
        old = [measure(TUESDAY - timedelta(days=1), number=n) for n in range(5)]
        older = [measure(TUESDAY - timedelta(days=2), number=n) for n in range(5)]
        assert newest([*older, *old, measure()]) == (*old, measure())

    @given(st.lists(st.integers(0, 5), min_size=1, max_size=60))
    def test_the_last_one_always_counts_and_days_are_whole(self, days: list[int]) -> None:
        """Whatever the order in which days were fetched."""
        measures = [measure(TUESDAY - timedelta(days=n), number=at) for at, n in enumerate(days)]
        chosen = newest(measures)
        dates = {one.trade_date for one in chosen}
        assert measures[-1] in chosen
        assert chosen == tuple(one for one in measures if one.trade_date in dates)
        assert len(chosen) >= min(LEAST, len(measures))


class TestKept:
    """`Measures`, over a catalog."""

    def test_what_was_noted_is_there_for_the_next_run(self) -> None:
        """With days, and with what is not known."""
        catalog = MemoryCatalog()
        measures = Measures(catalog)
        day_wide = measure()._replace(expiration=None, contracts=None)
        for one in (measure(), day_wide):
            measures.note(KIND_OF_DAY, one)
        measures.keep()
        assert Measures(catalog).of(DAY, "v3") == ("v3", (measure(), day_wide))

    def test_nothing_is_known_of_what_was_not_measured(self) -> None:
        """Neither of another dataset, interval, root or dialect."""
        catalog = MemoryCatalog()
        measures = Measures(catalog)
        measures.note(KIND_OF_DAY, measure())
        measures.keep()
        for other in (DAY._replace(dataset="quote"), DAY._replace(interval="1h"), DAY._replace(root="SPX")):
            assert Measures(catalog).of(other, "v3") is None
        assert Measures(catalog).of(DAY, "v2") is None

    def test_without_a_terminal_what_either_dialect_took_is_told(self) -> None:
        """Which one it will be is not known then."""
        measures = Measures(MemoryCatalog())
        measures.note(KIND_OF_DAY._replace(dialect="v2"), measure())
        measures.keep()
        assert measures.of(DAY, None) == ("v2", (measure(),))

    def test_only_the_newest_are_kept(self) -> None:
        """However long the archive is filled."""
        catalog = MemoryCatalog()
        for n in range(3):
            measures = Measures(catalog)
            for _ in range(MOST // 2 + 1):
                measures.note(KIND_OF_DAY, measure(number=n))
            measures.keep()
        found = Measures(catalog).of(DAY, "v3")
        assert found is not None
        assert len(found[1]) == MOST
        assert found[1][-1] == measure(number=2)
        assert measure(number=0) not in found[1]

    def test_where_nothing_was_noted_nothing_is_written(self) -> None:
        """A day that is there costs no document."""
        catalog = MemoryCatalog()
        Measures(catalog).keep()
        assert catalog.documents(KIND) == {}

    def test_documents_of_another_version_say_nothing(self) -> None:
        """They can be measured again, so a newer program's are no reason to stop."""
        catalog = MemoryCatalog()
        catalog.keep_documents(KIND, {str(KIND_OF_DAY): '{"version":2,"measures":{}}'})
        assert Measures(catalog).of(DAY, "v3") is None

    @pytest.mark.parametrize("text", ["{}", "[]", "", '{"version":1,"measures":[[1]]}', '{"version":1,"measures":[1]}'])
    def test_a_damaged_document_is_told(self, text: str) -> None:
        """It is the catalog's damage, and named so."""
        catalog = MemoryCatalog()
        catalog.keep_documents(KIND, {str(KIND_OF_DAY): text})
        with pytest.raises(CatalogCorrupt, match="measured rates"):
            Measures(catalog).of(DAY, "v3")

    def test_a_damaged_document_stops_no_run(self) -> None:
        """What was measured now takes its place; those that can be read go on."""
        catalog, other = MemoryCatalog(), Kind.of("v2", DAY)
        mine = Measures(catalog)
        mine.note(other, measure(number=1))
        mine.keep()
        catalog.keep_documents(KIND, {str(KIND_OF_DAY): "{"})
        mine = Measures(catalog)
        for kind in (KIND_OF_DAY, other):
            mine.note(kind, measure(number=2))
        mine.keep()
        assert Measures(catalog).of(DAY, "v3") == ("v3", (measure(number=2),))
        assert Measures(catalog).of(DAY, "v2") == ("v2", (measure(number=1), measure(number=2)))


class TestOneUnit:
    """`Measure.of`."""

    REPLIED = Replied(requests=2, bytes=5_000, wait=3.0004, seconds=1.5, ended=10.0)

    def test_it_says_what_the_reply_took_and_what_was_stored(self) -> None:
        """Seconds to the millisecond."""
        outcome = stored(a_day().unit(TUESDAY))
        found = Measure.of(outcome, 7, self.REPLIED, 10.25)
        assert found is not None
        assert outcome.artifact is not None
        assert found == Measure(
            outcome.unit.trade_date,
            TUESDAY,
            7,
            2,
            5_000,
            outcome.artifact.bytes,
            outcome.artifact.rows,
            3.0,
            1.5,
            0.25,
        )

    def test_what_left_no_file_is_no_measure(self) -> None:
        """An empty answer says nothing of how long rows take."""
        outcome = replace(stored(a_day().unit(TUESDAY)), state=State.EMPTY, artifact=None)
        assert Measure.of(outcome, 7, self.REPLIED, 10.25) is None
