"""An archive's storage in which units' files lie in a private folder, until they take their places or go."""

from contextlib import AbstractContextManager
from typing import BinaryIO

from spxdata.layout import PRIVATE
from spxdata.protocols import Pending, Storage


class Aside:
    """The archive's storage, where units' files go into a folder of their own; what is private stays where it is.

    Args:
        storage: The archive's.
        folder: Where units' files go; private.
    """

    def __init__(self, storage: Storage, folder: str) -> None:
        self._storage = storage
        self._folder = folder

    def create(self, path: str) -> AbstractContextManager[Pending]:
        """Begin a file."""
        return self._storage.create(self.place(path))

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading."""
        return self._storage.open(self.place(path))

    def size(self, path: str) -> int | None:
        """Return a file's size in bytes, None if there is none."""
        return self._storage.size(self.place(path))

    def names(self, folder: str = "") -> tuple[str, ...]:
        """Return the paths of all files below a folder of the archive."""
        return self._storage.names(folder)

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the paths of all files below a folder of the archive with their bytes."""
        return self._storage.sizes(folder)

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._storage.remove(self.place(path))

    def move(self, path: str, to: str) -> None:
        """Give a file another name."""
        self._storage.move(self.place(path), self.place(to))

    def unfinished(self) -> dict[str, int]:
        """Return what interrupted writers left unfinished."""
        return self._storage.unfinished()

    def address(self, path: str) -> str:
        """Return where other programs find a file."""
        return self._storage.address(self.place(path))

    def free(self) -> int:
        """Return how many bytes are free."""
        return self._storage.free()

    def sweep(self) -> tuple[str, ...]:
        """Remove what interrupted writers left unfinished."""
        return self._storage.sweep()

    def place(self, path: str) -> str:
        """Return where a file lies in the archive."""
        return path if path.startswith(f"{PRIVATE}/") else f"{self._folder}/{path}"
