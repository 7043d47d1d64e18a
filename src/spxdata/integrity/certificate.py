"""A certificate: how a day of a dataset stands, exactly what it lacks, and what that was computed from."""

import json
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final

from spxdata.events import plain
from spxdata.model import Contract, Day, Hole, HoleKind, Right, Scope, State, Unit, Verdict

#: Kind under which the catalog keeps certificates.
KIND: Final = "certificate"
#: Version of the rules that certificates follow; one of another version is computed anew.
VERSION: Final = 2

#: Verdicts of days that lack nothing the vendor has.
SOUND: Final = frozenset({Verdict.COMPLETE, Verdict.CLOSED, Verdict.ABSENT, Verdict.NOT_PUBLISHED})


@dataclass(frozen=True, slots=True)
class Missing:
    """A unit within the scope that is not stored.

    Attributes:
        expiration: Its expiration; None of a day-wide dataset.
        state: How it stands; None if it was never asked for.
        reason: Why, as far as that is known.
        ask_again: The day from which asking again makes sense; None for at once.
    """

    expiration: date | None
    state: State | None
    reason: str | None = None
    ask_again: date | None = None


@dataclass(frozen=True, slots=True)
class Lack:
    """What a stored unit lacks.

    Attributes:
        expiration: The unit's expiration; None of a day-wide dataset.
        hole: What is missing.
        ask_again: The day from which asking again makes sense; None for at once.
    """

    expiration: date | None
    hole: Hole
    ask_again: date | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """A cross-check between datasets.

    Attributes:
        name: What was compared.
        value: The result.
        low: Least value that is normal.
        high: Largest value that is normal.
        unusual: Whether the value is far outside what is normal, or outside the archive's own history.
    """

    name: str
    value: float
    low: float
    high: float
    unusual: bool


@dataclass(frozen=True, slots=True)
class Certificate:
    """How a day of a dataset stands.

    Attributes:
        day: The trade date, root, dataset and interval.
        scope: What the certificate speaks of.
        verdict: See `Verdict`; None where nothing was stored and something is missing.
        units: Units within the scope.
        stored: Of these, the ones that are stored whole.
        rows: Their rows.
        missing: Units that are not stored.
        lacks: Outages and gaps of those that are.
        empty: Listed contracts of which the Terminal said, asked for each alone, that they have no rows.
        notes: Lesser holes, counted.
        figures: Cross-checks with other datasets.
        issued_at: When it was computed (aware).
        basis: Digest of what it was computed from: the same basis gives the same certificate.
    """

    day: Day
    scope: Scope
    verdict: Verdict | None
    units: int
    stored: int
    rows: int
    missing: tuple[Missing, ...]
    lacks: tuple[Lack, ...]
    empty: tuple[Contract, ...]
    notes: int
    issued_at: datetime
    basis: str
    figures: tuple[Figure, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether the day lacks nothing that the vendor has."""
        return self.verdict in SOUND

    def units_to_fetch(self) -> tuple[Unit, ...]:
        """Return the units that are missing or lack something."""
        expirations = {one.expiration for one in self.missing} | {one.expiration for one in self.lacks}
        return tuple(self.day.unit(expiration) for expiration in sorted(expirations, key=lambda e: e or date.min))

    def waiting(self, today: date) -> dict[Unit, date]:
        """Return those of the units to fetch that were asked for in vain, and the days from which they are due again.

        Args:
            today: The current day in New York: units that are due on it are left out.
        """
        dues = [(one.expiration, one.ask_again) for one in self.missing]
        dues += [(one.expiration, one.ask_again) for one in self.lacks]
        return {self.day.unit(expiration): due for expiration, due in dues if due and due > today}

    def with_figures(self, figures: tuple[Figure, ...]) -> "Certificate":
        """Return the certificate with cross-checks."""
        return replace(self, figures=figures)


def key_of(day: Day) -> str:
    """Return the key under which the catalog keeps a day's certificate.

    Example:
        "2024-01-16 SPXW greeks 1m"
    """
    return f"{day.trade_date} {day.root} {day.dataset} {day.interval}"


def written(certificate: Certificate) -> str:
    """Return a certificate as the JSON document that the catalog keeps."""
    record: dict[str, Any] = {"version": VERSION, **plain(certificate)}
    record["complete"] = certificate.verdict is Verdict.COMPLETE
    return json.dumps(record)


def read(text: str) -> Certificate | None:
    """Return the certificate of a document; None if it follows other rules or is none: it can be computed anew."""
    try:
        said = json.loads(text)
        return _certificate(said) if said["version"] == VERSION else None
    except (KeyError, TypeError, ValueError):
        return None


def _certificate(said: dict[str, Any]) -> Certificate:
    scope = said["scope"]
    return Certificate(
        day=Day(**{**said["day"], "trade_date": date.fromisoformat(said["day"]["trade_date"])}),
        scope=Scope(scope["max_dte"], tuple(date.fromisoformat(day) for day in scope["expirations"])),
        verdict=Verdict(said["verdict"]) if said["verdict"] else None,
        units=said["units"],
        stored=said["stored"],
        rows=said["rows"],
        missing=tuple(
            Missing(
                _day(one["expiration"]),
                State(one["state"]) if one["state"] else None,
                one["reason"],
                _day(one["ask_again"]),
            )
            for one in said["missing"]
        ),
        lacks=tuple(Lack(_day(one["expiration"]), _hole(one["hole"]), _day(one["ask_again"])) for one in said["lacks"]),
        empty=tuple(_contract(one) for one in said["empty"]),
        notes=said["notes"],
        figures=tuple(Figure(**one) for one in said["figures"]),
        issued_at=datetime.fromisoformat(said["issued_at"]),
        basis=said["basis"],
    )


def _hole(said: dict[str, Any]) -> Hole:
    contract = _contract(said["contract"]) if said["contract"] else None
    return Hole(HoleKind(said["kind"]), contract, said["first"], said["last"])


def _contract(said: dict[str, Any]) -> Contract:
    return Contract(date.fromisoformat(said["expiration"]), said["strike"], Right(said["right"]))


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
