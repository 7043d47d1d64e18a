import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from spxdata.errors import ShortReply, StorageError
from spxdata.events import Event, StoredAsFloat, ignore
from spxdata.layout import path_of
from spxdata.model import Artifact, Unit
from spxdata.pipeline.content import ContentHash
from spxdata.pipeline.edges import Encoding, SortMemory
from spxdata.pipeline.order import Order, Sorter
from spxdata.pipeline.parse import RIGHT, parse
from spxdata.pipeline.read import frames
from spxdata.pipeline.validate import validate
from spxdata.pipeline.write import write
from spxdata.protocols import Storage
from spxdata.schema import Dataset
from spxdata.storage.local import LocalStorage
from tests.builders import NOW, FakeClock, a_provenance
from tests.memory_storage import MemoryStorage

from .builders import (
    CALL,
    CONTRACTS,
    GREEKS,
    GREEKS_UNIT,
    HIGH_CALL,
    PUT,
    QUOTE,
    QUOTE_UNIT,
    REQUIRED,
    SESSION,
    Row,
    a_row,
    csv_of,
    frame_of,
    rows_of,
    stored_frame,
)


def put(storage: Storage, rows: Sequence[Row], unit: Unit = QUOTE_UNIT, **changes: Any) -> Artifact:
    """Write a unit's file from a reply's rows."""
    clock = changes.pop("clock", FakeClock())
    provenance = changes.pop("provenance", a_provenance())
    memory = SortMemory(changes.pop("limit", 10**9))
    emit = changes.pop("emit", ignore)
    body = csv_of(rows)
    with (
        Sorter(Order.of(unit), memory) as sorter,
        write(unit, storage, Encoding(**changes), lambda: provenance, clock, emit) as sink,
    ):
        checked = validate(parse(iter([body]), unit), unit, frozenset(CONTRACTS), sorter)
        return sink.commit(checked, accept_holes=True)


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    """Return an empty archive."""
    return LocalStorage(tmp_path)


def read(storage: Storage, artifact: Artifact) -> bytes:
    """Read the file of an artifact."""
    with storage.open(artifact.path) as file:
        return file.read()


def parquet(storage: LocalStorage, artifact: Artifact) -> Any:
    """Open the file of an artifact."""
    return pq.ParquetFile(io.BytesIO(read(storage, artifact)))


class TestRows:
    """What is in the file is what the vendor sent."""

    @pytest.mark.parametrize("dataset", [QUOTE, GREEKS], ids=["quote", "greeks"])
    def test_values_are_exactly_the_replys(self, storage: LocalStorage, dataset: Dataset) -> None:
        """Sorted, trade date before and flags after them, nothing else changed."""
        unit = replace(QUOTE_UNIT, dataset=dataset.name)
        rows = rows_of(CONTRACTS, SESSION, dataset)
        artifact = put(storage, [*rows[900:], *rows[:900]], unit)
        expected = stored_frame(frame_of(rows, unit))
        found = pl.read_parquet(io.BytesIO(read(storage, artifact)))
        assert found.with_columns(pl.col("right").cast(RIGHT)).equals(expected)
        assert artifact.rows == len(rows)

    def test_pyarrow_and_polars_read_the_same(self, storage: LocalStorage) -> None:
        """Rights are plain strings; times are in New York."""
        artifact = put(storage, rows_of())
        ours = pl.from_arrow(parquet(storage, artifact).read())
        assert isinstance(ours, pl.DataFrame)
        assert ours.equals(pl.read_parquet(io.BytesIO(read(storage, artifact))))
        assert ours["right"].dtype == pl.String
        assert ours["timestamp"][0].isoformat() == "2024-01-16T09:31:00-05:00"

    @pytest.mark.parametrize("limit", [0, 10**9], ids=["spilled", "in memory"])
    @pytest.mark.parametrize(
        ("group", "expected"), [(500, [500, 500, 215]), (405, [405] * 3), (1215, [1215]), (9999, [1215])]
    )
    def test_row_groups_depend_on_rows_only(
        self, storage: LocalStorage, group: int, expected: list[int], limit: int
    ) -> None:
        """Not on contracts, batches or memory."""
        metadata = parquet(storage, put(storage, rows_of(), row_group_rows=group, limit=limit)).metadata
        assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == expected

    def test_flags_are_stored(self, storage: LocalStorage) -> None:
        """A locked row."""
        artifact = put(storage, [a_row(bid="67.90"), a_row(minute=572)])
        assert parquet(storage, artifact).read(["flags"]).to_pydict() == {"flags": [8, 0]}


