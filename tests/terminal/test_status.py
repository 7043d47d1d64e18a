"""What a status and body of the Terminal mean, and the tree of errors they are raised as."""

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from spxdata import errors
from spxdata.errors import ConfigError, Declined, SpxDataError, TerminalError, TransientError
from spxdata.terminal.status import TABLE, error_for

UPGRADED = (
    "We have upgraded to API v3. Please use API v3 query parameters instead. \nDeprecated query parameters:\n"
    "\texp -> expiration\nConsult API v3 documentation for more information: https://docs.thetadata.us/"
)
VALUE_NEEDED = "Requesting an index endpoint requiring a value subscription, but you only have a FREE subscription."


class Case(NamedTuple):
    """An answer, and what it must become."""

    dialects: str
    status: int
    body: str
    means: type[TerminalError]
    exit_code: int
    retries: int | None = 0


#: Every answer that the documentation lists (api.md §1.5 and §2.4), then some that nobody lists.
CASES = (
    Case("v2 v3", 472, "", errors.NoData, 1),
    Case("v3", 472, "No data found for your request", errors.NoData, 1),
    Case("v3", 200, "No data found for your request", errors.NoData, 1),
    Case("v2", 472, "No data for the specified timeframe & contract.", errors.NoData, 1),
    Case("v2", 472, ":No data for the specified timeframe & contract.", errors.NoData, 1),
    Case("v2", 200, ":No data for the specified timeframe & contract.", errors.NoData, 1),
    Case("v2", 472, ":No listed contracts for the date: 20250110", errors.NoData, 1),
    Case("v2", 200, ":No listed contracts for the date: 20250110", errors.NoData, 1),
    Case("v2", 472, "No data for contract", errors.NoData, 1),
    Case("v2", 472, "No data for the specified timeframe and chain. Debug code 1", errors.NoData, 1),
    Case("v3", 400, "Cannot fetch current-day data without specifying an expiration", errors.TooEarly, 1),
    Case("v3", 500, "EOD is not available for the current day", errors.TooEarly, 1),
    Case("v3", 500, "Internal server error: EOD is not available for the current day", errors.TooEarly, 1),
    Case("v3", 500, "Cannot parse date string: 2024-13-01", errors.BadRequest, 3),
    Case("v3", 500, "", errors.ServerFault, 75, None),
    Case("v3", 400, "Bulk history requests are limited to no more than 1 month.", errors.BadRequest, 3),
    Case("v3", 400, "Bulk history requests are limited to intervals of at least 1 minute.", errors.BadRequest, 3),
    Case("v3", 400, "Too many days between start and end date; max 365 days allowed", errors.BadRequest, 3),
    Case("v3", 400, "When expiration=*, you must request data a day-at-a-time", errors.BadRequest, 3),
    Case("v3", 400, "Cannot specify '*' for the date", errors.BadRequest, 3),
    Case("v3", 400, "Invalid interval: 3600000", errors.BadRequest, 3),
    Case("v3", 400, "Invalid right: *", errors.BadRequest, 3),
    Case("v3", 403, VALUE_NEEDED, errors.NotSubscribed, 3),
    Case("v2 v3", 404, "", errors.NoSuchPath, 3),
    Case("v3", 410, UPGRADED, errors.WrongDialect, 3),
    Case("v2 v3", 429, "", errors.RateLimited, 75, None),
    Case("v2 v3", 470, "", errors.GeneralFault, 75, 1),
    Case("v2 v3", 471, "", errors.NotSubscribed, 3),
    Case("v2", 471, "permissions/:End date cannot", errors.NotSubscribed, 3),
    Case("v2 v3", 473, "", errors.BadRequest, 3),
    Case("v2 v3", 474, "", errors.Disconnected, 75, None),
    Case("v2 v3", 475, "", errors.BadRequest, 3),
    Case("v2 v3", 476, "", errors.WrongAddress, 3),
    Case("v2 v3", 477, "", errors.PageExpired, 75, None),
    Case(
        "v3", 478, "Invalid session ID. This can occur if more than one terminal is running.", errors.OtherTerminal, 3
    ),
    Case("v2 v3", 570, "", errors.TooLarge, 3),
    Case("v2 v3", 571, "", errors.ServerStarting, 75, None),
    Case("v2 v3", 572, "", errors.UncaughtFault, 75, 1),
    # Listed nowhere.
    Case("v2 v3", 502, "", errors.ServerFault, 75, None),
    Case("v2 v3", 503, "Service Unavailable", errors.ServerFault, 75, None),
    Case("v2", 500, "", errors.ServerFault, 75, None),
    Case("v2", 403, "", errors.BadRequest, 3),
    Case("v2 v3", 418, "", errors.BadRequest, 3),
    Case("v2 v3", 302, "", errors.BadRequest, 3),
    Case("v2 v3", 204, "", errors.BadRequest, 3),
    Case("v2 v3", 101, "", errors.BadRequest, 3),
    *(Case("v2 v3", status, "", errors.BadRequest, 3) for status in (666, 700, 888, 999)),
)
EACH = [(dialect, case) for case in CASES for dialect in case.dialects.split()]


