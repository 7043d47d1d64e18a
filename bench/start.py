"""How long commands take to start, against bare Python's own start."""

import sys
import tempfile
from typing import Final

from bench.command import spent
from bench.figures import Figure, Section, table

_BARE: Final = "python -c pass"
#: What is started, and how many milliseconds beyond bare Python's start it may take.
_STARTS: Final = {
    _BARE: (("-c", "pass"), 0),
    "import spxdata": (("-c", "import spxdata"), 150),
    "spxdata --version": (("-m", "spxdata", "--version"), 150),
    "spxdata --help": (("-m", "spxdata", "--help"), 150),
}


def measure(*, quick: bool = False) -> Section:
    """Start each in turn, so many times."""
    seconds: dict[str, list[float]] = {name: [] for name in _STARTS}
    with tempfile.TemporaryDirectory(prefix="spxdata-bench-") as folder:
        for _ in range(8 if quick else 21):
            for name, (words, _) in _STARTS.items():
                command = [sys.executable, *(word.format(folder=folder) for word in words)]
                seconds[name].append(spent(command).seconds)
    warm = {name: found[1:] for name, found in seconds.items()}  # the first may find its files on disk only
    bare = warm.pop(_BARE)
    above = {name: [one - base for one, base in zip(found, bare, strict=True)] for name, found in warm.items()}
    rows = [
        (f"`{name}`", str(Figure.of([value * 1e3 for value in found])), f"{_STARTS[name][1]}")
        for name, found in above.items()
    ]
    note = f"Bare Python takes {Figure.of([value * 1e3 for value in bare])} ms. Wall time, modules compiled."
    return Section(
        "Start-up",
        f"{table(('command', 'ms above bare Python', 'may take'), rows)}\n\n{note}",
        {
            f"start of {name} : of bare Python": Figure.of([one / base for one, base in zip(found, bare, strict=True)])
            for name, found in warm.items()
        },
    )
