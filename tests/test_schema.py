import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from spxdata.errors import ConfigError, NotInDialect
from spxdata.schema import (
    CHAIN_STEP_MS,
    DATASETS,
    DAY,
    DEFAULT_DATASET,
    FLAGS,
    STEP_MS,
    TICK,
    TRADE_DATE,
    Dataset,
    Form,
    Kind,
    Rows,
    Subject,
    dataset,
    wire,
)

every_dataset = pytest.mark.parametrize("dataset_", DATASETS.values(), ids=DATASETS)

_QUOTED = "bid_size,bid_exchange,bid,bid_condition,ask_size,ask_exchange,ask,ask_condition"
_TRADED = "sequence,ext_condition1,ext_condition2,ext_condition3,ext_condition4,condition,size,exchange,price"
_V2_ONLY = "condition_flags,price_flags,volume_type,records_back"
_BAR = "open,high,low,close,volume,count"
_FIRST = "delta,theta,vega,rho,epsilon,lambda"
_SECOND = "gamma,vanna,charm,vomma,veta"
_THIRD = "speed,zomma,color,ultima"
_MODEL = "implied_vol,iv_error,ms_of_day2,underlying_price,date"

#: What v2 sends of a single contract; its rows of chains begin with what names the contract.
V2_COLUMNS = {
    "greeks": f"ms_of_day,bid,ask,{_FIRST},{_MODEL}",
    "quote": f"ms_of_day,{_QUOTED},date",
    "trade": f"ms_of_day,{_TRADED},{_V2_ONLY},date",
    "trade_quote": f"ms_of_day,{_TRADED},{_V2_ONLY},ms_of_day2,{_QUOTED},date",
    "ohlc": f"ms_of_day,{_BAR},date",
    "open_interest": "ms_of_day,open_interest,date",
    "eod": f"ms_of_day,ms_of_day2,{_BAR},{_QUOTED},date",
    "greeks_eod": f"ms_of_day,{_BAR},{_QUOTED},{_FIRST},{_SECOND},vera,{_THIRD},d1,d2,{_MODEL}",
    "implied_volatility": f"ms_of_day,bid,bid_implied_vol,midpoint,implied_vol,ask,ask_implied_vol,"
    f"{_MODEL.removeprefix('implied_vol,')}",
    "greeks_second_order": f"ms_of_day,bid,ask,{_SECOND},{_MODEL}",
    "greeks_third_order": f"ms_of_day,bid,ask,{_THIRD},{_MODEL}",
    "greeks_all": f"ms_of_day,bid,ask,{_FIRST},{_SECOND},vera,{_THIRD},d1,d2,dual_delta,dual_gamma,{_MODEL}",
    "index_price": "ms_of_day,price,date",
}
#: Where v2 has them: of a whole chain or of an index, and of a single contract.
V2_PATHS = {
    "greeks": ("/bulk_hist/option/greeks", "/hist/option/greeks"),
    "quote": ("/bulk_hist/option/quote", "/hist/option/quote"),
    "trade": ("/bulk_hist/option/trade", "/hist/option/trade"),
    "trade_quote": ("/bulk_hist/option/trade_quote", "/hist/option/trade_quote"),
    "ohlc": ("/bulk_hist/option/ohlc", "/hist/option/ohlc"),
    "open_interest": ("/bulk_hist/option/open_interest", "/hist/option/open_interest"),
    "eod": ("/bulk_hist/option/eod", "/hist/option/eod"),
    "greeks_eod": ("/bulk_hist/option/eod_greeks", None),
    "implied_volatility": (None, "/hist/option/implied_volatility"),
    "greeks_second_order": ("/bulk_hist/option/greeks_second_order", "/hist/option/greeks_second_order"),
    "greeks_third_order": ("/bulk_hist/option/greeks_third_order", "/hist/option/greeks_third_order"),
    "greeks_all": ("/bulk_hist/option/all_greeks", "/hist/option/all_greeks"),
    "index_price": ("/hist/index/price", None),
}


@every_dataset
def test_column_names_are_unique(dataset_: Dataset) -> None:
    """Ours among them, and none but ours is named like them."""
    names = [TRADE_DATE.name, *dataset_.names, FLAGS.name]
    assert len(set(names)) == len(names)


