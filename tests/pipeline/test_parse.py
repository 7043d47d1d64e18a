import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spxdata.errors import CutOff, DataError, MalformedReply, SchemaDrift
from spxdata.model import Unit
from spxdata.pipeline.parse import BATCH_BYTES, FORMS, LINE_LIMIT, RIGHT, TIME, Batch, _canonical, blocks, parse
from spxdata.schema import DATASETS, Dataset, Form, wire
from spxdata.sessions import NEW_YORK
from tests.builders import a_unit

from .builders import (
    CALL,
    GREEKS,
    GREEKS_UNIT,
    PUT,
    QUOTE,
    QUOTE_UNIT,
    Row,
    a_row,
    csv_of,
    cut,
    moment,
    rows_of,
    unit_for,
    wire_csv,
)

ROWS = rows_of((CALL, PUT), range(571, 575))
BODY = csv_of(ROWS)
GREEKS_BODY = csv_of(rows_of((CALL, PUT), range(571, 575), GREEKS), GREEKS.names)


def parsed(chunks: Iterable[bytes], unit: Unit = QUOTE_UNIT) -> pl.DataFrame:
    """Return all rows of a reply."""
    return pl.concat(batch.frame for batch in parse(iter(chunks), unit))


def body_of(*rows: Row, end: str = "\n") -> bytes:
    """Return a reply of some quote rows."""
    return csv_of(rows, QUOTE.names, end=end)


class TestThreeWayFeed:
    """However the bytes arrive, the rows are the same."""

    @pytest.mark.parametrize(
        ("body", "unit"), [(BODY, QUOTE_UNIT), (GREEKS_BODY, GREEKS_UNIT)], ids=["quote", "greeks"]
    )
    def test_one_byte_at_a_time(self, body: bytes, unit: Unit) -> None:
        """As slow as can be."""
        assert parsed((body[n : n + 1] for n in range(len(body))), unit).equals(parsed([body], unit))

    @given(st.lists(st.integers(0, 10**6), max_size=12))
    def test_cut_anywhere(self, borders: list[int]) -> None:
        """Empty pieces too."""
        assert parsed(cut(BODY, borders)).equals(parsed([BODY]))

    @given(st.lists(st.integers(0, 10**6), max_size=12), st.integers(1, 2000))
    def test_blocks_are_whole_lines_and_lose_nothing(self, borders: list[int], size: int) -> None:
        """Of whatever size."""
        found = list(blocks(iter(cut(BODY, borders)), size))
        assert b"".join(found) == BODY
        assert all(block.endswith(b"\n") for block in found)

    @given(st.lists(st.integers(0, 10**6), max_size=60))
    def test_blocks_are_no_larger_than_size_and_what_arrived_last(self, borders: list[int]) -> None:
        """So memory is bounded by the batch."""
        pieces = cut(BODY, borders)
        largest = max(map(len, pieces))
        line = max(len(line) for line in BODY.split(b"\n"))
        assert all(len(block) < 200 + largest + line for block in blocks(iter(pieces), 200))


