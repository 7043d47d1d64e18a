"""What the doctor says: seven situations against real sockets word for word, and each check from made-up facts."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from spxdata.catalog.holder import Holder, Process
from spxdata.catalog.sqlite import SqliteCatalog
from spxdata.clock import SystemClock
from spxdata.config import DownloadSettings, Settings, StorageSettings, TerminalSettings
from spxdata.doctor import checks as doctor
from spxdata.doctor.checks import Checking, Grade
from spxdata.doctor.surroundings import Lessee, Listener, Surroundings, surroundings
from spxdata.emulator import Emulator
from spxdata.errors import CatalogCorrupt, OtherTerminal, TerminalError, Unreachable, WrongDialect
from spxdata.layout import CATALOG
from spxdata.terminal.probe import Finding, Probe
from tests.builders import a_scope, a_unit, refused
from tests.cli.conftest import closed_port, folder, golden, run
from tests.cli.screens import Compare, Run, Screen

__all__ = ["closed_port", "folder", "golden", "run"]  # fixtures

NOW = datetime(2024, 1, 16, 15, 30, tzinfo=UTC)  # half past ten in New York
V3, V2 = "http://127.0.0.1:25503/v3", "http://127.0.0.1:25510/v2"


@pytest.fixture
def examined(run: Run, folder: Path) -> Callable[..., Screen]:
    """Return the doctor's words on one address, at a fixed time, with a Java of our own."""
    java = folder.parent / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"21.0.2\" 2024-01-16' >&2\n")
    java.chmod(0o755)

    def look(url: str, *options: str, **environ: str) -> Screen:
        where = {"SPXDATA_TERMINAL__URL": url, "SPXDATA_NOW": NOW.isoformat(), "PATH": str(folder.parent)}
        return run("doctor", *options, **{**where, **environ})

    return look


