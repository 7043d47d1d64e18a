"""Listens on a port: HTTP/1.1, a thread a connection, every connection known."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import BinaryIO, cast

from spxdata.emulator.front import Answered, Front
from spxdata.emulator.sending import HungUp, Sender

Remember = Callable[[str, dict[str, str]], None]


class Listener(ThreadingHTTPServer):
    """Listens; knows its open connections, so that it can close them all.

    Args:
        front: What answers.
        address: Host and port.
        remember: Is told path and parameters of every request.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, front: Front, address: tuple[str, int], remember: Remember) -> None:
        self.front = front
        self.remember = remember
        self._connections: dict[threading.Thread, socket.socket] = {}
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    @property
    def url(self) -> str:
        """What stands before every path."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"

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
        """Close everything, and wait for the threads."""
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
    server: Listener
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        listener = self.server
        with listener.front.answered(self.path, listener.url, listener.remember) as answered:
            try:
                self._send(answered)
            except HungUp:
                self.close_connection = True
                # A reset takes effect only when nothing else holds the socket.
                self.rfile.close()
                self.connection.close()

    def _send(self, answered: Answered) -> None:
        sender = Sender(self.connection, cast("BinaryIO", self.wfile), self.server.front.pace)
        fault, reply = answered.fault, answered.reply
        if fault is not None and fault.do == "not_http":
            sender.send_garbage(fault.body)
        length = None
        if not reply.streamed:
            body = b"".join(reply.pieces)
            answered = replace(answered, reply=replace(reply, pieces=[body]))
            length = len(body)
        self.send_response_only(reply.status)
        for name, value in (("Date", formatdate(usegmt=True)), *reply.headers):
            self.send_header(reply.spell(name), value)
        framing = ("Transfer-Encoding", "chunked") if length is None else ("Content-Length", str(length))
        self.send_header(reply.spell(framing[0]), framing[1])
        if length == 0:
            answered.leave()
        self.end_headers()
        sender.send_body(answered)

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
