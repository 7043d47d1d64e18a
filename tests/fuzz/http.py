"""Whole responses, heads and framing included, damaged and sent over a socket.

Every response gives rows of the reply it is made of, and holes for those it lacks, or raises an error of `errors.py`.
"""

import socket
from collections.abc import Iterator
from random import Random

from spxdata.clock import SystemClock
from spxdata.terminal.asking import Line, Patience
from tests.fuzz.corpus import CLIENTS, Sample, samples
from tests.fuzz.mutate import mutated
from tests.fuzz.target import Found, judged, read, unsaid
from tests.terminal.rawserver import RawServer, chunked, head, serving, whole

#: Heads that no honest server sends; the body follows framed by its length.
_HEADS = (
    b"HTTP/1.1 200 " + b"OK" * 40_000 + b"\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(500)),
    b"HTTP/1.1 200 OK\r\nX-Long: " + b"y" * 100_000 + b"\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1_000\r\n",
    b"HTTP/1.1 200 OK\r\nNext-Page: http://127.0.0.1:1/" + b"a" * 5_000 + b"\r\n",
    b"HTTP/1.1 999 What\r\n",
    b"HTTP/1.1 -200 OK\r\n",
    b"HTTP/1.1 \xff\xfe OK\r\n",
    b"HTTP/9.9 200 OK\r\n",
    b"ICY 200 OK\r\n",
    b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    b"HTTP/1.1 200 OK\r\nRetry-After: \xd9\xa1\r\nX: \0\r\n",
    b"HTTP/1.1 429 Slow\r\nRetry-After: 99999999999999999999999999999\r\n",
    b"HTTP/1.1 301 Gone\r\nLocation: file:///etc/passwd\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 200,
)
#: Bytes beyond the head's usual ones that are damaged with it: the rest of the head, and chunk sizes, but no row.
_TOP = 60
_PATIENCE = Patience(5.0, 5.0, 5.0, 5.0)


def responses(dialect: str, seed: int, count: int) -> Iterator[tuple[int, Found]]:
    """Try damaged responses: numbers and what came of them."""
    sound = [sample for sample in samples(dialect) if len(sample.rows) <= 60 and not sample.requests]
    with serving(lambda *_: None) as server:
        for number in range(count):
            dice = Random(f"{seed} {dialect} http {number}")  # noqa: S311 - the same ones every time are the point
            yield number, tried(dice.choice(sound), server, dice)


def tried(sample: Sample, server: RawServer, dice: Random) -> Found:
    """Damage a response, and hold what the product makes of it to the invariant."""
    kind = dice.randrange(4 if len(sample.body.splitlines()[0]) > _TOP else 2)
    source = CLIENTS[sample.dialect](Line(f"{server.url}/{sample.dialect}", sample.dialect, _PATIENCE), SystemClock())
    if kind == 0:  # the body alone: the oracle reads what the frame holds
        body, done = mutated(sample.body, dice)
        answer(server, dice.choice((whole(body), chunked(body, dice.choice((1, 100, 4096))))))
        return judged(sample, [body], f"body: {done}", lambda: read(source, sample))
    if kind == 1:
        strange = dice.choice(_HEADS)
        response = strange + f"Content-Length: {len(sample.body)}\r\n\r\n".encode() + sample.body
        done = f"head: {strange[:30]!r}"
    else:
        sound = dice.choice((whole(sample.body), chunked(sample.body, dice.choice((37, 1000, 10_000)))))
        top = len(head()) + _TOP
        if kind == 2:  # heads and the first chunk sizes
            damaged, done = mutated(sound[:top], dice)
            response = damaged + sound[top:]
        else:
            response, done = sound[: dice.randrange(len(sound))], "cut"
        done = f"framing: {done}"
    answer(server, response)
    return prefix_of(
        judged(sample, [sample.body], done, lambda: read(source, sample)), sample, source, server, response
    )


def answer(server: RawServer, response: bytes) -> None:
    """Let the server send a response whole, and close."""

    def send(connection: socket.socket, _: str) -> None:
        connection.sendall(response)

    server.answer = send


def prefix_of(found: Found, sample: Sample, source: object, server: RawServer, response: bytes) -> Found:
    """Accept fewer rows than the reply had, if holes tell of the rest: a frame may end before it does."""
    del source
    if found.what != "WRONG" or "rows where it holds" not in found.why:
        return found
    answer(server, response)
    client = CLIENTS[sample.dialect](Line(f"{server.url}/{sample.dialect}", sample.dialect, _PATIENCE), SystemClock())
    rows, holes = read(client, sample)
    known = {repr(row) for row in sample.rows}
    if all(repr(row) in known for row in rows) and not unsaid(sample, rows, holes):
        return found._replace(what="rows", why="")
    return found
