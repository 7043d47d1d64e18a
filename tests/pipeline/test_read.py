import hashlib
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.errors import ChecksumMismatch
from spxdata.layout import path_of
from spxdata.model import Artifact, Hole, HoleKind
from spxdata.pipeline.attempt import attempt
from spxdata.pipeline.edges import Encoding
from spxdata.pipeline.parquet_file import METADATA_KEY
from spxdata.pipeline.read import adopt, checksum, confirmed, footer, frames
from spxdata.storage.local import LocalStorage
from tests.builders import EXPIRATION, NOW, TRADE_DATE, a_provenance, a_unit

from .builders import (
    CALL,
    CONTRACTS,
    HIGH_CALL,
    PUT,
    QUOTE,
    QUOTE_UNIT,
    csv_of,
    edges_of,
    frame_of,
    listing,
    rows_of,
    stored_frame,
)
from .tables import OneFile

PATH = path_of(QUOTE_UNIT)
LISTED = frozenset(CONTRACTS)


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    """Return an empty archive."""
    return LocalStorage(tmp_path)


@pytest.fixture
def artifact(storage: LocalStorage) -> Artifact:
    """Return the file of a whole reply, in several row groups that cut contracts."""
    return commit(storage, csv_of(rows_of()))


def commit(storage: LocalStorage, body: bytes, **changes: Any) -> Artifact:
    """Bring a reply into the archive."""
    edges = edges_of(storage, body, encoding=Encoding(row_group_rows=500, **changes))
    found = attempt(QUOTE_UNIT, listing(), edges, accept_holes=True).artifact
    assert found
    return found


def put(storage: LocalStorage, data: bytes, path: str = PATH) -> None:
    """Write a file past everything."""
    with storage.create(path) as pending:
        pending.write(data)
        pending.commit()


def rewritten(tmp_path: Path, change: Callable[[pa.Table], pa.Table]) -> bytes:
    """Return the stored file with other rows under the same metadata."""
    table = pq.read_table(tmp_path / PATH, partitioning=None)
    metadata = pq.read_metadata(tmp_path / PATH).metadata
    buffer = io.BytesIO()
    changed = change(table)
    with pq.ParquetWriter(buffer, changed.schema) as writer:
        writer.write_table(changed)
        writer.add_key_value_metadata({METADATA_KEY: metadata[METADATA_KEY]})
    return buffer.getvalue()


class TestFooter:
    """What a file says of itself."""

    def test_it_is_what_was_written(self, storage: LocalStorage, artifact: Artifact) -> None:
        """Unit, rows, content hash, codec, moment, provenance."""
        found = footer(storage, PATH)
        assert found.unit == QUOTE_UNIT
        assert (found.rows, found.content_hash, found.schema_version) == (artifact.rows, artifact.content_hash, 1)
        assert (found.compression, found.created_at, found.provenance) == ("zstd", NOW, a_provenance())

    def test_a_missing_file_is_missing(self, storage: LocalStorage) -> None:
        """And nothing else."""
        with pytest.raises(FileNotFoundError):
            footer(storage, PATH)

    @pytest.mark.parametrize(
        "document",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b"{}",
            b'{"unit": {}, "provenance": {}}',
            b'{"unit": null, "provenance": 1}',
            b"\xff",
        ],
    )
    def test_metadata_that_is_not_ours_is_a_mismatch(self, storage: LocalStorage, document: bytes) -> None:
        """Whatever stands under our key."""
        buffer = io.BytesIO()
        with pq.ParquetWriter(buffer, pa.schema([("a", pa.int32())])) as writer:
            writer.write_table(pa.table({"a": pa.array([1], pa.int32())}))
            writer.add_key_value_metadata({METADATA_KEY: document})
        put(storage, buffer.getvalue())
        with pytest.raises(ChecksumMismatch, match=re.escape(PATH)):
            footer(storage, PATH)

    @given(st.binary(max_size=200))
    def test_no_bytes_raise_anything_else(self, garbage: bytes) -> None:
        """A mismatch, never another error."""
        for data in (garbage, b"PAR1" + garbage + b"PAR1"):
            with pytest.raises(ChecksumMismatch):
                footer(OneFile(data), PATH)


