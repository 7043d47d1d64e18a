"""What every catalog agrees on: how a unit and a day stand after each call, and a day's checksum (pure)."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from hashlib import sha256

from spxdata.model import Outcome, Scope, State, Unit, Verdict

#: The scope of a day whose units were recorded before its download ever began: it speaks of nothing.
UNKNOWN_SCOPE = Scope(max_dte=0)


def begun(unit: Unit, known: Outcome | None) -> Outcome:
    """Return how a unit stands when its download begins: a file that is there stays on record."""
    if known is not None and known.artifact is not None:
        return replace(known, state=State.DOWNLOADING)
    return Outcome(unit, State.DOWNLOADING, attempts=0)


def settled(known: Outcome | None, new: Outcome) -> Outcome:
    """Return how a unit stands after an outcome was recorded.

    The old file is withdrawn only right before the rename that replaces it. An attempt that ends otherwise
    while a file is on record has therefore not touched that file: the unit stays stored, with the file, holes
    and reason it had. The attempt itself is history.

    Raises:
        ValueError: The outcome is stored without an artifact, or has one without being stored.
    """
    if (new.state is State.STORED) != (new.artifact is not None):
        raise ValueError(f"{new.unit}: an outcome has an artifact exactly if it is stored, not {new.state}.")
    if new.artifact is None and known is not None and known.artifact is not None:
        return replace(known, state=State.STORED)
    return new


def is_blemished(outcome: Outcome) -> bool:
    """Tell whether there is more to say of a unit than that it is stored."""
    plain = outcome.state is State.STORED and outcome.verified and not outcome.holes
    return not plain or outcome.reason is not None or outcome.ask_again is not None


def withdrawn(known: Outcome) -> Outcome:
    """Return how a unit stands without its file: as never asked for, or still downloading."""
    return known if known.artifact is None else bare(known.unit, known.state)


def bare(unit: Unit, state: State) -> Outcome:
    """Return how a unit stands whose file is on record no more."""
    return Outcome(unit, State.DOWNLOADING if state is State.DOWNLOADING else State.PENDING, attempts=0)


def refusals(recorded: Iterable[tuple[datetime, Outcome]]) -> tuple[Outcome, ...]:
    """Return the newest refused outcome of each dataset, sorted by dataset.

    Args:
        recorded: How units stand, each with the moment it was recorded; of the same moment, the later unit counts.
    """
    refused = [(at, outcome) for at, outcome in recorded if outcome.state is State.REFUSED]
    newest = {
        outcome.unit.dataset: outcome for _, outcome in sorted(refused, key=lambda one: (one[0], *_place(one[1].unit)))
    }
    return tuple(newest[dataset] for dataset in sorted(newest))


def stopped_word(error: str | None) -> str:
    """Return the brief's word for a day whose download stopped early."""
    return "queued" if error is None else "failed"


def day_word(verdict: Verdict | None, error: str | None) -> str:
    """Return the brief's word for a day that has ended; one that is not published yet waits to be asked again."""
    if error is not None:
        return "failed"
    return "queued" if verdict is Verdict.NOT_PUBLISHED else "success"


def in_utc(moment: datetime) -> datetime:
    """Return the same moment in UTC.

    Raises:
        TypeError: It is naive: nobody can tell what it means.
    """
    if moment.utcoffset() is None:
        raise TypeError(f"{moment} has no time zone.")
    return moment.astimezone(UTC)


def day_checksum(files: Iterable[tuple[str, str]]) -> str | None:
    """Return the SHA-256 over the sorted lines "path sha256" of a day's files; None if there are none."""
    lines = sorted(f"{path} {digest}\n" for path, digest in files)
    return sha256("".join(lines).encode()).hexdigest() if lines else None


def _place(unit: Unit) -> tuple[date, str, str, date]:
    return unit.trade_date, unit.root, unit.interval, unit.expiration or date.min
