"""Spoils the body of a reply as a fault says: bytes in, bytes out."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import repeat

from spxdata.emulator.faults import Fault
from spxdata.emulator.reply import Reply, Table
from spxdata.errors import ConfigError

#: An endless line grows by this much at a time.
_ENDLESS = b"9" * 16_384
_CONTRACT_FIELDS = 4
#: Columns that change when none is named: the first of them that a reply has.
_CHANGED = ("ask", "price", "close", "open_interest", "rate")


def spoiled(fault: Fault, reply: Reply) -> Reply:
    """Give a reply as a fault leaves it; only what is CSV can lose or gain rows and columns."""
    if reply.table is None or fault.do not in _SPOILERS:
        return reply
    body = _SPOILERS[fault.do](fault, b"".join(reply.pieces), reply.table)
    return replace(reply, pieces=body, streamed=reply.streamed or fault.do == "endless_line")


def other_values(row: bytes, table: Table, column: str) -> bytes:
    """Give a row with another value in one column: the last digit goes up by one, 9 becomes 0.

    Raises:
        ConfigError: There is no such column.
    """
    position = _position(table, column)
    cells = row.removesuffix(table.line_end).split(b",")
    value = cells[position]
    digit = max((place for place, char in enumerate(value) if chr(char).isdigit()), default=None)
    if digit is None:
        raise ConfigError(f"fault: column {column!r} holds no number to change")
    cells[position] = value[:digit] + str((value[digit] - ord("0") + 1) % 10).encode() + value[digit + 1 :]
    return b",".join(cells) + table.line_end


def _split(body: bytes, table: Table) -> tuple[list[bytes], list[bytes]]:
    """Give the header line, if there is one, and the rows; each with its line end."""
    lines = [line + table.line_end for line in body.split(table.line_end)[:-1]]
    return (lines[:1], lines[1:]) if table.headed else ([], lines)


def _usual(table: Table) -> str:
    """Give the column that changes when none is named."""
    return next((name for name in _CHANGED if name in table.columns), _CHANGED[0])


def _position(table: Table, column: str) -> int:
    if column not in table.columns:
        raise ConfigError(f"fault: the reply has no column {column!r}; it has {', '.join(table.columns)}")
    return table.columns.index(column)


def _cut(_fault: Fault, body: bytes, table: Table) -> list[bytes]:
    _, rows = _split(body, table)
    # Half of what the row holds is gone, its line end too.
    return [body[: len(body) - (len(rows[-1]) + 1) // 2 - len(table.line_end)]] if rows else [body]


def _twice(fault: Fault, body: bytes, table: Table) -> list[bytes]:
    head, rows = _split(body, table)
    many = fault.rows or 1
    changed = fault.do == "duplicate_with_other_values"
    doubled = [
        line
        for row in rows[:many]
        for line in (row, other_values(row, table, fault.column or _usual(table)) if changed else row)
    ]
    return [*head, *doubled, *rows[many:]]


def _changed_page(fault: Fault, body: bytes, table: Table) -> list[bytes]:
    head, rows = _split(body, table)
    if fault.other_values:
        rows = [other_values(row, table, fault.column or _usual(table)) for row in rows]
    return [*head, *rows]


def _drifted(fault: Fault, body: bytes, table: Table) -> list[bytes]:
    head, rows = _split(body, table)
    names = dict(fault.rename or {})
    dropped = {_position(table, name) for name in fault.drop or ()}
    for name in names:
        _position(table, name)
    added = [name.encode() for name in fault.add or ()]

    def row(cells: list[bytes], more: list[bytes]) -> bytes:
        kept = [cell for position, cell in enumerate(cells) if position not in dropped]
        return b",".join([*kept, *more]) + table.line_end

    columns = [names.get(name, name).encode() for name in table.columns]
    cut = [line.removesuffix(table.line_end).split(b",") for line in rows]
    return [*(row(columns, added) for _ in head), *(row(cells, [b"0"] * len(added)) for cells in cut)]


def _header_only(_fault: Fault, body: bytes, table: Table) -> list[bytes]:
    return _split(body, table)[0]


def _empty(_fault: Fault, _body: bytes, _table: Table) -> list[bytes]:
    return []


def _short(fault: Fault, body: bytes, table: Table) -> list[bytes]:
    head, rows = _split(body, table)
    if fault.rows is not None:
        return [*head, *rows[: max(len(rows) - fault.rows, 0)]]
    contracts = [tuple(row.split(b",", _CONTRACT_FIELDS)[:_CONTRACT_FIELDS]) for row in rows]
    lost = set(list(dict.fromkeys(contracts))[-(fault.contracts or 1) :])
    return [*head, *(row for row, contract in zip(rows, contracts, strict=True) if contract not in lost)]


def _endless(fault: Fault, body: bytes, table: Table) -> Iterator[bytes]:
    yield body.removesuffix(table.line_end)
    if fault.bytes is None:
        yield from repeat(_ENDLESS)
    for start in range(0, fault.bytes or 0, len(_ENDLESS)):
        yield _ENDLESS[: (fault.bytes or 0) - start]


_SPOILERS: Mapping[str, Callable[[Fault, bytes, Table], list[bytes] | Iterator[bytes]]] = {
    "cut_last_row": _cut,
    "duplicate_rows": _twice,
    "duplicate_with_other_values": _twice,
    "repeat_page": _changed_page,
    "drift": _drifted,
    "header_only": _header_only,
    "zero_bytes": _empty,
    "short": _short,
    "endless_line": _endless,
}
