import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spxdata.errors import (
    BrokenRule,
    CutOff,
    DataError,
    MalformedReply,
    NoData,
    NotSubscribed,
    SchemaDrift,
    ShortReply,
    SpxDataError,
    StorageError,
    TooEarly,
    TooLarge,
)
from spxdata.events import Event, FileRenamed, Quarantined, Received
from spxdata.flags import Flag
from spxdata.layout import QUARANTINE, path_of
from spxdata.model import Contract, ContractList, Hole, HoleKind, Outcome, State
from spxdata.pipeline.attempt import attempt
from spxdata.pipeline.edges import Edges, SortMemory
from spxdata.pipeline.read import Adopted, adopt, frames
from spxdata.protocols import Pending
from spxdata.schema import DATASETS, Dataset
from spxdata.storage.local import LocalStorage
from tests.builders import a_provenance
from tests.memory_storage import MemoryStorage

from .builders import (
    CALL,
    CONTRACTS,
    HIGH_CALL,
    PUT,
    QUOTE,
    QUOTE_UNIT,
    REQUIRED,
    Answer,
    Piece,
    Row,
    ScriptedTerminal,
    a_row,
    csv_of,
    cut,
    edges_of,
    frame_of,
    listing,
    rows_of,
    stored_frame,
    unit_for,
    wire_csv,
)

PATH = path_of(QUOTE_UNIT)
WHOLE = csv_of(rows_of())
#: A clean reply that lacks a listed contract.
SHORT = csv_of(rows_of([CALL, PUT]))


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    """Return an empty archive."""
    return LocalStorage(tmp_path)


def left(folder: Path) -> list[str]:
    """Return every file below a folder, unfinished ones too."""
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def tried(edges: Edges, listed: ContractList | None = None, **options: Any) -> Outcome:
    """Make an attempt at the usual unit."""
    return attempt(QUOTE_UNIT, listed or listing(), edges, **options)


class TestStored:
    """An attempt that ends well."""

    def test_a_whole_reply_becomes_a_file_and_an_outcome(self, storage: LocalStorage, tmp_path: Path) -> None:
        """Verified against the list, without holes; the file holds the vendor's rows and nothing else lies there."""
        edges = edges_of(storage, WHOLE)
        outcome = tried(edges)
        assert outcome.artifact
        assert outcome == Outcome(QUOTE_UNIT, State.STORED, artifact=outcome.artifact)
        assert left(tmp_path) == [PATH]
        assert pl.concat(frames(storage, PATH)).equals(stored_frame(frame_of(rows_of())))
        assert adopt(storage, QUOTE_UNIT, frozenset(CONTRACTS)) == (outcome.artifact, (), (), frozenset())

    def test_the_provenance_is_the_replys(self, storage: LocalStorage) -> None:
        """Where the rows come from is the Terminal's to say."""
        edges = edges_of(storage, WHOLE)
        outcome = tried(edges)
        assert outcome.artifact
        assert isinstance(edges.terminal, ScriptedTerminal)
        assert outcome.artifact.provenance == edges.terminal.provenance
        assert edges.terminal.asked == [QUOTE_UNIT]

    def test_without_a_list_it_is_not_verified(self, storage: LocalStorage) -> None:
        """A contract that never came is not missed then."""
        outcome = attempt(QUOTE_UNIT, None, edges_of(storage, SHORT))
        assert (outcome.state, outcome.verified, outcome.holes) == (State.STORED, False, ())

    def test_notes_are_counted_and_not_kept(self, storage: LocalStorage) -> None:
        """They can be found again in the file; they need no second try."""
        rows = [row for row in rows_of() if not (row["right"] == "PUT" and row["timestamp"].endswith("10:00:00"))]
        outcome = tried(edges_of(storage, csv_of(rows)))
        assert (outcome.holes, outcome.notes) == ((), 1)

    def test_contracts_of_other_expirations_are_not_expected(self, storage: LocalStorage) -> None:
        """The list is the whole day's."""
        later = CALL._replace(expiration=CALL.expiration.replace(day=26))
        assert tried(edges_of(storage, WHOLE), listing([*CONTRACTS, later])).holes == ()

    @settings(max_examples=15, deadline=None)
    @given(st.lists(st.integers(0, 10**6), max_size=10), st.permutations(CONTRACTS), st.sampled_from([0, 10**9]))
    def test_neither_pieces_nor_order_nor_memory_change_the_content(
        self, borders: list[int], order: Sequence[Any], limit: int
    ) -> None:
        """Two downloads of the same data are equal to the last byte."""
        rows = {contract: rows_of([contract], bid_size=9) for contract in CONTRACTS}
        body = csv_of([row for contract in order for row in rows[contract]])
        straight = csv_of([row for contract in CONTRACTS for row in rows[contract]])
        artifacts = [
            tried(edges_of(MemoryStorage(), pieces, memory=SortMemory(limit))).artifact
            for pieces, limit in ((cut(body, borders), limit), ([straight], 10**9))
        ]
        assert artifacts[0] == artifacts[1]

    def test_events_tell_of_all_bytes_and_of_the_file(self, storage: LocalStorage) -> None:
        """Received bytes sum up; the rename is told after it happened."""
        heard: list[Event] = []

        def emit(event: Event) -> None:
            heard.append(event)
            assert isinstance(event, FileRenamed) == (storage.size(PATH) is not None)

        tried(edges_of(storage, cut(WHOLE, range(0, len(WHOLE), 1000)), emit=emit))
        assert sum(event.bytes for event in heard if isinstance(event, Received)) == len(WHOLE)
        assert heard[-1] == FileRenamed(QUOTE_UNIT, PATH)

    def test_bytes_are_told_of_a_mebibyte_at_a_time(self, storage: LocalStorage) -> None:
        """Not with every chunk."""
        heard: list[Event] = []
        body = csv_of(rows_of() * 40)
        tried(edges_of(storage, cut(body, range(0, len(body), 4096)), emit=heard.append))
        told = [event.bytes for event in heard if isinstance(event, Received)]
        assert sum(told) == len(body)
        assert all(2**20 <= size < 2**20 + 5000 for size in told[:-1])

    def test_repeated_rows_are_flagged_and_kept(self, storage: LocalStorage) -> None:
        """Vendor rows are never dropped."""
        rows = rows_of()
        outcome = tried(edges_of(storage, csv_of([*rows, rows[5], rows[5]])))
        assert outcome.artifact
        assert outcome.artifact.rows == len(rows) + 2
        flags = pl.concat(frames(storage, PATH))["flags"]
        assert flags.to_list()[5:8] == [0, Flag.REPEATED, Flag.REPEATED]
        assert flags.sum() == 2 * Flag.REPEATED


