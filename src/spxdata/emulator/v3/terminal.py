"""The v3 Terminal: what it makes of a path and its parameters."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from urllib.parse import urlencode

from spxdata.emulator.datasets import Subject
from spxdata.emulator.reply import Asked, Headers, Refusal, Reply, Table
from spxdata.emulator.v3 import wire
from spxdata.emulator.v3.json_form import json_body
from spxdata.emulator.v3.renames import upgrade_text
from spxdata.emulator.v3.request import RIGHTS, read_day, read_strike
from spxdata.emulator.v3.routes import ROUTES, Desk, Route

TIERS = ("free", "value", "standard", "professional")

_PLAIN = "text/plain"
_SERVER = ("Server", "Jetty(12.0.14)")


class V3Terminal:
    """Answers in the words of v3.

    Args:
        desk: What answers are made from.
        tier: The subscription of the account for options.
        index_tier: Its subscription for indices.
    """

    name = "v3"
    prefix = "/v3"
    #: Data requests worked on at a time, by tier.
    places: Mapping[str, int] = {"free": 1, "value": 2, "standard": 4, "professional": 8}
    no_data = "No data found for your request"

    def __init__(self, desk: Desk, tier: str, index_tier: str) -> None:
        self._desk = desk
        # Interest rates are everyone's.
        self._tiers = {Subject.OPTION: tier, Subject.INDEX: index_tier, Subject.RATE: "free"}

    def asked(self, path: str, parameters: Mapping[str, str]) -> Asked:
        """Describe a request, whole path and parameters; what cannot be read is left out."""
        short = path.removeprefix(self.prefix)
        route = ROUTES.get(short)
        return Asked(
            dialect=self.name,
            path=short,
            dataset=route.name if route else "",
            key=f"{short}?{urlencode(sorted(parameters.items()))}",
            root=parameters["symbol"].upper() if "symbol" in parameters else None,
            day=_day(parameters.get("date") or parameters.get("start_date")),
            expiration=_day(parameters.get("expiration")),
            strike=_strike(parameters.get("strike", "*")),
            right=RIGHTS.get(parameters.get("right", "both").lower()),
        )

    def is_data(self, path: str) -> bool:
        """Tell whether a request is for rows: only those take one of the account's places."""
        route = ROUTES.get(path.removeprefix(self.prefix))
        return route is not None and route.streamed

    def answer(self, path: str, parameters: Mapping[str, str], *, address: str, shift: int = 0) -> Reply:
        """Answer a request.

        Raises:
            Refusal: The answer is not a 200.
        """
        del address, shift  # nothing refers to another page here
        if upgrade := upgrade_text(path, parameters):
            raise Refusal(410, upgrade)
        route = ROUTES.get(path.removeprefix(self.prefix)) if path.startswith(self.prefix) else None
        if route is None:
            raise Refusal(404, "Not Found")
        tier = self._tiers[route.subject]
        if TIERS.index(tier) < TIERS.index(route.tier):
            raise Refusal(
                403,
                f"Requesting an {route.subject.value} endpoint requiring a {route.tier} subscription, "
                f"but you only have a {tier.upper()} subscription.",
            )
        pieces = route.answer(self._desk, parameters)
        if not route.columns:
            return self.text(200, b"".join(pieces).decode())
        if parameters.get("format") == "json":
            body = json_body(route.columns, pieces, grouped=route.grouped)
            return Reply(200, (("Content-Type", "application/json"), _SERVER), [body])
        return self._csv(route, pieces)

    def text(self, status: int, text: str, headers: Headers = ()) -> Reply:
        """Answer in plain text."""
        return Reply(status, (("Content-Type", _PLAIN), *headers, _SERVER), [text.encode()])

    def restart(self) -> None:
        """Forget nothing: no request depends on another."""

    def _csv(self, route: Route, pieces: Iterable[bytes]) -> Reply:
        style = self._desk.style
        return Reply(
            200,
            (("Content-Type", "text/csv"), _SERVER),
            _headed(wire.header(route.columns, style), pieces),
            streamed=route.streamed,
            table=Table(route.columns, style.line_end.encode()),
        )


def _headed(header: bytes, pieces: Iterable[bytes]) -> Iterator[bytes]:
    yield header
    yield from pieces


def _day(text: str | None) -> date | None:
    with contextlib.suppress(Refusal):
        return read_day(text or "")
    return None


def _strike(text: str) -> int | None:
    with contextlib.suppress(Refusal):
        return read_strike(text)
    return None
