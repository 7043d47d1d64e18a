"""A client for an emulated Terminal that is not the product's: whole replies, nothing hidden."""

import csv
import http.client
import io
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from spxdata.emulator import Emulator

#: A Tuesday after a holiday: SPXW expires on the day itself and on the three after it.
DAY = "2024-01-16"


@dataclass(frozen=True)
class Answer:
    """A whole reply."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def rows(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.text)))


Ask = Callable[..., Answer]


def ask(terminal: Emulator, path: str, **parameters: object) -> Answer:
    """Ask a terminal; leading slashes and /v3 are added."""
    address = urlsplit(terminal.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
    try:
        query = urlencode(parameters)
        connection.request("GET", f"{address.path}{path}" + (f"?{query}" if query else ""))
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()
