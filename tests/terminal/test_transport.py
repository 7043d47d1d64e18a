"""Bytes over a socket: foreign errors by table, framing that notices every early end, patience, abort."""

import errno
import gc
import http.client
import inspect
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from spxdata.errors import BadRequest, CutOff, SpxDataError, TerminalError, TimedOut, TransientError, Unreachable
from spxdata.terminal.transport import FOREIGN, Channels, Timeouts, get, translated

from .rawserver import Answer, RawServer, chunked, head, reset, sending, serving, whole

#: Long enough for a busy machine; tests of time-outs bring their own.
PATIENT = Timeouts(connect=5, first_byte=5, between_bytes=5)
BODY = bytes(range(256)) * 3

#: What each foreign exception becomes while a reply is read.
TRANSLATIONS: dict[type[Exception], type[TransientError]] = {
    http.client.HTTPException: CutOff,
    http.client.NotConnected: CutOff,
    http.client.InvalidURL: CutOff,
    http.client.UnknownProtocol: CutOff,
    http.client.UnknownTransferEncoding: CutOff,
    http.client.UnimplementedFileMode: CutOff,
    http.client.IncompleteRead: CutOff,
    http.client.ImproperConnectionState: CutOff,
    http.client.CannotSendRequest: CutOff,
    http.client.CannotSendHeader: CutOff,
    http.client.ResponseNotReady: CutOff,
    http.client.BadStatusLine: CutOff,
    http.client.LineTooLong: CutOff,
    http.client.RemoteDisconnected: CutOff,
    ConnectionError: CutOff,
    ConnectionResetError: CutOff,
    ConnectionAbortedError: CutOff,
    BrokenPipeError: CutOff,
    ConnectionRefusedError: Unreachable,
    socket.gaierror: Unreachable,
    socket.herror: Unreachable,
    UnicodeError: Unreachable,
    OSError: Unreachable,
    TimeoutError: TimedOut,
}
NUMBERS: dict[int, type[TransientError]] = {
    errno.EHOSTUNREACH: Unreachable,
    errno.ENETUNREACH: Unreachable,
    errno.EMFILE: Unreachable,
    errno.ECONNREFUSED: Unreachable,
    errno.ECONNRESET: CutOff,
    errno.ECONNABORTED: CutOff,
    errno.EPIPE: CutOff,
    errno.ETIMEDOUT: TimedOut,
}
RAISED: list[tuple[Exception, type[TransientError]]] = [
    *((kind("words"), ours) for kind, ours in TRANSLATIONS.items()),
    *((OSError(number, "words"), ours) for number, ours in NUMBERS.items()),
]


def ask(server: RawServer, timeouts: Timeouts = PATIENT, channels: Channels | None = None) -> bytes:
    """Read a whole reply."""
    with get(server.url, "/x", timeouts, channels or Channels()) as response:
        return b"".join(response.chunks())


class TestForeignErrors:
    """What http.client and the system raise is raised as ours."""

    @pytest.mark.parametrize(("error", "ours"), RAISED, ids=[repr(error)[:50] for error, _ in RAISED])
    def test_a_foreign_error_becomes_ours_with_its_cause(self, error: Exception, ours: type[TransientError]) -> None:
        """The message names the Terminal and ends with the system's words."""
        with pytest.raises(TransientError) as caught, translated("The Terminal at http://x", 2.5):
            raise error
        assert type(caught.value) is ours
        assert caught.value.__cause__ is error
        assert caught.value.message.startswith("The Terminal at http://x ")
        assert str(error) in caught.value.message

    @pytest.mark.parametrize("error", [error for error, _ in RAISED], ids=lambda error: repr(error)[:50])
    def test_while_connecting_all_of_them_mean_unreachable(self, error: Exception) -> None:
        """Nothing was asked yet."""
        with pytest.raises(Unreachable) as caught, translated("The Terminal", 1, connecting=True):
            raise error
        assert caught.value.__cause__ is error

    def test_no_exception_of_http_client_is_forgotten(self) -> None:
        """Fails if http.client grows one: decide what it means, then add it above."""
        theirs = {
            value
            for value in [*vars(http.client).values(), *(getattr(http.client, name) for name in http.client.__all__)]
            if inspect.isclass(value) and issubclass(value, Exception)
        }
        assert theirs - TRANSLATIONS.keys() == set()
        dropped = {kind for kind in _below(ConnectionError) if kind.__module__ in {"builtins", "http.client"}}
        assert dropped - TRANSLATIONS.keys() == set()

    def test_every_row_of_the_table_is_reached(self) -> None:
        """None is hidden behind an earlier, more general one."""
        for index, (kind, _, _) in enumerate(FOREIGN):
            assert not any(issubclass(kind, earlier) for earlier, _, _ in FOREIGN[:index])
            assert kind in TRANSLATIONS

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("a bug"), BadRequest("ours"), GeneratorExit()])
    def test_what_is_no_fault_of_the_connection_passes(self, error: BaseException) -> None:
        """Bugs, interrupts and our own errors stay what they are."""
        with pytest.raises(type(error)) as caught, translated("The Terminal", 1):
            raise error
        assert caught.value is error


