"""`spxdata demo`: three trading days from an emulated Terminal, and a look at them."""

from datetime import date, datetime
from pathlib import Path
from typing import Final

import click

from spxdata.cli import options
from spxdata.cli.download import run
from spxdata.cli.status import show
from spxdata.cli.text import echo, table
from spxdata.config import Settings, StorageSettings, TerminalSettings
from spxdata.plan import Request
from spxdata.sessions import NEW_YORK

_FIRST, _LAST = date(2024, 1, 12), date(2024, 1, 17)
_DAY: Final = date(2024, 1, 16)
#: Strikes shown on each side of the underlying's price.
_STRIKES: Final = 5

_NEXT = """
See it again:  spxdata status --data-dir {directory}

That was made up. With Theta Terminal running, the real thing is:

  spxdata download --date 2024-01-16
  spxdata status

and from Python:

  import polars as pl, spxdata
  spxdata.download("2024-01-16")
  pl.scan_parquet("data/20240116/*.parquet").collect()

Every command explains itself: spxdata download --help"""


@click.command()
@click.option("--data-dir", default="demo-data", show_default=True, metavar="PATH", help="Where to put the archive.")
@click.pass_context
def command(ctx: click.Context, /, *, data_dir: str) -> None:
    """Try it all on an emulated Terminal.

    Downloads three trading days and looks at them.

    Needs neither a Terminal nor an account. Run again, it skips what is there.
    """
    from spxdata.bootstrap import make_request
    from spxdata.emulator import Emulator

    clock = options.clock()
    with Emulator(chain="small", seed=1) as emulator:
        echo(f"An emulated Theta Terminal runs at {emulator.url}. Downloading {_FIRST} to {_LAST} from it:\n")
        settings = Settings(
            terminal=TerminalSettings(url=emulator.url.removesuffix("/v3"), dialect="v3"),
            storage=StorageSettings(data_directory=Path(data_dir)),
        )
        request: Request = make_request(settings, _FIRST, _LAST, clock)
        code = run(ctx, settings, request, clock, as_json=False, quiet=False)
    if code == 0:
        echo()
        show(settings)
        echo()
        _look(Path(data_dir))
        echo(_NEXT.format(directory=data_dir))
    ctx.exit(code)


def _look(directory: Path) -> None:
    """Show the strikes around the money of the nearest expiration at 10:30."""
    import polars as pl

    path = min((directory / f"{_DAY:%Y%m%d}").glob("spxw_exp_*.parquet"))
    moment = datetime(_DAY.year, _DAY.month, _DAY.day, 10, 30, tzinfo=NEW_YORK)
    columns = ("strike", "right", "bid", "ask", "implied_vol", "delta")
    rows = (
        pl.scan_parquet(path)
        .filter(pl.col("timestamp") == moment)
        .with_columns(distance=(pl.col("strike") - pl.col("underlying_price")).abs().rank("dense"))
        .filter(pl.col("distance") <= _STRIKES)
        .sort("strike", "right")
        .select(*columns, "underlying_price")
        .collect()
    )
    price = rows["underlying_price"][0]
    echo(f"The strikes nearest to the index at {price:,.2f}, {_DAY} 10:30 New York time, read from {path}:\n")
    cells = [
        (f"{strike:,.0f}", right, f"{bid:.2f}", f"{ask:.2f}", f"{volatility:.4f}", f"{delta:+.4f}")
        for strike, right, bid, ask, volatility, delta in rows.select(columns).iter_rows()
    ]
    for line in table([columns, *cells], right=(0, 2, 3, 4, 5), indent="  "):
        echo(line)
