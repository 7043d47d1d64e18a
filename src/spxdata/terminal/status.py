"""What a status and body of the Terminal mean: one table, an error class each."""

import re
from dataclasses import dataclass

from spxdata import errors
from spxdata.errors import Declined, TerminalError, TransientError


@dataclass(frozen=True, slots=True)
class Meaning:
    """One row of the table; the first that matches wins.

    Attributes:
        dialects: Which generations send it.
        status: HTTP status, or None for any status of the `family`.
        body: Pattern searched for in the body.
        means: The class it is raised as.
        family: First digit of the statuses meant when `status` is None.
    """

    dialects: frozenset[str]
    status: int | None
    body: re.Pattern[str]
    means: type[TerminalError]
    family: int = 0

    def matches(self, dialect: str, status: int, body: str) -> bool:
        """Tell whether this row speaks of an answer."""
        known = status == self.status if self.status is not None else status // 100 == self.family
        return dialect in self.dialects and known and self.body.search(body) is not None


_ANY = re.compile("")
_BOTH = frozenset({"v2", "v3"})
_V3 = frozenset({"v3"})

#: A no-data answer in words; both generations have sent it with status 200, v2 with and without the colon.
NO_DATA_TEXT = re.compile(r"\s*:?\s*no (data|listed)\b", re.IGNORECASE)


def _text(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


TABLE: tuple[Meaning, ...] = (
    Meaning(_BOTH, 200, NO_DATA_TEXT, errors.NoData),
    Meaning(_BOTH, 472, _ANY, errors.NoData),
    Meaning(_V3, 400, _text("current-day data"), errors.TooEarly),
    Meaning(_V3, 500, _text("not available for the current day"), errors.TooEarly),
    Meaning(_V3, 500, _text("cannot parse date"), errors.BadRequest),
    Meaning(_BOTH, 400, _ANY, errors.BadRequest),
    Meaning(_V3, 403, _ANY, errors.NotSubscribed),
    Meaning(_BOTH, 404, _ANY, errors.NoSuchPath),
    Meaning(_BOTH, 410, _ANY, errors.WrongDialect),
    Meaning(_BOTH, 429, _ANY, errors.RateLimited),
    Meaning(_BOTH, 470, _ANY, errors.GeneralFault),
    Meaning(_BOTH, 471, _ANY, errors.NotSubscribed),
    Meaning(_BOTH, 473, _ANY, errors.BadRequest),
    Meaning(_BOTH, 474, _ANY, errors.Disconnected),
    Meaning(_BOTH, 475, _ANY, errors.BadRequest),
    Meaning(_BOTH, 476, _ANY, errors.WrongAddress),
    Meaning(_BOTH, 477, _ANY, errors.PageExpired),
    Meaning(_BOTH, 478, _ANY, errors.OtherTerminal),
    Meaning(_V3, 500, _ANY, errors.ServerFault),
    Meaning(_BOTH, 570, _ANY, errors.TooLarge),
    Meaning(_BOTH, 571, _ANY, errors.ServerStarting),
    Meaning(_BOTH, 572, _ANY, errors.UncaughtFault),
    # What no document lists: a server's trouble may pass, anything else will not.
    Meaning(_BOTH, None, _ANY, errors.ServerFault, family=5),
    *(Meaning(_BOTH, None, _ANY, errors.BadRequest, family=family) for family in (1, 2, 3, 4, 6, 7, 8, 9)),
)


def error_for(dialect: str, status: int, body: str, request: str, retry_after: float | None = None) -> TerminalError:
    """Return the error that an answer stands for.

    Args:
        dialect: v2 or v3.
        status: HTTP status.
        body: The answer's text.
        request: Path and query that were asked for.
        retry_after: Seconds from the Retry-After header.
    """
    means = next(row.means for row in TABLE if row.matches(dialect, status, body))
    words = " ".join(body.split())[:300] or "(no text)"
    if issubclass(means, Declined):
        return means(words)
    path = request.partition("?")[0]  # the query is long, and the unit is named beside the message
    message = f"The Terminal answered {status} to {path}: {words}"
    if issubclass(means, TransientError):
        return means(message, retry_after=retry_after)
    return means(message)
