"""What is the JSON catalog's own: the brief's keys, atomic files that belong together, damage, looking on."""

import itertools
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from spxdata.bootstrap import make_request, make_terminal
from spxdata.catalog.jsonfile import JsonCatalog
from spxdata.clock import SystemClock
from spxdata.config import load
from spxdata.downloader import Download
from spxdata.emulator import Emulator
from spxdata.errors import CatalogCorrupt, DiskFull, NotWritable, StorageError
from spxdata.events import ignore
from spxdata.layout import path_of
from spxdata.model import Outcome, State, Unit, Verdict
from spxdata.pipeline.edges import Edges, Encoding, SortMemory
from spxdata.protocols import Pending, Storage
from spxdata.retry import Patience
from spxdata.storage.local import LocalStorage
from tests.builders import (
    EXPIRATION,
    NOW,
    TRADE_DATE,
    FakeClock,
    a_contract_list,
    a_day,
    a_gap,
    a_scope,
    a_unit,
    an_artifact,
    an_outage,
    empty,
    failed,
    refused,
    stored,
)
from tests.catalog.documents import NAMES, document, require_valid, schema

#: The brief's keys; those with a question mark may be left out.
STATUS_KEYS = {
    "root": "version lastUpdated downloads",
    "day": "status startTime? endTime? attempts error? expirations summary?",
    "summary": "totalFiles totalSize totalRecords processingTimeMs",
    "expiration": "expiration status recordCount? fileSize? retryCount error?",
}
INVENTORY_KEYS = {
    "root": "version lastUpdated dataDirectory files summary",
    "file": "tradeDate expirationDate filename relativePath size checksum createdAt lastModified recordCount format "
    "compression?",
    "summary": "totalFiles totalSize tradeDateRange expirationRange lastUpdate",
}

LISTS = ".spxdata/contracts/20240116_SPXW_quote.json"
DOCUMENTS = ".spxdata/rule.json"


def catalog_of(folder: Path, *, read_only: bool = False) -> JsonCatalog:
    """Open the catalog of an archive, at a moment that stands still."""
    return JsonCatalog(LocalStorage(folder), folder, FakeClock(), read_only=read_only)


@pytest.fixture
def catalog(tmp_path: Path) -> JsonCatalog:
    """A new catalog."""
    return catalog_of(tmp_path)


def of_date(folder: Path) -> dict[str, Any]:
    """Return the entry of the usual trade date."""
    entry: dict[str, Any] = document(folder, "status")["downloads"]["2024-01-16"]
    return entry


def keys(words: str) -> tuple[set[str], set[str]]:
    """Return the keys that must be there, and those that may."""
    required = {word for word in words.split() if not word.endswith("?")}
    return required, {word.removesuffix("?") for word in words.split()}


