"""A request that is too large comes in parts that are the whole again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata import Emulator
from spxdata.emulator import Fault
from spxdata.errors import NoData, TooLarge
from spxdata.terminal.asking import Line
from spxdata.terminal.split import Bodies, Window, parts
from spxdata.terminal.v2 import V2Terminal
from spxdata.terminal.v3 import V3Terminal
from tests.builders import FakeClock, a_unit


@given(st.integers(1, 500), st.sampled_from([1, 5, 15]), st.integers(1, 60))
def test_every_point_is_asked_for_once(points: int, step: int, most: int) -> None:
    window = Window(570, 570 + (points - 1) * step)
    got: list[int] = []

    def bodies(part: Window) -> Bodies:
        minutes = range(part.first, part.last + 1, step)
        if len(minutes) > most:
            raise TooLarge("570")
        got.extend(minutes)
        yield iter([b"row\n"])

    def by_strike(_: Window) -> Bodies:
        raise AssertionError

    assert len(list(parts(window, step, bodies, by_strike))) >= 1
    assert got == list(range(window.first, window.last + 1, step))


def test_one_point_that_is_too_large_is_asked_for_by_strike_and_a_part_without_rows_is_none() -> None:
    asked: list[Window] = []

    def bodies(part: Window) -> Bodies:
        if part.first == 571:
            raise NoData("nothing here")
        if part.first <= 570:
            raise TooLarge("570")
        yield iter(())

    def by_strike(part: Window) -> Bodies:
        asked.append(part)
        yield iter([b"row\n"])

    assert len(list(parts(Window(570, 571), 1, bodies, by_strike))) == 1
    assert asked == [Window(570, 570)]


@pytest.mark.parametrize("dialect", ["v2", "v3"])
@pytest.mark.parametrize("struck", [1, "1-3"])
def test_a_unit_in_parts_equals_the_unit_in_one_piece(dialect: str, struck: object) -> None:
    """As sets of lines: parts come minute range by minute range."""
    fault = {"do": "status", "status": 570, "dataset": "quote", "nth": struck}

    def lines(faults: list[Fault | dict[str, object]]) -> list[bytes]:
        with Emulator(dialect=dialect, faults=faults, page_rows=3000) as emulator:
            line = Line(emulator.url, dialect)
            terminal = V2Terminal(line, FakeClock()) if dialect == "v2" else V3Terminal(line, FakeClock())
            with terminal.fetch(a_unit(dataset="quote")) as reply:
                return sorted(b"".join(reply.chunks()).splitlines())

    whole = lines([])
    assert len(whole) > 1000
    assert lines([fault]) == whole