class TestArtifact:
    """What is said of the file."""

    def test_it_is_what_the_disk_has(self, storage: LocalStorage) -> None:
        """Path, size and checksum, taken while writing."""
        artifact = put(storage, rows_of())
        data = read(storage, artifact)
        assert artifact.path == path_of(QUOTE_UNIT)
        assert artifact.bytes == len(data) == storage.size(artifact.path)
        assert artifact.sha256 == hashlib.sha256(data).hexdigest()
        assert (artifact.format, artifact.compression, artifact.schema_version) == ("parquet", "zstd", 1)
        assert artifact.created_at == NOW

    @pytest.mark.parametrize("changes", [{}, {"numbers": "decimal"}, {"format": "csv"}, {"row_group_rows": 100}])
    def test_it_tells_between_which_strikes_and_times_rows_lie(
        self, storage: LocalStorage, changes: dict[str, Any]
    ) -> None:
        """Whatever the form, and however many row groups."""
        artifact = put(storage, rows_of(), **changes)
        frame = pl.concat(frames(storage, artifact.path))
        local = frame["timestamp"].dt.time()
        assert artifact.strikes == (frame["strike"].min(), frame["strike"].max())
        assert artifact.times == (local.min(), local.max())

    def test_the_content_hash_is_that_of_the_stored_rows(self, storage: LocalStorage) -> None:
        """In stored order."""
        content = ContentHash(QUOTE)
        content.update(frame_of(rows_of()))
        assert put(storage, rows_of()[::-1]).content_hash == content.hexdigest()

    def test_metadata_is_a_json_document(self, storage: LocalStorage) -> None:
        """Unit, version, content hash and provenance, for whoever has nothing but the file."""
        provenance = a_provenance()
        artifact = put(storage, rows_of(), provenance=provenance)
        assert json.loads(parquet(storage, artifact).metadata.metadata[b"spxdata"]) == {
            "unit": {
                "trade_date": "2024-01-16",
                "root": "SPXW",
                "dataset": "quote",
                "interval": "1m",
                "expiration": "2024-01-19",
            },
            "schema_version": 1,
            "content_hash": artifact.content_hash,
            "empty": [],
            "compression": "zstd",
            "decimals": [],
            "created_at": NOW.isoformat(),
            "provenance": {
                "request": provenance.request,
                "dialect": "v3",
                "greeks_version": "latest",
                "rate_type": "sofr",
                "fetched_at": provenance.fetched_at.isoformat(),
                "spxdata_version": "0.1.0",
            },
        }

    @pytest.mark.parametrize("codec", ["zstd", "snappy", "gzip"])
    def test_the_codec_can_be_chosen_and_does_not_change_the_content(self, storage: LocalStorage, codec: str) -> None:
        """The content hash is independent of it."""
        level: dict[str, Any] = {} if codec != "snappy" else {"level": None}
        artifact = put(storage, rows_of(), compression=codec, **level)
        assert parquet(storage, artifact).metadata.row_group(0).column(1).compression == codec.upper()
        assert artifact.content_hash == put(storage, rows_of()).content_hash


class TestEncodings:
    """The same rows in every form."""

    forms: tuple[dict[str, Any], ...] = ({}, {"numbers": "decimal"}, {"format": "csv"})

    @pytest.mark.parametrize("changes", forms, ids=["float64", "decimal", "csv"])
    @pytest.mark.parametrize("limit", [0, 10**9], ids=["spilled", "in memory"])
    def test_rows_and_content_hash_are_the_same(
        self, storage: LocalStorage, changes: dict[str, Any], limit: int
    ) -> None:
        """Sorted, in several groups."""
        rows = rows_of(CONTRACTS, SESSION, GREEKS)
        expected = put(storage, rows, GREEKS_UNIT)
        artifact = put(storage, rows[::-1], GREEKS_UNIT, row_group_rows=500, limit=limit, **changes)
        assert (artifact.content_hash, artifact.rows) == (expected.content_hash, expected.rows)
        found = pl.concat(frames(storage, artifact.path))
        assert found.equals(stored_frame(frame_of(rows, GREEKS_UNIT)))

    def test_a_csv_file_says_so(self, storage: LocalStorage) -> None:
        """Its name, its format, no codec; size and checksum are the disk's."""
        artifact = put(storage, rows_of(), format="csv")
        data = read(storage, artifact)
        assert artifact.path == path_of(QUOTE_UNIT, "csv")
        assert (artifact.format, artifact.compression) == ("csv", "none")
        assert (artifact.bytes, artifact.sha256) == (len(data), hashlib.sha256(data).hexdigest())

    def test_a_column_that_cannot_be_decimal_is_told(self, storage: LocalStorage) -> None:
        """Once, by name; the others are decimals."""
        events: list[Event] = []
        rows = rows_of((CALL,), SESSION, GREEKS)
        rows[7]["vega"] = "171.4012345"
        artifact = put(storage, rows, GREEKS_UNIT, numbers="decimal", emit=events.append)
        assert events == [StoredAsFloat(GREEKS_UNIT, ("vega",))]
        schema = parquet(storage, artifact).schema_arrow
        assert [str(schema.field(name).type) for name in ("vega", "rho")] == ["double", "decimal128(15, 5)"]
        assert pl.concat(frames(storage, artifact.path))["vega"][7] == 171.4012345

    @pytest.mark.parametrize("changes", forms, ids=["float64", "decimal", "csv"])
    def test_a_short_reply_leaves_nothing_and_tells_nothing(
        self, storage: LocalStorage, tmp_path: Path, changes: dict[str, Any]
    ) -> None:
        """Though it had a number that is no decimal."""
        events: list[Event] = []
        body = csv_of([a_row(GREEKS, CALL, 571, vega="0.1234567")])
        with (
            Sorter(Order.of(GREEKS_UNIT), SortMemory()) as sorter,
            write(GREEKS_UNIT, storage, Encoding(**changes), a_provenance, FakeClock(), events.append) as sink,
        ):
            checked = validate(parse(iter([body]), GREEKS_UNIT), GREEKS_UNIT, frozenset(CONTRACTS), sorter)
            with pytest.raises(ShortReply):
                sink.commit(checked)
        assert events == []
        assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


