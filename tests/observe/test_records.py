"""Records: of which run, of which piece of work, since when, and what to do about it."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.errors import ArchiveBusy, DiskFull, SpxDataError
from spxdata.events import (
    AttemptFailed,
    AttemptStarted,
    DayClosed,
    DayFinished,
    DayPlanned,
    Event,
    FileAdopted,
    RunStarted,
    UnitRecorded,
)
from spxdata.observe.levels import Level
from spxdata.observe.records import ADVICE, Header, Record, Recorder, run_id
from tests.builders import NOW, TRADE_DATE, a_day, a_unit, failed, stored
from tests.test_events import EXAMPLES, STATUS

HEADER = Header.of(("download", "--date", "2024-01-16"), NOW, "9f3c")
OTHER = a_unit(expiration=TRADE_DATE)


def told(*events: Event) -> list[Record]:
    """Return the records of events, a second apart."""
    recorder = Recorder(HEADER)
    return [recorder(event, NOW + timedelta(seconds=number)) for number, event in enumerate(events)]


def correlations(*events: Event) -> list[str | None]:
    """Return which piece of work each of some events belongs to, by the second in which that work began."""
    ids = [record.values["correlation_id"] for record in told(*events)]
    assert all(text is None or text.startswith("20240116-20240117T1230") for text in ids)
    return [text and text[22:24] for text in ids]


def test_a_header_names_run_command_and_version() -> None:
    """All that the records after it leave out."""
    values = HEADER.record().values
    assert values["event"] == "run"
    assert values["run_id"] == "20240117T123015.250001Z-9f3c"
    assert (values["command"], values["parameters"]) == ("download", ["--date", "2024-01-16"])
    assert values["started_at"] == NOW.isoformat()
    assert values["version"]
    assert values["schema_version"] == 1


@given(*[st.datetimes(datetime(2000, 1, 1), timezones=st.timezones())] * 2)  # noqa: DTZ001 - the zones are drawn
def test_the_names_of_runs_sort_by_their_beginnings(one: Any, other: Any) -> None:
    """Whatever the time zone of the clock."""
    if one.timestamp() < other.timestamp():
        assert run_id(one, "ffff") < run_id(other, "0000")


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_a_record_says_who_when_and_what(event: Event) -> None:
    """As JSON that reads back the same."""
    (record,) = told(event)
    assert json.loads(json.dumps(record.values)) == record.values
    assert list(record.values)[:10] == [
        "schema_version",
        "at",
        "level",
        "event",
        "run_id",
        "correlation_id",
        "service",
        "operation",
        "command",
        "parameters",
    ]
    assert record.values["level"] == record.level.name.lower()


def test_a_units_work_goes_from_its_first_try_to_its_outcome() -> None:
    """Its second try belongs to the same work; fetched anew later, it is another."""
    unit = a_unit()
    began = correlations(
        RunStarted((TRADE_DATE,)),
        DayPlanned(a_day(), (unit, OTHER), 0),
        AttemptStarted(unit, 1),
        AttemptStarted(OTHER, 1),
        AttemptFailed(unit, 1, "SPX-T003", "cut", 1.0),
        AttemptStarted(unit, 2),
        UnitRecorded(stored(unit)),
        UnitRecorded(stored(OTHER)),
        DayFinished(STATUS),
        AttemptStarted(unit, 1),
    )
    assert began == [None, "16", "17", "18", "17", "17", "17", "18", "16", "24"]


def test_what_happens_to_a_unit_that_is_not_fetched_belongs_to_its_day() -> None:
    """A file that is found, or a fact that settles it."""
    assert correlations(
        DayPlanned(a_day(), (), 0), FileAdopted(a_unit(), "x"), UnitRecorded(stored(a_unit())), DayFinished(STATUS)
    ) == ["15", "15", "15", "15"]


def test_a_closed_day_is_work_of_a_moment() -> None:
    """It has no plan before it."""
    assert correlations(DayClosed(TRADE_DATE, "holiday"), DayFinished(STATUS)) == ["15", "16"]


def test_failures_have_code_message_and_hint() -> None:
    """A unit's outcome too, where they lie deeper."""
    first, last = told(AttemptFailed(a_unit(), 1, "SPX-T003", "cut", 1.0), UnitRecorded(failed()))
    assert (first.values["code"], first.values["message"]) == ("SPX-T003", "cut")
    assert last.values["code"] == "SPX-T003"
    assert last.values["message"] == failed().reason
    for record in (first, last):
        assert record.values["hint"] == ADVICE["SPX-T003"] != ""
        assert record.words.endswith("[SPX-T003]")


@pytest.mark.parametrize(
    ("error", "event", "level"),
    [
        (ArchiveBusy("busy"), "run_failed", Level.ERROR),
        (DiskFull("full"), "run_failed", Level.FATAL),
        (KeyboardInterrupt(), "run_interrupted", Level.WARN),
        (ZeroDivisionError("a mistake"), "run_failed", Level.FATAL),
    ],
)
def test_what_ends_a_run_is_a_record(error: BaseException, event: str, level: Level) -> None:
    """Ours with code and hint, a mistake with the way that led there."""
    record = Recorder(HEADER).ended(error, NOW)
    assert (record.values["event"], record.level) == (event, level)
    assert record.values["message"]
    if isinstance(error, SpxDataError):
        assert (record.values["code"], record.values["hint"]) == (error.code, error.advice)
    assert ("ZeroDivisionError" in record.values.get("traceback", "")) == isinstance(error, ZeroDivisionError)


def test_what_looks_like_a_credential_is_masked_wherever_it_lies() -> None:
    """In the command line, in a message, in an outcome."""
    header = Header.of(("download", "--api-key", "hunter2", "--x=http://me:hunter2@host"), NOW, "x")
    recorder = Recorder(header)
    outcome = failed(reason="refused: token=hunter2")
    records = (
        header.record(),
        recorder(UnitRecorded(outcome), NOW),
        recorder.ended(ArchiveBusy("http://me:hunter2@host"), NOW),
        recorder.ended(RuntimeError("password: hunter2"), NOW),
    )
    for record in records:
        assert "hunter2" not in json.dumps(record.values)
        assert "hunter2" not in record.words
        assert "***" in json.dumps(record.values)
