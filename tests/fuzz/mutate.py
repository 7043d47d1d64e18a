"""Damage to a reply: one of a table of ways, at a place that follows from the dice alone."""

import codecs
import gzip
from collections.abc import Callable, Mapping
from random import Random
from typing import Final

_WORDS: Final = """
    - + 0 -0 -0.0 -1 1e3 1e400 1e-400 -1e400 0x10 1_000 1,5 .5 5. nan NaN -nan inf -inf Infinity null NULL None true N/A
    2147483647 2147483648 -2147483649 9223372036854775807 9223372036854775808 T CALL PUT C P call 34260000 -34260000
    0000-00-00 2024-13-45 99999-01-01 -2024-01-16 2024-1-6 20240116 2024-03-10T02:30:00.000 2024-11-03T01:30:00.000
    2024-01-16T25:00:00 2024-01-16T09:30:60.000 2024-01-16T09:31:00.123456789 2024-01-16T09:31:00Z 2024-W03-2
    ' \\ "a,b" , ,, ; # // =1+1 é 💥 ١٢
""".split()  # noqa: SIM905 - a list literal of them would take a screen
_SIGNS: Final = " |\0|\r|\r\n|\n|\n\n|\t|\x0b|\x0c|\x1c|\x85|\u2028|\ufeff|\u200b|\uff11|\u2014".split("|")  # noqa: SIM905 - likewise
#: What is put where a value, or anything else, stood: words, signs that few expect, digits and bytes that are no text.
ABSURD: Final = (
    *(text.encode() for text in (*_WORDS, *_SIGNS, "", '"', '""', '"""', "9" * 40, "1" + "0" * 400)),
    *(b"\xff", b"\xff\xfe", b"\xc3", b"\x80", b"\xed\xa0\x80", b"\x1f\x8b", b"\x00" * 64, b"A" * 5000),
)

#: Replies that are something else altogether.
FOREIGN: Final = (
    b"",
    b"\n",
    b"\r\n\r\n",
    b"No data found for your request",
    b":No data for the specified timeframe & contract.",
    b"<html><body>502 Bad Gateway</body></html>\n",
    b'{"header": {"format": null}, "response": []}\n',
    b"Internal error\n" * 100,
    b"," * 1000 + b"\n",
    b"\0" * 1000,
)

#: Text in another encoding than the one that is documented.
ENCODINGS: Final = ("utf-16", "utf-16-le", "utf-32", "cp037", "utf-7")

_Mutation = Callable[[bytes, Random], bytes]


def _place(body: bytes, dice: Random) -> int:
    return dice.randrange(len(body) + 1)


def _span(body: bytes, dice: Random) -> tuple[int, int]:
    start = _place(body, dice)
    return start, min(len(body), start + dice.choice((1, 1, 2, 5, 20, 100, 1000)))


def _flip(body: bytes, dice: Random) -> bytes:
    flipped = bytearray(body)
    for _ in range(dice.choice((1, 1, 1, 2, 5)) if body else 0):
        flipped[dice.randrange(len(flipped))] ^= 1 << dice.randrange(8)
    return bytes(flipped)


def _put(body: bytes, dice: Random) -> bytes:
    at = _place(body, dice)
    return body[:at] + bytes(dice.randrange(256) for _ in range(dice.choice((1, 1, 2, 8)))) + body[at:]


def _cut(body: bytes, dice: Random) -> bytes:
    return body[: _place(body, dice)]


def _behead(body: bytes, dice: Random) -> bytes:
    return body[_place(body, dice) :]


def _remove(body: bytes, dice: Random) -> bytes:
    start, end = _span(body, dice)
    return body[:start] + body[end:]


def _repeat(body: bytes, dice: Random) -> bytes:
    start, end = _span(body, dice)
    return body[:end] + body[start:end] * dice.choice((1, 1, 2, 30)) + body[end:]


def _insert_absurd(body: bytes, dice: Random) -> bytes:
    at = _place(body, dice)
    return body[:at] + dice.choice(ABSURD) + body[at:]


def _lines(body: bytes) -> list[bytes]:
    return body.splitlines(keepends=True) or [b""]


def _digit(body: bytes, dice: Random) -> bytes:
    """Change a digit to another: what no parser can see, only a rule may."""
    digits = [at for at, byte in enumerate(body[:20_000]) if 48 <= byte <= 57]
    if not digits:
        return body
    at = dice.choice(digits)
    return body[:at] + b"%d" % dice.randrange(10) + body[at + 1 :]


