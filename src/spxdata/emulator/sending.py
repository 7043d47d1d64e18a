"""Puts a reply on the wire, whole or as a fault has it."""

import contextlib
import select
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from spxdata.emulator.faults import Fault
from spxdata.emulator.front import Answered, Pace

#: Replies of unknown length go out in pieces of about this many bytes, as the real ones do.
PIECE = 32 * 1024
#: What speaks here is a secure shell.
GARBAGE = b"SSH-2.0-OpenSSH_9.6\r\n"

_LIMITED = ("stall_after", "close_after", "reset_after")
_LAST_CHUNK = b"0\r\n\r\n"
#: Seconds between two looks at whether a client is still there; and the shortest wait of a reply that is too fast.
_LOOK = 0.02
#: Seconds that a reply which was held up may make good: what lies in buffers on its way.
_CATCH_UP = 0.25

Frame = tuple[bytes, bytes, bytes]


class HungUp(Exception):  # noqa: N818 - how a reply ends, not a fault of ours
    """The connection is over and no more may be sent on it."""


class Brake:
    """Keeps a reply from being faster than it may be.

    Args:
        bytes_per_second: The most that goes out in a second, None for as fast as it is taken.
        pace: How time passes.
    """

    def __init__(self, bytes_per_second: float | None, pace: Pace) -> None:
        self._rate = bytes_per_second
        self._pace = pace
        self._due = pace.monotonic()

    def __call__(self, size: int) -> None:
        """Wait until so many bytes may follow."""
        if self._rate is None:
            return
        ahead = self._due - self._pace.monotonic()
        if ahead > _LOOK:
            self._pace.sleep(ahead)
        self._due += max(0.0, -ahead - _CATCH_UP) + size / self._rate


class Sender:
    """Sends the body of one reply.

    Args:
        connection: The client's.
        file: Writes to it.
        pace: How time passes.
    """

    def __init__(self, connection: socket.socket, file: BinaryIO, pace: Pace) -> None:
        self._connection = connection
        self._file = file
        self._pace = pace

    def send_body(self, answered: Answered) -> None:
        """Send the body, framed; the place is given back before the last byte.

        Raises:
            HungUp: A fault, or the client, ended the connection.
        """
        fault, reply = answered.fault, answered.reply
        if fault is not None and fault.do in _LIMITED:
            self._send_limited(fault, b"".join(reply.pieces), answered.leave, streamed=reply.streamed)
            return
        raw = framed(reply.pieces) if reply.streamed else whole(b"".join(reply.pieces))
        brake = Brake(answered.bytes_per_second, self._pace)
        for data, is_last in _lookahead(raw):
            brake(len(data))
            if is_last:
                answered.leave()
            self._write(data, fault)

    def send_garbage(self, body: str | None) -> None:
        """Send what is no HTTP.

        Raises:
            HungUp: Always: nothing can follow.
        """
        self._file.write(GARBAGE if body is None else body.encode())
        raise HungUp

    def _write(self, data: bytes, fault: Fault | None) -> None:
        if fault is None or fault.do != "trickle":
            self._file.write(data)
            return
        step = fault.bytes or 1
        for start in range(0, len(data), step):
            self._file.write(data[start : start + step])
            self._pace.sleep(fault.seconds or 0.0)

    def _send_limited(self, fault: Fault, body: bytes, leave: Callable[[], None], *, streamed: bool) -> None:
        """Send so many bytes of the body (one less than all, at most), then do what the fault says."""
        raw, position = split_at(body, fault.bytes or 0, streamed=streamed)
        self._file.write(raw[:position])
        if fault.do == "stall_after":
            self._stall(fault.seconds)
            leave()
            self._file.write(raw[position:])
            return
        leave()
        if fault.do == "reset_after":
            # Closing with a linger of 0 seconds resets.
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise HungUp

    def _stall(self, seconds: float | None) -> None:
        """Wait, looking now and then whether the client is still there."""
        until = None if seconds is None else self._pace.monotonic() + seconds
        while until is None or self._pace.monotonic() < until:
            if self._is_gone():
                raise HungUp
            if until is not None:
                self._pace.sleep(_LOOK)

    def _is_gone(self) -> bool:
        with contextlib.suppress(OSError):
            readable, _, _ = select.select([self._connection], [], [], _LOOK)
            return bool(readable) and not self._connection.recv(1, socket.MSG_PEEK)
        return True


def whole(body: bytes) -> Iterator[bytes]:
    """Give a body of known length so that its last byte comes by itself: until then it is not done."""
    yield body[:-1]
    yield body[-1:]


def framed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Give a body of unknown length in chunks, and the empty chunk that ends it."""
    for piece in even(pieces):
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield _LAST_CHUNK


def split_at(body: bytes, limit: int, *, streamed: bool) -> tuple[bytes, int]:
    """Give the framed body and where in it so many of its bytes have gone out; never at its very end."""
    limit = min(limit, max(len(body) - 1, 0))
    if not streamed:
        return body, limit
    position, gone, chunks = 0, 0, list(framed([body]))
    for chunk in chunks:
        start = chunk.index(b"\r\n") + 2
        held = len(chunk) - start - 2
        if gone + held > limit:
            return b"".join(chunks), position + start + limit - gone
        gone, position = gone + held, position + len(chunk)
    return b"".join(chunks), 0


def even(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut a body into pieces of one size; the last is what is left."""
    rest = b""
    for block in blocks:
        rest += block
        cut = len(rest) - len(rest) % PIECE
        for start in range(0, cut, PIECE):
            yield rest[start : start + PIECE]
        rest = rest[cut:]
    if rest:
        yield rest


def _lookahead(items: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Give every item with whether it is the last."""
    held = next(items)
    for item in items:
        yield held, False
        held = item
    yield held, True
