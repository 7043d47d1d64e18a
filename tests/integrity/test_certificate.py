"""A certificate is read back as it was written, says what is to be fetched, and what waits."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.integrity.certificate import VERSION, Certificate, Figure, Lack, Missing, key_of, read, written
from spxdata.model import Contract, Day, Hole, HoleKind, Right, Scope, State, Verdict
from tests.builders import EXPIRATION, TRADE_DATE, a_day, a_gap, a_note, an_outage
from tests.integrity.stock import a_certificate

DAYS = st.dates(date(2012, 6, 1), date(2028, 12, 31))
MAYBE_DAYS = st.none() | DAYS
MINUTES = st.none() | st.integers(0, 1439)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.integers(0, 10**9)
CONTRACTS = st.builds(Contract, DAYS, st.floats(0.001, 1e6), st.sampled_from(Right))
HOLES = st.builds(Hole, st.sampled_from(HoleKind), st.none() | CONTRACTS, MINUTES, MINUTES)
#: Certificates of whatever they may say.
CERTIFICATES = st.builds(
    Certificate,
    day=st.builds(Day, DAYS, st.sampled_from(["SPXW", "SPX"]), st.sampled_from(["greeks", "eod"]), st.just("1m")),
    scope=st.builds(Scope, st.integers(0, 400), st.lists(DAYS, max_size=3).map(tuple)),
    verdict=st.none() | st.sampled_from(Verdict),
    units=COUNTS,
    stored=COUNTS,
    rows=COUNTS,
    missing=st.lists(
        st.builds(Missing, MAYBE_DAYS, st.none() | st.sampled_from(State), st.none() | st.text(), MAYBE_DAYS),
        max_size=3,
    ).map(tuple),
    lacks=st.lists(st.builds(Lack, MAYBE_DAYS, HOLES, MAYBE_DAYS), max_size=3).map(tuple),
    empty=st.lists(CONTRACTS, max_size=3).map(tuple),
    notes=COUNTS,
    issued_at=st.datetimes(timezones=st.just(UTC)),
    basis=st.text(),
    figures=st.lists(st.builds(Figure, st.text(), NUMBERS, NUMBERS, NUMBERS, st.booleans()), max_size=3).map(tuple),
)


class TestDocument:
    """written, read."""

    @given(CERTIFICATES)
    def test_what_was_written_is_read_back_as_it_was(self, certificate: Certificate) -> None:
        """Every field, whatever it holds."""
        assert read(written(certificate)) == certificate

    @pytest.mark.parametrize("verdict", [*Verdict, None])
    def test_it_says_whether_the_day_is_complete(self, verdict: Verdict | None) -> None:
        """In one word, so that a query needs no other."""
        document = json.loads(written(a_certificate(verdict=verdict)))
        assert document["complete"] is (verdict is Verdict.COMPLETE)
        assert document["version"] == VERSION

    def test_one_of_other_rules_is_not_read(self) -> None:
        """It is computed anew."""
        document = json.loads(written(a_certificate()))
        assert read(json.dumps({**document, "version": VERSION + 1})) is None

    @pytest.mark.parametrize("text", ["", "{", "null", "[]", "{}", f'{{"version": {VERSION}}}'])
    def test_what_is_no_certificate_is_not_read(self, text: str) -> None:
        """It is replaced by one."""
        assert read(text) is None

    @pytest.mark.parametrize("field", ["day", "verdict", "lacks", "issued_at"])
    def test_one_with_a_field_that_makes_no_sense_is_not_read(self, field: str) -> None:
        """Nor one that lacks it."""
        document = json.loads(written(a_certificate()))
        assert read(json.dumps({**document, field: "nonsense"})) is None
        assert read(json.dumps({key: value for key, value in document.items() if key != field})) is None


class TestUse:
    """What is done with one."""

    def test_its_key_names_the_day(self) -> None:
        """As people would."""
        assert key_of(a_day()) == "2024-01-16 SPXW greeks 1m"

    @pytest.mark.parametrize("verdict", [*Verdict, None])
    def test_a_day_is_sound_if_it_lacks_nothing_that_the_vendor_has(self, verdict: Verdict | None) -> None:
        """What could not be compared is not."""
        unsound = {Verdict.PARTIAL, Verdict.UNVERIFIED, None}
        assert a_certificate(verdict=verdict).is_sound is (verdict not in unsound)

    def test_units_to_fetch_are_those_missing_and_those_that_lack_something(self) -> None:
        """Each once, nearest first."""
        certificate = a_certificate(
            missing=(Missing(date(2024, 2, 16), State.FAILED),),
            lacks=(Lack(EXPIRATION, an_outage()), Lack(EXPIRATION, a_gap()), Lack(TRADE_DATE, a_gap())),
        )
        assert certificate.units_to_fetch() == tuple(
            a_day().unit(expiration) for expiration in (TRADE_DATE, EXPIRATION, date(2024, 2, 16))
        )
        assert a_certificate().units_to_fetch() == ()

    def test_a_day_wide_unit_is_fetched_whole(self) -> None:
        """It has no expiration."""
        day = a_day(dataset="eod", interval="1d")
        assert a_certificate(day=day, lacks=(Lack(None, a_gap()),)).units_to_fetch() == (day.unit(None),)

    def test_units_asked_for_in_vain_wait_until_their_day(self) -> None:
        """Not those of which no day is known, and on the day itself no more."""
        due, again = date(2024, 2, 1), date(2024, 2, 3)
        certificate = a_certificate(
            missing=(Missing(date(2024, 1, 22), State.EMPTY, "no data", due), Missing(date(2024, 1, 23), None)),
            lacks=(Lack(EXPIRATION, a_gap(), again), Lack(EXPIRATION, a_note(), again), Lack(TRADE_DATE, a_gap())),
        )
        first, second = a_day().unit(date(2024, 1, 22)), a_day().unit(EXPIRATION)
        assert certificate.waiting(due - timedelta(days=1)) == {first: due, second: again}
        assert certificate.waiting(due) == {second: again}
        assert certificate.waiting(again) == {}

    def test_figures_are_added_to_what_it_says(self) -> None:
        """All else stays."""
        figure = Figure("volume_as_reported", 1.0, 0.95, 1.05, unusual=False)
        assert a_certificate().with_figures((figure,)) == a_certificate(figures=(figure,))


def test_moments_of_another_zone_are_read_back_as_moments() -> None:
    """An aware moment is an instant."""
    moment = datetime.fromisoformat("2024-01-17T07:30:15-05:00")
    read_back = read(written(a_certificate(issued_at=moment)))
    assert read_back
    assert read_back.issued_at == moment