class TestDatasets:
    """What other datasets do their own way."""

    @pytest.mark.parametrize("dialect", ["v3", "v2"])
    @pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
    def test_every_dataset_is_stored_and_adopted_as_it_is(
        self, storage: LocalStorage, dataset: Dataset, dialect: str
    ) -> None:
        """Whole, in both dialects; its file gives back what was said of it, by content hash too."""
        if dialect == "v2" and dataset.v2 is None:
            return
        unit, rows = unit_for(dataset), rows_of(CONTRACTS, range(570, 976), dataset)
        listed = listing() if dataset.contract_list else None
        terminal = ScriptedTerminal([wire_csv(rows, dataset, dialect)], provenance=a_provenance(dialect=dialect))
        outcome = attempt(unit, listed, edges_of(storage, terminal=terminal))
        assert outcome.artifact
        assert (outcome.artifact.rows, outcome.holes, outcome.notes, outcome.verified) == (len(rows), (), 0, True)
        assert adopt(storage, unit, frozenset(CONTRACTS) if listed else None) == (outcome.artifact, (), (), frozenset())
        frame = pl.concat(frames(storage, path_of(unit)))
        lacks = dataset.v2.lacks if dataset.v2 and dialect == "v2" else ()
        assert {name for name in frame.columns if frame[name].null_count()} == set(lacks)

    @pytest.mark.parametrize("name", [name for name, dataset in DATASETS.items() if dataset.v2 and dataset.v2.lacks])
    def test_what_v2_lacks_has_another_hash_than_nothing_or_no_number(self, storage: LocalStorage, name: str) -> None:
        """Null, 0 and NaN are three things; all other values are those of v3."""
        dataset = DATASETS[name]
        unit, rows = unit_for(dataset), rows_of(CONTRACTS, range(570, 976), dataset)
        v2 = dataset.v2
        assert v2
        hashes = []
        for dialect, value in (("v2", "0"), ("v3", "0"), ("v3", "nan")):
            body = wire_csv([row | dict.fromkeys(v2.lacks, value) for row in rows], dataset, dialect)
            terminal = ScriptedTerminal([body], provenance=a_provenance(dialect=dialect))
            outcome = attempt(unit, listing(), edges_of(storage, terminal=terminal))
            assert outcome.artifact
            hashes.append(outcome.artifact.content_hash)
        assert len(set(hashes)) == 3

    def test_reports_that_came_twice_are_all_kept(self, storage: LocalStorage) -> None:
        """Sorted by when they were made: older ones superseded, those that are the same to the byte repeated."""
        eod = DATASETS["eod"]
        unit = unit_for(eod)
        old = rows_of(CONTRACTS, dataset=eod, created="2024-01-16T17:15:00", volume=1)
        new = rows_of(CONTRACTS, dataset=eod, created="2024-01-16T17:33:00", volume=2)
        outcome = attempt(unit, listing(), edges_of(storage, csv_of([*new, *old, *new])))
        assert outcome.artifact
        assert (outcome.artifact.rows, outcome.holes) == (9, ())
        frame = pl.concat(frames(storage, path_of(unit)))
        assert frame["volume"].to_list() == [1, 2, 2] * 3
        assert frame["flags"].to_list() == [Flag.SUPERSEDED, 0, Flag.REPEATED] * 3

    def test_what_has_expired_is_not_missed_in_a_report(self, storage: LocalStorage) -> None:
        """Though it is listed; when it is stored, and when the file is adopted."""
        eod = DATASETS["eod"]
        unit, gone = unit_for(eod), CALL._replace(expiration=date(2024, 1, 12))
        outcome = attempt(unit, listing([*CONTRACTS, gone]), edges_of(storage, csv_of(rows_of(dataset=eod))))
        assert outcome.holes == ()
        assert adopt(storage, unit, frozenset([*CONTRACTS, gone])) == (outcome.artifact, (), (), frozenset())

    def test_trades_are_stored_in_the_order_in_which_they_came(self, storage: LocalStorage) -> None:
        """Contract by contract; equal ones too, and a sequence number that is less than the one before it."""
        trade = DATASETS["trade"]
        unit = unit_for(trade)
        rows = [a_row(trade, contract, 600, sequence=s) for contract in (PUT, CALL) for s in (7, -3, 7, 5)]
        outcome = attempt(unit, listing([CALL, PUT]), edges_of(storage, csv_of(rows), memory=SortMemory(0)))
        assert outcome.artifact
        frame = pl.concat(frames(storage, path_of(unit)))
        assert frame["right"].cast(pl.String).to_list() == ["CALL"] * 4 + ["PUT"] * 4
        assert frame["sequence"].to_list() == [7, -3, 7, 5] * 2
        assert frame["flags"].sum() == 0