def _below(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _below(child)


TRAILING = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
CLOSE = "Connection: close"

WHOLE: dict[str, tuple[bytes, bytes]] = {
    "length": (whole(BODY), BODY),
    "length, close": (whole(BODY, CLOSE), BODY),
    "length of 0": (whole(b""), b""),
    "length of 0, close": (whole(b"", CLOSE), b""),
    "length said twice": (whole(BODY, f"Content-Length: {len(BODY)}"), BODY),
    "one chunk": (chunked(BODY, 10_000), BODY),
    "one chunk, close": (chunked(BODY, 10_000, CLOSE), BODY),
    "many chunks": (chunked(BODY, 7), BODY),
    "chunks of a byte": (chunked(BODY[:40], 1), BODY[:40]),
    "no chunks": (chunked(b"", 1), b""),
    "name of the framing in capitals": (head("TRANSFER-ENCODING: Chunked") + b"1\r\nx\r\n0\r\n\r\n", b"x"),
    "chunks win over a length": (chunked(BODY, 7, "Content-Length: 3"), BODY),
    "leading zeros, capitals": (
        head("Transfer-Encoding: chunked") + b"00A\r\n0123456789\r\n000\r\n\r\n",
        b"0123456789",
    ),
    "chunk extensions": (head("Transfer-Encoding: chunked") + b"2;a=b\r\nxy\r\n1 ; c\r\nz\r\n0;end\r\n\r\n", b"xyz"),
    "trailers": (head("Transfer-Encoding: chunked") + b"2\r\nxy\r\n0\r\nA: 1\r\nB: 2\r\n\r\n", b"xy"),
    "line ends inside the body": (chunked(b"0\r\n\r\n0\r\n\r\n", 3), b"0\r\n\r\n0\r\n\r\n"),
    "after an interim answer": (b"HTTP/1.1 100 Continue\r\n\r\n" + whole(BODY), BODY),
    "of HTTP 1.0": (whole(BODY).replace(b"HTTP/1.1", b"HTTP/1.0"), BODY),
}
FEEDS: dict[str, Callable[[bytes], Answer]] = {
    "at once": sending,
    "byte by byte": lambda reply: sending(*(reply[i : i + 1] for i in range(len(reply)))),
    "with trailing bytes": lambda reply: sending(reply + TRAILING),
}


class TestWhole:
    """Replies that are what they should be."""

    @pytest.mark.parametrize("feed", FEEDS)
    @pytest.mark.parametrize("reply", WHOLE)
    def test_a_whole_reply_is_read_to_its_end_and_no_further(self, reply: str, feed: str) -> None:
        """In either framing, however it is cut into packets, and whatever follows."""
        raw, body = WHOLE[reply]
        with serving(FEEDS[feed](raw)) as server:
            assert ask(server) == body
        assert server.requests == ["GET /x HTTP/1.1"]

    def test_a_reply_ends_by_its_framing_not_by_the_connection(self) -> None:
        """A server that keeps the connection open does not keep us waiting."""

        def answer(connection: socket.socket, _: str) -> None:
            connection.sendall(chunked(BODY, 100))
            server.over.wait()

        with serving(answer) as server:
            assert ask(server) == BODY

    def test_pieces_arrive_as_they_are_sent(self) -> None:
        """Nothing waits for the whole reply."""
        taken = threading.Event()

        def answer(connection: socket.socket, _: str) -> None:
            connection.sendall(head("Transfer-Encoding: chunked") + b"5\r\nfirst\r\n")
            assert taken.wait(10)
            connection.sendall(b"4\r\nlast\r\n0\r\n\r\n")

        with serving(answer) as server, get(server.url, "/x", PATIENT, Channels()) as response:
            pieces = response.chunks()
            assert next(pieces) == b"first"
            taken.set()
            assert list(pieces) == [b"last"]

    def test_a_large_reply_comes_in_bounded_pieces(self) -> None:
        """One chunk of 3 MB is not one piece."""
        body = b"0123456789abcdef" * 200_000
        with (
            serving(sending(chunked(body, 10**9))) as server,
            get(server.url, "/x", PATIENT, Channels()) as response,
        ):
            pieces = list(response.chunks())
        assert b"".join(pieces) == body
        assert max(map(len, pieces)) <= 64 * 1024


CHUNKED = head("Transfer-Encoding: chunked")
CUT: dict[str, bytes] = {
    "before the head": b"",
    "in the status line": b"HTTP/1.1 2",
    "after the status line": b"HTTP/1.1 200 OK\r\n",
    "in a header's name": b"HTTP/1.1 200 OK\r\nContent-Le",
    "in the length": head("Content-Length: 1000")[:-6],
    "in the name of the framing": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chun",
    "after the head, length": head("Content-Length: 3"),
    "after the head, chunks": CHUNKED,
    "length short by 1": whole(BODY)[:-1],
    "length short by 1, close": whole(BODY, CLOSE)[:-1],
    "length short by half": whole(BODY)[:-300],
    "in a size": CHUNKED + b"1f",
    "in a size, after a leading zero": CHUNKED + b"5\r\n12345\r\n0",
    "in a size, after two leading zeros": CHUNKED + b"00",
    "in a chunk extension": CHUNKED + b"5;na",
    "in a size's line end": CHUNKED + b"5\r",
    "after a size": CHUNKED + b"5\r\n",
    "in the data": CHUNKED + b"5\r\n1234",
    "after the data": CHUNKED + b"5\r\n12345",
    "in the line end after the data": CHUNKED + b"5\r\n12345\r",
    "before the last chunk": CHUNKED + b"5\r\n12345\r\n",
    "in the last chunk": CHUNKED + b"5\r\n12345\r\n0\r",
    "before the final line end": CHUNKED + b"5\r\n12345\r\n0\r\n",
    "in the final line end": CHUNKED + b"5\r\n12345\r\n0\r\n\r",
    "in a trailer": CHUNKED + b"5\r\n12345\r\n0\r\nChecks",
    "after a trailer": CHUNKED + b"5\r\n12345\r\n0\r\nChecksum: 7\r\n",
}
BROKEN: dict[str, bytes] = {
    "no framing": head() + BODY,
    "no framing, close": head(CLOSE) + BODY,
    "no framing, HTTP 1.0": head().replace(b"1.1", b"1.0") + BODY,
    "framing of another name": head("Transfer-Encoding: gzip") + BODY,
    "length negative": head("Content-Length: -1") + BODY,
    "length garbage": head("Content-Length: many") + BODY,
    "length empty": head("Content-Length:") + BODY,
    "length endless": head("Content-Length: " + "9" * 5000) + BODY,
    "lengths that differ": head("Content-Length: 5", "Content-Length: 9") + BODY,
    "size negative": CHUNKED + b"-5\r\n12345\r\n0\r\n\r\n",
    "size minus zero": CHUNKED + b"-0\r\n\r\n",
    "size with a plus": CHUNKED + b"+0\r\n\r\n",
    "size with an underscore": CHUNKED + b"0_0\r\n\r\n",
    "size with 0x": CHUNKED + b"0x0\r\n\r\n",
    "size garbage": CHUNKED + b"five\r\n12345\r\n0\r\n\r\n",
    "size empty": CHUNKED + b"\r\n12345\r\n0\r\n\r\n",
    "size empty, extension": CHUNKED + b";a=b\r\n\r\n",
    "size endless": CHUNKED + b"f" * 4090 + b"\r\n12345",
    "line endless": CHUNKED + b"0" * 10_000 + b"\r\n\r\n",
    "line without carriage return": CHUNKED + b"5\n12345\n0\n\n",
    "chunk longer than its size": CHUNKED + b"4\r\n12345\r\n0\r\n\r\n",
    "not HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "binary": bytes(range(255, -1, -1)) * 40,
    "another HTTP": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "status of letters": b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
    "status too large": b"HTTP/1.1 4720 OK\r\nContent-Length: 0\r\n\r\n",
    "endless header": b"HTTP/1.1 200 OK\r\nA: " + b"a" * 100_000,
    "too many headers": head(*(f"A{number}: 1" for number in range(500)), "Content-Length: 0"),
}


class TestEarlyEnds:
    """An early end, or framing that cannot show one, is an error and never an end."""

    @pytest.mark.parametrize("feed", ["at once", "byte by byte"])
    @pytest.mark.parametrize("where", CUT)
    def test_a_reply_that_is_cut_is_an_error(self, where: str, feed: str) -> None:
        """Wherever the cut is."""
        with serving(FEEDS[feed](CUT[where])) as server, pytest.raises(CutOff):
            ask(server)

    @pytest.mark.parametrize("how", BROKEN)
    def test_a_reply_whose_framing_is_broken_is_an_error(self, how: str) -> None:
        """Never a whole reply, never a foreign exception."""
        with serving(sending(BROKEN[how])) as server, pytest.raises(CutOff) as caught:
            ask(server)
        assert len(caught.value.message) < 500

    @pytest.mark.parametrize("reply", [whole(BODY), chunked(BODY, 100)], ids=["length", "chunks"])
    def test_a_reset_in_mid_reply_is_an_error(self, reply: bytes) -> None:
        """Even when the last byte was on its way."""
        taken = threading.Event()

        def answer(connection: socket.socket, _: str) -> None:
            connection.sendall(reply[:200])
            assert taken.wait(10)
            reset(connection)

        with serving(answer) as server, get(server.url, "/x", PATIENT, Channels()) as response:
            pieces = response.chunks()
            next(pieces)
            taken.set()
            with pytest.raises(CutOff, match=r"dropped the connection") as caught:
                list(pieces)
        assert isinstance(caught.value.__cause__, ConnectionResetError)

    def test_a_reset_before_the_head_is_an_error(self) -> None:
        """The Terminal drops connections under load."""
        with serving(lambda connection, _: reset(connection)) as server, pytest.raises(CutOff):
            ask(server)

    @pytest.mark.parametrize("reply", ["many chunks", "length"])
    def test_every_shorter_reply_is_an_error(self, reply: str) -> None:
        """All cuts of a tiny reply, one by one; the last one is the whole."""
        raw = {"many chunks": chunked(b"0123456789" * 2, 7), "length": whole(b"0123456789" * 2)}[reply]
        with serving(sending()) as server:
            for length in range(len(raw)):
                server.answer = sending(raw[:length])
                with pytest.raises(CutOff):
                    ask(server)
            server.answer = sending(raw)
            assert ask(server) == b"0123456789" * 2


class TestPatience:
    """Silence ends, slowness does not."""

    def test_no_byte_at_all_is_a_time_out(self) -> None:
        """After the first-byte patience, which the message names."""
        impatient = Timeouts(connect=60, first_byte=0.2, between_bytes=60)
        began = time.monotonic()
        with serving(lambda *_: _until(server)) as server, pytest.raises(TimedOut, match=r"sent nothing for 0\.2 s"):
            ask(server, impatient)
        assert time.monotonic() - began < 30

    @pytest.mark.parametrize("begun", [whole(BODY)[:-1], CHUNKED + b"5\r\n123", CHUNKED + b"5"])
    def test_silence_in_mid_reply_is_a_time_out(self, begun: bytes) -> None:
        """In a body as in its framing."""

        def answer(connection: socket.socket, _: str) -> None:
            connection.sendall(begun)
            _until(server)

        impatient = Timeouts(connect=60, first_byte=60, between_bytes=0.2)
        began = time.monotonic()
        with serving(answer) as server, pytest.raises(TimedOut, match=r"sent nothing for 0\.2 s"):
            ask(server, impatient)
        assert time.monotonic() - began < 30

    def test_the_first_byte_may_take_longer_than_the_next(self) -> None:
        """The Terminal computes before it speaks."""

        def answer(connection: socket.socket, _: str) -> None:
            server.over.wait(0.3)
            connection.sendall(whole(BODY))

        with serving(answer) as server:
            assert ask(server, Timeouts(connect=5, first_byte=10, between_bytes=0.1)) == BODY

    def test_a_slow_trickle_is_read_to_its_end(self) -> None:
        """There is no time limit on the whole: 1.5 s in all, 1 s between bytes."""

        def answer(connection: socket.socket, _: str) -> None:
            connection.sendall(head("Content-Length: 15"))
            for number in range(15):
                server.over.wait(0.1)
                connection.sendall(b"%x" % number)

        with serving(answer) as server:
            assert ask(server, Timeouts(connect=1, first_byte=1, between_bytes=1)) == b"0123456789abcde"


def _until(server: RawServer) -> None:
    server.over.wait()


class TestConnections:
    """Refused, aborted, closed."""

    def test_a_port_nobody_listens_on_is_unreachable(self) -> None:
        """The message names the address."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        with pytest.raises(Unreachable, match=rf"http://127\.0\.0\.1:{port} refuses connections") as caught:
            _ask_url(f"http://127.0.0.1:{port}/v3")
        assert isinstance(caught.value.__cause__, ConnectionRefusedError)

    @pytest.mark.parametrize("host", ["a..b", "x" * 70])
    def test_a_host_that_cannot_be_is_unreachable(self, host: str) -> None:
        """Python refuses it before any resolver is asked."""
        with pytest.raises(Unreachable, match=r"has no such host"):
            _ask_url(f"http://{host}:1")

    def test_abort_wakes_a_reader_that_waits_for_the_next_byte(self) -> None:
        """From another thread; the reader hears of an early end."""
        waiting = threading.Event()

        def answer(connection: socket.socket, _: str) -> None:
            connection.sendall(CHUNKED + b"5\r\nfirst\r\n")
            _until(server)

        def read() -> None:
            with get(server.url, "/x", PATIENT, channels) as response:
                for _ in response.chunks():
                    waiting.set()

        channels = Channels()
        with serving(answer) as server, ThreadPoolExecutor() as pool:
            reading = pool.submit(read)
            assert waiting.wait(10)
            channels.abort()
            with pytest.raises(CutOff):
                reading.result(10)

    def test_abort_wakes_readers_that_wait_for_the_first_byte(self) -> None:
        """All of them."""
        asked = threading.Barrier(4)

        def answer(*_: object) -> None:
            asked.wait(10)
            _until(server)

        channels = Channels()
        with serving(answer) as server, ThreadPoolExecutor() as pool:
            reading = [pool.submit(ask, server, PATIENT, channels) for _ in range(3)]
            asked.wait(10)
            channels.abort()
            for reader in reading:
                with pytest.raises(CutOff):
                    reader.result(10)

    def test_nothing_is_asked_after_an_abort(self) -> None:
        """An attempt that was still connecting when the run was stopped must not go on with a whole reply."""
        channels = Channels()
        with serving(sending(whole(BODY))) as server:
            assert ask(server, channels=channels) == BODY
            channels.abort()
            with pytest.raises(CutOff, match="stopped"):
                ask(server, channels=channels)

    @pytest.mark.parametrize("leaving", ["whole", "early", "raising", "cut", "unread"])
    def test_the_connection_is_closed_however_the_reply_is_left(self, leaving: str) -> None:
        """The server sees its end, and no socket is left to the garbage collector."""
        seen: list[bytes] = []
        over = threading.Event()

        def answer(connection: socket.socket, _: str) -> None:
            connection.sendall(whole(BODY) if leaving != "cut" else whole(BODY)[:-1])
            if leaving == "cut":
                connection.shutdown(socket.SHUT_WR)
            try:
                seen.append(connection.recv(1))
            except ConnectionResetError:  # closed with bytes unread
                seen.append(b"")
            over.set()

        with serving(answer) as server:
            try:
                with get(server.url, "/x", PATIENT, Channels()) as response:
                    pieces = response.chunks()
                    if leaving != "unread":
                        next(pieces)
                    if leaving == "raising":
                        int(leaving)
                    if leaving in {"whole", "cut"}:
                        list(pieces)
            except (ValueError, CutOff):
                assert leaving in {"raising", "cut"}
            assert over.wait(10)
        assert seen == [b""]
        gc.collect()  # a ResourceWarning would be an error


def _ask_url(url: str) -> None:
    with get(url, "/x", PATIENT, Channels()):
        pass


class TestResponses:
    """Status, headers, and the text of errors."""

    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            ("Retry-After: 7", 7.0),
            ("retry-after:  120 ", 120.0),
            ("Retry-After: 0", 0.0),
            ("Retry-After: -1", None),
            ("Retry-After: soon", None),
            ("Retry-After: Wed, 21 Oct 2026 07:28:00 GMT", None),
            ("Retry-After:", None),
            ("Retry-Later: 7", None),
        ],
    )
    def test_retry_after_is_read_in_seconds(self, header: str, seconds: float | None) -> None:
        """Other forms are ignored: our own waits apply."""
        with (
            serving(sending(whole(b"busy", header, status="429 Too Many Requests"))) as server,
            get(server.url, "/x", PATIENT, Channels()) as response,
        ):
            assert (response.status, response.retry_after(), response.text()) == (429, seconds, "busy")

    def test_a_status_without_a_reason_is_read(self) -> None:
        """As the Terminal sends its 472."""
        with (
            serving(sending(whole(b"No data found for your request", status="472 "))) as server,
            get(server.url, "/x", PATIENT, Channels()) as response,
        ):
            assert (response.status, response.text()) == (472, "No data found for your request")

    def test_a_text_that_is_no_utf_8_is_still_a_text(self) -> None:
        """It only has to be shown."""
        with (
            serving(sending(whole(b"caf\xe9"))) as server,
            get(server.url, "/x", PATIENT, Channels()) as response,
        ):
            assert response.text() == "caf\ufffd"

    def test_an_endless_error_text_is_read_in_part(self) -> None:
        """Enough for a message; the rest stays where it is."""

        def answer(connection: socket.socket, _: str) -> None:
            connection.sendall(head("Transfer-Encoding: chunked", status="500 Oops"))
            while True:  # until the client goes
                connection.sendall(b"400\r\n" + b"sorry..." * 128 + b"\r\n")

        with serving(answer) as server, get(server.url, "/x", PATIENT, Channels()) as response:
            text = response.text()
        assert text.startswith("sorry...")
        assert 64 * 1024 <= len(text) <= 128 * 1024

    @pytest.mark.parametrize("length", range(len(whole(b"No data", status="472 "))))
    def test_an_error_text_that_is_cut_is_no_answer(self, length: int) -> None:
        """An outcome such as "no data" is never taken from half a reply."""
        with serving(sending(whole(b"No data", status="472 ")[:length])) as server, pytest.raises(CutOff):
            _text(server)


def _text(server: RawServer) -> str:
    with get(server.url, "/x", PATIENT, Channels()) as response:
        return response.text()


def test_the_classes_of_the_table_are_ours() -> None:
    """Every foreign error ends in one that may be tried again."""
    for _, ours, words in FOREIGN:
        assert issubclass(ours, SpxDataError)
        assert issubclass(ours, TerminalError)
        assert issubclass(ours, TransientError)
        assert words.format(timeout=1)
