"""A file is as it was recorded or it is not, and in what; one that is not is not read."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.catalog.memory import MemoryCatalog
from spxdata.errors import ChecksumMismatch, NewerVersion
from spxdata.events import plain
from spxdata.layout import revision_path
from spxdata.model import Artifact, Outcome, State
from spxdata.pipeline.attempt import attempt
from spxdata.pipeline.csv_file import csv_header
from spxdata.pipeline.difference import Difference, Fault, Sign
from spxdata.pipeline.edges import Encoding
from spxdata.pipeline.parquet_file import METADATA_KEY
from spxdata.pipeline.read import checksum, frames
from spxdata.pipeline.trust import compare, is_sorted, trusted
from spxdata.schema import DATASETS, Dataset
from spxdata.storage.local import LocalStorage
from tests.builders import NOW, a_unit

from .builders import QUOTE, QUOTE_UNIT, edges_of, frame_of, listing, rows_of, stored_frame, unit_for, wire_csv
from .test_versions import FORM_0, MADE_UP, artifact_of, parquet, put, to_0

#: Every way in which rows are stored.
ENCODINGS = {
    "parquet": Encoding(row_group_rows=500),
    "decimals": Encoding(numbers="decimal", row_group_rows=500),
    "csv": Encoding(format="csv"),
}
each_encoding = pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)


def commit(storage: LocalStorage, encoding: Encoding = ENCODINGS["parquet"], dataset: Dataset = QUOTE) -> Artifact:
    """Bring a unit into the archive."""
    body = wire_csv(rows_of(dataset=dataset), dataset)
    listed = listing() if dataset.contract_list else None
    found = attempt(unit_for(dataset), listed, edges_of(storage, body, encoding=encoding), accept_holes=True).artifact
    assert found
    return found


def flip(storage: LocalStorage, artifact: Artifact, at: int) -> None:
    """Change one byte of a file."""
    file = storage._root / artifact.path
    data = bytearray(file.read_bytes())
    data[at] ^= 0x55
    file.write_bytes(data)


def true_of(storage: LocalStorage, artifact: Artifact) -> Artifact:
    """Return an artifact that says of a file's bytes what they are."""
    size, sha256 = checksum(storage, artifact.path)
    return replace(artifact, bytes=size, sha256=sha256)


def rewritten(
    storage: LocalStorage,
    artifact: Artifact,
    change: Callable[[pa.Table], pa.Table] = lambda table: table,
    **document: Any,
) -> Artifact:
    """Write a Parquet file anew with other rows or another document, and return what is true of its bytes."""
    file = storage._root / artifact.path
    found = pq.ParquetFile(file)
    said = json.loads(found.metadata.metadata[METADATA_KEY]) | document
    table = change(found.read()).replace_schema_metadata({METADATA_KEY: json.dumps(said)})
    pq.write_table(table, file, compression="gzip", write_page_checksum=True)
    return true_of(storage, artifact)


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    """Return an empty archive."""
    return LocalStorage(tmp_path)


@pytest.fixture
def artifact(storage: LocalStorage) -> Artifact:
    """Return the file of a whole reply."""
    return commit(storage)


def found_in(storage: LocalStorage, artifact: Artifact, **how: Any) -> tuple[Fault, str] | None:
    """Return in what a file of the usual unit differs."""
    one = compare(storage, QUOTE_UNIT, artifact, **how)
    return (one.fault, one.what) if one else None


