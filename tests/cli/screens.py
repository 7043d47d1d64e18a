"""What a command said, and how golden files have it."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

GOLDEN = Path(__file__).parent / "golden"

#: What differs from run to run, and what stands for it in a golden file; the first that fits wins.
VOLATILE = (
    (r"\x1b\[[0-9;]*m", ""),
    (r"Progress: .*\n?", ""),  # only where a run takes long
    (r"--- stderr\n(?=--- exit)", ""),  # where that was all
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"port = \d+", "port = PORT"),
    (r"\b([Pp]ort) \d{4,5}\b", r"\1 PORT"),
    (r"held by process \d+ \([^)]*\)", "held by process PID (COMMAND)"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "TIME"),
    (r"~\d{8}T\d{12}Z", "~TIME"),
    (r"process \d+ on \S+ \(.*\), since", "process PID on HOST (COMMAND), since"),
    (r"\b[\d.]+ (?:B|kB|MB|GB)\b", "SIZE"),
    (r"\b\d[\d,]* records?\b", "N records"),
    (r"\bin [\d.]+ s\b", "in SECONDS"),
    (r"SHA-256 [0-9a-f]{12}… instead of [0-9a-f]{12}…", "SHA-256 FOUND… instead of RECORDED…"),
    (r"\b\d{8}T\d{12}(?=\b|_)", "STAMP"),
    (r" {3,}(?=N records|SIZE)", "  "),
    (r"(?<=Interrupted: )\d+ files? (.*) (?:is|are) safe", r"N files \1 are safe"),
)


class Screen(NamedTuple):
    """What a command said, and its exit code."""

    command: str
    code: int
    out: str
    err: str

    def text(self, *folders: Path) -> str:
        """Return it as a golden file has it, without what differs from run to run."""
        parts = [f"$ {self.command}", self.out.rstrip()]
        parts += [f"--- stderr\n{self.err.rstrip()}"] if self.err else []
        text = "\n".join([*(part for part in parts if part), f"--- exit {self.code}"]) + "\n"
        for folder in folders:
            text = text.replace(str(folder), "FOLDER")
        for pattern, stand_in in VOLATILE:
            text = re.sub(pattern, stand_in, text)
        return text


class Run(Protocol):
    """Runs `spxdata` with arguments."""

    def __call__(self, *arguments: str, **environ: str) -> Screen:
        """Return what it said."""
        ...


Compare = Callable[..., None]


def environment(**changes: str) -> dict[str, str]:
    """Return this process's environment without settings of ours or of a terminal."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("SPXDATA_", "NO_COLOR", "COV_"))}
    return {**ours, **changes}
