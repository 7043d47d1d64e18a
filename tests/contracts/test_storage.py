"""What every storage does, wherever it keeps its bytes."""

import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from spxdata.errors import NotWritable, StorageError
from spxdata.protocols import Storage
from spxdata.storage.local import LocalStorage
from tests.memory_storage import MemoryStorage

#: Every implementation: how to make one in a folder that is not there yet.
STORAGES: dict[str, Callable[[Path], Storage]] = {
    "local": lambda folder: LocalStorage(folder / "data"),
    "memory": lambda _: MemoryStorage(),
}


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty storage."""
    return STORAGES[request.param](tmp_path)


def put(storage: Storage, path: str, data: bytes) -> None:
    """Write a whole file."""
    with storage.create(path) as pending:
        pending.write(data)
        pending.commit()


def get(storage: Storage, path: str) -> bytes:
    """Read a whole file."""
    with storage.open(path) as file:
        return file.read()


class TestWriting:
    """create, write, commit."""

    def test_a_committed_file_holds_what_was_written(self, storage: Storage) -> None:
        """In the order it was written, empty pieces and big ones too."""
        pieces = [b"one", b"", b"two" * 100_000, b"three"]
        with storage.create("20240116/a.parquet") as pending:
            assert [pending.write(piece) for piece in pieces] == [len(piece) for piece in pieces]
            pending.commit()
        assert get(storage, "20240116/a.parquet") == b"".join(pieces)
        assert storage.size("20240116/a.parquet") == sum(map(len, pieces))

    def test_an_empty_file_is_a_file(self, storage: Storage) -> None:
        """Committed without a byte."""
        put(storage, "a", b"")
        assert (storage.names(), storage.size("a")) == (("a",), 0)

    def test_nothing_has_the_final_name_before_the_commit(self, storage: Storage) -> None:
        """Neither by listing nor by asking."""
        with storage.create("20240116/a") as pending:
            pending.write(b"half")
            assert storage.names() == ()
            assert storage.size("20240116/a") is None
            pending.commit()
            assert storage.names() == ("20240116/a",)

    def test_leaving_without_commit_leaves_nothing(self, storage: Storage) -> None:
        """Not even something for sweep to find."""
        with storage.create("20240116/a") as pending:
            pending.write(b"half")
        assert storage.names() == ()
        assert storage.sweep() == ()

    @pytest.mark.parametrize("end", [RuntimeError, KeyboardInterrupt, GeneratorExit, SystemExit])
    def test_an_exception_leaves_nothing(self, storage: Storage, end: type[BaseException]) -> None:
        """Any, Ctrl-C too; it goes on as it is."""

        def interrupted() -> None:
            with storage.create("20240116/a") as pending:
                pending.write(b"half")
                raise end

        with pytest.raises(end):
            interrupted()
        assert storage.names() == ()
        assert storage.sweep() == ()

    def test_an_exception_after_the_commit_keeps_the_file(self, storage: Storage) -> None:
        """Committed is committed."""

        def interrupted() -> None:
            with storage.create("a") as pending:
                pending.write(b"whole")
                pending.commit()
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert get(storage, "a") == b"whole"

    def test_a_commit_replaces_what_was_there(self, storage: Storage) -> None:
        """Who had opened the old file goes on reading the old file."""
        put(storage, "a", b"old")
        with storage.open("a") as old:
            put(storage, "a", b"new")
            assert old.read() == b"old"
        assert get(storage, "a") == b"new"

    def test_a_failed_replacement_keeps_the_old_file(self, storage: Storage) -> None:
        """Nothing of it is lost by trying."""
        put(storage, "a", b"old")
        with storage.create("a") as pending:
            pending.write(b"new")
        assert get(storage, "a") == b"old"

    def test_two_writers_of_one_name_do_not_meet(self, storage: Storage) -> None:
        """Each commits its own bytes; the last commit stays."""
        with storage.create("a") as one, storage.create("a") as two:
            one.write(b"one")
            two.write(b"two")
            two.commit()
            one.commit()
        assert get(storage, "a") == b"one"

    def test_a_file_that_was_left_or_committed_takes_no_more(self, storage: Storage) -> None:
        """Neither bytes nor another commit; what was committed stays as it was."""
        with storage.create("left") as left, storage.create("kept") as kept:
            left.write(b"half")
            kept.write(b"whole")
            kept.commit()
            with pytest.raises(ValueError, match="closed"):
                kept.commit()
        for pending in (left, kept):
            with pytest.raises(ValueError, match="closed"):
                pending.write(b"more")
        with pytest.raises(ValueError, match="closed"):
            left.commit()
        assert (storage.names(), get(storage, "kept")) == (("kept",), b"whole")

    def test_threads_write_into_one_new_folder(self, storage: Storage) -> None:
        """As the units of a day do."""
        names = [f"20240116/{number:02}" for number in range(16)]
        threads = [threading.Thread(target=put, args=(storage, name, name.encode())) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert storage.names() == tuple(names)
        assert [get(storage, name) for name in names] == [name.encode() for name in names]


class TestReading:
    """open, size, names."""

    def test_an_open_file_can_be_read_anywhere(self, storage: Storage) -> None:
        """Parquet readers begin at the end."""
        put(storage, "a", b"0123456789")
        with storage.open("a") as file:
            file.seek(-3, 2)
            assert file.read() == b"789"
            file.seek(2)
            assert file.read(3) == b"234"

    def test_an_open_file_cannot_be_written_to(self, storage: Storage) -> None:
        """Only a commit changes what is stored."""
        put(storage, "a", b"x")
        with storage.open("a") as file:
            assert file.readable()
            assert file.seekable()
            assert not file.writable()

    def test_a_missing_file_is_said_to_be_missing(self, storage: Storage) -> None:
        """The one foreign error that passes: callers ask for it."""
        with pytest.raises(FileNotFoundError):
            storage.open("20240116/a")
        assert storage.size("20240116/a") is None
        assert storage.names() == ()
        assert storage.names("20240116") == ()

    def test_names_are_sorted_and_below_their_folder(self, storage: Storage) -> None:
        """A folder whose name begins alike is another one, and a folder is no file."""
        for path in ("20240117/a", "20240116/b", "20240116/a/deep", "2024011/x", "top", ".spxdata/log"):
            put(storage, path, b"x")
        everything = (".spxdata/log", "2024011/x", "20240116/a/deep", "20240116/b", "20240117/a", "top")
        assert storage.names() == everything
        assert storage.names("20240116") == ("20240116/a/deep", "20240116/b")
        assert storage.size("20240116/a") is None

    def test_sizes_are_those_of_all_files_below_a_folder(self, storage: Storage) -> None:
        """As many as there are names, without what is unfinished."""
        for path, size in (("20240116/b", 3), ("20240116/a/deep", 5), ("20240117/a", 7)):
            put(storage, path, b"x" * size)
        with storage.create("20240116/c") as pending:
            pending.write(b"x")
            assert storage.sizes("20240116") == {"20240116/b": 3, "20240116/a/deep": 5}
        assert storage.sizes("20240118") == {}

    @pytest.mark.parametrize(
        "path", ["", "/etc/passwd", "../a", "a/../../b", "a//b", "./a", "a/", "a\\b", "a\0b", "a.partial"]
    )
    def test_a_path_that_leads_elsewhere_is_refused(self, storage: Storage, path: str) -> None:
        """By every call that takes a file's path."""
        for call in (lambda: put(storage, path, b"x"), lambda: get(storage, path)):
            with pytest.raises(StorageError):
                call()
        for ask in (storage.size, storage.remove):
            with pytest.raises(StorageError):
                ask(path)

    def test_a_folder_that_leads_elsewhere_is_refused(self, storage: Storage) -> None:
        """Listing does not look outside."""
        for folder in ("..", "/", "a/.."):
            with pytest.raises(StorageError):
                storage.names(folder)