class TestCompare:
    """compare."""

    @each_encoding
    @pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
    def test_a_file_as_it_was_written_is_right(
        self, storage: LocalStorage, dataset: Dataset, encoding: Encoding
    ) -> None:
        """Of every dataset in every form; a day's, an index's and a rate's too."""
        artifact = commit(storage, encoding, dataset)
        assert compare(storage, unit_for(dataset), artifact) is None
        assert compare(storage, unit_for(dataset), artifact, quick=True) is None

    @each_encoding
    @pytest.mark.parametrize("at", [4, 2000, -5, -1])
    def test_a_changed_byte_anywhere_is_found(self, storage: LocalStorage, encoding: Encoding, at: int) -> None:
        """Before anything of the file is parsed."""
        artifact = commit(storage, encoding)
        flip(storage, artifact, at)
        found = found_in(storage, artifact)
        assert found
        assert found[0] is Fault.CHECKSUM

    @each_encoding
    def test_another_size_is_found_by_a_quick_look(self, storage: LocalStorage, encoding: Encoding) -> None:
        artifact = commit(storage, encoding)
        file = storage._root / artifact.path
        file.write_bytes(file.read_bytes()[:-1])
        found = Fault.SIZE, f"{artifact.bytes - 1:,} bytes instead of {artifact.bytes:,}"
        assert found_in(storage, artifact) == found_in(storage, artifact, quick=True) == found
        file.unlink()
        assert found_in(storage, artifact) == found_in(storage, artifact, quick=True) == (Fault.MISSING, "not there")

    def test_a_quick_look_reads_a_footer_and_a_csv_file_has_none(self, storage: LocalStorage) -> None:
        for encoding, fault in ((ENCODINGS["parquet"], Fault.UNREADABLE), (ENCODINGS["csv"], None)):
            artifact = commit(storage, encoding)
            flip(storage, artifact, -1)
            found = compare(storage, QUOTE_UNIT, artifact, quick=True)
            assert (found and found.fault) is fault

    def test_an_earlier_file_is_compared_as_its_unit_s(self, storage: LocalStorage, artifact: Artifact) -> None:
        """Under its other name."""
        path = revision_path(artifact.path, artifact.provenance.fetched_at)
        storage.move(artifact.path, path)
        earlier = replace(artifact, path=path)
        assert found_in(storage, earlier) is None
        flip(storage, earlier, 2000)
        one = compare(storage, QUOTE_UNIT, earlier)
        assert one
        assert (one.fault, one.path) == (Fault.CHECKSUM, path)

    def test_a_file_that_may_not_be_read(self, storage: LocalStorage, artifact: Artifact) -> None:
        """The system's words are told, and it is neither missing nor different."""

        class Broken(io.BytesIO):
            def read(self, _: int | None = -1, /) -> bytes:
                raise OSError(5, "Input/output error")

        class Unreadable(LocalStorage):
            def open(self, _: str) -> Broken:
                return Broken()

        one = compare(Unreadable(storage._root), QUOTE_UNIT, artifact)
        assert one == Difference(Fault.UNREADABLE, artifact.path, "[Errno 5] Input/output error", QUOTE_UNIT)
        assert one.sign is Sign.UNREADABLE
        assert one.is_damage