def _replace_cell(body: bytes, dice: Random) -> bytes:
    lines = _lines(body)
    row = dice.randrange(len(lines))
    end = lines[row][len(lines[row].rstrip(b"\r\n")) :]
    cells = lines[row].rstrip(b"\r\n").split(b",")
    cells[dice.randrange(len(cells))] = dice.choice(ABSURD)
    lines[row] = b",".join(cells) + end
    return b"".join(lines)


def _drop_line(body: bytes, dice: Random) -> bytes:
    lines = _lines(body)
    at = dice.randrange(len(lines))
    return b"".join(lines[:at] + lines[at + dice.choice((1, 1, 3)) :])


def _double_line(body: bytes, dice: Random) -> bytes:
    lines = _lines(body)
    lines.insert(dice.randrange(len(lines) + 1), dice.choice(lines))
    return b"".join(lines)


def _shuffle_lines(body: bytes, dice: Random) -> bytes:
    header, *rows = _lines(body)
    dice.shuffle(rows)
    return header + b"".join(rows)


def _swap_columns(body: bytes, dice: Random) -> bytes:
    """Exchange two columns: in every line, which is fine, or in some of them."""
    lines = _lines(body)
    width = lines[0].count(b",") + 1
    one, other = dice.randrange(width), dice.randrange(width)
    share = dice.choice((1.0, 1.0, 0.5))
    for row, line in enumerate(lines):
        stripped = line.rstrip(b"\r\n")
        cells = stripped.split(b",")
        if len(cells) == width and dice.random() < share:
            cells[one], cells[other] = cells[other], cells[one]
            lines[row] = b",".join(cells) + line[len(stripped) :]
    return b"".join(lines)


def _other_ends(body: bytes, dice: Random) -> bytes:
    plain = body.replace(b"\r\n", b"\n")
    return plain.replace(b"\n", dice.choice((b"\n", b"\r\n", b"\r", b"\n\r", b"\r\r\n")))


def _unquote(body: bytes, dice: Random) -> bytes:
    return body.replace(b'"', dice.choice((b"", b"'", b'""', b' "')))


def _encode(body: bytes, dice: Random) -> bytes:
    text = body.decode("utf-8", "replace")
    kind = dice.randrange(len(ENCODINGS) + 2)
    if kind == len(ENCODINGS):
        return codecs.BOM_UTF8 + body
    if kind > len(ENCODINGS):
        return gzip.compress(body, mtime=0)
    return text.encode(ENCODINGS[kind], "replace")


def _long_line(body: bytes, dice: Random) -> bytes:
    at = _place(body, dice)
    return body[:at] + dice.choice((b"x", b"9", b",", b'"', b"\0", b" ")) * dice.choice((2_000, 100_000)) + body[at:]


def _another(_: bytes, dice: Random) -> bytes:
    return dice.choice(FOREIGN)


def _nothing(body: bytes, _: Random) -> bytes:
    return body


#: Name to what it does, and how often it is chosen.
MUTATIONS: Final[Mapping[str, tuple[_Mutation, int]]] = {
    "bits flipped": (_flip, 10),
    "bytes put in": (_put, 6),
    "cut": (_cut, 6),
    "beheaded": (_behead, 2),
    "bytes left out": (_remove, 8),
    "bytes repeated": (_repeat, 6),
    "something put in": (_insert_absurd, 10),
    "another digit": (_digit, 8),
    "another value": (_replace_cell, 16),
    "lines left out": (_drop_line, 6),
    "a line doubled": (_double_line, 5),
    "lines shuffled": (_shuffle_lines, 3),
    "columns exchanged": (_swap_columns, 4),
    "other line ends": (_other_ends, 2),
    "other quotes": (_unquote, 2),
    "another encoding": (_encode, 2),
    "a long line": (_long_line, 1),
    "something else": (_another, 1),
    "nothing": (_nothing, 2),
}
_NAMES = tuple(MUTATIONS)
_WEIGHTS = tuple(weight for _, weight in MUTATIONS.values())


def mutated(body: bytes, dice: Random) -> tuple[bytes, str]:
    """Return a damaged reply, and what was done to it; most are damaged once, some twice or thrice."""
    names = dice.choices(_NAMES, _WEIGHTS, k=dice.choice((1, 1, 1, 1, 2, 3)))
    for name in names:
        body = MUTATIONS[name][0](body, dice)
    return body, " + ".join(names)
