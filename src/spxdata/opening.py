"""Opens the archive that the settings speak of: its catalog, in the form it has, and its files."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from spxdata.config import Settings
from spxdata.layout import CATALOG, STATUS
from spxdata.protocols import Catalog
from spxdata.storage.local import LocalStorage


def make_storage(settings: Settings) -> LocalStorage:
    """Return the files of the archive that the settings speak of."""
    return LocalStorage(settings.storage.data_directory)


def kept_as(settings: Settings) -> str | None:
    """Return how the archive that is there keeps its catalog, sqlite or json; None if there is none yet."""
    directory = settings.storage.data_directory
    files = {"sqlite": directory / CATALOG, "json": directory / STATUS}
    is_there = os.path.exists  # where one may not look, there is nothing: `Path.exists` would raise
    return next((kind for kind, path in files.items() if is_there(path)), None)


def make_catalog(settings: Settings, *, read_only: bool = False) -> Catalog:
    """Open the catalog of the archive, in the form it has; that of a new one is the setting storage.catalog.

    Raises:
        StorageError: It cannot be opened.
    """
    directory = settings.storage.data_directory
    if (kept_as(settings) or settings.storage.catalog) == "json":
        from spxdata.catalog.jsonfile import JsonCatalog

        return JsonCatalog(make_storage(settings), directory, read_only=read_only)
    from spxdata.catalog.sqlite import SqliteCatalog

    return SqliteCatalog(directory / CATALOG, read_only=read_only)


@contextmanager
def existing_catalog(settings: Settings) -> Iterator[Catalog | None]:
    """Open the catalog of the archive for reading, beside whoever writes it; None if there is no archive yet.

    Raises:
        StorageError: It cannot be read.
    """
    if kept_as(settings) is None:
        yield None
        return
    catalog = make_catalog(settings, read_only=True)
    try:
        yield catalog
    finally:
        catalog.close()