class TestStatus:
    """status.json, as its readers know it from the brief."""

    def test_the_brief_s_keys_are_there(self, tmp_path: Path, catalog: JsonCatalog) -> None:
        """All of them, for a day that has everything."""
        catalog.begin_day(a_day(), a_scope(), NOW)
        catalog.record(stored(), NOW)
        catalog.record(failed(a_unit(expiration=TRADE_DATE)), NOW)
        catalog.end_day(a_day(), Verdict.PARTIAL, "cut off", NOW)
        found = of_date(tmp_path)
        (bad, good) = found["expirations"]
        for part, whole in (("root", document(tmp_path, "status")), ("day", found), ("summary", found["summary"])):
            assert keys(STATUS_KEYS[part])[1] <= set(whole)
        assert keys(STATUS_KEYS["expiration"])[1] <= set(good) | set(bad)

    def test_a_day_reads_in_the_brief_s_words(self, tmp_path: Path, catalog: JsonCatalog) -> None:
        """Status, moments in ISO form, attempts, error, and sums with the milliseconds it took."""
        catalog.begin_day(a_day(), a_scope(), NOW)
        catalog.record(stored(artifact=an_artifact(rows=10, bytes=100)), NOW)
        catalog.record(failed(a_unit(expiration=TRADE_DATE)), NOW)
        catalog.end_day(a_day(), Verdict.PARTIAL, "cut off", NOW + timedelta(seconds=90))
        found = of_date(tmp_path)
        assert (found["status"], found["attempts"], found["error"]) == ("failed", 5, "cut off")
        assert (found["startTime"], found["endTime"]) == ("2024-01-17T12:30:15.250001Z", "2024-01-17T12:31:45.250001Z")
        assert found["summary"] == {"totalFiles": 1, "totalSize": 100, "totalRecords": 10, "processingTimeMs": 90_000}
        assert document(tmp_path, "status")["lastUpdated"] == "2024-01-17T12:30:15.250001Z"
        assert document(tmp_path, "status")["version"] == "1"

    def test_units_read_in_the_brief_s_words(self, tmp_path: Path, catalog: JsonCatalog) -> None:
        """pending, downloading, complete, failed; records and bytes where they are known, an error if there is one."""
        for outcome in (
            stored(artifact=an_artifact(rows=10, bytes=100)),
            empty(a_unit(root="EMPTY")),
            refused(a_unit(root="REFUSED")),
            failed(a_unit(root="FAILED")),
            Outcome(a_unit(root="EARLY"), State.NOT_PUBLISHED, reason="not yet"),
            Outcome(a_unit(root="PENDING"), State.PENDING, attempts=0),
        ):
            catalog.record(outcome, NOW)
        catalog.begin(a_unit(root="DOWN"), NOW)
        words = ("root", "status", "recordCount", "fileSize", "retryCount", "error")
        assert [tuple(unit.get(word) for word in words) for unit in of_date(tmp_path)["expirations"]] == [
            ("DOWN", "downloading", None, None, 0, None),
            ("EARLY", "pending", None, None, 0, None),
            ("EMPTY", "complete", 0, 0, 0, None),
            ("FAILED", "failed", None, None, 3, failed().reason),
            ("PENDING", "pending", None, None, 0, None),
            ("REFUSED", "failed", None, None, 0, refused().reason),
            ("SPXW", "complete", 10, 100, 0, None),
        ]

    def test_expirations_are_days_without_hyphens(self, tmp_path: Path, catalog: JsonCatalog) -> None:
        """That of a day-wide unit is its trade date, and a key tells."""
        catalog.record(stored(), NOW)
        catalog.record(stored(a_unit(dataset="open_interest", expiration=None)), NOW)
        found = [(unit["expiration"], unit["dayWide"]) for unit in of_date(tmp_path)["expirations"]]
        assert found == [("20240119", False), ("20240116", True)]

    def test_a_trade_date_stands_as_the_worst_of_its_days(self, tmp_path: Path, catalog: JsonCatalog) -> None:
        """Failed, in progress, queued, success; each day has a line of its own, with its verdict."""
        names = ("quote", "trade", "greeks", "ohlc")
        catalog.end_day(a_day(dataset="quote"), Verdict.PARTIAL, None, NOW)
        seen = [of_date(tmp_path)["status"]]
        catalog.queue_days([a_day(dataset="trade")], a_scope(), NOW)
        seen.append(of_date(tmp_path)["status"])
        catalog.begin_day(a_day(dataset="greeks"), a_scope(), NOW)
        seen.append(of_date(tmp_path)["status"])
        assert "endTime" not in of_date(tmp_path)
        catalog.interrupt_day(a_day(dataset="ohlc"), "no space left", NOW)
        seen.append(of_date(tmp_path)["status"])
        assert seen == ["success", "queued", "in-progress", "failed"]
        days = {day["dataset"]: (day["status"], day.get("verdict")) for day in of_date(tmp_path)["days"]}
        assert [days[name] for name in names] == [
            ("success", "partial"),
            ("queued", None),
            ("in-progress", None),
            ("failed", None),
        ]

    def test_a_partial_day_is_a_success_that_says_so(self, tmp_path: Path, catalog: JsonCatalog) -> None:
        """By an extra key, which a complete one does not have."""
        for verdict, partial in ((Verdict.PARTIAL, True), (Verdict.COMPLETE, None)):
            catalog.end_day(a_day(), verdict, None, NOW)
            assert (of_date(tmp_path)["status"], of_date(tmp_path).get("partial")) == ("success", partial)

    def test_a_clock_that_was_set_back_takes_no_time(self, tmp_path: Path, catalog: JsonCatalog) -> None:
        """Never less than none."""
        catalog.begin_day(a_day(), a_scope(), NOW)
        catalog.end_day(a_day(), Verdict.COMPLETE, None, NOW - timedelta(hours=1))
        assert of_date(tmp_path)["summary"]["processingTimeMs"] == 0
        require_valid(tmp_path)


