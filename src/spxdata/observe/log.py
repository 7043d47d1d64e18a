"""The log of a run: every event as a JSON line in the archive, whatever the display shows."""

import json
from pathlib import Path
from typing import Final, TextIO

from spxdata.events import Emit, Event, Received, as_record
from spxdata.protocols import Clock
from spxdata.storage.local import translated

#: How many runs' logs are kept.
KEPT: Final = 100


class RunLog:
    """A subscriber that writes events to a file of their own run, each line as it happens.

    The file is made with the first event; what arrives in between (`Received`) is left out: it says nothing later.

    Args:
        folder: Where the logs lie.
        clock: When events happen.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._file: TextIO | None = None

    def __call__(self, event: Event) -> None:
        """Write an event.

        Raises:
            StorageError: The disk is full or not writable.
        """
        if isinstance(event, Received):
            return
        now = self._clock.now()
        with translated(self._folder):
            if self._file is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._prune()
                # microseconds tell runs apart; two of one archive never write at once
                self._file = (self._folder / f"{now:%Y%m%dT%H%M%S%f}.ndjson").open("a", encoding="utf-8")
            self._file.write(json.dumps(as_record(event, now)) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Give the file back; harmless if nothing was written."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _prune(self) -> None:
        """Remove the oldest logs of too many."""
        for path in sorted(self._folder.glob("*.ndjson"))[: -(KEPT - 1)]:
            path.unlink(missing_ok=True)


def both(first: Emit, second: Emit) -> Emit:
    """Return a subscriber that tells two others, in this order."""

    def emit(event: Event) -> None:
        first(event)
        second(event)

    return emit
