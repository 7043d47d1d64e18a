"""The log of a run: what happened, line by line, and no more of it than is wanted."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from spxdata import Emulator, download
from spxdata.errors import NotWritable
from spxdata.events import DayClosed, Event, Received, RunStarted
from spxdata.layout import LOGS
from spxdata.observe.log import KEPT, RunLog, both
from tests.builders import FakeClock, a_unit


def test_events_are_lines_as_they_happen(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "logs", FakeClock())
    log(RunStarted((date(2024, 1, 15),)))
    log(Received(a_unit(), 10))
    log(DayClosed(date(2024, 1, 15), "Martin Luther King Jr. Day"))
    (path,) = (tmp_path / "logs").iterdir()
    lines = [json.loads(line) for line in path.read_text().splitlines()]  # before it is closed
    assert [line["event"] for line in lines] == ["run_started", "day_closed"]
    assert lines[1]["reason"] == "Martin Luther King Jr. Day"
    log.close()


def test_without_events_there_is_no_file(tmp_path: Path) -> None:
    RunLog(tmp_path / "logs", FakeClock()).close()
    assert list(tmp_path.iterdir()) == []


def test_the_oldest_of_too_many_logs_go(tmp_path: Path) -> None:
    clock = FakeClock()
    for _ in range(KEPT + 5):
        clock.advance(timedelta(seconds=1).total_seconds())
        log = RunLog(tmp_path, clock)
        log(RunStarted(()))
        log.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == KEPT
    assert names[-1] == f"{clock.now():%Y%m%dT%H%M%S%f}.ndjson"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotWritable, match="file"):
        RunLog(tmp_path / "file" / "logs", FakeClock())(RunStarted(()))


def test_both_are_told_in_order() -> None:
    told: list[str] = []

    def first(_: Event) -> None:
        told.append("first")

    both(first, lambda _: told.append("second"))(RunStarted(()))
    assert told == ["first", "second"]


def test_a_download_leaves_its_log_in_the_archive(emulator: Emulator, tmp_path: Path) -> None:
    download("2024-01-16", terminal=emulator.url, data_dir=tmp_path, datasets=("quote",), environ={})
    (path,) = (tmp_path / LOGS).iterdir()
    events = [json.loads(line)["event"] for line in path.read_text().splitlines()]
    assert events[0] == "run_started"
    assert events[-1] == "run_finished"
    assert "unit_recorded" in events