class TestFolders:
    """A name is a file's or a folder's, and never both."""

    @pytest.mark.parametrize(
        "ask",
        [
            lambda storage: put(storage, "a/b", b"x"),
            lambda storage: storage.open("a/b"),
            lambda storage: storage.size("a/b"),
            lambda storage: storage.remove("a/b"),
            lambda storage: storage.names("a/b"),
            lambda storage: storage.names("a"),
        ],
        ids=["create", "open", "size", "remove", "names", "names of the file"],
    )
    def test_nothing_lies_below_a_file(self, storage: Storage, ask: Callable[[Storage], object]) -> None:
        """Whatever is asked; the file stays."""
        put(storage, "a", b"old")
        with pytest.raises(NotWritable):
            ask(storage)
        assert (storage.names(), get(storage, "a"), storage.sweep()) == (("a",), b"old", ())

    @pytest.mark.parametrize(
        "ask",
        [
            lambda storage: put(storage, "a", b"x"),
            lambda storage: storage.open("a"),
            lambda storage: storage.remove("a"),
        ],
        ids=["commit", "open", "remove"],
    )
    def test_a_folder_is_no_file(self, storage: Storage, ask: Callable[[Storage], object]) -> None:
        """With something in it or without; what is in it stays."""
        put(storage, "a/b", b"old")
        with pytest.raises(NotWritable):
            ask(storage)
        assert (storage.names(), get(storage, "a/b"), storage.sweep()) == (("a/b",), b"old", ())
        storage.remove("a/b")
        with pytest.raises(NotWritable):
            ask(storage)


