"""The v2 Terminal: what it makes of a path and its parameters."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

import polars as pl

from spxdata.emulator.datasets import Subject
from spxdata.emulator.reply import Asked, Headers, Refusal, Reply, Table
from spxdata.emulator.v2 import wire
from spxdata.emulator.v2.pages import Answer, Paged, Pages
from spxdata.emulator.v2.request import RIGHTS, read_day, read_flag
from spxdata.emulator.v2.routes import NO_BULK_DATA, NO_SINGLE_DATA, ROUTES, Desk, Route
from spxdata.emulator.v2.wire import Shape

TIERS = ("free", "value", "standard", "professional")

_STATUS = ("/system/mdds/status", "/system/fpss/status")
_PAGE = "/page/"
_CROSS_ORIGIN: Headers = (("Access-Control-Allow-Headers", "*"), ("Access-Control-Allow-Origin", "*"))
_CROSS_HEADERS = ("Access-Control-Request-Headers", "*")


@dataclass(frozen=True, slots=True)
class Habits:
    """What differs between v2 Terminals.

    Attributes:
        page_rows: Rows of a page.
        page_header: Whether pages after the first repeat the line of column names.
        page_expire: Seconds a page waits to be read.
        no_data_colon: Whether the text of a 472 begins with a colon.
    """

    page_rows: int = 100_000
    page_header: bool = True
    page_expire: float = 30.0
    no_data_colon: bool = False


class V2Terminal:
    """Answers in the words of v2.

    Args:
        desk: What answers are made from.
        tier: The subscription of the account for options.
        index_tier: Its subscription for indices.
        habits: What differs between Terminals.
        status: Tells how the Terminal stands with its servers.
        monotonic: Tells the time.
    """

    name = "v2"
    prefix = "/v2"
    #: Data requests worked on at a time, by tier.
    places: Mapping[str, int] = {"free": 1, "value": 1, "standard": 2, "professional": 4}
    no_data = NO_BULK_DATA

    def __init__(
        self,
        desk: Desk,
        tier: str,
        index_tier: str,
        habits: Habits,
        status: Callable[[], str],
        monotonic: Callable[[], float],
    ) -> None:
        self._desk = desk
        self._tier = tier
        self._tiers = {Subject.OPTION: tier, Subject.INDEX: index_tier}
        self._habits = habits
        self._status = status
        self._monotonic = monotonic
        self.restart()

    def asked(self, path: str, parameters: Mapping[str, str]) -> Asked:
        """Describe a request; a later page is described as the request it belongs to."""
        short = path.removeprefix(self.prefix)
        if short.startswith(_PAGE):
            found = self._pages.peek(_number(short))
            if found is None:
                return Asked(self.name, short, "", key=short)
            paged, page = found
            return replace(paged.asked, page=page, key=f"{paged.asked.key}#{page}")
        route = ROUTES.get(short)
        strike = parameters.get("strike", "")
        return Asked(
            dialect=self.name,
            path=short,
            dataset=route.name if route else "status" if short in _STATUS else "",
            key=f"{short}?{urlencode(sorted(parameters.items()))}",
            root=parameters["root"].upper() if "root" in parameters else None,
            day=read_day(parameters.get("start_date")),
            expiration=read_day(parameters.get("exp")),
            strike=int(strike) if strike.isdecimal() else None,
            right=RIGHTS.get(parameters.get("right", "").upper()),
            page=1 if route else None,
        )

    def is_data(self, path: str) -> bool:
        """Tell whether a request is for rows, of a first page or a later one: only those take a place."""
        short = path.removeprefix(self.prefix)
        if short.startswith(_PAGE):
            found = self._pages.peek(_number(short))
            return found is None or ROUTES[found[0].asked.path].counted
        return short in ROUTES and ROUTES[short].counted

    def answer(self, path: str, parameters: Mapping[str, str], *, address: str, shift: int = 0) -> Reply:
        """Answer a request.

        Args:
            path: Whole path.
            parameters: Of the query.
            address: What stands before the path in the address of a page.
            shift: By how many pages to miss the one asked for.

        Raises:
            Refusal: The answer is not a 200.
        """
        began = time.monotonic()
        short = path.removeprefix(self.prefix) if path.startswith(self.prefix) else ""
        if short in _STATUS:
            return self.text(200, self._status())
        if short.startswith(_PAGE):
            paged, page = self._pages.find(_number(short))
        else:
            paged, page = self._begin(short, dict(parameters)), 1
        return self._page(paged, page, shift, address, began)

    def text(self, status: int, text: str, headers: Headers = ()) -> Reply:
        """Answer in text."""
        colon = ":" if status == 472 and self._habits.no_data_colon else ""
        return Reply(
            status,
            (*_CROSS_ORIGIN, _CROSS_HEADERS, ("Content-Type", "text"), *headers),
            [(colon + text).encode()],
            spell=str.capitalize,
        )

    def restart(self) -> None:
        """Forget every page that waits."""
        self._pages = Pages(2 * self.places[self._tier], self._habits.page_expire, self._monotonic)

    def _begin(self, path: str, parameters: dict[str, str]) -> Paged:
        route = ROUTES.get(path)
        if route is None:
            raise Refusal(404, "No such request")
        if TIERS.index(self._tiers[route.subject]) < TIERS.index(route.tier):
            raise Refusal(471, f"permissions/:This request needs an {route.subject.value} {route.tier} subscription.")
        answer = Answer(route.answer(self._desk, parameters), self._habits.page_rows)
        return Paged(self.asked(self.prefix + path, parameters), answer, parameters)

    def _page(self, paged: Paged, page: int, shift: int, address: str, began: float) -> Reply:
        """Write one page; a shifted one is another page's rows, and a skip goes on after them."""
        # What follows is what follows the later of the two: a repeated page costs nothing, a skipped one is lost.
        last = max(page, page + shift)
        end = paged.answer.page(last)
        found = paged.answer.page(page if end is None else page + shift)
        if found is None:
            raise Refusal(472, NO_BULK_DATA if ROUTES[paged.asked.path].shape is Shape.BULK else NO_SINGLE_DATA)
        frame = found[0].clear() if end is None else found[0]
        more = end is not None and end[1]
        if more:
            next_page = f"{address}{self.prefix}{_PAGE}{self._pages.promise(paged, last + 1)}"
        else:
            next_page = "null"
            self._pages.close(paged)
        return self._written(paged, frame, next_page, headed=page == 1 or self._habits.page_header, began=began)

    def _written(self, paged: Paged, frame: pl.DataFrame, next_page: str, *, headed: bool, began: float) -> Reply:
        route = ROUTES[paged.asked.path]
        latency = int((time.monotonic() - began) * 1000)
        tail = (("Access-Control-Allow-Origin", "*"), ("Next-Page", next_page))
        if not _wants_csv(paged.parameters):
            body = wire.json_page(frame, route.shape, next_page=next_page, latency_ms=latency)
            kind: Headers = (("Latency", str(latency)), ("Content-Type", "application/json"))
            return Reply(200, (_CROSS_ORIGIN[0], _CROSS_HEADERS, *kind, *tail), [body], spell=str.lower)
        attachment = f"attachment; filename={_file_name(route, paged)};"
        kind = (("Latency", str(latency)), ("Content-Type", "text/csv"))
        return Reply(
            200,
            (_CROSS_ORIGIN[0], ("Content-Disposition", attachment), _CROSS_HEADERS, *kind, *tail),
            [wire.csv_page(frame, headed=headed)],
            table=Table(tuple(frame.columns), wire.LINE_END.encode(), headed),
            spell=str.lower,
        )


def _number(path: str) -> int:
    text = path.removeprefix(_PAGE)
    return int(text) if text.isdecimal() else 0


def _wants_csv(parameters: Mapping[str, str]) -> bool:
    return read_flag(parameters, "use_csv") or parameters.get("format") == "csv"


def _file_name(route: Route, paged: Paged) -> str:
    """Name the attachment; only that of a stock's quotes has been seen: QUOTE.E-AAPL.20241107-20241107.60000.csv."""
    given = paged.parameters
    days = "-".join(given[name] for name in ("start_date", "end_date") if name in given)
    pieces = (route.file, f"O-{given['root']}" if "root" in given else "", given.get("exp", ""), days)
    return ".".join(piece for piece in (*pieces, given.get("ivl", ""), "csv") if piece)
