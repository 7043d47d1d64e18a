"""The v2 dialect: CSV in pages, days and strikes as whole numbers, milliseconds of the day."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlsplit

from spxdata.errors import Declined, MalformedReply, TooLarge
from spxdata.model import Right, Unit
from spxdata.schema import DATASETS, STEP_MINUTES, wire
from spxdata.terminal.client import Client, Manner
from spxdata.terminal.split import Bodies, Window
from spxdata.terminal.transport import Response, Timeouts

_MINUTE_MS = 60_000

#: The header that names the next page, and what it says on the last one.
_NEXT, _LAST = "Next-Page", "null"


@dataclass(frozen=True, slots=True)
class V2Terminal(Client):
    """A Terminal of the second generation; its greeks are always of version 1. See `Client`."""

    manner: ClassVar[Manner] = Manner(
        status="/system/mdds/status",
        lists={
            "expirations": ("/list/expirations", ("date",)),
            "strikes": ("/list/strikes", ("strike",)),
            "contracts": ("/list/contracts/option/{kind}", ("root", "expiration", "strike", "right")),
        },
        root="root",
        expiration="exp",
        date="start_date",
        expirations="date",
        day="%Y%m%d",
        strike_unit=1000.0,  # tenths of a cent
        rights={"C": Right.CALL, "P": Right.PUT},
        csv=("use_csv", "true"),
    )

    greeks_version: str = "1"

    def parameters(self, unit: Unit, window: Window, strike: float | None = None) -> dict[str, str]:
        """Return the query of a unit; every parameter whose default differs or drifts is there.

        Raises:
            TooLarge: One strike is asked for: v2 gives a chain whole, and its single contracts in another form.
        """
        if strike is not None:
            raise TooLarge(f"One minute of {unit} is too large, and v2 gives a chain in no smaller parts.")
        settings = {
            "ivl": str(STEP_MINUTES[unit.interval] * _MINUTE_MS),
            "rth": "false",  # its default ends at 16:00; start and end say what is wanted
            "rate": self.rate_type.upper(),
        }
        return {
            "root": unit.root,
            "exp": f"{unit.expiration:%Y%m%d}" if unit.expiration else "0",
            "start_date": f"{unit.trade_date:%Y%m%d}",
            "end_date": f"{unit.trade_date:%Y%m%d}",
            "start_time": str(window.first * _MINUTE_MS),
            "end_time": str(window.last * _MINUTE_MS),
            **{name: settings[name] for name in wire(DATASETS[unit.dataset], self.dialect).parameters},
        }

    def _pages(self, response: Response, first: Iterator[bytes], patience: Timeouts) -> Bodies:
        """Yield the pages of a reply, each to be read before the next is asked for.

        Raises:
            MalformedReply: A later page is declined, or comes a second time: the reply has no whole end.
        """
        yield first
        following = response.headers.get(_NEXT)
        read = set()
        while following and following.strip().lower() != _LAST:
            # Only the path: one spelling of the address everywhere, or the Terminal answers 476.
            path = urlsplit(following).path.removeprefix(urlsplit(self.line.url).path)
            if path in read:
                raise MalformedReply(f"The reply's pages go in a circle: {path} is to follow once more.")
            read.add(path)
            try:
                with self.line.ask(path, patience) as page:
                    yield page.chunks()
                    following = page.headers.get(_NEXT)
            except Declined as error:  # rows have come: an early end is no outcome
                raise MalformedReply(f"Page {len(read) + 1} of the reply is missing: {error.message}") from error
