"""The v3 dialect: paths, parameters, lists and streaming fetch."""

import csv
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

from spxdata import __version__
from spxdata.errors import MalformedReply, NoData, SchemaDrift
from spxdata.model import Contract, ContractList, Provenance, Right, Unit
from spxdata.protocols import Clock
from spxdata.schema import DATASETS
from spxdata.sessions import clock, session
from spxdata.terminal.status import NO_DATA_TEXT, error_for
from spxdata.terminal.transport import Channels, Response, Timeouts, get

DIALECT = "v3"

#: The lists' paths and columns.
LISTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "expirations": ("/option/list/expirations", ("symbol", "expiration")),
    "strikes": ("/option/list/strikes", ("symbol", "strike")),
    "contracts": ("/option/list/contracts/{kind}", ("symbol", "expiration", "strike", "right")),
}

#: Enough of a body to tell a no-data text from a header line.
_OPENING = 64
#: Bytes that are kept of a no-data text.
_ANSWER = 1024


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to wait for the Terminal: to connect, for lists, and for data's first and next bytes."""

    connect: float = 3.0
    lists: float = 5.0
    first_byte: float = 120.0
    between_bytes: float = 60.0


@dataclass(frozen=True, slots=True)
class V3Reply:
    """A data reply that has begun."""

    provenance: Provenance
    chunks: Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class V3Terminal:
    """A Terminal of the third generation.

    Attributes:
        url: Its base, such as http://127.0.0.1:25503/v3.
        clock: Where "fetched at" comes from.
        greeks_version: The vendor's greeks version to ask for: latest or 1.
        rate_type: The vendor's interest rate to ask for.
        patience: How long to wait for it.
        channels: The connections being read.
    """

    url: str
    clock: Clock
    greeks_version: str = "latest"
    rate_type: str = "sofr"
    patience: Patience = Patience()
    channels: Channels = field(default_factory=Channels)

    def abort(self) -> None:
        """End all replies that are being read, from whatever thread; they raise a `TransientError`."""
        self.channels.abort()

    def status(self) -> str:
        """Return the Terminal's word on its own connection, such as CONNECTED."""
        with self._ask("/terminal/mdds/status", self.patience.lists, self.patience.lists) as response:
            return response.text().strip()

    def expirations(self, root: str) -> tuple[date, ...]:
        """Return all expirations of a root, sorted, sentinels included."""
        rows = self._list("expirations", {"symbol": root})
        return tuple(sorted({_day(row["expiration"]) for row in rows}))

    def strikes(self, root: str, expiration: date) -> tuple[float, ...]:
        """Return the strikes of an expiration in dollars, sorted."""
        rows = self._list("strikes", {"symbol": root, "expiration": expiration.isoformat()})
        return tuple(sorted({_strike(row["strike"]) for row in rows}))

    def contracts(self, root: str, trade_date: date, kind: str) -> ContractList:
        """Return the contracts quoted or traded on a day.

        Raises:
            NoData: None was.
            NotSubscribed: The account may not ask.
        """
        fetched_at = self.clock.now()
        rows = self._list("contracts", {"symbol": root, "date": trade_date.isoformat()}, kind=kind)
        contracts = {
            Contract(_day(row["expiration"]), _strike(row["strike"]), _right(row["right"]))
            for row in rows
            if row["symbol"] == root
        }
        if not contracts:
            raise NoData("The contract list is empty.")
        return ContractList(root, trade_date, tuple(sorted(contracts)), fetched_at)

    @contextmanager
    def fetch(self, unit: Unit) -> Iterator[V3Reply]:
        """Ask for a unit's rows.

        Raises:
            Declined: There are none, or not yet.
            TerminalError: It could not or would not answer.
        """
        request = target(DATASETS[unit.dataset].path, self.parameters(unit))
        with self._ask(request, self.patience.first_byte, self.patience.between_bytes) as response:
            chunks = response.chunks()
            opening = b""
            for piece in chunks:
                opening += piece
                if len(opening) >= _OPENING:
                    break
            if NO_DATA_TEXT.match(opening[:_OPENING].decode("utf-8", "replace")):
                for piece in chunks:  # an answer that is cut is no answer, in words neither
                    opening = (opening + piece)[:_ANSWER]
                raise error_for(DIALECT, HTTPStatus.OK, opening.decode("utf-8", "replace"), request)
            provenance = self._provenance(unit, request)
            yield V3Reply(provenance, lambda: itertools.chain((opening,) if opening else (), chunks))

    def parameters(self, unit: Unit) -> dict[str, str]:
        """Return the query of a unit; every parameter whose default differs or drifts is there."""
        hours = session(unit.root, unit.trade_date, unit.expiration)
        if hours is None:
            raise NoData(f"{unit.root} has no session on {unit.trade_date} for expiration {unit.expiration}.")
        settings = {"interval": unit.interval, "version": self.greeks_version, "rate_type": self.rate_type}
        return {
            "symbol": unit.root,
            "expiration": unit.expiration.isoformat() if unit.expiration else "*",
            "strike": "*",
            "right": "both",
            "date": unit.trade_date.isoformat(),
            "start_time": f"{clock(hours.open)}:00",
            "end_time": f"{clock(hours.close)}:00",
            **{name: settings[name] for name in DATASETS[unit.dataset].parameters},
            "format": "csv",
        }

    def _provenance(self, unit: Unit, request: str) -> Provenance:
        has_greeks = "version" in DATASETS[unit.dataset].parameters
        return Provenance(
            request=request,
            dialect=DIALECT,
            greeks_version=self.greeks_version if has_greeks else None,
            rate_type=self.rate_type if has_greeks else None,
            fetched_at=self.clock.now(),
            spxdata_version=__version__,
        )

    def _list(self, name: str, parameters: Mapping[str, str], **path: str) -> list[dict[str, str]]:
        template, columns = LISTS[name]
        request = target(template.format(**path), {**parameters, "format": "csv"})
        with self._ask(request, self.patience.lists, self.patience.lists) as response:
            body = b"".join(response.chunks())
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            raise MalformedReply(f"The list is no text: {error}.") from error
        if NO_DATA_TEXT.match(text):
            raise error_for(DIALECT, HTTPStatus.OK, text, request)
        return list(_rows(text, columns))

    @contextmanager
    def _ask(self, request: str, first_byte: float, between_bytes: float) -> Iterator[Response]:
        base = urlsplit(self.url).path.rstrip("/")
        timeouts = Timeouts(self.patience.connect, first_byte, between_bytes)
        with get(self.url, base + request, timeouts, self.channels) as response:
            if response.status != HTTPStatus.OK:
                raise error_for(DIALECT, response.status, response.text(), request, response.retry_after())
            yield response


