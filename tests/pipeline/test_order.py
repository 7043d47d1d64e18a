import errno
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, BinaryIO, NoReturn

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata.errors import DiskFull, StorageError
from spxdata.pipeline.edges import SortMemory
from spxdata.pipeline.order import GROUP_ROWS, RUN_BYTES, SHORTEST, Order, Sorter, stretches
from spxdata.pipeline.parse import RIGHT
from tests.builders import a_unit

KEY = Order(("strike", "right"), ("strike", "right", "timestamp"))
#: Ticks have no key: a row's time says nothing of its place.
TICKS = Order(("strike", "right"), ("strike", "right"))
#: An index is one series; so are its ticks.
INDEX, INDEX_TICKS = Order((), ("timestamp",)), Order((), ())

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


def sorted_groups(
    parts: Sequence[pl.DataFrame],
    limit: int,
    rows: int = GROUP_ROWS,
    order: Order = KEY,
    run_bytes: int = RUN_BYTES,
    shortest: int = SHORTEST,
) -> list[list[tuple[Any, ...]]]:
    """Return the groups that come out of a sorter."""
    with Sorter(order, SortMemory(limit), Spills(), run_bytes, shortest) as sorter:
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

    @given(lines, splits, limits)
    def test_what_was_cleared_is_gone(self, rows: list[Line], borders: list[int], limit: int) -> None:
        """Its memory too; what comes later is all there is."""
        memory, spills = SortMemory(limit), Spills()
        with Sorter(KEY, memory, spills) as sorter:
            for part in batches(rows, borders):
                sorter.add(part)
            sorter.clear()
            assert memory.claim(limit)
            memory.release(limit)
            sorter.add(batches([(5.0, "PUT", 570)], [])[0])
            assert [row[:3] for group in sorter.groups() for row in group.iter_rows()] == [(5.0, "PUT", 570)]

    def test_nothing_gives_nothing(self) -> None:
        """A reply without rows has no group."""
        assert sorted_groups([], 0) == []


class TestTicks:
    """Rows that nothing tells apart keep the order in which they arrived."""

    @given(lines, splits, limits, st.integers(1, 50), st.integers(0, 2000))
    def test_a_series_keeps_the_order_of_its_arrival(
        self, rows: list[Line], borders: list[int], limit: int, group: int, run_bytes: int
    ) -> None:
        """Across batches and spilled runs, however large the groups are."""
        groups = sorted_groups(batches(rows, borders), limit, group, TICKS, run_bytes)
        expected = sorted(
            ((*row, place) for place, row in enumerate(rows)), key=lambda row: (row[0], row[1] == "PUT", row[3])
        )
        assert [row for part in groups for row in part] == expected

    @given(lines, splits, limits, st.integers(1, 50))
    def test_only_a_series_that_is_too_large_for_a_group_comes_in_pieces(
        self, rows: list[Line], borders: list[int], limit: int, group: int
    ) -> None:
        """By itself; all others are whole."""
        groups = sorted_groups(batches(rows, borders), limit, group, TICKS)
        sizes = Counter(row[:2] for row in rows)
        seen: Counter[tuple[float, str]] = Counter()
        for part in groups:
            series = {row[:2] for row in part}
            for one in series:
                seen[one] += 1
            if any(sizes[one] > group for one in series):
                assert len(series) == 1
        assert all(times == 1 for one, times in seen.items() if sizes[one] <= group)

    def test_a_giant_series_is_passed_on_batch_by_batch(self) -> None:
        """Never put together: a run of it is in pieces of a group's rows, from a file and from memory alike."""
        one: list[Line] = [(5.0, "CALL", 575 - n % 5) for n in range(GROUP_ROWS + 3)]
        with Sorter(TICKS, SortMemory(10**9), Spills(), 0) as sorter:
            for _ in range(2):
                sorter.add(frame(one))
            sizes = [group.height for group in sorter.groups()]
        assert sizes == [GROUP_ROWS, 3] * 2

    def test_small_series_after_a_giant_one_are_grouped_again(self) -> None:
        """The large one stands by itself between groups of small ones."""
        rows: list[Line] = [(5.0, "CALL", 1), (6.0, "CALL", 1), *[(7.0, "CALL", n) for n in range(9)], (8.0, "PUT", 1)]
        groups = sorted_groups([frame(rows)], 10**9, 4, TICKS)
        assert [[row[0] for row in group] for group in groups] == [[5.0, 6.0], [7.0] * 9, [8.0]]


class TestOneSeries:
    """What has no contracts."""

    @given(lines, splits, limits, st.integers(1, 50))
    def test_an_index_is_sorted_by_its_time(self, rows: list[Line], borders: list[int], limit: int, group: int) -> None:
        """Stably, and as one group: nothing is split that has a key."""
        groups = sorted_groups(batches(rows, borders), limit, group, INDEX)
        assert [row for part in groups for row in part] == sorted(
            ((*row, place) for place, row in enumerate(rows)), key=lambda row: row[2]
        )
        assert len([part for part in groups if part]) <= 1

    @given(lines, splits, limits, st.integers(1, 50))
    def test_its_ticks_come_as_they_came(self, rows: list[Line], borders: list[int], limit: int, group: int) -> None:
        """Nothing to sort by."""
        groups = sorted_groups(batches(rows, borders), limit, group, INDEX_TICKS)
        assert [row for part in groups for row in part] == [(*row, place) for place, row in enumerate(rows)]

    def test_all_rows_are_one_series(self) -> None:
        """With an empty key."""
        assert stretches([frame([(5.0, "PUT", 1)] * 3)], INDEX) == {(): [(0, 0, 3, (1,), (1,))]}


