"""Files of every version of their columns: those that were are read as today's, those to come are refused by name."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spxdata.errors import ChecksumMismatch, StorageError
from spxdata.events import plain
from spxdata.layout import path_of
from spxdata.model import Artifact, Unit
from spxdata.pipeline.content import ContentHash
from spxdata.pipeline.csv_file import csv_header
from spxdata.pipeline.parquet_file import METADATA_KEY, arrow_schema
from spxdata.pipeline.read import adopt, checksum, confirmed, footer, frames, stored_frames
from spxdata.pipeline.versions import OLDER, Older, form_of, forms, upgraded
from spxdata.schema import DATASETS, Dataset
from spxdata.storage.local import LocalStorage
from tests.builders import NOW, a_provenance

from .builders import CONTRACTS, QUOTE, QUOTE_UNIT, frame_of, rows_of, stored_frame, unit_for

LISTED = frozenset(CONTRACTS)
PATH = path_of(QUOTE_UNIT)

#: A made-up version 0 of quotes: the ask's size was called otherwise, and there were no conditions.
FORM_0 = replace(
    QUOTE,
    version=0,
    columns=tuple(
        replace(column, name="ask_quantity") if column.name == "ask_size" else column
        for column in QUOTE.columns
        if not column.name.endswith("_condition")
    ),
)


def from_0(frame: pl.DataFrame) -> pl.DataFrame:
    """Return rows of version 0 in the columns of version 1."""
    known = frame.rename({"ask_quantity": "ask_size"})
    absent = (pl.lit(None, pl.Int32).alias(name) for name in QUOTE.names if name not in known.columns)
    return known.with_columns(absent).select("trade_date", *QUOTE.names, "flags")


MADE_UP = {("quote", 0): Older(FORM_0, from_0)}

#: How rows of today look in an older version: only tests ever write such. A new entry of `OLDER` needs one here.
DOWNGRADES: dict[tuple[str, int], Callable[[pl.DataFrame], pl.DataFrame]] = {}


def to_0(frame: pl.DataFrame) -> pl.DataFrame:
    """Return rows of version 1 as version 0 had them."""
    return frame.rename({"ask_size": "ask_quantity"}).select("trade_date", *FORM_0.names, "flags")


def parquet(frame: pl.DataFrame, form: Dataset, unit: Unit = QUOTE_UNIT, **changes: Any) -> tuple[bytes, str]:
    """Return rows as a Parquet file in a version's form, and their content hash."""
    content = ContentHash(form)
    content.update(frame)
    document = {
        "unit": plain(unit),
        "schema_version": form.version,
        "content_hash": content.hexdigest(),
        "empty": [],
        "created_at": plain(NOW),
        "provenance": plain(a_provenance()),
        "compression": "zstd",
        "decimals": [],
        **changes,
    }
    schema, buffer = arrow_schema(form), io.BytesIO()
    with pq.ParquetWriter(buffer, schema, compression="zstd") as writer:
        for start in range(0, frame.height, 500):
            piece = frame.slice(start, 500).to_arrow()
            arrays = [piece.column(field.name).cast(field.type) for field in schema]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
        writer.add_key_value_metadata({METADATA_KEY: json.dumps(document)})
    return buffer.getvalue(), content.hexdigest()


def put(storage: LocalStorage, data: bytes, path: str = PATH) -> None:
    """Write a file past everything."""
    with storage.create(path) as pending:
        pending.write(data)
        pending.commit()


def artifact_of(storage: LocalStorage, version: int, content_hash: str, path: str = PATH) -> Artifact:
    """Return what a catalog would know of a file."""
    size, sha256 = checksum(storage, path)
    return Artifact(path, 1, size, sha256, content_hash, version, path.rpartition(".")[2], "zstd", NOW, a_provenance())


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    """Return an empty archive."""
    return LocalStorage(tmp_path)


@pytest.fixture
def today() -> pl.DataFrame:
    """Return whole rows in today's columns."""
    return stored_frame(frame_of(rows_of()))


