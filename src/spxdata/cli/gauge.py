"""How far a look at many files is: a bar on a terminal, a line now and then elsewhere."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from spxdata.cli.text import coloured, echo, size
from spxdata.pipeline.difference import Checked

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

#: Seconds between two lines where there is no bar.
_PAUSE: Final = 10.0
#: The least width of the bar.
_LEAST_BAR: Final = 10

Seconds = Callable[[], float]


class Gauge(AbstractContextManager["Gauge"]):
    """Says how far it is, and writes lines of the result; this one only does the latter.

    Args:
        seconds: Seconds from an arbitrary start.
        what: What is going on, in a word.
    """

    def __init__(self, seconds: Seconds, what: str = "Verifying") -> None:
        self._seconds = seconds
        self._what = what
        self._since = seconds()
        self._checked = Checked(0, 0, 0, 0)

    def __call__(self, checked: Checked) -> None:
        """Take how far it is."""
        self._checked = checked

    def say(self, line: str) -> None:
        """Write a line of the result."""
        echo(line)

    def words(self) -> list[str]:
        """Return how far it is, how long it will probably take, and how fast it is; the dispensable ones last.

        Example:
            ["12/80 files", "0:00:30 left", "35.0 MB/s", "350.0 MB of 1.4 GB"]
        """
        files, of_files, done, of_bytes = self._checked
        words = [f"{files:,}/{of_files:,} files"]
        part = done / of_bytes if of_bytes else files / max(of_files, 1)
        if part:
            took = max(self._seconds() - self._since, 1e-9)
            left = round(took * (1 - part) / part)
            rate = f"{size(round(done / took))}/s" if of_bytes else f"{files / took:,.0f} files/s"
            words += [f"{left // 3600}:{left % 3600 // 60:02}:{left % 60:02} left", rate]
        return [*words, f"{size(done)} of {size(of_bytes)}"] if of_bytes else words

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave things as they are."""


class GaugeLines(Gauge):
    """Plain lines on stderr, for pipes and files."""

    def __init__(self, seconds: Seconds, what: str = "Verifying") -> None:
        super().__init__(seconds, what)
        self._next = self._since + _PAUSE

    def __call__(self, checked: Checked) -> None:
        """Take how far it is; say it if that was long ago."""
        super().__call__(checked)
        if self._seconds() >= self._next:
            self._next = self._seconds() + _PAUSE
            echo(f"Progress: {', '.join(self.words())}", err=True)


class GaugeBar(Gauge):
    """A bar at the bottom of a terminal; what is said goes above it.

    Args:
        console: The terminal.
        seconds: Seconds from an arbitrary start.
        what: What is going on, in a word.
        above: Whether the result's lines go to this same terminal.
        refresh: Whether a thread draws the bar anew, four times a second.
    """

    def __init__(
        self,
        console: "Console",
        seconds: Seconds,
        what: str = "Verifying",
        *,
        above: bool = False,
        refresh: bool = True,
    ) -> None:
        from rich.live import Live

        super().__init__(seconds, what)
        self._console = console
        self._above = above
        self._live = Live(
            get_renderable=lambda: self.drawing(console.width),
            console=console,
            auto_refresh=refresh,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def say(self, line: str) -> None:
        """Write a line of the result, above the bar where that is on the same terminal."""
        if not self._above:
            echo(line)
            return
        from rich.text import Text

        self._console.print(Text.from_ansi(coloured(line)), soft_wrap=True)

    def drawing(self, width: int) -> "Table":
        """Return the bar as it is to be drawn on a terminal of some width."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        files, of_files, done, of_bytes = self._checked
        total, completed = (of_bytes, done) if of_bytes else (of_files, files)
        words = self.words()
        width -= 4  # an echoed ^C at the right edge would begin a new line
        while len(words) > 1 and len(self._what) + len(" · ".join(words)) + 2 + _LEAST_BAR > width:
            words.pop()
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.width = width
        grid.add_column(no_wrap=True)
        grid.add_column(ratio=1, min_width=_LEAST_BAR)
        grid.add_column(no_wrap=True, overflow="ellipsis")
        grid.add_row(self._what, ProgressBar(total=max(total, 1), completed=completed), " · ".join(words))
        return grid

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wipe the bar."""
        self._live.stop()


def gauge(seconds: Seconds, *, silent: bool, what: str = "Verifying") -> Gauge:
    """Return how to show how far it is, where the output goes.

    Args:
        seconds: Seconds from an arbitrary start.
        silent: Whether nothing but the result is wanted.
        what: What is going on, in a word.
    """
    if silent:
        return Gauge(seconds, what)
    if sys.stderr.isatty():
        from rich.console import Console

        console = Console(stderr=True, highlight=False)
        if not console.is_dumb_terminal:
            return GaugeBar(console, seconds, what, above=sys.stdout.isatty())
    return GaugeLines(seconds, what)
