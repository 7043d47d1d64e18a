"""The audit finds rows that are wrong, exactly these, and agrees with greeks computed by other code."""

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxdata import Emulator, download
from spxdata.analysis.archive import Archive, open_archive
from spxdata.analysis.audit import AUDITED, KINDS, REASONS, UNCERTAIN, Audit, Findings, Tally, fitted_rate
from spxdata.analysis.expiry import years_to_expiration
from spxdata.analysis.files import row_types
from spxdata.analysis.greeks import cut_mid, greeks
from spxdata.errors import ConfigError
from spxdata.schema import DATASETS
from spxdata.sessions import NEW_YORK
from tests.analysis.conftest import QUICK, START

GREEKS = DATASETS["greeks"]
RATE = 0.0515
MOMENT = datetime(2024, 1, 16, 10, 30, tzinfo=NEW_YORK)
EXPIRATION = date(2024, 1, 19)


def a_row(**changes: Any) -> dict[str, Any]:
    """Return a row of greeks as the vendor would have it, then changed."""
    row: dict[str, Any] = {
        "trade_date": MOMENT.date(),
        "symbol": "SPXW",
        "expiration": EXPIRATION,
        "strike": 4760.0,
        "right": "CALL",
        "timestamp": MOMENT,
        "bid": 24.8,
        "ask": 25.1,
        "underlying_timestamp": MOMENT,
        "underlying_price": 4750.0,
        "flags": 0,
    }
    row |= {name: changes[name] for name in changes.keys() & row.keys()}
    names = ("delta", "theta", "vega", "rho", "epsilon", "lambda", "implied_vol", "iv_error")
    found = greeks(
        price=cut_mid(row["bid"], row["ask"]),
        spot=row["underlying_price"],
        strike=row["strike"],
        right=row["right"],
        years=years_to_expiration("2024-01-16T10:30", f"{row['expiration']}"),
        rate=RATE,
        conventions="vendor",
        digits=4,
        columns=names,
    )
    return {**row, **{name: float(found[name]) for name in names}, **changes}


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    """Return rows of greeks as an archive has them."""
    types = row_types(GREEKS)
    return pl.DataFrame(rows, schema=types, orient="row") if rows else pl.DataFrame(schema=types)


def audited(rows: pl.DataFrame, **choice: Any) -> Audit:
    """Return what is found in rows of greeks."""
    found = Findings(worst=choice.pop("worst", 10), **choice)
    found.add(GREEKS, rows, RATE)
    return found.audit()


def counts(found: Audit) -> dict[str, int]:
    """Return how many rows are of which kind, those of which there are some."""
    return {kind: count for _, kind, count in found.rows.rows() if count}


class TestEmulatedDays:
    """Whose greeks other code has computed."""

    def test_every_solvable_row_agrees(self, archive: Archive) -> None:
        found = archive.audit_greeks()
        assert found.is_sound
        assert found.agreement["rows"].min() > 100_000  # type: ignore[operator]  # a number
        assert found.agreement["share"].min() == 1.0
        assert set(found.rates["source"]) == {"archive"}
        assert found.rates["rate"].to_list() == pytest.approx([RATE, RATE])
        assert found.unsound.is_empty()
        total = archive.scan("greeks").select(pl.len()).collect().item()
        assert sum(count for kind, count in counts(found).items() if kind in KINDS) == total

    def test_expirations_add_up_to_the_whole(self, archive: Archive) -> None:
        whole = archive.audit_greeks("greeks", end=START).agreement
        parts = archive.audit_greeks("greeks", end=START, by_expiration=True).agreement
        assert parts["expiration"].n_unique() == 4
        sums = parts.group_by("greek").agg(pl.col("rows", "agreeing").sum(), pl.col("maximum").max()).sort("greek")
        assert sums.rows() == whole.select("greek", "rows", "agreeing", "maximum").sort("greek").rows()

    def test_only_what_is_asked_for_is_read(self, archive: Archive) -> None:
        found = archive.audit_greeks(["greeks"], start="2024-01-17", expiration="2024-01-18", root="spxw", worst=3)
        assert set(found.worst["expiration"]) == {date(2024, 1, 18)}
        assert found.worst.height == 3
        assert found.rates["trade_date"].to_list() == [date(2024, 1, 17)]

    def test_another_rate_is_found_out(self, archive: Archive) -> None:
        found = archive.audit_greeks("greeks", end=START, rate=0.02)
        assert not found.is_sound
        assert set(found.rates["source"]) == {"given"}
        assert {"unsound_price", "unsound_arbitrage", "overlooked"} <= counts(found).keys()
        assert set(found.unsound["reason"]) <= set(REASONS)

    @pytest.mark.parametrize("dte", [0, 3])
    def test_the_rate_can_be_told_from_the_rows(self, dte: int, archive: Archive) -> None:
        rows = archive.scan("greeks", end=START, dte=(dte, dte)).collect()
        assert fitted_rate(GREEKS, rows) == pytest.approx(RATE, abs=1e-4)

    def test_what_has_no_greeks_is_refused(self, archive: Archive) -> None:
        with pytest.raises(ConfigError, match="quote has no greeks"):
            archive.audit_greeks(["quote"])
        with pytest.raises(ConfigError, match="no greeks of what is asked for"):
            archive.audit_greeks("greeks_all")