class TestContents:
    """What may be wrong although the bytes are the recorded ones."""

    def test_another_encoding_of_the_same_rows_is_right(self, storage: LocalStorage, artifact: Artifact) -> None:
        """Or the tests below would prove nothing."""
        assert found_in(storage, rewritten(storage, artifact)) is None

    def test_rows_in_another_order(self, storage: LocalStorage, artifact: Artifact) -> None:
        """By one row."""
        changed = rewritten(storage, artifact, lambda table: table.take([1, 0, *range(2, table.num_rows)]))
        assert found_in(storage, changed) == (Fault.ORDER, "rows are not sorted by strike, right, timestamp")

    def test_a_row_less(self, storage: LocalStorage, artifact: Artifact) -> None:
        """The footer's own number tells; of a CSV file they are counted."""
        changed = rewritten(storage, artifact, lambda table: table.slice(1))
        rows = artifact.rows
        assert found_in(storage, changed) == (Fault.ROWS, f"rows in the footer: {rows - 1} instead of {rows}")
        csv = commit(storage, ENCODINGS["csv"])
        file = storage._root / csv.path
        file.write_bytes(file.read_bytes().rpartition(b"\n2024")[0] + b"\n")
        assert found_in(storage, true_of(storage, csv)) == (Fault.ROWS, f"{rows - 1:,} rows instead of {rows:,}")

    @each_encoding
    def test_another_value(self, storage: LocalStorage, encoding: Encoding) -> None:
        """The content hash, recomputed, is another one."""
        first = commit(storage, encoding)
        bid = pl.concat(frames(storage, first.path))["bid"][0]
        body = wire_csv([row | {"bid": f"{bid + 1:.2f}"} for row in rows_of()], QUOTE)
        second = attempt(QUOTE_UNIT, listing(), edges_of(storage, body, encoding=encoding)).artifact
        assert second
        claimed = replace(second, content_hash=first.content_hash)
        if encoding.format == "parquet":
            claimed = rewritten(storage, claimed, content_hash=first.content_hash)
        found = found_in(storage, claimed)
        assert found
        assert found[0] is Fault.CONTENT

    def test_a_column_less(self, storage: LocalStorage, artifact: Artifact) -> None:
        """Columns are compared by name, type and order; of CSV the first line is."""
        changed = rewritten(storage, artifact, lambda table: table.drop_columns(["ask_size"]))
        assert found_in(storage, changed) == (Fault.COLUMNS, "the columns are not those of quote, version 1")
        csv = commit(storage, ENCODINGS["csv"])
        file = storage._root / csv.path
        file.write_bytes(file.read_bytes().replace(b"ask_size", b"ask_sigh"))
        found = found_in(storage, true_of(storage, csv))
        assert found == (Fault.UNREADABLE, "does not begin with the columns of quote")

    @pytest.mark.parametrize(
        ("document", "fault"),
        [
            ({"content_hash": "1:00"}, Fault.CONTENT),
            ({"schema_version": 2}, Fault.FOOTER),
            ({"unit": plain(a_unit(dataset="trade"))}, Fault.FOOTER),
            ({"unit": None}, Fault.UNREADABLE),
        ],
    )
    def test_a_footer_that_says_something_else(
        self, storage: LocalStorage, artifact: Artifact, document: dict[str, Any], fault: Fault
    ) -> None:
        """Of hash, version or unit; or nothing that makes sense."""
        found = found_in(storage, rewritten(storage, artifact, **document))
        assert found
        assert found[0] is fault


class TestVersions:
    """Files in columns that are no more written, and in those to come."""

    @pytest.fixture
    def today(self) -> pl.DataFrame:
        """Return rows in today's columns."""
        return stored_frame(frame_of(rows_of())).sort("strike", "right", "timestamp", maintain_order=True)

    def older(self, storage: LocalStorage, today: pl.DataFrame) -> Artifact:
        """Store a file in the form of version 0."""
        data, content_hash = parquet(to_0(today), FORM_0)
        put(storage, data)
        return replace(artifact_of(storage, 0, content_hash), rows=today.height)

    def test_an_older_file_is_measured_by_its_own_columns(self, storage: LocalStorage, today: pl.DataFrame) -> None:
        """By its own content hash; damage to it is damage."""
        artifact = self.older(storage, today)
        assert found_in(storage, artifact, older=MADE_UP) is None
        assert found_in(storage, artifact, older=MADE_UP, quick=True) is None
        flip(storage, artifact, 2000)
        found = found_in(storage, artifact, older=MADE_UP)
        assert found
        assert found[0] is Fault.CHECKSUM

    def test_an_older_csv_file_too(self, storage: LocalStorage, today: pl.DataFrame) -> None:
        artifact = self.older(storage, today)
        cells = to_0(today).with_columns(pl.col("timestamp").dt.to_string("%Y-%m-%dT%H:%M:%S%.3f"))
        path = artifact.path.replace(".parquet", ".csv")
        put(storage, csv_header(FORM_0) + cells.write_csv(include_header=False).encode(), path)
        csv = true_of(storage, replace(artifact, path=path, format="csv"))
        assert found_in(storage, csv, older=MADE_UP) is None

    def test_a_version_that_never_was_is_damage(self, storage: LocalStorage, today: pl.DataFrame) -> None:
        found = found_in(storage, self.older(storage, today))
        assert found == (Fault.UNREADABLE, "has version 0 of the columns of quote, which no spxdata ever wrote")

    def test_a_newer_version_is_no_damage_but_an_error_that_names_it(
        self, storage: LocalStorage, artifact: Artifact
    ) -> None:
        """Neither verify nor a reader may judge such a file."""
        newer = replace(artifact, schema_version=2)
        with pytest.raises(NewerVersion, match="version 2 of the columns of quote"):
            found_in(storage, newer)
        with pytest.raises(NewerVersion, match="version 2 of the columns of quote"):
            trusted(MemoryCatalog(), storage, newer)


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("ab"), st.integers(0, 3)), max_size=12))
def test_sorted_means_what_python_means(rows: list[tuple[int, str, int]]) -> None:
    """By all columns, the first one first; equal rows may stand in any order."""
    frame = pl.DataFrame(rows, schema={"a": pl.Int64, "b": pl.String, "c": pl.Int64}, orient="row")
    assert is_sorted(frame) == (rows == sorted(rows))


