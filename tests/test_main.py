"""What the entry point arranges for the process before any command runs."""

import os
import subprocess
import sys

import pytest

CODE = """
import sys
from spxdata.__main__ import main
sys.argv = ["spxdata", "--version"]
try:
    main()
except SystemExit:
    pass
import pyarrow
print(pyarrow.default_memory_pool().backend_name, file=sys.stderr)
"""
VARIABLE = "ARROW_DEFAULT_MEMORY_POOL"


@pytest.mark.parametrize(("said", "pool"), [({}, "system"), ({VARIABLE: "mimalloc"}, "mimalloc")])
def test_arrow_takes_its_memory_from_the_system_unless_the_user_says_otherwise(said: dict[str, str], pool: str) -> None:
    """Its own allocator keeps what it had, which four large replies at once make 80 MiB of."""
    rest = {name: value for name, value in os.environ.items() if name != VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=True, env={**rest, **said}
    )
    assert done.stderr.split() == [pool]