class TestSpellings:
    """What may differ from reply to reply without a difference in the rows."""

    plain = parsed([BODY])

    def test_canonical_columns_and_types(self) -> None:
        """Names in v3 order; moments in New York's time to the microsecond."""
        assert tuple(self.plain.columns) == QUOTE.names
        known: dict[str, pl.DataType] = {
            "symbol": pl.String(),
            "expiration": pl.Date(),
            "right": RIGHT,
            "timestamp": TIME,
            **dict.fromkeys(("strike", "bid", "ask"), pl.Float64()),
        }
        assert self.plain.schema == pl.Schema({name: known.get(name, pl.Int32()) for name in QUOTE.names})

    def test_values_are_what_was_written(self) -> None:
        """Read back one by one."""
        row = self.plain.row(0, named=True)
        assert row["timestamp"] == datetime(2024, 1, 16, 9, 31, tzinfo=NEW_YORK)
        assert (row["symbol"], row["expiration"], row["strike"], row["right"]) == ("SPXW", *CALL)
        assert [str(row["bid"]), str(row["ask"])] == ["64.9", "67.9"]

    def test_line_ends(self) -> None:
        """CRLF or LF."""
        assert parsed([csv_of(ROWS, end="\r\n")]).equals(self.plain)

    def test_quoted_texts(self) -> None:
        """Header and values, as some Terminals send them."""
        names = ("symbol", "expiration", "right")
        quoted = [{**row, **{name: f'"{row[name]}"' for name in names}} for row in ROWS]
        assert parsed([csv_of(quoted)]).equals(self.plain)
        header, rest = BODY.split(b"\n", 1)
        everything = b",".join(b'"' + name + b'"' for name in header.split(b","))
        assert parsed([everything + b"\n" + rest]).equals(self.plain)

    @pytest.mark.parametrize("digits", range(10))
    def test_fractions_of_a_second(self, digits: int) -> None:
        """0 to 9 digits, zeros after the sixth; a dot only if one follows."""
        fraction = "." + "0" * digits if digits else ""
        rows = [{**row, "timestamp": row["timestamp"] + fraction} for row in ROWS]
        assert parsed([csv_of(rows)]).equals(self.plain)

    def test_fractions_may_differ_from_row_to_row(self) -> None:
        """To the microsecond."""
        times = ("09:31:00", "09:31:00.5", "09:31:00.123", "09:31:00.123456", "09:31:00.123456000")
        found = parsed([body_of(*(a_row(timestamp=f"2024-01-16T{time}") for time in times))])
        micros = (0, 500_000, 123_000, 123_456, 123_456)
        assert found["timestamp"].to_list() == [datetime(2024, 1, 16, 9, 31, 0, n, tzinfo=NEW_YORK) for n in micros]

    @given(st.permutations(QUOTE.names))
    def test_column_order(self, names: list[str]) -> None:
        """Columns are read by name."""
        assert parsed([csv_of(ROWS, names)]).equals(self.plain)

    def test_byte_order_mark(self) -> None:
        """Before the header, quoted or not."""
        assert parsed([b"\xef\xbb\xbf" + BODY]).equals(self.plain)
        assert parsed([b"\xef\xbb\xbf" + BODY.replace(b"symbol", b'"symbol"')]).equals(self.plain)

    def test_number_formats(self) -> None:
        """The same number however many digits are written."""
        rows = [{**row, "bid": "6.49e1", "ask": "67.900000", "strike": "4700"} for row in ROWS]
        assert parsed([csv_of(rows)]).equals(self.plain)

    @given(st.floats(allow_nan=False, allow_infinity=False))
    def test_numbers_survive_exactly(self, number: float) -> None:
        """Every float64 comes back as it was written."""
        assert parsed([body_of(a_row(bid=repr(number)))])["bid"].item() == number

    def test_new_york_time_on_both_sides_of_the_clock_change(self) -> None:
        """-5 hours on Friday, -4 on Monday."""
        found = parsed([body_of(*(a_row(timestamp=moment(571, date(2024, 3, day))) for day in (8, 11)))])
        assert [when.utcoffset() for when in found["timestamp"]] == [timedelta(hours=-5), timedelta(hours=-4)]
        assert found["timestamp"].dt.hour().to_list() == [9, 9]

    def test_an_underlying_timestamp_of_another_day(self) -> None:
        """The index may be older than the option's minute, on the other side of a clock change too."""
        stale = "2024-03-08T16:15:00"
        rows = [a_row(GREEKS, timestamp="2024-03-11T09:31:00", underlying_timestamp=stale)]
        found = parsed([csv_of(rows)], GREEKS_UNIT)
        assert found["underlying_timestamp"].item() == datetime(2024, 3, 8, 16, 15, tzinfo=NEW_YORK)

    def test_a_header_alone_has_no_rows(self) -> None:
        """What that means is for others to say."""
        assert list(parse(iter([csv_of([])]), QUOTE_UNIT)) == []


