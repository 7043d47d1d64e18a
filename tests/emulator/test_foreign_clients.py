"""Clients as anyone writes them: a loop that follows next pages, a read of a stream; both see one market."""

import csv
import io
import json
import urllib.request
from collections.abc import Iterator
from http.client import HTTPResponse
from urllib.parse import urlencode

import pytest

from spxdata.emulator import Emulator

from .terminal_client import DAY, DAY_INT, GREEKS, QUOTE, V2_GREEKS, V2_QUOTE

ADDED = {"root", "symbol", "expiration", "strike", "right", "timestamp", "ms_of_day", "date"}


@pytest.fixture(scope="module", params=[390, 391])
def both(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    with Emulator(dialect="both", page_rows=500, v2_greeks_rows=request.param) as terminal:
        yield terminal


def opened(url: str) -> HTTPResponse:
    """Open an address of the emulator."""
    response: HTTPResponse = urllib.request.urlopen(url)  # noqa: S310 - the emulator's own address
    return response


def v2_csv(terminal: Emulator, path: str, expiration: str) -> list[dict[str, str]]:
    asked = {"root": "SPXW", "exp": expiration, "start_date": DAY_INT, "end_date": DAY_INT, "ivl": 60000}
    url = f"{terminal.v2_url}{path}?{urlencode({**asked, 'use_csv': 'true'})}"
    rows: list[dict[str, str]] = []
    while url != "null":
        with opened(url) as response:
            rows.extend(csv.DictReader(io.StringIO(response.read().decode())))
            url = response.headers["Next-Page"]
    return rows


def v2_json(terminal: Emulator, path: str, expiration: str) -> list[dict[str, object]]:
    asked = {"root": "SPXW", "exp": expiration, "start_date": DAY_INT, "end_date": DAY_INT, "ivl": 60000}
    url = f"{terminal.v2_url}{path}?{urlencode(asked)}"
    rows: list[dict[str, object]] = []
    while url != "null":
        with opened(url) as response:
            page = json.load(response)
        names = page["header"]["format"]
        rows += [
            {**group["contract"], **dict(zip(names, tick, strict=True))}
            for group in page["response"]
            for tick in group["ticks"]
        ]
        url = page["header"]["next_page"]
    return rows


def v3_csv(terminal: Emulator, path: str, expiration: str, **more: str) -> list[dict[str, str]]:
    asked = {"symbol": "SPXW", "expiration": expiration, "date": DAY, "interval": "1m", **more}
    with opened(f"{terminal.url}{path}?{urlencode(asked)}") as response:
        return list(csv.DictReader(io.TextIOWrapper(response, newline="")))


def from_v2(row: dict[str, str]) -> tuple[object, ...]:
    """Give what both dialects tell, in v3's units: contract, minute, then the columns of the dataset."""
    clock = int(row["ms_of_day"]) // 60_000
    numbers = {name: float(text) for name, text in row.items() if name not in ADDED | {"ms_of_day2"}}
    key = (int(row["expiration"]), int(row["strike"]) / 1000, row["right"], f"{clock // 60:02d}:{clock % 60:02d}")
    return (*key, numbers)


def from_v3(row: dict[str, str]) -> tuple[object, ...]:
    numbers = {name: float(text) for name, text in row.items() if name not in ADDED | {"underlying_timestamp"}}
    key = (int(row["expiration"].replace("-", "")), float(row["strike"]), row["right"][0], row["timestamp"][11:16])
    return (*key, numbers)


def test_both_loops_read_the_same_quotes(both: Emulator) -> None:
    new = [from_v3(row) for row in v3_csv(both, QUOTE, "2024-01-19")]
    old = [from_v2(row) for row in v2_csv(both, V2_QUOTE, "20240119")]
    assert len(new) > 10_000
    assert new == old


@pytest.mark.parametrize("expiration", ["2024-01-16", "2024-01-19"])
def test_both_loops_read_the_same_greeks_but_for_09_30(both: Emulator, expiration: str) -> None:
    new = [from_v3(row) for row in v3_csv(both, GREEKS, expiration, version="1")]
    old = [from_v2(row) for row in v2_csv(both, V2_GREEKS, expiration.replace("-", ""))]
    contracts = len({key[:3] for key in old})
    assert len(old) in (390 * contracts, 391 * contracts)
    if len(old) == 390 * contracts:
        new = [row for row in new if row[3] != "09:30"]
    assert new == old


def test_json_and_csv_of_v2_hold_the_same(both: Emulator) -> None:
    texts = v2_csv(both, V2_GREEKS, DAY_INT)
    values = v2_json(both, V2_GREEKS, DAY_INT)
    assert [list(row) for row in texts[:1]] == [list(row) for row in values[:1]]
    assert [from_v2(row) for row in texts] == [from_v2({k: str(v) for k, v in row.items()}) for row in values]
