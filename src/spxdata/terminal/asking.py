"""Asking a Terminal: requests, errors by the status table, and its small CSV lists; the same in both dialects."""

import csv
import itertools
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

from spxdata.errors import MalformedReply, SchemaDrift
from spxdata.model import Right
from spxdata.terminal.status import NO_DATA_TEXT, error_for
from spxdata.terminal.transport import Channels, Response, Timeouts, get

#: Enough of a body to tell a no-data text from a header line.
_OPENING = 64
#: No list is nearly as long; without a limit an endless one would fill the memory.
_LIST_LIMIT = 64 * 1024 * 1024
#: Python reads more than these: 4_750, a day by its week, digits of other scripts.
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)
_DAY = re.compile(r"\d{4}-?\d{2}-?\d{2}", re.ASCII)
_ROOT = re.compile(r"[A-Z][A-Z0-9.]*")
#: As much of a no-data text as is kept.
_ANSWER = 1024
#: A list of 20,000 contracts has some 40 days and 1,000 strikes.
_remembered = lru_cache(maxsize=8192)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to wait for the Terminal: to connect, for lists, and for data's first and next bytes."""

    connect: float = 3.0
    lists: float = 5.0
    first_byte: float = 120.0
    between_bytes: float = 60.0

    def for_lists(self) -> Timeouts:
        """Return how long to wait for a list."""
        return Timeouts(self.connect, self.lists, self.lists)

    def for_data(self) -> Timeouts:
        """Return how long to wait for data."""
        return Timeouts(self.connect, self.first_byte, self.between_bytes)


@dataclass(frozen=True, slots=True)
class Line:
    """The line to one Terminal.

    Attributes:
        url: Its base, such as http://127.0.0.1:25503/v3; every request is spelled with it.
        dialect: v2 or v3.
        patience: How long to wait for it.
        channels: The connections being read.
    """

    url: str
    dialect: str
    patience: Patience = Patience()
    channels: Channels = field(default_factory=Channels)

    @contextmanager
    def ask(self, request: str, timeouts: Timeouts) -> Iterator[Response]:
        """Ask for a path and query below the base.

        Raises:
            TerminalError: The Terminal could not or would not answer.
        """
        base = urlsplit(self.url).path.rstrip("/")
        with get(self.url, base + request, timeouts, self.channels) as response:
            if response.status != HTTPStatus.OK:
                raise error_for(self.dialect, response.status, response.text(), request, response.retry_after())
            yield response

    def body(self, response: Response, request: str) -> Iterator[bytes]:
        """Return a data reply's body, once its beginning shows that it is no no-data text.

        Raises:
            NoData: It is one, in spite of its status.
        """
        chunks = response.chunks()
        opening = b""
        for piece in chunks:
            opening += piece
            if len(opening) >= _OPENING:
                break
        if NO_DATA_TEXT.match(opening[:_OPENING].decode("utf-8", "replace")):
            for piece in chunks:  # an answer that is cut is no answer, in words neither
                opening = (opening + piece)[:_ANSWER]
            raise error_for(self.dialect, HTTPStatus.OK, opening.decode("utf-8", "replace"), request)
        return itertools.chain((opening,) if opening else (), chunks)

    def list_rows(self, body: bytes, request: str, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
        """Return a list's rows by column name.

        Raises:
            NoData: It is a no-data text, in spite of its status.
            SchemaDrift: The columns are not the pinned ones.
            MalformedReply: It is empty, no text, or a line is cut.
        """
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            raise MalformedReply(f"The list is no text: {error}.") from error
        if NO_DATA_TEXT.match(text):
            raise error_for(self.dialect, HTTPStatus.OK, text, request)
        return _rows(text, columns)


def target(path: str, parameters: Mapping[str, str]) -> str:
    """Return path and query of a request, in the spelling that provenance keeps."""
    return f"{path}?{urlencode(parameters, safe='*:')}" if parameters else path


def whole(pieces: Iterator[bytes]) -> bytes:
    """Return a list's body.

    Raises:
        MalformedReply: It does not end.
    """
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > _LIST_LIMIT:
            raise MalformedReply(f"The list has no end after {len(body):,} bytes.")
    return bytes(body)


def _rows(text: str, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Yield a list's rows by column name; the columns must be the pinned ones, the last line whole."""
    if not text:
        raise MalformedReply("The list is zero bytes long.")
    if not text.endswith("\n"):
        raise MalformedReply("The list ends inside a line.")
    # Only \n and \r\n end a line: `str.splitlines` takes many other signs for ends, damaged ones among them.
    lines = csv.reader((line.removesuffix("\r") for line in text[:-1].split("\n")), strict=True)
    try:
        header = tuple(next(lines))
        if sorted(header) != sorted(columns):
            raise SchemaDrift(columns, header)
        for number, cells in enumerate(lines, start=2):
            if lines.line_num != number:
                raise MalformedReply(f"A quote is open across the end of line {number} of the list.")
            if len(cells) != len(header):
                raise MalformedReply(f"The list has a row of {len(cells)} cells under {len(header)} columns: {cells}")
            yield dict(zip(header, cells, strict=True))
    except csv.Error as error:  # such as a quote that is never closed
        raise MalformedReply(f"Line {lines.line_num} of the list cannot be read: {error}.") from error


@_remembered
def a_day(text: str) -> date:
    """Read a list's day, as 2024-01-16 or 20240116."""
    if _DAY.fullmatch(text):
        with suppress(ValueError):
            return date.fromisoformat(text)
    raise MalformedReply(f"The list has {text!r} where a day belongs.")


@_remembered
def a_number(text: str) -> float:
    """Read a list's number."""
    if _NUMBER.fullmatch(text):
        return float(text)
    raise MalformedReply(f"The list has {text!r} where a strike belongs.")


@_remembered
def a_root(text: str) -> str:
    """Read a list's root."""
    if _ROOT.fullmatch(text):
        return text
    raise MalformedReply(f"The list has {text!r} where a root belongs.")


def a_right(text: str, rights: Mapping[str, Right]) -> Right:
    """Read a list's right, spelled as the dialect spells it."""
    if text not in rights:
        raise MalformedReply(f"The list has {text!r} where a right belongs.")
    return rights[text]
