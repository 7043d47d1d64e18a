"""Recorded answers of both generations, read by the client: the same market is the same table."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from spxdata.errors import NoData
from spxdata.model import Unit
from spxdata.pipeline.parse import parse
from spxdata.terminal.asking import Line, a_day
from spxdata.terminal.status import error_for
from spxdata.terminal.v3 import V3Terminal
from tests.conftest import reference_folder

QUOTES = sorted(path.name for path in (reference_folder() / "realdata" / "theta_v2_quote").glob("*.csv"))


def pieces(path: Path) -> Iterator[bytes]:
    """Return a file as it would arrive."""
    data = path.read_bytes()
    return iter([data[at : at + 10_000] for at in range(0, len(data), 10_000)])


def unit_of(name: str) -> Unit:
    """Return the unit a recorded file of quotes is."""
    root, trade_date, expiration = name.removesuffix(".csv").split("_")
    return Unit(date.fromisoformat(trade_date), root, "quote", "1m", date.fromisoformat(expiration))


@pytest.mark.parametrize("name", QUOTES or ["none"])
def test_recorded_quotes_are_the_same_table_in_both_dialects(name: str, reference: Path) -> None:
    tables = []
    for dialect in ("v2", "v3"):
        file = reference / "realdata" / f"theta_{dialect}_quote" / name
        tables.append(pl.concat(batch.frame for batch in parse(pieces(file), unit_of(name), dialect)))
    assert tables[0].height == len((reference / "realdata" / "theta_v2_quote" / name).read_text().splitlines()) - 1
    assert tables[0].equals(tables[1])


def test_a_recorded_list_is_read(reference: Path) -> None:
    body = (reference / "thetadata" / "samples" / "live_list_expirations_AAPL_2026-07.csv").read_bytes()
    _, columns = V3Terminal.manner.lists["expirations"]
    line = Line("http://127.0.0.1:1/v3", "v3")
    days = [a_day(row["expiration"]) for row in line.list_rows(body, "/option/list/expirations", columns)]
    assert days
    assert all(day.year >= 2012 for day in days)


def test_the_recorded_no_data_answer_is_no_data(reference: Path) -> None:
    text = (reference / "thetadata" / "samples" / "error_472_no_data_v1.6.txt").read_text()
    body = text.strip().splitlines()[-1]
    assert type(error_for("v2", 472, body, "/hist/option/quote")) is NoData
    assert type(error_for("v2", 200, body, "/hist/option/quote")) is NoData
    assert type(error_for("v2", 200, f":{body}", "/hist/option/quote")) is NoData
