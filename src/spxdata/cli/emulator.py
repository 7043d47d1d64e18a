"""`spxdata emulator`: a Theta Terminal of our own, until Ctrl-C."""

import os
import time
from pathlib import Path
from typing import Final

import click

from spxdata.cli.signals import stoppable
from spxdata.cli.text import echo
from spxdata.config import TIER_LIMITS
from spxdata.errors import NotWritable

#: Seconds after which the main thread looks up: see `spxdata.cli.signals` on waits that no Ctrl-C ends.
_NAP: Final = 0.2

_EPILOG = """\
\b
A --drop rule leaves rows out of replies, but not out of the lists:
  --drop date=2024-01-16,from=10:30,to=11:39
  --drop expiration=2024-01-19,strike=4750,right=C
"""


@click.command(epilog=_EPILOG)
@click.option("--dialect", type=click.Choice(["v3"]), default="v3", show_default=True, help="Generation to emulate.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=int, default=25503, show_default=True, metavar="N", help="Port; 0 takes a free one.")
@click.option(
    "--tier", type=click.Choice(list(TIER_LIMITS)), default="standard", show_default=True, help="Subscription to play."
)
@click.option(
    "--chain",
    type=click.Choice(["small", "full"]),
    default="small",
    show_default=True,
    help="A few expirations, or a whole day of some 40.",
)
@click.option("--seed", type=int, default=1, show_default=True, metavar="N", help="The made-up market follows from it.")
@click.option("--replay", metavar="DIR", help="Serve recorded quotes from here instead of a made-up market.")
@click.option("--drop", multiple=True, metavar="RULE", help="Rows to leave out of replies; may be repeated.")
@click.option("--port-file", metavar="FILE", help="Write the port here once it listens.")
@click.option("--data-dir", metavar="PATH", help="Accepted as everywhere; the emulator touches no archive.")
def command(
    *,
    dialect: str,
    host: str,
    port: int,
    tier: str,
    chain: str,
    seed: int,
    replay: str | None,
    drop: tuple[str, ...],
    port_file: str | None,
    data_dir: str | None,  # noqa: ARG001 - every command takes it
) -> None:
    """Run a Theta Terminal of our own.

    It needs neither account nor network, and runs until Ctrl-C.
    """
    from spxdata.emulator import Emulator

    emulator = Emulator(chain=chain, seed=seed, tier=tier, drop=drop, replay=replay, host=host, port=port)
    with stoppable(), emulator:
        market = f"recorded in {replay}" if replay else f"made up, seed {seed}, {chain} chain"
        if port_file:
            _write(Path(port_file), emulator.url)
        echo(f"Emulated Theta Terminal ({dialect}) at {emulator.url}: {tier} subscription, market {market}")
        echo("Stop it with Ctrl-C.", err=True)
        try:
            while True:
                time.sleep(_NAP)
        except KeyboardInterrupt:
            echo("Stopped.", err=True)


def _write(path: Path, url: str) -> None:
    """Write the port, so that a reader never sees half of it."""
    port = url.rpartition(":")[2].partition("/")[0]
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        beside.write_text(f"{port}\n", encoding="ascii")
        beside.replace(path)
    except OSError as error:
        raise NotWritable(f"{path}: {error.strerror}", hint="Name another file with --port-file.") from error