class TestInventory:
    """inventory.json, as its readers know it from the brief."""

    def test_the_brief_s_keys_are_there(self, tmp_path: Path, catalog: JsonCatalog) -> None:
        """All of them."""
        catalog.record(stored(), NOW)
        found = document(tmp_path, "inventory")
        for part, whole in (("root", found), ("file", found["files"][0]), ("summary", found["summary"])):
            assert keys(INVENTORY_KEYS[part])[1] <= set(whole)

    def test_a_file_reads_in_the_brief_s_words(self, tmp_path: Path, catalog: JsonCatalog) -> None:
        """Days with hyphens, a path below the archive, SHA-256, format and codec."""
        artifact = an_artifact(path="20240116/spxw_exp_20240119.csv", format="csv", compression="none")
        catalog.record(stored(artifact=artifact), NOW)
        (found,) = document(tmp_path, "inventory")["files"]
        assert {key: found[key] for key in INVENTORY_KEYS["file"].replace("?", "").split()} == {
            "tradeDate": "2024-01-16",
            "expirationDate": "2024-01-19",
            "filename": "spxw_exp_20240119.csv",
            "relativePath": "20240116/spxw_exp_20240119.csv",
            "size": artifact.bytes,
            "checksum": artifact.sha256,
            "createdAt": "2024-01-17T12:30:14.250001Z",
            "lastModified": "2024-01-17T12:30:14.250001Z",
            "recordCount": artifact.rows,
            "format": "csv",
            "compression": "none",
        }

    def test_the_summary_spans_all_files(self, tmp_path: Path, catalog: JsonCatalog) -> None:
        """A day-wide file expires on its trade date; without a file the ranges are empty texts."""
        units = [a_unit(), a_unit(trade_date=EXPIRATION, dataset="eod", expiration=None)]
        for unit in units:
            catalog.record(stored(unit, artifact=an_artifact(unit, bytes=7)), NOW)
        assert document(tmp_path, "inventory")["summary"] == {
            "totalFiles": 2,
            "totalSize": 14,
            "tradeDateRange": {"start": "2024-01-16", "end": "2024-01-19"},
            "expirationRange": {"earliest": "2024-01-19", "latest": "2024-01-19"},
            "lastUpdate": "2024-01-17T12:30:15.250001Z",
        }
        for unit in units:
            catalog.withdraw(unit)
        summary = document(tmp_path, "inventory")["summary"]
        assert summary["tradeDateRange"] == {"start": "", "end": ""}
        assert summary["expirationRange"] == {"earliest": "", "latest": ""}
        require_valid(tmp_path)

    def test_it_names_the_archive_s_folder(self, tmp_path: Path, catalog: JsonCatalog) -> None:
        """Where it is now: an archive that was moved says so with its next change, and is read before that too."""
        catalog.record(stored(), NOW)
        assert document(tmp_path, "inventory")["dataDirectory"] == str(tmp_path)
        moved = tmp_path / "elsewhere"
        moved.mkdir()
        for name in NAMES:
            (tmp_path / f"{name}.json").rename(moved / f"{name}.json")
        there = catalog_of(moved)
        assert there.outcome(a_unit()) == stored()
        there.record(failed(a_unit(root="SPX")), NOW)
        assert document(moved, "inventory")["dataDirectory"] == str(moved)


class TestSchemas:
    """docs/schemas, which other tools rely on."""

    @pytest.mark.parametrize(("name", "words"), [("status", STATUS_KEYS), ("inventory", INVENTORY_KEYS)])
    def test_they_require_what_the_brief_requires(self, name: str, words: dict[str, str]) -> None:
        """And know all it has; the extra keys of entries are optional."""
        definitions = schema(name)["$defs"]
        parts = {
            "root": schema(name),
            "day": definitions.get("tradeDate"),
            "expiration": definitions.get("expiration"),
            "file": definitions.get("file"),
            "summary": definitions.get("summary") or schema(name)["properties"]["summary"],
        }
        for part, line in words.items():
            required, known = keys(line)
            assert set(parts[part]["required"]) == required
            assert known <= set(parts[part]["properties"])

    def test_nothing_is_written_that_they_do_not_know(self, tmp_path: Path, catalog: JsonCatalog) -> None:
        """Each kind of entry once; the contract suite and the machine check all they write, too."""
        catalog.begin_day(a_day(), a_scope(expirations=(EXPIRATION,)), NOW)
        catalog.record(stored(holes=(a_gap(), an_outage()), notes=3, verified=False), NOW)
        for number, outcome in enumerate((empty, refused, failed)):
            catalog.record(outcome(a_unit(root=f"R{number}")), NOW)
        catalog.end_day(a_day(), Verdict.PARTIAL, None, NOW)
        require_valid(tmp_path)

    def test_a_real_run_s_files_are_as_they_say(self, tmp_path: Path, emulator: Emulator) -> None:
        """Paths, hashes, moments and provenance as the product makes them; an onlooker reads what the run left."""
        clock = SystemClock()
        settings = load(flags={"terminal.url": emulator.url, "download.max_dte": 1}, environ={}, directory=tmp_path)
        request = make_request(settings, TRADE_DATE, TRADE_DATE, clock, datasets=["greeks", "quote"])
        storage, terminal = LocalStorage(tmp_path), make_terminal(settings, clock)
        edges = Edges(terminal, storage, clock, ignore, Encoding(), SortMemory(2**20))
        catalog = JsonCatalog(storage, tmp_path, clock)
        run = Download(request, edges, catalog, widths=lambda _: 3, patience=Patience(0, 1.0), chance=lambda: 0.5)
        assert run.run().finished.exit_code == 0
        require_valid(tmp_path)
        assert [day.verdict for day in catalog_of(tmp_path, read_only=True).days()] == [Verdict.COMPLETE] * 2
        for file in document(tmp_path, "inventory")["files"]:
            assert sha256((tmp_path / file["relativePath"]).read_bytes()).hexdigest() == file["checksum"]


