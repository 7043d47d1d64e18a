from dataclasses import replace
from datetime import date
from itertools import pairwise

import pytest

from spxdata.emulator.faults import Fault
from spxdata.emulator.reply import Asked
from spxdata.emulator.script import Script, matches

ASKED = Asked(
    dialect="v2",
    path="/hist/option/quote",
    dataset="quote",
    key="a",
    root="SPXW",
    day=date(2024, 1, 16),
    expiration=date(2024, 1, 19),
    strike=4_752_500,
    right="C",
    page=1,
)


@pytest.mark.parametrize(
    ("fits", "does_not"),
    [
        ({"dialect": "v2"}, {"dialect": "v3"}),
        ({"path": "/hist/option/quote"}, {"path": "/hist/option"}),
        ({"path": "/hist/*"}, {"path": "/list/*"}),
        ({"dataset": "quote"}, {"dataset": "greeks"}),
        ({"root": "SPXW"}, {"root": "SPX"}),
        ({"date": "2024-01-16"}, {"date": "2024-01-17"}),
        ({"expiration": "2024-01-19"}, {"expiration": "2024-01-16"}),
        ({"strike": 4752.5}, {"strike": 4752}),
        ({"right": "C"}, {"right": "P"}),
        ({"page": 1}, {"page": 2}),
    ],
)
def test_every_key_that_is_given_must_fit(fits: dict[str, object], does_not: dict[str, object]) -> None:
    assert matches(Fault("zero_bytes", **fits), ASKED)  # type: ignore[arg-type]
    assert not matches(Fault("zero_bytes", **does_not), ASKED)  # type: ignore[arg-type]
    assert not matches(Fault("zero_bytes", **{**fits, **does_not, "root": "NDX"}), ASKED)  # type: ignore[arg-type]


@pytest.mark.parametrize(("do", "pages"), [("repeat_page", [2, 3]), ("expire_page", [2, 3]), ("skip_page", [1, 2, 3])])
def test_faults_of_pages_concern_pages_only(do: str, pages: list[int]) -> None:
    found = [page for page in (None, 1, 2, 3) if matches(Fault(do), replace(ASKED, page=page))]
    assert found == pages


@pytest.mark.parametrize(
    ("when", "struck"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"nth": 2}, [2]),
        ({"nth": [1, 5]}, [1, 5]),
        ({"nth": "2-4"}, [2, 3, 4]),
        ({"every": 3}, [3, 6]),
        ({"from_nth": 5}, [5, 6]),
        ({"share": 0.0}, []),
        ({"share": 1.0}, [1, 2, 3, 4, 5, 6]),
    ],
)
def test_which_of_the_matching_requests_are_struck(when: dict[str, object], struck: list[int]) -> None:
    script = Script([Fault("zero_bytes", dataset="quote", **when)])  # type: ignore[arg-type]
    other = replace(ASKED, dataset="greeks")
    found = []
    for number in range(1, 7):
        assert script.strike(other, 0) is None
        if script.strike(ASKED, 0):
            found.append(number)
    assert found == struck


def test_the_first_fault_strikes_and_a_request_counts_for_all() -> None:
    first, second = Fault("zero_bytes", nth=1), Fault("header_only", nth=2)
    script = Script([first, second])
    assert [script.strike(ASKED, 0) for _ in range(3)] == [first, second, None]


def test_a_share_follows_from_the_seed_and_the_question_not_from_the_order() -> None:
    faults = [Fault("zero_bytes", share=0.2, seed=7)]
    questions = [replace(ASKED, key=str(number)) for number in range(1000)]

    def struck(order: list[Asked], faults: list[Fault]) -> set[str]:
        script = Script(faults)
        return {asked.key for asked in order if script.strike(asked, 0)}

    found = struck(questions, faults)
    assert found == struck(questions[::-1], faults)
    assert found != struck(questions, [Fault("zero_bytes", share=0.2, seed=8)])
    assert 150 < len(found) < 250


def test_a_question_asked_again_is_drawn_again() -> None:
    script = Script([Fault("zero_bytes", share=0.5, seed=1)])
    drawn = [bool(script.strike(ASKED, 0)) for _ in range(50)]
    assert {True, False} == set(drawn)
    assert any(one != other for one, other in pairwise(drawn))


def test_starting_ends_with_time_or_with_requests() -> None:
    timed = Script([Fault("starting", seconds=45)])
    assert timed.strike(ASKED, 44.9) is not None
    assert timed.strike(ASKED, 45) is None
    counted = Script([Fault("starting", requests=2)])
    assert [counted.strike(ASKED, 1e9) is None for _ in range(4)] == [False, False, True, True]
