"""Which rows a history request gets: the same whichever dialect writes them."""

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import chain

from spxdata.emulator import drop
from spxdata.emulator.datasets import Dataset, Subject
from spxdata.emulator.query import Query
from spxdata.emulator.rows import Block, Contract, Market

#: Expirations and their contracts.
Wanted = list[tuple[date, list[Contract]]]


def within(expirations: list[date], day: date, max_dte: int | None) -> list[date]:
    """Give the expirations at most so many calendar days ahead."""
    return [item for item in expirations if max_dte is None or (item - day).days <= max_dte]


def answered(
    market: Market, rules: Sequence[drop.DropRule], query: Query, dataset: Dataset
) -> Iterator[tuple[date, Block]] | None:
    """Give the rows of an answer in blocks of whole contracts, each with its expiration; None if there are none.

    Rows that rules leave out are rows all the same: an answer may be empty without there being no data. What belongs
    to no expiration comes with its day instead.
    """
    if dataset.needs_index and not market.has_index(query.root, query.day):
        return None
    sieve = drop.Sieve(rules, dataset.name, query.root)
    chosen = _wanted(market, query) if dataset.subject is Subject.OPTION else [(query.day, [])]
    found = (
        (expiration, block)
        for expiration, contracts in chosen
        for block in dataset.make(market, query, expiration, contracts, sieve.kept)
    )
    for first in found:
        if sieve.seen:
            return ((expiration, block) for expiration, block in chain([first], found) if len(block))
    return None


def _wanted(market: Market, query: Query) -> Wanted:
    """Give the expirations and contracts asked for that have rows."""
    live = market.live(query.root, query.day)
    if query.expiration is not None:
        live = [query.expiration] if query.expiration in live else []
    return [
        (expiration, [item for item in market.contracts(query.root, query.day, expiration) if query.asks(item)])
        for expiration in within(live, query.day, query.max_dte)
    ]
