"""`spxdata doctor`: what stands between the user and a download, and what to do about it."""

from collections import Counter
from typing import Final

import click

from spxdata.cli import options
from spxdata.cli.errors import tell
from spxdata.cli.text import counted, echo

_EPILOG = """\
\b
Exit codes:
    0  nothing is in the way; there may be things worth a look
    1  something is in the way of a download
    2  a wrong option or setting
"""

#: The mark of each grade.
_MARKS: Final = {"ok": "✓", "warn": "!", "bad": "✗"}
#: The width of the names of the checks.
_NAMES: Final = 14


@click.command(epilog=_EPILOG)
@options.setting("terminal.url", "URL")
@options.setting("terminal.dialect", "auto|v2|v3")
@options.data_dir
@options.as_json
@click.pass_context
def command(ctx: click.Context, /, *, as_json: bool, **flags: str | None) -> None:
    """Look at Terminal, archive and system.

    Nothing is changed. Every line that is not fine says what to do.
    """
    settings = options.settings(flags)
    now = options.clock()
    from spxdata.doctor.checks import examine
    from spxdata.doctor.surroundings import surroundings

    grades: Counter[str] = Counter()
    for check in examine(surroundings(settings, now)):
        grades[check.grade] += 1
        if as_json:
            tell("check", **check._asdict())
            continue
        echo(f"{_MARKS[check.grade]} {check.name:{_NAMES}}{check.message}")
        if check.advice:
            echo(f"{'':{_NAMES + 2}}{check.advice}")
    code = 1 if grades["bad"] else 0
    if as_json:
        tell("summary", ok=grades["ok"], warn=grades["warn"], bad=grades["bad"], exit_code=code)
    else:
        echo()
        echo(_verdict(grades))
    ctx.exit(code)


def _verdict(grades: Counter[str]) -> str:
    look = f"{counted(grades['warn'], 'thing')} worth a look" if grades["warn"] else ""
    if grades["bad"]:
        wrong = f"✗ {counted(grades['bad'], 'thing is', 'things are')} in the way of a download"
        return f"{wrong}, {look}." if look else f"{wrong}."
    return f"! Nothing is in the way of a download; {look}." if look else "✓ Nothing is in the way of a download."