class TestRemoving:
    """remove, sweep."""

    def test_a_removed_file_is_gone(self, storage: Storage) -> None:
        """And removing what is not there is no error."""
        put(storage, "20240116/a", b"x")
        for _ in range(2):
            storage.remove("20240116/a")
            assert storage.names() == ()

    def test_sweep_spares_the_archive(self, storage: Storage) -> None:
        """What was committed stays."""
        put(storage, "20240116/a", b"x")
        assert storage.sweep() == ()
        assert storage.names() == ("20240116/a",)

    def test_what_was_swept_cannot_be_committed(self, storage: Storage) -> None:
        """Its writer learns of it, and what was there before stays."""
        put(storage, "20240116/a", b"old")
        with storage.create("20240116/a") as pending:
            pending.write(b"half")
            (name,) = storage.sweep()
            assert re.fullmatch(r"20240116/a\.[0-9a-f]{8}\.partial", name)
            with pytest.raises(NotWritable):
                pending.commit()
        assert storage.sweep() == ()
        assert get(storage, "20240116/a") == b"old"


class TestMoving:
    """move."""

    def test_a_moved_file_has_its_new_name_only(self, storage: Storage) -> None:
        """Into a folder that is made for it."""
        put(storage, "20240116/a", b"one")
        storage.move("20240116/a", ".spxdata/aside/1/20240116/a")
        assert storage.names() == (".spxdata/aside/1/20240116/a",)
        assert get(storage, ".spxdata/aside/1/20240116/a") == b"one"

    def test_a_file_that_had_the_name_is_replaced(self, storage: Storage) -> None:
        """As by a commit."""
        put(storage, "a", b"one")
        put(storage, "b", b"two")
        storage.move("a", "b")
        assert (storage.names(), get(storage, "b")) == (("b",), b"one")

    def test_what_is_not_there_cannot_be_moved(self, storage: Storage) -> None:
        """Nor can a folder."""
        put(storage, "folder/a", b"one")
        for path in ("nothing", "folder"):
            with pytest.raises(FileNotFoundError):
                storage.move(path, "b")
        assert storage.names() == ("folder/a",)

    @pytest.mark.parametrize("path", ["../a", "/a", "a/../b", "a.partial", ""])
    def test_neither_name_may_lead_elsewhere(self, storage: Storage, path: str) -> None:
        """Nor look like an unfinished file."""
        put(storage, "a", b"one")
        for names in ((path, "b"), ("a", path)):
            with pytest.raises(StorageError):
                storage.move(*names)
        assert storage.names() == ("a",)


def test_what_is_being_written_is_unfinished(storage: Storage) -> None:
    """With its size so far; sweep is not called, so it stays."""
    put(storage, "a", b"one")
    assert storage.unfinished() == {}
    with storage.create("20240116/b") as pending:
        pending.write(b"x" * 1_000_000)
        ((name, size),) = storage.unfinished().items()
        assert name.startswith("20240116/b.")
        assert 0 < size <= 1_000_000
        pending.commit()
    assert storage.unfinished() == {}


class StorageMachine(RuleBasedStateMachine):
    """A storage beside a plain dict of path to bytes."""

    kind = ""
    paths = st.sampled_from(["a", "b", "20240116/a", "20240116/b", "20240117/deep/a"])

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.storage = STORAGES[self.kind](Path(self.folder.name))
        self.model: dict[str, bytes] = {}

    def teardown(self) -> None:
        """Leave nothing behind."""
        self.folder.cleanup()

    @rule(path=paths, pieces=st.lists(st.binary(max_size=64), max_size=4))
    def commit(self, path: str, pieces: list[bytes]) -> None:
        """Write a file to its end."""
        with self.storage.create(path) as pending:
            for piece in pieces:
                pending.write(piece)
            pending.commit()
        self.model[path] = b"".join(pieces)

    @rule(path=paths, piece=st.binary(max_size=64), raising=st.booleans())
    def abandon(self, path: str, piece: bytes, raising: bool) -> None:
        """Write a file and give up."""
        end: AbstractContextManager[object] = pytest.raises(KeyboardInterrupt) if raising else nullcontext()
        with end, self.storage.create(path) as pending:
            pending.write(piece)
            if raising:
                raise KeyboardInterrupt

    @rule(path=paths)
    def remove(self, path: str) -> None:
        """Remove a file that is there or not."""
        self.storage.remove(path)
        self.model.pop(path, None)

    @rule()
    def sweep(self) -> None:
        """Find nothing: every writer cleaned up behind itself."""
        assert self.storage.sweep() == ()

    @invariant()
    def files_are_those_of_the_model(self) -> None:
        """Names, sizes and bytes."""
        assert self.storage.names() == tuple(sorted(self.model))
        for path, data in self.model.items():
            assert self.storage.size(path) == len(data)
            assert get(self.storage, path) == data


@pytest.mark.parametrize("kind", STORAGES)
def test_any_order_of_calls_agrees_with_a_plain_dict(kind: str) -> None:
    """The model test: random calls, compared after each."""
    machine: type[Any] = type("Machine", (StorageMachine,), {"kind": kind})
    run_state_machine_as_test(machine, settings=settings(deadline=None, max_examples=25, stateful_step_count=20))
