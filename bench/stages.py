"""Where the CPU of a download goes, stage by stage: the real command in this process, one request at a time.

Functions are wrapped here, and only here, so that every CPU second of all threads counts for the innermost stage that
runs. One unit at a time, from its first byte to its file, because CPU time knows no units. Wrapping costs a few per
mille.
"""

import argparse
import functools
import importlib
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from bench.command import DATE
from bench.pipeline import replies

#: Where each stage begins: module, name within it, stage. A name that returns an iterator is timed while it is drawn.
PLACES: Final = (
    ("spxdata.downloader.run", "Download.run", "planning, catalog, threads"),
    ("spxdata.pipeline.attempt", "_counted", "receive"),
    ("spxdata.pipeline.parse", "blocks", "lines into blocks"),
    ("spxdata.pipeline.parse", "parse", "parse: other"),
    ("spxdata.pipeline.parse", "_read", "parse: structure"),
    ("polars", "read_csv", "parse: read_csv"),
    ("spxdata.pipeline.parse", "_refuse_gaps", "parse: gaps"),
    ("spxdata.pipeline.parse", "_refuse_other_moments", "parse: moments"),
    ("spxdata.pipeline.parse", "_refuse_far_days", "parse: days"),
    ("spxdata.pipeline.parse", "_canonical", "parse: canonical types"),
    ("spxdata.pipeline.validate", "enforce", "rules that fail"),
    ("spxdata.pipeline.validate", "flagged", "rules that flag"),
    ("spxdata.pipeline.order", "Sorter.add", "order: add"),
    ("spxdata.pipeline.order", "Sorter.groups", "order: groups"),
    ("spxdata.pipeline.presence", "PresenceTaker.update", "presence"),
    ("spxdata.pipeline.validate", "Checked.rows", "validate: other"),
    ("spxdata.completeness", "holes", "holes"),
    ("spxdata.pipeline.write", "regrouped", "row groups"),
    ("spxdata.pipeline.content", "ContentHash.update", "content hash"),
    ("spxdata.pipeline.parquet_file", "ParquetFile.write", "Parquet"),
    ("spxdata.pipeline.parquet_file", "ParquetFile.finish", "Parquet: footer"),
    ("spxdata.pipeline.hashing", "HashingFile.write", "SHA-256 and file"),
    ("spxdata.storage.local", "PendingFile.commit", "fsync and rename"),
)


class Stages:
    """CPU seconds by stage; the innermost one that runs is charged."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._open = ["imports and command line"]
        self._last = 0.0

    def turn(self) -> None:
        """Charge what was spent since the last turn."""
        now = time.process_time()
        self.spent[self._open[-1]] += now - self._last
        self._last = now

    def enter(self, stage: str) -> None:
        """Begin a stage within the present one."""
        self.turn()
        self._open.append(stage)

    def leave(self) -> None:
        """End the present stage."""
        self.turn()
        self._open.pop()

    def wrap(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that counts for a stage; so does the iterator that it returns."""

        @functools.wraps(function)
        def counted(*args: object, **options: object) -> object:
            self.enter(stage)
            try:
                result = function(*args, **options)
            finally:
                self.leave()
            return self._drawn(stage, result) if isinstance(result, Iterator) else result

        return counted

    def _drawn(self, stage: str, items: Iterator[object]) -> Iterator[object]:
        while True:
            self.enter(stage)
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                self.leave()
            yield item

    def install(self) -> None:
        """Put the wrappers in their places, also where a name was imported from there."""
        for module_name, path, stage in PLACES:
            module = importlib.import_module(module_name)
            *outer, name = path.split(".")
            holder = functools.reduce(getattr, outer, module)
            plain = getattr(holder, name)
            wrapped = self.wrap(stage, plain)
            setattr(holder, name, wrapped)
            for other in [m for key, m in sys.modules.items() if key.startswith("spxdata.")]:
                if getattr(other, name, None) is plain:
                    setattr(other, name, wrapped)


def main() -> int:
    """Download recorded replies once, and print what every stage cost."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--dialect", choices=("v2", "v3"), default="v3")
    parser.add_argument("--dataset", default="greeks")
    parser.add_argument("--max-dte", type=int, default=7)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spxdata-bench-") as name:
        folder = Path(name)
        with replies(folder, asked.dialect, asked.dataset, asked.max_dte) as what:
            spent = stages(what.url, what.dialect, what.dataset, what.max_dte, folder / "archive")
    print(table(spent))
    return 0


def stages(url: str, dialect: str, dataset: str, max_dte: int, archive: Path) -> dict[str, float]:
    """Download in this process; return the CPU seconds of every stage."""
    from spxdata import bootstrap
    from spxdata.cli.group import cli
    from spxdata.downloader import Download

    found = Stages()
    found.turn()
    found.spent.clear()
    arguments = ["download", "--date", DATE, "--dataset", dataset, "--max-dte", str(max_dte), "--terminal", url]
    arguments += ["--dialect", dialect, "--data-dir", str(archive), "--quiet", "--concurrency", "1"]
    found.install()
    vars(bootstrap)["Download"] = functools.partial(Download, large=0)
    status = cli.main(arguments, standalone_mode=False)
    found.turn()
    if status:
        raise SystemExit(f"the download ended with {status}")
    return found.spent


def table(spent: dict[str, float]) -> str:
    """Return stages and CPU seconds as a table, the largest first."""
    total = sum(spent.values())
    ordered = sorted(spent.items(), key=lambda item: -item[1])
    lines = [f"| {stage} | {seconds:.2f} | {seconds / total:.1%} |" for stage, seconds in ordered]
    return "\n".join(["| stage | CPU s | of all |\n| --- | ---: | ---: |", *lines, f"| all | {total:.2f} | |"])


if __name__ == "__main__":
    sys.exit(main())
