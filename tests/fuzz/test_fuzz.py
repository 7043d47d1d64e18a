"""A sample of the fuzzing that `make fuzz` does at length, and what it rests on."""

import tracemalloc
from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest

from spxdata.errors import DataError
from spxdata.pipeline.parse import parse
from spxdata.schema import DATASETS, TICK
from tests.fuzz.corpus import DIALECTS, samples
from tests.fuzz.http import responses
from tests.fuzz.mutate import MUTATIONS, mutated
from tests.fuzz.oracle import Unreadable, rows_of
from tests.fuzz.target import LISTS, Found, a_list, fuzzed, held_by, judged, of_sample, read, terminal

SEED = 2024
#: How much of an endless reply may be drawn before it is refused.
BOUND = 48 * 1024 * 1024


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_damaged_reply_gives_exactly_the_rows_it_holds_or_an_error_of_ours(dialect: str) -> None:
    """Some of each are there: a parser that refused everything would pass, and be useless."""
    found = [fuzzed(dialect, SEED, number) for number in range(1_000)]
    assert [(number, one) for number, one in enumerate(found) if one.what == "WRONG"] == []
    came = Counter(one.what for one in found)
    assert came["rows"] > 100
    assert came["SPX-D001"] > 10
    assert came["SPX-D002"] > 100
    assert came["SPX-D003"] > 10


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_damaged_response_gives_rows_of_the_reply_or_an_error_of_ours(dialect: str) -> None:
    """Head, framing and body, over a socket."""
    found = list(responses(dialect, SEED, 100))
    assert [(number, one) for number, one in found if one.what == "WRONG"] == []
    assert len({one.what for _, one in found}) > 3


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_sound_reply_gives_what_the_oracle_reads(dialect: str) -> None:
    """Of every dataset that the emulator has."""
    for sample in samples(dialect):
        rows, _ = read(of_sample(sample, sample.pages, 4096), sample)
        assert len(rows) == len(sample.rows) > 0
        in_pieces = of_sample(sample, sample.pages, 7)
        found = judged(sample, sample.pages, "nothing", lambda sample=sample, source=in_pieces: read(source, sample))  # type: ignore[misc]
        assert found.what == "rows", found


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dataset_of_a_dialect_is_damaged(dialect: str) -> None:
    """As points of a grid, and as ticks where it has them; contract by contract where it comes so."""
    known = samples(dialect)
    missing = set(DATASETS) - {sample.unit.dataset for sample in known}
    assert missing == ({"interest_rate"} if dialect == "v2" else set())
    ticking = {name for name, dataset in DATASETS.items() if TICK in dataset.intervals}
    assert {sample.unit.dataset for sample in known if sample.unit.interval == TICK} == ticking
    singly = {sample.unit.interval for sample in known if sample.requests}
    assert singly == ({"1m", "30m", TICK} if dialect == "v2" else {TICK})


@pytest.mark.parametrize(("dialect", "name"), LISTS)
def test_a_sound_list_gives_what_the_oracle_reads(dialect: str, name: str) -> None:
    """Of contracts, of strikes and of expirations."""
    body, listing = a_list(dialect, name), LISTS[dialect, name]
    held = held_by(body, listing)
    assert held
    assert set(listing.ask(terminal(dialect, [body], 4096))) == held


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("sign", [b"x", b",", b'"', b"\0", b"9"])
def test_a_line_without_end_is_refused_within_bounded_memory(dialect: str, sign: bytes) -> None:
    """After a header, or instead of one."""
    sample = samples(dialect)[0]
    for start in (b"", sample.body.splitlines(keepends=True)[0]):
        drawn = 0

        def endless(start: bytes = start) -> Iterator[bytes]:
            nonlocal drawn
            yield start
            while True:
                drawn += 1 << 20
                assert drawn < BOUND, "it is drawn without end"
                yield sign * (1 << 20)

        tracemalloc.start()
        with pytest.raises(DataError):
            list(parse(endless(), sample.unit, dialect))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 5 * BOUND


def test_all_of_a_mutation_follows_from_its_number() -> None:
    """A finding can be tried again."""
    assert fuzzed("v3", SEED, 3) == fuzzed("v3", SEED, 3)
    assert [mutated(b"a,b\n1,2\n", Random(seed)) for seed in range(50)] == [  # noqa: S311 - the same ones every time
        mutated(b"a,b\n1,2\n", Random(seed))  # noqa: S311 - the same ones every time
        for seed in range(50)
    ]


@pytest.mark.parametrize("name", MUTATIONS)
@pytest.mark.parametrize("body", [b"", b"\n", b"a", b"a,b\r\n1,2\r\n", b"\xff\xfe"])
def test_every_mutation_takes_any_bytes(name: str, body: bytes) -> None:
    """They are applied one upon the other."""
    for seed in range(30):
        assert isinstance(MUTATIONS[name][0](body, Random(seed)), bytes)  # noqa: S311 - the same ones every time


class TestOracle:
    """The oracle reads what is there, and nothing else."""

    HEADER = b"symbol,expiration,strike,right,timestamp,open_interest\n"
    ROW = b'"SPXW","2024-01-19",4750.000,"CALL",2024-01-16T06:30:00.000,12\n'

    def test_it_reads_a_row(self) -> None:
        (row,) = rows_of([self.HEADER + self.ROW], DATASETS["open_interest"], "v3")
        assert row[0] == "SPXW"
        assert row[2] == 4750.0
        assert row[-1] == 12

    def test_columns_may_come_in_any_order(self) -> None:
        swapped = self.HEADER.replace(b"strike,right", b"right,strike") + self.ROW.replace(
            b'4750.000,"CALL"', b'"CALL",4750.000'
        )
        assert rows_of([swapped], DATASETS["open_interest"], "v3") == rows_of(
            [self.HEADER + self.ROW], DATASETS["open_interest"], "v3"
        )

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b"12\n", b"12"),
            (b",12", b""),
            (b",12", b",12,13"),
            (b",12", b",twelve"),
            (b",12", b",4000000000"),
            (b'"CALL"', b'"CALL'),
            (b'"CALL"', b"call"),
            (b"2024-01-19", b"2024-13-19"),
            (b"4750.000", b""),
            (b"4750.000", b"4_750"),
            (b"SPXW", b"SP\xffXW"),
            (b"\n", b"\n\n"),
        ],
    )
    def test_it_refuses_what_is_no_row(self, old: bytes, new: bytes) -> None:
        with pytest.raises(Unreadable):
            rows_of([self.HEADER + self.ROW.replace(old, new)], DATASETS["open_interest"], "v3")

    def test_a_table_that_lacks_a_row_without_a_hole_is_found(self) -> None:
        """The check of holes can fail."""
        sample = next(sample for sample in samples("v3") if sample.unit.interval == "30m")

        def reading() -> tuple[list[tuple[object, ...]], tuple[()]]:
            return rows[:-1], ()

        rows, _ = read(terminal("v3", [sample.body], 4096), sample)
        cut = sample.body[: sample.body.rstrip().rindex(b"\n") + 1]
        found: Found = judged(sample, [cut], "cut", reading)
        assert found.what == "WRONG"