class TestShortReplies:
    """A reply that ended cleanly and lacks something."""

    gap = Hole(HoleKind.GAP, HIGH_CALL, None, None)

    def test_the_first_one_is_refused_without_a_trace(self, storage: LocalStorage, tmp_path: Path) -> None:
        """It may have been the Terminal's own upstream that died; the message says what is missing."""
        with pytest.raises(ShortReply, match=r"1 gap \(2024-01-19 4750 CALL: the whole day\)"):
            tried(edges_of(storage, SHORT))
        assert left(tmp_path) == []

    def test_the_second_one_is_stored_with_its_holes(self, storage: LocalStorage) -> None:
        """Every gap known and named."""
        outcome = tried(edges_of(storage, SHORT), accept_holes=True)
        assert (outcome.state, outcome.holes, outcome.partial) == (State.STORED, (self.gap,), True)
        assert outcome.artifact
        assert outcome.artifact.rows == 810

    @pytest.mark.parametrize(
        ("away", "hole"),
        [
            ({c: range(660, 720) for c in CONTRACTS}, Hole(HoleKind.OUTAGE, None, 660, 719)),
            ({PUT: range(700, 731)}, Hole(HoleKind.GAP, PUT, 700, 730)),
            ({PUT: range(970, 976)}, Hole(HoleKind.GAP, PUT, 970, 975)),
        ],
        ids=["an hour of all", "31 minutes inside", "a tail worth something"],
    )
    def test_whatever_was_left_out(
        self, storage: LocalStorage, tmp_path: Path, away: dict[Any, range], hole: Hole
    ) -> None:
        """Outages and gaps of every kind: refused first, then stored."""
        rows = [
            row
            for contract in CONTRACTS
            for row in rows_of([contract], [m for m in range(571, 976) if m not in away.get(contract, ())])
        ]
        edges = edges_of(storage, csv_of(rows), csv_of(rows))
        with pytest.raises(ShortReply):
            tried(edges)
        assert left(tmp_path) == []
        assert tried(edges, accept_holes=True).holes == (hole,)


