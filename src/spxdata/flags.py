"""Row flags: bit, name and meaning; the rules that set them stand in pipeline/rules.py."""

from enum import IntFlag


class Flag(IntFlag):
    """What is odd about a row that is kept as the vendor sent it; bits of the column `flags`."""

    ZERO_BID = 1 << 0
    ZERO_SIDE = 1 << 1
    SENTINEL = 1 << 2
    LOCKED = 1 << 3
    CROSSED = 1 << 4
    OFF_TICK = 1 << 5
    OUT_OF_SESSION = 1 << 6
    UNLISTED = 1 << 7
    REPEATED = 1 << 8
    UNSOLVED_IV = 1 << 9
    IV_ERROR = 1 << 10
    DELTA_RANGE = 1 << 11
    NOT_FINITE = 1 << 12
    SUPERSEDED = 1 << 13
    UNTRADED = 1 << 14
    NO_QUOTE = 1 << 15
    MISSHAPEN = 1 << 16


MEANING: dict[Flag, str] = {
    Flag.ZERO_BID: "nobody bids: bid 0 under an ask",
    Flag.ZERO_SIDE: "no ask over a bid, or a price without size, or a size without price",
    Flag.SENTINEL: "the vendor's empty row: bid and ask 0, or iv_error 100 and more, or no underlying price",
    Flag.LOCKED: "bid equals ask",
    Flag.CROSSED: "bid above ask",
    Flag.OFF_TICK: "a quoted price off the exchange's tick grid",
    Flag.OUT_OF_SESSION: "before the open or after the close of this expiration",
    Flag.UNLISTED: "a contract that the day's contract list lacks",
    Flag.REPEATED: "the same row again, value for value",
    Flag.UNSOLVED_IV: "implied_vol 0: no volatility gives this price",
    Flag.IV_ERROR: "implied_vol misses the price by more than half (iv_error beyond 0.5)",
    Flag.DELTA_RANGE: "delta outside -1 to 1",
    Flag.NOT_FINITE: "a number that is infinite or not a number",
    Flag.SUPERSEDED: "a report on a contract of which a newer one is there",
    Flag.UNTRADED: "a bar or report without a trade: its prices are 0, which means absent",
    Flag.NO_QUOTE: "a trade or report without any quote: bid and ask 0",
    Flag.MISSHAPEN: "a bar whose high is below its low, or whose open or close lies outside them",
}


def names(flags: int) -> tuple[str, ...]:
    """Return the lower-case names of the bits that are set.

    Example:
        >>> names(3)
        ('zero_bid', 'zero_side')
    """
    return tuple(flag.name.lower() for flag in Flag if flag.name and flags & flag)