class TestDrift:
    """Columns that are not the pinned ones."""

    @pytest.mark.parametrize(
        ("names", "missing", "extra"),
        [
            (QUOTE.names[:-1], "ask_condition", ""),
            ((*QUOTE.names, "volume"), "", "volume"),
            ((*QUOTE.names[:-1], "ask_cond"), "ask_condition", "ask_cond"),
            ((*QUOTE.names[:-1], "bid"), "ask_condition", ""),
            ((*QUOTE.names, "bid"), "", ""),
            (tuple(name.upper() for name in QUOTE.names), "symbol", "SYMBOL"),
            (GREEKS.names, "bid_size", "delta"),
        ],
        ids=["missing", "extra", "renamed", "twice for another", "twice", "upper case", "another dataset"],
    )
    def test_it_names_both_lists(self, names: tuple[str, ...], missing: str, extra: str) -> None:
        """What is missing, what is unexpected, what was expected and what was found."""
        row = dict.fromkeys(names, "1")
        with pytest.raises(SchemaDrift) as caught:
            parsed([csv_of([row], names)])
        assert caught.value.expected == QUOTE.names
        assert caught.value.found == names
        assert missing in caught.value.message.split("unexpected")[0]
        assert extra in caught.value.message.split("unexpected")[1]

    def test_it_is_seen_before_any_row(self) -> None:
        """With the header as evidence."""
        with pytest.raises(SchemaDrift) as caught:
            next(parse(iter([b"a,b\n", BODY]), QUOTE_UNIT))
        assert caught.value.evidence
        assert b"a,b" in caught.value.evidence.header + caught.value.evidence.batch


def spoiled(at: int, **changes: object) -> bytes:
    """Return a reply in which one row has other cells."""
    return csv_of(
        [{**row, **{k: str(v) for k, v in changes.items()}} if n == at else row for n, row in enumerate(ROWS)]
    )


def with_line(at: int, line: bytes) -> bytes:
    """Return a reply with another line in one place."""
    lines = BODY.split(b"\n")
    return b"\n".join([*lines[:at], line, *lines[at:]])


LINE = BODY.split(b"\n")[1]

MALFORMED: dict[str, bytes] = {
    "no bytes": b"",
    "an empty header": b"\n" + BODY,
    "a blank header": b"  \r\n" + BODY,
    "no line end at all": b"symbol,expiration",
    "a header without its line end": BODY.split(b"\n")[0],
    "a cut last row": BODY[:-1],
    "a last row cut to a number that reads well": BODY[:-2],
    "a short row at the beginning": with_line(1, LINE.rsplit(b",", 1)[0]),
    "a short row inside": with_line(4, LINE.rsplit(b",", 1)[0]),
    "a short row at the end": BODY + LINE.rsplit(b",", 2)[0] + b"\n",
    "a long row at the beginning": with_line(1, LINE + b",7"),
    "a long row inside": with_line(4, LINE + b",7"),
    "a long row at the end": BODY + LINE + b",7\n",
    "a long row of an empty cell": with_line(4, LINE + b","),
    "a blank line at the beginning": with_line(1, b""),
    "a blank line inside": with_line(4, b""),
    "a blank line of blanks": with_line(4, b"  "),
    "a blank line with CR": with_line(4, b"\r"),
    "a trailing blank line": BODY + b"\n",
    "nothing but blank lines": BODY.split(b"\n")[0] + b"\n\n\n",
    "an empty number": spoiled(3, ask=""),
    "an empty quoted number": spoiled(3, ask='""'),
    "an empty text": spoiled(3, symbol=""),
    "an empty quoted text": spoiled(3, symbol='""'),
    "an empty time": spoiled(3, timestamp=""),
    "an empty last cell": spoiled(7, ask_condition=""),
    "a quote that opens a row": with_line(4, b'"' + LINE),
    "a quote that opens a cell": spoiled(3, right='"CALL'),
    "a quote that ends a cell": spoiled(3, right='CALL"'),
    "a quote in the last cell": spoiled(7, ask_condition='"50'),
    "a line feed inside quotes": spoiled(3, symbol='"SP\nXW"'),
    "a text for a number": spoiled(3, bid="n/a"),
    "a fraction for an integer": spoiled(3, bid_size="1.5"),
    "an integer beyond 32 bits": spoiled(3, bid_size=2**31),
    "an integer beyond 64 bits": spoiled(3, bid_size=2**70),
    "a negative integer beyond 32 bits": spoiled(3, bid_size=-(2**31) - 1),
    "a v2 right": spoiled(3, right="C"),
    "a lower-case right": spoiled(3, right="call"),
    "a day that is none": spoiled(3, expiration="2024-02-30"),
    "a day before the year 1": spoiled(3, expiration="-024-01-16"),
    "a day after the year 9999": spoiled(3, expiration="+12024-01-16"),
    "a time before the year 1": spoiled(3, timestamp="0000-01-16T09:31:00"),
    "a time that is after the year 9999 in Greenwich": spoiled(3, timestamp="9999-12-31T23:31:00"),
    "a 60th second": spoiled(3, timestamp="2024-01-16T09:31:60.000"),
    "a 60th second after a blank": spoiled(3, timestamp="2024-01-16T09:31: 60"),
    "a fraction finer than a microsecond": spoiled(3, timestamp="2024-01-16T09:31:00.123456789"),
    "a fraction finer than a nanosecond": spoiled(3, timestamp="2024-01-16T09:31:00.1234560000001"),
    "a number for a day": spoiled(3, expiration="19738"),
    "a time without day": spoiled(3, timestamp="09:31:00"),
    "a time with a zone": spoiled(3, timestamp="2024-01-16T09:31:00Z"),
    "a time with a blank": spoiled(3, timestamp="2024-01-16 09:31:00"),
    "a time that the clocks skipped": spoiled(3, timestamp="2024-03-10T02:30:00"),
    "a time that was there twice": spoiled(3, timestamp="2024-11-03T01:30:00"),
    "a repeated header": with_line(4, BODY.split(b"\n")[0]),
    "no UTF-8": spoiled(3).replace(b"SPXW", b"SP\xff\xfe", 1),
    "an error text after some rows": BODY + b"Internal server error\n",
    "HTML": b"<html>\n<body>Bad gateway</body>\n</html>\n",
}


