"""What the log says of each event: every class has an entry, and every entry fits its events."""

from dataclasses import fields, replace

import pytest

from spxdata import events
from spxdata.config import LEVELS
from spxdata.events import AttemptFailed, DayFinished, Event, RunFinished, UnitRecorded
from spxdata.observe.levels import ENDINGS, ENTRIES, Level
from spxdata.observe.records import Header, Recorder
from tests.builders import NOW, a_gap, empty, failed, refused, stored
from tests.test_events import EXAMPLES, STATUS

FINISHED = RunFinished(1, 0, 2, 10, 20, 30, 4.5, 0)


def test_every_class_of_events_has_an_entry() -> None:
    """Whoever adds an event says how urgent it is, and who speaks."""
    kinds = {kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Event)}
    assert ENTRIES.keys() == kinds - {Event}


def test_levels_are_the_settings_words() -> None:
    """In this order."""
    assert tuple(level.name.lower() for level in Level) == LEVELS
    assert list(Level) == sorted(Level)


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_every_event_is_told_in_words(event: Event) -> None:
    """On one line that says more than the class's name."""
    entry = ENTRIES[type(event)]
    assert entry.words(event).strip()
    assert "\n" not in entry.words(event)
    assert entry.service
    assert entry.operation


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_no_field_of_an_event_hides_one_of_the_record(event: Event) -> None:
    """Each stands in the record as it is."""
    record = Recorder(Header.of(("download",), NOW, "x"))(event, NOW).values
    plain = events.as_record(event, NOW)
    assert {field.name: record[field.name] for field in fields(event)} == {
        field.name: plain[field.name] for field in fields(event)
    }
    assert not {field.name for field in fields(event)} & {
        "level",
        "event",
        "run_id",
        "correlation_id",
        "service",
        "operation",
        "command",
        "parameters",
        "hint",
    }


@pytest.mark.parametrize(
    ("event", "level"),
    [
        (UnitRecorded(stored()), Level.INFO),
        (UnitRecorded(stored(holes=(a_gap(),))), Level.WARN),
        (UnitRecorded(empty()), Level.INFO),
        (UnitRecorded(refused()), Level.WARN),
        (UnitRecorded(failed()), Level.ERROR),
        (DayFinished(STATUS), Level.WARN),
        (DayFinished(replace(STATUS, verdict=None)), Level.INFO),
        (DayFinished(replace(STATUS, status="failed", error="cut off")), Level.ERROR),
        (FINISHED, Level.INFO),
        (replace(FINISHED, exit_code=1), Level.ERROR),
    ],
)
def test_urgency_follows_how_it_went(event: Event, level: Level) -> None:
    """The same event is good news or bad news."""
    assert ENTRIES[type(event)].urgency(event) is level


def test_the_last_try_and_one_that_is_repeated_are_told_apart() -> None:
    """By the wait."""
    told = ENTRIES[AttemptFailed].words
    unit = failed().unit
    assert "next in 2.0 s" in told(AttemptFailed(unit, 1, "SPX-T003", "cut", 2.0))
    assert "no other follows" in told(AttemptFailed(unit, 4, "SPX-T003", "cut", None))


def test_every_end_of_a_run_has_a_level() -> None:
    """The last row takes what no other does."""
    assert ENDINGS[-1][0] is BaseException
