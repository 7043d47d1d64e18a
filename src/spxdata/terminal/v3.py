"""The v3 dialect: canonical names and units, one streamed reply a request."""

from dataclasses import dataclass
from typing import ClassVar

from spxdata.model import Right
from spxdata.terminal.client import Client, Manner
from spxdata.terminal.split import Part


@dataclass(frozen=True, slots=True)
class V3Terminal(Client):
    """A Terminal of the third generation; see `Client`."""

    manner: ClassVar[Manner] = Manner(
        status="/terminal/mdds/status",
        lists={
            "expirations": ("/option/list/expirations", ("symbol", "expiration")),
            "strikes": ("/option/list/strikes", ("symbol", "strike")),
            "contracts": ("/option/list/contracts/{kind}", ("symbol", "expiration", "strike", "right")),
        },
        root="symbol",
        expiration="expiration",
        date="date",
        expirations="expiration",
        day="%Y-%m-%d",
        strike_unit=1.0,
        rights={"CALL": Right.CALL, "PUT": Right.PUT},
        csv=("format", "csv"),
    )

    def parameters(self, part: Part) -> dict[str, str]:
        """Return every parameter that may be sent for a part; none is left to the Terminal's default."""
        day = part.unit.trade_date.isoformat()
        strike, right = part.contract or (None, None)
        return {
            "symbol": part.unit.root,
            "expiration": part.expiration.isoformat() if part.expiration else "*",
            "strike": "*" if strike is None else dollars(strike),
            "right": "both" if right is None else right.value.lower(),
            "date": day,
            "start_date": day,
            "end_date": day,
            "start_time": wall_clock(part.window.first),
            "end_time": wall_clock(part.window.last),
            "interval": part.unit.interval,
            "version": self.greeks_version,
            "rate_type": self.rate_type,
            "exclusive": "true",  # the quote before the trade, not one that came with it
            "underlyer_use_nbbo": "false",
        }

    def contract_cells(self, part: Part) -> str:
        """Return what names a single contract in a row of a chain."""
        given = self.parameters(part)
        return ",".join((given["symbol"], given["expiration"], given["strike"], given["right"].upper()))


def dollars(strike: float) -> str:
    """Write a strike as short as it can be.

    Example:
        >>> dollars(4750.0), dollars(12345.5)
        ('4750', '12345.5')
    """
    return f"{strike:.3f}".rstrip("0").rstrip(".")


def wall_clock(millisecond: int) -> str:
    """Write a millisecond of the day.

    Example:
        >>> wall_clock(34_200_000), wall_clock(34_200_250)
        ('09:30:00', '09:30:00.250')
    """
    second, fraction = divmod(millisecond, 1000)
    text = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    return f"{text}.{fraction:03}" if fraction else text
