"""A reply that is cut at any byte never commits and never reports success.

Two kinds of cut: of the HTTP response, whose framing then tells (a `TransientError`, whatever holes are accepted), and
of the body in a response whose framing agrees with the cut, as when the Terminal's own upstream dies: then the last row
is cut (a `DataError`), or rows are missing that the contract list and the session promise (a `ShortReply`).
"""

import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import accumulate, chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spxdata import bootstrap
from spxdata.downloader import Summary
from spxdata.emulator import Emulator
from spxdata.errors import BrokenRule, DataError, MalformedReply, ShortReply, SpxDataError, TransientError, Unreachable
from spxdata.events import AttemptFailed, Event, UnitRecorded, ignore
from spxdata.layout import PRIVATE, QUARANTINE, path_of
from spxdata.model import Contract, ContractList, Outcome, Right, State, Unit, Verdict
from spxdata.pipeline.attempt import attempt
from spxdata.pipeline.edges import Edges, Encoding, SortMemory
from spxdata.storage.local import LocalStorage
from spxdata.terminal.asking import Line
from spxdata.terminal.v3 import V3Terminal
from tests.builders import NOW, TRADE_DATE, FakeClock, a_unit
from tests.terminal.rawserver import Answer, RawServer, chunked, sending, serving, whole

#: Of the expiration that ends on the day every minute is required, up to its last.
EXPIRING = TRADE_DATE
CHUNK_SIZES = (1, 37, 4096, 32 * 1024, 10**9)


@dataclass(frozen=True)
class Sample:
    """A real reply of a few contracts, and what is known of its unit."""

    unit: Unit
    listed: ContractList
    body: bytes

    def line_ends(self) -> list[int]:
        """Return the lengths at which the body ends with a whole line, but for the whole."""
        lines = self.body.splitlines(keepends=True)
        return list(accumulate(len(line) for line in lines[:-1]))

    def lone_sentinel(self) -> int:
        """Return the length at which of the last contract nothing but its row of 09:30 is left."""
        return self.line_ends()[2 * 391 + 1]

    def framed(self) -> list[bytes]:
        """Return the whole response in every framing."""
        small = [size for size in CHUNK_SIZES if size > 1 or len(self.body) < 1000]
        return [whole(self.body), *(chunked(self.body, size) for size in small)]


def sample(emulator: Emulator, dataset: str, contracts: int, rows: slice) -> Sample:
    """Take some rows of the first contracts that are worth something all day, as the emulator sends them."""
    unit = a_unit(dataset=dataset, expiration=EXPIRING)
    with V3Terminal(Line(emulator.url, "v3"), FakeClock()).fetch(unit) as reply:
        header, *lines = b"".join(reply.chunks()).splitlines(keepends=True)
    ask = header.decode().split(",").index("ask")
    by_contract: dict[Contract, list[bytes]] = {}
    for line in lines:
        _, expiration, strike, right, *_ = line.decode().replace('"', "").split(",")
        contract = Contract(date.fromisoformat(expiration), float(strike), Right(right))
        by_contract.setdefault(contract, []).append(line)
    worth = [
        contract
        for contract, mine in by_contract.items()
        if all(float(line.split(b",")[ask]) > 0.10 for line in mine[1:])
    ][:contracts]
    assert len(worth) == contracts
    body = header + b"".join(line for contract in worth for line in by_contract[contract][rows])
    return Sample(unit, ContractList("SPXW", TRADE_DATE, tuple(sorted(worth)), NOW), body)


@pytest.fixture(scope="module", params=("greeks", "quote"))
def reply(request: pytest.FixtureRequest, emulator: Emulator) -> Sample:
    """A whole day of three contracts."""
    return sample(emulator, request.param, contracts=3, rows=slice(None))


@pytest.fixture(scope="module")
def tiny(emulator: Emulator) -> Sample:
    """Two rows of a contract: whole only if holes are accepted, and short enough to try every cut."""
    return sample(emulator, "quote", contracts=1, rows=slice(1, 3))


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    """A server that sends what it is told to, one example after the other."""
    with serving(sending()) as running:
        yield running


def outcome_of(server: RawServer, sample: Sample, raw: bytes, *, accept_holes: bool = False) -> Outcome | SpxDataError:
    """Make one attempt at a unit; after an error nothing may be left but a quarantine entry."""
    server.answer = sending(raw)
    clock, memory = FakeClock(), SortMemory()
    with tempfile.TemporaryDirectory() as folder:
        storage = LocalStorage(Path(folder))
        edges = Edges(V3Terminal(Line(server.url, "v3"), clock), storage, clock, ignore, Encoding(), memory)
        try:
            outcome = attempt(sample.unit, sample.listed, edges, accept_holes=accept_holes)
        except SpxDataError as error:
            kept = [file.relative_to(folder).as_posix() for file in Path(folder).rglob("*") if file.is_file()]
            assert [name for name in kept if not name.startswith(QUARANTINE)] == []
            assert [name for name in storage.names() if not name.startswith(QUARANTINE)] == []
            assert memory.claim(memory.limit)  # nothing is held for a reply that is gone
            return error
        assert storage.names() == (path_of(sample.unit),)
        return outcome


