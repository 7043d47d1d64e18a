"""How far a look at many files is, in words, lines and as a bar."""

import io

import pytest
from rich.console import Console

from spxdata.cli.gauge import Gauge, GaugeBar, GaugeLines
from spxdata.pipeline.difference import Checked
from tests.builders import FakeClock

HALF = Checked(files=12, of_files=80, bytes=350_000_000, of_bytes=1_400_000_000)


@pytest.mark.parametrize(
    ("checked", "words"),
    [
        (Checked(0, 80, 0, 1_400_000_000), ["0/80 files", "0 B of 1.4 GB"]),
        (HALF, ["12/80 files", "0:00:30 left", "35.0 MB/s", "350.0 MB of 1.4 GB"]),
        (Checked(20, 80, 0, 0), ["20/80 files", "0:00:30 left", "2 files/s"]),
        (Checked(0, 0, 0, 0), ["0/0 files"]),
    ],
)
def test_rate_and_time_left_come_from_bytes_or_else_from_files(checked: Checked, words: list[str]) -> None:
    """After ten seconds; a quick look reads no whole files."""
    clock = FakeClock()
    gauge = Gauge(clock.monotonic)
    clock.advance(10)
    gauge(checked)
    assert gauge.words() == words


def test_a_pipe_gets_a_line_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr; the result's lines go to stdout."""
    clock = FakeClock()
    with GaugeLines(clock.monotonic) as gauge:
        for _ in range(30):
            clock.advance(1)
            gauge(HALF)
        gauge.say("* path  what")
    out, err = capsys.readouterr()
    assert out == "* path  what\n"
    assert err.splitlines() == [
        f"Progress: 12/80 files, 0:0{left} left, {rate}/s, 350.0 MB of 1.4 GB"
        for rate, left in (("35.0 MB", "0:30"), ("17.5 MB", "1:00"), ("11.7 MB", "1:30"))
    ]


@pytest.mark.parametrize("width", [60, 120])
def test_a_terminal_gets_a_bar_and_lines_above_it(width: int) -> None:
    """Of whatever width; it is gone at the end."""
    clock, drawn = FakeClock(), io.StringIO()
    console = Console(file=drawn, force_terminal=True, width=width, highlight=False, color_system=None)
    with GaugeBar(console, clock.monotonic, above=True, refresh=False) as gauge:
        clock.advance(10)
        gauge(HALF)
        gauge.say("* path  what")
    assert "* path  what" in drawn.getvalue()
    drawn.truncate(0)
    drawn.seek(0)
    console.print(gauge.drawing(width))
    (last,) = drawn.getvalue().splitlines()
    assert last.startswith("Verifying ")
    assert "12/80 files" in last
    assert len(last.rstrip()) <= width
