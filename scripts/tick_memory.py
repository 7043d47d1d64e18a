"""Downloads replies of 2 and of 20 million trades with the real command, and compares the memory they took.

The Terminal is a server of this script's own, in a process of its own: it sends the same few rendered rows again and
again, as fast as they are taken, because no market model makes twenty million trades in reasonable time.
"""

import json
import os
import subprocess
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import Process, SimpleQueue
from pathlib import Path
from urllib.parse import urlsplit

from spxdata.schema import DATASETS

DAY, EXPIRATION = "2024-01-16", "2024-01-19"
CONTRACTS = tuple((4000 + 10 * n, right) for n in range(50) for right in ("CALL", "PUT"))
#: Rows that are rendered once for each contract; a reply repeats them.
RENDERED = 2_000
#: How much more memory ten times the rows may take.
MOST = 1.15


def rendered(strike: int, right: str) -> bytes:
    """Return some rows of one contract: two trades every 11 seconds and a few milliseconds."""
    lines = []
    for n in range(RENDERED):
        ms = 34_200_000 + (n // 2) * 11_203
        at = f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"
        price = f"{(strike * 7 + n * 13) % 9_000 / 100 + 0.05:.2f}"
        lines.append(
            f'"SPXW","{EXPIRATION}",{strike}.000,"{right}",{DAY}T{at},{-2_000_000_000 + n * 977},255,255,255,255,'
            f"{(18, 125, 130)[n % 3]},{n % 40 + 1},{(5, 6, 22)[n % 3]},{price}\r\n"
        )
    return "".join(lines).encode()


class Terminal(ThreadingHTTPServer):
    """A server of trades.

    Args:
        rows: Trades of a reply.
    """

    def __init__(self, rows: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.blocks = [rendered(strike, right) for strike, right in CONTRACTS]
        self.repeats = rows // (len(CONTRACTS) * RENDERED)


class Handler(BaseHTTPRequestHandler):
    """Answers a request."""

    protocol_version = "HTTP/1.1"
    server: Terminal

    def do_GET(self) -> None:
        """Answer with the status, the list of contracts, or all trades."""
        path = urlsplit(self.path).path
        if path.endswith("/mdds/status"):
            self.whole(b"CONNECTED")
        elif path.endswith("/list/contracts/trade"):
            lines = [f'"SPXW","{EXPIRATION}",{strike}.000,"{right}"\r\n' for strike, right in CONTRACTS]
            self.whole(("symbol,expiration,strike,right\r\n" + "".join(lines)).encode())
        else:
            self.trades()

    def whole(self, body: bytes) -> None:
        """Answer with a short body."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def trades(self) -> None:
        """Answer with all trades, chunked."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.chunk((",".join(DATASETS["trade"].names) + "\r\n").encode())
        for block in self.server.blocks:
            for _ in range(self.server.repeats):
                self.chunk(block)
        self.wfile.write(b"0\r\n\r\n")

    def chunk(self, data: bytes) -> None:
        """Send a chunk."""
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve(rows: int, ports: "SimpleQueue[int]") -> None:
    """Serve until killed."""
    server = Terminal(rows)
    ports.put(server.server_address[1])
    server.serve_forever()


def measure(rows: int) -> tuple[int, float, float]:
    """Download so many trades; return rows stored, peak memory in MiB, and seconds."""
    ports: SimpleQueue[int] = SimpleQueue()
    server = Process(target=serve, args=(rows, ports), daemon=True)
    server.start()
    try:
        with tempfile.TemporaryDirectory(prefix="spxdata-ticks-") as folder:
            command = [sys.executable, "-m", "spxdata", "download", "--date", DAY, "--dataset", "trade", "--json"]
            command += ["--terminal", f"http://127.0.0.1:{ports.get()}", "--dialect", "v3"]
            run = subprocess.Popen(
                [*command, "--data-dir", str(Path(folder) / "data")], stdout=subprocess.PIPE, text=True
            )
            records = [json.loads(line) for line in run.stdout or ()]
            _, status, usage = os.wait4(run.pid, 0)
    finally:
        server.terminate()
        server.join()
    finished = next(record for record in records if record["event"] == "run_finished")
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"the download of {rows:,} rows ended with {os.waitstatus_to_exitcode(status)}")
    return finished["rows"], usage.ru_maxrss / 1024, finished["seconds"]


def main() -> int:
    """Measure both, print a table, and fail if memory grows with the reply."""
    peaks = []
    print("| rows | stored | peak memory | seconds |\n| --- | --- | --- | --- |")
    for rows in (2_000_000, 20_000_000):
        stored, peak, seconds = measure(rows)
        peaks.append(peak)
        print(f"| {rows:,} | {stored:,} | {peak:,.0f} MiB | {seconds:.1f} |", flush=True)
    print(f"\n20 million rows take {peaks[1] / peaks[0]:.2f} times the memory of 2 million")
    return int(peaks[1] > MOST * peaks[0])


if __name__ == "__main__":
    sys.exit(main())
