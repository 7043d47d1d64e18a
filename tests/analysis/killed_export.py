"""An export that kills its own process right before the nth time that something gets its name, or a row is written."""

import os
import signal
import sys
from pathlib import Path

from spxdata.analysis.archive import open_archive
from spxdata.analysis.export import Exported

if __name__ == "__main__":
    archive, destination, form, days = sys.argv[1:]
    left = int(days)

    def found(_: Exported) -> None:
        global left  # noqa: PLW0603 - a script's own count
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    with open_archive(Path(archive)) as opened:
        opened.export(destination, format=form, found=found)
