"""Reads faults from a TOML file: one `[[fault]]` table each, taken in their order."""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from spxdata.emulator.faults import Fault, parse_fault
from spxdata.errors import ConfigError

_HINT = "docs/faults.md lists every fault, with an example of each."


def read_faults(given: Iterable[Fault | Mapping[str, object]] | str | Path) -> tuple[Fault, ...]:
    """Give the faults of a list, or of a file.

    Raises:
        ConfigError: The file cannot be read, or a fault in it is wrong; names file, fault and key.
    """
    if not isinstance(given, (str, Path)):
        return _all(given, "emulator faults")
    path = Path(given)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"emulator fault file {str(path)!r} cannot be read: {error}", hint=_HINT) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"emulator fault file {str(path)!r} is not TOML: {error}", hint=_HINT) from error
    return parse_document(document, f"emulator fault file {str(path)!r}")


def parse_document(document: Mapping[str, object], where: str) -> tuple[Fault, ...]:
    """Give the faults of a file's contents.

    Raises:
        ConfigError: Something beside `[[fault]]` is in it, or a fault is wrong.
    """
    tables = document.get("fault", [])
    if others := [key for key in document if key != "fault"]:
        raise ConfigError(f"{where}: {others[0]}: no such key; only [[fault]] tables are allowed", hint=_HINT)
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigError(f"{where}: fault must be written as [[fault]] tables", hint=_HINT)
    return _all(tables, where)


def _all(given: Iterable[Fault | Mapping[str, object]], where: str) -> tuple[Fault, ...]:
    found = []
    for number, item in enumerate(given, start=1):
        try:
            found.append(item if isinstance(item, Fault) else parse_fault(item))
        except ConfigError as error:
            raise ConfigError(f"{where}: fault {number}: {error}", hint=_HINT) from error
    return tuple(found)
