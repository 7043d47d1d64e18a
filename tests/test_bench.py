"""What the bench makes of measurements; the measurements themselves decide no test."""

import functools
import importlib

import pytest
from bench.figures import Figure, table
from bench.run import SECTIONS, moved, newest
from bench.stages import PLACES


def test_a_ratio_that_moved_by_more_than_15_percent_is_named() -> None:
    """Up or down; one that is new is compared with nothing."""
    before = {"slower": 1.0, "faster": 1.0, "same": 2.0}
    now = {name: Figure.of([value]) for name, value in (("slower", 1.2), ("faster", 0.8), ("same", 2.2), ("new", 9.0))}
    assert moved(before, now) == ["slower: 1.00 before, 1.20 now (+20%)", "faster: 1.00 before, 0.80 now (-20%)"]


def test_a_figure_is_a_median_with_its_spread() -> None:
    """The spread is left out where there is none."""
    assert str(Figure.of([3.0, 1.0, 2.0])) == "2.00 (1.00 to 3.00)"
    assert str(Figure.of([2.0])) == "2.00"


def test_a_table_is_markdown() -> None:
    """Figures to the right."""
    assert table(("what", "s"), [("a", "1")]) == "| what | s |\n| --- | ---: |\n| a | 1 |"


def test_the_newest_results_have_every_section() -> None:
    """So that the documentation made from them is whole, and `make bench-quick` has something to compare with."""
    found = newest()
    assert found is not None
    assert found["sections"].keys() == SECTIONS.keys()
    assert found["quick"]


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, name, _ in PLACES])
def test_a_stage_begins_where_the_profile_looks_for_it(module: str, name: str) -> None:
    """So that a function that gets another name does not fall out of the profile unseen."""
    assert callable(functools.reduce(getattr, name.split("."), importlib.import_module(module)))