@pytest.mark.parametrize(("dialect", "case"), EACH, ids=[f"{d}-{c.status}-{c.body[:30]}" for d, c in EACH])
def test_an_answer_is_raised_as_the_class_the_table_gives(dialect: str, case: Case) -> None:
    """And the class alone decides exit code and repeats; the message keeps the Terminal's words."""
    error = error_for(dialect, case.status, case.body, "/option/list/expirations?symbol=SPXW", 7.0)
    assert type(error) is case.means
    assert (error.exit_code, error.retries) == (case.exit_code, case.retries)
    words = " ".join(case.body.split())
    assert words in error.message
    if isinstance(error, Declined):
        assert error.message == (words or "(no text)")
    else:
        assert f"answered {case.status} to /option/list/expirations: " in error.message
    if isinstance(error, TransientError):
        assert error.retry_after == 7.0


def test_a_text_beside_the_point_does_not_make_an_outcome() -> None:
    """Words of no data count only where the Terminal uses them so; any status has a meaning."""
    assert type(error_for("v3", 500, "No data found for your request", "/x")) is errors.ServerFault
    assert type(error_for("v3", 400, "No data found for your request", "/x")) is errors.BadRequest
    assert type(error_for("v2", 400, "current-day data", "/x")) is errors.BadRequest
    for status in {*range(100, 1000)} - {200}:
        assert isinstance(error_for("v3", status, "", "/x"), TerminalError)


def test_a_long_text_is_cut_and_put_on_one_line() -> None:
    """An error page does not flood the screen."""
    message = error_for("v3", 503, "<html>\n\t<p>" + "sorry " * 1000, "/x").message
    assert message.startswith("The Terminal answered 503 to /x: <html> <p>sorry")
    assert len(message) < 350


def test_every_row_of_the_table_has_a_case_here() -> None:
    """A row that no case reaches first is dead, or untested."""
    reached = {_row(dialect, case.status, case.body) for dialect, case in EACH}
    assert [row for index, row in enumerate(TABLE) if index not in reached] == []


def _row(dialect: str, status: int, body: str) -> int:
    return next(index for index, row in enumerate(TABLE) if row.matches(dialect, status, body))


def documented(reference: Path) -> Iterator[tuple[str, int, str]]:
    """Yield dialect, status and body of every answer listed in api.md and the samples; an unknown body is empty."""
    text = (reference / "thetadata" / "api.md").read_text(encoding="utf-8")
    second, third = (_section(text, number) for number in ("1.5", "2.4"))
    codes = [int(code) for code in re.findall(r"^\| (\d{3}) \|", second, re.MULTILINE)]
    for code in codes:
        yield "v2", code, ""
        yield "v3", code, ""  # "The vendor's v3 table = v2's plus 478"
    for body in re.findall(r"`(:?No [^`]+)`", second.partition("472 bodies seen")[2]):
        yield "v2", 472, body
    for code, cell in re.findall(r"^\| (\d{3}) \|([^|]*)\|", third, re.MULTILINE):
        bodies = [] if code == "429" else re.findall(r"`([^`]+)`", cell)
        for body in bodies or [""]:
            yield "v3", int(code), body.replace("\\n", "\n").replace("\\t", "\t").rstrip("…")
    samples = json.loads((reference / "thetadata" / "samples" / "v3_error_bodies.json").read_text(encoding="utf-8"))
    for sample in samples:
        yield "v3", sample["status"], sample["body"] or ""


