"""The audit of rows that the vendor printed or sent."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
import pytest

from spxdata.analysis.audit import Audit, Findings, Taken, compared, fitted_rate
from spxdata.analysis.black_scholes import DERIVATIVES
from spxdata.analysis.files import row_types
from spxdata.schema import DATASETS
from tests.analysis import vendor

pytestmark = pytest.mark.reference


def frame(dataset: str, rows: Sequence[Mapping[str, str]]) -> pl.DataFrame:
    """Return rows of an answer as an archive would have them."""
    types = row_types(DATASETS[dataset])
    columns = {name: [row.get(name) for row in rows] for name in types}
    texts = pl.DataFrame(columns, schema=dict.fromkeys(types, pl.String()))
    return texts.select(_read(pl.col(name), kind) for name, kind in types.items())


def _read(text: pl.Expr, kind: pl.DataType) -> pl.Expr:
    if isinstance(kind, pl.Datetime):
        return text.str.to_datetime(time_unit="us").dt.replace_time_zone("America/New_York")
    return text.str.to_date() if isinstance(kind, pl.Date) else text.cast(kind)


def audited(dataset: str, rows: Sequence[Mapping[str, str]], rate: float) -> Audit:
    """Return what the audit finds in rows."""
    found = Findings(worst=100)
    found.add(DATASETS[dataset], frame(dataset, rows), rate)
    return found.audit()


def counts(found: Audit) -> dict[str, int]:
    """Return how many rows are of which kind, those of which there are some."""
    return {kind: count for _, kind, count in found.rows.rows() if count}


def test_the_30_documented_rows_of_spy_agree(reference: Path) -> None:
    found = audited("greeks", vendor.spy(reference), vendor.SPY_RATE)
    assert counts(found) == {"solvable": 30}
    assert found.is_sound
    assert found.judged.select("rows", "agreeing").unique().rows() == [(30, 30)]


@pytest.mark.parametrize(("dataset", "path", "rows"), [("greeks", "first_order", 4), ("greeks_all", "all", 3)])
def test_the_7_documented_rows_of_aapl_agree(dataset: str, path: str, rows: int, reference: Path) -> None:
    """Nobody bids for them, so that an audit leaves them out; compared all the same, they are right."""
    printed = vendor.printed(reference, f"history/greeks/{path}")
    assert counts(audited(dataset, printed, vendor.AAPL_RATE)) == {"no_bid": rows}
    kind = DATASETS[dataset]
    found = list(compared(kind, Taken.of(kind, frame(dataset, printed), vendor.AAPL_RATE, "latest")))
    assert {one.greek for one in found} == {*DERIVATIVES, "implied_vol"} & set(kind.names)
    off = {one.greek: one.times.max() for one in found if one.generation != "recorded"}
    assert max(off.values()) <= 1, off
    assert {len(one.times) for one in found} == {rows}


def test_the_documented_report_of_a_day_agrees(reference: Path) -> None:
    found = audited("greeks_eod", vendor.printed(reference, "history/greeks/eod"), vendor.AAPL_RATE)
    assert counts(found) == {"solvable": 1}
    assert found.is_sound


def test_the_rate_of_the_documented_rows_can_be_told(reference: Path) -> None:
    """Near SOFR of the day, 4.14 %."""
    rate = fitted_rate(DATASETS["greeks"], frame("greeks", vendor.spy(reference)))
    assert rate == pytest.approx(vendor.SPY_RATE, abs=1e-3)


def test_the_79_recorded_rows_without_a_volatility_stay_unsolvable(reference: Path) -> None:
    """None is compared, and none has a volatility that was overlooked."""
    rows = vendor.recorded(reference, "greeks_all")
    assert len(rows) == 79
    found = audited("greeks_all", rows, vendor.UNSOLVED_RATE)
    assert counts(found) == {"no_volatility": 79}
    assert found.judged.is_empty()
    assert found.unsound.is_empty()
