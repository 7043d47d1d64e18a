"""The account's limit, as the Terminal counts it: never passed, and never left unused while units are left."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from spxdata import Emulator
from spxdata.config import load
from spxdata.emulator import Fault
from spxdata.emulator.gate import QUEUE
from spxdata.events import AttemptFailed, Event, GateChanged
from spxdata.terminal.asking import Patience
from tests.faults.harness import fake_clock, run
from tests.faults.market import write_market

TUESDAY = date(2024, 1, 16)
#: Every weekday of a few weeks: after the first, which comes alone, as many as fill one, three or seven places evenly.
EXPIRATIONS = tuple(date(2024, month, day) for month, day in [
    (1, 16), (1, 17), (1, 18), (1, 19), (1, 22), (1, 23), (1, 24), (1, 25), (1, 26), (1, 29), (1, 30), (1, 31),
    (2, 1), (2, 2), (2, 5), (2, 6), (2, 7), (2, 8), (2, 9), (2, 12), (2, 13), (2, 14),
])  # fmt: skip
#: More seconds than the slowest disk keeps a request waiting for the others of its group.
LONG = Patience(60.0, 60.0, 60.0, 60.0)
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


class Meeting:
    """Holds replies until as many are awaited at once as may be: in the emulator it stands for sleeping.

    The very first comes by itself, and is not held.

    Args:
        width: How many that is.
        total: How many there will be; the last ones are fewer.

    Attributes:
        waited_in_vain: How many came without the others of their group.
    """

    def __init__(self, width: int, total: int) -> None:
        self.waited_in_vain = 0
        self._width, self._total = width, total
        self._arrived = 0
        self._met = threading.Condition()

    def __call__(self, _seconds: float) -> None:
        """Wait for the others of one's group."""
        with self._met:
            self._arrived += 1
            groups = -(-(self._arrived - 1) // self._width)
            last = min(self._total, 1 + groups * self._width)
            self._met.notify_all()
            if not self._met.wait_for(lambda: self._arrived >= last, timeout=30):
                self.waited_in_vain += 1


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
    """One place is left to others, unless there is but one; nothing is turned away, and no place is left unused."""
    limit = LIMITS[dialect, tier]
    expected = max(1, limit - 1)
    meeting = Meeting(expected, len(EXPIRATIONS))
    with Emulator(
        dialect=dialect, tier=tier, replay=market, page_rows=500, min_seconds=3600.0, sleep=meeting
    ) as terminal:
        ran = run(terminal, dialect, tmp_path, fake_clock(), widths=widths(tier), patience=LONG)
    assert (terminal.in_flight_max, terminal.refused_429, meeting.waited_in_vain) == (expected, 0, 0)
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
