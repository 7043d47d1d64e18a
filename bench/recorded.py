"""A Terminal that repeats what another one said, byte for byte, in a process of its own.

What is asked for the first time is asked of the other one and kept as a file, head and framing included. Everything
after that is a `sendfile`: what a download is measured against costs nothing in its own process, and little elsewhere.
"""

import hashlib
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Process, SimpleQueue
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from urllib.parse import urlsplit

_PIECE = 1024 * 1024


class Recorder(ThreadingTCPServer):
    """Listens, asks the other Terminal at most once for everything, and sends what it said.

    Args:
        folder: Where answers are kept.
        upstream: The other Terminal's address.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, folder: Path, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._folder = folder
        self._upstream = urlsplit(upstream)
        self._lock = threading.Lock()

    def answer(self, target: str) -> Path:
        """Return the file with the answer to a request."""
        file = self._folder / hashlib.sha256(target.encode()).hexdigest()
        if not file.exists():
            self._ask(target, file)
        return file

    def _ask(self, target: str, file: Path) -> None:
        address = self._upstream.hostname or "", self._upstream.port or 80
        unfinished = file.with_suffix(f".{threading.get_ident()}")
        with socket.create_connection(address) as line, unfinished.open("wb") as kept:
            line.sendall(f"GET {target} HTTP/1.1\r\nHost: {address[0]}\r\nConnection: close\r\n\r\n".encode())
            while piece := line.recv(_PIECE):
                kept.write(piece)
        unfinished.rename(file)


class _Handler(StreamRequestHandler):
    server: Recorder

    def handle(self) -> None:
        request = self.rfile.readline().split()
        if len(request) < 2:  # a client that only looked whether somebody listens
            return
        while self.rfile.readline().strip():
            pass
        with self.server.answer(request[1].decode()).open("rb") as file:
            size, sent = os.fstat(file.fileno()).st_size, 0
            while sent < size:
                sent += os.sendfile(self.connection.fileno(), file.fileno(), sent, size - sent)


def _serve(folder: Path, upstream: str, ports: "SimpleQueue[int]") -> None:
    server = Recorder(folder, upstream)
    ports.put(server.server_address[1])
    server.serve_forever()


@contextmanager
def recorded(folder: Path, upstream: str) -> Iterator[str]:
    """Serve what is recorded in a folder, or is yet to be from another Terminal; yields the address.

    Args:
        folder: Where answers are kept.
        upstream: The other Terminal's base, such as http://127.0.0.1:25503/v3; needed only for what is not kept.
    """
    ports: SimpleQueue[int] = SimpleQueue()
    server = Process(target=_serve, args=(folder, upstream, ports), daemon=True)
    server.start()
    try:
        yield f"http://127.0.0.1:{ports.get()}{urlsplit(upstream).path}"
    finally:
        server.terminate()
        server.join()
