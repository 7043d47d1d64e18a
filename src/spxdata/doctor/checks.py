"""The doctor's checks: a table of functions from injected surroundings to findings.

To add a check, write a function and give it a line in `CHECKS`.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from enum import StrEnum
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from spxdata import sessions
from spxdata.config import TIER_LIMITS, describe
from spxdata.doctor.surroundings import Surroundings
from spxdata.errors import ConfigError, NotSubscribed, OtherTerminal, SpxDataError
from spxdata.schema import DATASETS
from spxdata.terminal.probe import Finding, Probe

#: Bytes free below which a look is worth while: a day of greeks of SPXW takes 200 MB, so this is ten weeks of them.
TIGHT: Final = 10 * 10**9
#: Bytes free below which a run is likely to fail: a few days of greeks, or one day with what sorting sets aside.
FULL: Final = 10**9
#: Seconds by which clocks may differ: what is published, and leases of other hosts, are judged by minutes.
CLOCK_PLAY: Final = 120
#: The Java that each generation of the Terminal needs.
JAVA: Final = {"v3": 21, "v2": 11}
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Grade(StrEnum):
    """How a check ended: fine, worth a look, or in the way of a download."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


class Check(NamedTuple):
    """What one check found.

    Attributes:
        name: What was looked at.
        grade: How it stands.
        message: What was found.
        advice: What to do; empty if there is nothing to do.
    """

    name: str
    grade: Grade
    message: str
    advice: str = ""


Checking = Callable[[Surroundings], Iterator[Check]]


def terminal(around: Surroundings) -> Iterator[Check]:
    """Find the Terminal: where it is and of which generation, or what is at each address instead."""
    if around.found:
        yield Check("terminal", Grade.OK, f"A {around.found.dialect} Terminal listens at {around.found.url}.")
        return
    for probe in around.probes:
        yield Check("terminal", Grade.BAD, *_absence(probe))


def _absence(probe: Probe) -> tuple[str, str]:
    """Return what is at an address where no Terminal is, and what to do about it."""
    match probe.finding:
        case Finding.OTHER_DIALECT:
            return f"The Terminal at {probe.url} is of another generation.", "Leave out --dialect, or say --dialect v3."
        case Finding.OTHER_PROGRAM:
            return (
                f"What answers at {probe.url} is no {probe.dialect} Terminal.",
                "See below which program it is; stop it, or name the Terminal's address with --terminal URL.",
            )
    advice = "Start Theta Terminal, or name its address with --terminal URL."
    return f"Nothing listens at {probe.url}: {_reason(probe)}", advice


def _reason(probe: Probe) -> str:
    return re.sub(r"^The Terminal( at \S+)? ", "it ", probe.words)


def connection(around: Surroundings) -> Iterator[Check]:
    """Tell whether the Terminal is connected to ThetaData."""
    probe = around.found
    if probe is None or isinstance(probe.error, OtherTerminal):  # `account` tells that
        return
    patience = around.settings.terminal.patience
    waits = f"A download waits {patience:g} s for that by itself." if patience else "A download does not wait for that."
    match probe.finding:
        case Finding.CONNECTED:
            yield Check("connection", Grade.OK, "It is connected to ThetaData.")
        case Finding.STARTING:
            yield Check("connection", Grade.WARN, "It is still starting.", f"Wait until it is connected. {waits}")
        case _:
            words = f"It says {probe.words}." if probe.error is None else f"{probe.words} [{probe.error.code}]"
            advice = "See its own log, and the network; restart it if this goes on."
            yield Check("connection", Grade.BAD, f"It is not connected to ThetaData. {words}", f"{advice} {waits}")


def account(around: Surroundings) -> Iterator[Check]:
    """Tell whether another Terminal uses the account."""
    if any(isinstance(probe.error, OtherTerminal) for probe in around.probes):
        message = f"Another Terminal uses this account [{OtherTerminal.code}]."
        advice = "Stop the other one, on whatever machine it runs, then restart this one: an account has one at a time."
        yield Check("account", Grade.BAD, message, advice)
    elif around.found and around.found.finding is Finding.CONNECTED:
        yield Check("account", Grade.OK, "No other Terminal is in its way.")


