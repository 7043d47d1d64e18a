"""docs/errors.md explains every error, and says of it what its class says."""

import importlib.util
import re
from types import ModuleType

import pytest

from spxdata import errors
from spxdata.errors import SpxDataError
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")


def script() -> ModuleType:
    """Return scripts/make_docs.py as a module."""
    spec = importlib.util.spec_from_file_location("make_docs", ROOT / "scripts" / "make_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKE_DOCS = script()
#: Every class whose objects are raised: none has subclasses but StorageError, which is raised itself.
KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type)
    and issubclass(kind, SpxDataError)
    and (not kind.__subclasses__() or kind is errors.StorageError)
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_section_with_code_exit_code_and_advice(kind: type[SpxDataError]) -> None:
    section = re.search(rf"^## {kind.code}\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)
    assert section is not None, f"docs/errors.md lacks {kind.code}"
    assert f"**{kind.__name__}**, exit code {kind.exit_code}," in section[1]
    assert kind.advice in section[1]
    assert "What to do: " in section[1]


def test_codes_are_stable_names_of_one_error_each() -> None:
    """So that a section can be found by them."""
    codes = [kind.code for kind in KINDS]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"SPX-[A-Z]\d{3}", code) for code in codes)


def test_the_document_as_it_is_lacks_nothing() -> None:
    assert MAKE_DOCS.unexplained(TEXT) == []


def test_a_section_that_is_missing_double_empty_or_of_no_error_is_found() -> None:
    """What `make check` would say."""
    facts = "<!-- generated: error:SPX-A001 -->\nx\n<!-- end -->\n"
    whole = f"## SPX-A001\n\n{facts}\nBecause.\n\n"
    assert "SPX-A001 has no section that explains it" not in MAKE_DOCS.unexplained(whole)
    assert "SPX-A001 has no section that explains it" in MAKE_DOCS.unexplained(f"## SPX-A001\n\n{facts}\n")
    assert "SPX-A001 has no section that explains it" in MAKE_DOCS.unexplained("")
    assert "SPX-A001 has 2 sections" in MAKE_DOCS.unexplained(whole * 2)
    assert "SPX-X999 is no error's code" in MAKE_DOCS.unexplained(whole.replace("A001", "X999"))


def test_links_to_sections_lead_to_them() -> None:
    """From every document."""
    anchors = {heading.lower() for heading in re.findall(r"^## (\S+)$", TEXT, re.MULTILINE)}
    for path in (ROOT / "docs").glob("*.md"):
        for anchor in re.findall(r"\]\(errors\.md#([^)]+)\)", path.read_text(encoding="utf-8")):
            assert anchor in anchors, f"{path.name}: {anchor}"