class TestMalformed:
    """Replies that cannot be trusted to say what the vendor meant."""

    @pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
    def test_it_is_refused(self, body: bytes) -> None:
        """Never repaired, never skipped over; whole and byte by byte."""
        for chunks in ([body] if body else [], [body[n : n + 1] for n in range(len(body))]):
            with pytest.raises(DataError):
                list(parse(iter(chunks), QUOTE_UNIT))

    def test_evidence_is_the_raw_batch_with_its_header(self) -> None:
        """What quarantine keeps can be fed to the parser again."""
        body = MALFORMED["a short row inside"]
        with pytest.raises(MalformedReply, match="Row 4 lacks ask_condition") as caught:
            list(parse(iter([body]), QUOTE_UNIT))
        assert caught.value.evidence
        assert caught.value.evidence.header + caught.value.evidence.batch == body

    def test_a_cut_row_is_told_from_its_last_bytes(self) -> None:
        """So that a person sees where it stopped."""
        with pytest.raises(MalformedReply, match=r"The last row is cut.*67\.9"):
            list(parse(iter([BODY[:-4]]), QUOTE_UNIT))

    def test_a_long_message_is_cut(self) -> None:
        """The reply's own text does not flood the log."""
        with pytest.raises(MalformedReply) as caught:
            list(parse(iter([spoiled(3, bid="x" * 5000)]), QUOTE_UNIT))
        assert len(caught.value.message) < 500

    def test_the_first_wrong_row_is_named(self) -> None:
        """With its column: of what polars reads as something else without a word."""
        for name, cell in (("timestamp", "2024-01-16T09:31:60"), ("expiration", "0000-01-16"), ("symbol", '""')):
            with pytest.raises(MalformedReply, match=f"Row 4.*{name}"):
                list(parse(iter([spoiled(3, **{name: cell})]), QUOTE_UNIT))

    def test_an_endless_line_is_refused_within_bounded_memory(self) -> None:
        """After the limit, not at the end of all bytes; its evidence is bounded too."""
        drawn = 0

        def endless() -> Iterator[bytes]:
            nonlocal drawn
            yield BODY
            while True:
                drawn += 1
                yield b"x" * 65536

        with pytest.raises(MalformedReply, match="A line has no end"):
            list(blocks(endless(), size=4096))
        assert drawn * 65536 <= LINE_LIMIT + 2 * 65536
        drawn = 0
        with pytest.raises(MalformedReply) as caught:
            list(parse(endless(), QUOTE_UNIT))
        assert drawn * 65536 <= BATCH_BYTES + LINE_LIMIT + 2 * 65536
        assert caught.value.evidence
        assert len(caught.value.evidence.batch) <= BATCH_BYTES

    def test_an_early_end_is_passed_on_as_it_is(self) -> None:
        """A reply that was cut off is the transport's error, whatever stood in it."""

        def broken() -> Iterator[bytes]:
            yield BODY
            raise CutOff("cut off")

        with pytest.raises(CutOff):
            list(parse(broken(), QUOTE_UNIT))