def port(around: Surroundings) -> Iterator[Check]:
    """Tell which process listens on each port that was asked."""
    seen: set[int] = set()
    for probe in sorted(around.probes, key=lambda probe: not probe.is_terminal):  # a port is told once, as a Terminal's
        address = urlsplit(probe.url)
        number = address.port or {"https": 443}.get(address.scheme, 80)
        if probe.finding is Finding.ABSENT or number in seen or address.hostname not in _LOCAL:
            continue
        seen.add(number)
        who = around.listener(number)
        words = f"Port {number} is held by {who or 'a process that cannot be seen from here'}"
        if probe.is_terminal or probe.finding is Finding.OTHER_DIALECT:
            yield Check("port", Grade.OK, f"{words}.")
        else:
            grade = Grade.WARN if around.found else Grade.BAD
            advice = f"If a Terminal should have port {number}, stop that program, then start the Terminal."
            yield Check("port", grade, f"{words}, which is no {probe.dialect} Terminal.", advice)


def java(around: Surroundings) -> Iterator[Check]:
    """Tell whether a Terminal could be started at all; one that runs has its Java."""
    if any(probe.finding is not Finding.ABSENT for probe in around.probes):
        return
    wanted = around.settings.terminal.dialect
    need = JAVA["v2" if wanted == "v2" else "v3"]
    advice = f"Install Java {need} or newer and put it on the PATH; a v3 Terminal needs {JAVA['v3']}, v2 {JAVA['v2']}."
    words = around.java()
    if words is None:
        yield Check("java", Grade.BAD, "No Java is on the PATH, and the Terminal needs one.", advice)
        return
    version = _java_version(words)
    if version is None:
        yield Check("java", Grade.WARN, f"The version of Java is not clear from {words!r}.", advice)
    elif version >= need:
        yield Check("java", Grade.OK, f"Java {version} can run a Terminal.")
    elif wanted == "auto" and version >= JAVA["v2"]:
        yield Check("java", Grade.WARN, f"Java {version} can run a v2 Terminal only.", advice)
    else:
        yield Check("java", Grade.BAD, f"Java {version} is too old for the Terminal.", advice)


def _java_version(words: str) -> int | None:
    """Return the number of a Java: 21 of "21.0.2", 8 of "1.8.0_392"."""
    match = re.search(r'version "(?:1\.)?(\d+)', words)
    return int(match[1]) if match else None


def subscription(around: Surroundings) -> Iterator[Check]:
    """Compare the subscription that is set with what the Terminal refused, and with the requests at once."""
    tier = around.settings.terminal.tier
    tiers = list(TIER_LIMITS["v3"])
    dialect = around.found.dialect if around.found else "v3"
    limit, width = TIER_LIMITS[dialect][tier], around.settings.workers(dialect)
    if width > limit:
        message = f"download.concurrency is {width}, but a {tier} subscription may have {limit} requests at once."
        yield Check("subscription", Grade.WARN, message, "Leave it at auto, or set terminal.tier to your subscription.")
    refused = dict.fromkeys(outcome.unit.dataset for outcome in around.refusals() if outcome.code == NotSubscribed.code)
    against = [name for name in refused if tiers.index(DATASETS[name].tier) <= tiers.index(tier)]
    if against:
        message = f"terminal.tier is {tier}, which has what this archive's account was refused: {', '.join(against)}."
        advice = "Set terminal.tier to your subscription, or ask ThetaData; then download again with --force."
        yield Check("subscription", Grade.WARN, message, advice)
    elif refused:
        message = f"The account was refused {', '.join(refused)}, which a {tier} subscription lacks."
        yield Check("subscription", Grade.OK, message, "Choose other datasets with --dataset, or another subscription.")
    elif width <= limit:
        message = (
            f"terminal.tier is {tier}: {width} of {limit} requests at once. Nothing in the archive speaks against it."
        )
        yield Check("subscription", Grade.OK, message)


