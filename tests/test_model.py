from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.errors import ConfigError
from spxdata.model import Contract, HoleKind, Right, Scope, parse_day, parse_root
from tests.builders import (
    EXPIRATION,
    NOW,
    TRADE_DATE,
    a_contract_list,
    a_day,
    a_gap,
    a_note,
    a_unit,
    an_outage,
    stored,
)

days = st.dates(date(1000, 1, 1))
LATER = NOW + timedelta(hours=1)


class TestParseDay:
    """A day as people type it."""

    @given(days)
    def test_both_spellings_are_read(self, day: date) -> None:
        """With dashes and without, blanks around them ignored."""
        assert parse_day(f" {day.isoformat()} ") == parse_day(day.isoformat().replace("-", "")) == day

    @pytest.mark.parametrize(
        "text", ["", "2024-02-30", "2024-13-01", "16.01.2024", "2024-1-6", "yesterday", "20240116T00", "0000-01-01"]
    )
    def test_anything_else_is_refused_by_name(self, text: str) -> None:
        """The message holds the key, the value and where it came from; the hint how to write it."""
        with pytest.raises(ConfigError) as caught:
            parse_day(text, "start-date", "environment")
        assert "start-date" in caught.value.message
        assert repr(text) in caught.value.message
        assert "environment" in caught.value.message
        assert "2024-01-16" in caught.value.hint

    @given(st.text(max_size=12))
    def test_no_text_raises_anything_else(self, text: str) -> None:
        """A day or a ConfigError, nothing third."""
        with suppress(ConfigError):
            assert isinstance(parse_day(text), date)


class TestParseRoot:
    """An option root as people type it."""

    @pytest.mark.parametrize(("text", "root"), [("spxw", "SPXW"), (" SPX ", "SPX"), ("Brk.B", "BRK.B"), ("X1", "X1")])
    def test_case_and_blanks_do_not_matter(self, text: str, root: str) -> None:
        """Roots are upper case everywhere."""
        assert parse_root(text) == root

    @pytest.mark.parametrize("text", ["", "1SPX", "SPX W", "SPX/W", "../SPX", "SPXW_QUOTE", "ABCDEFGHIJK", "*"])
    def test_what_cannot_be_a_root_is_refused(self, text: str) -> None:
        """Nothing gets through that could mean another path or another unit."""
        with pytest.raises(ConfigError, match="is not an option root"):
            parse_root(text)


class TestScope:
    """What was asked for of a day."""

    @pytest.mark.parametrize(("dte", "inside"), [(-1, False), (0, True), (60, True), (61, False)])
    def test_max_dte_counts_calendar_days_with_both_ends(self, dte: int, inside: bool) -> None:
        """The day itself and the last day belong to it."""
        assert Scope(60).covers(TRADE_DATE, TRADE_DATE + timedelta(dte)) is inside

    def test_named_expirations_overrule_max_dte(self) -> None:
        """Only they are wanted, however far away."""
        far = date(2026, 12, 18)
        assert Scope(0, (far,)).covers(TRADE_DATE, far)
        assert not Scope(60, (far,)).covers(TRADE_DATE, TRADE_DATE)

    scopes = st.builds(
        Scope,
        max_dte=st.integers(0, 4),
        expirations=st.lists(st.integers(-1, 5), max_size=3, unique=True).map(
            lambda dtes: tuple(TRADE_DATE + timedelta(dte) for dte in sorted(dtes))
        ),
    )

    @given(scopes, scopes)
    def test_a_scope_within_another_is_covered_by_it(self, inner: Scope, outer: Scope) -> None:
        """A verdict on the outer one speaks of every expiration of the inner one."""
        if inner.within(outer, TRADE_DATE):
            for dte in range(-3, 8):
                day = TRADE_DATE + timedelta(dte)
                assert outer.covers(TRADE_DATE, day) or not inner.covers(TRADE_DATE, day)

    @given(scopes)
    def test_a_scope_is_within_itself(self, scope: Scope) -> None:
        """Asking the same again asks for nothing more."""
        assert scope.within(scope, TRADE_DATE)

    def test_everything_is_not_within_a_few_expirations(self) -> None:
        """Even if they are all there are today: what is listed changes."""
        assert not Scope(0).within(Scope(60, (TRADE_DATE,)), TRADE_DATE)
        assert Scope(60, (TRADE_DATE,)).within(Scope(0), TRADE_DATE)


class TestValues:
    """How the words hang together."""

    def test_a_unit_knows_its_day_and_the_day_its_units(self) -> None:
        """They are each other's inverse."""
        unit = a_unit()
        assert unit.day == a_day()
        assert unit.day.unit(unit.expiration) == unit

    def test_a_unit_reads_well(self) -> None:
        """In messages it stands as a person would say it."""
        assert str(a_unit()) == "2024-01-16 SPXW greeks 1m exp 2024-01-19"
        assert str(a_unit(expiration=None)) == "2024-01-16 SPXW greeks 1m"

    def test_a_contract_reads_well(self) -> None:
        """Strikes without needless zeros."""
        assert str(Contract(EXPIRATION, 4702.5, Right.PUT)) == "2024-01-19 4702.5 PUT"

    def test_a_contract_list_splits_by_expiration(self) -> None:
        """Expirations are nearest first; None means all contracts."""
        listed = a_contract_list(strikes=(100.0, 200.0), expirations=(EXPIRATION, TRADE_DATE))
        assert listed.expirations() == (TRADE_DATE, EXPIRATION)
        assert listed.of(None) == frozenset(listed.contracts)
        assert len(listed.of(EXPIRATION)) == 4
        assert listed.of(date(2030, 1, 1)) == frozenset()

    def test_two_contract_lists_have_together_what_either_has(self) -> None:
        """Sorted, each contract once, as new as the newer one."""
        one, other = a_contract_list(strikes=(100.0, 200.0)), a_contract_list(strikes=(200.0, 300.0), fetched_at=LATER)
        assert one.joined(other) == a_contract_list(strikes=(100.0, 200.0, 300.0), fetched_at=LATER)
        assert one.joined(one) == one

    def test_outages_and_gaps_make_partial_and_notes_do_not(self) -> None:
        """Of a hole, and of the outcome that has it."""
        assert {hole.kind: hole.partial for hole in (an_outage(), a_gap(), a_note())} == {
            HoleKind.OUTAGE: True,
            HoleKind.GAP: True,
            HoleKind.NOTE: False,
        }
        assert not stored(holes=(a_note(),)).partial
        assert replace(stored(), holes=(a_note(), a_gap())).partial