class TestCutResponse:
    """The response ends before its framing says so."""

    def test_the_whole_response_is_stored(self, server: RawServer, reply: Sample, tiny: Sample) -> None:
        """Or the tests below would prove nothing."""
        for raw in reply.framed():
            outcome = outcome_of(server, reply, raw)
            assert isinstance(outcome, Outcome)
            assert (outcome.state, outcome.holes, outcome.notes) == (State.STORED, (), 0)
        for raw in tiny.framed():
            outcome = outcome_of(server, tiny, raw, accept_holes=True)
            assert isinstance(outcome, Outcome)
            assert outcome.partial

    @settings(max_examples=150, deadline=None)
    @given(data=st.data())
    def test_a_response_cut_at_any_byte_is_never_stored(
        self, server: RawServer, reply: Sample, data: st.DataObject
    ) -> None:
        """In either framing, on the first try and on the one that accepts holes."""
        raw = data.draw(st.sampled_from(reply.framed()), label="framing")
        near_framing = [at for mark in borders(raw) for at in range(max(mark - 8, 0), min(mark + 8, len(raw)))]
        cuts = st.sampled_from(near_framing) | st.integers(0, len(raw) - 1)
        cut = data.draw(cuts, label="cut")
        error = outcome_of(server, reply, raw[:cut], accept_holes=data.draw(st.booleans(), label="accept holes"))
        assert isinstance(error, TransientError)
        assert not isinstance(error, Unreachable)  # which would end the run

    def test_a_tiny_response_is_not_stored_at_any_of_its_cuts(self, server: RawServer, tiny: Sample) -> None:
        """Every byte of both framings, with holes accepted: the framing alone must tell."""
        padded = (
            chunked(tiny.body, 100)
            .replace(b"\r\n64\r\n", b"\r\n0064;a=b\r\n")
            .replace(b"\r\n0\r\n", b"\r\n00\r\nA: b\r\n")
        )
        assert isinstance(outcome_of(server, tiny, padded, accept_holes=True), Outcome)
        for raw in (whole(tiny.body), chunked(tiny.body, 100), padded):
            for cut in range(len(raw)):
                assert isinstance(outcome_of(server, tiny, raw[:cut], accept_holes=True), TransientError), raw[:cut]


def borders(raw: bytes) -> list[int]:
    """Return where a response's head ends, and where some of its chunks do, the last ones among them."""
    end_of_head = raw.index(b"\r\n\r\n") + 4
    found = [end_of_head]
    at = end_of_head
    while b"chunked" in raw[:end_of_head] and at < len(raw):
        line_end = raw.index(b"\r\n", at)
        at = line_end + 2 + int(raw[at:line_end], 16) + 2
        found.append(at)
    return [*found[:20], *found[-20:], len(raw)]


class TestCutBody:
    """The body ends early, and the framing agrees."""

    @settings(max_examples=150, deadline=None)
    @given(data=st.data())
    def test_a_body_cut_at_any_byte_is_not_stored(self, server: RawServer, reply: Sample, data: st.DataObject) -> None:
        """Within a line the row is cut; at its end something listed or required is missing."""
        cuts = st.sampled_from(reply.line_ends()) | st.integers(0, len(reply.body) - 1)
        cut = data.draw(cuts, label="cut")
        body = reply.body[:cut]
        size = data.draw(st.sampled_from([0, *CHUNK_SIZES[1:]]), label="chunk size")
        error = outcome_of(server, reply, chunked(body, size) if size else whole(body))
        assert type(error) is expected(body)

    @pytest.mark.parametrize("kept", [0, 1, 2, 390, 391, 392, 393, 781, 782, 784, 1172])
    def test_a_body_cut_at_a_border_of_contracts_is_not_stored(
        self, server: RawServer, reply: Sample, kept: int
    ) -> None:
        """After the header, and around the last row of a contract; the second try stores what is there as partial."""
        body = b"".join(reply.body.splitlines(keepends=True)[: kept + 1])
        error = outcome_of(server, reply, whole(body))
        assert type(error) is expected(body)
        again = outcome_of(server, reply, whole(body), accept_holes=True)
        if kept == 0:
            assert isinstance(again, BrokenRule)
        else:
            assert isinstance(again, Outcome)
            assert again.partial

    def test_a_body_cut_after_the_sentinel_of_its_last_contract_is_not_stored(
        self, server: RawServer, reply: Sample
    ) -> None:
        """The row of 09:30 says nothing of the contract: all its required minutes are missing."""
        body = reply.body[: reply.lone_sentinel()]
        assert b"T09:30:00" in body.splitlines()[-1]
        assert type(outcome_of(server, reply, whole(body))) is ShortReply

    def test_a_tiny_body_is_not_stored_at_any_of_its_cuts(self, server: RawServer, tiny: Sample) -> None:
        """Within a line not even when holes are accepted: the part before the cut is no row."""
        for cut in range(len(tiny.body)):
            body = tiny.body[:cut]
            error = outcome_of(server, tiny, whole(body), accept_holes=not body.endswith(b"\n"))
            assert type(error) is expected(body), body