class TestContractsThatDidNotCome:
    """Listed contracts that a second reply lacks too are asked for one by one."""

    def tried(
        self,
        storage: LocalStorage,
        body: bytes,
        singles: Mapping[Contract, bytes | BaseException],
        listed: Sequence[Contract] = CONTRACTS,
        *,
        accept_holes: bool = True,
    ) -> tuple[Outcome, list[Contract]]:
        """Make an attempt; return its outcome, and the contracts that were asked for singly."""
        terminal = ScriptedTerminal([body], singles=singles)
        outcome = tried(edges_of(storage, terminal=terminal), listing(listed), accept_holes=accept_holes)
        return outcome, terminal.asked_singly

    def test_rows_that_come_then_belong_to_the_file(self, storage: LocalStorage) -> None:
        """Wherever the contract stands in the order: the file is that of a whole reply."""
        whole, asked = self.tried(storage, WHOLE, {})
        assert asked == []
        single = csv_of(rows_of()[len(REQUIRED) : 2 * len(REQUIRED)])
        mended, asked = self.tried(storage, csv_of(_without(PUT)), {PUT: single})
        assert (asked, mended.holes) == ([PUT], ())
        assert mended.artifact
        assert whole.artifact
        assert mended.artifact.content_hash == whole.artifact.content_hash

    def test_one_that_the_terminal_has_no_rows_of_is_empty_and_no_gap(self, storage: LocalStorage) -> None:
        """The outcome names it, and so does the file: whoever adopts it knows."""
        outcome, asked = self.tried(storage, SHORT, {HIGH_CALL: NoData("472")})
        note = Hole(HoleKind.NOTE, HIGH_CALL, None, None)
        assert (asked, outcome.holes, outcome.partial, outcome.notes) == ([HIGH_CALL], (note,), False, 0)
        adopted = adopt(storage, QUOTE_UNIT, frozenset(CONTRACTS))
        assert outcome.artifact
        assert adopted == Adopted(outcome.artifact, (note,), (HIGH_CALL,), frozenset())

    def test_one_whose_reply_has_no_rows_either_stays_a_gap(self, storage: LocalStorage) -> None:
        """A line of column names is no word on it."""
        outcome, asked = self.tried(storage, SHORT, {})
        assert (asked, outcome.holes) == ([HIGH_CALL], (TestShortReplies.gap,))

    def test_a_terminal_that_gives_no_single_contracts_is_asked_once(self, storage: LocalStorage) -> None:
        """All that is missing stays a gap."""
        outcome, asked = self.tried(storage, csv_of(rows_of([CALL])), {PUT: TooLarge("no single contracts")})
        assert asked == [PUT]
        assert [hole.contract for hole in outcome.holes if hole.partial] == [PUT, HIGH_CALL]

    def test_a_failure_on_the_way_fails_the_attempt(self, storage: LocalStorage, tmp_path: Path) -> None:
        """It is tried again like any other."""
        with pytest.raises(CutOff):
            self.tried(storage, SHORT, {HIGH_CALL: CutOff("ended early")})
        assert left(tmp_path) == []

    def test_the_first_attempt_asks_for_none(self, storage: LocalStorage) -> None:
        """The next one may bring them."""
        terminal = ScriptedTerminal([SHORT])
        with pytest.raises(ShortReply):
            tried(edges_of(storage, terminal=terminal))
        assert terminal.asked_singly == []

    @pytest.mark.parametrize(("missing", "asked"), [(20, 20), (21, 0)])
    def test_more_than_twenty_are_a_short_reply_of_another_kind(
        self, storage: LocalStorage, missing: int, asked: int
    ) -> None:
        """None of them is asked for."""
        more = [HIGH_CALL._replace(strike=5000.0 + 5 * number) for number in range(missing)]
        outcome, singly = self.tried(storage, WHOLE, {}, [*CONTRACTS, *more])
        assert len(singly) == asked
        assert [hole.contract for hole in outcome.holes] == more

    def test_open_interest_that_is_not_there_is_not_asked_for(self, storage: LocalStorage) -> None:
        """A contract without any has no row: that is no gap."""
        dataset = DATASETS["open_interest"]
        terminal = ScriptedTerminal([wire_csv(rows_of([CALL], dataset=dataset), dataset)])
        edges = edges_of(storage, terminal=terminal)
        outcome = attempt(unit_for(dataset), listing(), edges, accept_holes=True)
        assert (terminal.asked_singly, outcome.holes, outcome.notes) == ([], (), 2)


