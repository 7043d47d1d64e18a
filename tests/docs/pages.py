"""Pages of the documentation: their code, what they show of its output, and running one as a reader would.

What a page says in comments, which readers do not see:

* `<!-- first: ... -->`, once: commands to run before the page begins, such as the download it speaks of.
* `<!-- now: 2024-01-18T03:00 -->`, once: the moment that commands take for the current one.
* `<!-- meanwhile: ... -->`: commands to run when its place is reached.
* `<!-- not run: why -->` before a block of code that a test cannot run.
* `<!-- output -->` before a block of text: what the block of code before it writes to stdout, to the
  letter but for sizes of files and seconds.

A block whose first line is a comment with a file's name (`# spxdata.toml`) is written to that file instead of run.
"""

import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spxdata.analysis.archive import Archive
from tests.conftest import ROOT

#: Languages whose blocks are code.
CODE = ("python", "sh")
#: Languages of blocks that are written to a file where they name one, and are otherwise shown.
FILES = ("python", "toml", "ini", "yaml")
#: All others that a page may have.
SHOWN = ("text", "{toctree}")

FENCE = re.compile(
    r"(?:^<!-- (?P<mark>not run: [^\n]+|output) -->\n\n?)?^```(?P<language>\S*)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_FIRST = re.compile(r"^<!-- first:\n(.*?)-->$", re.MULTILINE | re.DOTALL)
_MEANWHILE = re.compile(r"^<!-- meanwhile:\n(?P<body>.*?)-->$", re.MULTILINE | re.DOTALL)
_NOW = re.compile(r"^<!-- now: (\S+) -->$", re.MULTILINE)
#: What differs from run to run: sizes, for files hold the address of the Terminal; and how long something took.
_VARIES = re.compile(r" *\b[\d.]+ (?:B|kB|MB|s)\b")
_FILE = re.compile(r"# ([\w./-]+\.\w+)(?:$|[;,:])")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page.

    Attributes:
        language: What stands behind the fence.
        body: What stands in it.
        mark: The comment before it; empty if there is none.
        start: Where its body begins in the page.
        line: Number of its first line.
    """

    language: str
    body: str
    mark: str
    start: int
    line: int

    @property
    def not_run(self) -> str:
        """Why it is not run; empty if it is."""
        return self.mark.removeprefix("not run: ") if self.mark.startswith("not run: ") else ""

    @property
    def is_output(self) -> bool:
        """Whether it shows what the code before it writes."""
        return self.mark == "output"

    @property
    def file(self) -> str:
        """The file that it is written to; empty for none."""
        found = _FILE.match(self.body.split("\n", 1)[0]) if self.language in FILES else None
        return found[1] if found else ""


def blocks(text: str) -> list[Block]:
    """Return a page's blocks in order, and what it does meanwhile among them, as blocks of sh."""
    found = [*FENCE.finditer(text), *_MEANWHILE.finditer(text)]
    return [
        Block(
            one.groupdict().get("language", "sh"),
            one["body"],
            one.groupdict().get("mark") or "",
            one.start("body"),
            text.count("\n", 0, one.start("body")) + 1,
        )
        for one in sorted(found, key=lambda one: one.start())
    ]


def pages() -> Iterator[Path]:
    """Yield every page of the documentation."""
    yield ROOT / "README.md"
    yield ROOT / "CONTRIBUTING.md"
    yield from sorted((ROOT / "docs").rglob("*.md"))


class Reader:
    """Somebody who does what pages say, each in a folder of its own.

    Args:
        folder: Where pages' folders go.
        terminals: Addresses of the usual Terminals, and what to ask instead of them.
    """

    def __init__(self, folder: Path, terminals: Mapping[str, str]) -> None:
        self._folder = folder
        self._terminals = terminals
        self._firsts: dict[str, Path] = {}

    def environ(self, text: str) -> dict[str, str]:
        """Return the environment of a page's code."""
        now = _NOW.search(text)
        return {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("SPXDATA_", "COV_", "POLARS_"))
            },
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
            "HOME": str(self._folder),
            "CURL_HOME": str(self._folder),
            "COLUMNS": "100",
            "NO_COLOR": "1",
            "PYTHONUTF8": "1",
            "SPXDATA_TERMINAL__URL": self._terminals["http://127.0.0.1:25503"],
            "SPXDATA_TERMINAL__PACING": "0",
            **({"SPXDATA_NOW": now[1]} if now else {}),
        }

    def follow(self, name: str, text: str) -> str:
        """Do what a page says from top to bottom, in a new folder that is the current one afterwards.

        Args:
            name: What the page is called.
            text: The page.

        Returns:
            The page with the output that there was, which is the page itself if what it shows is true.

        Raises:
            AssertionError: Some code fails.
        """
        environ = self.environ(text)
        folder = self._begun(name, text, environ)
        os.environ.clear()
        os.environ.update(environ)
        os.chdir(folder)
        names: dict[str, Any] = {"__name__": "__main__"}
        said, done = "", list[tuple[Block, str]]()
        for block in blocks(text):
            if block.is_output:
                done.append((block, said))
            elif not block.not_run:
                said = self._do(block, folder, environ, names, name)
        for value in names.values():
            if isinstance(value, Archive):
                value.close()
        for block, output in reversed(done):
            if _VARIES.sub("", output) == _VARIES.sub("", block.body):
                continue
            text = text[: block.start] + output + text[block.start + len(block.body) :]
        return text

    def _do(self, block: Block, folder: Path, environ: Mapping[str, str], names: dict[str, Any], page: str) -> str:
        """Do what a block says; return what it writes."""
        if block.file:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.body, encoding="utf-8")
        elif block.language == "python":
            return _python(block, names, page)
        elif block.language == "sh":
            return self._shell(block.body, folder, environ, f"{page}:{block.line}")
        return ""

    def _begun(self, name: str, text: str, environ: Mapping[str, str]) -> Path:
        """Return a page's folder after its first commands; pages with the same ones start with copies."""
        folder = self._folder / re.sub(r"\W", "-", name)
        first = _FIRST.search(text)
        if first is None:
            folder.mkdir()
            return folder
        if first[1] not in self._firsts:
            made = self._folder / f"first-{len(self._firsts)}"
            made.mkdir()
            self._shell(first[1], made, environ, f"{name}, first")
            self._firsts[first[1]] = made
        return shutil.copytree(self._firsts[first[1]], folder)

    def _shell(self, code: str, folder: Path, environ: Mapping[str, str], where: str) -> str:
        for usual, instead in self._terminals.items():
            code = code.replace(usual, instead)
        done = subprocess.run(
            ["sh", "-e", "-c", code],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, f"{where}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        return _trimmed(done.stdout)


def _python(block: Block, names: dict[str, Any], page: str) -> str:
    said = io.StringIO()
    code = compile("\n" * (block.line - 1) + block.body, page, "exec")
    with redirect_stdout(said):
        exec(code, names)  # noqa: S102 - our own page
    return _trimmed(said.getvalue())


def _trimmed(output: str) -> str:
    """Return output without spaces at the ends of lines, which editors take away."""
    return "".join(line.rstrip() + "\n" for line in output.splitlines())