@every_dataset
def test_the_order_consists_of_columns(dataset_: Dataset) -> None:
    """Series first, then time; a day-wide series of contracts has the expiration in it."""
    assert {*dataset_.series, *dataset_.time, dataset_.dated} <= set(dataset_.names)
    contract = ("expiration", "strike", "right") if dataset_.unit_of == "day" else ("strike", "right")
    assert dataset_.series == (contract if dataset_.subject is Subject.OPTION else ())
    for interval in dataset_.intervals:
        ticks = dataset_.rows_at(interval) is Rows.TICKS
        assert dataset_.order_at(interval) == dataset_.series + (() if ticks else dataset_.time)


@every_dataset
def test_the_day_of_a_row_is_a_day_or_a_time(dataset_: Dataset) -> None:
    """Else its trade date could not be held to the unit's."""
    assert dataset_.dated in {*dataset_.of(Kind.TIME), *dataset_.of(Kind.DATE)}


@every_dataset
def test_a_dataset_is_found_under_its_name(dataset_: Dataset) -> None:
    """The table's key is the entry's own name."""
    assert dataset(dataset_.name) is dataset_


@every_dataset
def test_every_column_is_of_one_kind(dataset_: Dataset) -> None:
    """`of` takes them apart without loss."""
    assert sorted(name for kind in Kind for name in dataset_.of(kind)) == sorted(dataset_.names)


@every_dataset
def test_every_interval_of_a_grid_has_a_step(dataset_: Dataset) -> None:
    """Else nobody could say which points are missing; ticks and days have none."""
    assert dataset_.interval == dataset_.intervals[0]
    assert len(set(dataset_.intervals)) == len(dataset_.intervals)
    for interval in dataset_.intervals:
        assert (dataset_.rows_at(interval) is Rows.GRID) == (interval in STEP_MS)
    assert (dataset_.rows is Rows.DAILY) == (DAY in dataset_.intervals) == (dataset_.intervals == (DAY,))


def test_intervals_are_what_they_are_called() -> None:
    """In milliseconds."""
    units = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
    for name, step in STEP_MS.items():
        number = name.rstrip("msh")
        assert step == int(number) * units[name.removeprefix(number)]
    assert STEP_MS["1m"] == CHAIN_STEP_MS


def endpoint(reference: Path, of: Dataset) -> Mapping[str, Any]:
    """Return what the vendor documents of a dataset's v3 path."""
    documented: Mapping[str, Any] = json.loads((reference / "thetadata/v3-endpoints.json").read_text())["endpoints"]
    return documented[of.path]  # type: ignore[no-any-return] # it is JSON


@every_dataset
def test_columns_and_tier_are_the_documented_ones(dataset_: Dataset, reference: Path) -> None:
    """Names and order equal the vendor's documentation and the header of its example."""
    documented = endpoint(reference, dataset_)
    header = next(csv.reader(documented["csv_example"].splitlines()))
    assert dataset_.names == tuple(documented["columns"]) == tuple(header)
    assert dataset_.tier == documented["min_subscription"]


@every_dataset
def test_what_is_sent_exists_is_allowed_and_suffices(dataset_: Dataset, reference: Path) -> None:
    """Every parameter by its documented name, every required one, and no interval that the path refuses."""
    documented = endpoint(reference, dataset_)["parameters"]
    sent = {"symbol", "format", *dataset_.parameters}
    assert len(dataset_.parameters) == len(set(dataset_.parameters))
    assert sent <= documented.keys()
    assert {name for name, parameter in documented.items() if parameter["required"]} <= sent
    if "interval" in sent:
        assert set(dataset_.intervals) <= set(documented["interval"]["enum"])
    else:
        assert len(dataset_.intervals) == 1


@every_dataset
def test_what_has_a_default_is_sent_all_the_same(dataset_: Dataset, reference: Path) -> None:
    """Defaults drift."""
    documented = endpoint(reference, dataset_)["parameters"]
    defaults = {name for name, parameter in documented.items() if "default" in parameter}
    assert defaults <= {"format", *dataset_.parameters}


