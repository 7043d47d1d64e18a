"""Pages and parts become one body, whatever their borders and whether they repeat the header or name their contract."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.errors import MalformedReply
from spxdata.terminal.pieces import joined, named

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


@pytest.mark.parametrize("header", [HEADER, b""], ids=["header again", "rows alone"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_page_that_is_the_one_before_it_is_an_error(header: bytes, size: int) -> None:
    """Byte for byte, with or without the line of column names: of ticks all would be there twice."""
    texts = [HEADER + ROWS[0], header + ROWS[1] + ROWS[2], header + ROWS[1] + ROWS[2], header + ROWS[3]]
    with pytest.raises(MalformedReply, match="Part 3 of the reply is the part before it once more"):
        list(joined(bodies(*texts, size=size)))
    with pytest.raises(MalformedReply, match="Part 2"):
        list(joined(bodies(HEADER + ROWS[0], header + ROWS[0], size=size)))


def test_pages_without_rows_may_follow_each_other() -> None:
    """They repeat nothing."""
    assert b"".join(joined(bodies(HEADER, HEADER, HEADER + ROWS[0], HEADER, HEADER))) == HEADER + ROWS[0]


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


#: What single contracts come as, and what is put before their lines.
TICK_HEADER = b"ms_of_day,price,date\r\n"
TICKS = [f"{34_200_000 + number},{number}.5,20240116\r\n".encode() for number in range(12)]
NAMES, CELLS = b"root,expiration,strike,right,", b"SPXW,20240119,4750000,C,"


@given(
    st.booleans(),
    st.integers(0, len(TICKS)),
    st.integers(0, 10),
    st.lists(st.integers(0, 400), max_size=12),
)
def test_every_row_of_a_contract_gets_its_name_however_the_body_is_cut(
    header: bool, rows: int, cut_off: int, borders: list[int]
) -> None:
    """With or without the line of column names, into pieces of any size, empty ones too; a cut row stays cut."""
    text = (TICK_HEADER if header else b"") + b"".join(TICKS[:rows])
    text = text[: len(text) - cut_off] if rows else text
    places = [0, *sorted(min(border, len(text)) for border in borders), len(text)]
    pieces = (text[start:stop] for start, stop in pairwise(places))
    first, *others = text.splitlines(keepends=True) or [b""]
    expected = [(NAMES if header else CELLS) + first if first else b"", *(CELLS + line for line in others)]
    assert b"".join(named(pieces, NAMES, CELLS)) == b"".join(expected)


def test_contracts_that_follow_each_other_are_one_table() -> None:
    """The header of the first one is kept, those of the others are left out."""
    contracts = [b"SPXW,20240119,4750000,C,", b"SPXW,20240119,4750000,P,", b"SPXW,20240119,4800000,C,"]
    texts = [TICK_HEADER + TICKS[0], TICK_HEADER + TICKS[1] + TICKS[2], TICKS[3]]
    parts = (named(body, NAMES, cells) for body, cells in zip(bodies(*texts), contracts, strict=True))
    assert b"".join(joined(parts)) == NAMES + TICK_HEADER + b"".join(
        contracts[of] + TICKS[row] for of, row in ((0, 0), (1, 1), (1, 2), (2, 3))
    )
