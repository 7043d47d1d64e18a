"""Recorded answers of the vendor's own servers, through parse, validate and write: no value may change."""

import csv
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from spxdata.errors import BrokenRule
from spxdata.flags import Flag
from spxdata.layout import path_of
from spxdata.model import Contract, Hole, Right, Unit
from spxdata.pipeline.edges import Encoding, SortMemory
from spxdata.pipeline.order import Order, Sorter
from spxdata.pipeline.parse import parse
from spxdata.pipeline.validate import Checked, validate
from spxdata.pipeline.write import write
from spxdata.schema import DATASETS, Kind
from spxdata.storage.local import LocalStorage
from tests.builders import FakeClock, a_provenance
from tests.conftest import reference_folder

DAY = date(2024, 6, 14)
CALL = Contract(date(2024, 6, 21), 500.0, Right.CALL)
NEW_YORK = "America/New_York"

#: Dataset and interval of each file, and how many rows it has.
RECORDED = {
    "greeks_all": ("5m", 79),
    "greeks_eod": ("1d", 1),
    "trade": ("tick", 98),
    "trade_quote": ("tick", 98),
}


def pieces(body: bytes, size: int = 1000) -> Iterator[bytes]:
    """Return a reply as it would arrive."""
    return (body[at : at + size] for at in range(0, len(body), size))


def stored(
    unit: Unit, body: bytes, folder: Path, listed: frozenset[Contract] | None, dialect: str = "v3"
) -> tuple[pl.DataFrame, tuple[Hole, ...]]:
    """Take a reply through parse, validate and write; return what any tool reads of the file, and its holes."""
    storage = LocalStorage(folder)
    with (
        Sorter(Order.of(unit), SortMemory()) as sorter,
        write(unit, storage, Encoding(), lambda: a_provenance(dialect=dialect), FakeClock()) as sink,
    ):
        checked: Checked = validate(parse(pieces(body), unit, dialect), unit, listed, sorter)
        sink.commit(checked, accept_holes=True)
    frame = pl.from_arrow(pq.read_table(folder / path_of(unit)))
    assert isinstance(frame, pl.DataFrame)
    return frame, checked.holes


def source_rows(body: bytes) -> list[dict[str, str]]:
    """Read a file with nothing but the csv module."""
    return list(csv.DictReader(body.decode().splitlines()))


