"""A sample of every class of the fault suite; `make faults` tries all of it."""

from pathlib import Path

import pytest

from tests.faults.cases import CASES
from tests.faults.suite import Case, Skipped, World, make_world

SAMPLE = [case for case in CASES if case.sampled]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return a market, and what an undisturbed run makes of it."""
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("case", SAMPLE, ids=lambda case: f"{case.kind}: {case.name}")
def test_an_archive_survives(case: Case, world: World, tmp_path: Path) -> None:
    """No partial file has a final name, the catalog is on the disk, the next run ends as if nothing had happened."""
    try:
        assert case.run(world, tmp_path / "archive") == 0
    except Skipped as reason:
        pytest.skip(str(reason))


def test_the_sample_has_a_case_of_every_class_but_the_long_one() -> None:
    """A class that only `make faults` tries would be broken for long before anybody noticed."""
    kinds = {case.kind for case in CASES if case.kind != "kill at random"}
    assert {case.kind for case in SAMPLE} == kinds


def test_no_two_cases_have_the_same_name() -> None:
    """Figures count cases: one that stands there twice by mistake would be counted twice."""
    names = [f"{case.kind}: {case.name}" for case in CASES]
    assert len(names) == len(set(names))