@pytest.fixture(scope="module")
def every(terminal: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """An archive of one expiration that has every dataset with greeks, and no interest rate."""
    folder = tmp_path_factory.mktemp("every")
    download(START, datasets=AUDITED, max_dte=0, data_dir=folder, terminal=terminal.url, environ=QUICK)
    with open_archive(folder) as found:
        yield found


def test_every_dataset_with_greeks_is_audited(every: Archive) -> None:
    """In order of its columns; the rate comes from the rows."""
    found = every.audit_greeks()
    assert found.is_sound
    assert tuple(found.agreement["dataset"].unique(maintain_order=True)) == AUDITED
    assert set(found.rates["source"]) == {"fitted"}
    assert found.rates["rate"].to_list() == pytest.approx([RATE] * len(AUDITED), abs=2e-4)
    assert found.judged["share"].min() == 1.0
    sides = found.agreement.filter(dataset="implied_volatility")
    assert set(sides["greek"]) == {"implied_vol", "bid_implied_vol", "ask_implied_vol"}


def test_greeks_that_the_vendor_has_in_two_ways_are_compared_with_both_and_not_judged(every: Archive) -> None:
    """The emulated vendor has some in one way, some in the other."""
    agreement = every.audit_greeks("greeks_all").agreement
    assert agreement.height == agreement["greek"].n_unique() + len(UNCERTAIN)
    assert set(agreement.filter(~pl.col("judged"))["greek"]) == set(UNCERTAIN)
    whole = agreement.filter(pl.col("share") == 1.0)
    ways = dict(whole.filter(~pl.col("judged")).select("greek", "generation").rows())
    recorded = {name for name, way in ways.items() if way == "recorded"}
    assert set(ways) == set(UNCERTAIN)
    assert recorded == {"veta", "color"}


def test_the_older_version_has_its_own_time(tmp_path: Path) -> None:
    """Another dialect, which has only that version, and another form of file."""
    with Emulator(seed=1, dialect="v2") as terminal:
        environ = {**QUICK, "SPXDATA_STORAGE__FORMAT": "csv"}
        download(START, datasets=["greeks"], max_dte=0, data_dir=tmp_path, terminal=terminal.url, environ=environ)
    with open_archive(tmp_path) as archive:
        assert archive.audit_greeks(rate=RATE).is_sound


class TestPlantedErrors:
    """Rows of an emulated day, some of them made wrong."""

    def test_exactly_these_rows_are_named(self, archive: Archive) -> None:
        rows = archive.scan("greeks", end=START, dte=(1, 1)).collect().with_row_index("place")
        liquid = rows.filter(pl.col("implied_vol").is_between(0.05, 0.5), pl.col("delta").abs().is_between(0.2, 0.8))
        first, second, third = (liquid[place] for place in (100, 2_000, 5_000))
        where = pl.col("place")
        wrong = rows.with_columns(
            pl.when(where == first["place"]).then(pl.col("delta") + 0.002).otherwise("delta").alias("delta"),
            pl.when(where == second["place"])
            .then(pl.col("implied_vol") + 0.02)
            .otherwise("implied_vol")
            .alias("implied_vol"),
            pl.when(where == third["place"]).then(-pl.col("theta")).otherwise("theta").alias("theta"),
        )
        found = audited(wrong.drop("place"))
        named = found.worst.filter(pl.col("times") > 1)
        keys = ["strike", "right", "timestamp"]
        expected = pl.concat([first, second, third])
        assert set(named.select(keys).rows()) == set(expected.select(keys).cast({"right": pl.String}).rows())
        greek = dict(zip(named["strike"].to_list(), named["greek"].to_list(), strict=True))
        assert greek[first["strike"][0]] == "delta"
        assert greek[third["strike"][0]] == "theta"
        assert named.filter(greek="delta")["vendor"][0] == pytest.approx(first["delta"][0] + 0.002)
        assert found.unsound.select(keys).rows() == second.select(keys).cast({"right": pl.String}).rows()
        short = {greek: rows - agreeing for _, greek, rows, agreeing, _ in found.judged.rows()}
        assert (short["implied_vol"], short["delta"], short["theta"]) == (
            1,
            1,
            2,
        )  # of theta, the one at that volatility

    def test_a_few_in_a_thousand_are_too_many(self) -> None:
        good, bad = a_row(), a_row(delta=0.1)
        assert audited(frame(*[good] * 999, bad)).is_sound
        assert not audited(frame(*[good] * 998, bad, bad)).is_sound


SORTS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "as it should be": ({}, {"solvable"}),
    "without a volatility where there is none": ({"underlying_price": 4790.0}, {"no_volatility"}),
    "without a volatility where there is one": ({"implied_vol": 0.0}, {"overlooked"}),
    "without a volatility and a bid": ({"implied_vol": 0.0, "bid": 0.0}, {"no_volatility"}),
    "with a hopeless volatility": ({"implied_vol": 5.0, "iv_error": 9.0}, {"too_high", "unsound_price"}),
    "without a bid": ({"bid": 0.0}, {"no_bid"}),
    "whose search stopped early": ({"iv_error": 0.005}, {"missed"}),
    "with another volatility": ({"implied_vol": 0.5}, {"solvable", "unsound_price"}),
    "with a volatility that no price has": (
        {"underlying_price": 4790.0, "implied_vol": 0.1, "iv_error": 0.0},
        {"solvable", "unsound_arbitrage"},
    ),
    "without an error": ({"iv_error": None}, {"missed", "unsound_price"}),
    "without an underlying": ({"underlying_price": 0.0, "implied_vol": 0.1}, {"missed", "unsound_arbitrage"}),
}