def _without(contract: Contract) -> list[dict[str, str]]:
    """Return a whole chain's rows but those of a contract."""
    named = (str(contract.expiration), f"{contract.strike:.3f}", str(contract.right))
    return [row for row in rows_of() if (row["expiration"], row["strike"], row["right"]) != named]


TRADE = DATASETS["trade"]
TRADES = unit_for(TRADE)


def trades(contract: Contract, number: int) -> list[Row]:
    """Return some trades of a contract."""
    return [a_row(TRADE, contract, 600 + n, sequence=n) for n in range(number)]


class TestShortTicks:
    """A chain of ticks whose reply lost some: no grid tells which contracts came in part."""

    whole: ClassVar = {contract: trades(contract, 5) for contract in CONTRACTS}

    def completed(
        self, storage: LocalStorage, singles: Mapping[Contract, Answer], limit: int = 10**9, **counts: int
    ) -> tuple[Outcome, ScriptedTerminal]:
        """Make the second try at trades that came as counted, by "call", "put" and "high"."""
        by_name = dict(zip(("call", "put", "high"), CONTRACTS, strict=True))
        body = csv_of([row for name, count in counts.items() for row in self.whole[by_name[name]][:count]])
        terminal = ScriptedTerminal([body], singles=singles)
        edges = edges_of(storage, terminal=terminal, memory=SortMemory(limit))
        return attempt(TRADES, listing(), edges, accept_holes=True), terminal

    @pytest.mark.parametrize("limit", [0, 10**9], ids=["spilled", "in memory"])
    @pytest.mark.parametrize("counts", [{"call": 2, "high": 3}, {"call": 1}, {"put": 5, "high": 1}], ids=str)
    def test_all_contracts_come_alone_once_one_that_did_not_come_has_rows(
        self, storage: LocalStorage, counts: dict[str, int], limit: int
    ) -> None:
        """The file is what it would have been; that it came so is told."""
        singles = {contract: csv_of(rows) for contract, rows in self.whole.items()}
        outcome, terminal = self.completed(storage, singles, limit, **counts)
        assert outcome.artifact
        assert (outcome.artifact.rows, outcome.holes) == (15, ())
        assert sorted(terminal.asked_singly) == sorted(CONTRACTS)
        assert outcome.artifact.provenance.request.endswith(" (and 3 contracts one by one)")
        whole = csv_of([row for rows in self.whole.values() for row in rows])
        straight = attempt(TRADES, listing(), edges_of(MemoryStorage(), whole))
        assert straight.artifact
        assert outcome.artifact.content_hash == straight.artifact.content_hash

    def test_contracts_that_have_no_rows_are_no_sign_of_a_loss(self, storage: LocalStorage) -> None:
        """The list has those that were traded at night only: what came stays as it is."""
        singles = {HIGH_CALL: NoData("none")}
        outcome, terminal = self.completed(storage, singles, call=2, put=5)
        assert outcome.artifact
        assert (outcome.artifact.rows, outcome.partial, terminal.asked_singly) == (7, False, [HIGH_CALL])

    def test_without_single_contracts_the_gaps_stay(self, storage: LocalStorage) -> None:
        """And the day is partial."""
        outcome, _ = self.completed(storage, {HIGH_CALL: TooLarge("570")}, call=2, put=5)
        assert outcome.holes == (Hole(HoleKind.GAP, HIGH_CALL, None, None),)

    @pytest.mark.parametrize(
        "alone", [NoData("none"), csv_of(trades(CALL, 1)), csv_of(trades(CALL, 0), TRADE.names)], ids=["none", "1", "0"]
    )
    def test_fewer_rows_than_came_are_never_stored(self, storage: LocalStorage, tmp_path: Path, alone: Answer) -> None:
        """The Terminal contradicts itself."""
        singles = {CALL: alone, HIGH_CALL: csv_of(self.whole[HIGH_CALL]), PUT: csv_of(self.whole[PUT])}
        with pytest.raises(MalformedReply, match=r"CALL came with 2 rows among others, and has [01] alone"):
            self.completed(storage, singles, call=2, put=5)
        assert PATH not in left(tmp_path)
        assert not [name for name in left(tmp_path) if not name.startswith(QUARANTINE)]

    def test_it_ends_where_a_contract_is_too_large_by_then(self, storage: LocalStorage, tmp_path: Path) -> None:
        """What came before is not there any more."""
        singles: dict[Contract, Answer] = {PUT: csv_of(self.whole[PUT]), HIGH_CALL: TooLarge("570")}
        with pytest.raises(TooLarge):
            self.completed(storage, singles, call=2)
        assert left(tmp_path) == []

    def test_rows_of_a_grid_that_came_are_kept(self, storage: LocalStorage) -> None:
        """What they lack would show."""
        terminal = ScriptedTerminal([SHORT], singles={HIGH_CALL: csv_of(rows_of([HIGH_CALL]))})
        outcome = tried(edges_of(storage, terminal=terminal), accept_holes=True)
        assert (outcome.holes, terminal.asked_singly) == ((), [HIGH_CALL])

    def test_a_contract_that_comes_twice_is_refused(self, storage: LocalStorage) -> None:
        """Both times, whatever else is missing."""
        body = csv_of([*self.whole[CALL], *self.whole[PUT], *self.whole[CALL]])
        for accept_holes in (False, True):
            with pytest.raises(MalformedReply, match="comes a second time"):
                attempt(TRADES, listing(), edges_of(storage, body), accept_holes=accept_holes)


