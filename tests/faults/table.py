"""The table: every fault the emulator knows, and what comes of it.

A day has three units. With v3 they are three requests; with v2 nine, since each has three pages. `once` says what comes
of a fault that strikes one request: the first, the middle or the last of the day. `always` says what comes of one that
strikes the middle unit in every try. Codes are those of `spxdata.errors`, without the SPX before them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from spxdata.model import State, Verdict


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the struck unit, its day and the run end.

    Attributes:
        told: Codes of the failed attempts the user is told of, in order.
        state: How the unit stands in the end.
        attempts: How often it was asked for.
        code: Code that is recorded with the unit.
        stopped: Code of the error that stopped the run.
        exit_code: Of the run.
        verdict: Of the day, None while it is open.
        same: Whether all content is that of an undisturbed run.
        more_rows: Rows beside those of an undisturbed run.
        holed: Whether holes are recorded.
        waited: Seconds the run waited, None where it does not matter.
    """

    told: tuple[str, ...] = ()
    state: State = State.STORED
    attempts: int = 1
    code: str | None = None
    stopped: str | None = None
    exit_code: int = 0
    verdict: Verdict | None = Verdict.COMPLETE
    same: bool = True
    more_rows: int = 0
    holed: bool = False
    waited: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One fault.

    Attributes:
        do: What the emulator does.
        once: What comes of it if it strikes once.
        always: What comes of it if it strikes the middle unit again and again; None where that is not asked.
        options: Of the fault.
        first: What comes of it if it strikes the day's first request once, where that differs.
        later_page: What comes of it if it strikes a page after the first once, where that differs.
        dialects: Where it can happen.
        name: Tells rows of one kind apart.
    """

    do: str
    once: Outcome
    always: Outcome | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    later_page: Outcome | None = None
    dialects: tuple[str, ...] = ("v2", "v3")
    name: str = ""
    first: Outcome | None = None

    @property
    def title(self) -> str:
        """Return the fault's name within a test's name."""
        return f"{self.do}-{self.name}" if self.name else self.do


def unharmed(**changes: Any) -> Outcome:
    """Return what comes of what is no fault: nothing."""
    return Outcome(waited=0, **changes)


def healed(code: str, waited: float = 1) -> Outcome:
    """Return what comes of a failure that a second try heals."""
    return Outcome(told=(code,), attempts=2, waited=waited)


def failed(code: str, tries: int = 1) -> Outcome:
    """Return what comes of a failure that no try heals."""
    waited = sum(2**n for n in range(tries - 1))
    return Outcome(
        told=(code,) * tries,
        state=State.FAILED,
        attempts=tries,
        code=code,
        exit_code=1,
        verdict=Verdict.PARTIAL,
        same=False,
        waited=waited,
    )


def stops(code: str, exit_code: int, told: tuple[str, ...] = (), waited: float = 0) -> Outcome:
    """Return what comes of what ends the whole run; the unit stays to be fetched."""
    return Outcome(
        told=told,
        state=State.PENDING,
        attempts=len(told) or 1,
        stopped=code,
        exit_code=exit_code,
        verdict=None,
        same=False,
        waited=waited,
    )


def unusable(code: str) -> Outcome:
    """Return what comes of a Terminal that says CONNECTED and refuses all the same: a minute of patience, then 1."""
    return stops(code, 1, told=(code,) * 13, waited=60)


#: A listed expiration that twice has no data is empty, and the day can't be whole; it is asked for again another day.
EMPTY = Outcome(
    told=("O472",), attempts=2, state=State.EMPTY, exit_code=1, verdict=Verdict.PARTIAL, same=False, waited=1
)
#: What the subscription lacks is not asked for any further that day.
REFUSED = Outcome(state=State.REFUSED, code="R403", exit_code=1, verdict=Verdict.PARTIAL, same=False, waited=0)
#: If it is so from the first unit on, the day has nothing.
ALL_REFUSED = replace(REFUSED, exit_code=3, verdict=None)
#: A reply that is clean and lacks something is believed the second time.
HOLED = Outcome(told=("D004",), attempts=2, exit_code=1, verdict=Verdict.PARTIAL, same=False, holed=True, waited=1)


def status(
    number: int,
    once: Outcome,
    always: Outcome | None = None,
    dialects: tuple[str, ...] = ("v2", "v3"),
    later_page: Outcome | None = None,
    first: Outcome | None = None,
    **options: Any,
) -> Row:
    """Return the row of an HTTP status."""
    name = "-".join([str(number), *options])
    return Row("status", once, always or once, {"status": number, **options}, later_page, dialects, name, first)


TABLE: tuple[Row, ...] = (
    status(400, failed("R400")),
    status(
        400,
        Outcome(state=State.NOT_PUBLISHED, verdict=Verdict.NOT_PUBLISHED, same=False, waited=0),
        dialects=("v3",),
        body="Current-day data is not available.",
    ),
    status(403, REFUSED, dialects=("v3",), first=ALL_REFUSED),
    status(404, failed("R404")),
    status(410, failed("R410")),
    status(429, healed("T429"), failed("T429", 4)),
    status(429, healed("T429", 7), replace(failed("T429", 4), waited=21), retry_after=7),
    status(470, healed("T470"), failed("T470", 2)),
    status(471, REFUSED, first=ALL_REFUSED),
    status(472, healed("O472"), EMPTY, later_page=healed("D002")),
    status(473, failed("R400")),
    status(474, healed("T474", 5), unusable("T474")),
    status(475, failed("R400")),
    status(476, failed("R476")),
    status(477, healed("T477"), failed("T477", 4)),
    status(478, stops("R478", 3)),
    status(500, healed("T500"), failed("T500", 4)),
    status(503, healed("T500"), failed("T500", 4)),
    status(570, unharmed(), failed("R570"), later_page=healed("D002")),  # asked for in parts, at a first page only
    status(571, healed("T571", 5), unusable("T571")),
    status(572, healed("T572"), failed("T572", 2)),
    Row("delay", unharmed(), unharmed(), {"seconds": 0.1}, name="short"),
    Row("delay", healed("T002"), None, {"seconds": 60}, name="too-long"),
    Row("trickle", unharmed(), unharmed(), {"bytes": 20_000, "seconds": 0.01}),
    Row("stall_after", healed("T002"), failed("T002", 4), {"bytes": 3_000}),
    Row("stall_after", healed("T002"), None, {"bytes": 0}, name="at-once"),
    Row("close_after", healed("T003"), failed("T003", 4), {"bytes": 3_000}),
    Row("close_after", healed("T003"), None, {"bytes": 0}, name="at-once"),
    Row("reset_after", healed("T003"), failed("T003", 4), {"bytes": 3_000}),
    Row("cut_last_row", healed("D002"), failed("D002", 2)),
    Row("duplicate_rows", Outcome(same=False, more_rows=7, waited=0), None, {"rows": 7}),
    Row("duplicate_with_other_values", healed("D003"), failed("D003", 2)),
    Row("repeat_page", healed("D002"), failed("D002", 2), dialects=("v2",)),
    Row("repeat_page", healed("D003"), failed("D003", 2), {"other_values": True}, dialects=("v2",), name="other"),
    Row("skip_page", healed("D004"), HOLED, dialects=("v2",)),
    Row("drift", failed("D001"), failed("D001"), {"rename": {"bid": "bid_price"}}, healed("D002"), name="renamed"),
    Row("drift", failed("D001"), failed("D001"), {"drop": ["ask_size"]}, healed("D002"), name="dropped"),
    Row("drift", failed("D001"), failed("D001"), {"add": ["mid"]}, healed("D002"), name="added"),
    Row("no_data_200", healed("O472"), EMPTY, later_page=healed("D002")),
    Row("no_data_200", healed("O472"), EMPTY, {"colon": True}, healed("D002"), name="colon"),
    Row("header_only", healed("D003"), failed("D003", 2), dialects=("v3",)),
    Row("header_only", healed("D004"), failed("D003", 2), dialects=("v2",)),
    Row("zero_bytes", healed("D002"), failed("D002", 2)),
    Row("short", healed("D004"), HOLED, {"rows": 100}, name="rows"),
    Row("short", healed("D004"), HOLED, {"contracts": 1}, name="contracts"),
    Row("endless_line", healed("D002"), failed("D002", 2)),
    Row("endless_line", healed("D002"), failed("D002", 2), {"bytes": 100_000}, name="ends"),
    Row("starting", healed("T571", 5), unusable("T571"), {"requests": 1_000}),
    Row("disconnect", healed("T474", 30), None, {"seconds": 28}),
    Row(
        "disconnect",
        stops("T474", 1, ("T474",), 60),
        None,
        {"seconds": 90},
        name="too-long",
        first=stops("T474", 75, ("T474",), 60),  # never a usable Terminal
    ),
    Row("other_terminal", stops("R478", 3), stops("R478", 3)),
    Row("expire_page", healed("T477"), failed("T477", 4), dialects=("v2",)),
    Row("not_http", healed("T003"), failed("T003", 4)),
)


@dataclass(frozen=True, slots=True)
class ListRow:
    """One fault that strikes the day's contract list once.

    Attributes:
        do: What the emulator does.
        options: Of the fault.
        asked: How often the list is asked for: twice if nothing struck it.
        waited: Seconds the run waited.
        verdict: Of the day.
        exit_code: Of the run.
        same: Whether all content is that of an undisturbed run.
        code: Code that is recorded with the day.
        stopped: Code of the error that stopped the run.
        name: Tells rows of one kind apart.
    """

    do: str
    options: Mapping[str, Any] = field(default_factory=dict)
    asked: int = 3
    waited: float = 1
    verdict: Verdict | None = Verdict.COMPLETE
    exit_code: int = 0
    same: bool = True
    code: str | None = None
    stopped: str | None = None
    name: str = ""

    @property
    def title(self) -> str:
        """Return the fault's name within a test's name."""
        return f"{self.do}-{self.name}" if self.name else self.do


def lost(code: str, exit_code: int) -> dict[str, Any]:
    """Return what comes of a list that is not asked for again."""
    return {
        "asked": 1,
        "waited": 0,
        "verdict": None,
        "exit_code": exit_code,
        "same": False,
        "code": code,
        "name": code,
    }


LISTS: tuple[ListRow, ...] = (
    ListRow("status", {"status": 400}, **lost("R400", 3)),
    ListRow("status", {"status": 429}, name="429"),
    ListRow("status", {"status": 429, "retry_after": 9}, waited=9, name="429-retry_after"),
    ListRow("status", {"status": 470}, name="470"),
    ListRow("status", {"status": 472}, name="472"),
    ListRow("status", {"status": 474}, waited=5, name="474"),
    ListRow("status", {"status": 500}, name="500"),
    ListRow("status", {"status": 571}, waited=5, name="571"),
    ListRow("status", {"status": 572}, name="572"),
    ListRow("delay", {"seconds": 0.1}, asked=2, waited=0, name="short"),
    ListRow("delay", {"seconds": 60}, name="too-long"),
    ListRow("trickle", {"bytes": 100, "seconds": 0.01}, asked=2, waited=0),
    ListRow("stall_after", {"bytes": 100}),
    ListRow("close_after", {"bytes": 100}),
    ListRow("reset_after", {"bytes": 100}),
    ListRow("cut_last_row"),
    ListRow("short", {"contracts": 2}, asked=2, waited=0),
    ListRow("duplicate_rows", {"rows": 5}, asked=2, waited=0),
    ListRow("drift", {"rename": {"strike": "strike_price"}}, **lost("D001", 4)),
    ListRow("no_data_200"),
    ListRow("header_only"),
    ListRow("zero_bytes"),
    ListRow("endless_line"),
    ListRow("starting", {"requests": 1}, waited=5),
    ListRow("disconnect", {"seconds": 28}, waited=30),
    ListRow("other_terminal", asked=1, waited=0, verdict=None, exit_code=3, same=False, stopped="R478"),
    ListRow("not_http"),
)
