"""What can go wrong on purpose: one fault is which requests, when among them, and what to do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import date as Date  # noqa: N812 - a fault has a field of that name
from decimal import Decimal, InvalidOperation
from types import MappingProxyType

from spxdata.emulator.datasets import NAMES
from spxdata.errors import ConfigError

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Action:
    """Something a fault can do.

    Attributes:
        meaning: What the client sees.
        needs: Options that must be given.
        takes: Options that may be given.
        one_of: At least one of these must be given.
    """

    meaning: str
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()

    @property
    def options(self) -> tuple[str, ...]:
        """Every option that may stand beside this action."""
        return tuple(dict.fromkeys((*self.needs, *self.takes, *self.one_of)))


ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        "status": Action(
            "An error status, with the vendor's words where they are known.",
            needs=("status",),
            takes=("body", "headers", "retry_after"),
        ),
        "delay": Action("The first byte comes so many seconds late.", needs=("seconds",)),
        "trickle": Action("The reply comes in pieces of so many bytes, with a pause after each.", ("bytes", "seconds")),
        "stall_after": Action(
            "After so many bytes of the body nothing more comes: for so many seconds, or until the client goes away.",
            needs=("bytes",),
            takes=("seconds",),
        ),
        "close_after": Action("After so many bytes of the body the connection is closed politely.", ("bytes",)),
        "reset_after": Action("After so many bytes of the body the connection is reset.", ("bytes",)),
        "cut_last_row": Action("The last row lacks its second half, in a reply that is whole by its framing."),
        "duplicate_rows": Action("The first so many rows come twice, byte for byte.", takes=("rows",)),
        "duplicate_with_other_values": Action(
            "The first so many rows come twice, the second time with another value in one column "
            "(if not given `ask`, or the price the rows have instead).",
            takes=("rows", "column"),
        ),
        "repeat_page": Action(
            "v2: a page after the first holds the rows of the page before it; with `other_values` they differ.",
            takes=("other_values", "column"),
        ),
        "skip_page": Action("v2: a page holds the rows of the next one, and its own never come."),
        "drift": Action("Columns are renamed, dropped or added.", one_of=("rename", "drop", "add")),
        "no_data_200": Action("Status 200 with the text of no data, with or without v2's colon.", takes=("colon",)),
        "header_only": Action("Status 200 with the line of column names and no rows."),
        "zero_bytes": Action("Status 200 with an empty body."),
        "short": Action("A clean reply without its last so many rows, or contracts.", one_of=("rows", "contracts")),
        "endless_line": Action(
            "The last line never ends: for so many bytes, or until the client goes away.", takes=("bytes",)
        ),
        "starting": Action(
            "571 for so many seconds after the start, or for the first so many requests.",
            one_of=("seconds", "requests"),
        ),
        "disconnect": Action(
            "The Terminal loses its servers for so many seconds: 474 for everyone, status DISCONNECTED.", ("seconds",)
        ),
        "other_terminal": Action("478: another Terminal uses the account."),
        "expire_page": Action("v2: 477 for a page after the first."),
        "not_http": Action("Bytes that are no HTTP, then the connection is closed.", takes=("body",)),
    }
)

#: Which requests a fault concerns.
MATCH_KEYS = ("dialect", "path", "dataset", "root", "date", "expiration", "strike", "right", "page")
#: Which of them it strikes: at most one of these, `seed` beside `share` only; every one if none is given.
WHEN_KEYS = ("nth", "every", "from_nth", "share", "seed")
OPTION_KEYS = tuple(dict.fromkeys(option for action in ACTIONS.values() for option in action.options))


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; what is None is not given.

    Attributes:
        do: One of `ACTIONS`.
        dialect: `v2` or `v3`.
        path: Without the /v2 or /v3 before it; `*` stands for anything, as in `/option/list/*`.
        dataset: One of `datasets.NAMES`, or `symbols`, `expirations`, `strikes`, `dates`, `contracts` or `status`.
        root: Option root.
        date: Trade date.
        expiration: Expiration date.
        strike: In dollars.
        right: `C` or `P`.
        page: 1 for the first page.
        nth: Which matching request, from 1: a number, a list, or a range such as `"2-4"`.
        every: Every n-th matching request.
        from_nth: This matching request and all after it.
        share: The part of requests struck, between 0 and 1; which ones follows from `seed` and from what is asked.
        seed: Any number.
        status: HTTP status.
        body: Text of the reply.
        headers: Headers of the reply.
        retry_after: Seconds in a Retry-After header.
        seconds: How long.
        bytes: How many bytes.
        rows: How many rows.
        contracts: How many contracts.
        requests: How many requests.
        column: Name of a column.
        rename: New names of columns by their old names.
        drop: Columns left out.
        add: Columns added at the end.
        colon: Whether a text begins with a colon.
        other_values: Whether repeated rows differ.

    Raises:
        ConfigError: A value is not one of those allowed, or an option does not belong to what is done.
    """

    do: str
    dialect: str | None = None
    path: str | None = None
    dataset: str | None = None
    root: str | None = None
    date: Date | str | int | None = None
    expiration: Date | str | int | None = None
    strike: Decimal | float | str | None = None
    right: str | None = None
    page: int | None = None
    nth: int | list[int] | tuple[int, ...] | frozenset[int] | str | None = None
    every: int | None = None
    from_nth: int | None = None
    share: float | None = None
    seed: int | None = None
    status: int | None = None
    body: str | None = None
    headers: Mapping[str, str] | None = None
    retry_after: float | None = None
    seconds: float | None = None
    bytes: int | None = None
    rows: int | None = None
    contracts: int | None = None
    requests: int | None = None
    column: str | None = None
    rename: Mapping[str, str] | None = None
    drop: list[str] | tuple[str, ...] | None = None
    add: list[str] | tuple[str, ...] | None = None
    colon: bool | None = None
    other_values: bool | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant, and bring every value to one form."""
        action = ACTIONS.get(self.do)
        if action is None:
            raise ConfigError(f"do = {self.do!r}: must be one of {', '.join(ACTIONS)}")
        for key in self.given():
            object.__setattr__(self, key, _parsed(key, getattr(self, key)))
        _check_options(self, action)
        _check_when(self)

    def given(self) -> list[str]:
        """Name what is given besides `do`."""
        return [item.name for item in fields(self) if item.name != "do" and getattr(self, item.name) is not None]


def parse_fault(table: Mapping[str, object]) -> Fault:
    """Make a fault of a table, as it stands in a file.

    Raises:
        ConfigError: A key is unknown, `do` is missing, or what `Fault` refuses.
    """
    known = {item.name for item in fields(Fault)}
    for key in table:
        if key not in known:
            raise ConfigError(
                f"{key}: no such key; allowed are do, {', '.join(MATCH_KEYS)}, {', '.join(WHEN_KEYS)}, "
                f"{', '.join(OPTION_KEYS)}"
            )
    if "do" not in table:
        raise ConfigError(f"do is missing: must be one of {', '.join(ACTIONS)}")
    return Fault(**table)  # type: ignore[arg-type]  # every value is checked in __post_init__


def _check_options(fault: Fault, action: Action) -> None:
    given = [key for key in fault.given() if key in OPTION_KEYS]
    for key in given:
        if key not in action.options:
            allowed = ", ".join(action.options) or "no options"
            raise ConfigError(f"{key} does not belong to do = {fault.do!r}: it takes {allowed}")
    for key in action.needs:
        if key not in given:
            raise ConfigError(f"{key} is missing: do = {fault.do!r} needs {', '.join(action.needs)}")
    if action.one_of and not set(action.one_of) & set(given):
        raise ConfigError(f"do = {fault.do!r} needs one of {', '.join(action.one_of)}")


def _check_when(fault: Fault) -> None:
    given = [key for key in ("nth", "every", "from_nth", "share") if getattr(fault, key) is not None]
    if len(given) > 1:
        raise ConfigError(f"{given[1]} is given beside {given[0]}: at most one of nth, every, from_nth, share")
    if fault.seed is not None and fault.share is None:
        raise ConfigError("seed is given without share")


def _parsed(key: str, value: object) -> object:
    parse, allowed = _PARSERS[key]
    try:
        return parse(value)
    except (TypeError, ValueError, InvalidOperation, OverflowError):
        raise ConfigError(f"{key} = {value!r}: must be {allowed}") from None


def _whole(least: int, most: int = 2**63) -> Callable[[object], int]:
    def parse(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError
        return value

    return parse


def _between(low: float, high: float) -> Callable[[object], float]:
    def parse(value: object) -> float:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError
        return float(value)

    return parse


def _one_of(*allowed: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if value not in allowed:
            raise ValueError
        return str(value)

    return parse


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _root(value: object) -> str:
    return _text(value).upper()


def _day(value: object) -> Date:
    return value if isinstance(value, Date) else Date.fromisoformat(str(value))


def _dollars(value: object) -> Decimal:
    dollars = Decimal(str(value))
    if dollars <= 0 or dollars * 1000 != int(dollars * 1000):
        raise ValueError
    return dollars


def _counts(value: object) -> frozenset[int]:
    if isinstance(value, str):
        first, last = (int(piece) for piece in value.split("-"))
        if not 1 <= first <= last:
            raise ValueError
        return frozenset(range(first, last + 1))
    several = value if isinstance(value, (list, tuple, frozenset)) else [value]
    if not several:
        raise ValueError
    return frozenset(_whole(1)(item) for item in several)


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError
    return tuple(_text(item) for item in value)


def _pairs(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping) or not value:
        raise ValueError
    return MappingProxyType({_text(name): _text(text) for name, text in value.items()})


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


_DATASETS = (*NAMES, "symbols", "expirations", "strikes", "dates", "contracts", "status")
_DAY = (_day, "a date such as 2024-01-16 or 20240116")
_LONG = (_between(0, 1e9), "seconds, 0 or more")
_MANY = (_whole(1), "a whole number from 1 on")
_NAMES = (_texts, "a list of column names")

#: How each key is read, and what is allowed.
_PARSERS: Mapping[str, tuple[Callable[[object], object], str]] = {
    "dialect": (_one_of("v2", "v3"), "v2 or v3"),
    "path": (_text, "a path such as /option/history/quote"),
    "dataset": (_one_of(*_DATASETS), f"one of {', '.join(_DATASETS)}"),
    "root": (_root, "a root such as SPXW"),
    "date": _DAY,
    "expiration": _DAY,
    "strike": (_dollars, "dollars such as 4750 or 4752.5"),
    "right": (_one_of("C", "P"), "C or P"),
    "page": _MANY,
    "nth": (_counts, 'a whole number from 1 on, a list of them, or a range such as "2-4"'),
    "every": _MANY,
    "from_nth": _MANY,
    "share": (_between(0, 1), "a number between 0 and 1"),
    "seed": (_whole(0), "a whole number from 0 on"),
    "status": (_whole(200, 599), "an HTTP status from 200 to 599"),
    "body": (_text, "a text"),
    "headers": (_pairs, "a table of texts"),
    "retry_after": _LONG,
    "seconds": _LONG,
    "bytes": (_whole(0), "a whole number from 0 on"),
    "rows": _MANY,
    "contracts": _MANY,
    "requests": _MANY,
    "column": (_text, "the name of a column"),
    "rename": (_pairs, "a table of new names by old names"),
    "drop": _NAMES,
    "add": _NAMES,
    "colon": (_truth, "true or false"),
    "other_values": (_truth, "true or false"),
}
