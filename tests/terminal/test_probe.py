"""Which Terminal answers where: both generations, both on one port, none, and what is no Terminal."""

import socket
from collections.abc import Iterator

import pytest

from spxdata import Emulator
from spxdata.errors import Unreachable, WrongDialect
from spxdata.terminal.probe import FINDINGS, Finding, FoundTerminal, candidates
from tests.builders import FakeClock, a_unit
from tests.terminal.rawserver import sending, serving


def base(emulator: Emulator) -> str:
    """Return an emulator's address without the path."""
    return emulator.url.rpartition("/")[0]


def findings(terminal: FoundTerminal) -> list[tuple[str, Finding]]:
    """Return what is at each address."""
    return [(probe.dialect, probe.finding) for probe in terminal.probes()]


@pytest.fixture
def closed() -> Iterator[str]:
    """Return an address at which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets it
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def test_without_an_address_both_usual_ports_are_tried_the_newer_first() -> None:
    assert candidates("auto", None) == (
        ("v3", "http://127.0.0.1:25503/v3"),
        ("v2", "http://127.0.0.1:25510/v2"),
    )
    assert candidates("v2", None) == (("v2", "http://127.0.0.1:25510/v2"),)
    assert candidates("auto", "http://h:1") == (("v3", "http://h:1/v3"), ("v2", "http://h:1/v2"))


@pytest.mark.parametrize("dialect", ["v2", "v3"])
def test_either_generation_is_found_on_any_port(dialect: str) -> None:
    with Emulator(dialect=dialect) as emulator:
        terminal = FoundTerminal(FakeClock(), url=base(emulator))
        assert terminal.dialect == dialect
        assert terminal.status() == "CONNECTED"
        with terminal.fetch(a_unit()) as reply:
            assert reply.provenance.dialect == dialect


def test_a_v3_terminal_asked_in_v2_says_so(emulator: Emulator) -> None:
    terminal = FoundTerminal(FakeClock(), wanted="v2", url=base(emulator))
    assert findings(terminal) == [("v2", Finding.OTHER_DIALECT)]
    with pytest.raises(WrongDialect, match="410"):
        terminal.status()


def test_a_terminal_that_is_not_ready_is_found_all_the_same() -> None:
    for changes, finding in (
        ({"status": "DISCONNECTED"}, Finding.NOT_CONNECTED),
        ({"faults": [{"do": "starting", "requests": 5}]}, Finding.STARTING),
        ({"session_conflict": True}, Finding.NOT_CONNECTED),
    ):
        with Emulator(**changes) as emulator:
            terminal = FoundTerminal(FakeClock(), url=base(emulator))
            assert findings(terminal)[0] == ("v3", finding)


def test_nobody_there_names_what_was_tried(closed: str) -> None:
    terminal = FoundTerminal(FakeClock(), url=closed)
    assert {finding for _, finding in findings(terminal)} == {Finding.ABSENT}
    with pytest.raises(Unreachable) as caught:
        terminal.expirations("SPXW")
    assert f"{closed}/v3" in caught.value.message
    assert f"{closed}/v2" in caught.value.message


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
    ids=["a page", "404", "no HTTP"],
)
def test_another_program_is_no_terminal(answer: bytes) -> None:
    with serving(sending(answer)) as server:
        terminal = FoundTerminal(FakeClock(), url=server.url.removesuffix("/v3"))
        assert {finding for _, finding in findings(terminal)} == {Finding.OTHER_PROGRAM}


def test_a_terminal_that_comes_later_is_found_then() -> None:
    emulator = Emulator()
    emulator.start()
    terminal = FoundTerminal(FakeClock(), url=base(emulator))
    emulator.stop()
    with pytest.raises(Unreachable):
        terminal.status()
    emulator.start()
    try:
        assert terminal.status() == "CONNECTED"
    finally:
        emulator.stop()


def test_every_error_of_a_probe_has_a_finding() -> None:
    assert {finding for _, finding in FINDINGS} == set(Finding) - {Finding.CONNECTED}
