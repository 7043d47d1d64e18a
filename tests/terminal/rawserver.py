"""A server that hands each connection raw to a function, so that any reply can be written, however malformed."""

import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

#: Writes what it likes to a connection, once the request line has arrived; the connection is closed when it returns.
Answer = Callable[[socket.socket, str], None]


class RawServer:
    """Listens on a free port; requests are answered each in a thread of its own by `answer`, which may be replaced.

    Args:
        answer: What to do with a connection.
    """

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[str] = []
        #: Set when the server stops: what an answer waits for that must never come.
        self.over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def stop(self) -> None:
        """Stop listening and wait for all threads."""
        self.over.set()
        with suppress(OSError):  # wakes the listener
            socket.create_connection(self._listener.getsockname(), timeout=5).close()
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def _listen(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self.over.is_set():
                connection.close()
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads = [*(t for t in self._threads if t.is_alive()), thread]
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(ConnectionError):  # the client may have had enough
            connection.settimeout(10)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                piece = connection.recv(4096)
                if not piece:
                    return
                head += piece
            line = head.partition(b"\r\n")[0].decode()
            self.requests.append(line)
            self.answer(connection, line)


@contextmanager
def serving(answer: Answer) -> Iterator[RawServer]:
    """Run a server while the context lasts."""
    server = RawServer(answer)
    try:
        yield server
    finally:
        server.stop()


def sending(*pieces: bytes) -> Answer:
    """Return an answer that sends bytes, each piece in a packet of its own."""

    def answer(connection: socket.socket, _: str) -> None:
        for piece in pieces:
            connection.sendall(piece)

    return answer


def reset(connection: socket.socket) -> None:
    """Let the connection end in a reset instead of an orderly close."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def head(*headers: str, status: str = "200 OK") -> bytes:
    """Return a response's status line and headers."""
    return "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", *headers, "")).encode()


def whole(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return a response framed by its length."""
    return head(*headers, f"Content-Length: {len(body)}", status=status) + body


def chunks(body: bytes, size: int) -> Iterable[bytes]:
    """Return a body's chunks, each with its framing, and the end."""
    for start in range(0, len(body), size):
        piece = body[start : start + size]
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def chunked(body: bytes, size: int, *headers: str) -> bytes:
    """Return a response framed by chunks."""
    return head(*headers, "Transfer-Encoding: chunked") + b"".join(chunks(body, size))
