import json
import re
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from spxdata import events
from spxdata.events import (
    SCHEMA_VERSION,
    AttemptFailed,
    AttemptStarted,
    DayClosed,
    DayFinished,
    DayPlanned,
    Event,
    FileAdopted,
    FileRemoved,
    FileRenamed,
    GateChanged,
    ListsDiffer,
    Quarantined,
    Received,
    RunFinished,
    RunStarted,
    StoredAsFloat,
    TerminalUnusable,
    TerminalUsable,
    UnitRecorded,
    as_record,
    ignore,
    plain,
)
from spxdata.layout import path_of
from spxdata.model import DayStatus, Verdict
from tests.builders import NOW, TRADE_DATE, a_day, a_gap, a_note, a_scope, a_unit, an_outage, stored

UNIT = a_unit()
PATH = path_of(UNIT)
STATUS = DayStatus(a_day(), "success", Verdict.PARTIAL, a_scope(), started_at=NOW, ended_at=NOW, downloaded_at=NOW)

#: One of each.
EXAMPLES: tuple[Event, ...] = (
    RunStarted((TRADE_DATE, TRADE_DATE + timedelta(days=1))),
    DayClosed(TRADE_DATE, "Martin Luther King Jr. Day"),
    DayPlanned(a_day(), (UNIT, a_unit(expiration=None)), 3),
    ListsDiffer("SPXW", TRADE_DATE, "quote", (180, 330), 330),
    AttemptStarted(UNIT, 1),
    Received(UNIT, 1024),
    AttemptFailed(UNIT, 1, "SPX-T429", "busy", 1.5),
    TerminalUnusable("SPX-T001", "refuses connections", 5.0, 5.0),
    TerminalUsable(10.0),
    GateChanged(2),
    StoredAsFloat(UNIT, ("vega",)),
    FileRenamed(UNIT, PATH),
    FileAdopted(UNIT, PATH),
    FileRemoved(UNIT, PATH),
    Quarantined(UNIT, ".spxdata/quarantine/x"),
    UnitRecorded(stored(holes=(an_outage(), a_gap()))),
    DayFinished(STATUS),
    RunFinished(1, 0, 2, 10, 20, 30, 4.5, 0),
)

examples = pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)


def test_every_event_has_an_example() -> None:
    """A new event needs one above."""
    kinds = {kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Event)}
    assert {type(event) for event in EXAMPLES} == kinds - {Event}


@examples
def test_a_record_is_json(event: Event) -> None:
    """Nothing in it that only Python knows, and reading it back gives the same."""
    record = as_record(event, NOW)
    assert json.loads(json.dumps(record, allow_nan=False)) == record


@examples
def test_a_record_tells_name_moment_and_version(event: Event) -> None:
    """The name is the class's, in snake case."""
    record = as_record(event, NOW)
    assert record["schema_version"] == SCHEMA_VERSION
    assert datetime.fromisoformat(record["at"]) == NOW
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", record["event"])
    assert record["event"].replace("_", "") == type(event).__name__.lower()


@examples
def test_no_field_hides_another(event: Event) -> None:
    """Every field of the event stands in its record beside the three of every record."""
    assert len(as_record(event, NOW)) == 3 + len(event.__dataclass_fields__)


@examples
def test_events_are_frozen(event: Event) -> None:
    """Subscribers share them."""
    with pytest.raises((FrozenInstanceError, TypeError)):
        event.at = NOW  # type: ignore[attr-defined]


def test_notes_are_left_out_of_records() -> None:
    """They would outweigh everything else; outages and gaps stay."""
    record = as_record(UnitRecorded(stored(holes=(an_outage(), a_note(), a_gap()))), NOW)
    assert [hole["kind"] for hole in record["outcome"]["holes"]] == ["outage", "gap"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (TRADE_DATE, "2024-01-16"),
        (datetime(2024, 1, 16, 9, 30, tzinfo=timezone(timedelta(hours=-5))), "2024-01-16T09:30:00-05:00"),
        (datetime(2024, 1, 16, tzinfo=UTC), "2024-01-16T00:00:00+00:00"),
        ((1, "a", None), [1, "a", None]),
        ({"day": TRADE_DATE}, {"day": "2024-01-16"}),
        (a_day(), {"trade_date": "2024-01-16", "root": "SPXW", "dataset": "greeks", "interval": "1m"}),
        (Verdict.PARTIAL, "partial"),
        (1.5, 1.5),
    ],
    ids=repr,
)
def test_plain_gives_what_json_knows(value: Any, expected: Any) -> None:
    """Days and moments as ISO text, tuples as lists, named ones as objects."""
    assert json.loads(json.dumps(plain(value))) == expected


def test_the_default_subscriber_does_nothing() -> None:
    """For those who do not want to hear."""
    for event in EXAMPLES:
        ignore(event)
