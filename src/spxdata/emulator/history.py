"""Which rows a history request gets, and their greeks: the same whichever dialect writes them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from spxdata.emulator import drop, greeks
from spxdata.emulator.hours import OPEN
from spxdata.emulator.rates import rate
from spxdata.emulator.rows import Contract, Market, Rows

#: The one exchange and condition recorded SPX quotes show: Cboe, firm.
EXCHANGE, CONDITION = 5, 50

#: Expirations and their contracts.
Wanted = list[tuple[date, list[Contract]]]


@dataclass(frozen=True, slots=True)
class Query:
    """What a history request asks for.

    Attributes:
        root: Option root.
        expiration: None for every expiration.
        strike: In thousandths, or None for all.
        right: `C`, `P`, or None for both.
        day: Trade date.
        step: Minutes from row to row.
        first: First minute, since midnight.
        last: Last minute; belongs to the answer.
        max_dte: Farthest expiration in calendar days, or None.
        version: How greeks count the last day.
        rate_type: Which interest rate greeks use.
    """

    root: str
    expiration: date | None
    strike: int | None
    right: str | None
    day: date
    step: int
    first: int
    last: int
    max_dte: int | None
    version: str
    rate_type: str


def within(expirations: list[date], day: date, max_dte: int | None) -> list[date]:
    """Give the expirations at most so many calendar days ahead."""
    return [item for item in expirations if max_dte is None or (item - day).days <= max_dte]


def wanted(market: Market, query: Query) -> Wanted:
    """Give the expirations and contracts asked for that have rows."""
    live = market.live(query.root, query.day)
    if query.expiration is not None:
        live = [query.expiration] if query.expiration in live else []
    found = []
    for expiration in within(live, query.day, query.max_dte):
        contracts = [
            contract
            for contract in market.contracts(query.root, query.day, expiration)
            if query.strike in (None, contract.strike) and query.right in (None, contract.right)
        ]
        if contracts:
            found.append((expiration, contracts))
    return found


def blocks(
    market: Market, rules: Sequence[drop.DropRule], query: Query, chosen: Wanted, *, dataset: str, needs_index: bool
) -> Iterator[tuple[date, Rows]]:
    """Give the rows of an answer in blocks of whole contracts, each with its expiration."""
    offset = 0
    for expiration, contracts in chosen:
        concerned = [r for r in rules if r.concerns(dataset, query.root, query.day, expiration)]
        for block in market.quotes(query.root, query.day, expiration, contracts):
            rows = block.pick(
                (block.minute >= query.first) & (block.minute <= query.last) & ((block.minute - OPEN) % query.step == 0)
            )
            if needs_index:
                rows = rows.pick(~np.isnan(rows.spot))
            offset_after = offset + len(rows)
            rows = drop.kept(rows, concerned, offset)
            offset = offset_after
            if len(rows):
                yield expiration, rows


def first_order(rows: Rows, query: Query, expiration: date) -> greeks.GreekColumns:
    """Compute the greeks of a block of rows, rounded as they are printed."""
    strike = np.array([contract.strike / 1000.0 for contract in rows.contracts])
    call = np.array([contract.right == "C" for contract in rows.contracts])
    terms = greeks.Terms(
        spot=rows.spot,
        strike=strike[rows.which],
        call=call[rows.which],
        t=greeks.years_to_expiration(query.day, expiration, rows.minute, query.version),
        rate=rate(query.day, query.rate_type),
    )
    return greeks.columns(terms, greeks.cut_mid(rows.bid, rows.ask), rows.deviation)
