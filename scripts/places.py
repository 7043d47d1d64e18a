"""Measures how busy the account's places are kept while units are left (docs/performance.md)."""

import tempfile
from collections.abc import Sequence
from typing import Final

from spxdata import Emulator, download
from spxdata.emulator.gate import Served

DATE: Final = "2024-01-16"
#: What a data reply takes at least, seconds.
REPLY: Final = 2.0
#: By dialect: a tier, and how many requests run at once by default.
TIERS: Final = {"v3": ("standard", 3), "v2": ("professional", 3)}


def occupancy(served: Sequence[Served], width: int) -> float:
    """Return which part of so many places was busy, from when all were first taken until the last request began.

    Before that only the pacing of launches speaks, after it no unit is left.
    """
    starts = sorted(span.start for span in served)
    first, last = starts[width], starts[-1]  # the very first request is sent alone
    busy = sum(max(0.0, min(span.end, last) - max(span.start, first)) for span in served)
    return busy / (width * (last - first))


def main() -> None:
    """Download a day from each dialect."""
    print("| dialect | tier | requests | places | busy | turned away |\n| --- | --- | ---: | ---: | ---: | ---: |")
    for dialect, (tier, width) in TIERS.items():
        with (
            Emulator(dialect=dialect, tier=tier, chain="full", min_seconds=REPLY) as terminal,
            tempfile.TemporaryDirectory() as folder,
        ):
            download(
                DATE,
                datasets=("quote",),
                data_dir=folder,
                terminal=terminal.url,
                environ={"SPXDATA_TERMINAL__TIER": tier, "SPXDATA_DOWNLOAD__INTERVAL": "1h"},
            )
            served, most, refused = terminal.served, terminal.in_flight_max, terminal.refused_429
        busy = occupancy(served, width)
        print(f"| {dialect} | {tier} | {len(served)} | {most} of {width} | {busy:.1%} | {refused} |")


if __name__ == "__main__":
    main()
