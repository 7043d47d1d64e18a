"""Spoiled bodies, bytes in and bytes out."""

from itertools import islice

import pytest

from spxdata.emulator.faults import Fault
from spxdata.emulator.reply import Reply, Table
from spxdata.emulator.spoil import spoiled
from spxdata.errors import ConfigError

HEAD = b"root,expiration,strike,right,bid,ask\r\n"
ROWS = [
    b"SPXW,20240116,1,C,1.00,2.09\r\n",
    b"SPXW,20240116,1,C,1.10,2.10\r\n",
    b"SPXW,20240116,2,P,3.00,4.00\r\n",
]
TABLE = Table(("root", "expiration", "strike", "right", "bid", "ask"), b"\r\n")


def spoil(fault: Fault, *, headed: bool = True) -> bytes:
    table = Table(TABLE.columns, TABLE.line_end, headed)
    body = b"".join([HEAD, *ROWS] if headed else ROWS)
    return b"".join(spoiled(fault, Reply(200, (), [body[:20], body[20:]], table=table)).pieces)


def test_the_last_row_lacks_its_second_half() -> None:
    cut = spoil(Fault("cut_last_row"))
    assert cut.startswith(HEAD + ROWS[0] + ROWS[1] + b"SPXW,20240")
    assert len(HEAD) + len(ROWS[0]) + len(ROWS[1]) < len(cut) < len(HEAD + b"".join(ROWS)) - 10


def test_rows_come_twice_byte_for_byte() -> None:
    assert spoil(Fault("duplicate_rows")) == HEAD + ROWS[0] * 2 + ROWS[1] + ROWS[2]
    assert spoil(Fault("duplicate_rows", rows=2)) == HEAD + ROWS[0] * 2 + ROWS[1] * 2 + ROWS[2]
    assert spoil(Fault("duplicate_rows"), headed=False) == ROWS[0] * 2 + ROWS[1] + ROWS[2]


def test_rows_come_twice_with_another_value() -> None:
    other = b"SPXW,20240116,1,C,1.00,2.00\r\n"
    assert spoil(Fault("duplicate_with_other_values")) == HEAD + ROWS[0] + other + ROWS[1] + ROWS[2]
    bid = spoil(Fault("duplicate_with_other_values", column="bid"))
    assert bid == HEAD + ROWS[0] + b"SPXW,20240116,1,C,1.01,2.09\r\n" + ROWS[1] + ROWS[2]


def test_a_repeated_page_can_have_other_values() -> None:
    assert spoil(Fault("repeat_page")) == HEAD + b"".join(ROWS)
    assert b"4.01" in spoil(Fault("repeat_page", other_values=True))


def test_columns_drift() -> None:
    assert spoil(Fault("drift", rename={"bid": "offer"})).startswith(b"root,expiration,strike,right,offer,ask\r\n")
    assert spoil(Fault("drift", drop=["bid", "root"])) == (
        b"expiration,strike,right,ask\r\n20240116,1,C,2.09\r\n20240116,1,C,2.10\r\n20240116,2,P,4.00\r\n"
    )
    added = spoil(Fault("drift", add=["vwap"])).split(b"\r\n")
    assert (added[0], added[1]) == (HEAD.strip() + b",vwap", ROWS[0].strip() + b",0")
    assert spoil(Fault("drift", drop=["bid"]), headed=False).startswith(b"SPXW,20240116,1,C,2.09\r\n")


@pytest.mark.parametrize(
    "fault",
    [
        Fault("drift", rename={"offer": "x"}),
        Fault("drift", drop=["offer"]),
        Fault("duplicate_with_other_values", column="offer"),
    ],
)
def test_a_column_that_is_not_there_is_an_error_that_names_those_that_are(fault: Fault) -> None:
    with pytest.raises(ConfigError, match="has no column 'offer'; it has root, expiration"):
        spoil(fault)


def test_a_column_of_words_has_no_other_value() -> None:
    with pytest.raises(ConfigError, match="column 'root' holds no number"):
        spoil(Fault("duplicate_with_other_values", column="root"))


def test_nothing_but_the_header_or_nothing_at_all() -> None:
    assert spoil(Fault("header_only")) == HEAD
    assert spoil(Fault("header_only"), headed=False) == b""
    assert spoil(Fault("zero_bytes")) == b""


def test_a_short_reply_lacks_its_last_rows_or_contracts() -> None:
    assert spoil(Fault("short", rows=2)) == HEAD + ROWS[0]
    assert spoil(Fault("short", rows=9)) == HEAD
    assert spoil(Fault("short", contracts=1)) == HEAD + ROWS[0] + ROWS[1]
    assert spoil(Fault("short", contracts=2)) == HEAD


def test_a_line_never_ends() -> None:
    body = HEAD + b"".join(ROWS)
    limited = spoil(Fault("endless_line", bytes=50_000))
    assert limited == body.removesuffix(b"\r\n") + b"9" * 50_000
    endless = spoiled(Fault("endless_line"), Reply(200, (), [body], table=TABLE))
    assert endless.streamed
    assert sum(len(piece) for piece in islice(endless.pieces, 1000)) > 10_000_000


def test_what_is_no_csv_is_left_alone() -> None:
    reply = Reply(200, (), [b"{}"])
    assert spoiled(Fault("short", rows=1), reply) is reply
