"""`spxdata chain`: the option chain as it was known at a moment."""

from collections.abc import Sequence
from pathlib import Path

import click

from spxdata.cli import answer, options

#: The columns that come first, so that a terminal shows what people look at.
_FIRST = (
    "expiration",
    "strike",
    "right",
    "bid",
    "ask",
    "last",
    "volume",
    "open_interest",
    "implied_vol",
    "delta",
    "gamma",
    "theta",
    "vega",
    "underlying",
    "moneyness",
)


@click.command()
@click.argument("moment", metavar="MOMENT")
@click.option("--root", default="SPXW", show_default=True, metavar="ROOT", help="Option root.")
@click.option("--expiration", "expirations", multiple=True, metavar="DAY", help="Only this one; may be repeated.")
@click.option("--right", type=click.Choice(["call", "put"]), help="Only calls, or only puts.")
@click.option(
    "--moneyness", nargs=2, type=float, metavar="LOW HIGH", help="Only strikes that are this part of the underlying."
)
@click.option(
    "--all-rows", is_flag=True, help="With rows that say nothing: sentinels, repeats, rows outside of the session."
)
@options.data_dir
@answer.options
def command(
    *,
    moment: str,
    root: str,
    expirations: Sequence[str],
    right: str | None,
    moneyness: tuple[float, float] | None,
    all_rows: bool,
    form: str | None,
    output: Path | None,
    **flags: str | None,
) -> None:
    """Show the option chain as it was known at a moment.

    MOMENT is New York's, such as 2024-01-16T10:30. One row per contract: quote, last price, volume so far, open
    interest, implied volatility and greeks, with where each comes from; nothing in it was known later.
    """
    from spxdata.analysis.archive import open_archive

    with open_archive(options.settings(flags).storage.data_directory) as archive:
        found = archive.chain(
            moment,
            root=root,
            expiration=list(expirations) or None,
            right=right,
            moneyness=moneyness,
            flags="all" if all_rows else "clean",
        )
    rest = [name for name in found.columns if name not in _FIRST]
    answer.give(found.select(*_FIRST, *rest), form, output)
