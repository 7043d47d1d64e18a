"""A Terminal in front of a real one that answers some questions with scripted errors instead."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date

from spxdata.model import Contract, ContractList, Unit
from spxdata.protocols import Reply, Terminal

#: Given a question and how often it was asked before: the error to raise, or None to pass it on.
Script = Callable[[object, int], BaseException | None]


def never(_: object, __: int) -> None:
    """Pass everything on."""


def first(times: int, error: Callable[[], BaseException], where: object = None) -> Script:
    """Return a script that raises on the first few askings of a question, of any question for None."""
    return lambda question, before: error() if before < times and where in {None, question} else None


def always(error: Callable[[], BaseException], where: object = None) -> Script:
    """Return a script that raises whenever a question is asked, any question for None."""
    return first(1_000_000, error, where)


@dataclass
class FaultyTerminal:
    """Passes on what its scripts let through, and remembers what was asked."""

    inner: Terminal
    on_fetch: Script = never
    on_contracts: Script = never
    on_status: Script = never
    asked: list[object] = field(default_factory=list)
    aborted: bool = False

    def _ask(self, question: object, script: Script) -> None:
        before = self.asked.count(question)
        self.asked.append(question)
        error = script(question, before)
        if error is not None:
            raise error

    @property
    def dialect(self) -> str:
        """Pass on."""
        return self.inner.dialect

    def status(self) -> str:
        """Raise what the script says, or pass on."""
        self._ask("status", self.on_status)
        return self.inner.status()

    def expirations(self, root: str) -> tuple[date, ...]:
        """Pass on."""
        self.asked.append(f"expirations {root}")
        return self.inner.expirations(root)

    def strikes(self, root: str, expiration: date) -> tuple[float, ...]:
        """Pass on."""
        return self.inner.strikes(root, expiration)

    def contracts(self, root: str, trade_date: date, kind: str) -> ContractList:
        """Raise what the script says, or pass on."""
        self._ask(trade_date, self.on_contracts)
        return self.inner.contracts(root, trade_date, kind)

    def abort(self) -> None:
        """Remember, and pass on."""
        self.aborted = True
        self.inner.abort()

    @contextmanager
    def fetch(self, unit: Unit) -> Iterator[Reply]:
        """Raise what the script says, or pass on."""
        self._ask(unit, self.on_fetch)
        with self.inner.fetch(unit) as reply:
            yield reply

    @contextmanager
    def single(self, unit: Unit, contract: Contract) -> Iterator[Reply]:
        """Remember, and pass on."""
        self.asked.append(contract)
        with self.inner.single(unit, contract) as reply:
            yield reply
