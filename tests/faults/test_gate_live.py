"""The account's limit, as the Terminal counts it: never passed, and hardly ever left unused."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from spxdata import Emulator
from spxdata.clock import SystemClock
from spxdata.config import load
from spxdata.emulator import Fault
from spxdata.emulator.gate import QUEUE, Served
from spxdata.events import AttemptFailed, Event, GateChanged
from tests.faults.harness import LATER, fake_clock, run
from tests.faults.market import write_market

TUESDAY = date(2024, 1, 16)
#: Every weekday of a few weeks: enough expirations to keep eight places busy.
EXPIRATIONS = tuple(date(2024, month, day) for month, day in [
    (1, 16), (1, 17), (1, 18), (1, 19), (1, 22), (1, 23), (1, 24), (1, 25), (1, 26), (1, 29), (1, 30), (1, 31),
    (2, 1), (2, 2), (2, 5), (2, 6), (2, 7), (2, 8), (2, 9), (2, 12), (2, 13), (2, 14), (2, 15), (2, 16),
])  # fmt: skip
#: What the vendor documents: places of data requests by tier.
LIMITS = {
    ("v3", "free"): 1,
    ("v3", "value"): 2,
    ("v3", "standard"): 4,
    ("v3", "professional"): 8,
    ("v2", "free"): 1,
    ("v2", "value"): 1,
    ("v2", "standard"): 2,
    ("v2", "professional"): 4,
}


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a day of many small expirations."""
    return write_market(tmp_path_factory.mktemp("market"), [(TUESDAY, EXPIRATIONS)], (4700,))


def widths(tier: str) -> Callable[[str], int]:
    """Return how wide the downloader goes by default for a tier."""
    return load(flags={"terminal.tier": tier}, environ={}, directory=Path("/nonexistent")).workers


class PublishedClock(SystemClock):
    """Real time, on a date when everything has been published."""

    def now(self) -> datetime:
        """Return that date."""
        return LATER


def occupancy(served: Sequence[Served], width: int) -> float:
    """Return which part of so many places was busy, from when all were first taken until the last request began.

    Before that only the pacing of launches speaks, after it no unit is left.
    """
    starts = sorted(span.start for span in served)
    first, last = starts[width - 1], starts[-1]
    busy = sum(max(0.0, min(span.end, last) - max(span.start, first)) for span in served)
    return busy / (width * (last - first))


@contextmanager
def hogged(terminal: Emulator, dialect: str, requests: int) -> Iterator[Callable[[], None]]:
    """Hold all places and the whole queue by another program's requests; what is given lets go of them."""
    address = urlsplit(terminal.url)
    target = FOREIGN[dialect]
    head = f"GET {target} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode()
    channels = [socket.create_connection((address.hostname, address.port)) for _ in range(requests)]
    for channel in channels:
        channel.sendall(head)
    until(lambda: terminal.in_flight_max >= requests)

    def leave() -> None:
        while channels:
            channels.pop().close()
        until(lambda: len(terminal.served) >= requests)

    try:
        yield leave
    finally:
        leave()


def until(holds: Callable[[], bool]) -> None:
    """Wait for a state of the emulator."""
    pause = threading.Event()
    for _ in range(2_000):
        if holds():
            return
        pause.wait(0.01)
    pytest.fail("the emulator did not get there in 20 s")


#: One contract's quotes, as another program may ask for them.
FOREIGN = {
    "v3": "/v3/option/history/quote?symbol=SPXW&expiration=2024-01-19&strike=4700&right=call&date=2024-01-16"
    "&interval=1m",
    "v2": "/v2/hist/option/quote?root=SPXW&exp=20240119&strike=4700000&right=C&start_date=20240116&end_date=20240116"
    "&ivl=60000&use_csv=true",
}


@pytest.mark.parametrize(("dialect", "tier"), LIMITS)
def test_requests_in_flight_never_pass_the_limit_of_the_tier(
    dialect: str, tier: str, market: Path, tmp_path: Path
) -> None:
    """One place is left to others, unless there is but one; nothing ever waits or is turned away."""
    limit = LIMITS[dialect, tier]
    expected = max(1, limit - 1)
    with Emulator(dialect=dialect, tier=tier, replay=market, page_rows=500, min_seconds=0.03) as terminal:
        ran = run(terminal, dialect, tmp_path, fake_clock(), widths=widths(tier))
    assert (terminal.in_flight_max, terminal.refused_429) == (expected, 0)
    assert tier == "free" or ran.finished.exit_code == 0


@pytest.mark.parametrize("dialect", ["v3", "v2"])
def test_a_foreign_client_that_takes_all_places_makes_the_gate_step_down_and_the_day_ends_whole(
    dialect: str, market: Path, tmp_path: Path
) -> None:
    """The user is told how many requests run from then on."""
    tier = "standard" if dialect == "v3" else "professional"
    stall = Fault(do="stall_after", dataset="quote", strike=4700, right="C", bytes=50)
    with (
        Emulator(dialect=dialect, tier=tier, replay=market, faults=[stall]) as terminal,
        hogged(terminal, dialect, LIMITS[dialect, tier] + QUEUE) as leave,
    ):

        def relent(event: Event) -> None:
            if isinstance(event, AttemptFailed):
                leave()

        ran = run(terminal, dialect, tmp_path, fake_clock(), widths=widths(tier), on_event=relent)
    assert terminal.refused_429 >= 1
    assert {event.code for event in ran.failures} == {"SPX-T429"}
    steps = [event.width for event in ran.events if isinstance(event, GateChanged)]
    assert steps[0] == widths(tier)(dialect) - 1
    assert steps == sorted(steps, reverse=True)
    assert ran.finished.exit_code == 0
    assert len(ran.hashes) == len(EXPIRATIONS)


@pytest.mark.parametrize("dialect", ["v3", "v2"])
def test_places_are_busy_while_units_are_left(
    dialect: str, market: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Replies of two seconds, launches 0.1 s apart: what lies between two requests is small beside them."""
    tier = "standard" if dialect == "v3" else "professional"
    width = widths(tier)(dialect)
    with Emulator(dialect=dialect, tier=tier, replay=market, min_seconds=2.0) as terminal:
        run(terminal, dialect, tmp_path, PublishedClock(), widths=widths(tier), pacing=0.1)
    busy = occupancy(terminal.served, width)
    record_property("figure", f"{dialect}: {width} places busy {busy:.1%} of the time while units were left")
    assert terminal.refused_429 == 0
    assert terminal.in_flight_max == width
    assert busy >= 0.95
