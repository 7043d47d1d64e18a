"""The log of a run: each event as a line in the archive and, on request, in a log of one's own, as it happens."""

import json
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TextIO

from spxdata.config import LogSettings
from spxdata.errors import NotWritable, StorageError
from spxdata.events import Emit, Event
from spxdata.observe.levels import ENTRIES, Level
from spxdata.observe.records import HEADER, Header, Record, Recorder
from spxdata.protocols import Clock
from spxdata.storage.local import translated

#: How many runs' logs are kept.
KEPT: Final = 100

#: A log tells what was asked, where, and of whom: that is its owner's business.
_PRIVATE_FILE: Final = 0o600
_PRIVATE_FOLDER: Final = 0o700

#: What the first line of a run's own file says for all that follow.
_SAID_ONCE: Final = frozenset({"run_id", "command", "parameters"})

Write = Callable[[str], None]
Form = Callable[[Record], str]


class Sink:
    """Where lines go, until writing fails.

    Args:
        write: Writes a line.
        form: Makes the line of a record.
        least: The least urgent records to write.
    """

    def __init__(self, write: Write, form: Form, least: Level) -> None:
        self._write = write
        self._form = form
        self.least = least
        self.works = True

    def take(self, record: Record) -> None:
        """Write a record, unless it is not urgent enough or writing failed before.

        Raises:
            StorageError: Writing fails; it is not tried again.
        """
        if not self.works or record.level < self.least:
            return
        try:
            self._write(self._form(record))
        except StorageError:
            self.works = False
            raise


class RunLog:
    """A subscriber that logs the events of one run; use it as a context, which what ends the run passes through.

    The archive's own file takes all but the single pieces of replies. What cannot be written at the beginning is an
    error; what cannot be written later ends that log, not the run.

    Args:
        folder: Where the archive keeps the logs of its runs.
        wanted: The log that was asked for beside it.
        header: The run.
        clock: When events happen.
        stderr: The stream of a log without a file; None where it is closed.
        complain: Told, once for each log, that it had to end.
    """

    def __init__(
        self,
        folder: Path,
        wanted: LogSettings,
        header: Header,
        clock: Clock,
        *,
        stderr: TextIO | None,
        complain: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._wanted = wanted
        self._header = header
        self._clock = clock
        self._stderr = stderr
        self._complain = complain
        self._recorder = Recorder(header)
        self._sinks: list[Sink] = []
        self._least = Level.DEBUG
        self._files = ExitStack()

    def __enter__(self) -> Self:
        """Begin the logs.

        Raises:
            StorageError: One of them cannot be written.
        """
        try:
            if self._wanted.wanted:
                self._begin(self._asked_for())
            self._begin(self._own())
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        self._least = min(sink.least for sink in self._sinks)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Log what ended the run before its time, and give the files back."""
        with self._files:
            if error is not None:
                self._tell(self._recorder.ended(error, self._clock.now()))

    def __call__(self, event: Event) -> None:
        """Log an event."""
        if ENTRIES[type(event)].urgency(event) >= self._least:  # of the many pieces of replies no record is made
            self._tell(self._recorder(event, self._clock.now()))

    def _begin(self, sink: Sink) -> None:
        sink.take(self._header.record())
        self._sinks.append(sink)

    def _tell(self, record: Record) -> None:
        for sink in self._sinks:
            try:
                sink.take(record)
            except StorageError as error:
                ended = self._recorder.log_ended(error, self._clock.now())
                self._complain(ended.words)
                self._tell(ended)  # to the others: this one takes no more

    def _asked_for(self) -> Sink:
        wanted = self._wanted
        form = as_json if wanted.format == "json" else as_text
        least = Level[(wanted.level or Level.INFO.name).upper()]
        if wanted.file is None:
            return Sink(to_stream(self._stderr), form, least)
        with _hinting("Name another file with --log-file, or leave it out."):
            return Sink(to_file(self._files.enter_context(_appending(wanted.file)), wanted.file), form, least)

    def _own(self) -> Sink:
        path = self._folder / f"{self._header.run_id}.ndjson"
        with translated(self._folder):
            self._folder.mkdir(_PRIVATE_FOLDER, parents=True, exist_ok=True)
            for old in sorted(self._folder.glob("*.ndjson"))[: -(KEPT - 1)]:
                old.unlink(missing_ok=True)
        return Sink(to_file(self._files.enter_context(_appending(path)), path), _lean, Level.DEBUG)


def as_json(record: Record) -> str:
    """Return a record as one line of JSON."""
    return json.dumps(record.values) + "\n"


def as_text(record: Record) -> str:
    """Return a record as one line for people, whatever stands in it."""
    values = record.values
    service = f"{values['service']}.{values['operation']}  " if "service" in values else ""
    line = f"{record.level.name:5}  {values['at']}  {service}{record.words}"
    return "".join(sign if sign.isprintable() else " " for sign in line) + "\n"


def _lean(record: Record) -> str:
    """Return a record as one line of JSON, without what the header has said."""
    said = frozenset() if record.values["event"] == HEADER else _SAID_ONCE
    return json.dumps({key: value for key, value in record.values.items() if key not in said}) + "\n"


def to_file(file: FileIO, path: Path) -> Write:
    """Return a writer of whole lines to a file without a buffer: what fails, fails with its own line."""

    def write(line: str) -> None:
        left = line.encode()
        with translated(path):
            while left:
                left = left[file.write(left) :]

    return write


def to_stream(stream: TextIO | None) -> Write:
    """Return a writer of lines to a stream.

    Raises:
        NotWritable: It is closed.
    """
    if stream is None:
        raise _closed()

    def write(line: str) -> None:
        with translated(Path("stderr")):
            try:
                stream.write(line)
                stream.flush()
            except ValueError:  # that is how a stream that was closed meanwhile says so
                raise _closed() from None

    return write


def _closed() -> NotWritable:
    return NotWritable("stderr is closed.", hint="Open it, or name a file with --log-file.")


@contextmanager
def _appending(path: Path) -> Iterator[FileIO]:
    """Open a file to append to; a new one is its owner's alone."""
    with translated(path):
        file = FileIO(path, "a", opener=lambda name, flags: os.open(name, flags, _PRIVATE_FILE))
    with file:
        yield file


@contextmanager
def _hinting(hint: str) -> Iterator[None]:
    """Give an error of the storage another hint."""
    try:
        yield
    except StorageError as error:
        raise type(error)(error.message, hint=hint) from error


def warned(words: str) -> None:
    """Say by a Python warning that a log had to end."""
    warnings.warn(words, RuntimeWarning, stacklevel=2)


def both(first: Emit, second: Emit) -> Emit:
    """Return a subscriber that tells two others, in this order."""

    def emit(event: Event) -> None:
        first(event)
        second(event)

    return emit
