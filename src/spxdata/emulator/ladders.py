"""Which strikes an expiration has: dense near the money, coarse far out, with gaps, in no order."""

from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from spxdata.emulator import walk
from spxdata.emulator.rows import Contract

#: (reach below, reach above, step): shares of the index, dollars. Each ring adds to the ones before.
RINGS = {
    "small": (
        (0.008, 0.008, 5),
        (0.016, 0.015, 10),
        (0.040, 0.030, 25),
        (0.080, 0.050, 50),
        (0.120, 0.080, 100),
    ),
    "full": (
        (0.065, 0.055, 5),
        (0.110, 0.085, 10),
        (0.180, 0.140, 25),
        (0.420, 0.240, 50),
        (0.750, 0.350, 100),
    ),
}
CHAINS = tuple(RINGS)
#: Days before the expiration whose close is the ladder's middle.
_SET_BEFORE = {"small": 6, "full": 20}


@lru_cache(maxsize=1024)
def strikes(seed: int, chain: str, root: str, expiration: date) -> tuple[int, ...]:
    """Give the strikes of an expiration in thousandths, in an order that means nothing."""
    middle = walk.close_before(seed, expiration - timedelta(days=_SET_BEFORE[chain]))
    found: set[int] = set()
    for below, above, step in RINGS[chain]:
        first, last = int(middle * (1 - below) // step) * step, int(middle * (1 + above) // step) * step
        found.update(range(max(first, step), last + 1, step))
    random = walk.generator(seed, "ladder", chain, root, expiration.toordinal())
    ordered = np.array(sorted(found))
    # Real ladders lack a strike here and there; the round ones are always listed.
    kept = ordered[(ordered % 50 == 0) | (random.random(len(ordered)) > 0.04)]
    return tuple(int(strike) * 1000 for strike in random.permutation(kept))


@lru_cache(maxsize=1024)
def contracts(seed: int, chain: str, root: str, expiration: date) -> tuple[Contract, ...]:
    """Give the contracts of an expiration in the order in which replies bring them."""
    both = [Contract(strike, right) for strike in strikes(seed, chain, root, expiration) for right in "CP"]
    order = walk.generator(seed, "order", chain, root, expiration.toordinal()).permutation(len(both))
    return tuple(both[i] for i in order)
