"""Which Terminal answers where: probing both generations, and a Terminal that is found when it is first asked."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from spxdata.errors import (
    CutOff,
    Disconnected,
    NoSuchPath,
    ServerStarting,
    SpxDataError,
    TerminalError,
    TransientError,
    Unreachable,
    WrongDialect,
)
from spxdata.model import Contract, ContractList, Unit
from spxdata.protocols import Clock, Reply, Terminal
from spxdata.schema import DIALECTS
from spxdata.terminal.asking import Line, Patience
from spxdata.terminal.transport import Channels
from spxdata.terminal.v2 import V2Terminal
from spxdata.terminal.v3 import V3Terminal

#: The word of a Terminal that is ready.
CONNECTED = "CONNECTED"
#: The words a status may be.
WORDS = frozenset({CONNECTED, "UNVERIFIED", "DISCONNECTED", "ERROR"})

#: Where each generation listens by default; the newer one is asked first.
DEFAULT_ADDRESSES = {"v3": "http://127.0.0.1:25503/v3", "v2": "http://127.0.0.1:25510/v2"}


class Finding(StrEnum):
    """What a probe of one address found."""

    CONNECTED = "connected"
    NOT_CONNECTED = "not connected"
    STARTING = "starting"
    OTHER_DIALECT = "other dialect"
    OTHER_PROGRAM = "other program"
    ABSENT = "absent"


#: What an error says of the address; the first that fits. An answer with an error is not absence.
FINDINGS: tuple[tuple[type[TerminalError] | tuple[type[TerminalError], ...], Finding], ...] = (
    (WrongDialect, Finding.OTHER_DIALECT),
    (Unreachable, Finding.ABSENT),
    ((NoSuchPath, CutOff), Finding.OTHER_PROGRAM),
    (ServerStarting, Finding.STARTING),
    (TerminalError, Finding.NOT_CONNECTED),
)


@dataclass(frozen=True, slots=True)
class Probe:
    """What is at one address.

    Attributes:
        dialect: The generation asked for.
        url: The address.
        finding: What was found.
        words: The Terminal's status or the error's message.
        error: What the probe failed with.
    """

    dialect: str
    url: str
    finding: Finding
    words: str
    error: TerminalError | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether a Terminal of this dialect is there, ready or not: an answer with an error is not absence."""
        return self.finding in {Finding.CONNECTED, Finding.NOT_CONNECTED, Finding.STARTING}


def candidates(dialect: str, url: str | None) -> tuple[tuple[str, str], ...]:
    """Return which dialects to try where.

    Args:
        dialect: auto, v2 or v3.
        url: The Terminal's address, with or without its path; None for each generation's default.

    Example:
        >>> candidates("auto", "http://127.0.0.1:9999")
        (('v3', 'http://127.0.0.1:9999/v3'), ('v2', 'http://127.0.0.1:9999/v2'))
    """
    dialects = DIALECTS if dialect == "auto" else (dialect,)
    if url:
        url = re.sub(r"(/v[23])?/*$", "", url)  # settings built in code may have it
    return tuple((name, f"{url}/{name}" if url else DEFAULT_ADDRESSES[name]) for name in dialects)


def judged(dialect: str, url: str, ask: Callable[[], str]) -> Probe:
    """Ask for a status and say what is there.

    Args:
        dialect: The generation asked for.
        url: The address.
        ask: Asks for the status.
    """
    try:
        word = ask()
    except TerminalError as error:
        finding = next(finding for kinds, finding in FINDINGS if isinstance(error, kinds))
        return Probe(dialect, url, finding, error.message, error)
    if word in WORDS:
        return Probe(dialect, url, Finding.CONNECTED if word == CONNECTED else Finding.NOT_CONNECTED, word)
    return Probe(dialect, url, Finding.OTHER_PROGRAM, f"it answers {word[:60]!r} where a status belongs")


def failure(word: str) -> TransientError | None:
    """Return what a status word means for requests: None if they may be sent."""
    if word == CONNECTED:
        return None
    return Disconnected(f"The Terminal says {word}: it has no connection to ThetaData.")


