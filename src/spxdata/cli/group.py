"""The group `spxdata`: which commands there are; each one's module is loaded when it is needed."""

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import click

from spxdata import __version__
from spxdata.cli.errors import interrupted, report
from spxdata.errors import SpxDataError

#: Every command, and the module whose attribute `command` it is.
COMMANDS: Mapping[str, str] = {
    "download": "spxdata.cli.download",
    "update": "spxdata.cli.update",
    "status": "spxdata.cli.status",
    "coverage": "spxdata.cli.coverage",
    "verify": "spxdata.cli.verify",
    "repair": "spxdata.cli.repair",
    "revisions": "spxdata.cli.revisions",
    "convert": "spxdata.cli.convert",
    "clean": "spxdata.cli.clean",
    "quarantine": "spxdata.cli.quarantine",
    "chain": "spxdata.cli.chain",
    "contract": "spxdata.cli.contract",
    "query": "spxdata.cli.query",
    "audit-greeks": "spxdata.cli.audit_greeks",
    "export": "spxdata.cli.export",
    "datasets": "spxdata.cli.datasets",
    "doctor": "spxdata.cli.doctor",
    "sessions": "spxdata.cli.sessions",
    "config": "spxdata.cli.config",
    "emulator": "spxdata.cli.emulator",
    "demo": "spxdata.cli.demo",
}

#: What each command does, as its own help says first: the list of commands is shown without loading them all.
SUMMARIES: Mapping[str, str] = {
    "download": "Download the option chains of trade dates.",
    "update": "Fetch everything that the archive's rule wants and lacks.",
    "status": "Show what the archive holds and what it lacks.",
    "coverage": "Show what is complete, and exactly what is missing.",
    "verify": "Check every file against the catalog, and both ways.",
    "repair": "Fetch again what is damaged or missing, and only that.",
    "revisions": "Find out what the vendor has changed.",
    "convert": "Encode the stored files anew: Parquet or CSV.",
    "clean": "Remove what failed downloads and old refusals left.",
    "quarantine": "List refused replies, or show one with its rows.",
    "chain": "Show the option chain as it was known at a moment.",
    "contract": "Show a contract's history.",
    "query": "Ask the archive in SQL, which may only read.",
    "audit-greeks": "Compare the vendor's volatilities and greeks with our own.",
    "export": "Write days of the archive as files for others.",
    "datasets": "Show the kinds of data there are.",
    "doctor": "Look at Terminal, archive and system.",
    "sessions": "Show trading days and hours, holidays and early closes.",
    "config": "Show every setting and where its value came from.",
    "emulator": "Run a Theta Terminal of our own.",
    "demo": "Try it all on an emulated Terminal.",
}

_EPILOG = """\
\b
Try it without a Terminal:    spxdata demo
Complete words with Tab:      eval "$(_SPXDATA_COMPLETE=bash_source spxdata)"
                              (zsh_source and fish_source for those shells)
"""


class LazyGroup(click.Group):
    """A group whose commands live in modules of their own, and the one place where errors become exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of the commands in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        """Load a command; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUMMARIES[name]) for name in COMMANDS])

    def main(self, args: Sequence[str] | None = None, *more: Any, **extra: Any) -> Any:  # noqa: ANN401 - click's
        """Run, remembering what was typed: a message may tell how to go on."""
        typed = tuple(sys.argv[1:] if args is None else args)
        return super().main(typed, *more, **{"obj": typed, **extra})

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's
        """Run the command; our errors and Ctrl-C end with words and an exit code, all else with a traceback."""
        try:
            return super().invoke(ctx)
        except SpxDataError as error:
            ctx.exit(report(error, ctx))
        except KeyboardInterrupt:
            ctx.exit(interrupted(ctx, "nothing was changed"))


@click.group(cls=LazyGroup, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="spxdata", message="%(prog)s %(version)s")
def cli() -> None:
    """An archive of SPX option history that you can trust, pulled from your Theta Terminal."""
