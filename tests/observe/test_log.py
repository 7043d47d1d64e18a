"""The log of a run: what happened, line by line, no more of it than is wanted, and never the end of the run itself."""

import errno
import io
import json
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata import Emulator, download
from spxdata.config import LEVELS, LogSettings
from spxdata.errors import ArchiveBusy, DiskFull, NotWritable
from spxdata.events import AttemptFailed, AttemptStarted, DayClosed, Event, Received, RunStarted
from spxdata.layout import RUNS
from spxdata.observe.levels import Level
from spxdata.observe.log import KEPT, RunLog, Sink, as_json, as_text, both, to_file, to_stream, warned
from spxdata.observe.records import Header, Record
from tests.builders import FakeClock, a_unit

STARTED = RunStarted((date(2024, 1, 15),))
CLOSED = DayClosed(date(2024, 1, 15), "Martin Luther King Jr. Day")
FULL = Path("/dev/full")  # opens, and takes nothing


def a_log(
    folder: Path,
    wanted: LogSettings | None = None,
    *,
    clock: FakeClock | None = None,
    stderr: Any = None,
    complain: Callable[[str], None] = warned,
) -> RunLog:
    """Return the log of a run."""
    clock = clock or FakeClock()
    header = Header.of(("download", "--date", "2024-01-15"), clock.now(), "9f3c")
    return RunLog(folder / "runs", wanted or LogSettings(), header, clock, stderr=stderr, complain=complain)


def own(folder: Path) -> list[dict[str, Any]]:
    """Return the records of the one run that a folder has a log of."""
    (path,) = (folder / "runs").iterdir()
    return [json.loads(line) for line in path.read_text().splitlines()]


def names(records: list[dict[str, Any]]) -> list[Any]:
    """Return the events of records."""
    return [record["event"] for record in records]


@contextmanager
def full_after(lines: int) -> Iterator[io.StringIO]:
    """Give a stream that takes some lines and then no more."""

    class Filling(io.StringIO):
        def write(self, text: str) -> int:
            if self.getvalue().count("\n") >= lines:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(text)

    with Filling() as stream:
        yield stream


def test_events_are_lines_as_they_happen(tmp_path: Path) -> None:
    with a_log(tmp_path) as log:
        log(STARTED)
        log(Received(a_unit(), 10))
        log(CLOSED)
        records = own(tmp_path)  # before it is closed
    assert names(records) == ["run", "run_started", "day_closed"]
    assert records[2]["reason"] == "Martin Luther King Jr. Day"


def test_the_header_alone_says_what_all_records_share(tmp_path: Path) -> None:
    with a_log(tmp_path) as log:
        log(STARTED)
    header, record = own(tmp_path)
    assert header["run_id"] == next((tmp_path / "runs").iterdir()).stem
    assert (header["command"], header["parameters"]) == ("download", ["--date", "2024-01-15"])
    assert not {"run_id", "command", "parameters"} & record.keys()


def test_the_oldest_of_too_many_logs_go(tmp_path: Path) -> None:
    clock = FakeClock()
    for _ in range(KEPT + 5):
        clock.advance(1)
        with a_log(tmp_path, clock=clock):
            pass
    found = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert len(found) == KEPT
    assert found[-1] == f"{Header.of((), clock.now(), '9f3c').run_id}.ndjson"


def test_logs_and_their_folder_are_their_owners_alone(tmp_path: Path) -> None:
    with a_log(tmp_path, LogSettings(file=tmp_path / "mine.log")):
        pass
    (path,) = (tmp_path / "runs").iterdir()
    modes = [stat.S_IMODE(found.stat().st_mode) for found in (path, tmp_path / "mine.log", tmp_path / "runs")]
    assert modes == [0o600, 0o600, 0o700]


def test_a_folder_that_cannot_be_written_is_named_at_the_beginning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotWritable, match="file"), a_log(tmp_path / "file"):
        pytest.fail("the run began")


def test_a_log_that_cannot_be_written_is_named_at_the_beginning(tmp_path: Path) -> None:
    wanted = LogSettings(file=tmp_path / "nowhere" / "x.log")
    with pytest.raises(NotWritable, match="nowhere") as caught, a_log(tmp_path, wanted):
        pytest.fail("the run began")
    assert "--log-file" in caught.value.hint
    with pytest.raises(NotWritable, match="stderr is closed"), a_log(tmp_path, LogSettings(format="json")):
        pytest.fail("the run began")


@pytest.mark.skipif(not FULL.exists(), reason="the system has no such device")
def test_a_disk_that_is_full_is_told_at_the_beginning(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match="/dev/full"), a_log(tmp_path, LogSettings(file=FULL)):
        pytest.fail("the run began")


