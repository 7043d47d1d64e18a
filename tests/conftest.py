"""Fixtures for all tests: an emulated Terminal, and the folder of recorded data."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from spxdata.emulator import Emulator

# How long an example takes says something of the machine, not of the code. CI tries the same ones every time: what a
# search finds there by chance would be laid at the door of a change that has nothing to do with it.
settings.register_profile("spxdata", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("spxdata")

ROOT = Path(__file__).parent.parent

#: Property of the tests on recorded data.
RECORDED = "recorded data"


def reference_folder() -> Path:
    """Return where recorded data should lie: SPXDATA_REFERENCE, relative to the checkout."""
    return (ROOT / os.environ.get("SPXDATA_REFERENCE", "../shared")).resolve()


@pytest.fixture(scope="session")
def reference() -> Path:
    """Return the folder of recorded data; skip where it is absent."""
    folder = reference_folder()
    if not (folder / "realdata").is_dir():
        pytest.skip(f"no recorded data at {folder}: set SPXDATA_REFERENCE to its folder")
    return folder


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """Return a small emulated Terminal on a free port, shared by the tests of a process."""
    with Emulator(chain="small", seed=1) as terminal:
        yield terminal


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that asks for recorded data; the property is what is counted, for it comes with the report."""
    for item in items:
        if "reference" in getattr(item, "fixturenames", ()):
            item.add_marker("reference")
            item.user_properties.append((RECORDED, True))


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that tests recorded, and how many tests on recorded data ran: a skip is never acceptance."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "figure" and report.when == "call":
                terminalreporter.write_line(str(value))
    ran = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        if (RECORDED, True) in map(tuple, report.user_properties) and report.when == "call"
    ]
    skipped = [r for r in terminalreporter.getreports("skipped") if (RECORDED, True) in map(tuple, r.user_properties)]
    terminalreporter.write_line(
        f"Tests on recorded data: {len(ran)} ran, {len(skipped)} skipped (SPXDATA_REFERENCE={reference_folder()})"
    )
