"""What a request is, and what answers it, whichever dialect is spoken."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

Headers = tuple[tuple[str, str], ...]


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    """An answer other than 200: status and text.

    Args:
        status: HTTP status.
        text: Body, as the vendor words it.
        headers: Headers beyond the usual ones.
    """

    def __init__(self, status: int, text: str, headers: Headers = ()) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for, so far as it can be read: what faults are matched with.

    Attributes:
        dialect: `v2` or `v3`.
        path: Without the /v2 or /v3 before it; of a later page, that of the request it belongs to.
        dataset: One of `datasets.NAMES`, the name of a list, `status`, or empty for an unknown path.
        key: Tells equal requests from others; the same whenever and in whatever order they come.
        root: Option root.
        day: Trade date.
        expiration: Expiration date.
        strike: In thousandths of a dollar.
        right: `C` or `P`.
        page: 1 for the first page of rows, None where there are no pages.
    """

    dialect: str
    path: str
    dataset: str
    key: str
    root: str | None = None
    day: date | None = None
    expiration: date | None = None
    strike: int | None = None
    right: str | None = None
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """How the CSV body of a reply is made: what a fault must know to spoil it.

    Attributes:
        columns: Names of the columns, in order.
        line_end: How lines end.
        headed: Whether the first line names the columns.
    """

    columns: tuple[str, ...]
    line_end: bytes
    headed: bool = True


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    Attributes:
        status: HTTP status.
        headers: All but date, length and framing.
        pieces: The body.
        streamed: Whether it goes out chunked, its length unknown.
        table: How the body is made, if it is CSV.
        spell: How header names are written.
    """

    status: int
    headers: Headers
    pieces: Iterable[bytes]
    streamed: bool = False
    table: Table | None = None
    spell: Callable[[str], str] = str
