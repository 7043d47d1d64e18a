import csv
import json
from pathlib import Path

import pytest

from spxdata.errors import ConfigError
from spxdata.schema import DATASETS, DEFAULT_DATASET, FLAGS, STEP_MINUTES, TRADE_DATE, Dataset, Kind, dataset

every_dataset = pytest.mark.parametrize("dataset_", DATASETS.values(), ids=DATASETS)


@every_dataset
def test_column_names_are_unique(dataset_: Dataset) -> None:
    """Ours among them, and none but ours is named like them."""
    names = [TRADE_DATE.name, *dataset_.names, FLAGS.name]
    assert len(set(names)) == len(names)


@every_dataset
def test_the_key_consists_of_columns(dataset_: Dataset) -> None:
    """It is the sort order: contract first, then time."""
    assert set(dataset_.key) <= set(dataset_.names)
    assert dataset_.key == ("strike", "right", "timestamp")


@every_dataset
def test_a_dataset_is_found_under_its_name(dataset_: Dataset) -> None:
    """The table's key is the entry's own name."""
    assert dataset(dataset_.name) is dataset_


@every_dataset
def test_every_column_is_of_one_kind(dataset_: Dataset) -> None:
    """`of` takes them apart without loss."""
    assert sorted(name for kind in Kind for name in dataset_.of(kind)) == sorted(dataset_.names)


@every_dataset
def test_every_interval_has_a_step(dataset_: Dataset) -> None:
    """Else nobody could say which minutes are missing."""
    assert dataset_.intervals
    assert set(dataset_.intervals) <= STEP_MINUTES.keys()


@every_dataset
def test_columns_and_tier_are_the_documented_ones(dataset_: Dataset, reference: Path) -> None:
    """Names and order equal the vendor's documentation and the header of its example; parameters exist there."""
    endpoint = json.loads((reference / "thetadata/v3-endpoints.json").read_text())["endpoints"][dataset_.path]
    header = next(csv.reader(endpoint["csv_example"].splitlines()))
    assert dataset_.names == tuple(endpoint["columns"]) == tuple(header)
    assert dataset_.tier == endpoint["min_subscription"]
    assert set(dataset_.parameters) <= endpoint["parameters"].keys()


@pytest.mark.parametrize("name", ["", "Greeks", "nbbo", "greeks_all"])
def test_an_unknown_dataset_is_refused_with_the_known_ones(name: str) -> None:
    """The message names key and origin, the hint what there is."""
    with pytest.raises(ConfigError, match="from environment") as caught:
        dataset(name, "download.dataset", "environment")
    assert all(known in caught.value.hint for known in DATASETS)


def test_the_default_dataset_exists() -> None:
    """Its files carry the brief's name."""
    assert DEFAULT_DATASET in DATASETS