class TestWriting:
    """What is rewritten, and when."""

    def test_what_did_not_change_is_not_written_again(self, tmp_path: Path, catalog: JsonCatalog) -> None:
        """The inventory stays the same file while only a status changes, and both if nothing does."""
        catalog.record(stored(), NOW)
        before = {name: (tmp_path / f"{name}.json").stat().st_ino for name in NAMES}
        texts = {name: (tmp_path / f"{name}.json").read_bytes() for name in NAMES}
        catalog.record(stored(), NOW)
        catalog.withdraw(a_unit(root="SPX"))
        catalog.forget(a_unit(root="SPX"))
        catalog_of(tmp_path).queue_days([a_day()], a_scope(), NOW)
        assert {name: (tmp_path / f"{name}.json").read_bytes() for name in NAMES} == texts
        catalog.begin(a_unit(), NOW)
        assert (tmp_path / "inventory.json").stat().st_ino == before["inventory"]
        assert (tmp_path / "inventory.json").read_bytes() == texts["inventory"]
        assert (tmp_path / "status.json").read_bytes() != texts["status"]

    def test_a_list_that_did_not_change_is_not_written_again(self, tmp_path: Path, catalog: JsonCatalog) -> None:
        """One file for each root, day and kind, with a line of strikes for each expiration and right."""
        catalog.keep_contracts(a_contract_list(), "quote")
        before = (tmp_path / LISTS).stat()
        catalog.keep_contracts(a_contract_list(), "quote")
        assert (tmp_path / LISTS).stat() == before
        found = json.loads((tmp_path / LISTS).read_bytes())
        assert found["contracts"][0] == {
            "expiration": "2024-01-16",
            "right": "CALL",
            "strikes": [4700.0, 4750.0, 4800.0],
        }

    def test_opening_and_looking_write_nothing(self, tmp_path: Path, catalog: JsonCatalog) -> None:
        """Not even a folder."""
        assert catalog.days() == ()
        assert catalog.contracts("SPXW", TRADE_DATE, "quote") is None
        assert list(tmp_path.iterdir()) == []

    def test_prettily_printed_files_are_read_and_written_our_way(self, tmp_path: Path, catalog: JsonCatalog) -> None:
        """Keys in another order, other white space: whoever tidied them up did no harm."""
        catalog.record(stored(holes=(a_gap(),)), NOW)
        for name in NAMES:
            tidy = json.dumps(document(tmp_path, name), indent=4, sort_keys=True)
            (tmp_path / f"{name}.json").write_text(tidy)
        assert catalog.outcome(a_unit()) == stored(holes=(a_gap(),))
        catalog.begin(a_unit(), NOW)
        assert catalog_of(tmp_path).outcome(a_unit()) == catalog.outcome(a_unit())
        assert (tmp_path / "inventory.json").read_text().startswith('{"version":"1"')


class TestAgreement:
    """A unit has a file only if both files say so."""

    def test_a_file_that_the_inventory_lacks_is_withdrawn(self, tmp_path: Path, catalog: JsonCatalog) -> None:
        """With its holes; as pending, or still downloading."""
        catalog.record(stored(holes=(a_gap(),)), NOW)
        without = (tmp_path / "inventory.json").read_bytes()
        other = a_unit(root="SPX")
        catalog.record(stored(other), NOW)
        catalog.begin(other, NOW)
        (tmp_path / "inventory.json").write_bytes(without)
        again = catalog_of(tmp_path)
        assert again.outcome(a_unit()) == stored(holes=(a_gap(),))
        assert again.outcome(other) == Outcome(other, State.DOWNLOADING, attempts=0)
        (tmp_path / "inventory.json").unlink()
        assert catalog_of(tmp_path).outcome(a_unit()) == Outcome(a_unit(), State.PENDING, attempts=0)

    def test_a_file_that_the_status_lacks_is_none(self, tmp_path: Path, catalog: JsonCatalog) -> None:
        """The next change, of whatever, takes it out of the inventory too."""
        catalog.begin(a_unit(), NOW)
        before = (tmp_path / "status.json").read_bytes()
        catalog.record(stored(), NOW)
        (tmp_path / "status.json").write_bytes(before)
        again = catalog_of(tmp_path)
        assert again.outcome(a_unit()) == Outcome(a_unit(), State.DOWNLOADING, attempts=0)
        again.queue_days([a_day(root="SPX")], a_scope(), NOW)
        assert document(tmp_path, "inventory")["files"] == []

    @pytest.mark.parametrize("change", [{"sha256": "f" * 64}, {"rows": 1}, {"created_at": NOW}], ids=str)
    def test_another_file_under_the_same_name_is_another(
        self, tmp_path: Path, catalog: JsonCatalog, change: dict[str, Any]
    ) -> None:
        """Whatever differs of what is known of it."""
        catalog.record(stored(), NOW)
        before = (tmp_path / "inventory.json").read_bytes()
        catalog.record(stored(artifact=an_artifact(**change)), NOW)
        (tmp_path / "inventory.json").write_bytes(before)
        assert catalog_of(tmp_path).outcome(a_unit()) == Outcome(a_unit(), State.PENDING, attempts=0)

    def test_an_inventory_alone_names_nothing(self, tmp_path: Path, catalog: JsonCatalog) -> None:
        """Killed before the very first status was written: the file is adopted by the next run."""
        catalog.record(stored(), NOW)
        (tmp_path / "status.json").unlink()
        assert catalog_of(tmp_path).days() == ()


