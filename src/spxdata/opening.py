"""Opens the archive that the settings speak of: its catalog, in the form it has, and its files."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from spxdata.config import Settings
from spxdata.layout import CATALOG, INVENTORY, STATUS
from spxdata.protocols import Catalog
from spxdata.storage.local import LocalStorage

#: The files that each form of catalog has once something is in it.
_FILES: Final[Mapping[str, tuple[str, ...]]] = {"sqlite": (CATALOG,), "json": (STATUS, INVENTORY)}


def make_storage(settings: Settings) -> LocalStorage:
    """Return the files of the archive that the settings speak of."""
    return LocalStorage(settings.storage.data_directory)


def kept_as(settings: Settings) -> str | None:
    """Return how the archive that is there keeps its catalog, sqlite or json; None if there is none yet."""
    return next((form for form, files in _FILES.items() if any(_is_there(settings, path) for path in files)), None)


def form_of_catalog(settings: Settings) -> str:
    """Return how the archive keeps its catalog, sqlite or json; a new one as the setting storage.catalog says."""
    return kept_as(settings) or settings.storage.catalog


def missing_files(settings: Settings) -> tuple[str, ...]:
    """Return the files of the archive's catalog that are not there."""
    return tuple(path for path in _FILES[form_of_catalog(settings)] if not _is_there(settings, path))


def make_catalog(settings: Settings, *, form: str | None = None, read_only: bool = False) -> Catalog:
    """Open the catalog of the archive.

    Args:
        settings: Where it is.
        form: How it is kept; None for what `form_of_catalog` says.
        read_only: Never create or change anything.

    Raises:
        StorageError: It cannot be opened.
    """
    directory = settings.storage.data_directory
    if (form or form_of_catalog(settings)) == "json":
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


def _is_there(settings: Settings, path: str) -> bool:
    """Tell whether there is a file; where one may not look, there is none."""
    return os.path.exists(settings.storage.data_directory / path)  # noqa: PTH110 - `Path.exists` would raise
