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


@pytest.mark.parametrize(("said", "pool"), [({}, "jemalloc"), ({VARIABLE: "system"}, "system")])
def test_arrow_has_the_frugal_allocator_unless_the_user_says_otherwise(said: dict[str, str], pool: str) -> None:
    """Arrow's default keeps more of what it had."""
    rest = {name: value for name, value in os.environ.items() if name != VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=True, env={**rest, **said}
    )
    assert done.stderr.split() == [pool]