def truncated(text: bytes) -> bytes:
    """Cut off the end."""
    return text[: len(text) // 2]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "truncated": truncated,
    "no JSON": lambda _: b"trade_date,status\n",
    "no text": lambda _: b"\xff\xfe\x00",
    "no object": lambda _: b"[]",
    "too deep": lambda _: b"[" * 100_000,
    "no version": lambda text: text.replace(b'"version"', b'"edition"'),
    "another tool's version": lambda text: text.replace(b'"version":"1"', b'"version":"one"'),
    "another tool's": lambda _: b'{"version":"1","lastUpdated":"2024-01-17T12:30:15.250Z"}',
    "no such moment": lambda text: re.sub(rb'"(startTime|createdAt|fetchedAt)":"2024', rb'"\1":"20x4', text),
    "a naive moment": lambda text: re.sub(rb'(startTime|createdAt|fetchedAt)":"([^"]*)Z"', rb'\1":"\2"', text),
}


class TestDamage:
    """Files that are not as we write them."""

    @pytest.mark.parametrize("damage", DAMAGES)
    @pytest.mark.parametrize("name", ["status.json", "inventory.json", LISTS])
    @pytest.mark.parametrize("read_only", [False, True])
    def test_damage_is_named_and_not_written_over(
        self, tmp_path: Path, catalog: JsonCatalog, damage: str, name: str, read_only: bool
    ) -> None:
        """With the file, the reason and advice; a catalog that is open notices too."""
        catalog.begin_day(a_day(), a_scope(), NOW)
        catalog.record(stored(), NOW)
        catalog.keep_contracts(a_contract_list(), "quote")
        spoiled = DAMAGES[damage]((tmp_path / name).read_bytes())
        (tmp_path / name).write_bytes(spoiled)
        with pytest.raises(CatalogCorrupt) as caught:
            catalog_of(tmp_path, read_only=read_only).contracts("SPXW", TRADE_DATE, "quote")
        assert str(tmp_path / name) in caught.value.message
        assert "aside" in caught.value.hint
        assert caught.value.__cause__ is not None
        assert (tmp_path / name).read_bytes() == spoiled

    @pytest.mark.parametrize("damage", DAMAGES)
    @pytest.mark.parametrize("name", ["status.json", "inventory.json", LISTS, DOCUMENTS])
    @pytest.mark.parametrize("read_only", [False, True])
    def test_a_check_reads_all_files(
        self, tmp_path: Path, catalog: JsonCatalog, damage: str, name: str, read_only: bool
    ) -> None:
        """And names the one that is damaged; one that was open before the damage sees it, too."""
        catalog.begin_day(a_day(), a_scope(), NOW)
        catalog.record(stored(), NOW)
        catalog.keep_contracts(a_contract_list(), "quote")
        catalog.keep_documents("rule", {"a": '{"fetchedAt":1}'})
        looking = catalog_of(tmp_path, read_only=read_only)
        looking.check()
        text = (tmp_path / name).read_bytes()
        spoiled = DAMAGES[damage](text)
        (tmp_path / name).write_bytes(spoiled)
        if spoiled == text:  # there are no moments in documents
            looking.check()
            return
        with pytest.raises(CatalogCorrupt) as caught:
            looking.check()
        assert str(tmp_path / name) in caught.value.message
        assert (tmp_path / name).read_bytes() == spoiled

    def test_a_check_leaves_out_what_is_no_record(self, tmp_path: Path, catalog: JsonCatalog) -> None:
        """The lease, quarantine, what was set aside, others' files."""
        with catalog.lease(FakeClock()):
            for name in ("aside/status.json", "quarantine/a/reason.json", "notes.txt", "contracts/notes.txt"):
                (tmp_path / ".spxdata" / name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / ".spxdata" / name).write_bytes(b"?")
            catalog.check()

    def test_damage_is_noticed_by_a_catalog_that_is_open(self, tmp_path: Path, catalog: JsonCatalog) -> None:
        """And nothing is written over it, until it is gone."""
        catalog.record(stored(), NOW)
        (tmp_path / "status.json").write_bytes(b"{}")
        with pytest.raises(CatalogCorrupt):
            catalog.begin(a_unit(), NOW)
        assert (tmp_path / "status.json").read_bytes() == b"{}"
        (tmp_path / "status.json").unlink()
        catalog.record(failed(), NOW)
        assert catalog_of(tmp_path).outcome(a_unit()) == failed()

    @pytest.mark.parametrize("part", ["expirations", "days"])
    def test_what_is_there_twice_is_damage(self, tmp_path: Path, catalog: JsonCatalog, part: str) -> None:
        """Nobody can tell which of them counts."""
        catalog.record(failed(), NOW)
        found = document(tmp_path, "status")
        found["downloads"]["2024-01-16"][part] *= 2
        (tmp_path / "status.json").write_text(json.dumps(found))
        with pytest.raises(CatalogCorrupt, match="twice"):
            catalog_of(tmp_path)

    def test_a_file_that_is_there_twice_is_damage(self, tmp_path: Path, catalog: JsonCatalog) -> None:
        """In the inventory, too."""
        catalog.record(stored(), NOW)
        found = document(tmp_path, "inventory")
        found["files"] *= 2
        (tmp_path / "inventory.json").write_text(json.dumps(found))
        with pytest.raises(CatalogCorrupt, match="twice"):
            catalog_of(tmp_path)

    @pytest.mark.parametrize("name", ["status.json", "inventory.json", LISTS])
    @pytest.mark.parametrize("read_only", [False, True])
    def test_a_newer_version_is_left_alone(
        self, tmp_path: Path, catalog: JsonCatalog, name: str, read_only: bool
    ) -> None:
        """With the advice to update, not to move it aside; whatever else it has in it."""
        catalog.record(stored(), NOW)
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('{"version":"99"}')
        with pytest.raises(StorageError, match="version 99") as caught:
            catalog_of(tmp_path, read_only=read_only).contracts("SPXW", TRADE_DATE, "quote")
        assert not isinstance(caught.value, CatalogCorrupt)
        assert "update spxdata" in caught.value.hint
        assert str(tmp_path / name) in caught.value.message

    def test_a_folder_in_a_file_s_place_is_said(self, tmp_path: Path) -> None:
        """It is no damage that moving aside would help with."""
        (tmp_path / "status.json").mkdir()
        with pytest.raises(StorageError, match=r"status\.json"):
            catalog_of(tmp_path)


