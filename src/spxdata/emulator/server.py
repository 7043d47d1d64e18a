"""The emulated Terminal as a server: HTTP/1.1 on a loopback port, several requests at a time."""

import contextlib
import socket
import threading
from collections.abc import Iterable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from spxdata.emulator import drop, wire
from spxdata.emulator.ladders import CHAINS
from spxdata.emulator.replay import RecordedMarket
from spxdata.emulator.request import Refusal
from spxdata.emulator.routes import TIERS, Desk, Reply, respond
from spxdata.emulator.rows import Market
from spxdata.emulator.synthetic import SyntheticMarket
from spxdata.errors import ConfigError

#: Replies of unknown length go out in pieces of about this many bytes, as the real ones do.
PIECE = 32 * 1024
_PREFIX = "/v3"


class Emulator:
    """A Theta Terminal (v3) of our own.

    Use it as a context manager, or call `start` and `stop`, or `serve_forever` from a command.

    Args:
        chain: `small` (a few expirations of some 40 strikes) or `full` (a whole day).
        seed: Everything made up follows from it.
        tier: The subscription the account pretends to have.
        drop: Rules that leave rows out of replies, see `drop.py`.
        replay: Directory of recorded quotes to serve instead of a made-up market.
        port: Where to listen; 0 takes a free port.
        host: Address to listen on.
        line_end: How lines end.
        quoted: Whether strings stand in double quotes.

    Raises:
        ConfigError: An argument is not one of those allowed.
    """

    def __init__(
        self,
        *,
        chain: str = "small",
        seed: int = 1,
        tier: str = "professional",
        drop: Sequence[str] = (),
        replay: str | Path | None = None,
        port: int = 0,
        host: str = "127.0.0.1",
        line_end: str = "\r\n",
        quoted: bool = True,
    ) -> None:
        _one_of("chain", chain, CHAINS)
        _one_of("tier", tier, TIERS)
        _at_least_0("seed", seed)
        self._desk = Desk(
            market=_market(chain, seed, replay),
            rules=_rules(drop),
            style=wire.Style(line_end=line_end, quoted=quoted),
        )
        self._tier = tier
        self._address = (host, port)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Lock()
        self._requests: list[tuple[str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        """The address to give to a client, once the emulator has started."""
        if self._server is None:
            raise ConfigError("the emulator has no address before it is started")
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}{_PREFIX}"

    @property
    def requests(self) -> tuple[tuple[str, dict[str, str]], ...]:
        """The requests received so far: path and parameters of each."""
        with self._lock:
            return tuple(self._requests)

    def start(self) -> Self:
        """Listen, and answer in threads of its own.

        Raises:
            ConfigError: The port is taken or not allowed, or the emulator has been started already.
        """
        host, port = self._address
        if self._server is not None:
            raise ConfigError("the emulator is started already")
        try:
            self._server = _Server(self, (host, port))
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"emulator port = {port}: cannot listen on {host} ({error})",
                hint="Take another port, or 0 for any free one.",
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="emulator", daemon=True)
        self._thread.start()
        return self

    def serve_forever(self) -> None:
        """Answer, having started if need be, until `stop` is called from another thread or Ctrl-C is pressed."""
        if self._thread is None:
            self.start()
        try:
            while self._thread is not None and self._thread.is_alive():
                self._thread.join(timeout=0.5)  # without one, a handler of Ctrl-C set by a library may never run
        finally:
            self.stop()

    def stop(self) -> None:
        """Stop listening, close every connection and wait for the threads; harmless when not started."""
        with self._stopping:
            server, thread, self._server, self._thread = self._server, self._thread, None, None
        if server is not None and thread is not None:
            server.shutdown()
            thread.join()
            server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def respond(self, path: str, parameters: dict[str, str]) -> Reply:
        """Answer a request, and remember that it was made.

        Raises:
            Refusal: The answer is not a 200.
        """
        with self._lock:
            self._requests.append((path, parameters))
        if not path.startswith(_PREFIX + "/"):
            raise Refusal(404, "Not Found")
        return respond(self._desk, self._tier, path.removeprefix(_PREFIX), parameters)


def _one_of(key: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ConfigError(f"emulator {key} = {value!r}: must be one of {', '.join(allowed)}")


def _at_least_0(key: str, value: int) -> None:
    if value < 0:
        raise ConfigError(f"emulator {key} = {value}: must be 0 or more")


def _market(chain: str, seed: int, replay: str | Path | None) -> Market:
    return SyntheticMarket(seed, chain) if replay is None else RecordedMarket(Path(replay))


def _rules(texts: Sequence[str]) -> tuple[drop.DropRule, ...]:
    return tuple(drop.parse_rule(text) for text in texts)


class _Server(ThreadingHTTPServer):
    """Listens; knows its open connections, so that it can close them all."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, emulator: Emulator, address: tuple[str, int]) -> None:
        self.emulator = emulator
        self._connections: dict[threading.Thread, socket.socket] = {}
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    @contextlib.contextmanager
    def tracked(self, connection: socket.socket) -> Iterator[None]:
        """Know a connection as open while its thread is inside."""
        thread = threading.current_thread()
        with self._lock:
            self._connections[thread] = connection
        try:
            yield
        finally:
            with self._lock:
                del self._connections[thread]

    def server_close(self) -> None:
        super().server_close()
        with self._lock:
            connections = dict(self._connections)
        for connection in connections.values():
            with contextlib.suppress(OSError):  # the client may have gone first
                connection.shutdown(socket.SHUT_RDWR)
        for thread in connections:
            thread.join(timeout=5)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        try:
            reply = self.server.emulator.respond(parts.path, dict(parse_qsl(parts.query)))
        except Refusal as refusal:
            self._send_whole(refusal.status, "text/plain", refusal.text.encode())
            return
        except ConfigError as error:  # a recorded file turned out to be unreadable
            self._send_whole(500, "text/plain", f"Internal server error: {error}".encode())
            return
        if reply.streamed:
            self._send_chunked(reply)
        else:
            self._send_whole(200, reply.content_type, b"".join(reply.pieces))

    def _send_whole(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status, "" if status == 472 else None)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_chunked(self, reply: Reply) -> None:
        self.send_response(200)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in _pieces(reply.pieces):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def handle(self) -> None:
        # A client that goes away in mid-reply is no fault of the Terminal's.
        with self.server.tracked(self.connection), contextlib.suppress(ConnectionError, TimeoutError):
            super().handle()

    def finish(self) -> None:
        # What is still buffered for a client that went away cannot be sent either.
        with contextlib.suppress(ConnectionError):
            super().finish()

    def version_string(self) -> str:
        """Name the server as the real one does."""
        return "Jetty(12.0.14)"

    def log_message(self, *_: object) -> None:
        """Keep quiet: what was asked is in `Emulator.requests`."""


def _pieces(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut a body into pieces of one size; the last is what is left."""
    rest = b""
    for block in blocks:
        rest += block
        whole = len(rest) - len(rest) % PIECE
        for start in range(0, whole, PIECE):
            yield rest[start : start + PIECE]
        rest = rest[whole:]
    if rest:
        yield rest
