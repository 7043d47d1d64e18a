"""What units took: kept with the archive, so that what others will take can be told. Of each kind the newest alone."""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import date
from typing import Final, NamedTuple

from spxdata.catalog.entries import dumped
from spxdata.errors import CatalogCorrupt
from spxdata.model import Day, Outcome
from spxdata.pipeline.edges import Replied
from spxdata.protocols import Catalog

#: Kind of the catalog's documents with measures.
KIND: Final = "rates"
#: Version of these documents; of another version they say nothing to this program.
VERSION: Final = 1
#: Measures kept of each kind of unit: more than a day of the longest chain has.
MOST: Final = 128
#: Measures below which one more day is taken into account.
LEAST: Final = 4


class Kind(NamedTuple):
    """What has rates of its own."""

    dialect: str
    root: str
    dataset: str
    interval: str

    def __str__(self) -> str:
        return " ".join(self)

    @classmethod
    def of(cls, dialect: str, day: Day) -> "Kind":
        """Return the kind of a day's units."""
        return cls(dialect, day.root, day.dataset, day.interval)


class Measure(NamedTuple):
    """What one stored unit took.

    Attributes:
        trade_date: Its day.
        expiration: Its expiration, None for all of the day.
        contracts: How many were listed, None without a list.
        requests: Data requests of the try that was stored.
        received: Bytes received.
        stored: Bytes of the file.
        rows: Rows of the file.
        wait: Seconds until the first byte.
        seconds: Seconds from there to the last byte, our own work on the rows included where that is what held it up.
        settling: Seconds from the last byte until it was recorded.
    """

    trade_date: date
    expiration: date | None
    contracts: int | None
    requests: int
    received: int
    stored: int
    rows: int
    wait: float
    seconds: float
    settling: float

    @classmethod
    def of(cls, outcome: Outcome, contracts: int | None, replied: Replied, now: float) -> "Measure | None":
        """Return what a unit took; None if no file came of it.

        Args:
            outcome: How it ended.
            contracts: How many were listed, None without a list.
            replied: What its reply took.
            now: When it is recorded (monotonic seconds).
        """
        artifact, unit = outcome.artifact, outcome.unit
        if artifact is None:
            return None
        return cls(
            unit.trade_date,
            unit.expiration,
            contracts,
            replied.requests,
            replied.bytes,
            artifact.bytes,
            artifact.rows,
            round(replied.wait, 3),
            round(replied.seconds, 3),
            round(max(0.0, now - replied.ended), 3),
        )


class Measures:
    """The measures of one archive.

    Args:
        catalog: Its record.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._kept: dict[str, tuple[Measure, ...]] | None = None
        self._new: dict[str, list[Measure]] = {}

    def note(self, kind: Kind, measure: Measure) -> None:
        """Take a measure, to be kept with the next ones."""
        self._new.setdefault(str(kind), []).append(measure)

    def keep(self) -> None:
        """Write what was noted to the catalog, and forget the oldest; what cannot be read begins anew.

        A run that stores rows does not stop for figures that only a forecast needs.
        """
        if not self._new:
            return
        try:
            kept = self._read()
        except CatalogCorrupt:
            kept = self._kept = {}
            for key, text in self._catalog.documents(KIND).items():
                with suppress(CatalogCorrupt):
                    kept[key] = _measures(text)
        for key, measures in self._new.items():
            kept[key] = (*kept.get(key, ()), *measures)[-MOST:]
        self._catalog.keep_documents(KIND, {key: _written(kept[key]) for key in self._new})
        self._new.clear()

    def of(self, day: Day, dialect: str | None) -> tuple[str, tuple[Measure, ...]] | None:
        """Return the dialect and the measures of a day's kind, the newest last; None if nothing was measured.

        Args:
            day: The day.
            dialect: How the Terminal is spoken to; None where that is not known: then whichever was measured.

        Raises:
            CatalogCorrupt: What the catalog has cannot be read.
        """
        kept = self._read()
        for spoken in ("v3", "v2") if dialect is None else (dialect,):
            if found := kept.get(str(Kind.of(spoken, day))):
                return spoken, found
        return None

    def _read(self) -> dict[str, tuple[Measure, ...]]:
        if self._kept is None:
            self._kept = {key: _measures(text) for key, text in self._catalog.documents(KIND).items()}
        return self._kept


def newest(measures: Sequence[Measure]) -> tuple[Measure, ...]:
    """Return the measures of the trade date that was measured last, and of those before it while they are too few.

    Whatever was measured before that says how fast the Terminal was, not how fast it is.
    """
    chosen: tuple[Measure, ...] = ()
    dates: set[date] = set()
    for last in reversed(measures):
        if last.trade_date not in dates and len(chosen) < LEAST:
            dates.add(last.trade_date)
            chosen = tuple(measure for measure in measures if measure.trade_date in dates)
    return chosen


def _written(measures: Iterable[Measure]) -> str:
    rows = [[str(cell) if isinstance(cell, date) else cell for cell in measure] for measure in measures]
    return dumped({"version": VERSION, "columns": list(Measure._fields), "measures": rows})


def _measures(text: str) -> tuple[Measure, ...]:
    try:
        said = json.loads(text)
        return tuple(_measure(*row) for row in said["measures"]) if said["version"] == VERSION else ()
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        raise CatalogCorrupt(f"what the catalog says of measured rates cannot be read ({error!r})") from error


def _measure(trade_date: str, expiration: str | None, *figures: float) -> Measure:
    day = date.fromisoformat(trade_date)
    return Measure(day, date.fromisoformat(expiration) if expiration else None, *figures)  # type: ignore[arg-type]  # as written