class TestOlder:
    """A file of a version that is no more written."""

    @pytest.fixture
    def old(self, storage: LocalStorage, today: pl.DataFrame) -> str:
        """Store a file in the form of version 0, and return its content hash."""
        data, content_hash = parquet(to_0(today), FORM_0)
        put(storage, data)
        return content_hash

    @pytest.mark.usefixtures("old")
    def test_it_is_read_in_the_columns_of_today(self, storage: LocalStorage, today: pl.DataFrame) -> None:
        """Values that it has are the same, those that it never had are absent."""
        found = pl.concat(frames(storage, PATH, older=MADE_UP))
        assert found.columns == today.columns
        absent = ["bid_condition", "ask_condition"]
        assert found.drop(absent).equals(today.drop(absent).cast({"right": found.schema["right"]}))
        assert found.select(absent).null_count().row(0) == (found.height, found.height)

    @pytest.mark.usefixtures("old")
    def test_columns_may_be_chosen_by_the_names_of_today(self, storage: LocalStorage, today: pl.DataFrame) -> None:
        found = pl.concat(frames(storage, PATH, ["ask_size", "strike"], older=MADE_UP))
        assert found.equals(today.select("strike", "ask_size"))

    def test_its_content_hash_is_over_its_own_columns(self, storage: LocalStorage, old: str) -> None:
        content = ContentHash(FORM_0)
        for frame in stored_frames(storage, PATH, MADE_UP):
            content.update(frame)
        assert content.hexdigest() == old == footer(storage, PATH).content_hash

    def test_it_is_adopted_as_it_is(self, storage: LocalStorage, old: str) -> None:
        """A lost catalog costs no older file; it keeps its version and hash."""
        found = adopt(storage, QUOTE_UNIT, LISTED, older=MADE_UP)
        assert found
        artifact, holes, empty, _ = found
        assert (artifact.schema_version, artifact.content_hash, holes, empty) == (0, old, (), ())

    def test_one_changed_value_is_enough_to_refuse_it(
        self, storage: LocalStorage, old: str, today: pl.DataFrame
    ) -> None:
        data, _ = parquet(to_0(today.with_columns(bid=pl.col("bid") + 1)), FORM_0, content_hash=old)
        put(storage, data)
        assert adopt(storage, QUOTE_UNIT, LISTED, older=MADE_UP) is None

    def test_it_is_confirmed(self, storage: LocalStorage, old: str) -> None:
        """Nothing is fetched anew because its columns are old."""
        assert confirmed(storage, artifact_of(storage, 0, old), MADE_UP)

    def test_csv_is_told_by_its_first_line(self, storage: LocalStorage, today: pl.DataFrame) -> None:
        cells = to_0(today).with_columns(pl.col("timestamp").dt.to_string("%Y-%m-%dT%H:%M:%S%.3f"))
        path = path_of(QUOTE_UNIT, "csv")
        put(storage, csv_header(FORM_0) + cells.write_csv(include_header=False).encode(), path)
        found = pl.concat(frames(storage, path, older=MADE_UP))
        assert found["ask_size"].equals(today["ask_size"])
        assert found["bid_condition"].null_count() == found.height

    def test_a_version_that_never_was_is_damage(self, storage: LocalStorage, old: str) -> None:
        """Without the table's entry, the file is refused as any that cannot be trusted."""
        with pytest.raises(ChecksumMismatch, match="version 0 of the columns of quote, which no spxdata ever wrote"):
            list(frames(storage, PATH))
        assert adopt(storage, QUOTE_UNIT, LISTED) is None
        assert not confirmed(storage, artifact_of(storage, 0, old))


class TestNewer:
    """A file that a newer program wrote is neither damaged nor to be replaced."""

    @pytest.fixture
    def artifact(self, storage: LocalStorage, today: pl.DataFrame) -> Artifact:
        """Store a file that says version 2."""
        data, content_hash = parquet(today, QUOTE, schema_version=2)
        put(storage, data)
        return artifact_of(storage, 2, content_hash)

    def test_every_way_to_look_at_it_names_the_version(self, storage: LocalStorage, artifact: Artifact) -> None:
        def read() -> Iterator[object]:
            yield from frames(storage, PATH)

        looks: tuple[Callable[[], object], ...] = (
            lambda: list(read()),
            lambda: adopt(storage, QUOTE_UNIT, LISTED),
            lambda: confirmed(storage, artifact),
        )
        for look in looks:
            with pytest.raises(StorageError, match=r"version 2 of the columns of quote, .* knows 1 at most") as caught:
                look()
            assert not isinstance(caught.value, ChecksumMismatch)
            assert PATH in caught.value.message
            assert "update spxdata" in caught.value.hint

    def test_csv_is_refused_by_what_the_catalog_says(self, storage: LocalStorage) -> None:
        path = path_of(QUOTE_UNIT, "csv")
        put(storage, b"x", path)
        with pytest.raises(StorageError, match="version 2"):
            confirmed(storage, artifact_of(storage, 2, "", path))


class TestTable:
    """The versions that were released."""

    def test_each_version_before_todays_is_there(self) -> None:
        """No file is ever left behind."""
        wanted = {(d.name, version) for d in DATASETS.values() for version in range(1, d.version)}
        assert OLDER.keys() == wanted == DOWNGRADES.keys()
        for (name, version), older in OLDER.items():
            assert (older.form.name, older.form.version) == (name, version)

    @pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda dataset: dataset.name)
    def test_a_file_in_each_versions_form_is_read_in_the_columns_of_today(
        self, storage: LocalStorage, dataset: Dataset
    ) -> None:
        """Today's own among them; whatever versions there will be are in the table."""
        unit = unit_for(dataset)
        rows = stored_frame(frame_of(rows_of(dataset=dataset, minutes=range(571, 600)), unit))
        for form in forms(dataset.name):
            downgrade = DOWNGRADES.get((form.name, form.version))
            data, _ = parquet(downgrade(rows) if downgrade else rows, form, unit)
            put(storage, data, path_of(unit))
            assert pl.concat(frames(storage, path_of(unit))).columns == ["trade_date", *dataset.names, "flags"]

    def test_steps_follow_one_another(self) -> None:
        """Of a version two back, both steps are taken, the older one first."""
        taken: list[int] = []

        def step(version: int) -> Callable[[pl.DataFrame], pl.DataFrame]:
            def note(frame: pl.DataFrame) -> pl.DataFrame:
                taken.append(version)
                return frame

            return note

        older = {("quote", version): Older(replace(QUOTE, version=version), step(version)) for version in (-1, 0)}
        upgraded(pl.DataFrame(), older["quote", -1].form, older)
        assert taken == [-1, 0]
        assert [form.version for form in forms("quote", older)] == [1, 0, -1]
        assert form_of("quote", -1, PATH, older).version == -1

    def test_todays_rows_are_not_touched(self, today: pl.DataFrame) -> None:
        assert upgraded(today, QUOTE) is today
        assert form_of("quote", 1, PATH) is QUOTE