#: What is wrong with a reply, and the error it ends with.
WRONG: dict[str, tuple[bytes, type[DataError], str]] = {
    "columns drifted": (WHOLE.replace(b"bid_size", b"bidsize", 1), SchemaDrift, "SPX-D001"),
    "a cut last row": (WHOLE[:-5], MalformedReply, "SPX-D002"),
    "a short row": (WHOLE + b"SPXW,2024-01-19\n", MalformedReply, "SPX-D002"),
    "another root": (csv_of([*rows_of(), a_row(symbol="SPX")]), BrokenRule, "SPX-D003"),
    "another day": (csv_of([*rows_of(), a_row(timestamp="2024-01-17T09:31:00")]), BrokenRule, "SPX-D003"),
    "one key with two values": (csv_of([*rows_of(), a_row(ask="99.90")]), BrokenRule, "SPX-D003"),
}


class TestWrongReplies:
    """A reply that fails a structural check."""

    @pytest.mark.parametrize(("body", "kind", "code"), WRONG.values(), ids=WRONG)
    @pytest.mark.parametrize("accept_holes", [False, True])
    def test_only_a_quarantine_entry_is_left(
        self, storage: LocalStorage, tmp_path: Path, body: bytes, kind: type[DataError], code: str, accept_holes: bool
    ) -> None:
        """Readable: the reason, and the raw bytes with their header. A second try accepts it no more."""
        heard: list[Event] = []
        with pytest.raises(kind):
            tried(edges_of(storage, body, emit=heard.append), accept_holes=accept_holes)
        (quarantined,) = (event for event in heard if isinstance(event, Quarantined))
        assert all(name.startswith(f"{quarantined.path}/") for name in left(tmp_path))
        assert quarantined.path.startswith(f"{QUARANTINE}/")
        reason = json.loads((tmp_path / quarantined.path / "reason.json").read_text())
        assert (reason["code"], reason["error"]) == (code, kind.__name__)
        reply = (tmp_path / quarantined.path / "reply.csv").read_bytes()
        # two values for a key are seen only after sorting: then the header and the two rows are kept
        expected = 3 if "two_values" in reason["message"] else body.count(b"\n") * (kind is not SchemaDrift)
        assert reply.count(b"\n") == expected
        assert body.startswith(reply.split(b"\n")[0])

    def test_rows_that_had_passed_are_kept_beside_the_batch(self, storage: LocalStorage, tmp_path: Path) -> None:
        """A fault in the second batch: the first one is there as it was parsed."""
        good = csv_of(rows_of() * 220)  # some 18 MB: more than one batch
        bad = good + b"not a row\n"
        with pytest.raises(MalformedReply):
            tried(edges_of(storage, cut(bad, range(0, len(bad), 2**20))))
        (rows,) = (name for name in left(tmp_path) if name.endswith("rows.parquet"))
        passed = pl.read_parquet(tmp_path / rows)
        reply = (tmp_path / rows).with_name("reply.csv").read_bytes()
        assert reply.endswith(b"not a row\n")
        assert passed.height + reply.count(b"\n") - 1 == bad.count(b"\n") - 1
        first = json.loads((tmp_path / rows).with_name("reason.json").read_text())["first_row"]
        assert first == passed.height
        values = passed.select(QUOTE.names).head(1215).cast({"right": pl.String})
        assert values.rows() == frame_of(rows_of()).cast({"right": pl.String}).rows()

    def test_what_was_stored_before_stays(self, storage: LocalStorage, tmp_path: Path) -> None:
        """A wrong reply never replaces a file."""
        tried(edges_of(storage, WHOLE))
        before = (tmp_path / PATH).read_bytes()
        for body in (SHORT, *(body for body, _, _ in WRONG.values())):
            with pytest.raises(DataError):
                tried(edges_of(storage, body))
        assert (tmp_path / PATH).read_bytes() == before


