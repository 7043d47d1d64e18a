"""Disks that are full, fail, may not be written, or go away."""

import os
import shutil
import stat
import subprocess
from functools import partial
from pathlib import Path
from typing import Final

from spxdata import Emulator
from spxdata.errors import DiskFull, NotWritable, StorageError
from tests.faults.killed import data_requests
from tests.faults.suite import (
    Case,
    Skipped,
    World,
    command,
    download,
    environment,
    lost,
    remount,
    small_disk,
    strace,
    survived,
)

#: Sizes of disks and files at which something does not fit any more: the whole archive takes some 400 KB.
SMALL_DISKS: Final = (4, 16, 64, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640)
SMALL_FILES: Final = (0, 1_000, 4_096, 8_000, 10_000, 12_000, 16_000, 65_536, 100_000, 200_000)
#: What a system call of the disk may fail with. Not `write`: threads wake each other by it, and that never fails.
FAILING: Final = (
    ("fsync", "EIO"),
    ("fdatasync", "EIO"),
    ("pwrite64", "ENOSPC"),
    ("pwrite64", "EIO"),
    ("rename", "EIO"),
    ("mkdir", "ENOSPC"),
    ("ftruncate", "EIO"),
)
STEPS: Final = (
    ("write", "ENOSPC", DiskFull),
    ("write", "EIO", StorageError),
    ("fsync", "EIO", StorageError),
    ("fsync", "EDQUOT", DiskFull),
    ("rename", "EROFS", NotWritable),
    ("rename", "EIO", StorageError),
    ("folder fsync", "EIO", StorageError),
)
ODD_NAMES: Final = ("a folder with spaces", "Überraschung", "数据 день", 'it\'s #1 100% "quoted" ?a=b&c', "-rf")
FAILS: Final = StorageError.exit_code


def full_disk(kilobytes: int, world: World, folder: Path) -> int:
    """Fill a small disk; the same command goes on once there is space."""
    with small_disk(folder.parent / "disk", kilobytes), Emulator(replay=world.market) as terminal:
        archive = folder.parent / "disk" / "archive"
        failed = download(terminal.url, archive)
        assert failed.returncode in (FAILS, 0), failed.stderr
        assert "Traceback" not in failed.stderr, failed.stderr
        remount(folder.parent / "disk", "size=64m")
        return survived(terminal.url, archive, world)


def long_file(limit: int, world: World, folder: Path) -> int:
    """Let no file grow beyond a size."""
    with Emulator(replay=world.market) as terminal:
        failed = download(terminal.url, folder, largest_file=limit)
        assert failed.returncode in (FAILS, 0), failed.stderr
        assert "Traceback" not in failed.stderr, failed.stderr
        return survived(terminal.url, folder, world)


def failing_step(step: str, error: str, kind: type[StorageError], nth: int, world: World, folder: Path) -> int:
    """Let a step of a commit fail."""
    with Emulator(replay=world.market) as terminal:
        failed = download(terminal.url, folder, fate={"moment": f"before {step}", "nth": nth, "what": error})
        assert failed.returncode == FAILS, failed.stderr
        assert failed.stderr.startswith(kind.code), failed.stderr
        return survived(terminal.url, folder, world)


def failing_call(call: str, error: str, nth: int, world: World, folder: Path) -> int:
    """Let a system call fail from its nth time on, whatever it was for."""
    prefix = strace(f"{call}:error={error}:when={nth}+")
    with Emulator(replay=world.market) as terminal:
        failed = download(terminal.url, folder, prefix=prefix)
        assert failed.returncode in (FAILS, 0), (failed.returncode, failed.stderr)
        return survived(terminal.url, folder, world)


def read_only_disk(begun: bool, world: World, folder: Path) -> int:
    """Make the disk read-only, before anything is there or when half of it is."""
    with small_disk(folder.parent / "disk", 64 * 1024), Emulator(replay=world.market) as terminal:
        archive = folder.parent / "disk" / "archive"
        if begun:
            assert download(terminal.url, archive, fate={"moment": "after record", "nth": 3}).returncode != 0
        remount(folder.parent / "disk", "ro")
        failed = download(terminal.url, archive)
        assert failed.returncode == FAILS, failed.stderr
        assert failed.stderr.startswith(NotWritable.code), failed.stderr
        remount(folder.parent / "disk", "rw")
        return survived(terminal.url, archive, world)