class TestConfirmed:
    """Whether the disk agrees with the catalog."""

    def test_an_untouched_file_is_confirmed(self, storage: LocalStorage, artifact: Artifact) -> None:
        """By its size and its footer, without reading the rows."""
        assert confirmed(storage, artifact)

    def test_a_missing_shorter_longer_or_other_file_is_not(
        self, storage: LocalStorage, artifact: Artifact, tmp_path: Path
    ) -> None:
        """Nor one of the same size that is no Parquet."""
        data = (tmp_path / PATH).read_bytes()
        for other in (data[:-1], data + b"x", b"x" * len(data), data[:-8] + b"\0" * 8, b""):
            put(storage, other)
            assert not confirmed(storage, artifact)
        storage.remove(PATH)
        assert not confirmed(storage, artifact)

    def test_a_csv_file_is_confirmed_by_its_size(self, storage: LocalStorage, tmp_path: Path) -> None:
        """It has no footer; its bytes are the business of a full check."""
        artifact = commit(storage, csv_of(rows_of()), format="csv")
        assert confirmed(storage, artifact)
        data = (tmp_path / artifact.path).read_bytes()
        for other in (data[:-1], data + b"x", b""):
            put(storage, other, artifact.path)
            assert not confirmed(storage, artifact)
        storage.remove(artifact.path)
        assert not confirmed(storage, artifact)

    def test_other_rows_under_that_name_are_not(self, storage: LocalStorage, artifact: Artifact) -> None:
        """The catalog knows the content it recorded."""
        other = commit(storage, csv_of(rows_of(bid="64.80")))
        assert other.path == artifact.path
        assert not confirmed(storage, artifact)
        assert confirmed(storage, other)


