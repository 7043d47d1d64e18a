"""A market so small that a unit takes milliseconds: minute quotes of a few contracts, as files the emulator replays."""

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import product
from pathlib import Path

#: Minutes of the day, New York.
OPEN, CLOSE, CLOSE_ON_EXPIRATION = 9 * 60 + 30, 16 * 60 + 15, 16 * 60

TUESDAY = date(2024, 1, 16)
#: Expirations quoted on `TUESDAY`: one that ends that day, and two later ones.
EXPIRATIONS = (TUESDAY, date(2024, 1, 17), date(2024, 1, 19))
STRIKES = (4700, 4750)


def write_market(
    folder: Path, chains: Iterable[tuple[date, Sequence[date]]], strikes: Sequence[int] = STRIKES, rights: str = "CP"
) -> Path:
    """Write the quotes of some days into a folder, and return it.

    Args:
        folder: Where; it is made.
        chains: Trade dates, each with its expirations.
        strikes: In dollars.
        rights: C, P or both.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for trade_date, expirations in chains:
        for expiration in expirations:
            path = folder / f"SPXW_{trade_date:%Y%m%d}_{expiration:%Y%m%d}.csv"
            path.write_text(_quotes(trade_date, expiration, list(product(strikes, rights))), encoding="utf-8")
    return folder


def _quotes(trade_date: date, expiration: date, contracts: Sequence[tuple[int, str]]) -> str:
    """Return a chain's rows; every one differs from every other, and all are worth something."""
    close = CLOSE_ON_EXPIRATION if expiration == trade_date else CLOSE
    offset = (expiration - trade_date).days + trade_date.toordinal() % 7
    lines = ["strike,right,ms_of_day,bid_size,bid,ask_size,ask"]
    for number, (strike, right) in enumerate(contracts):
        for minute in range(OPEN, close + 1):
            bid = 10 + 50 * number + 0.1 * (minute - OPEN) + offset
            lines.append(
                f"{strike * 1000},{right},{minute * 60_000},{10 + number},{bid:.2f},{20 + number},{bid + 1:.2f}"
            )
    return "\n".join([*lines, ""])
