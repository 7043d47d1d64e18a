"""The entry point: `spxdata`, and `python -m spxdata`."""

import io
import sys


def main() -> None:
    """Run the command line."""
    from spxdata.cli.group import cli

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ✓ shows ? instead of failing
    cli.main(prog_name="spxdata")


if __name__ == "__main__":
    main()