class TestAdopt:
    """A whole file that no catalog knows."""

    def test_it_gives_the_artifact_that_was_never_recorded(self, storage: LocalStorage, artifact: Artifact) -> None:
        """To the last field."""
        assert adopt(storage, QUOTE_UNIT, LISTED) == (artifact, (), (), frozenset())
        assert adopt(storage, QUOTE_UNIT, None) == (artifact, (), (), frozenset())

    @pytest.mark.parametrize(
        ("bid", "decimals"),
        [("64.90", ("strike", "bid", "ask")), ("64.123456", ("strike", "ask"))],
        ids=["all exact", "one column float64"],
    )
    def test_so_does_a_file_of_decimals(self, storage: LocalStorage, bid: str, decimals: tuple[str, ...]) -> None:
        """Whichever columns of it are."""
        artifact = commit(storage, csv_of(rows_of(bid=bid)), numbers="decimal")
        assert footer(storage, PATH).decimals == decimals
        assert adopt(storage, QUOTE_UNIT, LISTED) == (artifact, (), (), frozenset())

    @pytest.mark.parametrize("decimals", [[], ["bid"], ["strike", "bid", "ask", "symbol"], ["flags"], "bid", 7, None])
    def test_a_footer_that_tells_of_other_decimals_is_refused(
        self, storage: LocalStorage, tmp_path: Path, decimals: object
    ) -> None:
        """Columns are what the footer says, or the file is not ours."""
        commit(storage, csv_of(rows_of()), numbers="decimal")
        document = json.loads(pq.read_metadata(tmp_path / PATH).metadata[METADATA_KEY])
        table = pq.read_table(tmp_path / PATH, partitioning=None)
        for told, adopted in ((document["decimals"], True), (decimals, False)):
            buffer = io.BytesIO()
            with pq.ParquetWriter(buffer, table.schema, store_decimal_as_integer=True) as writer:
                writer.write_table(table)
                writer.add_key_value_metadata({METADATA_KEY: json.dumps({**document, "decimals": told})})
            put(storage, buffer.getvalue())
            assert bool(adopt(storage, QUOTE_UNIT, LISTED)) == adopted

    def test_a_csv_file_is_not_looked_for(self, storage: LocalStorage) -> None:
        """Nothing in it says what it is."""
        commit(storage, csv_of(rows_of()), format="csv")
        assert adopt(storage, QUOTE_UNIT, LISTED) is None

    def test_it_finds_the_holes_again(self, storage: LocalStorage) -> None:
        """From the rows and the list, not from any record."""
        away = set(range(700, 740))
        body = csv_of([*rows_of([CALL], [m for m in range(571, 976) if m not in away]), *rows_of([PUT])])
        outcome = attempt(QUOTE_UNIT, listing(), edges_of(storage, body), accept_holes=True)
        found = adopt(storage, QUOTE_UNIT, LISTED)
        assert found
        assert (
            found[1]
            == outcome.holes
            == (
                Hole(HoleKind.GAP, CALL, 700, 739),
                Hole(HoleKind.GAP, HIGH_CALL, None, None),
            )
        )

    @pytest.mark.parametrize("name", QUOTE.names)
    @pytest.mark.usefixtures("artifact")
    def test_one_changed_value_is_enough_to_refuse(self, storage: LocalStorage, tmp_path: Path, name: str) -> None:
        """In any column of the vendor's."""

        def change(table: pa.Table) -> pa.Table:
            values = table.column(name).to_pylist()
            values[700] = {
                "symbol": "SPXX",
                "expiration": TRADE_DATE,
                "right": "CALX",
                "timestamp": NOW,
            }.get(name, 7)
            position = table.schema.get_field_index(name)
            return table.set_column(position, table.schema.field(name), pa.array(values, table.schema.field(name).type))

        put(storage, rewritten(tmp_path, lambda table: table))
        assert adopt(storage, QUOTE_UNIT, LISTED)
        put(storage, rewritten(tmp_path, change))
        assert adopt(storage, QUOTE_UNIT, LISTED) is None

    @pytest.mark.parametrize(
        "change",
        [
            lambda table: table.slice(1),
            lambda table: table.take(pc.sort_indices(table, [("timestamp", "ascending")])),
            lambda table: table.drop_columns(["ask_condition"]),
            lambda table: table.drop_columns(["flags"]),
            lambda table: table.append_column("extra", table.column("bid")),
            lambda table: table.set_column(4, "right", table.column("right").dictionary_encode()),
            lambda table: table.slice(0, 0),
        ],
        ids=["a row less", "another order", "a column less", "no flags", "a column more", "another type", "no rows"],
    )
    @pytest.mark.usefixtures("artifact")
    def test_another_table_under_our_metadata_is_refused(
        self, storage: LocalStorage, tmp_path: Path, change: Callable[[pa.Table], pa.Table]
    ) -> None:
        """However it came about."""
        put(storage, rewritten(tmp_path, change))
        assert adopt(storage, QUOTE_UNIT, LISTED) is None

    def test_a_file_cut_anywhere_is_refused(self, storage: LocalStorage, artifact: Artifact, tmp_path: Path) -> None:
        """From the first byte to the last."""
        data = (tmp_path / PATH).read_bytes()
        for length in (0, 1, 4, 100, artifact.bytes // 2, artifact.bytes - 9, artifact.bytes - 1):
            put(storage, data[:length])
            assert adopt(storage, QUOTE_UNIT, LISTED) is None

    @pytest.mark.parametrize("numbers", ["float64", "decimal"])
    def test_a_file_with_a_flipped_bit_is_refused_or_says_the_same(
        self, storage: LocalStorage, tmp_path: Path, numbers: str
    ) -> None:
        """Anywhere in it: what is adopted has the values that were written, and nothing comes else but a refusal.

        The footer is where libraries end the process on damage, so it is looked at more closely than the pages.
        """
        artifact = commit(storage, csv_of(rows_of()), numbers=numbers)
        data = (tmp_path / PATH).read_bytes()
        expected = stored_frame(frame_of(rows_of())).select(QUOTE.names).rows()
        footer_at = artifact.bytes - 8 - int.from_bytes(data[-8:-4], "little")
        for position in (*range(0, footer_at, 997), *range(footer_at, artifact.bytes, 101)):
            damaged = OneFile(data[:position] + bytes([data[position] ^ 1 << position % 8]) + data[position + 1 :])
            if adopt(damaged, QUOTE_UNIT, LISTED):
                assert pl.concat(frames(damaged, PATH)).select(QUOTE.names).rows() == expected

    def test_a_foreign_parquet_file_is_refused(self, storage: LocalStorage) -> None:
        """The same columns and rows, without our metadata."""
        buffer = io.BytesIO()
        stored_frame(frame_of(rows_of())).write_parquet(buffer)
        put(storage, buffer.getvalue())
        assert adopt(storage, QUOTE_UNIT, LISTED) is None

    @pytest.mark.usefixtures("artifact")
    def test_another_units_file_is_refused(self, storage: LocalStorage, tmp_path: Path) -> None:
        """Copied to a name that is not its own."""
        data = (tmp_path / PATH).read_bytes()
        for other in (a_unit(), a_unit(dataset="quote", root="SPX"), a_unit(dataset="quote", expiration=TRADE_DATE)):
            put(storage, data, path_of(other))
            assert adopt(storage, other, LISTED) is None

    @pytest.mark.usefixtures("artifact")
    def test_a_file_of_a_version_that_never_was_is_refused(self, storage: LocalStorage, tmp_path: Path) -> None:
        """Its schema version tells; `test_versions` has those that were and those to come."""
        document = json.loads(pq.read_metadata(tmp_path / PATH).metadata[METADATA_KEY])
        buffer = io.BytesIO()
        table = pq.read_table(tmp_path / PATH, partitioning=None)
        with pq.ParquetWriter(buffer, table.schema) as writer:
            writer.write_table(table)
            writer.add_key_value_metadata({METADATA_KEY: json.dumps({**document, "schema_version": 0})})
        put(storage, buffer.getvalue())
        assert adopt(storage, QUOTE_UNIT, LISTED) is None

    @pytest.mark.usefixtures("artifact")
    def test_what_is_not_there_or_cannot_be_is_refused(self, storage: LocalStorage) -> None:
        """No file; a day without session."""
        assert adopt(storage, a_unit(), LISTED) is None
        holiday = a_unit(dataset="quote", trade_date=TRADE_DATE.replace(day=15))
        assert adopt(storage, holiday, LISTED) is None


class TestFrames:
    """A file's rows."""

    @pytest.mark.usefixtures("artifact")
    def test_a_row_group_at_a_time_in_canonical_types(self, storage: LocalStorage) -> None:
        """Together they are what was stored."""
        pieces = list(frames(storage, PATH))
        assert [piece.height for piece in pieces] == [500, 500, 215]
        assert pl.concat(pieces).equals(stored_frame(frame_of(rows_of())))

    @pytest.mark.parametrize("changes", [{"numbers": "decimal"}, {"format": "csv"}], ids=["decimal", "csv"])
    def test_in_whatever_form_they_are_stored(self, storage: LocalStorage, changes: dict[str, str]) -> None:
        """Numbers are float64."""
        artifact = commit(storage, csv_of(rows_of()), **changes)
        assert pl.concat(frames(storage, artifact.path)).equals(stored_frame(frame_of(rows_of())))

    def test_damage_inside_is_a_mismatch(self, storage: LocalStorage, artifact: Artifact, tmp_path: Path) -> None:
        """Pages overwritten under a whole footer."""
        data = (tmp_path / PATH).read_bytes()
        put(storage, data[:4] + b"\xff" * (artifact.bytes // 2) + data[4 + artifact.bytes // 2 :])
        with pytest.raises(ChecksumMismatch, match=re.escape(PATH)):
            list(frames(storage, PATH))
        assert adopt(storage, QUOTE_UNIT, LISTED) is None


def test_the_checksum_is_that_of_the_bytes(storage: LocalStorage) -> None:
    """Whatever they are, more than are read at once."""
    data = b"0123456789" * 300_000
    put(storage, data, "x")
    assert checksum(storage, "x") == (3_000_000, hashlib.sha256(data).hexdigest())


def test_the_example_unit_is_the_one_of_the_builders() -> None:
    """Paths above spell it out."""
    assert (TRADE_DATE.isoformat(), EXPIRATION.isoformat()) == ("2024-01-16", "2024-01-19")
