"""Unit to relative path and back: where a unit's file lies in the archive, and what a path means."""

import re
from datetime import UTC, date, datetime

from spxdata.errors import ConfigError
from spxdata.model import Unit
from spxdata.schema import DATASETS, DEFAULT_DATASET

#: Folder of catalog, quarantine and run logs.
PRIVATE = ".spxdata"
CATALOG = f"{PRIVATE}/catalog.sqlite"
#: The catalog in JSON: how days and units stand, and which files there are.
STATUS = "status.json"
INVENTORY = "inventory.json"
QUARANTINE = f"{PRIVATE}/quarantine"
RUNS = f"{PRIVATE}/runs"
#: Where repair puts what it takes out of the archive, a folder for each time.
ASIDE = f"{PRIVATE}/aside"
#: Where rows lie that were fetched once more, until they are compared with the stored ones.
REFETCHED = f"{PRIVATE}/refetched"
#: Where files lie that were written in another encoding, until they are proved and take their places.
CONVERTED = f"{PRIVATE}/converted"
#: Folder of files that stay although newer rows of their units are stored. It lies beside the days' folders, and its
#: files end with a moment: neither a folder of a day nor `*.parquet` at any depth leads to them.
REVISIONS = ".revisions"
#: What a temporary name ends with; nothing of this ending is ever part of the archive.
PARTIAL = ".partial"

#: The formats that a unit's file may have; it has one of them.
FORMATS = ("parquet", "csv")

_PATH = re.compile(
    r"(?P<day>\d{8})/(?P<root>[a-z0-9.]+?)"
    r"(?:_(?P<dataset>" + "|".join(sorted(DATASETS, key=len, reverse=True)) + r"))?"
    r"(?:_(?P<interval>tick|\d+(?:ms|s|m|h|d)))?"
    r"(?:_exp_(?P<expiration>\d{8}))?\.(?P<format>" + "|".join(FORMATS) + r")"
)
_STAMP = "%Y%m%dT%H%M%S%fZ"
_REVISION = re.compile(rf"{re.escape(REVISIONS)}/(?P<path>[^~]+)~(?P<stamp>[0-9]{{8}}T[0-9]{{12}}Z)")


def path_of(unit: Unit, file_format: str = "parquet") -> str:
    """Return a unit's path below the archive.

    Example:
        >>> path_of(Unit(date(2024, 1, 16), "SPXW", "greeks", "1m", date(2024, 1, 19)))
        '20240116/spxw_exp_20240119.parquet'
    """
    name = unit.root.lower()
    if unit.dataset != DEFAULT_DATASET:
        name += f"_{unit.dataset}"
    if unit.interval != DATASETS[unit.dataset].interval:
        name += f"_{unit.interval}"
    if unit.expiration is not None:
        name += f"_exp_{unit.expiration:%Y%m%d}"
    return f"{unit.trade_date:%Y%m%d}/{name}.{file_format}"


def paths_of(unit: Unit) -> tuple[str, ...]:
    """Return where a unit's file may lie, in each format."""
    return tuple(path_of(unit, file_format) for file_format in FORMATS)


def stem_of(path: str) -> str:
    """Return the beginning that the paths of all units of a day share, and those of no other day.

    Example:
        >>> stem_of("20240116/spxw_quote_exp_20240119.parquet"), stem_of("20240116/brk.b.csv")
        ('20240116/spxw_quote', '20240116/brk.b')
    """
    stem, expires, _ = path.partition("_exp_")
    return stem if expires else path.rpartition(".")[0]


def unit_of(path: str) -> Unit:
    """Return the unit whose file a path is.

    Raises:
        ConfigError: The path is not one of an archive's.

    Example:
        >>> str(unit_of("20240116/spxw_quote_exp_20240119.parquet"))
        '2024-01-16 SPXW quote 1m exp 2024-01-19'
    """
    match = _PATH.fullmatch(path)
    if match is None:
        raise ConfigError(f"{path!r} is not the path of a unit.", hint="It is no file of this archive.")
    expiration = match["expiration"]
    dataset = match["dataset"] or DEFAULT_DATASET
    unit = Unit(
        trade_date=_day(match["day"]),
        root=match["root"].upper(),
        dataset=dataset,
        interval=match["interval"] or DATASETS[dataset].interval,
        expiration=_day(expiration) if expiration else None,
    )
    if path_of(unit, match["format"]) != path:  # a default spelled out, digits of another script
        raise ConfigError(f"{path!r} is not how a unit's path is spelled.", hint="It is no file of this archive.")
    return unit


def revision_path(path: str, fetched_at: datetime) -> str:
    """Return where a unit's file lies once newer rows of the unit are stored in its place.

    Args:
        path: Where it lay.
        fetched_at: When its rows were fetched (aware).

    Example:
        >>> revision_path("20240116/spxw.parquet", datetime(2024, 1, 17, 12, 30, tzinfo=UTC))
        '.revisions/20240116/spxw.parquet~20240117T123000000000Z'
    """
    return f"{REVISIONS}/{path}~{fetched_at.astimezone(UTC):{_STAMP}}"


def original_of(path: str) -> tuple[str, datetime]:
    """Return where a file of `revision_path` lay, and when its rows were fetched.

    Raises:
        ConfigError: It is no such file.
    """
    match = _REVISION.fullmatch(path)
    try:
        if match:
            unit_of(match["path"])
            return match["path"], datetime.strptime(match["stamp"], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        pass  # a moment like 2024-02-31: reported below like any other path
    raise ConfigError(f"{path!r} is not the path of an earlier file.", hint="It is no file of this archive.")


def is_revision(path: str) -> bool:
    """Tell whether a path lies among the earlier files."""
    return path.startswith(f"{REVISIONS}/")


def _day(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007 - a day has no time zone
    except ValueError:
        raise ConfigError(f"{text!r} in a path is not a day.", hint="It is no file of this archive.") from None
