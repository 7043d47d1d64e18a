"""An archive of SPX option history that you can trust: the public names, loaded when they are first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spxdata.analysis.archive import open  # noqa: A004 - `spxdata.open`
    from spxdata.bootstrap import download
    from spxdata.config import Settings
    from spxdata.downloader import Summary
    from spxdata.emulator import Emulator
    from spxdata.errors import (
        ArchiveBusy,
        ConfigError,
        DataError,
        RefusedError,
        SpxDataError,
        StorageError,
        TerminalError,
        TransientError,
    )
    from spxdata.flags import Flag

__version__ = "0.1.0"

_HOME = {
    "open": "analysis.archive",
    "download": "bootstrap",
    "Summary": "downloader",
    "Settings": "config",
    "Emulator": "emulator",
    "Flag": "flags",
    **dict.fromkeys(
        (
            "ArchiveBusy",
            "ConfigError",
            "DataError",
            "RefusedError",
            "SpxDataError",
            "StorageError",
            "TerminalError",
            "TransientError",
        ),
        "errors",
    ),
}

__all__ = [
    "ArchiveBusy",
    "ConfigError",
    "DataError",
    "Emulator",
    "Flag",
    "RefusedError",
    "Settings",
    "SpxDataError",
    "StorageError",
    "Summary",
    "TerminalError",
    "TransientError",
    "__version__",
    "download",
    "open",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    """Load a public name from its module: importing polars alone takes a third of a second."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
