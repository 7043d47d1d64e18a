"""A catalog that is damaged or cut: a run says so and touches nothing, or goes on as if nothing had happened."""

import random
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

from spxdata import Emulator
from spxdata.errors import CatalogCorrupt
from spxdata.layout import CATALOG
from tests.faults.suite import Case, World, assert_healed, download

BLOCK: Final = 512
PAGE: Final = 4096
SEED: Final = 7


def damaged(how: str, number: int, world: World, folder: Path) -> int:
    """Damage the catalog of a whole archive; without it the next run adopts every file."""
    with Emulator(replay=world.market) as terminal:
        assert download(terminal.url, folder).returncode == 0
        catalog = folder / CATALOG
        with closing(sqlite3.connect(catalog)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        data = bytearray(catalog.read_bytes())
        dice = random.Random(f"{SEED} {how} {number}")  # noqa: S311 - the same damage every time is the point
        catalog.write_bytes(spoilt(data, how, dice))
        ended = download(terminal.url, folder)
        said = ended.returncode == CatalogCorrupt.exit_code and CatalogCorrupt.code in ended.stderr
        assert said or ended.returncode == 0, f"ended with {ended.returncode}: {ended.stderr}"
        asked = len(terminal.requests)
        for path in folder.glob(f"{CATALOG}*"):  # as the hint says
            path.rename(path.with_name(f"aside-{path.name}"))
        rows = assert_healed(terminal.url, folder, world)
        fetched = [path for path, _ in terminal.requests[asked:] if "/history/" in path]
        assert not fetched, "intact files are adopted, not fetched"
        return rows


def spoilt(data: bytearray, how: str, dice: random.Random) -> bytes:
    """Return damaged bytes of a database."""
    match how:
        case "cut":
            return bytes(data[: dice.randrange(1, len(data))])
        case "header":
            data[dice.randrange(16)] ^= 0xFF
        case "zeros":
            at = dice.randrange(len(data) // BLOCK) * BLOCK
            data[at : at + BLOCK] = bytes(BLOCK)
        case "noise":
            at = dice.randrange(len(data) // BLOCK) * BLOCK
            data[at : at + BLOCK] = dice.randbytes(BLOCK)
        case "page of zeros":
            at = dice.randrange(len(data) // PAGE) * PAGE
            data[at : at + PAGE] = bytes(PAGE)
        case "pages exchanged":
            one, other = (dice.randrange(1, len(data) // PAGE) * PAGE for _ in range(2))
            data[one : one + PAGE], data[other : other + PAGE] = data[other : other + PAGE], data[one : one + PAGE]
        case "something else":
            return b"no database at all\n" * 1000
    return bytes(data)


CASES: Final = tuple(
    Case(
        "catalog is damaged",
        f"{how} {number}",
        partial(damaged, how, number),
        sampled=(how, number) in {("cut", 1), ("zeros", 1)},
    )
    for how, count in (
        ("cut", 8),
        ("header", 3),
        ("zeros", 12),
        ("noise", 12),
        ("page of zeros", 8),
        ("pages exchanged", 6),
        ("something else", 1),
    )
    for number in range(1, count + 1)
)
