"""A download that kills its own process, as the machine would, at the nth event of a kind."""

import os
import signal
import sys
from datetime import UTC, datetime

from spxdata import download
from spxdata.events import Event, as_record


def run(url: str, data_dir: str, dataset: str, start: str, end: str, kind: str, number: int) -> None:
    """Download until the nth event of a kind, then die without a chance to clean up."""
    left = number

    def emit(event: Event) -> None:
        nonlocal left
        if as_record(event, datetime.now(UTC))["event"] == kind:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    download(start, end, terminal=url, data_dir=data_dir, datasets=(dataset,), emit=emit, environ=os.environ)


if __name__ == "__main__":
    url, data_dir, dataset, start, end, kind, number = sys.argv[1:]
    run(url, data_dir, dataset, start, end, kind, int(number))
