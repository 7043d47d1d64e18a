"""Downloads replies of 2 and of 20 million trades with the real command, and compares the memory they took."""

import sys

from bench.memory import peak

#: Bytes of a row of trades, and a little more: a reply is not shorter than it is meant to be.
_ROW = 105
#: How much more memory ten times the rows may take.
MOST = 1.15


def main() -> int:
    """Measure both, print a table, and fail if memory grows with the reply."""
    peaks = []
    print("| rows | peak memory | seconds |\n| ---: | ---: | ---: |")
    for rows in (2_000_000, 20_000_000):
        found = peak("trade", rows * _ROW, 1)
        peaks.append(found.memory)
        print(f"| {found.rows:,} | {found.memory / 2**20:,.0f} MiB | {found.seconds:.1f} |", flush=True)
    print(f"\nTen times the rows take {peaks[1] / peaks[0]:.2f} times the memory.")
    return int(peaks[1] > MOST * peaks[0])


if __name__ == "__main__":
    sys.exit(main())