@given(st.binary(max_size=400))
@example(b"\x00")
@example(b'"')
@example(b"\n\n")
def test_any_garbage_parses_or_raises_a_data_error(garbage: bytes) -> None:
    """Never another error: alone, and after a header."""
    header = csv_of([])
    for body in (garbage, header + garbage, header + garbage + b"\n", BODY + garbage + b"\n"):
        with suppress(DataError):
            list(parse(iter([body]), QUOTE_UNIT))


mutations = st.lists(
    st.tuples(
        st.integers(0, 10**6),
        st.integers(0, 3),
        st.sampled_from([b"", b",", b'"', b"\n", b"\r", b"-", b"\x00"]) | st.binary(max_size=3),
    ),
    min_size=1,
    max_size=5,
)


@given(mutations)
def test_a_mutated_reply_parses_or_raises_a_data_error(changes: list[tuple[int, int, bytes]]) -> None:
    """Bytes replaced, removed and inserted anywhere; what parses has a row per line."""
    body = bytearray(BODY)
    for at, length, new in changes:
        start = at % (len(body) + 1)
        body[start : start + length] = new
    try:
        rows = sum(batch.frame.height for batch in parse(iter([bytes(body)]), QUOTE_UNIT))
    except DataError:
        return
    assert rows == body.count(b"\n") - 1


class TestBatches:
    """A reply larger than one batch."""

    #: 18 MB: two batches.
    lines = 230_000
    line = LINE + b"\n"
    header = BODY.split(b"\n")[0] + b"\n"

    def chunks(self, *, spoil: int | None = None) -> Iterator[bytes]:
        """Yield it in uneven pieces, one line of it unreadable."""
        lines = [self.line] * self.lines
        if spoil is not None:
            lines[spoil] = self.line.replace(b"64.90", b"sixty")
        body = self.header + b"".join(lines)
        dice = random.Random(7)  # noqa: S311 - sizes of pieces
        borders = sorted(dice.randrange(len(body)) for _ in range(300))
        for start, stop in pairwise([0, *borders, len(body)]):
            yield body[start:stop]

    def test_batches_hold_consecutive_rows_and_their_own_bytes(self) -> None:
        """They know where they begin; together they are the reply."""
        batches = list(parse(self.chunks(), QUOTE_UNIT))
        assert len(batches) > 1
        assert sum(batch.frame.height for batch in batches) == self.lines
        first = 0
        for batch in batches:
            assert isinstance(batch, Batch)
            assert batch.evidence.first_row == first
            assert batch.evidence.header == self.header
            assert batch.evidence.batch == self.line * batch.frame.height
            first += batch.frame.height

    def test_a_fault_in_a_later_batch_keeps_only_that_batch(self) -> None:
        """The one before it has passed by then."""
        batches = parse(self.chunks(spoil=self.lines - 2), QUOTE_UNIT)
        passed = next(batches)
        with pytest.raises(MalformedReply) as caught:
            list(batches)
        assert caught.value.evidence
        assert caught.value.evidence.header == self.header
        assert caught.value.evidence.first_row >= passed.frame.height
        assert b"sixty" in caught.value.evidence.batch
        assert len(caught.value.evidence.batch) < BATCH_BYTES + LINE_LIMIT


