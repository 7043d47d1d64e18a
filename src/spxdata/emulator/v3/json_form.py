"""Turns the CSV of a v3 reply into the JSON the same Terminal sends when asked for it."""

import csv
import io
from collections.abc import Iterable, Sequence
from itertools import groupby

_CONTRACT_FIELDS = 4
#: Every other column is a bare number.
_TEXTS = frozenset({"symbol", "expiration", "right", "date", "created", "last_trade"})


def json_body(columns: Sequence[str], lines: Iterable[bytes], *, grouped: bool) -> bytes:
    """Write rows as JSON: one object a row, under their contract if `grouped`; numbers keep their decimals."""
    rows = csv.reader(io.StringIO(b"".join(lines).decode()))
    if not grouped:
        return _response([f"\t\t{_object(columns, row)}" for row in rows])
    names, rest = columns[:_CONTRACT_FIELDS], columns[_CONTRACT_FIELDS:]
    blocks = []
    for contract, found in groupby(rows, key=lambda row: row[:_CONTRACT_FIELDS]):
        data = ",\n".join(f"\t\t\t\t{_object(rest, row[_CONTRACT_FIELDS:])}" for row in found)
        blocks.append(
            f'\t\t{{\n\t\t\t"contract": {_object(names, contract)},\n\t\t\t"data": [\n{data}\n\t\t\t]\n\t\t}}'
        )
    return _response(blocks)


def _response(items: list[str]) -> bytes:
    return ('{\n\t"response": [\n' + ",\n".join(items) + "\n\t]\n}\n\n").encode()


def _object(columns: Sequence[str], row: Sequence[str]) -> str:
    return "{" + ",".join(f'"{name}":{_value(name, text)}' for name, text in zip(columns, row, strict=True)) + "}"


def _value(name: str, text: str) -> str:
    if name not in _TEXTS and not name.endswith("timestamp"):
        return text
    # JSON drops the zeros of a fraction that CSV always prints.
    return f'"{text.rstrip("0").rstrip(".") if "T" in text and "." in text else text}"'