class TestTwoDownloads:
    """The same data twice."""

    def test_whatever_the_order_of_contracts_the_bytes_are_equal(self) -> None:
        """With equal provenance, to the last byte."""
        first = put(MemoryStorage(), rows_of((CALL, PUT, HIGH_CALL)))
        second = put(MemoryStorage(), rows_of((HIGH_CALL, CALL, PUT)), limit=0)
        assert first.content_hash != second.content_hash  # rows_of gives each place other sizes
        rows = rows_of((CALL, PUT, HIGH_CALL))
        shuffled = [*rows[810:], *rows[405:810], *rows[:405]]
        one, other = MemoryStorage(), MemoryStorage()
        artifact = put(one, rows)
        assert put(other, shuffled, limit=0) == artifact
        assert read(one, artifact) == read(other, artifact)

    def test_they_differ_in_provenance_only(self, storage: LocalStorage) -> None:
        """Fetched at another moment: the same content hash, the same data pages."""
        first = put(storage, rows_of())
        before = read(storage, first)
        later = FakeClock(NOW + timedelta(days=1))
        second = put(storage, rows_of(), clock=later, provenance=a_provenance(fetched_at=NOW))
        after = read(storage, second)
        assert first.content_hash == second.content_hash
        assert first.sha256 != second.sha256
        group = pq.ParquetFile(io.BytesIO(before)).metadata.row_group(0)
        pages = sum(group.column(n).total_compressed_size for n in range(group.num_columns))
        assert pages > 1000
        assert before[: 4 + pages] == after[: 4 + pages]

    def test_greeks_too(self) -> None:
        """Another dataset."""
        rows = rows_of(CONTRACTS, SESSION, GREEKS)
        first, second = (put(MemoryStorage(), order, GREEKS_UNIT) for order in (rows, rows[::-1]))
        assert first == second


class TestFailure:
    """Nothing is left behind."""

    def test_leaving_without_a_commit_leaves_nothing(self, storage: LocalStorage, tmp_path: Path) -> None:
        """For whatever reason."""
        for reason in (ValueError, KeyboardInterrupt, SystemExit):
            with pytest.raises(reason), write(QUOTE_UNIT, storage, Encoding(), a_provenance, FakeClock()):
                raise reason
        assert [file for file in tmp_path.rglob("*") if file.is_file()] == []

    @pytest.mark.parametrize("fails_after", [0, 10, 5000])
    def test_a_failing_disk_is_told_as_itself(self, storage: LocalStorage, tmp_path: Path, fails_after: int) -> None:
        """Whenever it happens: with the first byte, inside the rows, in the footer."""

        class Failing:
            """A file that takes so many bytes."""

            def __init__(self, room: int) -> None:
                self.room = room

            def write(self, data: bytes) -> int:
                self.room -= len(data)
                if self.room < 0:
                    raise StorageError("the disk failed")
                return len(data)

            def commit(self) -> None:
                raise AssertionError("committed all the same")

        with (
            Sorter(Order.of(QUOTE_UNIT), SortMemory()) as sorter,
            write(QUOTE_UNIT, storage, Encoding(), a_provenance, FakeClock()) as sink,
        ):
            body = csv_of(rows_of(CONTRACTS, REQUIRED))
            checked = validate(parse(iter([body]), QUOTE_UNIT), QUOTE_UNIT, None, sorter)
            failing = replace(sink, pending=Failing(fails_after))
            with pytest.raises(StorageError, match="the disk failed"):
                failing.commit(checked, accept_holes=True)
        assert [file for file in tmp_path.rglob("*") if file.is_file()] == []
