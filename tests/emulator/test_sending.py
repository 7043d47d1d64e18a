import pytest

from spxdata.emulator.front import Pace
from spxdata.emulator.sending import PIECE, Brake, even, framed, split_at, whole
from tests.builders import FakeClock


@pytest.mark.parametrize("cut", [1, 7, PIECE, 10**6])
def test_pieces_are_of_one_size_however_they_came(cut: int) -> None:
    body = bytes(range(256)) * 300
    pieces = list(even(body[start : start + cut] for start in range(0, len(body), cut)))
    assert b"".join(pieces) == body
    assert [len(piece) for piece in pieces[:-1]] == [PIECE] * (len(body) // PIECE)


def test_an_empty_body_has_only_the_chunk_that_ends_it() -> None:
    assert list(framed([])) == [b"0\r\n\r\n"]
    assert list(framed([b"abc"])) == [b"3\r\nabc\r\n", b"0\r\n\r\n"]


def test_the_last_byte_of_a_body_of_known_length_comes_by_itself() -> None:
    assert list(whole(b"abc")) == [b"ab", b"c"]
    assert b"".join(whole(b"")) == b""


def test_a_body_is_split_where_so_many_bytes_have_gone() -> None:
    assert split_at(b"abc", 2, streamed=False) == (b"abc", 2)
    assert split_at(b"abc", 99, streamed=False) == (b"abc", 2)
    assert split_at(b"abc", 2, streamed=True) == (b"3\r\nabc\r\n0\r\n\r\n", 5)
    assert split_at(b"", 5, streamed=True) == (b"0\r\n\r\n", 0)
    body = b"x" * (PIECE + 10)
    framing, position = split_at(body, PIECE + 4, streamed=True)
    assert framing[:position].count(b"x") == PIECE + 4


def test_a_brake_lets_so_many_bytes_pass_in_a_second() -> None:
    clock = FakeClock()
    brake = Brake(1000.0, Pace(clock.monotonic, clock.sleep))
    for _ in range(50):
        brake(100)
    assert clock.monotonic() == pytest.approx(4.9)  # the last of them are on their way


def test_a_reply_that_was_held_up_makes_little_of_it_good() -> None:
    clock = FakeClock()
    brake = Brake(1000.0, Pace(clock.monotonic, clock.sleep))
    clock.advance(60.0)
    for _ in range(50):
        brake(100)
    assert clock.monotonic() == pytest.approx(60.0 + 4.9 - 0.25)


def test_without_a_rate_nothing_waits() -> None:
    clock = FakeClock()
    brake = Brake(None, Pace(clock.monotonic, clock.sleep))
    brake(10**12)
    assert clock.slept == []
