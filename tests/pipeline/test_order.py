import errno
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, BinaryIO, NoReturn

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.errors import DiskFull, StorageError
from spxdata.pipeline.order import GROUP_ROWS, Order, Sorter, SortMemory, series_rows, sorted_run
from spxdata.pipeline.parse import RIGHT

KEY = Order(("strike", "right"), ("strike", "right", "timestamp"))

#: What a row is here: strike, right, timestamp; its place in the reply is added as a column.
Line = tuple[float, str, int]
lines = st.lists(
    st.tuples(st.sampled_from([5.0, 100.0, 102.5, 4700.0]), st.sampled_from(["PUT", "CALL"]), st.integers(570, 575)),
    max_size=40,
)
splits = st.lists(st.integers(0, 40), max_size=6)
#: Bytes: everything spills, some does, nothing does.
limits = st.sampled_from([0, 200, 600, 10**9])


def frame(rows: Sequence[Line]) -> pl.DataFrame:
    """Return rows with the place at which they arrived."""
    return pl.DataFrame(
        [(*row, place) for place, row in enumerate(rows)],
        schema={"strike": pl.Float64, "right": RIGHT, "timestamp": pl.Int64, "place": pl.Int64},
        orient="row",
    )


def batches(rows: Sequence[Line], borders: Sequence[int]) -> list[pl.DataFrame]:
    """Return rows in batches, some of them empty."""
    whole = frame(rows)
    places = [0, *sorted(min(border, whole.height) for border in borders), whole.height]
    return [whole.slice(start, stop - start) for start, stop in pairwise(places)]


@dataclass
class Spills:
    """Opens files in memory, and remembers them."""

    files: list[BinaryIO] = field(default_factory=list)

    def __call__(self) -> BinaryIO:
        """Open one."""
        self.files.append(io.BytesIO())
        return self.files[-1]


class FullDisk(io.BytesIO):
    """A file that takes nothing."""

    def write(self, _: Any, /) -> NoReturn:
        """Fail as a full disk does."""
        raise OSError(errno.ENOSPC, "No space left on device")


def in_order(rows: Sequence[Line]) -> list[tuple[Any, ...]]:
    """Sort in plain Python: calls before puts, rows of equal key as they came."""
    return sorted(((*row, place) for place, row in enumerate(rows)), key=lambda row: (row[0], row[1] == "PUT", row[2]))


def sorted_groups(parts: Sequence[pl.DataFrame], limit: int, rows: int = GROUP_ROWS) -> list[list[tuple[Any, ...]]]:
    """Return the groups that come out of a sorter."""
    with Sorter(KEY, SortMemory(limit), Spills()) as sorter:
        for part in parts:
            sorter.add(part)
        return [group.rows() for group in sorter.groups(rows)]


class TestOrder:
    """What comes out."""

    @given(lines, splits, limits, st.integers(1, 50))
    def test_it_is_the_stable_sort(self, rows: list[Line], borders: list[int], limit: int, group: int) -> None:
        """However the reply was cut into batches, and whatever had to be spilled."""
        groups = sorted_groups(batches(rows, borders), limit, group)
        assert [row for part in groups for row in part] == in_order(rows)

    @given(lines, splits, splits, limits, st.integers(1, 50))
    def test_borders_depend_on_the_rows_alone(
        self, rows: list[Line], some: list[int], others: list[int], limit: int, group: int
    ) -> None:
        """Not on batches, not on memory."""
        assert sorted_groups(batches(rows, some), limit, group) == sorted_groups(batches(rows, others), 10**9, group)

    @given(lines, splits, limits, st.integers(1, 50))
    def test_a_group_holds_whole_contracts(self, rows: list[Line], borders: list[int], limit: int, group: int) -> None:
        """No contract is in two groups; a group is closed as soon as it has its rows."""
        groups = sorted_groups(batches(rows, borders), limit, group)
        contracts = [{row[:2] for row in part} for part in groups]
        assert sum(map(len, contracts)) == len(set().union(*contracts))
        for number, part in enumerate(groups):
            last = [row for row in part if row[:2] == part[-1][:2]]
            assert len(part) - len(last) < group
            assert len(part) >= group or number == len(groups) - 1

    @given(lines, st.permutations([5.0, 100.0, 102.5, 4700.0]), limits)
    def test_the_order_of_contracts_in_the_reply_does_not_matter(
        self, rows: list[Line], strikes: list[float], limit: int
    ) -> None:
        """Replies come contract by contract in any order."""
        shuffled = [row for strike in strikes for row in rows if row[0] == strike]
        ours, theirs = (
            [row[:3] for group in sorted_groups(batches(some, [7, 20]), limit) for row in group]
            for some in (rows, shuffled)
        )
        assert ours == theirs

    def test_spilled_rows_keep_their_types(self) -> None:
        """Rights are still a category whose order is calls before puts."""
        parts = batches([(5.0, "PUT", 570), (5.0, "CALL", 570)], [1])
        with Sorter(KEY, SortMemory(0), Spills()) as sorter:
            for part in parts:
                sorter.add(part)
            (group,) = sorter.groups()
        assert group.schema == parts[0].schema
        assert group["right"].to_list() == ["CALL", "PUT"]

    def test_nothing_gives_nothing(self) -> None:
        """A reply without rows has no group."""
        assert sorted_groups([], 0) == []