def disk(around: Surroundings) -> Iterator[Check]:
    """Tell whether the archive can be written, and how much room it has."""
    if not around.writable(around.archive):
        message = f"The archive {around.archive} cannot be written."
        yield Check("disk", Grade.BAD, message, "Check its permissions, or choose another with --data-dir.")
        return
    free = around.free(around.archive)
    grade = Grade.BAD if free < FULL else Grade.WARN if free < TIGHT else Grade.OK
    advice = "" if grade is Grade.OK else "Free some, or choose another with --data-dir: a day of greeks takes 200 MB."
    yield Check("disk", grade, f"Where the archive {around.archive} lies, {free / 10**9:,.1f} GB are free.", advice)


def clock(around: Surroundings) -> Iterator[Check]:
    """Tell the time in New York, and whether the system's clock and its time zones can be trusted."""
    winter, summer = (sessions.offset(date(2024, month, 15)) for month in (1, 7))
    if (winter, summer) != (timedelta(hours=-5), timedelta(hours=-4)):
        yield Check("clock", Grade.BAD, "The time zone data is wrong about New York.", "Install the package tzdata.")
    told = f"It is {around.now.astimezone(sessions.NEW_YORK):%Y-%m-%d %H:%M} in New York"
    ahead = around.clock_ahead(around.found) if around.found else None
    if ahead is not None and abs(ahead) > CLOCK_PLAY:
        differs = f"{abs(ahead) / 60:.0f} min {'ahead of' if ahead > 0 else 'behind'} the Terminal's"
        advice = "Set the clock by network time: what is published already is judged by it."
        yield Check("clock", Grade.WARN, f"{told} by this system's clock, which is {differs}.", advice)
    else:
        agreed = "; the system's clock agrees with the Terminal's" if ahead is not None else ""
        yield Check("clock", Grade.OK, f"{told}{agreed}.")


def market(around: Surroundings) -> Iterator[Check]:
    """Tell whether the exchange opens today."""
    today = around.now.astimezone(sessions.NEW_YORK).date()
    try:
        closed = sessions.closed_because(today)
        hours = sessions.session("SPXW", today, None)
        last = today if hours else sessions.previous_trading_day(today)
    except ConfigError as error:
        yield Check("market", Grade.WARN, error.message, error.hint)
        return
    if hours is None:
        yield Check("market", Grade.OK, f"The exchange is closed today: {closed}. The last trading day was {last}.")
        return
    since = f"{sessions.clock(hours.open)} to {sessions.clock(hours.close)}"
    ready = sessions.published("intraday", today)
    yield Check(
        "market", Grade.OK, f"The exchange is open today, {since}; its data is there from {ready:%Y-%m-%d %H:%M} on."
    )


def config(around: Surroundings) -> Iterator[Check]:
    """Tell which settings differ from their defaults, and where they came from."""
    rows = [row for row in describe(around.settings) if row.origin != "default"]
    told = "; ".join(f"{row.key} = {row.value} ({row.origin})" for row in rows)
    message = f"Not default: {told}." if rows else "Every setting has its default."
    yield Check("config", Grade.OK, message, "See all settings with spxdata config." if rows else "")


def lease(around: Surroundings) -> Iterator[Check]:
    """Tell whether another process writes the archive."""
    try:
        found = around.lessee()
    except SpxDataError as error:
        yield Check("lease", Grade.BAD, f"{error.message} [{error.code}]", error.hint)
        return
    if found is None:
        yield Check("lease", Grade.OK, "Nobody is writing the archive.")
    elif found.alive:
        message = f"The archive is being written by {found.holder}."
        yield Check(
            "lease", Grade.WARN, message, "Wait for it to finish, or stop it: an archive has one writer at a time."
        )
    else:
        message = f"The archive was left by {found.holder}, which no longer runs."
        yield Check("lease", Grade.OK, message, "Nothing needs to be done: the next download takes over.")


#: Every check, in the order in which they are told.
CHECKS: Final[tuple[Checking, ...]] = (
    terminal,
    connection,
    account,
    port,
    java,
    subscription,
    disk,
    clock,
    market,
    config,
    lease,
)


def examine(around: Surroundings) -> Iterator[Check]:
    """Yield what every check finds."""
    for checking in CHECKS:
        yield from checking(around)
