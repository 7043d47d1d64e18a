"""The floor: the least that has to be done with a reply, as its users would write it, and nothing else.

Every reply is received with the product's HTTP and thrown away; its bytes are read by `polars.read_csv` in blocks with
a schema; the table is written by polars as Parquet with zstd. The CPU of each of the three is told apart, and what
only serves measuring (getting the bytes a second time) is not counted.
"""

import json
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import polars as pl

from spxdata.schema import DATASETS, Form, wire
from spxdata.terminal.transport import Channels, Timeouts, get

_BLOCK = 16 * 1024 * 1024
_PATIENCE = Timeouts(3.0, 120.0, 60.0)
#: What polars reads a cell as, by how it is written.
_TYPES: dict[Form, pl.DataType | type[pl.DataType]] = {
    Form.TEXT: pl.String,
    Form.ISO_DAY: pl.Date,
    Form.COMPACT_DAY: pl.Int32,
    Form.ISO_TIME: pl.Datetime("us"),
    Form.MS_OF_DAY: pl.Int32,
    Form.INTEGER: pl.Int32,
    Form.NUMBER: pl.Float64,
    Form.TENTH_CENTS: pl.Int32,
    Form.RIGHT_WORD: pl.String,
    Form.RIGHT_LETTER: pl.String,
}


@contextmanager
def timed(leg: str, spent: dict[str, float]) -> Iterator[None]:
    """Add the CPU seconds of all threads to those of a leg."""
    started = time.process_time()
    yield
    spent[leg] += time.process_time() - started


def main() -> int:
    """Handle the replies that the arguments name, and print the CPU seconds of every leg as JSON."""
    base, dialect, dataset, folder, *targets = sys.argv[1:]
    schema = {column.name: _TYPES[column.form] for column in wire(DATASETS[dataset], dialect).columns}
    spent: dict[str, float] = defaultdict(float)
    for number, first in enumerate(targets):
        frames: list[pl.DataFrame] = []
        target = first
        while target:
            with timed("receive", spent):
                for _ in _chunks(base, target):
                    pass
            with timed("uncounted", spent):
                body = BytesIO(b"".join(_chunks(base, target)))
                following = _following.pop(target)
            target = following
            body.readline()
            while True:
                with timed("uncounted", spent):
                    block = body.read(_BLOCK) + body.readline()
                if not block:
                    break
                with timed("read_csv", spent):
                    frames.append(pl.read_csv(block, has_header=False, schema=schema))
        with timed("write_parquet", spent):
            pl.concat(frames).write_parquet(Path(folder) / f"{number}.parquet", compression="zstd")
        spent["rows"] += sum(frame.height for frame in frames)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    legs = ("receive", "read_csv", "write_parquet", "uncounted")
    spent["start"] = usage.ru_utime + usage.ru_stime - sum(spent[leg] for leg in legs)
    sys.stdout.write(json.dumps(spent))
    return 0


#: From a target to the one of the page after it.
_following: dict[str, str] = {}


def _chunks(base: str, target: str) -> Iterator[bytes]:
    with get(base, target, _PATIENCE, Channels()) as response:
        page = response.headers.get("Next-Page", "null")
        _following[target] = "" if page == "null" else urlsplit(page).path
        yield from response.chunks()


if __name__ == "__main__":
    sys.exit(main())
