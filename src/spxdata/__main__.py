"""The entry point: `spxdata`, and `python -m spxdata`."""

import gc
import io
import os
import sys

#: Objects after which garbage is looked for: modules and contract lists are tens of thousands that all stay.
_GARBAGE_EVERY = 50_000


def main() -> None:
    """Run the command line."""
    if sys.platform == "linux":  # where Arrow has it: four large replies at once take 50 to 80 MiB less
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
    gc.set_threshold(_GARBAGE_EVERY, *gc.get_threshold()[1:])
    from spxdata.cli.group import cli

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ✓ shows ? instead of failing
    cli.main(prog_name="spxdata")


if __name__ == "__main__":
    main()
