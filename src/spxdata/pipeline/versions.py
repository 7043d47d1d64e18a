"""Columns of stored files through the years: what makes rows of an older version rows of today's.

A dataset's columns have a version (`Dataset.version`), which stands in every file. Whoever changes them raises that
number and enters the form they had here, with the step to the next version; files are never rewritten for it.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import polars as pl

from spxdata.errors import ChecksumMismatch, NewerVersion
from spxdata.schema import DATASETS, Dataset


class Older(NamedTuple):
    """A version of a dataset's columns that is no more written.

    Attributes:
        form: The dataset as it was, with that version's number: what its files are checked against.
        upgrade: Makes rows of it rows of the next version: trade date and flags included, types canonical. Pure.
    """

    form: Dataset
    upgrade: Callable[[pl.DataFrame], pl.DataFrame]


#: By dataset and version.
Table = Mapping[tuple[str, int], Older]

#: Every version that was ever released, but for today's. Append only: files of all of them are out there.
OLDER: Final[Table] = {}


def form_of(name: str, version: int, path: str, older: Table = OLDER) -> Dataset:
    """Return a dataset as it was in a version.

    Args:
        name: The dataset.
        version: The version that a file has.
        path: The file, for the message.
        older: The versions that are no more written.

    Raises:
        NewerVersion: A newer program wrote the file.
        ChecksumMismatch: No program ever did.
    """
    today = DATASETS[name]
    if version == today.version:
        return today
    if version > today.version:
        raise NewerVersion(
            f"{path} has version {version} of the columns of {name}, this spxdata knows {today.version} at most."
        )
    if (name, version) not in older:
        raise ChecksumMismatch(f"{path} has version {version} of the columns of {name}, which no spxdata ever wrote.")
    return older[name, version].form


def upgraded(frame: pl.DataFrame, form: Dataset, older: Table = OLDER) -> pl.DataFrame:
    """Return rows in the columns of today.

    Args:
        frame: Rows as they are stored, in canonical types.
        form: The dataset as it was when they were.
        older: The versions that are no more written.
    """
    for version in range(form.version, DATASETS[form.name].version):
        frame = older[form.name, version].upgrade(frame)
    return frame


def forms(name: str, older: Table = OLDER) -> tuple[Dataset, ...]:
    """Return all forms of a dataset, today's first."""
    past = sorted((version for of, version in older if of == name), reverse=True)
    return (DATASETS[name], *(older[name, version].form for version in past))