class TestReadOnly:
    """Looking on, as `spxdata status` does."""

    def test_no_catalog_is_said_and_none_is_made(self, tmp_path: Path) -> None:
        """Not even its folder."""
        with pytest.raises(StorageError, match="there is no catalog") as caught:
            catalog_of(tmp_path / "data", read_only=True)
        assert "--data-dir" in caught.value.hint
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(("left", "lost"), [("status", "inventory"), ("inventory", "status")])
    def test_half_a_catalog_is_one(self, tmp_path: Path, catalog: JsonCatalog, left: str, lost: str) -> None:
        """In which no unit has a file."""
        catalog.record(stored(), NOW)
        (tmp_path / f"{lost}.json").unlink()
        outcome = catalog_of(tmp_path, read_only=True).outcome(a_unit())
        assert (outcome and outcome.state) == (State.PENDING if left == "status" else None)

    def test_it_cannot_write(self, tmp_path: Path, catalog: JsonCatalog) -> None:
        """Not by mistake either, and makes no file."""
        catalog.record(stored(), NOW)
        before = sorted(tmp_path.rglob("*"))
        onlooker = catalog_of(tmp_path, read_only=True)
        with pytest.raises(NotWritable):
            onlooker.record(failed(), NOW)
        with pytest.raises(NotWritable):
            onlooker.withdraw(a_unit())
        with pytest.raises(NotWritable):
            onlooker.keep_contracts(a_contract_list(), "quote")
        with pytest.raises(NotWritable), onlooker.lease(FakeClock()):
            pytest.fail("an onlooker may write")
        assert onlooker.outcome(a_unit()) == stored()
        assert sorted(tmp_path.rglob("*")) == before

    def test_it_sees_what_was_written_since(self, tmp_path: Path, catalog: JsonCatalog) -> None:
        """At the time of each call."""
        catalog.record(failed(), NOW)
        onlooker = catalog_of(tmp_path, read_only=True)
        for outcome in (refused(), stored(), stored(artifact=an_artifact(rows=1))):
            catalog.record(outcome, NOW)
            assert onlooker.outcome(a_unit()) == outcome

    def test_it_never_sees_half_a_change(self, tmp_path: Path, catalog: JsonCatalog) -> None:
        """While another writes without a pause: each unit as it was or as it is, and its day's sums fit."""
        units = [a_unit(expiration=EXPIRATION + timedelta(days=number)) for number in range(3)]
        outcomes = {unit: stored(unit, artifact=an_artifact(unit, rows=3, bytes=5)) for unit in units}
        catalog.record(outcomes[units[0]], NOW)
        stop = threading.Event()

        def write() -> None:
            while not stop.is_set():
                for unit in units[1:]:
                    catalog.begin(unit, NOW)
                    catalog.record(outcomes[unit], NOW)
                    catalog.withdraw(unit)

        writer = threading.Thread(target=write)
        writer.start()
        onlooker = catalog_of(tmp_path, read_only=True)
        try:
            for _ in range(100):
                assert onlooker.outcome(units[0]) == outcomes[units[0]]
                for unit in units[1:]:
                    seen = onlooker.outcome(unit)
                    assert seen is None or seen.artifact in (None, outcomes[unit].artifact)
                (status,) = onlooker.days()
                assert (status.rows, status.bytes) == (3 * status.files, 5 * status.files)
        finally:
            stop.set()
            writer.join()


