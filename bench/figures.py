"""What measuring gives: figures with their spread, tables, and ratios that can be compared between machines."""

import os
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

#: Whose versions matter to what was measured.
PACKAGES: Final = ("spxdata", "polars", "pyarrow", "pandas", "duckdb")


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that was measured several times."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Figure":
        """Return the figure of some measurements."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        """Return the median and, where there were several, the spread."""
        if self.least == self.most:
            return f"{self.median:,.2f}"
        return f"{self.median:,.2f} ({self.least:,.2f} to {self.most:,.2f})"


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the bench.

    Attributes:
        title: What was measured.
        markdown: What is printed.
        ratios: Figures against a baseline of the same run, by name: what other runs are compared with.
    """

    title: str
    markdown: str
    ratios: Mapping[str, Figure] = field(default_factory=dict)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, all columns but the first to the right."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine() -> dict[str, Any]:
    """Return what the figures are measured on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "cpu": model or platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "python": sys.version.split()[0],
        "load_before": round(os.getloadavg()[0], 1),
        "packages": {name: version(name) for name in PACKAGES},
    }
