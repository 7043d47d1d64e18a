"""`spxdata emulator`: a Theta Terminal of our own, until Ctrl-C."""

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click

from spxdata.cli.signals import stoppable
from spxdata.cli.text import echo
from spxdata.config import TIER_LIMITS
from spxdata.errors import NotWritable

#: Seconds after which the main thread looks up: see `spxdata.cli.signals` on waits that no Ctrl-C ends.
_NAP: Final = 0.2

#: Where a Terminal of each generation listens if no port is named.
_PORTS: Final = {"v3": 25503, "v2": 25510, "both": 25503}

_EPILOG = """\
\b
A --drop rule leaves rows out of replies, but not out of the lists:
  --drop date=2024-01-16,from=10:30,to=11:39
  --drop expiration=2024-01-19,strike=4750,right=C
A --faults file says which request fails, and how: docs/faults.md.
"""


@click.command(epilog=_EPILOG)
@click.option(
    "--dialect", type=click.Choice(list(_PORTS)), default="v3", show_default=True, help="Generation to emulate."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=int, metavar="N", help="Port; 0 takes a free one.  [default: 25503, of v2 25510]")
@click.option(
    "--v2-port",
    type=int,
    default=_PORTS["v2"],
    show_default=True,
    metavar="N",
    help="Port of v2 beside v3; 0 takes a free one.",
)
@click.option(
    "--tier",
    type=click.Choice(list(TIER_LIMITS["v3"])),
    default="standard",
    show_default=True,
    help="Subscription to play.",
)
@click.option(
    "--index-tier",
    type=click.Choice(list(TIER_LIMITS["v3"])),
    help="Subscription to index data to play.  [default: as --tier]",
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
@click.option("--doubled-eod", is_flag=True, help="Send end-of-day reports twice, as the vendor has for some years.")
@click.option("--page-rows", type=int, default=100_000, show_default=True, metavar="N", help="Rows of a page of v2.")
@click.option(
    "--page-expire",
    type=float,
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a page of v2 waits to be read.",
)
@click.option(
    "--min-seconds",
    type=float,
    default=0.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the first byte of data takes at least.",
)
@click.option(
    "--bytes-per-second", type=float, metavar="N", help="As fast as one data reply comes at most.  [default: no limit]"
)
@click.option("--faults", metavar="FILE", help="What goes wrong on purpose, see docs/faults.md.")
@click.option(
    "--port-file", metavar="FILE", help="Write the port here once it listens; of both, v2's on a second line."
)
@click.option("--data-dir", metavar="PATH", help="Accepted as everywhere; the emulator touches no archive.")
def command(
    *,
    dialect: str,
    host: str,
    port: int | None,
    v2_port: int,
    tier: str,
    index_tier: str | None,
    chain: str,
    seed: int,
    replay: str | None,
    drop: tuple[str, ...],
    doubled_eod: bool,
    page_rows: int,
    page_expire: float,
    min_seconds: float,
    bytes_per_second: float | None,
    faults: str | None,
    port_file: str | None,
    data_dir: str | None,  # noqa: ARG001 - every command takes it
) -> None:
    """Run a Theta Terminal of our own.

    It needs neither account nor network, and runs until Ctrl-C.
    """
    from spxdata.emulator import Emulator

    emulator = Emulator(
        dialect=dialect,
        chain=chain,
        seed=seed,
        tier=tier,
        index_tier=index_tier,
        drop=drop,
        doubled_eod=doubled_eod,
        replay=replay,
        host=host,
        port=_PORTS[dialect] if port is None else port,
        v2_port=v2_port,
        page_rows=page_rows,
        page_expire=page_expire,
        min_seconds=min_seconds,
        bytes_per_second=bytes_per_second,
        faults=faults or (),
    )
    with stoppable(), emulator:
        market = f"recorded in {replay}" if replay else f"made up, seed {seed}, {chain} chain"
        spoken = ("v3", "v2") if dialect == "both" else (dialect,)
        urls = {name: emulator.v2_url if name == "v2" else emulator.url for name in spoken}
        if port_file:
            _write(Path(port_file), urls.values())
        for name, url in urls.items():
            echo(f"Emulated Theta Terminal ({name}) at {url}: {tier} subscription, market {market}")
        echo("Stop it with Ctrl-C.", err=True)
        try:
            while True:
                time.sleep(_NAP)
        except KeyboardInterrupt:
            echo("Stopped.", err=True)


def _write(path: Path, urls: Iterable[str]) -> None:
    """Write the ports, one a line, so that a reader never sees half of them."""
    ports = "".join(f"{urlsplit(url).port}\n" for url in urls)
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        beside.write_text(ports, encoding="ascii")
        beside.replace(path)
    except OSError as error:
        raise NotWritable(f"{path}: {error.strerror}", hint="Name another file with --port-file.") from error