#: Called at every step of a writing.
Step = Callable[[], None]


class MortalStorage:
    """A storage in front of a real one that says when it comes to a step of a writing, whose call may raise."""

    def __init__(self, folder: Path, step: Step) -> None:
        self.inner: Storage = LocalStorage(folder)
        self.step = step

    @contextmanager
    def create(self, path: str) -> Iterator[Pending]:
        """Begin a file."""
        self.step()
        with self.inner.create(path) as pending:
            yield MortalPending(pending, self.step)
        self.step()

    def open(self, path: str) -> BinaryIO:
        """Pass on."""
        return self.inner.open(path)

    def size(self, path: str) -> int | None:
        """Pass on."""
        return self.inner.size(path)

    def names(self, folder: str = "") -> tuple[str, ...]:
        """Pass on."""
        return self.inner.names(folder)

    def sizes(self, folder: str) -> dict[str, int]:
        """Pass on."""
        return self.inner.sizes(folder)

    def remove(self, path: str) -> None:
        """Pass on."""
        self.inner.remove(path)

    def move(self, path: str, to: str) -> None:
        """Pass on."""
        self.inner.move(path, to)

    def unfinished(self) -> dict[str, int]:
        """Pass on."""
        return self.inner.unfinished()

    def address(self, path: str) -> str:
        """Return where other programs find a file."""
        return self.inner.address(path)

    def free(self) -> int:
        """Return how many bytes are free."""
        return self.inner.free()

    def sweep(self) -> tuple[str, ...]:
        """Pass on."""
        return self.inner.sweep()