@contextlib.contextmanager
def other_program() -> Iterator[str]:
    """Serve something that is no Terminal; give its address."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, format: str, *_: Any) -> None:  # noqa: A002 - http.server's name
            """Keep quiet."""

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class TestSituations:
    """The situations a user may be in, word for word."""

    def test_no_terminal(self, examined: Callable[..., Screen], golden: Compare, closed_port: str) -> None:
        """Nothing listens: both addresses are named, and whether there is a Java to start it with."""
        golden("doctor_no_terminal", examined(closed_port), examined(closed_port, PATH=""))

    @pytest.mark.parametrize("dialect", ["v2", "v3"])
    def test_terminal(self, examined: Callable[..., Screen], golden: Compare, dialect: str) -> None:
        """All is well."""
        with Emulator(dialect=dialect) as emulator:
            golden(f"doctor_{dialect}", examined(emulator.url))

    def test_starting(self, examined: Callable[..., Screen], golden: Compare) -> None:
        """A Terminal that has just been started."""
        with Emulator(faults=[{"do": "starting", "seconds": 600}]) as emulator:
            golden("doctor_starting", examined(emulator.url))

    def test_disconnected(self, examined: Callable[..., Screen], golden: Compare) -> None:
        """A Terminal without its servers."""
        with Emulator(status="DISCONNECTED") as emulator:
            golden("doctor_disconnected", examined(emulator.url))

    def test_other_program(self, examined: Callable[..., Screen], golden: Compare) -> None:
        """Something else has the port: it is named."""
        with other_program() as url:
            golden("doctor_other_program", examined(url))

    def test_other_account(self, examined: Callable[..., Screen], golden: Compare) -> None:
        """Another Terminal uses the account."""
        with Emulator(session_conflict=True) as emulator:
            golden("doctor_other_terminal", examined(emulator.url))

    def test_other_generation(self, examined: Callable[..., Screen], golden: Compare) -> None:
        """A v3 Terminal where v2 was asked for."""
        with Emulator() as emulator:
            golden("doctor_other_generation", examined(emulator.url, "--dialect", "v2"))

    def test_json(self, examined: Callable[..., Screen], emulator: Emulator) -> None:
        """An object a check, and a last one with the sums."""
        screen = examined(emulator.url, "--json")
        *checks, summary = map(json.loads, screen.out.splitlines())
        assert [check["name"] for check in checks][:3] == ["terminal", "connection", "account"]
        assert {check["grade"] for check in checks} <= {"ok", "warn"}
        assert {check["schema_version"] for check in (*checks, summary)} == {1}
        assert (summary["event"], summary["bad"], summary["exit_code"]) == ("summary", 0, 0)
        assert (screen.code, screen.err) == (0, "")

    def test_bad_settings(self, run: Run) -> None:
        """A wrong setting is the first thing to mend."""
        assert run("doctor", "--dialect", "v4").code == 2


def a_probe(dialect: str = "v3", finding: Finding = Finding.CONNECTED, error: TerminalError | None = None) -> Probe:
    """Return what is at the usual address of a generation."""
    return Probe(dialect, V3 if dialect == "v3" else V2, finding, error.message if error else "CONNECTED", error)


def absent(dialect: str = "v3") -> Probe:
    """Return that nothing is there."""
    words = "The Terminal at http://127.0.0.1:25503 refuses connections."
    return a_probe(dialect, Finding.ABSENT, Unreachable(words))


def around(*probes: Probe, **changes: Any) -> Surroundings:
    """Return surroundings in which all is well, but for what is said."""
    values: dict[str, Any] = {
        "settings": Settings(),
        "now": NOW,
        "probes": probes or (a_probe(),),
        "listener": lambda number: Listener(number, "java"),
        "clock_ahead": lambda _: 0.5,
        "java": lambda: 'openjdk version "21.0.2"',
        "free": lambda _: 100 * 10**9,
        "writable": lambda _: True,
        "refusals": tuple,
        "lessee": lambda: None,
    }
    return Surroundings(**{**values, **changes})


def a_lessee(*, alive: bool) -> Lessee:
    """Return a holder of the lease."""
    return Lessee(Holder(Process("host", "", 7, 0.0), "spxdata download", NOW, NOW), alive)


def raising() -> Lessee:
    """Fail as a catalog does that cannot be read."""
    raise CatalogCorrupt("the catalog is damaged")


def tiered(tier: str, **download: Any) -> Settings:
    """Return settings of a subscription."""
    return Settings(terminal=TerminalSettings(tier=tier), download=DownloadSettings(**download))


OTHER = a_probe(finding=Finding.OTHER_PROGRAM)

#: Check, surroundings, the grades it gives, words that are in what it says.
TABLE: list[tuple[Checking, Surroundings, list[str], str]] = [
    (doctor.terminal, around(absent(), a_probe("v2")), ["ok"], "A v2 Terminal listens at http://127.0.0.1:25510/v2."),
    (doctor.terminal, around(absent(), absent("v2")), ["bad", "bad"], "Nothing listens at http://127.0.0.1:25510/v2"),
    (doctor.connection, around(absent()), [], ""),
    (doctor.account, around(absent()), [], ""),
    (doctor.account, around(absent(), a_probe("v2", Finding.NOT_CONNECTED, OtherTerminal("478"))), ["bad"], "one at a"),
    (doctor.port, around(absent(), absent("v2")), [], ""),
    (doctor.port, around(OTHER, a_probe("v2")), ["ok", "warn"], "Port 25503 is held by process 25503 (java), which is"),
    (doctor.port, around(OTHER, absent("v2")), ["bad"], "stop that program"),
    (doctor.port, around(OTHER, listener=lambda _: Listener(None, None)), ["bad"], "a process of another user"),
    (doctor.port, around(OTHER, listener=lambda _: Listener(3, None)), ["bad"], "process 3 (its name is not for us"),
    (doctor.port, around(listener=lambda _: None), ["ok"], "a process that cannot be seen from here"),
    (doctor.port, around(Probe("v3", "http://far.example/v3", Finding.CONNECTED, "CONNECTED")), [], ""),
    (doctor.port, around(a_probe("v2", Finding.OTHER_DIALECT, WrongDialect("410"))), ["ok"], "Port 25510 is held by"),
    (doctor.java, around(), [], ""),
    (doctor.java, around(absent()), ["ok"], "Java 21"),
    (doctor.java, around(absent(), java=lambda: None), ["bad"], "No Java"),
    (doctor.java, around(absent(), java=lambda: "hello"), ["warn"], "'hello'"),
    (doctor.java, around(absent(), java=lambda: 'version "17"'), ["warn"], "v2 Terminal only"),
    (doctor.java, around(absent(), java=lambda: 'version "1.8.0_392"'), ["bad"], "Java 8 is too old"),
    (
        doctor.java,
        around(absent("v2"), java=lambda: 'version "11"', settings=Settings(terminal=TerminalSettings(dialect="v2"))),
        ["ok"],
        "Java 11",
    ),
    (doctor.subscription, around(), ["ok"], "3 of 4 requests at once"),
    (doctor.subscription, around(a_probe("v2")), ["ok"], "1 of 2 requests at once"),
    (doctor.subscription, around(settings=tiered("value", concurrency=3)), ["warn"], "may have 2 requests at once"),
    (doctor.subscription, around(refusals=lambda: (refused(),)), ["warn"], "was refused: greeks."),
    (
        doctor.subscription,
        around(settings=tiered("value"), refusals=lambda: (refused(), refused())),
        ["ok"],
        "greeks, which a value subscription lacks",
    ),
    (doctor.disk, around(), ["ok"], "Where the archive data lies, 100.0 GB are free."),
    (doctor.disk, around(free=lambda _: 9 * 10**9), ["warn"], "--data-dir"),
    (doctor.disk, around(free=lambda _: 10**8), ["bad"], "0.1 GB"),
    (doctor.disk, around(writable=lambda _: False), ["bad"], "cannot be written"),
    (doctor.clock, around(), ["ok"], "2024-01-16 10:30 in New York; the system's clock agrees with the Terminal's"),
    (doctor.clock, around(absent()), ["ok"], "It is 2024-01-16 10:30 in New York."),
    (doctor.clock, around(clock_ahead=lambda _: 180.0), ["warn"], "3 min ahead of the Terminal's"),
    (doctor.clock, around(clock_ahead=lambda _: -600.0), ["warn"], "10 min behind the Terminal's"),
    (doctor.market, around(), ["ok"], "open today, 09:30 to 16:15; its data is there from 2024-01-17 02:00 on"),
    (doctor.market, around(now=NOW.replace(day=15)), ["ok"], "closed today: Martin Luther King Jr. Day. The last trad"),
    (doctor.market, around(now=NOW.replace(year=2100)), ["warn"], "Update spxdata"),
    (
        doctor.config,
        around(settings=Settings(origins={"terminal.url": ".env"})),
        ["ok"],
        "Not default: terminal.url = auto (.env); ",
    ),
    (doctor.lease, around(), ["ok"], "Nobody"),
    (doctor.lease, around(lessee=lambda: a_lessee(alive=True)), ["warn"], "process 7 on host (spxdata download)"),
    (doctor.lease, around(lessee=lambda: a_lessee(alive=False)), ["ok"], "takes over"),
    (doctor.lease, around(lessee=raising), ["bad"], "damaged [SPX-S003]"),
]


@pytest.mark.parametrize(("checking", "where", "grades", "words"), TABLE)
def test_check(checking: Checking, where: Surroundings, grades: list[str], words: str) -> None:
    """Each finding has its grade, and whatever is not fine says what to do."""
    found = list(checking(where))
    assert [check.grade for check in found] == grades
    assert words in " ".join(f"{check.message} {check.advice}" for check in found)
    assert all(check.advice for check in found if check.grade is not Grade.OK)


def test_every_check_is_in_the_table() -> None:
    """A check that is not told is of no use, and one that is not tested neither."""
    assert {checking for checking, *_ in TABLE} == set(doctor.CHECKS)


class TestEdges:
    """What the checks ask, for real."""

    @staticmethod
    def real(folder: Path, url: str) -> Surroundings:
        """Return the real edges of an archive in a folder."""
        settings = Settings(TerminalSettings(url=url), storage=StorageSettings(data_directory=folder / "data"))
        return surroundings(settings, SystemClock())

    def test_clock_of_a_terminal(self, folder: Path, emulator: Emulator, closed_port: str) -> None:
        """A Terminal dates its answers; one that does not answer dates nothing."""
        edges = self.real(folder, emulator.url.removesuffix("/v3"))
        assert edges.found
        ahead = edges.clock_ahead(edges.found)
        assert ahead is not None
        assert abs(ahead) < 5
        assert edges.clock_ahead(Probe("v3", f"{closed_port}/v3", Finding.CONNECTED, "")) is None

    def test_refusals_and_lease(self, folder: Path, closed_port: str) -> None:
        """They are read beside a run that writes the archive."""
        edges = self.real(folder, closed_port)
        assert (edges.refusals(), edges.lessee()) == ((), None)
        unit, clock = a_unit(), SystemClock()
        catalog = SqliteCatalog(folder / "data" / CATALOG)
        with contextlib.closing(catalog), catalog.lease(clock):
            catalog.begin_day(unit.day, a_scope(), clock.now())
            catalog.record(refused(unit), clock.now())
            assert [outcome.unit for outcome in edges.refusals()] == [unit]
            lessee = edges.lessee()
            assert lessee is not None
            assert lessee.alive
        assert edges.lessee() is None

    def test_damaged_catalog(self, folder: Path, closed_port: str) -> None:
        """It is told once, where the lease is."""
        (folder / "data" / CATALOG).parent.mkdir(parents=True)
        (folder / "data" / CATALOG).write_bytes(b"no database" * 100)
        edges = self.real(folder, closed_port)
        assert edges.refusals() == ()
        (check,) = doctor.lease(edges)
        assert (check.name, check.grade) == ("lease", Grade.BAD)

    def test_disk(self, folder: Path, closed_port: str) -> None:
        """A folder that is not there yet lies where its nearest parent does; a file is no folder."""
        edges = self.real(folder, closed_port)
        assert edges.free(folder / "a" / "b") > 0
        assert edges.writable(folder / "a" / "b")
        (folder / "file").write_text("")
        assert not edges.writable(folder / "file" / "data")

    def test_java_that_fails(self, folder: Path, closed_port: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """What does not run is no Java."""
        (folder / "java").write_text("#!/bin/sh\nexit 1\n")
        (folder / "java").chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        assert self.real(folder, closed_port).java() is None

    def test_nobody_listens(self, folder: Path, closed_port: str) -> None:
        """A closed port has no listener."""
        edges = self.real(folder, closed_port)
        assert edges.listener(int(closed_port.rpartition(":")[2])) is None
