"""A catalog that is damaged or cut: it is recognised or harmless, kept aside, and made anew from the files."""

import json
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

from spxdata import Emulator
from spxdata.errors import CatalogCorrupt
from spxdata.layout import ASIDE, CATALOG, INVENTORY, STATUS
from tests.faults.killed import data_requests
from tests.faults.suite import HANGS, Case, World, assert_healed, download, environment, lost

BLOCK: Final = 512
PAGE: Final = 4096
SEED: Final = 7
#: The files of a catalog in JSON that may be damaged, by what they are called here.
DOCUMENTS: Final = {
    "status": STATUS,
    "inventory": INVENTORY,
    "contracts": ".spxdata/contracts/20240116_SPXW_quote.json",
}
#: Returns damaged bytes.
Damage = Callable[[bytes, random.Random], bytes]


def damaged(how: str, number: int, world: World, folder: Path) -> int:
    """Damage the database of a whole archive."""
    with Emulator(replay=world.market) as terminal:
        shutil.copytree(world.archives["sqlite"], folder)
        catalog = folder / CATALOG
        with closing(sqlite3.connect(catalog)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        dice = random.Random(f"{SEED} {how} {number}")  # noqa: S311 - the same damage every time is the point
        catalog.write_bytes(DATABASE[how][0](catalog.read_bytes(), dice))
        return healed(terminal, world, folder, catalog, "sqlite", by_hand=number % 4 == 0)


def spoilt_file(what: str, how: str, number: int, world: World, folder: Path) -> int:
    """Damage a file of the JSON catalog of a whole archive."""
    with Emulator(replay=world.market) as terminal:
        shutil.copytree(world.archives["json"], folder)
        file = folder / DOCUMENTS[what]
        dice = random.Random(f"{SEED} {what} {how} {number}")  # noqa: S311 - the same damage every time is the point
        file.write_bytes(FILES[how][0](file.read_bytes(), dice))
        return healed(terminal, world, folder, file, "json", by_hand=number % 4 == 0)


#: Pages of a database that taking and giving back a lease writes: its table, its index, and the first one.
_LEASE_PAGES: Final = 3


def healed(terminal: Emulator, world: World, folder: Path, file: Path, catalog: str, *, by_hand: bool) -> int:
    """Assert that a download says what is wrong or is not disturbed, and that repair makes the catalog anew.

    Nothing that is stored is fetched again. By hand, the files are moved aside as the message advises, and the same
    download goes on.
    """
    ended = download(terminal.url, folder, catalog=catalog)
    said = ended.returncode == CatalogCorrupt.exit_code and CatalogCorrupt.code in ended.stderr
    assert said or ended.returncode == 0, f"ended with {ended.returncode}: {ended.stderr}"
    spoiled = file.read_bytes()  # a database may have been written to before what is damaged was read
    if by_hand:
        for path in folder.glob(f"{CATALOG}*") if catalog == "sqlite" else [file]:
            path.rename(folder.parent / path.name)
    else:
        done = repaired(terminal.url, folder)
        assert done.returncode == 0, f"repair ended with {done.returncode}: {done.stdout}{done.stderr}"
        assert not said or any(is_kept(spoiled, path.read_bytes()) for path in kept_aside(folder)), "damage is kept"
    rows = assert_healed(terminal.url, folder, world, catalog=catalog)
    assert not data_requests(terminal), "intact files are adopted, not fetched"
    return rows or lost(folder, world)


def repaired(url: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Repair an archive by the real command."""
    arguments = [sys.executable, "-m", "spxdata", "repair", "--terminal", url, "--data-dir", str(folder)]
    return subprocess.run(
        arguments, check=False, capture_output=True, text=True, env=environment(), cwd=folder.parent, timeout=HANGS
    )


def kept_aside(folder: Path) -> list[Path]:
    """Return the files that repair took out of an archive."""
    return [path for path in (folder / ASIDE).rglob("*") if path.is_file()]


def is_kept(spoiled: bytes, aside: bytes) -> bool:
    """Tell whether a file set aside is the damaged one, but for the pages of the lease that repair took in it."""
    if len(spoiled) != len(aside):
        return False
    starts = range(0, len(spoiled), PAGE)
    return sum(spoiled[at : at + PAGE] != aside[at : at + PAGE] for at in starts) <= _LEASE_PAGES


def _zeros(size: int) -> Damage:
    def damage(data: bytes, dice: random.Random) -> bytes:
        return over(data, dice.randrange(max(1, len(data) // size)) * size, bytes(size))

    return damage


def _noise(data: bytes, dice: random.Random) -> bytes:
    return over(data, dice.randrange(max(1, len(data) // BLOCK)) * BLOCK, dice.randbytes(BLOCK))


def _pages_exchanged(data: bytes, dice: random.Random) -> bytes:
    one, other = (dice.randrange(1, len(data) // PAGE) * PAGE for _ in range(2))
    return over(over(data, one, data[other : other + PAGE]), other, data[one : one + PAGE])


def _flipped(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data))
    return over(data, at, bytes([data[at] ^ 1 << dice.randrange(8)]))


def _line_left_out(text: bytes, dice: random.Random) -> bytes:
    lines = text.splitlines(keepends=True)
    del lines[dice.randrange(len(lines))]
    return b"".join(lines)


def _lines_exchanged(text: bytes, dice: random.Random) -> bytes:
    lines = text.splitlines(keepends=True)
    one, other = dice.randrange(len(lines)), dice.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


def _key_renamed(text: bytes, dice: random.Random) -> bytes:
    key = dice.choice(sorted({*json.loads(text)} - {"revision", "lastUpdated", "summary", "dataDirectory"}))
    return text.replace(f'"{key}":'.encode(), f'"{key}s":'.encode(), 1)


def over(data: bytes, at: int, other: bytes) -> bytes:
    """Return bytes with others in their place, no longer than before."""
    return (data[:at] + other + data[at + len(other) :])[: len(data)]


#: Ways in which a database is damaged, and how often each is tried.
DATABASE: Final[Mapping[str, tuple[Damage, int]]] = {
    "cut": (lambda data, dice: data[: dice.randrange(1, len(data))], 8),
    "header": (lambda data, dice: over(data, at := dice.randrange(16), bytes([data[at] ^ 0xFF])), 3),
    "zeros": (_zeros(BLOCK), 12),
    "noise": (_noise, 12),
    "page of zeros": (_zeros(PAGE), 8),
    "pages exchanged": (_pages_exchanged, 6),
    "something else": (lambda _data, _dice: b"no database at all\n" * 1000, 1),
}
#: The same for each file of a catalog in JSON.
FILES: Final[Mapping[str, tuple[Damage, int]]] = {
    "cut": (lambda text, dice: text[: dice.randrange(1, len(text))], 2),
    "emptied": (lambda _text, _dice: b"", 1),
    "zeros": (_zeros(BLOCK), 2),
    "noise": (_noise, 2),
    "a bit flipped": (_flipped, 4),
    "a line left out": (_line_left_out, 2),
    "lines exchanged": (_lines_exchanged, 1),
    "a key renamed": (_key_renamed, 2),
    "another document": (lambda _text, _dice: b'{"version":"1"}\n', 1),
    "something else": (lambda _text, _dice: b"no JSON at all\n" * 1000, 1),
}
CASES: Final = (
    *(
        Case(
            "catalog is damaged",
            f"{how} {number}",
            partial(damaged, how, number),
            sampled=(how, number) in {("cut", 1), ("zeros", 1)},
        )
        for how, (_, count) in DATABASE.items()
        for number in range(1, count + 1)
    ),
    *(
        Case(
            "JSON catalog is damaged",
            f"{what}, {how} {number}",
            partial(spoilt_file, what, how, number),
            sampled=(what, how, number) in {("status", "cut", 1), ("inventory", "noise", 1)},
        )
        for what in DOCUMENTS
        for how, (_, count) in FILES.items()
        for number in range(1, count + 1)
    ),
)