def expected(body: bytes) -> type[DataError]:
    """Return what a body that is cut must be refused as."""
    if not body.endswith(b"\n"):
        return MalformedReply
    return BrokenRule if body.count(b"\n") == 1 else ShortReply


class TestDownload:
    """Cut replies through the whole downloader."""

    def test_a_run_that_only_gets_cut_replies_fails(self, tmp_path: Path, tiny: Sample) -> None:
        """The unit failed for the reason there was, the exit code says so, nothing is stored."""
        events: list[Event] = []
        with serving(sending()) as server:
            server.answer = terminal_with(tiny, [whole(tiny.body)[:-1]])
            summary = download(server, tiny, tmp_path, events, retries=0)
        assert (summary.finished.exit_code, summary.finished.failed, summary.finished.rows) == (75, 1, 0)
        recorded = [event.outcome for event in events if isinstance(event, UnitRecorded)]
        assert [(outcome.state, outcome.code, outcome.artifact) for outcome in recorded] == [
            (State.FAILED, "SPX-T003", None)
        ]
        assert [(day.status, day.verdict, day.files) for day in summary.days] == [("failed", None, 0)]
        assert stored(tmp_path) == []

    def test_a_reply_that_is_whole_at_last_is_stored_as_if_nothing_had_been(
        self, tmp_path: Path, reply: Sample
    ) -> None:
        """Cuts of each kind, then the whole: the same content as without them."""
        line_end = reply.line_ends()[500]
        response, body, lines = chunked(reply.body, 4096)[:-2], reply.body[: line_end - 20], reply.body[:line_end]
        runs: dict[str, dict[str, list[bytes]]] = {
            "undisturbed": {},
            "response": {"SPX-T003": [response, response[:10_000], response[:10]]},
            "body": {"SPX-D002": [whole(body)], "SPX-D004": [whole(lines)]},
        }
        hashes = set()
        for name, cuts in runs.items():
            events: list[Event] = []
            with serving(sending()) as server:
                server.answer = terminal_with(reply, [*chain(*cuts.values()), chunked(reply.body, 4096)])
                summary = download(server, reply, tmp_path / name, events, retries=3)
            assert summary.finished.exit_code == 0
            assert [day.verdict for day in summary.days] == [Verdict.COMPLETE]
            assert stored(tmp_path / name) == [path_of(reply.unit)]
            codes = [event.code for event in events if isinstance(event, AttemptFailed)]
            assert codes == [code for code, replies in cuts.items() for _ in replies]
            (outcome,) = (event.outcome for event in events if isinstance(event, UnitRecorded))
            assert outcome.artifact
            hashes.add(outcome.artifact.content_hash)
        assert len(hashes) == 1

    def test_a_body_cut_twice_is_stored_as_partial_and_said(self, tmp_path: Path, reply: Sample) -> None:
        """The second time is believed once the contracts that are missing were asked for one by one."""
        body = whole(reply.body[: reply.line_ends()[500]])
        names = whole(reply.body[: reply.line_ends()[0]])
        with serving(sending()) as server:
            server.answer = terminal_with(reply, [body, body, *[names] * len(reply.listed.contracts)])
            summary = download(server, reply, tmp_path, [], retries=0)
        assert (summary.finished.exit_code, summary.finished.rows) == (1, 500)
        assert [day.verdict for day in summary.days] == [Verdict.PARTIAL]


def terminal_with(sample: Sample, replies: list[bytes]) -> Answer:
    """Return a Terminal that lists the sample's contracts, and sends one reply after the other for its rows."""
    listed = b"symbol,expiration,strike,right\r\n" + b"".join(
        f"SPXW,{contract.expiration},{contract.strike:.3f},{contract.right}\r\n".encode()
        for contract in sample.listed.contracts
    )
    left = list(replies)

    def answer(connection: socket.socket, line: str) -> None:
        connection.sendall(whole(listed) if "/option/list/contracts/quote?" in line else left.pop(0))

    return answer


def download(server: RawServer, sample: Sample, folder: Path, events: list[Event], *, retries: int) -> Summary:
    """Download the sample's day; waits take no time."""
    return bootstrap.download(
        TRADE_DATE,
        datasets=[sample.unit.dataset],
        data_dir=folder,
        terminal=server.url,
        emit=events.append,
        environ={"SPXDATA_DOWNLOAD__RETRIES": str(retries), "SPXDATA_TERMINAL__DIALECT": "v3"},
        clock=FakeClock(),
    )


def stored(folder: Path) -> list[str]:
    """Return all files of an archive but those of its private folder."""
    files = [file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()]
    return [name for name in files if not name.startswith(PRIVATE)]