@dataclass(slots=True)
class FoundTerminal:
    """The Terminal that is there: looked for when it is first asked, and remembered.

    Attributes:
        clock: Where "fetched at" comes from.
        wanted: auto, v2 or v3.
        url: Its address without a path; None for each generation's default.
        greeks_version: The vendor's greeks version to ask a v3 Terminal for.
        rate_type: The vendor's interest rate to ask for.
        patience: How long to wait for it.
        channels: The connections being read.
    """

    clock: Clock
    wanted: str = "auto"
    url: str | None = None
    greeks_version: str = "latest"
    rate_type: str = "sofr"
    patience: Patience = field(default_factory=Patience)
    channels: Channels = field(default_factory=Channels)
    _found: Terminal | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def probes(self) -> Iterator[Probe]:
        """Yield what is at each address that comes into question."""
        for dialect, url in candidates(self.wanted, self.url):
            yield judged(dialect, url, self._terminal(dialect, url).status)

    def found(self) -> Terminal:
        """Return the Terminal, looking for it if need be.

        Raises:
            Unreachable: There is none, or none that speaks the dialect wanted.
        """
        with self._lock:
            if self._found is None and self.wanted != "auto":  # its own answers will say what is wrong with it
                self._found = self._terminal(*candidates(self.wanted, self.url)[0])
            if self._found is None:
                probes = []
                for probe in self.probes():
                    probes.append(probe)
                    if probe.is_terminal:
                        self._found = self._terminal(probe.dialect, probe.url)
                        return self._found
                raise _nowhere(probes)
            return self._found

    @property
    def dialect(self) -> str:
        """How the Terminal that is there is spoken to: v2 or v3."""
        return self.found().dialect

    def status(self) -> str:
        """Return the Terminal's word on its own connection, such as CONNECTED."""
        return self.found().status()

    def expirations(self, root: str) -> tuple[date, ...]:
        """Return all expirations of a root, sorted."""
        return self.found().expirations(root)

    def strikes(self, root: str, expiration: date) -> tuple[float, ...]:
        """Return the strikes of an expiration in dollars, sorted."""
        return self.found().strikes(root, expiration)

    def contracts(self, root: str, trade_date: date, kind: str) -> ContractList:
        """Return the contracts quoted or traded on a day."""
        return self.found().contracts(root, trade_date, kind)

    def abort(self) -> None:
        """End all replies that are being read, from whatever thread; they raise a `TransientError`."""
        self.channels.abort()

    @contextmanager
    def fetch(self, unit: Unit) -> Iterator[Reply]:
        """Ask for a unit's rows."""
        with self.found().fetch(unit) as reply:
            yield reply

    @contextmanager
    def single(self, unit: Unit, contract: Contract) -> Iterator[Reply]:
        """Ask for the rows of one contract of a unit."""
        with self.found().single(unit, contract) as reply:
            yield reply

    def _terminal(self, dialect: str, url: str) -> Terminal:
        line = Line(url, dialect, self.patience, self.channels)
        if dialect == "v2":
            return V2Terminal(line, self.clock, rate_type=self.rate_type)
        return V3Terminal(line, self.clock, self.greeks_version, self.rate_type)


def _nowhere(probes: list[Probe]) -> SpxDataError:
    """Return the error for no Terminal anywhere: the one thing found if it says more than absence."""
    telling = [probe for probe in probes if probe.finding is not Finding.ABSENT and probe.error]
    wrong = [probe for probe in telling if probe.finding is Finding.OTHER_DIALECT]
    if wrong and len(probes) == 1 and wrong[0].error:
        return wrong[0].error
    tried: dict[str, list[str]] = {}
    for probe in probes:
        reason = re.sub(r"^The Terminal( at \S+)? ", "it ", probe.words).rstrip(".")
        tried.setdefault(reason, []).append(probe.url)
    told = "; nor at ".join(f"{' or '.join(urls)}: {reason}" for reason, urls in tried.items())
    return Unreachable(f"No Theta Terminal at {told}.")
