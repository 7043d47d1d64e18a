import io
import json
from datetime import datetime, timedelta, timezone

import polars as pl
import pytest

from spxdata.errors import BrokenRule, DataError, Evidence, SchemaDrift, ShortReply
from spxdata.layout import QUARANTINE
from spxdata.model import Unit
from spxdata.pipeline.quarantine import keep, prune
from spxdata.protocols import Storage
from tests.builders import NOW, a_unit
from tests.memory_storage import MemoryStorage

from .builders import QUOTE_UNIT, frame_of, rows_of

EVIDENCE = Evidence(b"a,b\r\n", b"1,2\r\nx\r\n", 40)
ERROR = BrokenRule("negative", "3 of 4 rows", evidence=EVIDENCE)


@pytest.fixture
def storage() -> Storage:
    """Return an empty archive."""
    return MemoryStorage()


def read(storage: Storage, path: str) -> bytes:
    """Read a whole file."""
    with storage.open(path) as file:
        return file.read()


class TestKeep:
    """An entry."""

    def test_reason_raw_bytes_and_the_rows_before(self, storage: Storage) -> None:
        """Three files; the bytes are those received, the rows those parsed."""
        before = frame_of(rows_of(minutes=range(571, 575)))
        folder = keep(storage, QUOTE_UNIT, ERROR, [before.head(5), before.tail(7)], NOW)
        assert folder == f"{QUARANTINE}/20240117T123015250001_20240116_spxw_quote_20240119"
        assert storage.names() == tuple(f"{folder}/{name}" for name in ("reason.json", "reply.csv", "rows.parquet"))
        assert read(storage, f"{folder}/reply.csv") == b"a,b\r\n1,2\r\nx\r\n"
        rows = pl.read_parquet(io.BytesIO(read(storage, f"{folder}/rows.parquet")))
        assert rows.cast({"right": pl.String}).rows() == before.cast({"right": pl.String}).rows()
        assert json.loads(read(storage, f"{folder}/reason.json")) == {
            "at": NOW.isoformat(),
            "unit": {
                "trade_date": "2024-01-16",
                "root": "SPXW",
                "dataset": "quote",
                "interval": "1m",
                "expiration": "2024-01-19",
            },
            "code": "SPX-D003",
            "error": "BrokenRule",
            "message": "negative: 3 of 4 rows",
            "first_row": 40,
        }

    def test_without_rows_before_there_are_two_files(self, storage: Storage) -> None:
        """A reply that was wrong from its first line."""
        folder = keep(storage, a_unit(expiration=None), SchemaDrift(("a",), ("b",), evidence=EVIDENCE), [], NOW)
        assert [path.rsplit("/", 1)[1] for path in storage.names()] == ["reason.json", "reply.csv"]
        assert folder == f"{QUARANTINE}/20240117T123015250001_20240116_spxw_greeks"

    def test_an_error_without_bytes_leaves_no_entry(self, storage: Storage) -> None:
        """A short reply is no wrong one."""
        assert keep(storage, QUOTE_UNIT, ShortReply("lacks"), [frame_of(rows_of(minutes=[571]))], NOW) is None
        assert storage.names() == ()

    def test_entries_of_different_units_at_the_same_moment_do_not_mix(self, storage: Storage) -> None:
        """Attempts run in parallel."""
        folders = {keep(storage, unit, ERROR, [], NOW) for unit in (QUOTE_UNIT, a_unit(), a_unit(expiration=None))}
        assert len(folders) == 3
        assert len(storage.names()) == 6

    def test_names_sort_by_moment_whatever_the_clocks_zone(self, storage: Storage) -> None:
        """They are in UTC."""
        tokyo = (NOW + timedelta(seconds=1)).astimezone(timezone(timedelta(hours=9)))
        first, second = keep(storage, QUOTE_UNIT, ERROR, [], NOW), keep(storage, QUOTE_UNIT, ERROR, [], tokyo)
        assert first
        assert second
        assert first < second


class TestPrune:
    """What is let go."""

    @staticmethod
    def entry(storage: Storage, at: datetime, unit: Unit = QUOTE_UNIT, size: int = 1000) -> str:
        """Keep an entry of about some size."""
        folder = keep(storage, unit, DataError("x", evidence=Evidence(b"", b"x" * size, 0)), [], at)
        assert folder
        return folder

    def left(self, storage: Storage) -> set[str]:
        """Return the entries that are still whole; none may be in pieces."""
        folders = [path.rsplit("/", 1)[0] for path in storage.names(QUARANTINE)]
        assert all(folders.count(folder) == 2 for folder in folders)
        return set(folders)

    def test_old_entries_go_when_a_new_one_comes(self, storage: Storage) -> None:
        """After 30 days; not on the last of them."""
        self.entry(storage, NOW - timedelta(days=30, seconds=1))
        young = self.entry(storage, NOW - timedelta(days=30))
        new = self.entry(storage, NOW)
        assert self.left(storage) == {young, new}

    def test_the_oldest_of_too_many_bytes_go(self, storage: Storage) -> None:
        """Whole entries, until the rest fits."""
        entries = [self.entry(storage, NOW + timedelta(seconds=n)) for n in range(4)]
        size = sum(storage.size(path) or 0 for path in storage.names()) // 4
        prune(storage, NOW, limit=2 * size + 100)
        assert self.left(storage) == set(entries[2:])

    def test_the_newest_stays_even_if_it_alone_is_too_large(self, storage: Storage) -> None:
        """Somebody is about to look at it."""
        self.entry(storage, NOW, size=10)
        new = self.entry(storage, NOW + timedelta(seconds=1), size=100_000)
        prune(storage, NOW + timedelta(seconds=1), limit=50_000)
        assert self.left(storage) == {new}

    def test_the_age_can_be_chosen(self, storage: Storage) -> None:
        """None of them is young enough."""
        self.entry(storage, NOW)
        prune(storage, NOW + timedelta(hours=2), kept=timedelta(hours=1))
        assert self.left(storage) == set()

    def test_what_is_no_entry_is_left_alone(self, storage: Storage) -> None:
        """Notes that a person put there."""
        notes = [f"{QUARANTINE}/README.txt", f"{QUARANTINE}/mine/reply.csv"]
        for name in notes:
            with storage.create(name) as pending:
                pending.write(b"x" * 1000)
                pending.commit()
        self.entry(storage, NOW - timedelta(days=40))
        prune(storage, NOW, limit=0)
        assert set(storage.names()) == set(notes)

    def test_an_empty_quarantine_is_fine(self, storage: Storage) -> None:
        """There may be no folder yet."""
        prune(storage, NOW)
        assert storage.names() == ()