def target(path: str, parameters: Mapping[str, str]) -> str:
    """Return path and query of a request, in the spelling that provenance keeps."""
    return f"{path}?{urlencode(parameters, safe='*:')}"


def _rows(text: str, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Yield a list's rows by column name; the columns must be the pinned ones, the last line whole."""
    if not text:
        raise MalformedReply("The list is zero bytes long.")
    if not text.endswith("\n"):
        raise MalformedReply("The list ends inside a line.")
    lines = csv.reader(text.splitlines(), strict=True)
    try:
        header = tuple(next(lines))
        if sorted(header) != sorted(columns):
            raise SchemaDrift(columns, header)
        for cells in lines:
            if len(cells) != len(header):
                raise MalformedReply(f"The list has a row of {len(cells)} cells under {len(header)} columns: {cells}")
            yield dict(zip(header, cells, strict=True))
    except csv.Error as error:  # such as a quote that is never closed
        raise MalformedReply(f"Line {lines.line_num} of the list cannot be read: {error}.") from error


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise MalformedReply(f"The list has {text!r} where a day belongs.") from None


def _strike(text: str) -> float:
    with suppress(ValueError):
        strike = float(text)
        if math.isfinite(strike):
            return strike
    raise MalformedReply(f"The list has {text!r} where a strike belongs.")


def _right(text: str) -> Right:
    try:
        return Right(text)
    except ValueError:
        raise MalformedReply(f"The list has {text!r} where CALL or PUT belongs.") from None