class MortalPending:
    """A file in writing."""

    def __init__(self, inner: Pending, step: Step) -> None:
        self.inner = inner
        self.step = step

    def write(self, data: bytes) -> int:
        """Write, whole or half."""
        self.inner.write(data[: len(data) // 2])
        self.step()
        self.inner.write(data[len(data) // 2 :])
        self.step()
        return len(data)

    def commit(self) -> None:
        """Commit; the last step of it may fail, too."""
        self.inner.commit()
        self.step()


def put(folder: Path, unit: Unit, text: str, **changes: Any) -> Outcome:
    """Write a unit's file, as its download would; return its outcome."""
    artifact = an_artifact(unit, bytes=len(text), sha256=sha256(text.encode()).hexdigest(), **changes)
    (folder / artifact.path).parent.mkdir(parents=True, exist_ok=True)
    (folder / artifact.path).write_text(text)
    return stored(unit, artifact=artifact, holes=(a_gap(),))


def drop(folder: Path, unit: Unit) -> None:
    """Remove a unit's file, as a rename over it would."""
    (folder / path_of(unit)).unlink()


#: Units of the story below: the second is fetched anew, the third forgotten, the last is day-wide.
KEPT, ANEW, GONE, WHOLE = (
    a_unit(),
    a_unit(root="SPX"),
    a_unit(dataset="quote"),
    a_unit(dataset="eod", expiration=None),
)


#: What is not done in one step: between its two writes the unit stands without a file.
RECORDED_OVER, FORGOTTEN = "recorded over", "forgotten"


def story(catalog: JsonCatalog, folder: Path) -> Iterator[str]:
    """Live through all that happens to an archive; yield after each call."""
    catalog.queue_days([a_day(), a_day(root="SPX")], a_scope(), NOW)
    yield "queued"
    for unit in (KEPT, ANEW, GONE):
        catalog.begin(unit, NOW)
        yield f"begun {unit}"
        catalog.record(put(folder, unit, f"first {unit}"), NOW)
        yield f"stored {unit}"
    catalog.begin(ANEW, NOW)
    yield "begun anew"
    catalog.withdraw(ANEW)
    yield "withdrawn"
    drop(folder, ANEW)
    catalog.record(put(folder, ANEW, "second"), NOW)
    yield "stored anew"
    catalog.record(put(folder, ANEW, "second", created_at=NOW), NOW)
    yield RECORDED_OVER
    catalog.forget(GONE)
    yield FORGOTTEN
    drop(folder, GONE)
    catalog.keep_contracts(a_contract_list(), "quote")
    yield "listed"
    catalog.record(put(folder, WHOLE, "all day"), NOW)
    yield f"stored {WHOLE}"
    catalog.record(refused(a_unit(dataset="trade")), NOW)
    yield "refused"
    catalog.end_day(a_day(), Verdict.COMPLETE, None, NOW)
    yield "ended"


#: How all units of an archive stand.
Standing = dict[Unit, Outcome]


def standing(catalog: JsonCatalog) -> Standing:
    """Return how all units stand."""
    known = (outcome for status in catalog.days() for outcome in catalog.outcomes(status.day))
    return {outcome.unit: outcome for outcome in known}


def require_true(folder: Path) -> None:
    """Require that an archive's catalog can be read, and that it and the inventory alone name only what is there."""
    require_valid(folder)
    files = [one.artifact for one in standing(catalog_of(folder)).values()]
    named = [(file.path, file.sha256) for file in files if file]
    if (folder / "inventory.json").exists():
        named += [(file["relativePath"], file["checksum"]) for file in document(folder, "inventory")["files"]]
    for path, digest in named:
        assert sha256((folder / path).read_bytes()).hexdigest() == digest


class TestKills:
    """Dying at each step of each writing."""

    def test_a_kill_at_any_step_leaves_a_catalog_that_can_be_trusted(self, tmp_path: Path) -> None:
        """It names no file that is not there, all stands as before the call or as after it, and the next run goes on.

        The archive is copied at each step: such a copy is what a kill leaves, temporary files and all.
        """
        living = tmp_path / "living"
        living.mkdir()
        seen: list[Standing] = [{}]
        events: list[str] = []
        deaths: list[tuple[Path, int]] = []

        def step() -> None:
            deaths.append((tmp_path / str(len(deaths)), len(events)))
            shutil.copytree(living, deaths[-1][0])

        catalog = JsonCatalog(MortalStorage(living, step), living, FakeClock())
        for event in story(catalog, living):
            events.append(event)
            seen.append(standing(catalog))
            require_true(living)
        assert len(deaths) > 100
        for folder, number in deaths:
            require_true(folder)
            between = seen[number : number + 2]
            if events[number] in (RECORDED_OVER, FORGOTTEN):
                unit = ANEW if events[number] == RECORDED_OVER else GONE
                between.append({**seen[number], unit: Outcome(unit, State.PENDING, attempts=0)})
            assert standing(catalog_of(folder)) in between
            catalog_of(folder).record(put(folder, KEPT, "by the next run"), NOW)
            require_true(folder)
            assert catalog_of(folder).outcome(KEPT) == put(folder, KEPT, "by the next run")
            files = [one for one in standing(catalog_of(folder)).values() if one.artifact]
            assert document(folder, "inventory")["summary"]["totalFiles"] == len(files)

    @pytest.mark.parametrize(
        "change",
        [
            lambda catalog: catalog.begin(KEPT, NOW),
            lambda catalog: catalog.record(stored(artifact=an_artifact(rows=1)), NOW),
            lambda catalog: catalog.withdraw(KEPT),
            lambda catalog: catalog.forget(KEPT),
            lambda catalog: catalog.keep_contracts(a_contract_list(strikes=(1.0,)), "quote"),
        ],
        ids=["begin", "record", "withdraw", "forget", "keep_contracts"],
    )
    def test_a_failure_at_any_step_is_got_over(self, tmp_path: Path, change: Callable[[JsonCatalog], None]) -> None:
        """A full disk: the catalog says what one opened anew says, and the same call succeeds once there is space."""
        before = catalog_of(tmp_path / "before")
        before.record(stored(holes=(a_gap(),)), NOW)
        before.record(stored(ANEW), NOW)
        before.keep_contracts(a_contract_list(), "quote")
        for fatal in itertools.count(1):
            folder = tmp_path / str(fatal)
            shutil.copytree(tmp_path / "before", folder)
            steps = itertools.count(1)

            def step(steps: Iterator[int] = steps, fatal: int = fatal) -> None:
                if next(steps) == fatal:
                    raise DiskFull("no space left")

            catalog = JsonCatalog(MortalStorage(folder, step), folder, FakeClock())
            try:
                change(catalog)
            except DiskFull:
                assert catalog.days() == catalog_of(folder).days()
                assert catalog.outcome(KEPT) == catalog_of(folder).outcome(KEPT)
                assert catalog.outcome(ANEW) == stored(ANEW)
                change(catalog)
                assert catalog.days() == catalog_of(folder).days()
            else:
                break
        assert fatal > 5