class TestDatasets:
    """Every dataset in both dialects."""

    @pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
    def test_both_dialects_are_the_same_table_but_for_what_v2_lacks(self, dataset: Dataset) -> None:
        """In every value and type; what v2 lacks is null there."""
        unit, rows = unit_for(dataset), rows_of((CALL, PUT), range(571, 575), dataset)
        v3 = parsed([wire_csv(rows, dataset)], unit)
        assert v3.height == len(rows)
        assert tuple(v3.columns) == dataset.names
        assert v3.null_count().sum_horizontal().item() == 0
        if dataset.v2 is None:
            return
        v2 = pl.concat(batch.frame for batch in parse(iter([wire_csv(rows, dataset, "v2")]), unit, "v2"))
        assert v2.schema == v3.schema
        assert v2.drop(dataset.v2.lacks).equals(v3.drop(dataset.v2.lacks))
        for name in dataset.v2.lacks:
            assert v2[name].null_count() == v2.height

    @pytest.mark.parametrize("name", [name for name, dataset in DATASETS.items() if dataset.v2])
    def test_an_unknown_column_of_v2_is_still_drift(self, name: str) -> None:
        """One that is known to be dropped is not; a missing one of those is."""
        dataset = DATASETS[name]
        header, _, rest = wire_csv([a_row(dataset)], dataset, "v2").partition(b"\r\n")
        columns = header.split(b",")
        for spoiled_ in ([*columns, b"extra"], columns[:-1], [*columns[:-2], b"another", columns[-1]]):
            with pytest.raises(SchemaDrift):
                list(parse(iter([b",".join(spoiled_) + b"\r\n" + rest]), unit_for(dataset), "v2"))

    @pytest.mark.parametrize("name", ["trade", "trade_quote"])
    def test_what_only_v2_sends_of_trades_is_not_stored(self, name: str) -> None:
        """Whatever it says."""
        dataset = DATASETS[name]
        body = wire_csv([a_row(dataset)], dataset, "v2")
        assert b"volume_type" in body
        frame = pl.concat(batch.frame for batch in parse(iter([body]), unit_for(dataset), "v2"))
        assert tuple(frame.columns) == dataset.names
        assert frame["sequence"].to_list() == [-1986932228]

    def test_the_last_trade_of_v2_is_midnight_where_there_was_none(self) -> None:
        """As in v3."""
        dataset = DATASETS["eod"]
        rows = [a_row(dataset, last_trade="2024-01-16T00:00:00")]
        frame = pl.concat(
            batch.frame for batch in parse(iter([wire_csv(rows, dataset, "v2")]), unit_for(dataset), "v2")
        )
        assert frame["last_trade"].item() == datetime(2024, 1, 16, tzinfo=NEW_YORK)

    @pytest.mark.parametrize("spelled", ["2024-01-19", "20240119", " 20240119", " 2024-01-19", '" 20240119"'])
    @pytest.mark.parametrize("dataset", [QUOTE, DATASETS["greeks_eod"]], ids=["quote", "greeks_eod"])
    def test_days_come_with_and_without_hyphens_and_with_a_blank_before_them(
        self, dataset: Dataset, spelled: str
    ) -> None:
        """All of them have been seen of v3."""
        unit = unit_for(dataset)
        found = parsed([wire_csv([a_row(dataset, expiration=spelled)], dataset)], unit)
        assert found.equals(parsed([wire_csv([a_row(dataset)], dataset)], unit))

    @pytest.mark.parametrize("spelled", ["2024-01-16", "20240116", " 2024-01-16"])
    def test_so_do_days_of_the_interest_rate(self, spelled: str) -> None:
        """Whose only time is a day."""
        dataset = DATASETS["interest_rate"]
        frame = parsed([wire_csv([a_row(dataset, created=spelled)], dataset)], unit_for(dataset))
        assert frame.rows() == [(date(2024, 1, 16), 5.31)]

    def test_a_reply_may_mix_spellings_of_a_day(self) -> None:
        """From row to row."""
        rows = [a_row(expiration=spelled) for spelled in ("2024-01-19", "20240119", " 20240119")]
        assert parsed([csv_of(rows)])["expiration"].to_list() == [date(2024, 1, 19)] * 3

    @pytest.mark.parametrize("spelled", ["19-01-2024", "240119", "2024-01-19T00:00:00", "0"])
    def test_other_spellings_of_a_day_are_refused(self, spelled: str) -> None:
        """Guessing would be worse."""
        with pytest.raises(MalformedReply):
            parsed([csv_of([a_row(expiration=spelled)])])