class TestV2:
    """The second generation's form of each."""

    @pytest.mark.parametrize("name", V2_COLUMNS)
    def test_columns_are_the_documented_ones(self, name: str) -> None:
        """A set: a reply is read by column name."""
        prefix = () if name == "index_price" else ("root", "expiration", "strike", "right")
        sent = wire(DATASETS[name], "v2")
        assert set(sent.names) == {*prefix, *V2_COLUMNS[name].split(",")}
        assert len(set(sent.names)) == len(sent.names)
        assert sent.names[: len(prefix)] == prefix

    @pytest.mark.parametrize("name", V2_PATHS)
    def test_paths_are_the_documented_ones(self, name: str) -> None:
        """Of chains and of single contracts; some have one of them only."""
        sent = wire(DATASETS[name], "v2")
        assert (sent.path, sent.single) == V2_PATHS[name]

    def test_every_dataset_is_in_the_tables_but_the_one_that_v2_lacks(self) -> None:
        """The interest rate."""
        assert V2_COLUMNS.keys() == V2_PATHS.keys() == DATASETS.keys() - {"interest_rate"}
        with pytest.raises(NotInDialect, match="does not have interest_rate") as caught:
            wire(DATASETS["interest_rate"], "v2")
        assert "v3" in caught.value.hint

    @every_dataset
    def test_every_stored_column_comes_or_is_known_to_be_lacking(self, dataset_: Dataset) -> None:
        """And what only v2 sends is stored nowhere."""
        if dataset_.v2 is None:
            return
        columns = wire(dataset_, "v2").columns
        assert {c.canonical for c in columns if c.canonical} == set(dataset_.names) - set(dataset_.v2.lacks)
        assert {c.name for c in columns if c.canonical is None} == {"date", *dataset_.v2.extra}

    @every_dataset
    def test_two_times_of_a_row_are_told_apart(self, dataset_: Dataset) -> None:
        """The first time of a v3 row is `ms_of_day`, the second `ms_of_day2`."""
        if dataset_.v2 is None:
            return
        times = [c for c in wire(dataset_, "v2").columns if c.form is Form.MS_OF_DAY]
        assert [c.name for c in times] == ["ms_of_day", "ms_of_day2"][: len(times)]
        assert tuple(c.canonical for c in times) == dataset_.of(Kind.TIME)


@every_dataset
def test_v3_columns_are_the_canonical_ones(dataset_: Dataset) -> None:
    """By name and order, each stored."""
    sent = wire(dataset_, "v3")
    assert sent.names == dataset_.names == tuple(c.canonical for c in sent.columns)
    assert (sent.path, sent.single) == (dataset_.path, dataset_.path)


@pytest.mark.parametrize(
    ("name", "root", "symbol"),
    [
        ("quote", "SPXW", "SPXW"),
        ("eod", "NDXP", "NDXP"),
        ("index_price", "SPXW", "SPX"),
        ("index_price", "SPX", "SPX"),
        ("index_price", "NDXP", "NDX"),
        ("index_price", "RUTW", "RUT"),
        ("index_price", "VIX", "VIX"),
        ("interest_rate", "SPXW", "SOFR"),
        ("interest_rate", "SPX", "SOFR"),
    ],
)
def test_what_is_no_option_has_a_symbol_of_its_own(name: str, root: str, symbol: str) -> None:
    """The index of an option root; the one interest rate."""
    assert DATASETS[name].root(root) == symbol


def test_ticks_are_ticks_at_their_interval_alone() -> None:
    """A quote by the minute is a point of a grid; every trade is an event."""
    assert DATASETS["quote"].rows_at("1m") is Rows.GRID
    assert DATASETS["quote"].rows_at(TICK) is Rows.TICKS
    assert DATASETS["trade"].rows_at(TICK) is Rows.TICKS
    assert DATASETS["quote"].order_at(TICK) == ("strike", "right")
    assert DATASETS["eod"].order_at(DAY) == ("expiration", "strike", "right", "created")


@pytest.mark.parametrize("name", ["", "Greeks", "nbbo", "greeks_fourth_order"])
def test_an_unknown_dataset_is_refused_with_the_known_ones(name: str) -> None:
    """The message names key and origin, the hint what there is."""
    with pytest.raises(ConfigError, match="from environment") as caught:
        dataset(name, "download.dataset", "environment")
    assert all(known in caught.value.hint for known in DATASETS)


def test_the_default_dataset_exists() -> None:
    """Its files carry the brief's name."""
    assert DEFAULT_DATASET in DATASETS