def test_what_is_wrong_at_the_beginning_stands_in_the_log_that_works(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    stderr = io.StringIO()
    with pytest.raises(NotWritable), a_log(tmp_path / "file", LogSettings(format="json"), stderr=stderr):
        pytest.fail("the run began")
    records = [json.loads(line) for line in stderr.getvalue().splitlines()]
    assert names(records) == ["run", "run_failed"]
    assert records[1]["code"] == NotWritable.code


def test_a_log_that_fails_later_ends_once_and_the_others_say_so(tmp_path: Path) -> None:
    told: list[str] = []
    with (
        full_after(2) as stderr,
        a_log(tmp_path, LogSettings(format="json"), stderr=stderr, complain=told.append) as log,
    ):
        for _ in range(3):
            log(STARTED)
        written = [json.loads(line) for line in stderr.getvalue().splitlines()]
    assert names(written) == ["run", "run_started"]
    assert names(own(tmp_path)) == ["run", "run_started", "log_ended", "run_started", "run_started"]
    (words,) = told
    assert words == "A log ends here, the run goes on: stderr: No space left on device [SPX-S001]"


def test_a_stream_that_was_closed_meanwhile_ends_its_log(tmp_path: Path) -> None:
    stderr, told = io.StringIO(), list[str]()
    with a_log(tmp_path, LogSettings(format="text"), stderr=stderr, complain=told.append) as log:
        stderr.close()
        log(STARTED)
    assert len(told) == 1


def test_from_python_the_end_of_a_log_is_a_warning(tmp_path: Path) -> None:
    with full_after(1) as stderr, a_log(tmp_path, LogSettings(format="json"), stderr=stderr) as log:
        with pytest.warns(RuntimeWarning, match="the run goes on"):
            log(STARTED)
        log(STARTED)


@pytest.mark.parametrize(
    ("error", "event"), [(ArchiveBusy("held by another"), "run_failed"), (KeyboardInterrupt(), "run_interrupted")]
)
def test_what_ends_the_run_is_its_last_record_and_goes_on(tmp_path: Path, error: BaseException, event: str) -> None:
    with pytest.raises(type(error)), a_log(tmp_path):
        raise error
    assert names(own(tmp_path)) == ["run", event]


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_leaves_out_what_is_less_urgent(tmp_path: Path, level: str) -> None:
    stderr = io.StringIO()
    unit = a_unit()
    events: list[Event] = [
        Received(unit, 10),
        AttemptStarted(unit, 1),
        STARTED,
        AttemptFailed(unit, 1, "SPX-T003", "cut", 1.0),
    ]
    with suppress(DiskFull), a_log(tmp_path, LogSettings(format="json", level=level), stderr=stderr) as log:
        for event in events:
            log(event)
        raise DiskFull("no space")
    found = [json.loads(line)["level"] for line in stderr.getvalue().splitlines()]
    everything = ["info", "trace", "debug", "info", "warn", "fatal"]
    assert found == [name for name in everything if LEVELS.index(name) >= LEVELS.index(level)]


def test_a_file_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "mine.log"
    for number in range(2):
        with a_log(tmp_path / str(number), LogSettings(file=path)) as log:
            log(STARTED)
    lines = path.read_text().splitlines()
    assert len(lines) == 4
    assert lines[1] == (
        "INFO   2024-01-17T12:30:15.250001+00:00  downloader.run  The run begins: 2024-01-15 to 2024-01-15"
    )


def test_without_a_wish_there_is_only_the_archives_own(tmp_path: Path) -> None:
    stderr = io.StringIO()
    with a_log(tmp_path, stderr=stderr) as log:
        log(STARTED)
    assert stderr.getvalue() == ""


@given(st.text())
def test_a_record_is_one_line_whatever_stands_in_it(words: str) -> None:
    record = Record(Level.INFO, {"at": "now", "service": "a", "operation": "b", "event": "x", "message": words}, words)
    for line in (as_json(record), as_text(record)):
        assert line.endswith("\n")
        assert len(line.splitlines()) == 1
    assert json.loads(as_json(record))["message"] == words
    assert as_text(record)[:-1].isprintable()


def test_a_line_is_written_in_pieces_if_the_system_takes_no_more_at_once(tmp_path: Path) -> None:
    class Slow(io.FileIO):
        def write(self, data: Any) -> int:
            return super().write(data[:3])

    path = tmp_path / "x"
    with Slow(path, "w") as file:
        to_file(file, path)("eleven bytes\n")
    assert path.read_text() == "eleven bytes\n"


def test_a_sink_that_failed_is_not_written_to_again() -> None:
    with full_after(0) as stream:
        sink = Sink(to_stream(stream), as_json, Level.TRACE)
        record = Record(Level.INFO, {}, "")
        with pytest.raises(DiskFull):
            sink.take(record)
        sink.take(record)


def test_both_are_told_in_order() -> None:
    told: list[str] = []

    def first(_: Event) -> None:
        told.append("first")

    both(first, lambda _: told.append("second"))(RunStarted(()))
    assert told == ["first", "second"]


def test_a_download_leaves_its_log_in_the_archive(emulator: Emulator, tmp_path: Path) -> None:
    download("2024-01-16", terminal=emulator.url, data_dir=tmp_path, datasets=("quote",), environ={})
    (path,) = (tmp_path / RUNS).iterdir()
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert names(records)[:2] == ["run", "run_started"]
    assert names(records)[-1] == "run_finished"
    assert "unit_recorded" in names(records)
    assert records[0]["command"] == "spxdata.download"
    assert f"terminal.url={emulator.url}" in records[0]["parameters"]
    assert "datasets=quote" in records[0]["parameters"]


def test_settings_ask_for_a_log_from_python_too(emulator: Emulator, tmp_path: Path) -> None:
    environ = {"SPXDATA_LOG__FILE": str(tmp_path / "x.log"), "SPXDATA_LOG__FORMAT": "json"}
    download("2024-01-15", terminal=emulator.url, data_dir=tmp_path / "archive", environ=environ)
    records = [json.loads(line) for line in (tmp_path / "x.log").read_text().splitlines()]
    assert names(records) == ["run", "run_started", "day_closed", "run_finished"]
    assert {record["command"] for record in records} == {"spxdata.download"}
