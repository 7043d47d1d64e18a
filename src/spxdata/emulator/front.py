"""What becomes of a request that reaches a port: faults, the account's places, the answer."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from spxdata.emulator.faults import Fault
from spxdata.emulator.gate import Gate, Overflow
from spxdata.emulator.reply import Asked, Headers, Refusal, Reply
from spxdata.emulator.script import Script
from spxdata.emulator.spoil import spoiled
from spxdata.emulator.words import text_of
from spxdata.errors import ConfigError

STATUSES = ("CONNECTED", "UNVERIFIED", "DISCONNECTED", "ERROR")

#: By how many pages a fault misses the one asked for.
_SHIFTS = {"repeat_page": -1, "skip_page": 1}
#: Faults that are a status and nothing else.
_PLAIN_STATUS = {"starting": 571, "disconnect": 474, "other_terminal": 478, "expire_page": 477}


class Speaker(Protocol):
    """A Terminal generation: what it makes of paths and parameters."""

    name: str
    prefix: str
    places: Mapping[str, int]
    no_data: str

    def asked(self, path: str, parameters: Mapping[str, str]) -> Asked:
        """Describe a request."""
        ...

    def is_data(self, path: str) -> bool:
        """Tell whether a request takes one of the account's places."""
        ...

    def answer(self, path: str, parameters: Mapping[str, str], *, address: str, shift: int = 0) -> Reply:
        """Answer with status 200, or raise `Refusal`."""
        ...

    def text(self, status: int, text: str, headers: Headers = ()) -> Reply:
        """Answer in plain text."""
        ...

    def restart(self) -> None:
        """Forget what a Terminal forgets when it is stopped."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How time passes.

    Attributes:
        monotonic: Tells the time.
        sleep: Waits so many seconds.
        min_seconds: What every data reply takes at least, before its first byte.
        retry_after: Seconds in the Retry-After header of a 429, None for no header.
        bytes_per_second: The most that comes of one data reply in a second, None for as fast as it is taken.
    """

    monotonic: Callable[[], float]
    sleep: Callable[[float], object]
    min_seconds: float = 0.0
    retry_after: float | None = None
    bytes_per_second: float | None = None


class Condition:
    """How the Terminal stands with its servers and its account; shared by its ports.

    Args:
        status: What the status paths say.
        session_conflict: Whether another Terminal uses the account.
        monotonic: Tells the time.
    """

    def __init__(self, status: str, monotonic: Callable[[], float], *, session_conflict: bool) -> None:
        self.set_status = status
        self.session_conflict = session_conflict
        self.started = monotonic()
        self._lost_until = float("-inf")
        self._monotonic = monotonic

    def lose_servers(self, seconds: float) -> None:
        """Be disconnected from now on for so long."""
        self._lost_until = self._monotonic() + seconds

    def status(self) -> str:
        """Give what the status paths say now."""
        return "DISCONNECTED" if self._monotonic() < self._lost_until else self.set_status


@dataclass(frozen=True, slots=True)
class Answered:
    """What goes out.

    Attributes:
        reply: The answer.
        fault: What befalls it on its way.
        leave: Gives the place back; call it before the last byte goes out.
        bytes_per_second: The most that goes out in a second, None for as fast as it is taken.
    """

    reply: Reply
    fault: Fault | None
    leave: Callable[[], None]
    bytes_per_second: float | None = None


def _nothing() -> None:
    """Give back the place a request never had."""


class Front:
    """One port of the Terminal.

    Args:
        speaker: What is spoken there.
        gate: The account's places.
        script: The faults.
        condition: How the Terminal stands.
        pace: How time passes.
    """

    def __init__(self, speaker: Speaker, gate: Gate, script: Script, condition: Condition, pace: Pace) -> None:
        self.speaker = speaker
        self.gate = gate
        self.pace = pace
        self._script = script
        self._condition = condition

    def open(self) -> None:
        """Begin, as a Terminal that has just been started."""
        self.gate.open()
        self.speaker.restart()

    @contextmanager
    def answered(
        self, target: str, address: str, remember: Callable[[str, dict[str, str]], None]
    ) -> Iterator[Answered]:
        """Give what goes out for the target of a request, holding a place meanwhile if it is for data.

        Args:
            target: Path and query, as it came.
            address: What stands before the path in the addresses of this port.
            remember: Is told path and parameters.
        """
        parts = urlsplit(target)
        path, parameters = parts.path, dict(parse_qsl(parts.query))
        remember(path, parameters)
        asked = self.speaker.asked(path, parameters)
        fault = self._script.strike(asked, self.pace.monotonic() - self._condition.started)
        if reply := self._instead(asked, fault):
            yield Answered(reply, None, _nothing)
        elif not self.speaker.is_data(path):
            yield self._worked_out(path, parameters, address, fault, _nothing)
        else:
            yield from self._in_turn(path, parameters, address, fault)

    def _in_turn(self, path: str, parameters: dict[str, str], address: str, fault: Fault | None) -> Iterator[Answered]:
        try:
            with self.gate.place() as leave:
                began = self.pace.monotonic()
                answered = self._worked_out(path, parameters, address, fault, leave)
                self._sleep(self.pace.min_seconds - (self.pace.monotonic() - began))
                yield replace(answered, bytes_per_second=self.pace.bytes_per_second)
        except Overflow:
            yield Answered(self._text(429, None, self.pace.retry_after), None, _nothing)

    def _worked_out(
        self,
        path: str,
        parameters: dict[str, str],
        address: str,
        fault: Fault | None,
        leave: Callable[[], None],
    ) -> Answered:
        if fault is not None and fault.do == "delay":
            self._sleep(fault.seconds or 0.0)
        try:
            shift = _SHIFTS.get(fault.do, 0) if fault else 0
            reply = self.speaker.answer(path, parameters, address=address, shift=shift)
            reply = spoiled(fault, reply) if fault else reply
        except Refusal as refusal:
            reply = self.speaker.text(refusal.status, refusal.text, refusal.headers)
        except ConfigError as error:  # a recorded file turned out to be unreadable, or a fault to be impossible
            reply = self.speaker.text(500, f"Internal server error: {error}")
        return Answered(reply, fault, leave)

    def _instead(self, asked: Asked, fault: Fault | None) -> Reply | None:
        """Give what is said in place of an answer, before any place is taken."""
        if self._condition.session_conflict:
            return self._text(478)
        if fault is not None and fault.do == "disconnect":
            self._condition.lose_servers(fault.seconds or 0.0)
        elif fault is not None and (reply := self._scripted(fault)):
            return reply
        if self._condition.status() == "DISCONNECTED" and asked.dataset != "status":
            return self._text(474)
        return None

    def _scripted(self, fault: Fault) -> Reply | None:
        if fault.do in _PLAIN_STATUS:
            return self._text(_PLAIN_STATUS[fault.do])
        if fault.do == "no_data_200":
            return self._text(200, (":" if fault.colon else "") + self.speaker.no_data)
        if fault.do == "status":
            headers = tuple((fault.headers or {}).items())
            return self._text(fault.status or 500, fault.body, fault.retry_after, headers)
        return None

    def _text(
        self, status: int, body: str | None = None, retry_after: float | None = None, headers: Headers = ()
    ) -> Reply:
        if retry_after is not None:
            headers = (*headers, ("Retry-After", f"{retry_after:g}"))
        if body is None:
            body = self.speaker.no_data if status == 472 else text_of(status)
        return self.speaker.text(status, body, headers)

    def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            self.pace.sleep(seconds)