class TestMemory:
    """The budget that all attempts share."""

    def test_a_claim_is_granted_up_to_the_limit(self) -> None:
        """And again after a release."""
        memory = SortMemory(100)
        assert memory.claim(60)
        assert not memory.claim(41)
        assert memory.claim(40)
        memory.release(60)
        assert memory.claim(60)
        assert not memory.claim(1)

    @given(lines, splits, limits)
    def test_all_of_it_is_given_back(self, rows: list[Line], borders: list[int], limit: int) -> None:
        """After success, at whatever point the groups were left, and after a failure."""
        memory = SortMemory(limit)
        parts = batches(rows, borders)
        for drawn in (0, 1, 99):
            with Sorter(KEY, memory, Spills()) as sorter:
                for part in parts:
                    sorter.add(part)
                for _ in zip(range(drawn), sorter.groups(1), strict=False):
                    pass
            assert memory.claim(limit)
            memory.release(limit)

        def interrupted(sorter: Sorter) -> None:
            for part in parts:
                sorter.add(part)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt), Sorter(KEY, memory, Spills()) as sorter:
            interrupted(sorter)
        assert memory.claim(limit)

    def test_one_attempt_spills_what_another_holds(self) -> None:
        """The limit is for all of them together."""
        memory, spills = SortMemory(1500), Spills()
        part = frame([(5.0, "CALL", 570)] * 50)
        assert part.estimated_size() <= 1500 < 2 * part.estimated_size()
        with Sorter(KEY, memory, spills) as one, Sorter(KEY, memory, spills) as other:
            one.add(part)
            assert not spills.files
            other.add(part)
            assert len(spills.files) == 1
            assert sum(group.height for group in other.groups()) == 50


class TestSpilling:
    """Runs in temporary files."""

    @given(lines, splits)
    def test_files_are_closed(self, rows: list[Line], borders: list[int]) -> None:
        """Whether or not all was drawn."""
        spills = Spills()
        with Sorter(KEY, SortMemory(0), spills) as sorter:
            for part in batches(rows, borders):
                sorter.add(part)
            next(sorter.groups(1), None)
        assert all(file.closed for file in spills.files)
        assert bool(spills.files) == bool(rows)

    def test_real_temporary_files_work(self) -> None:
        """The default, beside the ones in memory that these tests use."""
        rows: list[Line] = [(5.0, "PUT", 571), (5.0, "PUT", 570), (4.0, "CALL", 570)]
        with Sorter(KEY, SortMemory(0)) as sorter:
            for part in batches(rows, [1, 2]):
                sorter.add(part)
            assert [row for group in sorter.groups() for row in group.rows()] == in_order(rows)

    def test_a_full_temporary_folder_is_told_as_such(self) -> None:
        """With what to do about it; the file is closed, the memory given back."""
        disk, memory = FullDisk(), SortMemory(0)
        with pytest.raises(DiskFull, match="No space left on device") as caught, Sorter(KEY, memory, lambda: disk) as s:
            s.add(frame([(5.0, "CALL", 570)]))
        assert "TMPDIR" in caught.value.hint
        assert disk.closed
        assert memory.claim(0)

    def test_an_unusable_temporary_folder_is_told_as_such(self) -> None:
        """Any other error of the system is a StorageError."""

        def refuse() -> BinaryIO:
            raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

        with pytest.raises(StorageError, match="No usable temporary"), Sorter(KEY, SortMemory(0), refuse) as sorter:
            sorter.add(frame([(5.0, "CALL", 570)]))


class TestHeld:
    """What quarantine may still see."""

    def test_rows_in_memory_in_the_order_in_which_they_came(self) -> None:
        """Unsorted."""
        parts = batches([(9.0, "PUT", 570), (5.0, "PUT", 570)], [1])
        with Sorter(KEY, SortMemory(), Spills()) as sorter:
            for part in parts:
                sorter.add(part)
            assert [row for part in sorter.held() for row in part.rows()] == [
                row for part in parts for row in part.rows()
            ]

    def test_nothing_after_they_were_let_go(self) -> None:
        """Spilled or freed."""
        with Sorter(KEY, SortMemory(0), Spills()) as sorter:
            sorter.add(frame([(5.0, "CALL", 570)]))
            assert list(sorter.held()) == []
        assert list(sorter.held()) == []


def test_contracts_are_counted_in_their_order() -> None:
    """Strike first, calls before puts."""
    rows: list[Line] = [(5.0, "PUT", 570), (4.0, "PUT", 570), (5.0, "CALL", 570), (5.0, "PUT", 571)]
    counts = series_rows(sorted_run(frame(rows), KEY), KEY)
    assert [(*key, count) for key, count in counts.items()] == [(4.0, 1, 1), (5.0, 0, 1), (5.0, 1, 2)]