def wrong_cells(source: Sequence[dict[str, str]], frame: pl.DataFrame, dataset: str) -> list[tuple[int, str]]:
    """Return the cells whose value differs from the source's text, numbers compared as decimals."""
    kinds = {column.name: column.kind for column in DATASETS[dataset].columns}

    def same(text: str, value: object, kind: Kind) -> bool:
        match value:
            case datetime():
                return value.replace(tzinfo=None) == datetime.fromisoformat(text)
            case date():
                return value == date.fromisoformat(text.strip())
            case int() | float() if kind is not Kind.TEXT:
                return Decimal(str(value)) == Decimal(text)
            case _:
                return str(value) == text

    return [
        (number, name)
        for number, (row, values) in enumerate(zip(source, frame.iter_rows(named=True), strict=True))
        for name, kind in kinds.items()
        if not same(row[name], values[name], kind)
    ]


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_answer_is_stored_with_no_value_changed(
    name: str, reference: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Numbers compared with the file's own digits; trades in the order in which they came."""
    interval, rows = RECORDED[name]
    expiration = CALL.expiration if DATASETS[name].unit_of == "expiration" else None
    unit = Unit(DAY, "SPY", name, interval, expiration)
    body = (reference / f"realdata/recorded/option_history_{name}.csv").read_bytes()
    source = source_rows(body)
    frame, holes = stored(unit, body, tmp_path, frozenset({CALL}))
    assert frame.height == len(source) == rows
    assert frame.columns == ["trade_date", *DATASETS[name].names, "flags"]
    assert frame["trade_date"].unique().to_list() == [DAY]
    assert wrong_cells(source, frame, name) == []
    assert [hole for hole in holes if hole.partial] == []
    record_property("figure", f"recorded {name}: {rows} rows, {len(DATASETS[name].names)} columns, 0 values changed")


def test_flags_of_recorded_answers(reference: Path, tmp_path: Path) -> None:
    """The row of 09:30 is the vendor's empty one; no trade and no report ever is."""
    found = {}
    for name, (interval, _) in RECORDED.items():
        expiration = CALL.expiration if DATASETS[name].unit_of == "expiration" else None
        unit = Unit(DAY, "SPY", name, interval, expiration)
        body = (reference / f"realdata/recorded/option_history_{name}.csv").read_bytes()
        found[name] = stored(unit, body, tmp_path / name, frozenset({CALL}))[0]["flags"]
    sentinels = {name: (flags & Flag.SENTINEL.value != 0).to_list() for name, flags in found.items()}
    assert sentinels["greeks_all"][0]
    assert not any(sentinels["greeks_all"][1:])
    assert not any(flag for name in ("greeks_eod", "trade", "trade_quote") for flag in sentinels[name])
    assert not any(flags & Flag.REPEATED for name in ("trade", "trade_quote") for flags in found[name])


def test_a_recorded_answer_of_another_day_is_refused(reference: Path, tmp_path: Path) -> None:
    """The same trades, asked for of the day before."""
    body = (reference / "realdata/recorded/option_history_trade.csv").read_bytes()
    with pytest.raises(BrokenRule, match="another_day: 98 of 98"):
        stored(Unit(date(2024, 6, 13), "SPY", "trade", "tick", CALL.expiration), body, tmp_path, None)


def names_of(folder: str) -> list[str]:
    """Return the files of a folder of recorded data, and one that stands for them where there is none."""
    return sorted(path.name for path in (reference_folder() / "realdata" / folder).glob("*.csv")) or ["none"]


def v2_contract(row: dict[str, str]) -> Contract:
    """Return the contract a v2 row is of."""
    right = {"C": Right.CALL, "P": Right.PUT}[row["right"]]
    return Contract(datetime.strptime(row["expiration"], "%Y%m%d").date(), int(row["strike"]) / 1000, right)  # noqa: DTZ007 - a day


def moment(row: dict[str, str]) -> tuple[str, int]:
    """Return the day and the millisecond of the day of a v2 row."""
    return row["date"], int(row["ms_of_day"])


def moments(frame: pl.DataFrame) -> list[tuple[str, int]]:
    """Return the same of stored rows."""
    return [
        (f"{t:%Y%m%d}", ((t.hour * 60 + t.minute) * 60 + t.second) * 1000 + t.microsecond // 1000)
        for t in frame["timestamp"]
    ]


@pytest.mark.parametrize("name", names_of("theta_v2_open_interest"))
def test_recorded_open_interest_is_stored_from_its_v2_form(name: str, reference: Path, tmp_path: Path) -> None:
    """All of it, at half past six; a contract that is listed and has none is only noted."""
    root, trade_date, _ = name.removesuffix(".csv").split("_")
    body = (reference / "realdata/theta_v2_open_interest" / name).read_bytes()
    unit = Unit(date.fromisoformat(trade_date), root, "open_interest", "1d", None)
    source = source_rows(body)
    contracts = [v2_contract(row) for row in source]
    lacking = contracts[0]._replace(strike=1.0)
    frame, holes = stored(unit, body, tmp_path, frozenset({*contracts, lacking}), "v2")
    order = sorted(range(len(source)), key=lambda at: contracts[at])
    assert frame.select("expiration", "strike", "right").rows() == [tuple(contracts[at]) for at in order]
    assert frame["open_interest"].to_list() == [int(source[at]["open_interest"]) for at in order]
    assert moments(frame) == [moment(source[at]) for at in order]
    assert set(frame["symbol"]) == {root}
    assert set(frame["flags"]) == {0}
    assert [(hole.contract, hole.partial) for hole in holes] == [(lacking, False)]


@pytest.mark.parametrize("name", names_of("theta_v2_index_price"))
def test_recorded_index_prices_are_stored_from_their_v2_form(name: str, reference: Path, tmp_path: Path) -> None:
    """Every minute and price; nothing that matters is missing, on an early close neither."""
    root, trade_date = name.removesuffix(".csv").split("_")
    body = (reference / "realdata/theta_v2_index_price" / name).read_bytes()
    unit = Unit(date.fromisoformat(trade_date), root, "index_price", "1m", None)
    source = source_rows(body)
    frame, holes = stored(unit, body, tmp_path, None, "v2")
    assert [Decimal(str(price)) for price in frame["price"]] == [Decimal(row["price"]) for row in source]
    assert moments(frame) == [moment(row) for row in source]
    assert [hole for hole in holes if hole.partial] == []
    assert set(frame["flags"]) <= {0, Flag.OUT_OF_SESSION.value}
