"""The emulated Terminal: its arguments, its ports, what it counts."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from spxdata.emulator import drop
from spxdata.emulator.fault_file import read_faults
from spxdata.emulator.faults import Fault
from spxdata.emulator.front import STATUSES, Condition, Front, Pace, Speaker
from spxdata.emulator.gate import Gate, Served
from spxdata.emulator.ladders import CHAINS
from spxdata.emulator.listener import Listener
from spxdata.emulator.replay import RecordedMarket
from spxdata.emulator.rows import Market
from spxdata.emulator.script import Script
from spxdata.emulator.synthetic import SyntheticMarket
from spxdata.emulator.v2 import routes as v2_routes
from spxdata.emulator.v2.terminal import Habits, V2Terminal
from spxdata.emulator.v3 import routes as v3_routes
from spxdata.emulator.v3.terminal import TIERS, V3Terminal
from spxdata.emulator.v3.wire import Style
from spxdata.errors import ConfigError

DIALECTS: Mapping[str, tuple[str, ...]] = {"v3": ("v3",), "v2": ("v2",), "both": ("v3", "v2")}
#: Rows a contract has in v2's greeks of a minute, 09:30 to 16:00: whether 09:30 is among them.
V2_GREEKS_ROWS = {390: False, 391: True}


class Emulator:
    """A Theta Terminal of our own, v3 or v2 or both on one market.

    Use it as a context manager, or call `start` and `stop`, or `serve_forever` from a command. Stopped and started
    again it keeps its ports and its counts.

    Args:
        dialect: `v3`, `v2`, or `both`: each on a port of its own.
        chain: `small` (a few expirations of some 40 strikes) or `full` (a whole day).
        seed: Everything made up follows from it.
        tier: The subscription the account pretends to have; it also says how many data requests are worked on at a
            time (v3 1, 2, 4, 8; v2 1, 1, 2, 4). 16 more wait, and the next is answered 429.
        index_tier: The subscription for indices; None for the same as `tier`.
        doubled_eod: Whether the reports of a day come twice, the earlier one before the later: seen in real answers.
        drop: Rules that leave rows out of replies, see `drop.py`.
        replay: Directory of recorded quotes to serve instead of a made-up market.
        port: Where to listen; 0 takes a free port.
        v2_port: Where v2 listens beside v3; 0 takes a free port.
        host: Address to listen on.
        line_end: How lines of v3 end.
        quoted: Whether strings of v3 stand in double quotes.
        page_rows: v2: rows of a page; the vendor's sample configurations have 100,000 and 500,000.
        page_header: v2: whether pages after the first repeat the line of column names.
        page_expire: v2: seconds a page waits to be read.
        no_data_colon: v2: whether the text of a 472 begins with a colon, as newer Terminals send it.
        v2_greeks_rows: v2: 390 for greeks that begin after 09:30, 391 for those that begin with it.
        faults: What goes wrong on purpose: a list of `Fault`, or the path of a TOML file; see docs/faults.md.
        status: What the status paths say: CONNECTED, UNVERIFIED, DISCONNECTED (all else is 474 then) or ERROR.
        session_conflict: Whether another Terminal uses the account: everything is 478 then.
        min_seconds: What every data reply takes at least, before its first byte.
        bytes_per_second: The most that comes of one data reply in a second; as fast as it is taken for None.
        retry_after: Seconds in the Retry-After header of a 429; no header for None.
        monotonic: Tells the time.
        sleep: Waits so many seconds; the usual one wakes up when the emulator is stopped.

    Raises:
        ConfigError: An argument is not one of those allowed.
    """

    def __init__(
        self,
        *,
        dialect: str = "v3",
        chain: str = "small",
        seed: int = 1,
        tier: str = "professional",
        index_tier: str | None = None,
        doubled_eod: bool = False,
        drop: Sequence[str] = (),
        replay: str | Path | None = None,
        port: int = 0,
        v2_port: int = 0,
        host: str = "127.0.0.1",
        line_end: str = "\r\n",
        quoted: bool = True,
        page_rows: int = 100_000,
        page_header: bool = True,
        page_expire: float = 30.0,
        no_data_colon: bool = False,
        v2_greeks_rows: int = 390,
        faults: Iterable[Fault | Mapping[str, object]] | str | Path = (),
        status: str = "CONNECTED",
        session_conflict: bool = False,
        min_seconds: float = 0.0,
        bytes_per_second: float | None = None,
        retry_after: float | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        for key, value, allowed in (("dialect", dialect, DIALECTS), ("chain", chain, CHAINS), ("tier", tier, TIERS)):
            _one_of(key, value, tuple(allowed))
        _one_of("status", status, STATUSES)
        _one_of("v2_greeks_rows", v2_greeks_rows, tuple(V2_GREEKS_ROWS))
        _at_least("seed", seed, 0)
        _at_least("page_rows", page_rows, 1)
        _at_least("page_expire", page_expire, 0)
        _at_least("min_seconds", min_seconds, 0)
        _at_least("bytes_per_second", 1 if bytes_per_second is None else bytes_per_second, 1)
        self._halt = threading.Event()
        self._pace = Pace(monotonic, sleep or self._halt.wait, min_seconds, retry_after, bytes_per_second)
        self._condition = Condition(status, monotonic, session_conflict=session_conflict)
        index_tier = tier if index_tier is None else index_tier
        _one_of("index_tier", index_tier, TIERS)
        market, rules = _market(chain, seed, replay, doubled_eod=doubled_eod), _rules(drop)
        habits = Habits(page_rows, page_header, page_expire, no_data_colon)
        speakers: dict[str, Callable[[], Speaker]] = {
            "v3": lambda: V3Terminal(
                v3_routes.Desk(market, rules, Style(line_end, quoted), self._condition.status), tier, index_tier
            ),
            "v2": lambda: V2Terminal(
                v2_routes.Desk(market, rules, V2_GREEKS_ROWS[v2_greeks_rows]),
                tier,
                index_tier,
                habits,
                self._condition.status,
                monotonic,
            ),
        }
        script = Script(read_faults(faults))
        self._fronts = {name: self._front(speakers[name](), tier, script) for name in DIALECTS[dialect]}
        self._host = host
        self._ports = dict(zip(self._fronts, (port, v2_port), strict=False))
        self._listeners: dict[str, tuple[Listener, threading.Thread]] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Lock()
        self._requests: list[tuple[str, dict[str, str]]] = []

    def _front(self, speaker: Speaker, tier: str, script: Script) -> Front:
        return Front(speaker, Gate(speaker.places[tier], self._pace.monotonic), script, self._condition, self._pace)

    @property
    def url(self) -> str:
        """The address to give to a client, once the emulator has started; v3's if it speaks both."""
        return self._url(next(iter(self._fronts)))

    @property
    def v2_url(self) -> str:
        """The address of v2, once the emulator has started."""
        return self._url("v2")

    def _url(self, dialect: str) -> str:
        if dialect not in self._fronts:
            raise ConfigError(f"the emulator does not speak {dialect}")
        # A chosen port stays, also while the emulator is stopped.
        if self._ports[dialect] == 0:
            raise ConfigError("the emulator has no address before it is started")
        return f"http://{self._host}:{self._ports[dialect]}{self._fronts[dialect].speaker.prefix}"

    @property
    def requests(self) -> tuple[tuple[str, dict[str, str]], ...]:
        """The requests received so far: path and parameters of each."""
        with self._lock:
            return tuple(self._requests)

    @property
    def served(self) -> tuple[Served, ...]:
        """When data requests held their places, in the order in which they gave them back."""
        spans = [span for front in self._fronts.values() for span in front.gate.served]
        return tuple(sorted(spans, key=lambda span: span.end))

    @property
    def in_flight_max(self) -> int:
        """The most data requests there ever were at a time on one port, waiting ones included."""
        return max(front.gate.in_flight_max for front in self._fronts.values())

    @property
    def refused_429(self) -> int:
        """How many data requests found the queue full."""
        return sum(front.gate.refused for front in self._fronts.values())

    @property
    def status(self) -> str:
        """What the status paths say now; setting it takes effect at once."""
        return self._condition.status()

    @status.setter
    def status(self, value: str) -> None:
        _one_of("status", value, STATUSES)
        self._condition.set_status = value

    @property
    def session_conflict(self) -> bool:
        """Whether another Terminal uses the account."""
        return self._condition.session_conflict

    @session_conflict.setter
    def session_conflict(self, value: bool) -> None:
        self._condition.session_conflict = value

    def start(self) -> Self:
        """Listen, and answer in threads of its own.

        Raises:
            ConfigError: A port is taken or not allowed, or the emulator has been started already.
        """
        if self._listeners:
            raise ConfigError("the emulator is started already")
        self._halt.clear()
        self._condition.started = self._pace.monotonic()
        try:
            for dialect in self._fronts:
                self._listen(dialect)
        except ConfigError:
            self.stop()
            raise
        return self

    def _listen(self, dialect: str) -> None:
        front, port = self._fronts[dialect], self._ports[dialect]
        front.open()
        try:
            listener = Listener(front, (self._host, port), self._remember)
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"emulator port = {port}: cannot listen on {self._host} ({error})",
                hint="Take another port, or 0 for any free one.",
            ) from error
        self._ports[dialect] = listener.server_address[1]
        thread = threading.Thread(target=listener.serve_forever, args=(0.02,), name=f"emulator-{dialect}", daemon=True)
        self._listeners[dialect] = (listener, thread)
        thread.start()

    def serve_forever(self) -> None:
        """Answer, having started if need be, until `stop` is called from another thread or Ctrl-C is pressed."""
        if not self._listeners:
            self.start()
        try:
            for _, thread in list(self._listeners.values()):
                while thread.is_alive():
                    thread.join(timeout=0.5)  # without one, a handler of Ctrl-C set by a library may never run
        finally:
            self.stop()

    def stop(self) -> None:
        """Stop listening, close every connection and wait for the threads; harmless when not started."""
        with self._stopping:
            listeners, self._listeners = self._listeners, {}
        self._halt.set()
        for front in self._fronts.values():
            front.gate.close()
        for listener, thread in listeners.values():
            listener.shutdown()
            thread.join()
            listener.server_close()

    def restart(self) -> None:
        """Stop and start again on the same ports, as a Terminal that is killed and started."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _remember(self, path: str, parameters: dict[str, str]) -> None:
        with self._lock:
            self._requests.append((path, parameters))


def _one_of(key: str, value: object, allowed: Sequence[object]) -> None:
    if value not in allowed:
        raise ConfigError(f"emulator {key} = {value!r}: must be one of {', '.join(map(str, allowed))}")


def _at_least(key: str, value: float, least: int) -> None:
    if value < least:
        raise ConfigError(f"emulator {key} = {value}: must be {least} or more")


def _market(chain: str, seed: int, replay: str | Path | None, *, doubled_eod: bool) -> Market:
    return SyntheticMarket(seed, chain, doubled_eod=doubled_eod) if replay is None else RecordedMarket(Path(replay))


def _rules(texts: Sequence[str]) -> tuple[drop.DropRule, ...]:
    return tuple(drop.parse_rule(text) for text in texts)