def read_only_folder(below: str, world: World, folder: Path) -> int:
    """Take the right to write a folder away; root, who may write everywhere, gives that privilege up first."""
    prefix: tuple[str, ...] = ()
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            raise Skipped("needs setpriv: root ignores modes")
        prefix = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
    with Emulator(replay=world.market) as terminal:
        shut = folder / below
        shut.mkdir(parents=True)
        shut.chmod(stat.S_IRUSR | stat.S_IXUSR)
        try:
            failed = download(terminal.url, folder, prefix=prefix)
        finally:
            shut.chmod(stat.S_IRWXU)
        assert failed.returncode == FAILS, failed.stderr
        assert failed.stderr.startswith(NotWritable.code), failed.stderr
        return survived(terminal.url, folder, world)


def removed(what: str, moment: str, nth: int, world: World, folder: Path) -> int:
    """Remove a folder of the archive under a running download."""
    with Emulator(replay=world.market) as terminal:
        fate = {"moment": moment, "nth": nth, "what": "remove"}
        failed = download(terminal.url, folder, fate=fate, removed=str(folder / what))
        assert failed.returncode in (FAILS, 0), failed.stderr
        assert "Traceback" not in failed.stderr, failed.stderr
        done = download(terminal.url, folder)  # what was removed is fetched or adopted again
        assert done.returncode == 0, done.stderr
        return lost(folder, world)


def odd_name(name: str, world: World, folder: Path) -> int:
    """Keep an archive in a folder of an unusual name, kill its download there, and go on."""
    with Emulator(replay=world.market) as terminal:
        archive = folder.parent / name / name
        archive.parent.mkdir()
        assert download(terminal.url, archive, fate={"moment": "after rename", "nth": 2}).returncode != 0
        return survived(terminal.url, archive, world)


def too_little_space(world: World, folder: Path) -> int:
    """Refuse a day before it begins: nothing but its list is asked for."""
    with small_disk(folder.parent / "disk", 32 * 1024), Emulator(replay=world.market) as terminal:
        archive = folder.parent / "disk" / "archive"
        arguments = command(terminal.url, archive)
        refused = subprocess.run(arguments, check=False, capture_output=True, text=True, env=environment())
        assert refused.returncode == FAILS, refused.stderr
        assert DiskFull.code in refused.stderr, refused.stderr
        assert not data_requests(terminal)
        remount(folder.parent / "disk", "size=1g")
        done = subprocess.run(arguments, check=False, capture_output=True, text=True, env=environment())
        assert done.returncode == 0, done.stderr
        return lost(archive, world)


CASES: Final = (
    *(
        Case("disk is full", f"disk of {size} KB", partial(full_disk, size), sampled=size == SMALL_DISKS[6])
        for size in SMALL_DISKS
    ),
    *(
        Case("disk is full", f"files up to {size:,} bytes", partial(long_file, size), sampled=size == SMALL_FILES[3])
        for size in SMALL_FILES
    ),
    Case("disk is full", "too little space for a day", too_little_space, sampled=True),
    *(
        Case(
            "step of a commit fails",
            f"{step} {nth}: {error}",
            partial(failing_step, step, error, kind, nth),
            sampled=(step, nth) == ("folder fsync", 3),
        )
        for step, error, kind in STEPS
        for nth in (1, 3, 6)
    ),
    *(
        Case(
            "system call fails",
            f"{call} {nth}: {error}",
            partial(failing_call, call, error, nth),
            sampled=(call, nth) == ("fsync", 5),
        )
        for call, error in FAILING
        for nth in (1, 2, 5, 15)
    ),
    Case("disk is read-only", "from the start", partial(read_only_disk, False)),
    Case("disk is read-only", "half-way", partial(read_only_disk, True), sampled=True),
    Case("disk is read-only", "modes of the archive", partial(read_only_folder, ".")),
    Case("disk is read-only", "modes of a day", partial(read_only_folder, "20240117"), sampled=True),
    *(
        Case(
            "folder goes away",
            f"{what}, {moment} {nth}",
            partial(removed, what, moment, nth),
            sampled=(what, moment) == ("20240116", "before rename"),
        )
        for what in ("20240116", ".")
        for moment, nth in (("before write", 2), ("before fsync", 2), ("before rename", 2), ("after record", 2))
    ),
    *(Case("odd path", name, partial(odd_name, name), sampled=name == ODD_NAMES[3]) for name in ODD_NAMES),
)