def _section(text: str, number: str) -> str:
    found = re.search(rf"^### {re.escape(number)} .*?(?=^##)", text, re.MULTILINE | re.DOTALL)
    assert found, f"api.md has no section {number}"
    return found[0]


def test_every_documented_answer_has_a_row_of_its_own(reference: Path) -> None:
    """A status or body that is added to the documentation fails here until it has a row, and a case above."""
    listed = list(documented(reference))
    assert {status for _, status, _ in listed} >= {400, 403, 404, 410, 429, 470, 472, 474, 477, 478, 500, 570, 571, 572}
    assert len(listed) > 50
    by_family = [answer for answer in listed if TABLE[_row(*answer)].status is None]
    assert by_family == []
    undecided = [
        (dialect, status, body)
        for dialect, status, body in listed
        if not any(d == dialect and c.status == status and c.body.startswith(body) for d, c in EACH)
    ]
    assert undecided == []


class Drawn(NamedTuple):
    """A class as the docstring of errors.py draws it."""

    name: str
    parent: str
    code: str | None
    exit_code: int | None


def drawn() -> list[Drawn]:
    """Read the tree in the docstring of errors.py."""
    found = [Drawn("SpxDataError", "Exception", None, None)]
    above = {0: "SpxDataError"}
    for line in (errors.__doc__ or "").splitlines():
        match = re.fullmatch(r"    ([│ ]*)[├└]─ (\w+)(.*)", line)
        if match is None:
            continue
        depth = len(match[1]) // 3 + 1
        above[depth] = match[2]
        code = re.search(r" (SPX-[A-Z]\d{3})$", match[3])
        exit_code = re.search(r" {2,}(\d+)(?: {2}SPX-[A-Z]\d{3})?$", match[3])
        found.append(
            Drawn(match[2], above[depth - 1], code[1] if code else None, int(exit_code[1]) if exit_code else None)
        )
    return found


def classes() -> list[type[SpxDataError]]:
    """Return all errors of the product."""
    return [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, SpxDataError)]


def test_the_drawn_tree_is_the_real_one() -> None:
    """Same classes, same parents, same codes and exit codes; a class outside errors.py is none of ours."""
    tree = {row.name: row for row in drawn()}
    assert sorted(tree) == sorted(kind.__name__ for kind in classes())
    for kind in classes():
        row = tree[kind.__name__]
        assert [base.__name__ for base in kind.__bases__] == [row.parent]
        if row.code:
            assert (kind.__name__, vars(kind)["code"]) == (kind.__name__, row.code)
        if row.exit_code is not None:
            assert (kind.__name__, vars(kind)["exit_code"]) == (kind.__name__, row.exit_code)
    assert {row.means for row in TABLE} <= set(classes())


def test_an_exit_code_is_decided_by_the_branch() -> None:
    """No leaf differs from what its branch is drawn with."""
    tree = {row.name: row for row in drawn()}
    for kind in classes():
        lineage = [tree[base.__name__].exit_code for base in kind.__mro__ if base.__name__ in tree]
        expected = next((code for code in lineage if code is not None), 1)
        assert (kind, kind.exit_code) == (kind, expected)


def test_every_error_that_is_raised_has_a_code_of_its_own_and_advice() -> None:
    """Codes are stable and unique; a setting's advice depends on the setting, an outcome needs none."""
    leaves = [kind for kind in classes() if not kind.__subclasses__()]
    codes = [vars(kind).get("code") for kind in leaves]
    assert None not in codes
    assert len(set(codes)) == len(codes)
    assert [kind for kind in leaves if not (kind.advice or issubclass(kind, Declined | ConfigError))] == []
    assert all(kind("words", hint="Do this.").hint == "Do this." for kind in (ConfigError, errors.NoSuchPath))
    assert errors.NoSuchPath("words").hint == errors.NoSuchPath.advice
