"""The public face: few names, all there, all documented."""

import doctest
import importlib
import inspect

import pytest

import spxdata


def test_there_are_few_names_and_they_are_sorted() -> None:
    assert len(spxdata.__all__) <= 15
    assert spxdata.__all__ == sorted(spxdata.__all__)
    assert dir(spxdata) == spxdata.__all__


@pytest.mark.parametrize("name", spxdata.__all__)
def test_every_name_is_there_and_says_what_it_is(name: str) -> None:
    value = getattr(spxdata, name)
    assert isinstance(value, str) or inspect.getdoc(value)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = spxdata.nonsense


@pytest.mark.parametrize("module", ["config", "flags", "layout", "retry"])
def test_examples_in_docstrings_are_true(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"spxdata.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