class TestNoAnswer:
    """A Terminal that has nothing to give."""

    @pytest.mark.parametrize("error", [NoData("none"), TooEarly("later"), NotSubscribed("no"), CutOff("cut")])
    def test_the_sink_is_never_opened(self, storage: LocalStorage, tmp_path: Path, error: SpxDataError) -> None:
        """Not even a folder."""
        with pytest.raises(type(error)):
            tried(edges_of(storage, error))
        assert list(tmp_path.iterdir()) == []


@dataclass
class Failing:
    """A file in the making that fails at a chosen step.

    Attributes:
        pending: The real one.
        step: write or commit.
        error: What is raised there.
    """

    pending: Pending
    step: str
    error: BaseException

    def write(self, data: bytes) -> int:
        """Write, or fail."""
        if self.step == "write":
            raise self.error
        return self.pending.write(data)

    def commit(self) -> None:
        """Fail."""
        raise self.error


@dataclass
class FailingStorage:
    """A storage whose files below some folder fail.

    Attributes:
        storage: The real one.
        step: create, write or commit.
        error: What is raised there.
        below: Beginning of the paths that fail.
    """

    storage: LocalStorage
    step: str
    error: BaseException
    below: str = ""

    @contextmanager
    def create(self, path: str) -> Iterator[Pending]:
        """Begin a file that will fail."""
        if path.startswith(self.below) and self.step == "create":
            raise self.error
        with self.storage.create(path) as pending:
            yield Failing(pending, self.step, self.error) if path.startswith(self.below) else pending

    def open(self, path: str) -> BinaryIO:
        """Open a file."""
        return self.storage.open(path)

    def size(self, path: str) -> int | None:
        """Return a file's size."""
        return self.storage.size(path)

    def names(self, folder: str = "") -> tuple[str, ...]:
        """Return the paths of all files."""
        return self.storage.names(folder)

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the paths of files with their bytes."""
        return self.storage.sizes(folder)

    def remove(self, path: str) -> None:
        """Remove a file."""
        self.storage.remove(path)

    def address(self, path: str) -> str:
        """Return where other programs find a file."""
        return self.storage.address(path)

    def free(self) -> int:
        """Return how many bytes are free."""
        return self.storage.free()

    def move(self, path: str, to: str) -> None:
        """Give a file another name."""
        self.storage.move(path, to)

    def unfinished(self) -> dict[str, int]:
        """Return what is unfinished."""
        return self.storage.unfinished()

    def sweep(self) -> tuple[str, ...]:
        """Remove what is unfinished."""
        return self.storage.sweep()


class TestInterruption:
    """Whatever ends an attempt early, at whatever moment."""

    errors = pytest.mark.parametrize(
        "error", [KeyboardInterrupt(), SystemExit(1), MemoryError(), CutOff("cut"), StorageError("disk")], ids=repr
    )

    @staticmethod
    def nothing_left(tmp_path: Path, edges: Edges) -> None:
        """No file, no open reply, no memory held."""
        assert left(tmp_path) == []
        assert isinstance(edges.terminal, ScriptedTerminal)
        assert edges.terminal.open == 0
        assert edges.memory.claim(edges.memory.limit)

    @errors
    @pytest.mark.parametrize("at", [0, 1, 3])
    @pytest.mark.parametrize("limit", [0, 10**9], ids=["spilled", "in memory"])
    def test_while_the_reply_is_read(
        self, storage: LocalStorage, tmp_path: Path, error: BaseException, at: int, limit: int
    ) -> None:
        """Before the first byte, inside, after the last."""
        pieces: list[Piece] = [WHOLE[:100], WHOLE[100:50_000], WHOLE[50_000:]]
        pieces.insert(at, error)
        edges = edges_of(storage, pieces, memory=SortMemory(limit))
        with pytest.raises(type(error)):
            tried(edges)
        self.nothing_left(tmp_path, edges)

    @errors
    def test_in_a_subscriber_to_events(self, storage: LocalStorage, tmp_path: Path, error: BaseException) -> None:
        """Ctrl-C arrives wherever Python is."""

        def emit(event: Event) -> None:
            assert isinstance(event, Received)
            raise error

        edges = edges_of(storage, WHOLE, emit=emit)
        with pytest.raises(type(error)):
            tried(edges)
        self.nothing_left(tmp_path, edges)

    @errors
    @pytest.mark.parametrize("step", ["create", "write", "commit"])
    def test_while_the_file_is_written(self, tmp_path: Path, error: BaseException, step: str) -> None:
        """When it is opened, in the first bytes, in the commit."""
        edges = edges_of(FailingStorage(LocalStorage(tmp_path), step, error), WHOLE)
        with pytest.raises(type(error)):
            tried(edges)
        self.nothing_left(tmp_path, edges)

    @errors
    def test_right_before_the_rename(self, storage: LocalStorage, tmp_path: Path, error: BaseException) -> None:
        """When the old artifact could not be withdrawn, the old file stays."""
        before = attempt(QUOTE_UNIT, None, edges_of(storage, SHORT)).artifact

        def replacing() -> None:
            raise error

        with pytest.raises(type(error)):
            tried(edges_of(storage, WHOLE), replacing=replacing)
        assert left(tmp_path) == [PATH]
        found = adopt(storage, QUOTE_UNIT, None)
        assert found
        assert found[0] == before

    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, len(WHOLE) - 1), st.booleans())
    def test_a_reply_cut_at_any_byte_is_never_stored(
        self, tmp_path_factory: pytest.TempPathFactory, at: int, told: bool
    ) -> None:
        """Whether the transport noticed, or the body merely ends there.

        Only a body that ends with a whole line, without a word from the transport, looks like a short reply:
        that one is refused the first time, so holes are not accepted here.
        """
        folder = tmp_path_factory.mktemp("archive")
        pieces: list[Piece] = [WHOLE[:at], *([CutOff("cut off")] if told else [])]
        whole_lines = WHOLE[:at].endswith(b"\n") and WHOLE[:at].count(b"\n") > 1
        with pytest.raises(CutOff if told else DataError):
            tried(edges_of(LocalStorage(folder), pieces), accept_holes=not whole_lines)
        assert not [name for name in left(folder) if not name.startswith(QUARANTINE)]


class TestReplacing:
    """The moment before a file is replaced."""

    def test_it_is_called_once_right_before_the_rename(self, storage: LocalStorage, tmp_path: Path) -> None:
        """The new file is written by then, the old one still there; the rename is told afterwards."""
        tried(edges_of(storage, SHORT), accept_holes=True)
        old = (tmp_path / PATH).read_bytes()
        calls: list[str] = []

        def replacing() -> None:
            calls.append("replacing")
            assert (tmp_path / PATH).read_bytes() == old
            assert len([name for name in left(tmp_path) if name.endswith(".partial")]) == 1

        def emit(event: Event) -> None:
            calls.append(type(event).__name__)

        outcome = tried(edges_of(storage, WHOLE, emit=emit), replacing=replacing)
        assert calls[-2:] == ["replacing", "FileRenamed"]
        assert calls.count("replacing") == 1
        assert outcome.artifact
        assert (tmp_path / PATH).stat().st_size == outcome.artifact.bytes

    @pytest.mark.parametrize(
        "answer",
        [SHORT, *(body for body, _, _ in WRONG.values()), NoData("none"), [WHOLE, CutOff("cut")], csv_of([])],
        ids=["short", *WRONG, "no data", "cut off", "no rows"],
    )
    def test_it_is_not_called_when_the_attempt_fails(
        self, storage: LocalStorage, answer: bytes | Sequence[Piece] | BaseException
    ) -> None:
        """The catalog keeps what it knows."""
        calls: list[int] = []
        with pytest.raises(SpxDataError):
            tried(edges_of(storage, answer), replacing=lambda: calls.append(1))
        assert calls == []


def test_attempts_share_nothing_but_their_memory(storage: LocalStorage) -> None:
    """One after the other with the same edges, a wrong one between two good ones."""
    memory = SortMemory(100_000)
    edges = edges_of(storage, WHOLE, WRONG["another root"][0], WHOLE, memory=memory)
    first = tried(edges)
    with pytest.raises(BrokenRule):
        tried(edges)
    assert tried(edges) == first
    assert memory.claim(100_000)


def test_an_unusable_quarantine_does_not_hide_what_was_wrong(tmp_path: Path) -> None:
    """A disk without room for the entry stops the run; the reply's own error is shown as what led to it."""
    storage = FailingStorage(LocalStorage(tmp_path), "write", StorageError("no room"), below=QUARANTINE)
    with pytest.raises(StorageError, match="no room") as caught:
        tried(edges_of(storage, WRONG["another root"][0]))
    assert isinstance(caught.value.__context__, BrokenRule)
    assert left(tmp_path) == []
