"""What fuzzing found, each once: replies that were read as something they do not hold, or ended in a foreign error."""

from collections.abc import Iterator

import polars as pl
import pytest

from spxdata.errors import BadRequest, DataError, MalformedReply
from spxdata.pipeline.parse import parse
from spxdata.terminal.status import error_for
from tests.fuzz.corpus import Sample, samples
from tests.fuzz.target import LISTS, a_list, read, terminal


def sample(dialect: str) -> Sample:
    """Return a short reply of quotes."""
    return next(s for s in samples(dialect) if s.unit.dataset == "quote" and s.unit.interval == "30m")


def damaged(dialect: str, old: bytes, new: bytes) -> tuple[Sample, bytes]:
    """Return a reply with one change."""
    found = sample(dialect)
    assert old in found.body
    return found, found.body.replace(old, new, 1)


@pytest.mark.parametrize(
    ("dialect", "old", "new"),
    [
        pytest.param("v3", b'"PUT"', b'"PUT"h', id="what follows a quoted category"),
        pytest.param("v2", b",34200000,", b",9223372036854775807,", id="milliseconds that are none of a day"),
        pytest.param("v2", b",34200000,", b",-1,", id="milliseconds before the day"),
        pytest.param("v3", b'"2024-01-19"', b'"-2024-01-19"', id="a day before the year 1"),
        pytest.param("v3", b"2024-01-19", b"20-01-19", id="a year of two digits"),
        pytest.param("v3", b"2024-01-19", b"2024-01-1", id="a day of one digit"),
        pytest.param("v3", b"2024-01-19", b"-2024-01-19", id="a year before the first"),
        pytest.param("v3", b"2024-01-19", b"-202-01-19", id="a year before the first, of ten characters"),
        pytest.param("v3", b'\n"', b"\n\x1f\x8b\x08\0", id="rows that look compressed with gzip"),
        pytest.param("v3", b'\n"', b"\nx\x01", id="rows that look compressed with zlib"),
        pytest.param("v3", b'\n"', b"\n\x28\xb5\x2f\xfd", id="rows that look compressed with zstd"),
    ],
)
def test_a_malformed_reply_is_refused_as_such(dialect: str, old: bytes, new: bytes) -> None:
    found, body = damaged(dialect, old, new)
    with pytest.raises(MalformedReply):
        read(terminal(dialect, [body], 4096), found)


def test_empty_quotes_are_an_empty_cell() -> None:
    """In a column that is not stored, too: a row is whole, or it is none."""
    found = next(s for s in samples("v2") if s.unit.dataset == "trade")
    header, row, *rest = found.body.splitlines(keepends=True)
    cells = row.split(b",")
    cells[header.split(b",").index(b"condition_flags")] = b'""'
    with pytest.raises(MalformedReply, match="Row 1 lacks condition_flags"):
        read(terminal("v2", [header + b",".join(cells) + b"".join(rest)], 4096), found)


@pytest.mark.parametrize(
    ("dataset", "old", "new"),
    [
        pytest.param("quote", b",2024-01-16T", b",-2024-01-16T", id="before the first year"),
        pytest.param("eod", b",2024-01-16T", b",-2024-01-16T", id="in a column that no rule compares with the day"),
        pytest.param("eod", b",2024-01-16T", b",24-01-16T", id="a year of two digits"),
        pytest.param("open_interest", b'"2024-01-16"', b'"9024-01-16"', id="an expiration that none of us will see"),
    ],
)
def test_a_time_of_another_age_is_refused(dataset: str, old: bytes, new: bytes) -> None:
    """Python has no year before the first, so that nobody could read what was stored."""
    found = next(s for s in samples("v3") if s.unit.dataset == dataset and not s.requests)
    assert old in found.body
    body = found.body.replace(old, new, 1)
    with pytest.raises(MalformedReply, match="another age"):
        read(terminal("v3", [body], 4096), found)


def test_a_strike_of_v2_is_the_nearest_number_to_what_was_written() -> None:
    """As everyone else reads it: 0.018, not 0.018000000000000002."""
    found = sample("v2")
    header, row, *_ = found.body.splitlines(keepends=True)

    def strikes() -> Iterator[float]:
        cells = row.split(b",")
        for first in range(1, 100_000, 7):
            cells[2] = b"%d" % first
            yield first / 1000
            rows.append(b",".join(cells))

    rows: list[bytes] = []
    wanted = list(strikes())
    frame = pl.concat([batch.frame for batch in parse(iter([header, *rows]), found.unit, "v2")])
    assert frame["strike"].to_list() == wanted


@pytest.mark.parametrize("status", [600, 999])
def test_a_status_that_http_does_not_know_is_an_error_of_ours(status: int) -> None:
    assert isinstance(error_for("v3", status, "", "/v3/option/history/quote"), BadRequest)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b"4700.000", b"4_700.000", id="a number as Python writes it"),
        pytest.param(b"4700.000", "\N{FULLWIDTH DIGIT FOUR}700".encode(), id="digits of another script"),
        pytest.param(b"2024-01-19", b"2024-W03-5", id="a day by its week"),
        pytest.param(b'"CALL"', b'"CA\n\nLL"', id="a quote across lines"),
        pytest.param(b"4700.000", b"47\x0c00.000", id="a line end of another kind"),
        pytest.param(b"SPXW", b"", id="no root"),
        pytest.param(b"SPXW", b'SPXW""', id="no root that there can be"),
        pytest.param(b'"SPXW","2024-01-19"', b'"OTHER","2024-01-99"', id="a damaged row of another root"),
    ],
)
def test_a_damaged_contract_list_is_refused(old: bytes, new: bytes) -> None:
    """A contract that is left out of it would be missed by nobody."""
    body = a_list("v3")
    assert old in body
    with pytest.raises(DataError):
        terminal("v3", [body.replace(old, new, 1)], 4096).contracts("SPXW", sample("v3").unit.trade_date, "quote")


@pytest.mark.parametrize("name", ["strikes", "expirations"])
@pytest.mark.parametrize("root", [b"SPX", b'SPXW""'])
def test_a_list_that_names_another_root_than_its_own_is_refused(name: str, root: bytes) -> None:
    body = a_list("v3", name).replace(b"SPXW", root, 1)
    with pytest.raises(MalformedReply, match="is to be of SPXW"):
        list(LISTS["v3", name].ask(terminal("v3", [body], 4096)))
