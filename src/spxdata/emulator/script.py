"""Decides which fault strikes which request: counting, never chance."""

import hashlib
import threading
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from fnmatch import fnmatchcase

from spxdata.emulator.faults import Fault
from spxdata.emulator.reply import Asked

_WHOLE = 2**64
#: These have nothing to do with a first page.
_LATER_PAGES = ("repeat_page", "expire_page")
_PAGES = ("skip_page", *_LATER_PAGES)


class Script:
    """The faults, and how often each has been matched.

    Args:
        faults: In the order in which they are tried.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = faults
        self._matched = Counter[int]()
        self._repeats = Counter[str]()
        self._lock = threading.Lock()

    def strike(self, asked: Asked, since_start: float) -> Fault | None:
        """Give the fault that strikes a request, the first in the file that does.

        A request counts for every fault it matches, whichever strikes.
        """
        with self._lock:
            self._repeats[asked.key] += 1
            repeat = self._repeats[asked.key]
            struck = None
            for index, fault in enumerate(self._faults):
                if matches(fault, asked):
                    self._matched[index] += 1
                    if struck is None and _falls(fault, asked, index, self._matched[index], repeat, since_start):
                        struck = fault
            return struck


def matches(fault: Fault, asked: Asked) -> bool:
    """Tell whether a fault concerns a request."""
    if fault.do in _PAGES and (asked.page is None or (fault.do in _LATER_PAGES and asked.page == 1)):
        return False
    if fault.path is not None and not fnmatchcase(asked.path, fault.path):
        return False
    pairs = (
        (fault.dialect, asked.dialect),
        (fault.dataset, asked.dataset),
        (fault.root, asked.root),
        (fault.date, asked.day),
        (fault.expiration, asked.expiration),
        (None if fault.strike is None else int(Decimal(fault.strike) * 1000), asked.strike),
        (fault.right, asked.right),
        (fault.page, asked.page),
    )
    return all(wanted is None or wanted == given for wanted, given in pairs)


def _falls(fault: Fault, asked: Asked, index: int, count: int, repeat: int, since_start: float) -> bool:
    """Tell whether a matching request, the count-th, is one of those to strike."""
    if fault.seconds is not None and fault.do == "starting" and since_start >= fault.seconds:
        return False
    if fault.requests is not None and count > fault.requests:
        return False
    if fault.nth is not None:
        return isinstance(fault.nth, frozenset) and count in fault.nth
    if fault.every is not None:
        return count % fault.every == 0
    if fault.share is not None:
        return _draw(f"{fault.seed or 0}|{index}|{asked.key}|{repeat}") < fault.share
    return count >= (fault.from_nth or 1)


def _draw(text: str) -> float:
    """Give a number from 0 to 1 that follows from a text alone: threads and time change nothing."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") / _WHOLE
