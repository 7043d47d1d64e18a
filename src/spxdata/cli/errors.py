"""From errors to words and exit codes: the one place."""

import json
import shlex
import sys
from typing import Final

import click

from spxdata.cli.text import echo
from spxdata.errors import SpxDataError
from spxdata.events import SCHEMA_VERSION
from spxdata.observe.records import ADVICE

INTERRUPTED: Final = 130

#: Set in a context's meta once a log has stderr for its own: it has said what ended the run.
LOGGED: Final = "spxdata.logged"

#: What each exit code means.
EXIT_CODES: Final[dict[int, str]] = {
    0: "all there; or nothing to fetch, or not published yet",
    1: "some of it failed or is partial, due now or not; the rest is safe",
    2: "a wrong option or setting, or a future date",
    3: "the Terminal refused everything",
    4: "every reply was wrong, and nothing of it was kept",
    5: "the disk or the catalog failed",
    6: "another process writes this archive",
    75: "no usable Terminal: try again later",
    INTERRUPTED: "stopped by Ctrl-C, SIGTERM or SIGHUP; the same command goes on",
}


def wants_json(ctx: click.Context) -> bool:
    """Tell whether the command was asked for JSON."""
    return bool(ctx.meta.get("spxdata.json"))


def report(error: SpxDataError, ctx: click.Context, exit_code: int | None = None) -> int:
    """Say what happened and what to do about it; return the exit code.

    Args:
        error: What happened.
        ctx: The command's context.
        exit_code: The run's, where it differs from the error's own.
    """
    code = error.exit_code if exit_code is None else exit_code
    if wants_json(ctx):
        tell("error", code=error.code, message=error.message, hint=error.hint, exit_code=code)
    if not ctx.meta.get(LOGGED):
        echo(f"Error: {error.message} [{error.code}]", err=True)
        if error.hint:
            echo(f"Hint: {error.hint}", err=True)
    return code


def interrupted(ctx: click.Context, safe: str) -> int:
    """Say that the user stopped it, what is safe and how to go on; return the exit code."""
    again = shlex.join(["spxdata", *(ctx.find_root().obj or ())])
    hint = f"To go on, run the same command again: {again}"
    if wants_json(ctx):
        tell("interrupted", message=safe, hint=hint, exit_code=INTERRUPTED)
    if ctx.meta.get(LOGGED):
        return INTERRUPTED
    if sys.stderr.isatty():
        echo(err=True)  # the terminal has echoed ^C
    echo(f"Interrupted: {safe}.", err=True)
    echo(f"Hint: {hint}", err=True)
    return INTERRUPTED


def tell(event: str, **values: object) -> None:
    """Write one JSON object to stdout."""
    tell_record({"schema_version": SCHEMA_VERSION, "event": event, **values})


def tell_record(record: dict[str, object]) -> None:
    """Write one finished JSON object to stdout."""
    click.echo(json.dumps(record, ensure_ascii=False))


def advice(code: str | None) -> str:
    """Return what to do about an error of which only the code is left; empty if there is nothing to say."""
    return ADVICE.get(code or "", "")
