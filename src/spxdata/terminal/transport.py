"""One HTTP GET at a time over http.client, with framing that notices every early end.

http.client was chosen by measurement: 170 MB in 16 KiB chunks cost it 0.25 CPU seconds, aiohttp 0.5, urllib3 0.78,
httpx 0.79. Bodies are read here, not by `HTTPResponse.read`: that one takes a Content-Length body that ends early
for a whole one when read in pieces, and a chunk-size line cut after a leading 0 for the last chunk.
"""

import http.client
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BufferedReader
from urllib.parse import urlsplit

from spxdata.errors import CutOff, TerminalError, TimedOut, Unreachable

#: Bytes asked of the socket at once.
PIECE = 64 * 1024
#: No chunk-size or trailer line of an honest server is longer.
_LINE = 4096
#: What int() takes beside plain digits (-0, 0_0, +5) is no size: some of it would pass for the last chunk.
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}")
#: An error's text is a few words; more is not worth reading.
_ERROR_TEXT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for a connection, for the first byte, and between bytes."""

    connect: float
    first_byte: float
    between_bytes: float


#: Foreign exception to ours; the first that fits wins, so the special ones come first.
FOREIGN: tuple[tuple[type[Exception], type[TerminalError], str], ...] = (
    (TimeoutError, TimedOut, "sent nothing for {timeout:g} s"),
    (ConnectionRefusedError, Unreachable, "refuses connections"),
    (socket.gaierror, Unreachable, "has no such host"),
    (ConnectionError, CutOff, "dropped the connection"),
    (http.client.HTTPException, CutOff, "sent no valid HTTP"),
    (UnicodeError, Unreachable, "has no such host"),
    (OSError, Unreachable, "cannot be reached"),
)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer whose head has arrived."""

    status: int
    headers: http.client.HTTPMessage
    chunks: Callable[[], Iterator[bytes]]

    def retry_after(self) -> float | None:
        """Return the Retry-After header in seconds, None if there is none in that form."""
        text = (self.headers.get("Retry-After") or "").strip()
        return float(text) if text.isdecimal() else None

    def text(self) -> str:
        """Return the beginning of the body as text: enough for an error message."""
        data = b""
        for piece in self.chunks():
            data += piece
            if len(data) >= _ERROR_TEXT:
                break
        return data.decode("utf-8", "replace")


@dataclass(slots=True)
class Channels:
    """The sockets that are being read, so that another thread can end them, once and for all."""

    _open: set[socket.socket] = field(default_factory=set)
    _aborted: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def holding(self, channel: socket.socket) -> Iterator[None]:
        """Know a socket while it is read."""
        with self._lock:
            if self._aborted:  # while this one was still connecting
                raise CutOff("The run was stopped.")
            self._open.add(channel)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(channel)

    def abort(self) -> None:
        """End all that is being read, and all that would be: blocked readers wake up to an early end."""
        with self._lock:
            self._aborted = True
            for channel in self._open:
                with suppress(OSError):  # the other side may have ended it in this moment
                    channel.shutdown(socket.SHUT_RDWR)


@contextmanager
def get(base: str, target: str, timeouts: Timeouts, channels: Channels) -> Iterator[Response]:
    """Ask for a path and give its answer; the connection is closed on leaving.

    Args:
        base: Scheme, host and port, such as http://127.0.0.1:25503/v3.
        target: Path and query, from the first slash.
        timeouts: How long to wait.
        channels: Where the socket is known while it is read.

    Raises:
        TransientError: The Terminal cannot be reached, is too slow, or ends its answer early.
    """
    address = urlsplit(base)
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=timeouts.connect)
    where = f"The Terminal at {address.scheme}://{address.netloc}"
    try:
        with translated(where, timeouts.connect, connecting=True):
            connection.connect()
        # getresponse() lets go of connection.sock when the server closes after the reply; its timeout is ours.
        channel = connection.sock
        with channels.holding(channel):
            channel.settimeout(timeouts.first_byte)
            with translated(where, timeouts.first_byte):
                connection.request("GET", target, headers={"Accept-Encoding": "identity"})
                answer = connection.getresponse()
            with answer:
                channel.settimeout(timeouts.between_bytes)

                def chunks() -> Iterator[bytes]:
                    with translated(where, timeouts.between_bytes):
                        yield from body(answer)

                yield Response(answer.status, answer.headers, chunks)
    finally:
        connection.close()


@contextmanager
def translated(where: str, timeout: float, *, connecting: bool = False) -> Iterator[None]:
    """Raise foreign exceptions as ours, by the table `FOREIGN`.

    Args:
        where: The Terminal's address, as the message begins.
        timeout: Seconds that were waited.
        connecting: Whether no connection stands yet: then a time-out means "unreachable".
    """
    try:
        yield
    except (OSError, UnicodeError, http.client.HTTPException) as error:
        ours, words = next((ours, words) for kind, ours, words in FOREIGN if isinstance(error, kind))
        if connecting:
            ours = Unreachable
        detail = f" ({error})" if str(error) else ""
        raise ours(f"{where} {words.format(timeout=timeout)}{detail}.") from error


def body(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield a response's body piece by piece; an end before its framing is complete is an error.

    Raises:
        CutOff: The body ended early, or has no framing that could show an early end.
    """
    stream = answer.fp
    if answer.chunked:
        return _chunked(stream)
    lengths = answer.headers.get_all("Content-Length") or []
    if not lengths:
        raise CutOff("The reply has neither a length nor chunks: whether it is whole cannot be known.")
    # http.client takes the first of several, and gives None for what is no number of 0 or more.
    if answer.length is None or len(set(lengths)) > 1:
        raise CutOff(f"The reply's framing is broken: {', '.join(lengths)[:40]!r} is no length.")
    return _exactly(stream, answer.length)


def _exactly(stream: BufferedReader, size: int) -> Iterator[bytes]:
    left = size
    while left:
        piece = stream.read1(min(left, PIECE))
        if not piece:
            raise CutOff(f"The reply ended {left:,} bytes before the end it announced.")
        left -= len(piece)
        yield piece


def _chunked(stream: BufferedReader) -> Iterator[bytes]:
    while True:
        line = _framing_line(stream)
        digits = line.partition(b";")[0].strip()
        if not _CHUNK_SIZE.fullmatch(digits):
            raise CutOff(f"The reply's framing is broken: {line[:40]!r} is no chunk size.")
        size = int(digits, 16)
        if size == 0:
            break
        yield from _exactly(stream, size)
        if _framing_line(stream):
            raise CutOff("The reply's framing is broken: a chunk is longer than announced.")
    while _framing_line(stream):
        pass  # trailers say nothing we need, but the blank line after them must arrive


def _framing_line(stream: BufferedReader) -> bytes:
    line = stream.readline(_LINE)
    if not line.endswith(b"\r\n"):
        raise CutOff("The reply ended inside its chunk framing.")
    return line[:-2]
