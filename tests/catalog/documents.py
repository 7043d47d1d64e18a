"""The JSON catalog's files as other tools see them: read, and measured by their published schemas."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schemas"
NAMES = ("status", "inventory")


def document(folder: Path, name: str) -> dict[str, Any]:
    """Read one of an archive's two files."""
    read: dict[str, Any] = json.loads((folder / f"{name}.json").read_bytes())
    return read


@cache
def schema(name: str) -> dict[str, Any]:
    """Read a file's schema."""
    read: dict[str, Any] = json.loads((SCHEMAS / f"{name}.schema.json").read_bytes())
    return read


@cache
def validator(name: str) -> Draft202012Validator:
    """Return what measures a file by its schema."""
    Draft202012Validator.check_schema(schema(name))
    return Draft202012Validator(schema(name))


def require_valid(folder: Path) -> None:
    """Require that both files, where they are, are as their schemas say."""
    for name in NAMES:
        if (folder / f"{name}.json").exists():
            errors = [
                f"{error.json_path}: {error.message}" for error in validator(name).iter_errors(document(folder, name))
            ]
            assert errors == []
