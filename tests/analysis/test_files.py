"""Files of an older version are read in today's columns, beside those of today."""

from pathlib import Path

import polars as pl
import pytest

from spxdata.analysis.files import Kind, Shelf
from spxdata.analysis.wanted import wanted
from spxdata.catalog.memory import MemoryCatalog
from spxdata.errors import ChecksumMismatch
from spxdata.model import Outcome, State
from spxdata.pipeline.read import adopt
from spxdata.storage.local import LocalStorage
from tests.builders import NOW
from tests.pipeline.builders import QUOTE_UNIT, frame_of, rows_of, stored_frame
from tests.pipeline.test_versions import FORM_0, LISTED, MADE_UP, parquet, put, to_0


def test_an_older_file_has_today_s_columns(tmp_path: Path) -> None:
    """What it did not have is null; without its version it is none of ours."""
    storage, catalog = LocalStorage(tmp_path), MemoryCatalog()
    today = stored_frame(frame_of(rows_of()))
    put(storage, parquet(to_0(today), FORM_0)[0])
    found = adopt(storage, QUOTE_UNIT, LISTED, older=MADE_UP)
    assert found
    catalog.record(Outcome(QUOTE_UNIT, State.STORED, artifact=found.artifact), NOW)
    asked = wanted("quote", flags="all")
    shelf = Shelf(catalog, storage, older=MADE_UP)
    (part,) = shelf.parts(asked)
    assert part.form.kind is Kind.OLDER
    rows = shelf.scan(asked).collect()
    assert rows.columns == today.columns
    assert rows["ask_size"].to_list() == today["ask_size"].to_list()
    assert rows["ask_condition"].null_count() == rows.height
    assert rows.filter(pl.col("strike") == 4750).height > 0
    with pytest.raises(ChecksumMismatch):
        Shelf(catalog, storage).parts(asked)
