"""Peak memory of a download by size of the replies and requests in flight.

`python -m bench.memory` takes greeks of 50 and 500 MB, one and four at once; `--dataset trade --mb 4000` takes some
minutes, and as many bytes of temporary files; `--days 22 --mb 35 --expirations 40 --concurrency 4`, a month of whole
chains, takes three minutes. The Terminal is a server of this module's own, in a process of its own:
it makes replies as long as they are wanted while it sends them, contract by contract, as fast as they are taken. Greeks
become longer by contracts, trades by trades.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import Process, SimpleQueue
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from bench.command import downloaded
from spxdata.schema import DATASETS
from spxdata.sessions import trading_days

DAY = date(2024, 1, 16)
_MINUTES = range(9 * 60 + 30, 16 * 60 + 1)
_LINE_END = "\r\n"


class Peak(NamedTuple):
    """What a download took: bytes of memory, seconds of wall time, rows."""

    memory: int
    seconds: float
    rows: int


def _greeks(right: str) -> Iterator[str]:
    """Yield the rows of one contract; numbers do not repeat, as those of greeks do not."""
    chance = random.Random(right)  # noqa: S311 - made-up prices
    for minute in _MINUTES:
        at = f"TRADE_DATET{minute // 60:02}:{minute % 60:02}:00.000"
        bid = chance.randrange(5, 9000, 5) / 100
        greeks = ",".join(f"{chance.uniform(-1, 1):.4f}" for _ in range(6))
        prices = f"{bid:.2f},{bid + 0.1:.2f},{greeks},{chance.uniform(0.1, 0.9):.4f},0.0000"
        yield f'"SPXW","EXPIRATION",STRIKE.000,"{right}",{at},{prices},{at},4765.9800'


def _trades(right: str) -> Iterator[str]:
    """Yield some rows of one contract: two trades every 11 seconds and a few milliseconds."""
    for n in range(2_000):
        ms = 34_200_000 + (n // 2) * 11_203
        at = f"TRADE_DATET{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"
        traded = f"18,{n % 40 + 1},5,{(n * 13) % 9_000 / 100 + 0.05:.2f}"
        yield f'"SPXW","EXPIRATION",STRIKE.000,"{right}",{at},{-2_000_000_000 + n * 977},255,255,255,255,{traded}'


_ROWS = {"greeks": _greeks, "trade": _trades}
#: Strikes of a chain of trades; of greeks there are as many as it takes.
_TRADED = 100


class Terminal(ThreadingHTTPServer):
    """A server of long replies.

    Args:
        dataset: Of what.
        size: Bytes of a reply.
        expirations: How many a day has.
    """

    daemon_threads = True

    def __init__(self, dataset: str, size: int, expirations: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.header = (",".join(DATASETS[dataset].names) + _LINE_END).encode()
        self._expirations = expirations
        self.pieces = {
            right: "".join(f"{row}{_LINE_END}" for row in _ROWS[dataset](right)).encode() for right in ("CALL", "PUT")
        }
        pairs = max(1, size // sum(map(len, self.pieces.values())))
        self.strikes = pairs if dataset == "greeks" else _TRADED
        self.repeats = pairs // self.strikes  # in one contract the same trades may come again: nothing tells them apart

    def expirations(self, day: date) -> list[date]:
        """Return the expirations of a trade date: so many of the trading days after it."""
        return trading_days(day + timedelta(days=1), day + timedelta(days=90))[: self._expirations]


class Handler(BaseHTTPRequestHandler):
    """Answers a request."""

    protocol_version = "HTTP/1.1"
    server: Terminal

    def do_GET(self) -> None:
        """Answer with the status, a list, or all rows of an expiration."""
        asked = urlsplit(self.path)
        if asked.path.endswith("/mdds/status"):
            self._whole(b"CONNECTED")
        elif "/list/" in asked.path:
            self._whole(self._contracts(date.fromisoformat(parse_qs(asked.query)["date"][0])))
        else:
            query = parse_qs(asked.query)
            self._rows(*(query[name][0].encode() for name in ("expiration", "date")))

    def _contracts(self, day: date) -> bytes:
        lines = [
            f'"SPXW","{expiration}",{strike}.000,"{right}"{_LINE_END}'
            for expiration in self.server.expirations(day)
            for strike in range(1, self.server.strikes + 1)
            for right in ("CALL", "PUT")
        ]
        return f"symbol,expiration,strike,right{_LINE_END}{''.join(lines)}".encode()

    def _whole(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _rows(self, expiration: bytes, day: bytes) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._chunk(self.server.header)
        strikes = list(range(1, self.server.strikes + 1))
        random.Random(expiration).shuffle(strikes)  # noqa: S311 - contracts come in any order
        pieces = [
            piece.replace(b"EXPIRATION", expiration).replace(b"TRADE_DATE", day)
            for piece in self.server.pieces.values()
        ]
        for strike in strikes:
            for piece in pieces:
                for _ in range(self.server.repeats):
                    self._chunk(piece.replace(b"STRIKE", b"%d" % strike))
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _serve(dataset: str, size: int, expirations: int, ports: "SimpleQueue[int]") -> None:
    server = Terminal(dataset, size, expirations)
    ports.put(server.server_address[1])
    server.serve_forever()


@contextmanager
def terminal(dataset: str, size: int, expirations: int) -> Iterator[str]:
    """Serve replies of so many bytes, of so many expirations a day; yields the address."""
    ports: SimpleQueue[int] = SimpleQueue()
    server = Process(target=_serve, args=(dataset, size, expirations, ports), daemon=True)
    server.start()
    try:
        yield f"http://127.0.0.1:{ports.get()}/v3"
    finally:
        server.terminate()
        server.join()


def peak(dataset: str, size: int, concurrency: int, expirations: int = 0, days: int = 1) -> Peak:
    """Download days of replies of so many bytes, so many at once; by default one reply for each place."""
    with (
        terminal(dataset, size, expirations or concurrency) as url,
        tempfile.TemporaryDirectory(prefix="spxdata-memory-") as folder,
    ):
        last = trading_days(DAY, DAY + timedelta(days=2 * days + 7))[days - 1]
        dates = ("--start-date", str(DAY), "--end-date", str(last), "--dialect", "v3")
        options = (*dates, "--dataset", dataset, "--concurrency", str(concurrency))
        cost = downloaded(url, Path(folder) / "data", *options)
    return Peak(cost.peak, cost.run["seconds"], cost.run["rows"])


def main() -> int:
    """Measure every size with every concurrency, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--dataset", choices=tuple(_ROWS), default="greeks")
    parser.add_argument("--mb", type=int, nargs="+", default=[50, 500])
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--expirations", type=int, default=0)
    parser.add_argument("--days", type=int, default=1)
    asked = parser.parse_args()
    print("| dataset | MB of a reply | at once | rows | peak memory, MiB | seconds |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for size in asked.mb:
        for concurrency in asked.concurrency:
            found = peak(asked.dataset, size * 1_000_000, concurrency, asked.expirations, asked.days)
            took = f"{found.rows:,} | {found.memory / 2**20:,.0f} | {found.seconds:.0f}"
            print(f"| {asked.dataset} | {size:,} | {concurrency} | {took} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
