"""A `revisions --keep both` that kills its own process right before the nth change of catalog or files."""

import os
import signal
import sys
from pathlib import Path

from tests.integrity.archives import Steps, check, later


def kill(number: int) -> Steps:
    """Return a count of steps that ends the process before one of them."""

    def end() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    return Steps(number, end)


if __name__ == "__main__":
    url, folder, kind, number = sys.argv[1:]
    check(url, Path(folder), later(), keep="both", kind=kind, steps=kill(int(number)))
