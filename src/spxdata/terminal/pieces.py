"""Several CSV bodies as one: each must end with a whole line, and a header line that comes again is left out."""

from collections.abc import Iterator

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
        MalformedReply: A body is empty, or ends inside a line.
    """
    header = bytearray()
    last = b""
    for number, body in enumerate(bodies, start=1):
        rest = body
        if number > 1:
            if not last.endswith(b"\n"):  # the last body's end is left to parsing: it knows what the row was
                raise MalformedReply(f"Part {number - 1} of the reply ends inside a row, or is empty: {last[-40:]!r}.")
            first, rest = _first_line(body)
            last = first[-1:]
            if first != header:  # a row; another header would be no readable row, and parsing says so
                yield first
        for piece in rest:
            if number == 1 and not header.endswith(b"\n"):
                header += piece[: piece.find(b"\n") + 1 or None]
            last = piece[-_SHOWN:] or last
            yield piece
    if not last.endswith(b"\n") and header.endswith(b"\n") and number > 1:
        raise MalformedReply(f"Part {number} of the reply ends inside a row, or is empty: {last!r}.")


def _first_line(body: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return a body's first line, and the pieces after it."""
    opening = b""
    for piece in body:
        opening += piece
        if b"\n" in piece:
            break
        if len(opening) > _LINE_LIMIT:
            raise MalformedReply(f"A line has no end after {len(opening):,} bytes.")
    end = opening.find(b"\n") + 1 or len(opening)
    return opening[:end], _after(opening[end:], body)


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
