"""The v3 dialect: canonical names and units, one streamed reply a request."""

from dataclasses import dataclass
from typing import ClassVar

from spxdata.model import Right, Unit
from spxdata.schema import DATASETS, wire
from spxdata.sessions import clock
from spxdata.terminal.client import Client, Manner
from spxdata.terminal.split import Window


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

    def parameters(self, unit: Unit, window: Window, strike: float | None = None) -> dict[str, str]:
        """Return the query of a unit; every parameter whose default differs or drifts is there."""
        settings = {"interval": unit.interval, "version": self.greeks_version, "rate_type": self.rate_type}
        return {
            "symbol": unit.root,
            "expiration": unit.expiration.isoformat() if unit.expiration else "*",
            "strike": "*" if strike is None else f"{strike:g}",
            "right": "both",
            "date": unit.trade_date.isoformat(),
            "start_time": f"{clock(window.first)}:00",
            "end_time": f"{clock(window.last)}:00",
            **{name: settings[name] for name in wire(DATASETS[unit.dataset], self.dialect).parameters},
        }