def test_recorded_v3_replies_parse_to_the_recorded_v2_values(reference: Path) -> None:
    """Every value of every file, read from the other dialect's form by plain Python."""
    folder = reference / "realdata/theta_v3_quote"
    files = sorted(folder.glob("*.csv"))
    assert files
    for path in files:
        root, day, expiration = path.stem.split("_")
        unit = a_unit(
            root=root, trade_date=date.fromisoformat(day), expiration=date.fromisoformat(expiration), dataset="quote"
        )
        frame = parsed([path.read_bytes()], unit)
        header, *lines = (reference / "realdata/theta_v2_quote" / path.name).read_text().splitlines()
        cells = [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]
        midnight = datetime.combine(unit.trade_date, datetime.min.time(), NEW_YORK)
        expected = [
            (
                row["root"],
                date.fromisoformat(row["expiration"]),
                int(row["strike"]) / 1000,
                {"C": "CALL", "P": "PUT"}[row["right"]],
                midnight + timedelta(milliseconds=int(row["ms_of_day"])),
                *(float(row[name]) for name in QUOTE.names[5:]),
            )
            for row in cells
        ]
        assert frame.rows() == expected


def test_the_recorded_greeks_parse(reference: Path) -> None:
    """Bare texts, no fractions of seconds."""
    unit = a_unit(root="SPY", trade_date=date(2025, 9, 19), expiration=date(2025, 10, 17))
    body = (reference / "thetadata/samples/docs_greeks_first_order_SPY_420C.csv").read_bytes()
    frame = parsed([body], unit)
    assert frame.height == body.count(b"\n") - 1
    assert frame["lambda"][1] == 2.6965


class TestEachCellOnce:
    """Days and times repeat from contract to contract: each different cell is read once."""

    @given(
        st.lists(st.sampled_from([*range(570, 576), 975]), min_size=1, max_size=30),
        st.sampled_from(["", ".000", ".5", ".123456"]),
        st.sampled_from(["v3", "v2"]),
        st.booleans(),
    )
    def test_it_is_what_reading_every_cell_gives(
        self, minutes: list[int], fraction: str, dialect: str, one_day: bool
    ) -> None:
        """In both dialects; in v2, whose times are on the day of another column, on one day and on several."""
        dataset, sent = GREEKS, wire(GREEKS, dialect)
        cells: dict[Form, Callable[[int], object]] = {
            Form.TEXT: lambda _: "SPXW",
            Form.ISO_DAY: lambda n: f"2024-01-{16 + n % 3:02}",
            Form.COMPACT_DAY: lambda n: f"2024011{6 if one_day else 6 + n % 3}",
            Form.ISO_TIME: lambda n: f"2024-01-16T{n // 60:02}:{n % 60:02}:00{fraction}",
            Form.MS_OF_DAY: lambda n: n * 60_000,
            Form.INTEGER: lambda n: n,
            Form.NUMBER: lambda n: n / 100,
            Form.TENTH_CENTS: lambda n: n * 1000,
            Form.RIGHT_WORD: lambda n: ("CALL", "PUT")[n % 2],
            Form.RIGHT_LETTER: lambda n: "CP"[n % 2],
        }
        raw = pl.DataFrame(
            [pl.Series(c.name, [cells[c.form](n) for n in minutes], FORMS[c.form][0]) for c in sent.columns]
        )
        different = {name: raw[name].unique() for name in raw.columns}
        assert _canonical(raw, different, dataset, sent, {}).equals(_canonical(raw, {}, dataset, sent, {}))
