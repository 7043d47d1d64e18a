"""Pages and parts become one body, whatever their borders and whether they repeat the header."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.errors import MalformedReply
from spxdata.terminal.pieces import joined

HEADER = b"root,strike\r\n"
ROWS = [f"SPXW,{number}\r\n".encode() for number in range(12)]


def bodies(*texts: bytes, size: int = 5) -> Iterator[Iterator[bytes]]:
    """Return bodies in pieces."""
    return (iter([text[at : at + size] for at in range(0, len(text), size)]) for text in texts)


@given(st.lists(st.integers(0, len(ROWS)), max_size=4).map(sorted), st.booleans(), st.integers(1, 40))
def test_pages_are_one_body(borders: list[int], repeat: bool, size: int) -> None:
    cuts = [0, *borders, len(ROWS)]
    pages = [b"".join(ROWS[a:b]) for a, b in pairwise(cuts)]
    texts = [HEADER + pages[0], *((HEADER if repeat else b"") + page for page in pages[1:] if repeat or page)]
    assert b"".join(joined(bodies(*texts, size=size))) == HEADER + b"".join(ROWS)


@pytest.mark.parametrize("second", [b"", b"SPXW,4", HEADER + b"SPXW,4\r\nSPX", HEADER[:5]])
def test_a_page_that_is_empty_or_cut_is_an_error(second: bytes) -> None:
    with pytest.raises(MalformedReply, match="Part 2"):
        list(joined(bodies(HEADER + ROWS[0], second)))


def test_each_body_is_read_before_the_next_is_asked_for() -> None:
    asked: list[int] = []

    def pages() -> Iterator[Iterator[bytes]]:
        for number in range(3):
            asked.append(number)
            yield iter([HEADER, ROWS[number]])

    stream = joined(pages())
    assert next(stream) == HEADER
    assert asked == [0]
    assert next(stream) == ROWS[0]
    assert asked == [0]
    assert b"".join(stream) == ROWS[1] + ROWS[2]
