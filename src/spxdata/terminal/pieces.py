"""Several CSV bodies as one: each must end with a whole line, and a header line that comes again is left out."""

from collections.abc import Iterator
from zlib import crc32

from spxdata.errors import MalformedReply

#: Bytes of a cut row that a message repeats.
_SHOWN = 40

#: An honest line has some 200 bytes; without a limit an endless one would fill the memory.
_LINE_LIMIT = 1024 * 1024


def joined(bodies: Iterator[Iterator[bytes]]) -> Iterator[bytes]:
    """Yield bodies one after the other.

    Args:
        bodies: Pages or parts of one reply, each in pieces as they arrive; each is read to its end before the next.

    Raises:
        MalformedReply: A body is empty, ends inside a line, or has the very rows of the one before it.
    """
    header = last = b""
    size = crc = 0
    for number, body in enumerate(bodies, start=1):
        if number > 1 and not last.endswith(b"\n"):  # a reply's own end is left to parsing: it knows what the row was
            raise MalformedReply(f"Part {number - 1} of the reply ends inside a row, or is empty: {last!r}.")
        first, rest = _first_line(body)
        last = first[-_SHOWN:]
        if number == 1:
            header = first
            yield first
        elif first != header:  # a row; another header would be no readable row, and parsing says so
            rest = _after(first, rest)
        before, size, crc = (size, crc), 0, 0
        for piece in rest:
            size, crc = size + len(piece), crc32(piece, crc)
            last = piece[-_SHOWN:] or last
            yield piece
        if size and (size, crc) == before:
            raise MalformedReply(f"Part {number} of the reply is the part before it once more, byte for byte.")
    if not last.endswith(b"\n") and header.endswith(b"\n") and number > 1:
        raise MalformedReply(f"Part {number} of the reply ends inside a row, or is empty: {last!r}.")


def _first_line(body: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return a body's first line, and the pieces after it."""
    opening = bytearray()
    for piece in body:
        opening += piece
        if b"\n" in piece:
            break
        if len(opening) > _LINE_LIMIT:
            raise MalformedReply(f"A line has no end after {len(opening):,} bytes.")
    end = opening.find(b"\n") + 1 or len(opening)
    return bytes(opening[:end]), _after(bytes(opening[end:]), body)


def _after(opening: bytes, body: Iterator[bytes]) -> Iterator[bytes]:
    if opening:
        yield opening
    yield from body


def named(body: Iterator[bytes], header: bytes, row: bytes) -> Iterator[bytes]:
    """Yield the rows of one contract, each with what names the contract before it.

    Args:
        body: Rows as they arrive, with or without the line of column names: rows begin with a digit.
        header: What to put before the names.
        row: What to put before each row.
    """
    first, rest = _first_line(body)
    at_start = True
    if first and not first[:1].isdigit():
        yield header + first
        pieces = rest
    else:
        pieces = _after(first, rest)
    for piece in filter(None, pieces):  # an empty one would end the line that has just ended once more
        ends = piece.endswith(b"\n")
        inner = piece[:-1] if ends else piece
        yield (row if at_start else b"") + inner.replace(b"\n", b"\n" + row) + (b"\n" if ends else b"")
        at_start = ends
