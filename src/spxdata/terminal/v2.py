"""The v2 dialect: CSV in pages, days and strikes as whole numbers, milliseconds of the day."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlsplit

from spxdata.errors import Declined, MalformedReply, TooLarge
from spxdata.model import Right
from spxdata.schema import STEP_MS
from spxdata.terminal.client import Client, Manner
from spxdata.terminal.split import Bodies, Part
from spxdata.terminal.transport import Response, Timeouts

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
        single=("strike", "right", "rth"),  # which a chain of quotes does not know
    )

    greeks_version: str = "1"

    def parameters(self, part: Part) -> dict[str, str]:
        """Return every parameter that may be sent for a part; none is left to the Terminal's default."""
        day = f"{part.unit.trade_date:%Y%m%d}"
        strike, right = part.contract or (0.0, Right.CALL)
        return {
            "root": part.unit.root,
            "exp": f"{part.expiration:%Y%m%d}" if part.expiration else "0",
            "strike": str(round(strike * self.manner.strike_unit)),
            "right": right.value[0],
            "start_date": day,
            "end_date": day,
            "start_time": str(part.window.first),
            "end_time": str(part.window.last),
            "ivl": str(STEP_MS.get(part.unit.interval, 0)),  # 0 is every tick
            "rth": "false",  # its default ends at 16:00; start and end say what is wanted
            "rate": self.rate_type.upper(),
            "exclusive": "true",  # the quote before the trade, not one that came with it
        }

    def contract_cells(self, part: Part) -> str:
        """Return what names a single contract in a row of a chain."""
        given = self.parameters(part)
        return ",".join(given[name] for name in ("root", "exp", "strike", "right"))

    def _pages(self, response: Response, first: Iterator[bytes], patience: Timeouts) -> Bodies:
        """Yield the pages of a reply, each to be read before the next is asked for.

        Raises:
            MalformedReply: A later page is declined or refused as too large, or is to come a second time: the reply has
                no whole end.
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
            except (Declined, TooLarge) as error:  # rows have come: an early end is no outcome, nor asked in parts
                raise MalformedReply(f"Page {len(read) + 1} of the reply is missing: {error.message}") from error
