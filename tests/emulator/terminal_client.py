"""Clients for an emulated Terminal that are not the product's: whole replies or raw bytes, nothing hidden."""

import csv
import http.client
import io
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from spxdata.emulator import Emulator

#: A Tuesday after a holiday: SPXW expires on the day itself and on the three after it.
DAY = "2024-01-16"
#: The same for v2.
DAY_INT = "20240116"

QUOTE = "/option/history/quote"
GREEKS = "/option/history/greeks/first_order"
V2_QUOTE = "/bulk_hist/option/quote"
V2_GREEKS = "/bulk_hist/option/greeks"

#: Chains of the day, small: one row an hour.
HOURLY = {"symbol": "SPXW", "expiration": DAY, "date": DAY, "interval": "1h"}
V2_HOURLY = {
    "root": "SPXW",
    "exp": DAY_INT,
    "start_date": DAY_INT,
    "end_date": DAY_INT,
    "ivl": "3600000",
    "use_csv": "true",
}


@dataclass(frozen=True)
class Answer:
    """A whole reply; header names in lower case, and as they came in `spelled`."""

    status: int
    headers: dict[str, str]
    body: bytes
    reason: str = ""
    spelled: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def rows(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.text)))


Ask = Callable[..., Answer]


def ask(terminal: Emulator, path: str, **parameters: object) -> Answer:
    """Ask a terminal at its `url`."""
    return ask_at(terminal.url, path, **parameters)


def ask_at(base: str, path: str, **parameters: object) -> Answer:
    """Ask at an address; `path` goes behind it."""
    query = urlencode(parameters)
    return get(f"{base}{path}" + (f"?{query}" if query else ""))


def get(url: str) -> Answer:
    """Fetch an address."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
    try:
        connection.request("GET", address.path + (f"?{address.query}" if address.query else ""))
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        spelled = tuple(name for name, _ in response.getheaders())
        return Answer(response.status, headers, response.read(), response.reason, spelled)
    finally:
        connection.close()


def read_pages(base: str, path: str, **parameters: object) -> list[Answer]:
    """Read all pages of a v2 answer, as any client would: follow Next-Page until it is null."""
    pages = [ask_at(base, path, **parameters)]
    while (following := pages[-1].headers["next-page"]) != "null":
        pages.append(get(following))
    return pages


def raw(url: str, *, patience: float = 30, most: int = 4_000_000) -> tuple[bytes, str]:
    """Read all that comes from a connection, and how it ends: `closed`, `reset`, `silent` or `endless`."""
    address = urlsplit(url)
    received = b""
    with socket.create_connection((str(address.hostname), address.port or 0), timeout=patience) as client:
        target = address.path + (f"?{address.query}" if address.query else "")
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        try:
            while len(received) < most:
                piece = client.recv(65_536)
                if not piece:
                    return received, "closed"
                received += piece
        except ConnectionResetError:
            return received, "reset"
        except TimeoutError:
            return received, "silent"
    return received, "endless"


class FakeClock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.now += seconds
            self.slept.append(seconds)