@pytest.mark.parametrize(
    ("name", "interval", "series", "columns"),
    [
        ("quote", "1m", ("strike", "right"), ("strike", "right", "timestamp")),
        ("quote", "tick", ("strike", "right"), ("strike", "right")),
        ("trade", "tick", ("strike", "right"), ("strike", "right")),
        ("trade_quote", "tick", ("strike", "right"), ("strike", "right")),
        ("eod", "1d", ("expiration", "strike", "right"), ("expiration", "strike", "right", "created")),
        ("index_price", "1m", (), ("timestamp",)),
        ("index_price", "tick", (), ()),
        ("interest_rate", "1d", (), ("created",)),
    ],
)
def test_the_order_of_a_unit_is_its_datasets(
    name: str, interval: str, series: tuple[str, ...], columns: tuple[str, ...]
) -> None:
    """At its interval; ticks have none beyond their series."""
    order = Order.of(a_unit(dataset=name, interval=interval))
    assert order == (series, columns)
    assert order.is_total == (interval != "tick")


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


def test_of_rows_that_come_in_turn_no_stretches_are_made() -> None:
    """A row each would cost more memory than the rows; they are sorted instead."""
    in_turn = frame([(strike, "CALL", minute) for minute in range(570, 580) for strike in (5.0, 6.0)])
    assert stretches([in_turn], KEY, 2) is None
    found = stretches([in_turn], KEY, 1)
    assert found is not None
    assert [len(places) for places in found.values()] == [10, 10]


class TestSpilling:
    """Runs in temporary files."""

    def test_an_attempt_holds_no_more_than_a_run_and_a_quarter_of_one_once_it_has_spilled(self) -> None:
        """However much memory is left; what it held is free again."""
        part = frame([(5.0, "CALL", 570)] * 50)
        size = int(part.estimated_size())
        memory, spills = SortMemory(10**9), Spills()
        with Sorter(KEY, memory, spills, 4 * size) as sorter:
            for number, files in enumerate((0, 0, 0, 0, 1, 1, 2)):
                sorter.add(part)
                assert (number, len(spills.files)) == (number, files)
            assert memory.claim(10**9)
            memory.release(10**9)
            assert sum(group.height for group in sorter.groups()) == 350

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


class TestStretches:
    """Rows of one series that follow each other: putting these in order is sorting, as long as each is in order."""

    @given(lines, splits, limits, st.integers(1, 50), st.sampled_from([KEY, TICKS, INDEX, INDEX_TICKS]))
    def test_the_way_does_not_matter(
        self, rows: list[Line], borders: list[int], limit: int, group: int, order: Order
    ) -> None:
        """Groups are the same whether stretches are put in order wherever they can be, or nowhere."""
        parts = batches(rows, borders)
        ours, theirs = (sorted_groups(parts, limit, group, order, shortest=shortest) for shortest in (0, 10**9))
        assert [row for part in ours for row in part] == [row for part in theirs for row in part]

    @given(st.permutations(range(12)), splits, limits, st.integers(1, 50))
    def test_contracts_in_any_order_are_put_in_order(
        self, contracts: list[int], borders: list[int], limit: int, group: int
    ) -> None:
        """Each of them whole and in the order of its minutes, as replies are."""
        rows: list[Line] = [
            (4.0 + one // 2, ("CALL", "PUT")[one % 2], minute) for one in contracts for minute in range(570, 573)
        ]
        groups = sorted_groups(batches(rows, borders), limit, group, shortest=0)
        assert [row for part in groups for row in part] == in_order(rows)

    def test_where_rows_of_a_contract_are_not_in_order_there_is_no_such_way(self) -> None:
        """Of ticks there is: they have no order but that of their arrival."""
        rows = frame([(5.0, "PUT", 571), (5.0, "PUT", 570)])
        assert stretches([rows], KEY) is None
        assert stretches([rows], TICKS) == {(5.0, 1): [(0, 0, 2, (), ())]}

    def test_each_knows_where_it_is_and_where_it_begins_and_ends(self) -> None:
        """By series, in the order in which they arrived."""
        rows: list[Line] = [(5.0, "PUT", 570), (5.0, "PUT", 571), (4.0, "PUT", 570), (5.0, "CALL", 570)]
        assert stretches([frame(rows), frame([]), frame(rows[:1])], KEY) == {
            (5.0, 1): [(0, 0, 2, (570,), (571,)), (2, 0, 1, (570,), (570,))],
            (4.0, 1): [(0, 2, 1, (570,), (570,))],
            (5.0, 0): [(0, 3, 1, (570,), (570,))],
        }