@pytest.mark.parametrize(("changes", "expected"), SORTS.values(), ids=SORTS)
def test_a_row_is_of_one_kind_and_may_be_impossible(changes: dict[str, Any], expected: set[str]) -> None:
    found = audited(frame(a_row(**changes)))
    assert counts(found) == dict.fromkeys(expected, 1)
    assert found.unsound.height == len({kind for kind in expected if kind.startswith("unsound")})
    assert found.agreement["rows"].to_list() == [int("solvable" in expected)] * found.agreement.height


def test_nothing_to_compare_is_not_sound_and_no_error() -> None:
    for rows in (frame(), frame(a_row(bid=0.0))):
        found = audited(rows, by_expiration=True)
        assert not found.is_sound
        assert found.worst.is_empty()
        assert fitted_rate(GREEKS, rows) is None


def test_a_piece_at_a_time_gives_the_same(archive: Archive) -> None:
    rows = archive.scan("greeks", end=START, dte=(0, 0)).collect()
    pieces = Findings(worst=20)
    for part in rows.iter_slices(3_000):
        pieces.add(GREEKS, part, RATE)
    one, other = audited(rows, worst=20), pieces.audit()
    assert one.agreement.equals(other.agreement)
    assert one.rows.sort("kind").equals(other.rows.sort("kind"))
    assert one.worst["times"].to_list() == other.worst["times"].to_list()


@given(st.lists(st.floats(1e-9, 1e9, exclude_max=True) | st.just(math.inf) | st.just(0.0), min_size=1, max_size=50))
def test_the_median_is_right_to_5_percent(differences: list[float]) -> None:
    tally, array = Tally(), np.array(differences)
    tally.add(array, array)
    assert (tally.rows, tally.maximum) == (len(differences), max(differences))
    assert tally.agreeing == sum(one <= 1 for one in differences)
    middle = sorted(differences)[(len(differences) - 1) // 2]
    assert tally.median == pytest.approx(middle, rel=0.05, abs=1e-9)


def test_a_tally_of_nothing_has_no_median() -> None:
    assert Tally().median is None


def test_soundness_is_told_from_all_expirations_together() -> None:
    near = [a_row()] * 2000
    far = [a_row(expiration=date(2024, 1, 26), delta=0.9)]
    found = audited(frame(*near, *far), by_expiration=True)
    assert found.agreement.filter(greek="delta")["share"].to_list() == [1.0, 0.0]
    assert found.is_sound
    assert not replace(found, agreement=found.agreement.filter(expiration=date(2024, 1, 26))).is_sound