class TestTrusted:
    """trusted."""

    @pytest.fixture
    def catalog(self) -> MemoryCatalog:
        """Return an empty catalog."""
        return MemoryCatalog()

    @each_encoding
    def test_a_file_as_it_was_stored_may_be_read(
        self, catalog: MemoryCatalog, storage: LocalStorage, encoding: Encoding
    ) -> None:
        """With and without looking at every byte."""
        artifact = commit(storage, encoding)
        assert trusted(catalog, storage, artifact) == artifact
        assert trusted(catalog, storage, artifact, verify_on_read=True) == artifact

    def test_another_size_or_footer_is_refused_with_path_and_advice(
        self, catalog: MemoryCatalog, storage: LocalStorage, artifact: Artifact
    ) -> None:
        """What to do stands in the hint."""
        flip(storage, artifact, -1)
        with pytest.raises(ChecksumMismatch, match=artifact.path) as refused:
            trusted(catalog, storage, artifact)
        assert "spxdata repair" in refused.value.hint
        storage.remove(artifact.path)
        with pytest.raises(ChecksumMismatch, match="not there"):
            trusted(catalog, storage, artifact)

    @each_encoding
    def test_a_changed_byte_is_refused_when_that_is_asked_for(
        self, catalog: MemoryCatalog, storage: LocalStorage, encoding: Encoding
    ) -> None:
        """Size and footer do not tell of it."""
        artifact = commit(storage, encoding)
        flip(storage, artifact, 2000)
        assert trusted(catalog, storage, artifact) == artifact
        with pytest.raises(ChecksumMismatch, match="SHA-256"):
            trusted(catalog, storage, artifact, verify_on_read=True)

    def test_a_file_that_was_replaced_since_is_read_as_it_is_now(
        self, catalog: MemoryCatalog, storage: LocalStorage, artifact: Artifact
    ) -> None:
        """A reader beside a download must not stumble; in another format neither."""
        newer = rewritten(storage, artifact)
        catalog.record(Outcome(QUOTE_UNIT, State.STORED, artifact=newer), NOW)
        assert trusted(catalog, storage, artifact, verify_on_read=True) == newer
        csv = commit(storage, ENCODINGS["csv"])
        catalog.record(Outcome(QUOTE_UNIT, State.STORED, artifact=csv), NOW)
        storage.remove(artifact.path)
        assert trusted(catalog, storage, artifact, verify_on_read=True) == csv

    def test_an_earlier_file_is_not_replaced_by_the_present_one(
        self, catalog: MemoryCatalog, storage: LocalStorage, artifact: Artifact
    ) -> None:
        """Who asks for what was then must not get what is now."""
        path = revision_path(artifact.path, artifact.provenance.fetched_at)
        storage.move(artifact.path, path)
        earlier = replace(artifact, path=path)
        catalog.record(Outcome(QUOTE_UNIT, State.STORED, artifact=commit(storage)), NOW)
        assert trusted(catalog, storage, earlier, verify_on_read=True) == earlier
        flip(storage, earlier, -1)
        with pytest.raises(ChecksumMismatch, match=r"\.revisions/"):
            trusted(catalog, storage, earlier)
